"""`lab.collectors.slurm`: what real Slurm versions write becomes jobs, and nothing is counted twice or lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.collectors.slurm import GpuModels, parse_sacct
from lab.records import Job
from ledger.errors import Code, FormatError, LedgerError
from ledger.positions import Seconds

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "slurm"
MERIDIAN = ("meridian-24.11.json", "meridian-24.11-v0.0.40.json", "meridian-24.11-v0.0.42-complex.json")

Row = dict[str, Any]  # Any: a job as JSON, which these tests bend into every shape


def read(name: str) -> tuple[Job, ...]:
    return parse_sacct([(EXAMPLES / name).read_bytes()]).jobs


def row(**changes: object) -> Row:
    """A job as 22.05 writes it, with what the collector looks at."""
    job: Row = {
        "job_id": 7,
        "cluster": "aurora",
        "partition": "train",
        "account": "pretraining",
        "qos": "normal",
        "name": "pretrain",
        "allocation_nodes": 1,
        "array": {"job_id": 0, "task_id": None},
        "het": {"job_id": 0, "job_offset": None},
        "state": {"current": "COMPLETED", "reason": "None"},
        "time": {"start": 1000, "end": 1100, "elapsed": 100, "suspended": 0},
        "tres": {
            "allocated": [
                {"type": "cpu", "name": None, "count": 16},
                {"type": "energy", "name": None, "count": None},
                {"type": "gres", "name": "gpu", "count": 8},
                {"type": "gres", "name": "gpu:h100", "count": 8},
            ]
        },
    }
    return {**job, **changes}


def export(*rows: Row) -> bytes:
    return json.dumps({"meta": {}, "errors": [], "jobs": list(rows)}).encode()


def parse_one(job: Row, models: GpuModels | None = None) -> Job:
    (parsed,) = parse_sacct([export(job)], models=models or GpuModels()).jobs
    return parsed


def times(**changes: object) -> Row:
    return {"start": 1000, "end": 1100, "elapsed": 100, "suspended": 0, **changes}


def test_every_job_of_a_22_05_cluster_is_read_as_sacct_prints_it() -> None:
    jobs = {(job.job, job.attempt): job for job in read("aurora-22.05.json")}
    assert len(jobs) == 22
    assert jobs["1", 0].gpus == {"h100": 16}
    assert (jobs["1", 0].nodes, jobs["1", 0].end) == (2, 1795447195)
    assert jobs["7", 0].state == "FAILED"
    assert jobs["8", 0].state == "CANCELLED"
    assert jobs["9", 0].state == "TIMEOUT"
    assert jobs["11", 0].gpus == {}
    assert jobs["11", 0].cpus == 16
    assert jobs["18", 0].qos == "urgent"


def test_a_requeued_job_has_an_attempt_for_each_start() -> None:
    attempts = [job for job in read("aurora-22.05.json") if job.job == "3"]
    assert [(job.attempt, job.state) for job in attempts] == [(0, "REQUEUED"), (1, "COMPLETED")]
    assert (attempts[0].end or 0) <= attempts[1].start


def test_a_requeued_attempt_that_24_11_calls_pending_is_not_lost() -> None:
    for name in MERIDIAN:
        raw = json.loads((EXAMPLES / name).read_bytes())
        assert ["PENDING", "REQUEUED"] in [job["state"]["current"] for job in raw["jobs"]]
        attempts = [job for job in read(name) if job.job == "5"]
        assert [(job.attempt, job.state, job.gpus) for job in attempts] == [
            (0, "REQUEUED", {"h200": 4}),
            (1, "COMPLETED", {"h200": 4}),
        ]


def test_tasks_of_an_array_and_components_of_a_heterogeneous_job_have_their_own_ids() -> None:
    names = {job.job for job in read("aurora-22.05.json")}
    assert {"10_0", "10_1", "10_2", "10_3", "16+0", "16+1"} <= names
    assert {"7_0", "7_1", "7_2", "9+0", "9+1"} <= {job.job for job in read(MERIDIAN[0])}


def test_a_running_job_has_no_end_and_says_until_when_it_was_seen() -> None:
    (running,) = [job for job in read("aurora-22.05.json") if job.state == "RUNNING"]
    assert running.end is None
    assert running.seen_until == 1795447392


def test_jobs_that_never_ran_are_left_out_even_if_they_have_an_end() -> None:
    raw = json.loads((EXAMPLES / "aurora-22.05.json").read_bytes())
    never = [job["job_id"] for job in raw["jobs"] if not job["time"]["start"]]
    assert any(job["time"]["end"] for job in raw["jobs"] if job["job_id"] in never)
    assert not {str(number) for number in never} & {job.job for job in read("aurora-22.05.json")}


def test_all_shapes_of_one_cluster_give_the_same_jobs() -> None:
    first, *others = [
        [(job.job, job.attempt, job.state, job.start, job.end, job.gpus, job.suspended_s) for job in read(name)]
        for name in MERIDIAN
    ]
    assert len(first) == 17
    assert others == [first, first]


def test_suspended_time_is_read_and_explains_the_elapsed_time() -> None:
    (job,) = [job for job in read("aurora-22.05.json") if job.suspended_s]
    assert ((job.end or 0) - job.start, job.suspended_s) == (40, 15)
    assert parse_sacct([(EXAMPLES / "aurora-22.05.json").read_bytes()]).notes == (
        "2 jobs of sacct never started and were left out",
    )


def test_no_gpu_is_counted_twice_or_lost_in_the_examples() -> None:
    for name in ("aurora-22.05.json", "harbour-22.05.json", *MERIDIAN):
        raw = json.loads((EXAMPLES / name).read_bytes())
        ran = [job for job in raw["jobs"] if job["tres"]["allocated"]]
        expected = sum(
            line["count"]
            for job in ran
            for line in job["tres"]["allocated"]
            if (line["type"], line["name"]) == ("gres", "gpu")
        )
        assert sum(sum(job.gpus.values()) for job in read(name)) == expected > 0


def test_the_21_08_samples_are_read_with_a_default_model(samples_dir: Path) -> None:
    for name, seconds in (("sacct_1.json", 20615), ("sacct_2.json", 50599)):
        raw = (samples_dir / "slurm" / name).read_bytes()
        collected = parse_sacct([raw], models=GpuModels(default="p100"))
        assert [job.gpus for job in collected.jobs] == [{"p100": 1}, {"p100": 1}]
        (lost,) = [job for job in collected.jobs if job.state == "NODE_FAIL"]
        assert (lost.job, (lost.end or 0) - lost.start) == ("1_7", seconds)
        assert any("elapsed" in note or "without an end" in note for note in collected.notes)


def test_the_21_08_samples_are_refused_without_a_default_model(samples_dir: Path) -> None:
    with pytest.raises(FormatError, match=r"GPUs of no type") as caught:
        parse_sacct([(samples_dir / "slurm" / "sacct_1.json").read_bytes()])
    assert "jobs[0] (job 1_7)" in caught.value.field


@pytest.mark.parametrize("spell", [lambda n: n, float, lambda n: {"set": True, "infinite": False, "number": n}])
def test_a_number_may_be_plain_or_an_object(spell: Any) -> None:  # Any: a function from number to JSON
    job = row(
        job_id=spell(7),
        time={name: spell(value) for name, value in times().items()},
        allocation_nodes=spell(2),
        array={"job_id": spell(5), "task_id": spell(0)},
    )
    parsed = parse_one(job)
    assert (parsed.job, parsed.start, parsed.end, parsed.nodes) == ("5_0", 1000, 1100, 2)


@pytest.mark.parametrize("number", [0, None, {"set": False, "infinite": False, "number": 0}])
def test_an_end_that_is_not_set_means_running(number: object) -> None:
    job = parse_one(row(state={"current": ["RUNNING"]}, time=times(end=number, elapsed=50)))
    assert (job.end, job.seen_until) == (None, 1050)


@pytest.mark.parametrize(
    ("current", "state"),
    [
        ("COMPLETED", "COMPLETED"),
        (["COMPLETED"], "COMPLETED"),
        ("CANCELLED by 1000", "CANCELLED"),
        (["RUNNING", "COMPLETING"], "RUNNING"),
        (["PENDING", "REQUEUED"], "REQUEUED"),
    ],
)
def test_a_state_may_be_a_text_or_a_list(current: object, state: str) -> None:
    assert parse_one(row(state={"current": current})).state == state


def test_an_ended_state_without_an_end_ends_when_it_had_run_and_is_noted() -> None:
    collected = parse_sacct([export(row(state={"current": "NODE_FAIL"}, time=times(end=0, elapsed=30, suspended=5)))])
    assert collected.jobs[0].end == 1035
    assert "NODE_FAIL without an end" in collected.notes[0]


def test_a_state_nobody_knows_counts_as_running_until_it_has_an_end() -> None:
    assert parse_one(row(state={"current": "BRAND_NEW"}, time=times(end=0))).end is None


def test_elapsed_that_disagrees_is_noted_and_does_not_lower_the_count() -> None:
    collected = parse_sacct([export(row(time=times(elapsed=10)))])
    assert collected.jobs[0].end == 1100
    assert collected.jobs[0].suspended_s == 0
    assert "elapsed is 10 s" in collected.notes[0]


def test_the_same_attempt_in_two_exports_counts_once_and_the_later_knowledge_wins() -> None:
    running = row(state={"current": "RUNNING"}, time=times(end=0, elapsed=20))
    for exports in ([export(running), export(row())], [export(row()), export(running)], [export(running, row())]):
        (job,) = parse_sacct(exports).jobs
        assert job.end == 1100


def test_a_stale_attempt_without_end_ends_when_the_next_one_begins() -> None:
    stale = row(state={"current": "RUNNING"}, time=times(end=0, elapsed=5))
    again = row(time=times(start=1040, end=1100, elapsed=60))
    collected = parse_sacct([export(stale, again)])
    assert [(job.attempt, job.start, job.end) for job in collected.jobs] == [(0, 1000, 1040), (1, 1040, 1100)]
    assert any("had no end before" in note for note in collected.notes)


def test_types_are_mapped_to_the_charters_models() -> None:
    gpus = [
        {"type": "gres", "name": "gpu", "count": 6},
        {"type": "gres", "name": "gpu:NVIDIA_H100", "count": 2},
        {"type": "gres", "name": "gpu:A100", "count": 3},
        {"type": "gres", "name": "shard", "count": 9},
        {"type": "license", "name": "gpu", "count": 9},
    ]
    models = GpuModels(names={"NVIDIA_H100": "h100"}, default="v100")
    assert parse_one(row(tres={"allocated": gpus}), models).gpus == {"a100": 3, "h100": 2, "v100": 1}


def test_a_user_name_for_a_job_that_is_not_utf8_does_not_stop_the_lab() -> None:
    raw = export(row(name="NAME")).replace(b"NAME", b"caf\xe9")
    assert parse_sacct([raw]).jobs[0].name == "caf\ufffd"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"job_id": None}, "sacct.jobs[0].job_id"),
        ({"job_id": -1}, "sacct.jobs[0].job_id"),
        ({"job_id": 7.5}, "sacct.jobs[0].job_id"),
        ({"cluster": None}, "sacct.jobs[0] (job 7).cluster"),
        ({"state": {"current": []}}, "sacct.jobs[0] (job 7).state.current"),
        ({"time": times(end=999)}, "sacct.jobs[0] (job 7).time.end"),
        ({"time": times(start=2**60)}, "sacct.jobs[0] (job 7).time.start"),
        ({"time": times(end={"set": True, "infinite": True, "number": 0})}, "sacct.jobs[0] (job 7).time.end"),
        ({"time": "soon"}, "sacct.jobs[0]"),
        ({"name": "x" * 2000}, "sacct.jobs[0] (job 7).name"),
        (
            {"tres": {"allocated": [{"type": "gres", "name": "gpu:h100", "count": 2**40}]}},
            "sacct.jobs[0] (job 7).tres.allocated.gres/gpu",
        ),
    ],
)
def test_a_job_that_cannot_be_counted_is_named_with_its_field(changes: Row, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_sacct([export(row(**changes))])
    assert caught.value.field == field


def test_an_export_that_is_too_large_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FormatError) as caught:
        parse_sacct([b"[" * 101], bytes_max=100)
    assert caught.value.code is Code.TOO_LARGE


@given(raw=st.binary(max_size=200))
def test_hostile_bytes_raise_only_ledger_errors(raw: bytes) -> None:
    for hostile in (raw, b'{"jobs":[' + raw + b"]}", b'{"jobs":[{"job_id":' + raw + b"}]}"):
        try:
            parse_sacct([hostile])
        except LedgerError:
            continue
        assert hostile.lstrip().startswith(b"{")  # harmless: an export without jobs that ran


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from(sorted(row())), value=_JSON)
def test_any_json_in_any_field_is_read_or_refused_by_name(field: str, value: object) -> None:
    refused_at = "sacct.jobs[0]"
    try:
        jobs = parse_sacct([export(row(**{field: value}))]).jobs
    except FormatError as error:
        jobs, refused_at = (), error.field
    assert len(jobs) <= 1
    assert refused_at.startswith("sacct.jobs[0]")


def test_deep_nesting_is_refused() -> None:
    deep = b'{"jobs":[{"job_id":1,"state":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    with pytest.raises(FormatError):
        parse_sacct([deep])


def test_order_of_rows_does_not_matter() -> None:
    raw = json.loads((EXAMPLES / "aurora-22.05.json").read_bytes())
    backwards = json.dumps({**raw, "jobs": raw["jobs"][::-1]}).encode()
    assert parse_sacct([backwards]).jobs == read("aurora-22.05.json")
    assert [job.start for job in read("aurora-22.05.json")] == sorted(j.start for j in read("aurora-22.05.json"))


def test_two_clusters_with_the_same_job_id_stay_apart() -> None:
    jobs = parse_sacct([export(row(), row(cluster="borealis"))]).jobs
    assert [(job.cluster, job.attempt, job.start) for job in jobs] == [
        ("aurora", 0, Seconds(1000)),
        ("borealis", 0, Seconds(1000)),
    ]
