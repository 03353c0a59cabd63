"""A running monitor: real processes that are killed and ended, settings as files, metrics, and the commands."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import counterseal
from counterseal import Exit
from ledger.errors import Code, ConditionError
from ledger.positions import Millis
from observer.monitor import looking, watching
from observer.monitor.config import (
    encode_default_watch_config,
    is_loopback,
    is_source,
    parse_watch_config,
    write_default_config,
)
from observer.monitor.journal import JOURNAL_FILE, Journal
from observer.monitor.kinds import Kind
from observer.monitor.metrics import RESULTS, WatchMetrics
from observer.monitor.watching import Monitor, alone
from tests.conftest import REPOSITORY
from tests.observer.fakeledger import FakeLedger, LedgerSource
from tests.observer.monitor.receivers import Posted, is_signed, receive, write_secret
from tests.observer.monitor.story import StoryLedger
from tests.observer.monitor.test_entries import tell_all

Command = Callable[..., tuple[int, str, str]]

TOLD = ["misconduct", "verdict-exceeded", "proposal-carried", "pause-activated", "pause-lifted", "entry-malformed"]
"""What the web server of a test is told of: enough, and quick."""


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Run a command through the front door; gives exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            counterseal.main([str(word) for word in words])
        sys.stdout.flush()
        printed = capfdbinary.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, printed.out.decode(), printed.err.decode()

    return run


Sections = Mapping[str, Mapping[str, object]]


def write_settings(folder: Path, ledger: FakeLedger, published: Path, sections: Sections) -> Path:
    """Settings of a monitor of a published folder, that looks often and from the beginning on."""
    watch: Mapping[str, object] = {
        "sources": [str(published)],
        "home": "pause",
        "fingerprint": ledger.fingerprint.hex(),
        "interval_ms": 100,
        "history": "all",
    }
    lines = []
    for name, values in ({"watch": watch, "metrics": {"listen": ""}} | dict(sections)).items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path = folder / "watch.toml"
    path.write_text("\n".join(lines))
    return path


@contextlib.contextmanager
def running(settings: Path, *, until: str = "watching") -> Iterator[subprocess.Popen[bytes]]:
    """A monitor as a process of its own; whatever happens, it is gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import counterseal; counterseal.main()", "observe", "watch", "--config", settings],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert until.encode() in line, line + process.stderr.read()
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        yield process
    finally:
        process.kill()
        process.wait(timeout=60)
        drain.join(timeout=60)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def recorded(settings: Path) -> list[str]:
    with Journal(settings.parent / "pause" / JOURNAL_FILE) as journal:
        return [each.alarm.id for each in journal.alarms(after=0, count=100_000)]


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_monitor_killed_between_giving_and_remembering_gives_that_alarm_again_and_every_other_once(
    story: StoryLedger, tmp_path: Path
) -> None:
    write_secret(tmp_path / "hook.secret")
    victims: list[subprocess.Popen[bytes]] = []
    killed_at = 2

    def kill(number: int, _: Posted) -> int:
        if number == killed_at:
            victims[0].send_signal(signal.SIGKILL)
            victims[0].wait(timeout=60)
        return 204

    with receive() as receiver:
        receiver.answer = kill
        hook = {"url": receiver.url, "secret_file": "hook.secret", "severity_min": "warning", "kinds": TOLD}
        settings = write_settings(tmp_path, story, story.publish(tmp_path / "published"), {"webhook.office": hook})
        with running(settings) as process:
            victims.append(process)
            receiver.wait_for(killed_at)
            process.wait(timeout=60)
        expected = [alarm.id for alarm in tell_all(story) if alarm.kind in TOLD]
        with running(settings) as process:
            receiver.wait_for(len(expected) + 1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
    ids = receiver.ids
    assert all(is_signed(posted) for posted in receiver.posted)
    assert ids[killed_at - 1] == ids[killed_at], "the one that was given and not remembered"
    assert [*ids[:killed_at], *ids[killed_at + 1 :]] == expected
    every = [alarm.id for alarm in tell_all(story)]
    assert [each for each in recorded(settings) if each in set(every)] == every


def test_a_second_monitor_in_one_folder_is_refused(story: StoryLedger, tmp_path: Path, command: Command) -> None:
    settings = write_settings(tmp_path, story, story.publish(tmp_path / "published"), {"feed.all": {}})
    with alone(tmp_path / "pause"):
        code, _, err = command("observe", "watch", "--config", settings, "--once")
    assert (code, "another monitor at work here" in err) == (Exit.CONDITION, True)
    assert command("observe", "watch", "--config", settings, "--once")[0] == 0


def test_a_running_monitor_is_measured(story: StoryLedger, tmp_path: Path) -> None:
    """The port is one that the system chose, which the monitor's first line tells."""
    sections = {"metrics": {"listen": "127.0.0.1:0"}, "feed.all": {}}
    published = story.publish(tmp_path / "published")
    config = parse_watch_config(
        write_settings(tmp_path, story, published, sections).read_bytes(),
        folder=tmp_path,
    )
    ports: list[int | None] = []
    found: dict[str, dict[str, float]] = {}

    def scrape() -> None:
        while "counterseal_watch_looks_total" not in found or not found["counterseal_watch_looks_total"]["followed"]:
            with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/metrics", timeout=60) as answer:
                text = answer.read().decode()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    found.setdefault(sample.name, {})["/".join(sample.labels.values())] = sample.value

    monitor = Monitor(config, draw=os.urandom, clock=lambda: Millis(story.chain[-1].header.time_ms))
    stop_when(monitor, scrape, ports=ports)
    assert found["counterseal_watch_height"] == {"": story.height}
    assert found["counterseal_watch_head_age_seconds"] == {"": 0}
    stands = found["counterseal_watch_source"]
    assert stands[f"same/{published}"] + stands[f"ahead/{published}"] == 1
    assert found["counterseal_watch_network"]["breached"] == 1
    assert found["counterseal_watch_alarms_total"]["misconduct"] == 1
    assert found["counterseal_watch_last_sync_success_seconds"][""] > 0
    results = {f"feed.all/{result}" for result in RESULTS}
    assert set(found["counterseal_watch_deliveries_total"]) == results


def test_a_source_that_drips_and_an_outlet_that_hangs_keep_a_monitor_from_nothing(
    story: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ENDING_S", 0.2)
    is_over, looks, is_fed = threading.Event(), threading.Semaphore(0), threading.Event()
    monkeypatch.setattr(WatchMetrics, "on_result", lambda _, name, __: is_fed.set() if name == "feed.all" else None)

    class Dripping(LedgerSource):
        def read_checkpoints(self) -> list[bytes]:
            looks.release()
            is_over.wait(60)
            return super().read_checkpoints()

    sources = {"a": LedgerSource(story, name="a"), "b": Dripping(story, name="b")}
    monkeypatch.setattr(looking, "open_source", sources.__getitem__)
    write_secret(tmp_path / "hook.secret")
    with receive() as receiver:

        def hang(_number: int, _posted: Posted) -> int:
            is_over.wait(60)
            return 204

        receiver.answer = hang
        hook = {"url": receiver.url, "secret_file": "hook.secret"}
        path = write_settings(tmp_path, story, tmp_path, {"webhook.office": hook, "feed.all": {}})
        config = parse_watch_config(path.read_bytes(), folder=tmp_path)
        one = replace(config, watch=replace(config.watch, sources=("a",)))
        monitor = Monitor(one, draw=os.urandom, clock=lambda: Millis(story.chain[-1].header.time_ms))

        def wait() -> None:
            receiver.wait_for(1)
            assert is_fed.wait(60)

        stop_when(monitor, wait)
        shown = (tmp_path / "alarms.atom").read_bytes().count(b"<entry>")
        assert shown == len(recorded(path)), "the other outlet was given everything"
        dripping = replace(config, watch=replace(config.watch, sources=("b",)))
        monitor = Monitor(dripping, draw=os.urandom, clock=lambda: Millis(story.chain[-1].header.time_ms))
        stop_when(monitor, lambda: looks.acquire(timeout=60))
        is_over.set()


def stop_when(monitor: Monitor, wait: Callable[[], object], *, ports: list[int | None] | None = None) -> None:
    """Run until something has happened, then end by a signal, which is sent only while somebody waits for it."""

    def stop(loop: asyncio.AbstractEventLoop) -> None:
        try:
            wait()
        finally:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(signal.raise_signal, signal.SIGTERM)

    threads: list[threading.Thread] = []

    def on_started(port: int | None) -> None:
        if ports is not None:
            ports.append(port)
        threads.append(threading.Thread(target=stop, args=(asyncio.get_running_loop(),)))
        threads[0].start()

    asyncio.run(monitor.run(on_started=on_started))
    threads[0].join(timeout=60)
    assert not threads[0].is_alive()


def test_a_mistake_of_ours_while_looking_ends_the_process(
    story: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody starts it again; a thread that is silently gone would watch nothing."""

    def fail(_: object) -> None:
        raise ZeroDivisionError

    path = write_settings(tmp_path, story, story.publish(tmp_path / "published"), {"feed.all": {}})
    monitor = Monitor(parse_watch_config(path.read_bytes(), folder=tmp_path), draw=os.urandom, clock=lambda: Millis(1))
    monkeypatch.setattr(looking.Looker, "look", fail)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(monitor.run(on_started=lambda _: None))


def test_a_journal_that_cannot_be_written_for_a_while_ends_no_watch(
    story: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = threading.Semaphore(0)

    def refuse(_: object) -> None:
        looks.release()
        raise ConditionError(field="watch.sqlite", found="full", expected="room", code=Code.DISK_FULL)

    path = write_settings(tmp_path, story, story.publish(tmp_path / "published"), {"feed.all": {}})
    monitor = Monitor(parse_watch_config(path.read_bytes(), folder=tmp_path), draw=os.urandom, clock=lambda: Millis(1))
    monkeypatch.setattr(looking.Looker, "look", refuse)
    stop_when(monitor, lambda: [looks.acquire(timeout=60) for _ in range(2)])


# --- commands --------------------------------------------------------------------------------------------------------


def test_one_look_tells_what_is_new_and_the_next_one_nothing(
    ledger: FakeLedger, tmp_path: Path, command: Command
) -> None:
    published, home = ledger.publish(tmp_path / "published", height=7), tmp_path / "pause"
    words = ("observe", "watch", "--from", published, "--home", home, "--once")
    code, _, err = command(*words)
    assert (code, "fingerprint" in err) == (Exit.CONDITION, True)
    code, out, _ = command(*words, "--charter-fingerprint", ledger.fingerprint.hex())
    first = [json.loads(line) for line in out.splitlines()]
    assert (code, {each["phase"] for each in first}) == (0, {"raised"})
    assert command(*words)[:2] == (0, "")
    ledger.publish(published)
    code, out, _ = command(*words)
    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert (code, kinds.count("verdict-missing")) == (0, 2)
    code, out, _ = command("observe", "alarms", "--home", home, "--json")
    listed = json.loads(out)
    assert len(listed["alarms"]) == len(first) + len(kinds)
    assert listed["outlets"]["stdout.all"]["waiting_count"] == 0
    code, out, _ = command("observe", "alarms", "--home", home, "--count", "1")
    assert (code, len(out.splitlines())) == (0, 2)
    assert command("observe", "alarms", "--home", tmp_path / "nowhere")[0] == Exit.UNAVAILABLE


def test_one_look_whose_alarms_nobody_takes_says_so_and_keeps_them(
    ledger: FakeLedger, tmp_path: Path, command: Command
) -> None:
    write_secret(tmp_path / "hook.secret")
    hook = {"url": "http://127.0.0.1:1/", "secret_file": "hook.secret"}
    published = ledger.publish(tmp_path / "published")
    settings = write_settings(tmp_path, ledger, published, {"webhook.office": hook, "stdout.all": {}})
    code, out, err = command("observe", "watch", "--config", settings, "--once")
    assert (code, "webhook.office" in err, out != "") == (Exit.UNAVAILABLE, True, True)
    with Journal(tmp_path / "pause" / JOURNAL_FILE) as journal:
        assert journal.outlet("webhook.office").position == 0
        assert journal.outlet("stdout.all").position == journal.last_number()


def test_settings_that_cannot_work_are_refused_before_anything_is_watched(
    ledger: FakeLedger, tmp_path: Path, command: Command
) -> None:
    hook = {"url": "http://127.0.0.1:1/", "secret_file": "absent.secret"}
    settings = write_settings(tmp_path, ledger, tmp_path, {"webhook.office": hook})
    code, _, err = command("observe", "watch", "--config", settings)
    assert (code, "absent.secret" in err) == (Exit.CONDITION, True)
    code, _, err = command("observe", "watch", "--home", tmp_path)
    assert (code, "sources" in err) == (Exit.CONDITION, True)
    code, _, err = command("observe", "watch", "--home", tmp_path, "--from", "http://me:secret@node.example/")
    assert (code, "secret@" in err) == (Exit.CONDITION, False)


def test_the_default_settings_are_written_once_and_read_as_the_defaults(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "watch.toml"
    assert command("observe", "watch", "--init", "--config", path)[0] == 0
    assert parse_watch_config(path.read_bytes(), folder=tmp_path) == parse_watch_config(b"", folder=tmp_path)
    assert command("observe", "watch", "--init", "--config", path)[0] == Exit.CONDITION
    with pytest.raises(ConditionError):
        write_default_config(tmp_path / "absent" / "watch.toml")


# --- settings --------------------------------------------------------------------------------------------------------


def test_every_outlet_of_the_default_file_is_one_when_its_comments_are_taken_away() -> None:
    text = encode_default_watch_config()
    lines = [line.removeprefix("# ") if line.startswith("# [") or " = " in line else line for line in text.splitlines()]
    config = parse_watch_config("\n".join(lines).encode(), folder=Path("/srv"))
    assert list(config.outlets) == ["stdout.all", "webhook.office", "mail.office", "feed.office"]
    assert set(tomllib.loads(text)) == {"watch", "patience", "delivery", "metrics", "stdout"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[wacth]", "`watch`?"),
        ("[watch]\nsource = []", "`sources`?"),
        ('[watch]\nsources = "one"', "a list"),
        ('[watch]\nsources = ["https://me:pw@x.example"]', "without a name or password"),
        ("[watch]\ninterval_ms = 5", "from 100"),
        ('[watch]\nfingerprint = "AB"', "64"),
        ("[patience]\nclear_ms = true", "whole number"),
        ("[webhook]\nurl = 3", "webhook.NAME"),
        ("[webhook.Office]", "lower-case"),
        ('[webhook.a]\nurl = "http://hooks.example/"', "https://"),
        ('[webhook.a]\nurl = "https://me:pw@hooks.example/"', "https://"),
        ('[webhook.a]\nurl = "https://h.example/\\nx"', "https://"),
        ('[webhook.a]\nkinds = ["verdict"]', "kinds of alarms"),
        ('[webhook.a]\nsecret = "whsec_x"', "secret_file"),
        ('[mail.a]\nsender = "a@b.example>\\r\\nBcc: c@d.example"', "name@domain"),
        ("[mail.a]\nrecipients = []", "at least one"),
        ('[mail.a]\nserver = "mail.example:25"\nsecurity = "none"', "this machine"),
        ('[mail.a]\nserver = "[::1]:25"\nsecurity = "none"\ncredentials_file = "c"', "TLS alone"),
        ('[feed.a]\ntitle = "\\u0007"', "printable"),
        ("[stdout.a]\nseverity_min = 3", "one of info"),
        ("\n".join(f"[stdout.a{number}]" for number in range(40)), "at most 32"),
    ],
)
def test_a_setting_that_is_wrong_is_named_with_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(ConditionError) as refused:
        parse_watch_config(text.encode(), folder=Path("/srv"))
    assert refused.value.code is Code.CONFIG
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.0.0.1.example", False), ("10.0.0.1", False)],
)
def test_this_machine_is_known_by_its_address_alone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_page_of_alarms_has_every_kind_and_every_setting() -> None:
    """It is written by `scripts/generate`; this says so without its tools."""
    page = (REPOSITORY / "docs" / "alarms.md").read_text(encoding="utf-8")
    assert [kind.value for kind in Kind if f"| `{kind}` | {kind.severity.word} | {kind.meaning} |" not in page] == []
    assert encode_default_watch_config() in page


def test_a_source_with_a_password_is_none_and_a_folder_with_an_at_sign_is_one() -> None:
    assert not is_source("https://me:pw@x.example/ledger")
    assert is_source("https://x.example/@ledger")
    assert is_source("mirrors/a@b")


def test_metrics_are_for_this_machine_unless_somebody_says_otherwise() -> None:
    listen = parse_watch_config(b"", folder=Path()).metrics.listen
    assert listen is not None
    assert is_loopback(listen.host)
