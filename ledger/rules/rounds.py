"""Inspection rounds: round r opens at start + r·P with the first block of the chain that has reached that time.

That block is the round's *trigger*. It is one, since the chain is, and it is fixed before anybody can know the round's
beacon: members give their shares only once it is final. The first round is the first to open after the founding; from
there on none is skipped or replaced. After a silence one block opens several, and a beacon that comes late is used
late. Beacons are taken in the order of rounds.

A block cannot name its own digest, so the state learns of a trigger with the block after it.
"""

from ledger.positions import Millis
from ledger.rules.records.foundation import CLOCK, FOUNDATION
from ledger.rules.records.rounds import ROUNDS, TRIGGERS, Rounds, Trigger, make_round_name
from ledger.rules.state import State


def get_rounds(state: State) -> Rounds:
    """How far rounds are."""
    rounds = ROUNDS.get(state)
    if rounds is not None:
        return rounds
    first = compute_first_round(state)
    return Rounds(first, first, first)


def compute_first_round(state: State) -> int:
    """The first round that opens after the founding."""
    return max(0, _compute_next(state, state.charter.founded_at_ms))


def open_rounds(state: State, *, parent: bytes) -> None:
    """Record the rounds that the parent opened. Comes first in a block, while the clock still shows the parent's time.

    Args:
        state: a fork of the parent's state, of a ledger whose charter has an agreement.
        parent: digest of the parent.
    """
    rounds = get_rounds(state)
    next_unopened = _compute_next(state, CLOCK.require(state).time_ms)
    if next_unopened <= rounds.next_unopened:
        return
    first = rounds.next_unopened
    TRIGGERS.put(state, Trigger(next_unopened - 1, parent), make_round_name(first))
    is_oldest = rounds.next_unanswered == first
    ROUNDS.put(state, Rounds(next_unopened, rounds.next_unanswered, first if is_oldest else rounds.oldest_trigger))


def _compute_next(state: State, time_ms: Millis) -> int:
    """The first round that opens after a time; negative before the grid's first."""
    agreement = state.charter.agreement
    assert agreement is not None
    elapsed_ms = time_ms - FOUNDATION.require(state).grid.start_ms
    return elapsed_ms // (agreement.inspections.round_s * 1000) + 1
