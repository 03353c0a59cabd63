"""`inspector.samples`: what a beacon draws is drawn again from files, and another sample is told apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.samples import redraw_sample
from ledger.errors import ConditionError, FormatError, LedgerError, PolicyError
from ledger.positions import LeafIndex
from ledger.statements.beacons import parse_sample
from tests.inspector.dossiers import CHIPS, Shelf, draw_sample, make_beacon, make_inventory, make_registration

ROUND = 6
NAMES = ("sample", "beacon", "inventory")


def shelve(folder: Path, *, inventory: bytes | None = None, beacon_round: int = ROUND, **changes: Any) -> Shelf:
    drawn_from = make_inventory()
    return (
        Shelf(folder)
        .put(
            inventory=inventory or drawn_from,
            beacon=make_beacon(beacon_round),
            sample=draw_sample(drawn_from, ROUND, **changes),
            registration=make_registration(),
        )
        .write()
    )


def paths(shelf: Shelf, *names: str) -> list[Path]:
    return [shelf.path(name) for name in names or NAMES]


def test_a_sample_that_the_rules_drew_follows(tmp_path: Path) -> None:
    shelf = shelve(tmp_path)
    redrawn = redraw_sample(paths(shelf), shelf.ledger)
    assert redrawn.follows
    assert redrawn.indices == parse_sample(shelf.entries["sample"]).indices
    assert redrawn.describe()[0].startswith("follows: ")
    assert redraw_sample(paths(shelf)[::-1], shelf.ledger) == redrawn


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"indices": (LeafIndex(0), LeafIndex(1))}, "indices"),
        ({"seed": "00" * 32}, "seed"),
        ({"population": 15}, "population"),
        ({"count": 1}, "count"),
        ({"lab": "harbour-lab"}, "lab"),
        ({"block": "08" * 32}, "seed"),
        ({"answer_by_ms": 5}, "answer_by_ms"),
        ({"interval": 9}, "interval"),
    ],
)
def test_a_sample_with_anything_else_in_it_does_not_follow(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    shelf = shelve(tmp_path, **changes)
    redrawn = redraw_sample(paths(shelf), shelf.ledger)
    assert not redrawn.follows
    assert any(named in line for line in redrawn.describe()[1:])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda folder: shelve(folder, beacon_round=7), PolicyError),
        (lambda folder: shelve(folder, inventory=make_inventory(CHIPS[:8])), PolicyError),
        (lambda folder: shelve(folder, round=7), PolicyError),
        (lambda folder: shelve(folder, cluster="harbour"), PolicyError),
    ],
)
def test_another_beacon_or_inventory_is_refused(
    tmp_path: Path, make: Callable[[Path], Shelf], error: type[LedgerError]
) -> None:
    shelf = make(tmp_path)
    with pytest.raises(error):
        redraw_sample(paths(shelf), shelf.ledger)


@pytest.mark.parametrize("names", [("sample",), ("sample", "beacon"), ("sample", "sample", "beacon", "inventory")])
def test_each_of_the_three_is_needed_once(tmp_path: Path, names: tuple[str, ...]) -> None:
    shelf = shelve(tmp_path)
    with pytest.raises(ConditionError):
        redraw_sample(paths(shelf, *names), shelf.ledger)


def test_another_kind_of_entry_is_refused_by_its_name(tmp_path: Path) -> None:
    shelf = shelve(tmp_path)
    with pytest.raises(FormatError):
        redraw_sample(paths(shelf, *NAMES, "registration"), shelf.ledger)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_that_does_not_stand_on_the_ledger_is_refused(tmp_path: Path, name: str) -> None:
    shelf = shelve(tmp_path)
    path = shelf.path(name).with_suffix(".entry")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(LedgerError):
        redraw_sample(paths(shelf), shelf.ledger)
