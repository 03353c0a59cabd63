"""A leader who never proposes, and otherwise does its part."""

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from tests.simulation.attackers.attacker import Attacker


class SilentLeader(Attacker):
    """Costs a view a turn, twice as long the first two times."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        return [] if self.mouth.is_own(message) else [message]
