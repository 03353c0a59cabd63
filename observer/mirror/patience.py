"""A source that is awaited no longer than a bound, however it stalls, so that it cannot keep a mirror from the others.

1. Everything a source does, it does in a thread of its own; whoever asks waits for the answer, and gives up.
2. What a source does not answer in time is a `TIMEOUT` of that source. Until it does answer, it is asked nothing more:
   it holds one thread and one connection, and nothing of what it brings too late is used.
3. A source has a turn in every round; what it brought in its turn and was verified stays, and the next round goes on
   from there. So a slow one costs the others a turn, and the mirror goes on to them.
4. To stop the mirror ends every wait at once.

Bounds inside a source (`observer.static`, gRPC's deadlines) come first where they can; these hold where they do not,
such as for headers that come in byte by byte.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Final, TypeVar

from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import MIB
from ledger.positions import Height, Interval, TreeSize
from observer.served import FILE_TIMEOUT_S, ServedBlock, Source
from observer.static import StaticSource

LOOK_S: Final = 30.0
ANSWER_S: Final = FILE_TIMEOUT_S + 30.0
TURN_S: Final = 300.0
BATCH_BLOCKS: Final = 64
BATCH_BYTES: Final = 4 * MIB
BATCH_S: Final = 1.0
_ResultT = TypeVar("_ResultT")

assert FILE_TIMEOUT_S < ANSWER_S < TURN_S


class _Worker:
    """One thread that does one thing after the other. It is no reason for the process to stay."""

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def submit(self, act: Callable[[], _ResultT]) -> Future[_ResultT]:
        """Do it when what was submitted before is done."""
        future: Future[_ResultT] = Future()

        def work() -> None:
            try:
                future.set_result(act())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the answer gets it
                future.set_exception(error)

        self._tasks.put(work)
        return future

    def end(self) -> None:
        """End once everything submitted is done."""
        self._tasks.put(None)


class PatientSource:
    """A `Source` over another, within bounds of time (1 to 4 of this module).

    Attributes:
        was_cut: whether its last turn ended before it did.
        waited_s: how long it was waited for in its last turn.
    """

    def __init__(self, inner: Source, stopped: Future[None], *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Begin nothing yet.

        Args:
            inner: what is asked.
            stopped: is done when the mirror is to stop.
            clock_s: counts seconds.
        """
        self._inner, self._stopped, self._clock_s = inner, stopped, clock_s
        self._worker = _Worker(f"source {inner.name}")
        self._unanswered: Callable[[], bool] | None = None
        self._look: Future[list[bytes]] | None = None
        self._turn_ends_s = clock_s() + TURN_S
        self.was_cut = False
        self.waited_s = 0.0

    @property
    def name(self) -> str:
        """The URL it was opened with."""
        return self._inner.name

    def begin_turn(self) -> None:
        """Begin a round: look at its checkpoints already, while others are asked."""
        self._turn_ends_s = self._clock_s() + TURN_S
        self.was_cut = False
        self.waited_s = 0.0
        self._look = None if self._is_busy() else self._worker.submit(self._inner.read_checkpoints)

    def read_charter(self) -> bytes:
        """Read entry 0."""
        return self._ask("charter", self._inner.read_charter)

    def read_transcript(self) -> bytes:
        """Read the ceremony's transcript; empty where it is not served."""
        return self._ask("transcript", self._inner.read_transcript)

    def read_checkpoints(self) -> list[bytes]:
        """Read its newest checkpoints: those which the turn began with, then newer ones."""
        begun, self._look = self._look, None
        if begun is not None:
            return self._await("checkpoint", begun, LOOK_S)
        return self._ask("checkpoint", self._inner.read_checkpoints, LOOK_S)

    @property
    def is_turn_over(self) -> bool:
        """Whether it is the others' turn."""
        return self._clock_s() > self._turn_ends_s

    def begin_archives(self) -> None:
        """Give it as much time again, for archival checkpoints."""
        self._turn_ends_s = self._clock_s() + TURN_S

    def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
        """Read blocks, some at a time, until the turn is over.

        Raises:
            ConditionError: a block did not come in time (`TIMEOUT`), or the mirror stops (`DRAINING`).
            LedgerError: as the source has it.
        """
        blocks = self._inner.read_blocks(first=first, last=last, size=size)
        height = first
        is_over = False
        try:
            while not is_over:
                taken, error, is_over = self._ask(f"blocks[{height}]", lambda: _take(blocks, self._clock_s))
                yield from taken
                height = Height(height + len(taken))
                if error is not None:
                    raise error
                if not is_over and self.is_turn_over:
                    self.was_cut = True
                    raise self._late(f"blocks[{height}]", f"the end of its turn of {TURN_S:.0f} s")
        finally:
            self._worker.submit(lambda: _close(blocks))

    def read_tile(self, path: str) -> bytes | None:
        """Read a tile of hashes by its path."""
        return self._ask(path, lambda: self._inner.read_tile(path))

    def read_archive(self, interval: Interval) -> bytes | None:
        """Read the archival checkpoint of an interval; None where there is none, or none are served."""
        inner = self._inner
        if not isinstance(inner, StaticSource):
            return None
        return self._ask(f"archive/{interval}", lambda: inner.read_archive(interval))

    def close(self) -> None:
        """Give connections back when it is done with what it does; nobody waits for that."""
        self._worker.submit(self._inner.close)
        self._worker.end()

    def _is_busy(self) -> bool:
        return self._unanswered is not None and not self._unanswered()

    def _ask(self, field: str, act: Callable[[], _ResultT], answer_s: float | None = None) -> _ResultT:
        if self._is_busy():
            raise self._late(field, "no answer yet to what it was asked before")
        return self._await(field, self._worker.submit(act), ANSWER_S if answer_s is None else answer_s)

    def _await(self, field: str, future: Future[_ResultT], answer_s: float) -> _ResultT:
        begun_s = self._clock_s()
        wait_for_any((future, self._stopped), timeout_s=answer_s)
        self.waited_s += self._clock_s() - begun_s
        if self._stopped.done():
            raise ConditionError(field=field, found="a stop", expected="no stop", code=Code.DRAINING)
        if not future.done():
            self._unanswered = future.done
            raise self._late(field, f"no answer within {answer_s:.0f} s")
        return future.result()

    def _late(self, field: str, found: str) -> ConditionError:
        return ConditionError(field=field, found=found, expected="an answer in time", code=Code.TIMEOUT)


def wait_for_any(futures: Iterable[Future[Any]], *, timeout_s: float) -> None:
    """Wait until one of them is done, or for so long; Any because nobody looks at what they give."""
    wait(futures, timeout=timeout_s, return_when=FIRST_COMPLETED)


def _take(
    blocks: Iterator[ServedBlock], clock_s: Callable[[], float]
) -> tuple[list[ServedBlock], LedgerError | None, bool]:
    """Take some blocks, what went wrong behind them, and whether that was the end."""
    taken: list[ServedBlock] = []
    bytes_count = 0
    ends_s = clock_s() + BATCH_S
    try:
        for block in blocks:
            taken.append(block)
            bytes_count += sum(map(len, block.entries))
            if len(taken) == BATCH_BLOCKS or bytes_count >= BATCH_BYTES or clock_s() > ends_s:
                return taken, None, False
    except LedgerError as error:
        return taken, error, True
    return taken, None, True


def _close(blocks: Iterator[ServedBlock]) -> None:
    """Let a source that was left in the middle give back what it holds."""
    close = getattr(blocks, "close", None)
    if close is not None:
        with contextlib.suppress(LedgerError):
            close()
