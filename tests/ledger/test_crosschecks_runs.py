"""`ledger.crosschecks.runs`: cumulative figures follow, frozen runs stand still, caps hold, bases are not forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charter import Accelerator
from ledger.crosschecks.comparisons import Outcome
from ledger.crosschecks.figures import RunFigures
from ledger.crosschecks.runs import RunStanding, compare_lineage, compare_run, compare_run_operations, compare_runs

H100 = Accelerator(model="h100", peak_gflops=1_000_000, tdp_w=720, idle_w=72)  # 1 PFLOP/s a chip
A100 = Accelerator(model="a100", peak_gflops=312_000, tdp_w=400, idle_w=50)
ANNEX = {"h100": H100, "a100": A100}
quantities = st.integers(0, 2**63 - 1)


def check(pflop: int, cumulative: int, standing: RunStanding) -> list[tuple[str, Outcome]]:
    compared = compare_run("hall-1", RunFigures("big", pflop, cumulative), standing=standing)
    assert all(found.check == "X6" and found.subject == "hall-1" for found in compared)
    return [(found.field, found.outcome) for found in compared]


def outcome(pflop: int, cumulative: int, standing: RunStanding) -> Outcome:
    ((_, first), *_) = check(pflop, cumulative, standing)
    return first


@given(quantities, quantities, quantities, st.integers(-5, 5))
def test_a_cumulative_figure_is_the_one_before_and_the_intervals(before: int, base: int, pflop: int, off: int) -> None:
    for standing, start in (
        (RunStanding(previous_pflop=before, base_pflop=base), before),
        (RunStanding(base_pflop=base), base),
        (RunStanding(), 0),
    ):
        expected = Outcome.HOLDS if off == 0 else Outcome.FAILS
        assert outcome(pflop, start + pflop + off, standing) == expected


def test_a_frozen_run_that_grows_by_one_fails() -> None:
    standing = RunStanding(previous_pflop=1_000, is_frozen=True)
    cumulative, own = "runs.big.cumulative_pflop", "runs.big.pflop"
    assert check(0, 1_000, standing) == [(cumulative, Outcome.HOLDS), (own, Outcome.HOLDS)]
    assert check(1, 1_001, standing) == [(cumulative, Outcome.HOLDS), (own, Outcome.FAILS)]
    assert check(0, 1_001, standing) == [(cumulative, Outcome.FAILS), (own, Outcome.HOLDS)]


def test_a_cap_is_for_what_the_run_itself_spent() -> None:
    standing = RunStanding(previous_pflop=5_900, base_pflop=5_000, cap_pflop=1_000)
    assert check(100, 6_000, standing)[1] == ("runs.big.own_pflop", Outcome.HOLDS)
    assert check(101, 6_001, standing)[1] == ("runs.big.own_pflop", Outcome.FAILS)
    assert check(0, 0, RunStanding(cap_pflop=0))[1] == ("runs.big.own_pflop", Outcome.HOLDS)


def test_each_run_of_a_row_is_held_against_its_own_standing() -> None:
    runs = (RunFigures("a", 5, 15), RunFigures("new", 7, 7), RunFigures("b", 1, 3))
    standings = {"a": RunStanding(previous_pflop=10), "b": RunStanding(previous_pflop=1)}
    compared = compare_runs("hall-1", runs, standings=standings)
    assert [(found.field, found.outcome) for found in compared] == [
        ("runs.a.cumulative_pflop", Outcome.HOLDS),
        ("runs.new.cumulative_pflop", Outcome.HOLDS),
        ("runs.b.cumulative_pflop", Outcome.FAILS),
    ]
    assert compare_runs("hall-1", (), standings=standings) == ()


def test_runs_that_nobody_opened_or_knows_are_not_compared() -> None:
    (unopened,) = compare_runs("hall-1", None, standings={})
    (unknown,) = compare_runs("hall-1", (RunFigures("a", 5, 15),), standings=None)
    assert unopened.outcome == unknown.outcome == Outcome.NOT_COMPARABLE
    assert (unopened.reason, unknown.found) == ("not opened", "15")


def test_a_lineage_adds_up_or_is_not_known() -> None:
    for base, expected in ((90, Outcome.HOLDS), (89, Outcome.FAILS), (91, Outcome.FAILS), (0, Outcome.FAILS)):
        assert compare_lineage("big", cumulative_pflop=100, run_pflop=10, base_pflop=base).outcome == expected
    unknown = compare_lineage("big", cumulative_pflop=100, run_pflop=10, base_pflop=None)
    assert (unknown.outcome, unknown.found) == (Outcome.NOT_COMPARABLE, "100")


@pytest.mark.parametrize(
    ("pflop", "expected"),
    [
        (1_313, Outcome.FAILS),
        (1_312, Outcome.UNUSUAL),
        (919, Outcome.UNUSUAL),
        (918, Outcome.HOLDS),
        (14, Outcome.HOLDS),
        (13, Outcome.UNUSUAL),
    ],
)
def test_a_runs_own_operations_are_at_most_the_peak_of_its_chips(pflop: int, expected: Outcome) -> None:
    chip_seconds = {"h100": 1_000, "a100": 1_000}  # 1 312 PFLOP at peak
    found = compare_run_operations("big", run_pflop=pflop, chip_seconds=chip_seconds, accelerators=ANNEX)
    assert (found.check, found.field, found.outcome) == ("X3", "run_pflop", expected)


def test_a_run_on_unknown_chips_is_not_compared() -> None:
    for chip_seconds, reason in (
        (None, "its chip-seconds are not known"),
        ({"b200": 5, "b100": 1}, "the charter's annex has no figures of b100, b200"),
    ):
        found = compare_run_operations("big", run_pflop=1, chip_seconds=chip_seconds, accelerators=ANNEX)
        assert (found.outcome, found.reason) == (Outcome.NOT_COMPARABLE, reason)
