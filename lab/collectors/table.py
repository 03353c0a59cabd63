"""A CSV table of jobs, for schedulers we do not read and for inventories kept by hand: the same columns as a job has.

UTF-8, comma, quotes doubled inside quotes (RFC 4180), LF or CRLF, a header line first. Columns in any order; those in
`REQUIRED_COLUMNS` must be there, the others may be, and no unknown one, so that a mistyped name is noticed:

    cluster      the scheduler's name of the cluster
    job          job id; several rows of one id with different starts are attempts of one job
    state        the scheduler's word, such as COMPLETED
    start        Unix seconds, or UTC as 2026-11-23T15:12:50Z
    end          the same; empty while the job runs
    gpus         models of the charter with counts, as `h100:8` or `a100:4;h100:8`; empty for none
    nodes, cpus  counts (0 if not given)
    suspended_s  seconds between start and end in which it was suspended (0 if not given)
    seen_until   for a job without end: when the table was made, as a time
    partition, account, qos, name    for the mapping of jobs to uses; they are not kept

`docs/collectors.md` shows examples, `examples/table/` has whole files.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from lab.records import EXPORT_BYTES_MAX, GPUS_PER_JOB_MAX, Collected, Job, merge_jobs
from ledger.encoding import decode_decimal
from ledger.errors import Code, FormatError
from ledger.limits import INTEGER_MAX, TIME_S_MAX
from ledger.positions import Seconds

REQUIRED_COLUMNS: Final = ("cluster", "job", "state", "start", "end", "gpus")
OPTIONAL_COLUMNS: Final = (
    "nodes", "cpus", "suspended_s", "seen_until", "partition", "account", "qos", "name",
)  # fmt: skip
COLUMNS: Final = REQUIRED_COLUMNS + OPTIONAL_COLUMNS
CELL_CHARACTERS_MAX: Final = 1_024
MODELS_PER_JOB_MAX: Final = 16

_UTC: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z", re.ASCII)
_GPUS: Final = re.compile(r"([a-z0-9-]{1,64}):([0-9]{1,20})\Z", re.ASCII)


def parse_table(tables: Iterable[bytes], *, bytes_max: int = EXPORT_BYTES_MAX) -> Collected:
    """Read one or several tables of one lab and bring them together.

    Args:
        tables: contents of the files; they may overlap in time and cover several clusters.
        bytes_max: largest single table accepted, checked before decoding.

    Raises:
        FormatError: not such a table, or a cell that cannot be counted; `field` says which line and column.
    """
    jobs: list[Job] = []
    for number, raw in enumerate(tables):
        jobs.extend(_read_table(raw, label=f"table[{number}]", bytes_max=bytes_max))
    return merge_jobs(jobs)


def encode_table(jobs: Iterable[Job]) -> bytes:
    """Write jobs as a table that `parse_table` reads back, with every column and times in UTC."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # CRLF, so that both characters are quoted where a name contains them
    writer.writerow(COLUMNS)
    for job in jobs:
        cells = {
            "cluster": job.cluster,
            "job": job.job,
            "state": job.state,
            "start": _encode_time(job.start),
            "end": _encode_time(job.end),
            "gpus": ";".join(f"{model}:{count}" for model, count in sorted(job.gpus.items())),
            "nodes": job.nodes,
            "cpus": job.cpus,
            "suspended_s": job.suspended_s,
            "seen_until": _encode_time(job.seen_until),
            "partition": job.partition,
            "account": job.account,
            "qos": job.qos,
            "name": job.name,
        }
        writer.writerow([cells[column] for column in COLUMNS])
    return text.getvalue().encode("utf-8")


def _read_table(raw: bytes, *, label: str, bytes_max: int) -> Iterator[Job]:
    if len(raw) > bytes_max:
        raise FormatError(
            field=label, found=f"{len(raw)} bytes", expected=f"at most {bytes_max} bytes", code=Code.TOO_LARGE
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(field=label, found=str(error), expected="UTF-8") from None
    rows = _numbered(text, label)
    _, columns = next(rows, (0, []))
    _check_columns(columns, label)
    for line, cells in rows:
        if not cells:
            continue
        place = f"{label} line {line}"
        if len(cells) != len(columns):
            raise FormatError(field=place, found=f"{len(cells)} cells", expected=f"{len(columns)}, as the header has")
        yield _read_job(dict(zip(columns, cells, strict=True)), place)


def _numbered(text: str, label: str) -> Iterator[tuple[int, list[str]]]:
    """Give each row with the number of the line it ends on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise FormatError(
            field=f"{label} line {reader.line_num}", found=str(error), expected="comma-separated values (RFC 4180)"
        ) from None


def _check_columns(columns: list[str], label: str) -> None:
    for name in columns:
        if name not in COLUMNS or columns.count(name) > 1:
            raise FormatError(
                field=f"{label} header", found=name, expected=f"each at most once of: {', '.join(COLUMNS)}"
            )
    for name in REQUIRED_COLUMNS:
        if name not in columns:
            raise FormatError(field=f"{label} header", found=", ".join(columns), expected=f"a column {name}")


def _read_job(cells: dict[str, str], place: str) -> Job:
    for column, cell in cells.items():
        if len(cell) > CELL_CHARACTERS_MAX:
            raise FormatError(
                field=f"{place} {column}", found=f"{len(cell)} characters", expected=f"at most {CELL_CHARACTERS_MAX}"
            )
    for column in ("cluster", "job", "state"):
        if not cells[column]:
            raise FormatError(field=f"{place} {column}", found="nothing", expected="a name")
    place = f"{place} (job {cells['job']})"
    start = _time(cells["start"], f"{place} start")
    if start is None:
        raise FormatError(field=f"{place} start", found="nothing", expected="a time; leave out jobs that never started")
    end = _time(cells["end"], f"{place} end")
    if end is not None and end < start:
        raise FormatError(field=f"{place} end", found=cells["end"], expected=f"at least its start, {cells['start']}")
    return Job(
        cluster=cells["cluster"],
        job=cells["job"],
        state=cells["state"],
        start=start,
        end=end,
        gpus=_gpus(cells["gpus"], f"{place} gpus"),
        nodes=_count(cells.get("nodes", ""), f"{place} nodes"),
        cpus=_count(cells.get("cpus", ""), f"{place} cpus"),
        suspended_s=_count(cells.get("suspended_s", ""), f"{place} suspended_s"),
        seen_until=_time(cells.get("seen_until", ""), f"{place} seen_until") if end is None else None,
        partition=cells.get("partition", ""),
        account=cells.get("account", ""),
        qos=cells.get("qos", ""),
        name=cells.get("name", ""),
    )


def _time(cell: str, place: str) -> Seconds | None:
    if not cell:
        return None
    if _UTC.match(cell):
        try:
            return Seconds(int(datetime.strptime(cell, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()))
        except (ValueError, OverflowError):
            raise FormatError(field=place, found=cell, expected="a time that exists") from None
    return Seconds(decode_decimal(cell, field=place, maximum=TIME_S_MAX))


def _encode_time(time: Seconds | None) -> str:
    return "" if time is None else datetime.fromtimestamp(time, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _count(cell: str, place: str) -> int:
    return decode_decimal(cell, field=place, maximum=INTEGER_MAX) if cell else 0


def _gpus(cell: str, place: str) -> dict[str, int]:
    gpus: dict[str, int] = {}
    parts = cell.split(";") if cell else []
    if len(parts) > MODELS_PER_JOB_MAX:
        raise FormatError(field=place, found=f"{len(parts)} models", expected=f"at most {MODELS_PER_JOB_MAX}")
    for part in parts:
        match = _GPUS.match(part)
        if match is None or match[1] in gpus:
            raise FormatError(field=place, found=cell, expected="`model:count`, joined by `;`, each model once")
        count = decode_decimal(match[2], field=place, maximum=GPUS_PER_JOB_MAX)
        if count:
            gpus[match[1]] = count
    return dict(sorted(gpus.items()))
