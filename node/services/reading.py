"""What anyone may read: charter, checkpoints, entries, proofs, receipts, verdicts and the stream of final blocks.

Nothing is read from the disk for a stream before there is room to send it, and a reader who does not take it is left.
"""

from collections.abc import Callable
from typing import Any, Final

import grpc.aio

from ledger.errors import LedgerError
from ledger.limits import BLOCK_BYTES_MAX, ENTRY_BYTES_MAX, MESSAGE_BYTES_MAX, MIB, SIZE_MAX
from ledger.notes import encode_note
from ledger.positions import Height, LeafIndex, TreeSize
from ledger.rules.state import State
from node.cosigning import Notary
from node.proving import Prover
from node.services.refusals import refuse
from node.services.streams import WriteBudget
from node.standing_questions import StandingQuestions
from node.store import Store, StoredBlock
from node.tip import Tip
from node.v1 import reading_pb2, reading_pb2_grpc
from node.verdicts import VerdictReader

ENTRIES_PER_MESSAGE_MAX: Final = 100
BLOCKS_PER_READ_MAX: Final = 64
ENTRIES_PER_CALL_MAX: Final = 1_000_000
SENDING_BYTES_MAX: Final = 256 * MIB
_Context = grpc.aio.ServicerContext[Any, Any]  # message types differ from call to call
assert ENTRIES_PER_MESSAGE_MAX * ENTRY_BYTES_MAX < MESSAGE_BYTES_MAX


class ReadingServicer(reading_pb2_grpc.ReadingServicer):
    """Translates between the wire, the store and the prover; a slow reader only slows itself."""

    def __init__(
        self,
        state: Callable[[], State],
        store: Store,
        prover: Prover,
        notary: Notary,
        tip: Tip,
        *,
        budget: WriteBudget,
        quorum: int,
    ) -> None:
        self._store, self._prover, self._notary = store, prover, notary
        self._verdicts, self._questions = VerdictReader(state, store, prover), StandingQuestions(state, store)
        self._tip, self._budget, self._quorum = tip, budget, quorum

    async def GetCharter(  # noqa: N802
        self, request: reading_pb2.GetCharterRequest, context: _Context
    ) -> reading_pb2.GetCharterResponse:
        """Return entry 0 and the transcript of the ceremony that made its keys."""
        del request, context
        entry = self._store.entries(LeafIndex(0), 1)[0]
        return reading_pb2.GetCharterResponse(entry=entry, transcript=self._store.meta("transcript") or b"")

    async def GetCheckpoint(  # noqa: N802
        self, request: reading_pb2.GetCheckpointRequest, context: _Context
    ) -> reading_pb2.GetCheckpointResponse:
        """Return the newest sealed checkpoint, or the newest that a quorum cosigned, with every line."""
        try:
            block = self._notary.newest_cosigned(self._quorum) if request.all_cosignatures else None
            block = block or self._store.sealed_with_size(self._prover.newest_size())
            assert block is not None
            note = encode_note(self._notary.compute_note(block, is_whole=request.all_cosignatures))
        except LedgerError as error:
            await refuse(context, error)
        return reading_pb2.GetCheckpointResponse(note=note.decode())

    async def GetEntries(  # type: ignore[override]  # noqa: N802  # the reader-writer form: it knows when a write is done
        self, request: reading_pb2.GetEntriesRequest, context: _Context
    ) -> None:
        """Stream entries of a range, as far as they are final."""
        index = min(request.first_index, SIZE_MAX)
        end = index + min(request.count, ENTRIES_PER_CALL_MAX)
        try:
            while index < end:
                count = min(end - index, ENTRIES_PER_MESSAGE_MAX)
                async with self._budget.room(context, count * ENTRY_BYTES_MAX) as room:
                    entries = self._store.entries(LeafIndex(index), count)
                    if not entries:
                        return
                    message = reading_pb2.GetEntriesResponse(first_index=index, entries=entries)
                    await room.write(message, size=message.ByteSize())
                index += len(entries)
        except LedgerError as error:
            await refuse(context, error)

    async def GetInclusionProof(  # noqa: N802
        self, request: reading_pb2.GetInclusionProofRequest, context: _Context
    ) -> reading_pb2.ProofResponse:
        """Return the path of an entry in a tree of a given size."""
        try:
            size = TreeSize(request.tree_size) or self._prover.newest_size()
            proof = self._prover.inclusion(LeafIndex(request.index), size)
        except LedgerError as error:
            await refuse(context, error)
        return reading_pb2.ProofResponse(tree_size=size, hashes=proof)

    async def GetConsistencyProof(  # noqa: N802
        self, request: reading_pb2.GetConsistencyProofRequest, context: _Context
    ) -> reading_pb2.ProofResponse:
        """Return the proof that one tree begins another."""
        try:
            size = TreeSize(request.new_size) or self._prover.newest_size()
            proof = self._prover.consistency(TreeSize(request.old_size), size)
        except LedgerError as error:
            await refuse(context, error)
        return reading_pb2.ProofResponse(tree_size=size, hashes=proof)

    async def GetReceipt(  # noqa: N802
        self, request: reading_pb2.GetReceiptRequest, context: _Context
    ) -> reading_pb2.GetReceiptResponse:
        """Return the receipt of an entry named by index, leaf hash or digest."""
        named = request.WhichOneof("of")
        try:
            index = self._prover.find(
                index=request.index if named in {"index", None} else None,
                leaf=request.leaf_hash if named == "leaf_hash" else None,
                digest=request.statement_digest if named == "statement_digest" else None,
            )
            receipt = self._prover.receipt(index, archival=request.archival)
        except LedgerError as error:
            await refuse(context, error)
        entry = self._store.entries(index, 1)[0]
        return reading_pb2.GetReceiptResponse(receipt=receipt.decode(), entry=entry, index=index)

    async def GetVerdicts(  # noqa: N802
        self, request: reading_pb2.GetVerdictsRequest, context: _Context
    ) -> reading_pb2.GetVerdictsResponse:
        """Return the newest verdicts on a lab's clusters, as many intervals as fit an answer."""
        try:
            said = self._verdicts.read(
                lab=request.lab, cluster=request.cluster, first=request.first_interval, count=request.count or 1
            )
        except LedgerError as error:
            await refuse(context, error)
        verdicts = [reading_pb2.SaidVerdict(index=index, entry=entry) for index, entry in said.verdicts]
        return reading_pb2.GetVerdictsResponse(verdicts=verdicts, next_interval=said.next_interval)

    async def GetPauses(  # noqa: N802
        self, request: reading_pb2.GetPausesRequest, context: _Context
    ) -> reading_pb2.GetPausesResponse:
        """Return the proposals of the pauses that bind a lab in an interval, or of one."""
        try:
            said = self._questions.read_pauses(lab=request.lab, interval=request.interval, pause=request.pause)
        except LedgerError as error:
            await refuse(context, error)
        pauses = [reading_pb2.SaidPause(index=each.index, entry=each.entry) for each in said]
        return reading_pb2.GetPausesResponse(pauses=pauses)

    async def GetChallenge(  # noqa: N802
        self, request: reading_pb2.GetChallengeRequest, context: _Context
    ) -> reading_pb2.GetChallengeResponse:
        """Return a challenge, and the keys of those to whom the lab hands what it opens."""
        try:
            raised = self._questions.read_challenge(request.challenge)
        except LedgerError as error:
            await refuse(context, error)
        keys = [
            reading_pb2.EncryptionKey(nation=nation, inspector=inspector, key=key)
            for nation, inspector, key in raised.inspectors
        ]
        return reading_pb2.GetChallengeResponse(
            index=raised.said.index, entry=raised.said.entry, report=raised.report, inspectors=keys
        )

    async def StreamBlocks(  # type: ignore[override]  # noqa: N802  # the reader-writer form
        self, request: reading_pb2.StreamBlocksRequest, context: _Context
    ) -> None:
        """Stream final blocks from a height on, and go on with live ones if asked to follow."""
        height = min(request.first_height, SIZE_MAX)
        try:
            while True:
                blocks = self._store.blocks(Height(height), BLOCKS_PER_READ_MAX)
                for block in blocks:
                    await self._send_block(block, context)
                height += len(blocks)
                if not blocks:
                    if not request.follow:
                        return
                    await self._tip.wait_above(Height(height - 1))
        except LedgerError as error:
            await refuse(context, error)

    async def _send_block(self, block: StoredBlock, context: _Context) -> None:
        header = block.header
        size_max = min(BLOCK_BYTES_MAX, header.entry_count * ENTRY_BYTES_MAX)
        async with self._budget.room(context, size_max) as room:
            entries = self._store.entries(LeafIndex(header.first_index), header.entry_count)
            message = reading_pb2.StreamBlocksResponse(header=header.raw, seal=block.seal, entries=entries)
            await room.write(message, size=message.ByteSize())
