"""`node.pacing`: a member pays for what it costs, nobody else does, and no debt lasts."""

import pytest

from node.pacing import ANSWERED_BURST, MESSAGES_BURST, PAUSE_MAX_S, REFUSED_BURST, REFUSED_PER_S, MemberPace, Pace


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
    assert flooding.messages.charge(MESSAGES_BURST + 1) > 0
    assert flooding.answered.charge(2 * ANSWERED_BURST) > 0
    await honest.refused.pay(1)
    await honest.messages.pay(1)
    await honest.pay_question(68_000)
    await honest.pay_answer(1_000_000)
    assert honest.answered.charge(0) == 0
