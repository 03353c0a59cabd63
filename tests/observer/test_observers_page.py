"""The page for observers: every command on it runs, in its order, and it quotes what the program says."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import counterseal
from ledger.verify import CAVEAT
from node.v1 import reading_pb2_grpc
from observer.evidence import BEHIND_KEPT_MAX
from tests.conftest import REPOSITORY
from tests.observer.conftest import Reading
from tests.observer.fakeledger import FakeLedger

PAGE = (REPOSITORY / "docs" / "observers.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Every command of the page, continued lines joined."""
    blocks = re.sub(r"\\\n\s+", "", PAGE)
    return [shlex.split(line) for line in re.findall(r"^ {4}(counterseal .*)$", blocks, re.MULTILINE)]


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
    }


def test_every_command_of_the_page_runs(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = commands()
    assert [words[1:3] for words in found][:3] == [["observe", "sync"], ["observe", "audit"], ["observe", "board"]]
    assert len(found) == 8
    for words in found:
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
