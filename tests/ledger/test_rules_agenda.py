"""The agenda against a sorted list, and what outages and full blocks do to it."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.positions import Millis
from ledger.rules.agenda import EVENTS_PER_BLOCK_MAX, compute_next_event_ms, schedule, take_due
from ledger.rules.grid import Outage
from ledger.rules.records.agenda import AGENDA, AGENDA_SIZE
from ledger.rules.records.foundation import CLOCK, Clock
from ledger.rules.records.registry import make_number_name
from ledger.rules.state import State


def make_state(*outages: Outage) -> State:
    state = State()
    CLOCK.put(state, Clock(Millis(0), outages))
    return state


@given(
    st.lists(
        st.one_of(st.integers(0, 50).map(lambda at: ("put", at)), st.integers(0, 60).map(lambda at: ("take", at))),
        max_size=60,
    )
)
def test_what_is_due_comes_in_order_of_time_and_then_of_putting(steps: list[tuple[str, int]]) -> None:
    state, waiting, count = make_state(), list[tuple[int, int]](), 0
    for step, at in steps:
        if step == "put":
            schedule(state, at_ms=Millis(at), topic="t", name=str(count).encode())
            waiting.append((at, count))
            count += 1
        else:
            expected = sorted(each for each in waiting if each[0] <= at)
            found = [(event.at_ms, int(event.name)) for event in take_due(state, time_ms=Millis(at))]
            assert found == expected
            waiting = [each for each in waiting if each[0] > at]
        assert compute_next_event_ms(state) == min((each[0] for each in waiting), default=None)
    size = AGENDA_SIZE.get(state)
    assert size is None or size.waiting_count == len(waiting)
    assert AGENDA.get(state, make_number_name(len(waiting))) is None


def test_an_event_that_is_put_in_while_events_are_taken_out_comes_in_the_same_block() -> None:
    state, seen = make_state(), list[bytes]()
    schedule(state, at_ms=Millis(1), topic="t", name=b"first")
    for event in take_due(state, time_ms=Millis(5)):
        seen.append(event.name)
        if event.name == b"first":
            schedule(state, at_ms=Millis(3), topic="t", name=b"second")
    assert seen == [b"first", b"second"]


def test_a_block_looks_at_so_many_and_leaves_the_rest_to_the_next() -> None:
    state = make_state()
    for number in range(EVENTS_PER_BLOCK_MAX + 3):
        schedule(state, at_ms=Millis(7), topic="t", name=str(number).encode())
    assert len(list(take_due(state, time_ms=Millis(7)))) == EVENTS_PER_BLOCK_MAX
    rest = [event.name for event in take_due(state, time_ms=Millis(7))]
    assert rest == [str(EVENTS_PER_BLOCK_MAX + number).encode() for number in range(3)]


def test_an_outage_moves_what_was_open_when_it_began_and_nothing_else() -> None:
    state = make_state(Outage(Millis(100), Millis(160)))
    schedule(state, at_ms=Millis(90), topic="t", name=b"passed before", since_ms=Millis(0))
    schedule(state, at_ms=Millis(110), topic="t", name=b"moved by all of it", since_ms=Millis(0))
    schedule(state, at_ms=Millis(170), topic="t", name=b"moved by a part", since_ms=Millis(150))
    schedule(state, at_ms=Millis(120), topic="t", name=b"on its hour")
    seen = [(time, event.name) for time in range(80, 300, 10) for event in take_due(state, time_ms=Millis(time))]
    assert seen == [
        (90, b"passed before"),
        (120, b"on its hour"),
        (170, b"moved by all of it"),
        (180, b"moved by a part"),
    ]
