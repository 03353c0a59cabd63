"""Statements read just far enough for the tables, quickly, and whatever they hold.

An entry that a quorum has sealed is exported even if this release cannot make sense of it: what cannot be read as the
kind it says it is goes into the table of statements with its bytes, and nothing is refused for what it says. So these
readers check types and bounds of what becomes a column, and no more. That the rules accepted a statement, and its one
encoding, is what `observer.audit` checks.

A statement that the rules make counts as one only where it stands bare, and one of a party only inside an envelope: so
nobody can sign a verdict.
"""

import re
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from ledger.domains import PREDICATE_PREFIX
from ledger.limits import INTERVAL_MAX, SIZE_MAX, TIME_S_MAX
from ledger.schemas import PREDICATES
from ledger.statements.committee import APPROVAL
from ledger.statements.computed import is_computed_entry
from ledger.statements.hidden import FieldDigest
from ledger.statements.intoto import make_kind_name
from ledger.statements.pauses import LAB_PLEDGE, PAUSE_ACCESSION
from ledger.statements.reports import CORRECTION, REPORT
from ledger.statements.verdicts import VERDICT

_INT32_MAX: Final = 2**31 - 1

Count = Annotated[int, Meta(ge=0, le=SIZE_MAX)]
Small = Annotated[int, Meta(ge=0, le=_INT32_MAX)]
Seconds = Annotated[int, Meta(ge=0, le=TIME_S_MAX)]
Interval = Annotated[int, Meta(ge=0, le=INTERVAL_MAX)]
Hex32 = Annotated[str, Meta(min_length=64, max_length=64)]
"""Of the right length; `observer.export.arrays` looks at the digits of all at once."""


class Subject(msgspec.Struct, gc=False):
    """What a statement is about."""

    name: str


class Header(msgspec.Struct, gc=False):
    """What every signed predicate says first."""

    issuer: str
    sequence: Count
    issued_at: Seconds


class LimitRespected(msgspec.Struct, gc=False):
    """As in a row of a report."""

    limit: str
    respected: bool


class Records(msgspec.Struct, gc=False):
    """As in a row of a report."""

    root: Hex32
    count: Count


class Evidence(msgspec.Struct, gc=False):
    """As in a row of a report."""

    type: str
    layer: str
    digest: Hex32
    size: Count
    nonce: Hex32


class Row(msgspec.Struct, gc=False):
    """One cluster in a report."""

    cluster: str
    digests: tuple[FieldDigest, ...]
    limits_respected: tuple[LimitRespected, ...]
    band: Small
    records: Records
    evidence: tuple[Evidence, ...]


class Corrects(msgspec.Struct, gc=False):
    """Which entry is corrected, and why."""

    leaf: Hex32
    reason: str


class ReportBody(Header, gc=False):
    """What a report or correction says."""

    interval: Interval
    rows: Annotated[tuple[Row, ...], Meta(min_length=1)]
    corrects: Corrects | None


class VerdictBody(msgspec.Struct, gc=False):
    """What a verdict says."""

    issuer: ClassVar[None] = None
    sequence: ClassVar[None] = None
    issued_at: ClassVar[None] = None

    lab: str
    nation: str
    cluster: str
    interval: Interval
    state: str
    reasons: tuple[str, ...]
    assurance: str
    report: Hex32
    supersedes: Hex32


class ApprovalBody(Header, gc=False):
    """What a nation says to a proposal."""

    proposal: str
    change: Hex32
    approves: bool


class Condition(msgspec.Struct, gc=False):
    """On what a nation joins."""

    nations: tuple[str, ...]
    nations_min: Small
    lapses: Interval


class AccessionBody(Header, gc=False):
    """What a nation says to a pause."""

    pause: str
    terms: Hex32
    joins: Condition | None


class PledgeBody(Header, gc=False):
    """What a lab says to a pause."""

    pause: str
    terms: Hex32


class LooseBody(msgspec.Struct, gc=False):
    """What any other statement may say first."""

    issuer: str | None = None
    sequence: Count | None = None
    issued_at: Seconds | None = None


_FIELD: Final = "predicateType"
_END: Final = ":v1"
_Subjects = Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=1)]


class ReportStatement(msgspec.Struct, gc=False, tag_field=_FIELD, tag=f"{PREDICATE_PREFIX}{REPORT}{_END}"):
    """A report."""

    kind: ClassVar[str] = REPORT
    subject: _Subjects
    predicate: ReportBody


class CorrectionStatement(msgspec.Struct, gc=False, tag_field=_FIELD, tag=f"{PREDICATE_PREFIX}{CORRECTION}{_END}"):
    """A correction."""

    kind: ClassVar[str] = CORRECTION
    subject: _Subjects
    predicate: ReportBody


class ApprovalStatement(msgspec.Struct, gc=False, tag_field=_FIELD, tag=f"{PREDICATE_PREFIX}{APPROVAL}{_END}"):
    """A nation's word on a proposal."""

    kind: ClassVar[str] = APPROVAL
    subject: _Subjects
    predicate: ApprovalBody


class AccessionStatement(msgspec.Struct, gc=False, tag_field=_FIELD, tag=f"{PREDICATE_PREFIX}{PAUSE_ACCESSION}{_END}"):
    """A nation's word on a pause."""

    kind: ClassVar[str] = PAUSE_ACCESSION
    subject: _Subjects
    predicate: AccessionBody


class PledgeStatement(msgspec.Struct, gc=False, tag_field=_FIELD, tag=f"{PREDICATE_PREFIX}{LAB_PLEDGE}{_END}"):
    """A lab's word on a pause."""

    kind: ClassVar[str] = LAB_PLEDGE
    subject: _Subjects
    predicate: PledgeBody


class VerdictStatement(msgspec.Struct, gc=False, tag_field=_FIELD, tag=f"{PREDICATE_PREFIX}{VERDICT}{_END}"):
    """A verdict."""

    kind: ClassVar[str] = VERDICT
    subject: _Subjects
    predicate: VerdictBody


class LooseSubject(msgspec.Struct, gc=False):
    """What another statement is about, if it says so."""

    name: str | None = None


class OtherStatement(msgspec.Struct, gc=False):
    """Any other, with the text of its payload and, where this release cannot read it whole, its entry.

    Attributes:
        kind: None where not even that can be read.
        subject: one, without a name where it has none.
        predicate: as much of its header as can be read.
        payload: JSON text; None where it is none.
        entry: its bytes, where they say more than the rest.
    """

    kind: str | None
    subject: tuple[LooseSubject, ...]
    predicate: LooseBody
    payload: str | None
    entry: bytes | None


VoteStatement = ApprovalStatement | AccessionStatement | PledgeStatement
SignedStatement = ReportStatement | CorrectionStatement | VoteStatement
ReadStatement = SignedStatement | VerdictStatement | OtherStatement


class _Envelope(msgspec.Struct, gc=False):
    payload: bytes


class _Loose(msgspec.Struct, gc=False):
    predicate_type: str = msgspec.field(name=_FIELD)
    subject: tuple[LooseSubject, ...] = ()
    predicate: LooseBody = msgspec.field(default_factory=LooseBody)


class _Kind(msgspec.Struct, gc=False):
    predicate_type: str = msgspec.field(name=_FIELD)


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_UNION: Any = SignedStatement  # a union is beyond mypy here; the decoder's result is what it says
_SIGNED: Final[msgspec.json.Decoder[SignedStatement]] = msgspec.json.Decoder(_UNION)
_COMPUTED: Final = msgspec.json.Decoder(VerdictStatement)
_LOOSE: Final = msgspec.json.Decoder(_Loose)
_KIND_NAME: Final = re.compile(re.escape(PREDICATE_PREFIX) + r"([a-z0-9-]{1,64}):v([1-9])", re.ASCII)
_KIND: Final = msgspec.json.Decoder(_Kind)
_JSON: Final = msgspec.json.Decoder(msgspec.Raw)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
_NO_SUBJECT: Final = (LooseSubject(),)
_TABLED: Final = frozenset({REPORT, CORRECTION, VERDICT, APPROVAL, PAUSE_ACCESSION, LAB_PLEDGE})


def read_statement(entry: bytes, *, is_computed: bool) -> ReadStatement:
    """Read an entry as far as the tables need it; whatever it holds, there is an answer.

    Args:
        entry: whatever stands there.
        is_computed: what `is_computed_entry` says of it.
    """
    try:
        if is_computed:
            return _COMPUTED.decode(entry)
        return _SIGNED.decode(_ENVELOPE.decode(entry).payload)
    except _UNREADABLE:
        return read_other(entry)


def read_other(entry: bytes, *, is_read: bool = False) -> OtherStatement:
    """Read an entry as one of a kind that has no table of its own.

    Args:
        entry: whatever stands there.
        is_read: whether it is in a table of its own as well. Otherwise one of a kind that has such a table is one that
            could not be read, and keeps its bytes.
    """
    try:
        payload = entry if is_computed_entry(entry) else _ENVELOPE.decode(entry).payload
        text = payload.decode("utf-8")
        _JSON.decode(payload)
    except _UNREADABLE:
        return OtherStatement(None, _NO_SUBJECT, LooseBody(), None, entry)
    try:
        loose = _LOOSE.decode(payload)
    except _UNREADABLE:
        try:
            kind = _name_kind(_KIND.decode(payload).predicate_type)
        except _UNREADABLE:
            return OtherStatement(None, _NO_SUBJECT, LooseBody(), text, entry)
        return OtherStatement(kind, _NO_SUBJECT, LooseBody(), text, entry)
    kind = _name_kind(loose.predicate_type)
    is_known = is_read or (kind in PREDICATES and kind not in _TABLED)
    subject = loose.subject if len(loose.subject) == 1 else _NO_SUBJECT
    return OtherStatement(kind, subject, loose.predicate, text, None if is_known else entry)


def _name_kind(predicate_type: str) -> str:
    """Name a kind as `ledger.statements.intoto.find_kind` does; what is not ours keeps its whole name."""
    match = _KIND_NAME.fullmatch(predicate_type)
    return predicate_type if match is None else make_kind_name(match[1], int(match[2]))
