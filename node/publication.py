"""Keeps the published folder up with the ledger, in a thread of its own, and the event loop free of it."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Final

import structlog

from ledger.charter import Charter
from ledger.errors import Code, ConditionError
from ledger.notes import encode_note
from ledger.positions import Interval, Millis, TreeSize
from node import failpoints
from node.cosigning import Notary
from node.store import Store
from node.witnessing import Witnesses
from tlog.folder import Folder
from tlog.publisher import Identity, Publisher, Snapshot

ARCHIVES_WATCHED: Final = 8


def open_publisher(files: Folder, charter: Charter, store: Store, stack: contextlib.AsyncExitStack) -> Publisher:
    """Let a thread of its own write a folder, through a connection of its own that is closed with the stack."""
    reader = Store(store.path)
    stack.callback(reader.close)
    identity = Identity(
        charter=charter.entry,
        transcript=store.meta("transcript") or b"",
        origin=charter.origin,
        ledger_id=charter.ledger_id,
        software=f"counterseal {version('counterseal')}",
    )
    return Publisher(files, reader, identity, reach=failpoints.reach)


class Publication:
    """Publishes the newest sealed checkpoint, at most once in a configured time."""

    def __init__(
        self,
        publisher: Publisher,
        store: Store,
        notary: Notary,
        witnesses: Witnesses,
        *,
        interval_min_ms: int,
        clock: Callable[[], Millis],
    ) -> None:
        self._publisher, self._store, self._notary, self._witnesses = publisher, store, notary, witnesses
        self._interval_s = interval_min_ms / 1000
        self._clock = clock
        self._woken = asyncio.Event()
        self._archived: dict[Interval, int] = {}
        self._next_archive = Interval(0)
        self.published_size = TreeSize(0)
        self._log = structlog.get_logger("publication")

    def wake(self) -> None:
        """Say that there is something new."""
        self._woken.set()

    async def run(self) -> None:
        """Publish until cancelled.

        Raises:
            ConditionError: the folder is another ledger's, or the disk refuses.
        """
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="publication") as thread:
            try:
                while True:
                    await self._woken.wait()
                    self._woken.clear()
                    snapshot = self._take_snapshot()
                    if snapshot is not None:
                        await loop.run_in_executor(thread, self._publish, snapshot)
                    await asyncio.sleep(self._interval_s)
            finally:
                self._publisher.stop()

    def _publish(self, snapshot: Snapshot) -> None:
        try:
            if self._publisher.is_ahead_of(snapshot):
                return  # the database was begun anew and is being pulled again: what is published stays
            self._publisher.publish(snapshot, now=self._clock())
            self.published_size = snapshot.size
        except ConditionError as error:
            if error.code is Code.NOT_READY:
                self._log.warning("nothing published until this node has caught up", problem=str(error))
            elif error.code is not Code.DRAINING:
                raise

    def _take_snapshot(self) -> Snapshot | None:
        block = self._store.newest_sealed()
        if block is None or self._store.base is not None:  # tiles need the history, which others publish meanwhile
            return None
        archives: dict[Interval, bytes] = {}
        for interval, height in self._store.archives(self._next_archive):
            # Members cosign an archival checkpoint within moments; much older ones gain no more lines.
            self._next_archive = Interval(max(0, interval - ARCHIVES_WATCHED))
            archival = self._store.require_block(height)
            note = self._notary.compute_note(archival, is_archival=True)
            if self._archived.get(interval) != len(note.signatures):
                self._archived[interval] = len(note.signatures)
                archives[interval] = encode_note(note)
        cosigned = self._notary.newest_cosigned(1) or block
        witnessed = self._witnesses.find_witnessed()
        return Snapshot(
            height=block.header.height,
            size=block.header.tree_size,
            checkpoint=encode_note(self._notary.compute_note(block)),
            cosignatures=encode_note(self._notary.compute_note(cosigned, is_whole=True)),
            archives=archives,
            witnessed=None if witnessed is None else encode_note(self._notary.compute_note(witnessed, is_whole=True)),
        )
