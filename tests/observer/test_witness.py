"""`counterseal observe witness`: made, served by a real process, killed, asked again; what it says and refuses."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

import counterseal
from ledger import domains
from ledger.charter import parse_charter
from ledger.loglists import parse_log_list
from ledger.notes import parse_vkey
from ledger.witnessing import parse_size
from observer.copy import found_copy
from tests.observer.fakeledger import FakeLedger
from tests.tlog.foreignlog import Branch, ForeignLog, time_of
from tlog.witness_key import KEY_FILE
from tlog.witness_store import STORE_FILE

LOG = ForeignLog()
NAME = "observer.example/witness"
CHEAP = ("--argon2-memory-kib", "64", "--argon2-passes", "1")


class Operator:
    """Who runs the witness in a folder."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.passphrase, self._capsys = root / "w", root / "passphrase", capsys
        self.passphrase.touch(mode=0o600)
        self.passphrase.write_text("correct horse\n")

    def run(self, *words: object) -> tuple[int, str, str]:
        """Run a command here; gives its exit code, what it printed and what it said."""
        with pytest.raises(SystemExit) as left:
            counterseal.main(["observe", "witness", *map(str, words)])
        printed = self._capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, printed.out, printed.err

    def init(self, name: str = NAME) -> tuple[int, str, str]:
        return self.run("init", "--home", self.home, "--name", name, *self.with_passphrase, *CHEAP)

    @property
    def with_passphrase(self) -> tuple[str, str]:
        return ("--passphrase-file", str(self.passphrase))

    @contextmanager
    def serving(self) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """Start the process; gives it and the address that it prints once it is up."""
        command = [sys.executable, "-m", "counterseal", "observe", "witness", "serve", "--home", str(self.home)]
        command += ["--listen", "127.0.0.1:0", *self.with_passphrase]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(tmp_path, capsys)


def test_a_witness_is_made_once_and_says_what_others_configure(operator: Operator) -> None:
    code, printed, _ = operator.init()
    key = parse_vkey(printed.strip())
    assert (code, key.name, key.type_bytes) == (0, NAME, domains.NOTE_COSIGNATURE_ED25519)
    assert [(operator.home / name).stat().st_mode & 0o077 for name in (KEY_FILE,)] == [0]
    code, printed, said = operator.init()
    assert (code, printed) == (5, "")
    assert "never overwritten" in said


def test_killed_while_it_is_asked_it_goes_on_from_what_it_gave_away(operator: Operator) -> None:
    """SIGKILL lands while requests are on their way; afterwards no tree of a size that was cosigned gets a rival."""
    operator.init()
    (operator.home / "logs").write_text(LOG.listed(qpd=100_000))
    given: list[tuple[int, int]] = []
    with operator.serving() as (process, url), httpx.Client(base_url=url) as client:
        held = ask_held(client, given)
        is_enough = Event()
        killer = Thread(target=kill_when, args=(is_enough, process), daemon=True)
        killer.start()
        with contextlib.suppress(httpx.TransportError):
            for size in range(held + 1, held + 100_000):
                reply = client.post("/add-checkpoint", content=LOG.body(size - 1, size))
                assert reply.status_code == 200
                given.append((size, time_of(reply.content)))
                if size >= held + 15:
                    is_enough.set()
        killer.join()
        assert process.wait() == -signal.SIGKILL
    with operator.serving() as (process, url), httpx.Client(base_url=url) as client:
        held = ask_held(client, given)
        fork = Branch("fork", 3)
        for old, size in ((given[-1][0] - 1, given[-1][0]), (held, held), (held, held + 1)):
            assert client.post("/add-checkpoint", content=LOG.body(old, size, fork)).status_code in {409, 422}
        assert client.post("/add-checkpoint", content=LOG.body(held, held + 1)).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert [size for size, _ in given] == sorted({size for size, _ in given})
    assert [time_s for _, time_s in given] == sorted(time_s for _, time_s in given)


def kill_when(is_enough: Event, process: subprocess.Popen[str]) -> None:
    is_enough.wait()
    process.kill()


def ask_held(client: httpx.Client, given: list[tuple[int, int]]) -> int:
    """Learn from a conflict what the witness holds: what it gave last, or one more whose answer was never heard."""
    newest = given[-1][0] if given else 0
    reply = client.post("/add-checkpoint", content=LOG.body(newest + 5, newest + 6))
    assert reply.status_code == 409
    held = parse_size(reply.content)
    assert held in {newest, newest + 1}
    return held


def test_status_says_what_was_cosigned_and_which_log_forked(operator: Operator) -> None:
    operator.init()
    (operator.home / "logs").write_text(LOG.listed())
    with operator.serving() as (_, url), httpx.Client(base_url=url) as client:
        for body in (LOG.body(0, 5), LOG.body(5, 5, Branch("fork", 3))):
            client.post("/add-checkpoint", content=body)
        code, printed, _ = operator.run("status", "--home", operator.home)
        lines = printed.splitlines()
        assert (code, len(lines)) == (0, 3)
        assert lines[1].startswith(f"{LOG.origin}: size 5, cosigned 20")
        assert lines[2].startswith(f"{LOG.origin} signed two trees of one size; seen 20")
        _, printed, _ = operator.run("status", "--home", operator.home, "--json")
    state = json.loads(printed)
    assert [(log["origin"], log["size"]) for log in state["logs"]] == [(LOG.origin, 5)]
    (fork,) = state["forks"]
    assert fork["cosigned"].startswith(LOG.text(5))
    assert fork["other"].startswith(LOG.text(5, Branch("fork", 3)))


def test_what_keeps_it_from_serving_is_said_with_what_would_be_right(operator: Operator) -> None:
    operator.init()
    serve = ("serve", "--home", operator.home, "--listen", "127.0.0.1:0")
    assert operator.run(*serve, *operator.with_passphrase)[::2] == (
        5,
        f"counterseal: {operator.home}/logs: found no such file; expected the list of logs to witness [CONFIG]\n",
    )
    (operator.home / "logs").write_text("logs/v0\nvkey nonsense\n")
    code, _, said = operator.run(*serve, *operator.with_passphrase)
    assert (code, "logs line 2" in said) == (3, True)
    (operator.home / "logs").write_text(LOG.listed())
    operator.passphrase.chmod(0o644)
    code, _, said = operator.run(*serve, *operator.with_passphrase)
    assert (code, "mode 0644" in said) == (5, True)
    operator.passphrase.chmod(0o600)
    operator.passphrase.write_text("another\n")
    code, _, said = operator.run(*serve, *operator.with_passphrase)
    assert (code, "[PASSPHRASE]" in said) == (5, True)
    operator.passphrase.write_text("two\nlines\n")
    code, _, said = operator.run(*serve, *operator.with_passphrase)
    assert (code, "on one line" in said) == (5, True)
    operator.passphrase.write_text("correct horse\n")
    (operator.home / STORE_FILE).unlink()
    code, _, said = operator.run(*serve, *operator.with_passphrase)
    assert (code, "[STORE_DAMAGED]" in said) == (5, True)
    code, _, said = operator.run(*serve[:-1], "nowhere", *operator.with_passphrase)
    assert (code, "--listen" in said) == (5, True)
    code, _, said = operator.run(*serve)
    assert (code, "[PASSPHRASE]" in said) == (5, True)


def test_a_ledger_is_listed_for_a_witness_from_ones_own_copy(
    operator: Operator, ledger: FakeLedger, tmp_path: Path
) -> None:
    with found_copy(tmp_path / "copy", parse_charter(ledger.charter_entry)) as copy:
        keys = copy.keys
    for more, count in (((), len(keys.log_keys)), (("--seal",), 1)):
        code, printed, _ = operator.run("list", "--copy", tmp_path / "copy", *more)
        (log,) = parse_log_list(printed.encode()).values()
        assert (code, log.origin, len(log.known)) == (0, keys.origin, count)
