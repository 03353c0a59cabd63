"""The opening of a block: what the rules say because time has passed, before anybody's statement is read.

1. On ledgers whose charter has an agreement: inspection rounds that the parent opened (`ledger.rules.rounds`).
2. The clock moves to the block's time; a silence that was too long becomes an outage (`ledger.rules.grid`).
3. On those too: what came due on the agenda, in its order (`ledger.rules.agenda`).
4. Verdicts (`ledger.rules.verdicts`).

Each step may give computed entries; they stand in the block in this order, before all others. Their number is bounded,
so a block always has room for statements; what does not fit follows in the next block.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ledger.positions import Millis
from ledger.rules.agenda import compute_next_event_ms, take_due
from ledger.rules.challenges import (
    CHALLENGE_FINDING,
    CHALLENGE_MISSING,
    CHALLENGE_RESPONSE,
    on_challenge_finding,
    on_challenge_missing,
    on_challenge_response,
)
from ledger.rules.committee import LAPSE_TOPIC, let_lapse
from ledger.rules.grid import Outage, is_outage
from ledger.rules.inventories import TRANSFER_WINDOW, on_transfer_window
from ledger.rules.notices import OUTAGE_DUE, OUTAGE_GRACE, on_outage_due, on_outage_grace
from ledger.rules.pauses import PAUSE_TOPIC, serve_boundaries
from ledger.rules.records.agenda import Event
from ledger.rules.records.foundation import CLOCK, FOUNDATION, Clock
from ledger.rules.rounds import open_rounds
from ledger.rules.samples import SAMPLE_WALK, SAMPLE_WINDOW, on_sample_walk, on_sample_window
from ledger.rules.state import State
from ledger.rules.verdicts import compute_next_deadline_ms, open_verdicts

AGENDA_ENTRIES_MAX: Final = 200
"""Once a block has so many entries because of the agenda, the rest of it waits for the next block."""

AGENDA_BYTES_MAX: Final = AGENDA_ENTRIES_MAX * 4_096
"""Or once they are so long; an event's own entries may go beyond it."""

Handler = Callable[[State, Event], Sequence[bytes]]
"""Looks at an event that came due, changes the state, and gives the computed entries that follow, in order."""

HANDLERS: Final[Mapping[str, Handler]] = {
    CHALLENGE_RESPONSE: on_challenge_response,
    CHALLENGE_MISSING: on_challenge_missing,
    CHALLENGE_FINDING: on_challenge_finding,
    SAMPLE_WALK: on_sample_walk,
    SAMPLE_WINDOW: on_sample_window,
    TRANSFER_WINDOW: on_transfer_window,
    OUTAGE_DUE: on_outage_due,
    OUTAGE_GRACE: on_outage_grace,
    PAUSE_TOPIC: serve_boundaries,
    LAPSE_TOPIC: let_lapse,
}
"""By topic."""


def open_state(state: State, *, time_ms: Millis, parent: bytes) -> list[bytes]:
    """Let time pass, and return the computed entries that the block must open with.

    Args:
        state: a fork of the parent's state; it is changed to the state after these entries.
        time_ms: the block's, not before its parent's.
        parent: digest of the parent.
    """
    has_agreement = state.charter.agreement is not None
    if has_agreement:
        open_rounds(state, parent=parent)
    _advance_clock(state, time_ms)
    entries: list[bytes] = []
    if has_agreement:
        for event in take_due(state, time_ms=time_ms):
            entries += HANDLERS[event.topic](state, event)
            if len(entries) >= AGENDA_ENTRIES_MAX or sum(map(len, entries)) >= AGENDA_BYTES_MAX:
                break
    entries += open_verdicts(state)
    return entries


def compute_next_opening_ms(state: State) -> Millis | None:
    """When a block could open with something, if no more statements come; None if never.

    The time may be past: then something waits for the very next block.
    """
    times = [time for time in (compute_next_deadline_ms(state), compute_next_event_ms(state)) if time is not None]
    return min(times, default=None)


def _advance_clock(state: State, time_ms: Millis) -> None:
    grid, clock = FOUNDATION.require(state).grid, CLOCK.require(state)
    assert time_ms >= clock.time_ms, "a block is not older than its parent"
    outages = clock.outages
    if is_outage(grid, previous_ms=clock.time_ms, time_ms=time_ms):
        outages = (*outages, Outage(clock.time_ms, time_ms))
    CLOCK.put(state, Clock(time_ms, outages))
