"""Is the fast tree equal to the obvious one? A second implementation, straight from the RFC's recursions, is the judge.

It shares no code with `ledger.merkle` and is itself held against the appendix of draft-ietf-plants-merkle-tree-certs
(data: tests/vectors/merkle.json). All trees up to 300 leaves are tried with every pair, larger ones at random.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, ProofError
from ledger.merkle import (
    EMPTY_FRONTIER,
    EMPTY_ROOT,
    Hash,
    compute_root,
    leaf_hash,
    parse_frontier,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from ledger.positions import LeafIndex, TreeSize

# Any: JSON whose shape the tests below spell out.
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "merkle.json").read_text("utf-8"))
EVERY_SIZE_MAX = 300
RANDOM_SIZE_MAX = 5_000


def sha256(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def name_entry(index: int) -> bytes:
    """Leaf i is the single byte i, as in the draft, and two bytes beyond 255."""
    return bytes([index]) if index < 256 else index.to_bytes(2, "big")


# The obvious implementation: RFC 6962 §2.1 read aloud, over the leaves [start, end).


def split(count: int) -> int:
    half = 1
    while 2 * half < count:
        half *= 2
    return half


@cache
def mth(start: int, end: int) -> bytes:
    if start == end:
        return sha256(b"")
    if end - start == 1:
        return sha256(b"\x00" + name_entry(start))
    middle = start + split(end - start)
    return sha256(b"\x01" + mth(start, middle) + mth(middle, end))


def path(leaf: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + split(end - start)
    if leaf < middle:
        return [*path(leaf, start, middle), mth(middle, end)]
    return [*path(leaf, middle, end), mth(start, middle)]


def subproof(start: int, end: int, low: int, high: int, *, known: bool) -> list[bytes]:
    """Prove subtree [start, end) inside node [low, high); with start = 0 this is the RFC's SUBPROOF."""
    if (start, end) == (low, high):
        return [] if known else [mth(low, high)]
    middle = low + split(high - low)
    if end <= middle:
        return [*subproof(start, end, low, middle, known=known), mth(middle, high)]
    if start >= middle:
        return [*subproof(start, end, middle, high, known=known), mth(low, middle)]
    return [*subproof(middle, end, middle, high, known=False), mth(low, middle)]


def root_from_path(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """Fold a path from the root down; None if it has not the length that the tree demands."""
    if size == 1:
        return leaf if not proof else None
    if not proof:
        return None
    half = split(size)
    if index < half:
        below = root_from_path(leaf, index, half, proof[:-1])
        return None if below is None else sha256(b"\x01" + below + proof[-1])
    below = root_from_path(leaf, index - half, size - half, proof[:-1])
    return None if below is None else sha256(b"\x01" + proof[-1] + below)


def is_included(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    return 0 <= index < size and root_from_path(leaf, index, size, proof) == root


def list_subtrees(size_max: int) -> Iterator[tuple[int, int]]:
    """Give every valid [start, end): start is a multiple of the power of two that spans it, or it is empty."""
    for end in range(size_max + 1):
        for start in range(end + 1):
            if start == end or start % (1 << (end - start - 1).bit_length()) == 0:
                yield start, end


# The tree under test, over the same leaves.


def read_obvious(level: int, index: int) -> Hash:
    return mth(index << level, (index + 1) << level)


def prove_leaf(index: int, size: int) -> list[Hash]:
    return prove_inclusion(index=LeafIndex(index), size=TreeSize(size), read=read_obvious)


def prove_growth(old: int, new: int) -> list[Hash]:
    return prove_consistency(old_size=TreeSize(old), new_size=TreeSize(new), read=read_obvious)


def verify_leaf(index: int, size: int, proof: list[Hash], *, leaf: Hash, root: Hash) -> None:
    verify_inclusion(leaf=leaf, index=LeafIndex(index), size=TreeSize(size), proof=proof, root=root)


def verify_growth(old: int, new: int, proof: list[Hash], *, old_root: Hash, new_root: Hash) -> None:
    verify_consistency(
        old_size=TreeSize(old), new_size=TreeSize(new), proof=proof, old_root=old_root, new_root=new_root
    )


def digest_lines(lines: Iterator[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def spell(proof: list[bytes]) -> str:
    return "".join(f" {value.hex()}" for value in proof) + "\n"


def test_subtree_hashes_are_those_of_the_draft() -> None:
    known = VECTORS["rolling_sha256_subtrees"]
    leaves = [leaf_hash(name_entry(index)) for index in range(known["size_max"])]
    lines = (
        f"[{start}, {end}) {compute_root(leaves[start:end]).hex()}\n" for start, end in list_subtrees(known["size_max"])
    )
    assert digest_lines(lines) == known["hashes"]


def test_inclusion_proofs_in_subtrees_are_those_of_the_draft() -> None:
    known = VECTORS["rolling_sha256_subtrees"]

    def prove(index: int, start: int, end: int) -> list[Hash]:
        return prove_inclusion(
            index=LeafIndex(index - start),
            size=TreeSize(end - start),
            read=lambda level, place: read_obvious(level, place + (start >> level)),
        )

    lines = (
        f"{index} [{start}, {end}){spell(prove(index, start, end))}"
        for start, end in list_subtrees(known["size_max"])
        for index in range(start, end)
    )
    assert digest_lines(lines) == known["inclusion"]


def test_the_judge_itself_gives_the_subtree_consistency_proofs_of_the_draft() -> None:
    known = VECTORS["rolling_sha256_subtrees"]
    lines = (
        f"[{start}, {end}) {size}{spell(subproof(start, end, 0, size, known=True) if start < end else [])}"
        for size in range(known["size_max"] + 1)
        for start, end in list_subtrees(size)
    )
    assert digest_lines(lines) == known["consistency"]


def test_every_leaf_of_every_tree_up_to_300_is_proved_as_the_rfc_says_and_verifies() -> None:
    leaves = [leaf_hash(name_entry(index)) for index in range(EVERY_SIZE_MAX)]
    frontier = EMPTY_FRONTIER
    for size in range(1, EVERY_SIZE_MAX + 1):
        frontier = frontier.append(leaves[size - 1])
        root = frontier.root()
        assert root == mth(0, size)
        for index in range(size):
            proof = prove_leaf(index, size)
            assert proof == path(index, 0, size)
            verify_leaf(index, size, proof, leaf=leaves[index], root=root)


def test_every_growth_up_to_300_leaves_is_proved_as_the_rfc_says_and_verifies() -> None:
    for new in range(1, EVERY_SIZE_MAX + 1):
        for old in range(1, new + 1):
            proof = prove_growth(old, new)
            assert proof == subproof(0, old, 0, new, known=True)
            verify_growth(old, new, proof, old_root=mth(0, old), new_root=mth(0, new))


sizes = st.integers(min_value=1, max_value=RANDOM_SIZE_MAX)


@st.composite
def ordered_sizes(draw: st.DrawFn) -> tuple[int, int]:
    new = draw(sizes)
    return draw(st.integers(min_value=1, max_value=new)), new


@given(ordered_sizes())
def test_proofs_in_larger_trees_are_as_the_rfc_says_and_verify(pair: tuple[int, int]) -> None:
    old, new = pair
    inclusion, consistency = prove_leaf(old - 1, new), prove_growth(old, new)
    assert inclusion == path(old - 1, 0, new)
    assert consistency == subproof(0, old, 0, new, known=True)
    verify_leaf(old - 1, new, inclusion, leaf=mth(old - 1, old), root=mth(0, new))
    verify_growth(old, new, consistency, old_root=mth(0, old), new_root=mth(0, new))


@given(st.lists(st.binary(max_size=40), max_size=70), st.data())
def test_frontier_does_not_depend_on_how_the_leaves_came(entries: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    cut = data.draw(st.integers(min_value=0, max_value=len(leaves)))
    frontier = EMPTY_FRONTIER.extend(leaves[:cut]).extend(leaves[cut:])
    assert frontier == EMPTY_FRONTIER.extend(leaves)
    assert frontier.root() == compute_root(leaves)
    assert (frontier.root() == EMPTY_ROOT) == (not leaves)
    assert parse_frontier(frontier.encode()) == frontier


@given(st.binary(max_size=200))
def test_frontier_parser_refuses_or_reads_back_any_bytes(raw: bytes) -> None:
    try:
        frontier = parse_frontier(raw)
    except LedgerError:
        return
    assert frontier.encode() == raw


def bend(draw: st.DrawFn, proof: list[Hash], strangers: list[Hash]) -> list[Hash]:
    """Change a proof in one of the ways in which it can be wrong; the result may by chance be the same."""
    bent = list(proof)
    for _ in range(draw(st.integers(min_value=1, max_value=3))):
        at = draw(st.integers(min_value=0, max_value=len(bent)))
        way = draw(st.sampled_from(["insert", "remove", "replace", "flip", "reverse"]))
        if way == "insert":
            bent.insert(at, draw(st.sampled_from([*strangers, *proof])))
        elif way == "reverse":
            bent.reverse()
        elif at < len(bent):
            if way == "remove":
                del bent[at]
            elif way == "replace":
                bent[at] = draw(st.sampled_from([*strangers, *proof]))
            else:
                bit = draw(st.integers(min_value=0, max_value=255))
                bent[at] = (int.from_bytes(bent[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    return bent


@st.composite
def bent_inclusions(draw: st.DrawFn) -> tuple[int, int, int, list[Hash]]:
    index_plus_1, size = draw(ordered_sizes())
    proof = path(index_plus_1 - 1, 0, size)
    strangers = [mth(0, size), mth(index_plus_1 - 1, index_plus_1), mth(0, index_plus_1), EMPTY_ROOT]
    return index_plus_1 - 1, draw(sizes), size, bend(draw, proof, strangers)


@settings(max_examples=300)
@given(bent_inclusions())
def test_bent_inclusion_proof_is_accepted_only_if_the_judge_accepts_it(case: tuple[int, int, int, list[Hash]]) -> None:
    index, claimed_size, size, proof = case
    leaf, root = mth(index, index + 1), mth(0, size)
    for claim in (size, claimed_size):
        if is_included(leaf, index, claim, proof, root):
            verify_leaf(index, claim, proof, leaf=leaf, root=root)
        else:
            with pytest.raises(ProofError):
                verify_leaf(index, claim, proof, leaf=leaf, root=root)


@st.composite
def bent_growths(draw: st.DrawFn) -> tuple[int, int, list[Hash]]:
    old, new = draw(ordered_sizes())
    proof = subproof(0, old, 0, new, known=True)
    return old, new, bend(draw, proof, [mth(0, old), mth(0, new), mth(old - 1, old), EMPTY_ROOT])


@settings(max_examples=300)
@given(bent_growths())
def test_bent_consistency_proof_is_refused(case: tuple[int, int, list[Hash]]) -> None:
    old, new, proof = case
    if proof == subproof(0, old, 0, new, known=True):
        verify_growth(old, new, proof, old_root=mth(0, old), new_root=mth(0, new))
    else:
        with pytest.raises(ProofError):
            verify_growth(old, new, proof, old_root=mth(0, old), new_root=mth(0, new))
