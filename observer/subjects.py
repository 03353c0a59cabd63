"""What an entry of the ledger is about, read just far enough to find it again.

A reader of one copy looks entries up by kind and subject name (`<lab>/<cluster>/<interval>` for a verdict,
`<lab>/<interval>` for a report). What is read here decides nothing: whoever uses an entry reads it whole and checks
that it is what was looked for.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.domains import PREDICATE_PREFIX
from ledger.limits import TEXT_CHARACTERS_MAX
from ledger.statements.computed import is_computed_entry


@dataclass(frozen=True, slots=True)
class EntrySubject:
    """An entry's kind, such as `verdict`, and the name of what it is about."""

    kind: str
    name: str


class _Envelope(msgspec.Struct):
    payload: bytes


class _Subject(msgspec.Struct):
    name: Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)]


class _Statement(msgspec.Struct):
    subject: Annotated[tuple[_Subject, ...], Meta(min_length=1, max_length=1)]
    predicate_type: str = msgspec.field(name="predicateType")


class _Header(msgspec.Struct):
    issuer: Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)]
    sequence: int


class _Issued(msgspec.Struct):
    predicate: _Header


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_STATEMENT: Final = msgspec.json.Decoder(_Statement)
_ISSUED: Final = msgspec.json.Decoder(_Issued)
_KIND_END: Final = ":v1"


def read_subject(entry: bytes) -> EntrySubject | None:
    """Say what an entry is about; None for one that no reader of this version looks up."""
    try:
        payload = entry if is_computed_entry(entry) else _ENVELOPE.decode(entry).payload
        statement = _STATEMENT.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    kind = statement.predicate_type.removeprefix(PREDICATE_PREFIX).removesuffix(_KIND_END)
    if statement.predicate_type != f"{PREDICATE_PREFIX}{kind}{_KIND_END}":
        return None
    return EntrySubject(kind, statement.subject[0].name)


def read_issuer(entry: bytes) -> tuple[str, int] | None:
    """Say who signed an entry, and its number in that party's chain; None for one that the rules made."""
    if is_computed_entry(entry):
        return None
    try:
        header = _ISSUED.decode(_ENVELOPE.decode(entry).payload).predicate
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return header.issuer, header.sequence
