"""Give an outlet what waits for it, in order, until it takes nothing more; then come back later.

1. An alarm is given, then the position moves. A crash between the two has it given again, under the same id.
2. An outlet that takes nothing now (`ConditionError`, or a mistake of ours) is tried again after one second, then two,
   then four, up to `retry_max_ms`. Later alarms wait behind: order is kept, and what began is told before it is over.
3. An alarm that is older than `give_up_ms` when an attempt fails, after at least `ATTEMPTS_MIN` in a row, is left off;
   so an outlet that is down for longer than that misses the oldest, and is given the rest when it is back.
4. One that the outlet refuses (`PolicyError`) is left off after `REFUSALS_MAX` attempts, and the next is given.
5. What is left off stays in the journal, is counted there, and becomes an alarm itself once the outlet works again.

One outlet knows nothing of the others: each has a thread, and whatever goes wrong while it gives stays there.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from ledger.errors import LedgerError, PolicyError
from ledger.positions import Millis
from observer.monitor.journal import Journal, Numbered
from observer.monitor.outlets import Outlet

FIRST_RETRY_MS: Final = 1_000
ATTEMPTS_MIN: Final = 5
REFUSALS_MAX: Final = 8
RESTING_MS: Final = 60_000
"""How long an outlet's thread waits when there is nothing to do and nobody wakes it, or its journal fails."""

_DOUBLINGS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Retrying:
    """How an outlet that takes nothing is tried again."""

    retry_max_ms: int
    give_up_ms: int


@dataclass(slots=True)
class Deliverer:
    """Gives one outlet its alarms.

    Attributes:
        outlet: to whom.
        journal_path: of the journal, which each thread opens for itself.
        retrying: how it is tried again.
        clock: of this machine.
        on_result: told the outlet's name and `given`, `failed` or `left_off`, once for each alarm and attempt.
        is_stopping: set by whoever wants the thread to end.
        has_news: set by whoever recorded something, or wants the thread to end.
    """

    outlet: Outlet
    journal_path: Path
    retrying: Retrying
    clock: Callable[[], Millis]
    on_result: Callable[[str, str], None]
    is_stopping: threading.Event = field(default_factory=threading.Event)
    has_news: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Give, wait, give, until `stop`; a journal that fails is tried again, since it may be the disk."""
        while not self.is_stopping.is_set():
            wait_ms = RESTING_MS
            try:
                with Journal(self.journal_path) as journal:
                    wait_ms = self._run(journal)
            except LedgerError as error:
                structlog.get_logger("watch").error("journal fails", outlet=self.outlet.name, error=str(error))
            self._wait(wait_ms)

    def stop(self) -> None:
        """Have the thread end after what it is doing now."""
        self.is_stopping.set()
        self.has_news.set()

    def _run(self, journal: Journal) -> int:
        while not self.is_stopping.is_set():
            self._wait(self.step(journal))
        return 0

    def _wait(self, wait_ms: int) -> None:
        self.has_news.wait(min(wait_ms, RESTING_MS) / 1000)
        self.has_news.clear()

    def step(self, journal: Journal) -> int:
        """Give everything that can be given now.

        Returns:
            Milliseconds until there is something to do again; `RESTING_MS` if nothing waits.

        Raises:
            ConditionError: the journal cannot be read or written.
        """
        name = self.outlet.name
        while not self.is_stopping.is_set():
            wanted = journal.next_for(name, takes=self.outlet.filter.takes)
            if wanted is None:
                return RESTING_MS
            wait_ms = journal.outlet(name).next_ms - self.clock()
            if 0 < wait_ms <= self.retrying.retry_max_ms:  # more: this machine's clock was set back
                return wait_ms
            failure = self._give(wanted, journal)
            if failure is not None:
                self._note_failure(wanted, failure, journal)
        return 0

    def _give(self, wanted: Numbered, journal: Journal) -> Exception | None:
        """Give one alarm and move on; gives what went wrong instead."""
        name = self.outlet.name
        try:
            number = self.outlet.deliver(wanted, journal)
        except LedgerError as error:
            structlog.get_logger("watch").warning("not given", outlet=name, alarm=wanted.alarm.id, error=str(error))
            return error
        except Exception as error:  # noqa: BLE001 - a mistake in one outlet must not end the watch
            structlog.get_logger("watch").exception("our own mistake", outlet=name, alarm=wanted.alarm.id)
            return error
        journal.move(name, number)
        self.on_result(name, "given")
        return None

    def _note_failure(self, wanted: Numbered, error: Exception, journal: Journal) -> None:
        name, now_ms = self.outlet.name, self.clock()
        attempts = journal.outlet(name).attempts
        wait_ms = min(FIRST_RETRY_MS << min(attempts, _DOUBLINGS_MAX), self.retrying.retry_max_ms)
        failure = str(error) if isinstance(error, LedgerError) else f"our own mistake: {type(error).__name__}"
        journal.fail(name, failure, now_ms=now_ms, next_ms=Millis(now_ms + wait_ms))
        self.on_result(name, "failed")
        attempts += 1
        if isinstance(error, PolicyError):
            if attempts >= REFUSALS_MAX:
                self._leave_off(wanted, journal, is_next_due=True)
        elif attempts >= ATTEMPTS_MIN:
            self._leave_off_old(wanted, journal, now_ms=now_ms)

    def _leave_off_old(self, first: Numbered, journal: Journal, *, now_ms: Millis) -> None:
        waiting: Numbered | None = first
        while waiting is not None and now_ms - waiting.alarm.seen_ms >= self.retrying.give_up_ms:
            self._leave_off(waiting, journal, is_next_due=False)
            waiting = journal.next_for(self.outlet.name, takes=self.outlet.filter.takes)

    def _leave_off(self, wanted: Numbered, journal: Journal, *, is_next_due: bool) -> None:
        name = self.outlet.name
        structlog.get_logger("watch").error("left off", outlet=name, alarm=wanted.alarm.id, number=wanted.number)
        journal.leave_off(name, wanted.number, is_next_due=is_next_due)
        self.on_result(name, "left_off")
