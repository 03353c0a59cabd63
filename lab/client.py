"""Handing statements in, and believing only what was verified: the one module of the lab that speaks the node's wire.

    ledger = await fetch_ledger(["grpc://127.0.0.1:7302"], fingerprint=…)      # once; keep charter and transcript
    async with connect(ledger, ["grpc://127.0.0.1:7302", "grpc://127.0.0.1:7312"]) as client:
        sealed = await client.submit(entry)                                    # verified; sealed.receipt is the file

Every receipt is verified offline against the pinned charter before anybody sees it. What is submitted is bytes, and
the same bytes always lead to the same index, so every call may be repeated, by this client, after a crash, at any node.
How nodes are chosen and for how long: `lab.nodes`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import grpc.aio

from lab.addresses import NodeAddress, parse_address
from lab.nodes import (
    DEFAULT_PATIENCE,
    Nodes,
    NodesError,
    NodesRefusedError,
    Patience,
    Question,
    agree,
)
from lab.pinned import PinnedLedger, parse_fingerprint, pin_ledger
from lab.refusals import read_refusal
from ledger.checkpoints import parse_checkpoint
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, RejectedError
from ledger.limits import HASH_BYTES, INTEGER_MAX, TIME_S_MAX
from ledger.merkle import Hash, leaf_hash
from ledger.notes import parse_note
from ledger.policy import VerifiedCheckpoint
from ledger.positions import LeafIndex, Millis
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.intoto import ZERO_HASH
from ledger.verify import verify_receipt
from node.v1 import reading_pb2, reading_pb2_grpc, submission_pb2, submission_pb2_grpc

BATCH_COUNT_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Sealed:
    """A statement that stands on the ledger, as its verified receipt proves.

    Attributes:
        entry: its bytes.
        leaf: its leaf hash.
        index: where it stands.
        receipt: the receipt's bytes (C2SP tlog-proof), to be kept beside the entry.
        checkpoint: under which it stands, with those who cosigned.
        node: who handed the receipt out.
        was_known: whether that node knew the statement before this call.
    """

    entry: bytes
    leaf: Hash
    index: LeafIndex
    receipt: bytes
    checkpoint: VerifiedCheckpoint
    node: NodeAddress
    was_known: bool


@dataclass(frozen=True, slots=True)
class Position:
    """Where an issuer stands, as one node says; nothing proves it.

    Attributes:
        next_sequence: what the next statement must carry, counting what waits at that node.
        previous: hex leaf hash of the issuer's last statement; zeros if there is none.
        sealed_sequence: the same as `next_sequence`, counting only what is final.
        time_ms: of the newest final block.
    """

    next_sequence: SequenceNumber
    previous: str
    sealed_sequence: SequenceNumber
    time_ms: Millis


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one statement of many: sealed, or refused by the rules. One of the two is None."""

    entry: bytes
    sealed: Sealed | None
    refusal: NodesRefusedError | None


@dataclass(frozen=True, slots=True)
class SaidChallenge:
    """A challenge, as one node says.

    Attributes:
        entry: its bytes.
        report: leaf hash of the declaration that it is about.
        inspectors: nation, id and X25519 key of each to whom its answer goes; no key if revoked since.
    """

    entry: bytes
    report: bytes
    inspectors: tuple[tuple[str, str, bytes], ...]


async def fetch_ledger(
    addresses: Sequence[str],
    *,
    fingerprint: str,
    patience: Patience = DEFAULT_PATIENCE,
    root_certificates: bytes | None = None,
) -> PinnedLedger:
    """Fetch charter and transcript from the first node that has those of the fingerprint.

    Args:
        addresses: such as `grpc://127.0.0.1:7302`; see `lab.nodes.parse_address`.
        fingerprint: of the charter, hex, from a source that is trusted.
        patience: how long to try.
        root_certificates: PEM, for `grpcs` nodes of a private authority.

    Raises:
        FormatError: an address or the fingerprint is not of its form.
        NodesError: nobody could answer, or all had another charter; it says which node said what.
    """
    expected = parse_fingerprint(fingerprint)

    async def ask(channel: grpc.aio.Channel, _: NodeAddress, timeout_s: float) -> PinnedLedger:
        stub = reading_pb2_grpc.ReadingStub(channel)
        answer = await stub.GetCharter(reading_pb2.GetCharterRequest(), timeout=timeout_s)
        return pin_ledger(answer.entry, answer.transcript, fingerprint=expected)

    targets = [parse_address(text) for text in addresses]
    async with Nodes(targets, patience=patience, root_certificates=root_certificates) as nodes:
        return await nodes.ask(ask)


@asynccontextmanager
async def connect(
    ledger: PinnedLedger,
    addresses: Sequence[str],
    *,
    patience: Patience = DEFAULT_PATIENCE,
    root_certificates: bytes | None = None,
) -> "AsyncIterator[Client]":
    """Open a client of several nodes of one ledger; arguments as of `fetch_ledger`."""
    targets = [parse_address(text) for text in addresses]
    async with Nodes(targets, patience=patience, root_certificates=root_certificates) as nodes:
        yield Client(ledger, nodes)


class Client:
    """Speaks to the nodes of one ledger, on behalf of a lab."""

    def __init__(self, ledger: PinnedLedger, nodes: Nodes) -> None:
        """Use `connect`, or open `nodes` yourself first."""
        self._ledger, self._nodes = ledger, nodes

    @property
    def ledger(self) -> PinnedLedger:
        """The ledger that every answer is held against."""
        return self._ledger

    @property
    def nodes(self) -> Nodes:
        """The nodes that are asked."""
        return self._nodes

    async def get_position(self, issuer: str) -> Position:
        """Ask where an issuer stands; the first node that can answer does.

        Raises:
            NodesRefusedError: nobody of this id is registered (`UNKNOWN_ISSUER`).
            NodesError: nobody could answer in time.
        """
        return await self._nodes.ask(self._position_question(issuer))

    async def get_positions(self, issuer: str) -> dict[NodeAddress, Position | LedgerError]:
        """Ask every node once where an issuer stands: who is behind, or lies, is seen beside the others."""
        return await self._nodes.ask_each(self._position_question(issuer))

    async def submit(self, entry: bytes) -> Sealed:
        """Hand a statement in, wait for its seal and verify its receipt.

        Safe to repeat with the same bytes. After `NodesError` the statement may have been taken, or not: submit the
        same bytes again, and nothing else under its sequence number.

        Raises:
            NodesRefusedError: the rules refuse it, as every node says that could be asked.
            NodesError: it was not sealed in time (`TIMEOUT`), or nobody could answer.
        """

        async def ask(channel: grpc.aio.Channel, node: NodeAddress, timeout_s: float) -> Sealed:
            stub = submission_pb2_grpc.SubmissionStub(channel)
            request = submission_pb2.SubmitRequest(entry=entry, wait=True)
            return self._believe(entry, await stub.Submit(request, timeout=timeout_s), node)

        return await self._nodes.ask(ask)

    async def hand_in(self, entry: bytes) -> NodeAddress:
        """Hand a statement in and do not wait: a node took it, which promises nothing yet. Returns which node.

        Raises:
            NodesRefusedError, NodesError: as `submit`.
        """

        async def ask(channel: grpc.aio.Channel, node: NodeAddress, timeout_s: float) -> NodeAddress:
            stub = submission_pb2_grpc.SubmissionStub(channel)
            answer = await stub.Submit(submission_pb2.SubmitRequest(entry=entry), timeout=timeout_s)
            _require_leaf(entry, answer.leaf_hash)
            return node

        return await self._nodes.ask(ask)

    async def submit_many(
        self, entries: Sequence[bytes], *, on_settled: Callable[[Settled], None] | None = None
    ) -> list[Settled]:
        """Hand many statements in over one stream, wait for every seal, verify every receipt.

        Statements of one issuer are sent in the order given. If a node fails midway, what is not settled goes to the
        next one; `total_s` counts from the last one that was settled.

        Args:
            entries: at most `BATCH_COUNT_MAX`, each once.
            on_settled: called for each as it is settled, in any order; what it raises ends the call.

        Returns:
            What became of each, in the order given.

        Raises:
            NodesError: nobody could answer in time; what was settled before was told to `on_settled`.
        """
        if len(entries) > BATCH_COUNT_MAX or len(frozenset(entries)) != len(entries):
            raise FormatError(
                field="entries", found=f"{len(entries)} entries", expected=f"at most {BATCH_COUNT_MAX}, each once"
            )
        batch = _Batch(entries, on_settled or _tell_nobody)
        while batch.waiting:
            before_count = len(batch.waiting)
            try:
                await self._send(batch)
            except _ToldError as told:
                raise told.error from None
            except NodesError:
                if len(batch.waiting) == before_count:
                    raise
        return [batch.settled[tag] for tag in range(len(entries))]

    async def fetch_receipt(self, leaf: Hash, *, archival: bool = False, cosigners_ml_dsa_min: int = 0) -> Sealed:
        """Fetch an entry that is on the ledger, with its receipt, and verify that it is the one of this leaf hash.

        Args:
            leaf: its leaf hash.
            archival: the receipt against the first checkpoint sealed after the next grid boundary, with ML-DSA-44
                cosignatures; it stays convincing when elliptic curves do not.
            cosigners_ml_dsa_min: how many distinct members must have cosigned so.

        Raises:
            NodesError: no node has the entry (`NOT_FOUND`), or the receipt asked for (`NOT_READY`), in time.
        """
        question = self._receipt_question(leaf, archival=archival, cosigners_ml_dsa_min=cosigners_ml_dsa_min)
        return await self._nodes.ask(question)

    async def get_proposals(self, *, lab: str = "", interval: int = 0, pause: str = "") -> tuple[Sealed, ...]:
        """Fetch the proposals of the pauses that bind a lab in an interval, or of one pause, each proven.

        That a proposal is on the ledger and what it asks is proven; that it binds the lab, and that no other does, is
        a node's word, which the rules hold every report against.

        Raises:
            NodesError: no node has such a lab or pause (`NOT_FOUND`), in time.
        """
        request = reading_pb2.GetPausesRequest(lab=lab, interval=interval, pause=pause)

        async def ask(channel: grpc.aio.Channel, _: NodeAddress, timeout_s: float) -> tuple[bytes, ...]:
            answer = await reading_pb2_grpc.ReadingStub(channel).GetPauses(request, timeout=timeout_s)
            return tuple(said.entry for said in answer.pauses)

        entries = await self._nodes.ask(ask)
        return tuple([await self.fetch_receipt(leaf_hash(entry)) for entry in entries])

    async def get_challenges(self, challenge: str) -> dict[NodeAddress, SaidChallenge | LedgerError]:
        """Ask every node once for a challenge and for whom its answer is encrypted to; nothing of it is proven."""
        request = reading_pb2.GetChallengeRequest(challenge=challenge)

        async def ask(channel: grpc.aio.Channel, _: NodeAddress, timeout_s: float) -> SaidChallenge:
            answer = await reading_pb2_grpc.ReadingStub(channel).GetChallenge(request, timeout=timeout_s)
            keys = tuple((line.nation, line.inspector, line.key) for line in answer.inspectors)
            return SaidChallenge(answer.entry, answer.report, keys)

        return await self._nodes.ask_each(ask)

    async def read_newest(self, count: int) -> tuple[bytes, ...]:
        """Read the newest entries of the ledger, at most `count`, from one node; nothing of it is proven."""

        async def ask(channel: grpc.aio.Channel, _: NodeAddress, timeout_s: float) -> tuple[bytes, ...]:
            stub, entries = reading_pb2_grpc.ReadingStub(channel), list[bytes]()
            head = await stub.GetCheckpoint(reading_pb2.GetCheckpointRequest(), timeout=timeout_s)
            size = parse_checkpoint(parse_note(head.note.encode()).text).size
            request = reading_pb2.GetEntriesRequest(first_index=max(0, size - count), count=count)
            async for message in stub.GetEntries(request, timeout=timeout_s):
                entries += message.entries[: count - len(entries)]
            return tuple(entries)

        return await self._nodes.ask(ask)

    async def find_sealed(self, leaf: Hash) -> Sealed | None:
        """Ask every node once for an entry; give it if any of them proves that it is on the ledger."""
        answers = await self._nodes.ask_each(self._receipt_question(leaf, archival=False, cosigners_ml_dsa_min=0))
        return next((answer for answer in answers.values() if isinstance(answer, Sealed)), None)

    async def _send(self, batch: "_Batch") -> None:
        """Stream what waits to one node after another, until nothing waits that any of them would take."""
        try:
            await self._nodes.ask(lambda channel, node, _: self._stream(batch, channel, node))
        except NodesRefusedError:
            batch.settle_refused()

    async def _stream(self, batch: "_Batch", channel: grpc.aio.Channel, node: NodeAddress) -> None:
        """Send what waits over one stream; return when all of it is sealed.

        Raises:
            RejectedError: some of it is refused by the rules, as this node says.
            LedgerError, AioRpcError: the node cannot answer for all of it, or is not to be believed.
        """
        sent = dict(batch.waiting)
        call = submission_pb2_grpc.SubmissionStub(channel).SubmitBatch(_requests(sent))
        problems: list[LedgerError] = []
        try:
            while sent:
                async with asyncio.timeout(self._nodes.patience.attempt_s):
                    answer = await call.read()
                if not isinstance(answer, submission_pb2.SubmitBatchResponse):
                    problems.append(_not_answering("the stream ended early", Code.UNREACHABLE))
                    break
                problem = self._take(batch, sent, answer, node)
                if problem is not None:
                    problems.append(problem)
        except TimeoutError:
            found = f"nothing for {self._nodes.patience.attempt_s:.0f} s"
            problems.append(_not_answering(found, Code.TIMEOUT))
        finally:
            call.cancel()
        if problems:
            raise next((problem for problem in problems if isinstance(problem, RejectedError)), problems[-1])

    def _take(
        self, batch: "_Batch", sent: dict[int, bytes], answer: submission_pb2.SubmitBatchResponse, node: NodeAddress
    ) -> LedgerError | None:
        """Take one answer of a stream; returns why this statement is not settled, if so.

        Raises:
            LedgerError: an answer that cannot be true.
        """
        entry = sent.pop(answer.tag, None)
        if entry is None:
            raise FormatError(field="node.tag", found=answer.tag, expected="a tag that was sent and not yet answered")
        if answer.HasField("refused"):
            parts = answer.refused
            error = read_refusal(parts.code, field=parts.field, found=parts.found, expected=parts.expected).error
            if isinstance(error, RejectedError):
                batch.refusals.setdefault(answer.tag, {})[node] = error
            return error
        batch.settle(answer.tag, Settled(entry, self._believe(entry, answer.accepted, node), None))
        return None

    def _believe(self, entry: bytes, answer: submission_pb2.SubmitResponse, node: NodeAddress) -> Sealed:
        """Turn an answer to a submission into what is proven.

        Raises:
            LedgerError: the answer is not proven.
        """
        _require_leaf(entry, answer.leaf_hash)
        if not answer.sealed:
            raise ConditionError(field="node", found="not sealed", expected="a seal, after waiting", code=Code.TIMEOUT)
        return self._verify(entry, answer.receipt, node, was_known=answer.duplicate)

    def _verify(self, entry: bytes, receipt: str, node: NodeAddress, *, was_known: bool) -> Sealed:
        raw = receipt.encode("utf-8")
        verified = verify_receipt(raw, entry=entry, keys=self._ledger.keys)
        return Sealed(
            entry=entry,
            leaf=verified.leaf,
            index=verified.index,
            receipt=raw,
            checkpoint=verified.checkpoint,
            node=node,
            was_known=was_known,
        )

    def _receipt_question(self, leaf: Hash, *, archival: bool, cosigners_ml_dsa_min: int) -> Question[Sealed]:
        async def ask(channel: grpc.aio.Channel, node: NodeAddress, timeout_s: float) -> Sealed:
            stub = reading_pb2_grpc.ReadingStub(channel)
            request = reading_pb2.GetReceiptRequest(leaf_hash=leaf, archival=archival)
            answer = await stub.GetReceipt(request, timeout=timeout_s)
            _require_leaf(answer.entry, leaf)
            sealed = self._verify(answer.entry, answer.receipt, node, was_known=True)
            count = len(sealed.checkpoint.cosigners_ml_dsa)
            if count < cosigners_ml_dsa_min:
                raise ConditionError(
                    field="receipt",
                    found=f"{count} ML-DSA cosignatures so far",
                    expected=f"{cosigners_ml_dsa_min} of them",
                    code=Code.NOT_READY,
                )
            return sealed

        return ask

    def _position_question(self, issuer: str) -> Question[Position]:
        async def ask(channel: grpc.aio.Channel, _: NodeAddress, timeout_s: float) -> Position:
            stub = submission_pb2_grpc.SubmissionStub(channel)
            request = submission_pb2.GetPositionRequest(issuer=issuer)
            return _read_position(
                await stub.GetPosition(request, timeout=timeout_s), ledger_id=self._ledger.charter.ledger_id
            )

        return ask


class _Batch:
    """Many statements on their way, by their tag: the place in the order they were given."""

    def __init__(self, entries: Sequence[bytes], tell: Callable[[Settled], None]) -> None:
        self.waiting = dict(enumerate(entries))
        self.settled: dict[int, Settled] = {}
        self.refusals: dict[int, dict[NodeAddress, RejectedError]] = {}
        self._tell = tell

    def settle(self, tag: int, settled: Settled) -> None:
        """Note what became of one."""
        del self.waiting[tag]
        self.settled[tag] = settled
        try:
            self._tell(settled)
        except LedgerError as error:  # of the caller's, and no fault of the node's
            raise _ToldError(error) from None

    def settle_refused(self) -> None:
        """Every node that could be asked has refused something: believe it of each that any of them refused."""
        for tag, entry in list(self.waiting.items()):
            if said := self.refusals.get(tag):
                self.settle(tag, Settled(entry, None, agree(list(said.values()))))


class _ToldError(Exception):
    """An error of the caller's own, on its way past those who judge nodes by their errors."""

    def __init__(self, error: LedgerError) -> None:
        super().__init__()
        self.error = error


async def _requests(entries: Mapping[int, bytes]) -> AsyncIterator[submission_pb2.SubmitRequest]:
    for tag, entry in list(entries.items()):
        yield submission_pb2.SubmitRequest(entry=entry, wait=True, tag=tag)


def _read_position(answer: submission_pb2.GetPositionResponse, *, ledger_id: bytes) -> Position:
    """Check the form of what a node says.

    Raises:
        PolicyError: the node serves another ledger (`WRONG_LEDGER`).
        FormatError: values that no node of this ledger can mean.
    """
    if answer.ledger_id != ledger_id:
        raise PolicyError(
            field="node.ledger_id", found=answer.ledger_id.hex(), expected=ledger_id.hex(), code=Code.WRONG_LEDGER
        )
    previous = answer.previous.hex()
    is_first = answer.next_sequence == 0
    if len(answer.previous) != HASH_BYTES or is_first != (previous == ZERO_HASH):
        raise FormatError(field="node.previous", found=previous, expected="a leaf hash, or zeros before the first")
    if not answer.sealed_sequence <= answer.next_sequence <= INTEGER_MAX or answer.time_ms > TIME_S_MAX * 1000:
        found = f"{answer.sealed_sequence}, {answer.next_sequence}, {answer.time_ms} ms"
        raise FormatError(field="node.position", found=found, expected="sequence numbers in order, and a time")
    return Position(
        next_sequence=SequenceNumber(answer.next_sequence),
        previous=previous,
        sealed_sequence=SequenceNumber(answer.sealed_sequence),
        time_ms=Millis(answer.time_ms),
    )


def _require_leaf(entry: bytes, leaf: bytes) -> None:
    if leaf != leaf_hash(entry):
        raise FormatError(field="node.leaf_hash", found=leaf.hex(), expected=leaf_hash(entry).hex())


def _not_answering(found: str, code: Code) -> ConditionError:
    return ConditionError(field="node", found=found, expected="an answer to each statement", code=code)


def _tell_nobody(settled: Settled) -> None:
    del settled
