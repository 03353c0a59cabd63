"""What stands in for the operating system: syncs that are kept account of, and points where a process may end.

While a run lasts, `os.fsync` and `os.fdatasync` go through here: each machine knows how much of its vote log has been
promised to survive, and a crash takes the rest, all of it or the end of it. `node.failpoints` come here too, so a
process may be ended before, within and after every write that must survive; and so does a full disk.
"""

import errno
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from node import failpoints
from node.failpoints import Torn

_FULL_AT: Final = ("block.rows", "candidates.inside", "block.inside", "archive.inside", "cosignature.inside")
_FULL_FILES_AT: Final = ("votes.written", "votes.aside")
VOTES_FILE: Final = "votes.log"
STORE_FILE: Final = "ledger.sqlite"


class Machine:
    """One member's folder, and what of it would survive at this moment."""

    def __init__(self, folder: Path, *, reach: Callable[[str], None], is_full: Callable[[], bool]) -> None:
        self.folder = folder
        self._reach, self._is_full = reach, is_full
        self._synced: dict[int, int] = {}
        self._replaced: bytes | None = None

    @property
    def votes(self) -> Path:
        """The vote log."""
        return self.folder / VOTES_FILE

    @property
    def store(self) -> Path:
        """The database."""
        return self.folder / STORE_FILE

    def on_sync(self, status: os.stat_result) -> None:
        """Promise that a file survives as long as it is, or that a folder's names do."""
        if stat.S_ISDIR(status.st_mode):
            self._replaced = None
        else:
            self._synced[status.st_ino] = status.st_size

    def on_point(self, point: str, torn: Torn | None) -> None:
        """Pass a point of the node's: it may end here, or find the disk full.

        Raises:
            BaseException: the process ends here.
            OSError: the disk is full.
            sqlite3.OperationalError: the same, as the database says it.
        """
        if point == "votes.aside":
            self._replaced = self.votes.read_bytes() if self.votes.exists() else None
        self._reach(point)
        if point in _FULL_FILES_AT and self._is_full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if point in _FULL_AT and self._is_full():
            raise sqlite3.OperationalError("database or disk is full")

    def is_promised(self, record: bytes) -> bool:
        """Say whether bytes stand in the part of the vote log that would survive at this moment."""
        log = self.votes.read_bytes()
        return record in log[: self._synced.get(self.votes.stat().st_ino, 0)]

    def lose_unsynced(self, torn_percent: int) -> None:
        """Keep what was promised to survive, and some of the end of the rest."""
        if not self.votes.exists():
            return
        if self._replaced is not None and torn_percent % 2:
            self.votes.write_bytes(self._replaced)  # the folder had not been synced: the old name came back
        else:
            status = self.votes.stat()
            promised = self._synced.get(status.st_ino, 0)
            rest = status.st_size - promised
            if rest > 0:
                os.truncate(self.votes, promised + rest * torn_percent // 100)
        self._synced = {self.votes.stat().st_ino: self.votes.stat().st_size}
        self._replaced = None


class Machines:
    """All machines of a run, and whose turn it is."""

    def __init__(self) -> None:
        self.at_work: Machine | None = None

    @contextmanager
    def working(self, machine: Machine) -> Iterator[None]:
        """Let what is synced now be this machine's."""
        before, self.at_work = self.at_work, machine
        try:
            yield
        finally:
            self.at_work = before

    @contextmanager
    def instead_of_the_system(self) -> Iterator[None]:
        """Take the place of the calls that promise, until the block ends."""
        before: tuple[Any, Any] = (os.fsync, os.fdatasync)
        os.fsync = os.fdatasync = self._sync  # type: ignore[assignment]  # nobody here syncs a file object
        failpoints.install(self._on_point)
        try:
            yield
        finally:
            os.fsync, os.fdatasync = before
            failpoints.install(_go_on)

    def _sync(self, file: int) -> None:
        if self.at_work is not None:
            self.at_work.on_sync(os.fstat(file))

    def _on_point(self, point: str, torn: Torn | None) -> None:
        if self.at_work is not None:
            self.at_work.on_point(point, torn)


def _go_on(point: str, torn: Torn | None) -> None:
    """Do nothing: nobody is simulated."""
