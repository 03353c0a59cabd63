"""`lab.drawn_samples`: of what a node has, the sample that must be answered first, and only if it is proven."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from lab.answering import DrawnSample
from lab.client import Client, Sealed
from lab.drawn_samples import Wanted, find_drawn
from ledger.charter import Charter
from ledger.errors import Code, ConditionError
from ledger.merkle import Hash, leaf_hash
from ledger.positions import BeaconRound, LeafIndex, Millis
from ledger.rules.records.inspections import Drawn
from ledger.rules.samples import make_sample
from ledger.statements.beacons import Sample, encode_sample
from tests.lab.test_answering import LEDGER, make_beacon
from tests.lab.vaults import LAB

CHARTER: Charter = LEDGER.charter
NOW = Millis(2_000_000)
BEACONS = (make_beacon(6), make_beacon(7))


class Node:
    """What one node says, in the place of a client: it may prove less than it lists."""

    def __init__(self, *entries: bytes, unproven: bool = False) -> None:
        self._entries, self._unproven = entries, unproven

    async def read_newest(self, count: int) -> tuple[bytes, ...]:
        return self._entries[-count:]

    async def fetch_receipt(self, leaf: Hash) -> Sealed:
        if self._unproven:
            raise ConditionError(field="leaf", found=leaf.hex(), expected="an entry", code=Code.NOT_FOUND)
        entry = next(each for each in self._entries if leaf_hash(each) == leaf)
        return cast("Sealed", Proven(entry))


class Proven(msgspec.Struct):
    entry: bytes


def sample(number: int, *, time_ms: int = 1_990_000, **changes: Any) -> bytes:
    made: Sample = make_sample(
        CHARTER, Drawn(b"\x01" * 48, b"\x07" * 32, LeafIndex(0)), beacon_round=BeaconRound(number), lab=LAB,
        cluster="hall-1", inventory_leaf=b"\x02" * 32, population=40, time_ms=Millis(time_ms),
    )  # fmt: skip
    return encode_sample(msgspec.structs.replace(made, **changes))


def find(*entries: bytes, unproven: bool = False, **wanted: Any) -> DrawnSample:
    said = {"answered": frozenset[str](), **wanted}
    node = cast("Client", Node(*entries, unproven=unproven))
    return asyncio.run(find_drawn(node, Wanted(LAB, **said), now_ms=NOW))


def test_the_one_that_must_be_answered_first_comes_first_and_those_that_are_over_last() -> None:
    over, soon, later = sample(7, time_ms=1_000_000), sample(6), sample(7, time_ms=1_995_000)
    assert find(*BEACONS, over, later, soon) == DrawnSample(soon, find(*BEACONS, soon).sample, BEACONS[0])
    assert find(*BEACONS, over, later).entry == later
    assert find(*BEACONS, over).entry == over


def test_what_is_answered_another_labs_or_not_asked_for_is_passed_over() -> None:
    both = (*BEACONS, sample(6), sample(7))
    assert find(*both, answered=frozenset({"hall-1/6/spot"})).sample.round == 7
    assert find(*both, beacon_round=7).sample.round == 7
    for entries, wanted in (
        ((*BEACONS, sample(6, lab="lab-b")), {}),
        (both, {"cluster": "hall-2"}),
        (both, {"beacon_round": 8}),
        (BEACONS, {}),
        ((), {}),
    ):
        with pytest.raises(ConditionError) as caught:
            find(*entries, **wanted)
        assert caught.value.code is Code.NOT_READY


def test_what_a_node_made_up_is_passed_over_and_what_it_cannot_prove_is_not_believed() -> None:
    assert find(b"", b"{}", b"\xff", sample(6)[:-1], *BEACONS, sample(6)).sample.round == 6
    with pytest.raises(ConditionError) as caught:
        find(*BEACONS, sample(6), unproven=True)
    assert caught.value.code is Code.NOT_FOUND


def test_without_its_beacon_a_sample_is_asked_for_as_files() -> None:
    with pytest.raises(ConditionError) as caught:
        find(BEACONS[1], sample(6))
    assert (caught.value.field, caught.value.code) == ("beacon", Code.CONFIG)
