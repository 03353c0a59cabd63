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
   that repeats itself (a cloned machine, a restored snapshot), and would let values be compared or guessed.

State of a statement: built -> submitted -> sealed, or refused. One process at a time: the folder is locked.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from lab.files import PRIVATE_FILE, make_private_folder, read_bounded, write_atomically
from lab.reports import Draft, History
from ledger.disclosure import (
    RECORD_SALT_BYTES,
    RecordOpening,
    RecordsTree,
    check_disclosures,
    commit_records,
    parse_disclosure,
)
from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.limits import SALT_BYTES_MIN
from ledger.merkle import leaf_hash
from ledger.positions import Interval, LeafIndex
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import Hex32, Identifier, find_kind, parse_quantity
from ledger.statements.reports import (
    CORRECTION,
    HIDDEN_FIELD_NAMES,
    REPORT,
    HiddenFields,
    Report,
    Row,
    parse_correction,
    parse_hidden_fields,
    parse_report,
)

FILE_BYTES_MAX: Final = 1024 * 1024 * 1024
LOCK_NAME: Final = "lock"


class Progress(StrEnum):
    """How far a statement got."""

    BUILT = "built"
    SUBMITTED = "submitted"
    SEALED = "sealed"
    REFUSED = "refused"


class StoredRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What opens one row.

    Attributes:
        cluster: its id.
        disclosures: encoded disclosure of each hidden field, by name.
        records: each record's JSON, in the order of the tree.
        record_salts: 16 bytes for each, one after the other.
    """

    cluster: Identifier
    disclosures: dict[str, str]
    records: tuple[str, ...]
    record_salts: bytes


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A statement as the vault holds it.

    Attributes:
        version: of this format.
        progress: how far it got.
        ledger: hex id of the ledger.
        lab: the issuer.
        kind: report or correction.
        interval: what it is about.
        sequence: the issuer's count.
        leaf: hex leaf hash of the envelope, as the ledger will name it.
        envelope: the exact bytes to send.
        rows: what opens it.
        findings: cross-checks that failed, as sentences.
        notes: what else the lab was told.
        overrides: reason by check.
        shift_s: not 0 for a replay of an old export.
        receipt: the receipt, once sealed.
        refusal: what the rules said, if refused.
    """

    version: Literal[1] = 1
    progress: Progress
    ledger: Hex32
    lab: Identifier
    kind: Literal["report", "correction"]
    interval: Annotated[int, msgspec.Meta(ge=0)]
    sequence: Annotated[int, msgspec.Meta(ge=0)]
    leaf: Hex32
    envelope: bytes
    rows: tuple[StoredRow, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    overrides: dict[str, str]
    shift_s: int
    receipt: bytes | None = None
    refusal: str | None = None


_DECODER: Final = msgspec.json.Decoder(Stored)
_ENCODER: Final = msgspec.json.Encoder()


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

    def add(self, draft: Draft, envelope: bytes) -> Stored:
        """Keep a signed statement with all that opens it. Only what this returned may be sent.

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
        stored = _store(draft, envelope)
        verify_stored(stored)
        for other in self.read_all():
            if other.envelope == envelope:
                return other
            _require_no_conflict(stored, other)
        _require_fresh_salts(stored, self.read_all())
        self._write(stored)
        return stored

    def read_all(self) -> Iterator[Stored]:
        """Give every statement, in order of sequence.

        Raises:
            FormatError: a file is damaged (`STORE_DAMAGED`).
        """
        for path in sorted(self._folder.glob("[0-9]*.json")):
            yield _parse_stored(read_bounded(path, bytes_max=FILE_BYTES_MAX), name=path.name)

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

    def find_latest(self, ledger: str, interval: Interval) -> Stored | None:
        """Give the report of an interval, or its latest correction: what a correction has to name."""
        return _latest_by_interval(self.read_all(), ledger).get(interval)

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
        write_atomically(self._folder / f"{stored.sequence:012d}-{stored.leaf[:16]}.json", _ENCODER.encode(stored))


def verify_stored(stored: Stored) -> None:
    """Check that what is kept opens what was signed: every field of every row, and the root over the records.

    Raises:
        ProofError: a field or the records do not belong to the envelope.
        FormatError: something is missing or not of its form.
    """
    report = _parse_statement(stored.kind, stored.envelope)
    identity = (report.ledger, report.issuer, report.interval, report.sequence, compute_leaf(stored.envelope))
    if identity != (stored.ledger, stored.lab, stored.interval, stored.sequence, stored.leaf):
        raise FormatError(field="vault", found=f"statement {stored.leaf}", expected="the envelope's own names")
    if [row.cluster for row in report.rows] != [row.cluster for row in stored.rows]:
        raise FormatError(field="vault.rows", found="other clusters", expected="the clusters of the envelope")
    for row, opening in zip(report.rows, stored.rows, strict=True):
        _verify_row(row, opening)


def read_hidden(row: StoredRow) -> HiddenFields:
    """Read all hidden fields of a row."""
    return parse_hidden_fields({name: parse_disclosure(text).value for name, text in row.disclosures.items()})


def open_record(row: StoredRow, index: LeafIndex) -> RecordOpening:
    """Prove one record of a row against its root; the record's bytes are `row.records[index]` in UTF-8.

    Raises:
        ProofError: no record has the index.
    """
    return RecordsTree((record.encode() for record in row.records), _split_salts(row)).open_record(index)


def compute_leaf(envelope: bytes) -> str:
    """Hex leaf hash of an entry, as statements and receipts name it."""
    return leaf_hash(envelope).hex()


def _store(draft: Draft, envelope: bytes) -> Stored:
    kind = find_kind(parse_envelope(envelope).payload)
    if kind not in {REPORT, CORRECTION}:
        raise FormatError(field="envelope", found=kind, expected=f"a {REPORT} or a {CORRECTION}")
    report = _parse_statement(kind, envelope)
    return Stored(
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


def _parse_statement(kind: str, envelope: bytes) -> Report:
    payload = parse_envelope(envelope).payload
    return (parse_report(payload) if kind == REPORT else parse_correction(payload)).predicate


def _parse_stored(raw: bytes, *, name: str) -> Stored:
    try:
        stored = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _damaged(name, str(error)) from None
    if compute_leaf(stored.envelope) != stored.leaf:
        raise _damaged(name, "an envelope of another hash")
    return stored


def _damaged(name: str, found: str) -> FormatError:
    return FormatError(
        field=f"vault {name}", found=found, expected="the file as it was written", code=Code.STORE_DAMAGED
    )


def _verify_row(row: Row, opening: StoredRow) -> None:
    opened = check_disclosures(row.digests, tuple(opening.disclosures.values()))
    names = [disclosure.name for disclosure in opened]
    if names != list(opening.disclosures) or sorted(names) != sorted(HIDDEN_FIELD_NAMES):
        raise FormatError(
            field=f"vault.rows.{row.cluster}.disclosures",
            found=", ".join(names),
            expected=f"each of {', '.join(HIDDEN_FIELD_NAMES)}",
        )
    root = commit_records((record.encode() for record in opening.records), _split_salts(opening))
    if (root.root.hex(), root.count) != (row.records.root, row.records.count):
        raise FormatError(
            field=f"vault.rows.{row.cluster}.records", found=root.root.hex(), expected=f"root {row.records.root}"
        )


def _split_salts(row: StoredRow) -> list[bytes]:
    """Cut the joined salts into 16 bytes each; a remainder stays visible as a salt that is too short."""
    salts = row.record_salts
    return [salts[at : at + RECORD_SALT_BYTES] for at in range(0, len(salts), RECORD_SALT_BYTES)]


def _read_salts(stored: Stored) -> Iterator[bytes]:
    for row in stored.rows:
        for text in row.disclosures.values():
            yield parse_disclosure(text).salt
        yield from _split_salts(row)


def _require_fresh_salts(stored: Stored, others: Iterator[Stored]) -> None:
    fresh: set[bytes] = set()
    for salt in _read_salts(stored):
        if salt in fresh:
            raise _reused("the same statement")
        fresh.add(salt)
    for other in others:
        for salt in _read_salts(other):
            if salt in fresh:
                raise _reused(f"statement {other.leaf}")


def _reused(where: str) -> FormatError:
    return FormatError(
        field="salt", found=f"one that was used in {where}", expected="fresh salts; do not trust this random source"
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
    if other.interval == stored.interval and stored.kind == REPORT:
        raise PolicyError(
            field="interval",
            found=stored.interval,
            expected=f"a correction of {other.progress} statement {other.leaf}",
            code=Code.INTERVAL_ALREADY_REPORTED,
        )


def _latest_by_interval(statements: Iterator[Stored], ledger: str) -> Mapping[int, Stored]:
    """The statement that counts for each interval: the last one in order of sequence that was not refused."""
    latest: dict[int, Stored] = {}
    for stored in statements:
        if stored.ledger == ledger and stored.progress != Progress.REFUSED:
            latest[stored.interval] = stored
    return latest
