"""What long-lived calls and slow readers may hold of a node: places, and memory of messages on their way.

No one caller holds more than half of either, so that one that takes all it can get leaves the other half to the others.
A caller is a network address: behind a proxy all are one.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import grpc.aio

from ledger.errors import Code, ConditionError

WRITE_TIMEOUT_S: Final = 30.0
SMALL_BYTES_MAX: Final = 64 * 1024
_Context = grpc.aio.ServicerContext[Any, Any]  # message types differ from call to call


def caller_of(context: _Context) -> str:
    """Name the other end without its port, such as `ipv4:192.0.2.7`."""
    return context.peer().rpartition(":")[0]


class StreamLimit:
    """Counts open calls; the one too many is refused instead of slowing the others."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._callers: Counter[str] = Counter()
        self.open = 0

    @contextlib.contextmanager
    def one(self, caller: str | None = None) -> Iterator[None]:
        """Hold a place while a call is open; a caller that is named holds half of all places at most.

        Raises:
            ConditionError: `TOO_MANY_STREAMS`.
        """
        self._require(self.open, self._maximum, "streams")
        if caller is not None:
            self._require(self._callers[caller], max(1, self._maximum // 2), f"streams of {caller}")
            self._callers[caller] += 1
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
            if caller is not None:
                self._callers[caller] -= 1
                if not self._callers[caller]:
                    del self._callers[caller]

    @staticmethod
    def _require(found: int, maximum: int, field: str) -> None:
        if found >= maximum:
            raise ConditionError(
                field=field, found=f"{found} open", expected=f"fewer than {maximum}", code=Code.TOO_MANY_STREAMS
            )


class WriteBudget:
    """Bounds the memory of large messages that slow readers have not taken yet."""

    def __init__(self, bytes_max: int, *, timeout_s: float = WRITE_TIMEOUT_S) -> None:
        self._bytes_max = bytes_max
        self.timeout_s = timeout_s
        self._callers: Counter[str] = Counter()
        self._changed = asyncio.Condition()
        self.held_bytes = 0

    @contextlib.asynccontextmanager
    async def room(self, context: _Context, size_max: int) -> AsyncIterator["Room"]:
        """Wait until there is room for a message of at most `size_max` bytes, and hold it until it is written."""
        caller = caller_of(context)
        size = size_max if size_max > SMALL_BYTES_MAX else 0

        def fits() -> bool:
            own = self._callers[caller]
            is_room = self.held_bytes == 0 or self.held_bytes + size <= self._bytes_max
            is_fair = own == 0 or own + size <= self._bytes_max // 2
            return size == 0 or (is_room and is_fair)

        async with self._changed:
            await self._changed.wait_for(fits)
            self._hold(caller, size)
        room = Room(self, context, caller, size)
        try:
            yield room
        finally:
            await room.shrink(0)

    def _hold(self, caller: str, change: int) -> None:
        self.held_bytes += change
        self._callers[caller] += change
        if not self._callers[caller]:
            del self._callers[caller]

    async def give_back(self, caller: str, size: int) -> None:
        """Let others have what a room does not need any more."""
        async with self._changed:
            self._hold(caller, -size)
            self._changed.notify_all()


class Room:
    """Room for one message of one call; made by `WriteBudget.room`."""

    def __init__(self, budget: WriteBudget, context: _Context, caller: str, size: int) -> None:
        self._budget, self._context, self._caller, self._size = budget, context, caller, size

    async def shrink(self, size: int) -> None:
        """Hold no more than this."""
        if size < self._size:
            surplus, self._size = self._size - size, size
            await self._budget.give_back(self._caller, surplus)

    async def write(self, message: Any, *, size: int) -> None:  # Any: of the call's type
        """Write a message of about `size` bytes; returns when it is on its way.

        Raises:
            ConditionError: `TIMEOUT`: the reader does not take it.
        """
        await self.shrink(size)
        try:
            async with asyncio.timeout(self._budget.timeout_s):
                await self._context.write(message)
        except TimeoutError:
            raise ConditionError(
                field="reader",
                found=f"a message of about {size} bytes not taken within {self._budget.timeout_s:.0f} s",
                expected="a reader that keeps up",
                code=Code.TIMEOUT,
            ) from None
