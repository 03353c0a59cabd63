"""Keeps the published folder up with the ledger, in a thread of its own, and the event loop free of it.

The folder is the node's own: if its disk refuses, the node ends, as it does for its database. Copies elsewhere are
`node.targets`, and nothing that happens to one of them reaches the node or the folder.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Final

import structlog

from ledger.charter import Charter
from ledger.errors import Code, ConditionError
from ledger.notes import encode_note, parse_note
from ledger.positions import Interval, Millis, TreeSize
from node import failpoints
from node.cosigning import Notary
from node.store import Store, StoredBlock
from tlog.publisher import Files, Identity, Publisher, Snapshot

ARCHIVES_WATCHED: Final = 8
ARCHIVES_AT_A_TIME: Final = 64  # making a note takes the event loop's time; a new place gets those of years in turns


def make_identity(charter: Charter, store: Store) -> Identity:
    """Say which ledger a place is of, and what never changes in it."""
    return Identity(
        charter=charter.entry,
        transcript=store.meta("transcript") or b"",
        origin=charter.origin,
        ledger_id=charter.ledger_id,
        software=f"counterseal {version('counterseal')}",
    )


def open_publisher(files: Files, charter: Charter, store: Store, stack: contextlib.AsyncExitStack) -> Publisher:
    """Let a thread of its own write a folder, through a connection of its own that is closed with the stack."""
    reader = Store(store.path)
    stack.callback(reader.close)
    return Publisher(files, reader, make_identity(charter, store), reach=failpoints.reach)


class Snapshots:
    """Takes the newest sealed checkpoint for one place, with the archival ones that it has not got, or not whole."""

    def __init__(
        self, store: Store, notary: Notary, *, find_witnessed: Callable[[], StoredBlock | None] = lambda: None
    ) -> None:
        """Begin with a place of which nothing is known: it is given every archival checkpoint once.

        Args:
            store: what is final.
            notary: signs what is published.
            find_witnessed: gives the block that external witnesses cosigned, where any are asked.
        """
        self._store, self._notary, self._find_witnessed = store, notary, find_witnessed
        self._lines: dict[Interval, int] = {}
        self._next_archive = Interval(0)

    def take(self) -> Snapshot | None:
        """Return what can be published now; None if nothing is sealed, or the history is not here."""
        block = self._store.newest_sealed()
        if block is None or self._store.base is not None:  # tiles need the history, which others publish meanwhile
            return None
        archives: dict[Interval, bytes] = {}
        for interval, height in self._store.archives(self._next_archive):
            archival = self._store.require_block(height)
            note = self._notary.compute_note(archival, is_archival=True)
            if self._lines.get(interval) != len(note.signatures):
                archives[interval] = encode_note(note)
            if len(archives) == ARCHIVES_AT_A_TIME:
                break
        cosigned = self._notary.newest_cosigned(1) or block
        witnessed = self._find_witnessed()
        return Snapshot(
            height=block.header.height,
            size=block.header.tree_size,
            checkpoint=encode_note(self._notary.compute_note(block)),
            cosignatures=encode_note(self._notary.compute_note(cosigned, is_whole=True)),
            archives=archives,
            witnessed=None if witnessed is None else encode_note(self._notary.compute_note(witnessed, is_whole=True)),
        )

    def settle(self, snapshot: Snapshot) -> None:
        """Take note that it was published: its archives need not be given again until they gain lines."""
        for interval, note in snapshot.archives.items():
            self._lines[interval] = len(parse_note(note).signatures)
            # Members cosign an archival checkpoint within moments; much older ones gain no more lines.
            self._next_archive = Interval(max(self._next_archive, interval - ARCHIVES_WATCHED))


class Publication:
    """Publishes the newest sealed checkpoint into the node's folder, at most once in a configured time."""

    def __init__(
        self, publisher: Publisher, snapshots: Snapshots, *, interval_min_ms: int, clock: Callable[[], Millis]
    ) -> None:
        self._publisher, self._snapshots = publisher, snapshots
        self._interval_s = interval_min_ms / 1000
        self._clock = clock
        self._woken = asyncio.Event()
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
                    snapshot = self._snapshots.take()
                    if snapshot is not None and await loop.run_in_executor(thread, self._publish, snapshot):
                        self._snapshots.settle(snapshot)
                    await asyncio.sleep(self._interval_s)
            finally:
                self._publisher.stop()

    def _publish(self, snapshot: Snapshot) -> bool:
        """Publish; False, and nothing changed, if what is published is ahead of this node or it is to stop."""
        try:
            if self._publisher.is_ahead_of(snapshot):
                return False  # the database was begun anew and is being pulled again: what is published stays
            self._publisher.publish(snapshot, now=self._clock())
        except ConditionError as error:
            if error.code is Code.NOT_READY:
                self._log.warning("nothing published until this node has caught up", problem=str(error))
            elif error.code is not Code.DRAINING:
                raise
            return False
        self.published_size = snapshot.size
        return True
