"""Proofs and receipts out of the store: always built from one sealed block, checkpoint and path together.

A receipt for a fresh entry stands against the first sealed checkpoint that holds it; an archival one against the first
archival checkpoint at or after it, which carries post-quantum cosignatures too. Hundreds of submitters wait for the
same block, so the last few blocks and their notes are remembered; only the path differs from entry to entry.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from ledger.errors import Code, ConditionError
from ledger.merkle import Hash, prove_consistency, prove_inclusion
from ledger.notes import encode_note
from ledger.positions import LeafIndex, TreeSize
from ledger.receipts import join_receipt
from node.cosigning import Notary
from node.store import Store, StoredBlock

BLOCKS_REMEMBERED: Final = 8


@dataclass(slots=True)
class _Sealed:
    """The entries of one block, the sealed block they stand under, and its note with as many cosignatures."""

    first: int
    end: int
    block: StoredBlock
    cosigners_count: int
    note: bytes


class Prover:
    """Builds what anyone may ask for from what is final."""

    def __init__(self, store: Store, notary: Notary) -> None:
        self._store, self._notary = store, notary
        self._remembered: deque[_Sealed] = deque(maxlen=BLOCKS_REMEMBERED)

    def find(self, *, index: int | None = None, leaf: bytes | None = None, digest: bytes | None = None) -> LeafIndex:
        """Return the index of an entry named by index, leaf hash or SHA-256 of its bytes.

        Raises:
            ConditionError: `NOT_FOUND`, or `NOT_READY` where this node does not hold the whole history.
        """
        found: LeafIndex | None = None
        if leaf is not None:
            found = self._store.index_of_leaf(leaf)
        elif digest is not None:
            found = self._store.index_of_digest(digest)
        elif index is not None:
            newest = self._newest()
            found = LeafIndex(index) if index < newest.header.tree_size else None
        if found is None:
            self._store.require_history(0)  # it may be among what is not here
            named = leaf.hex() if leaf is not None else digest.hex() if digest is not None else str(index)
            raise ConditionError(field="entry", found=named, expected="an entry that is final", code=Code.NOT_FOUND)
        return found

    def receipt(self, index: LeafIndex, *, archival: bool = False) -> bytes:
        """Return the tlog-proof file of an entry.

        Raises:
            ConditionError: `NOT_READY` if no checkpoint of the kind asked for holds the entry yet.
        """
        if archival:
            sealed = self._find_archival(index)
            note = encode_note(self._notary.compute_note(sealed, is_archival=True))
        else:
            fresh = self._find_fresh(index)
            sealed, note = fresh.block, fresh.note
        proof = prove_inclusion(index=index, size=sealed.header.tree_size, read=self._store.read_hash)
        return join_receipt(index=index, proof=proof, note=note)

    def _find_archival(self, index: LeafIndex) -> StoredBlock:
        block = self._store.block_of(index)
        height = None if block is None else self._store.archival_from(block.header.height)
        sealed = None if height is None else self._store.block_at(height)
        if sealed is None:
            raise _not_ready(index, "an archival checkpoint after the next grid boundary")
        return sealed

    def _find_fresh(self, index: LeafIndex) -> _Sealed:
        """Find the first sealed block that holds an entry, and its note with what cosignatures there are by now."""
        found = next((known for known in reversed(self._remembered) if known.first <= index < known.end), None)
        if found is None:
            block = self._store.block_of(index)
            sealed = None if block is None else self._store.sealed_from(block.header.height)
            if block is None or sealed is None:
                raise _not_ready(index, "a sealed checkpoint")
            found = _Sealed(block.header.first_index, block.header.tree_size, sealed, -1, b"")
            self._remembered.append(found)
        cosigners_count = self._notary.cosigners_count(found.block.header.tree_size)
        if found.cosigners_count != cosigners_count:
            found.note = encode_note(self._notary.compute_note(found.block))
            found.cosigners_count = cosigners_count
        return found

    def inclusion(self, index: LeafIndex, size: TreeSize) -> list[Hash]:
        """Return the path of an entry in the tree of a size that is final.

        Raises:
            ConditionError: `NOT_FOUND` if the tree is smaller, or the index not below the size.
                `NOT_READY` if this node does not hold the history that far back.
        """
        self._require_size(size)
        if index >= size:
            raise ConditionError(
                field="index", found=index, expected=f"below the tree size {size}", code=Code.NOT_FOUND
            )
        self._store.require_history(index)
        return prove_inclusion(index=index, size=size, read=self._store.read_hash)

    def consistency(self, old: TreeSize, new: TreeSize) -> list[Hash]:
        """Return the consistency proof between two sizes that are final.

        Raises:
            ConditionError: `NOT_FOUND` if a size is 0, the new one is not final, or the old one is larger.
                `NOT_READY` if this node does not hold the history that far back.
        """
        self._require_size(new)
        if not 0 < old <= new:
            raise ConditionError(field="old_size", found=old, expected=f"from 1 to {new}", code=Code.NOT_FOUND)
        self._store.require_history(old)
        return prove_consistency(old_size=old, new_size=new, read=self._store.read_hash)

    def newest_size(self) -> TreeSize:
        """Return the size of the newest sealed tree."""
        return self._newest().header.tree_size

    def _newest(self) -> StoredBlock:
        newest = self._store.newest_sealed()
        if newest is None:
            raise ConditionError(
                field="ledger", found="no sealed block yet", expected="at least one", code=Code.NOT_READY
            )
        return newest

    def _require_size(self, size: TreeSize) -> None:
        newest = self._newest().header.tree_size
        if not 0 < size <= newest:
            raise ConditionError(field="tree_size", found=size, expected=f"from 1 to {newest}", code=Code.NOT_FOUND)


def _not_ready(index: LeafIndex, expected: str) -> ConditionError:
    return ConditionError(field="receipt", found=f"entry {index} not under one", expected=expected, code=Code.NOT_READY)
