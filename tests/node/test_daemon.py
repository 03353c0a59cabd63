"""Four whole nodes in one process, over real TLS on loopback: they agree, seal, serve, stop and come back."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # ships no stubs

from ledger.charter import ledger_keys
from ledger.domains import PAYLOAD_TYPE
from ledger.encoding import encode_base64
from ledger.positions import Height, Millis
from ledger.receipts import parse_receipt, verify_receipt
from ledger.statements.dsse import Envelope, EnvelopeSignature, compute_keyid, encode_envelope, encode_pae
from node.daemon import Node, read_clock
from node.v1 import submission_pb2, submission_pb2_grpc
from tests.node.alone import run_alone
from tests.node.cluster import Cluster, run_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path) as running:
        yield running


async def test_four_nodes_seal_blocks_without_anything_to_say(cluster: Cluster) -> None:
    async with asyncio.timeout(20):
        await asyncio.gather(*(node.tip.wait_above(Height(5)) for node in cluster.nodes))
    blocks = [node.store.block_at(Height(5)) for node in cluster.nodes]
    assert blocks[0] is not None
    assert all(block == blocks[0] for block in blocks)


@contextlib.asynccontextmanager
async def channel_to(node: Node) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(str(node.config.public.listen)) as channel:
        yield channel


def register(node: Node, lab: "Lab") -> bytes:
    body = {
        "lab": lab.id,
        "name": "Lab",
        "keys": [{"key": encode_base64(lab.public_key), "status": "active"}],
        "next_key_sha256": "00" * 32,
        "clusters": [{"id": f"{lab.id}-c1", "facility": "hall", "country": "XX", "capacity": None}],
    }
    signed = node.nation.sign("registration", msgspec.json.encode(body))
    countersignature = lab.sign(encode_pae(PAYLOAD_TYPE, signed.payload))
    lines = [
        EnvelopeSignature(keyid=compute_keyid(signed.public_key), signature=signed.signature),
        EnvelopeSignature(keyid=compute_keyid(lab.public_key), signature=countersignature),
    ]
    lines.sort(key=lambda line: line.keyid)
    return encode_envelope(Envelope(payload=signed.payload, signatures=tuple(lines)))


@dataclass
class Lab:
    id: str

    def __post_init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.id.encode()).digest())
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


async def test_a_statement_handed_to_one_node_gets_a_receipt_that_verifies_offline(cluster: Cluster) -> None:
    node = cluster.nodes[2]
    entry = register(node, Lab("lab-a"))
    async with asyncio.timeout(20), channel_to(node) as channel:
        stub = submission_pb2_grpc.SubmissionStub(channel)
        response = await stub.Submit(submission_pb2.SubmitRequest(entry=entry, wait=True))
        again = await stub.Submit(submission_pb2.SubmitRequest(entry=entry, wait=True))
    receipt = parse_receipt(response.receipt.encode())
    verified = verify_receipt(receipt, entry=entry, keys=ledger_keys(node.charter))
    assert verified.checkpoint.checkpoint.size > response.index
    assert (again.index, again.duplicate) == (response.index, True)


async def test_a_node_that_stopped_catches_up_to_the_same_blocks(cluster: Cluster) -> None:
    stopped = cluster.nodes[1]
    async with asyncio.timeout(30):
        await stopped.tip.wait_above(Height(2))
        await cluster.stop(1)
        other = cluster.nodes[0]
        await other.tip.wait_above(Height(other.tip.height + 4))
        cluster.start_again(1)
        again = cluster.nodes[1]
        target = other.tip.height
        await again.tip.wait_above(Height(target + 1))
    ours, theirs = again.store.block_at(target), other.store.block_at(target)
    assert ours is not None
    assert theirs is not None
    assert ours.header == theirs.header  # a block that one saw sealed may be final through the next one for the other


async def test_a_refusal_carries_code_field_found_and_expected(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    async with asyncio.timeout(20), channel_to(node) as channel:
        stub = submission_pb2_grpc.SubmissionStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Submit(submission_pb2.SubmitRequest(entry=b"{}", wait=True))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailers: Any = caught.value.trailing_metadata()  # pairs, of which the stubs do not know
    status = status_pb2.Status.FromString(dict(trailers)["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "FORMAT"
    assert set(info.metadata) == {"field", "found", "expected"}


async def test_a_member_that_greets_is_dialled_without_waiting(cluster: Cluster) -> None:
    async with asyncio.timeout(60):
        links = [link for node in cluster.nodes for link in node.peers.links.values()]
        while not any(link.state.greeted.is_set() for link in links):
            await cluster.nodes[0].tip.wait_above(cluster.nodes[0].tip.height)
        link = links[0]
        link.state.greeted.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(link._pause(3600))
            await asyncio.sleep(0)
            link.state.greeted.set()


async def test_a_node_whose_clock_is_set_back_says_how_it_stands(tmp_path: Path) -> None:
    ahead_ms = 3_600_000
    async with run_alone(tmp_path, clock=lambda: Millis(read_clock() + ahead_ms)) as alone:
        await alone.node.tip.wait_above(Height(1))
        ahead_ms = 0
        status = alone.node.status()
    assert status.height > 0
    assert status.uptime_ms < 60_000
