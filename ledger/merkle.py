"""The Merkle tree of the ledger: hashes, the growing frontier, inclusion and consistency, proved and verified.

The tree is that of RFC 6962 §2.1 with SHA-256: a leaf is hashed with 0x00 before it, an inner node with 0x01, so that
no entry can pass for a node. A tree of n > 1 leaves splits at the largest power of two strictly below n.

- *Perfect subtree* (level, index): the 2**level leaves from index * 2**level on. Its hash never changes once those
  leaves are there, so everything here is made of perfect subtrees: the frontier is the few that make up the tree, and
  proofs are generated from a `HashReader` with O(log n) reads, whatever stores the hashes (tiles, a table, a list).
- Verification is RFC 9162 §2.1.3.2 and §2.1.4.2 step by step, and strict: sizes at most 2**63 - 1, every hash 32 bytes,
  exactly as many hashes as the tree demands.
- A proof says something about the root it leads to and nothing else. Who signed that root is not this module's affair,
  and the size must come from the same checkpoint as the root: a path alone does not bind it.
- Size 0 has no proofs. That an empty tree grows into any other is not mathematics but policy (`verify_consistency`
  refuses it), and the protocols that allow it, such as C2SP tlog-witness, treat it before they come here.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.domains import LEAF_PREFIX, NODE_PREFIX
from ledger.encoding import decode_u64, encode_u64, require_bytes
from ledger.errors import ProofError
from ledger.limits import HASH_BYTES, PROOF_HASHES_MAX, SIZE_MAX
from ledger.positions import LeafIndex, TreeSize

Hash = bytes
"""32 bytes: SHA-256 of a leaf, of a node, or of nothing (the empty tree)."""

HashReader = Callable[[int, int], Hash]
"""Gives the hash of the perfect subtree (level, index); level 0 are the leaf hashes.

It is asked only for subtrees that lie wholly inside the tree size in question, and it is believed.
"""

EMPTY_ROOT: Final[Hash] = hashlib.sha256(b"").digest()

# The path of a leaf has at most 63 hashes below 2**63 leaves; a consistency proof may need the starting node beside it.
CONSISTENCY_HASHES_MAX: Final = PROOF_HASHES_MAX + 1


def leaf_hash(entry: bytes) -> Hash:
    """Hash an entry as a leaf (RFC 6962 §2.1)."""
    return hashlib.sha256(LEAF_PREFIX + entry).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """Hash two subtrees into their parent (RFC 6962 §2.1)."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed to append to a tree and to know its root: at most 63 hashes.

    Attributes:
        size: how many leaves the tree has.
        hashes: the perfect subtrees it is made of, one for each bit set in `size`, from left (largest) to right.
    """

    size: TreeSize
    hashes: tuple[Hash, ...]

    def __post_init__(self) -> None:
        """A frontier is built by this module; a wrong count here is our own mistake."""
        assert 0 <= self.size <= SIZE_MAX
        assert len(self.hashes) == self.size.bit_count()

    def append(self, leaf: Hash) -> "Frontier":
        """Return the frontier after one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[Hash]) -> "Frontier":
        """Return the frontier after more leaf hashes, in order; costs one node hash a leaf on average."""
        hashes = list(self.hashes)
        size: int = self.size
        for leaf in leaves:
            assert len(leaf) == HASH_BYTES
            hashes.append(leaf)
            size += 1
            unmerged = size
            while not unmerged & 1:
                right = hashes.pop()
                hashes[-1] = node_hash(hashes[-1], right)
                unmerged >>= 1
        return Frontier(TreeSize(size), tuple(hashes))

    def root(self) -> Hash:
        """Return the root of the tree; of the empty tree, `EMPTY_ROOT`."""
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT

    def encode(self) -> bytes:
        """Encode as the size, u64 big-endian, and the hashes from left to right."""
        return encode_u64(self.size) + b"".join(self.hashes)


EMPTY_FRONTIER: Final = Frontier(TreeSize(0), ())


def parse_frontier(raw: bytes) -> Frontier:
    """Read what `Frontier.encode` wrote. The hashes are believed: compare `root()` with a root that is.

    Raises:
        FormatError: shorter than a size, a size above 2**63 - 1, or not exactly as many hashes as the size demands.
    """
    size = decode_u64(raw[:8], field="frontier.size", maximum=SIZE_MAX)
    body = require_bytes(raw[8:], field="frontier.hashes", size=size.bit_count() * HASH_BYTES)
    return Frontier(TreeSize(size), tuple(body[at : at + HASH_BYTES] for at in range(0, len(body), HASH_BYTES)))


def compute_root(leaves: Iterable[Hash]) -> Hash:
    """Compute the root over leaf hashes (`leaf_hash(entry)`, not entries); of none, `EMPTY_ROOT`.

    >>> compute_root([]) == EMPTY_ROOT
    True
    >>> a, b, c = leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")
    >>> compute_root([a, b, c]) == node_hash(node_hash(a, b), c)
    True
    """
    return EMPTY_FRONTIER.extend(leaves).root()


def compute_levels(leaves: Sequence[Hash]) -> list[list[Hash]]:
    """Compute every perfect subtree over leaf hashes, level by level from the leaves up: what a `HashReader` reads.

    `levels[level][index]` is the hash of the perfect subtree (level, index); two hashes a leaf in all.

    >>> [len(level) for level in compute_levels([bytes(32)] * 7)]
    [7, 3, 1]
    """
    levels = [list(leaves)]
    while len(below := levels[-1]) > 1:
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return levels


def prove_inclusion(*, index: LeafIndex, size: TreeSize, read: HashReader) -> list[Hash]:
    """Prove that the leaf at `index` is in the tree of the first `size` leaves.

    Source: RFC 6962 §2.1.1, unrolled from the root down.

    Returns:
        The sibling hashes from the leaf up, for `verify_inclusion`.

    Raises:
        ProofError: `proof.size` or `proof.index`: no such leaf, or no such size.
    """
    _require_leaf(index=index, size=size)
    path: list[Hash] = []
    start, end = 0, int(size)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_read_range(middle, end, read))
            end = middle
        else:
            path.append(_read_range(start, middle, read))
            start = middle
    path.reverse()
    return path


def prove_consistency(*, old_size: TreeSize, new_size: TreeSize, read: HashReader) -> list[Hash]:
    """Prove that the tree of `new_size` leaves begins with the tree of `old_size`; empty when they are equal.

    Source: RFC 6962 §2.1.2, unrolled from the root down.

    Raises:
        ProofError: `proof.old_size` or `proof.new_size`: not 1 ≤ old ≤ new ≤ 2**63 - 1.
    """
    _require_growth(old_size=old_size, new_size=new_size)
    path: list[Hash] = []
    start, end = 0, int(new_size)
    while end > old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_read_range(middle, end, read))
            end = middle
        else:
            path.append(_read_range(start, middle, read))
            start = middle
    if start > 0:  # the old tree is no subtree of the new one: say where the two meet
        path.append(_read_range(start, end, read))
    path.reverse()
    return path


def verify_inclusion(*, leaf: Hash, index: LeafIndex, size: TreeSize, proof: Sequence[Hash], root: Hash) -> None:
    """Check that `leaf` stands at `index` in the tree of `size` leaves under `root`.

    Source: RFC 9162 §2.1.3.2; tree of RFC 6962 §2.1.

    Args:
        leaf: leaf hash, 32 bytes. Compute it yourself as `leaf_hash(entry)`; a hash that came with the proof says
            nothing about an entry.
        index: position claimed.
        size: how many leaves the tree under `root` has, from the same checkpoint as `root`.
        proof: sibling hashes from the leaf up, exactly as many as the tree needs (at most 63).
        root: 32 bytes, of a checkpoint whose seal was verified: this function believes it.

    Raises:
        ProofError: `proof.size`, `proof.index`, `proof.length` or `proof.root`.
        FormatError: a hash that is not 32 bytes.

    >>> a, b = leaf_hash(b"a"), leaf_hash(b"b")
    >>> verify_inclusion(leaf=a, index=LeafIndex(0), size=TreeSize(2), proof=[b], root=node_hash(a, b))
    """
    _require_leaf(index=index, size=size)
    _require_length(proof, maximum=PROOF_HASHES_MAX)
    _require_hashes(leaf=leaf, root=root)
    position, last = int(index), size - 1  # fn, sn
    computed = leaf
    for sibling in proof:
        if last == 0:
            _refuse_length(proof, expected="fewer hashes for this index and size")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            position, last = _skip_absent_siblings(position, last)
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        _refuse_length(proof, expected="more hashes for this index and size")
    _require_root("root", computed=computed, believed=root)


def verify_consistency(
    *, old_size: TreeSize, new_size: TreeSize, proof: Sequence[Hash], old_root: Hash, new_root: Hash
) -> None:
    """Check that the tree of `new_size` leaves under `new_root` begins with that of `old_size` under `old_root`.

    Source: RFC 9162 §2.1.4.2; tree of RFC 6962 §2.1. Equal sizes need an empty proof and equal roots.

    Args:
        old_size: at least 1. Every tree grows out of the empty one, so there is nothing to prove from size 0: callers
            whose protocol allows it decide that themselves, with an empty proof, before they call.
        new_size: at least `old_size`.
        proof: exactly as many hashes as the two sizes need (at most 64).
        old_root: 32 bytes, believed.
        new_root: 32 bytes, of a checkpoint whose seal was verified.

    Raises:
        ProofError: `proof.old_size`, `proof.new_size`, `proof.length`, `proof.old_root` or `proof.new_root`.
        FormatError: a hash that is not 32 bytes.
    """
    _require_growth(old_size=old_size, new_size=new_size)
    _require_length(proof, maximum=CONSISTENCY_HASHES_MAX)
    _require_hashes(old_root=old_root, new_root=new_root)
    if old_size == new_size:
        if proof:
            _refuse_length(proof, expected="no hashes for equal sizes")
        _require_root("new_root", computed=old_root, believed=new_root)
        return
    if not proof:
        _refuse_length(proof, expected="more hashes for these sizes")
    # Step 3: where the old tree is a perfect subtree of the new one, its own root is the place they meet.
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    position, last = old_size - 1, new_size - 1  # fn, sn
    while position & 1:
        position, last = position >> 1, last >> 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            _refuse_length(proof, expected="fewer hashes for these sizes")
        if position & 1 or position == last:
            old_computed = node_hash(sibling, old_computed)
            new_computed = node_hash(sibling, new_computed)
            position, last = _skip_absent_siblings(position, last)
        else:
            new_computed = node_hash(new_computed, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        _refuse_length(proof, expected="more hashes for these sizes")
    _require_root("old_root", computed=old_computed, believed=old_root)
    _require_root("new_root", computed=new_computed, believed=new_root)


def _split(count: int) -> int:
    """Return the largest power of two strictly below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _fold(hashes: Sequence[Hash]) -> Hash:
    """Hash perfect subtrees, from left to right, into the root of the range they make up."""
    root = hashes[-1]
    for left in hashes[-2::-1]:
        root = node_hash(left, root)
    return root


def _read_range(start: int, end: int, read: HashReader) -> Hash:
    """Return the root over leaves [start, end), where `start` is a multiple of the power of two that spans them."""
    hashes = []
    while start < end:
        level = (end - start).bit_length() - 1
        hashes.append(read(level, start >> level))
        start += 1 << level
    return _fold(hashes)


def _skip_absent_siblings(position: int, last: int) -> tuple[int, int]:
    """Climb past the levels where the last node of a ragged tree has no sibling and is carried up as it is."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _require_leaf(*, index: LeafIndex, size: TreeSize) -> None:
    if not 1 <= size <= SIZE_MAX:
        raise ProofError(field="proof.size", found=size, expected="from 1 to 2**63 - 1")
    if not 0 <= index < size:
        raise ProofError(field="proof.index", found=index, expected=f"from 0 to {size - 1}")


def _require_growth(*, old_size: TreeSize, new_size: TreeSize) -> None:
    if not 1 <= new_size <= SIZE_MAX:
        raise ProofError(field="proof.new_size", found=new_size, expected="from 1 to 2**63 - 1")
    if not 1 <= old_size <= new_size:
        raise ProofError(field="proof.old_size", found=old_size, expected=f"from 1 to {new_size}")


def _require_length(proof: Sequence[Hash], *, maximum: int) -> None:
    if len(proof) > maximum:
        _refuse_length(proof, expected=f"at most {maximum} hashes")
    for place, sibling in enumerate(proof):
        require_bytes(sibling, field=f"proof[{place}]", size=HASH_BYTES)


def _require_hashes(**hashes: Hash) -> None:
    for name, value in hashes.items():
        require_bytes(value, field=f"proof.{name}", size=HASH_BYTES)


def _require_root(name: str, *, computed: Hash, believed: Hash) -> None:
    if computed != believed:
        raise ProofError(field=f"proof.{name}", found=computed.hex(), expected=believed.hex())


def _refuse_length(proof: Sequence[Hash], *, expected: str) -> NoReturn:
    raise ProofError(field="proof.length", found=f"{len(proof)} hashes", expected=expected)
