"""An attacker is an honest member whose mouth is another's.

Everything that makes a member work is left as it is: it keeps up, has its keys, knows what is to be known. Only what it
says is asked of an `Attacker` first, so one attack is one small class, and works at both levels of the simulation.

The vocabulary is the members' own: `node.consensus.messages` for what is said, `node.v1.peer_pb2` for questions
(`FetchRequest`) and answers (`FetchResponse`), which `node.wire` translates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Final, TypeGuard

from ledger.blocks import Header, seal_message
from ledger.positions import Epoch, MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus.lanes import Lane
from node.v1 import peer_pb2

STREAM: Final = Lane(1)
"""On which members say what they say."""

Said = tuple[MemberIndex, m.Message]
"""For whom, and what."""


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

    def sign(
        self, kind: m.VoteKind, view: View, digest: bytes, share: bytes = m.NO_SHARE, *, epoch: Epoch | None = None
    ) -> m.Vote:
        """Make a vote of this member that its core knows nothing of, by default of this epoch."""
        epoch = self.genesis.epoch if epoch is None else epoch
        message = m.compute_vote_message(
            ledger_id=self.genesis.ledger_id, kind=kind, epoch=epoch, view=view, digest=digest, share=share
        )
        return m.Vote(kind, epoch, view, digest, self.me, self.keys.sign_vote(message), share)

    def finalize(self, header: Header) -> m.Vote:
        """Make a FINALIZE with a good share."""
        share = self.keys.make_share(seal_message(header, self.origin))
        return self.sign(m.VoteKind.FINALIZE, header.view, header.digest, share)

    def propose(self, header: Header, entry_hashes: tuple[bytes, ...] = ()) -> m.Proposal:
        """Make a proposal with this member's vote."""
        return m.Proposal(header, entry_hashes, self.sign(m.VoteKind.NOTARIZE, header.view, header.digest))

    def forge(self, kind: m.VoteKind, view: View, digest: bytes) -> m.Certificate:
        """Make a certificate whose votes but one nobody cast."""
        names = [MemberIndex(1 + (self.me - 1 + step) % self.member_count) for step in range(self.quorum)]
        epoch, mine = self.genesis.epoch, self.sign(kind, view, digest)
        forged = (m.Vote(kind, epoch, view, digest, name, self.random.randbytes(64)) for name in names[1:])
        return m.Certificate(kind, epoch, view, digest, (mine, *forged))

    def is_own(self, message: m.Message) -> TypeGuard[m.Proposal]:
        """Say whether this is a proposal of this member's."""
        return isinstance(message, m.Proposal) and message.header.proposer == self.me

    def to_all(self, *said: m.Message) -> list[Said]:
        """Address these to everybody else."""
        return [(other, one) for one in said for other in self.others()]


class Attacker:
    """Says what its member would say; each attack changes some of it. One for the whole run, whatever crashes.

    Attributes:
        lane: of what is said to what has come in.
    """

    lane: ClassVar[Lane] = STREAM

    def __init__(self, mouth: Mouth) -> None:
        self.mouth = mouth

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        """Say what `receiver` gets instead of `message`."""
        return [message]

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        """Say what else is said to whom, now that this has come in."""
        return []

    def on_answer(
        self, asker: MemberIndex, question: peer_pb2.FetchRequest, answers: Sequence[peer_pb2.FetchResponse]
    ) -> list[peer_pb2.FetchResponse]:
        """Say what `asker` is answered instead of `answers`."""
        return list(answers)
