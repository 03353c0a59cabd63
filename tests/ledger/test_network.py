"""The one word for the network: a ledger that stands still, or of which there are two, never looks good."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charter import parse_charter
from ledger.network import (
    BLIND_INTERVALS,
    SILENCE_MIN_MS,
    NetworkReason,
    NetworkReport,
    NetworkState,
    judge_network,
)
from ledger.positions import Millis
from ledger.statements.verdicts import VerdictState
from tests.ledger.rulebook import INTERVAL_S
from tests.observer.fakeledger import Founders, make_charter_entry

CHARTER = parse_charter(make_charter_entry(Founders(0), snapshot_interval=0))
HEAD_MS = 1_800_000_000_000
LIMIT_MS = BLIND_INTERVALS * INTERVAL_S * 1000


def judge(
    states: Sequence[VerdictState] = (), *, age_ms: int = 0, silence_ms: int | None = 0, forks_count: int = 0
) -> NetworkReport:
    return judge_network(
        CHARTER,
        head_ms=Millis(HEAD_MS),
        asked_ms=None if silence_ms is None else Millis(HEAD_MS + silence_ms),
        now_ms=Millis(HEAD_MS + age_ms),
        forks_count=forks_count,
        states=states,
    )


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], NetworkState.HOLDING),
        ([VerdictState.COMPLIANT, VerdictState.PENDING], NetworkState.HOLDING),
        ([VerdictState.COMPLIANT, VerdictState.LATE], NetworkState.STRAINED),
        ([VerdictState.UNVERIFIABLE], NetworkState.STRAINED),
        ([VerdictState.CONTESTED], NetworkState.STRAINED),
        ([VerdictState.MISSING], NetworkState.STRAINED),
        ([VerdictState.MISSING, VerdictState.EXCEEDED], NetworkState.BREACHED),
    ],
)
def test_verdicts_decide_while_there_is_sight(states: list[VerdictState], expected: NetworkState) -> None:
    assert judge(states).state is expected


@pytest.mark.parametrize(("age_ms", "expected"), [(LIMIT_MS - 1, NetworkState.HOLDING), (LIMIT_MS, NetworkState.BLIND)])
def test_nothing_finalized_for_two_intervals_is_blind(age_ms: int, expected: NetworkState) -> None:
    assert judge(age_ms=age_ms).state is expected


@pytest.mark.parametrize(
    ("silence_ms", "expected"),
    [(None, NetworkState.HOLDING), (SILENCE_MIN_MS - 1, NetworkState.HOLDING), (SILENCE_MIN_MS, NetworkState.BLIND)],
)
def test_sources_that_answer_with_nothing_new_show_that_the_quorum_is_lost(
    silence_ms: int | None, expected: NetworkState
) -> None:
    report = judge(silence_ms=silence_ms)
    assert report.state is expected
    assert [reason for reason, _ in report.reasons] == [NetworkReason.QUORUM_LOST] * (expected is NetworkState.BLIND)


def test_a_clock_far_behind_the_ledger_sees_nothing() -> None:
    report = judge(age_ms=-INTERVAL_S * 1000)
    assert (report.state, report.reasons[0][0]) == (NetworkState.BLIND, NetworkReason.CLOCK_BEHIND)


@given(
    st.lists(st.sampled_from(VerdictState)),
    st.integers(-2 * LIMIT_MS, 2 * LIMIT_MS),
    st.none() | st.integers(0, 2 * LIMIT_MS),
)
def test_a_proven_fork_is_blind_whatever_else_is_true(
    states: list[VerdictState], age_ms: int, silence_ms: int | None
) -> None:
    report = judge(states, age_ms=age_ms, silence_ms=silence_ms, forks_count=1)
    assert report.state is NetworkState.BLIND
    assert report.reasons[0][0] is NetworkReason.FORK_PROVEN
    without = judge(states, age_ms=age_ms, silence_ms=silence_ms)
    assert report.reasons[1:] == without.reasons
    assert (without.state is NetworkState.HOLDING) == (not without.reasons)
