"""Records of a row, read by somebody else than who wrote them, added up and held against the row's figures.

A record is one attempt of a job, cut to the interval, in one encoding; what its fields mean is said in the guide of
labs. This is a reader of its own, so that a mistake in the lab's is seen. Operations are chip-seconds x the charter's
peak x the assumed utilisation of each record, added up exactly and rounded up to PFLOP once.

With all records of a row opened its figures must be equal to what they add up to. With some of them they must be at
least that: a report that understates is caught by as few records as weigh more than it admits.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from ledger.charter import Accelerator
from ledger.crosschecks.comparisons import Comparison, Place, name_some
from ledger.crosschecks.figures import Figures
from ledger.crosschecks.units import GFLOP_PER_PFLOP, divide_up
from ledger.errors import FormatError
from ledger.limits import INTEGER_MAX, MODELS_MAX, RECORD_BYTES_MAX, TIME_S_MAX

CHECK: Final = "RECORDS"
TRAINING_USES: Final = ("training", "post_training")

Use = Literal["training", "post_training", "inference", "evaluation", "other"]

_NOT_OPENED: Final = "not opened"
_Time = Annotated[int, Meta(ge=0, le=TIME_S_MAX)]
_Number = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One attempt of a job; the order of fields is that of the JSON.

    Attributes:
        cluster: the scheduler's name of the cluster.
        job: the scheduler's id.
        attempt: 0 for the first.
        partition: where it was queued.
        state: the scheduler's word.
        start: first second inside the interval.
        end: the second after the last one inside the interval.
        continued: whether it began before the interval.
        continues: whether it went on after it.
        busy_s: seconds counted.
        gpus: accelerators held, by model of the charter.
        nodes: how many.
        cpus: how many.
        use: what for.
        run: the training run it belongs to.
        utilisation_permille: the share of the peak that is assumed.
    """

    cluster: str
    job: str
    attempt: _Number
    partition: str
    state: str
    start: _Time
    end: _Time
    continued: bool
    continues: bool
    busy_s: _Time
    gpus: Annotated[dict[str, Annotated[int, Meta(ge=1, le=2**24)]], Meta(max_length=MODELS_MAX)]
    nodes: _Number
    cpus: _Number
    use: Use
    run: str | None
    utilisation_permille: Annotated[int, Meta(ge=0, le=1000)]


@dataclass(frozen=True, slots=True)
class Bounds:
    """An interval in Unix seconds: from `start` until just before `end`."""

    start: int
    end: int


@dataclass(slots=True)
class Totals:
    """What records add up to.

    Attributes:
        is_whole: whether they are all records of the row, and all could be read.
        busy: chip-seconds by model.
        training: of those, the ones of training runs.
        uses: chip-seconds by use.
        runs: GFLOP x permille by run.
        unknown: models that the charter's annex does not have, as often as they occur.
    """

    is_whole: bool
    busy: dict[str, int] = field(default_factory=dict)
    training: dict[str, int] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)


_DECODER: Final = msgspec.json.Decoder(Record)
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def parse_record(raw: bytes) -> Record:
    """Read a record in its one encoding.

    Raises:
        FormatError: too long, not a record, or in another spelling.
    """
    if len(raw) > RECORD_BYTES_MAX:
        raise FormatError(field="record", found=f"{len(raw)} bytes", expected=f"at most {RECORD_BYTES_MAX} bytes")
    try:
        record = _DECODER.decode(raw)
        again = _ENCODER.encode(record)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="record", found=str(error), expected="a record") from None
    if again != raw:
        raise FormatError(field="record", found="another spelling", expected="the record's one encoding")
    return record


def add_up_records(records: Sequence[Record], accelerators: Mapping[str, Accelerator], *, is_whole: bool) -> Totals:
    """Add up chip-seconds and operations.

    Args:
        records: as they could be read.
        accelerators: the charter's annex by model.
        is_whole: whether they are all records of the row.
    """
    totals = Totals(is_whole)
    for record in records:
        is_training = record.use in TRAINING_USES and record.run is not None
        for model, count in record.gpus.items():
            chip_s = count * record.busy_s
            _add(totals.busy, model, chip_s)
            _add(totals.uses, record.use, chip_s)
            accelerator = accelerators.get(model)
            if accelerator is None:
                totals.unknown[model] += 1
            elif is_training and record.run is not None:
                _add(totals.training, model, chip_s)
                _add(totals.runs, record.run, chip_s * accelerator.peak_gflops * record.utilisation_permille)
    return totals


def compare_times(cluster: str, records: Sequence[Record], bounds: Bounds) -> tuple[Comparison, ...]:
    """Hold each record against the interval and against the others: none outside, none too busy, none twice."""
    place = Place(CHECK, cluster)
    outside = [
        f"{record.job} of {record.start} to {record.end}"
        for record in records
        if not (bounds.start <= record.start <= record.end <= bounds.end and record.busy_s <= record.end - record.start)
    ]
    attempts = Counter((record.cluster, record.job, record.attempt) for record in records)
    twice = [job for (_, job, _), count in attempts.items() if count > 1]
    found = f"outside: {name_some(outside)}" if outside else f"{len(records)} records"
    within = f"from {bounds.start} to {bounds.end}, and no busier than they are long"
    found_twice = f"twice: {name_some(twice)}" if twice else f"{len(records)} records"
    return (
        place.compare("times", found, within, holds=not outside),
        place.compare("attempts", found_twice, "each attempt of a job once", holds=not twice),
    )


def compare_totals(cluster: str, figures: Figures, totals: Totals) -> tuple[Comparison, ...]:
    """Hold the row's figures against what its records add up to."""
    held = _Held(Place(CHECK, cluster), is_whole=totals.is_whole)
    compared = [held.compare("busy_chip_seconds", figures.busy_chip_seconds, sum(totals.busy.values()))]
    for use in get_args(Use):
        declared = None if figures.split is None else figures.split[use]
        compared.append(held.compare(f"split.{use}", declared, totals.uses.get(use, 0)))
    if totals.unknown:
        reason = f"the charter's annex has no figures of {name_some(list(totals.unknown))}"
        return (*compared, held.place.skip("training_pflop", "what the records add up to", reason=reason))
    spent = {run: _pflop(gflop) for run, gflop in totals.runs.items()}
    compared.append(held.compare("training_pflop", figures.training_pflop, _pflop(sum(totals.runs.values()))))
    compared.append(held.compare("largest_run_pflop", figures.largest_run_pflop, max(spent.values(), default=0)))
    if figures.runs is None:
        return (*compared, held.place.skip("runs", "what the records add up to", reason=_NOT_OPENED))
    declared_runs = {run.run: run.pflop for run in figures.runs}
    named = dict.fromkeys((*declared_runs, *spent))
    runs = (held.compare(f"runs.{run}.pflop", declared_runs.get(run, 0), spent.get(run, 0)) for run in named)
    return (*compared, *runs)


class _Held:
    """Compares declared figures with sums: equal to the sum of all records, or no less than that of some."""

    def __init__(self, place: Place, *, is_whole: bool) -> None:
        self.place, self._is_whole = place, is_whole

    def compare(self, name: str, declared: int | None, added: int) -> Comparison:
        expected = f"{added}, the sum of all records" if self._is_whole else f"at least {added}, of the opened records"
        if declared is None:
            return self.place.skip(name, expected, reason=_NOT_OPENED)
        holds = declared == added if self._is_whole else declared >= added
        return self.place.compare(name, declared, expected, holds=holds)


def _add(counts: dict[str, int], name: str, number: int) -> None:
    counts[name] = counts.get(name, 0) + number


def _pflop(gflop_permille: int) -> int:
    return divide_up(gflop_permille, 1000 * GFLOP_PER_PFLOP)
