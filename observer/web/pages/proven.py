"""Reading single things out of a copy so that each is compared with what a seal vouches for."""

from dataclasses import dataclass

from ledger.blocks import NO_SEAL, Header, SealedHeader, genesis_header, seal_message, verify_header_chain
from ledger.errors import Code, ConditionError, PolicyError, ProofError
from ledger.merkle import Hash, leaf_hash
from ledger.positions import Height, LeafIndex, Millis
from ledger.threshold import bls
from observer.agreement import UNSEALED_BLOCKS_MAX, take_to_seal
from observer.copy import Copy
from observer.web.answers.nations import SealedBlock
from observer.web.answers.words import Head
from observer.web.view import View


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown from: a copy, the view that has reached its newest block, and this machine's clock."""

    copy: Copy
    view: View
    now_ms: Millis


def describe_head(header: Header) -> Head:
    """Say which block an answer was read at."""
    return Head(
        height=header.height,
        tree_size=header.tree_size,
        root=header.root.hex(),
        block=header.digest.hex(),
        time_ms=header.time_ms,
    )


def read_entry(copy: Copy, index: int) -> tuple[bytes, Hash]:
    """Read one entry and its leaf hash; unlike `TileReader.read_entry` without the rest of its bundle.

    Raises:
        ConditionError: there is no such entry (`NOT_FOUND`).
        ProofError: it is not the one of the sealed tree.
        LedgerError: the copy on disk is not what was written.
    """
    if index >= copy.tree.size:
        expected = f"an entry among the {copy.tree.size} of this copy"
        raise ConditionError(field="index", found=index, expected=expected, code=Code.NOT_FOUND)
    believed = copy.tree.read(0, index)
    found = copy.entries(LeafIndex(index), 1)
    leaf = leaf_hash(found[0]) if found else b""
    if leaf != believed:
        raise ProofError(field=f"{copy.path}: entry {index}", found=leaf.hex() or "none", expected=believed.hex())
    return found[0], believed


def read_block(copy: Copy, height: int) -> list[SealedHeader]:
    """Read a block, and those after it up to the first with a seal, which is verified and vouches for all of them.

    Raises:
        ConditionError: there is no such block (`NOT_FOUND`).
        LedgerError: the copy on disk is not what was written.
    """
    if height > copy.head.header.height:
        expected = f"at most {copy.head.header.height}, the newest of this copy"
        raise ConditionError(field="height", found=height, expected=expected, code=Code.NOT_FOUND)
    first = copy.block(Height(height))
    if first.header == genesis_header(copy.charter.entry, copy.charter.founded_at_ms):
        return [first]
    run = [first] if first.seal != NO_SEAL else take_to_seal(copy.blocks(Height(height), UNSEALED_BLOCKS_MAX + 1))
    verify_header_chain([sealed.header for sealed in run])
    last = run[-1]
    field = f"{copy.path}: blocks[{last.header.height}].seal"
    if last.seal == NO_SEAL:
        raise PolicyError(field=field, found="none", expected="a seal on this block or a later one")
    bls.verify_signature(copy.charter.group_key, seal_message(last.header, copy.charter.origin), last.seal, field=field)
    return run


def describe_block(sealed: SealedHeader) -> SealedBlock:
    """Say in short what a block is."""
    header = sealed.header
    return SealedBlock(
        height=header.height,
        time_ms=header.time_ms,
        view=header.view,
        proposer=header.proposer,
        entries_count=header.entry_count,
        is_sealed=sealed.seal != NO_SEAL,
    )
