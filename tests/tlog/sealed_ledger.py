"""A ledger with a charter and real seals, published by the product: several bundles of everything, and partial ones."""

from collections.abc import Sequence
from pathlib import Path

from ledger.blocks import SealedHeader
from ledger.merkle import Hash, compute_root, leaf_hash
from ledger.positions import Height, Interval, LeafIndex, Millis
from tests.ledger.rulebook import INTERVAL_S, NATIONS, START_S, millis
from tests.observer.fakeledger import ORIGIN, FakeLedger
from tlog.folder import Folder
from tlog.publisher import Files, Identity, Publisher, Snapshot

SEALED_EVERY = 16
BLOCKS = 300
ENTRIES_PER_BLOCK = 2


class SealedLedger(FakeLedger):
    """Three hundred blocks of two entries that no rule looks at, every sixteenth sealed, the others through it."""

    def __init__(self, blocks: int = BLOCKS, *, seed: int = 0) -> None:
        sealed = {*range(SEALED_EVERY, blocks + 1, SEALED_EVERY), blocks}
        super().__init__(seed=seed, snapshot_interval=0, without_seal=[h for h in range(blocks + 1) if h not in sealed])
        for height in range(1, blocks + 1):
            entries = [f"entry {seed} {height} {number}".encode() * 3 for number in range(ENTRIES_PER_BLOCK)]
            self.extend(millis(height * INTERVAL_S // 100), entries)
        self._leaves = [leaf_hash(entry) for entry in self.entries]

    # what a publisher reads

    def blocks_from(self, first: Height, count: int) -> Sequence[SealedHeader]:
        return self.chain[first : first + count]

    def publish_to(self, files: Files, *heights: int) -> None:
        """Publish checkpoints at sealed heights, one after the other."""
        publisher = Publisher(files, _Read(self), self.identity())
        for height in heights:
            publisher.publish(self.snapshot(height), now=Millis(0))

    def identity(self) -> Identity:
        return Identity(self.charter_entry, self.founders.transcript, ORIGIN, self.fingerprint, "counterseal test")

    def snapshot(self, height: int) -> Snapshot:
        archival = [each for each in range(SEALED_EVERY, height + 1, SEALED_EVERY) if each % 100 < SEALED_EVERY]
        archives = {self.interval(each): self.note(each, cosigners=2, has_ml_dsa=True) for each in archival}
        return Snapshot(
            height=Height(height),
            size=self.chain[height].header.tree_size,
            checkpoint=self.note(height, cosigners=1),
            cosignatures=self.note(height, cosigners=len(NATIONS)),
            archives=archives,
        )

    def interval(self, height: int) -> Interval:
        return Interval((self.chain[height].header.time_ms // 1000 - START_S) // INTERVAL_S)


class _Read:
    """The `Ledger` of a publisher."""

    def __init__(self, ledger: SealedLedger) -> None:
        self._ledger = ledger

    def entries(self, first: LeafIndex, count: int) -> Sequence[bytes]:
        return self._ledger.entries[first : first + count]

    def read_hash(self, level: int, number: int) -> Hash:
        return compute_root(self._ledger._leaves[number << level : number + 1 << level])

    def blocks(self, first: Height, count: int) -> Sequence[SealedHeader]:
        return self._ledger.blocks_from(first, count)


def publish_folder(ledger: SealedLedger, root: Path, *heights: int) -> Path:
    ledger.publish_to(Folder(root), *heights)
    return root
