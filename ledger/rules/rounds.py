"""Inspection rounds: round r opens at start + r·P with the first block of the chain that has reached that time.

That block is the round's *trigger*. It is one, since the chain is, and it is fixed before anybody can know the round's
beacon: members give their shares only once it is final. No round is skipped or replaced; after a silence one block
opens several, and a beacon that comes late is used late. Beacons are taken in the order of rounds.

A block cannot name its own digest, so the state learns of a trigger with the block after it.
"""

from typing import Final

from ledger.rules.records.foundation import CLOCK, FOUNDATION
from ledger.rules.records.rounds import ROUNDS, TRIGGERS, Rounds, Trigger, make_round_name
from ledger.rules.state import State

_NONE_YET: Final = Rounds(0, 0, 0)


def get_rounds(state: State) -> Rounds:
    """How far rounds are."""
    return ROUNDS.get(state) or _NONE_YET


def open_rounds(state: State, *, parent: bytes) -> None:
    """Record the rounds that the parent opened. Comes first in a block, while the clock still shows the parent's time.

    Args:
        state: a fork of the parent's state, of a ledger whose charter has an agreement.
        parent: digest of the parent.
    """
    agreement = state.charter.agreement
    assert agreement is not None
    rounds = get_rounds(state)
    elapsed_ms = CLOCK.require(state).time_ms - FOUNDATION.require(state).grid.start_ms
    next_unopened = elapsed_ms // (agreement.inspections.round_s * 1000) + 1 if elapsed_ms >= 0 else 0
    if next_unopened <= rounds.next_unopened:
        return
    first = rounds.next_unopened
    TRIGGERS.put(state, Trigger(next_unopened - 1, parent), make_round_name(first))
    is_oldest = rounds.next_unanswered == first
    ROUNDS.put(state, Rounds(next_unopened, rounds.next_unanswered, first if is_oldest else rounds.oldest_trigger))
