"""The grid: intervals, deadlines, and what an outage does to them."""

import pytest

from ledger import charter
from ledger.positions import Interval, Millis, Seconds
from ledger.rules.grid import (
    Grid,
    Outage,
    compute_deadlines,
    compute_end_ms,
    compute_grid,
    compute_next_interval,
    compute_outage_threshold_ms,
    is_outage,
)

GRID = Grid(start_ms=1_000, interval_ms=100, submit_window_ms=50, grace_ms=30, correction_window_ms=200)


def test_the_charter_counts_in_seconds_and_the_rules_in_milliseconds() -> None:
    terms = charter.Grid(
        start=Seconds(7),
        interval_s=Seconds(86_400),
        submit_window_s=Seconds(5),
        grace_s=Seconds(4),
        correction_window_s=Seconds(3),
        challenge_window_s=Seconds(2),
    )
    assert compute_grid(terms) == Grid(7_000, 86_400_000, 5_000, 4_000, 3_000)


@pytest.mark.parametrize(
    ("time_ms", "interval"), [(0, 0), (999, 0), (1_000, 1), (1_099, 1), (1_100, 2), (1_101, 2), (1_199, 2)]
)
def test_what_is_new_counts_from_the_next_boundary_strictly_after(time_ms: int, interval: int) -> None:
    assert compute_next_interval(GRID, Millis(time_ms)) == interval


def test_windows_follow_one_another_from_the_end_of_the_interval() -> None:
    assert compute_end_ms(GRID, Interval(0)) == 1_100
    assert compute_deadlines(GRID, Interval(0)) == (1_150, 1_180, 1_350)
    assert compute_deadlines(GRID, Interval(3)) == (1_450, 1_480, 1_650)


def test_a_silence_is_an_outage_only_if_an_interval_ran_its_whole_course_in_it() -> None:
    assert compute_outage_threshold_ms(GRID) == 280
    assert not is_outage(GRID, previous_ms=Millis(1_001), time_ms=Millis(1_281))
    assert is_outage(GRID, previous_ms=Millis(1_001), time_ms=Millis(1_282))
    assert compute_deadlines(GRID, Interval(1)).grace_ms == 1_280  # interval 1, from 1 100


@pytest.mark.parametrize(
    ("outage", "due", "grace", "why"),
    [
        (Outage(900, 1_099), 1_150, 1_180, "over before the interval ended"),
        (Outage(900, 1_100), 1_150, 1_180, "over when the interval ended"),
        (Outage(900, 1_101), 1_151, 1_181, "one millisecond of the window lost"),
        (Outage(1_110, 1_310), 1_350, 1_380, "all of it after the end"),
        (Outage(1_149, 1_300), 1_301, 1_331, "began one millisecond before due, which is what is left"),
        (Outage(1_150, 1_310), 1_150, 1_340, "began at due, which had passed: only grace moves"),
        (Outage(1_179, 1_400), 1_150, 1_401, "began one millisecond before the end of grace"),
        (Outage(1_180, 1_400), 1_150, 1_180, "began when grace had passed"),
    ],
)
def test_an_outage_moves_what_was_open_by_what_it_took(outage: Outage, due: int, grace: int, why: str) -> None:
    deadlines = compute_deadlines(GRID, Interval(0), (outage,))
    assert (deadlines.due_ms, deadlines.grace_ms) == (due, grace), why
    assert deadlines.correction_ms == due + 200


def test_a_second_outage_counts_if_the_first_kept_the_window_open() -> None:
    first, second = Outage(1_110, 1_310), Outage(1_340, 1_500)
    assert compute_deadlines(GRID, Interval(0), (first, second)).due_ms == 1_350 + 160
    assert compute_deadlines(GRID, Interval(0), (second,)).due_ms == 1_150
