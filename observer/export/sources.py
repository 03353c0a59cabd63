"""What is exported is read here, and nothing of it is believed before it was compared with the sealed head.

1. The head's seal was verified when the copy was opened, and its tree compared with the root (`observer.copy`).
2. Headers: each names its parent by digest, so from the head down to the lowest that is needed every header is fixed.
   `anchor_chain` walks that way once, before anything is written, and keeps one digest in `ANCHOR_BLOCKS`; whoever
   reads a stretch of headers afterwards, in this process or another, compares it with the anchor above it.
3. Seals: each under the group key, many at a time (`observer.chain.verify_seals`).
4. Entries: a bundle is hashed to the root of its tile, which is compared with the tile above and so up to the root; the
   last, partial one leaf by leaf with the tree's edge. The tiles of level 0 that lie on disk are not even read.

A copy that somebody edited is refused at the first difference; what was written of the range is not published.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ledger.blocks import SealedHeader
from ledger.errors import Code, ConditionError, ProofError
from ledger.limits import TILE_HEIGHT, TILE_WIDTH
from ledger.merkle import compute_root, leaf_hash
from ledger.positions import Height, LeafIndex
from ledger.tiles import TileReader
from observer.chain import Draw, verify_seals
from observer.copy import Copy
from observer.export.rows import Placed

ANCHOR_BLOCKS: Final = 1_024
SEALS_AT_ONCE: Final = 256

Anchors = Mapping[int, bytes]
"""By number of a stretch of `ANCHOR_BLOCKS` heights: the digest of its last header, or of the head in the last."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The entries that one block adds."""

    first: int
    end: int
    height: int
    time_ms: int


def anchor_chain(copy: Copy, *, lowest: Height) -> dict[int, bytes]:
    """Walk from the sealed head down to a height, and give the anchors of all stretches on the way.

    Args:
        copy: its head is believed.
        lowest: how far down headers will be needed.

    Raises:
        ProofError: a header is not the one that the header above it names.
        LedgerError: the copy on disk is damaged.
    """
    anchors: dict[int, bytes] = {}
    head = copy.head.header
    digest = head.digest
    for number in range(head.height // ANCHOR_BLOCKS, lowest // ANCHOR_BLOCKS - 1, -1):
        anchors[number] = digest
        stretch = _read_stretch(copy, number, last=head.height)
        digest = _verify_stretch(copy, stretch, digest=digest)
    return anchors


def _read_stretch(copy: Copy, number: int, *, last: int) -> list[SealedHeader]:
    first = number * ANCHOR_BLOCKS
    stretch = copy.blocks(Height(first), min(ANCHOR_BLOCKS, last - first + 1))
    if [sealed.header.height for sealed in stretch] != list(range(first, min(first + ANCHOR_BLOCKS, last + 1))):
        field = f"{copy.path}: blocks from {first} on"
        raise ConditionError(field=field, found="a gap", expected="none", code=Code.STORE_DAMAGED)
    return stretch


def _verify_stretch(copy: Copy, stretch: list[SealedHeader], *, digest: bytes) -> bytes:
    """Compare headers with the digest that the last must have; give the one that the block before them must have."""
    for sealed in reversed(stretch):
        header = sealed.header
        if header.digest != digest:
            field = f"{copy.path}: blocks[{header.height}]"
            raise ProofError(field=field, found=header.digest.hex(), expected=digest.hex())
        digest = header.parent
    return digest


class VerifiedReader:
    """Reads entries and blocks of a copy below one sealed head. Belongs to one thread."""

    def __init__(self, copy: Copy, *, head: SealedHeader, anchors: Anchors, draw: Draw) -> None:
        """Take what is believed, and compare the edge of the tree with it.

        Args:
            copy: of which only the charter is believed; it may have grown since.
            head: below which everything is read; verified.
            anchors: of every stretch that will be read; made by `anchor_chain` under that head.
            draw: fresh random bytes, for checking seals together.

        Raises:
            LedgerError: the copy on disk is damaged.
        """
        self._copy, self._head, self._anchors, self._draw = copy, head, anchors, draw
        self._tree = TileReader(size=head.header.tree_size, root=head.header.root, fetch=copy.read_path)

    def read_blocks(self, first: Height, end: Height) -> Iterator[list[SealedHeader]]:
        """Give the blocks of heights from `first` on and below `end`, a part at a time.

        Raises:
            ProofError: a header is not what the head says.
            SignatureError: a seal is not true.
            LedgerError: the copy on disk is damaged.
        """
        for stretch in self._read_headers(first, end):
            for start in range(0, len(stretch), SEALS_AT_ONCE):
                part = stretch[start : start + SEALS_AT_ONCE]
                verify_seals(part, charter=self._copy.charter, draw=self._draw)
                yield part

    def read_entries(self, first: LeafIndex, end: LeafIndex) -> Iterator[Placed]:
        """Give the entries of indices from `first` on and below `end`, a bundle at a time.

        Args:
            first: index of the first of a bundle.
            end: beyond which nothing is given.

        Raises:
            ProofError: an entry is not what the head says.
            LedgerError: the copy on disk is damaged.
        """
        assert first % TILE_WIDTH == 0
        spans = self._read_spans(first, end)
        span = next(spans)
        for start in range(first, end, TILE_WIDTH):
            entries, leaves = self._read_bundle(start // TILE_WIDTH)
            heights: list[int] = []
            times_ms: list[int] = []
            at, stop = start, min(start + TILE_WIDTH, end)
            while at < stop:
                taken = min(span.end, stop) - at
                heights += [span.height] * taken
                times_ms += [span.time_ms] * taken
                at += taken
                if at == span.end and at < end:
                    span = next(spans)
            yield Placed(start, entries[: stop - start], b"".join(leaves[: stop - start]), heights, times_ms)

    def _read_bundle(self, number: int) -> tuple[list[bytes], list[bytes]]:
        """Give the entries of a bundle with their leaf hashes, compared with the root."""
        entries = self._copy.entries(LeafIndex(number * TILE_WIDTH), TILE_WIDTH)
        width = min(TILE_WIDTH, self._tree.size - number * TILE_WIDTH)
        if len(entries) < width:
            field = f"{self._copy.path}: entries from {number * TILE_WIDTH} on"
            raise ConditionError(
                field=field, found=f"{len(entries)} entries", expected=f"{width}", code=Code.STORE_DAMAGED
            )
        entries = entries[:width]  # the copy may have grown since its head was read
        leaves = [leaf_hash(entry) for entry in entries]
        if width == TILE_WIDTH:
            is_true = compute_root(leaves) == self._tree.read(TILE_HEIGHT, number)
        else:
            is_true = tuple(leaves) == self._tree.edge.levels[0]
        if not is_true:
            self._tree.read_bundle(number)  # names the entry that is another, or the tile
            field = f"{self._copy.path}: entries from {number * TILE_WIDTH} on"
            raise ProofError(field=field, found="other entries", expected="those under the sealed root")
        return entries, leaves

    def _read_spans(self, first: LeafIndex, end: LeafIndex) -> Iterator[_Span]:
        """Give, in order and without a gap, which entries which block adds, those cut off that lie outside."""
        lowest = self._copy.block_with_entry(first).header.height
        highest = self._copy.block_with_entry(LeafIndex(end - 1)).header.height
        at: int = first
        for stretch in self._read_headers(lowest, Height(highest + 1)):
            for sealed in stretch:
                header = sealed.header
                if header.first_index <= at < header.tree_size:
                    yield _Span(at, min(header.tree_size, end), header.height, header.time_ms)
                    at = header.tree_size
        if at < end:  # the index by which blocks are found was changed
            field = f"{self._copy.path}: blocks"
            raise ConditionError(
                field=field, found=f"none with entry {at}", expected="one of every entry", code=Code.STORE_DAMAGED
            )

    def _read_headers(self, first: Height, end: Height) -> Iterator[list[SealedHeader]]:
        """Give verified headers; their seals, which no header names, are as they lie on disk."""
        for number in range(first // ANCHOR_BLOCKS, (end - 1) // ANCHOR_BLOCKS + 1):
            stretch = _read_stretch(self._copy, number, last=self._head.header.height)
            _verify_stretch(self._copy, stretch, digest=self._anchors[number])
            start = number * ANCHOR_BLOCKS
            yield stretch[max(0, first - start) : end - start]
