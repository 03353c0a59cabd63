"""Whether a cluster's row respected each limit of the charter: computed where it can be, the lab's word elsewhere.

What a charter calls a quantity is computed if it is one of `KNOWN_QUANTITIES`; the lab must promise the others. A false
public promise is the easiest lie to catch, so a promise against the arithmetic is a failed hard check (LIMIT), which
the lab can only override by name and with a reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.crosschecks import LIMIT
from ledger.charter import Limit
from ledger.crosschecks.comparisons import Comparison, Place
from ledger.errors import Code, ConditionError
from ledger.statements.intoto import parse_quantity
from ledger.statements.pauses import Cap
from ledger.statements.reports import HiddenFields, LimitRespected


@dataclass(frozen=True, slots=True)
class PauseLimit:
    """A pause that binds the lab: one promise, of which every cap must hold.

    Attributes:
        id: of the promise, `pause-<id>`.
        caps: of its terms.
    """

    id: str
    caps: tuple[Cap, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """The public promises by cluster, and where a promise and the numbers disagree."""

    respected: Mapping[str, tuple[LimitRespected, ...]]
    findings: tuple[Comparison, ...]


def decide_limits(
    rows: Mapping[str, HiddenFields],
    *,
    limits: Sequence[Limit],
    pauses: Sequence[PauseLimit] = (),
    runs_before: Mapping[tuple[str, str], int],
    promises: Mapping[str, bool],
) -> Decided:
    """Say for each cluster whether each limit was respected: the charter's in its order, then those of pauses.

    Args:
        rows: fields of every row by cluster id.
        limits: of the charter.
        pauses: that bind the lab, in ascending order of ids.
        runs_before: PFLOP by (cluster, run) in all earlier intervals.
        promises: the lab's word by limit id.

    Raises:
        ConditionError: a limit that cannot be computed, and no promise (`CONFIG`).
    """
    runs = _add_up_runs(rows, runs_before)
    findings: list[Comparison] = []
    respected: dict[str, tuple[LimitRespected, ...]] = {}
    for cluster, hidden in rows.items():
        lines = []
        promised: list[Limit | PauseLimit] = [*limits, *pauses]
        for limit in promised:
            computed, quantities = _compute_respected(limit, hidden, runs), _name_quantities(limit)
            promise = promises.get(limit.id, computed)
            if promise is None:
                raise ConditionError(
                    field=f"promises.{limit.id}",
                    found="nothing",
                    expected=f"true or false: {quantities} cannot be computed from records",
                    code=Code.CONFIG,
                )
            if computed is not None and promise != computed:
                expected = f"{computed}, as {quantities} follows from the records"
                findings.append(Place(LIMIT, cluster).compare(limit.id, promise, expected, holds=False))
            lines.append(LimitRespected(limit.id, promise))
        respected[cluster] = tuple(lines)
    return Decided(respected, tuple(findings))


def _compute_respected(limit: Limit | PauseLimit, hidden: HiddenFields, runs: Mapping[str, int]) -> bool | None:
    """None if it depends on a quantity that nobody can compute; one cap that is exceeded decides."""
    outcomes = []
    for cap in limit.caps if isinstance(limit, PauseLimit) else (limit,):
        measure, maximum = KNOWN_QUANTITIES.get(cap.quantity), parse_quantity(cap.maximum, field=f"limit {limit.id}")
        outcomes.append(None if measure is None else measure(hidden, runs) <= maximum)
    if False in outcomes:
        return False
    return None if None in outcomes else True


def _name_quantities(limit: Limit | PauseLimit) -> str:
    return ", ".join(cap.quantity for cap in limit.caps) if isinstance(limit, PauseLimit) else limit.quantity


def _add_up_runs(rows: Mapping[str, HiddenFields], runs_before: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """PFLOP of each run on all clusters in all intervals, this one included."""
    together: dict[str, int] = {}
    for (_, run), pflop in runs_before.items():
        together[run] = together.get(run, 0) + pflop
    for hidden in rows.values():
        for line in hidden.runs:
            together[line.run] = together.get(line.run, 0) + _read(line.pflop)
    return together


def _largest_run(hidden: HiddenFields, runs: Mapping[str, int]) -> int:
    return max((runs[line.run] for line in hidden.runs), default=0)


def _read(quantity: int | str) -> int:
    return parse_quantity(quantity, field="hidden")


Measure = Callable[[HiddenFields, Mapping[str, int]], int]

KNOWN_QUANTITIES: Final[Mapping[str, Measure]] = {
    "training_pflop_per_run": _largest_run,
    "training_pflop_per_interval": lambda hidden, _: _read(hidden.training_pflop),
    "energy_wh_per_interval": lambda hidden, _: _read(hidden.energy_wh),
    "facility_energy_wh_per_interval": lambda hidden, _: _read(hidden.facility_energy_wh),
}
"""Quantities that follow from the records. Per run: everything so far, on all clusters of the lab, of the largest run
that was active on the cluster in the interval. Per interval: of the cluster alone."""
