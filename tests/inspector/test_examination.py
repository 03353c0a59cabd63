"""`inspector.examination`: an honest lab passes, an understated report does not; what was not compared is said."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.examination import examine
from inspector.openings import Opened, check_openings, open_bundle, require_case
from inspector.report import InspectionReport, encode_report, make_report, parse_report
from lab.records import Record as LabRecord
from lab.records import encode_record
from lab.records import parse_record as parse_lab_record
from ledger.charter import Limit
from ledger.chips import Chip
from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.errors import PolicyError
from ledger.statements.intoto import Quantity, parse_quantity
from ledger.statements.reports import HiddenFields, Split
from tests.inspector.dossiers import ALL_FIELDS, CHIP_COUNT, Dossier, open_dossier, the_charter

replaced = msgspec.structs.replace
UNCOMPARED = ["X7", "X8", "X9", "X10", "X12", "X14"]


def conclude(dossier: Dossier, *, with_registration: bool = True, **known: Any) -> tuple[InspectionReport, Opened]:
    case = dossier.case(with_registration=with_registration)
    require_case(case)
    bundle = open_bundle(dossier.box, case, dossier.keys)
    opened = check_openings(bundle.plain, case)
    compared = examine(case, opened, **known)
    report = make_report(case, bundle, opened, compared, nation=dossier.keys.nation, inspector=dossier.keys.public.id)
    assert parse_report(encode_report(report)) == report
    return report, opened


def outcomes(report: InspectionReport) -> dict[str, set[str]]:
    """Outcomes of each check."""
    found: dict[str, set[str]] = {}
    for one in report.comparisons:
        found.setdefault(one.check, set()).add(one.outcome)
    return found


def failing(report: InspectionReport) -> list[tuple[str, str]]:
    return [(one.check, one.field) for one in report.comparisons if one.outcome == "fails"]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> InspectionReport:
    """An examination of the interval before the one that most tests look at."""
    report, _ = conclude(open_dossier(tmp_path_factory.mktemp("before"), intervals=(1,), records=()))
    return report


# --- an honest lab ---------------------------------------------------------------------------------------------------


def test_an_honest_report_passes_with_everything_compared(tmp_path: Path, before: InspectionReport) -> None:
    report, opened = conclude(open_dossier(tmp_path), before=before)
    assert (report.result, report.missing, failing(report)) == ("consistent", (), [])
    said = outcomes(report)
    for check in ("X1", "X2", "X3", "X4", "X5", "X6", "X11", "X13", "SUMS", "BAND", "RECORDS"):
        assert "not-comparable" not in said[check], check
        assert "holds" in said[check], check
    assert [check for check in said if said[check] == {"not-comparable"}] == [*UNCOMPARED, "LIMIT"]
    assert all(one.reason for one in report.comparisons if one.outcome == "not-comparable")
    assert opened.values["runs"], "the example has training runs"


def test_checks_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    report, _ = conclude(open_dossier(tmp_path))
    order = list(dict.fromkeys(one.check for one in report.comparisons))
    assert order == ["OPENING", *(f"X{n}" for n in range(1, 15)), "BAND", "LIMIT", "RECORDS", "SUMS"]


def test_without_an_earlier_examination_what_needs_one_is_said_not_to_be_comparable(tmp_path: Path) -> None:
    report, _ = conclude(open_dossier(tmp_path), with_registration=False)
    said = outcomes(report)
    assert said["X6"] == {"not-comparable"}
    assert "not-comparable" in said["X13"]
    assert said["X1"] == {"not-comparable"}
    assert report.result == "consistent"


def test_without_records_the_figures_are_still_held_against_each_other(tmp_path: Path) -> None:
    report, _ = conclude(open_dossier(tmp_path, records=()))
    said = outcomes(report)
    assert said["X11"] == {"not-comparable"}
    assert "RECORDS" not in said
    assert said["X3"] & {"holds", "unusual"}
    assert report.records.opened == 0 < report.records.of


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    return open_dossier(tmp_path_factory.mktemp("honest"))


@given(fields=st.sets(st.sampled_from(ALL_FIELDS)), records=st.sets(st.integers(0, 13)), knows_before=st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_honest_lab_passes_whatever_of_its_row_is_opened(
    honest: Dossier, before: InspectionReport, fields: set[str], records: set[int], *, knows_before: bool
) -> None:
    case = honest.case()
    opened = check_openings(honest.plain, case)
    opened.values = {name: value for name, value in opened.values.items() if name in fields}
    opened.records = {index: raw for index, raw in opened.records.items() if index in records}
    compared = examine(case, opened, before=before if knows_before else None)
    assert [str(one) for one in compared if one.outcome == Outcome.FAILS] == []


@pytest.mark.parametrize("field", ALL_FIELDS)
def test_any_field_alone_is_examined_without_the_others(tmp_path: Path, field: str) -> None:
    report, _ = conclude(open_dossier(tmp_path, fields=(field,), records=()))
    assert report.result == "consistent"
    assert list(report.fields) == [field]


def test_any_records_alone_are_examined_without_fields(tmp_path: Path) -> None:
    report, _ = conclude(open_dossier(tmp_path, fields=(), records=(0, 2)))
    assert report.result == "consistent"
    assert report.records.opened == 2


def test_the_accelerators_of_an_inventory_give_the_capacity_if_all_were_opened(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, chips=range(CHIP_COUNT))
    assert outcomes(conclude(dossier, with_registration=False)[0])["X1"] == {"holds"}


# --- a lab that lies -------------------------------------------------------------------------------------------------


def scale(quantity: Quantity, by: int) -> int:
    return parse_quantity(quantity, field="hidden") // by


def understate_alone(hidden: HiddenFields) -> HiddenFields:
    """Only the one number that matters."""
    return replaced(hidden, training_pflop=scale(hidden.training_pflop, 2))


def understate(hidden: HiddenFields) -> HiddenFields:
    """All figures of training together, so that they fit each other: half of it is called inference."""
    training, after = scale(hidden.split.training, 2), scale(hidden.split.post_training, 2)
    moved = scale(hidden.split.training, 1) - training + scale(hidden.split.post_training, 1) - after
    split = replaced(
        hidden.split, training=training, post_training=after, inference=scale(hidden.split.inference, 1) + moved
    )
    runs = tuple(
        replaced(
            run,
            pflop=scale(run.pflop, 2),
            cumulative_pflop=scale(run.cumulative_pflop, 1) - scale(run.pflop, 1) + scale(run.pflop, 2),
        )
        for run in hidden.runs
    )
    pflops = [scale(run.pflop, 1) for run in runs]
    return replaced(
        hidden, split=split, runs=runs, training_pflop=sum(pflops), largest_run_pflop=max(pflops, default=0)
    )


def test_one_understated_number_is_caught_by_the_others(tmp_path: Path) -> None:
    report, _ = conclude(open_dossier(tmp_path, change=understate_alone, records=()))
    assert report.result == "inconsistent"
    assert failing(report) == [("SUMS", "training_pflop")]


def test_an_understated_report_whose_figures_fit_is_caught_by_its_records(
    tmp_path: Path, before: InspectionReport
) -> None:
    report, _ = conclude(open_dossier(tmp_path, change=understate), before=before)
    assert report.result == "inconsistent"
    assert {check for check, _ in failing(report)} == {"RECORDS"}
    named = [field for _, field in failing(report)]
    assert {"split.training", "split.inference", "training_pflop", "largest_run_pflop"} <= set(named)


def test_some_of_the_records_are_enough_to_catch_it(tmp_path: Path) -> None:
    whole = open_dossier(tmp_path / "whole")
    training = [n for n, record in enumerate(whole.openings.records) if b'"use":"training"' in record.record]
    dossier = open_dossier(tmp_path / "some", change=understate, records=training)
    assert 0 < len(training) < len(whole.openings.records)
    report, _ = conclude(dossier)
    assert ("RECORDS", "training_pflop") in failing(report)
    assert ("RECORDS", "split.inference") not in failing(report), "more than the opened records is no contradiction"


def test_without_records_an_understatement_that_fits_passes_as_the_page_says(tmp_path: Path) -> None:
    report, _ = conclude(open_dossier(tmp_path, change=understate, records=()))
    assert report.result == "consistent"


def test_a_run_that_does_not_grow_as_it_says_is_caught_with_the_interval_before(
    tmp_path: Path, before: InspectionReport
) -> None:
    def forget(hidden: HiddenFields) -> HiddenFields:
        return replaced(hidden, runs=tuple(replaced(run, cumulative_pflop=run.pflop) for run in hidden.runs))

    report, _ = conclude(open_dossier(tmp_path, change=forget), before=before)
    assert {check for check, _ in failing(report)} == {"X6"}
    assert conclude(open_dossier(tmp_path / "again", change=forget))[0].result == "consistent"


def test_more_chips_than_are_registered_are_caught(tmp_path: Path) -> None:
    report, _ = conclude(open_dossier(tmp_path, capacity=CHIP_COUNT - 1))
    assert failing(report) == [("X1", "chip_seconds.h100")]


def test_figures_that_do_not_add_up_are_caught(tmp_path: Path) -> None:
    def split(hidden: HiddenFields) -> HiddenFields:
        return replaced(hidden, split=Split(training=1, post_training=0, inference=0, evaluation=0, other=0, idle=0))

    report, _ = conclude(open_dossier(tmp_path, change=split, records=()))
    assert {check for check, _ in failing(report)} == {"X2", "X3"}


def with_records(dossier: Dossier, change: Callable[[LabRecord], LabRecord]) -> InspectionReport:
    """Examine other records in the place of those that opened."""
    case = dossier.case()
    opened = check_openings(dossier.plain, case)
    opened.records = {index: encode_record(change(parse_lab_record(raw))) for index, raw in opened.records.items()}
    bundle = open_bundle(dossier.box, case, dossier.keys)
    return make_report(case, bundle, opened, examine(case, opened), nation="brittia", inspector="ada")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda r: replaced(r, start=r.start - 10**6), "times"),
        (lambda r: replaced(r, end=r.end + 10**6), "times"),
        (lambda r: replaced(r, start=r.end, end=r.start), "times"),
        (lambda r: replaced(r, busy_s=10**6), "times"),
        (lambda r: replaced(r, job="1", attempt=0), "attempts"),
        (lambda r: replaced(r, gpus={"h100": 2**20}), "busy_chip_seconds"),
    ],
)
def test_records_that_cannot_be_of_the_interval_are_named(
    tmp_path: Path, change: Callable[[LabRecord], LabRecord], named: str
) -> None:
    report = with_records(open_dossier(tmp_path), change)
    assert ("RECORDS", named) in failing(report)


def test_a_model_without_figures_leaves_operations_uncompared(tmp_path: Path) -> None:
    report = with_records(open_dossier(tmp_path), lambda r: replaced(r, gpus={"<b>": 1} if r.gpus else {}))
    told = next(one for one in report.comparisons if one.check == "RECORDS" and one.field == "training_pflop")
    assert told.outcome == "not-comparable"
    assert "<b>" in told.reason


def test_more_names_than_a_report_can_hold_are_counted_under_one(tmp_path: Path) -> None:
    numbers = itertools.count()

    def rename(record: LabRecord) -> LabRecord:
        at = next(numbers)
        gpus = {f"x{at}-{number}": 1 for number in range(256)}
        return replaced(record, gpus=gpus, run=f"run {at} {'r' * 9_000}", use="training")

    report = with_records(open_dossier(tmp_path), rename)
    assert ("X11", "busy_chip_seconds.(not in the annex)") in failing(report)
    assert len(report.comparisons) < 200


def test_records_that_nobody_can_read_are_named_and_are_not_all_records(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path)
    case, opened = dossier.case(), check_openings(dossier.plain, dossier.case())
    first = min(opened.records)
    opened.records[first] = b'{"cluster":"<script>"}'
    told = [one for one in examine(case, opened) if one.check == "RECORDS"]
    assert told[0].field == "form"
    assert told[0].outcome == Outcome.NOT_COMPARABLE
    assert all("at least" in one.expected for one in told if one.field.startswith("split"))


# --- what is public --------------------------------------------------------------------------------------------------


def test_a_band_that_is_not_that_of_the_opened_figure_is_caught(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, records=())
    case = dossier.case()
    assert case.report is not None
    (row,) = case.report.predicate.rows
    lied = replaced(case.report.predicate, rows=(replaced(row, band=row.band - 1),))
    compared = examine(replace(case, report=replace(case.report, predicate=lied)), check_openings(dossier.plain, case))
    assert [one.check for one in compared if one.outcome == Outcome.FAILS] == ["BAND"]


@pytest.mark.parametrize(
    ("quantity", "maximum", "outcome"),
    [
        ("training_pflop_per_interval", 0, Outcome.FAILS),
        ("training_pflop_per_interval", 10**15, Outcome.HOLDS),
        ("training_pflop_per_run", 0, Outcome.FAILS),
        ("training_pflop_per_run", 10**15, Outcome.HOLDS),
        ("energy_wh_per_interval", 0, Outcome.FAILS),
        ("models_released", 0, Outcome.NOT_COMPARABLE),
    ],
)
def test_a_promise_is_held_against_the_opened_figures(
    tmp_path: Path, quantity: str, maximum: int, outcome: Outcome
) -> None:
    dossier = open_dossier(tmp_path, records=())
    case = dossier.case()
    limits = (Limit(id="cap", quantity=quantity, maximum=maximum, note=""),)
    charter = replace(the_charter(), predicate=replaced(the_charter().predicate, limits=limits))
    compared = examine(replace(case, ledger=replace(case.ledger, charter=charter)), check_openings(dossier.plain, case))
    assert [one.outcome for one in compared if one.check == "LIMIT"] == [outcome]


# --- accelerators ----------------------------------------------------------------------------------------------------


def shown(report: InspectionReport, **changes: Any) -> InspectionReport:
    return replaced(report, **changes)


def x9(compared: tuple[Comparison, ...]) -> Mapping[str, Outcome]:
    return {
        one.field + ("" if "none of" not in one.expected else " across"): one.outcome
        for one in compared
        if one.check == "X9"
    }


def test_the_same_accelerator_shown_by_two_labs_is_found(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, chips=(0, 3))
    report, opened = conclude(dossier)
    case = dossier.case()
    lent = shown(report, lab="harbour-lab", cluster="harbour", chips=report.chips[1:])
    compared = examine(case, opened, others=(lent,))
    told = next(one for one in compared if one.check == "X9" and one.outcome == Outcome.FAILS)
    assert "h100 GPU-0003" in told.found
    assert "harbour-lab" in told.found
    assert x9(examine(case, opened, others=(shown(lent, interval=1),)))["chips across"] == Outcome.UNUSUAL
    assert x9(examine(case, opened, others=(shown(lent, chips=()),)))["chips across"] == Outcome.HOLDS


def test_a_cluster_may_show_its_own_accelerators_again(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, chips=(0, 3))
    report, opened = conclude(dossier)
    assert "chips across" not in x9(examine(dossier.case(), opened, others=(shown(report, interval=1),)))


def test_an_accelerator_that_an_inventory_lists_twice_is_found(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, chips=(0, 3))
    _, opened = conclude(dossier)
    opened.chips.append(opened.chips[0])
    assert x9(examine(dossier.case(), opened))["chips"] == Outcome.FAILS


def test_models_that_the_charter_does_not_know_are_named(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, chips=(0, 3))
    _, opened = conclude(dossier)
    opened.chips[0] = replaced(opened.chips[0], model="x1")
    assert Chip("x1", "GPU-0000") == opened.chips[0].chip()
    assert x9(examine(dossier.case(), opened))["chips.model"] == Outcome.FAILS


# --- examinations that do not belong ---------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"interval": 2}, {"lab": "x"}, {"cluster": "x"}, {"ledger": "00" * 32}])
def test_an_examination_of_something_else_is_not_taken_for_the_interval_before(
    tmp_path: Path, before: InspectionReport, changes: dict[str, Any]
) -> None:
    with pytest.raises(PolicyError):
        conclude(open_dossier(tmp_path), before=shown(before, **changes))


def test_accelerators_of_another_ledger_are_not_held_against_these(tmp_path: Path, before: InspectionReport) -> None:
    with pytest.raises(PolicyError):
        conclude(open_dossier(tmp_path), others=(shown(before, ledger="00" * 32),))
