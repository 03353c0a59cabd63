"""`ledger.chips`: one chip of an inventory is opened, and nothing else passes for it."""

import hashlib

import pytest

from ledger.chips import Chip, ChipOpening, ChipsRoot, ChipsTree, encode_chip_leaf, verify_chip
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.limits import CHIP_SERIAL_CHARACTERS_MAX
from ledger.merkle import EMPTY_ROOT, leaf_hash, node_hash
from ledger.positions import LeafIndex

CHIPS = [Chip("h100" if number % 3 else "a100", f"16529230{number:05d}") for number in range(21)]
SALTS = [hashlib.sha256(b"salt %d" % number).digest() for number in range(21)]


def test_a_leaf_is_index_salt_and_hash_of_model_and_serial() -> None:
    digest = hashlib.sha256(b"h100\x1f1652923033635").digest()
    leaf = encode_chip_leaf(LeafIndex(5), bytes([0x55]) * 32, Chip("h100", "1652923033635"))
    assert leaf == bytes(7) + b"\x05" + bytes([0x55]) * 32 + digest
    assert len(leaf) == 72


def test_the_root_is_that_of_the_tree_of_rfc_6962_over_the_leaves_as_entries() -> None:
    first, second, third = (
        leaf_hash(encode_chip_leaf(LeafIndex(index), SALTS[index], CHIPS[index])) for index in range(3)
    )
    tree = ChipsTree(CHIPS[:3], SALTS[:3])
    assert tree.root() == ChipsRoot(node_hash(node_hash(first, second), third), 3)
    assert ChipsTree([], []).root() == ChipsRoot(EMPTY_ROOT, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 21])
def test_every_chip_is_opened_at_its_index_and_nowhere_else(count: int) -> None:
    tree = ChipsTree(CHIPS[:count], SALTS[:count])
    root = tree.root()
    for index in range(count):
        opening = tree.open_chip(LeafIndex(index))
        verify_chip(root, CHIPS[index], opening)
        for other in range(-1, count + 1):
            if other != index:
                with pytest.raises(ProofError):
                    verify_chip(root, CHIPS[index], ChipOpening(LeafIndex(other), opening.salt, opening.proof))
    with pytest.raises(ProofError):
        tree.open_chip(LeafIndex(count))


def test_nothing_else_passes_for_a_chip() -> None:
    tree = ChipsTree(CHIPS, SALTS)
    root, opening = tree.root(), tree.open_chip(LeafIndex(6))
    flipped = bytes([opening.salt[0] ^ 1]) + opening.salt[1:]
    bent = bytes([opening.proof[0][0] ^ 1]) + opening.proof[0][1:]
    lies: list[tuple[ChipsRoot, Chip, ChipOpening]] = [
        (root, Chip("h100", CHIPS[6].serial), opening),
        (root, Chip(CHIPS[6].model, CHIPS[6].serial + "0"), opening),
        (root, CHIPS[7], opening),
        (root, CHIPS[6], ChipOpening(opening.index, flipped, opening.proof)),
        (root, CHIPS[6], ChipOpening(opening.index, opening.salt[:-1], opening.proof)),
        (root, CHIPS[6], ChipOpening(opening.index, opening.salt, opening.proof[:-1])),
        (root, CHIPS[6], ChipOpening(opening.index, opening.salt, (*opening.proof, bytes(32)))),
        (root, CHIPS[6], ChipOpening(opening.index, opening.salt, (bent, *opening.proof[1:]))),
        (ChipsRoot(bytes(32), root.count), CHIPS[6], opening),
        (ChipsRoot(root.root, 16), CHIPS[6], opening),
        (ChipsRoot(root.root, 0), CHIPS[6], opening),
        (ChipsRoot(root.root, 2**63), CHIPS[6], opening),
    ]
    for believed, chip, opened in lies:
        with pytest.raises(LedgerError):
            verify_chip(believed, chip, opened)


def test_salts_hide_equal_chips_in_two_inventories() -> None:
    assert ChipsTree(CHIPS, SALTS).root() != ChipsTree(CHIPS, SALTS[::-1]).root()
    assert "salt" not in repr(ChipsTree(CHIPS, SALTS).open_chip(LeafIndex(0)))


def test_a_chip_listed_twice_or_without_its_own_salt_is_refused() -> None:
    with pytest.raises(FormatError, match=r"chip\.serial.*each chip once"):
        ChipsTree([*CHIPS[:4], CHIPS[2]], SALTS[:5])
    for chips, salts in ((CHIPS[:2], SALTS[:3]), (CHIPS[:3], SALTS[:2])):
        with pytest.raises(FormatError, match=r"one salt a chip"):
            ChipsTree(chips, salts)
    with pytest.raises(FormatError, match=r"chip\.salt"):
        ChipsTree(CHIPS[:1], [bytes(16)])


@pytest.mark.parametrize(
    ("chip", "field"),
    [
        (Chip("H100", "1"), "chip.model"),
        (Chip("", "1"), "chip.model"),
        (Chip("h100\x1f", "1"), "chip.model"),
        (Chip("h100\n", "1"), "chip.model"),
        (Chip("h100", ""), "chip.serial"),
        (Chip("h100", "1\x1f2"), "chip.serial"),
        (Chip("h100", "1 2"), "chip.serial"),
        (Chip("h100", "é"), "chip.serial"),
        (Chip("h100", "1\n"), "chip.serial"),
        (Chip("h100", "1" * (CHIP_SERIAL_CHARACTERS_MAX + 1)), "chip.serial"),
    ],
)
def test_models_and_serials_of_another_form_are_refused(chip: Chip, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        chip.digest()
    assert caught.value.field == field
