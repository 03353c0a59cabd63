"""A statement as the vault holds it: the envelope's bytes, all that opens it, and how far it got.

Two versions of one JSON file, told apart by `version`: 1 for a report or a correction, as it always was; 2 for every
other kind of statement. What is kept is checked against the envelope by `verify_stored`.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from lab.parts import Part, Said, hash_text, read_said
from ledger.chips import Chip, ChipOpening, ChipsTree
from ledger.disclosure import (
    RECORD_SALT_BYTES,
    RecordOpening,
    RecordsTree,
    check_disclosures,
    commit_records,
    parse_disclosure,
)
from ledger.errors import Code, FormatError, ProofError
from ledger.merkle import leaf_hash
from ledger.openings import SHARED
from ledger.positions import LeafIndex
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import Hex32, Identifier
from ledger.statements.reports import (
    HIDDEN_FIELD_NAMES,
    REPORT,
    HiddenFields,
    Report,
    Row,
    parse_correction,
    parse_hidden_fields,
    parse_report,
)


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


class StoredReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="version", tag=1):
    """A report or a correction.

    Attributes:
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


class StoredChip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """One accelerator of a list that is under a root.

    Attributes:
        model: as the charter's annex names it.
        serial: what its maker calls it.
        salt: 32 bytes.
        rack: where it stands, for the lab's own people; nothing commits to it.
    """

    model: str
    serial: str
    salt: bytes
    rack: str = ""


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What opens one part of a statement (`lab.parts`).

    Attributes:
        part: its name.
        disclosures: encoded disclosure of each hidden field, by name.
        chips: accelerators under its root, in the order of the tree.
    """

    part: str
    disclosures: dict[str, str]
    chips: tuple[StoredChip, ...] = ()


class StoredStatement(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="version", tag=2
):
    """A statement that is neither report nor correction.

    Attributes:
        progress: how far it got.
        ledger: hex id of the ledger.
        lab: the issuer.
        kind: of which kind.
        name: of its subject.
        interval: that it names; None if it names none.
        sequence: the issuer's count.
        leaf: hex leaf hash of the envelope, as the ledger will name it.
        envelope: the exact bytes to send.
        openings: what opens it.
        texts: what stands behind hashes in it, by name.
        findings: cross-checks that failed, as sentences.
        notes: what else the lab was told.
        overrides: reason by check.
        receipt: the receipt, once sealed.
        refusal: what the rules said, if refused.
    """

    progress: Progress
    ledger: Hex32
    lab: Identifier
    kind: Identifier
    name: str
    interval: Annotated[int, msgspec.Meta(ge=0)] | None
    sequence: Annotated[int, msgspec.Meta(ge=0)]
    leaf: Hex32
    envelope: bytes
    openings: tuple[Opening, ...]
    texts: dict[str, bytes]
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    overrides: dict[str, str]
    receipt: bytes | None = None
    refusal: str | None = None


Stored: TypeAlias = StoredReport | StoredStatement
"""What stands in one file of the vault."""

_DECODER: Final[msgspec.json.Decoder[Stored]] = msgspec.json.Decoder(Stored)
_ENCODER: Final = msgspec.json.Encoder()


def encode_stored(stored: Stored) -> bytes:
    """Write the file."""
    return _ENCODER.encode(stored)


def read_stored(raw: bytes, *, name: str) -> Stored:
    """Read the file.

    Raises:
        FormatError: it is not as it was written (`STORE_DAMAGED`).
    """
    try:
        stored: Stored = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _damaged(name, str(error)) from None
    if compute_leaf(stored.envelope) != stored.leaf:
        raise _damaged(name, "an envelope of another hash")
    return stored


def verify_stored(stored: Stored) -> None:
    """Check that what is kept opens what was signed: every field, and the roots over records and accelerators.

    Raises:
        ProofError: a field, a record, an accelerator or a text does not belong to the envelope.
        FormatError: something is missing or not of its form.
    """
    if isinstance(stored, StoredReport):
        _verify_report(stored)
    else:
        _verify_statement(stored)


def _verify_report(stored: StoredReport) -> None:
    report = read_declaration(stored.kind, stored.envelope)
    identity = (report.ledger, report.issuer, report.interval, report.sequence, compute_leaf(stored.envelope))
    if identity != (stored.ledger, stored.lab, stored.interval, stored.sequence, stored.leaf):
        raise FormatError(field="vault", found=f"statement {stored.leaf}", expected="the envelope's own names")
    if [row.cluster for row in report.rows] != [row.cluster for row in stored.rows]:
        raise FormatError(field="vault.rows", found="other clusters", expected="the clusters of the envelope")
    for row, opening in zip(report.rows, stored.rows, strict=True):
        _verify_row(row, opening)


def _verify_statement(stored: StoredStatement) -> None:
    said = read_said(parse_envelope(stored.envelope).payload)
    header = said.header
    identity = (header.ledger, header.issuer, header.sequence, said.kind, said.name, said.interval)
    kept = (stored.ledger, stored.lab, stored.sequence, stored.kind, stored.name, stored.interval)
    if identity != kept or compute_leaf(stored.envelope) != stored.leaf:
        raise FormatError(field="vault", found=f"statement {stored.leaf}", expected="the envelope's own names")
    if [part.name for part in said.parts] != [opening.part for opening in stored.openings]:
        raise FormatError(field="vault.openings", found="other parts", expected="the parts of the envelope")
    for part, opening in zip(said.parts, stored.openings, strict=True):
        _verify_part(part, opening)
    _verify_texts(said, stored)


def _verify_part(part: Part, opening: Opening) -> None:
    opened = check_disclosures(part.digests, tuple(opening.disclosures.values()))
    names = [disclosure.name for disclosure in opened]
    if names != list(opening.disclosures) or sorted(names) != sorted(part.fields):
        raise FormatError(
            field=f"vault.openings.{part.name}",
            found=", ".join(names),
            expected=f"each of {', '.join(part.fields) or 'none'}",
        )
    root = _plant(opening).root().root.hex() if part.root is not None else None
    if root != part.root or (part.root is None and opening.chips):
        raise ProofError(field=f"vault.openings.{part.name}.chips", found=root, expected=f"root {part.root}")


def _verify_texts(said: Said, stored: StoredStatement) -> None:
    kept = {name: hash_text(raw) for name, raw in stored.texts.items()}
    if kept != dict(said.texts):
        raise ProofError(field="vault.texts", found=", ".join(kept), expected="what the hashes of the envelope are of")


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


def open_records(row: StoredRow, indices: Sequence[LeafIndex]) -> tuple[tuple[bytes, RecordOpening], ...]:
    """Prove several records of a row, each with its bytes; the tree is made once.

    Raises:
        ProofError: no record has one of the indices.
    """
    records = [record.encode() for record in row.records]
    tree = RecordsTree(records, _split_salts(row))
    opened = []
    for index in indices:
        opening = tree.open_record(index)
        opened.append((records[index], opening))
    return tuple(opened)


def find_opening(stored: StoredStatement, part: str) -> Opening:
    """Give what opens one part.

    Raises:
        FormatError: the statement has no such part (`NOT_FOUND`).
    """
    for opening in stored.openings:
        if opening.part == part:
            return opening
    raise FormatError(field="part", found=part, expected=f"a part of {stored.kind} {stored.name}", code=Code.NOT_FOUND)


def open_chips(opening: Opening, indices: Sequence[LeafIndex]) -> tuple[tuple[Chip, ChipOpening], ...]:
    """Prove accelerators of a part against its root.

    Raises:
        ProofError: no accelerator has one of the indices.
    """
    tree = _plant(opening)
    opened = []
    for index in indices:
        if not 0 <= index < len(opening.chips):
            raise ProofError(field="chip.index", found=index, expected=f"an index below {len(opening.chips)}")
        opened.append((_chip(opening.chips[index]), tree.open_chip(index)))
    return tuple(opened)


def _chip(stored: StoredChip) -> Chip:
    return Chip(stored.model, stored.serial)


def _plant(opening: Opening) -> ChipsTree:
    return ChipsTree((_chip(chip) for chip in opening.chips), (chip.salt for chip in opening.chips))


def read_declaration(kind: str, envelope: bytes) -> Report:
    """Read a report, or a correction."""
    payload = parse_envelope(envelope).payload
    return (parse_report(payload) if kind == REPORT else parse_correction(payload)).predicate


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


def list_salts(stored: Stored) -> Iterator[tuple[bytes, str | None]]:
    """Give every salt of a statement, with the disclosure it is in if it is in one.

    Those that another party knows, and may have drawn, are left out.
    """
    parts: tuple[StoredRow | Opening, ...] = stored.rows if isinstance(stored, StoredReport) else stored.openings
    for part in parts:
        if isinstance(part, Opening) and part.part == SHARED:
            continue
        for text in part.disclosures.values():
            yield parse_disclosure(text).salt, text
        rest = _split_salts(part) if isinstance(part, StoredRow) else [chip.salt for chip in part.chips]
        yield from ((salt, None) for salt in rest)
