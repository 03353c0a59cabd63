"""What makes a served block believed: it follows from the block before it, and a quorum sealed it or a descendant.

1. The chain begins with the block that the charter alone makes; its fingerprint is all an observer has to know.
2. A header names its parent by digest and continues height, index, view and time (`ledger.blocks.verify_child`).
3. Its entries are the ones of its entries digest, and the tree with them appended has its size and root.
4. A block is final if its seal is true under the charter's group key, or if it is an ancestor of one that is. So a run
   of blocks is believed only whole, up to a sealed one at its end.

Whether the entries obey the rules is another question: `observer.audit` asks it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.blocks import (
    NO_SEAL,
    Header,
    SealedHeader,
    checkpoint_of,
    compute_entries_digest,
    genesis_header,
    seal_message,
    verify_child,
)
from ledger.charter import Charter
from ledger.checkpoints import SealLine, encode_checkpoint, make_seal_signature
from ledger.domains import NOTE_SEAL
from ledger.errors import FormatError, PolicyError, ProofError, SignatureError
from ledger.merkle import EMPTY_FRONTIER, Frontier, Hash, leaf_hash
from ledger.notes import Note, compute_verifier_key
from ledger.threshold import bls
from observer.served import ServedBlock

Draw = Callable[[int], bytes]
"""Draws that many fresh random bytes."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a chain that was followed from the charter ends: the newest header, and the tree after it."""

    header: Header
    frontier: Frontier


@dataclass(frozen=True, slots=True)
class VerifiedBlock:
    """A final block. Made by `begin` and `verify_run` alone.

    Attributes:
        header: follows from the charter through every block before it.
        seal: true, or `NO_SEAL` where a descendant's stands for it.
        entries: the ones of its entries digest.
        leaves: their hashes.
    """

    header: Header
    seal: bytes
    entries: tuple[bytes, ...]
    leaves: tuple[Hash, ...]


def begin(charter: Charter) -> tuple[Position, VerifiedBlock]:
    """Give the block that the charter alone makes, and the chain that ends with it."""
    header = genesis_header(charter.entry, charter.founded_at_ms)
    leaf = leaf_hash(charter.entry)
    block = VerifiedBlock(header=header, seal=NO_SEAL, entries=(charter.entry,), leaves=(leaf,))
    return Position(header, EMPTY_FRONTIER.append(leaf)), block


def follow(
    position: Position, header: Header, entries: Sequence[bytes], *, charter: Charter
) -> tuple[Position, tuple[Hash, ...]]:
    """Check that a block follows (2 and 3 of this module); its seal is not looked at.

    Args:
        position: where the chain ends; believed.
        header: well-formed.
        entries: that are said to be its.
        charter: believed.

    Returns:
        The position after it, and the leaf hashes of its entries.

    Raises:
        ProofError: `blocks[height].<field>`: it does not follow from what is before it, or from its entries.
    """
    field = f"blocks[{header.height}]"
    try:
        verify_child(header, parent=position.header)
    except ProofError as error:
        raise ProofError(field=f"{field}.{error.field}", found=error.found, expected=error.expected) from None
    leaves = tuple(leaf_hash(entry) for entry in entries)
    digest = compute_entries_digest(leaves)
    if digest != header.entries_digest:
        raise ProofError(field=f"{field}.entries", found=digest.hex(), expected=header.entries_digest.hex())
    frontier = position.frontier.extend(leaves)
    checks: tuple[tuple[str, object, object], ...] = (
        ("tree_size", header.tree_size, frontier.size),
        ("root", header.root.hex(), frontier.root().hex()),
    )
    for name, found, expected in checks:
        if found != expected:
            raise ProofError(field=f"{field}.{name}", found=found, expected=str(expected))
    if header.proposer > len(charter.members):
        expected = f"a member's index, at most {len(charter.members)}"
        raise ProofError(field=f"{field}.proposer", found=header.proposer, expected=expected)
    return Position(header, frontier), leaves


def verify_seals(sealed: Sequence[SealedHeader], *, charter: Charter, draw: Draw) -> None:
    """Check every seal that is there, all at once; those without one are passed over.

    Raises:
        FormatError, SignatureError: `blocks[height].seal`: the first that is not true.
    """
    present = [each for each in sealed if each.seal != NO_SEAL]
    signed = [(seal_message(each.header, charter.origin), each.seal) for each in present]
    randomness = draw(bls.BATCH_WEIGHT_BYTES * len(signed))
    try:
        bls.verify_signatures_batch(charter.group_key, signed, randomness=randomness)
    except (FormatError, SignatureError):
        for each, (message, seal) in zip(present, signed, strict=True):
            bls.verify_signature(charter.group_key, message, seal, field=f"blocks[{each.header.height}].seal")
        raise


def verify_run(
    position: Position, blocks: Sequence[ServedBlock], *, charter: Charter, draw: Draw
) -> tuple[Position, list[VerifiedBlock]]:
    """Believe a run of blocks whole, or say which one is wrong.

    Args:
        position: where the chain ends; believed.
        blocks: of a stranger, at least one.
        charter: believed.
        draw: randomness for checking seals together.

    Raises:
        ProofError: a block does not follow.
        FormatError, SignatureError: a seal is not true.
        PolicyError: the last block has no seal.
    """
    verified = []
    for block in blocks:
        position, leaves = follow(position, block.header, block.entries, charter=charter)
        verified.append(VerifiedBlock(block.header, block.seal, block.entries, leaves))
    if verified[-1].seal == NO_SEAL:
        field = f"blocks[{position.header.height}].seal"
        raise PolicyError(field=field, found="none", expected="a seal on the last block of a run")
    verify_seals([SealedHeader(block.header, block.seal) for block in verified], charter=charter, draw=draw)
    return position, verified


def make_note(sealed: SealedHeader, charter: Charter) -> Note:
    """Write the checkpoint of a sealed block as a note with the seal alone: no signature of anybody else is needed."""
    assert sealed.seal != NO_SEAL
    header = sealed.header
    line = SealLine(header.epoch, header.view, header.height, header.time_ms, header.digest, sealed.seal)
    key = compute_verifier_key(charter.origin, NOTE_SEAL, charter.group_key)
    text = encode_checkpoint(checkpoint_of(header, charter.origin))
    return Note(text=text, signatures=(make_seal_signature(line, key=key),))
