"""The ledger as static files: hash tiles and entry bundles, where they stand, what is in them, how they are believed.

Source: C2SP tlog-tiles. Entry i of tile (level, index) is the root over the 256**level leaves from
(index * 256 + i) * 256**level on: level 0 holds leaf hashes, each level above the roots of the *full* tiles below it.
A tile is 256 hashes wide, but for the last of each level, which is as wide as the tree is (a partial tile; width 0 does
not exist, and no partial is ever hashed into the level above). Bundle (index, width) holds the entries whose leaf
hashes are level-0 tile (index, width).

How a reader comes to believe a tile, given the size and root of a checkpoint whose seal it verified:

1. The partial tiles, at most one a level, are the *edge* of the tree. All their hashes together, and nothing else, make
   the root; so one comparison with the believed root vouches for every hash of the edge.
2. A full tile is believed once its root is compared with its entry in the tile above, which was believed before it.
3. A bundle is believed once the leaf hash of each of its entries is compared with the level-0 tile of the same index.

`TileReader` has one way to a tile and it goes through 1 or 2, so none can be used without being compared (the mistake
of CVE-2026-56865 was to work out by arithmetic which of the fetched tiles still needed it); and it hands out only bytes
that were hashed (CVE-2026-56864). Nothing here touches a disk or a network: where the bytes come from is an argument.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import Code, ConditionError, FormatError, ProofError
from ledger.limits import (
    BUNDLE_BYTES_MAX,
    ENTRY_BYTES_MAX,
    HASH_BYTES,
    SIZE_MAX,
    TILE_HEIGHT,
    TILE_LEVEL_MAX,
    TILE_WIDTH,
)
from ledger.merkle import EMPTY_FRONTIER, Frontier, Hash, HashReader, compute_root, leaf_hash
from ledger.positions import LeafIndex, TreeSize

TILE_INDEX_MAX: Final = SIZE_MAX // TILE_WIDTH
TILES_KEPT_MAX: Final = 256  # full tiles a reader keeps, about 5 MiB

_LENGTH_BYTES: Final = 2
_LAST_IN_TILE: Final = TILE_WIDTH - 1
_PLACE: Final = r"((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z"
_TILE_PATH: Final = re.compile(r"tile/(0|[1-9][0-9]?)/" + _PLACE, re.ASCII)
_BUNDLE_PATH: Final = re.compile(r"tile/entries/" + _PLACE, re.ASCII)
_HEADERS_PATH: Final = re.compile(r"headers/" + _PLACE, re.ASCII)

TileSource = Callable[[str], bytes | None]
"""Gives the bytes at a path such as `tile/0/x001/067.p/8`, or None where there are none. It need not be trusted.

Whoever implements it bounds what it reads: a tile has at most `TILE_BYTES`, a bundle at most `BUNDLE_BYTES_MAX`.
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """Coordinates of a hash tile.

    Attributes:
        level: 0 for leaf hashes; each level above covers 256 times as many leaves.
        index: position in the level, from 0.
        width: how many hashes it has: 256 when full, fewer for a partial tile.
    """

    level: int
    index: int
    width: int

    def __post_init__(self) -> None:
        """Coordinates from outside pass `parse_tile_path` first; wrong ones here are our own mistake."""
        assert 0 <= self.level <= TILE_LEVEL_MAX
        assert 0 <= self.index <= TILE_INDEX_MAX
        assert 1 <= self.width <= TILE_WIDTH


@dataclass(frozen=True, slots=True)
class Bundle:
    """Coordinates of an entry bundle, the same as those of the level-0 tile with its leaf hashes."""

    index: int
    width: int

    def __post_init__(self) -> None:
        """Coordinates from outside pass `parse_bundle_path` first; wrong ones here are our own mistake."""
        assert 0 <= self.index <= TILE_INDEX_MAX
        assert 1 <= self.width <= TILE_WIDTH


# Where things stand.


def tile_path(tile: Tile) -> str:
    """Return the path below the ledger's prefix.

    >>> tile_path(Tile(level=0, index=1234067, width=8))
    'tile/0/x001/x234/067.p/8'
    """
    return f"tile/{tile.level}/{_encode_place(tile.index, tile.width)}"


def bundle_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return the path below the ledger's prefix.

    >>> bundle_path(19669)
    'tile/entries/x019/669'
    """
    return f"tile/entries/{_encode_place(index, width)}"


def headers_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of the bundle of sealed headers from height `index * 256` on; ours, beside C2SP's tiles.

    >>> headers_path(0, 7)
    'headers/000.p/7'
    """
    return f"headers/{_encode_place(index, width)}"


def parse_tile_path(path: str) -> Tile:
    """Read a tile's path; it is right only if writing the tile's path gives it again.

    Raises:
        FormatError: any other spelling, a level above 63, a width of 0 or above 255 behind `.p/`.
    """
    found = _TILE_PATH.match(path)
    if found is None:
        raise FormatError(field="tile.path", found=path, expected="tile/<level>/<index>[.p/<width>]")
    level = int(found[1])
    index, width = _decode_place(found[2], found[3], field="tile.path")
    if level > TILE_LEVEL_MAX:
        raise FormatError(field="tile.path", found=path, expected=f"a level of at most {TILE_LEVEL_MAX}")
    tile = Tile(level=level, index=index, width=width)
    if tile_path(tile) != path:
        raise FormatError(field="tile.path", found=path, expected=tile_path(tile))
    return tile


def parse_bundle_path(path: str) -> Bundle:
    """Read a bundle's path; it is right only if writing the bundle's path gives it again.

    Raises:
        FormatError: any other spelling, a width of 0 or above 255 behind `.p/`.
    """
    return _parse_place(path, _BUNDLE_PATH, bundle_path, field="bundle.path")


def parse_headers_path(path: str) -> Bundle:
    """Read the path of a bundle of headers, as strictly as `parse_bundle_path`.

    Raises:
        FormatError: any other spelling, a width of 0 or above 255 behind `.p/`.
    """
    return _parse_place(path, _HEADERS_PATH, headers_path, field="headers.path")


def _parse_place(path: str, form: re.Pattern[str], write: Callable[[int, int], str], *, field: str) -> Bundle:
    found = form.match(path)
    if found is None:
        raise FormatError(field=field, found=path, expected=write(0, 1).replace("000.p/1", "<index>[.p/<width>]"))
    index, width = _decode_place(found[1], found[2], field=field)
    if write(index, width) != path:
        raise FormatError(field=field, found=path, expected=write(index, width))
    return Bundle(index=index, width=width)


def compute_tile_width(*, level: int, index: int, size: TreeSize) -> int:
    """Return how many hashes tile (level, index) has in the tree of `size` leaves; 0 if the tree has no such tile."""
    hashes_count = size >> TILE_HEIGHT * level
    return max(0, min(TILE_WIDTH, hashes_count - index * TILE_WIDTH))


def tiles_for_size(old_size: TreeSize, new_size: TreeSize) -> list[Tile]:
    """List the tiles to write when the published tree grows from `old_size` to `new_size`, in order of writing.

    Every tile which has more hashes than at `old_size`, from level 0 upwards: those that became full, and the partial
    ones of `new_size`. Before each level-0 tile belongs the bundle with its index and width. A growth lists one tile
    for every 256 leaves, so a long ledger is published in steps.
    """
    assert 0 <= old_size <= new_size <= SIZE_MAX
    tiles: list[Tile] = []
    old_count, new_count, level = int(old_size), int(new_size), 0
    while old_count < new_count:  # equal counts at one level are equal at all above
        grown = range(old_count >> TILE_HEIGHT, (new_count + _LAST_IN_TILE) >> TILE_HEIGHT)
        tiles += [Tile(level, index, min(TILE_WIDTH, new_count - index * TILE_WIDTH)) for index in grown]
        old_count, new_count, level = old_count >> TILE_HEIGHT, new_count >> TILE_HEIGHT, level + 1
    return tiles


def edge_tiles(size: TreeSize) -> list[Tile]:
    """List the partial tiles of the tree of `size` leaves, at most one a level, from level 0 upwards.

    >>> edge_tiles(TreeSize(256))
    [Tile(level=1, index=0, width=1)]
    """
    assert 0 <= size <= SIZE_MAX
    tiles = []
    for level in range(_count_levels(size)):
        index, width = divmod(size >> TILE_HEIGHT * level, TILE_WIDTH)
        if width > 0:
            tiles.append(Tile(level=level, index=index, width=width))
    return tiles


def _count_levels(size: int) -> int:
    """Return how many levels of tiles have any hash in a tree of `size` leaves."""
    return (size.bit_length() + TILE_HEIGHT - 1) // TILE_HEIGHT


# What is in them.


def encode_tile(hashes: Sequence[Hash]) -> bytes:
    """Encode the hashes of a tile, one after the other."""
    assert 1 <= len(hashes) <= TILE_WIDTH
    assert all(len(each) == HASH_BYTES for each in hashes)
    return b"".join(hashes)


def parse_tile(raw: bytes, *, width: int) -> tuple[Hash, ...]:
    """Read a tile of exactly `width` hashes.

    Raises:
        FormatError: another length.
    """
    if len(raw) != width * HASH_BYTES:
        raise FormatError(field="tile", found=f"{len(raw)} bytes", expected=f"{width} hashes of {HASH_BYTES} bytes")
    return tuple(raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES))


def compute_tile(tile: Tile, *, read: HashReader) -> bytes:
    """Compute a tile's bytes from the hashes of perfect subtrees, 256**level leaves each."""
    first = tile.index * TILE_WIDTH
    return encode_tile([read(TILE_HEIGHT * tile.level, first + place) for place in range(tile.width)])


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Encode 1 to 256 entries, each with its length as u16 big-endian before it.

    Raises:
        FormatError: no entry, more than 256, or an entry above 65 535 bytes.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise FormatError(field="bundle", found=f"{len(entries)} entries", expected=f"from 1 to {TILE_WIDTH}")
    parts = []
    for place, entry in enumerate(entries):
        if len(entry) > ENTRY_BYTES_MAX:
            field = f"bundle[{place}]"
            expected = f"at most {ENTRY_BYTES_MAX} bytes"
            raise FormatError(field=field, found=f"{len(entry)} bytes", expected=expected, code=Code.TOO_LARGE)
        parts += [len(entry).to_bytes(_LENGTH_BYTES, "big"), entry]
    return b"".join(parts)


def parse_bundle(raw: bytes, *, count: int) -> list[bytes]:
    """Read a bundle of exactly `count` entries. They are believed only after `verify_bundle`.

    Raises:
        FormatError: larger than any bundle, cut short, or with bytes left over.
    """
    if len(raw) > BUNDLE_BYTES_MAX:
        expected = f"at most {BUNDLE_BYTES_MAX} bytes"
        raise FormatError(field="bundle", found=f"{len(raw)} bytes", expected=expected, code=Code.TOO_LARGE)
    entries = []
    at = 0
    for place in range(count):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(raw[at:start], "big")
        if at > len(raw):
            raise FormatError(field=f"bundle[{place}]", found=f"{len(raw)} bytes in all", expected=f"{count} entries")
        entries.append(raw[start:at])
    if at != len(raw):
        raise FormatError(field="bundle", found=f"{len(raw) - at} bytes more", expected=f"exactly {count} entries")
    return entries


# How they are believed.


@dataclass(frozen=True, slots=True)
class Edge:
    """The partial tiles of a tree: what a publisher needs to go on, and what a reader compares with the root.

    Attributes:
        size: how many leaves the tree has.
        levels: hashes of the partial tile of each level, from level 0 up to the last that has any hash; `()` where the
            level ends with a full tile.
    """

    size: TreeSize
    levels: tuple[tuple[Hash, ...], ...]

    def __post_init__(self) -> None:
        """An edge is built by this module from tiles of the right width; another shape is our own mistake."""
        assert 0 <= self.size <= SIZE_MAX
        widths = [(self.size >> TILE_HEIGHT * level) & _LAST_IN_TILE for level in range(_count_levels(self.size))]
        assert [len(hashes) for hashes in self.levels] == widths

    def frontier(self) -> Frontier:
        """Return the perfect subtrees of the tree; its `root()` is made of every hash of the edge."""
        perfect: list[Hash] = []
        for hashes in reversed(self.levels):
            perfect += EMPTY_FRONTIER.extend(hashes).hashes
        return Frontier(self.size, tuple(perfect))

    def extend(self, leaves: Iterable[Hash]) -> tuple["Edge", dict[Tile, bytes]]:
        """Append leaf hashes.

        Returns:
            The new edge, and the bytes of the tiles to write, exactly those of `tiles_for_size` and in its order.
        """
        size, levels = self.size, [list(hashes) for hashes in self.levels]
        full: list[dict[Tile, bytes]] = [{} for _ in levels]
        for leaf in leaves:
            assert len(leaf) == HASH_BYTES
            size = TreeSize(size + 1)
            risen, level = leaf, 0
            while True:
                if level == len(levels):
                    levels.append([])
                    full.append({})
                levels[level].append(risen)
                if len(levels[level]) < TILE_WIDTH:
                    break
                tile = Tile(level=level, index=(size >> TILE_HEIGHT * (level + 1)) - 1, width=TILE_WIDTH)
                full[level][tile] = encode_tile(levels[level])
                risen, level = compute_root(levels[level]), level + 1
                levels[level - 1] = []
        edge = Edge(size, tuple(tuple(hashes) for hashes in levels))
        return edge, edge._tiles_since(self.size, full)

    def _tiles_since(self, old_size: TreeSize, full: Sequence[dict[Tile, bytes]]) -> dict[Tile, bytes]:
        """Put the tiles that became full and the partial ones that changed into the order of writing."""
        return {
            tile: full[tile.level][tile] if tile.width == TILE_WIDTH else encode_tile(self.levels[tile.level])
            for tile in tiles_for_size(old_size, self.size)
        }


EMPTY_EDGE: Final = Edge(TreeSize(0), ())


def verify_edge(edge: Edge, *, root: Hash) -> None:
    """Check every hash of the edge at once: together they are the tree under `root`, which is believed.

    Raises:
        ProofError: `edge.root`.
    """
    computed = edge.frontier().root()
    if computed != root:
        raise ProofError(field="edge.root", found=computed.hex(), expected=root.hex())


def verify_tile(hashes: Sequence[Hash], *, parent: Hash) -> None:
    """Check a full tile against its entry in the tile above, which is believed.

    Raises:
        ProofError: `tile.width` or `tile.root`.
    """
    if len(hashes) != TILE_WIDTH:
        raise ProofError(field="tile.width", found=len(hashes), expected=str(TILE_WIDTH))
    computed = compute_root(hashes)
    if computed != parent:
        raise ProofError(field="tile.root", found=computed.hex(), expected=parent.hex())


def verify_bundle(entries: Sequence[bytes], *, leaves: Sequence[Hash]) -> None:
    """Check every entry of a bundle against the hashes of its level-0 tile, which are believed.

    Raises:
        ProofError: `bundle.width`, or `bundle[place]` with the first entry that is another.
    """
    if len(entries) != len(leaves):
        raise ProofError(field="bundle.width", found=len(entries), expected=str(len(leaves)))
    for place, (entry, leaf) in enumerate(zip(entries, leaves, strict=True)):
        computed = leaf_hash(entry)
        if computed != leaf:
            raise ProofError(field=f"bundle[{place}]", found=computed.hex(), expected=leaf.hex())


class TileReader:
    """Reads a ledger of one size from tiles nobody vouches for; what it returns has been compared up to the root.

    `read` is a `HashReader` for proofs at this size or any below. Partial tiles and bundles that are gone are read from
    the full ones that replaced them, of which only the part that belongs to this size is used.
    """

    def __init__(self, *, size: TreeSize, root: Hash, fetch: TileSource) -> None:
        """Fetch the edge, at most one tile a level, and compare it with the root.

        Args:
            size: of a checkpoint whose seal was verified: believed.
            root: from the same checkpoint, 32 bytes: believed.
            fetch: where the bytes come from; not believed.

        Raises:
            ProofError: the edge does not lead to the root.
            FormatError: a tile is not of its width.
            ConditionError: a tile is missing (code NOT_FOUND).
        """
        self._size: Final = size
        self._fetch: Final = fetch
        self._full: Final[OrderedDict[tuple[int, int], tuple[Hash, ...]]] = OrderedDict()
        levels: list[tuple[Hash, ...]] = [()] * _count_levels(size)
        for tile in edge_tiles(size):
            levels[tile.level] = self._fetch_tile(tile)
        self._edge: Final = Edge(size, tuple(levels))
        verify_edge(self._edge, root=root)

    @property
    def size(self) -> TreeSize:
        """How many entries this reader vouches for."""
        return self._size

    @property
    def edge(self) -> Edge:
        """The verified partial tiles, from which a publisher or a follower goes on."""
        return self._edge

    def read(self, level: int, index: int) -> Hash:
        """Return the hash of perfect subtree (level, index): the `HashReader` of this ledger.

        Raises:
            ProofError: the subtree reaches beyond the size (`tile.index`), or a tile is not what its parent says.
            FormatError: a tile is not of its width.
            ConditionError: a tile is missing (code NOT_FOUND).
        """
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        hashes = self._read_tile(tile_level, first >> TILE_HEIGHT)
        start = first & _LAST_IN_TILE
        if start + (1 << height) > len(hashes):
            raise ProofError(field="tile.index", found=(level, index), expected=f"inside a tree of {self._size}")
        return compute_root(hashes[start : start + (1 << height)])

    def read_bundle(self, index: int) -> list[bytes]:
        """Return the entries of bundle `index`, all of which this size has, each compared with its leaf hash.

        Raises:
            ProofError: no such bundle at this size, or a tile or entry is not what its parent says.
            FormatError: a tile or bundle is malformed.
            ConditionError: a tile or bundle is missing (code NOT_FOUND).
        """
        leaves = self._read_tile(0, index)
        width = len(leaves)
        path = bundle_path(index, width)
        raw = self._fetch(path)
        if raw is not None:
            entries = parse_bundle(raw, count=width)
        elif width < TILE_WIDTH and (raw := self._fetch(bundle_path(index))) is not None:
            entries = parse_bundle(raw, count=TILE_WIDTH)[:width]
        else:
            raise self._missing(path)
        verify_bundle(entries, leaves=leaves)
        return entries

    def read_entry(self, index: LeafIndex) -> bytes:
        """Return one entry; reads its whole bundle, so a reader of many goes by `read_bundle`.

        Raises:
            ProofError: no such entry at this size, or a tile or entry is not what its parent says.
            FormatError: a tile or bundle is malformed.
            ConditionError: a tile or bundle is missing (code NOT_FOUND).
        """
        if not 0 <= index < self._size:
            raise ProofError(field="entry.index", found=index, expected=f"inside a tree of {self._size}")
        return self.read_bundle(index >> TILE_HEIGHT)[index & _LAST_IN_TILE]

    def _read_tile(self, level: int, index: int) -> tuple[Hash, ...]:
        """Return a believed tile: of the edge, or compared with its parent here. There is no other way to a tile."""
        width = compute_tile_width(level=level, index=index, size=self._size) if level >= 0 and index >= 0 else 0
        if width == 0:
            raise ProofError(field="tile.index", found=(level, index), expected=f"a tile of a tree of {self._size}")
        if width < TILE_WIDTH:
            return self._edge.levels[level]
        kept = self._full.get((level, index))
        if kept is not None:
            self._full.move_to_end((level, index))
            return kept
        parent = self._read_tile(level + 1, index >> TILE_HEIGHT)[index & _LAST_IN_TILE]
        hashes = self._fetch_tile(Tile(level=level, index=index, width=width))
        verify_tile(hashes, parent=parent)
        self._full[level, index] = hashes
        if len(self._full) > TILES_KEPT_MAX:
            self._full.popitem(last=False)
        return hashes

    def _fetch_tile(self, tile: Tile) -> tuple[Hash, ...]:
        """Fetch a tile, unbelieved; a partial one that is gone is the beginning of the full one."""
        raw = self._fetch(tile_path(tile))
        if raw is not None:
            return parse_tile(raw, width=tile.width)
        if tile.width < TILE_WIDTH:
            raw = self._fetch(tile_path(Tile(level=tile.level, index=tile.index, width=TILE_WIDTH)))
            if raw is not None:
                return parse_tile(raw, width=TILE_WIDTH)[: tile.width]
        raise self._missing(tile_path(tile))

    def _missing(self, path: str) -> ConditionError:
        expected = f"what a ledger of {self._size} entries has there"
        return ConditionError(field=path, found="nothing", expected=expected, code=Code.NOT_FOUND)


def _encode_place(index: int, width: int) -> str:
    digits = f"{index:03d}"
    digits = digits.rjust((len(digits) + 2) // 3 * 3, "0")
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    place = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return place if width == TILE_WIDTH else f"{place}.p/{width}"


def _decode_place(groups: str, width: str | None, *, field: str) -> tuple[int, int]:
    """Read index and width; that they are spelled as they would be written is for the caller to compare."""
    index = int(groups.replace("/", "").replace("x", ""))
    if index > TILE_INDEX_MAX:
        raise FormatError(field=field, found=groups, expected=f"an index of at most {TILE_INDEX_MAX}")
    if width is not None and int(width) >= TILE_WIDTH:
        raise FormatError(field=field, found=width, expected=f"a partial width from 1 to {TILE_WIDTH - 1}")
    return index, TILE_WIDTH if width is None else int(width)
