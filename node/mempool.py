"""Entries that were admitted and are not final yet: bounded, in order of arrival, each issuer's in sequence.

Bounds: a number of entries and of bytes in all, and a number and a share of the bytes for each issuer, so that one
issuer cannot crowd out the others. What is here was checked against the rules when it came; whether it still holds is
asked again when a block is built. Nothing here survives a crash: a submitter who waits for its receipt notices and
submits the same bytes again.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ledger.errors import Code, ConditionError
from ledger.limits import ENTRY_BYTES_MAX
from ledger.merkle import Hash
from ledger.positions import Millis, Sequence
from ledger.rules.entries import PreparedEntry

ISSUERS_SHARING_MIN: Final = 16


@dataclass(frozen=True, slots=True)
class MempoolLimits:
    """How much may wait."""

    bytes_max: int
    entries_max: int
    entries_per_issuer_max: int

    @property
    def bytes_per_issuer_max(self) -> int:
        """The share of one issuer; at least one entry of the largest size."""
        return max(self.bytes_max // ISSUERS_SHARING_MIN, ENTRY_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """One admitted entry."""

    prepared: PreparedEntry
    issuer: str
    sequence: Sequence
    arrived_ms: Millis


class Mempool:
    """The waiting entries."""

    def __init__(self, limits: MempoolLimits) -> None:
        self._limits = limits
        self._entries: dict[Hash, PendingEntry] = {}
        self._by_issuer: dict[str, dict[Sequence, Hash]] = {}
        self._issuer_bytes: Counter[str] = Counter()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[PendingEntry]:
        """Yield in order of arrival, which for each issuer is order of sequence."""
        return iter(list(self._entries.values()))

    def get(self, leaf: Hash) -> PendingEntry | None:
        """Return a waiting entry."""
        return self._entries.get(leaf)

    def issuers(self) -> list[str]:
        """Return whose statements wait."""
        return list(self._by_issuer)

    def of_issuer(self, issuer: str) -> list[PendingEntry]:
        """Return what waits of one issuer, by sequence."""
        chain = self._by_issuer.get(issuer, {})
        return [self._entries[chain[sequence]] for sequence in sorted(chain)]

    def at(self, issuer: str, sequence: Sequence) -> Hash | None:
        """Return the waiting entry of an issuer with a sequence."""
        return self._by_issuer.get(issuer, {}).get(sequence)

    def require_room(self, issuer: str, size_bytes: int) -> None:
        """Check that one more entry fits.

        Raises:
            ConditionError: `QUOTA_EXCEEDED` for this issuer, `MEMPOOL_FULL` for all.
        """
        limits = self._limits
        waiting = len(self._by_issuer.get(issuer, {}))
        if waiting >= limits.entries_per_issuer_max:
            raise ConditionError(
                field=f"issuer {issuer}",
                found=f"{waiting} statements waiting",
                expected=f"fewer than {limits.entries_per_issuer_max}",
                code=Code.QUOTA_EXCEEDED,
            )
        waiting_bytes = self._issuer_bytes[issuer]
        if waiting_bytes + size_bytes > limits.bytes_per_issuer_max:
            raise ConditionError(
                field=f"issuer {issuer}",
                found=f"{waiting_bytes} bytes waiting",
                expected=f"room for {size_bytes} more within {limits.bytes_per_issuer_max}",
                code=Code.QUOTA_EXCEEDED,
            )
        if len(self._entries) >= limits.entries_max or self.bytes + size_bytes > limits.bytes_max:
            raise ConditionError(
                field="mempool",
                found=f"{len(self._entries)} entries, {self.bytes} bytes waiting",
                expected=f"room within {limits.entries_max} entries and {limits.bytes_max} bytes",
                code=Code.MEMPOOL_FULL,
            )

    def add(self, pending: PendingEntry) -> None:
        """Keep an entry for which there is room and that is not here yet."""
        leaf = pending.prepared.leaf_hash
        assert leaf not in self._entries
        self._entries[leaf] = pending
        self._by_issuer.setdefault(pending.issuer, {})[pending.sequence] = leaf
        self._issuer_bytes[pending.issuer] += len(pending.prepared.raw)
        self.bytes += len(pending.prepared.raw)

    def remove(self, leaf: Hash) -> PendingEntry | None:
        """Forget an entry that is final or refused."""
        pending = self._entries.pop(leaf, None)
        if pending is None:
            return None
        self._issuer_bytes[pending.issuer] -= len(pending.prepared.raw)
        self.bytes -= len(pending.prepared.raw)
        chain = self._by_issuer[pending.issuer]
        if chain.get(pending.sequence) == leaf:
            del chain[pending.sequence]
        if not chain:
            del self._by_issuer[pending.issuer]
        if not self._issuer_bytes[pending.issuer]:
            del self._issuer_bytes[pending.issuer]
        return pending

    def oldest_ms(self) -> Millis | None:
        """Return when the longest-waiting entry came."""
        return next((pending.arrived_ms for pending in self._entries.values()), None)
