"""Carries out what the consensus core decides: the only place where its actions meet disk, clock and network.

Rules of this file (they mirror `node.consensus.messages`)
1. Events are handled one at a time, in one task; the actions of one are carried out in order before the next event.
2. `Persist` and every commit go through one disk thread and are awaited. If one fails the node stops: the exception
   leaves `run`. Who asks what the core knows is answered between two events (`said`), when all of it is on disk.
3. Building and executing answer with events, so the core never waits for them; whoever waited looks states up again.
4. Messages of members enter through places, a bounded number for each member: a flood slows its own stream only.
5. After a commit: states, mempool, waiting submitters, tip, cosignatures and publication learn of it, in this order.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, assert_never

import structlog

from ledger.blocks import Header
from ledger.errors import ConditionError, LedgerError, Rejection
from ledger.merkle import Hash, leaf_hash
from ledger.positions import Height, MemberIndex, Millis, Seconds, View
from ledger.rules.apply import compute_due_entries, next_deadline_ms
from ledger.rules.entries import PreparedEntry
from node.admission import Admission
from node.alarms import sound_alarm
from node.branches import Branches
from node.catchup import CatchUp
from node.consensus import messages as core
from node.consensus.core import Core
from node.consensus.lanes import Lane
from node.cosigning import Cosignature, Notary
from node.execute import ExecutedBlock, build_block, execute_block
from node.links import Links
from node.mempool import Mempool
from node.metrics import Metrics
from node.outbox import Urgency
from node.pulling import Puller
from node.store import BlockCommit, Store, StoredBlock
from node.tip import Tip
from node.v1 import peer_pb2
from node.votefile import VoteFile
from node.wire import compute_urgency, encode_message

MESSAGES_WAITING_PER_MEMBER_MAX: Final = 64
GOSSIP_PAUSE_S: Final = 0.1  # between two messages: the first entry after a silence goes at once
GOSSIP_BYTES_MAX: Final = 1024 * 1024
GOSSIP_ENTRIES_MAX: Final = 1_000
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
    peers: Links
    puller: Puller
    catchup: CatchUp
    metrics: Metrics
    disk: Executor


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
        self._between_events = asyncio.Lock()
        self._inbox: asyncio.Queue[tuple[core.Event, asyncio.Semaphore | None]] = asyncio.Queue()
        self._places = {member: asyncio.Semaphore(MESSAGES_WAITING_PER_MEMBER_MAX) for member in parts.peers.links}
        self._timers: dict[core.TimerName, asyncio.TimerHandle] = {}
        self._is_pending_told = False
        self._told_pending_ms: Millis | None = None
        self._had_nothing = True
        self._gossip: list[bytes] = []
        self._gossip_bytes = 0
        self._gossiped_s = 0.0
        self._catching_up: asyncio.Task[None] | None = None
        self._asking_views: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._disk_failures: asyncio.Queue[ConditionError] = asyncio.Queue()
        self._log = structlog.get_logger("consensus")
        self.on_evidence: Callable[[core.EvidenceFound], Awaitable[None]] = _keep_nothing
        self.evidence_count = 0
        self.disagreement_count = 0

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Drive the core until cancelled; an error of disk or of ours ends it."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._spawn(self._end_with_disk(), "disk")
            self.put(core.Started())
            self._tell_deadline()
            while True:
                event, place = await self._inbox.get()
                try:
                    async with self._between_events:
                        await self._carry_out(self.core.handle(event, now=self._clock()))
                finally:
                    if place is not None:
                        place.release()

    async def said(self) -> Core:
        """Give the core for others to ask, once everything that it has said is on disk.

        Until then its certificates and seals may hold votes of this node that a crash would make it forget: shown to a
        member, they would count although the node votes otherwise afterwards. Ask before the next `await`.
        """
        async with self._between_events:
            return self.core

    def is_heard(self, member: MemberIndex, lane: Lane) -> bool:
        """Say whether the core would look now at what this stream of a member's brings (its step 11)."""
        return self.core.credit.is_heard(member, lane, self._clock())

    def put(self, event: core.Event) -> None:
        """Queue an event of this node's own; their number is bounded by what the core asked for."""
        self._inbox.put_nowait((event, None))

    async def put_from_peer(self, member: MemberIndex, event: core.Event) -> None:
        """Queue an event that a member caused, as soon as one of that member's places is free."""
        place = self._places[member]
        await place.acquire()
        self._inbox.put_nowait((event, place))

    def _spawn(self, coroutine: Any, name: str) -> asyncio.Task[None]:  # any coroutine returning None
        assert self._group is not None
        return self._group.create_task(coroutine, name=name)

    async def _on_disk(self, function: Callable[..., None], *arguments: object) -> None:
        """Write; if the disk refuses, the node stops, whoever asked for it."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._parts.disk, function, *arguments)
        except ConditionError as error:
            self._disk_failures.put_nowait(error)  # more come, one a member's open call, until all of this has ended
            raise

    async def _end_with_disk(self) -> None:
        raise await self._disk_failures.get()

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
                pulled = self._parts.puller.block(action.member, action.digest)
                self._spawn(self._fetch(action.member, pulled), "fetch block")
            case core.FetchCertificate():
                pull = self._parts.puller.certificate(action.member, action.kind, action.view)
                self._spawn(self._fetch(action.member, pull), "fetch certificate")
            case core.FetchViews():
                self._start_asking_views()
            case core.FetchFinalBlocks():
                self._start_catching_up(action)
            case core.Finalized():
                await self._finalize(action)
            case core.EvidenceFound():
                await self._on_evidence(action)
            case core.PeerMisbehaved():
                self.on_misbehaviour(action.member, action.fault, action.detail)
            case core.QuorumDisagrees() | core.VoteForgotten():
                self.disagreement_count += isinstance(action, core.QuorumDisagrees)
                sound_alarm(action)
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
            self._put_nothing(action.view)
            return
        taken = self._parts.branches.leaves_above_final(parent)
        waiting = (pending.prepared for pending in self._parts.mempool)
        candidates = (prepared for prepared in waiting if prepared.leaf_hash not in taken)
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
        deadline_ms = next_deadline_ms(parent.state)
        is_due = deadline_ms is not None and deadline_ms <= action.time_ms  # it passes by a block, with verdicts or not
        if not (block.entries or action.may_be_empty or is_due):
            self._put_nothing(action.view)
            return
        if await self._keep(block, parent):
            self.put(core.BlockBuilt(view=action.view, header=block.header, entry_hashes=block.leaves))
        else:
            self._put_nothing(action.view)

    async def _execute(self, action: core.ExecuteBlock) -> None:
        header = action.header
        if self._parts.branches.get(header.digest) is not None:
            self.put(core.BlockExecuted(digest=header.digest, rejection=None))
            return
        entries = await self._gather(action)
        while entries is not None:
            parent = self._parts.branches.get(header.parent)
            if parent is None:
                return  # the branch died while this waited; the core has forgotten the block too
            outcome = execute_block(parent, header, entries, snapshot_interval=self._snapshot_interval)
            if isinstance(outcome, Rejection):
                self._log.warning("block refused", height=header.height, rejection=str(outcome))
                self.put(core.BlockExecuted(digest=header.digest, rejection=outcome))
                return
            if await self._keep(outcome, parent):
                self.put(core.BlockExecuted(digest=header.digest, rejection=None))
                return

    async def _gather(self, action: core.ExecuteBlock) -> list[PreparedEntry | bytes] | None:
        """Find a block's entries: waiting here, computed by the rules, kept before, or pulled; None if it died."""
        parent = self._parts.branches.get(action.header.parent)
        if parent is None:
            return None
        found: dict[Hash, PreparedEntry | bytes] = {}
        for raw in compute_due_entries(parent.state, time_ms=action.header.time_ms, parent=action.header.parent):
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

    async def _keep(self, block: ExecutedBlock, parent: ExecutedBlock) -> bool:
        """Make a block's entries durable (the core persists header and hash list), and keep its state.

        Says whether the state was kept; it was not if `parent` became final meanwhile through another execution, or
        died.
        """
        entries = list(zip(block.leaves, block.entries, strict=True))
        if entries:
            await self._on_disk(self._parts.store.put_candidates, block.header.height, entries)
        return self._parts.branches.add(block, parent=parent)

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
                loop = asyncio.get_running_loop()
                loop.call_at(max(loop.time(), self._gossiped_s + GOSSIP_PAUSE_S), self.flush_gossip)
        self._tell_pending()

    def flush_gossip(self) -> None:
        """Send the entries admitted since the last time to every member, once."""
        entries, self._gossip, self._gossip_bytes = self._gossip, [], 0
        self._gossiped_s = asyncio.get_running_loop().time()
        self.spread(entries)

    def spread(self, entries: Sequence[bytes]) -> None:
        """Send entries to every member, in messages of a size that members take."""
        batch: list[bytes] = []
        bytes_count = 0
        for entry in entries:
            if batch and (bytes_count + len(entry) > GOSSIP_BYTES_MAX or len(batch) >= GOSSIP_ENTRIES_MAX):
                self._spread_batch(batch)
                batch, bytes_count = [], 0
            batch.append(entry)
            bytes_count += len(entry)
        if batch:
            self._spread_batch(batch)

    def _spread_batch(self, entries: Sequence[bytes]) -> None:
        envelope = peer_pb2.PeerMessage(
            ledger_id=self._config.ledger_id, epoch=self._config.epoch, gossip=peer_pb2.Gossip(entries=entries)
        )
        self._parts.peers.broadcast(Urgency.GOSSIP, envelope.SerializeToString())

    def _tell_pending(self) -> None:
        if not self._is_pending_told:
            self._is_pending_told = True
            asyncio.get_running_loop().call_soon(self._put_pending)

    def _put_pending(self) -> None:
        """Tell the core since when something waits, if that has changed, or if it knows of nothing to propose."""
        self._is_pending_told = False
        oldest_ms = self._parts.mempool.oldest_ms()
        if self._had_nothing or oldest_ms != self._told_pending_ms:
            self._had_nothing, self._told_pending_ms = False, oldest_ms
            self.put(core.EntriesPending(oldest_since_ms=oldest_ms))

    def _put_nothing(self, view: View) -> None:
        self._had_nothing = True
        self.put(core.NothingToPropose(view=view))

    def _tell_deadline(self) -> None:
        self.put(core.DeadlineAt(at_ms=next_deadline_ms(self._parts.branches.final.state)))

    # -- pulling -------------------------------------------------------------------------------------------------------

    async def _fetch(self, member: MemberIndex, pull: Any) -> None:  # a coroutine of the puller's that gives an event
        with contextlib.suppress(LedgerError):  # the core asks another member when nothing comes
            event: core.Event | None = await pull
            if event is not None:
                await self.put_from_peer(member, event)

    def _start_asking_views(self) -> None:
        """Ask until told; the core says again and again that it wants to know."""
        if self._asking_views is None or self._asking_views.done():
            self._log.critical("vote log was lost: following only, until a quorum of others told their views")
            self._asking_views = self._spawn(self._fetch_views(), "fetch views")

    async def _fetch_views(self) -> None:
        while self.core.status().is_recovering:
            async with asyncio.TaskGroup() as group:  # a silent member must not keep the others' answers away
                for member in self._parts.peers.connected():
                    group.create_task(self._fetch(member, self._parts.puller.view(member)))
            await asyncio.sleep(VIEWS_ASKED_EVERY_S)
        self._log.warning("votes again above the views that were told", muted_until=self.core.status().muted_until_view)

    def _start_catching_up(self, action: core.FetchFinalBlocks) -> None:
        self._catching_up = self._spawn(self._catch_up(action, after=self._catching_up), "catch up")

    async def _catch_up(self, action: core.FetchFinalBlocks, *, after: asyncio.Task[None] | None) -> None:
        if after is not None:  # never two at once; the core names a new target only when the last was reached
            await after
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

    def count_refused(self, member: MemberIndex, reason: str) -> None:
        """Count something of a member's that was refused."""
        self._parts.peers.links[member].state.refused[reason] += 1

    def on_misbehaviour(self, member: MemberIndex, fault: str, detail: str) -> None:
        """Count it; write the first, second, fourth, eighth … of a kind, so that nobody can fill our disk with it."""
        link = self._parts.peers.links.get(member)
        if link is None:  # our own block of before a loss, shown to us again
            self._log.warning("own message refused", fault=fault, detail=detail)
            return
        link.state.refused[fault] += 1
        count = link.state.refused[fault]
        if count & (count - 1) == 0:
            self._log.warning("peer misbehaved", member=link.state.id, fault=fault, detail=detail, count=count)

    async def _on_evidence(self, action: core.EvidenceFound) -> None:
        self.evidence_count += 1
        self._parts.metrics.on_evidence(action.misconduct)
        view = action.votes[0].view
        self._log.critical("evidence of misconduct", misconduct=action.misconduct, member=action.member, view=view)
        await self.on_evidence(action)

    def final_height(self) -> Height:
        """Return the newest final height."""
        return self._parts.tip.height

    def final_header(self) -> Header:
        """Return the newest final header."""
        return self._parts.branches.final.header


async def _keep_nothing(found: core.EvidenceFound) -> None:
    """Stand in until somebody keeps evidence."""
