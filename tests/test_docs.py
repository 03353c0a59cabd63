"""The documents against the repository: links lead somewhere, commands exist as printed, paths are a reader's own."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

import counterseal
from ledger.statements.verdicts import REASONS_OF_FILINGS, Reason

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {".venv", ".git", "node_modules", "build", "dist"}
# Absolute paths that a document may name: they are the same on every machine, or the reader's to make.
ROOTS_OF_PATHS = {"dev", "etc", "opt", "proc", "run", "srv", "tmp", "usr", "var"}
_LINK = re.compile(r"(?<!\\)\[[^\]\[]*\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:^|(?<=[\s`\"'(=]))/(\w+)/")


def documents() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose_of(text: str) -> str:
    """The text without its fenced blocks, whose brackets are no links and whose hashes are no headings."""
    return _FENCE.sub("", text)


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """The anchors that headings get where repositories are shown."""
    headings = re.findall(r"^#{1,6} (.+)$", prose_of(path.read_text(encoding="utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    return frozenset(plain)


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_every_relative_link_leads_to_a_file_and_heading_of_this_repository(path: Path) -> None:
    for target in _LINK.findall(prose_of(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        there = (path.parent / place).resolve() if place else path
        assert there.is_relative_to(ROOT), f"{target} leads out of the repository"
        assert there.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors_of(there), f"no heading {anchor} in {name_of(there)}"


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_documents_name_no_path_of_one_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert sorted(set(_PATH.findall(text)) - ROOTS_OF_PATHS) == []


def printed_commands(path: Path) -> Iterator[list[str]]:
    """The words of every command in a console block, and of every one in running text that begins as one of ours."""
    text = path.read_text(encoding="utf-8")
    for language, body in _FENCE.findall(text):
        if language == "console":
            for line in body.splitlines():
                if line.startswith("$ "):
                    yield shlex.split(line.removeprefix("$ "))
    for code in _CODE.findall(prose_of(text)):
        if code.startswith("counterseal ") and "`" not in code:
            yield code.split()


Command = TyperCommand | TyperGroup


@cache
def command_tree(room: str | None) -> Command:
    tree = typer.main.get_command(counterseal.build_app(room))
    assert isinstance(tree, TyperGroup)
    return tree


def commands_in(command: Command) -> dict[str, Command]:
    inner = command.commands if isinstance(command, TyperGroup) else {}
    return {name: each for name, each in inner.items() if isinstance(each, TyperCommand | TyperGroup)}


def options_of(command: Command) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def find_fault(words: list[str]) -> str | None:
    """Say what the command line does not know of these words; values of options and arguments are a reader's own."""
    command = command_tree(next((word for word in words if word.isalpha()), None))
    options = {"--help", "-h"} | options_of(command)
    for word in words:
        inner = commands_in(command)
        if inner and re.fullmatch(r"[a-z][a-z-]*", word):
            if word not in inner:
                return f"no command {word}"
            command = inner[word]
            options |= options_of(command)
        elif re.match(r"--?[a-z]", word) and word.partition("=")[0] not in options:
            return f"no option {word}"
    return None


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_every_command_that_is_printed_exists_with_its_options(path: Path) -> None:
    for words in printed_commands(path):
        if Path(words[0]).name == "counterseal":
            assert find_fault(words[1:]) is None, f"{' '.join(words)}: {find_fault(words[1:])}"
        elif words[0].startswith("scripts/"):
            assert (ROOT / words[0]).exists(), words[0]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("node status --home x --json", None),
        ("nation register request.json --home x -o y", None),
        ("--version", None),
        ("node state --home x", "no command state"),
        ("node status --house x", "no option --house"),
    ],
)
def test_the_check_of_commands_notices_what_does_not_exist(line: str, fault: str | None) -> None:
    assert find_fault(line.split()) == fault


def test_documents_of_the_readme_are_those_that_are_there() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    listed = {target.partition("#")[0] for target in _LINK.findall(index)}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages - listed == set(), "a page that the index does not name"


def every_command() -> list[list[str]]:
    rooms = [room.command for room in counterseal.ROOMS]
    inner = [[room, name] for room in rooms for name in commands_in(commands_in(command_tree(room))[room])]
    return [[], [counterseal.VERIFY], *([room] for room in rooms), *inner]


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_the_help_of_every_command_can_be_printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        counterseal.main([*words, "--help"])
    assert left.value.code == 0
    assert "Usage: counterseal" in capsys.readouterr().out


def test_a_script_that_the_readme_names_runs_by_itself() -> None:
    for script in ("scripts/demo", "scripts/test"):
        first = (ROOT / script).read_text(encoding="utf-8").splitlines()[0]
        assert first == "#!/usr/bin/env bash"
        subprocess.run(["/usr/bin/env", "bash", "-n", str(ROOT / script)], check=True)


def test_every_reason_of_a_verdict_is_explained_and_some_rule_gives_it() -> None:
    page = (ROOT / "docs" / "statements.md").read_text(encoding="utf-8")
    rules = [path for path in sorted((ROOT / "ledger").rglob("*.py")) if path.name != "verdicts.py"]
    given = "".join(path.read_text(encoding="utf-8") for path in rules)
    for reason in Reason:
        assert f"`{reason}`" in page, reason
        assert reason in REASONS_OF_FILINGS or f"Reason.{reason}" in given or f'"{reason}"' in given, reason
