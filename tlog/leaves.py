"""Level-0 tiles and their bundles, hashed and compared again: a run of them at a time, in whatever process.

What vouches for what is `ledger.tiles`: a full tile is believed by its root, which the tile above names, a partial one
by the checkpoint's root. Entries and tile are two copies of the same hashes, so that where one of the two is wrong the
other says which, and both are named only when both are. Every partial one of an earlier checkpoint is the beginning.
Only small values go in and out. Source: RFC 6962 §2.1; C2SP tlog-tiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.limits import BUNDLE_BYTES_MAX, TILE_BYTES, TILE_WIDTH
from ledger.merkle import Hash, compute_root, leaf_hash
from ledger.tiles import Tile, bundle_path, encode_tile, parse_bundle, parse_tile, tile_path
from tlog.faults import NOT_THE_BEGINNING, UNVOUCHED, Faults, Problem, map_reads, try_parsing
from tlog.resources import Reader

NOT_OF_PARENT: Final = "its root is not what the tile above it says"


@dataclass(frozen=True, slots=True)
class Leaves:
    """One level-0 tile and its bundle.

    Attributes:
        index: where they stand.
        width: how much of them the checkpoint covers; 256 if they are full.
        parent: root of the full tile, believed; None if nothing vouches for it.
        hashes: the leaf hashes of a partial one, believed; None for a full one.
        tile_widths: partial tiles beside it, of earlier checkpoints.
        bundle_widths: partial bundles beside it.
    """

    index: int
    width: int = TILE_WIDTH
    parent: Hash | None = None
    hashes: tuple[Hash, ...] | None = None
    tile_widths: tuple[int, ...] = ()
    bundle_widths: tuple[int, ...] = ()


def check_leaves(reader: Reader, run: Sequence[Leaves], *, is_remote: bool) -> tuple[Faults, int]:
    """Hash entries and level-0 tiles, and compare both with what is believed of them.

    Returns:
        What is wrong, and how many entries are right.
    """
    whole, entries_count = Faults(), 0
    for faults, count in map_reads(lambda each: _check_leaves(reader, each), run, is_remote=is_remote):
        whole.join(faults)
        entries_count += count
    return whole, entries_count


def read_tile(reader: Reader, tile: Tile, faults: Faults) -> tuple[Hash, ...] | None:
    """Read a tile that must be there, of the full one if it is partial and gone; None, and noted, where that fails."""
    path, full = tile_path(tile), tile_path(Tile(tile.level, tile.index, TILE_WIDTH))
    read = faults.read_or_full(reader, path, None if path == full else full, size_max=TILE_BYTES)
    if read is None:
        return None
    width = TILE_WIDTH if read[1] else tile.width
    hashes = try_parsing(path, lambda: parse_tile(read[0], width=width), faults)
    return None if hashes is None else hashes[: tile.width]


def read_bundle(reader: Reader, index: int, width: int, faults: Faults) -> list[bytes] | None:
    """Read a bundle that must be there, as `read_tile` does."""
    path, full = bundle_path(index, width), bundle_path(index)
    read = faults.read_or_full(reader, path, None if path == full else full, size_max=BUNDLE_BYTES_MAX)
    if read is None:
        return None
    entries = try_parsing(path, lambda: parse_bundle(read[0], count=TILE_WIDTH if read[1] else width), faults)
    return None if entries is None else entries[:width]


def _check_leaves(reader: Reader, leaves: Leaves) -> tuple[Faults, int]:
    faults = Faults()
    path, entries_path = tile_path(Tile(0, leaves.index, leaves.width)), bundle_path(leaves.index, leaves.width)
    entries = read_bundle(reader, leaves.index, leaves.width, faults)
    hashes = None if entries is None else tuple(leaf_hash(entry) for entry in entries)
    tile = read_tile(reader, Tile(0, leaves.index, leaves.width), faults)
    believed = leaves.hashes
    if believed is None and leaves.parent is not None:
        believed = next((each for each in (hashes, tile) if each and compute_root(each) == leaves.parent), None)
    if believed is None:
        problem = Problem.WRONG if leaves.parent is not None else Problem.UNCHECKED
        words = NOT_OF_PARENT if leaves.parent is not None else UNVOUCHED
        for place, there in ((path, tile), (entries_path, hashes)):
            if there is not None:
                faults.add(place, problem, words)
    else:
        if tile is not None and tile != believed:
            faults.add(path, Problem.WRONG, "its hashes are not those of the entries, which lead to the root")
        if hashes is not None and hashes != believed:
            at = next(at for at, (ours, right) in enumerate(zip(hashes, believed, strict=True)) if ours != right)
            number = leaves.index * TILE_WIDTH + at
            faults.add(entries_path, Problem.WRONG, f"entry {number} is not the one that leads to the root")
    _check_partials(reader, leaves, believed, faults)
    return faults, len(hashes) if hashes is not None and hashes == believed else 0


def _check_partials(reader: Reader, leaves: Leaves, believed: tuple[Hash, ...] | None, faults: Faults) -> None:
    """Hold partial tiles and bundles of earlier checkpoints against the beginning of what is believed."""
    check_partial_tiles(reader, Tile(0, leaves.index, leaves.width), leaves.tile_widths, believed, faults)
    for width in leaves.bundle_widths:
        _check_partial_bundle(reader, leaves.index, width, believed, faults)


def _check_partial_bundle(
    reader: Reader, index: int, width: int, believed: tuple[Hash, ...] | None, faults: Faults
) -> None:
    path = bundle_path(index, width)
    raw = faults.read(reader, path, size_max=BUNDLE_BYTES_MAX)
    if raw is None:  # it went since it was listed
        return
    entries = try_parsing(path, lambda: parse_bundle(raw, count=width), faults)
    if entries is not None and believed is None:
        faults.add(path, Problem.UNCHECKED, UNVOUCHED)
    elif entries is not None and tuple(leaf_hash(entry) for entry in entries) != (believed or ())[:width]:
        faults.add(path, Problem.WRONG, NOT_THE_BEGINNING)


def check_partial_tiles(
    reader: Reader, tile: Tile, widths: Sequence[int], believed: Sequence[Hash] | None, faults: Faults
) -> None:
    """Hold partial tiles of earlier checkpoints against the beginning of the one that is believed."""
    for width in widths:
        path = tile_path(Tile(tile.level, tile.index, width))
        raw = faults.read(reader, path, size_max=TILE_BYTES)
        if raw is not None and believed is None:
            faults.add(path, Problem.UNCHECKED, UNVOUCHED)
        elif raw is not None and raw != encode_tile((believed or ())[:width]):
            faults.add(path, Problem.WRONG, NOT_THE_BEGINNING)
