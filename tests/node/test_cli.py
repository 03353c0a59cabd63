"""`counterseal node …` on a machine where something is wrong: a clear sentence, a non-zero exit, never a traceback."""

import logging
import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

import counterseal
from counterseal import Exit
from devnet.network import Network, NodePlace
from node.home import Home
from tests.network.parties import make_terms


@pytest.fixture(autouse=True)
def journal() -> Iterator[None]:
    """Leave logging as it was: a node's command sets it up for its process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Operator:
    """Somebody at a terminal, with the folder of a node that is alone in its ledger."""

    def __init__(self, network: Network, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place: NodePlace = network.nodes[0]
        self.network_root, self._capsys = network.root, capsys
        self.home = Home(root / "home")
        shutil.copytree(self.place.home, self.home.root)

    def leave(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end; gives exit code and what stood on stderr."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            counterseal.main(["node", *arguments])
        printed = self._capsys.readouterr()
        assert isinstance(left.value.code, int)
        assert "Traceback" not in printed.err + printed.out
        return left.value.code, printed.err

    def run(self, passphrase: Path | None = None) -> tuple[int, str]:
        file = passphrase or self.network_root / "passphrase"
        return self.leave("run", "--home", str(self.home.root), "--passphrase-file", str(file))

    def change(self, before: str, after: str) -> None:
        text = self.home.config.read_text()
        assert before in text
        self.home.config.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A ledger of one member, founded by command."""
    network = Network.create(tmp_path_factory.mktemp("alone"), 1, make_terms)
    place, passphrase = network.nodes[0], network.root / "passphrase"
    words = ["node", "ceremony", "--home", place.home, "--draft", str(network.root / "charter.toml")]
    with pytest.raises(SystemExit) as left:
        counterseal.main([*words, "--passphrase-file", str(passphrase)])
    assert left.value.code == Exit.DONE
    return network


@pytest.fixture
def operator(founded: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(founded, tmp_path, capsys)


def test_a_wrong_setting_is_named_with_what_would_be_right(operator: Operator) -> None:
    operator.change("streams_max = 1000", "stream_max = 1000")
    code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert "unknown name 'stream_max'; expected `streams_max`? [CONFIG]" in sentence


def test_a_missing_folder_is_named(operator: Operator) -> None:
    operator.home.config.unlink()
    code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert str(operator.home.config) in sentence
    assert "[CONFIG]" in sentence


def test_a_wrong_passphrase_is_told_from_a_damaged_key(operator: Operator, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("something else\n")
    code, sentence = operator.run(wrong)
    assert (code, "[PASSPHRASE]" in sentence) == (Exit.CONDITION, True)
    key = next(operator.home.keys.glob("identity*"))
    raw = bytearray(key.read_bytes())
    raw[-20] ^= 1
    key.write_bytes(raw)
    code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert "[KEY_FILE_DAMAGED]" in sentence
    assert str(key) in sentence


@pytest.mark.parametrize("name", ["peer", "public", "http", "metrics"])
def test_a_port_that_is_taken_is_named(operator: Operator, name: str) -> None:
    address = getattr(operator.place, name).removeprefix("http://")
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))):
        code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert address in sentence
    assert "[PORT_TAKEN]" in sentence


def test_a_clock_that_is_behind_the_ledger_is_told(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 600 * 1_000_000_000)
    code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert "this machine's clock" in sentence
    assert "[CLOCK_AHEAD]" in sentence


def test_a_second_process_on_the_folder_is_kept_out(operator: Operator) -> None:
    with operator.home.alone():
        code, sentence = operator.run()
    assert code == Exit.UNAVAILABLE
    assert "another process" in sentence


def zeros(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))


def changed_state(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE state SET value = x'c0'")
    connection.commit()
    connection.close()


def changed_transcript(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = x'00'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [zeros, changed_state, changed_transcript])
def test_a_damaged_database_is_told_and_left_as_it_is(operator: Operator, damage: Callable[[Path], None]) -> None:
    damage(operator.home.store)
    before = operator.home.store.read_bytes()
    code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert str(operator.home.store) in sentence
    assert "[STORE_DAMAGED]" in sentence
    assert operator.home.store.read_bytes() == before


def test_a_database_of_another_release_is_told(operator: Operator) -> None:
    connection = sqlite3.connect(operator.home.store)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    code, sentence = operator.run()
    assert code == Exit.MALFORMED
    assert "database version 7" in sentence


def test_an_operator_socket_never_takes_the_place_of_a_file(operator: Operator) -> None:
    precious = operator.home.root / "precious.txt"
    precious.write_text("keep me")
    operator.change('socket = "operator.sock"', 'socket = "precious.txt"')
    code, sentence = operator.run()
    assert (code, "operator.socket" in sentence) == (Exit.CONDITION, True)
    assert precious.read_text() == "keep me"


def test_settings_that_name_no_member_are_refused(operator: Operator) -> None:
    operator.change("addresses = {}", 'addresses = { aurelai = "127.0.0.1:1" }')
    code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert "aurelai" in sentence
    assert "one of aurelia" in sentence


def test_a_certificate_that_is_none_is_refused(operator: Operator) -> None:
    (operator.home.peers / "aurelia.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    code, sentence = operator.run()
    assert code == Exit.MALFORMED
    assert "aurelia.pem: tls.certificate" in sentence


@pytest.mark.parametrize(
    "content", ["no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_public_certificate_that_is_none_is_told(operator: Operator, content: str) -> None:
    for name in ("chain.pem", "key.pem"):
        (operator.home.root / name).write_text(content)
    operator.change('tls_certificate = ""', 'tls_certificate = "chain.pem"')
    operator.change('tls_key = ""', 'tls_key = "key.pem"')
    code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert "chain.pem" in sentence
    assert "[CONFIG]" in sentence


def test_who_asks_a_node_that_does_not_run_is_told(operator: Operator) -> None:
    for command in ("status", "drain"):
        code, sentence = operator.leave(command, "--home", str(operator.home.root))
        assert code == Exit.UNAVAILABLE
        assert "[UNREACHABLE]" in sentence


def test_another_draft_is_refused_once_there_is_a_ledger(operator: Operator, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_bytes(operator.home.draft.read_bytes().replace(b'title = "Network"', b'title = "Other"'))
    words = ["--home", str(operator.home.root), "--passphrase-file", str(operator.network_root / "passphrase")]
    code, sentence = operator.leave("ceremony", "--draft", str(other), *words)
    assert code == Exit.UNAVAILABLE
    assert "another draft" in sentence


def test_a_folder_on_a_read_only_path_is_told(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    del capsys
    locked = operator.home.root / "node.lock"
    locked.unlink(missing_ok=True)
    locked.mkdir()
    code, sentence = operator.run()
    assert code == Exit.CONDITION
    assert str(locked) in sentence


def test_after_every_refusal_the_ledger_is_as_it_was(founded: Network, operator: Operator) -> None:
    assert operator.home.store.read_bytes() == Path(founded.nodes[0].home, "ledger.sqlite").read_bytes()
    assert not os.path.lexists(Path(founded.nodes[0].home) / "operator.sock")
