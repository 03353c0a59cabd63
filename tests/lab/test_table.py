"""`lab.collectors.table`: the CSV has the same columns as a job, and a mistake is named by line and column."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.collectors.slurm import parse_sacct
from lab.collectors.table import COLUMNS, REQUIRED_COLUMNS, encode_table, parse_table
from lab.records import Job, merge_jobs
from ledger.errors import Code, FormatError, LedgerError
from ledger.positions import Seconds

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HEADER = "cluster,job,state,start,end,gpus"


def table(*lines: str) -> list[bytes]:
    return ["\n".join((HEADER, *lines, "")).encode()]


def test_the_example_table_says_the_same_as_the_scheduler_export_it_was_made_from() -> None:
    slurm = parse_sacct([(EXAMPLES / "slurm" / "harbour-22.05.json").read_bytes()])
    assert parse_table([(EXAMPLES / "table" / "harbour.csv").read_bytes()]).jobs == slurm.jobs


def test_a_table_kept_by_hand_is_read() -> None:
    first, second, third = parse_table([(EXAMPLES / "table" / "by-hand.csv").read_bytes()]).jobs
    assert (first.job, first.gpus, first.nodes) == ("inference-week-47", {"a100": 4}, 0)
    assert (second.name, second.gpus) == ("sft, round 2", {"a100": 2, "h100": 8})
    assert (third.start, third.end, third.seen_until) == (1795449600, None, None)


def test_both_spellings_of_a_time_are_the_same_time() -> None:
    (one,) = parse_table(table("a,1,COMPLETED,2026-11-23T15:18:45Z,1795447225,h100:8")).jobs
    assert (one.start, one.end) == (1795447125, 1795447225)


def test_columns_may_stand_in_any_order_and_lines_end_in_crlf_after_a_byte_order_mark() -> None:
    raw = "\ufeffgpus,end,start,state,job,cluster\r\nh100:8,20,10,COMPLETED,1,a\r\n".encode()
    (job,) = parse_table([raw]).jobs
    assert (job.cluster, job.start, job.end, job.gpus) == ("a", 10, 20, {"h100": 8})


def test_rows_of_one_job_with_different_starts_are_attempts() -> None:
    jobs = parse_table(
        table("a,1,COMPLETED,30,40,h100:1", "a,1,REQUEUED,10,20,h100:1", "a,1,REQUEUED,10,20,h100:1")
    ).jobs
    assert [(job.attempt, job.start) for job in jobs] == [(0, 10), (1, 30)]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("a,1,COMPLETED,10,20", "table[0] line 2"),
        ("a,1,COMPLETED,10,20,h100:8,more", "table[0] line 2"),
        (",1,COMPLETED,10,20,h100:8", "table[0] line 2 cluster"),
        ("a,,COMPLETED,10,20,h100:8", "table[0] line 2 job"),
        ("a,1,,10,20,h100:8", "table[0] line 2 state"),
        ("a,1,COMPLETED,,20,h100:8", "table[0] line 2 (job 1) start"),
        ("a,1,COMPLETED,20,10,h100:8", "table[0] line 2 (job 1) end"),
        ("a,1,COMPLETED,-1,10,h100:8", "table[0] line 2 (job 1) start"),
        ("a,1,COMPLETED,1e3,2000,h100:8", "table[0] line 2 (job 1) start"),
        ("a,1,COMPLETED,010,20,h100:8", "table[0] line 2 (job 1) start"),
        ("a,1,COMPLETED,2026-13-01T00:00:00Z,,h100:8", "table[0] line 2 (job 1) start"),
        ("a,1,COMPLETED,2026-11-23T15:18:45+01:00,,h100:8", "table[0] line 2 (job 1) start"),
        ("a,1,COMPLETED,10,20,8", "table[0] line 2 (job 1) gpus"),
        ("a,1,COMPLETED,10,20,h100:8;h100:8", "table[0] line 2 (job 1) gpus"),
        ("a,1,COMPLETED,10,20,H100:8", "table[0] line 2 (job 1) gpus"),
        ("a,1,COMPLETED,10,20,h100:99999999999", "table[0] line 2 (job 1) gpus"),
        ('a,1,COMPLETED,10,20,"h100:8', "table[0] line 2"),
    ],
)
def test_a_cell_that_cannot_be_counted_is_named_by_line_and_column(line: str, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_table(table(line))
    assert caught.value.field == field


@pytest.mark.parametrize("header", ["", "cluster,job", HEADER + ",gpu", HEADER + ",gpus", HEADER.replace("end", "End")])
def test_a_header_with_a_missing_unknown_or_repeated_column_is_refused(header: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_table([header.encode() + b"\n"])
    assert caught.value.field == "table[0] header"


def test_a_table_that_is_too_large_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FormatError) as caught:
        parse_table([b"\xff" * 101], bytes_max=100)
    assert caught.value.code is Code.TOO_LARGE


_NAMES = st.text(st.characters(codec="utf-8"), max_size=12)
_TIMES = st.integers(0, 4_000_000_000)


@st.composite
def _jobs(draw: st.DrawFn) -> Job:
    start = draw(_TIMES)
    end = draw(st.none() | st.integers(start, start + 10**6))
    return Job(
        cluster=draw(_NAMES.filter(bool)),
        job=draw(_NAMES.filter(bool)),
        state=draw(_NAMES.filter(bool)),
        start=Seconds(start),
        end=None if end is None else Seconds(end),
        gpus=draw(st.dictionaries(st.sampled_from(("a100", "h100", "h200")), st.integers(1, 1000))),
        nodes=draw(st.integers(0, 1000)),
        cpus=draw(st.integers(0, 1000)),
        suspended_s=draw(st.integers(0, 1000)),
        seen_until=Seconds(start + 1) if end is None else None,
        partition=draw(_NAMES),
        account=draw(_NAMES),
        qos=draw(_NAMES),
        name=draw(_NAMES),
    )


@given(jobs=st.lists(_jobs(), max_size=4))
def test_what_is_written_is_read_back(jobs: list[Job]) -> None:
    merged = merge_jobs(jobs).jobs
    assert parse_table([encode_table(merged)]).jobs == merged


@given(raw=st.binary(max_size=100))
def test_hostile_bytes_raise_only_ledger_errors(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_table([raw])
    try:
        parse_table([HEADER.encode() + b"\n" + raw])
    except LedgerError:
        return
    assert b"," not in raw or raw.count(b",") >= len(REQUIRED_COLUMNS) - 1


def test_every_column_that_is_read_is_written() -> None:
    assert encode_table([]).decode().strip().split(",") == list(COLUMNS)
