"""What waits: bounded in all and for each issuer, in order, and exactly counted."""

import random

import pytest

from ledger.errors import Code, ConditionError
from ledger.limits import ENTRY_BYTES_MAX
from ledger.positions import Millis, Sequence
from ledger.rules.entries import PreparedEntry, prepare_entry
from node.mempool import ISSUERS_SHARING_MIN, Mempool, MempoolLimits, PendingEntry
from tests.ledger.rulebook import Key
from tests.node.statements import Issuer

LEDGER = "ab" * 32
KEY = Key("avalon")


def entry_of(issuer: str, sequence: int) -> PreparedEntry:
    nation = Issuer(issuer, LEDGER, KEY.signer, sequence=sequence)
    return prepare_entry(nation.register("lab"))


def pending(issuer: str, sequence: int, arrived_ms: int = 0) -> PendingEntry:
    return PendingEntry(entry_of(issuer, sequence), issuer, Sequence(sequence), Millis(arrived_ms))


def make_mempool(*, bytes_max: int = 1 << 24, entries_max: int = 100, each: int = 10) -> Mempool:
    return Mempool(MempoolLimits(bytes_max=bytes_max, entries_max=entries_max, entries_per_issuer_max=each))


def refusal_of(mempool: Mempool, issuer: str, size: int) -> Code:
    with pytest.raises(ConditionError) as caught:
        mempool.require_room(issuer, size)
    return caught.value.code


def test_entries_come_out_as_they_came_in() -> None:
    mempool = make_mempool()
    arrived = [pending(f"n{number % 3}", number, number) for number in range(9)]
    for each in arrived:
        mempool.add(each)
    assert list(mempool) == arrived
    assert mempool.of_issuer("n1") == [arrived[1], arrived[4], arrived[7]]
    assert mempool.oldest_ms() == 0
    assert mempool.at("n2", Sequence(5)) == arrived[5].prepared.leaf_hash
    assert mempool.at("n2", Sequence(6)) is None


def test_one_issuer_cannot_crowd_out_the_others_by_number() -> None:
    mempool = make_mempool(each=3)
    for sequence in range(3):
        mempool.require_room("n1", 1000)
        mempool.add(pending("n1", sequence))
    assert refusal_of(mempool, "n1", 1) is Code.QUOTA_EXCEEDED
    mempool.require_room("n2", 1000)


def test_one_issuer_cannot_crowd_out_the_others_by_bytes() -> None:
    limits = MempoolLimits(bytes_max=ISSUERS_SHARING_MIN * 100_000, entries_max=100, entries_per_issuer_max=100)
    mempool = Mempool(limits)
    mempool.add(pending("n1", 0))
    room = limits.bytes_per_issuer_max - mempool.bytes
    mempool.require_room("n1", room)
    assert refusal_of(mempool, "n1", room + 1) is Code.QUOTA_EXCEEDED
    mempool.require_room("n2", room + 1)


def test_the_smallest_share_still_takes_the_largest_entry() -> None:
    make_mempool(bytes_max=ENTRY_BYTES_MAX).require_room("n1", ENTRY_BYTES_MAX)


def test_all_together_are_bounded_in_number_and_bytes() -> None:
    mempool = make_mempool(entries_max=2, each=2)
    mempool.add(pending("n1", 0))
    mempool.add(pending("n2", 0))
    assert refusal_of(mempool, "n3", 1) is Code.MEMPOOL_FULL
    full = make_mempool(bytes_max=2 * ENTRY_BYTES_MAX)
    for number in range(20):
        full.add(pending(f"n{number}", 0))
    room = 2 * ENTRY_BYTES_MAX - full.bytes
    full.require_room("other", min(room, ENTRY_BYTES_MAX))
    full.add(pending("n20", 0))
    assert refusal_of(full, "other", 2 * ENTRY_BYTES_MAX - full.bytes + 1) in {Code.MEMPOOL_FULL, Code.QUOTA_EXCEEDED}


def test_after_any_coming_and_going_nothing_is_left() -> None:
    drawn = random.Random(7)
    mempool = make_mempool()
    waiting = [pending(f"n{number % 4}", number) for number in range(40)]
    drawn.shuffle(waiting)
    for each in waiting:
        mempool.add(each)
    assert mempool.bytes == sum(len(each.prepared.raw) for each in waiting)
    drawn.shuffle(waiting)
    for each in waiting:
        assert mempool.remove(each.prepared.leaf_hash) is each
        assert mempool.remove(each.prepared.leaf_hash) is None
    assert (len(mempool), mempool.bytes, mempool.oldest_ms()) == (0, 0, None)
    assert mempool._issuer_bytes == {}
    assert mempool._by_issuer == {}
