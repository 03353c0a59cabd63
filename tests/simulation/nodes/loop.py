"""An asyncio event loop on virtual time: one for each process, so that one that has crashed has no effect any more.

Everything that is ready is run when virtual time has come to it; then the loop waits for time or the world. A slow
machine's loop waits a while after each round. After `kill` nothing that the process began is ever run again, whatever
it holds; `bury` then ends its coroutines, which can touch nothing, so the order in which they end does not matter.
"""

import asyncio
import math
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple

from tests.simulation.world import World

ROUND_MAX: Final = 100_000
BURIAL_ROUNDS_MAX: Final = 10_000
_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
Do = Callable[[Callable[..., Any], tuple[Any, ...]], "asyncio.Future[Any]"]


class ProcessLoop(asyncio.AbstractEventLoop):
    """What `asyncio` needs of a loop, for code that does its input and output through what it is given."""

    def __init__(self, world: World, *, do_on_disk: Do, draw_work_ms: Callable[[], int]) -> None:
        self._world, self._do_on_disk, self._draw_work_ms = world, do_on_disk, draw_work_ms
        self._ready: deque[asyncio.Handle] = deque()
        self._is_due = self._is_running = False
        self._busy_until_ms = 0
        self.is_killed = False
        self.error: BaseException | None = None

    # --- time ------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._world.now_ms / 1000

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._wake()
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._world.at(math.ceil(when * 1000 - 1e-6), partial(self._ring, handle))
        return handle

    def _ring(self, handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled() and not self.is_killed:
            self._ready.append(handle)
            self._wake()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Need not know: a cancelled timer does nothing when its time comes."""

    def _wake(self) -> None:
        if not self._is_due and not self._is_running and not self.is_killed:
            self._is_due = True
            self._world.at(self._busy_until_ms, self._run_ready)

    def _run_ready(self) -> None:
        self._is_due = False
        if self.is_killed:
            return
        self._drain(ROUND_MAX)
        assert not self._ready or self.is_killed, "a process that never waits"
        self._busy_until_ms = self._world.now_ms + self._draw_work_ms()
        if self.error is not None:
            raise self.error

    def _drain(self, most: int) -> None:
        before = events._get_running_loop()
        events._set_running_loop(self)
        self._is_running = True
        was_killed = self.is_killed
        try:
            for _ in range(most):
                if not self._ready or self.is_killed != was_killed or self.error is not None:
                    break
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            self._is_running = False
            events._set_running_loop(before)

    # --- life ------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """From now on nothing of the process is run."""
        self.is_killed = True

    def bury(self) -> None:
        """End the coroutines of a killed process, so that none is left to be found unfinished."""
        assert self.is_killed
        self.error = None  # at which nothing would be run
        for task in asyncio.all_tasks(self):
            task.cancel()
        self._drain(BURIAL_ROUNDS_MAX)
        self._ready.clear()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    # --- tasks -----------------------------------------------------------------------------------------------------

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, _T] | Generator[Any, None, _T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[_T]":
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(  # type: ignore[override]  # the abstract one promises what any loop's future is
        self, executor: Executor | None, func: Callable[..., _T], *args: Any
    ) -> "asyncio.Future[_T]":
        """Do what blocks on the simulated disk: there is no thread."""
        return self._do_on_disk(func, args)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody expected; the world stops at it."""
        error = context.get("exception")
        if not self.is_killed and error is not None:
            self.error = error
