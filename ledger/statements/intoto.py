"""Statements: what stands inside an envelope (in-toto Statement v1), and the header every predicate has.

    {"_type":"https://in-toto.io/Statement/v1","subject":[{"name":…,"digest":{"sha256":…}}],
     "predicateType":"urn:counterseal:<kind>:v<version>","predicate":{…}}

Invariants of what a `StatementForm` parses:
- One encoding: the bytes equal the re-encoding of the value read from them, so no key is repeated, unknown, missing or
  out of order, there is no white space and no needless escape, no float, exponent, negative zero or other spelling of a
  number or of base64. `JSON.stringify` writes it, and `json.dumps(…, separators=(",", ":"), ensure_ascii=False)`.
- Bounded: an entry fits `ENTRY_BYTES_MAX`; the decoder follows a fixed type, so it never descends deeper than that type
  (at most `NESTING_MAX`, which tests measure), whatever the bytes say; every list has its maximum.
- Text has no control, format, bidirectional, private or surrogate character. The ranges are written out here, since
  `str.isprintable` changes with the Unicode tables of each Python, and members must agree on what is valid.
- Integers only, at most 2**53 bare; a quantity above is a decimal string (`parse_quantity`).

Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, of which this is a strict profile.
"""

import itertools
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from ledger.domains import PREDICATE_PREFIX, STATEMENT_TYPE
from ledger.encoding import decode_decimal
from ledger.errors import Code, FormatError
from ledger.limits import (
    ENTRY_BYTES_MAX,
    IDENTIFIER_CHARACTERS_MAX,
    INTEGER_MAX,
    NAME_CHARACTERS_MAX,
    SIZE_MAX,
    TEXT_CHARACTERS_MAX,
    TIME_S_MAX,
)
from ledger.positions import Seconds
from ledger.positions import Sequence as SequenceNumber

ZERO_HASH: Final = "00" * 32

_FORBIDDEN: Final = (
    r"\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    r"\ud800-\uf8ff\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff\U000e0000-\U0010ffff"
)
_TEXT: Final = rf"\A[^{_FORBIDDEN}]*\Z"
_IDENTIFIER: Final = rf"\A[a-z0-9-]{{1,{IDENTIFIER_CHARACTERS_MAX}}}\Z"

Identifier = Annotated[str, Meta(pattern=_IDENTIFIER)]
"""`[a-z0-9-]{1,64}`."""

Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""A 32-byte hash in lower-case hex."""

Text = Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX, pattern=_TEXT)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX, pattern=_TEXT)]
PublicKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""32 bytes, base64 in JSON."""

QuantityName = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
"""What a limit is on, such as `training_pflop_per_run`."""

Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Timestamp = Annotated[Seconds, Meta(ge=0, le=TIME_S_MAX)]
Quantity = Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | Annotated[str, Meta(pattern=r"\A[1-9][0-9]{15,18}\Z")]
"""A whole number: bare up to 2**53, above as a decimal string up to 2**63 - 1. Read it with `parse_quantity`."""


class SubjectDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one digest a subject has."""

    sha256: Hex32


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a statement is about. Derived from the predicate and checked against it."""

    name: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX, pattern=_TEXT)]
    digest: SubjectDigest


class Corrects(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entry a statement corrects, and why."""

    leaf: Hex32
    reason: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX, pattern=_TEXT)]


class PredicateHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first fields of every signed predicate, in this order.

    Attributes:
        ledger: SHA-256 of entry 0; zeros in the charter.
        issuer: who says it.
        sequence: the issuer's own count of statements, from 0.
        previous: leaf hash of the issuer's last entry; zeros at 0.
        issued_at: what the issuer's clock said; information only, never used by the rules.
        corrects: the entry this one corrects, else None.
    """

    ledger: Hex32
    issuer: Identifier
    sequence: Annotated[SequenceNumber, Meta(ge=0, le=INTEGER_MAX)]
    previous: Hex32
    issued_at: Timestamp
    corrects: Corrects | None


PredicateT = TypeVar("PredicateT", bound=PredicateHeader)
OrderedT = TypeVar("OrderedT", str, int, tuple[str, str])


@dataclass(frozen=True, slots=True)
class Statement(Generic[PredicateT]):
    """A statement as read: its kind, its subject (already checked against the predicate) and the predicate."""

    kind: str
    subject: Subject
    predicate: PredicateT


class _Wire(msgspec.Struct, Generic[PredicateT], frozen=True, forbid_unknown_fields=True):
    """The JSON object, in its order of keys."""

    statement_type: str = msgspec.field(name="_type")
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=1)]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: PredicateT


_ENCODER: Final = msgspec.json.Encoder()
_KIND: Final = re.compile(
    rb'\{"_type":"' + re.escape(STATEMENT_TYPE).encode() + rb'","subject":\[\{"name":"(?:[^"\\]|\\.){1,4096}",'
    rb'"digest":\{"sha256":"[0-9a-f]{64}"\}\}\],"predicateType":"'
    + re.escape(PREDICATE_PREFIX).encode()
    + rb'([a-z0-9-]{1,64}):v([1-9])","predicate":\{'
)


def find_kind(payload: bytes) -> str:
    """Say which kind of statement a payload claims to be, without reading the rest.

    Version 1 of a kind goes by its name alone, such as `report`; later ones by name and version, such as `charter:v2`.

    Raises:
        FormatError: it does not begin as a statement of ours does.
    """
    match = _KIND.match(payload[:ENTRY_BYTES_MAX])
    if match is None:
        raise FormatError(
            field="statement",
            found=payload[:80],
            expected=f"an in-toto statement with predicateType {PREDICATE_PREFIX}…",
        )
    return make_kind_name(match[1].decode("ascii"), int(match[2]))


def make_kind_name(kind: str, version: int) -> str:
    """Name a kind of statement in one of its versions, as `find_kind` does."""
    return kind if version == 1 else f"{kind}:v{version}"


class StatementForm(Generic[PredicateT]):
    """How statements of one kind are written and read."""

    def __init__(
        self, kind: str, predicate: type[PredicateT], *, check: Callable[[PredicateT], Subject], version: int = 1
    ) -> None:
        """Bind a kind to its predicate.

        Args:
            kind: `<kind>` of `urn:counterseal:<kind>:v<version>`.
            predicate: its type.
            check: checks what types cannot say, raises FormatError, and returns the subject the predicate calls for.
            version: from 1 to 9.
        """
        self.kind = kind
        self.predicate = predicate
        self.predicate_type = f"{PREDICATE_PREFIX}{kind}:v{version}"
        self._check = check
        # A generic alias over a runtime type is beyond mypy; the decoder's result is what the class says.
        wire: Any = _Wire
        self._decoder: msgspec.json.Decoder[_Wire[PredicateT]] = msgspec.json.Decoder(wire[predicate])

    def encode(self, predicate: PredicateT) -> bytes:
        """Write the payload to be signed, with the subject that follows from the predicate.

        Raises:
            FormatError: a value that `parse` would refuse.
        """
        placeholder = make_subject(self.kind, ZERO_HASH)
        try:
            draft = _ENCODER.encode(_Wire(STATEMENT_TYPE, (placeholder,), self.predicate_type, predicate))
        except (msgspec.MsgspecError, UnicodeError, OverflowError, TypeError) as error:
            raise FormatError(field="statement", found=str(error), expected=f"a {self.kind} statement") from None
        checked = self._decode(draft).predicate  # types first: `check` believes them
        return self._require_size(
            _ENCODER.encode(_Wire(STATEMENT_TYPE, (self._check(checked),), self.predicate_type, checked))
        )

    def parse(self, payload: bytes) -> Statement[PredicateT]:
        """Read a payload of this kind.

        Raises:
            FormatError: another kind, another encoding, or a value out of its bounds.
        """
        wire = self._decode(self._require_size(payload))
        if _ENCODER.encode(wire) != payload:
            raise FormatError(
                field="statement", found="another spelling of the same statement", expected="the one encoding"
            )
        if wire.statement_type != STATEMENT_TYPE:
            raise FormatError(field="statement._type", found=wire.statement_type, expected=STATEMENT_TYPE)
        if wire.predicate_type != self.predicate_type:
            raise FormatError(field="statement.predicateType", found=wire.predicate_type, expected=self.predicate_type)
        subject = self._check(wire.predicate)
        if wire.subject[0] != subject:
            raise FormatError(field="statement.subject", found=wire.subject[0], expected=repr(subject))
        return Statement(self.kind, subject, wire.predicate)

    def _require_size(self, payload: bytes) -> bytes:
        if len(payload) > ENTRY_BYTES_MAX:
            raise FormatError(
                field="statement",
                found=f"{len(payload)} bytes",
                expected=f"at most {ENTRY_BYTES_MAX} bytes",
                code=Code.TOO_LARGE,
            )
        return payload

    def _decode(self, payload: bytes) -> _Wire[PredicateT]:
        try:
            return self._decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise FormatError(field="statement", found=str(error), expected=f"a {self.kind} statement") from None


def make_subject(name: str, sha256: str) -> Subject:
    """Name a subject by its hex digest."""
    return Subject(name, SubjectDigest(sha256))


def parse_quantity(quantity: int | str, *, field: str) -> int:
    """Read a quantity: bare at most 2**53, a decimal string only above it, so that each number has one spelling.

    Raises:
        FormatError: negative, too large, or in the other's spelling.
    """
    if isinstance(quantity, str):
        number = decode_decimal(quantity, field=field, maximum=SIZE_MAX)
        if number <= INTEGER_MAX:
            raise FormatError(field=field, found=quantity, expected="a bare integer up to 2**53")
        return number
    if isinstance(quantity, bool) or not 0 <= quantity <= INTEGER_MAX:
        raise FormatError(field=field, found=quantity, expected="an integer from 0 to 2**53, above as a decimal string")
    return quantity


def encode_quantity(number: int) -> int | str:
    """Spell a whole number as JSON carries it."""
    assert 0 <= number <= SIZE_MAX
    return number if number <= INTEGER_MAX else str(number)


def require_unique(values: Iterable[object], *, field: str) -> None:
    """Refuse a repeated value.

    Raises:
        FormatError: the first value that occurs again.
    """
    listed = tuple(values)
    if len(frozenset(listed)) == len(listed):
        return
    seen: set[object] = set()
    for value in listed:
        if value in seen:
            raise FormatError(field=field, found=value, expected="each value once")
        seen.add(value)


def require_ascending(values: Sequence[OrderedT], *, field: str) -> None:
    """Refuse a list that is not in strictly ascending order: of numbers, of code points, or of pairs of texts.

    Raises:
        FormatError: the first value out of order, or repeated.
    """
    if all(map(operator.lt, values, values[1:])):
        return
    for before, after in itertools.pairwise(values):
        if after <= before:
            raise FormatError(field=field, found=after, expected=f"ascending order, each once: after {before}")


def require_no_correction(header: PredicateHeader) -> None:
    """Refuse `corrects` where the kind is not a correction.

    Raises:
        FormatError: it corrects something.
    """
    if header.corrects is not None:
        raise FormatError(field="statement.predicate.corrects", found=header.corrects.leaf, expected="null")
