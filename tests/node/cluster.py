"""Whole nodes in one process, over real sockets on loopback: founded, running, stoppable one by one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from devnet.network import find_free_ports
from ledger.agreement import Agreement
from ledger.charter import Charter, parse_charter
from ledger.positions import MemberIndex, Seconds
from node.beginning import found_store
from node.config import parse_config
from node.daemon import Node, TlsIdentity
from node.preflight import MemberKeys
from node.starting import prepare_history
from node.tls import TlsKey, issue_certificate, verify_certificate
from node.votefile import VoteFile
from tests.node.conftest import Committee, found_committee

COUNT = 4


async def until(is_so: Callable[[], bool]) -> None:
    """Look until something is so; the caller bounds how long."""
    while not is_so():  # noqa: ASYNC110  # what is looked at tells nobody
        await asyncio.sleep(0.02)


@dataclass
class Cluster:
    charter: Charter
    transcript: bytes
    make: Callable[[int], Node]
    nodes: list[Node]
    tasks: list[asyncio.Task[None]]

    @property
    def addresses(self) -> list[str]:
        """Where labs reach each node."""
        return [f"grpc://{node.config.public.listen}" for node in self.nodes]

    async def stop(self, i: int) -> None:
        """Stop one node and wait until it has."""
        self.nodes[i].stop()
        await self.tasks[i]

    async def prepare(self, i: int) -> None:
        """Do about the history of a stopped node what is done before each start."""
        node = self.nodes[i]
        await prepare_history(node.config, node.keys, node._tls, session_id=b"")

    def start_again(self, i: int) -> None:
        """Run a stopped node again, from what is on its disk."""
        self.nodes[i] = self.make(i)
        self.tasks[i] = asyncio.create_task(self.nodes[i].run())


async def nobody(member: MemberIndex, request: object) -> list[bytes]:
    return []


def _tls(committee: Committee, charter: Charter, now: Seconds) -> list[TlsIdentity]:
    keys: list[TlsKey] = [
        issue_certificate(member_id=member.id, sign=founder.identity.sign, now=now)
        for member, founder in zip(charter.members, committee.founders, strict=True)
    ]
    certificates = {
        member.index: verify_certificate(key.certificate, member_id=member.id, identity=member.identity, now=now)
        for member, key in zip(charter.members, keys, strict=True)
    }
    return [TlsIdentity(key, certificates) for key in keys]


def set_up(
    folder: Path,
    *,
    start: int | None = None,
    interval_s: int = 3600,
    submit_window_s: int = 3600,
    snapshot_interval: int = 0,
    agreement: Agreement | None = None,
    founded_s: int | None = None,
) -> tuple[Charter, bytes, Callable[[int], Node]]:
    """Found a ledger of four members on disk; gives its charter, its transcript, and what makes a node that can run."""
    numbers = find_free_ports(4 * COUNT)
    ports = [(numbers[4 * i], numbers[4 * i + 1], numbers[4 * i + 2]) for i in range(COUNT)]
    now = int(time.time())
    committee = found_committee(
        ports,
        start=now - 100 if start is None else start,
        idle_interval_ms=200,
        delta_ms=200,
        interval_s=interval_s,
        submit_window_s=submit_window_s,
        snapshot_interval=snapshot_interval,
        agreement=agreement,
        founded_s=founded_s,
    )
    charter = parse_charter(committee.entry)
    identities = _tls(committee, charter, Seconds(now))

    def make(i: int) -> Node:
        text = f"""
[peer]
listen = "127.0.0.1:{ports[i][0]}"
[catchup]
from_snapshot = true
[public]
listen = "127.0.0.1:{ports[i][1]}"
[http]
listen = "127.0.0.1:{ports[i][2]}"
metrics_listen = "127.0.0.1:{numbers[4 * i + 3]}"
"""
        config = parse_config(text.encode(), folder=folder / f"n{i}")
        founder = committee.founders[i]
        keys = MemberKeys(identity=founder.identity, cosigner=founder.cosigner, log=founder.log, share=founder.share)
        return Node(config, keys, identities[i], nobody, session_id=b"")

    for i in range(COUNT):
        home = folder / f"n{i}"
        home.mkdir()
        found_store(home / "ledger.sqlite", committee.entry, committee.transcript)
        votes = VoteFile(home / "votes.log", ledger_id=charter.ledger_id, member=MemberIndex(i + 1))
        votes.create()
        votes.close()
    return charter, committee.transcript, make


@contextlib.asynccontextmanager
async def run_cluster(
    folder: Path,
    *,
    start: int | None = None,
    interval_s: int = 3600,
    submit_window_s: int = 3600,
    snapshot_interval: int = 0,
    agreement: Agreement | None = None,
    founded_s: int | None = None,
) -> AsyncIterator[Cluster]:
    """Found a ledger of four members and run them until the block ends."""
    charter, transcript, make = set_up(
        folder,
        start=start,
        interval_s=interval_s,
        submit_window_s=submit_window_s,
        snapshot_interval=snapshot_interval,
        agreement=agreement,
        founded_s=founded_s,
    )
    nodes = [make(i) for i in range(COUNT)]
    tasks = [asyncio.create_task(node.run()) for node in nodes]
    try:
        yield Cluster(charter, transcript, make, nodes, tasks)
    finally:
        for node in nodes:
            node.stop()
        await asyncio.gather(*tasks)
