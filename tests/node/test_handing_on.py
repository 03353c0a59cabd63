"""A node that is asked to stop gives what waits with it to the others; nothing that was taken in is lost with it."""

import asyncio
from pathlib import Path

from ledger.merkle import leaf_hash
from ledger.positions import Height
from node.outbox import Outbox
from tests.node.cluster import run_cluster, until
from tests.node.statements import Issuer


async def test_statements_that_waited_at_a_stopped_node_are_sealed_by_the_others(tmp_path: Path) -> None:
    """They came while all others were away; one comes back only to be told of them, and then the node stops."""
    async with asyncio.timeout(60), run_cluster(tmp_path) as cluster:
        await asyncio.gather(*(node.tip.wait_above(Height(1)) for node in cluster.nodes))
        for other in (1, 2, 3):
            await cluster.stop(other)
        leaving = cluster.nodes[0]
        member, key = cluster.charter.members[0], leaving.keys.identity
        nation = Issuer(member.id, cluster.charter.ledger_id.hex(), (key.public_key, key.sign))
        entries = [nation.note(nation.register(f"lab-{number}", name="x" * 128)) for number in range(200)]
        for entry in entries:
            leaving.admission.admit(entry)
        await until(lambda: not leaving.peers.connected())
        leaving.driver.flush_gossip()
        for link in leaving.peers.links.values():
            link.outbox = Outbox()  # what was spread is lost
        cluster.start_again(3)
        heir = cluster.nodes[3]
        await until(lambda: bool(leaving.peers.connected()))
        await cluster.stop(0)
        await until(lambda: len(heir.mempool) == len(entries))
        for other in (1, 2):
            cluster.start_again(other)
        await until(lambda: heir.store.index_of_leaf(leaf_hash(entries[-1])) is not None)
        assert all(heir.store.index_of_leaf(leaf_hash(entry)) is not None for entry in entries)
