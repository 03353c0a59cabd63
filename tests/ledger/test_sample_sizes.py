"""`ledger.sample_sizes` against tables, against counting every sample there is, and at its bounds.

Data: `sizes` and `sizes_of_independent_draws` of tests/vectors/sampling.json.
"""

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import FormatError
from ledger.limits import SAMPLE_HITS_MAX, SAMPLE_POPULATION_MAX
from ledger.sample_sizes import compute_confidence_permille, compute_sample_size

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "sampling.json").read_text("utf-8"))


def compute_miss(population: int, bad: int, size: int, hits: int) -> Fraction:
    """Compute the chance of fewer than `hits` bad units, unit by unit: another way than binomial coefficients."""
    chances = [Fraction(1)] + [Fraction(0)] * hits  # by how many bad ones so far; the last counts all from `hits` on
    for drawn in range(size):
        after = [Fraction(0)] * (hits + 1)
        for found, chance in enumerate(chances[:hits]):
            is_bad = Fraction(max(bad - found, 0), population - drawn)
            after[found + 1] += chance * is_bad
            after[found] += chance * (1 - is_bad)
        after[hits] += chances[hits]
        chances = after
    return sum(chances[:hits], Fraction(0))


@pytest.mark.parametrize("case", VECTORS["sizes"], ids=str)
def test_the_tabled_sizes_come_out(case: dict[str, int]) -> None:
    for confidence in (950, 990):
        question = {"population": case["population"], "bad_count": case["bad"], "hits": case["hits"]}
        assert compute_sample_size(**question, confidence_permille=confidence) == case[f"size_{confidence}"]


@pytest.mark.parametrize("case", VECTORS["sizes_of_independent_draws"], ids=str)
def test_independent_draws_need_no_less_and_in_a_large_population_hardly_more(case: dict[str, int]) -> None:
    share = Fraction(case["permille"], 1000)
    question = {"population": 10**6, "bad_count": 1000 * case["permille"], "hits": case["hits"]}
    for confidence in (950, 990):
        tabled = case[f"size_{confidence}"]
        misses = [
            sum(math.comb(size, j) * share**j * (1 - share) ** (size - j) for j in range(case["hits"]))
            for size in (tabled - 1, tabled)
        ]
        assert misses[0] > Fraction(1000 - confidence, 1000) >= misses[1]
        assert compute_sample_size(**question, confidence_permille=confidence) in {tabled - 1, tabled}


def test_the_tables_of_the_documentation_are_the_exact_figures() -> None:
    page = (Path(__file__).parents[2] / "docs" / "inspections.md").read_text(encoding="utf-8")
    checked = 0
    for hits, heading in ((1, "**at least one**"), (2, "**At least two**")):
        lines = page.split(heading)[1].split("\n\n")[1].splitlines()
        shares = [Fraction(cell.strip(" bad%")) / 100 for cell in lines[0].split("|")[2:-1]]
        for line in lines[2:]:
            population, *cells = (cell.strip().replace(" ", "") for cell in line.split("|")[1:-1])
            for share, cell in zip(shares, cells, strict=True):
                bad = int(int(population) * share)
                sizes = [
                    compute_sample_size(population=int(population), bad_count=bad, confidence_permille=sure, hits=hits)
                    for sure in (950, 990)
                ]
                assert [int(size) for size in cell.split("/")] == sizes, (hits, line)
                checked += 1
    assert checked == 42
    assert compute_confidence_permille(population=10_000, bad_count=100, sample_size=52) == 407


def test_what_is_counted_is_every_sample_there_is() -> None:
    population, bad = 9, 3
    for size, hits in itertools.product(range(population + 1), range(1, 5)):
        samples = list(itertools.combinations(range(population), size))
        found = sum(sum(unit < bad for unit in sample) >= hits for sample in samples)
        confidence = compute_confidence_permille(population=population, bad_count=bad, sample_size=size, hits=hits)
        assert confidence == found * 1000 // len(samples), (size, hits)


questions = st.integers(1, 60).flatmap(
    lambda population: st.integers(1, population).flatmap(
        lambda bad: st.tuples(st.just(population), st.just(bad), st.integers(1, min(bad, SAMPLE_HITS_MAX)))
    )
)


@given(questions, st.integers(1, 1000))
def test_a_size_is_enough_and_one_less_is_not(question: tuple[int, int, int], confidence: int) -> None:
    population, bad, hits = question
    size = compute_sample_size(population=population, bad_count=bad, confidence_permille=confidence, hits=hits)
    most = Fraction(1000 - confidence, 1000)
    assert hits <= size <= population - bad + hits
    assert compute_miss(population, bad, size, hits) <= most
    assert compute_miss(population, bad, size - 1, hits) > most


@given(questions, st.data())
def test_a_confidence_is_the_exact_one_rounded_down(question: tuple[int, int, int], more: st.DataObject) -> None:
    population, bad, hits = question
    size = more.draw(st.integers(0, population))
    confidence = compute_confidence_permille(population=population, bad_count=bad, sample_size=size, hits=hits)
    assert confidence == math.floor(1000 * (1 - compute_miss(population, bad, size, hits)))


def test_size_and_confidence_answer_each_other_in_a_large_population() -> None:
    for bad, hits, confidence in itertools.product((1, 40, 2_145, 5_000, 300_000), (1, 3, 25), (500, 950, 999)):
        if bad < hits:
            continue
        question = {"population": 10**6, "bad_count": bad, "hits": hits}
        size = compute_sample_size(**question, confidence_permille=confidence)
        assert compute_confidence_permille(**question, sample_size=size) >= confidence
        assert compute_confidence_permille(**question, sample_size=size - 1) < confidence


def test_certainty_needs_all_good_units_and_then_some() -> None:
    assert compute_sample_size(population=100, bad_count=7, confidence_permille=1000) == 94
    assert compute_sample_size(population=100, bad_count=7, confidence_permille=1000, hits=7) == 100
    assert compute_sample_size(population=100, bad_count=7, confidence_permille=0) == 0
    assert compute_confidence_permille(population=100, bad_count=7, sample_size=94) == 1000
    assert compute_confidence_permille(population=100, bad_count=7, sample_size=93) == 999


def test_all_but_certainty_is_never_called_certainty_however_large_the_numbers() -> None:
    half = SAMPLE_POPULATION_MAX // 2
    question = {"population": SAMPLE_POPULATION_MAX, "bad_count": half}
    assert compute_confidence_permille(**question, sample_size=half) == 999
    assert compute_confidence_permille(**question, sample_size=half + 1) == 1000
    assert compute_confidence_permille(population=10**6, bad_count=20_000, sample_size=4_500, hits=32) == 999


def test_what_is_not_there_is_not_found() -> None:
    assert compute_confidence_permille(population=100, bad_count=0, sample_size=100) == 0
    assert compute_confidence_permille(population=100, bad_count=1, sample_size=100, hits=2) == 0
    with pytest.raises(FormatError, match=r"sample\.hits"):
        compute_sample_size(population=100, bad_count=0, confidence_permille=950)
    with pytest.raises(FormatError, match=r"sample\.hits"):
        compute_sample_size(population=100, bad_count=1, confidence_permille=950, hits=2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"population": 0}, "sample.population"),
        ({"population": SAMPLE_POPULATION_MAX + 1}, "sample.population"),
        ({"bad_count": -1}, "sample.bad_count"),
        ({"bad_count": 101}, "sample.bad_count"),
        ({"hits": 0}, "sample.hits"),
        ({"hits": SAMPLE_HITS_MAX + 1}, "sample.hits"),
        ({"confidence_permille": -1}, "sample.confidence_permille"),
        ({"confidence_permille": 1001}, "sample.confidence_permille"),
        ({"sample_size": -1}, "sample.size"),
        ({"sample_size": 101}, "sample.size"),
    ],
)
def test_a_question_without_sense_is_refused(changes: dict[str, int], field: str) -> None:
    question = {"population": 100, "bad_count": 50, "hits": 1} | changes
    asked = {"sample_size": 9} | question if "sample_size" in changes else {"confidence_permille": 950} | question
    compute = compute_confidence_permille if "sample_size" in changes else compute_sample_size
    with pytest.raises(FormatError) as caught:
        compute(**asked)
    assert caught.value.field == field


@given(population=st.integers(1, 60), bad=st.integers(1, 60), confidence=st.integers(1, 999), draws=st.integers(1, 30))
def test_several_draws_are_each_the_smallest_that_together_make_sure(
    population: int, bad: int, confidence: int, draws: int
) -> None:
    bad = min(bad, population)
    size = compute_sample_size(population=population, bad_count=bad, confidence_permille=confidence, draws=draws)
    allowed = Fraction(1000 - confidence, 1000)
    assert compute_miss(population, bad, size, 1) ** draws <= allowed
    assert size == 1 or compute_miss(population, bad, size - 1, 1) ** draws > allowed
    whole = compute_sample_size(population=population, bad_count=bad, confidence_permille=confidence)
    assert -(-whole // draws) <= size <= whole


@pytest.mark.parametrize("draws", [0, -1, 1025])
def test_so_many_draws_are_refused(draws: int) -> None:
    with pytest.raises(FormatError, match="draws"):
        compute_sample_size(population=9, bad_count=1, confidence_permille=900, draws=draws)
