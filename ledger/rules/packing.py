"""Many small records under names of eight bytes, in little more memory than their bytes take.

1. A name is a number, big-endian: in the rules a lab's number, then an interval. Sixteen names that differ in their
   last four bits only share a *run*: sixteen slots of one width, side by side.
2. A slot begins with the length of its record, 0 where there is none: one byte, or two where records are longer.
3. Runs of one width lie in chunks of about 16 KiB, a shelf for each width. So nothing is allocated for a record, one of
   the same length is written over the old one, and a run that became empty leaves its place to another.
4. A record that is longer than its slot moves its run to the shelf that is wide enough. It does not move back.
5. Runs are found through groups of 256: for each group a sorted array of (run, width, place).
6. A record too long for any slot stands by itself, as in any dictionary.

No step takes longer with more records: the most that one put moves is a run and a group's array. Walking in order sorts
the groups, which are as many as labs for the first 4 096 intervals.

`RootRecords` holds all records of a state's root, in the order of their keys: those of packed tables as above, the
others as the objects they are. What is read has the bytes that were put; nothing of this layout is kept or sent.
"""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Final, Generic, TypeVar

NAME_BYTES: Final = 8
KEY_BYTES: Final = 1 + NAME_BYTES
"""A letter for the table, and the name."""

PACKED_BYTES_MAX: Final = 1_022
"""The longest record that gets a slot."""

_SLOT_BITS: Final = 4
_SLOTS: Final = 1 << _SLOT_BITS
_RUN_BITS: Final = 8
_GROUP_BITS: Final = _SLOT_BITS + _RUN_BITS
_PLACE_BITS: Final = 40
_WIDTH_BITS: Final = 16
_RUN_SHIFT: Final = _PLACE_BITS + _WIDTH_BITS
_NARROW_WIDTH_MAX: Final = 256
"""The widest slot whose length fits one byte: 255 and the byte itself."""

_CHUNK_BITS: Final = 14
_IN_CHUNK: Final = (1 << _CHUNK_BITS) - 1
_IN_RUN: Final = _SLOTS - 1
_IN_GROUP: Final = (1 << _RUN_BITS) - 1
_PLACE: Final = (1 << _PLACE_BITS) - 1
_WIDTH: Final = (1 << _WIDTH_BITS) - 1

assert _RUN_SHIFT + _RUN_BITS == 64
assert PACKED_BYTES_MAX + 2 < 1 << _WIDTH_BITS
assert (PACKED_BYTES_MAX + 2) * _SLOTS <= 1 << _CHUNK_BITS

ValueT = TypeVar("ValueT")


def _compute_width(length: int) -> int:
    """The narrowest slot for a record of this length."""
    return length + 1 if length < _NARROW_WIDTH_MAX else length + 2


class _Shelf:
    """All runs whose slots have one width."""

    __slots__ = ("_chunks", "_free", "_prefix", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._prefix = 1 if width <= _NARROW_WIDTH_MAX else 2
        self._chunks: list[bytearray] = []
        self._free: list[int] = []

    def take(self) -> int:
        """The place of an empty run: the number of its chunk, and where it begins there."""
        if not self._free:
            chunk, run_bytes = len(self._chunks) << _CHUNK_BITS, self._width * _SLOTS
            size = (1 << _CHUNK_BITS) // run_bytes * run_bytes
            self._chunks.append(bytearray(size))
            self._free.extend(range(chunk + size - run_bytes, chunk - 1, -run_bytes))
        return self._free.pop()

    def give_back(self, place: int) -> None:
        """Leave a place to another run."""
        chunk, start = self._chunks[place >> _CHUNK_BITS], place & _IN_CHUNK
        chunk[start : start + self._width * _SLOTS] = bytes(self._width * _SLOTS)
        self._free.append(place)

    def read(self, place: int, slot: int) -> bytes | None:
        """The record in a slot, or None."""
        chunk, start = self._chunks[place >> _CHUNK_BITS], (place & _IN_CHUNK) + slot * self._width
        length, first = chunk[start], start + 1
        if self._prefix == 2:
            length, first = length << 8 | chunk[first], first + 1
        return bytes(chunk[first : first + length]) if length else None

    def write(self, place: int, slot: int, record: bytes) -> bool:
        """Put a record into a slot that is wide enough, and say whether it was empty; no bytes take out what is there.

        What is left of a longer record behind a shorter one is never read.
        """
        chunk, start = self._chunks[place >> _CHUNK_BITS], (place & _IN_CHUNK) + slot * self._width
        length = len(record)
        if self._prefix == 1:
            old, chunk[start] = chunk[start], length
            first = start + 1
        else:
            old = chunk[start] << 8 | chunk[start + 1]
            chunk[start], chunk[start + 1] = length >> 8, length & 255
            first = start + 2
        chunk[first : first + length] = record
        return not old

    def is_empty(self, place: int) -> bool:
        """Whether no slot of a run holds a record."""
        chunk, start = self._chunks[place >> _CHUNK_BITS], place & _IN_CHUNK
        end = start + self._width * _SLOTS
        lengths = chunk[start : end : self._width]
        if self._prefix == 2:
            lengths += chunk[start + 1 : end : self._width]
        return not any(lengths)


class PackedRecords(MutableMapping[bytes, bytes]):
    """Records that are not empty, by names of eight bytes; iteration is in ascending order of names."""

    __slots__ = ("_count", "_groups", "_long", "_shelves")

    def __init__(self) -> None:
        """Make an empty one."""
        self._groups: dict[int, array[int]] = {}
        self._shelves: dict[int, _Shelf] = {}
        self._long: dict[bytes, bytes] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many records there are."""
        return self._count

    def __getitem__(self, name: bytes) -> bytes:
        """The record of this name.

        Raises:
            KeyError: there is none.
        """
        record = self.find(name) if len(name) == NAME_BYTES else None
        if record is None:
            raise KeyError(name)
        return record

    def find(self, name: bytes) -> bytes | None:
        """The record of a name of eight bytes, or None."""
        number = int.from_bytes(name, "big")
        runs = self._groups.get(number >> _GROUP_BITS)
        if runs is not None:
            wanted = number >> _SLOT_BITS & _IN_GROUP
            at = bisect_left(runs, wanted << _RUN_SHIFT)
            if at < len(runs) and (run := runs[at]) >> _RUN_SHIFT == wanted:
                shelf = self._shelves[run >> _PLACE_BITS & _WIDTH]
                record = shelf.read(run & _PLACE, number & _IN_RUN)
                if record is not None:
                    return record
        return self._long.get(name) if self._long else None

    def __setitem__(self, name: bytes, record: bytes) -> None:
        """Put a record in the place of whatever has this name."""
        assert len(name) == NAME_BYTES
        assert record
        if len(record) > PACKED_BYTES_MAX:
            if name not in self._long:
                self.pop(name, None)
                self._count += 1
            self._long[name] = record
            return
        if self._long and self._long.pop(name, None) is not None:
            self._count -= 1
        number = int.from_bytes(name, "big")
        runs = self._groups.get(number >> _GROUP_BITS)
        if runs is None:
            runs = self._groups[number >> _GROUP_BITS] = array("Q")
        wanted, width = number >> _SLOT_BITS & _IN_GROUP, _compute_width(len(record))
        at = bisect_left(runs, wanted << _RUN_SHIFT)
        if at == len(runs) or runs[at] >> _RUN_SHIFT != wanted:
            runs.insert(at, self._take(wanted, width))
        elif runs[at] >> _PLACE_BITS & _WIDTH < width:
            runs[at] = self._widen(runs[at], width)
        shelf, place = self._open(runs[at])
        self._count += shelf.write(place, number & _IN_RUN, record)

    def __delitem__(self, name: bytes) -> None:
        """Take a record out.

        Raises:
            KeyError: there is none.
        """
        if name not in self:
            raise KeyError(name)
        self._count -= 1
        if self._long.pop(name, None) is None:
            self._erase(int.from_bytes(name, "big"))

    def __iter__(self) -> Iterator[bytes]:
        """Every name, in ascending order."""
        return (name for name, _ in self.walk())

    def walk(self) -> Iterator[tuple[bytes, bytes]]:
        """Every name and record, in ascending order of names; nothing may be put or taken out meanwhile."""
        packed = self._walk_runs()
        return heapq.merge(packed, sorted(self._long.items())) if self._long else packed

    def _walk_runs(self) -> Iterator[tuple[bytes, bytes]]:
        for group in sorted(self._groups):
            for run in self._groups[group]:
                first = (group << _RUN_BITS | run >> _RUN_SHIFT) << _SLOT_BITS
                shelf, place = self._open(run)
                for slot in range(_SLOTS):
                    record = shelf.read(place, slot)
                    if record is not None:
                        yield (first | slot).to_bytes(NAME_BYTES, "big"), record

    def _open(self, run: int) -> tuple[_Shelf, int]:
        """Where a run lies, out of its number in a group's array."""
        return self._shelves[run >> _PLACE_BITS & _WIDTH], run & _PLACE

    def _take(self, wanted: int, width: int) -> int:
        """An empty run of this width, as a group's array names it."""
        shelf = self._shelves.get(width)
        if shelf is None:
            shelf = self._shelves[width] = _Shelf(width)
        return wanted << _RUN_SHIFT | width << _PLACE_BITS | shelf.take()

    def _widen(self, run: int, width: int) -> int:
        """Move a run to a wider shelf, and say how a group's array names it now."""
        wider = self._take(run >> _RUN_SHIFT, width)
        old, old_place = self._open(run)
        new, new_place = self._open(wider)
        for slot in range(_SLOTS):
            new.write(new_place, slot, old.read(old_place, slot) or b"")
        old.give_back(old_place)
        return wider

    def _erase(self, number: int) -> None:
        """Empty a slot that holds a record, and give up what is empty then."""
        runs = self._groups[number >> _GROUP_BITS]
        at = bisect_left(runs, (number >> _SLOT_BITS & _IN_GROUP) << _RUN_SHIFT)
        shelf, place = self._open(runs[at])
        shelf.write(place, number & _IN_RUN, b"")
        if shelf.is_empty(place):
            shelf.give_back(place)
            del runs[at]
        if not runs:
            del self._groups[number >> _GROUP_BITS]


class RootRecords(MutableMapping[bytes, ValueT | bytes], Generic[ValueT]):
    """Records by keys of a letter and a name; iteration is in ascending order of keys.

    Under a packed letter stand bytes, under any other an object that is not bytes.
    """

    __slots__ = ("_packed", "_plain")

    def __init__(self, packed_letters: Iterable[int]) -> None:
        """Make an empty one; the letters are the first bytes of the keys of packed tables."""
        self._packed = {letter: PackedRecords() for letter in packed_letters}
        self._plain: dict[bytes, ValueT | bytes] = {}

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._plain) + sum(map(len, self._packed.values()))

    def __getitem__(self, key: bytes) -> ValueT | bytes:
        """The record under a key.

        Raises:
            KeyError: there is none.
        """
        packed = self._find(key)
        return self._plain[key] if packed is None else packed[key[1:]]

    def __setitem__(self, key: bytes, value: ValueT | bytes) -> None:
        """Put a record under a key."""
        packed = self._find(key)
        if packed is None:
            self._plain[key] = value
        else:
            assert isinstance(value, bytes)
            packed[key[1:]] = value

    def find(self, key: bytes) -> ValueT | bytes | None:
        """The record under a key, or None."""
        packed = self._packed.get(key[0]) if len(key) == KEY_BYTES else None
        return self._plain.get(key) if packed is None else packed.find(key[1:])

    def __delitem__(self, key: bytes) -> None:
        """Take a record out.

        Raises:
            KeyError: there is none.
        """
        packed = self._find(key)
        if packed is None:
            del self._plain[key]
        else:
            del packed[key[1:]]

    def __iter__(self) -> Iterator[bytes]:
        """Every key, in ascending order."""
        return (key for key, _ in self.walk())

    def walk(self) -> Iterator[tuple[bytes, ValueT | bytes]]:
        """Every key and record, in ascending order of keys; nothing may be put or taken out meanwhile."""
        plain = ((key, self._plain[key]) for key in sorted(self._plain))
        packed = (_add_letter(letter, records.walk()) for letter, records in self._packed.items())
        return heapq.merge(plain, *packed)

    def _find(self, key: bytes) -> PackedRecords | None:
        """Where a key is packed; None for a key of any other form, which stands among the others."""
        return self._packed.get(key[0]) if len(key) == KEY_BYTES else None


def _add_letter(letter: int, records: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    first = bytes((letter,))
    return ((first + name, record) for name, record in records)
