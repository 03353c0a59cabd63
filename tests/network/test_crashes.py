"""Nodes that are killed, stopped, starved of disk or robbed of files: the others go on, and nothing said is unsaid."""

import resource
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from counterseal import Exit
from devnet.network import Network, Waiting, wait_until
from ledger.charter import ledger_keys
from ledger.merkle import leaf_hash
from ledger.receipts import parse_receipt, verify_receipt
from node.v1 import reading_pb2, submission_pb2
from tests.network.conftest import AURELIA, BOREALIS, CIMBRIA, DACIA, height_of, wait_for_height, written
from tests.network.parties import Caller, calling, charter_of, home_of, nation_of
from tests.network.submitters import Submitter, wait_for_more


def headers_of(network: Network, number: int) -> list[bytes]:
    with calling(network.nodes[number].public) as channel:
        stream = Caller(channel).reading.StreamBlocks(reading_pb2.StreamBlocksRequest(first_height=0), timeout=20)
        return [block.header for block in stream]


def wait_for_end(network: Network, number: int) -> tuple[int, str]:
    """Wait for a process that ends by itself; gives its exit code and what it wrote last."""
    process = network._processes[number]
    code = process.wait(120)
    return code, network.last_words(number)


def start_again(network: Network, number: int) -> None:
    """Start a node and wait until it has what the others have by then, and votes."""
    height = max(height_of(network, other) for other in range(4) if other != number)
    network.start(number)
    network.wait_ready(number)
    wait_for_height(network, number, height)
    wait_until(lambda: phase_of(network, number) == "voting", Waiting(f"a vote of node {number}", 90))


def phase_of(network: Network, number: int) -> str:
    status = network.status(number)
    return "" if status is None else status.phase


def test_the_others_go_on_when_one_is_killed_and_it_comes_back_to_the_same_ledger(network: Network) -> None:
    submitters = [Submitter(network, number) for number in (AURELIA, CIMBRIA)]
    with submitters[0].at_work(), submitters[1].at_work():
        wait_for_more(submitters, 2)
        network.kill(DACIA)
        at_death = height_of(network, AURELIA)
        wait_for_more(submitters, 3)
        start_again(network, DACIA)
        wait_for_more(submitters, 2)
    assert height_of(network, AURELIA) > at_death
    height = height_of(network, AURELIA)
    wait_for_height(network, DACIA, height)
    theirs, own = headers_of(network, AURELIA), headers_of(network, DACIA)
    assert own[: height + 1] == theirs[: height + 1]
    keys = ledger_keys(charter_of(network))
    with calling(network.nodes[DACIA].public) as channel:
        reading = Caller(channel).reading
        for entry, receipt in (pair for submitter in submitters for pair in submitter.sealed):
            verify_receipt(parse_receipt(receipt), entry=entry, keys=keys)
            found = reading.GetReceipt(reading_pb2.GetReceiptRequest(leaf_hash=leaf_hash(entry)), timeout=30)
            assert found.entry == entry


def test_who_asks_a_node_to_stop_while_waiting_for_a_receipt_gets_it(network: Network) -> None:
    process = network._processes[DACIA]
    with calling(network.nodes[DACIA].public) as channel:
        caller = Caller(channel)
        nation = caller.take_place(nation_of(network, DACIA))
        request = submission_pb2.SubmitRequest(entry=nation.register("dacia-last"), wait=True)
        waiting = caller.submission.Submit.future(request, timeout=30)
        wait_until(lambda: waiting_entries(network, DACIA) > 0 or waiting.done(), Waiting("a waiting statement", 10))
        follow = reading_pb2.StreamBlocksRequest(first_height=0, follow=True)
        followed = iter(caller.reading.StreamBlocks(follow, timeout=60))
        next(followed)
        network.stop(DACIA)
        assert waiting.result().sealed
        with pytest.raises(grpc.RpcError) as caught:
            for _ in followed:
                pass
        assert "DRAINING" in str(caught.value)
    assert process.returncode == Exit.DONE
    assert not (home_of(network, DACIA).root / "pid").exists()
    start_again(network, DACIA)


def waiting_entries(network: Network, number: int) -> int:
    status = network.status(number)
    return 0 if status is None else status.mempool_entries


def test_without_its_vote_log_a_node_follows_until_a_quorum_told_its_views(network: Network) -> None:
    """With another one down there is no quorum to tell: so this node must not vote, and nothing can be sealed."""
    network.kill(CIMBRIA)
    home_of(network, CIMBRIA).votes.unlink()
    network.stop(DACIA)
    network.start(CIMBRIA)
    network.wait_ready(CIMBRIA)
    told = network.status(AURELIA)
    assert told is not None
    wait_until(lambda: view_of(network, AURELIA) >= told.view, Waiting("views", 60))
    view, height = view_of(network, BOREALIS), height_of(network, BOREALIS)
    wait_until(lambda: "vote log was lost" in written(network, CIMBRIA), Waiting("a loud word", 60))
    wait_until(lambda: sees(network, CIMBRIA) == 2, Waiting("both others", 60))
    assert phase_of(network, CIMBRIA) == "following"
    assert '"critical"' in next(line for line in written(network, CIMBRIA).splitlines() if "vote log lost" in line)
    start_again(network, DACIA)
    wait_for_height(network, BOREALIS, height + 3)
    assert view_of(network, BOREALIS) > view
    wait_until(lambda: phase_of(network, CIMBRIA) == "voting", Waiting("a vote of node 2", 60))
    assert "votes again" in written(network, CIMBRIA)


def view_of(network: Network, number: int) -> int:
    status = network.status(number)
    return -1 if status is None else status.view


def sees(network: Network, number: int) -> int:
    status = network.status(number)
    return -1 if status is None else status.peers_connected


def test_a_full_disk_ends_a_node_with_a_sentence_and_a_damaged_vote_log_is_kept_aside(network: Network) -> None:
    home = home_of(network, BOREALIS)
    process = network._processes[BOREALIS]
    largest = max(home.votes.stat().st_size, (home.root / "err.log").stat().st_size + 8192)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, largest))
    code, sentence = wait_for_end(network, BOREALIS)
    assert code == Exit.CONDITION
    assert "[DISK_FULL]" in sentence
    network._wait_for_exit(BOREALIS)
    height = height_of(network, AURELIA)
    wait_for_height(network, AURELIA, height + 2)
    raw = bytearray(home.votes.read_bytes())
    raw[len(raw) // 2] ^= 1
    home.votes.write_bytes(raw)
    start_again(network, BOREALIS)
    assert home.votes.with_suffix(".damaged").read_bytes() == bytes(raw)
    assert "vote log lost" in written(network, BOREALIS)


def test_a_damaged_database_is_refused_and_repaired_from_the_others_and_a_second_process_kept_out(
    network: Network,
) -> None:
    home = home_of(network, AURELIA)
    command = [*network._processes[AURELIA].args]  # type: ignore[misc]  # a list, as Network gives it
    second = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == Exit.UNAVAILABLE
    assert "another process" in second.stderr
    assert "Traceback" not in second.stderr
    network.stop(AURELIA)
    damage(home.store)
    network.start(AURELIA)
    code, sentence = wait_for_end(network, AURELIA)
    assert code == Exit.CONDITION
    assert "[STORE_DAMAGED]" in sentence
    assert str(home.store) in sentence
    network._wait_for_exit(AURELIA)
    votes = home.votes.read_bytes()
    upkeep = [sys.executable, "-m", "counterseal", "node", "repair", "--home", str(home.root), "--yes"]
    upkeep += ["--passphrase-file", str(network.root / "passphrase")]
    repaired = subprocess.run(upkeep, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True)
    assert "begin the database anew" in repaired.stderr
    assert home.votes.read_bytes() == votes
    assert list(home.root.glob("aside/*/ledger.sqlite"))
    start_again(network, AURELIA)


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * 4096)
