"""Packed records: a dictionary in all that can be seen, and how little room it takes."""

import random
import sys
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.rules.packing import FRAMES_MAX, KEY_BYTES, NAME_BYTES, PACKED_BYTES_MAX, PackedRecords, RootRecords
from ledger.rules.record import encode_record
from ledger.rules.records.filings import Filing

LENGTHS = (1, 2, 43, 75, 76, 255, 256, 257, PACKED_BYTES_MAX - 1, PACKED_BYTES_MAX, PACKED_BYTES_MAX + 1, 5_000)
"""About every border: the longest record whose frame is looked for, the longest packed one, those that stand alone."""

NUMBERS = st.one_of(
    st.integers(0, 40),  # in and around one run
    st.integers(4_080, 4_110),  # on both sides of a group's end
    st.builds(lambda lab, interval: lab << 32 | interval, st.integers(0, 3), st.integers(0, 70)),
    st.integers(0, 2**64 - 1),
)
RECORDS = st.builds(lambda length, byte: bytes((byte,)) * length, st.sampled_from(LENGTHS), st.integers(0, 255))
STEPS = st.lists(st.tuples(NUMBERS, st.one_of(RECORDS, st.none())), max_size=80)


def name_of(number: int) -> bytes:
    return number.to_bytes(NAME_BYTES, "big")


@settings(deadline=None)
@given(STEPS)
def test_packed_records_are_a_dictionary_in_ascending_order(steps: list[tuple[int, bytes | None]]) -> None:
    packed, plain = PackedRecords(), dict[bytes, bytes]()
    for number, record in steps:
        name = name_of(number)
        if record is None:
            assert packed.pop(name, None) == plain.pop(name, None)
        else:
            packed[name] = plain[name] = record
        assert packed.get(name) == plain.get(name)
        assert (name in packed) == (name in plain)
        assert len(packed) == len(plain)
    assert list(packed.walk()) == sorted(plain.items())
    assert list(packed) == sorted(plain)
    assert {name: packed[name] for name in plain} == plain


@settings(deadline=None)
@given(STEPS)
def test_what_was_taken_out_leaves_its_room_to_others(steps: list[tuple[int, bytes | None]]) -> None:
    packed = PackedRecords()
    held: list[int] = []
    for _ in range(3):
        for number, record in steps:
            if record is not None:
                packed[name_of(number)] = record
        held.append(_count_chunks(packed))
        for name in list(packed):
            del packed[name]
        assert (len(packed), list(packed)) == (0, [])
    assert held == held[:1] * 3


def _count_chunks(packed: PackedRecords) -> int:
    return sum(len(shelf._chunks) for shelf in packed._shelves.values())


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(b"ABJKZ"), NUMBERS, st.one_of(RECORDS, st.none())), max_size=60))
def test_a_root_walks_packed_and_other_records_in_the_order_of_keys(steps: list[tuple[int, int, bytes | None]]) -> None:
    root: RootRecords[str] = RootRecords(b"JB")
    plain: dict[bytes, str | bytes] = {}
    for letter, number, record in steps:
        is_packed = letter in b"JB"
        key = bytes((letter,)) + (name_of(number) if is_packed or number % 2 else b"a name of another length")
        if record is None:
            assert root.pop(key, None) == plain.pop(key, None)
        else:
            root[key] = plain[key] = record if is_packed else record.hex()
        assert root.get(key) == plain.get(key)
        assert (key in root, len(root)) == (key in plain, len(plain))
    assert list(root.walk()) == sorted(plain.items())
    assert list(root) == sorted(plain)


def test_a_packed_table_takes_a_key_of_another_length_as_any_other() -> None:
    root: RootRecords[str] = RootRecords(b"J")
    keys = [b"J", b"J" + bytes(NAME_BYTES - 1), b"J" + bytes(NAME_BYTES), b"J" + bytes(NAME_BYTES + 1)]
    for key in reversed(keys):
        root[key] = b"raw"
    assert list(root.walk()) == [(key, b"raw") for key in keys]
    assert [len(key) for key in keys].count(KEY_BYTES) == 1


@pytest.mark.parametrize("act", [lambda packed: packed[bytes(8)], lambda packed: packed.__delitem__(bytes(8))])
def test_what_is_not_there_is_a_key_error(act: Callable[[PackedRecords], object]) -> None:
    packed = PackedRecords()
    packed[name_of(1)] = b"beside it"
    with pytest.raises(KeyError):
        act(packed)


def test_ten_thousand_filings_take_less_than_their_bytes() -> None:
    packed, draw, size = PackedRecords(), random.Random(1).randbytes, 0
    for interval in range(365):
        for lab in range(30):
            name, rows = name_of(lab << 32 | interval), draw(35)
            packed[name] = encode_record(Filing(0, is_contested=False, is_queued=False, latest=b"", rows=rows))
            record = encode_record(Filing(1, is_contested=False, is_queued=False, latest=draw(32), rows=rows))
            packed[name] = record
            size += len(record)
    chunks = sum(sys.getsizeof(chunk) for shelf in packed._shelves.values() for chunk in shelf._chunks)
    arrays = sum(sys.getsizeof(runs) for runs in packed._groups.values())
    assert chunks + arrays < size


MEMBERS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=40), st.text(max_size=40)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.lists(MEMBERS, max_size=5).map(msgspec.msgpack.encode), st.binary(min_size=1)), max_size=8)
)
def test_every_record_comes_out_of_its_frame_as_it_went_in(records: list[bytes]) -> None:
    packed = PackedRecords()
    for number, record in enumerate(records):
        packed[name_of(number)] = record
    assert [record for _, record in packed.walk()] == records


@given(st.data())
def test_what_is_nearly_messagepack_comes_out_too(data: st.DataObject) -> None:
    record = bytearray(encode_record(Filing(1, is_contested=False, is_queued=True, latest=b"l" * 32, rows=b"r" * 35)))
    for _ in range(data.draw(st.integers(1, 3))):
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    record = record[: data.draw(st.integers(1, len(record)))]
    packed = PackedRecords()
    packed[name_of(5)] = bytes(record)
    assert packed[name_of(5)] == record


def test_more_frames_than_have_numbers_only_take_more_room() -> None:
    records = [msgspec.msgpack.encode([a, b, b"content"]) for a in range(20) for b in range(20)]
    assert len(records) > FRAMES_MAX
    packed = PackedRecords()
    for number, record in enumerate(records):
        packed[name_of(number)] = record
    assert [record for _, record in packed.walk()] == records
    assert len(packed._frames._frames) == FRAMES_MAX + 1


def test_a_put_moves_no_more_than_a_run_and_a_group() -> None:
    packed = PackedRecords()
    for number in range(100_000):
        packed[name_of(number)] = b"r" * 75
    assert max(len(runs) for runs in packed._groups.values()) == 256
    assert all(len(chunk) <= 16_384 for shelf in packed._shelves.values() for chunk in shelf._chunks)
