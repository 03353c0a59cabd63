"""A member that nullifies every view, also those it finalizes."""

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from tests.simulation.attackers.attacker import Attacker


class Nuller(Attacker):
    """NULLIFY with every other vote."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not isinstance(message, m.Vote):
            return [message]
        return [message, self.mouth.sign(m.VoteKind.NULLIFY, message.view, m.NO_DIGEST)]
