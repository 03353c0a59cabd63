"""Training runs and where they come from: X6, and X3 over a whole run.

A run's *cumulative* operations are all that went into its weights. They begin at those of its base model, or at 0 if it
has none; the run's own are what came since. Chips that a run held explain its own operations and never its base
model's: a fine-tuned model whose base is left out looks as if its few chips had done the impossible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.charter import Accelerator
from ledger.crosschecks.comparisons import Comparison, Outcome, Place, name_some
from ledger.crosschecks.figures import RunFigures
from ledger.crosschecks.units import GFLOP_PER_PFLOP, divide_up

UTILISATION_HIGH_PERMILLE: Final = 700
UTILISATION_LOW_PERMILLE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStanding:
    """What is known of a run before an interval.

    Attributes:
        previous_pflop: its cumulative operations before the interval; None if it begins in the interval.
        base_pflop: cumulative operations of its base model; 0 without one.
        cap_pflop: what the run itself may come to, without its base; None if nothing caps it.
        is_frozen: whether it must add nothing.
    """

    previous_pflop: int | None = None
    base_pflop: int = 0
    cap_pflop: int | None = None
    is_frozen: bool = False


_NEW_RUN: Final = RunStanding()


def compare_runs(
    subject: str, runs: Sequence[RunFigures] | None, *, standings: Mapping[str, RunStanding] | None
) -> tuple[Comparison, ...]:
    """X6: each run of a row against what is known of it.

    Args:
        subject: the cluster.
        runs: of the row; None if they were not opened.
        standings: by run; a run that is missing begins now, from nothing. None if nobody knows earlier figures.
    """
    place, expected = Place("X6", subject), "what it was before, plus the interval's"
    if runs is None:
        return (place.skip("runs", expected, reason="not opened"),)
    if standings is None:
        reason = "earlier figures are not known"
        return tuple(
            place.skip(f"runs.{run.run}.cumulative_pflop", expected, found=run.cumulative_pflop, reason=reason)
            for run in runs
        )
    return tuple(
        compared for run in runs for compared in compare_run(subject, run, standing=standings.get(run.run, _NEW_RUN))
    )


def compare_run(subject: str, run: RunFigures, *, standing: RunStanding) -> tuple[Comparison, ...]:
    """X6: one run's figures in one interval; its cap and its freeze only where it has them."""
    place, name = Place("X6", subject), f"runs.{run.run}"
    start = standing.base_pflop if standing.previous_pflop is None else standing.previous_pflop
    follows = run.cumulative_pflop == start + run.pflop
    compared = [place.compare(f"{name}.cumulative_pflop", run.cumulative_pflop, str(start + run.pflop), holds=follows)]
    if standing.is_frozen:
        compared.append(place.compare(f"{name}.pflop", run.pflop, "0: the run is frozen", holds=run.pflop == 0))
    if standing.cap_pflop is not None:
        own, cap = run.cumulative_pflop - standing.base_pflop, standing.cap_pflop
        compared.append(place.compare(f"{name}.own_pflop", own, f"at most its cap, {cap}", holds=own <= cap))
    return tuple(compared)


def compare_lineage(run: str, *, cumulative_pflop: int, run_pflop: int, base_pflop: int | None) -> Comparison:
    """X6 over a whole run: cumulative operations against the base model's and the run's own together.

    Args:
        run: its id.
        cumulative_pflop: all that went into the weights.
        run_pflop: the run's own part.
        base_pflop: cumulative operations of the base model; 0 without one; None if nobody knows them.
    """
    place = Place("X6", run)
    if base_pflop is None:
        expected = f"the base model's, plus the run's own {run_pflop}"
        reason = "the base model's operations are not known"
        return place.skip("cumulative_pflop", expected, found=cumulative_pflop, reason=reason)
    expected = f"{base_pflop + run_pflop}: the base model's {base_pflop}, plus the run's own {run_pflop}"
    follows = cumulative_pflop == base_pflop + run_pflop
    return place.compare("cumulative_pflop", cumulative_pflop, expected, holds=follows)


def compare_run_operations(
    run: str,
    *,
    run_pflop: int,
    chip_seconds: Mapping[str, int] | None,
    accelerators: Mapping[str, Accelerator],
    is_exact: bool = True,
) -> Comparison:
    """X3 over a whole run: its own operations against the peak of the chips it held.

    Args:
        run: its id.
        run_pflop: the run's own operations, without its base model's.
        chip_seconds: that it held chips for, by model; None if nobody knows them.
        accelerators: the charter's annex by model.
        is_exact: whether it held these; if they are only the most it can have held, few operations say nothing.
    """
    place, expected = Place("X3", run), "the peak of its chips"
    if chip_seconds is None:
        return place.skip("run_pflop", expected, found=run_pflop, reason="its chip-seconds are not known")
    if unknown := sorted(model for model, count in chip_seconds.items() if count and model not in accelerators):
        reason = f"the charter's annex has no figures of {name_some(unknown)}"
        return place.skip("run_pflop", expected, found=run_pflop, reason=reason)
    return judge_operations(place, "run_pflop", run_pflop, chip_seconds, accelerators=accelerators, is_exact=is_exact)


def judge_operations(
    place: Place,
    field: str,
    pflop: int,
    chip_seconds: Mapping[str, int],
    *,
    accelerators: Mapping[str, Accelerator],
    is_exact: bool,
) -> Comparison:
    """Hold operations against the peak of chips: more is impossible, nearly all and next to none are unusual.

    Args:
        place: check and subject.
        field: whose operations.
        pflop: how many.
        chip_seconds: by model.
        accelerators: figures of every one of these models of which there is something.
        is_exact: whether these are the chips; if they are only the most it can have been, few operations say nothing.
    """
    peak_gflop = sum(count * accelerators[model].peak_gflops for model, count in chip_seconds.items() if count)
    maximum = divide_up(peak_gflop, GFLOP_PER_PFLOP)
    if pflop > maximum:
        return place.state(field, pflop, f"at most {maximum}, the peak of the chips", Outcome.FAILS)
    if pflop * 1000 > maximum * UTILISATION_HIGH_PERMILLE:
        return place.state(field, pflop, f"at most 70 % of the peak, {maximum}", Outcome.UNUSUAL)
    if is_exact and pflop * 1000 < maximum * UTILISATION_LOW_PERMILLE:
        return place.state(field, pflop, f"at least 1 % of the peak, {maximum}", Outcome.UNUSUAL)
    return place.state(field, pflop, f"at most 70 % of the peak, {maximum}", Outcome.HOLDS)
