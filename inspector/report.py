"""An inspector's report: what was opened, what was compared, how it came out; one JSON object in one encoding.

    {"format":"counterseal/inspection-report/v1","ledger":…,"is_pinned":…,"challenge":…,"lab":…,"cluster":…,
     "interval":…,"nation":…,"inspector":…,"entries":[…],"handed":…,"ciphertext":…,"result":…,"missing":[…],
     "fields":{…},"records":…,"chips":[…],"comparisons":[…]}

A report on the answer to a sample has the format `counterseal/sample-inspection-report/v1`, null where the challenge
stands, and at its end `"sample":"<cluster>/<round>/<purpose>"`; no finding is made of it.

Its SHA-256 stands in the inspector's finding, so a file that was changed is no longer the one that was found upon. It
holds values that were opened, and no salts: whoever reads it knows what the inspector knows, and can show it to nobody
as the lab's word. Not for the public.

The *result* is what the arithmetic says: *inconsistent* if anything failed, *incomplete* if something that was asked
for was not opened, *consistent* otherwise. What it means is for the inspector to conclude.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from inspector.openings import Bundle, Case, Opened
from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.crosschecks.figures import read_opened_fields
from ledger.domains import INSPECTION_REPORT_FORMAT, SAMPLE_REPORT_FORMAT
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
COMPARISONS_MAX: Final = 8 * LIST_ITEMS_MAX
"""Runs, declared and in records, are the most of them: each list has at most `LIST_ITEMS_MAX`."""


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

    role: Literal["challenge", "response", "report", "inventory", "registration", "sample", "beacon", "answer"]
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


class InspectionReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What an inspector's tool found out.

    Attributes:
        format: `INSPECTION_REPORT_FORMAT`, or `SAMPLE_REPORT_FORMAT`.
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
    entries: Annotated[tuple[Basis, ...], Meta(max_length=8)]
    handed: Hex32
    ciphertext: Hex32
    result: Result
    missing: Annotated[tuple[_Part, ...], Meta(max_length=SAMPLE_DRAWN_MAX)]
    fields: dict[str, object]
    records: RecordsOpened
    chips: Annotated[tuple[ChipOpened, ...], Meta(max_length=SAMPLE_DRAWN_MAX)]
    comparisons: Annotated[tuple[Examined, ...], Meta(max_length=COMPARISONS_MAX)]
    sample: _Part | None = None

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
        format=INSPECTION_REPORT_FORMAT,
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
    form = SAMPLE_REPORT_FORMAT if report.challenge is None else INSPECTION_REPORT_FORMAT
    if report.format != form or (report.sample is None) != (report.challenge is not None):
        raise FormatError(field="report.format", found=report.format, expected=f"{form}, with a challenge or a sample")
    if again != raw:
        raise FormatError(field="report", found="another spelling of the same", expected="the one encoding")
    read_opened_fields(report.fields)
    return report


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


def list_bases(receipts: Mapping[str, VerifiedReceipt | None]) -> tuple[Basis, ...]:
    """Give the entries that an examination rests on, by their roles; those that are None are left out."""
    return tuple(
        msgspec.convert(
            {
                "role": role,
                "index": receipt.index,
                "leaf": receipt.leaf.hex(),
                "sealed_ms": receipt.checkpoint.seal.time_ms,
            },
            Basis,
        )
        for role, receipt in receipts.items()
        if receipt is not None
    )


def _list_entries(case: Case) -> tuple[Basis, ...]:
    return list_bases(
        {
            "challenge": case.challenge.receipt,
            "response": case.response.receipt,
            "report": None if case.report is None else case.report.receipt,
            "inventory": None if case.inventory is None else case.inventory.receipt,
            "registration": None if case.registration is None else case.registration.receipt,
        }
    )
