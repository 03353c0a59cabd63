"""What `scripts/simulate` prints: a table, a replay that is the same each time, and a failure one can read."""

from pathlib import Path

import pytest

from tests.simulation.command import main
from tests.simulation.cores.disk import Disk
from tests.simulation.growth import Point, draw_growth, format_table
from tests.simulation.plan import draw_plan
from tests.simulation.runs import run_plan
from tests.simulation.shrink import Shrinker


def forget(disk: Disk, record: bytes) -> None:
    """Say that it is written."""


def find_failing_seed() -> int:
    return next(seed for seed in range(7, 50) if run_plan(draw_plan(seed, attackers=[]), "cores").violation)


def test_a_campaign_ends_with_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--attackers", ""]) == 0
    table = dict(line.strip().split("  ", 1) for line in capsys.readouterr().out.splitlines() if "  " in line.strip())
    assert table["seeds"].strip() == "2"
    assert table["violations"].strip() == "0"


def test_a_campaign_says_whose_keys_it_ran_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1", "--attackers", "", "--keys", "real"]) == 0
    assert capsys.readouterr().out.startswith("4 members, cores, real keys\n")


def test_a_mutant_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--mutants", "seal-not-verified", "--level", "nodes"])
    assert "of the level nodes there is no seal-not-verified" in capsys.readouterr().err


def test_mutants_are_hunted_by_name_at_their_level(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--mutants", "state-digest-believed", "--level", "nodes"]) == 0
    assert "caught 1 / 1" in capsys.readouterr().out


def test_a_seed_is_replayed_byte_for_byte(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for _ in range(2):
        assert main(["--seed", "4", "--trace"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert "m1  starts for the 1. time" in shown[0]


def test_a_planted_fault_is_found_and_shown_small(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vote log that keeps nothing: members that crash and come back contradict themselves."""
    monkeypatch.setattr(Disk, "append", forget)
    seed = str(find_failing_seed())
    assert main(["--first", seed, "--seeds", "1", "--attackers", "", "--shrink-runs", "30"]) == 1
    shown = capsys.readouterr().out
    assert "what is left of its plan:" in shown
    assert "Crash(" in shown
    assert "VIOLATION ViolationError: member" in shown


def test_a_smaller_plan_fails_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "append", forget)
    plan = draw_plan(find_failing_seed(), attackers=[])
    violation = run_plan(plan, "cores").violation
    assert violation is not None
    smaller = Shrinker(lambda tried: run_plan(tried, "cores").violation, 30).shrink(plan, violation)
    assert len(smaller.faults) < len(plan.faults) // 2
    assert run_plan(smaller, "cores").violation is not None


def test_the_curve_of_growth_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = tmp_path / "growth.svg"
    assert main(["--growth", "2,4", "--seconds", "0.05", "--svg", str(drawing)]) == 0
    assert drawing.read_text(encoding="utf-8").count("<polyline") == 2
    assert "| 4 |" in capsys.readouterr().out
    points = [Point(4, 10, 2.0, 400, 3_000), Point(7, 5, 2.0, 500, 1_500)]
    assert format_table(points)[2] == "| 4 | 40 | 10 | 300 | 5.00 |"
    assert draw_growth(points).endswith("</svg>\n")
