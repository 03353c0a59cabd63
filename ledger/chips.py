"""The accelerators of an inventory under one root: commit to all, open one, learn nothing of the others.

A leaf is `index u64 || salt 32 bytes || SHA-256(model || 0x1f || serial)`, and the tree over the leaves is that of
RFC 6962 §2.1 (`ledger.merkle`). The root and the number of chips stand in the inventory; which index is to be opened
is drawn by `ledger.sampling`. The salt hides a model and a serial number that could be guessed; the index in the leaf
binds each chip to one place.

What an opening shows: the inventory lists this chip at this index. That the chip is there, works, and is on no other
list is shown by other means (`ledger.crosschecks.attestations`); a serial number listed twice is seen only where both
leaves are opened.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ledger.encoding import encode_u64, require_bytes
from ledger.errors import FormatError, ProofError
from ledger.limits import CHIP_SALT_BYTES, CHIP_SERIAL_CHARACTERS_MAX, IDENTIFIER_CHARACTERS_MAX
from ledger.merkle import Hash, compute_levels, compute_root, leaf_hash, prove_inclusion, verify_inclusion
from ledger.positions import LeafIndex, TreeSize

_MODEL: Final = re.compile(rf"[a-z0-9-]{{1,{IDENTIFIER_CHARACTERS_MAX}}}\Z", re.ASCII)
_SERIAL: Final = re.compile(rf"[!-~]{{1,{CHIP_SERIAL_CHARACTERS_MAX}}}\Z", re.ASCII)
_SEPARATOR: Final = b"\x1f"  # stands in no model and no serial number, so that no two chips run together


@dataclass(frozen=True, slots=True)
class Chip:
    """One accelerator.

    Attributes:
        model: as the charter's annex names it.
        serial: what its maker calls it: 1 to 128 visible ASCII characters.
    """

    model: str
    serial: str

    def digest(self) -> Hash:
        """Hash model and serial number.

        Raises:
            FormatError: a model or a serial number of another form.
        """
        if not _MODEL.match(self.model):
            raise FormatError(field="chip.model", found=self.model, expected="a model of the charter's annex")
        if not _SERIAL.match(self.serial):
            expected = f"1 to {CHIP_SERIAL_CHARACTERS_MAX} visible ASCII characters"
            raise FormatError(field="chip.serial", found=self.serial, expected=expected)
        return hashlib.sha256(self.model.encode("ascii") + _SEPARATOR + self.serial.encode("ascii")).digest()


@dataclass(frozen=True, slots=True)
class ChipsRoot:
    """What an inventory says of a cluster's chips: the root over them and their number."""

    root: Hash
    count: int


@dataclass(frozen=True, slots=True)
class ChipOpening:
    """All that opens one chip, beside the chip itself.

    Attributes:
        index: its position.
        salt: its 32 bytes of salt.
        proof: sibling hashes from the leaf up.
    """

    index: LeafIndex
    salt: bytes = field(repr=False)
    proof: tuple[Hash, ...]


class ChipsTree:
    """Hashes of all chips of an inventory, for opening any number of them; 64 bytes a chip, and its salt."""

    def __init__(self, chips: Iterable[Chip], salts: Iterable[bytes]) -> None:
        """Hash every chip with its salt, and every perfect subtree above them.

        Args:
            chips: in the order of the inventory.
            salts: 32 fresh bytes for each; as many as there are chips.

        Raises:
            FormatError: a chip or a salt of another form, not as many salts as chips, or a chip listed twice.
        """
        self._salts: list[bytes] = []
        leaves = []
        for salt, leaf in _leaves(chips, salts):
            self._salts.append(salt)
            leaves.append(leaf_hash(leaf))
        self._levels = compute_levels(leaves)

    def root(self) -> ChipsRoot:
        """Give what the inventory says."""
        leaves = self._levels[0]
        return ChipsRoot(compute_root(leaves), len(leaves))

    def open_chip(self, index: LeafIndex) -> ChipOpening:
        """Prove one chip.

        Raises:
            ProofError: no chip has the index.
        """
        size = TreeSize(len(self._salts))
        proof = prove_inclusion(index=index, size=size, read=lambda level, at: self._levels[level][at])
        return ChipOpening(index, self._salts[index], tuple(proof))


def encode_chip_leaf(index: LeafIndex, salt: bytes, chip: Chip) -> bytes:
    """Write a leaf's 72 bytes, whose `leaf_hash` stands in the tree.

    Raises:
        FormatError: a salt that is not 32 bytes, a model or a serial number of another form.
    """
    return encode_u64(index) + require_bytes(salt, field="chip.salt", size=CHIP_SALT_BYTES) + chip.digest()


def verify_chip(root: ChipsRoot, chip: Chip, opening: ChipOpening) -> None:
    """Check that `chip` is the one the inventory lists at this index.

    Args:
        root: of a sealed inventory: this function believes it.
        chip: what was handed over, or stands in front of the inspector.
        opening: what the lab handed over with it.

    Raises:
        FormatError: a salt that is not 32 bytes, a model or a serial number of another form.
        ProofError: another chip, another position, another salt, or no such position.
    """
    if not 0 <= opening.index < root.count:
        raise ProofError(field="chip.index", found=opening.index, expected=f"an index below {root.count}")
    verify_inclusion(
        leaf=leaf_hash(encode_chip_leaf(opening.index, opening.salt, chip)),
        index=opening.index,
        size=TreeSize(root.count),
        proof=opening.proof,
        root=root.root,
    )


def _leaves(chips: Iterable[Chip], salts: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Pair chips with salts; one more of either is refused, not ignored, and so is a chip that was listed before."""
    listed: set[Chip] = set()
    for index, (chip, salt) in enumerate(itertools.zip_longest(chips, salts)):
        if chip is None or salt is None:
            raise FormatError(field="chip.salt", found="more of one than the other", expected="one salt a chip")
        if chip in listed:
            raise FormatError(field="chip.serial", found=f"{chip.model} {chip.serial}", expected="each chip once")
        listed.add(chip)
        yield salt, encode_chip_leaf(LeafIndex(index), salt, chip)
