"""Copies of the published folder elsewhere, each kept up in a thread of its own: an object store, another disk.

Rules of this file
1. Nothing that happens to a copy reaches consensus, the node's own folder, or another copy: a place that is down, slow,
   full or somebody else's is said in the journal, in `counterseal node status` and in the metrics, and tried again.
2. Tries come further apart, up to five minutes, until one succeeds. What was written stays, and is gone on with.
3. At most one publication is under way for a place, of the newest checkpoint there is when it begins; nothing queues.
4. A stop cancels the request that is under way: stopping a node waits for no store.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from ledger.charter import Charter
from ledger.errors import Code, ConditionError, LedgerError
from ledger.positions import Millis, TreeSize
from node.config import PublishSettings
from node.metrics import Metrics
from node.publication import Publication, Snapshots, make_identity, open_publisher
from node.store import Store
from node.v1 import operator_pb2
from tlog.folder import Folder
from tlog.objects import ObjectFiles
from tlog.opening import open_files
from tlog.places import Place
from tlog.publisher import Files, Publisher, Snapshot

RETRY_MIN_S: Final = 5.0
RETRY_MAX_S: Final = 300.0


class Target:
    """One place that is kept up.

    Attributes:
        place: its name.
        published_size: of the checkpoint that was last published there, or found there to be ahead; 0 until then.
        problem: why it is not up to date; empty if it is.
        since_ms: since when there has been a problem.
        failures_count: tries that failed since the node started.
    """

    def __init__(
        self,
        place: Place,
        make_publisher: Callable[[Files], Publisher],
        snapshots: Snapshots,
        *,
        interval_min_ms: int,
        clock: Callable[[], Millis],
    ) -> None:
        """Name the place; it is opened in the thread that publishes, as often as that fails."""
        self.place = place
        self.published_size = TreeSize(0)
        self.problem = ""
        self.since_ms = Millis(0)
        self.failures_count = 0
        self._make_publisher, self._snapshots = make_publisher, snapshots
        self._interval_s, self._clock = interval_min_ms / 1000, clock
        self._retry_s = RETRY_MIN_S
        self._woken = asyncio.Event()
        self._opening = threading.Lock()
        self._files: Files | None = None
        self._publisher: Publisher | None = None
        self._is_stopping = False
        self._log = structlog.get_logger("publication").bind(place=place.name)

    def wake(self) -> None:
        """Say that there is something new."""
        self._woken.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="target")
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                snapshot = self._snapshots.take()
                if snapshot is None:
                    continue
                try:
                    self.published_size = await loop.run_in_executor(thread, self._publish, snapshot)
                except Exception as error:  # noqa: BLE001 - rule 1, whatever it is; a mistake of ours among it
                    await self._wait_out(error)
                else:
                    self._settle(snapshot)
                    await asyncio.sleep(self._interval_s)
        finally:
            self._stop()
            thread.shutdown()

    def _publish(self, snapshot: Snapshot) -> TreeSize:
        publisher = self._open()
        if publisher.is_ahead_of(snapshot):  # this node pulls its ledger again, or another publishes here too
            return publisher.published_size()
        publisher.publish(snapshot, now=self._clock())
        return snapshot.size

    def _open(self) -> Publisher:
        with self._opening:
            if self._is_stopping:
                raise ConditionError(field=self.place.name, found="a stop", expected="no stop", code=Code.DRAINING)
            if self._publisher is None:
                self._files = open_files(self.place)
                self._publisher = self._make_publisher(self._files)
            return self._publisher

    def _settle(self, snapshot: Snapshot) -> None:
        if self.published_size == snapshot.size:
            self._snapshots.settle(snapshot)
        if self.problem:
            self._log.info("published again", size=self.published_size)
        self.problem, self._retry_s = "", RETRY_MIN_S

    async def _wait_out(self, error: Exception) -> None:
        """Say what is wrong, and try again later whether or not there is something new by then."""
        if not self.problem:
            self.since_ms = self._clock()
        is_ours = not isinstance(error, LedgerError)
        self.problem = f"our own mistake: {error!r}" if is_ours else str(error)
        self.failures_count += 1
        self._log.log(
            logging.ERROR if is_ours else logging.WARNING,
            "not published there; tried again",
            problem=self.problem,
            after_s=self._retry_s,
            exc_info=error if is_ours else None,
        )
        await asyncio.sleep(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
        self._woken.set()

    def _stop(self) -> None:
        with self._opening:
            self._is_stopping = True
            if self._publisher is not None:
                self._publisher.stop()
            if isinstance(self._files, ObjectFiles):
                self._files.close()


def make_targets(
    settings: PublishSettings,
    charter: Charter,
    store: Store,
    make_snapshots: Callable[[], Snapshots],
    *,
    clock: Callable[[], Millis],
    stack: contextlib.AsyncExitStack,
) -> list[Target]:
    """Make what keeps each configured place up; connections to the database are closed with the stack."""
    identity = make_identity(charter, store)
    targets = []
    for place in settings.urls:
        reader = Store(store.path)
        stack.callback(reader.close)
        make_publisher = partial(Publisher, ledger=reader, identity=identity)
        targets.append(
            Target(place, make_publisher, make_snapshots(), interval_min_ms=settings.urls_interval_min_ms, clock=clock)
        )
    return targets


class Publications:
    """The node's own folder, and every copy of it."""

    def __init__(self, own: Publication, folder: Path, targets: Sequence[Target]) -> None:
        """Name them; nothing is published before `run`."""
        self._own, self._folder, self._targets = own, folder, targets

    def wake(self) -> None:
        """Say that there is something new."""
        self._own.wake()
        for target in self._targets:
            target.wake()

    async def run(self) -> None:
        """Publish until cancelled.

        Raises:
            ExceptionGroup: with what the node's own folder refuses; copies refuse nothing.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._own.run(), name="publication")
            for target in self._targets:
                group.create_task(target.run(), name=f"publication to {target.place}")

    def describe(self) -> list[operator_pb2.PublishedPlace]:
        """Say how far each place is, for the operator."""
        own = operator_pb2.PublishedPlace(name=str(self._folder), tree_size=self._own.published_size)
        return [own] + [
            operator_pb2.PublishedPlace(
                name=each.place.name,
                tree_size=each.published_size,
                problem=each.problem,
                since_ms=each.since_ms if each.problem else 0,
            )
            for each in self._targets
        ]

    def measure(self, metrics: Metrics) -> None:
        """Say it for Prometheus."""
        metrics.on_publish(self._own.published_size)
        for each in self._targets:
            metrics.on_target(
                each.place.name, size=each.published_size, is_failing=bool(each.problem), failures=each.failures_count
            )


def open_publications(
    files: Folder,
    settings: PublishSettings,
    charter: Charter,
    store: Store,
    make_snapshots: Callable[[], Snapshots],
    *,
    clock: Callable[[], Millis],
    stack: contextlib.AsyncExitStack,
) -> Publications:
    """Make what publishes into the node's own folder and every copy of it; what it opens is closed with the stack."""
    publisher = open_publisher(files, charter, store, stack)
    own = Publication(publisher, make_snapshots(), interval_min_ms=settings.interval_min_ms, clock=clock)
    targets = make_targets(settings, charter, store, make_snapshots, clock=clock, stack=stack)
    return Publications(own, settings.folder, targets)
