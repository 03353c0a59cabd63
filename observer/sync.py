"""Follow sources: from the charter's fingerprint to a copy in which everything was verified before it was written.

For each source in turn:
1. Its newest checkpoint must be sealed under the pinned charter's group key (`ledger.policy`), so another ledger's, or
   one that somebody changed, goes no further.
2. It must not contradict the copy. If it does, or if it is older than the copy, it is refused and both notes are kept
   (`observer.evidence`).
3. Blocks from the copy's end up to the checkpoint's are fetched, verified in runs that end with a seal, and each run is
   written in one transaction: a sync that breaks off anywhere is gone on with by the next.
4. The last block must be the very one the checkpoint names. Only then is the note kept.

A source that lies costs nothing but its own answer: what the copy held before stays, and the next source is asked.
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.blocks import (
    HEADERS_PER_BUNDLE,
    NO_SEAL,
    Header,
    SealedHeader,
    checkpoint_of,
    encode_header_bundle,
    verify_header_chain,
)
from ledger.charter import parse_charter
from ledger.errors import Code, ConditionError, LedgerError, PolicyError, ProofError
from ledger.limits import MIB
from ledger.notes import encode_note, parse_note
from ledger.policy import VerifiedCheckpoint
from ledger.policy import verify as verify_note
from ledger.positions import Height, Millis, TreeSize
from ledger.verify import find_contradiction
from observer.chain import Draw, make_note, verify_run, verify_seals
from observer.copy import Copy, found_copy, open_copy
from observer.evidence import keep_evidence
from observer.served import ServedBlock, Source, blame
from observer.source import open_source
from observer.telling import format_time

RUN_BLOCKS: Final = 256
RUN_BYTES: Final = 8 * MIB
UNSEALED_BLOCKS_MAX: Final = 4_096
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
    """What came of one source: how much it gave that was verified, and why it was refused, if it was."""

    source: str
    blocks_count: int
    entries_count: int
    error: LedgerError | None

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
        sources = []
        for url in urls:
            sources.append(open_source(url))
            closing.callback(sources[-1].close)
        copy = closing.enter_context(open_or_found(home, sources, fingerprint=fingerprint))
        outcomes = sync(copy, sources, draw=draw, progress=progress)
        return SyncResult(copy.charter.fingerprint, copy.head, tuple(outcomes))


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
    copy: Copy, sources: Sequence[Source], *, draw: Draw, progress: Callable[[Progress], None] = lambda _: None
) -> list[Outcome]:
    """Follow every source as far as it goes.

    Args:
        copy: what to extend.
        sources: asked in this order; none is believed.
        draw: fresh random bytes, for checking seals together.
        progress: told after every run that was written.

    Returns:
        What came of each source; see `conclude`.
    """
    return [_Following(copy, source, draw, progress).run() for source in sources]


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
    sealed = f"{format_time(header.time_ms)}, {max(0, now_ms - header.time_ms) // 1000} s ago by this machine's clock"
    return [
        *lines,
        f"copy of {result.fingerprint}: height {header.height}, {header.tree_size} entries, sealed {sealed}",
    ]


class _Following:
    """One source being followed."""

    def __init__(self, copy: Copy, source: Source, draw: Draw, progress: Callable[[Progress], None]) -> None:
        self._copy, self._source, self._draw, self._progress = copy, source, draw, progress
        self._blocks_count = self._entries_count = 0

    def run(self) -> Outcome:
        """Steps 1 to 4; whatever is refused becomes part of the outcome, under the source's name."""
        error: LedgerError | None = None
        try:
            self._learn_transcript()
            notes = [(raw, verify_note(parse_note(raw), self._copy.keys)) for raw in self._source.read_checkpoints()]
            for raw, checkpoint in notes:
                self._require_agreement(raw, checkpoint)
            raw, newest = notes[0]
            self._require_not_behind(raw, newest)
            self._fetch(raw, newest)
            for raw, checkpoint in notes:
                self._keep_note(raw, checkpoint)
        except LedgerError as refusal:
            if refusal.code in _OUR_OWN:
                raise
            error = blame(self._source.name, refusal)
        return Outcome(self._source.name, self._blocks_count, self._entries_count, error)

    def _learn_transcript(self) -> None:
        """Keep the ceremony's transcript, for the ML-DSA keys in it, if it is the one the charter names."""
        if not self._copy.transcript:
            raw = self._source.read_transcript()
            if raw:
                self._copy.put_transcript(raw)

    # -- step 2 -------------------------------------------------------------------------------------------------------

    def _require_agreement(self, raw: bytes, theirs: VerifiedCheckpoint) -> None:
        """Refuse a sealed checkpoint that cannot be true beside this copy.

        Raises:
            ProofError: `checkpoint.<field>`; both notes were kept.
        """
        head = self._copy.head
        height = theirs.seal.height
        if height <= head.header.height:
            self._require_same_block(raw, theirs, self._copy.blocks(height, 1)[0].header)
        elif head.seal != NO_SEAL:
            ours = make_note(head, self._copy.charter)
            contradiction = find_contradiction(verify_note(ours, self._copy.keys), theirs)
            if contradiction is not None:
                self._refuse(
                    raw,
                    [head],
                    height=height,
                    field=contradiction.field,
                    found=contradiction.found,
                    expected=contradiction.expected,
                )

    def _require_same_block(self, raw: bytes, theirs: VerifiedCheckpoint, header: Header) -> None:
        """Refuse a checkpoint that names another block, or another tree, than ours of that height."""
        expected = checkpoint_of(header, self._copy.charter.origin)
        if theirs.seal.block_digest == header.digest and theirs.checkpoint == expected:
            return
        self._refuse(
            raw,
            self._find_sealed(header.height),
            height=header.height,
            field="block",
            found=f"block {theirs.seal.block_digest.hex()}, root {theirs.checkpoint.root.hex()}",
            expected=f"block {header.digest.hex()}, root {header.root.hex()}, which this copy has",
        )

    def _require_not_behind(self, raw: bytes, theirs: VerifiedCheckpoint) -> None:
        """Refuse a checkpoint that is older than what is known; it proves nothing, but its notes are kept.

        Raises:
            ConditionError: `checkpoint.height` (`NOT_READY`).
        """
        known, height = self._copy.head.header.height, theirs.seal.height
        if height >= known:
            return
        expected = f"at least {known}, which this copy has"
        folder = keep_evidence(
            self._copy.path.parent,
            "behind",
            source=self._source.name,
            said=f"height {height}; {expected}",
            height=height,
            ours=encode_note(make_note(self._copy.head, self._copy.charter)),
            theirs=raw,
        )
        raise ConditionError(field="checkpoint.height", found=height, expected=f"{expected}; both notes: {folder}")

    def _find_sealed(self, height: Height) -> list[SealedHeader]:
        """Give our blocks from a height up to the first sealed one, whose seal makes them all final."""
        return _take_to_seal(self._copy.blocks(height, UNSEALED_BLOCKS_MAX + RUN_BLOCKS))

    def _refuse(
        self,
        theirs: bytes,
        ours: Sequence[SealedHeader],
        *,
        height: Height,
        field: str,
        found: str,
        expected: str,
        their_headers: Sequence[SealedHeader] = (),
    ) -> None:
        """Keep both notes, and the headers that a seal reaches back through, then refuse."""
        sealed = ours[-1]
        folder = keep_evidence(
            self._copy.path.parent,
            "contradiction",
            source=self._source.name,
            said=f"{field}: found {found}; expected {expected}",
            height=height,
            ours=b"" if sealed.seal == NO_SEAL else encode_note(make_note(sealed, self._copy.charter)),
            theirs=theirs,
            headers={
                name: encode_header_bundle(headers[:HEADERS_PER_BUNDLE])
                for name, headers in (("ours", ours), ("theirs", their_headers))
                if headers
            },
        )
        expected = f"{expected}; a quorum signed two histories, and both notes are kept in {folder}"
        raise ProofError(field=f"checkpoint.{field}", found=found, expected=expected)

    def _require_no_fork(self, run: Sequence[ServedBlock]) -> None:
        """Refuse a sealed run that stands on another block than our newest: whoever sealed both signed two histories.

        Raises:
            ProofError: `checkpoint.parent`; both notes were kept, with the headers that lead to theirs.
        """
        head, first = self._copy.head, run[0].header
        headers = _take_to_seal([SealedHeader(block.header, block.seal) for block in run])
        if first.parent == head.header.digest or first.ledger_id != head.header.ledger_id:
            return
        try:
            verify_header_chain([sealed.header for sealed in headers])
            verify_seals(headers[-1:], charter=self._copy.charter, draw=self._draw)
        except LedgerError:
            return  # nobody sealed it: it is a lie of the source alone
        self._refuse(
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
                self._refuse(raw, [served], height=header.height, field="block", found=found, expected=expected)
        copy.append(verified)
        self._blocks_count += len(verified)
        self._entries_count += sum(len(block.entries) for block in verified)
        self._progress(Progress(self._source.name, header.height, target.seal.height, header.tree_size))

    def _keep_note(self, raw: bytes, checkpoint: VerifiedCheckpoint) -> None:
        """Keep a note whose block is in the chain; one that is ahead of what was fetched comes again next time."""
        height = checkpoint.seal.height
        if height <= self._copy.head.header.height:
            self._require_agreement(raw, checkpoint)
            self._copy.put_note(raw, height=height, cosigners_count=len(checkpoint.cosigners))


def _take_to_seal(headers: Sequence[SealedHeader]) -> list[SealedHeader]:
    """Give headers up to and including the first that has a seal; there is one."""
    end = next(place for place, sealed in enumerate(headers, start=1) if sealed.seal != NO_SEAL)
    return list(headers[:end])


def _with_known_seal(block: ServedBlock, target: VerifiedCheckpoint) -> ServedBlock:
    """The checkpoint's seal is the seal of its block, also where the block was served before it was known."""
    if block.header.digest != target.seal.block_digest:
        return block
    return ServedBlock(header=block.header, seal=target.seal.seal, entries=block.entries)
