"""What anyone may read: charter, checkpoints, entries, proofs, receipts and the stream of final blocks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio

from ledger.errors import LedgerError
from ledger.limits import ENTRY_BYTES_MAX, MESSAGE_BYTES_MAX
from ledger.notes import encode_note
from ledger.positions import Height, LeafIndex, TreeSize
from node.cosigning import Notary
from node.proving import Prover
from node.services.refusals import refuse
from node.services.streams import StreamLimit
from node.store import Store
from node.tip import Tip
from node.v1 import reading_pb2, reading_pb2_grpc

ENTRIES_PER_MESSAGE_MAX: Final = 100
BLOCKS_PER_READ_MAX: Final = 64
ENTRIES_PER_CALL_MAX: Final = 1_000_000
_Context = grpc.aio.ServicerContext[Any, Any]  # message types differ from call to call
assert ENTRIES_PER_MESSAGE_MAX * ENTRY_BYTES_MAX < MESSAGE_BYTES_MAX


class ReadingServicer(reading_pb2_grpc.ReadingServicer):
    """Translates between the wire, the store and the prover; a slow reader only slows itself."""

    def __init__(
        self, store: Store, prover: Prover, notary: Notary, tip: Tip, streams: StreamLimit, *, quorum: int
    ) -> None:
        self._store, self._prover, self._notary = store, prover, notary
        self._tip, self._streams, self._quorum = tip, streams, quorum

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

    async def GetEntries(  # noqa: N802
        self, request: reading_pb2.GetEntriesRequest, context: _Context
    ) -> AsyncIterator[reading_pb2.GetEntriesResponse]:
        """Stream entries of a range, as far as they are final."""
        try:
            with self._streams.one():
                index, end = request.first_index, request.first_index + min(request.count, ENTRIES_PER_CALL_MAX)
                while index < end:
                    entries = self._store.entries(LeafIndex(index), min(end - index, ENTRIES_PER_MESSAGE_MAX))
                    if not entries:
                        return
                    yield reading_pb2.GetEntriesResponse(first_index=index, entries=entries)
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

    async def StreamBlocks(  # noqa: N802
        self, request: reading_pb2.StreamBlocksRequest, context: _Context
    ) -> AsyncIterator[reading_pb2.StreamBlocksResponse]:
        """Stream final blocks from a height on, and go on with live ones if asked to follow."""
        height = request.first_height
        try:
            with self._streams.one():
                while True:
                    blocks = self._store.blocks(Height(height), BLOCKS_PER_READ_MAX)
                    for block in blocks:
                        first = LeafIndex(block.header.first_index)
                        entries = self._store.entries(first, block.header.entry_count)
                        yield reading_pb2.StreamBlocksResponse(
                            header=block.header.raw, seal=block.seal, entries=entries
                        )
                    height += len(blocks)
                    if not blocks:
                        if not request.follow:
                            return
                        await self._tip.wait_above(Height(height - 1))
                    await asyncio.sleep(0)  # let others in between batches
        except LedgerError as error:
            await refuse(context, error)
