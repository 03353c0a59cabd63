"""`lab.crosschecks`: each check fires on the first number that breaks it, and not on the last that does not."""

from typing import Any  # keyword arguments of structs with fields of several types

import msgspec
import pytest

from lab.crosschecks import Finding, Surroundings, check_fields
from ledger.charter import Accelerator
from ledger.statements.reports import HiddenFields, Run, Split

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
    runs_before={"big": 1_000},
)


def check(
    around: dict[str, Any] | None = None, **changes: Any
) -> list[tuple[str, str, bool]]:  # Any: fields of structs
    surroundings = AROUND
    for name, value in (around or {}).items():
        surroundings = _replace(surroundings, name, value)
    findings = check_fields("hall-1", msgspec.structs.replace(SANE, **changes), surroundings)
    return [(finding.check, finding.field, finding.is_hard) for finding in findings]


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
        (10_000, []),
        (10_001, [("X4", "facility_energy_wh", False)]),
    ],
)
def test_x4_expects_a_building_to_need_once_or_twice_the_energy(
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


@pytest.mark.parametrize("cumulative", [6_431, 6_433])
def test_x6_refuses_a_cumulative_figure_that_does_not_follow(cumulative: int) -> None:
    run = Run(run="big", pflop=5_432, cumulative_pflop=cumulative)
    assert check(runs=(run,)) == [("X6", "runs.big.cumulative_pflop", True)]


def test_x6_starts_a_new_run_at_zero() -> None:
    assert check({"runs_before": {}}, runs=(Run(run="new", pflop=5, cumulative_pflop=5),)) == []


def test_x11_refuses_more_scheduled_work_than_installed_chips() -> None:
    assert check({"busy": {"h100": 36_001}}) == [("X11", "busy_chip_seconds.h100", True)]
    assert check({"busy": {"h100": 36_000}}) == []
    assert check({"busy": {"a100": 1}}) == [("X11", "busy_chip_seconds.a100", True)]


def test_x13_doubts_repeated_and_round_numbers() -> None:
    assert check({"before": SANE}) == [("X13", "training_pflop", False)]
    assert check({"before": msgspec.structs.replace(SANE, training_pflop=5_431)}) == []
    around = {"training": {"h100": 10**6}}
    assert ("X13", "training_pflop", False) in check(around, training_pflop=600_000, runs=())
    assert ("X13", "training_pflop", False) not in check(around, training_pflop=610_000, runs=())


def test_a_finding_reads_as_a_sentence() -> None:
    finding = Finding("X3", "hall-1", "training_pflop", "9", "at most 8", is_hard=True)
    assert str(finding) == "X3 hall-1 training_pflop: found 9; expected at most 8"
