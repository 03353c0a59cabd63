"""Reports and corrections: what a lab says of its clusters in one interval, in public and in hiding.

A row per cluster. Public: the limits it respected, the decade of its training operations, the root over its records,
digests of evidence. Hidden: the fields of `HiddenFields`, of which the row holds salted digests (`ledger.disclosure`).
A correction is a report with `corrects` naming the latest report or correction of the same interval.
Subject: `<lab>/<interval>`, with the SHA-256 over the concatenated records roots of the rows.

Units: chip-seconds; PFLOP (10**15 operations, rounded up); Wh; permille.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.disclosure import JsonValue
from ledger.domains import EVIDENCE
from ledger.encoding import encode_u64
from ledger.errors import FormatError
from ledger.limits import BAND_MAX, EVIDENCE_MAX, INTERVAL_MAX, LIST_ITEMS_MAX, MODELS_MAX
from ledger.positions import Interval
from ledger.statements.hidden import FieldDigest, check_digests
from ledger.statements.intoto import (
    Count,
    Hex32,
    Identifier,
    PredicateHeader,
    Quantity,
    Statement,
    StatementForm,
    Subject,
    make_subject,
    parse_quantity,
    require_ascending,
    require_no_correction,
    require_unique,
)

REPORT: Final = "report"
CORRECTION: Final = "correction"

EMPTY_RECORDS_ROOT: Final = hashlib.sha256(b"").hexdigest()
"""Root over no records (RFC 6962 §2.1)."""


class LimitRespected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lab's public word on one limit of the charter."""

    limit: Identifier
    respected: bool


class Records(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Root over the records behind a row, and how many there are."""

    root: Hex32
    count: Count


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of evidence kept by the lab: what it is, its hash and size, the nonce it is bound to."""

    type: Identifier
    layer: Identifier
    digest: Hex32
    size: Count
    nonce: Hex32


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One cluster in one interval.

    Attributes:
        cluster: its id.
        digests: of the hidden fields and of decoys, in ascending order.
        limits_respected: a promise per limit of the charter, in its order (the rules compare).
        band: decade exponent of the training operations: 24 means at least 10**24 and less than 10**25; 0 if none.
        records: root and number of the records behind the row.
        evidence: what is attached.
    """

    cluster: Identifier
    digests: Annotated[tuple[FieldDigest, ...], Meta(max_length=LIST_ITEMS_MAX)]
    limits_respected: Annotated[tuple[LimitRespected, ...], Meta(max_length=LIST_ITEMS_MAX)]
    band: Annotated[int, Meta(ge=0, le=BAND_MAX)]
    records: Records
    evidence: Annotated[tuple[Evidence, ...], Meta(max_length=EVIDENCE_MAX)]


class Report(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a lab says of one interval; the body of a correction as well."""

    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    rows: Annotated[tuple[Row, ...], Meta(min_length=1, max_length=LIST_ITEMS_MAX)]


def encode_report(report: Report) -> bytes:
    """Write the payload of a report.

    Raises:
        FormatError: a value that `parse_report` would refuse.
    """
    return _REPORT.encode(report)


def parse_report(payload: bytes) -> Statement[Report]:
    """Read a report.

    Raises:
        FormatError: not a report in its one encoding, rows or digests out of order or repeated.
    """
    return _REPORT.parse(payload)


def encode_correction(correction: Report) -> bytes:
    """Write the payload of a correction.

    Raises:
        FormatError: a value that `parse_correction` would refuse.
    """
    return _CORRECTION.encode(correction)


def parse_correction(payload: bytes) -> Statement[Report]:
    """Read a correction.

    Raises:
        FormatError: as `parse_report`, or it does not say what it corrects.
    """
    return _CORRECTION.parse(payload)


def compute_roots_digest(rows: tuple[Row, ...]) -> str:
    """Hex SHA-256 over the concatenated records roots of the rows: the digest of a report's subject."""
    return hashlib.sha256(bytes.fromhex("".join(row.records.root for row in rows))).hexdigest()


def compute_evidence_nonce(*, ledger: str, lab: str, interval: Interval, previous: str, latest_root: bytes) -> bytes:
    """Bind evidence to one report, so that real quotes can neither be replayed nor lent.

    Everything but the lab's id has a fixed width (hashes 32 bytes, interval u64), so no two inputs run together.

    Args:
        ledger: hex id of the ledger.
        lab: the lab's id.
        interval: what the report is about.
        previous: hex leaf hash of the lab's last entry, as in the report's header.
        latest_root: root of a checkpoint the lab saw sealed, so that the nonce could not be known long before.
    """
    fixed = bytes.fromhex(ledger), lab.encode("ascii"), encode_u64(interval), bytes.fromhex(previous), latest_root
    return hashlib.sha256(EVIDENCE + b"".join(fixed)).digest()


def compute_band(training_pflop: int) -> int:
    """Decade exponent of a number of PFLOP, in operations; 0 if there were none.

    >>> compute_band(10**9), compute_band(10**9 - 1), compute_band(1), compute_band(0)
    (24, 23, 15, 0)
    """
    return len(str(training_pflop)) + 14 if training_pflop else 0


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Chip-seconds by use; together they are all chip-seconds of the cluster."""

    training: Quantity
    post_training: Quantity
    inference: Quantity
    evaluation: Quantity
    other: Quantity
    idle: Quantity


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A training run: PFLOP spent in the interval, and since it began."""

    run: Identifier
    pflop: Quantity
    cumulative_pflop: Quantity


class HiddenFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a row commits to and does not show; each attribute is one salted field of that name.

    Attributes:
        chip_seconds: by accelerator model of the charter.
        busy_chip_seconds: of those, with work on them.
        split: all chip-seconds, by use.
        training_pflop: of all training runs.
        largest_run_pflop: of the largest of them.
        energy_wh: of the accelerators.
        facility_energy_wh: of the building.
        utilisation_permille: mean, from 0 to 1000.
        runs: each training run.
    """

    chip_seconds: Annotated[dict[Identifier, Quantity], Meta(max_length=MODELS_MAX)]
    busy_chip_seconds: Quantity
    split: Split
    training_pflop: Quantity
    largest_run_pflop: Quantity
    energy_wh: Quantity
    facility_energy_wh: Quantity
    utilisation_permille: Annotated[int, Meta(ge=0, le=1000)]
    runs: Annotated[tuple[Run, ...], Meta(max_length=LIST_ITEMS_MAX)]


HIDDEN_FIELD_NAMES: Final = HiddenFields.__struct_fields__
_FIELD_TYPES: Final = {line.name: line.type for line in msgspec.structs.fields(HiddenFields)}


def encode_hidden_fields(hidden: HiddenFields) -> dict[str, JsonValue]:
    """Turn hidden fields into the JSON value of each, by name, ready for `ledger.disclosure.commit_fields`.

    Raises:
        FormatError: a value that `parse_hidden_fields` would refuse.
    """
    values: dict[str, JsonValue] = msgspec.json.decode(msgspec.json.encode(hidden))
    parse_hidden_fields(values)
    return values


def parse_hidden_fields(values: Mapping[str, object]) -> HiddenFields:
    """Check the types, units and bounds of all hidden fields of a row, before committing or after disclosure.

    Raises:
        FormatError: a field missing, unknown, of another type or out of bounds, or a run named twice.
    """
    try:
        hidden = msgspec.convert(dict(values), HiddenFields)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="hidden", found=str(error), expected="the hidden fields of a row") from None
    for name in HIDDEN_FIELD_NAMES:
        _check_hidden(getattr(hidden, name), field=f"hidden.{name}")
    return hidden


def parse_hidden_field(name: str, value: object) -> object:
    """Check one hidden field alone, as an inspector sees it when only that field is opened.

    Returns:
        the value in its type: an integer or decimal string, a dict, a `Split`, or a tuple of `Run`.

    Raises:
        FormatError: not a field of a row, of another type, or out of bounds.
    """
    field_type = _FIELD_TYPES.get(name)
    if field_type is None:
        raise FormatError(field="hidden", found=name, expected=f"one of {', '.join(HIDDEN_FIELD_NAMES)}")
    try:
        typed: object = msgspec.convert(value, field_type)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field=f"hidden.{name}", found=str(error), expected="a value of this field's type") from None
    _check_hidden(typed, field=f"hidden.{name}")
    return typed


def _check_hidden(value: object, *, field: str) -> None:
    """Check the spelling of every quantity in a hidden value, and that no run is named twice."""
    match value:
        case int() | str():
            parse_quantity(value, field=field)
        case dict():
            for quantity in value.values():
                parse_quantity(quantity, field=field)
        case Split():
            for name in Split.__struct_fields__:
                parse_quantity(getattr(value, name), field=f"{field}.{name}")
        case tuple():
            require_unique([run.run for run in value], field=f"{field}.run")
            for run in value:
                parse_quantity(run.pflop, field=f"{field}.pflop")
                parse_quantity(run.cumulative_pflop, field=f"{field}.cumulative_pflop")
        case _:
            raise AssertionError(type(value))


def _check(report: Report) -> Subject:
    field = "statement.predicate.rows"
    require_ascending([row.cluster for row in report.rows], field=f"{field}.cluster")
    for row in report.rows:
        require_ascending(row.digests, field=f"{field}.digests")
        require_unique([line.limit for line in row.limits_respected], field=f"{field}.limits_respected.limit")
        if (row.records.count == 0) != (row.records.root == EMPTY_RECORDS_ROOT):
            raise FormatError(
                field=f"{field}.records.root", found=row.records.root, expected="the empty root exactly for no records"
            )
    check_digests([digest for row in report.rows for digest in row.digests], field=f"{field}.digests")
    return make_subject(f"{report.issuer}/{report.interval}", compute_roots_digest(report.rows))


def _check_report(report: Report) -> Subject:
    require_no_correction(report)
    return _check(report)


def _check_correction(correction: Report) -> Subject:
    if correction.corrects is None:
        raise FormatError(
            field="statement.predicate.corrects", found="null", expected="the leaf hash of the entry it corrects"
        )
    return _check(correction)


_REPORT: Final = StatementForm(REPORT, Report, check=_check_report)
_CORRECTION: Final = StatementForm(CORRECTION, Report, check=_check_correction)
