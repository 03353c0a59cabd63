"""What the rules will look at when its time has come: a binary heap of events, spread over records.

A heap, since the state has no order of times: putting an event in and taking the earliest out touch as many records as
the heap is deep, however many wait. `ledger.rules.agenda` keeps it in order.
"""

from typing import Final

from ledger.positions import Millis
from ledger.rules.record import Record, Table


class Event(Record, frozen=True):
    """Something to look at once a block's time has reached `at_ms`.

    Attributes:
        at_ms: when, after the outages so far.
        order: among events of one time, in the order they were put in.
        due_ms: when, had there been no outage.
        since_ms: outages from here on move it; equal to `due_ms` if none does.
        topic: which rule looks, as `ledger.rules.opening` lists them.
        name: at what; whatever the topic names its records by.
    """

    at_ms: Millis
    order: int
    due_ms: Millis
    since_ms: Millis
    topic: str
    name: bytes


class AgendaSize(Record, frozen=True):
    """How many events wait, and how many were ever put in."""

    waiting_count: int
    next_order: int


AGENDA: Final = Table(b"M", Event)  # by place in the heap, from 0
AGENDA_SIZE: Final = Table(b"N", AgendaSize)
