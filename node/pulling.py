"""What this node lacks, asked of members one after another; answers are checked for form, and entries by their hash."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from ledger.blocks import Header, parse_header
from ledger.errors import FormatError, LedgerError
from ledger.limits import ENTRY_BYTES_MAX, SEAL_BYTES
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
from node.peers import Peers
from node.v1 import peer_pb2
from node.wire import parse_certificate, parse_finalization, parse_hashes

ENTRIES_PER_REQUEST_MAX: Final = 2_000
PAUSE_S: Final = 0.1


class Puller:
    """Asks members for what is missing."""

    def __init__(self, peers: Peers, epoch: Epoch) -> None:
        self._peers, self._epoch = peers, epoch

    async def _first(self, member: MemberIndex, request: peer_pb2.FetchRequest) -> peer_pb2.FetchResponse | None:
        async for response in self._peers.links[member].fetch(request):
            return response
        return None

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
        return ViewTold(member=member, epoch=Epoch(response.view.epoch), view=View(response.view.view))

    async def cosignatures(self, member: MemberIndex, interval: Interval) -> list[Cosignature]:
        """Ask for the member's own cosignatures of an archival checkpoint.

        Raises:
            LedgerError: unreachable.
        """
        request = peer_pb2.FetchRequest(cosignatures=peer_pb2.CosignaturesOf(interval=interval))
        lines: list[Cosignature] = []
        async for response in self._peers.links[member].fetch(request):
            lines.append(parse_cosignature(response.cosignature))
            if len(lines) == 2:  # one of each kind
                break
        return lines

    async def entries(
        self, leaves: Sequence[Hash], *, first: MemberIndex, is_wanted: Callable[[], bool]
    ) -> dict[Hash, bytes] | None:
        """Pull entries by leaf hash from `first`, then from others, again and again until all are there.

        Returns None when they are not wanted any more. Missing is no verdict, so there is no other way to fail.
        """
        found: dict[Hash, bytes] = {}
        while True:
            for member in [first, *(other for other in self._peers.connected() if other != first)]:
                wanted = [leaf for leaf in leaves if leaf not in found]
                try:
                    await self._entries_from(member, wanted, found)
                except LedgerError as error:
                    self._peers.links[member].state.refused[error.code] += 1
                if len(found) == len(leaves):
                    return found
                if not is_wanted():
                    return None
            await asyncio.sleep(PAUSE_S)

    async def _entries_from(self, member: MemberIndex, wanted: Sequence[Hash], found: dict[Hash, bytes]) -> None:
        for start in range(0, len(wanted), ENTRIES_PER_REQUEST_MAX):
            asked = wanted[start : start + ENTRIES_PER_REQUEST_MAX]
            open_leaves = dict.fromkeys(asked)
            request = peer_pb2.FetchRequest(entries=peer_pb2.EntriesByHash(leaf_hashes=asked))
            async for response in self._peers.links[member].fetch(request):
                for entry in response.entries.entries:
                    leaf = leaf_hash(entry)
                    if leaf not in open_leaves or len(entry) > ENTRY_BYTES_MAX:
                        raise FormatError(field="entries", found=leaf.hex(), expected="an entry that was asked for")
                    del open_leaves[leaf]
                    found[leaf] = entry

    async def final_blocks(
        self, member: MemberIndex, first: Height, count: int
    ) -> AsyncGenerator[tuple[Header, bytes, list[bytes]]]:
        """Stream final blocks from a height on: header, seal (or empty) and entries, of the form but not verified.

        Raises:
            LedgerError: unreachable, or a malformed answer.
        """
        request = peer_pb2.FetchRequest(final_blocks=peer_pb2.FinalBlocks(first_height=first, count=count))
        async for response in self._peers.links[member].fetch(request):
            block = response.final_block
            if len(block.seal) not in {0, SEAL_BYTES}:
                raise FormatError(field="final_block.seal", found=f"{len(block.seal)} bytes", expected="0 or 48 bytes")
            yield parse_header(block.header), block.seal, list(block.entries)


def parse_cosignature(cosignature: peer_pb2.Cosignature) -> Cosignature:
    """Read a cosignature from the wire; `Notary.verify` judges it."""
    return Cosignature(size=TreeSize(cosignature.tree_size), root=cosignature.root, line=cosignature.line)
