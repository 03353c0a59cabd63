"""A folder on this machine's disk that others read while we write: every file whole, durable, and never half replaced.

A file is written aside in `.incoming`, synced, and then linked (which fails where a file is) or renamed (which
replaces). Names are durable after `sync`. What a crash left in `.incoming` is removed when the folder is opened.
Source: POSIX link(2), rename(2), fsync(2).
"""

import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ledger.errors import Code, ConditionError
from ledger.positions import Millis
from tlog.publisher import PARTIAL_SUFFIX, pass_by

INCOMING: Final = ".incoming"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Folder:
    """The `Files` of `tlog.publisher`, on a POSIX file system."""

    def __init__(self, root: Path, *, reach: Callable[[str], None] = pass_by) -> None:
        """Make the folder if needed; `reach` is told where a crash could leave something half done.

        Raises:
            ConditionError: the disk refuses.
        """
        self._root, self._reach = root, reach
        self._incoming = root / INCOMING
        self._numbers = itertools.count()
        self._unsynced: dict[Path, None] = {}
        with _disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._incoming, ignore_errors=True)
            self._incoming.mkdir()

    def read(self, path: str, *, size_max: int) -> bytes | None:
        """Return a file's bytes, at most `size_max` and one more; None where there is none."""
        with _disk_errors(self._root / path):
            try:
                with (self._root / path).open("rb") as file:
                    return file.read(size_max + 1)
            except FileNotFoundError:
                return None

    def exists(self, path: str) -> bool:
        """Say whether there is such a file."""
        return (self._root / path).is_file()

    def create(self, path: str, raw: bytes) -> bool:
        """Make a file appear whole; False, and nothing changed, if there is one. `sync` makes the name durable."""
        target = self._root / path
        if target.exists():
            return False
        with _disk_errors(target), self._written_aside(raw) as aside:
            self._make_parents(target)
            try:
                os.link(aside, target)
            except FileExistsError:
                return False
            self._reach("folder.linked")
            self._unsynced[target.parent] = None
            return True

    def replace(self, path: str, raw: bytes) -> None:
        """Make a file appear whole and durable in place of an older one."""
        target = self._root / path
        with _disk_errors(target), self._written_aside(raw) as aside:
            self._make_parents(target)
            aside.rename(target)
            self._reach("folder.renamed")
            self._unsynced[target.parent] = None
        self.sync()

    def sync(self) -> None:
        """Make every name created since the last time durable."""
        with _disk_errors(self._root):
            while self._unsynced:
                _sync_folder(next(iter(self._unsynced)))
                self._unsynced.pop(next(iter(self._unsynced)))

    def partials(self) -> Sequence[tuple[str, Millis]]:
        """List folders of partial tiles whose full one is there, with the time at which that was written."""
        found: list[tuple[str, Millis]] = []
        with _disk_errors(self._root):
            for folder, names, _ in os.walk(self._root):
                for name in names:
                    full = Path(folder) / name.removesuffix(PARTIAL_SUFFIX)
                    if name.endswith(PARTIAL_SUFFIX) and full.is_file():
                        path = (Path(folder) / name).relative_to(self._root).as_posix()
                        found.append((path, Millis(full.stat().st_mtime_ns // 1_000_000)))
        return found

    def remove_folder(self, path: str) -> None:
        """Remove a folder and the files in it, if it is there."""
        with _disk_errors(self._root / path), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._root / path)

    @contextlib.contextmanager
    def _written_aside(self, raw: bytes) -> Iterator[Path]:
        """Write and sync a file that nobody reads yet; what is left of it afterwards goes."""
        aside = self._incoming / str(next(self._numbers))
        try:
            with aside.open("xb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            self._reach("folder.aside")
            yield aside
        finally:
            aside.unlink(missing_ok=True)

    def _make_parents(self, target: Path) -> None:
        """Make the folders above a file; their names become durable with the next `sync`, innermost first."""
        missing = list(itertools.takewhile(lambda parent: not parent.exists(), target.parents))
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
        self._unsynced.update({parent.parent: None for parent in missing})


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn the system's words into ours."""
    try:
        yield
    except OSError as error:
        code = Code.DISK_FULL if error.errno in _FULL else Code.CONFIG
        expected = "room on the disk" if code is Code.DISK_FULL else "a folder that this node can write"
        raise ConditionError(
            field=str(error.filename or path), found=error.strerror or repr(error), expected=expected, code=code
        ) from error
