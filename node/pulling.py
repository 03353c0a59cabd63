"""What this node lacks, asked of members one after another; answers are checked for form, and entries by their hash.

Nothing of an answer is kept beyond what was asked for: an endless or oversized one is left where it leaves its bounds.
A member that takes a question and gives nothing is left after a while, a short one at first: one that keeps silent must
not hold up a node whose vote is needed. The while grows as long as nobody gives anything, for links may be slow.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from ledger.blocks import Header, SealedHeader, parse_header
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.limits import (
    BLOCK_ENTRIES_MAX,
    ENTRY_BYTES_MAX,
    HEADER_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    SEAL_BYTES,
    SIZE_MAX,
)
from ledger.merkle import Hash, leaf_hash
from ledger.positions import Epoch, Height, Interval, MemberIndex, TreeSize, View
from node.consensus.messages import (
    BlockFetched,
    CertificateFetched,
    MessageReceived,
    ViewTold,
    VoteKind,
)
from node.cosigning import Cosignature
from node.links import Links
from node.peers import FETCH_TIMEOUT_S
from node.snapshots import SNAPSHOT_BYTES_MAX
from node.v1 import peer_pb2
from node.wire import parse_certificate, parse_finalization, parse_hashes

ENTRIES_PER_REQUEST_MAX: Final = 2_000
PAUSE_FIRST_S: Final = 0.1
PAUSE_MAX_S: Final = 2.0
PATIENCE_FIRST_S: Final = 2.0
PATIENCE_MAX_S: Final = FETCH_TIMEOUT_S
COSIGNATURES_EACH_MAX: Final = 2  # one of each kind
HEADERS_PER_MESSAGE_MAX: Final = 256

assert HEADERS_PER_MESSAGE_MAX * (HEADER_BYTES_MAX + 2 * SEAL_BYTES) < MESSAGE_BYTES_MAX


class Puller:
    """Asks members for what is missing."""

    def __init__(self, peers: Links, epoch: Epoch) -> None:
        self._peers, self._epoch = peers, epoch

    async def _first(self, member: MemberIndex, request: peer_pb2.FetchRequest) -> peer_pb2.FetchResponse | None:
        async with contextlib.aclosing(self._peers.links[member].fetch(request)) as responses:
            async for response in responses:
                return response
        return None

    async def _answers(
        self, member: MemberIndex, request: peer_pb2.FetchRequest, *, patience_s: float
    ) -> AsyncGenerator[peer_pb2.FetchResponse]:
        """Give each part of a long answer, as long as the next one comes in time.

        Raises:
            LedgerError: unreachable, too slow, or a malformed answer.
        """
        async with contextlib.aclosing(self._peers.links[member].fetch(request)) as responses:
            while True:
                try:
                    async with asyncio.timeout(patience_s):
                        response = await anext(responses)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise ConditionError(
                        field=f"member {self._peers.links[member].state.id}",
                        found=f"nothing for {patience_s:g} s",
                        expected="an answer",
                        code=Code.UNREACHABLE,
                    ) from None
                yield response

    def _count_refused(self, member: MemberIndex, error: LedgerError) -> None:
        """Count a wrong answer; no answer is no fault."""
        if error.code is not Code.UNREACHABLE:
            self._peers.links[member].state.refused[error.code] += 1

    async def block(self, member: MemberIndex, digest: bytes) -> BlockFetched | None:
        """Ask for the header and hash list behind a digest.

        Raises:
            LedgerError: unreachable, or a malformed answer.
        """
        request = peer_pb2.FetchRequest(block=peer_pb2.BlockByDigest(digest=digest))
        response = await self._first(member, request)
        if response is None or not response.HasField("block"):
            return None
        header = parse_header(response.block.header)
        return BlockFetched(source=member, header=header, entry_hashes=parse_hashes(response.block))

    async def certificate(
        self, member: MemberIndex, kind: VoteKind, view: View
    ) -> CertificateFetched | MessageReceived | None:
        """Ask for a view's certificate; who has none left may answer with its newest finalization.

        Raises:
            LedgerError: unreachable, or a malformed answer.
        """
        request = peer_pb2.FetchRequest(certificate=peer_pb2.CertificateOf(kind=kind, view=view))
        response = await self._first(member, request)
        if response is None:
            return None
        if response.HasField("finalization"):
            return MessageReceived(source=member, message=parse_finalization(response.finalization))
        if not response.HasField("certificate"):
            return None
        certificate = parse_certificate(response.certificate, epoch=self._epoch)
        return CertificateFetched(source=member, certificate=certificate)

    async def newest(self, member: MemberIndex) -> MessageReceived | None:
        """Ask for the newest finalization.

        Raises:
            LedgerError: unreachable, or a malformed answer.
        """
        response = await self._first(member, peer_pb2.FetchRequest(newest=peer_pb2.NewestFinalization()))
        if response is None or not response.HasField("finalization"):
            return None
        return MessageReceived(source=member, message=parse_finalization(response.finalization))

    async def view(self, member: MemberIndex) -> ViewTold | None:
        """Ask for the member's current view.

        Raises:
            LedgerError: unreachable.
        """
        response = await self._first(member, peer_pb2.FetchRequest(view=peer_pb2.CurrentView()))
        if response is None or not response.HasField("view"):
            return None
        if max(response.view.epoch, response.view.view) > SIZE_MAX:
            raise FormatError(field="view", found=response.view.view, expected=f"at most {SIZE_MAX}")
        return ViewTold(member=member, epoch=Epoch(response.view.epoch), view=View(response.view.view))

    async def cosignatures(self, member: MemberIndex, interval: Interval) -> list[Cosignature]:
        """Ask for the member's own cosignatures of an archival checkpoint.

        Raises:
            LedgerError: unreachable.
        """
        request = peer_pb2.FetchRequest(cosignatures=peer_pb2.CosignaturesOf(interval=interval))
        lines: list[Cosignature] = []
        async with contextlib.aclosing(self._peers.links[member].fetch(request)) as responses:
            async for response in responses:
                lines.append(parse_cosignature(response.cosignature))
                if len(lines) == COSIGNATURES_EACH_MAX:
                    break
        return lines

    async def entries(
        self, leaves: Sequence[Hash], *, first: MemberIndex, is_wanted: Callable[[], bool]
    ) -> dict[Hash, bytes] | None:
        """Pull entries by leaf hash from `first`, then from others, again and again until all are there.

        Returns None when they are not wanted any more. Missing is no verdict, so there is no other way to fail.
        """
        found: dict[Hash, bytes] = {}
        pause, patience_s = PAUSE_FIRST_S, PATIENCE_FIRST_S
        while True:
            found_before = len(found)
            for member in [first, *(other for other in self._peers.connected() if other != first)]:
                wanted = [leaf for leaf in leaves if leaf not in found]
                try:
                    await self._entries_from(member, wanted, found, patience_s=patience_s)
                except LedgerError as error:
                    self._count_refused(member, error)
                if len(found) == len(leaves):
                    return found
                if not is_wanted():
                    return None
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_MAX_S)
            patience_s = next_patience_s(patience_s, has_gained=len(found) > found_before)

    async def _entries_from(
        self, member: MemberIndex, wanted: Sequence[Hash], found: dict[Hash, bytes], *, patience_s: float
    ) -> None:
        for start in range(0, len(wanted), ENTRIES_PER_REQUEST_MAX):
            asked = wanted[start : start + ENTRIES_PER_REQUEST_MAX]
            open_leaves = dict.fromkeys(asked)
            request = peer_pb2.FetchRequest(entries=peer_pb2.EntriesByHash(leaf_hashes=asked))
            async with contextlib.aclosing(self._answers(member, request, patience_s=patience_s)) as responses:
                async for response in responses:
                    for entry in response.entries.entries:
                        leaf = leaf_hash(entry)
                        if leaf not in open_leaves or len(entry) > ENTRY_BYTES_MAX:
                            raise FormatError(field="entries", found=leaf.hex(), expected="an entry that was asked for")
                        del open_leaves[leaf]
                        found[leaf] = entry
                    if not open_leaves or not response.entries.entries:
                        break

    async def final_blocks(
        self, member: MemberIndex, first: Height, count: int, *, patience_s: float = PATIENCE_MAX_S
    ) -> AsyncGenerator[tuple[Header, bytes, list[bytes]]]:
        """Stream final blocks from a height on: header, seal (or empty) and entries, of the form but not verified.

        Raises:
            LedgerError: unreachable, or a malformed answer.
        """
        request = peer_pb2.FetchRequest(final_blocks=peer_pb2.FinalBlocks(first_height=first, count=count))
        async with contextlib.aclosing(self._answers(member, request, patience_s=patience_s)) as responses:
            async for response in responses:
                block = response.final_block
                _require_seal_size(block.seal, field="final_block.seal")
                if len(block.entries) > BLOCK_ENTRIES_MAX:
                    raise FormatError(
                        field="final_block.entries", found=len(block.entries), expected=f"at most {BLOCK_ENTRIES_MAX}"
                    )
                yield parse_header(block.header), block.seal, list(block.entries)

    async def snapshot(
        self, member: MemberIndex, height: Height, offset: int, *, patience_s: float
    ) -> AsyncGenerator[peer_pb2.SnapshotPart]:
        """Stream a snapshot from an offset on, in parts that follow each other; of height 0, the newest.

        Raises:
            LedgerError: unreachable, or a malformed answer.
        """
        wanted = peer_pb2.SnapshotFrom(height=height, offset=offset)
        request = peer_pb2.FetchRequest(snapshot=wanted)
        async with contextlib.aclosing(self._answers(member, request, patience_s=patience_s)) as responses:
            async for response in responses:
                part = response.snapshot
                end = offset + len(part.raw)
                if part.offset != offset or not offset < end <= part.size <= SNAPSHOT_BYTES_MAX:
                    found = f"{len(part.raw)} bytes at {part.offset} of {part.size}"
                    raise FormatError(field="snapshot", found=found, expected=f"the next bytes after {offset}")
                offset = end
                yield part
                if offset == part.size:
                    return

    async def final_headers(
        self, member: MemberIndex, first: Height, count: int, *, patience_s: float = PATIENCE_MAX_S
    ) -> AsyncGenerator[SealedHeader]:
        """Stream headers of final blocks from a height on, of the form but not verified.

        A node that knows of no such question answers with whole blocks: then their headers are what is given.

        Raises:
            LedgerError: unreachable, or a malformed answer.
        """
        wanted = peer_pb2.FinalBlocks(first_height=first, count=count, headers_only=True)
        request = peer_pb2.FetchRequest(final_blocks=wanted)
        async with contextlib.aclosing(self._answers(member, request, patience_s=patience_s)) as responses:
            async for response in responses:
                block = response.final_block
                batch: Sequence[peer_pb2.Finalization | peer_pb2.FinalBlock]
                batch = response.headers.headers if response.HasField("headers") else [block]
                if not 0 < len(batch) <= HEADERS_PER_MESSAGE_MAX:
                    expected = f"1 to {HEADERS_PER_MESSAGE_MAX}"
                    raise FormatError(field="headers", found=len(batch), expected=expected)
                for sealed in batch:
                    _require_seal_size(sealed.seal, field="headers.seal")
                    yield SealedHeader(header=parse_header(sealed.header), seal=sealed.seal)


def _require_seal_size(seal: bytes, *, field: str) -> None:
    if len(seal) not in {0, SEAL_BYTES}:
        raise FormatError(field=field, found=f"{len(seal)} bytes", expected=f"0 or {SEAL_BYTES} bytes")


def next_patience_s(patience_s: float, *, has_gained: bool) -> float:
    """Say how long to wait for each answer of the next round: longer, if nobody gave anything in this one."""
    return PATIENCE_FIRST_S if has_gained else min(2 * patience_s, PATIENCE_MAX_S)


def parse_cosignature(cosignature: peer_pb2.Cosignature) -> Cosignature:
    """Read a cosignature from the wire; `Notary.verify` judges it.

    Raises:
        FormatError: a size that no tree has.
    """
    if cosignature.tree_size > SIZE_MAX:
        raise FormatError(field="cosignature.tree_size", found=cosignature.tree_size, expected=f"at most {SIZE_MAX}")
    return Cosignature(size=TreeSize(cosignature.tree_size), root=cosignature.root, line=cosignature.line)
