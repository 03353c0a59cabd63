"""Runs of work on published files, done in this process or in others, a bounded number ahead of what was taken.

Another process opens the files for itself, once. Functions and what they are given are found there by name, so they
stand at the top of their modules.
"""

import contextlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from ledger.errors import Code, ConditionError
from tlog.reading import Files
from tlog.resources import Reader

RUNS_WAITING_MAX: Final = 4  # for each process
_ResultT = TypeVar("_ResultT")
_UnitT = TypeVar("_UnitT")

_opened: list[Files] = []  # in another process: what it reads with


@dataclass(frozen=True, slots=True)
class _Refused:
    """A `ConditionError` on its way between processes."""

    field: str
    found: str
    expected: str
    code: Code


def _begin(open_reader: Callable[[], Files]) -> None:
    _opened.append(open_reader())


def _check_there(check: Callable[[Reader, Sequence[_UnitT]], _ResultT], run: Sequence[_UnitT]) -> _ResultT | _Refused:
    try:
        return check(_opened[0], run)
    except ConditionError as error:
        return _Refused(error.field, error.found, error.expected, error.code)


class Pool:
    """Where runs are checked."""

    def __init__(self, reader: Reader, executor: ProcessPoolExecutor | None, workers_count: int) -> None:
        """Take this process's own reader, and other processes if there are any."""
        self._reader, self._executor = reader, executor
        self._ahead_max = RUNS_WAITING_MAX * workers_count

    def map(
        self, check: Callable[[Reader, Sequence[_UnitT]], _ResultT], runs: Sequence[Sequence[_UnitT]]
    ) -> Iterator[_ResultT]:
        """Check runs, and give what came of them in order.

        Raises:
            ConditionError: as `check`; `NOT_READY`: a process was ended from outside.
        """
        if self._executor is None:
            for run in runs:
                yield check(self._reader, run)
            return
        waiting: deque[Future[_ResultT | _Refused]] = deque()
        try:
            for run in runs:
                waiting.append(self._executor.submit(_check_there, check, run))
                if len(waiting) >= self._ahead_max:
                    yield _take(waiting.popleft())
            while waiting:
                yield _take(waiting.popleft())
        except BrokenExecutor as error:
            expected = "it to last; is there memory for so many? fewer need less"
            raise ConditionError(field="worker process", found="one that ended", expected=expected) from error


def _take(future: Future[_ResultT | _Refused]) -> _ResultT:
    result = future.result()
    if isinstance(result, _Refused):
        raise ConditionError(field=result.field, found=result.found, expected=result.expected, code=result.code)
    return result


@contextlib.contextmanager
def open_pool(open_reader: Callable[[], Files], reader: Reader, *, workers_count: int) -> Iterator[Pool]:
    """Start other processes, as many as are asked for; they end with the context."""
    if workers_count == 0:
        yield Pool(reader, None, 0)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks without the threads
    executor = ProcessPoolExecutor(workers_count, mp_context=context, initializer=_begin, initargs=(open_reader,))
    try:
        yield Pool(reader, executor, workers_count)
    finally:
        executor.shutdown(cancel_futures=True)
