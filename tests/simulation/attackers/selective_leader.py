"""A leader who proposes to some members only, another choice of them each turn."""

from ledger.positions import MemberIndex, Millis, View
from node.consensus import messages as m
from tests.simulation.attackers.attacker import Attacker, Mouth


class SelectiveLeader(Attacker):
    """Answers honestly for what it proposed, so that the others can get it: missing is no verdict."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__(mouth)
        self._chosen: dict[View, list[int]] = {}

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not self.mouth.is_own(message):
            return [message]
        others = self.mouth.others()
        count = self.mouth.random.randint(1, len(others))
        chosen = self._chosen.setdefault(message.header.view, self.mouth.random.sample(others, count))
        return [message] if receiver in chosen else []
