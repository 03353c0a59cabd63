"""`lab.reports`: records of an interval become rows whose numbers are exact, checked, and open what they commit to."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.amounts import Energy
from lab.classification import UseMapping, parse_use_mapping
from lab.collectors.slurm import parse_sacct
from lab.records import Bounds, Collected, Job, merge_jobs, parse_record, shift_collected
from lab.reports import Cluster, Draft, DraftRow, History, Terms, build_report, compose_report
from ledger.charter import Accelerator, Limit
from ledger.crosschecks.comparisons import Outcome
from ledger.disclosure import RecordsRoot, check_disclosures, commit_records
from ledger.errors import Code, ConditionError, PolicyError
from ledger.positions import Interval, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.intoto import Corrects
from ledger.statements.reports import (
    HIDDEN_FIELD_NAMES,
    LimitRespected,
    Split,
    parse_correction,
    parse_hidden_fields,
    parse_report,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MAPPING = parse_use_mapping((EXAMPLES / "mapping.toml").read_bytes())
UPPER_BOUND = parse_use_mapping(
    b'[default]\nuse = "inference"\n[[rule]]\naccount = "train"\nuse = "training"\nutilisation_permille = 1000\n'
)
H100 = Accelerator(model="h100", peak_gflops=989_400, tdp_w=700, idle_w=70)
A100 = Accelerator(model="a100", peak_gflops=312_000, tdp_w=400, idle_w=50)
RUN_LIMIT = Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note="10^24 operations")
LAB, LEDGER = "lab-a", "11" * 32


def counting_salts() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def terms(start: int = 0, end: int = 100, *, limits: tuple[Limit, ...] = (RUN_LIMIT,), interval: int = 5) -> Terms:
    return Terms(Interval(interval), Bounds(Seconds(start), Seconds(end)), {"h100": H100, "a100": A100}, limits)


def job(start: int, end: int | None, gpus: Mapping[str, int], **names: object) -> Job:
    values = {"cluster": "hall", "job": f"{start}-{end}", "state": "COMPLETED", "nodes": 1, "cpus": 1, **names}
    return Job(start=Seconds(start), end=None if end is None else Seconds(end), gpus=gpus, **values)  # type: ignore[arg-type]


def build(
    *jobs: Job, chips: Mapping[str, int] | None = None, mapping: UseMapping = UPPER_BOUND, **inputs: object
) -> Draft:
    clusters = [Cluster("hall-1", ("hall",), {"h100": 8} if chips is None else chips)]
    values = {"terms": terms(), "clusters": clusters, "mapping": mapping, "draw_salt": counting_salts(), **inputs}
    return build_report(merge_jobs(jobs), **values)  # type: ignore[arg-type]


def only_row(draft: Draft) -> DraftRow:
    (row,) = draft.rows
    return row


def test_chip_seconds_are_split_by_use_and_the_rest_is_idle() -> None:
    hidden = only_row(build(job(-50, 40, {"h100": 8}, account="train"), job(40, 140, {"h100": 2}))).hidden
    assert hidden.chip_seconds == {"h100": 800}
    assert hidden.busy_chip_seconds == 320 + 120
    assert hidden.split == Split(training=320, post_training=0, inference=120, evaluation=0, other=0, idle=360)


def test_operations_are_chip_seconds_times_peak_times_utilisation_rounded_up_once() -> None:
    # A thousand jobs of one chip-second: 989 400 000 GFLOP are 990 PFLOP; rounded one by one they would be 1000.
    jobs = [job(0, 1, {"h100": 1}, job=str(number), account="train", name="one") for number in range(1000)]
    hidden = only_row(build(*jobs, chips={"h100": 1000})).hidden
    assert hidden.training_pflop == 990
    assert only_row(build(job(0, 100, {"h100": 8}, account="train"))).hidden.training_pflop == 792  # 791.52


def test_models_are_counted_at_their_own_peak() -> None:
    row = only_row(build(job(0, 100, {"a100": 8, "h100": 8}, account="train"), chips={"a100": 8, "h100": 8}))
    assert row.hidden.training_pflop == 1042  # 800 * (989.4 + 312.0) / 1000 = 1041.12
    assert row.hidden.chip_seconds == {"a100": 800, "h100": 800}
    assert row.hidden.utilisation_permille == 1000


def test_idle_chips_lower_the_mean_utilisation() -> None:
    assert only_row(build(job(0, 50, {"h100": 4}, account="train"))).hidden.utilisation_permille == 250


def test_runs_are_listed_with_what_they_had_used_before() -> None:
    history = History(runs={("hall-1", "big"): 1000, ("other-hall", "big"): 7, ("hall-1", "gone"): 3})
    hidden = only_row(
        build(
            job(0, 50, {"h100": 8}, account="train", name="big"),
            job(50, 100, {"h100": 1}, account="train", name="s"),
            history=history,
        )
    ).hidden
    assert [(run.run, run.pflop, run.cumulative_pflop) for run in hidden.runs] == [("big", 396, 1396), ("s", 50, 50)]
    assert hidden.largest_run_pflop == 396


def test_the_band_is_the_decade_of_the_training_operations() -> None:
    assert only_row(build(job(0, 100, {"h100": 8}, account="train"))).row.band == 17  # 7.92e17
    assert only_row(build(job(0, 100, {"h100": 8}))).row.band == 0


def test_a_cluster_without_activity_still_gets_a_zero_row() -> None:
    row = only_row(build())
    assert (row.row.records.count, row.hidden.training_pflop, row.hidden.split.idle) == (0, 0, 800)
    assert row.row.limits_respected == (LimitRespected("run-cap", True),)


def test_rows_stand_in_order_of_cluster_and_jobs_go_to_theirs() -> None:
    clusters = [Cluster("z", ("zed",), {"h100": 8}), Cluster("a", ("ay", "alpha"), {"h100": 8})]
    draft = build(
        job(0, 10, {"h100": 1}, cluster="zed"),
        job(0, 20, {"h100": 1}, cluster="alpha"),
        job(0, 30, {"h100": 1}, cluster="ay"),
        clusters=clusters,
    )
    assert [(row.row.cluster, row.hidden.busy_chip_seconds) for row in draft.rows] == [("a", 50), ("z", 10)]


def test_the_row_opens_to_exactly_the_hidden_fields() -> None:
    row = only_row(build(job(0, 100, {"h100": 8}, account="train")))
    opened = check_disclosures(row.row.digests, tuple(row.disclosures.values()))
    assert [disclosure.name for disclosure in opened] == list(HIDDEN_FIELD_NAMES)
    assert parse_hidden_fields({disclosure.name: disclosure.value for disclosure in opened}) == row.hidden
    assert len(row.row.digests) == 12  # nine fields and three decoys


def test_the_records_root_covers_each_record_with_its_salt() -> None:
    row = only_row(build(job(0, 10, {"h100": 1}), job(10, 20, {"h100": 1})))
    assert commit_records(row.records, row.record_salts) == RecordsRoot(bytes.fromhex(row.row.records.root), 2)
    assert [parse_record(raw).start for raw in row.records] == [0, 10]
    assert len(set(row.record_salts)) == 2


def test_the_draft_composes_to_a_report_or_a_correction_that_parses() -> None:
    draft = build(job(0, 100, {"h100": 8}, account="train"))
    header = {
        "ledger": LEDGER,
        "lab": LAB,
        "sequence": SequenceNumber(3),
        "previous": "22" * 32,
        "issued_at": Seconds(9),
    }
    report = parse_report(compose_report(draft, **header))  # type: ignore[arg-type]
    assert report.subject.name == "lab-a/5"
    assert report.predicate.rows == (only_row(draft).row,)
    corrects = Corrects("33" * 32, "a job was missing")
    correction = parse_correction(compose_report(draft, **header, corrects=corrects))  # type: ignore[arg-type]
    assert correction.predicate.corrects == corrects


def test_work_on_more_chips_than_installed_is_refused_by_name() -> None:
    with pytest.raises(PolicyError) as caught:
        build(job(0, 100, {"h100": 9}))
    assert caught.value.field == "X11 hall-1.busy_chip_seconds.h100"
    assert (caught.value.found, caught.value.expected) == ("900", "at most 800, all installed chips")


def test_an_override_needs_a_reason_and_is_kept_with_the_draft() -> None:
    with pytest.raises(PolicyError):
        build(job(0, 100, {"h100": 9}), overrides={"X11": ""})
    draft = build(job(0, 100, {"h100": 9}), overrides={"X11": "a spare node was lent for a day"})
    assert draft.overrides == {"X11": "a spare node was lent for a day"}
    assert [finding.check for finding in draft.findings if finding.outcome == Outcome.FAILS] == ["X11"]
    assert only_row(draft).hidden.chip_seconds == {"h100": 900}
    assert only_row(draft).hidden.split.idle == 0


def test_more_chips_than_registered_in_public_are_refused() -> None:
    clusters = [Cluster("hall-1", ("hall",), {"h100": 8}, capacity={"h100": 4})]
    with pytest.raises(PolicyError, match="X1 hall-1"):
        build(clusters=clusters)


def test_unknown_models_and_unknown_clusters_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"record .*gpus: found b200"):
        build(job(0, 100, {"b200": 1}))
    with pytest.raises(PolicyError, match=r"cluster\.chips: found b200"):
        build(chips={"b200": 1})
    with pytest.raises(PolicyError) as caught:
        build(job(0, 100, {"h100": 1}, cluster="elsewhere"))
    assert caught.value.code is Code.UNKNOWN_CLUSTER
    assert build(job(200, 300, {"b200": 1}, cluster="elsewhere")).notes == ()


def test_a_limit_on_runs_counts_all_clusters_and_all_intervals() -> None:
    limits = (Limit(id="run-cap", quantity="training_pflop_per_run", maximum=1000, note=""),)
    one = job(0, 100, {"h100": 8}, account="train", name="big")
    for before, respected in ((208, True), (209, False)):
        draft = build(one, terms=terms(limits=limits), history=History(runs={("other-hall", "big"): before}))
        assert only_row(draft).row.limits_respected == (LimitRespected("run-cap", respected),)


def test_limits_that_records_do_not_show_need_a_promise() -> None:
    limits = (RUN_LIMIT, Limit(id="no-biology", quantity="models_of_biology", maximum=0, note=""))
    with pytest.raises(ConditionError) as caught:
        build(terms=terms(limits=limits))
    assert (caught.value.code, caught.value.field) == (Code.CONFIG, "promises.no-biology")
    draft = build(terms=terms(limits=limits), promises={"no-biology": False})
    assert [line.respected for line in only_row(draft).row.limits_respected] == [True, False]


def test_a_promise_against_the_arithmetic_is_refused_unless_overridden() -> None:
    limits = (Limit(id="run-cap", quantity="training_pflop_per_run", maximum=1, note=""),)
    inputs: dict[str, Any] = {"terms": terms(limits=limits), "promises": {"run-cap": True}}  # Any: keyword arguments
    with pytest.raises(PolicyError, match=r"LIMIT hall-1\.run-cap"):
        build(job(0, 100, {"h100": 8}, account="train"), **inputs)
    draft = build(job(0, 100, {"h100": 8}, account="train"), **inputs, overrides={"LIMIT": "we lie, for a test"})
    assert only_row(draft).row.limits_respected == (LimitRespected("run-cap", True),)


def test_energy_is_metered_or_said_to_be_an_estimate() -> None:
    one = job(0, 100, {"h100": 4}, account="train")
    estimated = build(one)
    assert only_row(estimated).hidden.energy_wh == 86  # (400 * 700 + 400 * 70) J, rounded up to Wh
    assert only_row(estimated).hidden.facility_energy_wh == 112
    assert [finding.check for finding in estimated.findings if finding.field == "energy_wh"] == ["X4"]
    metered = build(one, energy={"hall-1": Energy(80, 100)})
    assert (only_row(metered).hidden.energy_wh, only_row(metered).hidden.facility_energy_wh) == (80, 100)
    assert not any(finding.check == "X4" for finding in metered.findings)


def test_a_building_that_needs_less_than_its_chips_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"X4 hall-1\.facility_energy_wh"):
        build(energy={"hall-1": Energy(100, 99)})


def test_gpu_jobs_without_a_rule_are_noted_since_they_may_hide_training() -> None:
    draft = build(job(0, 10, {"h100": 1}), job(0, 20, {}), mapping=parse_use_mapping(b""))
    assert draft.notes == ("1 jobs with GPUs matched no rule of the mapping and count as other",)


def test_an_export_made_inside_the_interval_is_noted_and_one_from_before_it_is_refused() -> None:
    running = job(-500, None, {"h100": 1}, seen_until=Seconds(50))
    draft = build(running)
    assert only_row(draft).hidden.busy_chip_seconds == 100
    assert any("export again after the interval" in note for note in draft.notes)
    assert build(job(-500, None, {"h100": 1}, seen_until=Seconds(100))).notes == (
        "1 jobs with GPUs matched no rule of the mapping and count as inference",
    )
    with pytest.raises(PolicyError, match="EXPORT hall-1"):
        build(job(-500, None, {"h100": 1}, seen_until=Seconds(0)))


def test_a_replay_is_said_in_the_draft() -> None:
    collected = shift_collected(merge_jobs([job(1000, 1050, {"h100": 1})]), -1000)
    draft = build_report(
        collected,
        terms=terms(),
        clusters=[Cluster("hall-1", ("hall",), {"h100": 8})],
        mapping=UPPER_BOUND,
        draw_salt=counting_salts(),
    )
    assert draft.shift_s == -1000
    assert any(note.startswith("REPLAY") for note in draft.notes)
    assert only_row(draft).hidden.busy_chip_seconds == 50


def test_a_salt_source_that_repeats_itself_is_noticed() -> None:
    with pytest.raises(ValueError, match="salt"):
        build(job(0, 10, {"h100": 1}), draw_salt=lambda size: b"\x07" * size)


def collected_example(name: str) -> Collected:
    return parse_sacct([(EXAMPLES / "slurm" / name).read_bytes()])


@pytest.mark.parametrize(
    ("name", "model", "chips"),
    [("aurora-22.05", "h100", 16), ("harbour-22.05", "h100", 8), ("meridian-24.11", "h200", 16)],
)
def test_the_example_clusters_give_sane_reports_in_every_interval(name: str, model: str, chips: int) -> None:
    collected = collected_example(f"{name}.json")
    cluster = collected.jobs[0].cluster
    first = collected.jobs[0].start
    accelerators = {model: Accelerator(model=model, peak_gflops=989_400, tdp_w=700, idle_w=70)}
    for number in range(9):
        draft = build_report(
            collected,
            terms=Terms(
                Interval(number),
                Bounds(Seconds(first + 30 * number), Seconds(first + 30 * number + 30)),
                accelerators,
                (RUN_LIMIT,),
            ),
            clusters=[Cluster(cluster, (cluster,), {model: chips})],
            mapping=MAPPING,
            draw_salt=counting_salts(),
        )
        row = only_row(draft)
        assert not any(finding.outcome == Outcome.FAILS for finding in draft.findings)
        assert row.row.records.count > 0
        assert row.hidden.chip_seconds == {model: chips * 30}


@given(
    spans=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300), st.integers(1, 2)), max_size=4),
    edges=st.lists(st.integers(1, 600), min_size=1, max_size=4, unique=True),
)
def test_what_intervals_count_adds_up_to_what_the_jobs_used(
    spans: list[tuple[int, int, int]], edges: list[int]
) -> None:
    jobs = [
        job(start, start + length, {"h100": gpus}, job=str(n), account="train", name="r")
        for n, (start, length, gpus) in enumerate(spans)
    ]
    cuts = [0, *sorted(edges), 700]
    rows = [only_row(build(*jobs, terms=terms(low, high))).hidden for low, high in itertools.pairwise(cuts)]
    assert sum(int(row.busy_chip_seconds) for row in rows) == sum(length * gpus for _, length, gpus in spans)
    exact = sum(length * gpus for _, length, gpus in spans) * H100.peak_gflops
    rounded = sum(int(row.training_pflop) for row in rows)
    assert exact <= rounded * 10**6 < exact + len(rows) * 10**6
