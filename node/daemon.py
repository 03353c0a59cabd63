"""A running node: makes the parts, joins them, serves, and stops without losing a vote.

Order of starting: state from the store → core from the vote log → peers, services and publication → driver. Order of
stopping (`Node.stop`): refuse new statements → hand the mempool on to the others → end calls → driver → disk.
Everything a node said is on disk before it is said, so stopping at any other point loses nothing either.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import structlog
from grpc_health.v1._async import HealthServicer

from ledger.blocks import SealedHeader, seal_message
from ledger.charter import Charter, parse_charter
from ledger.positions import GENESIS_HEIGHT, LeafIndex, MemberIndex, Millis
from ledger.rules.apply import get_kinds
from ledger.rules.state import State
from node import failpoints
from node.admission import Admission
from node.beacon import Beacon
from node.branches import Branches
from node.catchup import CatchUp
from node.checking import open_checker
from node.config import Config
from node.consensus.core import Core
from node.consensus.messages import CoreConfig
from node.cosigning import Notary, NoteSigners
from node.driver import Driver, DriverParts
from node.endings import first_of
from node.evidence import Accuser, EvidenceFolder
from node.execute import ExecutedBlock
from node.greeting import Greeting
from node.history import History
from node.home import EVIDENCE_FOLDER, HISTORY_FILE, SNAPSHOTS_FOLDER, STORE_FILE, VOTES_FILE
from node.issuing import Issuing
from node.matters import MatterReader
from node.mempool import Mempool, MempoolLimits
from node.metrics import CONTENT_TYPE, Metrics
from node.nation import Nation
from node.outbox import Urgency
from node.peers import Peers, PeerServicer, find_addresses
from node.ports import Port, make_operator_server, make_peer_server, make_public_server, say_serving
from node.preflight import MemberKeys, believed, read_transcript, require_clock, require_known_members, require_own_keys
from node.proving import Prover
from node.publication import Snapshots
from node.pulling import Puller
from node.schema import damaged
from node.services.operator import OperatorServicer
from node.services.reading import SENDING_BYTES_MAX, ReadingServicer
from node.services.streams import StreamLimit, WriteBudget
from node.services.submission import SubmissionServicer
from node.serving import Found, MemberServing
from node.snapshots import SnapshotFolder, SnapshotTaker
from node.store import Store, StoredBlock
from node.targets import Publications, open_publications
from node.tip import Tip
from node.tls import (
    MemberCertificate,
    TlsKey,
    make_channel_credentials,
    make_identifier,
    make_server_credentials,
)
from node.v1 import operator_pb2
from node.votefile import VoteFile
from node.votekeys import VoteKeys
from node.wire import encode_beacon_share
from node.witnessing import Witnesses
from tlog.folder import Folder
from tlog.serving import make_app, make_metrics_app, serve_http
from tlog.witness import Witness

HAND_ON_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """This node's TLS key and the certificates that members vouched for."""

    own: TlsKey
    members: Mapping[MemberIndex, MemberCertificate]


def read_clock() -> Millis:
    """Read this machine's clock, milliseconds UTC."""
    return Millis(time.time_ns() // 1_000_000)


def read_charter(path: Path) -> Charter:
    """Read the charter of a founded ledger.

    Raises:
        ConditionError: no ledger, or a damaged one.
    """
    store = Store(path)
    try:
        with believed(path):
            return parse_charter(_entry_0(store))
    finally:
        store.close()


class Node:
    """One member's node, from open files to served ports."""

    def __init__(
        self,
        config: Config,
        keys: MemberKeys,
        tls: TlsIdentity,
        found_answer: Found,
        *,
        session_id: bytes,
        clock: Callable[[], Millis] = read_clock,
        witness: Witness | None = None,
    ) -> None:
        """Open what is on disk and make every part; nothing runs yet.

        Raises:
            ConditionError: `STORE_DAMAGED`, `VERSION_MISMATCH`, `NOT_READY` with what to do.
        """
        self.config, self.keys, self._tls, self._clock, self._own = config, keys, tls, clock, witness
        self._started_s = time.monotonic()
        self._log = structlog.get_logger("node")
        self.store = Store(config.node.home / STORE_FILE)
        self.store.check()
        with believed(self.store.path):
            self.charter = parse_charter(_entry_0(self.store))
        home = config.node.home
        self.history = History(home / HISTORY_FILE, self.store, self.charter) if self.store.base else None
        self.me = keys.share.member
        require_own_keys(self.charter, keys)
        require_known_members(self.charter, config.peer.addresses)
        self._greeting = Greeting(ledger_id=self.charter.ledger_id, session_id=session_id, member=self.me)
        self._found_answer = found_answer
        self._stopping = asyncio.Event()
        self.health = HealthServicer()
        self._publications: Publications | None = None
        self._make_ledger_parts()
        self._make_network_parts()

    def _make_ledger_parts(self) -> None:
        """Everything that needs no network: states, mempool, notes, proofs, the core."""
        config, charter, store = self.config, self.charter, self.store
        tip = store.require_tip()
        require_clock(self._clock(), tip.header)
        with believed(store.path):
            state = State.restore(store.state_items(), charter=charter)
            transcript = read_transcript(charter, store.meta("transcript") or b"")
        frontier = store.frontier(tip.header.tree_size)
        final = ExecutedBlock(header=tip.header, leaves=(), entries=(), state=state, frontier=frontier)
        self.tip = Tip(tip.header)
        self.branches = Branches(final)
        self.snapshots = SnapshotFolder(config.node.home / SNAPSHOTS_FOLDER)
        self._taker = SnapshotTaker(self.snapshots, store.read_hash)
        self.branches.on_final = self._taker.take
        limits = MempoolLimits(
            bytes_max=config.mempool.bytes_max,
            entries_max=config.mempool.entries_max,
            entries_per_issuer_max=config.mempool.entries_per_issuer_max,
        )
        self.mempool = Mempool(limits)
        self.metrics = Metrics()
        self.metrics.measure_mempool(lambda: len(self.mempool), lambda: self.mempool.bytes)
        self.disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")
        signers = NoteSigners(
            log=self.keys.log.sign, cosigner=self.keys.cosigner.sign, cosigner_ml_dsa=self.keys.cosigner.sign_ml_dsa
        )
        ml_dsa_keys = {member.index: transcript.cosigners_ml_dsa[member.index - 1] for member in charter.members}
        self._make_notary = partial(Notary, charter, self.me, ml_dsa_keys, signers)
        self.notary = self._make_notary(store)
        self.witnesses = Witnesses(
            charter, store, self.notary, config.witness, self._own, clock=self._clock, on_cosigned=self._on_published
        )
        self.prover = Prover(store, self.notary)
        self.votefile = VoteFile(config.node.home / VOTES_FILE, ledger_id=charter.ledger_id, member=self.me)
        self.admission = Admission(self.mempool, self.branches, store, self._clock)
        self.admission.on_settled = self.metrics.on_finality
        self.metrics.on_certificates(
            {charter.member(index).id: shown.not_after for index, shown in self._tls.members.items()}
        )
        me = charter.member(self.me).id
        self.nation = Nation(me, self.keys.identity, self.admission, get_kinds(state), self._clock)
        self.issuing = Issuing(self.nation, self.admission, self.prover, store)
        self.accuser = Accuser(
            EvidenceFolder(config.node.home / EVIDENCE_FOLDER, charter),
            charter,
            self.me,
            self.nation,
            self.admission,
            state=lambda: self.branches.final.state,
            disk=self.disk,
        )

    def _make_network_parts(self) -> None:
        """Peers, the core's keys and the driver that joins all."""
        charter, consensus = self.charter, self.charter.consensus
        tip = self.store.require_tip()
        core_config = CoreConfig(
            ledger_id=charter.ledger_id,
            origin=charter.origin,
            epoch=tip.header.epoch,
            member_count=len(charter.members),
            me=self.me,
            quorum=charter.quorum,
            delta_ms=consensus.delta_ms,
            delta_max_ms=consensus.delta_max_ms,
            idle_interval_ms=consensus.idle_interval_ms,
            final=self._newest_final(tip),
        )
        self._vote_keys = VoteKeys(charter, self.keys.identity, self.keys.share)
        core = Core(core_config, self._vote_keys, self.votefile.load())
        credentials = make_channel_credentials(self._tls.own, list(self._tls.members.values()))
        self.peers = Peers(
            find_addresses(charter, self.config.peer.addresses, me=self.me),
            credentials,
            lambda: self._greeting,
            self._on_connected,
            skew_alarm_ms=self.config.clock.skew_alarm_ms,
        )
        self.puller = Puller(self.peers, core_config.epoch)
        parts = DriverParts(
            store=self.store,
            votefile=self.votefile,
            branches=self.branches,
            mempool=self.mempool,
            admission=self.admission,
            notary=self.notary,
            tip=self.tip,
            peers=self.peers,
            puller=self.puller,
            catchup=self._make_catchup(self._vote_keys),
            metrics=self.metrics,
            disk=self.disk,
        )
        self.driver = Driver(
            core,
            core_config,
            parts,
            snapshot_interval=consensus.snapshot_interval,
            clock=self._clock,
            on_published=self._on_published,
        )
        self.admission.on_admitted = self.driver.on_admitted
        self.driver.on_evidence = self.accuser.keep
        self.beacon = None if charter.agreement is None else self._make_beacon(self._vote_keys)
        self.serving = MemberServing(
            greeting=self._greeting,
            driver=self.driver,
            admission=self.admission,
            mempool=self.mempool,
            store=self.store,
            notary=self.notary,
            found=self._found_answer,
            epoch=core_config.epoch,
            snapshots=self.snapshots,
            beacon=self.beacon,
        )

    def _make_beacon(self, keys: VoteKeys) -> Beacon:
        ledger_id, epoch = self.charter.ledger_id, self.keys.share.epoch
        return Beacon(
            self.charter,
            self.me,
            keys,
            self.nation,
            self.admission,
            state=lambda: self.branches.final.state,
            say=lambda beacon_round, share: self.peers.broadcast(
                Urgency.VOTE, encode_beacon_share(beacon_round, share, ledger_id=ledger_id, epoch=epoch)
            ),
            on_fault=self.driver.on_misbehaviour,
        )

    def _make_catchup(self, keys: VoteKeys) -> CatchUp:
        """What pulls final blocks; where there is a second core, signatures are checked there."""
        return CatchUp(
            self.branches,
            self.mempool,
            self.peers,
            self.puller,
            keys=keys,
            seal_message=lambda header: seal_message(header, self.charter.origin),
            snapshot_interval=self.charter.consensus.snapshot_interval,
            open_checker=open_checker if (os.cpu_count() or 1) > 1 else None,
        )

    @staticmethod
    def _newest_final(tip: StoredBlock) -> SealedHeader:
        assert tip.seal or tip.header.height == GENESIS_HEIGHT, "runs of final blocks end with a sealed one"
        return SealedHeader(header=tip.header, seal=tip.seal)

    # -- running -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until `stop`.

        Raises:
            ConditionError: `PORT_TAKEN`, `DISK_FULL` and whatever else an operator must mend.
        """
        try:
            async with contextlib.AsyncExitStack() as stack:
                for port in self._make_ports():
                    await port.start()
                    stack.push_async_callback(port.stop, self.config.limits.drain_max_ms / 1000)
                files = Folder(self.config.publish.folder, reach=failpoints.reach)
                threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="http")
                stack.callback(threads.shutdown)
                app = make_app(files, threads, witness=self.witnesses.open_app(stack))
                await stack.enter_async_context(serve_http(app, self.config.http.listen))
                metrics = make_metrics_app(self._encode_metrics, CONTENT_TYPE)
                await stack.enter_async_context(serve_http(metrics, self.config.http.metrics_listen))
                snapshots = partial(Snapshots, self.store, self.notary, find_witnessed=self.witnesses.find_witnessed)
                self._publications = open_publications(
                    files, self.config.publish, self.charter, self.store, snapshots, clock=self._clock, stack=stack
                )
                async with asyncio.TaskGroup() as group:
                    parts = {
                        "publication": self._publications.run(),
                        "peers": self.peers.run(),
                        "driver": self.driver.run(),
                        "accuser": self.accuser.run(),
                        "witnesses": self.witnesses.run(),
                    }
                    if self.beacon is not None:
                        parts["beacon"] = self.beacon.run()
                    if self.history is not None:
                        parts["history"] = self.history.run(
                            self.peers, self.puller, self._vote_keys, self.tip, self._make_notary
                        )
                    tasks = [group.create_task(self._keep_on(part, name), name=name) for name, part in parts.items()]
                    await say_serving(self.health)
                    self._log.info("node is up", member=self.charter.member(self.me).id, height=self.tip.height)
                    await self._stopping.wait()
                    await self._hand_on()
                    for task in tasks:
                        task.cancel()
        except BaseExceptionGroup as group:
            raise first_of(group) from group
        finally:
            self.disk.shutdown()
            self._taker.close()
            self.votefile.close()
            if self.history is not None:
                self.history.close()
            self.store.close()

    def stop(self) -> None:
        """Begin to stop: refuse new statements, hand on what waits, end."""
        self.admission.is_draining = True
        self.tip.close()
        self._stopping.set()

    async def _keep_on(self, part: Coroutine[None, None, None], name: str) -> None:
        """Run a part that has no end of its own: if it ends before the node does, that must not pass in silence."""
        try:
            await part
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        assert self._stopping.is_set(), f"{name} ended by itself"

    async def _hand_on(self) -> None:
        """Give what waits here to the others, submitters their receipts, and both a moment to arrive."""
        self.driver.spread([pending.prepared.raw for pending in self.mempool])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.limits.drain_max_ms / 1000):
                await self.health.enter_graceful_shutdown()
                await self.admission.wait_settled()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_ON_S), asyncio.TaskGroup() as group:
                for link in self.peers.links.values():
                    group.create_task(link.finish())

    def _make_ports(self) -> Iterator[Port]:
        """Bind one after another, so that what was bound before can be given back when the next is taken."""
        config = self.config
        states = {member: link.state for member, link in self.peers.links.items()}
        others = {member: shown for member, shown in self._tls.members.items() if member in states}
        streams, waiting = StreamLimit(config.public.streams_max), StreamLimit(config.public.streams_max)
        budget = WriteBudget(SENDING_BYTES_MAX)
        wait_max_s = config.limits.submit_wait_max_ms / 1000
        quorum = self.charter.quorum
        yield make_peer_server(
            PeerServicer(self.serving, states, make_identifier(others)),
            str(config.peer.listen),
            make_server_credentials(self._tls.own, list(self._tls.members.values())),
        )
        yield make_public_server(
            SubmissionServicer(self.admission, self.prover, waiting, wait_max_s=wait_max_s),
            ReadingServicer(self._state, self.store, self.prover, self.notary, self.tip, budget=budget, quorum=quorum),
            self.health,
            streams,
            config.public,
        )
        matters = MatterReader(self._state, self.store, self.nation, me=self.me)
        operator = OperatorServicer(self.status, states, self._drain, self.issuing, matters, wait_max_s=wait_max_s)
        yield make_operator_server(operator, config.operator.socket)

    def _state(self) -> State:
        return self.branches.final.state

    async def _drain(self) -> int:
        waiting = len(self.mempool)
        self.stop()
        return waiting

    async def _on_connected(self, member: MemberIndex) -> None:
        """Ask a member that has just answered for what this node may have missed."""
        event = await self.puller.newest(member)
        if event is not None:
            await self.driver.put_from_peer(member, event)
        for interval in self.notary.intervals_lacking(member):
            for cosignature in await self.puller.cosignatures(member, interval):
                await self.driver.store_cosignature(member, cosignature)

    def _on_published(self) -> None:
        if self.beacon is not None:
            self.beacon.wake()
        if self._publications is not None:
            self._publications.wake()

    def _encode_metrics(self) -> bytes:
        """Measure what is only known when asked, then encode everything."""
        core = self.driver.core.status()
        self.metrics.on_view(core.epoch, core.view)
        for link in self.peers.links.values():
            state = link.state
            self.metrics.on_peer(
                state.id, is_connected=state.connected, skew=Millis(state.clock_skew_ms), height=state.height
            )
            self.metrics.on_refused(state.id, state.refused)
        self.metrics.on_faults({(line.member, line.kind): line.on_ledger for line in self.accuser.describe()})
        self.metrics.on_submissions(admitted=self.admission.admitted_count, refused=self.admission.refused)
        if self.beacon is not None:
            self.beacon.measure(self.metrics)
        if self.history is not None:
            self.metrics.on_history(self.history.base.header.height, self.history.height)
        if self._publications is not None:
            self._publications.measure(self.metrics)
        self.witnesses.measure(self.metrics)
        return self.metrics.encode()

    def status(self) -> operator_pb2.GetStatusResponse:
        """Say how this node stands, for its operator."""
        core, header = self.driver.core.status(), self.branches.final.header
        phase = "voting"
        if core.is_recovering or core.view <= core.muted_until_view:
            phase = "following"
        elif core.is_catching_up:
            phase = "catching-up"
        if self._stopping.is_set():
            phase = "draining"
        counters = [operator_pb2.Counter(name=f"refused {name}", value=n) for name, n in self.admission.refused.items()]
        counters += [operator_pb2.Counter(name=f"dropped {name}", value=n) for name, n in core.dropped.items()]
        counters.append(operator_pb2.Counter(name="evidence of misconduct", value=self.driver.evidence_count))
        counters += [operator_pb2.Counter(name=name, value=n) for name, n in self.witnesses.counters().items()]
        return operator_pb2.GetStatusResponse(
            member_id=self.charter.member(self.me).id,
            member=self.me,
            origin=self.charter.origin,
            ledger_id=self.charter.ledger_id,
            phase=phase,
            epoch=core.epoch,
            view=core.view,
            height=header.height,
            tree_size=header.tree_size,
            root=header.root,
            block_time_ms=header.time_ms,
            mempool_entries=len(self.mempool),
            mempool_bytes=self.mempool.bytes,
            peers_connected=len(self.peers.connected()),
            quorum=self.charter.quorum,
            counters=counters,
            uptime_ms=int(1000 * (time.monotonic() - self._started_s)),  # whatever happened to the wall clock
            version=version("counterseal"),
            misconduct=self.accuser.describe(),
            history_from=0 if self.history is None else self.history.base.header.height,
            history_audited=0 if self.history is None else self.history.height,
            beacon=None if self.beacon is None else self.beacon.describe(),
            published=None if self._publications is None else self._publications.describe(),
        )


def _entry_0(store: Store) -> bytes:
    entries = store.entries(LeafIndex(0), 1)
    if not entries:  # it appears with its charter in it, or not at all
        raise damaged(store.path, "no ledger", expected="the charter")
    return entries[0]
