"""Blocks: the header that is hashed, sealed and kept, and what is computed from it.

A block is a header and the entries it adds; its name is its digest, over the header's bytes as they came. One header
has one spelling: `parse_header` re-encodes what it read and refuses bytes that differ, so padded integers, repeated or
unknown fields and explicit defaults never pass. This is the only module of `ledger` that reads `ledger.v1` messages.

Not here: whether a header *follows* from its parent and body (the rules and `node.execute` say that), and whether its
seal is true (`ledger.policy`, `ledger.threshold.bls`).
Source: proto/ledger/v1/block.proto; the seal message is `ledger.checkpoints.compute_seal_message`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from ledger import domains
from ledger.checkpoints import Checkpoint, compute_seal_message
from ledger.encoding import require_bytes
from ledger.errors import FormatError, ProofError
from ledger.limits import (
    BLOCK_ENTRIES_MAX,
    HASH_BYTES,
    HEADER_BYTES_MAX,
    MEMBERS_MAX,
    SEAL_BYTES,
    SIZE_MAX,
    TILE_WIDTH,
)
from ledger.merkle import leaf_hash
from ledger.positions import (
    FIRST_EPOCH,
    GENESIS_HEIGHT,
    GENESIS_VIEW,
    Epoch,
    Height,
    LeafIndex,
    MemberIndex,
    Millis,
    TreeSize,
    View,
)
from ledger.v1.block_pb2 import BlockHeader

NO_PARENT: Final = bytes(HASH_BYTES)
NO_PROPOSER: Final = MemberIndex(0)
NO_SEAL: Final = b""
_ABSENT_SEAL: Final = bytes(SEAL_BYTES)
HEADERS_PER_BUNDLE: Final = TILE_WIDTH


@dataclass(frozen=True, slots=True)
class Header:
    """One block's header, every field in range, with the bytes it was read from or encoded to.

    Attributes:
        raw: the one encoding of the fields above it; what `digest` is over.
        digest: SHA-256 of `domains.BLOCK` and `raw`, the block's name.
    """

    ledger_id: bytes
    epoch: Epoch
    view: View
    height: Height
    parent: bytes
    time_ms: Millis
    proposer: MemberIndex
    first_index: LeafIndex
    tree_size: TreeSize
    root: bytes
    entries_digest: bytes
    state_digest: bytes
    raw: bytes
    digest: bytes

    @property
    def entry_count(self) -> int:
        """How many entries the block adds."""
        return self.tree_size - self.first_index


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """A final block's header with its seal: 48 bytes, or `NO_SEAL` when it became final through a descendant."""

    header: Header
    seal: bytes


def compute_digest(raw: bytes) -> bytes:
    """Name a block by its header's bytes."""
    return hashlib.sha256(domains.BLOCK + raw).digest()


def compute_entries_digest(leaf_hashes: Iterable[bytes]) -> bytes:
    """SHA-256 over the concatenated leaf hashes of a block's entries, in order; of nothing for an empty block."""
    digest = hashlib.sha256()
    for leaf in leaf_hashes:
        assert len(leaf) == HASH_BYTES
        digest.update(leaf)
    return digest.digest()


def encode_header(
    *,
    ledger_id: bytes,
    epoch: Epoch,
    view: View,
    height: Height,
    parent: bytes,
    time_ms: Millis,
    proposer: MemberIndex,
    first_index: LeafIndex,
    tree_size: TreeSize,
    root: bytes,
    entries_digest: bytes,
    state_digest: bytes = b"",
) -> Header:
    """Make the header of these fields.

    Raises:
        FormatError: a field is out of range or contradicts another; the same checks as `parse_header`.
    """
    message = BlockHeader(
        ledger_id=ledger_id,
        epoch=_in_range(epoch, "epoch", minimum=1),
        view=_in_range(view, "view"),
        height=_in_range(height, "height"),
        parent=parent,
        time_ms=_in_range(time_ms, "time_ms"),
        proposer=_in_range(proposer, "proposer", maximum=MEMBERS_MAX),
        first_index=_in_range(first_index, "first_index"),
        tree_size=_in_range(tree_size, "tree_size"),
        root=root,
        entries_digest=entries_digest,
        state_digest=state_digest,
    )
    return _checked(message, message.SerializeToString(deterministic=True))


def parse_header(raw: bytes) -> Header:
    """Read a header from bytes of a stranger.

    Raises:
        FormatError: `header`: too long, not a BlockHeader, unknown fields, or not the one encoding of its fields;
            `header.<field>`: a field of the wrong length, out of range, or in contradiction to another.
    """
    if not 0 < len(raw) <= HEADER_BYTES_MAX:
        raise FormatError(field="header", found=f"{len(raw)} bytes", expected=f"1 to {HEADER_BYTES_MAX} bytes")
    message = BlockHeader()
    try:
        message.ParseFromString(raw)
    except DecodeError:
        raise FormatError(field="header", found=f"{len(raw)} bytes", expected="a protobuf BlockHeader") from None
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != raw:
        raise FormatError(field="header", found=raw.hex(), expected="the one encoding of its fields, none unknown")
    return _checked(message, raw)


def _in_range(number: int, field: str, *, minimum: int = 0, maximum: int = SIZE_MAX) -> int:
    if not minimum <= number <= maximum:
        raise FormatError(field=f"header.{field}", found=number, expected=f"{minimum} to {maximum}")
    return number


def _checked(message: BlockHeader, raw: bytes) -> Header:
    """Give the typed header if every field is in range and genesis, and only genesis, looks like genesis."""
    for field in ("ledger_id", "parent", "root", "entries_digest"):
        require_bytes(getattr(message, field), field=f"header.{field}", size=HASH_BYTES)
    if message.state_digest:
        require_bytes(message.state_digest, field="header.state_digest", size=HASH_BYTES)
    first_index = _in_range(message.first_index, "first_index")
    header = Header(
        ledger_id=message.ledger_id,
        epoch=Epoch(_in_range(message.epoch, "epoch", minimum=1)),
        view=View(_in_range(message.view, "view")),
        height=Height(_in_range(message.height, "height")),
        parent=message.parent,
        time_ms=Millis(_in_range(message.time_ms, "time_ms")),
        proposer=MemberIndex(_in_range(message.proposer, "proposer", maximum=MEMBERS_MAX)),
        first_index=LeafIndex(first_index),
        tree_size=TreeSize(
            _in_range(
                message.tree_size,
                "tree_size",
                minimum=first_index,
                maximum=min(first_index + BLOCK_ENTRIES_MAX, SIZE_MAX),
            )
        ),
        root=message.root,
        entries_digest=message.entries_digest,
        state_digest=message.state_digest,
        raw=raw,
        digest=compute_digest(raw),
    )
    _require_genesis_shape(header)
    return header


def _require_genesis_shape(header: Header) -> None:
    """Demand that genesis, and nothing else, has view 0, no proposer, no parent and the ledger's first entry."""
    is_genesis = header.height == GENESIS_HEIGHT
    shapes = (
        ("view", header.view == GENESIS_VIEW, header.view),
        ("proposer", header.proposer == NO_PROPOSER, header.proposer),
        ("parent", header.parent == NO_PARENT, header.parent.hex()),
        ("first_index", header.first_index == 0, header.first_index),
    )
    for field, like_genesis, found in shapes:
        if like_genesis != is_genesis:
            expected = "zero at height 0" if is_genesis else "not zero above height 0"
            raise FormatError(field=f"header.{field}", found=found, expected=expected)
    if is_genesis and (header.epoch != FIRST_EPOCH or header.tree_size != 1):
        found = f"epoch {header.epoch}, tree size {header.tree_size}"
        raise FormatError(field="header.height", found=found, expected="genesis in epoch 1 with the charter alone")


def genesis_header(entry: bytes, time_ms: Millis) -> Header:
    """Make the header of the block that holds the charter alone; `time_ms` is the charter's founding time."""
    leaf = leaf_hash(entry)
    return encode_header(
        ledger_id=hashlib.sha256(entry).digest(),
        epoch=FIRST_EPOCH,
        view=GENESIS_VIEW,
        height=GENESIS_HEIGHT,
        parent=NO_PARENT,
        time_ms=time_ms,
        proposer=NO_PROPOSER,
        first_index=LeafIndex(0),
        tree_size=TreeSize(1),
        root=leaf,  # RFC 6962 §2.1: the tree of one leaf is its hash
        entries_digest=compute_entries_digest([leaf]),
    )


def checkpoint_of(header: Header, origin: str) -> Checkpoint:
    """Name the tree after this block, in the ledger of this origin."""
    return Checkpoint(origin=origin, size=header.tree_size, root=header.root)


def seal_message(header: Header, origin: str) -> bytes:
    """Give the bytes that seal shares over this block are made over; two blocks never share them."""
    return compute_seal_message(
        checkpoint_of(header, origin),
        epoch=header.epoch,
        view=header.view,
        height=header.height,
        time_ms=header.time_ms,
        block_digest=header.digest,
    )


def encode_header_bundle(headers: Sequence[SealedHeader]) -> bytes:
    """Join up to 256 sealed headers: of each a u16 length, the header, 48 bytes of seal (zeros when none)."""
    assert 0 < len(headers) <= HEADERS_PER_BUNDLE
    parts: list[bytes] = []
    for sealed in headers:
        assert sealed.seal == NO_SEAL or len(sealed.seal) == SEAL_BYTES
        assert sealed.seal != _ABSENT_SEAL
        parts += (len(sealed.header.raw).to_bytes(2, "big"), sealed.header.raw, sealed.seal or _ABSENT_SEAL)
    return b"".join(parts)


def parse_header_bundle(raw: bytes) -> list[SealedHeader]:
    """Read what `encode_header_bundle` wrote. Seals and the chain are not verified; see `verify_header_chain`.

    Raises:
        FormatError: `bundle.*`: truncated, empty, or more than 256 headers; `header.*`: a header is not valid.
    """
    size_max = HEADERS_PER_BUNDLE * (2 + HEADER_BYTES_MAX + SEAL_BYTES)
    if not 0 < len(raw) <= size_max:
        raise FormatError(field="bundle", found=f"{len(raw)} bytes", expected=f"1 to {size_max} bytes")
    headers: list[SealedHeader] = []
    position = 0
    while position < len(raw):
        if len(headers) == HEADERS_PER_BUNDLE:
            raise FormatError(field="bundle.count", found="more", expected=f"at most {HEADERS_PER_BUNDLE} headers")
        header_end = position + 2 + int.from_bytes(raw[position : position + 2], "big")
        seal_end = header_end + SEAL_BYTES
        if seal_end > len(raw):
            raise FormatError(field="bundle.length", found=f"{len(raw)} bytes", expected=f"at least {seal_end} bytes")
        seal = raw[header_end:seal_end]
        header = parse_header(raw[position + 2 : header_end])
        headers.append(SealedHeader(header=header, seal=NO_SEAL if seal == _ABSENT_SEAL else seal))
        position = seal_end
    return headers


def verify_child(header: Header, *, parent: Header) -> None:
    """Check all that a header says of its parent: name, height, first index, time, ledger, and that views rise.

    Raises:
        ProofError: `header.<field>` contradicts the parent.
    """
    links: tuple[tuple[str, object, object], ...] = (
        ("ledger_id", header.ledger_id.hex(), parent.ledger_id.hex()),
        ("parent", header.parent.hex(), parent.digest.hex()),
        ("height", header.height, parent.height + 1),
        ("first_index", header.first_index, parent.tree_size),
    )
    for field, found, expected in links:
        if found != expected:
            raise ProofError(field=f"header.{field}", found=found, expected=str(expected))
    if (header.epoch, header.view) <= (parent.epoch, parent.view):
        found = f"epoch {header.epoch} view {header.view}"
        raise ProofError(field="header.view", found=found, expected=f"after epoch {parent.epoch} view {parent.view}")
    if header.time_ms < parent.time_ms:
        raise ProofError(field="header.time_ms", found=header.time_ms, expected=f"at least {parent.time_ms}")


def verify_header_chain(headers: Sequence[Header], *, parent: Header | None = None) -> None:
    """Check that each header follows from the one before it, the first from `parent` if given.

    Raises:
        ProofError: some header contradicts its predecessor.
    """
    previous = parent
    for header in headers:
        if previous is not None:
            verify_child(header, parent=previous)
        previous = header
