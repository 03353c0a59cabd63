"""The page as a process: reads the copy, serves the application, follows sources if there are any, ends in order."""

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import typer

from ledger.encoding import decode_hex
from ledger.errors import LedgerError
from ledger.limits import HASH_BYTES
from observer.agreement import Clock
from observer.chain import Draw
from observer.copy import require_copy
from observer.heads import read_clock
from observer.sync import Progress, sync_home
from observer.web.app import COMPRESSORS, make_app
from observer.web.desk import Desk, Following
from observer.web.guard import LOOPBACK_NAMES
from observer.web.reading import Reading
from tlog.addresses import Address, parse_address
from tlog.serving import serve_http


class _StoppedError(Exception):
    """A sync is given up between two runs of blocks, since the server ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is served, to whom.

    Attributes:
        home: folder of the copy.
        fingerprint: of the charter it must be of; None to take the one it is pinned to.
        listen: where.
        hosts: names of this server beside its own; needed where it listens on more than this machine and is to refuse
            others.
        sources: addresses to follow.
        every_s: how long to wait between two times.
        version: of this program.
    """

    home: Path
    fingerprint: bytes | None
    listen: Address
    hosts: Sequence[str] = ()
    sources: Sequence[str] = ()
    every_s: int = 30
    version: str


def make_settings(
    *,
    home: Path,
    listen: str,
    sources: Sequence[str],
    every_s: int,
    fingerprint: str | None,
    hosts: Sequence[str],
) -> Settings:
    """Read the settings as they are written on a command line.

    Raises:
        ConditionError: `--listen` is no address.
        FormatError: the fingerprint is none.
    """
    return Settings(
        home=home,
        fingerprint=None
        if fingerprint is None
        else decode_hex(fingerprint, field="charter-fingerprint", size=HASH_BYTES),
        listen=parse_address(listen, field="--listen"),
        hosts=hosts,
        sources=sources,
        every_s=every_s,
        version=metadata.version("counterseal"),
    )


def choose_hosts(listen: Address, named: Sequence[str]) -> Sequence[str] | None:
    """Say which names `Host` may have; None for any.

    Args:
        listen: where the server listens.
        named: names it was given.
    """
    if is_loopback(listen.host):
        own = f"[{listen.host}]" if ":" in listen.host else listen.host
        return (*LOOPBACK_NAMES, own, *named)
    return tuple(named) or None


def is_loopback(host: str) -> bool:
    """Say whether only this machine can connect to an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def open_threads(count: int, *, name: str) -> Iterator[ThreadPoolExecutor]:
    """Have threads, and wait for what they do when they are not needed any more."""
    executor = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


async def serve(
    settings: Settings, *, clock: Clock, draw: Draw, stop: asyncio.Event, on_port: Callable[[int], None]
) -> None:
    """Serve until told to stop.

    Args:
        settings: what, to whom.
        clock: of this machine.
        draw: fresh random bytes, for checking seals together.
        stop: set to end.
        on_port: told the port once somebody can connect.

    Raises:
        ConditionError: `PORT_TAKEN`, or `CONFIG` if the address is not this machine's.
    """
    reading = Reading(settings.home, fingerprint=settings.fingerprint)
    is_stopping = threading.Event()
    with (
        open_threads(1, name="read") as readers,
        open_threads(COMPRESSORS, name="zip") as compressors,
        open_threads(1, name="follow") as followers,
    ):
        desk = Desk(reading, readers, clock=clock, version=settings.version)
        desk.following.sources = tuple(settings.sources)
        hosts = choose_hosts(settings.listen, settings.hosts)
        app = make_app(desk, reading, readers=readers, compressors=compressors, hosts=hosts)

        def sync() -> str | None:
            return _sync(settings, draw, is_stopping)

        try:
            async with serve_http(app, settings.listen) as port, asyncio.TaskGroup() as group:
                on_port(port)
                tasks = [group.create_task(desk.keep_up(), name="keep up")]
                if settings.sources:
                    follow = _follow(desk.following, sync, followers, clock=clock, every_s=settings.every_s)
                    tasks.append(group.create_task(follow, name="follow"))
                await stop.wait()
                for task in tasks:
                    task.cancel()
        finally:
            is_stopping.set()
            await asyncio.get_running_loop().run_in_executor(readers, reading.close)


def _sync(settings: Settings, draw: Draw, is_stopping: threading.Event) -> str | None:
    """Bring the copy up to date, and say what went wrong, if anything did; given up once the server ends."""

    def give_up(_: Progress) -> None:
        if is_stopping.is_set():
            raise _StoppedError

    try:
        result = sync_home(
            settings.home, settings.sources, fingerprint=settings.fingerprint, draw=draw, progress=give_up
        )
    except LedgerError as error:
        return str(error)
    except _StoppedError:
        return None
    return "; ".join(str(outcome.error) for outcome in result.outcomes if outcome.error is not None) or None


async def _follow(
    following: Following, sync: Callable[[], str | None], executor: ThreadPoolExecutor, *, clock: Clock, every_s: int
) -> None:
    """Bring the copy up to date again and again; what goes wrong is shown, and tried again."""
    while True:
        following.problem = await asyncio.get_running_loop().run_in_executor(executor, sync)
        following.asked_ms = clock()
        await asyncio.sleep(every_s)


def run_server(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, and say where on stderr.

    Raises:
        LedgerError: there is no copy, and no source to make one from; or as `serve`.
    """
    if not settings.sources:
        require_copy(settings.home, fingerprint=settings.fingerprint).close()
    host = settings.listen.host

    def tell(port: int) -> None:
        typer.echo(f"serving {settings.home} at http://{Address(host, port)}/ (Ctrl-C ends it)", err=True)
        if not is_loopback(host):
            typer.echo("anybody who can connect to this address sees this page, unencrypted", err=True)

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await serve(settings, clock=read_clock, draw=secrets.token_bytes, stop=stop, on_port=tell)

    asyncio.run(run())
