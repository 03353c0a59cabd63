"""Runs in flight when a pause comes: which of them a lab froze, and where they stood.

1. A lab that an activated pause binds, through its nation or by its own pledge, says which runs it had in flight: from
   the activation on until the end of the first interval in which it is bound.
2. Each run is frozen once a pause: where it stood in the first statement that names it is what counts.
3. It is frozen from that statement on until the pause is over. Several pauses may freeze one run, and the last to end
   lets it go. That a frozen run has not grown is for the rules of training runs to see (`ledger.rules.runs`).
4. A lab may freeze `FROZEN_RUNS_PER_LAB_MAX` runs over all time.
"""

from typing import Final

import msgspec

from ledger.errors import Code, Rejection, reject
from ledger.positions import Interval
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import compute_end_ms
from ledger.rules.pauses import find_open_pause
from ledger.rules.records.foundation import FOUNDATION
from ledger.rules.records.pauses import FROZEN_RUNS, PAUSES, Freeze, FrozenRun, Phase, make_pair_name
from ledger.rules.records.tallies import NO_TALLY, TALLIES
from ledger.rules.state import State
from ledger.rules.undertakings import compute_first_bound
from ledger.statements.pauses import PAUSE_FREEZE, PauseFreeze, parse_pause_freeze

FROZEN_RUNS_PER_LAB_MAX: Final = 4_096

_FIELD: Final = "statement.predicate"


def apply_freeze(state: State, context: Context, freeze: PauseFreeze) -> Rejection | None:
    """Freeze runs. Believes that the header was checked."""
    lab = freeze.issuer
    rejection = _check_time(state, context, freeze) or _check_runs(state, freeze)
    if rejection is not None:
        return rejection
    tally = TALLIES.get(state, lab.encode()) or NO_TALLY
    new_count = sum(FROZEN_RUNS.get(state, make_pair_name(lab, run.run)) is None for run in freeze.runs)
    if tally.frozen_count + new_count > FROZEN_RUNS_PER_LAB_MAX:
        return reject(
            Code.TOO_LARGE,
            field=f"{_FIELD}.runs",
            found=f"{tally.frozen_count + new_count} frozen runs of one lab",
            expected=f"at most {FROZEN_RUNS_PER_LAB_MAX} over all time",
        )
    for run in freeze.runs:
        before = get_freezes(state, lab, run.run)
        added = Freeze(freeze.pause, bytes.fromhex(run.checkpoint), run.band, context.index)
        FROZEN_RUNS.put(state, FrozenRun((*before, added)), make_pair_name(lab, run.run))
    counted = msgspec.structs.replace(tally, frozen_count=tally.frozen_count + new_count)
    TALLIES.put(state, counted, lab.encode())
    return None


def get_freezes(state: State, lab: str, run: str) -> tuple[Freeze, ...]:
    """Where a run stood when pauses that are not over froze it, in the order of the ledger; nothing if it is free."""
    frozen = FROZEN_RUNS.get(state, make_pair_name(lab, run))
    if frozen is None:
        return ()
    return tuple(
        freeze for freeze in frozen.freezes if PAUSES.require(state, freeze.pause.encode()).phase == Phase.ACTIVATED
    )


def _check_time(state: State, context: Context, freeze: PauseFreeze) -> Rejection | None:
    """Rule 1."""
    pause = find_open_pause(state, freeze.pause, field=f"{_FIELD}.pause", terms=freeze.terms)
    if isinstance(pause, Rejection):
        return pause
    if pause.phase == Phase.PROPOSED:
        found = f"{freeze.pause}, which is not activated"
        return reject(Code.PAUSE_CLOSED, field=f"{_FIELD}.pause", found=found, expected="one that is")
    first = compute_first_bound(state, freeze.pause, freeze.issuer)
    if first is None:
        return reject(
            Code.WRONG_ISSUER,
            field=f"{_FIELD}.issuer",
            found=freeze.issuer,
            expected="a lab that the pause binds; one whose nation has not joined may pledge",
        )
    end_ms = compute_end_ms(FOUNDATION.require(state).grid, Interval(first))
    if context.time_ms >= end_ms:
        return reject(
            Code.PAUSE_CLOSED,
            field=f"{_FIELD}.pause",
            found=f"{freeze.pause} at {context.time_ms} ms",
            expected=f"a block time before {end_ms} ms, the end of the first interval that binds the lab",
        )
    return None


def _check_runs(state: State, freeze: PauseFreeze) -> Rejection | None:
    """Rule 2."""
    for run in freeze.runs:
        for known in get_freezes(state, freeze.issuer, run.run):
            if known.pause == freeze.pause:
                return reject(
                    Code.FREEZE_KNOWN,
                    field=f"{_FIELD}.runs.run",
                    found=run.run,
                    expected=f"a run that {freeze.pause} has not frozen, as entry {known.index} did",
                )
    return None


PAUSE_FREEZE_KIND: Final = Kind(
    name=PAUSE_FREEZE, is_for_nations=False, signature_count=1, parse=parse_pause_freeze, apply=apply_freeze
)
