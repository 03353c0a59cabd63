"""Carries out what the consensus core decides: the only place where its actions meet disk, clock and network.

Rules of this file (they mirror `node.consensus.messages`)
1. Events are handled one at a time, in one task; the actions of one are carried out in order before the next event.
2. `Persist` and every commit go through one disk thread and are awaited. If one fails the node stops: the exception
   leaves `run`.
3. Building and executing answer with events, so the core never waits for them; whoever waited looks states up again.
4. Messages of members enter through a bounded number of places: a flood slows its own stream, not this loop.
5. After a commit: states, mempool, waiting submitters, tip, cosignatures and publication learn of it, in this order.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, assert_never

import structlog

from ledger.blocks import Header
from ledger.errors import LedgerError, Rejection
from ledger.merkle import Hash, leaf_hash
from ledger.positions import Height, MemberIndex, Millis, Seconds
from ledger.rules.apply import compute_due_entries, next_deadline_ms
from ledger.rules.entries import PreparedEntry
from node.admission import Admission
from node.branches import Branches
from node.catchup import CatchUp
from node.consensus import messages as core
from node.consensus.core import Core
from node.cosigning import Cosignature, Notary
from node.execute import ExecutedBlock, build_block, execute_block
from node.mempool import Mempool
from node.metrics import Metrics
from node.peers import Peers, Urgency
from node.pulling import Puller
from node.store import BlockCommit, Store, StoredBlock
from node.tip import Tip
from node.v1 import peer_pb2
from node.votefile import VoteFile
from node.wire import compute_urgency, encode_message

PEER_MESSAGES_WAITING_MAX: Final = 4_096
GOSSIP_PAUSE_S: Final = 0.002
GOSSIP_BYTES_MAX: Final = 1024 * 1024
COMPACT_EVERY_BLOCKS: Final = 1_000
VIEWS_ASKED_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class DriverParts:
    """What the driver drives; each is made by `node.daemon`."""

    store: Store
    votefile: VoteFile
    branches: Branches
    mempool: Mempool
    admission: Admission
    notary: Notary
    tip: Tip
    peers: Peers
    puller: Puller
    catchup: CatchUp
    metrics: Metrics
    disk: ThreadPoolExecutor


class Driver:
    """Runs one core against the world."""

    def __init__(
        self,
        consensus: Core,
        config: core.CoreConfig,
        parts: DriverParts,
        *,
        snapshot_interval: int,
        clock: Callable[[], Millis],
        on_published: Callable[[], None],
    ) -> None:
        self.core = consensus
        self._config = config
        self._parts = parts
        self._snapshot_interval = snapshot_interval
        self._clock = clock
        self._on_published = on_published
        self._inbox: asyncio.Queue[tuple[core.Event, bool]] = asyncio.Queue()
        self._places = asyncio.Semaphore(PEER_MESSAGES_WAITING_MAX)
        self._timers: dict[core.TimerName, asyncio.TimerHandle] = {}
        self._is_pending_told = False
        self._gossip: list[bytes] = []
        self._gossip_bytes = 0
        self._catching_up: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._log = structlog.get_logger("consensus")
        self.evidence_count = 0

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Drive the core until cancelled; an error of disk or of ours ends it."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self.put(core.Started())
            self._tell_deadline()
            while True:
                event, holds_place = await self._inbox.get()
                try:
                    await self._carry_out(self.core.handle(event, now=self._clock()))
                finally:
                    if holds_place:
                        self._places.release()

    def put(self, event: core.Event) -> None:
        """Queue an event of this node's own; their number is bounded by what the core asked for."""
        self._inbox.put_nowait((event, False))

    async def put_from_peer(self, event: core.Event) -> None:
        """Queue an event that a member caused, as soon as there is a place."""
        await self._places.acquire()
        self._inbox.put_nowait((event, True))

    def _spawn(self, coroutine: Any, name: str) -> asyncio.Task[None]:  # any coroutine returning None
        assert self._group is not None
        return self._group.create_task(coroutine, name=name)

    async def _on_disk(self, function: Callable[..., None], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._parts.disk, function, *arguments)

    async def _carry_out(self, actions: Sequence[core.Action]) -> None:
        records: list[bytes] = []
        for action in actions:
            if isinstance(action, core.Persist):
                records.append(action.record)
                continue
            if records:
                await self._on_disk(self._parts.votefile.append, records)
                records = []
            await self._carry_out_one(action)
        if records:
            await self._on_disk(self._parts.votefile.append, records)

    async def _carry_out_one(self, action: core.Action) -> None:  # noqa: C901, PLR0912  # one case an action
        match action:
            case core.Persist():
                raise AssertionError(action)
            case core.Broadcast():
                self._parts.peers.broadcast(compute_urgency(action.message), self._encode(action.message))
            case core.Send():
                self._parts.peers.send(action.member, compute_urgency(action.message), self._encode(action.message))
            case core.SetTimer():
                self._set_timer(action)
            case core.BuildBlock():
                self._spawn(self._build(action), "build")
            case core.ExecuteBlock():
                self._spawn(self._execute(action), "execute")
            case core.FetchBlock():
                self._spawn(self._fetch(self._parts.puller.block(action.member, action.digest)), "fetch block")
            case core.FetchCertificate():
                pull = self._parts.puller.certificate(action.member, action.kind, action.view)
                self._spawn(self._fetch(pull), "fetch certificate")
            case core.FetchViews():
                self._log.warning("vote log was lost: following only, until a quorum of others told their views")
                self._spawn(self._fetch_views(), "fetch views")
            case core.FetchFinalBlocks():
                self._start_catching_up(action)
            case core.Finalized():
                await self._finalize(action)
            case core.EvidenceFound():
                self._on_evidence(action)
            case core.PeerMisbehaved():
                self._log.warning("peer misbehaved", member=action.member, fault=action.fault, detail=action.detail)
                self._parts.peers.links[action.member].state.refused[action.fault] += 1
            case core.QuorumDisagrees():
                self._log.critical(
                    "a quorum accepted a block that this node's rules refuse; standing still",
                    height=action.header.height,
                    rejection=str(action.rejection),
                )
            case _:
                assert_never(action)

    def _encode(self, message: core.Message) -> bytes:
        return encode_message(message, ledger_id=self._config.ledger_id, epoch=self._config.epoch)

    def _set_timer(self, action: core.SetTimer) -> None:
        old = self._timers.pop(action.timer, None)
        if old is not None:
            old.cancel()
        delay_s = max(0, action.at_ms - self._clock()) / 1000
        event = core.TimerFired(timer=action.timer, view=action.view)
        self._timers[action.timer] = asyncio.get_running_loop().call_later(delay_s, self.put, event)

    # -- blocks ------------------------------------------------------------------------------------------------------

    async def _build(self, action: core.BuildBlock) -> None:
        parent = self._parts.branches.get(action.parent.digest)
        if parent is None:  # a sibling became final since: the core ignores the answer anyway
            self.put(core.NothingToPropose(view=action.view))
            return
        candidates = [pending.prepared for pending in self._parts.mempool]
        block, refused = build_block(
            parent,
            candidates,
            view=action.view,
            time_ms=action.time_ms,
            proposer=self._config.me,
            snapshot_interval=self._snapshot_interval,
        )
        if parent is self._parts.branches.final:
            self._parts.admission.on_refused(refused)
        if not block.entries and not action.may_be_empty:
            self.put(core.NothingToPropose(view=action.view))
            return
        await self._keep(block)
        self.put(core.BlockBuilt(view=action.view, header=block.header, entry_hashes=block.leaves))

    async def _execute(self, action: core.ExecuteBlock) -> None:
        header = action.header
        if self._parts.branches.get(header.digest) is not None:
            self.put(core.BlockExecuted(digest=header.digest, rejection=None))
            return
        entries = await self._gather(action)
        parent = self._parts.branches.get(header.parent)
        if parent is None or entries is None:
            return  # the branch died while entries were pulled; the core has forgotten the block too
        outcome = execute_block(parent, header, entries, snapshot_interval=self._snapshot_interval)
        if isinstance(outcome, Rejection):
            self._log.warning("block refused", height=header.height, rejection=str(outcome))
            self.put(core.BlockExecuted(digest=header.digest, rejection=outcome))
            return
        await self._keep(outcome)
        self.put(core.BlockExecuted(digest=header.digest, rejection=None))

    async def _gather(self, action: core.ExecuteBlock) -> list[PreparedEntry | bytes] | None:
        """Find a block's entries: waiting here, computed by the rules, kept before, or pulled; None if it died."""
        parent = self._parts.branches.get(action.header.parent)
        if parent is None:
            return None
        found: dict[Hash, PreparedEntry | bytes] = {}
        for raw in compute_due_entries(parent.state, time_ms=action.header.time_ms):
            found[leaf_hash(raw)] = raw
        for leaf in action.entry_hashes:
            pending = self._parts.mempool.get(leaf)
            if pending is not None:
                found[leaf] = pending.prepared
        missing = [leaf for leaf in action.entry_hashes if leaf not in found]
        found |= self._parts.store.entries_with(missing)
        missing = [leaf for leaf in missing if leaf not in found]
        if missing:

            def is_alive() -> bool:
                return self._parts.branches.get(action.header.parent) is not None

            pulled = await self._parts.puller.entries(missing, first=action.source, is_wanted=is_alive)
            if pulled is None:
                return None
            found |= pulled
        return [found[leaf] for leaf in action.entry_hashes]

    async def _keep(self, block: ExecutedBlock) -> None:
        """Make a block's entries durable (the core persists header and hash list), and keep its state."""
        entries = list(zip(block.leaves, block.entries, strict=True))
        if entries:
            await self._on_disk(self._parts.store.put_candidates, block.header.height, entries)
        self._parts.branches.add(block)

    async def _finalize(self, action: core.Finalized) -> None:
        branches = self._parts.branches
        run: list[tuple[ExecutedBlock, bytes]] = []
        for final in action.blocks:
            block = branches.get(final.header.digest)
            assert block is not None, "the core finalizes only what was executed here"
            run.append((block, final.seal))
        await self.commit(run)

    async def commit(self, run: Sequence[tuple[ExecutedBlock, bytes]]) -> None:
        """Make executed blocks final, oldest first; the catch-up uses it too."""
        commits = [
            BlockCommit(
                header=block.header,
                seal=seal,
                entries=block.entries,
                leaves=block.leaves,
                state_changes=block.state.changes(),
            )
            for block, seal in run
        ]
        await self._on_disk(self._parts.store.commit, commits)
        for block, seal in run:
            self._parts.branches.finalize(block)
            self._parts.metrics.on_block(block.header, is_sealed=bool(seal))
        self._parts.admission.on_final([block for block, _ in run])
        newest = run[-1][0].header
        self._parts.tip.move(newest)
        self._tell_pending()
        self._tell_deadline()
        for block, seal in run:
            if seal:
                await self._cosign(StoredBlock(header=block.header, seal=seal))
        self._on_published()
        if any(block.header.height % COMPACT_EVERY_BLOCKS == 0 for block, _ in run):
            await self._on_disk(self._parts.votefile.compact, newest.epoch, newest.view)

    # -- what the core must be told ------------------------------------------------------------------------------------

    def on_admitted(self, prepared: PreparedEntry, is_gossip: bool) -> None:  # noqa: FBT001  # a callback
        """Tell the core that something waits, and spread what came from outside to every member, once."""
        if not is_gossip:
            self._gossip.append(prepared.raw)
            self._gossip_bytes += len(prepared.raw)
            if self._gossip_bytes >= GOSSIP_BYTES_MAX:
                self.flush_gossip()
            elif len(self._gossip) == 1:
                asyncio.get_running_loop().call_later(GOSSIP_PAUSE_S, self.flush_gossip)
        self._tell_pending()

    def flush_gossip(self) -> None:
        """Send the entries admitted since the last time to every member, once."""
        entries, self._gossip, self._gossip_bytes = self._gossip, [], 0
        self.spread(entries)

    def spread(self, entries: Sequence[bytes]) -> None:
        """Send entries to every member."""
        if not entries:
            return
        envelope = peer_pb2.PeerMessage(
            ledger_id=self._config.ledger_id, epoch=self._config.epoch, gossip=peer_pb2.Gossip(entries=entries)
        )
        self._parts.peers.broadcast(Urgency.GOSSIP, envelope.SerializeToString())

    def _tell_pending(self) -> None:
        if not self._is_pending_told:
            self._is_pending_told = True
            asyncio.get_running_loop().call_soon(self._put_pending)

    def _put_pending(self) -> None:
        self._is_pending_told = False
        self.put(core.EntriesPending(oldest_since_ms=self._parts.mempool.oldest_ms()))

    def _tell_deadline(self) -> None:
        self.put(core.DeadlineAt(at_ms=next_deadline_ms(self._parts.branches.final.state)))

    # -- pulling -------------------------------------------------------------------------------------------------------

    async def _fetch(self, pull: Any) -> None:  # a coroutine of the puller's that gives an event
        event: core.Event | None = None
        with contextlib.suppress(LedgerError):  # the core asks another member when nothing comes
            event = await pull
        if event is not None:
            await self.put_from_peer(event)

    async def _fetch_views(self) -> None:
        while self.core.status().is_recovering:
            for member in self._parts.peers.connected():
                await self._fetch(self._parts.puller.view(member))
            await asyncio.sleep(VIEWS_ASKED_EVERY_S)

    def _start_catching_up(self, action: core.FetchFinalBlocks) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()
        self._catching_up = self._spawn(self._catch_up(action), "catch up")

    async def _catch_up(self, action: core.FetchFinalBlocks) -> None:
        await self._parts.catchup.run(self.commit, target=action.target, seal=action.seal, first=action.member)
        self.put(core.CaughtUp(header=action.target, seal=action.seal))

    # -- cosignatures and evidence -------------------------------------------------------------------------------------

    async def _cosign(self, block: StoredBlock) -> None:
        now_s = Seconds(self._clock() // 1000)
        own, interval = self._parts.notary.on_final(block, now_s=now_s)
        for cosignature in own:
            envelope = peer_pb2.PeerMessage(
                ledger_id=self._config.ledger_id,
                epoch=self._config.epoch,
                cosignature=peer_pb2.Cosignature(
                    tree_size=cosignature.size, root=cosignature.root, line=cosignature.line
                ),
            )
            self._parts.peers.broadcast(Urgency.GOSSIP, envelope.SerializeToString())
        if interval is not None:
            await self._on_disk(self._parts.store.put_archive, interval, block.header.height)
            for cosignature in own:
                await self.store_cosignature(self._config.me, cosignature)

    async def store_cosignature(self, member: MemberIndex, cosignature: Cosignature) -> None:
        """Check and keep a cosignature; archival checkpoints' are stored for good."""
        kind, blob = self._parts.notary.verify(member, cosignature)
        self._parts.notary.keep(member, cosignature, kind, blob)
        if self._parts.store.is_archival(cosignature.size):
            await self._on_disk(self._parts.store.put_cosignature, cosignature.size, member, kind, blob)

    def _on_evidence(self, action: core.EvidenceFound) -> None:
        self.evidence_count += 1
        self._parts.metrics.on_evidence(action.misconduct)
        self._log.critical(
            "evidence of misconduct",
            misconduct=action.misconduct,
            member=action.member,
            votes=[self._vote_text(vote) for vote in action.votes],
        )

    @staticmethod
    def _vote_text(vote: core.Vote) -> str:
        return f"{vote.kind.name} view {vote.view} digest {vote.digest.hex()} signature {vote.signature.hex()}"

    def final_height(self) -> Height:
        """Return the newest final height."""
        return self._parts.tip.height

    def final_header(self) -> Header:
        """Return the newest final header."""
        return self._parts.branches.final.header
