"""The vote log on disk: appended and synced before any vote leaves, read whole at start, compacted by rename.

Format and meaning of the records: `node.consensus.votelog`. A torn last record is cut off at start (it was never
followed by a vote); any other damage is reported and the node only follows.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from ledger.errors import Code, ConditionError
from ledger.positions import Epoch, MemberIndex, View
from node import failpoints
from node.consensus import votelog

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


class VoteFile:
    """Owns the file; used from the disk thread only, after `load`."""

    def __init__(self, path: Path, *, ledger_id: bytes, member: MemberIndex) -> None:
        self._path, self._ledger_id, self._member = path, ledger_id, member
        self._file: int | None = None
        self._lock: int | None = None

    def create(self) -> None:
        """Begin the log of a ledger this node is about to join: the only time that no votes are behind it.

        A log of another ledger that stands here, of a founding that failed, is kept aside.

        Raises:
            ConditionError: `DISK_FULL` and others of the disk.
        """
        with contextlib.suppress(FileNotFoundError):
            try:
                votelog.read(self._path.read_bytes(), ledger_id=self._ledger_id, member=self._member)
            except ConditionError:
                self._path.rename(self._path.with_suffix(".earlier"))
        self._replace(votelog.create(ledger_id=self._ledger_id, member=self._member, is_lost=False))

    def load(self) -> tuple[votelog.Record, ...]:
        """Read the log and open it for appending.

        A log that is missing or damaged is begun anew as lost (the old one is kept aside): the records then say so, and
        the core follows without voting until it has learned in which views it may have voted.

        Raises:
            ConditionError: `NOT_READY`: another process runs on this folder; `DISK_FULL` and others of the disk.
        """
        self._keep_others_out()
        try:
            contents = votelog.read(self._path.read_bytes(), ledger_id=self._ledger_id, member=self._member)
        except FileNotFoundError:
            self._lose("missing")
        except ConditionError as error:
            self._path.rename(self._path.with_suffix(".damaged"))
            self._lose(str(error))
        else:
            self._replace(self._path.read_bytes()[: contents.intact_bytes])
            return contents.records
        return votelog.read(self._path.read_bytes(), ledger_id=self._ledger_id, member=self._member).records

    def _lose(self, reason: str) -> None:
        structlog.get_logger("votelog").critical("vote log lost: this node only follows for now", reason=reason)
        self._replace(votelog.create(ledger_id=self._ledger_id, member=self._member, is_lost=True))

    def append(self, records: Sequence[bytes]) -> None:
        """Append and fdatasync; when this returns the records survive a power failure.

        Raises:
            ConditionError: `DISK_FULL`; the process must stop.
        """
        assert self._file is not None
        raw = memoryview(b"".join(records))
        failpoints.reach("votes.before-write")
        failpoints.reach("votes.torn", failpoints.Torn(self._file, bytes(raw)))
        try:
            while raw:
                raw = raw[os.write(self._file, raw) :]
            failpoints.reach("votes.written")
            os.fdatasync(self._file)
        except OSError as error:
            raise _refused(self._path, error) from error
        failpoints.reach("votes.synced")

    def compact(self, epoch: Epoch, final_view: View) -> None:
        """Drop records of views that can no longer matter, by writing aside and renaming."""
        failpoints.reach("votes.compacting")
        raw = self._path.read_bytes()
        kept = votelog.compact(raw, ledger_id=self._ledger_id, member=self._member, epoch=epoch, final_view=final_view)
        if len(kept) < len(raw):
            self._replace(kept)

    def close(self) -> None:
        """Close the file."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _keep_others_out(self) -> None:
        """Hold a lock: a second process would put a new file in the log's place, and what this one says be lost."""
        path = self._path.with_suffix(".lock")
        try:
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ConditionError(
                field=str(path), found="held by another process", expected="one running node for this folder"
            ) from None
        except OSError as error:
            raise _refused(path, error) from error

    def _replace(self, content: bytes) -> None:
        aside = self._path.with_suffix(".new")
        try:
            file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
            failpoints.reach("votes.aside")
            aside.rename(self._path)
            failpoints.reach("votes.renamed")
            folder = os.open(self._path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            raise _refused(self._path, error) from error
        failpoints.reach("votes.replaced")
        self._close_file()
        # The descriptor follows the rename, and writes go on at its end.
        self._file = file


def _refused(path: Path, error: OSError) -> ConditionError:
    code = Code.DISK_FULL if error.errno in _FULL else Code.NOT_READY
    return ConditionError(field=str(path), found=os.strerror(error.errno or 0), expected="a writable disk", code=code)
