"""An inspector's report: what was opened, what was compared, how it came out; one JSON object in one encoding.

    {"format":"counterseal/inspection-report/v1","ledger":…,"is_pinned":…,"challenge":…,"lab":…,"cluster":…,
     "interval":…,"nation":…,"inspector":…,"entries":[…],"handed":…,"ciphertext":…,"result":…,"missing":[…],
     "fields":{…},"records":…,"chips":[…],"comparisons":[…]}

A report on the answer to a sample has the format `counterseal/sample-inspection-report/v1`, null where the challenge
stands, and at its end `"sample":"<cluster>/<round>/<purpose>"`; no finding is made of it. One that rests on books too
has the format `counterseal/inspection-report/v2`, and at its end `"parts":[…]` with the values of other statements, if
the lab opened any.

Its SHA-256 stands in the inspector's finding, so a file that was changed is no longer the one that was found upon. It
holds values that were opened, and no salts: whoever reads it knows what the inspector knows, and can show it to nobody
as the lab's word. Not for the public.

The *result* is what the arithmetic says: *inconsistent* if anything failed, *incomplete* if something that was asked
for was not opened, *consistent* otherwise. What it means is for the inspector to conclude.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, cast

import msgspec
from msgspec import Meta

from inspector.books import BOOKS_MAX, Books
from inspector.openings import Bundle, Case, Opened
from inspector.parts import Values, read_field
from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.crosschecks.figures import read_opened_fields
from ledger.domains import INSPECTION_REPORT_FORMAT, INSPECTION_REPORT_PARTS_FORMAT, SAMPLE_REPORT_FORMAT
from ledger.errors import Code, FormatError
from ledger.limits import (
    CHIP_SERIAL_CHARACTERS_MAX,
    ERROR_PART_CHARACTERS_MAX,
    INTEGER_MAX,
    INTERVAL_MAX,
    LIST_ITEMS_MAX,
    MIB,
    SAMPLE_DRAWN_MAX,
    SIZE_MAX,
)
from ledger.positions import Interval, LeafIndex, Millis
from ledger.receipts import VerifiedReceipt
from ledger.statements.intoto import Hex32, Identifier

REPORT_BYTES_MAX: Final = 64 * MIB
COMPARISONS_MAX: Final = 32 * LIST_ITEMS_MAX
"""Runs, declared, in records and in other statements, are the most: each list has at most `LIST_ITEMS_MAX`."""


Role = Literal["challenge", "response", "report", "inventory", "registration", "sample", "beacon", "answer", "books"]
Result = Literal["consistent", "incomplete", "inconsistent"]
OutcomeName = Literal["holds", "unusual", "fails", "not-comparable"]
_Part = Annotated[str, Meta(max_length=ERROR_PART_CHARACTERS_MAX)]
_Index = Annotated[LeafIndex, Meta(ge=0, le=INTEGER_MAX)]

assert {outcome.value for outcome in Outcome} == {"holds", "unusual", "fails", "not-comparable"}


class Basis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry that the examination rests on.

    Attributes:
        role: what for.
        index: where it stands on the ledger.
        leaf: hex leaf hash.
        sealed_ms: time of the sealed block that says so; it stood there by then.
    """

    role: Role
    index: _Index
    leaf: Hex32
    sealed_ms: Annotated[Millis, Meta(ge=0, le=SIZE_MAX)]


class Examined(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A comparison (`ledger.crosschecks.comparisons.Comparison`), as the report keeps it."""

    check: Annotated[str, Meta(pattern=r"\A[A-Z][A-Z0-9]{0,31}\Z")]
    subject: _Part
    field: _Part
    found: _Part
    expected: _Part
    outcome: OutcomeName
    reason: _Part


class RecordsOpened(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many records were opened, of how many under the row's root."""

    opened: Annotated[int, Meta(ge=0, le=LIST_ITEMS_MAX)]
    of: Annotated[int, Meta(ge=0, le=INTEGER_MAX)]


class ChipOpened(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An accelerator that opened."""

    index: _Index
    model: Identifier
    serial: Annotated[str, Meta(pattern=rf"\A[!-~]{{1,{CHIP_SERIAL_CHARACTERS_MAX}}}\Z")]


class PartOpened(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hidden fields of another statement that opened.

    Attributes:
        leaf: hex leaf hash of its entry.
        kind: of which kind it is.
        part: which part of it.
        values: JSON value by name.
    """

    leaf: Hex32
    kind: Literal["inventory", "transfer", "training-run", "report", "correction"]
    part: Annotated[str, Meta(max_length=64)]
    values: dict[str, object]


class InspectionReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What an inspector's tool found out.

    Attributes:
        format: `INSPECTION_REPORT_FORMAT`, `INSPECTION_REPORT_PARTS_FORMAT` with books, or `SAMPLE_REPORT_FORMAT`.
        ledger: hex id.
        is_pinned: whether the charter's fingerprint was compared with one from elsewhere.
        challenge: id; None exactly in a report on a sample.
        lab: who answered.
        cluster: about which.
        interval: about when.
        nation: whose inspector examined.
        inspector: which.
        entries: what it rests on.
        handed: hex SHA-256 of what was decrypted.
        ciphertext: hex SHA-256 of what it came in.
        result: what the arithmetic says.
        missing: what was asked for and not opened.
        fields: JSON value by name of each field that opened.
        records: how many opened.
        chips: accelerators that opened.
        comparisons: all that was compared, and what could not be.
        sample: name (`ledger.openings.name_sample`); None, and not written, exactly in a report on a challenge.
        parts: of other statements, that opened; not written if there is none.
    """

    format: str
    ledger: Hex32
    is_pinned: bool
    challenge: Identifier | None
    lab: Identifier
    cluster: Identifier
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    nation: Identifier
    inspector: Identifier
    entries: Annotated[tuple[Basis, ...], Meta(max_length=8 + BOOKS_MAX)]
    handed: Hex32
    ciphertext: Hex32
    result: Result
    missing: Annotated[tuple[_Part, ...], Meta(max_length=SAMPLE_DRAWN_MAX)]
    fields: dict[str, object]
    records: RecordsOpened
    chips: Annotated[tuple[ChipOpened, ...], Meta(max_length=SAMPLE_DRAWN_MAX)]
    comparisons: Annotated[tuple[Examined, ...], Meta(max_length=COMPARISONS_MAX)]
    sample: _Part | None = None
    parts: Annotated[tuple[PartOpened, ...], Meta(max_length=LIST_ITEMS_MAX)] = ()

    @property
    def about(self) -> str:
        """What was answered: id of the challenge, or name of the sample."""
        return self.challenge or self.sample or ""


_DECODER: Final = msgspec.json.Decoder(InspectionReport)
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def make_report(
    case: Case, bundle: Bundle, opened: Opened, compared: Sequence[Comparison], *, nation: str, inspector: str
) -> InspectionReport:
    """Put together what was found out.

    Args:
        case: the entries.
        bundle: as it was decrypted.
        opened: what held of it.
        compared: the cross-checks over that.
        nation: whose inspector examined.
        inspector: which.
    """
    asked, row = case.challenge.predicate, case.row
    comparisons = list_examined([*opened.comparisons, *compared])
    return InspectionReport(
        format=INSPECTION_REPORT_PARTS_FORMAT if case.books.by_leaf else INSPECTION_REPORT_FORMAT,
        ledger=case.ledger.charter.fingerprint,
        is_pinned=case.ledger.is_pinned,
        challenge=asked.challenge,
        lab=asked.lab,
        cluster=asked.cluster,
        interval=asked.interval,
        nation=nation,
        inspector=inspector,
        entries=_list_entries(case),
        handed=hashlib.sha256(bundle.plain).hexdigest(),
        ciphertext=bundle.ciphertext,
        result=conclude(comparisons, opened.missing),
        missing=tuple(opened.missing),
        fields=dict(opened.values),
        records=RecordsOpened(opened=len(opened.records), of=row.records.count if row else 0),
        chips=tuple(ChipOpened(index=chip.index, model=chip.model, serial=chip.serial) for chip in opened.chips),
        comparisons=comparisons,
        parts=_list_parts(case, opened),
    )


def encode_report(report: InspectionReport) -> bytes:
    """Write a report.

    Raises:
        FormatError: a value that `parse_report` would refuse.
    """
    raw = _ENCODER.encode(report)
    parse_report(raw)
    return raw


def parse_report(raw: bytes) -> InspectionReport:
    """Read a report, as this tool or another wrote it. That it is true is for whoever made it to say.

    Raises:
        FormatError: too large, not of the form in its one encoding, or a field's value that no row has.
    """
    if len(raw) > REPORT_BYTES_MAX:
        expected = f"at most {REPORT_BYTES_MAX} bytes"
        raise FormatError(field="report", found=f"{len(raw)} bytes", expected=expected, code=Code.TOO_LARGE)
    try:
        report = _DECODER.decode(raw)
        again = _ENCODER.encode(report)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="report", found=str(error), expected="an inspector's report") from None
    form = _choose_format(report)
    if report.format != form or (report.sample is None) != (report.challenge is not None):
        raise FormatError(field="report.format", found=report.format, expected=f"{form}, with a challenge or a sample")
    if again != raw:
        raise FormatError(field="report", found="another spelling of the same", expected="the one encoding")
    read_opened_fields(report.fields)
    for part in report.parts:
        for name, value in part.values.items():
            read_field(part.kind, part.part, name, value)
    return report


def list_parts(report: InspectionReport) -> dict[tuple[str, str], Values]:
    """Give the opened parts of other statements, by hex leaf hash and part."""
    parts = {(part.leaf, part.part): part.values for part in report.parts}
    return cast("dict[tuple[str, str], Values]", parts)  # as JSON was decoded


def _choose_format(report: InspectionReport) -> str:
    if report.challenge is None and not report.parts:
        return SAMPLE_REPORT_FORMAT
    has_books = any(entry.role == "books" for entry in report.entries)
    return INSPECTION_REPORT_PARTS_FORMAT if has_books else INSPECTION_REPORT_FORMAT


def compute_report_digest(raw: bytes) -> str:
    """Hex SHA-256 of a report's bytes: what a finding names."""
    return hashlib.sha256(raw).hexdigest()


def list_examined(comparisons: Sequence[Comparison]) -> tuple[Examined, ...]:
    """Give comparisons as a report keeps them."""
    return tuple(
        Examined(
            check=one.check,
            subject=one.subject,
            field=one.field,
            found=one.found,
            expected=_bound(one.expected),
            outcome=one.outcome.value,
            reason=_bound(one.reason),
        )
        for one in comparisons
    )


def _bound(text: str) -> str:
    return text[:ERROR_PART_CHARACTERS_MAX]


def conclude(comparisons: Sequence[Examined], missing: Sequence[str]) -> Result:
    """Say what the arithmetic says."""
    if any(one.outcome == "fails" for one in comparisons):
        return "inconsistent"
    return "incomplete" if missing else "consistent"


def name_compared(one: Examined, cluster: str) -> str:
    """Name what was compared for a person, with whose it is where that is not the cluster."""
    return one.field if one.subject == cluster else f"{one.subject}: {one.field}"


def list_bases(receipts: Mapping[str, VerifiedReceipt | None]) -> tuple[Basis, ...]:
    """Give the entries that an examination rests on, by their roles; those that are None are left out."""
    return tuple(_note_basis(role, receipt) for role, receipt in receipts.items() if receipt is not None)


def list_books(books: Books) -> tuple[Basis, ...]:
    """Give all entries of books."""
    return tuple(_note_basis("books", filed.receipt) for filed in books.by_leaf.values())


def _note_basis(role: str, receipt: VerifiedReceipt) -> Basis:
    leaf, sealed_ms = receipt.leaf.hex(), receipt.checkpoint.seal.time_ms
    return msgspec.convert({"role": role, "index": receipt.index, "leaf": leaf, "sealed_ms": sealed_ms}, Basis)


def _list_entries(case: Case) -> tuple[Basis, ...]:
    named = list_bases(
        {
            "challenge": case.challenge.receipt,
            "response": case.response.receipt,
            "report": None if case.report is None else case.report.receipt,
            "inventory": None if case.inventory is None else case.inventory.receipt,
            "registration": None if case.registration is None else case.registration.receipt,
        }
    )
    return (*named, *list_books(case.books))


def _list_parts(case: Case, opened: Opened) -> tuple[PartOpened, ...]:
    listed = [
        {"leaf": leaf, "kind": case.books.by_leaf[leaf].kind, "part": part, "values": dict(values)}
        for (leaf, part), values in opened.parts.items()
    ]
    return msgspec.convert(listed, tuple[PartOpened, ...])
