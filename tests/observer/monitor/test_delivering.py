"""Alarms are given in order, at least once, tried again, and never dropped in silence."""

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Code, ConditionError, PolicyError
from ledger.positions import Height, Millis
from observer.monitor import journal as journaling
from observer.monitor.alarms import Alarm
from observer.monitor.conditions import Lasting
from observer.monitor.delivering import ATTEMPTS_MIN, REFUSALS_MAX, RESTING_MS, Deliverer, Retrying
from observer.monitor.journal import Cursor, Journal, Numbered
from observer.monitor.kinds import Kind, Severity
from observer.monitor.lines import LinesOutlet
from observer.monitor.outlets import Filter
from tests.observer.monitor.parts import Clock
from tests.observer.monitor.receivers import LEDGER, make_one

DOWN = ConditionError(field="outlet", found="nothing", expected="an answer", code=Code.UNREACHABLE)
REFUSED = PolicyError(field="outlet", found="HTTP status 400", expected="2xx")


@dataclass
class Kept:
    """An outlet that keeps what it is given, and fails as it is told."""

    name: str = "test.kept"
    filter: Filter = field(default_factory=Filter)
    given: list[str] = field(default_factory=list)
    fails: Callable[[Alarm], Exception | None] = lambda _: None

    def prepare(self, journal: Journal) -> None:
        pass

    def deliver(self, first: Numbered, journal: Journal) -> int:
        failure = self.fails(first.alarm)
        if failure is not None:
            raise failure
        self.given.append(first.alarm.id)
        return first.number


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "watch.sqlite") as opened:
        opened.add_outlet("test.kept")
        yield opened


def deliverer(tmp_path: Path, outlet: Kept, clock: Clock, results: list[str] | None = None) -> Deliverer:
    def on_result(name: str, result: str) -> None:
        assert name == outlet.name
        if results is not None:
            results.append(result)

    return Deliverer(outlet, tmp_path / "watch.sqlite", Retrying(60_000, 3_600_000), clock, on_result)


def record(journal: Journal, *numbers: int, seen_ms: int = 1000) -> list[str]:
    alarms = [make_one(number, seen_ms=seen_ms) for number in numbers]
    journal.record(alarms)
    return [alarm.id for alarm in alarms]


def test_alarms_are_given_in_the_order_in_which_they_were_recorded(journal: Journal, tmp_path: Path) -> None:
    outlet, results = Kept(), list[str]()
    ids = record(journal, *range(50))
    assert deliverer(tmp_path, outlet, Clock(), results).step(journal) == RESTING_MS
    assert outlet.given == ids
    assert results == ["given"] * 50
    assert deliverer(tmp_path, outlet, Clock()).step(journal) == RESTING_MS
    assert outlet.given == ids


def test_an_alarm_that_is_recorded_again_is_not_given_again(journal: Journal, tmp_path: Path) -> None:
    outlet = Kept()
    ids = record(journal, 1, 2)
    deliverer(tmp_path, outlet, Clock()).step(journal)
    assert record(journal, 1, 2, 3)[:2] == ids
    deliverer(tmp_path, outlet, Clock()).step(journal)
    assert outlet.given == [*ids, make_one(3).id]


def test_an_outlet_that_is_down_is_tried_again_ever_more_seldom_and_then_given_everything(
    journal: Journal, tmp_path: Path
) -> None:
    is_down, clock = [True], Clock(10_000)
    outlet = Kept(fails=lambda _: DOWN if is_down else None)
    ids = record(journal, *range(3), seen_ms=10_000)
    worker = deliverer(tmp_path, outlet, clock)
    waits = []
    for _ in range(9):
        waits.append(worker.step(journal))
        assert worker.step(journal) == waits[-1], "not tried before its time"
        clock.now_ms += waits[-1]
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
    assert journal.outlet("test.kept").failing_ms == 10_000
    assert "nothing" in journal.outlet("test.kept").failure
    is_down.clear()
    assert worker.step(journal) == RESTING_MS
    assert outlet.given == ids
    assert journal.outlet("test.kept").failing_ms is None


def test_the_waiting_is_remembered_over_a_restart_and_not_held_to_by_a_clock_set_back(
    journal: Journal, tmp_path: Path
) -> None:
    outlet, clock = Kept(fails=lambda _: DOWN), Clock(10**9)
    record(journal, 1, seen_ms=10**9)
    assert deliverer(tmp_path, outlet, clock).step(journal) == 1_000
    assert deliverer(tmp_path, outlet, clock).step(journal) == 1_000
    clock.now_ms = 1_000
    outlet.fails = lambda _: None
    assert deliverer(tmp_path, outlet, clock).step(journal) == RESTING_MS
    assert len(outlet.given) == 1


def test_an_outlet_that_is_down_for_days_misses_what_is_too_old_and_that_is_counted(
    journal: Journal, tmp_path: Path
) -> None:
    is_down, clock, results = [True], Clock(0), list[str]()
    outlet = Kept(fails=lambda _: DOWN if is_down else None)
    record(journal, 1, 2, seen_ms=0)
    young = record(journal, 3, seen_ms=2_000_000)
    worker = deliverer(tmp_path, outlet, clock, results)
    for _ in range(70):
        clock.now_ms += worker.step(journal)
    assert clock.now_ms > 3_600_000
    assert results.count("left_off") == 2
    state = journal.outlet("test.kept")
    assert (state.left_off_count, state.failing_ms) == (2, 0)
    is_down.clear()
    worker.step(journal)
    assert outlet.given == young
    assert journal.outlet("test.kept").left_off_count == 2
    assert len(journal.alarms(after=0, count=10)) == 3, "what was left off is in the journal"


def test_an_old_alarm_is_given_where_only_the_monitor_was_away(journal: Journal, tmp_path: Path) -> None:
    outlet = Kept()
    ids = record(journal, 1, seen_ms=0)
    deliverer(tmp_path, outlet, Clock(10**10)).step(journal)
    assert outlet.given == ids


def test_an_alarm_that_is_old_is_tried_a_few_times_before_it_is_left_off(journal: Journal, tmp_path: Path) -> None:
    outlet, clock, results = Kept(fails=lambda _: DOWN), Clock(10**10), list[str]()
    record(journal, 1, seen_ms=0)
    worker = deliverer(tmp_path, outlet, clock, results)
    while "left_off" not in results:
        clock.now_ms += worker.step(journal)
    assert results == ["failed"] * ATTEMPTS_MIN + ["left_off"]


def test_an_alarm_that_is_refused_holds_up_nobody_for_good(journal: Journal, tmp_path: Path) -> None:
    refused = make_one(2).id
    outlet = Kept(fails=lambda alarm: REFUSED if alarm.id == refused else None)
    clock, results = Clock(1_000), list[str]()
    ids = record(journal, 1, 2, 3)
    worker = deliverer(tmp_path, outlet, clock, results)
    while len(outlet.given) < 2:
        clock.now_ms += worker.step(journal)
    assert outlet.given == [ids[0], ids[2]]
    assert results == ["given", *["failed"] * REFUSALS_MAX, "left_off", "given"]
    assert journal.outlet("test.kept").left_off_count == 1


def test_a_mistake_of_ours_in_an_outlet_is_a_failed_attempt_and_no_more(journal: Journal, tmp_path: Path) -> None:
    mistakes: list[Exception] = [ZeroDivisionError(), RuntimeError("boom")]
    outlet, clock = Kept(fails=lambda _: mistakes.pop() if mistakes else None), Clock(1_000)
    ids = record(journal, 1)
    worker = deliverer(tmp_path, outlet, clock)
    for _ in range(3):
        clock.now_ms += worker.step(journal)
    assert outlet.given == ids


def test_an_outlet_is_given_only_what_its_filter_takes(journal: Journal, tmp_path: Path) -> None:
    alarms = [make_one(number, kind=kind) for number, kind in enumerate(Kind)]
    journal.record(alarms)
    outlet = Kept(filter=Filter(severity_min=Severity.CRITICAL))
    deliverer(tmp_path, outlet, Clock()).step(journal)
    assert outlet.given == [alarm.id for alarm in alarms if alarm.kind.severity is Severity.CRITICAL]
    assert journal.outlet("test.kept").position == len(alarms)


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Filter(), True),
        (Filter(kinds=("observation",)), True),
        (Filter(kinds=("misconduct",)), False),
        (Filter(labs=("acme", "cogs")), True),
        (Filter(labs=("cogs",)), False),
        (Filter(nations=("avalon",)), True),
        (Filter(nations=("brittia",)), False),
        (Filter(severity_min=Severity.NOTICE), True),
        (Filter(severity_min=Severity.WARNING), False),
    ],
)
def test_a_filter_takes_by_severity_kind_lab_and_nation(wanted: Filter, takes: bool) -> None:
    assert wanted.takes(make_one(1)) is takes


def test_a_new_outlet_is_given_what_comes_from_then_on(journal: Journal, tmp_path: Path) -> None:
    record(journal, 1, 2)
    journal.add_outlet("test.late")
    journal.add_outlet("test.late")
    later = record(journal, 3)
    outlet = Kept(name="test.late")
    deliverer(tmp_path, outlet, Clock()).step(journal)
    assert outlet.given == later


def test_what_a_journal_cannot_keep_is_counted_for_every_outlet_that_had_not_taken_it(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journaling, "ALARMS_KEPT_MAX", 10)
    journal.add_outlet("test.quick")
    quick = Kept(name="test.quick")
    for start in range(0, 40, 8):
        record(journal, *range(start, start + 8))
        deliverer(tmp_path, quick, Clock()).step(journal)
    outlet = Kept()
    deliverer(tmp_path, outlet, Clock()).step(journal)
    assert len(quick.given) == 40
    assert outlet.given == quick.given[-10:]
    assert journal.outlet("test.kept").left_off_count == 30
    assert journal.outlet("test.quick").left_off_count == 0


def test_what_would_be_found_again_is_not_told_again_after_its_words_are_gone(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journaling, "ALARMS_KEPT_MAX", 2)
    proof = make_one(1, kind=Kind.FORK_PROVEN)
    assert journal.record([proof]) == (proof,)
    record(journal, *range(10, 20))
    assert journal.record([proof]) == ()


def test_a_record_that_breaks_off_is_as_if_it_had_never_begun(journal: Journal) -> None:
    """Alarms, cursor and conditions are written together or not at all."""
    good = make_one(1)
    lasting = {(Kind.HEAD_OLD, "network"): Lasting(Millis(1))}
    with pytest.raises(AttributeError):
        journal.record([good, None], cursor=Cursor(Height(3), "ab"), lasting=lasting)  # type: ignore[list-item]
    assert (journal.alarms(after=0, count=9), journal.cursor(), journal.lasting()) == ([], None, {})
    journal.record([good], cursor=Cursor(Height(3), "ab"), lasting=lasting)
    assert (journal.cursor(), journal.lasting()) == (Cursor(Height(3), "ab"), lasting)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(["record", "give", "crash", "down"]), st.integers(0, 5)), max_size=30))
def test_every_alarm_is_given_at_least_once_and_repeated_only_after_a_crash(
    actions: list[tuple[str, int]],
) -> None:
    """Whatever fails and whenever it crashes between giving and remembering."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "watch.sqlite") as journal:
        journal.add_outlet("test.kept")
        outlet, clock, recorded, crashes = Kept(), Clock(1_000), list[str](), 0
        for action, count in actions:
            if action == "record":
                recorded += record(journal, *range(len(recorded), len(recorded) + count))
            elif action == "down":
                outlet.fails = lambda _: DOWN
                deliverer(Path(folder), outlet, clock).step(journal)
                outlet.fails = lambda _: None
            elif action == "crash":
                waiting = journal.next_for("test.kept", takes=lambda _: True)
                if waiting is not None:
                    outlet.deliver(waiting, journal)  # and nothing is remembered
                    crashes += 1
            else:
                clock.now_ms += 60_000
                deliverer(Path(folder), outlet, clock).step(journal)
        clock.now_ms += 60_000
        deliverer(Path(folder), outlet, clock).step(journal)
    assert list(dict.fromkeys(outlet.given)) == recorded
    assert len(outlet.given) <= len(recorded) + crashes


def test_a_thread_gives_what_is_recorded_while_it_rests_and_ends_when_it_is_told(
    journal: Journal, tmp_path: Path
) -> None:
    given = threading.Semaphore(0)
    outlet = Kept(fails=lambda _: given.release())
    worker = deliverer(tmp_path, outlet, Clock())
    thread = threading.Thread(target=worker.run)
    thread.start()
    for number in range(3):
        record(journal, number)
        worker.has_news.set()
        assert given.acquire(timeout=60)
    worker.stop()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_a_journal_that_fails_ends_no_thread(tmp_path: Path) -> None:
    (tmp_path / "watch.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(ConditionError) as refused:
        Journal(tmp_path / "watch.sqlite")
    assert refused.value.code is Code.STORE_DAMAGED
    rests = threading.Semaphore(0)

    class News(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rests.release()
            return super().wait(timeout)

    worker = deliverer(tmp_path, Kept(), Clock())
    worker.has_news = News()
    thread = threading.Thread(target=worker.run)
    thread.start()
    for _ in range(2):
        assert rests.acquire(timeout=60)
        worker.has_news.set()
    worker.stop()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "watch.sqlite") as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(ConditionError) as refused:
        Journal(tmp_path / "watch.sqlite")
    assert refused.value.code is Code.VERSION_MISMATCH


def test_lines_are_json_that_does_nothing_to_a_terminal(journal: Journal, tmp_path: Path) -> None:
    text = "\x1b[2J\x9b \u202e evil \n{}"
    journal.record([make_one(1, title=text, text=text)])
    with (tmp_path / "out").open("wb") as file:
        outlet = LinesOutlet("stdout.all", Filter(), file)
        (first,) = journal.alarms(after=0, count=1)
        assert outlet.deliver(first, journal) == 1
    raw = (tmp_path / "out").read_bytes().decode()
    assert raw.endswith("}\n")
    assert raw[:-1].isprintable()
    assert f'"ledger": "{LEDGER}"' in raw


def test_lines_that_nobody_reads_are_kept(journal: Journal) -> None:
    record(journal, 1)
    (first,) = journal.alarms(after=0, count=1)
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(ConditionError):
        LinesOutlet("stdout.all", Filter(), full).deliver(first, journal)
