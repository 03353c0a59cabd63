"""One core on a stage: the other members say what the script says, and everything the core does is written down.

Shared by the scenarios and by the tests of the paper's sentences.
"""

from dataclasses import dataclass, field

from ledger.blocks import Header, SealedHeader, compute_entries_digest, encode_header, genesis_header, seal_message
from ledger.errors import Code, reject
from ledger.merkle import leaf_hash
from ledger.positions import FIRST_EPOCH, Height, LeafIndex, MemberIndex, Millis, TreeSize, View
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.chain import Block
from node.consensus.core import Core
from node.consensus.lanes import Lane
from node.consensus.messages import Certificate, Finalization, Proposal, Vote, VoteKind
from tests.simulation.keys import CheapKeys

ORIGIN = "scenario.example/ledger"
START_MS = 1_000_000
STREAM = Lane(1)  # on which members say what they say
GENESIS = genesis_header(b"charter", Millis(START_MS))


@dataclass
class Stage:
    """The core of member `me`, and everything needed to talk to it."""

    member_count: int = 4
    me: int = 2
    delta_ms: int = 100
    idle_interval_ms: int = 1_000
    final: SealedHeader = field(default_factory=lambda: SealedHeader(GENESIS, b""))
    is_lost: bool = False
    blocks: dict[str, Block] = field(default_factory=dict)
    now_ms: int = 0

    def __post_init__(self) -> None:
        self.quorum = self.member_count - (self.member_count - 1) // 3
        self.disk = votelog.create(ledger_id=GENESIS.ledger_id, member=MemberIndex(self.me), is_lost=self.is_lost)
        self.rebuild()

    def rebuild(self) -> None:
        """Make the core anew from the vote log and the newest final header."""
        self.keys = CheapKeys(self.me, self.quorum)
        config = m.CoreConfig(
            ledger_id=GENESIS.ledger_id,
            origin=ORIGIN,
            epoch=FIRST_EPOCH,
            member_count=self.member_count,
            me=MemberIndex(self.me),
            quorum=self.quorum,
            delta_ms=Millis(self.delta_ms),
            delta_max_ms=Millis(8 * self.delta_ms),
            idle_interval_ms=Millis(self.idle_interval_ms),
            final=self.final,
        )
        log = votelog.read(self.disk, ledger_id=GENESIS.ledger_id, member=MemberIndex(self.me))
        self.core = Core(config, self.keys, log.records)

    def give(self, event: m.Event, *, at_ms: int | None = None) -> list[m.Action]:
        """Hand the core an event and keep what it persists."""
        self.now_ms = self.now_ms if at_ms is None else at_ms
        actions = self.core.handle(event, now=Millis(START_MS + self.now_ms))
        for action in actions:
            if isinstance(action, m.Persist):
                self.disk += action.record
            if isinstance(action, m.Finalized):
                self.final = SealedHeader(action.blocks[-1].header, action.blocks[-1].seal)
        return actions

    def hear(self, message: m.Message, *, source: int, at_ms: int | None = None, lane: Lane = STREAM) -> list[m.Action]:
        return self.give(m.MessageReceived(MemberIndex(source), message, lane), at_ms=at_ms)

    # --- what others say -------------------------------------------------------------------------------------------

    def block(self, name: str, *, view: int, parent: str = "genesis", entries: int = 1, time_ms: int = 0) -> Block:
        """Make the block of a view's leader and keep it under a name."""
        above = self.header(parent)
        leaves = tuple(leaf_hash(f"{name} {number}".encode()) for number in range(entries))
        header = encode_header(
            ledger_id=GENESIS.ledger_id,
            epoch=FIRST_EPOCH,
            view=View(view),
            height=Height(above.height + 1),
            parent=above.digest,
            time_ms=Millis(max(above.time_ms, START_MS + time_ms)),
            proposer=self.leader(view),
            first_index=LeafIndex(above.tree_size),
            tree_size=TreeSize(above.tree_size + entries),
            root=leaf_hash(name.encode()),
            entries_digest=compute_entries_digest(leaves),
        )
        self.blocks[name] = Block(header, leaves)
        return self.blocks[name]

    def header(self, name: str) -> Header:
        return GENESIS if name == "genesis" else self.blocks[name].header

    def leader(self, view: int) -> MemberIndex:
        return m.compute_leader(View(view), epoch=FIRST_EPOCH, member_count=self.member_count)

    def vote(self, kind: VoteKind, member: int, *, block: str = "", view: int = 0) -> Vote:
        """Make another member's vote: of a block, or of a view."""
        keys = CheapKeys(member, self.quorum)
        header = self.header(block) if block else None
        view = header.view if header else view
        digest = header.digest if header else m.NO_DIGEST
        finalizes = header is not None and kind is VoteKind.FINALIZE
        share = keys.make_share(seal_message(self.header(block), ORIGIN)) if finalizes else m.NO_SHARE
        message = m.compute_vote_message(
            ledger_id=GENESIS.ledger_id, kind=kind, epoch=FIRST_EPOCH, view=View(view), digest=digest, share=share
        )
        return Vote(kind, FIRST_EPOCH, View(view), digest, MemberIndex(member), keys.sign_vote(message), share)

    def proposal(self, name: str) -> Proposal:
        block = self.blocks[name]
        vote = self.vote(VoteKind.NOTARIZE, block.header.proposer, block=name)
        return Proposal(block.header, block.entry_hashes, vote)

    def notarization(self, name: str, by: list[int]) -> Certificate:
        votes = tuple(self.vote(VoteKind.NOTARIZE, member, block=name) for member in by)
        header = self.header(name)
        return Certificate(VoteKind.NOTARIZE, FIRST_EPOCH, header.view, header.digest, votes)

    def nullification(self, view: int, by: list[int]) -> Certificate:
        votes = tuple(self.vote(VoteKind.NULLIFY, member, view=view) for member in by)
        return Certificate(VoteKind.NULLIFY, FIRST_EPOCH, View(view), m.NO_DIGEST, votes)

    def finalization(self, name: str) -> Finalization:
        header = self.header(name)
        members = {member: CheapKeys(member, self.quorum) for member in range(1, self.quorum + 1)}
        message = seal_message(header, ORIGIN)
        shares = {MemberIndex(member): keys.make_share(message) for member, keys in members.items()}
        seal, _ = self.keys.combine(shares, message)
        assert seal is not None
        return Finalization(header, seal)

    def executed(self, name: str, *, is_valid: bool = True) -> m.BlockExecuted:
        rejection = reject(Code.INVALID_FIELD, field="entry", found=name, expected="a valid entry")
        return m.BlockExecuted(self.header(name).digest, None if is_valid else rejection)

    # --- what the core did -----------------------------------------------------------------------------------------

    def name(self, digest: bytes) -> str:
        names = {block.header.digest: name for name, block in self.blocks.items()} | {GENESIS.digest: "genesis"}
        return names[digest]

    def describe(self, action: m.Action) -> str:  # noqa: C901, PLR0911, PLR0912  # one line an action
        """Write an action as a reader of the paper would."""
        match action:
            case m.Persist():
                start = votelog.create(ledger_id=GENESIS.ledger_id, member=MemberIndex(self.me), is_lost=False)
                log = votelog.read(start + action.record, ledger_id=GENESIS.ledger_id, member=MemberIndex(self.me))
                return "persist " + ", ".join(self._describe_record(record) for record in log.records)
            case m.Broadcast():
                return f"say {self.describe_message(action.message)}"
            case m.Send():
                return f"tell {action.member} {self.describe_message(action.message)}"
            case m.SetTimer():
                return f"timer {action.timer} of view {action.view} at {action.at_ms - START_MS}"
            case m.BuildBlock():
                empty = "maybe empty" if action.may_be_empty else "not empty"
                parent, time_ms = self.name(action.parent.digest), action.time_ms - START_MS
                return f"build a block of view {action.view} on {parent}, time {time_ms}, {empty}"
            case m.ExecuteBlock():
                return f"execute {self.name(action.header.digest)}, from {action.source}"
            case m.FetchBlock():
                return f"ask {action.member} for block {self.name(action.digest)}"
            case m.FetchCertificate():
                return f"ask {action.member} whether view {action.view} ended with {action.kind.name}"
            case m.FetchViews():
                return "ask all for their view"
            case m.FetchFinalBlocks():
                target = self.name(action.target.digest)
                return f"catch up from height {action.from_height} to {target}, from {action.member}"
            case m.Finalized():
                blocks = [self.name(b.header.digest) + (" sealed" if b.seal else "") for b in action.blocks]
                return "final " + ", ".join(blocks)
            case m.EvidenceFound():
                return f"evidence {action.misconduct} by {action.member}"
            case m.PeerMisbehaved():
                return f"accuse {action.member} {action.fault}"
            case m.VoteForgotten():
                return f"forgotten {self._describe_vote(action.vote)}"
            case m.QuorumDisagrees():
                return f"quorum disagrees about {self.name(action.header.digest)}"

    def describe_message(self, message: m.Message) -> str:
        match message:
            case Vote():
                return self._describe_vote(message)
            case Proposal():
                return f"proposal {self.name(message.header.digest)}"
            case Certificate(kind=VoteKind.NULLIFY):
                return f"nullification {message.view}"
            case Certificate():
                return f"notarization {self.name(message.digest)}"
            case Finalization():
                return f"finalization {self.name(message.header.digest)}"

    def _describe_vote(self, vote: Vote) -> str:
        return f"{vote.kind.name} {self.name(vote.digest) if vote.digest else vote.view}"

    def _describe_record(self, record: votelog.Record) -> str:
        match record:
            case Block():
                return f"block {self.name(record.header.digest)}"
            case Vote():
                return self._describe_vote(record)
            case Certificate():
                return self.describe_message(record)
            case votelog.Barrier():
                return f"mute until view {record.view}"
            case _:
                return type(record).__name__
