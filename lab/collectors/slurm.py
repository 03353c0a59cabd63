"""Slurm's accounting, as `sacct --json --duplicates --allusers` writes it, to jobs.

Made for what Slurm really writes, from 21.08 (openapi/dbv0.0.37) to 24.11 (data_parser/v0.0.42), with exports of real
clusters as tests (`examples/slurm/`). What differs between versions, and is taken either way:

- a number is plain, null, or `{"set": …, "infinite": …, "number": …}`;
- `state.current` is a text or a list, whose first item is the state and the rest are flags; a finished attempt of a
  requeued job is `"REQUEUED"`, or `["PENDING", "REQUEUED"]` with a start, an end and what it held: it counts;
- `end` is 0 while a job runs, and in some versions also for a job whose node was lost: such a job ends at start +
  elapsed + suspended;
- `start` is 0 or null for a job that never ran, also if it was cancelled and therefore has an end, and then no
  resources are allocated;
- `elapsed` leaves out suspended time, so it is not end - start: time held is end - start - suspended;
- a requeued job is there once for each attempt, under the same id, with another start.

Strict where it matters: a job that ran must have an id, a cluster, times in order and a known model for each GPU; the
error names the job and the field. Fields that are not needed are not looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from lab.records import EXPORT_BYTES_MAX, GPUS_PER_JOB_MAX, Collected, Job, merge_jobs
from ledger.errors import Code, FormatError
from ledger.limits import INTEGER_MAX, TIME_S_MAX
from ledger.positions import Seconds

JOBS_COUNT_MAX: Final = 5_000_000
TEXT_CHARACTERS_MAX: Final = 1_024

ENDED_STATES: Final = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "RECONFIG_FAIL", "REQUEUED", "REVOKED", "SPECIAL_EXIT", "TIMEOUT",
)  # fmt: skip
"""States in which nothing runs. In any other state a job that holds resources and has no end still runs."""

_REQUEUED: Final = "REQUEUED"


@dataclass(frozen=True, slots=True)
class GpuModels:
    """How the accelerator models of the charter are called in the scheduler.

    Attributes:
        names: charter's model by the scheduler's GRES type (`h100` of `gres/gpu:h100`). A type that is not here counts
            as a model of the same name in lower case.
        default: model of GPUs that the scheduler counts without a type; None if there must be none.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None

    def find(self, gres_type: str) -> str:
        """Give the charter's name of a GRES type."""
        return self.names.get(gres_type, gres_type.lower())


class _Number(msgspec.Struct, frozen=True):
    set: bool = True
    infinite: bool = False
    number: int | float | None = None


_Count = int | float | _Number | None


class _Time(msgspec.Struct, frozen=True):
    start: _Count = None
    end: _Count = None
    elapsed: _Count = None
    suspended: _Count = None


class _State(msgspec.Struct, frozen=True):
    current: str | list[str] | None = None


class _Resource(msgspec.Struct, frozen=True):
    type: str = ""
    name: str | None = None
    count: _Count = None


class _Resources(msgspec.Struct, frozen=True):
    allocated: list[_Resource] = []


class _Array(msgspec.Struct, frozen=True):
    job_id: _Count = None
    task_id: _Count = None


class _Het(msgspec.Struct, frozen=True):
    job_id: _Count = None
    job_offset: _Count = None


class _Row(msgspec.Struct, frozen=True):
    job_id: _Count
    state: _State
    time: _Time
    cluster: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    name: str | None = None
    tres: _Resources = _Resources()
    array: _Array = _Array()
    het: _Het = _Het()
    allocation_nodes: _Count = None


class _Export(msgspec.Struct, frozen=True):
    jobs: list[msgspec.Raw]


class _Held(NamedTuple):
    start: Seconds
    end: Seconds | None
    suspended_s: int
    seen_until: Seconds | None


_EXPORT: Final = msgspec.json.Decoder(_Export)
_ROW: Final = msgspec.json.Decoder(_Row)


def parse_sacct(
    exports: Sequence[bytes], *, models: GpuModels = GpuModels(), bytes_max: int = EXPORT_BYTES_MAX
) -> Collected:
    """Read one or several exports of one lab and bring them together.

    Args:
        exports: the outputs of `sacct --json`; they may overlap in time and cover several clusters.
        models: how the charter's accelerator models are called there.
        bytes_max: largest single export accepted, checked before decoding.

    Raises:
        FormatError: not such an export, too large, or a job that ran but cannot be counted; `field` says which job
            and which of its fields.
    """
    notes: list[str] = []
    jobs: list[Job] = []
    for number, raw in enumerate(exports):
        label = "sacct" if len(exports) == 1 else f"sacct[{number}]"
        jobs.extend(_read_export(raw, label=label, models=models, bytes_max=bytes_max, notes=notes))
    return merge_jobs(jobs, notes)


def _read_export(raw: bytes, *, label: str, models: GpuModels, bytes_max: int, notes: list[str]) -> Iterator[Job]:
    if len(raw) > bytes_max:
        raise FormatError(
            field=label, found=f"{len(raw)} bytes", expected=f"at most {bytes_max} bytes", code=Code.TOO_LARGE
        )
    try:
        rows = _EXPORT.decode(raw).jobs
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field=label, found=str(error), expected="the JSON that `sacct --json` writes") from None
    if len(rows) > JOBS_COUNT_MAX:
        raise FormatError(field=f"{label}.jobs", found=len(rows), expected=f"at most {JOBS_COUNT_MAX} jobs")
    unstarted = 0
    for position, row in enumerate(rows):
        job = _read_row(row, f"{label}.jobs[{position}]", models, notes)
        if job is None:
            unstarted += 1
        else:
            yield job
    if unstarted:
        notes.append(f"{unstarted} jobs of {label} never started and were left out")


def _read_row(raw: msgspec.Raw, place: str, models: GpuModels, notes: list[str]) -> Job | None:
    """Read one job; None if it never held anything."""
    row = _decode_row(bytes(raw), place)
    number = _integer(row.job_id, f"{place}.job_id", INTEGER_MAX)
    if number is None:
        raise FormatError(field=f"{place}.job_id", found="nothing", expected="a job id")
    job_id = _job_name(row, number, place)
    place = f"{place} (job {job_id})"
    state = _state(row.state, place)
    start = _integer(row.time.start, f"{place}.time.start", TIME_S_MAX)
    if not start or not row.tres.allocated:
        return None
    times = _times(row.time, state, start=start, place=place, notes=notes)
    if not row.cluster:
        raise FormatError(field=f"{place}.cluster", found="nothing", expected="the name of the cluster")
    return Job(
        cluster=_text(row.cluster, f"{place}.cluster"),
        job=job_id,
        state=state,
        start=times.start,
        end=times.end,
        gpus=_gpus(row.tres.allocated, place, models),
        nodes=_integer(row.allocation_nodes, f"{place}.allocation_nodes", INTEGER_MAX) or 0,
        cpus=_cpus(row.tres.allocated, place),
        suspended_s=times.suspended_s,
        seen_until=times.seen_until,
        partition=_text(row.partition, f"{place}.partition"),
        account=_text(row.account, f"{place}.account"),
        qos=_text(row.qos, f"{place}.qos"),
        name=_text(row.name, f"{place}.name"),
    )


def _decode_row(raw: bytes, place: str) -> _Row:
    """Decode a job; a name that is not UTF-8 (Slurm stores what the user typed) is kept with replacement characters."""
    try:
        return _ROW.decode(raw)
    except (UnicodeError, msgspec.MsgspecError, RecursionError) as error:
        replaced = raw.decode("utf-8", errors="replace").encode("utf-8")
        if replaced != raw:
            return _decode_row(replaced, place)
        raise FormatError(field=place, found=str(error), expected="a job as `sacct --json` writes it") from None


def _integer(value: _Count, place: str, maximum: int) -> int | None:
    """Read a number in any of its spellings; None if it is not set."""
    if isinstance(value, _Number):
        if value.infinite:
            raise FormatError(field=place, found="infinite", expected="a number")
        value = value.number if value.set else None
    if value is None:
        return None
    number = int(value) if abs(value) <= INTEGER_MAX and value == int(value) else -1
    if not 0 <= number <= maximum:
        raise FormatError(field=place, found=value, expected=f"a whole number from 0 to {maximum}")
    return number


def _job_name(row: _Row, job_id: int, place: str) -> str:
    array_id = _integer(row.array.job_id, f"{place}.array.job_id", INTEGER_MAX)
    task_id = _integer(row.array.task_id, f"{place}.array.task_id", INTEGER_MAX)
    if array_id and task_id is not None:
        return f"{array_id}_{task_id}"
    het_id = _integer(row.het.job_id, f"{place}.het.job_id", INTEGER_MAX)
    offset = _integer(row.het.job_offset, f"{place}.het.job_offset", INTEGER_MAX)
    if het_id and offset is not None:
        return f"{het_id}+{offset}"
    return str(job_id)


def _state(state: _State, place: str) -> str:
    """Give the state in one word: `CANCELLED by 1000` is CANCELLED, and `["PENDING", "REQUEUED"]` is REQUEUED."""
    current = state.current or []
    words = " ".join(current.split()[:1] if isinstance(current, str) else current).split()
    if not words:
        raise FormatError(field=f"{place}.state.current", found="nothing", expected="a state")
    return _REQUEUED if _REQUEUED in words else _text(words[0], f"{place}.state.current")


def _times(time: _Time, state: str, *, start: int, place: str, notes: list[str]) -> _Held:
    """Say from when until when resources were held, and note what the accounting is not consistent about."""
    elapsed_s = _integer(time.elapsed, f"{place}.time.elapsed", TIME_S_MAX) or 0
    suspended_s = _integer(time.suspended, f"{place}.time.suspended", TIME_S_MAX) or 0
    seen_until = Seconds(min(start + elapsed_s + suspended_s, TIME_S_MAX))
    end = _integer(time.end, f"{place}.time.end", TIME_S_MAX)
    if not end:
        if state not in ENDED_STATES:
            return _Held(Seconds(start), None, suspended_s, seen_until)
        notes.append(f"{place}: {state} without an end; counted as ended when it had run for {elapsed_s} s")
        return _Held(Seconds(start), seen_until, suspended_s, None)
    if end < start:
        raise FormatError(field=f"{place}.time.end", found=end, expected=f"at least its start, {start}")
    held_s = max(end - start - suspended_s, 0)
    if elapsed_s != held_s:
        notes.append(f"{place}: elapsed is {elapsed_s} s but end - start - suspended is {held_s} s; the latter counts")
    return _Held(Seconds(start), Seconds(end), suspended_s, None)


def _cpus(resources: Sequence[_Resource], place: str) -> int:
    counts = (
        _integer(line.count, f"{place}.tres.allocated.cpu", INTEGER_MAX) for line in resources if line.type == "cpu"
    )
    return sum(count or 0 for count in counts)


def _gpus(resources: Sequence[_Resource], place: str, models: GpuModels) -> dict[str, int]:
    """Count GPUs by model. Slurm says `gpu` for all of them and, where it tracks types, `gpu:<type>` beside it."""
    place = f"{place}.tres.allocated.gres/gpu"
    total = 0
    typed: dict[str, int] = {}
    for line in resources:
        name = line.name or ""
        if line.type != "gres" or not (name == "gpu" or name.startswith("gpu:")):
            continue
        count = _integer(line.count, place, GPUS_PER_JOB_MAX) or 0
        if name == "gpu":
            total += count
        elif count:
            model = models.find(name.removeprefix("gpu:"))
            typed[model] = typed.get(model, 0) + count
    untyped = total - sum(typed.values())
    if untyped > 0:
        if models.default is None:
            raise FormatError(
                field=place,
                found=f"{untyped} GPUs of no type",
                expected="a type for each, or a default model in the lab's configuration",
            )
        typed[models.default] = typed.get(models.default, 0) + untyped
    return dict(sorted(typed.items()))


def _text(text: str | None, place: str) -> str:
    text = text or ""
    if len(text) > TEXT_CHARACTERS_MAX:
        raise FormatError(
            field=place, found=f"{len(text)} characters", expected=f"at most {TEXT_CHARACTERS_MAX} characters"
        )
    return text
