"""`ledger.crosschecks.rows`: each check fires on the first number that breaks it, and not on the last that does not.

What a check compared is said also where it holds, and what it could not compare, with the reason.
"""

from typing import Any  # keyword arguments of structs with fields of several types

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.charter import Accelerator
from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.crosschecks.figures import Figures, RunFigures, read_fields, read_opened_fields
from ledger.crosschecks.rows import Surroundings, compare_row
from ledger.crosschecks.runs import RunStanding
from ledger.errors import FormatError
from ledger.statements.reports import HIDDEN_FIELD_NAMES, HiddenFields, Run, Split, encode_hidden_fields

H100 = Accelerator(model="h100", peak_gflops=1_000_000, tdp_w=720, idle_w=72)  # round figures: 1 PFLOP/s a chip

SANE = HiddenFields(
    chip_seconds={"h100": 36_000},
    busy_chip_seconds=20_000,
    split=Split(training=12_345, post_training=0, inference=7_655, evaluation=0, other=0, idle=16_000),
    training_pflop=5_432,
    largest_run_pflop=5_432,
    energy_wh=5_000,
    facility_energy_wh=6_000,
    utilisation_permille=400,
    runs=(Run(run="big", pflop=5_432, cumulative_pflop=6_432),),
)
AROUND = Surroundings(
    interval_s=3_600,
    accelerators={"h100": H100},
    busy={"h100": 20_000},
    training={"h100": 12_345},
    installed={"h100": 10},
    capacity={"h100": 10},
    standings={"big": RunStanding(previous_pflop=1_000)},
    is_energy_measured=True,
)


def compare(around: dict[str, Any] | None = None, **changes: Any) -> tuple[Comparison, ...]:  # Any: fields of structs
    surroundings = AROUND
    for name, value in (around or {}).items():
        surroundings = _replace(surroundings, name, value)
    return compare_row("hall-1", read_fields(msgspec.structs.replace(SANE, **changes)), surroundings)


def check(around: dict[str, Any] | None = None, **changes: Any) -> list[tuple[str, str, bool]]:  # Any: fields
    """Give what fails (True) or is unusual (False)."""
    return [
        (found.check, found.field, found.outcome == Outcome.FAILS)
        for found in compare(around, **changes)
        if found.outcome in {Outcome.FAILS, Outcome.UNUSUAL}
    ]


def _replace(around: Surroundings, name: str, value: Any) -> Surroundings:  # Any: a field of Surroundings
    fields = {field: getattr(around, field) for field in Surroundings.__dataclass_fields__}
    return Surroundings(**{**fields, name: value})


def split(**changes: int) -> Split:
    return msgspec.structs.replace(SANE.split, **changes)


def test_sane_numbers_raise_nothing() -> None:
    assert check() == []


def test_x1_refuses_one_chip_second_above_the_registered_capacity() -> None:
    above: dict[str, Any] = {"chip_seconds": {"h100": 36_001}, "split": split(idle=16_001)}
    assert check(**above) == [("X1", "chip_seconds.h100", True)]
    assert check({"capacity": None}, **above) == []
    assert check({"capacity": {"a100": 10}}) == [("X1", "chip_seconds.h100", True)]


@pytest.mark.parametrize("changes", [{"idle": 15_999}, {"idle": 16_001}])
def test_x2_refuses_a_split_that_does_not_add_up(changes: dict[str, int]) -> None:
    assert ("X2", "split", True) in check(split=split(**changes))


def test_x2_refuses_busy_chip_seconds_that_are_not_the_split_without_idle() -> None:
    assert check(busy_chip_seconds=20_001) == [("X2", "busy_chip_seconds", True)]
    assert check(split=split(inference=7_656, idle=15_999)) == [("X2", "busy_chip_seconds", True)]


@pytest.mark.parametrize(
    ("pflop", "found"),
    [
        (12_346, [("X3", "training_pflop", True)]),
        (12_345, [("X3", "training_pflop", False)]),
        (8_642, [("X3", "training_pflop", False)]),
        (8_641, []),
        (124, []),
        (123, [("X3", "training_pflop", False)]),
    ],
)
def test_x3_holds_training_against_the_peak_of_the_chips(pflop: int, found: list[tuple[str, str, bool]]) -> None:
    run = Run(run="big", pflop=pflop, cumulative_pflop=pflop + 1_000)
    # 5000 Wh x 1 PFLOP/s at 720 W are 25000 PFLOP, so X5 stays silent
    assert check(training_pflop=pflop, largest_run_pflop=pflop, runs=(run,)) == found


def test_x3_refuses_training_without_chips_in_training() -> None:
    assert ("X3", "training_pflop", True) in check({"training": {}}, training_pflop=1, runs=())


@pytest.mark.parametrize(("energy_wh", "is_found"), [(719, True), (720, False), (9_360, False), (9_361, True)])
def test_x4_expects_energy_between_all_idle_and_above_tdp(energy_wh: int, is_found: bool) -> None:
    found = check(energy_wh=energy_wh, facility_energy_wh=energy_wh + energy_wh // 5, training_pflop=200, runs=())
    assert (("X4", "energy_wh", False) in found) == is_found


@pytest.mark.parametrize(
    ("facility_wh", "found"),
    [
        (4_999, [("X4", "facility_energy_wh", True)]),
        (5_000, []),
        (20_000, []),
        (20_001, [("X4", "facility_energy_wh", False)]),
    ],
)
def test_x4_expects_a_building_to_need_one_to_four_times_the_energy(
    facility_wh: int, found: list[tuple[str, str, bool]]
) -> None:
    assert check(facility_energy_wh=facility_wh) == found


def test_x4_says_when_energy_is_an_estimate() -> None:
    assert check({"is_energy_measured": False}) == [("X4", "energy_wh", False)]


def test_x5_doubts_training_that_the_energy_cannot_pay() -> None:
    # 1000 Wh at 720 W a PFLOP/s: 5000 PFLOP
    changes: dict[str, Any] = {"energy_wh": 1_000, "facility_energy_wh": 1_200}
    run = Run(run="big", pflop=5_001, cumulative_pflop=6_001)
    assert check(**changes, training_pflop=5_001, runs=(run,)) == [("X5", "training_pflop", False)]
    run = Run(run="big", pflop=5_000, cumulative_pflop=6_000)
    assert check(**changes, training_pflop=5_000, runs=(run,)) == []


def test_x5_believes_no_model_of_which_the_row_has_no_chips() -> None:
    thrifty = Accelerator(model="zero", peak_gflops=10**9, tdp_w=1, idle_w=0)
    around = {"accelerators": {"h100": H100, "zero": thrifty}, "capacity": {"h100": 10, "zero": 10}}
    run = Run(run="big", pflop=5_001, cumulative_pflop=6_001)
    changes: dict[str, Any] = {"energy_wh": 1_000, "facility_energy_wh": 1_200, "training_pflop": 5_001}
    found = check(around, **changes, runs=(run,), chip_seconds={"h100": 36_000, "zero": 0})
    assert found == [("X5", "training_pflop", False)]


@pytest.mark.parametrize("training", [None, {"h100": 12_345, "unheard-of": 0}])
def test_no_model_hides_a_row_by_being_in_it_without_chips(training: dict[str, int] | None) -> None:
    listed = {"h100": 36_000, "unheard-of": 0}
    run = Run(run="big", pflop=36_001, cumulative_pflop=37_001)
    changes: dict[str, Any] = {"energy_wh": 719, "facility_energy_wh": 800, "training_pflop": 36_001}
    assert check({"training": training}, **changes, runs=(run,), chip_seconds=listed) == [
        ("X3", "training_pflop", True),
        ("X4", "energy_wh", False),
        ("X5", "training_pflop", False),
    ]


@pytest.mark.parametrize("cumulative", [6_431, 6_433])
def test_x6_refuses_a_cumulative_figure_that_does_not_follow(cumulative: int) -> None:
    run = Run(run="big", pflop=5_432, cumulative_pflop=cumulative)
    assert check(runs=(run,)) == [("X6", "runs.big.cumulative_pflop", True)]


def test_x6_starts_a_new_run_at_zero() -> None:
    assert check({"standings": {}}, runs=(Run(run="new", pflop=5, cumulative_pflop=5),)) == []


def test_x11_refuses_more_scheduled_work_than_installed_chips() -> None:
    assert check({"busy": {"h100": 36_001}}) == [("X11", "busy_chip_seconds.h100", True)]
    assert check({"busy": {"h100": 36_000}}) == []
    assert check({"busy": {"a100": 1}}) == [("X11", "busy_chip_seconds.a100", True)]


def test_x13_doubts_repeated_and_round_numbers() -> None:
    assert check({"before": read_fields(SANE)}) == [("X13", "training_pflop", False)]
    assert check({"before": read_fields(msgspec.structs.replace(SANE, training_pflop=5_431))}) == []
    idle: dict[str, Any] = {"training_pflop": 0, "runs": ()}
    assert check({"before": read_fields(msgspec.structs.replace(SANE, **idle)), "training": {}}, **idle) == []
    around = {"training": {"h100": 10**6}}
    assert ("X13", "training_pflop", False) in check(around, training_pflop=600_000, runs=())
    assert ("X13", "training_pflop", False) not in check(around, training_pflop=610_000, runs=())


# --- what was compared, and what could not be ------------------------------------------------------------------------


def test_every_check_says_what_it_compared_also_where_it_holds() -> None:
    before = read_fields(msgspec.structs.replace(SANE, training_pflop=5_431))
    compared = compare({"before": before})
    assert {found.outcome for found in compared} == {Outcome.HOLDS}
    assert [(found.check, found.field, found.found) for found in compared] == [
        ("X1", "chip_seconds.h100", "36000"),
        ("X2", "split", "36000"),
        ("X2", "busy_chip_seconds", "20000"),
        ("X3", "training_pflop", "5432"),
        ("X4", "facility_energy_wh", "6000"),
        ("X4", "energy_wh", "5000"),
        ("X5", "training_pflop", "5432"),
        ("X6", "runs.big.cumulative_pflop", "6432"),
        ("X11", "busy_chip_seconds.h100", "20000"),
        ("X13", "training_pflop", "5432"),
        ("X13", "training_pflop", "5432"),
    ]
    assert all(found.subject == "hall-1" and found.expected and not found.reason for found in compared)


def test_nothing_opened_and_nothing_known_compares_nothing_and_says_why() -> None:
    compared = compare_row("hall-1", Figures(), Surroundings(interval_s=3_600, accelerators={}))
    assert {found.outcome for found in compared} == {Outcome.NOT_COMPARABLE}
    assert {found.check for found in compared} == {"X1", "X2", "X3", "X4", "X5", "X6", "X11", "X13"}
    assert all(found.reason and found.expected for found in compared)


NEEDED = {  # fields without which a check has something that it cannot compare
    "X1": {"chip_seconds"},
    "X2": {"chip_seconds", "busy_chip_seconds", "split"},
    "X3": {"training_pflop"},
    "X4": {"chip_seconds", "energy_wh", "facility_energy_wh"},
    "X5": {"chip_seconds", "energy_wh", "training_pflop"},
    "X6": {"runs"},
    "X11": set(),
    "X13": {"training_pflop"},
}


@given(st.sets(st.sampled_from(HIDDEN_FIELD_NAMES)))
def test_opening_fewer_fields_leaves_checks_out_and_changes_none(opened: set[str]) -> None:
    values = {name: value for name, value in encode_hidden_fields(SANE).items() if name in opened}
    around = _replace(AROUND, "before", read_fields(msgspec.structs.replace(SANE, training_pflop=5_431)))
    compared = compare_row("hall-1", read_opened_fields(values), around)
    all_opened = compare_row("hall-1", read_fields(SANE), around)
    assert {found for found in compared if found.outcome != Outcome.NOT_COMPARABLE} <= set(all_opened)
    left_out = {found.check for found in compared if found.outcome == Outcome.NOT_COMPARABLE}
    assert left_out == {check for check, needed in NEEDED.items() if needed - opened}


def test_opened_fields_are_read_as_the_lab_reads_its_own() -> None:
    assert read_opened_fields(encode_hidden_fields(SANE)) == read_fields(SANE)
    assert read_fields(SANE).runs == (RunFigures("big", 5_432, 6_432),)
    assert read_opened_fields({"energy_wh": str(2**53 + 1)}).energy_wh == 2**53 + 1


@pytest.mark.parametrize(
    "opened",
    [{"energy": 1}, {"energy_wh": -1}, {"energy_wh": "7"}, {"chip_seconds": 5}, {"runs": [{}]}, {"split": {"idle": 1}}],
    ids=str,
)
def test_opened_fields_of_another_form_are_refused(opened: dict[str, object]) -> None:
    with pytest.raises(FormatError, match=r"hidden"):
        read_opened_fields(opened)


def outcomes(check: str, around: dict[str, Any] | None = None, **changes: Any) -> list[Outcome]:  # Any: fields
    return [found.outcome for found in compare(around, **changes) if found.check == check]


def test_without_records_x3_takes_the_most_that_the_split_allows() -> None:
    slow = Accelerator(model="slow", peak_gflops=1_000, tdp_w=720, idle_w=72)
    around = {"training": None, "accelerators": {"h100": H100, "slow": slow}}
    # 12 345 chip-seconds in training, of which 10 000 can have been on the fast model
    mixed: dict[str, Any] = {"chip_seconds": {"slow": 26_000, "h100": 10_000}}
    assert outcomes("X3", around, **mixed, training_pflop=10_003) == [Outcome.UNUSUAL]
    assert outcomes("X3", around, **mixed, training_pflop=10_004) == [Outcome.FAILS]
    assert outcomes("X3", around, **mixed, training_pflop=1) == [Outcome.HOLDS]  # the slow ones may have done it
    assert outcomes("X3", around, training_pflop=12_346) == [Outcome.FAILS]
    assert outcomes("X3", around, training_pflop=1) == [Outcome.UNUSUAL]  # there is one model only


def test_post_training_is_training() -> None:
    moved = split(training=2_345, post_training=10_000)
    assert outcomes("X3", {"training": None}, split=moved, training_pflop=12_345) == [Outcome.UNUSUAL]
    assert outcomes("X3", {"training": None}, split=moved, training_pflop=12_346) == [Outcome.FAILS]


def test_a_model_that_the_annex_does_not_have_is_no_crash() -> None:
    around: dict[str, Any] = {"accelerators": {}, "capacity": None, "training": None}
    reasons = {found.check: found.reason for found in compare(around) if found.outcome == Outcome.NOT_COMPARABLE}
    assert reasons["X3"] == reasons["X4"] == reasons["X5"] == "the charter's annex has no figures of h100"
    assert outcomes("X3", {"training": {"b200": 5}}) == [Outcome.NOT_COMPARABLE]


def test_x5_needs_energy_from_a_meter_chips_and_their_tdp() -> None:
    for around, changes in (
        ({"is_energy_measured": False}, {}),
        ({"accelerators": {"h100": msgspec.structs.replace(H100, tdp_w=0)}}, {}),
        ({}, {"chip_seconds": {}}),
    ):
        assert outcomes("X5", around, **changes) == [Outcome.NOT_COMPARABLE]


def test_x11_takes_the_rows_own_chip_seconds_where_nobody_knows_the_installed_chips() -> None:
    around: dict[str, Any] = {"installed": None, "busy": {"h100": 36_000}}
    assert outcomes("X11", around) == [Outcome.HOLDS]
    assert outcomes("X11", around, chip_seconds={"h100": 35_999}) == [Outcome.FAILS]
    assert outcomes("X11", {"busy": None}) == [Outcome.NOT_COMPARABLE]


def test_a_comparison_reads_as_a_sentence() -> None:
    found = Comparison("X3", "hall-1", "training_pflop", "9", "at most 8", Outcome.FAILS)
    assert str(found) == "X3 hall-1 training_pflop: found 9; expected at most 8"
    skipped = Comparison("X1", "hall-1", "chip_seconds", "", "the capacity", Outcome.NOT_COMPARABLE, "not opened")
    assert str(skipped) == "X1 hall-1 chip_seconds: not compared with the capacity: not opened"
