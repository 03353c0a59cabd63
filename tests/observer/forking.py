"""Second histories: what a quorum that colludes seals beside the first, with the real key shares."""

import copy

from ledger.blocks import NO_SEAL, SealedHeader, seal_message
from ledger.merkle import EMPTY_FRONTIER, leaf_hash
from ledger.positions import Millis
from tests.observer.fakeledger import ORIGIN, FakeLedger


def fork(ledger: FakeLedger, at: int, *, later: int = 0, has_same_entries: bool = False) -> FakeLedger:
    """A second history that the same quorum sealed: equal below a height, and then another.

    Args:
        ledger: the first; it is not changed.
        at: the height at which they part.
        later: how many blocks follow the one that parts.
        has_same_entries: whether the block that parts has the entries of the first history, at another time.
    """
    other = copy.copy(ledger)
    parent = ledger.chain[at - 1].header
    same = ledger.entries_of(at)
    other.copied = None
    other.chain, other.entries = ledger.chain[:at], ledger.entries[: parent.tree_size]
    other.frontier = EMPTY_FRONTIER.extend(leaf_hash(entry) for entry in other.entries)
    other.snapshot_interval = 0
    for number in range(1 + later):
        story = [b'{"_type":"another story %d"}' % number]
        is_same = has_same_entries and number == 0
        other.extend(Millis(parent.time_ms + 100_000 * number + is_same), same if is_same else story)
    return other


def sealed(ledger: FakeLedger, height: int) -> bytes:
    """The note of a block that the quorum sealed in secret, where the first history has no seal for it."""
    block = ledger.chain[height]
    if block.seal == NO_SEAL:
        message = seal_message(block.header, ORIGIN)
        ledger.chain[height] = SealedHeader(block.header, ledger.founders.seal(message))
    return ledger.note(height)
