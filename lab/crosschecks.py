"""What a report's hidden numbers must satisfy, checked before anything is signed: X1 to X6, X11 and X13.

A hard check fails on what cannot be true; a soft one on what is unusual enough that a person should look. The client
refuses to build a report with a failed hard check unless the lab overrides that check by name and with a reason, which
the vault keeps. Integers only; nothing is rounded in the lab's favour.

| check | says | |
|---|---|---|
| X1 | chip-seconds of a model are at most the registered capacity x the interval's length | hard |
| X2 | the split adds up to all chip-seconds, and the split without idle to the busy ones | hard |
| X3 | training operations are at most what the chips in training can do at peak | hard; soft above 70 % or below 1 % |
| X4 | energy lies between all idle and 1.3 x all at TDP; a building needs 1 to 2 times that | soft; hard below 1 |
| X5 | training operations are at most energy x the best operations per joule of the models | soft |
| X6 | a run's cumulative operations are what they were plus those of the interval | hard |
| X11 | the scheduler's chip-seconds of a model are at most those of the installed chips | hard |
| X13 | numbers that repeat the interval before, or are rounder than measurements are | soft |
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.charter import Accelerator
from ledger.errors import shorten
from ledger.statements.intoto import parse_quantity
from ledger.statements.reports import HiddenFields, Split

GFLOP_PER_PFLOP: Final = 10**6
UTILISATION_HIGH_PERMILLE: Final = 700
UTILISATION_LOW_PERMILLE: Final = 10
JOULES_PER_WH: Final = 3600
ROUND_DIGITS_MIN: Final = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that failed.

    Attributes:
        check: its name, such as X3.
        cluster: whose row.
        field: which number is wrong.
        found: what it is.
        expected: what would be right.
        is_hard: whether it stops the report unless it is overridden.
    """

    check: str
    cluster: str
    field: str
    found: str
    expected: str
    is_hard: bool

    def __str__(self) -> str:
        """One readable sentence."""
        return f"{self.check} {self.cluster} {self.field}: found {self.found}; expected {self.expected}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a row's numbers are held against.

    Attributes:
        interval_s: length of the interval.
        accelerators: the charter's annex by model; it has every model of the row.
        busy: chip-seconds the scheduler counted, by model.
        training: of those, the ones of training uses.
        installed: chips of the cluster by model, as the lab knows them.
        capacity: chips registered in public, by model; None if the registration does not say.
        runs_before: cumulative PFLOP of each run before this interval.
        before: the same cluster's fields one interval earlier, if known.
        is_energy_measured: whether the energy figures come from a meter.
    """

    interval_s: int
    accelerators: Mapping[str, Accelerator]
    busy: Mapping[str, int]
    training: Mapping[str, int]
    installed: Mapping[str, int]
    capacity: Mapping[str, int] | None = None
    runs_before: Mapping[str, int] = field(default_factory=dict)
    before: HiddenFields | None = None
    is_energy_measured: bool = True


def check_fields(cluster: str, hidden: HiddenFields, around: Surroundings) -> tuple[Finding, ...]:
    """Run every check on one row's fields, in the order of their names."""
    check = _Row(cluster, hidden, around)
    return (
        *check.x1_capacity(),
        *check.x2_split(),
        *check.x3_training(),
        *check.x4_energy(),
        *check.x5_energy_of_training(),
        *check.x6_cumulative(),
        *check.x11_scheduler(),
        *check.x13_patterns(),
    )


class _Row:
    """One row under examination; each method is one check of the table above."""

    def __init__(self, cluster: str, hidden: HiddenFields, around: Surroundings) -> None:
        self._cluster = cluster
        self._hidden = hidden
        self._around = around
        self._chip_seconds = {model: _read(count) for model, count in hidden.chip_seconds.items()}
        self._split = {name: _read(getattr(hidden.split, name)) for name in Split.__struct_fields__}
        self._training_pflop = _read(hidden.training_pflop)

    def x1_capacity(self) -> Iterator[Finding]:
        if self._around.capacity is None:
            return
        for model, count in self._chip_seconds.items():
            maximum = self._around.capacity.get(model, 0) * self._around.interval_s
            if count > maximum:
                yield self._hard("X1", f"chip_seconds.{model}", count, f"at most {maximum}, the registered capacity")

    def x2_split(self) -> Iterator[Finding]:
        total, together = sum(self._chip_seconds.values()), sum(self._split.values())
        if together != total:
            yield self._hard("X2", "split", together, f"all chip-seconds, {total}")
        busy, used = _read(self._hidden.busy_chip_seconds), together - self._split["idle"]
        if used != busy:
            yield self._hard("X2", "busy_chip_seconds", busy, f"the split without idle, {used}")

    def x3_training(self) -> Iterator[Finding]:
        peak_gflop = sum(
            count * self._around.accelerators[model].peak_gflops for model, count in self._around.training.items()
        )
        maximum = divide_up(peak_gflop, GFLOP_PER_PFLOP)
        if self._training_pflop > maximum:
            yield self._hard("X3", "training_pflop", self._training_pflop, f"at most {maximum}, the peak of the chips")
        elif self._training_pflop * 1000 > maximum * UTILISATION_HIGH_PERMILLE:
            yield self._soft("X3", "training_pflop", self._training_pflop, f"at most 70 % of the peak, {maximum}")
        elif self._training_pflop * 1000 < maximum * UTILISATION_LOW_PERMILLE:
            yield self._soft("X3", "training_pflop", self._training_pflop, f"at least 1 % of the peak, {maximum}")

    def x4_energy(self) -> Iterator[Finding]:
        energy_wh, facility_wh = _read(self._hidden.energy_wh), _read(self._hidden.facility_energy_wh)
        if facility_wh < energy_wh:
            yield self._hard("X4", "facility_energy_wh", facility_wh, f"at least the accelerators', {energy_wh}")
        elif facility_wh > 2 * energy_wh:
            yield self._soft("X4", "facility_energy_wh", facility_wh, f"at most twice the accelerators', {energy_wh}")
        if not self._around.is_energy_measured:
            yield self._soft("X4", "energy_wh", "an estimate from the annex", "a reading of energy counters")
            return
        annex = self._around.accelerators
        idle_wh = sum(count * annex[model].idle_w for model, count in self._chip_seconds.items()) // JOULES_PER_WH
        tdp_j = sum(count * annex[model].tdp_w for model, count in self._chip_seconds.items())
        maximum_wh = divide_up(13 * tdp_j, 10 * JOULES_PER_WH)
        if not idle_wh <= energy_wh <= maximum_wh:
            yield self._soft("X4", "energy_wh", energy_wh, f"from {idle_wh} (all idle) to {maximum_wh} (1.3 x TDP)")

    def x5_energy_of_training(self) -> Iterator[Finding]:
        models = [self._around.accelerators[model] for model in self._chip_seconds]
        if not self._around.is_energy_measured or not models or any(model.tdp_w == 0 for model in models):
            return
        joules = _read(self._hidden.energy_wh) * JOULES_PER_WH
        maximum = max(divide_up(joules * model.peak_gflops, model.tdp_w * GFLOP_PER_PFLOP) for model in models)
        if self._training_pflop > maximum:
            yield self._soft("X5", "training_pflop", self._training_pflop, f"at most {maximum} with that energy")

    def x6_cumulative(self) -> Iterator[Finding]:
        for run in self._hidden.runs:
            expected = self._around.runs_before.get(run.run, 0) + _read(run.pflop)
            if _read(run.cumulative_pflop) != expected:
                yield self._hard("X6", f"runs.{run.run}.cumulative_pflop", run.cumulative_pflop, str(expected))

    def x11_scheduler(self) -> Iterator[Finding]:
        for model, busy in self._around.busy.items():
            maximum = self._around.installed.get(model, 0) * self._around.interval_s
            if busy > maximum:
                yield self._hard("X11", f"busy_chip_seconds.{model}", busy, f"at most {maximum}, all installed chips")

    def x13_patterns(self) -> Iterator[Finding]:
        before = self._around.before
        if before is not None and self._training_pflop and _read(before.training_pflop) == self._training_pflop:
            yield self._soft("X13", "training_pflop", self._training_pflop, "another number than one interval before")
        digits = str(self._training_pflop)
        if len(digits) >= ROUND_DIGITS_MIN and digits.endswith("0" * (len(digits) - 1)):
            yield self._soft("X13", "training_pflop", self._training_pflop, "a number as odd as measurements are")

    def _hard(self, check: str, name: str, found: object, expected: str) -> Finding:
        return Finding(check, self._cluster, name, shorten(found), expected, is_hard=True)

    def _soft(self, check: str, name: str, found: object, expected: str) -> Finding:
        return Finding(check, self._cluster, name, shorten(found), expected, is_hard=False)


def divide_up(number: int, by: int) -> int:
    """Divide and round up; both not negative."""
    return -(-number // by)


def _read(quantity: int | str) -> int:
    return parse_quantity(quantity, field="hidden")
