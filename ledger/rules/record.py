"""What a state consists of: immutable records under byte keys, a table for each kind of record.

A record is a MessagePack array of its fields in order, which msgspec writes in the shortest form; a key is one letter
for the table and the name within it. `Table.decode` refuses any other spelling, so equal states have equal bytes.
Which records there are is said by `ledger.rules.records`, a file a subject, and all of them by `ledger.rules.tables`.
"""

from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from ledger.errors import FormatError


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What stands under a key. Kinds of records are subclasses, one a table."""


class Records(Protocol):
    """Where records are read and put: a `ledger.rules.state.State`."""

    def get(self, key: bytes) -> Record | None:
        """The record under a key, or None."""

    def put(self, key: bytes, record: Record | None) -> None:
        """Set the record under a key; None removes it."""


class RecordsInOrder(Protocol):
    """Where all records of a table can be looked through: a `ledger.rules.state.State`."""

    def walk(self, letter: bytes) -> Iterator[tuple[bytes, Record]]:
        """Every key that begins with a letter, and its record, in ascending order."""


RecordT = TypeVar("RecordT", bound=Record)


class Table(Generic[RecordT]):
    """One kind of record: its letter, its type, its canonical bytes."""

    def __init__(self, letter: bytes, record: type[RecordT], *, is_packed: bool = False) -> None:
        """Bind a letter to a type.

        Args:
            letter: first byte of every key; no two tables share one.
            record: what stands there.
            is_packed: whether the root keeps packed bytes instead of objects: for the many that are seldom read, under
                names of eight bytes.
        """
        self.letter = letter
        self._record = record
        self._decoder = msgspec.msgpack.Decoder(record)
        self.is_packed = is_packed

    def get(self, state: Records, name: bytes = b"") -> RecordT | None:
        """The record of this name, or None."""
        record = state.get(self.letter + name)
        assert record is None or isinstance(record, self._record)
        return record

    def require(self, state: Records, name: bytes = b"") -> RecordT:
        """The record of this name, of which we know that it exists."""
        record = self.get(state, name)
        assert record is not None, (self.letter, name)
        return record

    def put(self, state: Records, record: RecordT | None, name: bytes = b"") -> None:
        """Set the record of this name, or remove it."""
        state.put(self.letter + name, record)

    def walk(self, state: RecordsInOrder) -> Iterator[tuple[bytes, RecordT]]:
        """Every name and record, in ascending order of names; as long as the state is large, so for no rule."""
        for key, record in state.walk(self.letter):
            assert isinstance(record, self._record)
            yield key[len(self.letter) :], record

    def decode(self, raw: bytes) -> RecordT:
        """Read canonical bytes.

        Raises:
            FormatError: not a record of this table, or another spelling of one.
        """
        try:
            record = self._decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise FormatError(field="state.value", found=str(error), expected=self._record.__name__) from None
        if encode_record(record) != raw:
            raise FormatError(field="state.value", found="another spelling", expected="the record's one encoding")
        return record

    def unpack(self, raw: bytes) -> RecordT:
        """Read bytes that this process packed itself."""
        return self._decoder.decode(raw)


_ENCODER: Final = msgspec.msgpack.Encoder()


def encode_record(record: Record) -> bytes:
    """The canonical bytes of a record."""
    return _ENCODER.encode(record)
