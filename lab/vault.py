"""The vault: every statement of a lab with all that opens it, on disk before anything is sent.

One file per statement, named by sequence and leaf hash, JSON, readable by the owner alone, replaced atomically and
synced. It holds the envelope's bytes, the disclosures, the records and their salts, how far the statement got, and in
the end its receipt. Rules of this file:

1. `add` returns only after the file is durable, so a statement that was ever sent can be opened for as long as the
   vault lives. A lab that loses it becomes *unverifiable*: back the folder up.
2. What is sent is what `add` stored: after a crash `read_pending` gives the very same bytes to send again, and the
   ledger answers a statement it has already with the first receipt.
3. There is one statement for each sequence number, and one report for each interval, unless the earlier one was refused
   by the rules: two signed stories would be proof of equivocation.
4. A salt is used once: within a statement and over all statements of the vault. Repeated salts betray a random source
   that repeats itself (a cloned machine, a restored snapshot), and would let values be compared or guessed
   (`lab.freshness`).

State of a statement: built -> submitted -> sealed, or refused. One process at a time: the folder is locked.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from lab.files import PRIVATE_FILE, make_private_folder, read_bounded, write_atomically
from lab.freshness import Freshness
from lab.parts import read_said
from lab.reports import Draft, History
from lab.stored import (
    Opening,
    Progress,
    Stored,
    StoredReport,
    StoredRow,
    StoredStatement,
    compute_leaf,
    encode_stored,
    read_declaration,
    read_hidden,
    read_stored,
    verify_stored,
)
from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.limits import SALT_BYTES_MIN
from ledger.positions import Interval
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind, parse_quantity
from ledger.statements.reports import CORRECTION, REPORT, HiddenFields

AnyStored = TypeVar("AnyStored", StoredReport, StoredStatement)

FILE_BYTES_MAX: Final = 1024 * 1024 * 1024
LOCK_NAME: Final = "lock"


def draw_salt(size: int, *, source: Callable[[int], bytes] = os.urandom) -> bytes:
    """Draw fresh randomness for one salt.

    Raises:
        ConditionError: the source gave less than was asked for, or nothing but one byte over and over.
    """
    assert size >= SALT_BYTES_MIN
    salt = source(size)
    if len(salt) != size or len(frozenset(salt)) == 1:
        raise ConditionError(
            field="salt", found=f"{len(salt)} bytes without chance", expected=f"{size} random bytes", code=Code.CONFIG
        )
    return salt


@contextmanager
def open_vault(folder: Path) -> Iterator["Vault"]:
    """Open the vault in a folder, creating it, and keep every other process out.

    Raises:
        ConditionError: another process has it open.
    """
    make_private_folder(folder)
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConditionError(
                field=str(folder), found="another process in the vault", expected="one process at a time"
            ) from None
        yield Vault(folder)
    finally:
        os.close(descriptor)


class Vault:
    """The statements in one folder. Use `open_vault`, which holds the lock."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that exists and is locked."""
        self._folder = folder

    def add(self, draft: Draft, envelope: bytes) -> StoredReport:
        """Keep a signed report or correction with all that opens it. Only what this returned may be sent.

        Args:
            draft: what the statement was composed of.
            envelope: the signed entry.

        Raises:
            FormatError: the envelope is no report or correction, or a salt was used before.
            ProofError: the draft does not open the envelope's digests.
            PolicyError: another statement has this sequence number, or reports this interval (`EQUIVOCATION`,
                `INTERVAL_ALREADY_REPORTED`).
            ConditionError: the disk refused (`DISK_FULL`).
        """
        return self._add(_store(draft, envelope))

    def add_statement(
        self,
        envelope: bytes,
        *,
        openings: tuple[Opening, ...] = (),
        texts: Mapping[str, bytes] | None = None,
        findings: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
        overrides: Mapping[str, str] | None = None,
    ) -> StoredStatement:
        """Keep a signed statement of another kind with all that opens it. Only what this returned may be sent.

        Args:
            envelope: the signed entry.
            openings: what opens each of its parts, in their order.
            texts: what stands behind hashes in it, by name.
            findings: cross-checks that failed, as sentences.
            notes: what else the lab was told.
            overrides: reason by check.

        Raises:
            FormatError: the envelope is of no kind that a lab keeps so, or a salt was used before.
            ProofError: what is to be kept does not open the envelope's digests.
            PolicyError: another statement has this sequence number (`EQUIVOCATION`).
            ConditionError: the disk refused (`DISK_FULL`).
        """
        said = read_said(parse_envelope(envelope).payload)
        stored = StoredStatement(
            progress=Progress.BUILT,
            ledger=said.header.ledger,
            lab=said.header.issuer,
            kind=said.kind,
            name=said.name,
            interval=said.interval,
            sequence=said.header.sequence,
            leaf=compute_leaf(envelope),
            envelope=envelope,
            openings=openings,
            texts=dict(texts or {}),
            findings=findings,
            notes=notes,
            overrides=dict(overrides or {}),
        )
        return self._add(stored)

    def _add(self, stored: AnyStored) -> AnyStored:
        verify_stored(stored)
        freshness, reuse = Freshness(stored), None
        for other in self.read_all():
            if other.envelope == stored.envelope and isinstance(other, type(stored)):
                return other
            _require_no_conflict(stored, other)
            reuse = reuse or freshness.find_reuse(other)
        if reuse is not None:
            raise reuse
        self._write(stored)
        return stored

    def read_all(self) -> Iterator[Stored]:
        """Give every statement, in order of sequence.

        Raises:
            FormatError: a file is damaged (`STORE_DAMAGED`).
        """
        for path in sorted(self._folder.glob("[0-9]*.json")):
            yield read_stored(read_bounded(path, bytes_max=FILE_BYTES_MAX), name=path.name)

    def read(self, leaf: str) -> Stored:
        """Give the statement with a leaf hash.

        Raises:
            ConditionError: there is none (`NOT_FOUND`).
        """
        for stored in self.read_all():
            if stored.leaf == leaf:
                return stored
        raise ConditionError(field="leaf", found=leaf, expected="a statement in this vault", code=Code.NOT_FOUND)

    def read_pending(self, ledger: str) -> tuple[Stored, ...]:
        """Give what was built or submitted and has no receipt yet, in order: to be sent again after a crash."""
        waiting = (Progress.BUILT, Progress.SUBMITTED)
        return tuple(stored for stored in self.read_all() if stored.ledger == ledger and stored.progress in waiting)

    def find_last(self, ledger: str) -> Stored | None:
        """Give the statement with the highest sequence number that was not refused; the next one follows it."""
        live = [stored for stored in self.read_all() if stored.ledger == ledger and stored.progress != Progress.REFUSED]
        return max(live, key=lambda stored: stored.sequence, default=None)

    def read_statements(self, ledger: str, kind: str) -> tuple[StoredStatement, ...]:
        """Give the statements of a kind that were not refused, in order of sequence."""
        return tuple(
            stored
            for stored in self.read_all()
            if isinstance(stored, StoredStatement)
            and (stored.ledger, stored.kind) == (ledger, kind)
            and stored.progress != Progress.REFUSED
        )

    def find_latest(self, ledger: str, interval: Interval) -> StoredReport | None:
        """Give the report of an interval, or its latest correction: what a correction has to name."""
        return _latest_by_interval(self.read_all(), ledger).get(interval)

    def read_reports(self, ledger: str) -> tuple[StoredReport, ...]:
        """Give the report of each interval, or its latest correction, in the order of intervals."""
        latest = _latest_by_interval(self.read_all(), ledger)
        return tuple(latest[interval] for interval in sorted(latest))

    def read_history(self, ledger: str, interval: Interval) -> History:
        """Tell what earlier intervals' reports said, corrections in place of what they corrected."""
        runs: dict[tuple[str, str], int] = {}
        before: dict[str, HiddenFields] = {}
        for number, stored in _latest_by_interval(self.read_all(), ledger).items():
            if number >= interval:
                continue
            for row in stored.rows:
                hidden = read_hidden(row)
                for run in hidden.runs:
                    key = (row.cluster, run.run)
                    runs[key] = runs.get(key, 0) + parse_quantity(run.pflop, field="runs.pflop")
                if number == interval - 1:
                    before[row.cluster] = hidden
        return History(runs, before)

    def mark_submitted(self, stored: Stored) -> Stored:
        """Note that a node has taken the statement, or may have: call it before sending."""
        return self._advance(stored, Progress.SUBMITTED)

    def mark_sealed(self, stored: Stored, receipt: bytes) -> Stored:
        """Keep the receipt. The caller has verified it."""
        return self._advance(stored, Progress.SEALED, receipt=receipt)

    def mark_refused(self, stored: Stored, refusal: str) -> Stored:
        """Note what the rules said; the sequence number is free again. Never for a failure of the network."""
        return self._advance(stored, Progress.REFUSED, refusal=refusal)

    def _advance(
        self, stored: Stored, progress: Progress, *, receipt: bytes | None = None, refusal: str | None = None
    ) -> Stored:
        """Move a statement forward; what is sealed stays sealed, and what was refused is not sent again.

        Raises:
            PolicyError: it was refused; its sequence number may belong to another statement by now (`EQUIVOCATION`).
        """
        current = self.read(stored.leaf)
        if current.progress == Progress.SEALED:
            return current
        if current.progress == Progress.REFUSED and progress == Progress.SUBMITTED:
            raise PolicyError(
                field="progress", found="refused", expected="a statement that was not refused", code=Code.EQUIVOCATION
            )
        advanced = msgspec.structs.replace(current, progress=progress, receipt=receipt, refusal=refusal)
        if advanced != current:
            self._write(advanced)
        return advanced

    def _write(self, stored: Stored) -> None:
        write_atomically(self._folder / f"{stored.sequence:012d}-{stored.leaf[:16]}.json", encode_stored(stored))


def _store(draft: Draft, envelope: bytes) -> StoredReport:
    kind = find_kind(parse_envelope(envelope).payload)
    if kind not in {REPORT, CORRECTION}:
        raise FormatError(field="envelope", found=kind, expected=f"a {REPORT} or a {CORRECTION}")
    report = read_declaration(kind, envelope)
    return StoredReport(
        progress=Progress.BUILT,
        ledger=report.ledger,
        lab=report.issuer,
        kind=REPORT if kind == REPORT else CORRECTION,
        interval=report.interval,
        sequence=report.sequence,
        leaf=compute_leaf(envelope),
        envelope=envelope,
        rows=tuple(
            StoredRow(
                cluster=line.row.cluster,
                disclosures=dict(line.disclosures),
                records=tuple(record.decode() for record in line.records),
                record_salts=b"".join(line.record_salts),
            )
            for line in draft.rows
        ),
        findings=tuple(str(finding) for finding in draft.findings),
        notes=draft.notes,
        overrides=dict(draft.overrides),
        shift_s=draft.shift_s,
    )


def _require_no_conflict(stored: Stored, other: Stored) -> None:
    """Refuse a second story, unless the first was refused by the rules."""
    if other.progress == Progress.REFUSED or (other.ledger, other.lab) != (stored.ledger, stored.lab):
        return
    if other.sequence == stored.sequence:
        raise PolicyError(
            field="sequence",
            found=stored.sequence,
            expected=f"another than {other.progress} statement {other.leaf} has; send that one again",
            code=Code.EQUIVOCATION,
        )
    if isinstance(other, StoredReport) and other.interval == stored.interval and stored.kind == REPORT:
        raise PolicyError(
            field="interval",
            found=stored.interval,
            expected=f"a correction of {other.progress} statement {other.leaf}",
            code=Code.INTERVAL_ALREADY_REPORTED,
        )


def _latest_by_interval(statements: Iterator[Stored], ledger: str) -> Mapping[int, StoredReport]:
    """The report that counts for each interval: the last one in order of sequence that was not refused."""
    latest: dict[int, StoredReport] = {}
    for stored in statements:
        if isinstance(stored, StoredReport) and stored.ledger == ledger and stored.progress != Progress.REFUSED:
            latest[stored.interval] = stored
    return latest
