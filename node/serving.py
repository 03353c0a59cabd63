"""What this node answers its fellow members: the receiving half of `node.peers`, translated for driver and admission.

Gossip that the rules refuse here is not the sender's fault (the two nodes may stand at different blocks), so it is
counted by admission, not against the peer. Everything malformed is. Answers are made piece by piece, as they are sent.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from typing import Final

from ledger.blocks import NO_SEAL
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.limits import ENTRY_BYTES_MAX, HASH_BYTES, MESSAGE_BYTES_MAX, SIZE_MAX
from ledger.positions import Epoch, Height, Interval, LeafIndex, MemberIndex, View
from node.admission import Admission
from node.beacon import Beacon
from node.consensus.core import Core
from node.consensus.lanes import Lane
from node.consensus.messages import Fault, MessageReceived, VoteKind
from node.cosigning import Notary
from node.driver import Driver
from node.greeting import Greeting
from node.mempool import Mempool
from node.pulling import ENTRIES_PER_REQUEST_MAX, HEADERS_PER_MESSAGE_MAX, parse_cosignature
from node.snapshots import SnapshotFolder
from node.store import Store
from node.v1 import peer_pb2
from node.wire import (
    encode_certificate,
    encode_finalization,
    parse_beacon_share,
    parse_message,
    require_envelope,
)

GOSSIP_ENTRIES_MAX: Final = 10_000
BATCH_BYTES_MAX: Final = 2 * 1024 * 1024
FINAL_BLOCKS_MAX: Final = 10_000
SNAPSHOT_PART_BYTES: Final = 1024 * 1024
assert BATCH_BYTES_MAX + ENTRY_BYTES_MAX < MESSAGE_BYTES_MAX

Found = Callable[[MemberIndex, peer_pb2.FoundRequest], Awaitable[list[bytes]]]


class MemberServing:
    """A `node.peers.PeerHandler` for a node that has its ledger."""

    def __init__(
        self,
        *,
        greeting: Greeting,
        driver: Driver,
        admission: Admission,
        mempool: Mempool,
        store: Store,
        notary: Notary,
        found: Found,
        epoch: Epoch,
        snapshots: SnapshotFolder | None = None,
        beacon: Beacon | None = None,
    ) -> None:
        self._greeting = greeting
        self._driver, self._admission, self._mempool = driver, admission, mempool
        self._store, self._notary, self._found, self._epoch = store, notary, found, epoch
        self._snapshots, self._beacon = snapshots, beacon

    def greeting(self) -> Greeting:
        """Say who this node is."""
        return self._greeting

    def on_greeted(self, member: MemberIndex) -> None:
        """Take note of nothing."""

    def height(self) -> int:
        """Return the newest final height."""
        return self._driver.final_height()

    async def on_found(self, member: MemberIndex, request: peer_pb2.FoundRequest) -> list[bytes]:
        """Go on answering those that are still finishing the ceremony."""
        return await self._found(member, request)

    async def on_message(self, member: MemberIndex, lane: Lane, message: peer_pb2.PeerMessage) -> bool:
        """Take one message; False if it was not looked at, for what its stream brought before.

        Raises:
            LedgerError: malformed, or of another ledger.
        """
        require_envelope(message, ledger_id=self._greeting.ledger_id, epoch=self._epoch)
        parsed = parse_message(message)
        if parsed is not None:
            if not self._driver.is_heard(member, lane):  # the core would say so too, and later
                self._driver.count_refused(member, Fault.HELD_BACK)
                return False
            await self._driver.put_from_peer(member, MessageReceived(source=member, message=parsed, lane=lane))
        elif message.HasField("gossip"):
            await self._take_gossip(member, message.gossip)
        elif message.HasField("beacon_share"):
            return self._take_beacon_share(member, lane, message.beacon_share)
        else:
            await self._take_cosignature(member, message.cosignature)
        return True

    async def _take_gossip(self, member: MemberIndex, gossip: peer_pb2.Gossip) -> None:
        if len(gossip.entries) > GOSSIP_ENTRIES_MAX:
            raise FormatError(
                field="gossip.entries", found=len(gossip.entries), expected=f"at most {GOSSIP_ENTRIES_MAX}"
            )
        for entry in gossip.entries:
            await self._admission.turns.take(f"member {member}")
            try:
                self._admission.admit(entry, is_gossip=True)
            except LedgerError as error:
                if error.code in {Code.FORMAT, Code.TOO_LARGE}:
                    raise
                self._driver.count_refused(member, f"gossip {error.code}")

    def _take_beacon_share(self, member: MemberIndex, lane: Lane, said: peer_pb2.BeaconShare) -> bool:
        beacon_round, share = parse_beacon_share(said)
        if self._beacon is None:
            raise FormatError(
                field="message.body", found="a beacon share", expected="none: this charter has no agreement"
            )
        return self._beacon.take(member, lane, beacon_round, share)

    async def _take_cosignature(self, member: MemberIndex, cosignature: peer_pb2.Cosignature) -> None:
        parsed = parse_cosignature(cosignature)
        if self._notary.is_kept(member, parsed):
            return
        try:
            await self._driver.store_cosignature(member, parsed)
        except ConditionError as error:
            if error.code is not Code.NOT_FOUND:  # the cosigner is ahead of us: it is made again for a later one
                raise

    async def on_fetch(
        self, member: MemberIndex, request: peer_pb2.FetchRequest
    ) -> AsyncGenerator[peer_pb2.FetchResponse]:
        """Answer what a member lacks, as far as it is here; nothing is an answer too."""
        del member
        core = await self._driver.said()
        answers: dict[str | None, Callable[[], Iterable[peer_pb2.FetchResponse]]] = {
            "entries": lambda: self._entries(request.entries),
            "block": lambda: self._block(core, request.block.digest),
            "final_blocks": lambda: self._final_blocks(request.final_blocks),
            "certificate": lambda: self._certificate(core, request.certificate),
            "newest": lambda: self._newest(core),
            "view": lambda: self._view(core),
            "snapshot": lambda: self._snapshot(request.snapshot),
            "cosignatures": lambda: self._cosignatures(Interval(min(request.cosignatures.interval, SIZE_MAX))),
        }
        answer = answers.get(request.WhichOneof("what"))
        if answer is not None:
            for response in answer():
                yield response

    def _view(self, core: Core) -> list[peer_pb2.FetchResponse]:
        view = core.view_to_tell()
        if not view:  # this node lost its own log, or its core has not begun: what it says now could be too low
            return []
        return [peer_pb2.FetchResponse(view=peer_pb2.ViewAnswer(epoch=self._epoch, view=view))]

    def _entries(self, wanted: peer_pb2.EntriesByHash) -> Iterator[peer_pb2.FetchResponse]:
        leaves = dict.fromkeys(leaf for leaf in wanted.leaf_hashes[:ENTRIES_PER_REQUEST_MAX] if len(leaf) == HASH_BYTES)
        batch: list[bytes] = []
        bytes_count = 0
        for leaf in leaves:
            pending = self._mempool.get(leaf)
            entry = self._store.entries_with([leaf]).get(leaf) if pending is None else pending.prepared.raw
            if entry is None:
                continue
            if bytes_count + len(entry) > BATCH_BYTES_MAX:
                yield peer_pb2.FetchResponse(entries=peer_pb2.EntryBatch(entries=batch))
                batch, bytes_count = [], 0
            batch.append(entry)
            bytes_count += len(entry)
        yield peer_pb2.FetchResponse(entries=peer_pb2.EntryBatch(entries=batch))

    def _block(self, core: Core, digest: bytes) -> list[peer_pb2.FetchResponse]:
        block = core.get_block(digest)
        if block is not None:
            proposal = peer_pb2.Proposal(header=block.header.raw, entry_hashes=block.entry_hashes)
            return [peer_pb2.FetchResponse(block=proposal)]
        stored = self._store.block_with_digest(digest)
        if stored is None or not self._store.holds_block(stored.header.height):
            return []
        leaves = self._store.leaves(LeafIndex(stored.header.first_index), stored.header.entry_count)
        return [peer_pb2.FetchResponse(block=peer_pb2.Proposal(header=stored.header.raw, entry_hashes=leaves))]

    def _final_blocks(self, wanted: peer_pb2.FinalBlocks) -> Iterator[peer_pb2.FetchResponse]:
        """Read stored blocks one by one, so that a long answer never sits in memory whole."""
        first = min(wanted.first_height, SIZE_MAX - FINAL_BLOCKS_MAX)
        if not self._store.holds_block(first):  # it began later; others have them
            return
        if wanted.headers_only:
            yield from self._final_headers(first, first + min(wanted.count, FINAL_BLOCKS_MAX))
            return
        for height in range(first, first + min(wanted.count, FINAL_BLOCKS_MAX)):
            block = self._store.block_at(Height(height))
            if block is None:
                return
            entries = self._store.entries(LeafIndex(block.header.first_index), block.header.entry_count)
            yield peer_pb2.FetchResponse(
                final_block=peer_pb2.FinalBlock(header=block.header.raw, seal=block.seal, entries=entries)
            )

    def _final_headers(self, first: int, end: int) -> Iterator[peer_pb2.FetchResponse]:
        for start in range(first, end, HEADERS_PER_MESSAGE_MAX):
            blocks = self._store.blocks(Height(start), min(HEADERS_PER_MESSAGE_MAX, end - start))
            if not blocks:
                return
            batch = [peer_pb2.Finalization(header=block.header.raw, seal=block.seal) for block in blocks]
            yield peer_pb2.FetchResponse(headers=peer_pb2.HeaderBatch(headers=batch))

    def _certificate(self, core: Core, wanted: peer_pb2.CertificateOf) -> list[peer_pb2.FetchResponse]:
        if wanted.kind not in {VoteKind.NOTARIZE, VoteKind.NULLIFY}:
            return []
        certificate = core.get_certificate(VoteKind(wanted.kind), View(wanted.view))
        if certificate is not None:
            return [peer_pb2.FetchResponse(certificate=encode_certificate(certificate))]
        return self._newest(core)

    def _newest(self, core: Core) -> list[peer_pb2.FetchResponse]:
        finalization = core.newest_finalization()
        if finalization is None:
            return []
        return [peer_pb2.FetchResponse(finalization=encode_finalization(finalization))]

    def _snapshot(self, wanted: peer_pb2.SnapshotFrom) -> Iterator[peer_pb2.FetchResponse]:
        """Read a snapshot part by part; only those of blocks with a seal of their own, which proves them alone."""
        folder = self._snapshots
        here = [] if folder is None else [height for height in folder.heights() if self._is_sealed(height)]
        height = Height(wanted.height) if wanted.height else max(here, default=Height(0))
        if folder is None or height not in here:
            return
        offset, size = wanted.offset, folder.size(height)
        while offset < size:
            raw = folder.read(height, offset, SNAPSHOT_PART_BYTES)
            if not raw:
                return
            part = peer_pb2.SnapshotPart(height=height, size=size, offset=offset, raw=raw)
            yield peer_pb2.FetchResponse(snapshot=part)
            offset += len(raw)

    def _is_sealed(self, height: Height) -> bool:
        block = self._store.block_at(height)
        return block is not None and block.seal != NO_SEAL

    def _cosignatures(self, interval: Interval) -> list[peer_pb2.FetchResponse]:
        return [
            peer_pb2.FetchResponse(
                cosignature=peer_pb2.Cosignature(tree_size=line.size, root=line.root, line=line.line)
            )
            for line in self._notary.own_archival(interval)
        ]
