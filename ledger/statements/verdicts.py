"""Verdicts as entries: what the rules say of one lab, cluster and interval.

No party signs a verdict; the seal does. The entry is the statement alone, its keys sorted at every level and without
spaces, so that every member computes the same bytes:

    {"_type":…,"predicate":{…},"predicateType":"urn:counterseal:verdict:v1","subject":[{"digest":{"sha256":…},"name":…}]}

Subject: `<lab>/<cluster>/<interval>`, with the leaf hash of the report judged, or zeros where there is none.
What makes a state is said by `ledger.rules`; a state is never shown without its assurance level.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.domains import PREDICATE_PREFIX, STATEMENT_TYPE
from ledger.errors import Code, FormatError
from ledger.limits import ENTRY_BYTES_MAX, INTERVAL_MAX, SIZE_MAX
from ledger.positions import Interval, Millis
from ledger.statements.intoto import Hex32, Identifier, Subject, make_subject, require_ascending

VERDICT: Final = "verdict"
_PREDICATE_TYPE: Final = f"{PREDICATE_PREFIX}{VERDICT}:v1"
_COMPUTED_START: Final = b'{"_type":'


class VerdictState(StrEnum):
    """The state of a lab's cluster in an interval."""

    PENDING = "pending"
    COMPLIANT = "compliant"
    LATE = "late"
    UNVERIFIABLE = "unverifiable"
    CONTESTED = "contested"
    MISSING = "missing"
    EXCEEDED = "exceeded"


STATES_BY_SEVERITY: Final = (
    VerdictState.COMPLIANT,
    VerdictState.PENDING,
    VerdictState.LATE,
    VerdictState.UNVERIFIABLE,
    VerdictState.CONTESTED,
    VerdictState.MISSING,
    VerdictState.EXCEEDED,
)
"""From best to worst. The worst that any reason calls for is the state."""


class Reason(StrEnum):
    """Why a state is not `compliant`."""

    NOT_FILED_BY_DUE = "NOT_FILED_BY_DUE"
    NOT_FILED_BY_GRACE = "NOT_FILED_BY_GRACE"
    FILED_AFTER_DUE = "FILED_AFTER_DUE"
    FILED_AFTER_GRACE = "FILED_AFTER_GRACE"
    ROW_MISSING = "ROW_MISSING"
    CORRECTED_AFTER_WINDOW = "CORRECTED_AFTER_WINDOW"
    LIMIT_EXCEEDED_BY_DECLARATION = "LIMIT_EXCEEDED_BY_DECLARATION"


STATE_OF_REASON: Final = {
    Reason.NOT_FILED_BY_DUE: VerdictState.PENDING,
    Reason.NOT_FILED_BY_GRACE: VerdictState.MISSING,
    Reason.FILED_AFTER_DUE: VerdictState.LATE,
    Reason.FILED_AFTER_GRACE: VerdictState.LATE,
    Reason.ROW_MISSING: VerdictState.UNVERIFIABLE,
    Reason.CORRECTED_AFTER_WINDOW: VerdictState.CONTESTED,
    Reason.LIMIT_EXCEEDED_BY_DECLARATION: VerdictState.EXCEEDED,
}

Assurance = Literal["A0", "A1", "A2", "A3", "A4"]


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the rules say.

    Attributes:
        ledger: hex id of the ledger.
        lab: whose.
        nation: who registered it.
        cluster: where.
        interval: when.
        state: the worst state any reason calls for.
        reasons: every reason, sorted.
        assurance: how far the declaration was checked.
        report: hex leaf hash of the latest report or correction; zeros where there is none.
        time_ms: time of the block that opens with it.
        supersedes: hex leaf hash of the verdict entry it replaces; zeros for the first.
    """

    ledger: Hex32
    lab: Identifier
    nation: Identifier
    cluster: Identifier
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    state: VerdictState
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=len(Reason))]
    assurance: Assurance
    report: Hex32
    time_ms: Annotated[Millis, Meta(ge=0, le=SIZE_MAX)]
    supersedes: Hex32


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    statement_type: str = msgspec.field(name="_type")
    predicate: Verdict
    predicate_type: str = msgspec.field(name="predicateType")
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=1)]


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(_Wire)


def compute_worst_state(reasons: Iterable[Reason]) -> VerdictState:
    """Give the state that these reasons call for; without any, `compliant`."""
    states = [STATE_OF_REASON[reason] for reason in reasons]
    return max(states, key=STATES_BY_SEVERITY.index, default=VerdictState.COMPLIANT)


def is_computed_entry(entry: bytes) -> bool:
    """Say whether an entry is a statement that the rules make, and not an envelope that a party signed."""
    return entry.startswith(_COMPUTED_START)


def encode_verdict(verdict: Verdict) -> bytes:
    """Write the entry; the same value gives the same bytes everywhere."""
    subject = _make_subject(verdict)
    return _ENCODER.encode(_Wire(STATEMENT_TYPE, verdict, _PREDICATE_TYPE, (subject,)))


def parse_verdict(entry: bytes) -> Verdict:
    """Read a verdict entry. That the rules called for it is for `ledger.rules` to say, by computing it again.

    Raises:
        FormatError: not a verdict in its one encoding, or its subject contradicts it.
    """
    if len(entry) > ENTRY_BYTES_MAX:
        raise FormatError(
            field="entry", found=f"{len(entry)} bytes", expected=f"at most {ENTRY_BYTES_MAX} bytes", code=Code.TOO_LARGE
        )
    try:
        wire = _DECODER.decode(entry)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="entry", found=str(error), expected="a verdict statement") from None
    if _ENCODER.encode(wire) != entry:
        raise FormatError(field="entry", found="another spelling of the same verdict", expected="its one encoding")
    if (wire.statement_type, wire.predicate_type) != (STATEMENT_TYPE, _PREDICATE_TYPE):
        raise FormatError(field="entry.predicateType", found=wire.predicate_type, expected=_PREDICATE_TYPE)
    if wire.subject[0] != _make_subject(wire.predicate):
        raise FormatError(field="entry.subject", found=wire.subject[0].name, expected="what the predicate is about")
    require_ascending(wire.predicate.reasons, field="entry.predicate.reasons")
    return wire.predicate


def _make_subject(verdict: Verdict) -> Subject:
    return make_subject(f"{verdict.lab}/{verdict.cluster}/{verdict.interval}", verdict.report)
