"""Snapshots of a state: the same bytes for all, true to their header, whole after any crash, a bounded number."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.domains import SNAPSHOT
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.merkle import EMPTY_FRONTIER, leaf_hash
from ledger.positions import Height
from ledger.rules.state import State, compute_state_digest
from node import snapshots
from node.execute import ExecutedBlock
from node.snapshots import SnapshotFolder, SnapshotTaker, encode_snapshot, parse_snapshot
from tests.node.ledger_on_disk import DiskLedger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DiskLedger]:
    made = DiskLedger(tmp_path, snapshot_interval=2)
    yield made
    made.store.close()


def grow_to(ledger: DiskLedger, height: int, *, filler: str = "") -> ExecutedBlock:
    nation = ledger.nations[0]
    while (block := ledger.branches.final).header.height < height:
        labs = [f"lab-{block.header.height}-{number}{filler}" for number in range(2)]
        ledger.grow([nation.note(nation.register(lab)) for lab in labs])
    return block


def snapshot_of(ledger: DiskLedger, block: ExecutedBlock) -> bytes:
    return encode_snapshot(block.header, block.state, ledger.store.read_hash)


def test_a_snapshot_gives_back_state_and_tree(ledger: DiskLedger) -> None:
    block = grow_to(ledger, 4)
    parsed = parse_snapshot(snapshot_of(ledger, block))
    assert parsed.header == block.header
    assert parsed.frontier == block.frontier
    assert parsed.items == tuple(block.state.items())
    state = State.restore(parsed.items, charter=ledger.charter)
    assert compute_state_digest(state) == block.header.state_digest


def test_every_byte_of_a_snapshot_counts(ledger: DiskLedger) -> None:
    raw = snapshot_of(ledger, grow_to(ledger, 2))
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1
        try:
            header = parse_snapshot(bytes(changed)).header
        except LedgerError:
            continue
        assert header.digest != parse_snapshot(raw).header.digest, f"byte {at}: a seal is over the header's digest"


@pytest.mark.parametrize("cut", [0, 10, len(SNAPSHOT) + 1, 100, -1])
def test_a_snapshot_cut_short_or_with_more_is_refused(ledger: DiskLedger, cut: int) -> None:
    raw = snapshot_of(ledger, grow_to(ledger, 2))
    for wrong in (raw[:cut], raw + b"\0"):
        with pytest.raises((FormatError, ProofError)):
            parse_snapshot(wrong)


def test_a_block_between_snapshot_heights_has_none(ledger: DiskLedger) -> None:
    block = grow_to(ledger, 4)
    raw = snapshot_of(ledger, block)
    ledger.grow()
    other = ledger.branches.final.header
    assert other.state_digest == b""
    head = len(block.header.raw).to_bytes(2, "big") + block.header.raw
    with pytest.raises(ProofError, match="a header with a state digest"):
        parse_snapshot(raw.replace(head, len(other.raw).to_bytes(2, "big") + other.raw))


@given(st.integers(1, 70_000))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_right_edge_is_the_frontier_for_every_size(size: int) -> None:
    leaf = leaf_hash(b"the same")
    frontier = EMPTY_FRONTIER.extend([leaf] * size)
    levels = [leaf]
    while len(levels) < 20:
        levels.append(EMPTY_FRONTIER.extend([levels[-1]] * 2).root())
    edge = [tuple([levels[8 * level]] * ((size >> 8 * level) % 256)) for level in range(snapshots._levels(size))]
    assert snapshots._fold_edge(frontier.size, edge) == frontier


def test_the_newest_two_are_kept_and_found_again(ledger: DiskLedger, tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "snapshots")
    raws = {}
    for height in (2, 4, 6):
        raws[height] = snapshot_of(ledger, grow_to(ledger, height))
        folder.keep(Height(height), raws[height])
    for found in (folder, SnapshotFolder(tmp_path / "snapshots")):
        assert found.heights() == [4, 6]
        assert found.size(Height(6)) == len(raws[6])
        assert found.read(Height(6), 5, 10) == raws[6][5:15]
        assert found.read(Height(2), 0, 10) == b""


def spoil(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def rename(path: Path) -> None:
    path.rename(path.with_name("8.snapshot"))


def leave_unfinished(path: Path) -> None:
    path.rename(path.with_name("4.snapshot.new"))


@pytest.mark.parametrize("harm", [spoil, cut, rename, leave_unfinished])
def test_what_a_crash_or_a_disk_spoilt_is_not_believed(
    ledger: DiskLedger, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    folder = SnapshotFolder(tmp_path / "snapshots")
    for height in (2, 4):
        folder.keep(Height(height), snapshot_of(ledger, grow_to(ledger, height)))
    harm(tmp_path / "snapshots" / "4.snapshot")
    again = SnapshotFolder(tmp_path / "snapshots")
    assert again.heights() == [2]
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["2.snapshot"]


def test_what_becomes_final_at_a_snapshot_height_is_kept(ledger: DiskLedger, tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "snapshots")
    taker = SnapshotTaker(folder, ledger.store.read_hash)
    ledger.branches.on_final = taker.take
    block = grow_to(ledger, 5)
    taker.close()
    assert folder.heights() == [2, 4]
    kept = parse_snapshot(folder.read(Height(4), 0, 1 << 20))
    assert kept.header.height == 4
    assert kept.header.digest == block.header.parent


def test_a_disk_that_refuses_costs_a_snapshot_and_no_more(ledger: DiskLedger, tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "snapshots")
    (tmp_path / "snapshots").rmdir()
    (tmp_path / "snapshots").touch()
    taker = SnapshotTaker(folder, ledger.store.read_hash)
    taker.take(grow_to(ledger, 2))
    taker.close()
    assert folder.heights() == []
