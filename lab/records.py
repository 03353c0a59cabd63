"""Jobs as a scheduler knows them, and the records a report commits to.

A `Job` is one attempt of one job with the names it was given (account, QOS, job name): it never leaves the lab's
memory. A `Record` is what is kept and hashed: no names of people or projects, times cut to the interval, the use that
`lab.classification` gave it. Both collectors make jobs; `lab.reports` turns jobs into records.

Times are Unix seconds, UTC; intervals are half-open.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.errors import FormatError
from ledger.limits import INTEGER_MAX, TIME_S_MAX
from ledger.positions import Seconds

EXPORT_BYTES_MAX: Final = 256 * 1024 * 1024
RECORD_BYTES_MAX: Final = 16 * 1024
GPUS_PER_JOB_MAX: Final = 2**24


class Use(StrEnum):
    """What chips were used for: the fields of `ledger.statements.reports.Split` but idle."""

    TRAINING = "training"
    POST_TRAINING = "post_training"
    INFERENCE = "inference"
    EVALUATION = "evaluation"
    OTHER = "other"


TRAINING_USES: Final = (Use.TRAINING, Use.POST_TRAINING)
"""Uses that change weights: their operations are training operations, and belong to a run."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """An interval: from `start` until just before `end`."""

    start: Seconds
    end: Seconds

    @property
    def length_s(self) -> int:
        """How many seconds it has."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of one job that held resources.

    Attributes:
        cluster: the scheduler's name of the cluster.
        job: job id; `123_4` for a task of an array, `123+1` for a component of a heterogeneous job.
        state: the scheduler's word, such as COMPLETED.
        start: when it began.
        end: when it ended; None while it still ran at the time of the export.
        gpus: accelerators held, by model of the charter.
        nodes: how many.
        cpus: how many.
        suspended_s: seconds between start and end in which the scheduler had suspended it.
        seen_until: for a job without end, the moment up to which the export knows of it.
        attempt: 0 for the first, then one more for each time it was requeued.
        partition: where it was queued.
        account: whose budget paid.
        qos: quality of service.
        name: what its user called it.
    """

    cluster: str
    job: str
    state: str
    start: Seconds
    end: Seconds | None
    gpus: Mapping[str, int]
    nodes: int
    cpus: int
    suspended_s: int = 0
    seen_until: Seconds | None = None
    attempt: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collector brings.

    Attributes:
        jobs: in order of cluster, start and job id, each attempt once.
        notes: what a person should read before filing: rows left out, repaired or odd.
        shift_s: seconds added to every time; not 0 only when an old export is replayed.
    """

    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()
    shift_s: int = 0


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One attempt of a job, cut to an interval: the bytes of this are hashed under the row's records root.

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
        busy_s: seconds counted, `end - start` less what was suspended.
        gpus: accelerators held, by model of the charter.
        nodes: how many.
        cpus: how many.
        use: what for.
        run: the training run it belongs to, if the use is one of `TRAINING_USES`.
        utilisation_permille: the share of the peak that is assumed when operations are computed.
    """

    cluster: str
    job: str
    attempt: Annotated[int, Meta(ge=0)]
    partition: str
    state: str
    start: Annotated[int, Meta(ge=0, le=TIME_S_MAX)]
    end: Annotated[int, Meta(ge=0, le=TIME_S_MAX)]
    continued: bool
    continues: bool
    busy_s: Annotated[int, Meta(ge=0, le=TIME_S_MAX)]
    gpus: dict[str, Annotated[int, Meta(ge=1, le=GPUS_PER_JOB_MAX)]]
    nodes: Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
    cpus: Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
    use: Use
    run: str | None
    utilisation_permille: Annotated[int, Meta(ge=0, le=1000)]


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """Write a record: JSON with fields in this order, models sorted, no spaces."""
    raw = _ENCODER.encode(record)
    parse_record(raw)
    return raw


def parse_record(raw: bytes) -> Record:
    """Read a record in its one encoding.

    Raises:
        FormatError: too long, not a record, or in another spelling.
    """
    if len(raw) > RECORD_BYTES_MAX:
        raise FormatError(field="record", found=f"{len(raw)} bytes", expected=f"at most {RECORD_BYTES_MAX} bytes")
    try:
        record = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="record", found=str(error), expected="a record") from None
    if _ENCODER.encode(record) != raw:
        raise FormatError(field="record", found="another spelling", expected="the record's one encoding")
    return record


def merge_jobs(jobs: Iterable[Job], notes: Sequence[str] = ()) -> Collected:
    """Bring jobs of one or several exports together: each attempt once, none beside itself.

    Exports overlap and requeued jobs appear several times under one id. Rows with the same cluster, id and start are
    one attempt, of which the row that knows most counts; a later start is the next attempt, and ends the earlier one
    at the latest then, since a job does not run twice at once.
    """
    attempts: dict[tuple[str, str], dict[int, Job]] = {}
    repeated = 0
    for job in jobs:
        known = attempts.setdefault((job.cluster, job.job), {})
        before = known.get(job.start)
        repeated += before is not None
        known[job.start] = job if before is None else _better_known(before, job)
    said = list(notes)
    if repeated:
        said.append(f"{repeated} rows repeated an attempt already there and were counted once")
    merged: list[Job] = []
    for known in attempts.values():
        ordered = [known[start] for start in sorted(known)]
        for number, (job, following) in enumerate(itertools.zip_longest(ordered, ordered[1:])):
            numbered = replace(job, attempt=number)
            merged.append(_end_before(numbered, following, said) if following is not None else numbered)
    merged.sort(key=lambda job: (job.cluster, job.start, job.job, job.attempt))
    return Collected(tuple(merged), tuple(said))


def shift_collected(collected: Collected, shift_s: int) -> Collected:
    """Add seconds to every time, to replay an old export against a grid that is running now.

    For demonstrations and rehearsals alone: a report of shifted records says nothing about the interval it names. The
    shift is kept in the result, noted, and written into the vault with the report.

    Raises:
        FormatError: a time would leave the range of the ledger's times.
    """
    if shift_s == 0:
        return collected
    jobs = tuple(
        replace(
            job,
            start=_shift(job.start, shift_s, job),
            end=None if job.end is None else _shift(job.end, shift_s, job),
            seen_until=None if job.seen_until is None else _shift(job.seen_until, shift_s, job),
        )
        for job in collected.jobs
    )
    note = f"REPLAY: all times were shifted by {shift_s:+d} seconds; these records are not of this interval"
    return Collected(jobs, (*collected.notes, note), collected.shift_s + shift_s)


def overlaps(job: Job, bounds: Bounds) -> bool:
    """Say whether a job held resources for at least a second of the interval."""
    return job.start < bounds.end and (job.end is None or job.end > bounds.start)


def clip_job(job: Job, bounds: Bounds, *, use: Use, run: str | None, utilisation_permille: int) -> Record:
    """Cut a job to the interval. Only for a job that `overlaps` it.

    A job without end is counted until the interval's end. When it was suspended is not in the accounting, only for how
    long, so suspended seconds are taken off only as far as the whole job's running time limits the part inside: never
    less is counted than was used.
    """
    assert overlaps(job, bounds)
    start = max(job.start, bounds.start)
    end = bounds.end if job.end is None else min(job.end, bounds.end)
    whole_s = (bounds.end if job.end is None else job.end) - job.start
    return Record(
        cluster=job.cluster,
        job=job.job,
        attempt=job.attempt,
        partition=job.partition,
        state=job.state,
        start=start,
        end=end,
        continued=job.start < bounds.start,
        continues=job.end is None or job.end > bounds.end,
        busy_s=min(end - start, max(whole_s - job.suspended_s, 0)),
        gpus=dict(sorted(job.gpus.items())),
        nodes=job.nodes,
        cpus=job.cpus,
        use=use,
        run=run,
        utilisation_permille=utilisation_permille,
    )


def _better_known(one: Job, other: Job) -> Job:
    """Of two rows of one attempt, the one that has an end, or else the one that knows it longer."""
    return max(one, other, key=lambda job: (job.end is not None, job.end or job.seen_until or job.start, repr(job)))


def _end_before(job: Job, following: Job, notes: list[str]) -> Job:
    if job.end is not None and job.end <= following.start:
        return job
    notes.append(
        f"job {job.job} of {job.cluster}: attempt {job.attempt} had no end before attempt {job.attempt + 1} began; "
        "it was ended there"
    )
    return replace(job, end=following.start, seen_until=None)


def _shift(time: Seconds, shift_s: int, job: Job) -> Seconds:
    shifted = time + shift_s
    if not 0 <= shifted <= TIME_S_MAX:
        raise FormatError(field=f"job {job.job}", found=shifted, expected=f"a time from 0 to {TIME_S_MAX} after shift")
    return Seconds(shifted)
