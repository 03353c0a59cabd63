"""An attacker is an honest member whose mouth is another's.

Everything that makes a member work is left as it is: it keeps up, has its keys, knows what is to be known. Only what it
says is asked of an `Attacker` first, so one attack is one small class, and works at both levels of the simulation.

The vocabulary is the members' own: `node.consensus.messages` for what is said, `node.v1.peer_pb2` for questions
(`FetchRequest`) and answers (`FetchResponse`), which `node.wire` translates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from ledger.blocks import Header
from ledger.positions import MemberIndex, Millis, View
from node.consensus import messages as m
from node.v1 import peer_pb2


@dataclass(frozen=True, slots=True)
class Mouth:
    """What an attacker may use: its member's keys, what everybody knows, and chance of its own."""

    me: MemberIndex
    keys: m.Keys
    genesis: Header
    origin: str
    member_count: int
    quorum: int
    random: Random

    def others(self) -> list[MemberIndex]:
        """Name everybody else."""
        return [MemberIndex(index) for index in range(1, self.member_count + 1) if index != self.me]

    def sign(self, kind: m.VoteKind, view: View, digest: bytes, share: bytes = m.NO_SHARE) -> m.Vote:
        """Make a vote of this member that its core knows nothing of."""
        epoch = self.genesis.epoch
        message = m.compute_vote_message(
            ledger_id=self.genesis.ledger_id, kind=kind, epoch=epoch, view=view, digest=digest, share=share
        )
        return m.Vote(kind, epoch, view, digest, self.me, self.keys.sign_vote(message), share)


class Attacker:
    """Says what its member would say; each attack changes some of it. One for the whole run, whatever crashes."""

    def __init__(self, mouth: Mouth) -> None:
        self.mouth = mouth

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        """Say what `receiver` gets instead of `message`."""
        return [message]

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[tuple[MemberIndex, m.Message]]:
        """Say what else is said to whom, now that this has come in."""
        return []

    def on_answer(
        self, asker: MemberIndex, question: peer_pb2.FetchRequest, answers: Sequence[peer_pb2.FetchResponse]
    ) -> list[peer_pb2.FetchResponse]:
        """Say what `asker` is answered instead of `answers`."""
        return list(answers)
