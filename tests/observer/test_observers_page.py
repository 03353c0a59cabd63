"""The page for observers: every command on it runs, in its order, and it quotes what the program says."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import counterseal
from ledger.forks import prove_fork
from ledger.limits import FORK_BYTES_MAX, FORK_HEADERS_MAX, MIB
from ledger.verify import CAVEAT
from node.v1 import reading_pb2_grpc
from observer.evidence import BEHIND_KEPT_MAX, list_undecided
from observer.monitor.delivering import ATTEMPTS_MIN, REFUSALS_MAX
from observer.monitor.journal import ALARMS_KEPT_MAX
from tests.conftest import REPOSITORY
from tests.observer.conftest import Reading
from tests.observer.fakeledger import FakeLedger
from tests.observer.forking import fork

PAGE = (REPOSITORY / "docs" / "observers.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Every command of the page, continued lines joined."""
    blocks = re.sub(r"\\\n\s+", "", PAGE)
    return [shlex.split(line) for line in re.findall(r"^ {4,}(counterseal .*)$", blocks, re.MULTILINE)]


@pytest.fixture
def places(
    ledger: FakeLedger,
    tmp_path: Path,
    serve_grpc: Callable[[reading_pb2_grpc.ReadingServicer], str],
    serve_http: Callable[[Path], str],
) -> dict[str, str]:
    """What stands for the names on the page."""
    return {
        "grpc://node.example:7302": serve_grpc(Reading(ledger)),
        "https://mirror.example/ledger": serve_http(ledger.publish(tmp_path / "published")),
        "HEX": ledger.fingerprint.hex(),
        "proof.json": str(write_proof(ledger, tmp_path / "proof.json")),
    }


def write_proof(ledger: FakeLedger, path: Path) -> Path:
    """What somebody else has found."""
    path.write_bytes(prove_fork(ledger.charter, ledger.note(6), fork(ledger, 6).note()))
    return path


def test_every_command_of_the_page_runs(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = commands()
    assert [words[1:3] for words in found][:3] == [["observe", "sync"], ["observe", "audit"], ["observe", "board"]]
    assert len(found) == 18
    for words in found:
        if "NAME" in words:
            (places["NAME"],) = (folder.name for folder in list_undecided(tmp_path / "pause"))
        with pytest.raises(SystemExit) as left:
            counterseal.main([places.get(word, word) for word in words[1:]])
        printed = capsys.readouterr()
        assert left.value.code == 0, (words, printed.err)
        assert printed.out


def test_the_page_says_what_a_verdict_does_not_show_in_the_programs_words() -> None:
    quoted = " ".join(line.removeprefix(">").strip() for line in PAGE.splitlines() if line.startswith(">"))
    assert quoted == CAVEAT


def test_the_page_states_the_numbers_of_the_program() -> None:
    assert f"first {BEHIND_KEPT_MAX})" in PAGE
    assert f"at least {ATTEMPTS_MIN} times in a row" in PAGE
    assert f"refuses {REFUSALS_MAX} times" in PAGE
    assert f"{ALARMS_KEPT_MAX:,} alarms".replace(",", " ") in PAGE
    formats = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
    assert f"at most {FORK_BYTES_MAX // MIB} MiB; one JSON object" in formats
    assert f"at most {FORK_HEADERS_MAX:,} |".replace(",", " ") in formats
