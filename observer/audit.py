"""Execute every rule again from entry 0, and compare: every seal, root, signature and verdict.

An audit believes the pinned fingerprint and nothing else, not even that the copy was verified when it was written:

1. Every founder signed the charter, and the ceremony's transcript, where the copy has it, makes its group key.
2. Every header follows from its parent; the tree made of all entries has its size and root.
3. Every seal is true under the group key; a block without one is an ancestor of a sealed one.
4. The rules, run over every block on the state before it, accept every entry, which checks every signature of every
   statement; they demand exactly the verdicts that stand there, and give the header's state digest where one is due.
5. The copy's index names the newest verdict on every cluster's interval.
6. Every kept note is one that `ledger.policy` believes, over the very block it names.

Signatures and seals are checked ahead by other processes where there is enough to do; the order in which anything is
believed does not change by that, and a check that did not arrive in time is made on the spot.
"""

import contextlib
import itertools
import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.blocks import NO_SEAL, Header, SealedHeader, checkpoint_of, genesis_header, seal_message
from ledger.charter import Charter
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import FormatError, LedgerError, ProofError, Rejection
from ledger.merkle import EMPTY_FRONTIER, leaf_hash
from ledger.notes import parse_note
from ledger.policy import verify as verify_note
from ledger.positions import Height, LeafIndex, Millis
from ledger.rules.apply import apply_block, found
from ledger.rules.entries import PreparedEntry, prepare_entry
from ledger.rules.records.registry import KEYS
from ledger.rules.state import State, compute_state_digest
from ledger.statements.computed import find_computed_kind, is_computed_entry
from ledger.statements.dsse import encode_pae
from ledger.statements.verdicts import VERDICT, parse_verdict
from ledger.threshold.transcripts import parse_transcript, verify_transcript
from ledger.verify import CAVEAT
from observer.chain import Draw, Position, follow, verify_seals
from observer.copy import Copy, require_copy
from observer.workers import SignatureTask, are_seals, check_signatures

WINDOW_BLOCKS: Final = 256
WINDOW_ENTRIES: Final = 512
WINDOWS_AHEAD: Final = 4
POOL_WORK_MIN: Final = 4_000
"""From how many entries and blocks on other processes save more than they cost to start."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was found to hold.

    Attributes:
        fingerprint: of the charter, in hex.
        head: the newest block; everything up to it was checked.
        entries_count: of the ledger, the charter included.
        signatures_count: of statements.
        seals_count: of blocks; the others are ancestors of sealed ones.
        notes_count: kept checkpoints.
        cosignatures_count: under them.
        verdicts_count: computed again and equal, superseded ones included.
        states: how many newest verdicts there are of each state and assurance level, which are never told apart.
        has_transcript: whether the founding ceremony was checked too.
    """

    fingerprint: str
    head: Header
    entries_count: int
    signatures_count: int
    seals_count: int
    notes_count: int
    cosignatures_count: int
    verdicts_count: int
    states: dict[str, int]
    has_transcript: bool


@dataclass(slots=True)
class _Window:
    """Some consecutive blocks, and the checks that were begun for them."""

    blocks: list[tuple[SealedHeader, list[PreparedEntry | bytes]]]
    tasks: list[list[SignatureTask]] = field(default_factory=list)
    answers: list[Future[list[bool]]] = field(default_factory=list)
    seals: Future[bool] | None = None


def audit(
    copy: Copy, *, draw: Draw, workers_count: int, progress: Callable[[int], None] = lambda _: None
) -> AuditReport:
    """Check a copy from entry 0 to its end.

    Args:
        copy: of which only the pinned fingerprint is believed.
        draw: fresh random bytes, for checking seals together.
        workers_count: how many other processes may help; 0 for none.
        progress: told how many entries were checked, after every window of blocks.

    Raises:
        ProofError, SignatureError, PolicyError: `blocks[height]…` or another part does not hold.
        ConditionError: the copy's file is damaged.
    """
    head = copy.head
    is_worth_it = copy.tree.size + head.header.height >= POOL_WORK_MIN
    try:
        with _open_pool(workers_count if is_worth_it else 0) as pool:
            walk = _Walk(copy, draw, pool)
            walk.run(progress)
        if walk.position.header != head.header:
            raise ProofError(field="blocks", found=walk.position.header.height, expected=f"up to {head.header.height}")
        newest = sorted(index for index, _ in walk.newest.values())
        if copy.newest_subjects(VERDICT) != newest:
            raise ProofError(field="subjects", found="another index", expected=f"the {len(newest)} newest verdicts")
        notes_count, cosignatures_count = _verify_notes(copy)
        has_transcript = _verify_founding(copy)
    except FormatError as error:  # bytes of this copy that are not of their form were not what was written
        raise ProofError(field=error.field, found=error.found, expected=error.expected) from error
    return AuditReport(
        fingerprint=copy.charter.fingerprint,
        head=head.header,
        entries_count=walk.position.frontier.size,
        signatures_count=walk.signatures_count,
        seals_count=walk.seals_count,
        notes_count=notes_count,
        cosignatures_count=cosignatures_count,
        verdicts_count=walk.verdicts_count,
        states=dict(sorted(Counter(state for _, state in walk.newest.values()).items())),
        has_transcript=has_transcript,
    )


def audit_home(
    home: Path,
    *,
    fingerprint: bytes | None,
    draw: Draw,
    workers_count: int,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> AuditReport:
    """Audit the copy in a folder, and remember in it that everything was found to hold.

    Args:
        home: the copy's folder.
        fingerprint: what the caller believes the charter's to be; None to take the one the copy is pinned to.
        draw: as `audit`.
        workers_count: as `audit`.
        progress: told how many entries were checked, and of how many.

    Raises:
        LedgerError: as `copy.require_copy` and `audit`.
    """
    with require_copy(home, fingerprint=fingerprint) as copy:
        size = copy.tree.size
        report = audit(copy, draw=draw, workers_count=workers_count, progress=lambda at: progress(at, size))
        copy.put_audited(copy.head)
    return report


def encode_audit(report: AuditReport, *, elapsed_ms: Millis) -> dict[str, Any]:
    """Give an audit's report as JSON has it; Any because its values are of several types."""
    return {
        "holds": True,
        "charter_fingerprint": report.fingerprint,
        "height": report.head.height,
        "tree_size": report.entries_count,
        "root": report.head.root.hex(),
        "signatures_count": report.signatures_count,
        "seals_count": report.seals_count,
        "notes_count": report.notes_count,
        "cosignatures_count": report.cosignatures_count,
        "verdicts_count": report.verdicts_count,
        "states": report.states,
        "ceremony_checked": report.has_transcript,
        "elapsed_ms": elapsed_ms,
        "caveat": CAVEAT,
    }


def describe_audit(report: AuditReport, *, elapsed_ms: Millis) -> list[str]:
    """Say in lines what was found to hold, and what that does not show."""
    states = ", ".join(f"{count} {state}" for state, count in report.states.items()) or "none yet"
    parts = (
        f"{report.entries_count} entries",
        f"{report.signatures_count} signatures",
        f"{report.seals_count} seals",
        f"{report.cosignatures_count} cosignatures",
    )
    ceremony = "checked" if report.has_transcript else "not checked: no source served its transcript"
    return [
        f"holds      everything from entry 0 to height {report.head.height} of {report.fingerprint}",
        f"checked    {', '.join(parts)} in {elapsed_ms / 1000:.1f} s",
        f"verdicts   {report.verdicts_count} computed again and equal; newest: {states}",
        f"ceremony   {ceremony}",
        CAVEAT,
    ]


def _open_pool(workers_count: int) -> contextlib.AbstractContextManager[ProcessPoolExecutor | None]:
    if workers_count == 0:
        return contextlib.nullcontext()
    return ProcessPoolExecutor(workers_count, mp_context=multiprocessing.get_context("spawn"))


class _Walk:
    """The chain, the tree and the state, from the charter on."""

    def __init__(self, copy: Copy, draw: Draw, pool: ProcessPoolExecutor | None) -> None:
        self._copy, self._draw, self._pool = copy, draw, pool
        self._charter: Final[Charter] = copy.charter
        genesis = copy.block(Height(0))
        entry = self._charter.entry
        if genesis.header != genesis_header(entry, self._charter.founded_at_ms):
            raise ProofError(field="blocks[0]", found=genesis.header.digest.hex(), expected="the charter's own block")
        self.position = Position(genesis.header, EMPTY_FRONTIER.append(leaf_hash(entry)))
        self.state: State = found(entry)
        self.state.commit()
        self.signatures_count = len(self._charter.members)
        self.seals_count = self.verdicts_count = 0
        self.newest: dict[tuple[str, str, int], tuple[LeafIndex, str]] = {}
        self._is_sealed = True  # of the newest block looked at

    def run(self, progress: Callable[[int], None]) -> None:
        """Look at every window in order, with a few being checked ahead."""
        ahead: deque[_Window] = deque()
        windows = self._read_windows()
        while True:
            wanted_count = 1 + (0 if self._pool is None else WINDOWS_AHEAD)
            for window in itertools.islice(windows, max(0, wanted_count - len(ahead))):
                self._start_checks(window)
                ahead.append(window)
            if not ahead:
                break
            self._check(ahead.popleft())
            progress(self.position.frontier.size)
        if not self._is_sealed:
            raise ProofError(field=f"blocks[{self.position.header.height}].seal", found="none", expected="a seal")

    def _read_windows(self) -> Iterator[_Window]:
        height, last = Height(1), self._copy.head.header.height
        while height <= last:
            headers = self._copy.blocks(height, WINDOW_BLOCKS)
            if not headers:
                return
            first, taken = LeafIndex(headers[0].header.first_index), 0
            while taken < len(headers) and (taken == 0 or headers[taken].header.tree_size - first <= WINDOW_ENTRIES):
                taken += 1
            headers = headers[:taken]
            entries = iter(self._copy.entries(first, max(0, headers[-1].header.tree_size - first)))
            blocks = [
                (sealed, [_prepare(entry) for entry in itertools.islice(entries, sealed.header.entry_count)])
                for sealed in headers
            ]
            yield _Window(blocks)
            height = Height(headers[-1].header.height + 1) if headers[-1].header.height >= height else Height(last + 1)

    def _start_checks(self, window: _Window) -> None:
        """Begin what other processes can do: signatures by keys that are known already, and the seals."""
        if self._pool is None:
            return
        tasks = [task for _, entries in window.blocks for task in self._find_tasks(entries)]
        window.tasks = [tasks[: len(tasks) // 2], tasks[len(tasks) // 2 :]]
        signed = [
            (seal_message(sealed.header, self._charter.origin), sealed.seal)
            for sealed, _ in window.blocks
            if sealed.seal != NO_SEAL
        ]
        try:
            window.answers = [self._pool.submit(check_signatures, part) for part in window.tasks]
            window.seals = self._pool.submit(are_seals, self._charter.group_key, signed)
        except BrokenExecutor:  # a process could not start, or was killed: everything is checked here
            self._pool = None

    def _find_tasks(self, entries: Sequence[PreparedEntry | bytes]) -> Iterator[SignatureTask]:
        for entry in entries:
            if isinstance(entry, PreparedEntry):
                message = encode_pae(entry.envelope.payload_type, entry.envelope.payload)
                for line in entry.envelope.signatures:
                    holder = KEYS.get(self.state, bytes.fromhex(line.keyid))
                    if holder is not None:
                        yield holder.public_key, line.signature, message

    def _check(self, window: _Window) -> None:
        known: dict[SignatureTask, bool] = {}
        are_true = False
        with contextlib.suppress(BrokenExecutor):
            for tasks, future in zip(window.tasks, window.answers, strict=False):
                known.update(zip(tasks, future.result(), strict=True))
            are_true = window.seals is not None and window.seals.result()

        def is_signature(public_key: bytes, signature: bytes, message: bytes) -> bool:
            answer = known.get((public_key, signature, message))
            return is_ed25519_signature(public_key, signature, message) if answer is None else answer

        for sealed, entries in window.blocks:
            self._check_block(sealed.header, entries, is_signature)
        if not are_true:
            verify_seals([sealed for sealed, _ in window.blocks], charter=self._charter, draw=self._draw)
        self.seals_count += sum(sealed.seal != NO_SEAL for sealed, _ in window.blocks)
        self._is_sealed = window.blocks[-1][0].seal != NO_SEAL

    def _check_block(
        self,
        header: Header,
        entries: Sequence[PreparedEntry | bytes],
        is_signature: Callable[[bytes, bytes, bytes], bool],
    ) -> None:
        raws = [entry if isinstance(entry, bytes) else entry.raw for entry in entries]
        at = f"blocks[{header.height}]"
        self.position, _ = follow(self.position, header, raws, charter=self._charter)
        after = apply_block(
            self.state,
            entries,
            time_ms=header.time_ms,
            first_index=header.first_index,
            parent=header.parent,
            is_signature=is_signature,
        )
        if isinstance(after, Rejection):
            expected = f"{after.expected} [{after.code}]"
            raise ProofError(field=f"{at}.{after.field}", found=after.found, expected=expected)
        after.commit()
        self.state = after
        interval = self._charter.consensus.snapshot_interval
        digest = compute_state_digest(after) if interval and header.height % interval == 0 else b""
        if header.state_digest != digest:
            raise ProofError(field=f"{at}.state_digest", found=header.state_digest.hex(), expected=digest.hex())
        for index, entry in enumerate(entries, start=header.first_index):
            if isinstance(entry, PreparedEntry):
                self.signatures_count += len(entry.envelope.signatures)
            elif find_computed_kind(entry) == VERDICT:
                verdict = parse_verdict(entry)
                self.verdicts_count += 1
                self.newest[verdict.lab, verdict.cluster, verdict.interval] = (
                    LeafIndex(index),
                    f"{verdict.state} ({verdict.assurance})",
                )


def _prepare(entry: bytes) -> PreparedEntry | bytes:
    """Read an entry's envelope once; what has none, or a wrong one, is for the rules to refuse."""
    if is_computed_entry(entry):
        return entry
    try:
        return prepare_entry(entry)
    except FormatError:
        return entry


def _verify_notes(copy: Copy) -> tuple[int, int]:
    """Check every kept note; give how many there are, and how many cosigned them in all."""
    notes = copy.notes()
    cosigners_count = 0
    for height, raw in notes:
        at = f"notes[{height}]"
        try:
            verified = verify_note(parse_note(raw), copy.keys)
        except LedgerError as error:
            raise ProofError(field=f"{at}: {error.field}", found=error.found, expected=error.expected) from error
        header = copy.block(height).header
        if (verified.seal.block_digest, verified.checkpoint) != (
            header.digest,
            checkpoint_of(header, copy.charter.origin),
        ):
            raise ProofError(field=at, found=verified.seal.block_digest.hex(), expected=header.digest.hex())
        cosigners_count += len(verified.cosigners)
    return len(notes), cosigners_count


def _verify_founding(copy: Copy) -> bool:
    """Check that the founders' deals make the charter's group key; False if the copy has no transcript of them."""
    if not copy.transcript:
        return False
    polynomial = verify_transcript(parse_transcript(copy.transcript), quorum=copy.charter.quorum)
    if polynomial.commitments != copy.charter.commitments:
        found_key = polynomial.group_key.hex()
        raise ProofError(field="transcript", found=found_key, expected=f"the charter's {copy.charter.group_key.hex()}")
    return True
