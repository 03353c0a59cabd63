"""Many small records under names of eight bytes, in little more memory than their bytes take.

1. A name is a number, big-endian: in the rules a lab's number, then an interval. Sixteen names that differ in their
   last four bits only share a *run*: sixteen slots of one width, side by side.
2. A slot begins with the number of its record's *frame*, 0 where there is no record. The frame is what many records
   have in common and stands once for all of them: types, flags, small numbers and lengths of a MessagePack array.
   Behind the number stands the content of strings and larger numbers, which the frame tells apart. What has no frame
   (another form, or the frames have run out) stands whole, with its length.
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
from typing import Final, Generic, NamedTuple, TypeVar

NAME_BYTES: Final = 8
KEY_BYTES: Final = 1 + NAME_BYTES
"""A letter for the table, and the name."""

PACKED_BYTES_MAX: Final = 1_020
"""The longest record that gets a slot."""

FRAMED_BYTES_MAX: Final = 256
"""The longest record whose frame is looked for: in a longer one it is a small part."""

FRAMES_MAX: Final = 254
_NO_RECORD: Final = 0
_NO_FRAME: Final = FRAMES_MAX + 1
_NUMBERS: Final = tuple(bytes((number,)) for number in range(_NO_FRAME + 1))
_UNFRAMED_HEAD_BYTES: Final = 3
"""Of a record that stands whole: the number that says so, and its length."""

_SLOT_BITS: Final = 4
_SLOTS: Final = 1 << _SLOT_BITS
_RUN_BITS: Final = 8
_GROUP_BITS: Final = _SLOT_BITS + _RUN_BITS
_PLACE_BITS: Final = 40
_WIDTH_BITS: Final = 16
_RUN_SHIFT: Final = _PLACE_BITS + _WIDTH_BITS
_CHUNK_BITS: Final = 14
_IN_CHUNK: Final = (1 << _CHUNK_BITS) - 1
_IN_RUN: Final = _SLOTS - 1
_IN_GROUP: Final = (1 << _RUN_BITS) - 1
_PLACE: Final = (1 << _PLACE_BITS) - 1
_WIDTH: Final = (1 << _WIDTH_BITS) - 1

assert _RUN_SHIFT + _RUN_BITS == 64
assert _NO_FRAME < 1 << 8
assert PACKED_BYTES_MAX + _UNFRAMED_HEAD_BYTES < 1 << _WIDTH_BITS
assert (PACKED_BYTES_MAX + _UNFRAMED_HEAD_BYTES) * _SLOTS <= 1 << _CHUNK_BITS

_ARRAY: Final = range(0x90, 0xA0)
_COUNTED: Final = (0xC4, 0xD9)
"""Heads of strings whose length follows in one byte: bin 8 and str 8."""

_CONTENT_BYTES: Final = {
    **dict.fromkeys((*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3), 0),  # small integers, nil, booleans
    **dict.fromkeys(_ARRAY, 0),
    **{head: head & 0x1F for head in range(0xA0, 0xC0)},  # short strings
    **{head: 1 << place for first in (0xCC, 0xD0) for place, head in enumerate(range(first, first + 4))},  # integers
}
"""How many bytes of content follow a head. Source: the MessagePack specification, table of formats."""

ValueT = TypeVar("ValueT")


class _Frame(NamedTuple):
    """What records have in common: what stands before each piece of content, and its length; what stands at the end."""

    pieces: tuple[tuple[bytes, int], ...]
    end: bytes


def _find_content(record: bytes) -> list[tuple[int, int]] | None:
    """Where content begins and ends in a MessagePack array; None for anything else."""
    if len(record) > FRAMED_BYTES_MAX or record[0] not in _ARRAY:
        return None
    content: list[tuple[int, int]] = []
    place, left, size = 0, 1, len(record)
    while left and place < size:
        head = record[place]
        place, left = place + 1, left - 1
        if head in _COUNTED and place < size:
            length = record[place]
            place += 1
        elif head in _CONTENT_BYTES:
            length = _CONTENT_BYTES[head]
            left += head & 0x0F if head in _ARRAY else 0
        else:
            return None
        if length:
            content.append((place, place + length))
            place += length
    return content if not left and place == size else None


class _Frames:
    """The frames met so far, numbered from 1."""

    __slots__ = ("_frames", "_likely", "_numbers")

    def __init__(self) -> None:
        self._frames: list[_Frame] = [_Frame((), b"")]
        self._numbers: dict[bytes, int] = {}
        self._likely: dict[int, int] = {}  # by the length of a record: the frame of the last one

    def split(self, record: bytes) -> bytes:
        """What stands in a record's slot: number and content, or all of it."""
        number = self._likely.get(len(record))
        if number is not None and (likely := self._try(number, record)) is not None:
            return likely
        content = _find_content(record)
        number = _NO_FRAME if content is None else self._find(record, content)
        if number == _NO_FRAME or content is None:
            return b"%c%b%b" % (_NO_FRAME, len(record).to_bytes(2, "big"), record)
        self._likely[len(record)] = number
        return b"%c%b" % (number, b"".join([record[start:end] for start, end in content]))

    def _try(self, number: int, record: bytes) -> bytes | None:
        """What stands in the slot of a record as long as those of a frame, or None if it has another."""
        pieces, end = self._frames[number]
        parts, place = [_NUMBERS[number]], 0
        for before, length in pieces:
            if not record.startswith(before, place):
                return None
            place += len(before)
            parts.append(record[place : place + length])
            place += length
        return b"".join(parts) if record.startswith(end, place) else None

    def join(self, chunk: bytearray, start: int) -> bytes | None:
        """The record in the slot that begins at `start`, or None."""
        number = chunk[start]
        if number == _NO_RECORD:
            return None
        if number == _NO_FRAME:
            first = start + _UNFRAMED_HEAD_BYTES
            return bytes(chunk[first : first + (chunk[start + 1] << 8 | chunk[start + 2])])
        pieces, end = self._frames[number]
        place = start + 1
        parts: list[bytes | bytearray] = []
        for before, length in pieces:
            parts += before, chunk[place : place + length]
            place += length
        parts.append(end)
        return b"".join(parts)

    def _find(self, record: bytes, content: list[tuple[int, int]]) -> int:
        """The number of a record's frame, which is made if there is room for another."""
        pieces, last = [], 0
        for start, end in content:
            pieces.append(record[last:start])
            last = end
        pieces.append(record[last:])
        frame = b"".join(pieces)  # lengths stand in it, so no two frames run together
        number = self._numbers.get(frame)
        if number is None:
            if len(self._frames) > FRAMES_MAX:
                return _NO_FRAME
            number = self._numbers[frame] = len(self._frames)
            lengths = [end - start for start, end in content]
            self._frames.append(_Frame(tuple(zip(pieces[:-1], lengths, strict=True)), pieces[-1]))
        return number


class _Shelf:
    """All runs whose slots have one width."""

    __slots__ = ("_chunks", "_free", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
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
        chunk, start = self.find(place, 0)
        chunk[start : start + self._width * _SLOTS] = bytes(self._width * _SLOTS)
        self._free.append(place)

    def find(self, place: int, slot: int) -> tuple[bytearray, int]:
        """The chunk in which a slot lies, and where the slot begins."""
        return self._chunks[place >> _CHUNK_BITS], (place & _IN_CHUNK) + slot * self._width

    def move(self, place: int, to: "_Shelf", new_place: int) -> None:
        """Move a run to an empty place on a wider shelf."""
        for slot in range(_SLOTS):
            (chunk, start), (new_chunk, new_start) = self.find(place, slot), to.find(new_place, slot)
            new_chunk[new_start : new_start + self._width] = chunk[start : start + self._width]
        self.give_back(place)

    def is_empty(self, place: int) -> bool:
        """Whether no slot of a run holds a record."""
        chunk, start = self.find(place, 0)
        return not any(chunk[start : start + self._width * _SLOTS : self._width])


class PackedRecords(MutableMapping[bytes, bytes]):
    """Records that are not empty, by names of eight bytes; iteration is in ascending order of names."""

    __slots__ = ("_count", "_frames", "_groups", "_long", "_shelves")

    def __init__(self) -> None:
        """Make an empty one."""
        self._groups: dict[int, array[int]] = {}
        self._shelves: dict[int, _Shelf] = {}
        self._frames = _Frames()
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
                record = self._frames.join(*shelf.find(run & _PLACE, number & _IN_RUN))
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
        split = self._frames.split(record)
        wanted, width = number >> _SLOT_BITS & _IN_GROUP, len(split)
        at = bisect_left(runs, wanted << _RUN_SHIFT)
        if at == len(runs) or runs[at] >> _RUN_SHIFT != wanted:
            runs.insert(at, self._take(wanted, width))
        elif runs[at] >> _PLACE_BITS & _WIDTH < width:
            runs[at] = self._widen(runs[at], width)
        shelf, place = self._open(runs[at])
        chunk, start = shelf.find(place, number & _IN_RUN)
        self._count += chunk[start] == _NO_RECORD
        chunk[start : start + width] = split  # what is left of a longer record behind it is never read

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
                    record = self._frames.join(*shelf.find(place, slot))
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
        (old, old_place), (new, new_place) = self._open(run), self._open(wider)
        old.move(old_place, new, new_place)
        return wider

    def _erase(self, number: int) -> None:
        """Empty a slot that holds a record, and give up what is empty then."""
        runs = self._groups[number >> _GROUP_BITS]
        at = bisect_left(runs, (number >> _SLOT_BITS & _IN_GROUP) << _RUN_SHIFT)
        shelf, place = self._open(runs[at])
        chunk, start = shelf.find(place, number & _IN_RUN)
        chunk[start] = _NO_RECORD
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

    def walk_plain(self, letter: int) -> Iterator[tuple[bytes, ValueT | bytes]]:
        """Every key that begins with the letter of a table that is not packed, and its record, in ascending order."""
        assert letter not in self._packed
        return ((key, self._plain[key]) for key in sorted(key for key in self._plain if key[0] == letter))

    def _find(self, key: bytes) -> PackedRecords | None:
        """Where a key is packed; None for a key of any other form, which stands among the others."""
        return self._packed.get(key[0]) if len(key) == KEY_BYTES else None


def _add_letter(letter: int, records: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    first = bytes((letter,))
    return ((first + name, record) for name, record in records)
