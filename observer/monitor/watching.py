"""A running monitor: one thread that looks, one for each outlet, and the metrics; until SIGTERM or Ctrl-C.

Sources, copy and mail are read and written by calls that block, as everywhere in this room, so each has a thread that
belongs to one outlet, or to the looking, and to nothing else: a source that drips holds up the next look, and no
delivery; an outlet that hangs holds up itself. The event loop has nothing but the metrics and the signals.

Ending: everybody is told, and has `ENDING_S` to finish what they are at. Threads are daemons: one that waits for a
source that drips is left behind, which is what a crash does, and from a crash everything recovers.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog

from ledger.errors import Code, ConditionError, LedgerError
from ledger.positions import Millis
from observer.chain import Draw
from observer.monitor.config import (
    FeedSettings,
    MailSettings,
    OutletSettings,
    StdoutSettings,
    WatchConfig,
    WebhookSettings,
)
from observer.monitor.delivering import Deliverer, Retrying
from observer.monitor.feed import FeedOutlet
from observer.monitor.journal import JOURNAL_FILE, Journal
from observer.monitor.kinds import SEVERITIES
from observer.monitor.lines import LinesOutlet
from observer.monitor.looking import Look, Looker, LookSettings, find_ledger
from observer.monitor.mail import MailOutlet
from observer.monitor.metrics import CONTENT_TYPE, WatchMetrics
from observer.monitor.outlets import Filter, Outlet
from observer.monitor.sightings import Patience
from observer.monitor.webhook import WebhookOutlet
from tlog.serving import make_metrics_app, serve_http

ENDING_S: Final = 10.0
LOCK_FILE: Final = "watch.lock"
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

Clock = Callable[[], Millis]


class Monitor:
    """A monitor with everything it is made of; nothing runs yet."""

    def __init__(self, config: WatchConfig, *, draw: Draw, clock: Clock) -> None:
        """Make every part, and check what can be checked without anybody else.

        Args:
            config: the settings.
            draw: fresh random bytes, for checking seals together.
            clock: of this machine.

        Raises:
            LedgerError: a setting, a secret, the copy or the journal is not as it must be.
        """
        self._config, self._clock, self._draw = config, clock, draw
        self._ledger = find_ledger(config.watch.home, config.watch.fingerprint)
        config.watch.home.mkdir(parents=True, exist_ok=True)
        self._journal_path = config.watch.home / JOURNAL_FILE
        outlets = [self._make_outlet(name, settings) for name, settings in config.outlets.items()]
        self.metrics = WatchMetrics(sources=config.watch.sources, outlets=list(config.outlets), clock=clock)
        with Journal(self._journal_path) as journal:
            for outlet in outlets:
                journal.add_outlet(outlet.name)
                outlet.prepare(journal)
        retrying = Retrying(config.delivery.retry_max_ms, config.delivery.give_up_ms)
        self._deliverers = [
            Deliverer(outlet, self._journal_path, retrying, clock, self.metrics.on_result) for outlet in outlets
        ]
        self._is_stopping = threading.Event()
        self._failure: BaseException | None = None

    def _make_outlet(self, name: str, settings: OutletSettings) -> Outlet:
        wanted = Filter(SEVERITIES[settings.severity_min], settings.kinds, settings.labs, settings.nations)
        match settings:
            case StdoutSettings():
                return LinesOutlet(name, wanted, sys.stdout.buffer)
            case WebhookSettings(url=url, secret_file=secret, ca_file=ca):
                return WebhookOutlet(name, wanted, url, secret, ca, self._clock)
            case MailSettings(server=server, security=security, sender=sender, recipients=recipients):
                return MailOutlet(
                    name,
                    wanted,
                    server,
                    security,
                    sender,
                    recipients,
                    settings.credentials_file,
                    settings.ca_file,
                )
            case FeedSettings(file=path, title=title, url=url, entries_max=count):
                return FeedOutlet(name, wanted, path, self._ledger, title, url, count)

    # -- once ---------------------------------------------------------------------------------------------------------

    def look_once(self) -> Look:
        """Look once, and give every outlet once what waits for it.

        Raises:
            LedgerError: the look could not be made, or an outlet took nothing; what waits is kept.
        """
        with Journal(self._journal_path) as journal:
            look = self._make_looker(journal).look()
            for deliverer in self._deliverers:
                deliverer.step(journal)
            states = journal.outlets()
        if look.error is not None:
            raise look.error
        for deliverer in self._deliverers:
            state = states[deliverer.outlet.name]
            if state.failing_ms is not None:
                expected = "an outlet that takes alarms; what waits is kept"
                raise ConditionError(
                    field=deliverer.outlet.name, found=state.failure, expected=expected, code=Code.UNREACHABLE
                )
        return look

    # -- for good -----------------------------------------------------------------------------------------------------

    async def run(self, *, on_started: Callable[[int | None], None]) -> None:
        """Watch until a signal.

        Args:
            on_started: told the port of the metrics, if there are any, once everything runs.

        Raises:
            LedgerError: the metrics cannot be served.
        """
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        for number in _STOPPING:
            loop.add_signal_handler(number, stopping.set)
        try:
            async with contextlib.AsyncExitStack() as serving:
                port = None
                if self._config.metrics.listen is not None:
                    app = make_metrics_app(self.metrics.encode, CONTENT_TYPE)
                    port = await serving.enter_async_context(serve_http(app, self._config.metrics.listen))
                running = [self._start("watch", self._look_for_good, stopping)]
                running += [self._start(each.outlet.name, each.run, stopping) for each in self._deliverers]
                on_started(port)
                await stopping.wait()
                self._stop()
                _, late = await asyncio.wait(running, timeout=ENDING_S)
                if late:
                    structlog.get_logger("watch").warning("left behind", threads_count=len(late))
        finally:
            self._stop()
            for number in _STOPPING:
                loop.remove_signal_handler(number)
        if self._failure is not None:
            raise self._failure

    def _stop(self) -> None:
        self._is_stopping.set()
        for deliverer in self._deliverers:
            deliverer.stop()

    def _start(self, name: str, work: Callable[[], None], stopping: asyncio.Event) -> asyncio.Future[None]:
        """Start a thread; gives what is done when it has ended. A mistake of ours in it ends the whole monitor.

        A thread that is silently gone would watch nothing, or give nothing; a process that is gone is started again.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not ended.done():
                ended.set_result(None)
            if self._failure is not None:
                stopping.set()

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it goes on its way in the main thread
                self._failure = error
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(tell)

        threading.Thread(target=run, name=name, daemon=True).start()
        return ended

    def _look_for_good(self) -> None:
        while not self._is_stopping.is_set():
            try:
                with Journal(self._journal_path) as journal:
                    self._look_with(journal)
            except LedgerError as error:  # the disk, or the journal itself: there may be room again
                structlog.get_logger("watch").error("cannot look", error=str(error))
            self._is_stopping.wait(self._config.watch.interval_ms / 1000)

    def _look_with(self, journal: Journal) -> None:
        looker, log = self._make_looker(journal), LookLog()
        while not self._is_stopping.is_set():
            look = looker.look()
            self.metrics.on_look(look)
            self.metrics.on_outlets(journal.outlets(), last_number=journal.last_number())
            for deliverer in self._deliverers:
                deliverer.has_news.set()
            log.write(look)
            self._is_stopping.wait(self._config.watch.interval_ms / 1000)

    def _make_looker(self, journal: Journal) -> Looker:
        config, patience = self._config, self._config.patience
        settings = LookSettings(
            home=config.watch.home,
            urls=config.watch.sources,
            fingerprint=config.watch.fingerprint,
            tells_history=config.watch.history == "all",
            patience=Patience(
                unreachable_ms=patience.unreachable_ms,
                source_behind_ms=patience.source_behind_ms,
                head_age_ms=patience.head_age_ms,
                nation_behind_ms=patience.nation_behind_ms,
                network_ms=patience.network_ms,
            ),
            outlet_ms=patience.outlet_ms,
            clear_ms=patience.clear_ms,
            lead_ms=patience.lead_ms,
            outlets=tuple(config.outlets),
        )
        return Looker(settings, journal, draw=self._draw, clock=self._clock)


def configure_log() -> None:
    """Have messages go to stderr, a JSON object a line; stdout is for alarms."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


class LookLog:
    """Writes a line about a look that found something, or could not be made; of a source, when it changes."""

    def __init__(self) -> None:
        """Begin with sources of which nothing is wrong."""
        self._known: dict[str, str] = {}

    def write(self, look: Look) -> None:
        """Write what is new."""
        log = structlog.get_logger("watch")
        if look.error is not None:
            log.error("cannot look", error=str(look.error))
        for outcome in look.outcomes:
            stands = outcome.relation.value if outcome.error is None else outcome.error.code.value
            is_fine, was = outcome.error is None, self._known.get(outcome.source, "")
            if is_fine and was:
                log.info("source", source=outcome.source, relation=outcome.relation.value)
            elif not is_fine and was != stands:
                log.warning("source", source=outcome.source, relation=outcome.relation.value, error=str(outcome.error))
            self._known[outcome.source] = "" if is_fine else stands
        if look.alarms:
            height = None if look.head is None else look.head.header.height
            log.info("looked", height=height, alarms_count=len(look.alarms))


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep other monitors from the same folder while the context lasts: two would tell everything twice.

    Raises:
        ConditionError: `CONFIG`: another one is at work there, or the folder cannot be written to.
    """
    home.mkdir(parents=True, exist_ok=True)
    held = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConditionError(
            field=str(home), found="another monitor at work here", expected="one for each folder", code=Code.CONFIG
        ) from None
    finally:
        os.close(held)
