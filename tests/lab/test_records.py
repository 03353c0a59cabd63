"""`lab.records`: attempts are merged once, jobs are cut to intervals, and no second is lost or invented."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.records import (
    Bounds,
    Job,
    Record,
    Use,
    clip_job,
    encode_record,
    merge_jobs,
    overlaps,
    parse_record,
    shift_collected,
)
from ledger.errors import FormatError
from ledger.limits import TIME_S_MAX
from ledger.positions import Seconds


def job(start: int, end: int | None, *, name: str = "1", **changes: object) -> Job:
    values = {"cluster": "a", "job": name, "state": "COMPLETED", "gpus": {"h100": 8}, "nodes": 1, "cpus": 16, **changes}
    return Job(start=Seconds(start), end=None if end is None else Seconds(end), **values)  # type: ignore[arg-type]


def bounds(start: int, end: int) -> Bounds:
    return Bounds(Seconds(start), Seconds(end))


def clip(one: Job, within: Bounds) -> Record:
    return clip_job(one, within, use=Use.TRAINING, run="run", utilisation_permille=400)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (100, 200, (100, 200, False, False)),
        (50, 150, (100, 150, True, False)),
        (150, 250, (150, 200, False, True)),
        (50, 250, (100, 200, True, True)),
        (150, None, (150, 200, False, True)),
        (50, None, (100, 200, True, True)),
    ],
)
def test_a_job_is_cut_to_the_interval(start: int, end: int | None, expected: tuple[int, int, bool, bool]) -> None:
    record = clip(job(start, end), bounds(100, 200))
    assert (record.start, record.end, record.continued, record.continues) == expected
    assert record.busy_s == record.end - record.start


@pytest.mark.parametrize(("start", "end"), [(0, 100), (200, 300), (200, None), (150, 150)])
def test_a_job_that_only_touches_the_interval_is_not_in_it(start: int, end: int | None) -> None:
    one = job(start, end)
    assert not overlaps(one, bounds(100, 200)) or clip(one, bounds(100, 200)).busy_s == 0


@given(
    start=st.integers(0, 1000),
    length=st.integers(0, 500),
    suspended=st.integers(0, 500),
    cuts=st.lists(st.integers(0, 1600), max_size=6, unique=True),
)
def test_intervals_together_count_each_second_once(start: int, length: int, suspended: int, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 1700]
    one = job(start, start + length, suspended_s=min(suspended, length))
    counted = sum(
        clip(one, bounds(low, high)).busy_s
        for low, high in itertools.pairwise(edges)
        if overlaps(one, bounds(low, high))
    )
    assert length - one.suspended_s <= counted <= length
    if not one.suspended_s or len(edges) == 2:
        assert counted == length - one.suspended_s


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20) | st.none(), st.sampled_from("12")), max_size=8),
    seed=st.randoms(use_true_random=False),
)
def test_merging_is_the_same_in_any_order_and_no_attempt_runs_beside_the_next(
    rows: list[tuple[int, int | None, str]], seed: object
) -> None:
    jobs = [job(10 * start, None if length is None else 10 * start + length, name=name) for start, length, name in rows]
    shuffled = list(jobs)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    merged = merge_jobs(jobs).jobs
    assert merge_jobs(shuffled).jobs == merged
    assert merge_jobs(merged).jobs == merged
    for name in "12":
        attempts = [one for one in merged if one.job == name]
        assert [one.attempt for one in attempts] == list(range(len(attempts)))
        assert all(one.end is not None and one.end <= after.start for one, after in itertools.pairwise(attempts))


def test_a_record_has_one_encoding() -> None:
    raw = encode_record(clip(job(50, 250, gpus={"h200": 1, "a100": 2}), bounds(100, 200)))
    assert raw == (
        b'{"cluster":"a","job":"1","attempt":0,"partition":"","state":"COMPLETED","start":100,"end":200,'
        b'"continued":true,"continues":true,"busy_s":100,"gpus":{"a100":2,"h200":1},"nodes":1,"cpus":16,'
        b'"use":"training","run":"run","utilisation_permille":400}'
    )
    assert encode_record(parse_record(raw)) == raw
    for other in (raw + b" ", raw.replace(b'"job":"1"', b'"job": "1"'), raw.replace(b"a", b"\\u0061", 1), b"{}", b""):
        with pytest.raises(FormatError):
            parse_record(other)


def test_a_record_names_neither_user_nor_account_nor_job_name() -> None:
    one = job(50, 250, account="secret-account", qos="secret-qos", name="1")
    assert b"secret" not in encode_record(clip(one, bounds(100, 200)))


def test_a_shift_moves_every_time_and_says_so() -> None:
    collected = merge_jobs([job(10, 20), job(30, None, name="2", seen_until=Seconds(40))])
    shifted = shift_collected(collected, 1000)
    assert [(one.start, one.end, one.seen_until) for one in shifted.jobs] == [(1010, 1020, None), (1030, None, 1040)]
    assert shifted.shift_s == 1000
    assert shifted.notes[-1].startswith("REPLAY: all times were shifted by +1000 seconds")
    back = shift_collected(shifted, -1000)
    assert (back.jobs, back.shift_s) == (collected.jobs, 0)
    assert shift_collected(collected, 0) is collected


@pytest.mark.parametrize("shift_s", [-31, TIME_S_MAX])
def test_a_shift_out_of_the_ledgers_times_is_refused(shift_s: int) -> None:
    with pytest.raises(FormatError):
        shift_collected(merge_jobs([job(10, 20), job(30, 40, name="2")]), shift_s)
