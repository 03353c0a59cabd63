"""Beacons: which round's turn it is, and what becomes of the block that opened it.

1. Rounds are answered in their order, none is skipped: only the first that has no beacon is taken, and only once it is
   open (`ledger.rules.rounds`). It does not matter which nation posts it.
2. A round that has its beacon is refused with a code of its own, before its signature is looked at: several nodes that
   post the same at once do no harm, and cost little.
3. The signature verifies under the charter's group key. There is only one that does.
4. With its beacon a round is through, and the next block begins to draw with it (`ledger.rules.samples`). A trigger is
   forgotten with the last round it opened; the beacon itself is kept, with the digest of its trigger, for the next
   `BEACONS_KEPT_MAX` rounds. If drawing falls too far behind, beacons wait for it.
"""

from typing import Final

from ledger.beacons import verify_beacon
from ledger.errors import Code, LedgerError, Rejection, reject
from ledger.rules.entries import Context, Kind, reject_error
from ledger.rules.records.inspections import BEACONS, Drawn
from ledger.rules.records.rounds import ROUNDS, TRIGGERS, Rounds, make_round_name
from ledger.rules.rounds import get_rounds
from ledger.rules.samples import ROUNDS_BEHIND_MAX, get_sampling, wake_sampling
from ledger.rules.state import State
from ledger.statements.beacons import BEACON, Beacon, parse_beacon

BEACONS_KEPT_MAX: Final = 256

_FIELD: Final = "statement.predicate"


def find_open_rounds(state: State) -> range:
    """The rounds that are open and have no beacon yet, in the order in which they must get it.

    After a long outage these are not all: the others follow once samples have been drawn with the first ones.
    A member may sign these and no others, and only where `state` is that after a *final* block: a share that is given
    away earlier lets its receiver know the beacon while it can still choose the block that opens the round.
    """
    rounds = get_rounds(state)
    behind = get_sampling(state).next_round + ROUNDS_BEHIND_MAX
    return range(rounds.next_unanswered, max(rounds.next_unanswered, min(rounds.next_unopened, behind)))


def apply_beacon(state: State, context: Context, beacon: Beacon) -> Rejection | None:
    """Take a round's beacon. Believes that the header was checked."""
    rejection = _check_turn(state, beacon)
    if rejection is not None:
        return rejection
    try:
        verify_beacon(beacon.round, beacon.signature, group_key=state.charter.group_key, field=f"{_FIELD}.signature")
    except LedgerError as error:
        return reject_error(error)
    rounds = get_rounds(state)
    trigger = TRIGGERS.require(state, make_round_name(rounds.oldest_trigger))
    BEACONS.put(state, Drawn(beacon.signature, trigger.block, context.index), make_round_name(beacon.round))
    if beacon.round >= BEACONS_KEPT_MAX:
        BEACONS.put(state, None, make_round_name(beacon.round - BEACONS_KEPT_MAX))
    is_last_of_trigger = beacon.round == trigger.last_round
    if is_last_of_trigger:
        TRIGGERS.put(state, None, make_round_name(rounds.oldest_trigger))
    oldest_trigger = beacon.round + 1 if is_last_of_trigger else rounds.oldest_trigger
    ROUNDS.put(state, Rounds(rounds.next_unopened, beacon.round + 1, oldest_trigger))
    wake_sampling(state, time_ms=context.time_ms)
    return None


def _check_turn(state: State, beacon: Beacon) -> Rejection | None:
    """Rules 1 and 2."""
    open_rounds = find_open_rounds(state)
    if beacon.round < open_rounds.start:
        return reject(
            Code.BEACON_KNOWN,
            field=f"{_FIELD}.round",
            found=f"round {beacon.round} again",
            expected=f"nothing more of it; the next is {open_rounds.start}",
        )
    if not open_rounds or beacon.round != open_rounds.start:
        turn = f"round {open_rounds.start}, once it is open and drawing is not too far behind"
        return reject(Code.ROUND_NOT_OPEN, field=f"{_FIELD}.round", found=beacon.round, expected=turn)
    return None


BEACON_KIND: Final = Kind(name=BEACON, is_for_nations=True, signature_count=1, parse=parse_beacon, apply=apply_beacon)
