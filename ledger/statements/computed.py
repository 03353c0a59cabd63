"""Statements that the rules make: no party signs them, the seal does.

The entry is the statement alone, its keys sorted at every level and without spaces, so that every member computes the
same bytes:

    {"_type":…,"predicate":{…},"predicateType":"urn:counterseal:<kind>:v1","subject":[{"digest":{"sha256":…},"name":…}]}

That the rules called for an entry is for `ledger.rules` to say, by computing it again.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from ledger.domains import PREDICATE_PREFIX, STATEMENT_TYPE
from ledger.errors import Code, FormatError
from ledger.limits import ENTRY_BYTES_MAX
from ledger.statements.intoto import Subject

_COMPUTED_START: Final = b'{"_type":'

ComputedT = TypeVar("ComputedT", bound=msgspec.Struct)


class _Wire(msgspec.Struct, Generic[ComputedT], frozen=True, forbid_unknown_fields=True):
    statement_type: str = msgspec.field(name="_type")
    predicate: ComputedT
    predicate_type: str = msgspec.field(name="predicateType")
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=1)]


class _Head(msgspec.Struct, frozen=True):
    """As much of any of them as tells the kind."""

    predicate_type: str = msgspec.field(name="predicateType")


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_HEAD_DECODER: Final = msgspec.json.Decoder(_Head)


def is_computed_entry(entry: bytes) -> bool:
    """Say whether an entry is a statement that the rules make, and not an envelope that a party signed."""
    return entry.startswith(_COMPUTED_START)


def find_computed_kind(entry: bytes) -> str:
    """Say which kind of computed statement an entry claims to be, such as `verdict`.

    Raises:
        FormatError: it is none.
    """
    _require_size(entry)
    try:
        predicate_type = _HEAD_DECODER.decode(entry).predicate_type
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="entry", found=str(error), expected="a computed statement") from None
    kind = predicate_type.removeprefix(PREDICATE_PREFIX).removesuffix(":v1")
    if predicate_type != f"{PREDICATE_PREFIX}{kind}:v1":
        raise FormatError(field="entry.predicateType", found=predicate_type, expected=f"{PREDICATE_PREFIX}…:v1")
    return kind


class ComputedForm(Generic[ComputedT]):
    """How computed statements of one kind are written and read."""

    def __init__(self, kind: str, predicate: type[ComputedT], *, check: Callable[[ComputedT], Subject]) -> None:
        """Bind a kind to its predicate.

        Args:
            kind: `<kind>` of `urn:counterseal:<kind>:v1`.
            predicate: its type.
            check: checks what types cannot say, raises FormatError, and returns the subject the predicate calls for.
        """
        self.kind = kind
        self.predicate = predicate
        self._predicate_type = f"{PREDICATE_PREFIX}{kind}:v1"
        self._check = check
        # A generic alias over a runtime type is beyond mypy; the decoder's result is what the class says.
        wire: Any = _Wire
        self._decoder: msgspec.json.Decoder[_Wire[ComputedT]] = msgspec.json.Decoder(wire[predicate])

    def encode(self, predicate: ComputedT) -> bytes:
        """Write the entry; the same value gives the same bytes everywhere."""
        return _ENCODER.encode(_Wire(STATEMENT_TYPE, predicate, self._predicate_type, (self._check(predicate),)))

    def parse(self, entry: bytes) -> ComputedT:
        """Read an entry of this kind.

        Raises:
            FormatError: not one in its one encoding, or its subject contradicts it.
        """
        _require_size(entry)
        try:
            wire = self._decoder.decode(entry)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise FormatError(field="entry", found=str(error), expected=f"a {self.kind} statement") from None
        if _ENCODER.encode(wire) != entry:
            raise FormatError(
                field="entry", found=f"another spelling of the same {self.kind}", expected="its one encoding"
            )
        if (wire.statement_type, wire.predicate_type) != (STATEMENT_TYPE, self._predicate_type):
            raise FormatError(field="entry.predicateType", found=wire.predicate_type, expected=self._predicate_type)
        if wire.subject[0] != self._check(wire.predicate):
            raise FormatError(field="entry.subject", found=wire.subject[0].name, expected="what the predicate is about")
        return wire.predicate


def _require_size(entry: bytes) -> None:
    if len(entry) > ENTRY_BYTES_MAX:
        raise FormatError(
            field="entry", found=f"{len(entry)} bytes", expected=f"at most {ENTRY_BYTES_MAX} bytes", code=Code.TOO_LARGE
        )
