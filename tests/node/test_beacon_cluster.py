"""The beacon on four running nodes: successive rounds, a node that is away, one that lies, and one of before it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.beacons import verify_beacon
from ledger.errors import Code
from ledger.positions import FIRST_EPOCH, BeaconRound
from ledger.rules.apply import found
from ledger.rules.beacons import find_open_rounds
from ledger.rules.records.inspections import BEACONS
from ledger.rules.records.rounds import make_round_name
from node.beacon_shares import BeaconFault
from node.daemon import Node
from node.outbox import Urgency
from node.v1 import peer_pb2
from tests.node.cluster import Cluster, run_cluster, until
from tests.node.conftest import make_agreement_with_rounds

LIAR = 3


def drawn(node: Node) -> int:
    """How many rounds have their beacon."""
    return find_open_rounds(node.branches.final.state).start


async def until_drawn(cluster: Cluster, count: int) -> None:
    """Wait until every node has so many more rounds than any has now."""
    target = max(drawn(node) for node in cluster.nodes) + count
    await until(lambda: all(drawn(node) >= target for node in cluster.nodes))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Rounds of a second, of which some open before anybody runs."""
    agreement = make_agreement_with_rounds(1)
    start = int(time.time()) - 5
    async with asyncio.timeout(90), run_cluster(tmp_path, start=start, agreement=agreement) as made:
        yield made


def first_closed(node: Node) -> int:
    """The first round that has not opened yet, as far as this node's final blocks go."""
    told = node.status().beacon
    return told.drawn + told.open


async def test_successive_rounds_have_one_beacon_each_also_while_a_node_is_away(cluster: Cluster) -> None:
    await until_drawn(cluster, 3)
    first = find_open_rounds(found(cluster.charter.entry)).start  # none opened before the founding
    assert first >= 0
    for number in range(first, drawn(cluster.nodes[0])):
        known = [BEACONS.get(node.branches.final.state, make_round_name(number)) for node in cluster.nodes]
        [beacon] = {each.signature for each in known if each is not None}
        verify_beacon(BeaconRound(number), beacon, group_key=cluster.charter.group_key)
    assert not any(
        name.startswith(("FORMAT", "WRONG_BEACON", "TWO_BEACON"))
        for node in cluster.nodes
        for link in node.peers.links.values()
        for name in link.state.refused
    )
    await cluster.stop(0)
    others = cluster.nodes[1:]
    away_since = drawn(cluster.nodes[0])
    await until(lambda: all(drawn(node) >= away_since + 6 for node in others))  # one of them is its turn to post
    member = cluster.charter.members[0].id
    await until(lambda: any(member in node.status().beacon.missing for node in others))
    cluster.start_again(0)
    await until_drawn(cluster, 5)
    assert "counterseal_beacon_rounds_drawn" in cluster.nodes[0]._encode_metrics().decode()


async def test_a_member_with_a_wrong_share_is_named_and_stops_nothing(cluster: Cluster) -> None:
    liar = cluster.nodes[LIAR]
    assert liar.beacon is not None
    liar.beacon._keys = cluster.nodes[0]._vote_keys  # another member's shares in its own name
    await until_drawn(cluster, 3)
    await cluster.stop(0)  # now every quorum has the liar in it
    honest = cluster.nodes[1:LIAR]
    links = [node.peers.links[liar.me].state for node in honest]
    await until(lambda: all(link.refused[BeaconFault.WRONG_BEACON_SHARE] for link in links))
    shared = max(first_closed(node) for node in honest)  # the stopped node may have given shares of all that were open
    await until(lambda: all(first_closed(node) >= shared + 3 for node in honest))
    assert max(drawn(node) for node in honest) <= shared + 1, "two right shares make none"  # it may have been ahead
    assert honest[0].status().beacon.open > 0
    cluster.start_again(0)
    await until_drawn(cluster, 1)


async def test_a_message_that_a_node_does_not_know_is_counted_and_breaks_no_link(cluster: Cluster) -> None:
    """So a node of before beacon shares takes them: as one of now takes what is added after it."""
    await until(lambda: all(len(node.peers.connected()) == 3 for node in cluster.nodes))
    sender, receiver = cluster.nodes[:2]
    unknown = peer_pb2.PeerMessage(ledger_id=cluster.charter.ledger_id, epoch=FIRST_EPOCH).SerializeToString()
    sender.peers.send(receiver.me, Urgency.VOTE, unknown + bytes([15 << 3 | 2, 1, 0]))
    state = receiver.peers.links[sender.me].state
    await until(lambda: state.refused[Code.FORMAT] == 1)
    await until_drawn(cluster, 2)
    assert state.refused[Code.FORMAT] == 1
    assert sender.peers.links[receiver.me].state.connected
