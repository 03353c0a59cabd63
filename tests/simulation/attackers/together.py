"""Several attacks from one mouth, each speaking after the one before it."""

from collections.abc import Sequence

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from node.v1 import peer_pb2
from tests.simulation.attackers.attacker import Attacker, Mouth, Said


class Together(Attacker):
    """Makes all of its kinds of attack."""

    kinds: Sequence[type[Attacker]] = ()

    def __init__(self, mouth: Mouth) -> None:
        super().__init__(mouth)
        self._each = [kind(mouth) for kind in self.kinds]

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        said = [message]
        for attacker in self._each:
            said = [changed for one in said for changed in attacker.on_send(one, receiver, now)]
        return said

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        return [said for attacker in self._each for said in attacker.on_receive(source, message, now)]

    def on_answer(
        self, asker: MemberIndex, question: peer_pb2.FetchRequest, answers: Sequence[peer_pb2.FetchResponse]
    ) -> list[peer_pb2.FetchResponse]:
        said = list(answers)
        for attacker in self._each:
            said = attacker.on_answer(asker, question, said)
        return said


def together(*kinds: type[Attacker]) -> type[Attacker]:
    """Give the kind of attacker that does all of these."""
    return type("And".join(kind.__name__ for kind in kinds), (Together,), {"kinds": kinds})
