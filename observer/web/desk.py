"""Where requests wait for the one thread that reads the copy, and where its answers are kept as long as they are true.

1. Everything that touches the copy runs in one thread: answers, and the reading of what is new, a step at a time.
2. At most `WAITING_MAX` requests wait; whoever comes then is asked to come again.
3. An answer is kept until the copy changes, up to `KEPT_BYTES_MAX` in all; one that depends on more than the copy for
   `TIMELY_MS` at most.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import msgspec

from ledger.errors import Code, ConditionError
from ledger.limits import MIB
from ledger.positions import Millis
from observer.agreement import Clock
from observer.web.answers.words import Status
from observer.web.api import JSON_TYPE, Page, Route
from observer.web.pages.proven import Shown, describe_head
from observer.web.parameters import Asked
from observer.web.reading import Reading

WAITING_MAX: Final = 256
KEPT_BYTES_MAX: Final = 32 * MIB
TIMELY_MS: Final = 1_000
REFRESH_S: Final = 1.0
RETRY_REFUSED_S: Final = 10.0

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Body:
    """What is answered.

    Attributes:
        raw: its bytes.
        media_type: of them.
        file_name: under which a browser keeps it; None for what it shows.
    """

    raw: bytes
    media_type: str
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer that may be given again, before a time if it has one."""

    body: Body
    until_ms: Millis | None


@dataclass(slots=True)
class Following:
    """What became of following sources; a server that follows none has no sources."""

    sources: Sequence[str] = ()
    asked_ms: Millis | None = None
    problem: str | None = None


class Desk:
    """The thread, and who waits for it."""

    def __init__(self, reading: Reading, executor: ThreadPoolExecutor, *, clock: Clock, version: str) -> None:
        """Begin with nothing read.

        Args:
            reading: belongs to the executor's thread from now on.
            executor: of one thread.
            clock: of this machine.
            version: of this program.
        """
        self.following = Following()
        self._reading, self._executor, self._clock, self._version = reading, executor, clock, version
        self._waiting = 0
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = self._kept_at = 0

    @property
    def place(self) -> str:
        """What of this machine's paths is left out of messages."""
        return self._reading.place

    async def answer(self, route: Route, asked: Asked, *, target: str) -> Body:
        """Answer a request.

        Args:
            route: what is asked for.
            asked: with which parameters.
            target: the same as it came, under which the answer is kept.

        Raises:
            LedgerError: what prevents it.
        """
        if self._kept_at != self._reading.generation:
            self._kept.clear()
            self._kept_bytes, self._kept_at = 0, self._reading.generation
        now_ms, kept = self._clock(), self._kept.get(target)
        if kept is not None and (kept.until_ms is None or now_ms < kept.until_ms):
            self._kept.move_to_end(target)
            return kept.body
        body, generation = await self._run(partial(self._make, route, asked))
        if generation == self._kept_at:
            is_timely = isinstance(route, Page) and route.is_timely
            self._keep(target, _Kept(body, Millis(now_ms + TIMELY_MS) if is_timely else None))
        return body

    def _keep(self, target: str, kept: "_Kept") -> None:
        before = self._kept.pop(target, None)
        self._kept_bytes += len(kept.body.raw) - (0 if before is None else len(before.body.raw))
        self._kept[target] = kept
        while self._kept_bytes > KEPT_BYTES_MAX:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped.body.raw)

    def _make(self, route: Route, asked: Asked) -> tuple[Body, int]:
        """Make an answer, in the thread."""
        with self._reading.open() as (copy, view):
            shown = Shown(copy, view, self._clock())
            if isinstance(route, Page):
                body = Body(msgspec.json.encode(route.show(shown, asked)), JSON_TYPE)
            else:
                raw, name = route.give(shown, asked)
                body = Body(raw, route.media_type, name)
            return body, self._reading.generation

    async def status(self) -> Status:
        """Say how far the reading is; this is always answered."""
        progress = await self._run(self._reading.progress)
        return Status(
            state=progress.state,
            checked_entries_count=progress.checked_count,
            entries_count=progress.entries_count,
            head=None if progress.head is None else describe_head(progress.head.header),
            sources=list(self.following.sources),
            followed_ms=self.following.asked_ms,
            follow_problem=self._leave_place_out(self.following.problem),
            problem=self._leave_place_out(None if progress.problem is None else str(progress.problem)),
            version=self._version,
        )

    def _leave_place_out(self, text: str | None) -> str | None:
        return text.replace(self.place, "") if text is not None and self.place else text

    async def keep_up(self) -> None:
        """Read what is new, for as long as this runs."""
        while True:
            has_more = await self._in_thread(self._reading.advance)
            progress = await self._in_thread(self._reading.progress)
            if not has_more:
                await asyncio.sleep(RETRY_REFUSED_S if progress.state == "refused" else REFRESH_S)

    async def catch_up(self) -> None:
        """Read everything there is now."""
        while await self._in_thread(self._reading.advance):
            pass

    async def _run(self, act: Callable[[], ResultT]) -> ResultT:
        if self._waiting >= WAITING_MAX:
            expected = f"fewer than {WAITING_MAX}; try again in a moment"
            raise ConditionError(
                field="page", found=f"{self._waiting} waiting", expected=expected, code=Code.TOO_MANY_STREAMS
            )
        self._waiting += 1
        try:
            return await self._in_thread(act)
        finally:
            self._waiting -= 1

    async def _in_thread(self, act: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._executor, act)
