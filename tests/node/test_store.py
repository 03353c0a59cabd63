"""The node's database: whole blocks or nothing, gapless, and every damage told with a sentence."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.blocks import NO_SEAL
from ledger.errors import Code, ConditionError
from ledger.limits import SIZE_MAX, TILE_WIDTH
from ledger.merkle import compute_root, leaf_hash
from ledger.positions import Height, Interval, LeafIndex, MemberIndex, TreeSize
from node.beginning import found_store
from node.store import Store
from tests.node.ledger_on_disk import DiskLedger

LABS = 5
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DiskLedger]:
    made = DiskLedger(tmp_path)
    nation = made.nations[0]
    for number in range(LABS):
        made.grow([nation.note(nation.register(f"lab-{number}"))])
    yield made
    made.store.close()


def test_what_was_committed_is_read_back_by_another_process(ledger: DiskLedger) -> None:
    final = ledger.branches.final
    again = Store(ledger.path)
    try:
        again.check()
        tip = again.tip()
        assert tip is not None
        assert tip.header == final.header
        entries = again.entries(LeafIndex(0), 100)
        assert len(entries) == LABS + 1
        assert again.leaves(LeafIndex(0), 100) == [leaf_hash(entry) for entry in entries]
        assert again.frontier(final.header.tree_size).root() == final.header.root
        assert again.index_of_leaf(leaf_hash(entries[3])) == 3
        assert dict(again.state_items()) == dict(final.state.items())
    finally:
        again.close()


def test_the_tree_of_more_than_a_row_has_the_root_of_its_leaves(tmp_path: Path) -> None:
    ledger = DiskLedger(tmp_path)
    nation = ledger.nations[0]
    labs = TILE_WIDTH + 10
    for start in range(0, labs, 133):
        numbers = range(start, min(labs, start + 133))
        ledger.grow([nation.note(nation.register(f"lab-{number}")) for number in numbers])
    leaves = ledger.store.leaves(LeafIndex(0), 1000)
    assert len(leaves) == labs + 1
    for size in (1, 2, 255, 256, 257, labs + 1):
        assert ledger.store.frontier(TreeSize(size)).root() == compute_root(leaves[:size])
    ledger.store.check()
    ledger.store.close()


def test_a_run_that_breaks_in_the_middle_leaves_nothing_of_it(ledger: DiskLedger) -> None:
    nation = ledger.nations[0]
    first = ledger.build([nation.note(nation.register("lab-x"))])
    second = ledger.build(on=first)
    before = ledger.store.tip()
    wrong = ledger.commit_of(second, ledger.seal(second))
    with pytest.raises(ConditionError) as caught:
        ledger.store.commit([ledger.commit_of(first, NO_SEAL), ledger.commit_of(first, NO_SEAL), wrong])
    assert caught.value.code is Code.STORE_DAMAGED
    assert ledger.store.tip() == before
    assert ledger.store.index_of_leaf(first.leaves[0]) is None
    ledger.store.check()
    ledger.store.commit([ledger.commit_of(first, NO_SEAL), wrong])
    ledger.store.check()


def test_candidates_survive_until_their_height_is_final(ledger: DiskLedger) -> None:
    nation = ledger.nations[0]
    height = Height(ledger.branches.final.header.height + 1)
    entry = nation.register("lab-y")
    for later in (height, Height(height + 1)):
        ledger.store.put_candidates(later, [(leaf_hash(entry), entry)])
    assert ledger.store.entries_with([leaf_hash(entry)]) == {leaf_hash(entry): entry}
    ledger.grow()
    assert ledger.store.candidate_count() == 1
    ledger.grow()
    assert ledger.store.candidate_count() == 0


def test_a_first_cosignature_and_a_first_archive_stay(ledger: DiskLedger) -> None:
    size, member = TreeSize(3), MemberIndex(1)
    for line in (b"first", b"second"):
        ledger.store.put_cosignature(size, member, 4, line)
    for height in (Height(2), Height(3)):
        ledger.store.put_archive(Interval(7), height)
    assert ledger.store.cosignatures(size) == [(member, 4, b"first")]
    assert ledger.store.archive_height(Interval(7)) == 2


@pytest.mark.parametrize("number", [SIZE_MAX, SIZE_MAX + 1, 2**64 - 1])
def test_numbers_beyond_every_row_name_nothing(ledger: DiskLedger, number: int) -> None:
    store = ledger.store
    assert store.entries(LeafIndex(number), 10) == []
    assert store.leaves(LeafIndex(number), 10) == []
    assert store.blocks(Height(number), 10) == []
    assert store.block_at(Height(number)) is None
    assert store.sealed_with_size(TreeSize(number)) is None
    assert store.archive_height(Interval(number)) is None
    assert store.cosignatures(TreeSize(number)) == []
    assert len(store.entries(LeafIndex(0), number)) == LABS + 1


def test_a_database_of_another_version_names_the_version(ledger: DiskLedger) -> None:
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConditionError) as caught:
        Store(ledger.path)
    assert (caught.value.code, caught.value.found) == (Code.VERSION_MISMATCH, "database version 99")


def write_over(path: Path, place: int, raw: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(raw)


def run_sql(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        connection = sqlite3.connect(path)
        assert connection.execute(statement).rowcount > 0
        connection.commit()
        connection.close()

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no database at all": lambda path: write_over(path, 0, b"not a database, but a long enough text"),
    "a page of zeros": lambda path: write_over(path, 8192, bytes(4096)),
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a changed newest entry": run_sql(f"UPDATE entries SET entry = x'7b7d' WHERE position = {LABS}"),
    "a missing entry": run_sql("DELETE FROM entries WHERE position = 2"),
    "a changed tree": run_sql("UPDATE tiles SET hashes = zeroblob(length(hashes))"),
    "a newest header that is none": run_sql(f"UPDATE blocks SET header = x'00' WHERE height = {LABS}"),
}


def check(path: Path) -> None:
    store = Store(path)
    try:
        store.check()
    finally:
        store.close()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_found_before_the_file_is_believed(ledger: DiskLedger, damage: Callable[[Path], None]) -> None:
    ledger.store.close()
    damage(ledger.path)
    with pytest.raises(ConditionError) as caught:
        check(ledger.path)
    assert caught.value.code is Code.STORE_DAMAGED
    assert str(ledger.path) in caught.value.field


def test_founding_that_broke_off_is_begun_anew(tmp_path: Path) -> None:
    ledger = DiskLedger(tmp_path)
    ledger.store.close()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(ledger.path, other / "ledger.founding")  # as a crash between writing and renaming leaves it
    (other / "ledger.founding-wal").write_bytes(b"torn")
    found_store(other / "ledger.sqlite", ledger.committee.entry, ledger.committee.transcript)
    assert [path.name for path in other.iterdir()] == ["ledger.sqlite"]
    store = Store(other / "ledger.sqlite")
    store.check()
    store.close()


FILL = """
import resource, sys
from pathlib import Path
from ledger.errors import ConditionError
from tests.node.ledger_on_disk import DiskLedger
ledger = DiskLedger(Path(sys.argv[1]))
nation = ledger.nations[0]
ledger.grow()
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    for number in range(10_000):
        ledger.grow([nation.note(nation.register(f"lab-{number}", name="x" * 100))])
except ConditionError as error:
    print(ledger.branches.final.header.height, error.code)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="this system cannot bound the size of files")
def test_a_full_disk_refuses_the_block_and_leaves_the_ledger_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    height, code = done.stdout.split()
    assert code == "DISK_FULL"
    assert int(height) > 2
    store = Store(tmp_path / "ledger.sqlite")
    try:
        store.check()
        tip = store.tip()
        assert tip is not None
        assert tip.header.height == int(height)
    finally:
        store.close()
