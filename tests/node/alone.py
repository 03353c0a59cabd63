"""A ledger of one member, whose votes alone make certificates and seals; only its driver runs, without any network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from ledger.agreement import Agreement
from ledger.charter import parse_charter
from ledger.positions import MemberIndex, Millis, Seconds
from node.beginning import found_store
from node.config import parse_config
from node.consensus import votelog
from node.consensus.messages import Vote
from node.daemon import Node, TlsIdentity, read_clock
from node.preflight import MemberKeys
from node.tls import issue_certificate, verify_certificate
from node.v1 import peer_pb2
from node.votefile import VoteFile
from tests.node.conftest import Committee, found_committee
from tests.node.statements import Issuer
from tlog.witness import Witness

ME, SOMEBODY = MemberIndex(1), MemberIndex(2)


async def nobody(_member: MemberIndex, _request: object) -> list[bytes]:
    return []


@dataclass
class Alone:
    """The node, its nation, and what it wrote."""

    node: Node
    nation: Issuer
    votes: Path

    def said(self) -> list[Vote]:
        """Read the votes that a crash at this moment would leave."""
        raw = self.votes.read_bytes()
        records = votelog.read(raw, ledger_id=self.node.charter.ledger_id, member=ME).records
        return [record for record in records if isinstance(record, Vote)]

    async def fetch(self, request: peer_pb2.FetchRequest) -> peer_pb2.FetchResponse:
        """Ask as a member does."""
        async for response in self.node.serving.on_fetch(SOMEBODY, request):
            return response
        raise AssertionError("no answer")


def make_node(
    folder: Path, committee: Committee, clock: Callable[[], Millis], *, text: str = "", witness: Witness | None = None
) -> Node:
    """Make the node of member 1; `clock` is its own, not that of its certificates, `text` its settings."""
    founder, member = committee.founders[0], parse_charter(committee.entry).members[0]
    keys = MemberKeys(identity=founder.identity, cosigner=founder.cosigner, log=founder.log, share=founder.share)
    now = Seconds(read_clock() // 1000)
    tls = issue_certificate(member_id=member.id, sign=founder.identity.sign, now=now)
    shown = verify_certificate(tls.certificate, member_id=member.id, identity=member.identity, now=now)
    identity = TlsIdentity(own=tls, members={ME: shown})
    config = parse_config(text.encode(), folder=folder)
    return Node(config, keys, identity, nobody, session_id=b"", clock=clock, witness=witness)


@contextlib.asynccontextmanager
async def run_alone(
    folder: Path,
    *,
    clock: Callable[[], Millis] = read_clock,
    idle_interval_ms: int = 20,
    delta_ms: int = 20,
    interval_s: int = 3600,
    agreement: Agreement | None = None,
) -> AsyncIterator[Alone]:
    """Found a ledger of one member and drive it until the block ends."""
    committee = found_committee(
        [(1, 2, 3)],
        idle_interval_ms=idle_interval_ms,
        delta_ms=delta_ms,
        interval_s=interval_s,
        submit_window_s=interval_s,
        agreement=agreement,
    )
    charter = parse_charter(committee.entry)
    found_store(folder / "ledger.sqlite", committee.entry, committee.transcript)
    votes = folder / "votes.log"
    VoteFile(votes, ledger_id=charter.ledger_id, member=ME).create()
    node = make_node(folder, committee, clock)
    identity = committee.founders[0].identity
    nation = Issuer(charter.members[0].id, charter.ledger_id.hex(), (identity.public_key, identity.sign))
    running = asyncio.create_task(node.driver.run())
    try:
        async with asyncio.timeout(20):
            yield Alone(node, nation, votes)
    finally:
        running.cancel()
        await asyncio.wait([running])
        node.disk.shutdown()
        node.votefile.close()
        node.store.close()
