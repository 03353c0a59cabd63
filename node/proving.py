"""Proofs and receipts out of the store: always built from one sealed block, checkpoint and path together.

A receipt for a fresh entry stands against the first sealed checkpoint that holds it; an archival one against the first
archival checkpoint at or after it, which carries post-quantum cosignatures too.
"""

from ledger.errors import Code, ConditionError
from ledger.merkle import Hash, prove_consistency, prove_inclusion
from ledger.positions import LeafIndex, TreeSize
from ledger.receipts import Receipt, encode_receipt
from node.cosigning import Notary
from node.store import Store, StoredBlock


class Prover:
    """Builds what anyone may ask for from what is final."""

    def __init__(self, store: Store, notary: Notary) -> None:
        self._store, self._notary = store, notary

    def find(self, *, index: int | None = None, leaf: bytes | None = None, digest: bytes | None = None) -> LeafIndex:
        """Return the index of an entry named by index, leaf hash or SHA-256 of its bytes.

        Raises:
            ConditionError: `NOT_FOUND`.
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
            named = leaf.hex() if leaf is not None else digest.hex() if digest is not None else str(index)
            raise ConditionError(field="entry", found=named, expected="an entry that is final", code=Code.NOT_FOUND)
        return found

    def receipt(self, index: LeafIndex, *, archival: bool = False) -> bytes:
        """Return the tlog-proof file of an entry.

        Raises:
            ConditionError: `NOT_READY` if no checkpoint of the kind asked for holds the entry yet.
        """
        block = self._store.block_of(index)
        sealed: StoredBlock | None = None
        if block is not None and archival:
            height = self._store.archival_from(block.header.height)
            sealed = None if height is None else self._store.block_at(height)
        elif block is not None:
            sealed = self._store.sealed_from(block.header.height)
        if sealed is None or not sealed.seal:
            kind = "archival checkpoint after the next grid boundary" if archival else "sealed checkpoint"
            raise ConditionError(
                field="receipt", found=f"entry {index} not under one", expected=f"a {kind}", code=Code.NOT_READY
            )
        proof = self.inclusion(index, sealed.header.tree_size)
        note = self._notary.compute_note(sealed, is_archival=archival)
        return encode_receipt(Receipt(index=index, proof=tuple(proof), note=note, extra=None))

    def inclusion(self, index: LeafIndex, size: TreeSize) -> list[Hash]:
        """Return the path of an entry in the tree of a size that is final.

        Raises:
            ConditionError: `NOT_FOUND` if the tree is smaller, or the index not below the size.
        """
        self._require_size(size)
        if index >= size:
            raise ConditionError(
                field="index", found=index, expected=f"below the tree size {size}", code=Code.NOT_FOUND
            )
        return prove_inclusion(index=index, size=size, read=self._store.read_hash)

    def consistency(self, old: TreeSize, new: TreeSize) -> list[Hash]:
        """Return the consistency proof between two sizes that are final.

        Raises:
            ConditionError: `NOT_FOUND` if a size is 0, the new one is not final, or the old one is larger.
        """
        self._require_size(new)
        if not 0 < old <= new:
            raise ConditionError(field="old_size", found=old, expected=f"from 1 to {new}", code=Code.NOT_FOUND)
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
