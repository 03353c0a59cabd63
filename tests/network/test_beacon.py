"""The beacon of four real nodes: successive rounds that verify, one killed and back, and what an operator reads."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from devnet.network import Network, Waiting, wait_until
from ledger.beacons import verify_beacon
from ledger.rules.apply import found
from ledger.rules.beacons import find_open_rounds
from ledger.statements.beacons import BEACON, Beacon, parse_beacon
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from node.setup import Terms
from node.store import Store
from node.v1 import operator_pb2
from tests.network.parties import charter_of, home_of, make_terms
from tests.node.conftest import make_agreement_with_rounds

ROUND_S = 4
VICTIM = 2


def make_short_rounds() -> Terms:
    """A grid that begins now, with rounds of some seconds."""
    terms = make_terms()
    grid = msgspec.structs.replace(terms.grid, start=time.time_ns() // 1_000_000_000)
    agreement = make_agreement_with_rounds(ROUND_S, challenge_window_s=grid.challenge_window_s)
    return replace(terms, grid=grid, agreement=agreement)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    made = Network.create(tmp_path_factory.mktemp("beacon"), 4, make_short_rounds)
    with made.running():
        for number in range(4):
            made.start(number)
        for number in range(4):
            made.wait_ready(number)
        yield made


def beacon_of(network: Network, number: int) -> operator_pb2.BeaconStatus:
    status = network.status(number)
    return operator_pb2.BeaconStatus() if status is None else status.beacon


def wait_for_rounds(network: Network, count: int, numbers: tuple[int, ...] = (0, 1, 2, 3)) -> None:
    """Wait until these nodes have so many more rounds than any has now."""
    target = max(beacon_of(network, number).drawn for number in numbers) + count
    wait_until(
        lambda: all(beacon_of(network, number).drawn >= target for number in numbers),
        Waiting(f"the beacon of round {target - 1}", 120),
    )


def read_beacons(path: Path) -> list[Beacon]:
    """All beacons in a node's own ledger, in the order of the ledger."""
    store = Store(path)
    try:
        entries = store.entries(0, store.require_tip().header.tree_size)  # type: ignore[arg-type]  # an index
    finally:
        store.close()
    payloads = [parse_envelope(entry).payload for entry in entries if not is_computed_entry(entry)]
    return [parse_beacon(payload).predicate for payload in payloads if find_kind(payload) == BEACON]


def test_every_round_has_one_beacon_also_while_a_node_is_killed_and_after_it_is_back(network: Network) -> None:
    wait_for_rounds(network, 2)
    network.kill(VICTIM)
    others = (0, 1, 3)
    wait_for_rounds(network, 2, others)
    network.start(VICTIM)
    network.wait_ready(VICTIM)
    wait_for_rounds(network, 1)
    charter = charter_of(network)
    seen = []
    for number in range(4):
        beacons = read_beacons(home_of(network, number).store)
        first = find_open_rounds(found(charter.entry)).start
        assert [beacon.round for beacon in beacons] == list(range(first, first + len(beacons)))
        for beacon in beacons:
            verify_beacon(beacon.round, beacon.signature, group_key=charter.group_key)
        seen.append([(beacon.issuer, beacon.signature) for beacon in beacons])
    shortest = min(map(len, seen))
    assert shortest >= 5
    assert all(each[:shortest] == seen[0][:shortest] for each in seen)
    assert len({issuer for issuer, _ in seen[0]}) > 1, "members take turns"


def test_an_operator_reads_which_round_is_newest_and_that_none_waits_long(network: Network) -> None:
    wait_for_rounds(network, 1)
    command = [sys.executable, "-m", "counterseal", "node", "status", "--home", network.nodes[0].home]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "beacon: newest of round " in shown
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True, timeout=60).stdout)
    assert told["beacon"]["newest"] >= 0
    assert told["beacon"]["open"] <= 2
