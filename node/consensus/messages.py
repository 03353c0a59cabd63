"""What the consensus core takes (events), gives (actions), and what members say to each other (messages).

The contract between the core and whoever drives it, `node.driver` or the simulator:

1. `Core.handle(event, now=…)` returns actions; carry them out in the order of the list, and lists in the order they
   were returned. Only `Persist`, `Finalized`, `ExecuteBlock` and `BuildBlock` are order-sensitive among themselves:
   the rest may be queued, delayed or lost.
2. `Persist` is durable (fdatasync returned) before any later action of the same list, or of a later list, begins. If it
   fails, the process stops: a vote that may or may not be on disk must never be followed by another.
   Consecutive `Persist` actions may share one fdatasync.
3. The first event after construction is `Started`. Events are handled one at a time.
4. Everything but `Persist` may fail; the protocol heals by repeating. Nothing is ever answered with an exception: the
   core raises only `AssertionError`, on a mistake of ours.
5. The edge parses: the core gets typed values whose sizes are bounded (`MEMBERS_MAX` votes in a certificate,
   `BLOCK_ENTRIES_MAX` hashes, 64-byte signatures, 48-byte shares and seals, headers by `ledger.blocks.parse_header`).
   The edge also drops what names another ledger id, and fills `epoch` of votes from the envelope that carried them.
   Signatures, seals, membership and meaning are the core's to check. It numbers each member's few streams (`Lane`).
6. `now` is one clock, milliseconds UTC, for everything: header times are compared with it, timers are set in it.

What a vote's signature is over is in `ledger.votes`, wire forms in proto/node/v1/peer.proto, kept forms in `votelog`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ledger.blocks import Header, SealedHeader
from ledger.errors import Rejection
from ledger.positions import Epoch, Height, MemberIndex, Millis, View
from ledger.votes import NO_DIGEST, NO_SHARE, Misconduct, VoteKind, compute_vote_message
from node.consensus.lanes import ANSWERS, Lane

__all__ = ("NO_DIGEST", "NO_SHARE", "Misconduct", "VoteKind", "compute_vote_message")  # with what is defined here


@dataclass(frozen=True, slots=True)
class Vote:
    """One member's signed word on one view.

    Attributes:
        digest: the block's, or `NO_DIGEST` for NULLIFY.
        signature: Ed25519 by the member's identity key over `compute_vote_message`.
        share: the member's seal share with FINALIZE (48 bytes), else `NO_SHARE`.
    """

    kind: VoteKind
    epoch: Epoch
    view: View
    digest: bytes
    member: MemberIndex
    signature: bytes
    share: bytes = NO_SHARE


@dataclass(frozen=True, slots=True)
class Proposal:
    """A leader's block: its header, its entries by leaf hash in block order, and the leader's own NOTARIZE."""

    header: Header
    entry_hashes: tuple[bytes, ...]
    vote: Vote


@dataclass(frozen=True, slots=True)
class Certificate:
    """A notarization (kind NOTARIZE, one digest) or a nullification (kind NULLIFY): q votes that say the same."""

    kind: VoteKind
    epoch: Epoch
    view: View
    digest: bytes
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class Finalization:
    """A sealed header: the block and all its ancestors are final, as anyone can check with the group key."""

    header: Header
    seal: bytes


Message = Proposal | Vote | Certificate | Finalization


def compute_leader(view: View, *, epoch: Epoch, member_count: int) -> MemberIndex:
    """Name the leader of a view: members take turns; member 1 leads view 1 of epoch 1, member 2 that of epoch 2."""
    return MemberIndex(1 + (view + epoch - 2) % member_count)


class Keys(Protocol):
    """What the core needs of cryptography; the node implements it with real keys, the simulator with cheap ones."""

    def sign_vote(self, message: bytes) -> bytes:
        """Sign with this member's identity key; the same message always gives the same 64 bytes."""

    def make_share(self, message: bytes) -> bytes:
        """Make this member's seal share of 48 bytes over a seal message."""

    def is_vote_signature(self, member: MemberIndex, message: bytes, signature: bytes) -> bool:
        """Tell whether this is the member's identity signature; never raises."""

    def combine(
        self, shares: Mapping[MemberIndex, bytes], message: bytes
    ) -> tuple[bytes | None, tuple[MemberIndex, ...]]:
        """Make the seal from at least q shares: combine, verify the result, look for culprits only if that fails.

        Returns:
            The verified seal if q of the shares are good, else None; and the members whose shares are wrong. Members
            are named only when they were looked for, in rising order.
        """

    def is_share(self, member: MemberIndex, message: bytes, share: bytes) -> bool:
        """Tell whether this is the member's seal share over a seal message; never raises."""

    def is_seal(self, message: bytes, seal: bytes) -> bool:
        """Tell whether this is the group's signature over a seal message; never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """What a core is told once.

    Attributes:
        ledger_id: SHA-256 of entry 0; every vote names it.
        origin: name of the ledger; every seal names it.
        epoch: of the committee below.
        member_count: n; members are 1…n.
        me: this member.
        quorum: q = n - ⌊(n-1)/3⌋.
        delta_ms: smallest Δ: how long a message and its handling may take when all is well.
        delta_max_ms: ceiling of Δ when views fail one after another.
        idle_interval_ms: how long a leader with nothing to propose waits before it proposes an empty block.
        final: newest final header in the store, with its seal (`NO_SEAL` only for genesis).
    """

    ledger_id: bytes
    origin: str
    epoch: Epoch
    member_count: int
    me: MemberIndex
    quorum: int
    delta_ms: Millis
    delta_max_ms: Millis
    idle_interval_ms: Millis
    final: SealedHeader

    def __post_init__(self) -> None:
        """Check how the quantities relate."""
        assert 1 <= self.me <= self.member_count
        assert self.quorum == self.member_count - (self.member_count - 1) // 3
        assert 0 < self.delta_ms <= self.delta_max_ms
        assert self.idle_interval_ms > 0
        assert (self.final.header.ledger_id, self.final.header.epoch) == (self.ledger_id, self.epoch)


class TimerName(StrEnum):
    """One timer of each name runs at most; setting it again replaces it."""

    PROPOSE = "PROPOSE"  # leader: time for an empty block, or for one that a rules deadline asks for
    LEADER = "LEADER"  # member: no proposal has come
    VIEW = "VIEW"  # member: a proposal came, but nothing came of it
    REPEAT = "REPEAT"  # say again what may have been lost, ask again for what is missing


# --- Events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The driver is ready to carry out actions: the first event, once."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """`source` sent this over its authenticated channel, or answered this when asked for its newest finalization.

    The driver asks that of every member at start and after each reconnection.
    """

    source: MemberIndex
    message: Message
    lane: Lane = ANSWERS


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set with `SetTimer` is due; name and view as they were set."""

    timer: TimerName
    view: View


@dataclass(frozen=True, slots=True)
class EntriesPending:
    """Since when the oldest entry waits that is admitted and not yet final; None when none does.

    Sent whenever an entry was admitted (also a second one: the core may have been told that there is nothing to
    propose) and when the oldest became final. Entries in blocks that are not final yet count; entries that no leader
    could propose now (a gap in an issuer's sequence) do not.
    """

    oldest_since_ms: Millis | None


@dataclass(frozen=True, slots=True)
class DeadlineAt:
    """The next block time at which the rules have something to say by themselves on the final state; None if never."""

    at_ms: Millis | None


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """Answer to `BuildBlock`: executed on its parent, header and entries stored durably, entries held."""

    view: View
    header: Header
    entry_hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NothingToPropose:
    """Answer to `BuildBlock` with `may_be_empty=False`: on this parent there is no entry to add (any more)."""

    view: View


@dataclass(frozen=True, slots=True)
class BlockExecuted:
    """Answer to `ExecuteBlock`: None if the block is valid (and all its entries are stored durably), else why not."""

    digest: bytes
    rejection: Rejection | None


@dataclass(frozen=True, slots=True)
class BlockFetched:
    """Answer to `FetchBlock`: what `source` sent. The core checks that it is the block it lacked."""

    source: MemberIndex
    header: Header
    entry_hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CertificateFetched:
    """Answer to `FetchCertificate`: what `source` sent."""

    source: MemberIndex
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class ViewTold:
    """Answer to `FetchViews`: `member` is in this view.

    The member must have been asked after this process started: an older word could hide a vote that this node made and
    forgot. Such questions are answered with `Core.view_to_tell`, and not at all where that is None.
    """

    member: MemberIndex
    epoch: Epoch
    view: View


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Answer to `FetchFinalBlocks`: everything up to this header is executed and committed; its seal was verified."""

    header: Header
    seal: bytes


Event = (
    Started
    | MessageReceived
    | TimerFired
    | EntriesPending
    | DeadlineAt
    | BlockBuilt
    | NothingToPropose
    | BlockExecuted
    | BlockFetched
    | CertificateFetched
    | ViewTold
    | CaughtUp
)


# --- Actions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Persist:
    """Append these bytes, as they are, to the vote log and fdatasync before any later action begins (rule 2 above)."""

    record: bytes


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every other member. Under back-pressure the oldest may be dropped: everything needed is said again."""

    message: Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one other member; may be dropped."""

    member: MemberIndex
    message: Message


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Deliver `TimerFired(timer, view)` at `at_ms`, at once if that is past; replaces the timer of the same name."""

    timer: TimerName
    view: View
    at_ms: Millis


@dataclass(frozen=True, slots=True)
class BuildBlock:
    """Make a block of this view on this parent, which is executed or final, of exactly this time.

    Header: epoch and parent as of the core's configuration and `parent`, `height` one above it, `proposer` this member,
    `time_ms` as given. Entries: those the rules compute for this time first, then pending ones in arrival order, each
    issuer's in sequence, none that is in an unfinal ancestor or that the rules reject on this parent.
    Execute it, store header, hash list and entries durably, keep its state, answer `BlockBuilt`; or, if it would have
    no entry and let no deadline of the rules pass, and `may_be_empty` is false, `NothingToPropose`. Answer even if the
    core has moved on; it will ignore that.
    """

    view: View
    parent: Header
    time_ms: Millis
    may_be_empty: bool


@dataclass(frozen=True, slots=True)
class ExecuteBlock:
    """Judge this block; its parent is final or was answered valid.

    Pull entries that are missing (`source` first, then others, again and again; missing is no verdict), execute on the
    parent's state, recompute header fields, store the entries durably, keep the resulting state, then answer
    `BlockExecuted`. Asked once a block; forget it when a final block makes its branch dead.
    """

    header: Header
    entry_hashes: tuple[bytes, ...]
    source: MemberIndex


@dataclass(frozen=True, slots=True)
class FetchBlock:
    """Ask `member` for the header and hash list of an unfinal or final block; answer `BlockFetched` or nothing.

    If nothing comes within Δ the core asks another member. Serve such questions with `Core.get_block`, else the store.
    """

    digest: bytes
    member: MemberIndex


@dataclass(frozen=True, slots=True)
class FetchCertificate:
    """Ask `member` for the notarization or nullification of a view; answer `CertificateFetched` or nothing.

    If nothing comes within Δ the core asks another member. Serve such questions with `Core.get_certificate` (it gives
    the other kind where it lacks the one asked for); where it has none, serve `Core.newest_finalization`, and the
    asker's driver delivers that as `MessageReceived`.
    """

    kind: VoteKind
    view: View
    member: MemberIndex


@dataclass(frozen=True, slots=True)
class FetchViews:
    """The vote log was lost: ask every other member for its current view until told otherwise; answer `ViewTold` each.

    Repeated until q others have answered. The driver says loudly that this node only follows.
    """


@dataclass(frozen=True, slots=True)
class FetchFinalBlocks:
    """We lag: `target` is final and its seal is verified, but blocks between `from_height` and it are unknown here.

    Pull the final headers from `from_height` up, check that they chain from our newest final block to `target`, pull
    entries, execute, commit (any number of transactions, each at a block boundary), then answer `CaughtUp(target)`.
    `member` told us of it and is a good one to ask first. Until then the core finalizes, executes and builds nothing
    and names no newer target; answers to earlier `ExecuteBlock` and `BuildBlock` are welcome but no longer needed.
    """

    from_height: Height
    target: Header
    seal: bytes
    member: MemberIndex


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """A block that became final; `seal` is `NO_SEAL` when a descendant's seal made it so."""

    header: Header
    entry_hashes: tuple[bytes, ...]
    seal: bytes


@dataclass(frozen=True, slots=True)
class Finalized:
    """These blocks are final, oldest first, each executed valid before; the last one carries the seal.

    Commit blocks, entries, state and tree in one transaction a block (or one for all), then publish. The driver may
    then drop every state not descended from the last, and from time to time compact the vote log:
    `votelog.compact(raw, final_view=header.view)` of the last *committed* header, written aside and renamed.
    """

    blocks: tuple[FinalBlock, ...]


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """Keep and spread: `member` signed these votes, which are misconduct. Once a member, view and kind.

    With the charter's ledger id, name and keys this is all that a stranger needs to check it.

    Attributes:
        votes: two that contradict each other, or the one with the wrong share.
        header: of the block that the share of WRONG_SHARE is for, else None. Its digest is the one that the vote signs;
            what a good share would be over, `seal_message(header, origin)`, follows from it.
    """

    misconduct: Misconduct
    member: MemberIndex
    votes: tuple[Vote, ...]
    header: Header | None = None


class Fault(StrEnum):
    """What `source` of a message did wrong. Not evidence: only this node saw it."""

    WRONG_SOURCE = "WRONG_SOURCE"  # a vote that is not the sender's own
    WRONG_SIGNATURE = "WRONG_SIGNATURE"
    WRONG_SHARE = "WRONG_SHARE"
    WRONG_SEAL = "WRONG_SEAL"
    WRONG_CERTIFICATE = "WRONG_CERTIFICATE"
    WRONG_PROPOSAL = "WRONG_PROPOSAL"
    WRONG_BLOCK = "WRONG_BLOCK"  # not the one asked for, or its hash list is not its header's
    HELD_BACK = "HELD_BACK"  # not looked at, after too many of the others


@dataclass(frozen=True, slots=True)
class PeerMisbehaved:
    """Count, log, alarm."""

    member: MemberIndex
    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class VoteForgotten:
    """Somebody showed a vote that this member signed and its log does not hold: an older log was put in its place.

    Alarm. The core casts no vote until it has recovered as from a lost log; what must be durable for that was in a
    `Persist` before this.
    """

    vote: Vote


@dataclass(frozen=True, slots=True)
class QuorumDisagrees:
    """A quorum notarized or sealed a block that this node's rules refuse: the loudest alarm there is.

    Either more than f members are faulty or this node's software differs. The core never votes on that branch and never
    finalizes it, so the node stands still at its height and goes on serving what it has.
    """

    header: Header
    rejection: Rejection


Action = (
    Persist
    | Broadcast
    | Send
    | SetTimer
    | BuildBlock
    | ExecuteBlock
    | FetchBlock
    | FetchCertificate
    | FetchViews
    | FetchFinalBlocks
    | Finalized
    | EvidenceFound
    | PeerMisbehaved
    | VoteForgotten
    | QuorumDisagrees
)
