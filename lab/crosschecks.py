"""The shared cross-checks on a row that is about to be signed, and what stops a report.

The checks are those of `ledger.crosschecks`, on figures that only the lab has in full. A failed one stops the report
unless the lab overrides it by name and with a reason, which the vault keeps; an unusual one is shown and kept. What a
lab cannot compare (its capacity where it is not public, the interval before where there is none) stops nothing.

Two checks are the lab's own, and go the same way: EXPORT (an export too old for the interval) and LIMIT (a promise
against the arithmetic, `lab.promises`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from lab.amounts import Totals
from ledger.charter import Accelerator
from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.crosschecks.figures import Figures, read_fields
from ledger.crosschecks.rows import Surroundings, compare_row
from ledger.crosschecks.runs import RunStanding
from ledger.errors import PolicyError
from ledger.statements.reports import HiddenFields

EXPORT: Final = "EXPORT"
LIMIT: Final = "LIMIT"


def examine_row(
    cluster: str,
    hidden: HiddenFields,
    totals: Totals,
    *,
    interval_s: int,
    accelerators: Mapping[str, Accelerator],
    installed: Mapping[str, int],
    capacity: Mapping[str, int] | None = None,
    runs_before: Mapping[str, int] | None = None,
    before: HiddenFields | None = None,
    is_energy_measured: bool = True,
) -> tuple[Comparison, ...]:
    """Run every check on one row, and give what fails or is unusual, in the order of the checks' names.

    Args:
        cluster: whose row.
        hidden: its fields.
        totals: of the records they were computed from.
        interval_s: length of the interval.
        accelerators: the charter's annex by model; it has every model of the row.
        installed: chips of the cluster by model, as the lab knows them.
        capacity: chips registered in public, by model; None if the registration does not say.
        runs_before: cumulative PFLOP of each run on this cluster before this interval.
        before: the same cluster's fields one interval earlier, if known.
        is_energy_measured: whether the energy figures come from a meter.
    """
    around = Surroundings(
        interval_s=interval_s,
        accelerators=accelerators,
        capacity=capacity,
        installed=installed,
        busy=totals.busy,
        training=totals.training,
        standings={run: RunStanding(previous_pflop=pflop) for run, pflop in (runs_before or {}).items()},
        before=_read_before(before),
        is_energy_measured=is_energy_measured,
    )
    compared = compare_row(cluster, read_fields(hidden), around)
    return tuple(one for one in compared if one.outcome in {Outcome.FAILS, Outcome.UNUSUAL})


def require_sane(findings: Sequence[Comparison], overrides: Mapping[str, str]) -> None:
    """Refuse failed checks that were not overridden.

    Args:
        findings: what fails or is unusual.
        overrides: reason by name of a check that may fail.

    Raises:
        PolicyError: the first of them; it says how many more there are.
    """
    failed = [found for found in findings if found.outcome == Outcome.FAILS and not overrides.get(found.check)]
    if failed:
        first, more = failed[0], len(failed) - 1
        raise PolicyError(
            field=f"{first.check} {first.subject}.{first.field}",
            found=first.found,
            expected=first.expected + (f" (and {more} more failed checks)" if more else ""),
        )


def _read_before(before: HiddenFields | None) -> Figures | None:
    return None if before is None else read_fields(before)
