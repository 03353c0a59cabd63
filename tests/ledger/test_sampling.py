"""`ledger.sampling` against known answers and a second implementation, and against every way to lean on a draw.

Data: `seed` and `draws` of tests/vectors/sampling.json.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import FormatError
from ledger.limits import SAMPLE_COUNT_MAX, SAMPLE_DRAWN_MAX
from ledger.positions import BeaconRound, LeafIndex
from ledger.sampling import Purpose, compute_sample_nonce, compute_seed, draw_indices, pick_indices

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "sampling.json").read_text("utf-8"))
INPUTS: dict[str, Any] = {  # Any: arguments of several types
    "signature": bytes.fromhex(VECTORS["seed"]["signature"]) * 48,
    "block_digest": bytes.fromhex(VECTORS["seed"]["block_digest"]) * 32,
    "ledger_id": bytes.fromhex(VECTORS["seed"]["ledger_id"]) * 32,
    "beacon_round": BeaconRound(VECTORS["seed"]["round"]),
    "purpose": Purpose(VECTORS["seed"]["purpose"]),
    "lab": VECTORS["seed"]["lab"],
    "cluster": VECTORS["seed"]["cluster"],
    "inventory_leaf": bytes.fromhex(VECTORS["seed"]["inventory_leaf"]) * 32,
}
SEED = bytes(range(32))


def seed_of(population: int = 1000, **changes: Any) -> bytes:
    return compute_seed(**{**INPUTS, "population": population, **changes})


# --- a second implementation, from the text of the format alone -------------------------------------------------------


def plain_seed(*parts: bytes | str | int) -> bytes:
    """Hash parts in order: bytes as they are, text with its length as u16, numbers as u64."""
    hashed = hashlib.sha256(b"counterseal/sample/v1\n")
    for part in parts:
        if isinstance(part, str):
            hashed.update(bytes([len(part) >> 8, len(part) & 255]) + part.encode())
        else:
            hashed.update(part if isinstance(part, bytes) else bytes.fromhex(f"{part:016x}"))
    return hashed.digest()


def plain_draw(seed: bytes, population: int, count: int) -> list[int]:
    if count >= population:
        return list(range(population))
    drawn: list[int] = []
    number = 0
    while len(drawn) < count:
        word = int(hashlib.sha256(seed + bytes.fromhex(f"{number:016x}")).hexdigest()[:16], 16)
        number += 1
        whole_turns = (1 << 64) // population
        if word // population >= whole_turns:  # in the last turn, which is not whole
            continue
        if word % population not in drawn:
            drawn.append(word % population)
    return drawn


# --- known answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS["draws"], ids=lambda case: str(case["population"]))
def test_the_known_draws_come_out(case: dict[str, Any]) -> None:
    seed = seed_of(case["population"])
    assert list(draw_indices(seed, population=case["population"], count=case["count"])) == case["indices"]


def test_seed_and_nonce_are_hashes_over_exactly_these_parts() -> None:
    digest = hashlib.sha256(INPUTS["signature"]).digest()
    fixed = INPUTS["block_digest"], INPUTS["ledger_id"], 7, "spot", "lab-a", "c1", INPUTS["inventory_leaf"], 1000
    assert seed_of() == plain_seed(digest, *fixed)
    expected = hashlib.sha256(b"counterseal/sample-nonce/v1\n" + SEED + (5).to_bytes(8, "big")).digest()
    assert compute_sample_nonce(SEED, LeafIndex(5)) == expected


# --- seeds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": b"\x12" + INPUTS["signature"][1:]},
        {"block_digest": INPUTS["block_digest"][:-1] + b"\x45"},
        {"ledger_id": INPUTS["ledger_id"][:-1] + b"\x23"},
        {"beacon_round": BeaconRound(8)},
        *({"purpose": purpose} for purpose in Purpose if purpose != "spot"),
        {"lab": "lab-b"},
        {"cluster": "c2"},
        {"lab": "lab-ac", "cluster": "1"},
        {"inventory_leaf": INPUTS["inventory_leaf"][:-1] + b"\x34"},
        {"population": 1001},
    ],
    ids=str,
)
def test_every_input_changes_the_seed(changes: dict[str, Any]) -> None:
    assert seed_of(**changes) != seed_of()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"signature": bytes(47)}, "sample.signature"),
        ({"block_digest": bytes(31)}, "sample.block_digest"),
        ({"ledger_id": bytes(33)}, "sample.ledger_id"),
        ({"inventory_leaf": b""}, "sample.inventory_leaf"),
        ({"beacon_round": BeaconRound(-1)}, "sample.beacon_round"),
        ({"beacon_round": BeaconRound(2**64)}, "sample.beacon_round"),
        ({"population": 2**64}, "sample.population"),
        ({"population": -1}, "sample.population"),
        ({"lab": "a" * 65}, "sample.lab"),
        ({"cluster": "ü"}, "sample.cluster"),
    ],
)
def test_inputs_of_another_form_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FormatError) as caught:
        seed_of(**changes)
    assert caught.value.field == field


# --- draws -----------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32), st.integers(0, 400), st.integers(0, 120))
def test_a_draw_is_that_of_the_second_implementation(seed: bytes, population: int, count: int) -> None:
    assert list(draw_indices(seed, population=population, count=count)) == plain_draw(seed, population, count)


@given(st.integers(1, 2**64 - 1), st.integers(0, 30))
def test_a_draw_from_any_population_has_that_many_distinct_indices_inside_it(population: int, count: int) -> None:
    indices = draw_indices(SEED, population=population, count=count)
    assert len(indices) == len(set(indices)) == min(count, population)
    assert all(0 <= index < population for index in indices)
    assert list(indices) == plain_draw(SEED, population, count)


def test_a_longer_draw_begins_with_the_shorter_one() -> None:
    longest = draw_indices(SEED, population=90, count=89)
    for count in range(90):
        assert draw_indices(SEED, population=90, count=count) == longest[:count]


def test_as_many_as_there_are_means_all_in_order_and_none_of_none() -> None:
    assert draw_indices(SEED, population=1, count=1) == (0,)
    assert draw_indices(SEED, population=50, count=50) == tuple(range(50))
    assert draw_indices(SEED, population=50, count=10**30) == tuple(range(50))
    assert draw_indices(SEED, population=0, count=9) == ()
    everything = SAMPLE_DRAWN_MAX + 1  # nothing is hashed for it
    assert draw_indices(SEED, population=everything, count=everything) == tuple(range(everything))
    assert draw_indices(SEED, population=1, count=0) == ()


def test_a_word_that_would_favour_small_indices_is_skipped() -> None:
    population = 2**63 + 1  # so that every second word is beyond the last whole turn
    words = iter([2**64 - 1, 2**63 + 1, 2**63, 2**63, 5, 2**63 + 6, 6])
    assert pick_indices(words, population=population, count=3) == (2**63, 5, 6)
    assert list(words) == []
    assert list(draw_indices(SEED, population=population, count=20)) == plain_draw(SEED, population, 20)
    skipped = sum(
        int.from_bytes(hashlib.sha256(SEED + number.to_bytes(8, "big")).digest()[:8], "big") > 2**63
        for number in range(20)
    )
    assert 0 < skipped < 20  # the path was walked


def test_no_word_is_skipped_where_turns_are_whole() -> None:
    words: Iterator[int] = iter([2**64 - 1, 2**64 - 2])
    assert pick_indices(words, population=2**32, count=2) == (2**32 - 1, 2**32 - 2)


def test_every_index_is_drawn_about_equally_often() -> None:
    counts = Counter[int]()
    for number in range(2_000):
        counts.update(draw_indices(hashlib.sha256(b"%d" % number).digest(), population=50, count=10))
    expected = 2_000 * 10 / 50
    # Below the 99.9th percentile of chi squared at 49 degrees of freedom; the seeds are fixed, so is the outcome.
    assert sum((counts[index] - expected) ** 2 / expected for index in range(50)) < 85


@pytest.mark.parametrize(
    ("seed", "population", "count", "field"),
    [
        (bytes(31), 5, 2, "sample.seed"),
        (SEED, -1, 2, "sample.population"),
        (SEED, 2**64, 2, "sample.population"),
        (SEED, 5, -1, "sample.count"),
        (SEED, 2**40, SAMPLE_DRAWN_MAX + 1, "sample.count"),
        (SEED, SAMPLE_COUNT_MAX + 1, SAMPLE_COUNT_MAX + 1, "sample.count"),
        (SEED, 2**40, 2**40, "sample.count"),
    ],
)
def test_a_draw_of_another_form_or_without_bound_is_refused(
    seed: bytes, population: int, count: int, field: str
) -> None:
    with pytest.raises(FormatError) as caught:
        draw_indices(seed, population=population, count=count)
    assert caught.value.field == field


# --- nonces ----------------------------------------------------------------------------------------------------------


def test_a_nonce_is_of_one_seed_and_one_index() -> None:
    nonces = {compute_sample_nonce(seed, LeafIndex(index)) for seed in (SEED, bytes(32)) for index in range(50)}
    assert len(nonces) == 100
    with pytest.raises(FormatError, match=r"sample\.seed"):
        compute_sample_nonce(bytes(33), LeafIndex(0))
