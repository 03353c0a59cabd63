"""What a member is shown of this node's votes is on this node's disk: also when it asks while the disk is slow."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.charter import parse_charter
from ledger.positions import Height, MemberIndex, Seconds, View
from node.config import parse_config
from node.consensus import votelog
from node.consensus.messages import Vote, VoteKind
from node.daemon import Node, TlsIdentity, found_store, read_clock
from node.preflight import MemberKeys
from node.tls import issue_certificate, verify_certificate
from node.v1 import peer_pb2
from node.votefile import VoteFile
from tests.node.conftest import found_committee

ME = MemberIndex(1)


async def nobody(_member: MemberIndex, _request: object) -> list[bytes]:
    return []


@dataclass
class Alone:
    """A ledger of one member, whose votes alone make certificates and seals; only its driver runs."""

    node: Node
    votes: Path

    def said(self) -> list[Vote]:
        """Read the votes that a crash at this moment would leave."""
        raw = self.votes.read_bytes()
        records = votelog.read(raw, ledger_id=self.node.charter.ledger_id, member=ME).records
        return [record for record in records if isinstance(record, Vote)]

    async def fetch(self, request: peer_pb2.FetchRequest) -> peer_pb2.FetchResponse:
        """Ask as a member does."""
        async for response in self.node.serving.on_fetch(MemberIndex(2), request):
            return response
        raise AssertionError("no answer")


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Alone]:
    committee = found_committee([(1, 2, 3)], idle_interval_ms=20, delta_ms=20)
    charter = parse_charter(committee.entry)
    found_store(tmp_path / "ledger.sqlite", committee.entry, committee.transcript)
    votes = tmp_path / "votes.log"
    VoteFile(votes, ledger_id=charter.ledger_id, member=ME).create()
    founder, member = committee.founders[0], charter.members[0]
    keys = MemberKeys(identity=founder.identity, cosigner=founder.cosigner, log=founder.log, share=founder.share)
    now = Seconds(read_clock() // 1000)
    tls = issue_certificate(member_id=member.id, sign=founder.identity.sign, now=now)
    shown = verify_certificate(tls.certificate, member_id=member.id, identity=member.identity, now=now)
    node = Node(
        parse_config(b"", folder=tmp_path), keys, TlsIdentity(own=tls, members={ME: shown}), nobody, session_id=b""
    )
    running = asyncio.create_task(node.driver.run())
    try:
        async with asyncio.timeout(20):
            yield Alone(node, votes)
    finally:
        running.cancel()
        await asyncio.wait([running])
        node.disk.shutdown()
        node.votefile.close()
        node.store.close()


async def until_it_seals_above(alone: Alone, view: View) -> View:
    """Wait for the core to have made a seal of its own above a view, whether its votes are on disk or not."""
    core = alone.node.driver.core
    # The core tells nobody when: that it is asked between two steps of the driver is what is tested.
    while (newest := core.newest_finalization()) is None or newest.header.view <= view:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return newest.header.view


def ask(name: str, view: View) -> peer_pb2.FetchRequest:
    if name == "newest":
        return peer_pb2.FetchRequest(newest=peer_pb2.NewestFinalization())
    return peer_pb2.FetchRequest(certificate=peer_pb2.CertificateOf(kind=VoteKind.NOTARIZE, view=view))


@pytest.mark.parametrize("name", ["newest", "certificate"])
async def test_no_answer_holds_a_vote_that_is_not_on_disk(alone: Alone, name: str) -> None:
    await alone.node.tip.wait_above(Height(2))
    disk_is_fast_again = threading.Event()
    alone.node.disk.submit(disk_is_fast_again.wait)
    try:
        view = await until_it_seals_above(alone, alone.node.driver.final_header().view)
        assert (VoteKind.FINALIZE, view) not in [(vote.kind, vote.view) for vote in alone.said()]
        asked = asyncio.create_task(alone.fetch(ask(name, view)))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not asked.done()
    finally:
        disk_is_fast_again.set()
    answer = await asked
    assert answer.HasField("finalization") or answer.HasField("certificate")
    assert view in [vote.view for vote in alone.said()]
