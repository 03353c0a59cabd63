"""A whole node that lacks the history gets it from the others over real sockets, while they go on and one lies."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.positions import GENESIS_HEIGHT, Height, Interval, LeafIndex, MemberIndex
from node import gathering, starting
from node.beginning import found_store
from node.daemon import Node
from node.home import STORE_FILE
from node.store import Store
from node.v1 import peer_pb2
from tests.node.cluster import Cluster, run_cluster, until
from tests.node.statements import Issuer

LIAR, AWAY = 0, 3
HONEST = (1, 2)
LABS = 30


def lie_about_bodies(node: Node) -> None:
    """Have a node serve right headers, and entries that were never filed."""
    serve = node.serving._final_blocks

    def lie(wanted: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FetchResponse]:
        for response in serve(wanted):
            if response.HasField("final_block"):
                response.final_block.entries.append(b"{}")
            yield response

    node.serving._final_blocks = lie  # type: ignore[method-assign]  # this member is an attacker


async def file_while_one_is_away(cluster: Cluster) -> None:
    """Stop a node, and have the others seal statements that it never saw."""
    await asyncio.gather(*(node.tip.wait_above(Height(1)) for node in cluster.nodes))
    await cluster.stop(AWAY)
    serving = cluster.nodes[1]
    member, key = cluster.charter.members[1], serving.keys.identity
    nation = Issuer(member.id, cluster.charter.ledger_id.hex(), (key.public_key, key.sign))
    for number in range(LABS):
        serving.admission.admit(nation.note(nation.register(f"lab-{number}")))
        if number % 10 == 0:
            await serving.tip.wait_above(serving.tip.height)
    await until(lambda: serving.branches.final.header.tree_size > LABS)


def forget_the_history(cluster: Cluster, home: Path) -> None:
    """Leave a node its keys, its vote log and its founding."""
    entry = cluster.nodes[1].store.entries(LeafIndex(0), 1)[0]
    for left in home.glob(f"{STORE_FILE}*"):
        left.unlink()
    found_store(home / STORE_FILE, entry, cluster.transcript)


async def test_a_fresh_member_finds_the_one_that_lies_and_gets_the_history_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first nobody is there but the liar; its headers are right, so they are kept, and its bodies are not."""
    monkeypatch.setattr(gathering, "PIECE_BLOCKS_MAX", 2)
    async with asyncio.timeout(120), run_cluster(tmp_path) as cluster:
        await file_while_one_is_away(cluster)
        forget_the_history(cluster, tmp_path / f"n{AWAY}")
        lie_about_bodies(cluster.nodes[LIAR])
        for honest in HONEST:
            await cluster.stop(honest)
        height = cluster.nodes[LIAR].tip.height
        cluster.start_again(AWAY)
        back = cluster.nodes[AWAY]
        links = back.peers.links
        await until(lambda: bool(links[MemberIndex(LIAR + 1)].state.refused))
        assert back.tip.height < height  # blocks without entries have no body to lie about
        for honest in HONEST:
            cluster.start_again(honest)
        await until(lambda: back.tip.height > height)
        await until(lambda: back.status().phase == "voting")
        assert not any(links[MemberIndex(honest + 1)].state.refused for honest in HONEST)
        for at in range(height):  # whether a block has a seal of its own may differ
            own, theirs = (node.store.block_at(Height(at)) for node in (back, cluster.nodes[LIAR]))
            assert own is not None
            assert theirs is not None
            assert own.header == theirs.header


async def test_a_fresh_member_votes_from_a_snapshot_on_and_takes_the_audited_history_into_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is stopped, so that nothing is sealed without the vote of the one that began from the snapshot."""
    monkeypatch.setattr(starting, "AHEAD_MIN", 1)
    async with asyncio.timeout(40), run_cluster(tmp_path, snapshot_interval=4) as cluster:
        await file_while_one_is_away(cluster)
        forget_the_history(cluster, tmp_path / f"n{AWAY}")
        await until(lambda: bool(cluster.nodes[1].snapshots.heights()))
        await cluster.prepare(AWAY)
        begun_at = base_of(tmp_path / f"n{AWAY}" / STORE_FILE)
        serve = [node.serving._final_blocks for node in cluster.nodes]
        for node in cluster.nodes:
            keep_to_itself(node, begun_at)
        cluster.start_again(AWAY)
        back = cluster.nodes[AWAY]
        await until(lambda: back.status().phase == "voting")
        await cluster.stop(LIAR)
        await back.tip.wait_above(Height(back.tip.height + 3))
        assert back.status().history_from == begun_at
        assert back.status().history_audited == GENESIS_HEIGHT
        await cluster.stop(AWAY)  # in the midst of the audit
        for node, answer in zip(cluster.nodes, serve, strict=True):
            node.serving._final_blocks = answer  # type: ignore[method-assign]
        await cluster.prepare(AWAY)
        cluster.start_again(AWAY)
        back = cluster.nodes[AWAY]
        await until(lambda: back.status().history_audited > begun_at)
        assert back.store.base is not None
        await cluster.stop(AWAY)
        await cluster.prepare(AWAY)
        cluster.start_again(AWAY)
        back = cluster.nodes[AWAY]
        assert back.store.base is None
        assert back.status().history_from == 0
        assert back.store.archives(Interval(0)), "named while the history was audited"
        height = back.tip.height
        await back.tip.wait_above(Height(height + 2))
        honest = cluster.nodes[HONEST[0]]
        assert [block.header for block in back.store.blocks(Height(0), height)] == [
            block.header for block in honest.store.blocks(Height(0), height)
        ]


def base_of(path: Path) -> Height:
    store = Store(path)
    try:
        assert store.base is not None
        return store.base.header.height
    finally:
        store.close()


def keep_to_itself(node: Node, height: Height) -> None:
    """Have a node serve no entries up to a height."""
    serve = node.serving._final_blocks

    def answer(wanted: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FetchResponse]:
        return serve(wanted) if wanted.headers_only or wanted.first_height > height else iter(())

    node.serving._final_blocks = answer  # type: ignore[method-assign]
