"""Publishing: the right files in the right order, whole after a crash at any point, and nothing ever overwritten."""

import json
import os
from pathlib import Path

import pytest

from ledger.blocks import SealedHeader, parse_header_bundle
from ledger.errors import Code, ConditionError
from ledger.positions import Interval, Millis
from tests.node.ledger_in_memory import MemoryLedger, fetch_from, files_in, read_everything
from tests.tlog.crashing import CrashError, CrashingFiles
from tlog import publisher as publish
from tlog.folder import INCOMING, Folder
from tlog.publisher import PARTIAL_KEPT, Files, Publisher

NOW = Millis(10**12)
DAY = PARTIAL_KEPT


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    """600 heights, 1 798 entries: full bundles of entries and of headers, and a partial one of each."""
    return MemoryLedger(600)


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncing for real takes longer than all of this together, and no test here cuts the power."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def publisher_of(ledger: MemoryLedger, files: Files) -> Publisher:
    return Publisher(files, ledger, ledger.identity())


def test_a_reader_who_believes_nothing_reads_everything_back(ledger: MemoryLedger, tmp_path: Path) -> None:
    publisher = publisher_of(ledger, Folder(tmp_path))
    for height in (0, 1, 84, 85, 86, 255, 256, 300, 599):
        publisher.publish(ledger.snapshot(height), now=NOW)
        size, entries, headers = read_everything(fetch_from(tmp_path))
        assert size == ledger.headers[height].header.tree_size
        assert entries == ledger.all_entries[:size]
        assert headers == ledger.headers[: height + 1]


def test_what_belongs_to_the_ledger_as_a_whole_is_there(ledger: MemoryLedger, tmp_path: Path) -> None:
    snapshot = ledger.snapshot(5)
    publisher_of(ledger, Folder(tmp_path)).publish(snapshot, now=NOW)
    found = files_in(tmp_path)
    assert found["charter"] == ledger.all_entries[0]
    assert found["transcript"] == b"transcript"
    assert found["cosignatures"] == snapshot.cosignatures
    assert found["archive/0"] == snapshot.archives[Interval(0)]
    index = json.loads(found["index.json"])
    assert index["origin"] == "ledger.example/test"
    assert index["ledger"] == ledger.identity().ledger_id.hex()


def test_the_checkpoint_is_written_last_and_after_a_sync(ledger: MemoryLedger, tmp_path: Path) -> None:
    files = CrashingFiles(Folder(tmp_path), step=10**9)
    publisher_of(ledger, files).publish(ledger.snapshot(300), now=NOW)
    log = files.log
    assert log[-1] == "checkpoint"
    assert log[-4:-1] == ["(sync)", "archive/0", "cosignatures"]
    assert log.index("tile/entries/000") < log.index("tile/0/000") < log.index("tile/1/000.p/3")
    assert log.index("tile/1/000.p/3") < log.index("headers/000") < log.index("headers/001.p/45") < log.index("(sync)")


@pytest.mark.parametrize("first", [None, 3, 84])
def test_after_a_crash_at_any_step_the_folder_is_whole_and_goes_on(
    ledger: MemoryLedger, tmp_path: Path, first: int | None
) -> None:
    undisturbed = tmp_path / "undisturbed"
    publisher = publisher_of(ledger, Folder(undisturbed))
    if first is not None:
        publisher.publish(ledger.snapshot(first), now=NOW)
    publisher.publish(ledger.snapshot(172), now=NOW)
    step, crashed = 0, True
    while crashed:
        root = tmp_path / str(step)
        if first is not None:
            publisher_of(ledger, Folder(root)).publish(ledger.snapshot(first), now=NOW)
        files = CrashingFiles(Folder(root), step=step, half=root / INCOMING / "half")
        try:
            publisher_of(ledger, files).publish(ledger.snapshot(172), now=NOW)
            crashed = False
        except CrashError:
            if (root / "checkpoint").exists():
                size, entries, _ = read_everything(fetch_from(root))
                assert entries == ledger.all_entries[:size]
            publisher_of(ledger, Folder(root)).publish(ledger.snapshot(172), now=NOW)
        assert files_in(root) == files_in(undisturbed)
        assert list((root / INCOMING).iterdir()) == []
        step += 1
    assert step > 10


def test_a_long_backlog_is_published_in_steps_and_can_be_stopped(
    ledger: MemoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "STEP_LEAVES", 512)
    publisher = publisher_of(ledger, Folder(tmp_path))
    publisher.publish(ledger.snapshot(599), now=NOW)
    assert read_everything(fetch_from(tmp_path))[1] == ledger.all_entries
    stopped = publisher_of(ledger, Folder(tmp_path / "other"))
    stopped.stop()
    with pytest.raises(ConditionError) as refused:
        stopped.publish(ledger.snapshot(599), now=NOW)
    assert refused.value.code is Code.DRAINING
    assert not (tmp_path / "other" / "checkpoint").exists()


def test_a_folder_of_another_ledger_is_refused_and_left_alone(ledger: MemoryLedger, tmp_path: Path) -> None:
    publisher_of(ledger, Folder(tmp_path)).publish(ledger.snapshot(9), now=NOW)
    before = files_in(tmp_path)
    other = MemoryLedger(20, name="other")
    with pytest.raises(ConditionError, match="empty folder") as refused:
        publisher_of(other, Folder(tmp_path)).publish(other.snapshot(12), now=NOW)
    assert refused.value.code is Code.STORE_DAMAGED
    assert files_in(tmp_path) == before


def test_a_node_that_lost_its_database_publishes_nothing_until_it_has_again_what_is_published(
    ledger: MemoryLedger, tmp_path: Path
) -> None:
    publisher_of(ledger, Folder(tmp_path)).publish(ledger.snapshot(20), now=NOW)
    before = files_in(tmp_path)
    again = publisher_of(ledger, Folder(tmp_path))
    with pytest.raises(ConditionError, match="as this node has by now") as refused:
        again.publish(ledger.snapshot(9), now=NOW)
    assert refused.value.code is Code.NOT_READY, "which does not end the node"
    assert files_in(tmp_path) == before
    again.publish(ledger.snapshot(24), now=NOW)
    assert read_everything(fetch_from(tmp_path))[0] == ledger.snapshot(24).size


@pytest.mark.parametrize("path", ["tile/0/000.p/37", "tile/entries/000.p/37", "headers/000.p/13"])
def test_a_file_with_other_bytes_is_never_overwritten(ledger: MemoryLedger, tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(b"other")
    with pytest.raises(ConditionError, match=path) as refused:
        publisher_of(ledger, Folder(tmp_path)).publish(ledger.snapshot(12), now=NOW)
    assert refused.value.code is Code.STORE_DAMAGED
    assert (tmp_path / path).read_bytes() == b"other"
    assert not (tmp_path / "checkpoint").exists()


def test_a_checkpoint_that_is_none_is_reported(ledger: MemoryLedger, tmp_path: Path) -> None:
    publisher_of(ledger, Folder(tmp_path)).publish(ledger.snapshot(9), now=NOW)
    (tmp_path / "checkpoint").write_bytes(b"garbage")
    with pytest.raises(ConditionError, match="published checkpoint"):
        publisher_of(ledger, Folder(tmp_path)).publish(ledger.snapshot(12), now=NOW)


def test_a_ledger_shorter_than_what_is_published_is_refused(ledger: MemoryLedger, tmp_path: Path) -> None:
    publisher_of(ledger, Folder(tmp_path)).publish(ledger.snapshot(9), now=NOW)
    with pytest.raises(ConditionError, match="at most 19"):
        publisher_of(ledger, Folder(tmp_path)).publish(ledger.snapshot(6), now=NOW)


def test_headers_published_before_a_seal_was_known_stay(ledger: MemoryLedger, tmp_path: Path) -> None:
    publisher_of(ledger, Folder(tmp_path)).publish(ledger.snapshot(9), now=NOW)
    before = files_in(tmp_path)
    later = MemoryLedger(10)
    later.headers[5] = SealedHeader(header=later.headers[5].header, seal=bytes([9]) * 48)
    publisher_of(later, Folder(tmp_path)).publish(later.snapshot(9), now=NOW)
    assert files_in(tmp_path) == before
    assert parse_header_bundle(before["headers/000.p/10"])[5].seal == b""


def test_empty_blocks_move_headers_and_checkpoint_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.node.ledger_in_memory.ENTRIES_PER_BLOCK", 0)
    ledger = MemoryLedger(6)
    publisher = publisher_of(ledger, Folder(tmp_path))
    publisher.publish(ledger.snapshot(2), now=NOW)
    before = files_in(tmp_path)
    publisher.publish(ledger.snapshot(4), now=NOW)
    after = files_in(tmp_path)
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {"headers/000.p/5", "checkpoint", "cosignatures", "archive/0"}


@pytest.mark.parametrize("restarted", [False, True])
def test_partial_tiles_go_a_day_after_the_full_one_is_there(
    ledger: MemoryLedger, tmp_path: Path, *, restarted: bool
) -> None:
    publisher = publisher_of(ledger, Folder(tmp_path))
    publisher.publish(ledger.snapshot(80), now=NOW)
    publisher.publish(ledger.snapshot(90), now=NOW)
    partial = tmp_path / "tile/0/000.p/241"
    assert partial.exists()
    assert (tmp_path / "tile/0/000").exists()
    if restarted:
        for full in ("tile/0/000", "tile/entries/000"):
            os.utime(tmp_path / full, ns=(NOW * 10**6, NOW * 10**6))
        publisher = publisher_of(ledger, Folder(tmp_path))
    publisher.publish(ledger.snapshot(91), now=Millis(NOW + DAY - 1))
    assert partial.exists()
    publisher.publish(ledger.snapshot(92), now=Millis(NOW + DAY))
    assert not partial.parent.exists()
    assert not (tmp_path / "tile/entries/000.p").exists()
    assert (tmp_path / "headers/000.p").exists(), "their full bundle is not there yet"
    assert read_everything(fetch_from(tmp_path))[1] == ledger.all_entries[:277]


def test_a_reader_never_sees_half_a_file(ledger: MemoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del ledger
    folder = Folder(tmp_path)
    seen: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append((tmp_path / "checkpoint").exists()))
    folder.create("checkpoint", b"whole")
    assert seen[0] is False
    assert (tmp_path / "checkpoint").read_bytes() == b"whole"
    assert folder.create("checkpoint", b"other") is False
    assert (tmp_path / "checkpoint").read_bytes() == b"whole"


def test_names_and_new_folders_are_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(str(Path(f"/proc/self/fd/{opened}").readlink())))
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not tell which file is synced")
    folder = Folder(tmp_path)
    folder.create("tile/0/000", b"x")
    assert [Path(name).parent.name for name in synced] == [INCOMING]
    folder.sync()
    root = str(tmp_path)
    assert sorted(synced[1:]) == [root, f"{root}/tile", f"{root}/tile/0"]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConditionError) as refused:
        folder.create("tile/0/000", b"x")
    assert refused.value.code is Code.DISK_FULL
    assert files_in(tmp_path) == {}
    assert list((tmp_path / INCOMING).iterdir()) == []
