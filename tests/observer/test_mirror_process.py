"""A mirror as operators run it: a process that is followed, stopped, killed anywhere, and runs into a full disk."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

import counterseal
from counterseal import Exit
from observer.copy import require_copy
from tests.conftest import REPOSITORY
from tests.node.ledger_in_memory import fetch_from, files_in, read_everything
from tests.observer.fakeledger import FakeLedger
from tests.observer.mirroring import HEIGHTS, make_long_ledger, mirror, publish, send, serving

LAST_BUNDLE = "tile/entries/004.p/27"
LIMIT_S = 120

# A process that dies, or finds its disk full, when it puts the n-th file in its place, or the checkpoint.
BREAKING = """
import os, resource, signal, sys
place, how, *words = sys.argv[1:]
left, link, rename = place, os.link, os.rename

def stop():
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))

def counted(source, target):
    global left
    left = str(int(left) - 1) if left.isdigit() else left
    if left == "0":
        stop()
    return link(source, target)

def named(source, target):
    if str(target).endswith("/" + place):
        stop()
    return rename(source, target)

os.link, os.rename = counted, named
import counterseal
counterseal.main(words)
"""


@pytest.fixture(scope="module")
def long_ledger() -> FakeLedger:
    return make_long_ledger()


@pytest.fixture(scope="module")
def published(long_ledger: FakeLedger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(long_ledger, tmp_path_factory.mktemp("node"), archives=8)


def words(place: Path, ledger: FakeLedger, *sources: str) -> list[str]:
    """The command of a mirror, with its output as JSON."""
    named = [word for source in sources for word in ("--from", source)]
    pinned = ["--charter-fingerprint", ledger.fingerprint.hex(), "--json"]
    return ["observe", "mirror", *named, "--to", str(place / "mirror"), "--home", str(place / "home"), *pinned]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the command line, killed if it is still there at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "counterseal", *command],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], event: str, **expected: object) -> dict[str, Any]:
    """Read output up to an event."""
    assert process.stdout is not None
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        if said["event"] == event and all(said[name] == value for name, value in expected.items()):
            return said
    raise AssertionError(process.stderr.read() if process.stderr is not None else "")


def test_a_mirror_follows_serves_and_stops_and_tells_of_a_liar_once(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    early = publish(long_ledger, tmp_path / "early", 290, archives=1)
    with ExitStack() as stack:
        liar, honest = stack.enter_context(serving(published)), stack.enter_context(serving(early))
        liar.answers["checkpoint"] = send(b"an answer of somebody else\n")
        following = ["--follow", "--poll", "0.1", "--listen", "127.0.0.1:0"]
        mirroring = stack.enter_context(running(*words(tmp_path, long_ledger, liar.url, honest.url), *following))
        address = read_until(mirroring, "serving")["address"]
        assert read_until(mirroring, "source", source=liar.url)["code"] == "FORMAT"
        read_until(mirroring, "published", height=290)
        honest.folder = published
        read_until(mirroring, "published", height=HEIGHTS)
        liar.wait_until_asked("checkpoint", times=3)
        with httpx.Client(base_url=f"http://{address}") as client:
            fetched = {path: client.get(path).content for path in files_in(tmp_path / "mirror")}
            size, entries, headers = read_everything(fetched.get)
            assert (size, entries, headers) == (len(long_ledger.entries), long_ledger.entries, long_ledger.chain)
        inside = (tmp_path / "home/copy.sqlite").as_posix()
        for trick in ("../home/copy.sqlite", "%2e%2e/home/copy.sqlite", "tile/../checkpoint", inside, ".incoming/0"):
            connection = HTTPConnection(address, timeout=LIMIT_S)  # which sends a path as it is
            connection.request("GET", f"/{trick}")
            assert connection.getresponse().status == 404, trick
            connection.close()
        mirroring.send_signal(signal.SIGTERM)
        out, err = mirroring.communicate(timeout=LIMIT_S)
    assert (mirroring.returncode, err) == (Exit.DONE, "")
    assert not [line for line in out.splitlines() if liar.url in line], "told once, not in each round"


def test_a_mirror_that_is_killed_while_it_copies_goes_on_where_it_was(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    with serving(published) as node:
        node.answers[LAST_BUNDLE] = node.drip
        with running(*words(tmp_path, long_ledger, node.url)) as mirroring:
            node.wait_until_asked(LAST_BUNDLE)
            mirroring.kill()
            mirroring.wait()
    with require_copy(tmp_path / "home") as copy:
        assert copy.head.header.height == 260, "the run that was written whole"
    assert files_in(tmp_path / "mirror") == {}
    with serving(published) as node:
        mirror(tmp_path, node.url, fingerprint=None)
        assert "tile/entries/000" not in node.asked
    assert read_everything(fetch_from(tmp_path / "mirror"))[1] == long_ledger.entries


def test_a_mirror_that_is_killed_while_it_publishes_shows_nothing_that_is_not_whole(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    killed = run("-c", BREAKING, "checkpoint", "die", *words(tmp_path, long_ledger, str(published)))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    there = files_in(tmp_path / "mirror")
    assert "cosignatures" in there
    assert "checkpoint" not in there
    mirror(tmp_path, str(published), fingerprint=None)
    assert read_everything(fetch_from(tmp_path / "mirror"))[2] == long_ledger.chain
    assert not [*(tmp_path / "mirror/.incoming").iterdir()]


def test_a_full_disk_is_said_in_a_sentence_and_nothing_is_half_there(
    long_ledger: FakeLedger, published: Path, tmp_path: Path
) -> None:
    full = run("-c", BREAKING, "5", "full", *words(tmp_path, long_ledger, str(published)))
    assert full.returncode == Exit.CONDITION
    assert '"published"' not in full.stdout
    assert "[DISK_FULL]" in full.stderr
    there = files_in(tmp_path / "mirror")
    assert "checkpoint" not in there
    assert {
        path for path, raw in there.items() if path.startswith("tile") and (published / path).read_bytes() != raw
    } == set()
    assert not [*(tmp_path / "mirror/.incoming").iterdir()]
    mirror(tmp_path, str(published), fingerprint=None)
    assert read_everything(fetch_from(tmp_path / "mirror"))[2] == long_ledger.chain


def test_the_exit_code_and_the_message_name_a_source_that_lied(
    long_ledger: FakeLedger, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truncated = send((published / "headers/000").read_bytes()[:-1])
    with serving(published, {"headers/000": truncated}) as liar:
        command = words(tmp_path, long_ledger, liar.url, str(published))
        with pytest.raises(SystemExit) as left:
            counterseal.main(command)
    printed = capsys.readouterr()
    assert left.value.code == Exit.MALFORMED
    assert printed.err.startswith(f"counterseal: {liar.url}: bundle")
    assert [json.loads(line)["event"] for line in printed.out.splitlines()] == ["source", "source", "published"]
