"""What a node answers members: piece by piece, each question bounded, and no message of theirs is paid for twice."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Code, LedgerError
from ledger.limits import SIZE_MAX
from ledger.merkle import leaf_hash
from ledger.positions import Height, MemberIndex
from node import serving
from node.consensus.credit import FREE_FAULTS
from node.consensus.lanes import Lane
from node.consensus.messages import Fault
from node.cosigning import Notary
from node.daemon import Node, read_clock
from node.serving import BATCH_BYTES_MAX, GOSSIP_ENTRIES_MAX
from node.snapshots import encode_snapshot, parse_snapshot
from node.v1 import peer_pb2
from tests.node.cluster import set_up
from tests.node.ledger_on_disk import DiskLedger
from tests.node.statements import Issuer

PEER = MemberIndex(2)
STREAM = Lane(1)
U64_MAX = 2**64 - 1


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = set_up(tmp_path)[2](0)
    yield made
    made.disk.shutdown()
    made.votefile.close()
    made.store.close()


def nation_of(node: Node) -> Issuer:
    key = node.keys.identity
    return Issuer(node.charter.members[0].id, node.charter.ledger_id.hex(), (key.public_key, key.sign))


async def ask(node: Node, **what: Any) -> list[peer_pb2.FetchResponse]:  # fields of every type
    return [answer async for answer in node.serving.on_fetch(PEER, peer_pb2.FetchRequest(**what))]


def envelope(node: Node, **body: Any) -> peer_pb2.PeerMessage:
    return peer_pb2.PeerMessage(ledger_id=node.charter.ledger_id, epoch=1, **body)


async def refusal(node: Node, message: peer_pb2.PeerMessage) -> Code:
    with pytest.raises(LedgerError) as caught:
        await node.serving.on_message(PEER, STREAM, message)
    return caught.value.code


async def test_what_comes_on_a_stream_of_lies_is_counted_and_not_put_before_the_core(node: Node) -> None:
    vote = peer_pb2.Vote(kind=2, view=1, member=PEER, signature=bytes(64))
    assert await node.serving.on_message(PEER, STREAM, envelope(node, vote=vote))
    for _ in range(FREE_FAULTS + 10):
        node.driver.core.credit.charge(PEER, STREAM, Fault.WRONG_SEAL, read_clock())
    assert not await node.serving.on_message(PEER, STREAM, envelope(node, vote=vote))
    assert node.peers.links[PEER].state.refused == {Fault.HELD_BACK: 1}
    assert await node.serving.on_message(PEER, Lane(STREAM + 1), envelope(node, vote=vote))
    assert node.driver._inbox.qsize() == 2
    assert await node.serving.on_message(PEER, STREAM, envelope(node, gossip=peer_pb2.Gossip()))


async def test_entries_come_in_bounded_pieces_each_once_whatever_is_asked(node: Node) -> None:
    entries = [bytes([number]) * 60_000 for number in range(80)]
    stored = [(leaf_hash(entry), entry) for entry in entries]
    node.store.put_candidates(Height(1), stored)
    asked = [leaf for leaf, _ in stored for _ in range(20)]
    answers = await ask(node, entries=peer_pb2.EntriesByHash(leaf_hashes=[*asked, bytes(32), b"short"]))
    assert [entry for answer in answers for entry in answer.entries.entries] == entries
    assert len(answers) > 2
    assert all(answer.ByteSize() <= BATCH_BYTES_MAX + 10_000 for answer in answers)


async def test_what_waits_is_served_before_it_is_stored(node: Node) -> None:
    entry = nation_of(node).register("lab-a")
    node.admission.admit(entry)
    (answer,) = await ask(node, entries=peer_pb2.EntriesByHash(leaf_hashes=[leaf_hash(entry)]))
    assert list(answer.entries.entries) == [entry]


async def test_an_answer_that_is_not_read_to_its_end_is_not_made_to_its_end(node: Node) -> None:
    entries = [bytes([number]) * 60_000 for number in range(200)]
    node.store.put_candidates(Height(1), [(leaf_hash(entry), entry) for entry in entries])
    read = 0
    entries_with = node.store.entries_with

    def counting(leaves: Any) -> Any:
        nonlocal read
        read += 1
        return entries_with(leaves)

    node.store.entries_with = counting  # type: ignore[method-assign]  # counted, and passed on
    request = peer_pb2.FetchRequest(entries=peer_pb2.EntriesByHash(leaf_hashes=[leaf_hash(entry) for entry in entries]))
    async with contextlib.aclosing(node.serving.on_fetch(PEER, request)) as answers:
        await anext(answers)
    assert read < 60


@pytest.mark.parametrize("number", [SIZE_MAX, SIZE_MAX + 1, U64_MAX])
async def test_numbers_beyond_everything_are_answered_with_nothing(node: Node, number: int) -> None:
    assert await ask(node, final_blocks=peer_pb2.FinalBlocks(first_height=number, count=number)) == []
    assert await ask(node, cosignatures=peer_pb2.CosignaturesOf(interval=number)) == []
    assert await ask(node, certificate=peer_pb2.CertificateOf(kind=1, view=number)) == []
    cosignature = peer_pb2.Cosignature(tree_size=number, root=bytes(32), line=bytes(76))
    if number > SIZE_MAX:
        assert await refusal(node, envelope(node, cosignature=cosignature)) is Code.FORMAT
    else:
        await node.serving.on_message(PEER, STREAM, envelope(node, cosignature=cosignature))


async def test_a_core_that_has_not_begun_tells_no_view(node: Node) -> None:
    assert await ask(node, view=peer_pb2.CurrentView()) == []


async def test_malformed_gossip_is_the_senders_fault_and_gossip_out_of_time_is_not(node: Node) -> None:
    nation = nation_of(node)
    early = Issuer(nation.id, nation.ledger, nation.signer, sequence=5)
    await node.serving.on_message(
        PEER, STREAM, envelope(node, gossip=peer_pb2.Gossip(entries=[early.register("lab-z")]))
    )
    assert await refusal(node, envelope(node, gossip=peer_pb2.Gossip(entries=[b"no envelope"]))) is Code.FORMAT
    many = peer_pb2.Gossip(entries=[b""] * (GOSSIP_ENTRIES_MAX + 1))
    assert await refusal(node, envelope(node, gossip=many)) is Code.FORMAT
    assert len(node.mempool) == 0


async def test_messages_of_another_ledger_or_epoch_are_refused(node: Node) -> None:
    gossip = peer_pb2.Gossip(entries=[])
    other = peer_pb2.PeerMessage(ledger_id=bytes(32), epoch=1, gossip=gossip)
    later = peer_pb2.PeerMessage(ledger_id=node.charter.ledger_id, epoch=U64_MAX, gossip=gossip)
    for message in (other, later):
        assert await refusal(node, message) is Code.WRONG_LEDGER


async def test_a_cosignature_that_is_kept_for_good_is_not_checked_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = node.notary._keys[PEER, 4]
    size = node.tip.header.tree_size if node.tip.header else 1
    node.store.put_cosignature(size, PEER, 4, bytes(72))  # type: ignore[arg-type]  # a size
    monkeypatch.setattr(Notary, "verify", lambda *_: pytest.fail("checked again"))
    line = key.key_id + bytes(72)
    cosignature = peer_pb2.Cosignature(tree_size=size, root=bytes(32), line=line)
    await node.serving.on_message(PEER, STREAM, envelope(node, cosignature=cosignature))


async def test_a_snapshot_is_served_in_parts_from_any_offset_once_its_block_has_a_seal(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "SNAPSHOT_PART_BYTES", 100)
    (tmp_path / "other").mkdir()
    ledger = DiskLedger(tmp_path / "other", members=4, snapshot_interval=2)
    for is_sealed in (True, True, True, False):
        block = ledger.build()
        ledger.commit(block, is_sealed=is_sealed)
        if block.header.state_digest:
            node.snapshots.keep(block.header.height, encode_snapshot(block.header, block.state, ledger.store.read_hash))
    assert await ask(node, snapshot=peer_pb2.SnapshotFrom()) == [], "this node's own store knows of no such block"
    monkeypatch.setattr(node.serving, "_store", ledger.store)
    answers = await ask(node, snapshot=peer_pb2.SnapshotFrom())
    raw = b"".join(answer.snapshot.raw for answer in answers)
    assert parse_snapshot(raw).header.height == 2, "the newest whose block has a seal of its own"
    assert {answer.snapshot.size for answer in answers} == {len(raw)}
    again = await ask(node, snapshot=peer_pb2.SnapshotFrom(height=2, offset=150))
    assert again[0].snapshot.offset == 150
    assert b"".join(answer.snapshot.raw for answer in again) == raw[150:]
    for height, offset in ((4, 0), (3, 0), (U64_MAX, 0), (2, U64_MAX)):
        assert await ask(node, snapshot=peer_pb2.SnapshotFrom(height=height, offset=offset)) == []
    ledger.store.close()
