"""The agenda: what is to be looked at, and when. Rules put events in, the opening of a block takes out what came due.

1. An event comes up in the first block with a time at or after its own, earlier ones first, those of one time in the
   order they were put in.
2. An outage (`ledger.rules.grid`) that began before an event's time moves it by the part of the outage that lay after
   `since_ms`, as it moves the due dates of reports: nobody can answer while the network is down.
3. Nothing is taken back: whoever looks at an event finds out from its own records whether it still matters.
4. At most `EVENTS_PER_BLOCK_MAX` come up in a block; the rest follows in the next ones.
"""

from collections.abc import Iterator
from typing import Final

from ledger.positions import Millis
from ledger.rules.grid import extend_deadline
from ledger.rules.records.agenda import AGENDA, AGENDA_SIZE, AgendaSize, Event
from ledger.rules.records.foundation import CLOCK
from ledger.rules.records.registry import make_number_name
from ledger.rules.state import State

EVENTS_PER_BLOCK_MAX: Final = 1_000

_EMPTY: Final = AgendaSize(0, 0)


def schedule(state: State, *, at_ms: Millis, topic: str, name: bytes, since_ms: Millis | None = None) -> None:
    """Put an event in.

    Args:
        state: to change.
        at_ms: when it is to come up.
        topic: who looks.
        name: at what.
        since_ms: outages after this moment move the event; None if it comes at its time whatever happens.
    """
    size = AGENDA_SIZE.get(state) or _EMPTY
    event = Event(at_ms, size.next_order, at_ms, at_ms if since_ms is None else since_ms, topic, name)
    _insert(state, event, size.waiting_count)
    AGENDA_SIZE.put(state, AgendaSize(size.waiting_count + 1, size.next_order + 1))


def take_due(state: State, *, time_ms: Millis) -> Iterator[Event]:
    """Take out what has come due, one by one, as many as a block may look at.

    Between two of them the caller may schedule more; what is due at once comes up in the same block.
    """
    for _ in range(EVENTS_PER_BLOCK_MAX):
        event = _peek(state)
        if event is None or event.at_ms > time_ms:
            return
        _remove_first(state)
        moved_ms = _compute_time(state, event)
        if moved_ms > time_ms:
            size = AGENDA_SIZE.require(state)
            moved = Event(moved_ms, event.order, event.due_ms, event.since_ms, event.topic, event.name)
            _insert(state, moved, size.waiting_count)
            AGENDA_SIZE.put(state, AgendaSize(size.waiting_count + 1, size.next_order))
            continue
        yield event


def compute_next_event_ms(state: State) -> Millis | None:
    """When the next event comes up; None if none waits."""
    event = _peek(state)
    return None if event is None else event.at_ms


def _peek(state: State) -> Event | None:
    size = AGENDA_SIZE.get(state)
    return AGENDA.require(state, make_number_name(0)) if size is not None and size.waiting_count else None


def _compute_time(state: State, event: Event) -> Millis:
    if event.since_ms == event.due_ms:
        return event.due_ms
    outages = CLOCK.require(state).outages
    return Millis(extend_deadline(event.due_ms, since=event.since_ms, outages=outages))


def _is_before(event: Event, other: Event) -> bool:
    return (event.at_ms, event.order) < (other.at_ms, other.order)


def _insert(state: State, event: Event, place: int) -> None:
    """Put an event at the end of a heap of so many, and let it rise (Knuth, TAOCP vol. 3, §5.2.3)."""
    while place:
        above = (place - 1) // 2
        parent = AGENDA.require(state, make_number_name(above))
        if not _is_before(event, parent):
            break
        AGENDA.put(state, parent, make_number_name(place))
        place = above
    AGENDA.put(state, event, make_number_name(place))


def _remove_first(state: State) -> None:
    """Take the first away, and let the last sink from its place."""
    size = AGENDA_SIZE.require(state)
    count = size.waiting_count - 1
    AGENDA_SIZE.put(state, AgendaSize(count, size.next_order))
    last = AGENDA.require(state, make_number_name(count))
    AGENDA.put(state, None, make_number_name(count))
    if not count:
        return
    place = 0
    while (child := 2 * place + 1) < count:
        below = AGENDA.require(state, make_number_name(child))
        if child + 1 < count:
            other = AGENDA.require(state, make_number_name(child + 1))
            if _is_before(other, below):
                child, below = child + 1, other
        if not _is_before(below, last):
            break
        AGENDA.put(state, below, make_number_name(place))
        place = child
    AGENDA.put(state, last, make_number_name(place))
