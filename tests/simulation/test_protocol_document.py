"""docs/consensus.md against the code: the functions, tests, scenarios and mutants it names are there, none left out."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.simulation.mutants import MUTANTS
from tests.simulation.nodes.mutants import NODE_MUTANTS
from tests.simulation.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent.parent
CONSENSUS = ROOT / "node" / "consensus"
CODE = re.compile(r"`([^`]+)`")


def tables() -> dict[str, list[list[str]]]:
    """The document's tables by the first heading of each: their rows, cell by cell."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for line in (ROOT / "docs" / "consensus.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            rows = []
        elif not rows:
            rows = found.setdefault(cells[0], [cells])
        elif set(line) - set("|- "):
            rows.append(cells)
    return {heading: rows[1:] for heading, rows in found.items()}


def rules() -> list[list[str]]:
    return tables()["rule"]


def codes(cells: list[str]) -> Iterator[str]:
    for cell in cells:
        yield from CODE.findall(cell)


def test_every_rule_names_functions_that_are_there() -> None:
    for _, short, where, *_ in rules():
        source = "core.py"
        for name in CODE.findall(where):
            if name.endswith(".py"):
                source = name
            else:
                assert f"def {name}(" in (CONSENSUS / source).read_text(encoding="utf-8"), f"{short}: {source} {name}"


def test_every_rule_names_tests_that_are_there() -> None:
    kept = [path for folder in ("paper", "node") for path in sorted((ROOT / "tests" / folder).glob("test_*.py"))]
    names = [name for path in kept for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))]
    for _, short, _, tests, _ in rules():
        for name in CODE.findall(tests):
            if name.endswith(".txt"):
                assert (ROOT / "tests" / "scenarios" / name).exists(), f"{short}: {name}"
            elif name.startswith("…"):
                assert any(known.endswith(name[1:]) for known in names), f"{short}: {name}"
            else:
                assert name in names, f"{short}: {name}"


def test_every_rule_has_a_test_or_a_mutant() -> None:
    assert [short for _, short, _, tests, mutants in rules() if not CODE.findall(tests + mutants)] == []


def test_the_mutants_named_are_those_there_are() -> None:
    assert sorted({name for row in rules() for name in CODE.findall(row[4])}) == sorted(MUTANTS)


def test_what_stands_around_the_core_is_where_the_document_says_and_has_its_mutants() -> None:
    rows = tables()["around the core"]
    for _, what, where, _ in rows:
        source = ""
        for name in CODE.findall(where):
            if name.endswith(".py"):
                source = (ROOT / "node" / name).read_text(encoding="utf-8")
            else:
                assert f"def {name}(" in source, f"{what}: {name}"
    assert sorted({name for row in rows for name in CODE.findall(row[3])}) == sorted(NODE_MUTANTS)


def test_the_mutants_said_to_survive_are_those_with_a_layer_behind_them() -> None:
    behind = sorted(name for name, mutant in {**MUTANTS, **NODE_MUTANTS}.items() if mutant.behind)
    assert sorted(name for row in tables()["survives"] for name in CODE.findall(row[0])) == behind


def test_the_scenarios_named_are_those_there_are() -> None:
    assert sorted(name for row in tables()["scenarios"] for name in CODE.findall(row[0])) == sorted(SCENARIOS)


def test_the_rules_of_the_core_are_the_rules_of_the_document() -> None:
    """By number and letter, in order."""
    opening = (CONSENSUS / "core.py").read_text(encoding="utf-8").split('"""')[1]
    numbers = re.findall(r"^ ?(\d+)\. ", opening, re.MULTILINE)
    letters = re.findall(r"^ ([a-z])\. ", opening, re.MULTILINE)
    named = [row[0] for row in rules() if row[0]]
    assert named == [*numbers, *letters]
