"""The Merkle tree against known answers, and every way to bend a proof (data: tests/vectors/merkle.json)."""

import base64
import doctest
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import ledger.merkle
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.limits import SIZE_MAX
from ledger.merkle import (
    CONSISTENCY_HASHES_MAX,
    EMPTY_FRONTIER,
    EMPTY_ROOT,
    Frontier,
    Hash,
    HashReader,
    compute_root,
    leaf_hash,
    node_hash,
    parse_frontier,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from ledger.positions import LeafIndex, TreeSize

# Any: JSON whose shape the tests below spell out.
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "merkle.json").read_text("utf-8"))
BYTES = [leaf_hash(bytes([number])) for number in range(256)]
INCLUSIONS = [(index, size) for size in range(1, 10) for index in range(size)] + [(0, 130), (65, 130), (129, 130)]
GROWTHS = [(old, new) for new in range(2, 10) for old in range(1, new)] + [(1, 130), (65, 130), (128, 130), (129, 130)]


def make_reader(leaves: Sequence[Hash]) -> HashReader:
    """Hash all perfect subtrees once; level above level, as they are read."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


READ_BYTES = make_reader(BYTES)


def include(index: int, size: int) -> list[Hash]:
    return prove_inclusion(index=LeafIndex(index), size=TreeSize(size), read=READ_BYTES)


def grow(old: int, new: int) -> list[Hash]:
    return prove_consistency(old_size=TreeSize(old), new_size=TreeSize(new), read=READ_BYTES)


def check_inclusion(index: int, size: int, proof: Sequence[Hash], *, leaf: Hash, root: Hash) -> None:
    verify_inclusion(leaf=leaf, index=LeafIndex(index), size=TreeSize(size), proof=proof, root=root)


def check_growth(old: int, new: int, proof: Sequence[Hash], *, old_root: Hash, new_root: Hash) -> None:
    verify_consistency(
        old_size=TreeSize(old), new_size=TreeSize(new), proof=proof, old_root=old_root, new_root=new_root
    )


def mutate_bytes(value: bytes) -> Iterator[bytes]:
    """Give the value with each byte changed in turn."""
    for at in range(len(value)):
        yield value[:at] + bytes([value[at] ^ (1 << at % 8)]) + value[at + 1 :]


def mutate_proof(proof: list[Hash], *strangers: Hash) -> Iterator[list[Hash]]:
    """Give every near miss: a byte changed, a hash removed, repeated, swapped with another, or a stranger put in."""
    for at, value in enumerate(proof):
        for mutated in mutate_bytes(value):
            yield [*proof[:at], mutated, *proof[at + 1 :]]
        yield proof[:at] + proof[at + 1 :]
        yield [*proof[:at], value, *proof[at:]]
        for other in range(at + 1, len(proof)):
            swapped = list(proof)
            swapped[at], swapped[other] = swapped[other], swapped[at]
            yield swapped
    for stranger in strangers:
        yield [stranger, *proof]
        yield [*proof, stranger]
    yield proof + proof if proof else [EMPTY_ROOT]


def digest_lines(lines: Iterator[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def spell(*parts: object, proof: Sequence[Hash]) -> str:
    return " ".join([*map(str, parts), *(value.hex() for value in proof)]) + "\n"


def test_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(ledger.merkle)
    assert result.attempted > 0
    assert result.failed == 0


def test_roots_of_the_classic_certificate_transparency_trees() -> None:
    known = VECTORS["certificate_transparency"]
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in known["leaves_hex"]]
    roots = [compute_root(leaves[:size]).hex() for size in range(len(leaves) + 1)]
    assert roots == known["roots_hex"]
    assert EMPTY_ROOT.hex() == known["roots_hex"][0]


def test_roots_of_the_tessera_log() -> None:
    known = VECTORS["tessera"]
    leaves = [leaf_hash(entry.encode()) for entry in known["entries"]]
    for size, root in known["roots_base64"].items():
        assert base64.b64encode(compute_root(leaves[: int(size)])).decode() == root


def test_growth_of_the_witness_conformance_log() -> None:
    known = VECTORS["witness_growth"]
    leaves = [bytes.fromhex(value) for value in known["leaf_hashes_hex"]]
    proof = [bytes.fromhex(value) for value in known["proof_hex"]]
    old_root, new_root = (base64.b64decode(known[name]) for name in ("old_root_base64", "new_root_base64"))
    assert compute_root(leaves) == new_root
    read = make_reader(leaves)
    assert prove_consistency(old_size=TreeSize(1), new_size=TreeSize(3), read=read) == proof
    check_growth(1, 3, proof, old_root=old_root, new_root=new_root)


def test_roots_up_to_130_leaves_hash_to_the_known_answer() -> None:
    known = VECTORS["rolling_sha256"]
    lines = (spell(size, proof=[compute_root(BYTES[:size])]) for size in range(known["size_max"] + 1))
    assert digest_lines(lines) == known["roots"]


def test_inclusion_proofs_up_to_130_leaves_hash_to_the_known_answer() -> None:
    known = VECTORS["rolling_sha256"]
    pairs = ((index, size) for size in range(1, known["size_max"] + 1) for index in range(size))
    assert digest_lines(spell(*pair, proof=include(*pair)) for pair in pairs) == known["inclusion"]


def test_consistency_proofs_up_to_130_leaves_hash_to_the_known_answer() -> None:
    known = VECTORS["rolling_sha256"]
    pairs = ((old, new) for new in range(1, known["size_max"] + 1) for old in range(1, new + 1))
    assert digest_lines(spell(*pair, proof=grow(*pair)) for pair in pairs) == known["consistency"]


def test_frontier_has_the_same_root_leaf_by_leaf_and_in_bulk() -> None:
    frontier = EMPTY_FRONTIER
    for size, leaf in enumerate(BYTES, start=1):
        frontier = frontier.append(leaf)
        assert frontier == EMPTY_FRONTIER.extend(BYTES[:size])
        assert frontier.root() == compute_root(BYTES[:size])


def test_frontier_reads_back_what_it_writes() -> None:
    for size in range(len(BYTES) + 1):
        frontier = EMPTY_FRONTIER.extend(BYTES[:size])
        assert parse_frontier(frontier.encode()) == frontier


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 7,
        b"\0" * 9,
        b"\0" * 7 + b"\1",
        b"\0" * 7 + b"\1" + b"h" * 31,
        b"\0" * 7 + b"\1" + b"h" * 33,
        b"\0" * 7 + b"\3" + b"h" * 32,
        b"\x80" + b"\0" * 7 + b"h" * 32,
        b"\xff" * 8 + b"h" * 32 * 64,
    ],
)
def test_frontier_of_another_shape_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_frontier(raw)


def test_frontier_with_a_wrong_number_of_hashes_cannot_be_made() -> None:
    with pytest.raises(AssertionError):
        Frontier(TreeSize(3), (EMPTY_ROOT,))


@pytest.mark.parametrize(("index", "size"), INCLUSIONS)
def test_every_near_miss_of_an_inclusion_proof_is_refused(index: int, size: int) -> None:
    leaf, root, proof = BYTES[index], compute_root(BYTES[:size]), include(index, size)
    check_inclusion(index, size, proof, leaf=leaf, root=root)
    for mutated in mutate_proof(proof, leaf, root, EMPTY_ROOT, BYTES[255]):
        with pytest.raises(ProofError):
            check_inclusion(index, size, mutated, leaf=leaf, root=root)
    for mutated_leaf in [*mutate_bytes(leaf), root if size > 1 else EMPTY_ROOT]:
        with pytest.raises(ProofError):
            check_inclusion(index, size, proof, leaf=mutated_leaf, root=root)
    for mutated_root in mutate_bytes(root):
        with pytest.raises(ProofError):
            check_inclusion(index, size, proof, leaf=leaf, root=mutated_root)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 130])
def test_inclusion_proof_for_another_index_is_refused(size: int) -> None:
    root = compute_root(BYTES[:size])
    for index in {0, size // 2, size - 1}:
        for other in [other for other in range(-2, size + 3) if other != index]:
            with pytest.raises(ProofError):
                check_inclusion(other, size, include(index, size), leaf=BYTES[index], root=root)


@pytest.mark.parametrize(("old", "new"), GROWTHS)
def test_every_near_miss_of_a_consistency_proof_is_refused(old: int, new: int) -> None:
    old_root, new_root, proof = compute_root(BYTES[:old]), compute_root(BYTES[:new]), grow(old, new)
    check_growth(old, new, proof, old_root=old_root, new_root=new_root)
    for mutated in mutate_proof(proof, old_root, new_root, EMPTY_ROOT, BYTES[255]):
        with pytest.raises(ProofError):
            check_growth(old, new, mutated, old_root=old_root, new_root=new_root)
    for mutated_root in [*mutate_bytes(old_root), new_root]:
        with pytest.raises(ProofError):
            check_growth(old, new, proof, old_root=mutated_root, new_root=new_root)
    for mutated_root in [*mutate_bytes(new_root), old_root]:
        with pytest.raises(ProofError):
            check_growth(old, new, proof, old_root=old_root, new_root=mutated_root)


def test_consistency_proof_from_another_old_size_is_refused() -> None:
    for new in range(2, 34):
        new_root = compute_root(BYTES[:new])
        for old in range(1, new):
            for other in [other for other in range(-1, new + 3) if other != old]:
                with pytest.raises(ProofError):
                    check_growth(other, new, grow(old, new), old_root=compute_root(BYTES[:old]), new_root=new_root)


def test_empty_proof_of_a_growth_is_refused() -> None:
    for new in range(2, 34):
        for old in range(1, new):
            with pytest.raises(ProofError) as refused:
                check_growth(old, new, [], old_root=compute_root(BYTES[:old]), new_root=compute_root(BYTES[:new]))
            assert refused.value.field == "proof.length"


def test_proof_longer_than_any_tree_needs_is_refused_unread() -> None:
    proof = [*BYTES[:CONSISTENCY_HASHES_MAX], b"never looked at"]
    acts: list[Callable[[], None]] = [
        lambda: check_inclusion(0, SIZE_MAX, proof[1:], leaf=BYTES[0], root=BYTES[0]),
        lambda: check_growth(3, SIZE_MAX, proof, old_root=BYTES[0], new_root=BYTES[0]),
    ]
    for act in acts:
        with pytest.raises(ProofError) as refused:
            act()
        assert refused.value.field == "proof.length"


def test_equal_sizes_need_an_empty_proof_and_equal_roots() -> None:
    root = compute_root(BYTES[:7])
    assert grow(7, 7) == []
    check_growth(7, 7, [], old_root=root, new_root=root)
    for proof, new_root, field in [([], BYTES[0], "proof.new_root"), ([root], root, "proof.length")]:
        with pytest.raises(ProofError) as refused:
            check_growth(7, 7, proof, old_root=root, new_root=new_root)
        assert refused.value.field == field


@pytest.mark.parametrize("new", [0, 1, 8])
def test_size_0_is_left_to_the_caller(new: int) -> None:
    for proof in [[], [EMPTY_ROOT]]:
        with pytest.raises(ProofError):
            check_growth(0, new, proof, old_root=EMPTY_ROOT, new_root=compute_root(BYTES[:new]))
    with pytest.raises(ProofError):
        grow(0, new)
    with pytest.raises(ProofError):
        check_inclusion(0, 0, [], leaf=EMPTY_ROOT, root=EMPTY_ROOT)


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (lambda: check_inclusion(0, 0, [], leaf=BYTES[0], root=BYTES[0]), "proof.size"),
        (lambda: check_inclusion(0, SIZE_MAX + 1, [], leaf=BYTES[0], root=BYTES[0]), "proof.size"),
        (lambda: check_inclusion(0, 2**64, [], leaf=BYTES[0], root=BYTES[0]), "proof.size"),
        (lambda: check_inclusion(1, 1, [], leaf=BYTES[0], root=BYTES[0]), "proof.index"),
        (lambda: check_inclusion(-1, 1, [], leaf=BYTES[0], root=BYTES[0]), "proof.index"),
        (lambda: check_inclusion(0, 2, [], leaf=BYTES[0], root=BYTES[0]), "proof.length"),
        (lambda: check_inclusion(0, 1, [BYTES[1]], leaf=BYTES[0], root=BYTES[0]), "proof.length"),
        (lambda: check_inclusion(0, SIZE_MAX, BYTES[:64], leaf=BYTES[0], root=BYTES[0]), "proof.length"),
        (lambda: check_inclusion(0, 2, [BYTES[0]], leaf=BYTES[0], root=BYTES[0]), "proof.root"),
        (lambda: check_growth(2, 1, [], old_root=BYTES[0], new_root=BYTES[0]), "proof.old_size"),
        (lambda: check_growth(1, SIZE_MAX + 1, [], old_root=BYTES[0], new_root=BYTES[0]), "proof.new_size"),
        (lambda: check_growth(1, 2, [], old_root=BYTES[0], new_root=BYTES[0]), "proof.length"),
        (lambda: check_growth(3, 5, [BYTES[2]], old_root=BYTES[0], new_root=BYTES[0]), "proof.length"),
        (lambda: check_growth(3, SIZE_MAX, BYTES[:65], old_root=BYTES[0], new_root=BYTES[0]), "proof.length"),
        (lambda: check_growth(3, 5, grow(3, 5), old_root=BYTES[0], new_root=BYTES[0]), "proof.old_root"),
        (lambda: check_growth(1, 2, [BYTES[1]], old_root=BYTES[0], new_root=BYTES[0]), "proof.new_root"),
        (lambda: include(0, 0), "proof.size"),
        (lambda: include(3, 3), "proof.index"),
        (lambda: grow(4, 3), "proof.old_size"),
    ],
)
def test_refusal_names_the_part_that_is_wrong(act: Callable[[], object], field: str) -> None:
    with pytest.raises(ProofError) as refused:
        act()
    assert refused.value.field == field


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hash_of_another_length_is_refused_wherever_it_stands(length: int) -> None:
    wrong, proof, root = b"h" * length, include(1, 3), compute_root(BYTES[:3])
    acts: list[Callable[[], None]] = [
        lambda: check_inclusion(1, 3, [wrong, proof[1]], leaf=BYTES[1], root=root),
        lambda: check_inclusion(1, 3, proof, leaf=wrong, root=root),
        lambda: check_inclusion(1, 3, proof, leaf=BYTES[1], root=wrong),
        lambda: check_growth(1, 3, [wrong, *grow(1, 3)[1:]], old_root=BYTES[0], new_root=root),
        lambda: check_growth(1, 3, grow(1, 3), old_root=wrong, new_root=root),
        lambda: check_growth(1, 3, grow(1, 3), old_root=BYTES[0], new_root=wrong),
        lambda: check_growth(1, 1, [], old_root=wrong, new_root=wrong),
    ]
    for act in acts:
        with pytest.raises(FormatError):
            act()


def test_shifting_bytes_between_two_hashes_of_a_proof_is_refused() -> None:
    proof, root = include(0, 4), compute_root(BYTES[:4])
    shifted = [proof[0] + proof[1][:1], proof[1][1:]]
    with pytest.raises(LedgerError):
        check_inclusion(0, 4, shifted, leaf=BYTES[0], root=root)


def test_entry_made_of_two_hashes_does_not_pass_for_their_node() -> None:
    left, right = BYTES[0], BYTES[1]
    root = compute_root(BYTES[:4])
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"\x01" + left + right) != node_hash(left, right)
    for entry in (left + right, b"\x01" + left + right):
        with pytest.raises(ProofError):
            check_inclusion(0, 2, [node_hash(BYTES[2], BYTES[3])], leaf=leaf_hash(entry), root=root)


def test_empty_tree_and_tree_of_one_empty_entry_differ() -> None:
    assert compute_root([leaf_hash(b"")]) != EMPTY_ROOT


def test_proofs_read_no_more_than_two_hashes_a_level() -> None:
    reads: list[tuple[int, int]] = []

    def count(level: int, index: int) -> Hash:
        reads.append((level, index))
        return UNIFORM[level]

    for size in (2**40 - 1, 2**40, 2**40 + 1, 987_654_321_098):
        for index in (0, size // 3, size - 1):
            reads.clear()
            prove_inclusion(index=LeafIndex(index), size=TreeSize(size), read=count)
            prove_consistency(old_size=TreeSize(index + 1), new_size=TreeSize(size), read=count)
            assert 0 < len(reads) <= 2 * 2 * size.bit_length()
            assert all((place + 1) << level <= size for level, place in reads)


# In a ledger of equal entries all perfect subtrees of a level have one hash, so that the largest trees are at hand.
UNIFORM = [leaf_hash(b"the same")]
while len(UNIFORM) < 64:
    UNIFORM.append(node_hash(UNIFORM[-1], UNIFORM[-1]))


def uniform_root(size: int) -> Hash:
    levels = [level for level in reversed(range(64)) if size >> level & 1]
    return Frontier(TreeSize(size), tuple(UNIFORM[level] for level in levels)).root()


@pytest.mark.parametrize("size", [2**62 - 1, 2**62, 2**62 + 1, SIZE_MAX - 1, SIZE_MAX])
def test_proofs_in_the_largest_trees_verify(size: int) -> None:
    root = uniform_root(size)
    lengths = []
    for index in (0, 1, 2**61, size // 3, size - 2, size - 1):
        proof = prove_inclusion(index=LeafIndex(index), size=TreeSize(size), read=lambda level, _: UNIFORM[level])
        check_inclusion(index, size, proof, leaf=UNIFORM[0], root=root)
        with pytest.raises(ProofError):
            check_inclusion(index, size, [*proof[:-1], EMPTY_ROOT], leaf=UNIFORM[0], root=root)
        old = index + 1
        growth = prove_consistency(
            old_size=TreeSize(old), new_size=TreeSize(size), read=lambda level, _: UNIFORM[level]
        )
        check_growth(old, size, growth, old_root=uniform_root(old), new_root=root)
        lengths.append(len(growth))
    assert max(lengths) <= CONSISTENCY_HASHES_MAX
    assert max(lengths) == CONSISTENCY_HASHES_MAX or size <= 2**62


def test_appending_beyond_the_largest_size_is_our_own_mistake() -> None:
    full = Frontier(TreeSize(SIZE_MAX), tuple(UNIFORM[62::-1]))
    with pytest.raises(AssertionError):
        full.append(UNIFORM[0])
