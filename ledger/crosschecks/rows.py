"""One row's figures against each other and against what is known of its cluster: X1 to X5, X11, X13, X6 of its runs.

Nothing is rounded in the lab's favour. A figure that was not opened, or that nobody knows, makes the checks that need
it not comparable and leaves the others alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.charter import Accelerator
from ledger.crosschecks.comparisons import Comparison, Outcome, Place, name_some
from ledger.crosschecks.figures import Figures
from ledger.crosschecks.runs import RunStanding, compare_runs, judge_operations
from ledger.crosschecks.units import GFLOP_PER_PFLOP, JOULES_PER_WH, divide_up

ROUND_DIGITS_MIN: Final = 6
BUILDING_TIMES_MAX: Final = 4
"""Energy of a building over that of its accelerators. A power usage effectiveness of 1 to 2 counts from the servers,
and those draw about twice what their accelerators do: 2.2 times in a real fleet that is often idle (AcmeTrace)."""
TRAINING_PARTS: Final = ("training", "post_training")

_NOT_OPENED: Final = "not opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a row's figures are held against; None for what whoever asks does not know.

    Attributes:
        interval_s: length of the interval.
        accelerators: the charter's annex by model.
        capacity: chips of the cluster by model, as registered or in its inventory.
        installed: chips by model on the word of whoever asks; X11 takes them before the row's own chip-seconds.
        busy: chip-seconds the scheduler counted, by model.
        training: of those, the ones of training uses.
        standings: what is known of runs before the interval, by run; a run that is missing begins now.
        before: the same cluster's figures one interval earlier.
        is_energy_measured: whether the energy figures come from a meter.
    """

    interval_s: int
    accelerators: Mapping[str, Accelerator]
    capacity: Mapping[str, int] | None = None
    installed: Mapping[str, int] | None = None
    busy: Mapping[str, int] | None = None
    training: Mapping[str, int] | None = None
    standings: Mapping[str, RunStanding] | None = None
    before: Figures | None = None
    is_energy_measured: bool | None = None


def compare_row(cluster: str, figures: Figures, around: Surroundings) -> tuple[Comparison, ...]:
    """Run every check on one row, in the order of their names."""
    return (
        *compare_capacity(cluster, figures, around),
        *compare_split(cluster, figures),
        compare_training(cluster, figures, around),
        *compare_energy(cluster, figures, around),
        compare_energy_of_training(cluster, figures, around),
        *compare_runs(cluster, figures.runs, standings=around.standings),
        *compare_scheduler(cluster, figures, around),
        *compare_patterns(cluster, figures, before=around.before),
    )


def compare_capacity(cluster: str, figures: Figures, around: Surroundings) -> tuple[Comparison, ...]:
    """X1: chip-seconds of each model against its registered chips."""
    place = Place("X1", cluster)
    if figures.chip_seconds is None:
        return (place.skip("chip_seconds", "the registered capacity", reason=_NOT_OPENED),)
    if around.capacity is None:
        total = sum(figures.chip_seconds.values())
        reason = "no registration or inventory says how many chips there are"
        return (place.skip("chip_seconds", "the registered capacity", found=total, reason=reason),)
    compared = []
    for model, count in figures.chip_seconds.items():
        maximum = around.capacity.get(model, 0) * around.interval_s
        expected = f"at most {maximum}, the registered capacity"
        compared.append(place.compare(f"chip_seconds.{model}", count, expected, holds=count <= maximum))
    return tuple(compared)


def compare_split(cluster: str, figures: Figures) -> tuple[Comparison, ...]:
    """X2: the split against all chip-seconds, and the busy ones against the split without idle."""
    place = Place("X2", cluster)
    if figures.split is None:
        return (place.skip("split", "all chip-seconds", reason=_NOT_OPENED),)
    together = sum(figures.split.values())
    used, busy = together - figures.split["idle"], figures.busy_chip_seconds
    if figures.chip_seconds is None:
        whole = place.skip("split", "all chip-seconds", found=together, reason="chip_seconds not opened")
    else:
        total = sum(figures.chip_seconds.values())
        whole = place.compare("split", together, f"all chip-seconds, {total}", holds=together == total)
    expected = f"the split without idle, {used}"
    if busy is None:
        return whole, place.skip("busy_chip_seconds", expected, reason=_NOT_OPENED)
    return whole, place.compare("busy_chip_seconds", busy, expected, holds=busy == used)


def compare_training(cluster: str, figures: Figures, around: Surroundings) -> Comparison:
    """X3: training operations against the peak of the chips in training.

    Where nobody says which chips trained, the most that the split allows: the fastest ones first.
    """
    place, pflop = Place("X3", cluster), figures.training_pflop
    training = around.training if around.training is not None else assume_training(figures, around.accelerators)
    if pflop is None or training is None:
        reason = _NOT_OPENED if pflop is None else "neither records nor split and chip_seconds opened"
        found = "" if pflop is None else pflop
        return place.skip("training_pflop", "the peak of the chips in training", found=found, reason=reason)
    if unknown := _list_unknown(training, around.accelerators):
        return place.skip("training_pflop", "the peak of the chips in training", found=pflop, reason=unknown)
    is_exact = around.training is not None or len(training) <= 1
    return judge_operations(
        place, "training_pflop", pflop, training, accelerators=around.accelerators, is_exact=is_exact
    )


def compare_energy(cluster: str, figures: Figures, around: Surroundings) -> tuple[Comparison, Comparison]:
    """X4: the building's energy against the accelerators', and theirs against all idle and 1.3 x all at TDP."""
    place, energy_wh, facility_wh = Place("X4", cluster), figures.energy_wh, figures.facility_energy_wh
    if energy_wh is None or facility_wh is None:
        reason = "energy_wh not opened" if energy_wh is None else _NOT_OPENED
        found = "" if facility_wh is None else facility_wh
        building = place.skip("facility_energy_wh", "the accelerators' energy", found=found, reason=reason)
    elif facility_wh < energy_wh:
        expected = f"at least the accelerators', {energy_wh}"
        building = place.state("facility_energy_wh", facility_wh, expected, Outcome.FAILS)
    else:
        is_usual = facility_wh <= BUILDING_TIMES_MAX * energy_wh
        expected = f"at most {BUILDING_TIMES_MAX} times the accelerators', {energy_wh}"
        building = place.compare("facility_energy_wh", facility_wh, expected, holds=is_usual, otherwise=Outcome.UNUSUAL)
    return building, _compare_power(place, figures, around)


def _compare_power(place: Place, figures: Figures, around: Surroundings) -> Comparison:
    energy_wh, chip_seconds, annex = figures.energy_wh, figures.chip_seconds, around.accelerators
    if around.is_energy_measured is False:
        return place.state("energy_wh", "an estimate from the annex", "a reading of energy counters", Outcome.UNUSUAL)
    if energy_wh is None or chip_seconds is None:
        reason = _NOT_OPENED if energy_wh is None else "chip_seconds not opened"
        return place.skip("energy_wh", "what the chips can draw", reason=reason)
    if unknown := _list_unknown(chip_seconds, annex):
        return place.skip("energy_wh", "what the chips can draw", found=energy_wh, reason=unknown)
    idle_wh = sum(count * annex[model].idle_w for model, count in chip_seconds.items() if count) // JOULES_PER_WH
    tdp_j = sum(count * annex[model].tdp_w for model, count in chip_seconds.items() if count)
    maximum_wh = divide_up(13 * tdp_j, 10 * JOULES_PER_WH)
    expected = f"from {idle_wh} (all idle) to {maximum_wh} (1.3 x TDP)"
    is_usual = idle_wh <= energy_wh <= maximum_wh
    return place.compare("energy_wh", energy_wh, expected, holds=is_usual, otherwise=Outcome.UNUSUAL)


def compare_energy_of_training(cluster: str, figures: Figures, around: Surroundings) -> Comparison:
    """X5: training operations against what the energy pays for on the most efficient model with chips in the row."""
    place, pflop, energy_wh = Place("X5", cluster), figures.training_pflop, figures.energy_wh
    reason = _why_energy_says_nothing(figures, around)
    if reason or pflop is None or energy_wh is None or figures.chip_seconds is None:
        found = "" if pflop is None else pflop
        return place.skip("training_pflop", "what the energy pays for", found=found, reason=reason)
    joules = energy_wh * JOULES_PER_WH
    models = [around.accelerators[model] for model, count in figures.chip_seconds.items() if count]
    maximum = max(divide_up(joules * model.peak_gflops, model.tdp_w * GFLOP_PER_PFLOP) for model in models)
    expected = f"at most {maximum} with that energy"
    return place.compare("training_pflop", pflop, expected, holds=pflop <= maximum, otherwise=Outcome.UNUSUAL)


def _why_energy_says_nothing(figures: Figures, around: Surroundings) -> str:
    for name in ("training_pflop", "energy_wh", "chip_seconds"):
        if getattr(figures, name) is None:
            return f"{name} not opened"
    if around.is_energy_measured is False:
        return "the energy is an estimate"
    chip_seconds = {model: count for model, count in (figures.chip_seconds or {}).items() if count}
    if unknown := _list_unknown(chip_seconds, around.accelerators):
        return unknown
    if not chip_seconds:
        return "no chips in the row"
    return (
        "" if all(around.accelerators[model].tdp_w for model in chip_seconds) else "the annex has a model without TDP"
    )


def compare_scheduler(cluster: str, figures: Figures, around: Surroundings) -> tuple[Comparison, ...]:
    """X11: the scheduler's chip-seconds of each model against the installed chips, or else against the row's own."""
    place = Place("X11", cluster)
    if around.busy is None:
        return (place.skip("busy_chip_seconds", "all chip-seconds", reason="records not opened"),)
    if around.installed is not None:
        maxima = {model: count * around.interval_s for model, count in around.installed.items()}
        meaning = "all installed chips"
    elif figures.chip_seconds is not None:
        maxima, meaning = dict(figures.chip_seconds), "all chip-seconds"
    else:
        total = sum(around.busy.values())
        return (place.skip("busy_chip_seconds", "all chip-seconds", found=total, reason="chip_seconds not opened"),)
    compared = []
    for model, busy in around.busy.items():
        maximum = maxima.get(model, 0)
        expected = f"at most {maximum}, {meaning}"
        compared.append(place.compare(f"busy_chip_seconds.{model}", busy, expected, holds=busy <= maximum))
    return tuple(compared)


def compare_patterns(cluster: str, figures: Figures, *, before: Figures | None) -> tuple[Comparison, ...]:
    """X13: training operations against those of the interval before, and against too round numbers."""
    place, pflop = Place("X13", cluster), figures.training_pflop
    another, odd = "another number than one interval before", "a number as odd as measurements are"
    if pflop is None:
        return tuple(place.skip("training_pflop", expected, reason=_NOT_OPENED) for expected in (another, odd))
    earlier = None if before is None else before.training_pflop
    if earlier is None:
        repeated = place.skip("training_pflop", another, found=pflop, reason="the interval before is not known")
    else:
        is_other = pflop == 0 or pflop != earlier
        repeated = place.compare("training_pflop", pflop, another, holds=is_other, otherwise=Outcome.UNUSUAL)
    digits = str(pflop)
    is_round = len(digits) >= ROUND_DIGITS_MIN and digits.endswith("0" * (len(digits) - 1))
    return repeated, place.compare("training_pflop", pflop, odd, holds=not is_round, otherwise=Outcome.UNUSUAL)


def assume_training(figures: Figures, annex: Mapping[str, Accelerator]) -> dict[str, int] | None:
    """Give the chip-seconds in training to the fastest models first, as many as each has; None if not both are opened.

    They are the most that trained, at the highest peak: who trained with slower ones did less.
    """
    if figures.split is None or figures.chip_seconds is None:
        return None
    if _list_unknown(figures.chip_seconds, annex):
        return dict(figures.chip_seconds)
    left = sum(figures.split[part] for part in TRAINING_PARTS)
    assumed: dict[str, int] = {}
    present = [model for model, count in figures.chip_seconds.items() if count]
    fastest_first = sorted(present, key=lambda model: (-annex[model].peak_gflops, model))
    for model in fastest_first:
        assumed[model] = min(left, figures.chip_seconds[model])
        left -= assumed[model]
    return assumed


def _list_unknown(counts: Mapping[str, int], annex: Mapping[str, Accelerator]) -> str:
    """Models without figures; one of which there is nothing leaves nothing uncompared."""
    unknown = sorted(model for model, count in counts.items() if count and model not in annex)
    return f"the charter's annex has no figures of {name_some(unknown)}" if unknown else ""
