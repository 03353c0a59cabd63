"""Every parser of outside bytes has a fuzz target, and every target holds for its seeds, cut and changed a little.

The fuzzer itself is `scripts/fuzz`; here each target reads the same few hundred inputs every time.
"""

import ast
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest

from tests.fuzz.campaign import FOUND, folder_of, found_before
from tests.fuzz.targets import TARGETS, WITHOUT_TARGET

ROOT = Path(__file__).resolve().parents[2]
CHANGED_COUNT = 12


def functions(node: ast.AST, name: str) -> Iterator[str]:
    """Qualified names of the functions of a module and of its classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from functions(child, f"{name}.{child.name}")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}.{child.name}"


def parsers() -> list[str]:
    """Every public function of a room that is called parse… or decode…."""
    found: list[str] = []
    for room in ("ledger", "tlog", "node", "lab", "observer", "inspector"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if "v1" not in path.relative_to(ROOT).parts:
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found += functions(ast.parse(path.read_text(encoding="utf-8")), module)
    return [name for name in found if name.rpartition(".")[2].partition("_")[0] in {"parse", "decode"}]


def test_every_parser_has_a_fuzz_target_or_a_reason_to_have_none() -> None:
    covered = [parser for target in TARGETS.values() for parser in target.parsers]
    assert len(covered) == len({*covered}), "one target is enough"
    missing = [name for name in parsers() if name not in covered and name not in WITHOUT_TARGET]
    assert missing == [], "say in tests/fuzz/*_targets.py how bytes come to it and what must hold then"
    assert [name for name in WITHOUT_TARGET if name not in parsers() or name in covered] == [], "take these out"


class Called:
    """Names the functions that are called while it is open, below the tests."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:  # of whatever type a call has
        if event == "call":
            self.names.add(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}")


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_reaches_the_parsers_it_is_for(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    with Called() as called:
        for raw in seeds:
            target.run(raw)
    assert [parser for parser in target.parsers if parser not in called.names] == []


def changed(raw: bytes, draw: random.Random) -> bytes:
    """A seed with a few bytes changed, taken out or put in, or cut."""
    made = bytearray(raw)
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(made) + 1)
        match draw.randrange(4):
            case 0:
                made[at : at + 1] = draw.randbytes(1)
            case 1:
                del made[at : at + draw.randrange(1, 9)]
            case 2:
                made[at:at] = draw.choice((b"\0", b"-", b'"', b"[" * 9, b"9" * 30, b"\xff" * 4, made[at : at + 9]))
            case _:
                made[at:] = b""
    return bytes(made)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_seeds_that_were_changed_and_for_what_was_found(name: str) -> None:
    target, draw = TARGETS[name], random.Random(name)
    seeds = [raw for raw in target.seeds() if len(raw) <= 16_384]
    for raw in (b"", b"\0", b"\xff" * 64, *(path.read_bytes() for path in found_before(name))):
        target.run(raw)
    for _ in range(CHANGED_COUNT):
        target.run(changed(draw.choice(seeds), draw))


def test_what_was_found_belongs_to_targets() -> None:
    known = {folder_of(name) for name in TARGETS}
    assert {path.name for path in FOUND.glob("*") if path.is_dir()} <= known
