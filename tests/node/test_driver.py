"""The driver at its edges: floods, full disks, a lost log, and what it spreads; on a node whose links stay down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ledger.errors import Code, ConditionError
from ledger.limits import MESSAGE_BYTES_MAX
from ledger.positions import FIRST_EPOCH, MemberIndex, View
from node.consensus import messages as core
from node.daemon import Node
from node.driver import MESSAGES_WAITING_PER_MEMBER_MAX
from node.outbox import Outbox
from node.serving import GOSSIP_ENTRIES_MAX
from node.v1 import peer_pb2
from tests.node.cluster import set_up, until
from tests.node.statements import Issuer

ME, PEER, OTHER = MemberIndex(1), MemberIndex(2), MemberIndex(3)


@contextlib.contextmanager
def closing(node: Node) -> Iterator[Node]:
    """Close what a node opened that does not run as a whole."""
    try:
        yield node
    finally:
        node.disk.shutdown()
        node.votefile.close()
        node.store.close()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    with closing(set_up(tmp_path)[2](0)) as one:
        yield one


@contextlib.asynccontextmanager
async def driving(node: Node) -> AsyncIterator["asyncio.Task[None]"]:
    """Run the driver alone, and cancel it."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(node.driver.run())
        try:
            yield task
        finally:
            task.cancel()


async def taken(outbox: Outbox) -> list[bytes]:
    outbox.end()
    return [raw async for raw in outbox.stream()]


async def test_what_is_handed_on_fits_messages_that_members_take(node: Node) -> None:
    entries = [bytes([number % 256]) * 60_000 for number in range(300)] + [b"small"] * 5_000
    node.driver.spread(entries)
    messages = await taken(node.peers.links[PEER].outbox)
    spread: list[bytes] = []
    for raw in messages:
        assert len(raw) < MESSAGE_BYTES_MAX
        gossip = peer_pb2.PeerMessage.FromString(raw).gossip
        assert len(gossip.entries) <= GOSSIP_ENTRIES_MAX
        spread += gossip.entries
    assert spread == entries


def vote_of(member: MemberIndex, view: int) -> core.MessageReceived:
    vote = core.Vote(core.VoteKind.NULLIFY, FIRST_EPOCH, View(view), core.NO_DIGEST, member, bytes(64))
    return core.MessageReceived(source=member, message=vote)


async def test_a_member_that_floods_waits_and_another_does_not(node: Node) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for view in range(MESSAGES_WAITING_PER_MEMBER_MAX):
            await node.driver.put_from_peer(PEER, vote_of(PEER, view))
        flood = group.create_task(node.driver.put_from_peer(PEER, vote_of(PEER, 0)))
        await node.driver.put_from_peer(OTHER, vote_of(OTHER, 1))
        await asyncio.sleep(0)
        assert not flood.done()
        async with driving(node):
            await flood


async def test_misbehaviour_is_counted_always_and_written_ever_more_seldom(node: Node) -> None:
    with capture_logs() as lines:
        async with driving(node):
            for _ in range(200):
                await node.driver.put_from_peer(PEER, vote_of(PEER, 1))
            refused = node.peers.links[PEER].state.refused
            await until(lambda: refused.total() == 200)
    looked_at = refused[core.Fault.WRONG_SIGNATURE]
    assert refused == {core.Fault.WRONG_SIGNATURE: looked_at, core.Fault.HELD_BACK: 200 - looked_at}
    assert looked_at < 20
    written = [line for line in lines if line["event"] == "peer misbehaved" and line["member"] == "nation-b"]
    held_back = [line["count"] for line in written if line["fault"] == core.Fault.HELD_BACK]
    assert held_back == [1, 2, 4, 8, 16, 32, 64, 128]


async def test_a_disk_that_refuses_a_vote_ends_the_node(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_records: object) -> None:
        raise ConditionError(field="votes.log", found="full", expected="room", code=Code.DISK_FULL)

    monkeypatch.setattr(node.votefile, "append", refuse)
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(30):
            await node.driver.run()
    assert isinstance(caught.value.exceptions[0], ConditionError)


async def test_a_disk_that_refuses_a_cosignature_ends_the_node_too(node: Node) -> None:
    def refuse() -> None:
        raise ConditionError(field="ledger.sqlite", found="full", expected="room", code=Code.DISK_FULL)

    async def write_beside() -> None:
        async with asyncio.timeout(30), driving(node):
            await asyncio.sleep(0)
            with contextlib.suppress(ConditionError):
                await node.driver._on_disk(refuse)
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await write_beside()
    assert caught.value.subgroup(ConditionError) is not None
    with pytest.raises(ConditionError) as late:  # a member's next message, while the node ends
        await node.driver._on_disk(refuse)
    assert late.value.code is Code.DISK_FULL


async def test_a_lost_vote_log_starts_one_loop_of_questions_however_long_nobody_answers(tmp_path: Path) -> None:
    make = set_up(tmp_path)[2]
    (tmp_path / "n0" / "votes.log").unlink()
    with closing(make(0)) as node, capture_logs() as lines:
        async with driving(node):
            for _ in range(5):
                view = node.driver.core.status().view
                node.driver.put(core.TimerFired(timer=core.TimerName.REPEAT, view=view))
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            asking = [task for task in asyncio.all_tasks() if task.get_name() == "fetch views"]
            assert len(asking) == 1
            assert node.status().phase == "following"
    told = [line["log_level"] for line in lines if "vote log was lost" in line["event"]]
    assert told == ["critical"]


async def test_an_entry_of_our_own_is_spread_and_gossip_is_not(node: Node) -> None:
    charter = node.charter
    key = node.keys.identity
    nation = Issuer(charter.members[0].id, charter.ledger_id.hex(), (key.public_key, key.sign))
    async with driving(node):
        node.admission.admit(nation.note(nation.register("lab-a")))
        node.admission.admit(nation.note(nation.register("lab-b")), is_gossip=True)
        node.driver.flush_gossip()
    gossip = [peer_pb2.PeerMessage.FromString(raw) for raw in await taken(node.peers.links[PEER].outbox)]
    spread = [entry for message in gossip for entry in message.gossip.entries]
    assert len(spread) == 1
