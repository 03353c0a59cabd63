"""`ledger.crosschecks.histories`: a run's figures grow by what it did, and begin at what is in its base model."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.crosschecks.histories import RunWord, compare_base, compare_reported
from ledger.crosschecks.histories import compare_history as compare_all
from ledger.statements.runs import RunState

STATES: tuple[RunState, ...] = ("started", "frozen", "completed")


def word(
    number: int, run: int | None, *, base: int = 0, state: RunState = "started", cap: int | None = 10**6
) -> RunWord:
    cumulative = None if run is None else run + base
    return RunWord(number=number, state=state, cap_pflop=cap, run_pflop=run, cumulative_pflop=cumulative)


def compare_history(run: str, words: list[RunWord], *, is_whole: bool = True) -> tuple[Comparison, ...]:
    return compare_all(run, words, is_whole=is_whole)


def list_failed(compared: tuple[Comparison, ...]) -> list[tuple[str, str]]:
    return [(found.subject, found.field) for found in compared if found.outcome == Outcome.FAILS]


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=6), st.integers(0, 10**6))
def test_a_run_that_grows_by_what_it_did_holds_whatever_its_base_model_is(steps: list[int], base: int) -> None:
    words = [word(number, sum(steps[:number]), base=base) for number in range(len(steps) + 1)]
    assert list_failed(compare_history("r", words)) == []
    assert len({found.outcome for found in compare_history("r", words)}) == 1


@given(st.integers(0, 1_000), st.integers(0, 1_000), st.integers(-500, 500).filter(bool))
def test_a_total_that_does_not_follow_from_the_last_one_fails(before: int, did: int, off: int) -> None:
    first, second = word(0, before, base=700), word(1, before + did, base=700)
    assert second.cumulative_pflop is not None
    wrong = replace(second, cumulative_pflop=second.cumulative_pflop + off)
    assert list_failed(compare_history("r", [first, wrong])) == [("r, number 1", "runs.r.cumulative_pflop")]


def test_a_run_never_shrinks_and_a_frozen_one_stands_still() -> None:
    assert list_failed(compare_history("r", [word(0, 5), word(1, 4)])) == [("r, number 1", "run_pflop")]
    frozen = word(1, 5, state="frozen")
    for state in STATES:
        assert list_failed(compare_history("r", [word(0, 5), frozen, word(2, 5, state=state)])) == []
        grown = compare_history("r", [word(0, 5), frozen, word(2, 6, state=state)])
        assert list_failed(grown) == [("r, number 2", "runs.r.pflop")]
        between = compare_history("r", [word(0, 5), frozen, word(2, 6, state=state)], is_whole=False)
        assert list_failed(between) == [], "it may have gone on and grown in a statement that is not here"


def test_a_run_stays_within_a_cap_that_stays() -> None:
    assert list_failed(compare_history("r", [word(0, 9, cap=9), word(1, 9, cap=9)])) == []
    assert list_failed(compare_history("r", [word(0, 9, cap=8)])) == [("r, number 0", "run_pflop")]
    assert list_failed(compare_history("r", [word(0, 9, cap=9), word(1, 10, cap=10)])) == [("r, number 1", "cap_pflop")]


def test_what_was_not_opened_is_not_compared_and_hides_nothing_else() -> None:
    words = [word(0, 5), word(1, None), word(2, 6), word(3, 4)]
    compared = compare_history("r", words)
    assert list_failed(compared) == [("r, number 3", "run_pflop")]
    unopened = [found for found in compared if found.outcome == Outcome.NOT_COMPARABLE]
    assert {found.subject for found in unopened} == {"r, number 1", "r, number 2"}
    assert all(found.reason for found in unopened)


BASE = [word(0, 0, state="declared"), word(1, 300), word(2, 800, state="completed")]


@pytest.mark.parametrize(
    ("in_base", "base", "outcome"),
    [
        (0, None, Outcome.HOLDS),
        (1, None, Outcome.FAILS),
        (800, BASE, Outcome.HOLDS),
        (300, BASE, Outcome.HOLDS),
        (500, BASE, Outcome.UNUSUAL),
        (0, BASE, Outcome.FAILS),
        (-10, BASE, Outcome.FAILS),
        (801, BASE, Outcome.FAILS),
        (801, BASE[:2], Outcome.NOT_COMPARABLE),
        (0, BASE[:2], Outcome.FAILS),
        (0, [], Outcome.NOT_COMPARABLE),
        (0, BASE[:1], Outcome.NOT_COMPARABLE),
        (800, [word(1, None)], Outcome.NOT_COMPARABLE),
    ],
)
def test_a_run_begins_with_what_its_base_model_came_to(
    in_base: int, base: list[RunWord] | None, outcome: Outcome
) -> None:
    found = compare_base("r", word(5, 40, base=in_base), base=base)
    assert (found.check, found.subject, found.outcome) == ("X6", "r, number 5", outcome)


@pytest.mark.parametrize(
    ("run", "reported", "outcome"),
    [
        (10, 10, Outcome.HOLDS),
        (11, 10, Outcome.HOLDS),
        (9, 10, Outcome.FAILS),
        (9, None, Outcome.NOT_COMPARABLE),
        (None, 10, Outcome.NOT_COMPARABLE),
    ],
)
def test_a_total_is_at_least_what_reports_add_up_to(run: int | None, reported: int | None, outcome: Outcome) -> None:
    assert compare_reported("r", word(2, run), reported_pflop=reported).outcome == outcome
