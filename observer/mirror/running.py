"""A mirror as a process: one round, or one after the other, and the files served meanwhile.

The mirror has a thread of its own, the server the event loop. SIGTERM and SIGINT end a running mirror in order; being
killed at any point loses nothing: the copy ends with a run that was written whole, and what is published is right up to
the checkpoint that stands there.

What waiting or an operator mends is told once and tried again: a full disk, a place that is ahead of the copy, or away.
Damage, and a setting that is wrong, end the mirror.
"""

import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ledger.errors import Code, ConditionError
from observer.heads import read_clock
from observer.mirror.patience import PatientSource, wait_for_any
from observer.mirror.rounds import Mirror, open_mirror
from observer.mirror.targets import Target, open_target, require_plain_url
from observer.mirror.telling import Teller
from observer.source import open_source
from observer.sync import Outcome, conclude
from tlog.addresses import Address, parse_address
from tlog.serving import READERS_MAX, make_app, serve_http

_MENDED_BY_WAITING: Final = (Code.DISK_FULL, Code.NOT_READY, Code.TIMEOUT, Code.UNREACHABLE)
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asked for.

    Attributes:
        home: folder of the copy.
        sources: URLs to copy from.
        target: URL to publish into.
        fingerprint: of the charter; None to take the one the copy is pinned to.
        poll_s: how long to wait between two rounds; None to make one round only.
        listen: `host:port` to serve on; None for nowhere.
    """

    home: Path
    sources: tuple[str, ...]
    target: str
    fingerprint: bytes | None
    poll_s: float | None
    listen: str | None


def mirror_home(wanted: Wanted, *, say: Callable[[str], None], as_json: bool) -> None:
    """Mirror until it is done, or until the process is told to stop.

    Args:
        wanted: what to do.
        say: takes each line of output.
        as_json: whether lines are JSON objects.

    Raises:
        LedgerError: as `open_mirror`; without a poll interval, as `sync.conclude`; trouble that waiting does not mend.
    """
    for url in wanted.sources:
        require_plain_url(url, field="from")
    asyncio.run(_run(wanted, Teller(say, as_json, read_clock)))


async def _run(wanted: Wanted, teller: Teller) -> None:
    listen = None if wanted.listen is None else parse_address(wanted.listen, field="listen")
    stopped: Future[None] = Future()
    loop = asyncio.get_running_loop()
    signals = () if wanted.poll_s is None else _STOPPING  # one round needs no order to end in: it may end anywhere
    for number in signals:
        loop.add_signal_handler(number, _stop, stopped)
    with contextlib.ExitStack() as stack:
        target = open_target(wanted.target, stack)
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="mirror"))
        running = _Running(wanted, target, teller, stopped)
        try:
            opened = await loop.run_in_executor(thread, running.open)
            stopping = asyncio.wrap_future(stopped)
            stopping.add_done_callback(lambda _: opened.stop())
            async with _serve(listen, target, teller):
                await loop.run_in_executor(thread, running.run)
        except ConditionError as error:
            if error.code is not Code.DRAINING:  # a stop that was asked for is no failure
                raise
        finally:
            _stop(stopped)
            await loop.run_in_executor(thread, running.close)
            for number in signals:
                loop.remove_signal_handler(number)


def _stop(stopped: Future[None]) -> None:
    if not stopped.done():
        stopped.set_result(None)


@contextlib.asynccontextmanager
async def _serve(listen: Address | None, target: Target, teller: Teller) -> AsyncIterator[None]:
    if listen is None:
        yield
        return
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # results alone go to stdout
    with ThreadPoolExecutor(READERS_MAX, thread_name_prefix="reader") as readers:
        async with serve_http(make_app(target.files, readers), listen) as port:
            teller.tell_listening(str(Address(listen.host, port)))
            yield


class _Running:
    """What the mirror's thread does."""

    def __init__(self, wanted: Wanted, target: Target, teller: Teller, stopped: Future[None]) -> None:
        self._wanted, self._target, self._teller, self._stopped = wanted, target, teller, stopped
        self._stack = contextlib.ExitStack()

    def open(self) -> Mirror:
        """Open sources and copy."""
        sources = [PatientSource(open_source(url), self._stopped) for url in self._wanted.sources]
        for source in sources:
            self._stack.callback(source.close)
        self._mirror = open_mirror(
            self._wanted.home,
            sources,
            self._target,
            self._stack,
            fingerprint=self._wanted.fingerprint,
            draw=secrets.token_bytes,
            clock=read_clock,
            progress=self._teller.tell_progress,
        )
        return self._mirror

    def run(self) -> None:
        """Make one round, or go on until the process is to stop."""
        if self._wanted.poll_s is None:
            conclude(self._run_once())
        else:
            self._follow(self._wanted.poll_s)

    def close(self) -> None:
        """Close copy and sources, in the thread that opened them."""
        self._stack.close()

    def _run_once(self) -> Sequence[Outcome]:
        """Make a round, and another one for as long as a source was left in the middle that brings something."""
        while True:
            done = self._mirror.run_round()
            self._teller.tell(done)
            if done.trouble is not None:
                raise done.trouble
            if not done.is_cut:
                return done.outcomes

    def _follow(self, poll_s: float) -> None:
        while not self._stopped.done():
            try:
                done = self._mirror.run_round()
                self._teller.tell(done)
                if done.trouble is not None:
                    raise done.trouble
                if done.is_cut:
                    continue
            except ConditionError as error:
                if error.code not in _MENDED_BY_WAITING:
                    raise
                self._teller.tell_trouble(error)
            wait_for_any((self._stopped,), timeout_s=poll_s)
