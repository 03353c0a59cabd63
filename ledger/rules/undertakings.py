"""Which pauses bind a lab in an interval: those its nation has joined, and those it pledged to itself.

1. A pause binds for the intervals it covers: a nation's labs from the interval in which the nation's joining begins to
   count, a lab that pledged from the boundary after its pledge. When the lab was registered does not matter.
2. In every row of a report a lab promises the charter's limits, in the charter's order, and then `pause-<id>` for every
   pause that binds it in the interval, in ascending order of ids. Without an agreement: the charter's limits alone.
3. A party has at most `UNDERTAKINGS_MAX` pauses at a time that it acceded or pledged to and that are not over: every
   row of a report names them, and must have room for that.

What a party undertakes changes at boundaries only, and each change is kept, so that corrections of old intervals find
what was in force then: by bisection, since changes are in the order of time.
"""

from typing import Final

from ledger.positions import Interval
from ledger.rules.records.foundation import FOUNDATION
from ledger.rules.records.pauses import (
    COMMITMENTS,
    PAUSES,
    UNDERTAKINGS,
    Pause,
    Phase,
    Undertakings,
    make_pair_name,
    make_place_name,
)
from ledger.rules.records.registry import LABS
from ledger.rules.records.tallies import NO_TALLY, TALLIES, Tally
from ledger.rules.state import State
from ledger.statements.pauses import make_limit_id

UNDERTAKINGS_MAX: Final = 4


def compute_limits(state: State, lab: str, interval: Interval) -> tuple[str, ...]:
    """Name what every row of a lab's report for an interval promises to respect, in the order of the rows.

    Args:
        state: of a time after the interval began; before, pauses that begin with it may be unknown.
        lab: id of a registered lab.
        interval: which.
    """
    limits = FOUNDATION.require(state).limits
    if state.charter.agreement is None:
        return limits
    return limits + tuple(make_limit_id(pause) for pause in compute_binding(state, lab, interval))


def compute_binding(state: State, lab: str, interval: Interval) -> tuple[str, ...]:
    """Name the pauses that bind a registered lab in an interval, in ascending order of ids."""
    nation = LABS.require(state, lab.encode()).nation
    binding = {pause: None for pause in _find_undertakings(state, lab, interval) if _covers(state, pause, interval)}
    for pause_id in _find_undertakings(state, nation, interval):
        pause = PAUSES.require(state, pause_id.encode())
        joined = find_joined_since(pause, nation)
        if pause.covers(interval) and joined is not None and joined <= interval:
            binding[pause_id] = None
    return tuple(sorted(binding))


def compute_first_bound(state: State, pause_id: str, lab: str) -> Interval | None:
    """Say from which interval on an activated pause binds a registered lab; None if it does not, as far as is known."""
    pause = PAUSES.require(state, pause_id.encode())
    if pause.phase == Phase.PROPOSED:
        return None
    joined = find_joined_since(pause, LABS.require(state, lab.encode()).nation)
    pledge = COMMITMENTS.get(state, make_pair_name(pause_id, lab))
    since = [] if joined is None else [joined]
    if pledge is not None:
        since.append(max(pause.start, pledge.since))
    return min(since, default=None)


def find_joined_since(pause: Pause, nation: str) -> Interval | None:
    """Say from which interval on a nation's labs are bound; None if it has not joined."""
    return next((joined.since for joined in pause.joined if joined.nation == nation), None)


def list_open_undertakings(state: State, party: str) -> tuple[str, ...]:
    """Name the pauses that a party has acceded or pledged to and that are not over."""
    tally = TALLIES.get(state, party.encode()) or NO_TALLY
    if not tally.undertakings_count:
        return ()
    newest = UNDERTAKINGS.require(state, make_place_name(party, tally.undertakings_count - 1))
    return tuple(pause for pause in newest.pauses if PAUSES.require(state, pause.encode()).phase != Phase.OVER)


def put_undertakings(state: State, party: str, pauses: tuple[str, ...], *, since: Interval) -> None:
    """Let a party's undertakings be these from a boundary on that has not come yet."""
    tally = TALLIES.get(state, party.encode()) or NO_TALLY
    place = tally.undertakings_count
    if place and UNDERTAKINGS.require(state, make_place_name(party, place - 1)).since == since:
        place -= 1
    UNDERTAKINGS.put(state, Undertakings(since, pauses), make_place_name(party, place))
    changed = Tally(tally.motions_open, tally.pauses_open, place + 1, tally.frozen_count)
    TALLIES.put(state, changed, party.encode())


def _find_undertakings(state: State, party: str, interval: Interval) -> tuple[str, ...]:
    """What a party had undertaken when an interval began."""
    tally = TALLIES.get(state, party.encode()) or NO_TALLY
    low, high = 0, tally.undertakings_count
    while low < high:
        middle = (low + high) // 2
        if UNDERTAKINGS.require(state, make_place_name(party, middle)).since <= interval:
            low = middle + 1
        else:
            high = middle
    return UNDERTAKINGS.require(state, make_place_name(party, low - 1)).pauses if low else ()


def _covers(state: State, pause_id: str, interval: Interval) -> bool:
    return PAUSES.require(state, pause_id.encode()).covers(interval)
