"""One run of a node's process: the parts that `node.daemon` joins, on a loop, a disk and links that are simulated."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from ledger.blocks import SealedHeader, seal_message
from ledger.errors import ConditionError, LedgerError
from ledger.positions import BeaconRound, MemberIndex
from ledger.rules.state import State, compute_state_digest
from node.admission import Admission
from node.beacon import Beacon
from node.branches import Branches
from node.catchup import CatchUp
from node.consensus.core import Core
from node.consensus.messages import CoreConfig, Message
from node.cosigning import Notary
from node.driver import DriverParts
from node.execute import ExecutedBlock
from node.greeting import Greeting
from node.mempool import Mempool, MempoolLimits
from node.nation import Nation
from node.outbox import Urgency
from node.preflight import require_clock
from node.pulling import Puller
from node.serving import MemberServing
from node.store import StoredBlock
from node.tip import Tip
from node.v1 import peer_pb2
from node.votefile import VoteFile
from node.votekeys import VoteKeys
from node.wire import encode_beacon_share, parse_message
from tests.simulation.attackers.attacker import STREAM
from tests.simulation.checkers.checker import require
from tests.simulation.nodes.desk import Desk
from tests.simulation.nodes.founding import POSTER
from tests.simulation.nodes.links import SimulatedLinks
from tests.simulation.nodes.loop import ProcessLoop
from tests.simulation.nodes.watched import WatchedDriver, WatchedStore

if TYPE_CHECKING:
    from tests.simulation.nodes.member import NodeMember

MEMPOOL: Final = MempoolLimits(bytes_max=1 << 24, entries_max=1_000, entries_per_issuer_max=100)
Respond = Callable[[list[bytes], LedgerError | None], None]


async def _nobody(_member: MemberIndex, _request: object) -> list[bytes]:
    return []


class Process:
    """What a crash ends."""

    def __init__(self, member: "NodeMember", loop: ProcessLoop) -> None:
        """Open what is on disk and make every part.

        Raises:
            ConditionError: as `node.daemon.Node`.
        """
        self.member, self.loop = member, loop
        self._tasks: dict[asyncio.Task[Any], bool] = {}
        self._inboxes: dict[MemberIndex, asyncio.Queue[bytes]] = {}
        self.store = WatchedStore(member.machine.store, on_final=member.on_final)
        self.votefile = VoteFile(
            member.machine.votes, ledger_id=member.foundation.charter.ledger_id, member=member.index
        )
        try:
            self._make_parts()
        except BaseException:
            self.close()
            raise

    def _make_parts(self) -> None:
        member, foundation, store = self.member, self.member.foundation, self.store
        charter, consensus = foundation.charter, foundation.charter.consensus
        store.be_unreadable(is_so=member.is_disk_unreadable)
        store.check()
        tip = store.tip()
        assert tip is not None
        require_clock(member.now(), tip.header)
        state = State.restore(store.state_items(), charter=charter)
        self._require_whole(tip, state)
        frontier = store.frontier(tip.header.tree_size)
        final = ExecutedBlock(header=tip.header, leaves=(), entries=(), state=state, frontier=frontier)
        self.branches = Branches(final)
        mempool = Mempool(MEMPOOL)
        notary = Notary(charter, member.index, foundation.ml_dsa_keys, foundation.signers[member.index - 1], store)
        self.admission = Admission(mempool, self.branches, store, member.now)
        config = CoreConfig(
            ledger_id=charter.ledger_id,
            origin=charter.origin,
            epoch=tip.header.epoch,
            member_count=len(charter.members),
            me=member.index,
            quorum=charter.quorum,
            delta_ms=consensus.delta_ms,
            delta_max_ms=consensus.delta_max_ms,
            idle_interval_ms=consensus.idle_interval_ms,
            final=SealedHeader(header=tip.header, seal=tip.seal),
        )
        core = Core(config, member.keys, self.votefile.load())
        self.links = SimulatedLinks(member, member.other_members())
        puller = Puller(self.links, config.epoch)
        catchup = CatchUp(
            self.branches,
            mempool,
            self.links,
            puller,
            keys=member.keys,
            seal_message=lambda header: seal_message(header, charter.origin),
            snapshot_interval=consensus.snapshot_interval,
        )
        parts = DriverParts(
            store=store,
            votefile=self.votefile,
            branches=self.branches,
            mempool=mempool,
            admission=self.admission,
            notary=notary,
            tip=Tip(tip.header),
            peers=self.links,
            puller=puller,
            catchup=catchup,
            metrics=member.metrics,
            disk=Executor(),
        )
        self.driver = WatchedDriver(
            core,
            config,
            parts,
            snapshot_interval=consensus.snapshot_interval,
            clock=member.now,
            on_published=self._on_published,
        )
        self.driver.member = member
        self.admission.on_admitted = self.driver.on_admitted
        self._puller, self._notary = puller, notary
        self.beacon = self._make_beacon()
        self.serving = MemberServing(
            greeting=Greeting(ledger_id=charter.ledger_id, session_id=b"", member=member.index),
            driver=self.driver,
            admission=self.admission,
            mempool=mempool,
            store=store,
            notary=notary,
            found=_nobody,
            epoch=config.epoch,
            beacon=self.beacon,
        )

    def _make_beacon(self) -> Beacon:
        """Make its part in the beacon; an attacker's shares are made with a key that is not its own."""
        member, foundation = self.member, self.member.foundation
        share = foundation.shares[member.index - 1 if member.is_honest else member.index - 2]
        poster = foundation.charter.member(POSTER).id
        return Beacon(
            foundation.charter,
            member.index,
            VoteKeys(foundation.charter, foundation.identities[member.index - 1], share),
            Nation(poster, foundation.identities[POSTER - 1], self.admission, member.now),
            self.admission,
            state=lambda: self.branches.final.state,
            say=self._say_share,
            on_fault=self._on_beacon_fault,
            clock=self.loop.time,
        )

    def _say_share(self, beacon_round: BeaconRound, share: bytes) -> None:
        member = self.member
        if member.is_honest:
            member.beacons.on_share(member.index, beacon_round)
        ledger_id, epoch = member.foundation.charter.ledger_id, self.driver.core.status().epoch
        raw = encode_beacon_share(beacon_round, share, ledger_id=ledger_id, epoch=epoch)
        self.links.broadcast(Urgency.VOTE, raw)

    def _on_beacon_fault(self, accused: MemberIndex, fault: str, detail: str) -> None:
        member = self.member
        member.scene.checkers.on_accused(member.index, accused, f"{fault} {detail}", is_evidence=False)
        self.driver.on_misbehaviour(accused, fault, detail)

    def _on_published(self) -> None:
        self.beacon.wake()

    def _require_whole(self, tip: StoredBlock, state: State) -> None:
        """Hold the disk against what the rules gave at this height: state, tree and entries are of one block."""
        member = self.member
        member.scene.checkers.on_started(member.index, tip.header)
        if not member.is_honest:
            return
        height = tip.header.height
        require(
            compute_state_digest(state) == member.judge.state_digests.get(height),
            f"{member.name} starts at height {height} with a state of another",
        )
        require(
            tip.header.tree_size == member.judge.sizes.get(height),
            f"{member.name} starts at height {height} with a tree of another",
        )

    def close(self) -> None:
        """Give files back."""
        self.votefile.close()
        self.store.close()

    # --- running -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Run until the process ends."""
        self._spawn(self._run())

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = self.loop.create_task(coroutine)
        self._tasks[task] = True  # nobody else may hold it
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        if self.loop.is_killed or task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        condition = _find_condition(error)
        if condition is None:
            raise _innermost(error)
        self.member.stop(condition)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.driver.run())
            group.create_task(self.beacon.run())
            for other in self.links.links:
                self._inboxes[other] = asyncio.Queue()
                group.create_task(self._listen(other))

            def on_connected(other: MemberIndex) -> None:
                group.create_task(self._catch_up_with(other))

            await self.links.keep(group, on_connected)

    async def _catch_up_with(self, other: MemberIndex) -> None:
        """Ask a member that has just answered for what this node may have missed, as `node.daemon` does."""
        with contextlib.suppress(LedgerError):
            event = await self._puller.newest(other)
            if event is not None:
                await self.driver.put_from_peer(other, event)
            for interval in self._notary.intervals_lacking(other):
                for cosignature in await self._puller.cosignatures(other, interval):
                    await self.driver.store_cosignature(other, cosignature)

    # --- hearing and answering ---------------------------------------------------------------------------------------

    def hear(self, source: MemberIndex, raw: bytes) -> None:
        """Take a message off the network."""
        inbox = self._inboxes.get(source)
        if inbox is not None:
            inbox.put_nowait(raw)

    async def _listen(self, source: MemberIndex) -> None:
        inbox, state = self._inboxes[source], self.links.links[source].state
        while True:
            raw = await inbox.get()
            try:
                message = peer_pb2.PeerMessage.FromString(raw)
                if not self.member.is_honest:
                    self._tell_attacker(source, message)
                await self.serving.on_message(source, STREAM, message)
            except DecodeError:
                state.refused["undecodable"] += 1
            except LedgerError as error:
                state.refused[error.code] += 1

    def _tell_attacker(self, source: MemberIndex, envelope: peer_pb2.PeerMessage) -> None:
        heard: Message | None = parse_message(envelope)
        if heard is not None:
            for receiver, said in self.member.reply_to(source, heard):
                self.member.say(receiver, Urgency.VOTE, self.driver.encode(said))

    def serve(self, asker: MemberIndex, raw: bytes, respond: Respond) -> None:
        """Answer a question."""
        self._spawn(self._serve(asker, raw, respond))

    async def _serve(self, asker: MemberIndex, raw: bytes, respond: Respond) -> None:
        answers: list[peer_pb2.FetchResponse] = []
        end: LedgerError | None = None
        try:
            request = peer_pb2.FetchRequest.FromString(raw)
        except DecodeError:
            respond([], None)
            return
        try:
            async with contextlib.aclosing(self.serving.on_fetch(asker, request)) as found:
                answers += [answer async for answer in found]
        except LedgerError as error:
            end = error
        if not self.loop.is_killed:
            said = self.member.answers_for(asker, request, answers)
            respond([answer.SerializeToString() for answer in said], end)

    # --- statements --------------------------------------------------------------------------------------------------

    def hand_in(self, statement: bytes, desk: Desk) -> None:
        """Take a statement from outside; a receipt follows once it is sealed."""
        self._spawn(self._admit(statement, desk))

    async def _admit(self, statement: bytes, desk: Desk) -> None:
        try:
            admitted = self.admission.admit(statement)
            index = admitted.index
            if index is None:
                index = await self.admission.wait_sealed(admitted.leaf)
        except ConditionError:
            raise
        except LedgerError:
            return
        if not self.loop.is_killed:
            self.member.world.after(1, lambda: desk.on_receipt(self.member.index, admitted.leaf, index))


def _innermost(error: BaseException) -> BaseException:
    """Give what went wrong, without the groups it came in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _find_condition(error: BaseException) -> ConditionError | None:
    """Find what an operator would have to mend, if the process ended for that."""
    if isinstance(error, BaseExceptionGroup):
        found = [_find_condition(each) for each in error.exceptions]
        return next((each for each in found if each is not None), None) if all(found) else None
    return error if isinstance(error, ConditionError) else None
