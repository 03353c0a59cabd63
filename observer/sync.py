"""Follow sources: from the charter's fingerprint to a copy in which everything was verified before it was written.

For each source in turn:
1. Its newest checkpoint must be sealed under the pinned charter's group key (`ledger.policy`), so another ledger's, or
   one that somebody changed, goes no further.
2. It must not contradict the copy, nor any head that was seen before, from wherever (`observer.agreement`). If it does,
   a portable proof is written; if it is older than the copy, it is refused and both notes are kept.
3. Blocks from the copy's end up to the checkpoint's are fetched, verified in runs that end with a seal, and each run is
   written in one transaction: a sync that breaks off anywhere is gone on with by the next.
4. The last block must be the very one the checkpoint names. Only then is the note kept, without
   the lines of strangers.

A source that lies costs nothing but its own answer: what the copy held before stays, and the next source is asked.
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.blocks import (
    NO_SEAL,
    SealedHeader,
    checkpoint_of,
    verify_header_chain,
)
from ledger.charter import parse_charter
from ledger.errors import Code, ConditionError, LedgerError, PolicyError, ProofError
from ledger.limits import MIB
from ledger.notes import encode_note, parse_note
from ledger.policy import VerifiedCheckpoint, keep_known
from ledger.positions import Height, Millis, TreeSize
from observer.agreement import RUN_BLOCKS, UNSEALED_BLOCKS_MAX, Agreement, Clock, Relation, take_to_seal
from observer.chain import Draw, make_note, verify_run, verify_seals
from observer.copy import Copy, found_copy, open_copy
from observer.heads import open_heads, read_clock
from observer.served import ServedBlock, Source, blame
from observer.source import open_source
from observer.telling import format_time

RUN_BYTES: Final = 8 * MIB
UNSEALED_BYTES_MAX: Final = 64 * MIB
"""How much is held in memory while waiting for a seal that makes it final."""

_OUR_OWN: Final = (Code.CONFIG, Code.DISK_FULL, Code.STORE_DAMAGED)  # conditions of this machine, not of a source
assert RUN_BLOCKS < UNSEALED_BLOCKS_MAX
assert RUN_BYTES < UNSEALED_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source was followed.

    Attributes:
        source: its name.
        height: of the copy's newest block.
        target: height its checkpoint names.
        size: entries in the copy.
    """

    source: str
    height: Height
    target: Height
    size: TreeSize


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one source: how much it gave that was verified, and why it was refused, if it was.

    Attributes:
        source: its name; or the names of those that showed a head which turned out to contradict the chain.
        relation: how its newest head stands to the copy as it was when it was asked.
        height: of that head, if it was sealed.
        rolled_back: members that cosigned a smaller tree at a later time, in words, with the proof.
    """

    source: str
    blocks_count: int
    entries_count: int
    error: LedgerError | None
    relation: Relation = Relation.SAME
    height: Height | None = None
    rolled_back: tuple[str, ...] = ()

    @property
    def is_lie(self) -> bool:
        """Whether what it served is wrong, and not merely unavailable or old."""
        return self.error is not None and not isinstance(self.error, ConditionError)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """A copy after a sync: whose it is, where it ends, and what came of each source."""

    fingerprint: str
    head: SealedHeader
    outcomes: tuple[Outcome, ...]


def sync_home(
    home: Path,
    urls: Sequence[str],
    *,
    fingerprint: bytes | None,
    draw: Draw,
    progress: Callable[[Progress], None] = lambda _: None,
) -> SyncResult:
    """Bring the copy in a folder up to date from sources named by URL; make it first if there is none.

    Raises:
        LedgerError: as `open_or_found` and `open_source`. What is wrong with a source is part of the result, for
            `conclude` to raise once the result was shown.
    """
    with contextlib.ExitStack() as closing:
        sources: list[Source] = []
        closed: list[Outcome] = []
        for url in urls:
            try:
                sources.append(open_source(url))
            except ConditionError as error:  # a folder that is not there: the others are asked all the same
                closed.append(Outcome(url, 0, 0, error))
                continue
            closing.callback(sources[-1].close)
        if not sources:
            raise closed[0].error or AssertionError("closed without an error")
        copy = closing.enter_context(open_or_found(home, sources, fingerprint=fingerprint))
        outcomes = sync(copy, sources, draw=draw, progress=progress)
        return SyncResult(copy.charter.fingerprint, copy.head, (*outcomes, *closed))


def open_or_found(home: Path, sources: Sequence[Source], *, fingerprint: bytes | None) -> Copy:
    """Open the copy, or make it from the first source that serves the charter of this fingerprint.

    Raises:
        ConditionError: there is no copy and no fingerprint (`CONFIG`), or no source answers.
        PolicyError: the copy is pinned to another charter, or a source serves another.
        LedgerError: what else may be wrong with a copy or a charter.
    """
    copy = open_copy(home, fingerprint=fingerprint)
    if copy is not None:
        return copy
    if fingerprint is None:
        raise ConditionError(
            field="charter-fingerprint",
            found="none, and no copy that is pinned to one",
            expected="the SHA-256 of the charter in hex, learned from somebody you trust and not from the source",
            code=Code.CONFIG,
        )
    refusals: list[LedgerError] = []
    for source in sources:
        try:
            charter = parse_charter(_read_pinned_charter(source, fingerprint))
        except LedgerError as error:
            refusals.append(blame(source.name, error))
            continue
        return found_copy(home, charter)
    raise refusals[0]


def _read_pinned_charter(source: Source, fingerprint: bytes) -> bytes:
    entry = source.read_charter()
    found = hashlib.sha256(entry).digest()
    if found != fingerprint:
        raise PolicyError(field="charter", found=f"the charter {found.hex()}", expected=fingerprint.hex())
    return entry


def sync(
    copy: Copy,
    sources: Sequence[Source],
    *,
    draw: Draw,
    progress: Callable[[Progress], None] = lambda _: None,
    clock: Clock = read_clock,
) -> list[Outcome]:
    """Look at the heads of all sources, follow each as far as it goes, and hold every head ever seen against the chain.

    Args:
        copy: what to extend.
        sources: asked in this order; none is believed.
        draw: fresh random bytes, for checking seals together.
        progress: told after every run that was written.
        clock: says when a head was seen.

    Returns:
        What came of each source, and of heads that were seen earlier and turned out to contradict the chain; see
        `conclude`.
    """
    with open_heads(copy.path.parent, copy.charter) as heads:
        agreements = [Agreement(copy, heads, source.name, clock) for source in sources]
        followings = [
            _Following(source, agreement, draw, progress) for source, agreement in zip(sources, agreements, strict=True)
        ]
        if len(sources) > 1:  # all are looked at before any is followed, so that none can know what the others showed
            for following in followings:
                following.look()
        outcomes = [following.run() for following in followings]
        for head in heads.unsettled(up_to=copy.head.header.height):
            agreement = Agreement(copy, heads, ", ".join(head.sources), clock)
            try:
                agreement.settle(head)
            except ProofError as error:
                blamed = blame(agreement.source, error)
                outcomes.append(Outcome(agreement.source, 0, 0, blamed, Relation.CONTRADICTS, head.height))
        return outcomes


def conclude(outcomes: Sequence[Outcome]) -> None:
    """Raise what must not be passed over: a source that lied; or that none could be followed.

    Raises:
        LedgerError: the first lie; else, if every source failed, why the first did.
    """
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    for outcome in outcomes:
        if outcome.error is not None and outcome.is_lie:
            raise outcome.error
    if errors and len(errors) == len(outcomes):
        raise errors[0]


def encode_sync(result: SyncResult) -> dict[str, Any]:
    """Give a sync's result as JSON has it; Any because its values are of several types."""
    header = result.head.header
    return {
        "charter_fingerprint": result.fingerprint,
        "height": header.height,
        "tree_size": header.tree_size,
        "root": header.root.hex(),
        "time_ms": header.time_ms,
        "sources": [
            {
                "source": outcome.source,
                "relation": outcome.relation.value,
                "height": outcome.height,
                "rolled_back": list(outcome.rolled_back),
                "blocks_count": outcome.blocks_count,
                "entries_count": outcome.entries_count,
                "code": None if outcome.error is None else outcome.error.code.value,
                "error": None if outcome.error is None else str(outcome.error),
            }
            for outcome in result.outcomes
        ],
    }


def describe_sync(result: SyncResult, *, now_ms: Millis) -> list[str]:
    """Say in lines what came of each source, and where the copy ends now."""
    header = result.head.header
    lines = []
    for outcome in result.outcomes:
        verified = f"{outcome.blocks_count} blocks with {outcome.entries_count} entries verified and kept"
        refused = "" if outcome.error is None else f"; then {outcome.error}"
        lines.append(f"{outcome.source}: {verified}{refused}")
        lines += [f"{outcome.source}: {said}" for said in outcome.rolled_back]
    sealed = f"{format_time(header.time_ms)}, {max(0, now_ms - header.time_ms) // 1000} s ago by this machine's clock"
    return [
        *lines,
        f"copy of {result.fingerprint}: height {header.height}, {header.tree_size} entries, sealed {sealed}",
    ]


class _Following:
    """One source being followed."""

    def __init__(self, source: Source, agreement: Agreement, draw: Draw, progress: Callable[[Progress], None]) -> None:
        self._copy, self._source, self._agreement = agreement.copy, source, agreement
        self._draw, self._progress = draw, progress
        self._blocks_count = self._entries_count = 0
        self._height: Height | None = None
        self._error: LedgerError | None = None

    def look(self) -> None:
        """Keep what the source shows now; what is wrong with it is the outcome already."""
        self._try(self._see)

    def run(self) -> Outcome:
        """Steps 1 to 4; whatever is refused becomes part of the outcome, under the source's name."""
        if self._error is None:
            self._try(self._follow)
        if self._error is None and self._agreement.unsure:
            self._error = blame(self._source.name, self._agreement.unsure[0])
        return Outcome(
            self._source.name,
            self._blocks_count,
            self._entries_count,
            self._error,
            self._relate(),
            self._height,
            tuple(self._agreement.rolled_back),
        )

    def _try(self, step: Callable[[], object]) -> None:
        try:
            step()
        except LedgerError as refusal:
            if refusal.code in _OUR_OWN:
                raise
            self._error = blame(self._source.name, refusal)

    def _see(self) -> list[tuple[bytes, VerifiedCheckpoint]]:
        """Step 1: what it shows is sealed, and is kept before anything else is done with it."""
        notes = [(raw, self._agreement.see(raw)) for raw in self._source.read_checkpoints()]
        self._height = notes[0][1].seal.height
        return notes

    def _follow(self) -> None:
        self._learn_transcript()
        notes = self._see()
        for raw, checkpoint in notes:
            self._agreement.require_agreement(raw, checkpoint)
        raw, newest = notes[0]
        self._agreement.require_not_behind(raw, newest)
        try:
            self._fetch(raw, newest)
        except ConditionError as refusal:
            if refusal.code is Code.NOT_FOUND:
                with contextlib.suppress(ConditionError):  # no tiles either: what is missing has been named
                    self._agreement.require_tree(raw, newest, self._source)
            raise
        for raw, checkpoint in notes:
            self._keep_note(raw, checkpoint)

    def _relate(self) -> Relation:
        error, known = self._error, self._copy.head.header.height
        if self._agreement.proven:
            return Relation.CONTRADICTS
        if error is None:
            return Relation.AHEAD if self._blocks_count else Relation.SAME
        if not isinstance(error, ConditionError):
            return Relation.WRONG
        if self._height is None:
            return Relation.UNREACHABLE
        if self._height >= known:
            return Relation.AHEAD
        shown = self._agreement.heads.highest_of(self._source.name)
        return Relation.STALE if shown is not None and shown > self._height else Relation.BEHIND

    def _learn_transcript(self) -> None:
        """Keep the ceremony's transcript, for the ML-DSA keys in it, if it is the one the charter names."""
        if not self._copy.transcript:
            raw = self._source.read_transcript()
            if raw:
                self._copy.put_transcript(raw)

    def _require_no_fork(self, run: Sequence[ServedBlock]) -> None:
        """Refuse a sealed run that stands on another block than our newest: whoever sealed both signed two histories.

        Raises:
            ProofError: `checkpoint.parent`; both notes were kept, with the headers that lead to theirs.
        """
        head, first = self._copy.head, run[0].header
        headers = take_to_seal([SealedHeader(block.header, block.seal) for block in run])
        if first.parent == head.header.digest or first.ledger_id != head.header.ledger_id:
            return
        try:
            verify_header_chain([sealed.header for sealed in headers])
            verify_seals(headers[-1:], charter=self._copy.charter, draw=self._draw)
        except LedgerError:
            return  # nobody sealed it: it is a lie of the source alone
        self._agreement.refuse(
            encode_note(make_note(headers[-1], self._copy.charter)),
            [head],
            height=first.height,
            field="parent",
            found=first.parent.hex(),
            expected=f"{head.header.digest.hex()} at height {head.header.height}, which this copy has",
            their_headers=headers,
        )

    # -- steps 3 and 4 ------------------------------------------------------------------------------------------------

    def _fetch(self, raw: bytes, target: VerifiedCheckpoint) -> None:
        """Extend the copy up to the block that a checkpoint names.

        Raises:
            ConditionError: the source ended before that block.
            LedgerError: what it serves is not verified; nothing of that run was kept.
        """
        first = Height(self._copy.head.header.height + 1)
        last = target.seal.height
        run: list[ServedBlock] = []
        bytes_count = 0
        served_blocks = self._source.read_blocks(first=first, last=last, size=target.checkpoint.size)
        for height, served in enumerate(served_blocks, start=first):
            block = _with_known_seal(served, target)
            if block.header.height != height:
                raise ProofError(field=f"blocks[{height}].height", found=block.header.height, expected=str(height))
            run.append(block)
            bytes_count += sum(len(entry) for entry in block.entries) + len(block.header.raw)
            is_last = height == last
            if is_last or (block.seal != NO_SEAL and (len(run) >= RUN_BLOCKS or bytes_count >= RUN_BYTES)):
                self._commit(raw, target, run)
                run, bytes_count = [], 0
            elif len(run) > UNSEALED_BLOCKS_MAX or bytes_count > UNSEALED_BYTES_MAX:
                found = f"{len(run)} blocks of {bytes_count} bytes without a seal at their end"
                raise PolicyError(field=f"blocks[{height}].seal", found=found, expected="a seal")
            if is_last:
                break
        reached = self._copy.head.header.height
        if reached < last:
            found = f"the end, with {len(run)} blocks that nothing seals"
            expected = f"blocks up to {last}, as its checkpoint says"
            field = f"blocks[{reached + len(run) + 1}]"
            raise ConditionError(field=field, found=found, expected=expected, code=Code.NOT_FOUND)

    def _commit(self, raw: bytes, target: VerifiedCheckpoint, run: Sequence[ServedBlock]) -> None:
        """Believe a run, hold its end against the checkpoint if it reaches that, and write it."""
        copy = self._copy
        self._require_no_fork(run)
        position, verified = verify_run(copy.position, run, charter=copy.charter, draw=self._draw)
        header = position.header
        if header.height == target.seal.height:
            is_named = header.digest == target.seal.block_digest
            if not is_named or checkpoint_of(header, copy.charter.origin) != target.checkpoint:
                served = SealedHeader(header, verified[-1].seal)
                found, expected = target.seal.block_digest.hex(), f"{header.digest.hex()}, which is sealed too"
                self._agreement.refuse(
                    raw, [served], height=header.height, field="block", found=found, expected=expected
                )
        copy.append(verified)
        self._blocks_count += len(verified)
        self._entries_count += sum(len(block.entries) for block in verified)
        self._progress(Progress(self._source.name, header.height, target.seal.height, header.tree_size))

    def _keep_note(self, raw: bytes, checkpoint: VerifiedCheckpoint) -> None:
        """Keep a note whose block is in the chain; one that is ahead of what was fetched comes again next time."""
        height = checkpoint.seal.height
        if height <= self._copy.head.header.height:
            self._agreement.require_agreement(raw, checkpoint)
            known = encode_note(keep_known(parse_note(raw), self._copy.keys))
            self._copy.put_note(known, height=height, cosigners_count=len(checkpoint.cosigners))


def _with_known_seal(block: ServedBlock, target: VerifiedCheckpoint) -> ServedBlock:
    """The checkpoint's seal is the seal of its block, also where the block was served before it was known."""
    if block.header.digest != target.seal.block_digest:
        return block
    return ServedBlock(header=block.header, seal=target.seal.seal, entries=block.entries)
