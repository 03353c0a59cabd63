"""From records to the figures of a row: exact sums, rounded once and never in the lab's favour.

Operations are chip-seconds x peak x assumed utilisation; they are added up in GFLOP x permille, which are integers, and
rounded up to PFLOP at the end. The peak is the charter's, whatever anybody else says of the chip.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lab.records import TRAINING_USES, Record, Use
from ledger.charter import Accelerator
from ledger.crosschecks.units import GFLOP_PER_PFLOP, JOULES_PER_WH, divide_up
from ledger.errors import PolicyError
from ledger.statements.intoto import encode_quantity
from ledger.statements.reports import HiddenFields, Run, Split

FACILITY_ESTIMATE_TENTHS: Final = 13
"""Energy of the building over that of the accelerators where neither is measured: 1.3."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Meter readings of one cluster over the interval, in Wh."""

    accelerators_wh: int
    facility_wh: int


@dataclass(slots=True)
class Totals:
    """Chip-seconds and operations of a row, added up exactly.

    Attributes:
        busy: chip-seconds by model.
        training: of those, the ones of `TRAINING_USES`.
        uses: chip-seconds by use.
        gflop_permille: operations of all uses, in GFLOP x permille.
        training_gflop_permille: of those, the ones of `TRAINING_USES`.
        runs: the same, by run.
    """

    busy: dict[str, int] = field(default_factory=dict)
    training: dict[str, int] = field(default_factory=dict)
    uses: dict[Use, int] = field(default_factory=lambda: dict.fromkeys(Use, 0))
    gflop_permille: int = 0
    training_gflop_permille: int = 0
    runs: dict[str, int] = field(default_factory=dict)

    def add(self, record: Record, model: str, *, chip_s: int, peak_gflops: int) -> None:
        """Add one record's chips of one model."""
        operations = chip_s * peak_gflops * record.utilisation_permille
        self.busy[model] = self.busy.get(model, 0) + chip_s
        self.uses[record.use] += chip_s
        self.gflop_permille += operations
        if record.use in TRAINING_USES and record.run is not None:
            self.training[model] = self.training.get(model, 0) + chip_s
            self.training_gflop_permille += operations
            self.runs[record.run] = self.runs.get(record.run, 0) + operations


def add_up_records(records: Iterable[Record], accelerators: Mapping[str, Accelerator]) -> Totals:
    """Add up the records of a row.

    Raises:
        PolicyError: a model that the charter's annex does not have.
    """
    totals = Totals()
    for record in records:
        for model, count in record.gpus.items():
            peak_gflops = _find_model(model, accelerators, field=f"record {record.job}.gpus").peak_gflops
            totals.add(record, model, chip_s=count * record.busy_s, peak_gflops=peak_gflops)
    return totals


def compute_fields(
    totals: Totals,
    *,
    chips: Mapping[str, int],
    length_s: int,
    accelerators: Mapping[str, Accelerator],
    runs_before: Mapping[str, int],
    energy: Energy | None,
) -> HiddenFields:
    """Compute the hidden fields of a row.

    More work than chips is a failed check (X11); if the lab overrides it, what was used counts as installed.

    Args:
        totals: of the row's records.
        chips: installed, by model.
        length_s: of the interval.
        accelerators: the charter's annex.
        runs_before: PFLOP of each run on this cluster in earlier intervals.
        energy: meter readings; None to estimate (busy chips at TDP, the others idle, a usual building).

    Raises:
        PolicyError: a model that the charter's annex does not have.
    """
    chip_seconds = {}
    peak_gflop = 0
    for model in sorted({*(model for model, count in chips.items() if count), *totals.busy}):
        peak_gflops = _find_model(model, accelerators, field="cluster.chips").peak_gflops
        chip_seconds[model] = max(chips.get(model, 0) * length_s, totals.busy.get(model, 0))
        peak_gflop += chip_seconds[model] * peak_gflops
    busy_chip_s = sum(totals.busy.values())
    energy = energy or _estimate_energy(chip_seconds, totals.busy, accelerators)
    return HiddenFields(
        chip_seconds={model: encode_quantity(chip_s) for model, chip_s in chip_seconds.items()},
        busy_chip_seconds=encode_quantity(busy_chip_s),
        split=Split(
            **{use.value: encode_quantity(totals.uses[use]) for use in Use},
            idle=encode_quantity(sum(chip_seconds.values()) - busy_chip_s),
        ),
        training_pflop=encode_quantity(_pflop(totals.training_gflop_permille)),
        largest_run_pflop=encode_quantity(max((_pflop(spent) for spent in totals.runs.values()), default=0)),
        energy_wh=encode_quantity(energy.accelerators_wh),
        facility_energy_wh=encode_quantity(energy.facility_wh),
        utilisation_permille=totals.gflop_permille // peak_gflop if peak_gflop else 0,
        runs=tuple(_run(run, totals.runs[run], runs_before) for run in sorted(totals.runs)),
    )


def _run(run: str, gflop_permille: int, runs_before: Mapping[str, int]) -> Run:
    pflop = _pflop(gflop_permille)
    return Run(run=run, pflop=encode_quantity(pflop), cumulative_pflop=encode_quantity(runs_before.get(run, 0) + pflop))


def _pflop(gflop_permille: int) -> int:
    return divide_up(gflop_permille, 1000 * GFLOP_PER_PFLOP)


def _estimate_energy(
    chip_seconds: Mapping[str, int], busy: Mapping[str, int], accelerators: Mapping[str, Accelerator]
) -> Energy:
    joules = sum(
        busy.get(model, 0) * accelerators[model].tdp_w + (chip_s - busy.get(model, 0)) * accelerators[model].idle_w
        for model, chip_s in chip_seconds.items()
    )
    accelerators_wh = divide_up(joules, JOULES_PER_WH)
    return Energy(accelerators_wh, divide_up(accelerators_wh * FACILITY_ESTIMATE_TENTHS, 10))


def _find_model(model: str, accelerators: Mapping[str, Accelerator], *, field: str) -> Accelerator:
    accelerator = accelerators.get(model)
    if accelerator is None:
        raise PolicyError(
            field=field, found=model, expected=f"a model of the charter's annex: {', '.join(sorted(accelerators))}"
        )
    return accelerator
