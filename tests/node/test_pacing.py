"""`node.pacing`: a member pays for what it costs, nobody else does, and no debt lasts."""

import contextlib

import pytest

from ledger.errors import Code, ConditionError
from node.consensus.lanes import ANSWERS
from node.pacing import (
    ANSWERED_BURST,
    LANES,
    MESSAGES_BURST,
    MESSAGES_PER_S,
    PAUSE_MAX_S,
    REFUSED_BURST,
    REFUSED_PER_S,
    MemberPace,
    Pace,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_within_the_budget_is_not_waited_for(clock: Clock) -> None:
    pace = Pace(burst=10, per_s=2, clock=clock)
    assert [pace.charge(1) for _ in range(10)] == [0.0] * 10


def test_what_is_beyond_it_is_waited_for_at_the_rate_it_fills(clock: Clock) -> None:
    pace = Pace(burst=10, per_s=2, clock=clock)
    pace.charge(10)
    assert [pace.charge(1), pace.charge(1)] == [0.5, 1.0]
    clock.now_s = 1.0
    assert pace.charge(1) == 0.5


def test_it_never_holds_more_than_its_burst(clock: Clock) -> None:
    pace = Pace(burst=10, per_s=2, clock=clock)
    clock.now_s = 1e6
    assert pace.charge(11) == 0.5


@pytest.mark.parametrize("price", [10**6, 10**18])
def test_no_debt_lasts_longer_than_the_longest_pause(clock: Clock, price: int) -> None:
    pace = Pace(burst=10, per_s=2, clock=clock)
    assert pace.charge(price) == PAUSE_MAX_S
    clock.now_s = PAUSE_MAX_S
    assert pace.charge(0) == 0.0


async def test_members_pay_for_themselves_alone() -> None:
    flooding, honest = MemberPace(), MemberPace()
    assert flooding.refused.charge(REFUSED_BURST + 60 * REFUSED_PER_S) == PAUSE_MAX_S
    assert flooding.answered.charge(2 * ANSWERED_BURST) > 0
    await honest.refused.pay(1)
    await honest.pay_question(68_000)
    await honest.pay_answer(1_000_000)
    assert honest.answered.charge(0) == 0


async def test_each_stream_of_a_member_has_its_own_pace_and_a_new_one_is_no_fuller() -> None:
    pace = MemberPace()
    with pace.lane() as (_, true), pace.lane() as (_, thief):
        assert thief.charge(MESSAGES_BURST + MESSAGES_PER_S) > 0.9
        await true.pay(1)
        with pytest.raises(ConditionError) as refused, pace.lane():
            pass
        assert refused.value.code is Code.TOO_MANY_STREAMS
    with contextlib.ExitStack() as streams:
        lanes = [streams.enter_context(pace.lane()) for _ in range(LANES)]
        assert sorted(lane.charge(0) > 0 for _, lane in lanes) == [False, True]


def test_streams_that_are_open_at_once_have_numbers_of_their_own_and_none_is_that_of_answers() -> None:
    pace = MemberPace()
    with pace.lane() as (true, _):
        for _ in range(3):
            with pace.lane() as (thief, _):
                assert len({true, thief, ANSWERS}) == 3


def test_who_comes_back_gets_its_own_number_and_not_that_of_a_thief_who_was_there_meanwhile() -> None:
    pace = MemberPace()
    with contextlib.ExitStack() as stream:
        true, _ = stream.enter_context(pace.lane())
        with pace.lane():
            pass
        stream.close()
        for _ in range(3):
            with pace.lane() as (again, _):
                assert again == true
