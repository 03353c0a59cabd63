"""One copy and the view of it, kept up to date while another process writes to the copy. Belongs to one thread.

1. The copy is opened once and refreshed; if the file is replaced by another one it is opened anew. Its fingerprint must
   be the one it had at first.
2. An answer is made of one state of the file, with what is new up to then: nothing is half there.
3. The view is fed a bounded number of blocks at a time (`advance`), so that whoever asks meanwhile waits a moment only.
   Until it has reached the copy's newest block nothing is answered from it (`NOT_READY`).
4. If what is on disk is not what was written, nothing is answered any more, but with what was found, until the file
   changes. If the disk or another process is merely in the way, what was read before is shown on. A copy that is not
   there yet is waited for.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ledger.blocks import SealedHeader
from ledger.errors import Code, ConditionError, LedgerError
from ledger.positions import Height, LeafIndex
from observer.copy import FILE, Copy, open_copy
from observer.web.view import View

STEP_BLOCKS: Final = 512
STEP_ENTRIES: Final = 4_096
State = Literal["reading", "ready", "refused"]
_IN_THE_WAY: Final = (Code.CONFIG, Code.DISK_FULL)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading is.

    Attributes:
        state: as `answers.words.Status` says.
        checked_count: entries that were compared with the sealed root and taken.
        entries_count: of how many.
        head: of the copy, if it could be opened.
        problem: what is wrong, if anything is.
    """

    state: State
    checked_count: int
    entries_count: int
    head: SealedHeader | None
    problem: LedgerError | None


class Reading:
    """A copy being read."""

    def __init__(self, home: Path, *, fingerprint: bytes | None = None) -> None:
        """Remember where it is; nothing is read yet.

        Args:
            home: folder of the copy.
            fingerprint: of the charter the copy must be of; None to take the one it is pinned to when first opened.
        """
        self._home, self._fingerprint = home, fingerprint
        self._copy: Copy | None = None
        self._view: View | None = None
        self._file: tuple[int, ...] = ()
        self._refused: tuple[int, ...] = ()
        self._problem: LedgerError | None = None
        self.generation = 0
        """Rises whenever what could be answered changes."""

    @property
    def place(self) -> str:
        """What stands before the name of the copy's folder in messages: nobody's business but the operator's."""
        return f"{self._home.parent}/" if self._home.is_absolute() else ""

    def close(self) -> None:
        """Close the copy."""
        if self._copy is not None:
            self._copy.close()
            self._copy = None

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[Copy, View]]:
        """Give the copy, as it is in one state of the file, and the view of it, which has reached its newest block.

        Raises:
            LedgerError: what is wrong with the copy; or `NOT_READY` (a `ConditionError`).
        """
        with contextlib.nullcontext() if self._copy is None else self._copy.snapshot():
            self.advance()
            yield self._require()

    def _require(self) -> tuple[Copy, View]:
        if self._problem is not None:
            raise self._problem
        if self._copy is None or self._view is None or not self._is_level():
            progress = self.progress()
            found = f"{progress.checked_count} of {progress.entries_count} entries read and checked"
            raise ConditionError(field="page", found=found, expected="all of them; try again in a moment")
        return self._copy, self._view

    def progress(self) -> Progress:
        """Say how far the reading is."""
        copy, view = self._copy, self._view
        checked_count = 0 if view is None else view.entries_count
        head = None if copy is None else copy.head
        if self._problem is not None:
            state: State = "reading" if self._problem.code is Code.NOT_READY else "refused"
            return Progress(state, checked_count, checked_count, head, self._problem)
        entries_count = 0 if head is None else head.header.tree_size
        return Progress("ready" if self._is_level() else "reading", checked_count, entries_count, head, None)

    def advance(self) -> bool:
        """Take up what is new, a bounded part of it; say whether there is more to do at once."""
        problem = self._problem
        if problem is not None and problem.code not in _IN_THE_WAY and self._look_closely() == self._refused:
            return False
        try:
            self._refresh()
            self._take()
        except LedgerError as error:
            if self._copy is not None and error.code in _IN_THE_WAY:
                return False  # it may go away by itself, and what was checked before is still true
            self._refuse(error)
        return self._problem is None and not self._is_level()

    def _look(self) -> tuple[int, ...]:
        """Say which file there is, so that another one in its place is noticed."""
        try:
            stat = (self._home / FILE).stat()
        except OSError:
            return ()
        return (stat.st_dev, stat.st_ino)

    def _look_closely(self) -> tuple[int, ...]:
        """Say in which state the file is, so that any change of one that was refused is noticed."""
        found: list[int] = []
        for name in (FILE, f"{FILE}-wal"):
            with contextlib.suppress(OSError):
                stat = (self._home / name).stat()
                found += (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        return tuple(found)

    def _refresh(self) -> None:
        file = self._look()
        if self._copy is None or file != self._file:
            self.close()
            self._file = file
            self._copy = open_copy(self._home, fingerprint=self._fingerprint)
            if self._copy is None:
                expected = "a copy; `counterseal observe sync` makes one, and so does following a source"
                raise ConditionError(field=str(self._home), found="none yet", expected=expected)
            self._fingerprint = self._copy.charter.ledger_id
            self._problem = None
            self.generation += 1
        elif self._copy.refresh():
            self.generation += 1
        if self._view is None or not self._continues(self._copy, self._view):
            self._view = View(self._copy.charter)

    @staticmethod
    def _continues(copy: Copy, view: View) -> bool:
        """Say whether what was gathered is the beginning of this copy."""
        if view.header is None:
            return True
        height = view.header.height
        return height <= copy.head.header.height and copy.block(height).header == view.header

    def _is_level(self) -> bool:
        if self._copy is None or self._view is None:
            return False
        return self._view.header == self._copy.head.header

    def _take(self) -> None:
        """Feed the view the next blocks, up to a step's worth of entries."""
        copy, view = self._copy, self._view
        assert copy is not None
        assert view is not None
        if self._is_level():
            return
        first = Height(view.blocks_count)
        blocks = copy.blocks(first, min(STEP_BLOCKS, copy.head.header.height - first + 1))
        start = view.entries_count
        count = 0
        for count, sealed in enumerate(blocks, start=1):  # noqa: B007 - how many are taken
            if sealed.header.tree_size - start >= STEP_ENTRIES:
                break
        chosen = blocks[:count]
        if not chosen:
            expected = f"a block at height {first}"
            raise ConditionError(field=str(copy.path), found="none", expected=expected, code=Code.STORE_DAMAGED)
        end = min(max(start, chosen[-1].header.tree_size), copy.tree.size)
        entries = list(copy.proven_entries([LeafIndex(index) for index in range(start, end)]))
        for sealed in chosen:
            header = sealed.header
            view.take(sealed, entries[header.first_index - start : header.tree_size - start])
        self.generation += 1

    def _refuse(self, error: LedgerError) -> None:
        self._problem = error if str(self._home) in error.field else error.inside(self._home)
        self.close()
        self._view = None
        self._refused = self._look_closely()
        self.generation += 1
