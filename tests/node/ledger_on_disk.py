"""A ledger of one committee in a store, grown block by block as the driver would, for tests of single parts."""

from collections.abc import Sequence
from pathlib import Path

from ledger.blocks import NO_SEAL, seal_message
from ledger.charter import Charter, parse_charter
from ledger.limits import SEAL_BYTES
from ledger.positions import LeafIndex, MemberIndex, Millis, View
from ledger.rules.entries import PreparedEntry, prepare_entry
from ledger.rules.state import State
from ledger.threshold import bls
from node.beginning import found_store
from node.branches import Branches
from node.execute import ExecutedBlock, build_block
from node.store import BlockCommit, Store
from tests.node.conftest import Committee, found_committee
from tests.node.statements import Issuer

FOUNDED_MS = 1_700_000_000_000


class DiskLedger:
    """A founded ledger; every block made here is final at once."""

    def __init__(
        self, root: Path, *, members: int = 1, committee: Committee | None = None, snapshot_interval: int = 0
    ) -> None:
        self.snapshot_interval = snapshot_interval
        self.committee = committee or found_committee([(3 * i + 1, 3 * i + 2, 3 * i + 3) for i in range(members)])
        self.path = root / "ledger.sqlite"
        found_store(self.path, self.committee.entry, self.committee.transcript)
        self.store = Store(self.path)
        self.charter: Charter = parse_charter(self.store.entries(LeafIndex(0), 1)[0])  # of the file that was there
        tip = self.store.tip()
        assert tip is not None
        state = State.restore(self.store.state_items(), charter=self.charter)
        frontier = self.store.frontier(tip.header.tree_size)
        self.branches = Branches(ExecutedBlock(tip.header, (), (), state, frontier))
        self.now_ms = FOUNDED_MS
        self.nations = [
            Issuer(member.id, self.charter.ledger_id.hex(), (founder.identity.public_key, founder.identity.sign))
            for member, founder in zip(self.charter.members, self.committee.founders, strict=True)
        ]

    def clock(self) -> Millis:
        return Millis(self.now_ms)

    def build(
        self, entries: Sequence[bytes] = (), *, on: ExecutedBlock | None = None, view: int | None = None
    ) -> ExecutedBlock:
        """Execute a block that nobody has committed."""
        parent = on or self.branches.final
        self.now_ms += 1000
        prepared: list[PreparedEntry] = [prepare_entry(entry) for entry in entries]
        block, refused = build_block(
            parent,
            prepared,
            view=View(view or parent.header.view + 1),
            time_ms=Millis(self.now_ms),
            proposer=MemberIndex(1),
            snapshot_interval=self.snapshot_interval,
        )
        assert not refused, refused
        return block

    def seal(self, block: ExecutedBlock) -> bytes:
        """Make the group's seal of a block, with every member's share."""
        message = seal_message(block.header, self.charter.origin)
        shares = {founder.share.member: founder.share.share(message) for founder in self.committee.founders}
        seal = bls.combine({member: shares[member] for member in sorted(shares)[: self.charter.quorum]})
        assert len(seal) == SEAL_BYTES
        return seal

    def commit(self, block: ExecutedBlock, *, is_sealed: bool = True) -> None:
        """Make a block final."""
        seal = self.seal(block) if is_sealed else NO_SEAL
        self.store.commit([self.commit_of(block, seal)])
        self.branches.finalize(block)

    def commit_of(self, block: ExecutedBlock, seal: bytes) -> BlockCommit:
        return BlockCommit(block.header, seal, block.entries, block.leaves, block.state.changes())

    def grow(self, entries: Sequence[bytes] = ()) -> ExecutedBlock:
        """Build a block and make it final."""
        block = self.build(entries)
        self.commit(block)
        return block
