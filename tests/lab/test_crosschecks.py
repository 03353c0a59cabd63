"""`lab.crosschecks`: the shared checks on the lab's own figures, and which of them stop a report."""

from typing import Any

import msgspec
import pytest

from lab.amounts import Totals
from lab.crosschecks import examine_row, require_sane
from ledger.charter import Accelerator
from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.errors import PolicyError
from ledger.statements.reports import HiddenFields, Run, Split

H100 = Accelerator(model="h100", peak_gflops=1_000_000, tdp_w=720, idle_w=72)
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
HARD = Comparison("X3", "hall-1", "training_pflop", "9", "at most 8", Outcome.FAILS)
SOFT = Comparison("X13", "hall-1", "training_pflop", "9", "another", Outcome.UNUSUAL)


def examine(**changes: Any) -> list[tuple[str, Outcome]]:  # Any: arguments of several types
    known: dict[str, Any] = {
        "interval_s": 3_600,
        "accelerators": {"h100": H100},
        "installed": {"h100": 10},
        "runs_before": {"big": 1_000},
    }
    totals = Totals(busy={"h100": 20_000}, training={"h100": 12_345})
    hidden = changes.pop("hidden", SANE)
    return [(found.check, found.outcome) for found in examine_row("hall-1", hidden, totals, **{**known, **changes})]


def test_what_holds_or_cannot_be_compared_is_no_finding() -> None:
    assert examine() == []
    assert examine(capacity={"h100": 10}, before=msgspec.structs.replace(SANE, training_pflop=1)) == []


def test_everything_the_lab_knows_is_brought_to_the_checks() -> None:
    assert examine(capacity={"h100": 9}) == [("X1", Outcome.FAILS)]
    assert examine(is_energy_measured=False) == [("X4", Outcome.UNUSUAL)]
    assert examine(runs_before={"big": 999}) == [("X6", Outcome.FAILS)]
    assert examine(installed={"h100": 5}) == [("X11", Outcome.FAILS)]
    assert examine(before=SANE) == [("X13", Outcome.UNUSUAL)]
    assert examine(hidden=msgspec.structs.replace(SANE, busy_chip_seconds=1)) == [("X2", Outcome.FAILS)]


def test_a_failed_check_stops_unless_it_is_overridden_by_its_name_and_with_a_reason() -> None:
    require_sane([], {})
    require_sane([SOFT], {})
    require_sane([HARD, SOFT], {"X3": "the annex has the wrong peak"})
    overrides: list[dict[str, str]] = [{}, {"X3": ""}, {"X13": "why not"}]
    for override in overrides:
        with pytest.raises(PolicyError) as caught:
            require_sane([SOFT, HARD, HARD], override)
        assert caught.value.field == "X3 hall-1.training_pflop"
        assert (caught.value.found, caught.value.expected) == ("9", "at most 8 (and 1 more failed checks)")
