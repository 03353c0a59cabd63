"""What can be wrong with a published file, and reading on after one that is."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from ledger.errors import Code, ConditionError, FormatError, LedgerError
from tlog.resources import Reader

FAULTS_MAX: Final = 1_000  # that are kept by name; beyond them only their number
UNREADABLE_MAX: Final = 32  # after so many the place is down, and not a file bad
READS_AT_A_TIME: Final = 8
UNVOUCHED: Final = "nothing that is right vouches for it"
NOT_THE_BEGINNING: Final = "not the beginning of the newer one"
_ItemT = TypeVar("_ItemT")
_T = TypeVar("_T")


class Problem(StrEnum):
    """How a file is not as it must be."""

    MISSING = "missing"
    WRONG = "wrong"
    EXTRA = "extra"
    UNREADABLE = "unreadable"
    UNCHECKED = "unchecked"  # what would vouch for it is wrong itself


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is not as it must be, and why, in a sentence."""

    path: str
    problem: Problem
    words: str


@dataclass(slots=True)
class Faults:
    """Everything that was found wrong, and how much was read to find it.

    Attributes:
        found: the first of them.
        count: how many there are.
        files_count: files that were read.
        bytes_count: how much they hold.
        unreadable_count: files that could not be read.
    """

    found: list[Fault] = field(default_factory=list)
    count: int = 0
    files_count: int = 0
    bytes_count: int = 0
    unreadable_count: int = 0

    def add(self, path: str, problem: Problem, words: str) -> None:
        """Note a fault."""
        self.count += 1
        if len(self.found) < FAULTS_MAX:
            self.found.append(Fault(path, problem, words))

    def add_error(self, path: str, error: LedgerError) -> None:
        """Note that a file is wrong in the way that an error says."""
        self.add(path, Problem.WRONG, f"{error.field}: found {error.found}; expected {error.expected}")

    def join(self, others: "Faults") -> None:
        """Add what was found elsewhere.

        Raises:
            ConditionError: so much was unreadable by now that the place must be down.
        """
        self.count += others.count
        self.found += others.found[: FAULTS_MAX - len(self.found)]
        self.files_count += others.files_count
        self.bytes_count += others.bytes_count
        self.unreadable_count += others.unreadable_count
        if others.unreadable_count and self.unreadable_count > UNREADABLE_MAX:
            found = next((each.words for each in others.found if each.problem is Problem.UNREADABLE), "no answer")
            field = f"{self.unreadable_count} files"
            raise ConditionError(field=field, found=found, expected="a place that can be read", code=Code.UNREACHABLE)

    def read(self, reader: Reader, path: str, *, size_max: int) -> bytes | None:
        """Read a file that may be missing; None, and noted, if it cannot be read.

        Raises:
            ConditionError: so much was unreadable by now that the place must be down.
        """
        try:
            raw = reader.read(path, size_max=size_max)
        except FormatError as error:  # larger than it may be
            self.add_error(path, error)
            return None
        except ConditionError as error:
            self.unreadable_count += 1
            if self.unreadable_count > UNREADABLE_MAX:
                raise
            self.add(path, Problem.UNREADABLE, f"{error.found} [{error.code}]")
            return None
        if raw is not None:
            self.count_read(raw)
            if len(raw) > size_max:
                self.add(path, Problem.WRONG, f"more than {size_max} bytes")
                return None
        return raw

    def read_or_full(self, reader: Reader, path: str, full: str | None, *, size_max: int) -> tuple[bytes, bool] | None:
        """Read a file that must be there, the full one if it is partial and gone; None, and noted, where that fails.

        Args:
            reader: not believed.
            path: the file.
            full: if it is partial, where the full one is.
            size_max: of either.

        Returns:
            The bytes, and whether they are those of the full one.

        Raises:
            ConditionError: so much was unreadable by now that the place must be down.
        """
        raw = self.read(reader, path, size_max=size_max)
        if raw is not None:
            return raw, full is None
        raw = None if full is None else self.read(reader, full, size_max=size_max)
        if raw is not None:
            return raw, True
        self.add_missing(path)
        return None

    def count_read(self, raw: bytes) -> None:
        """Count a file that was read."""
        self.files_count += 1
        self.bytes_count += len(raw)

    def add_missing(self, path: str) -> None:
        """Note that neither a file is there nor, if it is partial, its full one; unless it could not be read."""
        if not any(fault.path == path for fault in self.found):
            self.add(path, Problem.MISSING, "nothing is there")


def try_parsing(path: str, parse: Callable[[], _T], faults: Faults) -> _T | None:
    """Parse what was read; None, and noted, where it is not of its form."""
    try:
        return parse()
    except LedgerError as error:
        faults.add_error(path, error)
        return None


def map_reads(check: Callable[[_ItemT], _T], run: Sequence[_ItemT], *, is_remote: bool) -> list[_T]:
    """Check each; several at a time where an answer takes longer than looking at it."""
    if not is_remote:
        return [check(each) for each in run]
    with ThreadPoolExecutor(READS_AT_A_TIME) as threads:
        return list(threads.map(check, run))
