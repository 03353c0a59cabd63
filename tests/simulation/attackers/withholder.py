"""A leader who proposes only to some, and answers no questions for what it withheld."""

from collections.abc import Sequence

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from node.v1 import peer_pb2
from tests.simulation.attackers.attacker import Attacker


class Withholder(Attacker):
    """Its proposals reach the next q - 1 members only."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        steps = (receiver - self.mouth.me) % self.mouth.member_count
        return [] if isinstance(message, m.Proposal) and steps >= self.mouth.quorum else [message]

    def on_answer(
        self, asker: MemberIndex, question: peer_pb2.FetchRequest, answers: Sequence[peer_pb2.FetchResponse]
    ) -> list[peer_pb2.FetchResponse]:
        return [] if question.WhichOneof("what") in {"block", "entries"} else list(answers)


class Deserter(Withholder):
    """Says nothing else either: whoever lacks the block is needed for everything from then on."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        return super().on_send(message, receiver, now) if self.mouth.is_own(message) else []
