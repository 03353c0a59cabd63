"""Copies of the published folder: kept up, and never in the way when they are down, slow or somebody else's."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from ledger.positions import Interval
from node import targets
from node.config import parse_config
from node.metrics import Metrics
from node.publication import Publication, Snapshots
from node.targets import Publications, Target, make_targets
from tests.node.cluster import until
from tests.node.conftest import found_committee
from tests.node.ledger_in_memory import files_in, read_everything
from tests.node.ledger_on_disk import DiskLedger
from tests.node.test_publication import Press
from tests.tlog.plain_store import SECRET, PlainStore, running_plain_store, set_environment
from tlog import objects

LIMIT_S = 30


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "RETRY_MIN_S", 0.01)
    monkeypatch.setattr(targets, "RETRY_MAX_S", 0.02)
    monkeypatch.setattr(objects, "RETRIES_MAX", 0)


@pytest.fixture
def press(tmp_path: Path) -> Iterator[Press]:
    ledger = DiskLedger(tmp_path)
    grow(ledger, "lab-0")
    yield Press(tmp_path, ledger)
    ledger.store.close()


def grow(ledger: DiskLedger, lab: str) -> None:
    nation = ledger.nations[0]
    ledger.grow([nation.note(nation.register(lab))])


class Running:
    """The node's own folder and copies of it, being kept up."""

    def __init__(self, press: Press, kept: list[Target]) -> None:
        self.press, self.targets = press, kept
        self.all = Publications(press.publication, press.folder, kept)

    async def until_published(self, *, also: bool = True) -> int:
        """Wake, and wait until the newest checkpoint is in the folder, and in the copies too."""
        wanted = self.press.ledger.branches.final.header.tree_size
        self.all.wake()
        watched: list[Publication | Target] = (
            [self.press.publication, *self.targets] if also else [self.press.publication]
        )
        await until(lambda: all(each.published_size == wanted for each in watched))
        return wanted


@contextlib.asynccontextmanager
async def running(press: Press, *urls: str) -> AsyncIterator[Running]:
    ledger = press.ledger
    text = f"[publish]\nurls = {list(urls)!r}\nurls_interval_min_ms = 0\n".replace("'", '"')
    settings = parse_config(text.encode(), folder=press.folder.parent).publish
    async with contextlib.AsyncExitStack() as stack:
        notary = press.publication._snapshots._notary
        made = make_targets(
            settings,
            ledger.charter,
            ledger.store,
            lambda: Snapshots(ledger.store, notary),
            clock=ledger.clock,
            stack=stack,
        )
        both = Running(press, made)
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            task = group.create_task(both.all.run())
            yield both
            task.cancel()


def described(both: Running) -> list[tuple[str, int, bool]]:
    return [(line.name, line.tree_size, bool(line.problem)) for line in both.all.describe()]


async def test_copies_are_kept_up_with_the_folder(press: Press, tmp_path: Path) -> None:
    async with running(press, (tmp_path / "a").as_uri(), "b") as both:
        for lab in ("lab-1", "lab-2"):
            grow(press.ledger, lab)
            size = await both.until_published()
            assert described(both) == [
                (str(press.folder), size, False),
                (str(tmp_path / "a"), size, False),
                (str(tmp_path / "b"), size, False),
            ]
    whole = files_in(press.folder)
    assert read_everything(whole.get)[0] == 4
    for copy in ("a", "b"):
        assert read_everything(files_in(tmp_path / copy).get)[0] == 4
        tiles = {path for path in files_in(tmp_path / copy) if path.startswith("tile/")}
        assert all(files_in(tmp_path / copy)[path] == whole[path] for path in tiles & set(whole))


async def test_a_store_that_is_down_holds_nothing_up_and_is_caught_up_with(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    with structlog.testing.capture_logs() as told, running_plain_store(PlainStore, monkeypatch) as store:
        store.is_down = True
        async with running(press, "s3://bucket/ledger") as both:
            await both.until_published(also=False)
            target = both.targets[0]
            await until(lambda: target.failures_count > 2)
            assert target.published_size == 0
            line = both.all.describe()[1]
            assert (line.name, line.problem[:30]) == ("s3://bucket/ledger", "s3://bucket/ledger/charter: fo"[:30])
            assert (line.since_ms, SECRET in line.problem) == (press.ledger.clock(), False)
            metrics = Metrics()
            both.all.measure(metrics)
            shown = metrics.encode().decode()
            assert 'counterseal_target_failing{target="s3://bucket/ledger"} 1.0' in shown
            assert 'counterseal_target_tree_size{target="s3://bucket/ledger"} 0.0' in shown
            grow(press.ledger, "lab-1")
            await both.until_published(also=False)
            store.is_down = False
            size = await both.until_published()  # by itself: nothing new came since it was up again
            assert described(both)[1] == ("s3://bucket/ledger", size, False)
            both.all.measure(metrics)
            assert 'counterseal_target_failing{target="s3://bucket/ledger"} 0.0' in metrics.encode().decode()
        held = {path.removeprefix("/bucket/ledger/"): raw for path, raw in store.objects.items()}
    assert read_everything(held.get)[0] == size
    assert [line["event"] for line in told if line["event"].startswith(("not", "published"))][-1] == "published again"
    assert SECRET not in repr(told)


async def test_a_copy_of_another_ledger_is_left_alone_and_said(press: Press, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = DiskLedger(tmp_path / "other", committee=found_committee([(1, 2, 3)], seed=3))
    other.grow()
    await Press(tmp_path / "other", other).publish()
    before = files_in(tmp_path / "other/public")
    async with running(press, "other/public") as both:
        await both.until_published(also=False)
        await until(lambda: both.targets[0].failures_count > 1)
        assert "STORE_DAMAGED" in both.targets[0].problem
        grow(press.ledger, "lab-1")
        await both.until_published(also=False)
    assert files_in(tmp_path / "other/public") == before
    other.store.close()


async def test_a_mistake_of_ours_in_a_copy_ends_neither_the_node_nor_the_copy(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Target._publish
    monkeypatch.setattr(Target, "_publish", lambda *_: 1 // 0)
    with structlog.testing.capture_logs() as told:
        async with running(press, "copy") as both:
            await both.until_published(also=False)
            await until(lambda: both.targets[0].failures_count > 1)
            assert both.targets[0].problem.startswith("our own mistake: ZeroDivisionError")
            monkeypatch.setattr(Target, "_publish", right)
            await both.until_published()
    assert {line["log_level"] for line in told if "problem" in line} == {"error"}


async def test_a_stop_waits_for_no_store(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        set_environment(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        async with running(press, "s3://bucket/ledger") as both:
            await both.until_published(also=False)
            connection, _ = await asyncio.get_running_loop().run_in_executor(None, silent.accept)
        connection.close()  # the request was under way, and all has ended


async def test_a_place_that_was_emptied_is_filled_again(press: Press, tmp_path: Path) -> None:
    async with running(press, "copy") as both:
        await both.until_published()
        for path in files_in(tmp_path / "copy"):
            (tmp_path / "copy" / path).unlink()
        grow(press.ledger, "lab-1")
        size = await both.until_published()
    assert read_everything(files_in(tmp_path / "copy").get)[0] == size
    assert (tmp_path / "copy/charter").read_bytes() == press.ledger.charter.entry


async def test_archives_of_years_come_in_turns(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.publication.ARCHIVES_AT_A_TIME", 2)
    store, snapshots = press.ledger.store, press.publication._snapshots
    for interval in range(5):
        store.put_archive(Interval(interval), store.require_tip().header.height)
    given = []
    for _ in range(4):
        snapshot = snapshots.take()
        assert snapshot is not None
        given.append(sorted(snapshot.archives))
        again = snapshots.take()
        assert again is not None
        assert sorted(again.archives) == given[-1], "until it is published"
        snapshots.settle(snapshot)
    assert given == [[0, 1], [2, 3], [4], []]
