"""A member that nullifies every view, also those it finalizes."""

from node.consensus import messages as m
from tests.simulation.attackers.equivocating_leader import sign
from tests.simulation.member import Member


class Nuller(Member):
    """NULLIFY with every other vote."""

    def carry_out(self, action: m.Action) -> None:
        super().carry_out(action)
        if isinstance(action, m.Broadcast) and isinstance(action.message, m.Vote):
            nullify = sign(self, m.VoteKind.NULLIFY, action.message.view, m.NO_DIGEST)
            for other in self.network.members:
                self.send(other, nullify)
