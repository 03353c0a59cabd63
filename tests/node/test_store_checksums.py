"""Bytes that change by accident: wherever in the database it happens, a node says so or answers as it did before."""

import lzma
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.blocks import parse_header
from ledger.charter import parse_charter
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import TILE_WIDTH
from ledger.merkle import leaf_hash, prove_inclusion
from ledger.positions import GENESIS_HEIGHT, Height, Interval, LeafIndex, MemberIndex, TreeSize
from ledger.rules.state import State
from node.checksums import StateSum
from node.preflight import believed
from node.schema import SCHEMA_VERSION
from node.store import Store
from tests.node.ledger_on_disk import DiskLedger

OLD = Path(__file__).with_name("old") / "store-v1.sqlite.xz"
FLIPS = 60
PAGES_APART = 4
MANY = 1_000
SAID = (Code.STORE_DAMAGED, Code.VERSION_MISMATCH, Code.NOT_READY, Code.DISK_FULL)  # SQLite's words, as far as it knows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with something in every table, and more entries than a row of the tree holds."""
    folder = tmp_path_factory.mktemp("whole")
    ledger = DiskLedger(folder)
    nation = ledger.nations[0]
    for first in (0, 90, 180):
        ledger.grow([nation.note(nation.register(f"lab-{number}")) for number in range(first, first + 90)])
        ledger.grow()
    header = ledger.branches.final.header
    for member in (1, 2):
        ledger.store.put_cosignature(header.tree_size, MemberIndex(member), 4, bytes(72))
    for interval in range(3):
        ledger.store.put_archive(Interval(interval), Height(interval + 1))
    entry = nation.register("lab-waiting")
    ledger.store.put_candidates(Height(header.height + 1), [(leaf_hash(entry), entry)])
    ledger.store.close()
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return ledger.path


def tell_everything(store: Store) -> list[object]:
    """All that a node reads from its database to serve, prove, vote and begin."""
    store.check()
    with believed(store.path):
        State.restore(store.state_items(), charter=parse_charter(store.entries(LeafIndex(0), 1)[0]))
    tip = store.require_tip()
    size = tip.header.tree_size
    entries = store.entries(LeafIndex(0), MANY)
    told: list[object] = [tip, entries, store.leaves(LeafIndex(0), MANY), store.meta("transcript")]
    told += store.blocks(GENESIS_HEIGHT, MANY)
    told += [store.block_at(Height(height)) for height in range(tip.header.height + 1)]
    told += [store.newest_sealed(), store.sealed_from(Height(1)), store.sealed_with_size(size)]
    told += [store.block_of(LeafIndex(index)) for index in range(0, size, 40)]
    told += [store.cosignatures(size), store.archives(Interval(0)), store.archive_height(Interval(1))]
    told += [store.archival_from(Height(2)), store.is_archival(size)]
    told += [prove_inclusion(index=LeafIndex(i), size=size, read=store.read_hash) for i in range(0, size, 30)]
    told += [store.frontier(TreeSize(part)) for part in (1, TILE_WIDTH - 1, TILE_WIDTH, TILE_WIDTH + 1)]
    return told


def tell_by_index(store: Store) -> list[object]:
    """What is found by hashes: an index of SQLite that lost its way can say that there is nothing."""
    leaves = [leaf_hash(entry) for entry in store.entries(LeafIndex(0), MANY)[::20]]
    return [store.index_of_leaf(leaf) for leaf in leaves] + [store.entries_with([leaf]) or None for leaf in leaves]


def read_anew(path: Path, tell: Callable[[Store], list[object]]) -> list[object]:
    store = Store(path)
    try:
        return tell(store)
    finally:
        store.close()


def flips(path: Path) -> Iterator[tuple[int, int]]:
    """Places of single bits: the pages that say how the others lie, some of the others, and anywhere."""
    drawn = random.Random(20261123)
    size = path.stat().st_size
    pages = [*range(16), *range(16, size // 4096, PAGES_APART)]
    for page in (number * 4096 for number in pages):
        yield page + drawn.randrange(4096), drawn.randrange(8)
    for _ in range(FLIPS):
        yield drawn.randrange(size), drawn.randrange(8)


def test_a_flipped_bit_is_told_or_changes_no_answer(whole: Path, tmp_path: Path) -> None:
    told, by_index = read_anew(whole, tell_everything), read_anew(whole, tell_by_index)
    raw = whole.read_bytes()
    path = tmp_path / "ledger.sqlite"
    noticed = 0
    for place, bit in flips(whole):
        for left in tmp_path.iterdir():
            left.unlink()
        changed = bytearray(raw)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        problem: LedgerError | None = None
        try:
            assert read_anew(path, tell_everything) == told, (place, bit)
            for now, before in zip(read_anew(path, tell_by_index), by_index, strict=True):
                assert now in (before, None), (place, bit)
        except LedgerError as error:
            problem = error
        assert problem is None or problem.code in SAID, problem
        noticed += problem is not None
    assert noticed > FLIPS // 2


SWAPS = {
    "a block's seal": "UPDATE blocks SET seal = (SELECT seal FROM blocks WHERE height = 3) WHERE height = 2",
    "a header of another height": "UPDATE blocks SET header = (SELECT header FROM blocks WHERE height = 3)",
    "an entry": "UPDATE entries SET entry = (SELECT entry FROM entries WHERE position = 7) WHERE position = 6",
    "a row of the tree": "UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 0",
    "a cosignature": "UPDATE cosignatures SET line = zeroblob(72) || x'00'",
    "an archival checkpoint": "UPDATE archive SET height = height + 1",
    "a lost row of the state": "DELETE FROM state WHERE key = (SELECT max(key) FROM state)",
    "a changed row of the state": "UPDATE state SET value = (SELECT max(value) FROM state)",
    "the transcript of its type": "UPDATE meta SET value = 7 WHERE key = 'transcript'",
}


@pytest.mark.parametrize("statement", SWAPS.values(), ids=SWAPS.keys())
def test_what_stands_well_formed_in_the_wrong_place_is_noticed(whole: Path, tmp_path: Path, statement: str) -> None:
    path = tmp_path / "ledger.sqlite"
    shutil.copy(whole, path)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(ConditionError) as caught:
        read_anew(path, tell_everything)
    assert caught.value.code is Code.STORE_DAMAGED
    assert "counterseal node repair" in caught.value.expected


def test_damage_found_while_the_tree_grows_is_not_built_upon(whole: Path, tmp_path: Path) -> None:
    ledger = DiskLedger(tmp_path)
    nation = ledger.nations[0]
    ledger.grow([nation.note(nation.register("lab-0"))])
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("UPDATE tiles SET hashes = zeroblob(length(hashes))")
    connection.close()
    block = ledger.build([nation.note(nation.register("lab-1"))])
    with pytest.raises(ConditionError) as caught:
        ledger.commit(block)
    assert caught.value.code is Code.STORE_DAMAGED
    ledger.store.close()


def test_a_database_of_version_1_is_brought_up_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(lzma.decompress(OLD.read_bytes()))
    with sqlite3.connect(path) as connection:
        before = connection.execute("SELECT height, header FROM blocks ORDER BY height").fetchall()
        state = dict(connection.execute("SELECT key, value FROM state"))
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()
    ledger = DiskLedger(tmp_path)
    ledger.store.check()
    assert dict(ledger.store.state_items()) == state
    assert [block.header for block in ledger.store.blocks(GENESIS_HEIGHT, MANY)] == [parse_header(h) for _, h in before]
    assert ledger.store.candidate_count() == 1
    size = ledger.branches.final.header.tree_size
    assert ledger.store.cosignatures(size) == [(MemberIndex(1), 4, bytes(range(72)))]
    assert ledger.store.archive_height(Interval(0)) == len(before) - 1
    ledger.now_ms = ledger.branches.final.header.time_ms
    ledger.commit(ledger.build(), is_sealed=False)  # empty: this ledger's keys are gone
    ledger.store.close()
    again = Store(path)
    again.check()
    assert dict(again.state_items()) == dict(ledger.branches.final.state.items())
    again.close()


def test_bringing_up_that_breaks_off_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(lzma.decompress(OLD.read_bytes()))
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO meta VALUES ('state sum', x'00')")  # so that the last step of all is refused
    connection.close()
    with pytest.raises(ConditionError):
        Store(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert "checksum" not in str(connection.execute("SELECT sql FROM sqlite_master").fetchall())
        connection.execute("DELETE FROM meta WHERE key = 'state sum'")
    connection.close()
    store = Store(path)
    store.check()
    assert SCHEMA_VERSION == 2
    store.close()


def test_the_sum_of_the_state_does_not_depend_on_the_way_it_came_about() -> None:
    there, back = StateSum(), StateSum()
    there.add(b"a", b"1")
    there.add(b"b", b"2")
    back.add(b"b", b"0")
    back.add(b"a", b"1")
    back.remove(b"b", b"0")
    back.add(b"b", b"2")
    assert there.encode() == back.encode()
    assert StateSum(there.encode()).encode() == there.encode()
    there.remove(b"a", b"1")
    there.add(b"", b"a1")
    assert there.encode() != back.encode()
