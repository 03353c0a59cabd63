"""The counter of a node: its public service over a socket, on a ledger whose blocks the test makes itself.

What is handed in goes through gRPC, admission and the rules as at any node; only consensus is played, so that a history
of months costs no more than its statements. Makers of statements for tests of the rules serve here unchanged.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio

from ledger.blocks import NO_SEAL
from ledger.charter import parse_charter
from ledger.errors import Code, Rejection
from ledger.merkle import leaf_hash
from ledger.positions import MemberIndex, Millis, View
from ledger.rules.apply import AdmissionHeader, Applied, admission_header
from ledger.rules.entries import prepare_entry
from ledger.rules.state import State
from ledger.statements.computed import find_computed_kind
from ledger.statements.verdicts import VERDICT, Verdict, parse_verdict
from node.admission import Admission
from node.beginning import found_store
from node.branches import Branches
from node.cosigning import Notary, NoteSigners
from node.execute import ExecutedBlock, build_block
from node.mempool import Mempool, MempoolLimits
from node.proving import Prover
from node.services.guard import Guard
from node.services.streams import StreamLimit
from node.services.submission import SubmissionServicer
from node.store import BlockCommit, Store
from node.v1 import submission_pb2, submission_pb2_grpc
from tests.ledger.pausing import PAUSE_ENTRY, PauseWorld
from tests.ledger.rulebook import millis
from tests.node.answers import read_refusal

T = TypeVar("T")

CALL_S = 20.0
LIMITS = MempoolLimits(bytes_max=1 << 24, entries_max=1000, entries_per_issuer_max=64)


@dataclass
class Desk:
    """What stands behind the counter; used on its event loop alone."""

    store: Store
    branches: Branches
    mempool: Mempool
    admission: Admission
    server: grpc.aio.Server
    address: str
    now_ms: Millis


class Counter(PauseWorld):
    """A ledger that takes what is submitted to a node, and refuses what the node refuses.

    Times are seconds after the start of the grid, as everywhere in tests of the rules. Use `open_counter`.
    """

    def __init__(
        self, charter_entry: bytes, desk: Desk, loop: asyncio.AbstractEventLoop, channel: grpc.Channel
    ) -> None:
        super().__init__(charter_entry)
        self._desk, self._loop = desk, loop
        self._submission = submission_pb2_grpc.SubmissionStub(channel)
        self.state = desk.branches.final.state
        self.at = -1

    def block(self, at: int, *entries: bytes) -> list[Verdict]:
        """Make a block of these entries, and of what falls due before them, final."""
        self.at = at
        opening = self._call(self._grow(millis(at), entries))
        self.state = self._desk.branches.final.state
        self.computed += opening
        self.size += len(opening) + len(entries)
        verdicts = [parse_verdict(entry) for entry in opening if find_computed_kind(entry) == VERDICT]
        for verdict in verdicts:
            self.verdicts.setdefault((verdict.lab, verdict.cluster, verdict.interval), []).append(verdict)
        return verdicts

    def accept(self, at: int, entry: bytes) -> Applied:
        """Hand an entry in, which must be taken, and let it become final."""
        self.block(at)
        header = admission_header(self.state, entry)
        assert isinstance(header, AdmissionHeader), header
        answer = self._submit(entry)
        assert (answer.leaf_hash, answer.duplicate) == (leaf_hash(entry), False)
        self.block(at, entry)
        (self.nations.get(header.issuer) or self.labs[header.issuer]).note(entry)
        return Applied(header.kind, header.issuer, header.sequence, header.leaf_hash)

    def refuse(self, at: int, entry: bytes) -> Rejection:
        """Hand an entry in, which must be refused and leave no trace, and give what the caller is told."""
        self.block(at)
        before = self._call(self._look(entry))
        try:
            self._submit(entry, waits=True)
        except grpc.RpcError as error:
            _, reason, told = read_refusal(error)
        else:
            raise AssertionError("taken")
        assert self._call(self._look(entry)) == before
        assert set(told) == {"field", "found", "expected"}
        return Rejection(Code(reason), told["field"], told["found"], told["expected"])

    def hand_in(self, entry: bytes, *, waits: bool = False) -> submission_pb2.SubmitResponse:
        """Hand in what is left where the node puts it: no block is made.

        Raises:
            grpc.RpcError: it was refused.
        """
        return self._submit(entry, waits=waits)

    def drain(self) -> None:
        """Let the node take nothing new, as before it stops."""
        self._call(self._drain())

    def settle(self) -> None:
        """Register two labs of two nations in interval 0, and let interval 1 begin, in which their clusters count."""
        self.register(10, "acme", ["a1", "a2"])
        self.register(10, "beta", ["b1"], nation="brittia")
        self.block(110)

    def _submit(self, entry: bytes, *, waits: bool = False) -> submission_pb2.SubmitResponse:
        return self._submission.Submit(submission_pb2.SubmitRequest(entry=entry, wait=waits), timeout=CALL_S)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:  # what it sends and takes meanwhile is the loop's own
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    async def _grow(self, time_ms: Millis, entries: tuple[bytes, ...]) -> list[bytes]:
        desk = self._desk
        desk.now_ms, parent = time_ms, desk.branches.final
        block, refused = build_block(
            parent,
            [prepare_entry(entry) for entry in entries],
            view=View(parent.header.view + 1),
            time_ms=time_ms,
            proposer=MemberIndex(1),
            snapshot_interval=0,
        )
        assert not refused, refused
        desk.store.commit([BlockCommit(block.header, NO_SEAL, block.entries, block.leaves, block.state.changes())])
        desk.branches.finalize(block)
        desk.admission.on_final([block])
        return list(block.entries[: len(block.entries) - len(entries)])

    async def _drain(self) -> None:
        self._desk.admission.is_draining = True

    async def _look(self, entry: bytes) -> tuple[object, ...]:
        """What must be the same before and after a refusal."""
        desk, leaf = self._desk, leaf_hash(entry)
        assert desk.branches.final.state is self.state
        return (
            len(desk.mempool),
            desk.mempool.bytes,
            desk.admission.admitted_count,
            desk.admission.is_waiting(leaf),
            desk.store.index_of_leaf(leaf),
            desk.branches.final.header.tree_size,
        )


@contextlib.contextmanager
def open_counter(
    root: Path, charter_entry: bytes = PAUSE_ENTRY, *, limits: MempoolLimits = LIMITS, wait_max_s: float = CALL_S
) -> Iterator[Counter]:
    """Found a ledger on disk and serve it on loopback until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="counter")
    thread.start()
    try:
        desk = asyncio.run_coroutine_threadsafe(_open_desk(root, charter_entry, limits, wait_max_s), loop).result(
            CALL_S
        )
        try:
            options = (("grpc.use_local_subchannel_pool", 1),)
            with grpc.insecure_channel(desk.address, options=options) as channel:
                yield Counter(charter_entry, desk, loop, channel)
        finally:
            asyncio.run_coroutine_threadsafe(_close_desk(desk), loop).result(CALL_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CALL_S)
        loop.close()


async def _open_desk(root: Path, charter_entry: bytes, limits: MempoolLimits, wait_max_s: float) -> Desk:
    path = root / "ledger.sqlite"
    found_store(path, charter_entry, b"")
    store = Store(path)
    tip = store.require_tip()
    charter = parse_charter(charter_entry)
    state = State.restore(store.state_items(), charter=charter)
    branches = Branches(ExecutedBlock(tip.header, (), (), state, store.frontier(tip.header.tree_size)))
    mempool, waiting = Mempool(limits), StreamLimit(16)
    admission = Admission(mempool, branches, store, lambda: desk.now_ms)
    signers = NoteSigners(log=_sign_nothing, cosigner=_sign_nothing, cosigner_ml_dsa=_sign_nothing)
    prover = Prover(store, Notary(charter, MemberIndex(1), {}, signers, store))
    server = grpc.aio.server(interceptors=[Guard(waiting)])
    servicer = SubmissionServicer(admission, prover, waiting, wait_max_s=wait_max_s)
    submission_pb2_grpc.add_SubmissionServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    desk = Desk(store, branches, mempool, admission, server, f"127.0.0.1:{port}", tip.header.time_ms)
    await server.start()
    return desk


async def _close_desk(desk: Desk) -> None:
    await desk.server.stop(None)
    desk.store.close()


def _sign_nothing(_message: bytes) -> bytes:
    raise AssertionError("nothing is sealed here, so nothing is cosigned")
