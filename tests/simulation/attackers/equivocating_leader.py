"""A leader who shows one block to one half and another to the other half, and votes for both."""

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from tests.simulation.attackers.attacker import Attacker
from tests.simulation.attackers.blocks import make_twin


class EquivocatingLeader(Attacker):
    """Two proposals a turn, both valid, both signed; in some turns everybody gets both votes, in some both blocks."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not self.mouth.is_own(message):
            return [message]
        twin = self.mouth.propose(make_twin(message.header), message.entry_hashes)
        shown, other = (message, twin) if receiver % 2 else (twin, message)
        more: tuple[list[m.Message], ...] = ([], [other.vote], [other])
        return [shown, *more[message.header.view % 3]]
