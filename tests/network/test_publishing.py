"""A real node that keeps an object store up, the store going away and coming back, and the commands an operator has."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import counterseal
from devnet.network import Network, Waiting, wait_until
from tests.network.parties import make_terms
from tests.tlog.plain_store import SECRET, set_environment
from tests.tlog.servers import S3_COMMAND, running_server

STORE = "s3://bucket/ledger"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One nation alone, which seals its blocks itself."""
    with pytest.MonkeyPatch.context() as patch, running_server(*S3_COMMAND) as url:
        set_environment(patch, url)
        assert httpx.put(f"{url}/bucket").status_code == 200
        made = Network.create(tmp_path_factory.mktemp("net"), 1, make_terms)
        settings = Path(made.nodes[0].home) / "node.toml"
        text = settings.read_text()
        assert "urls = []" in text
        settings.write_text(text.replace("urls = []", f'urls = ["{STORE}"]'))
        made.start(0)
        yield made
        made.stop_all()


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(network: Network, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `counterseal node publish` as an operator does, and gives its exit code and what it prints."""

    def run_command(*words: str) -> tuple[int, str]:
        passphrase = ["--passphrase-file", str(network.root / "passphrase")]
        with pytest.raises(SystemExit) as left:
            counterseal.main(["node", "publish", "--home", network.nodes[0].home, *passphrase, *words])
        told = capsys.readouterr()
        assert SECRET not in told.out + told.err
        assert isinstance(left.value.code, int)
        return left.value.code, told.out + told.err

    return run_command


def published(network: Network) -> dict[str, tuple[int, str]]:
    status = network.status(0)
    return {} if status is None else {line.name: (line.tree_size, line.problem) for line in status.published}


def test_a_node_keeps_a_store_up_and_the_store_is_whole(network: Network, run: Run) -> None:
    expected = {str(Path(network.nodes[0].home) / "public"): (1, ""), STORE: (1, "")}
    wait_until(lambda: published(network) == expected, Waiting("a checkpoint in folder and store", 90))
    code, text = run("--verify", "--json")
    told = {each["place"]: each for each in json.loads(text)}
    assert (code, [each["faults"] for each in told.values()]) == (0, [[], []])
    assert (told[STORE]["whole"], told[STORE]["listed"], told[STORE]["entries"]) == (True, True, 1)
    code, text = run("--verify", network.nodes[0].http)
    assert code == 0, text
    assert "whole" in text


def test_while_the_node_runs_nobody_else_publishes(run: Run, tmp_path: Path) -> None:
    code, text = run(str(tmp_path / "copy"))
    assert (code, "another process at work here" in text) == (6, True)
    assert not (tmp_path / "copy").exists()


def test_a_stopped_node_is_published_by_hand_and_a_damaged_copy_is_named_and_mended(
    network: Network, run: Run, tmp_path: Path
) -> None:
    network.stop(0)
    copy = tmp_path / "copy"
    code, text = run(str(copy), STORE)
    assert code == 0, text
    assert run("--verify", str(copy), STORE)[0] == 0
    (copy / "tile/0/000.p/1").write_bytes(bytes(32))
    (copy / "charter").unlink()
    code, text = run("--verify", str(copy))
    assert code == 1
    assert "wrong      tile/0/000.p/1: " in text
    assert "missing    charter: nothing is there" in text
    code, text = run("--again", str(copy))
    assert (code, "published tile/0/000.p/1: found other bytes" in text) == (5, True)
    (copy / "tile/0/000.p/1").unlink()
    assert run(str(copy))[0] == 0
    assert run("--verify", str(copy))[0] == 1, "what was published before is not looked at"
    assert run("--again", str(copy))[0] == 0
    assert run("--verify", str(copy))[0] == 0
    network.start(0)


def test_what_is_no_ledger_of_this_node_is_refused(run: Run, tmp_path: Path) -> None:
    code, text = run("--verify", str(tmp_path / "nothing"))
    assert (code, "checkpoint: found nothing" in text) == (1, True)
    code, text = run("--verify", "http://127.0.0.1:1")
    assert (code, "UNREACHABLE" in text) == (6, True), text
    code, text = run("http://127.0.0.1:1")
    assert (code, "a web server takes nothing" in text) == (5, True)
    code, text = run("--verify", f"s3://key:{SECRET}@bucket/ledger")
    assert (code, "a URL without" in text) == (5, True)
