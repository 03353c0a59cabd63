"""Tiles above level 0, believed from the checkpoint's root downwards; a wrong one is made again from those below it.

The partial tiles of a tree together make its root, and a full tile is what the one above says of it (`ledger.tiles`).
Where a file fails that, its true hashes are reckoned from the tiles below, and believed if they pass: so one bad file
is named, and what stands under it can still be checked. Two bad files in one subtree can hide it: then it is unchecked.
"""

from itertools import product
from typing import Final

from ledger.errors import ProofError
from ledger.limits import TILE_HEIGHT, TILE_WIDTH
from ledger.merkle import Hash, compute_root, leaf_hash
from ledger.positions import TreeSize
from ledger.tiles import Edge, Tile, edge_tiles, tile_path, verify_edge, verify_tile
from tlog.faults import UNVOUCHED, Faults, Problem
from tlog.leaves import NOT_OF_PARENT, read_bundle, read_tile
from tlog.resources import Reader

Believed = tuple[Hash, ...] | None


class UpperTiles:
    """Every tile above level 0 that a checkpoint covers, and the partial one of level 0.

    Attributes:
        roots: of the full tiles of level 0, in order; None where nothing vouches for one.
        edge: hashes of the partial tiles, by level; None if they do not lead to the root.
        full: hashes of full tiles by level and index, for as long as partial ones are held against them.
    """

    def __init__(self, reader: Reader, faults: Faults, *, size: TreeSize, root: Hash) -> None:
        """Read and believe them all, noting what is wrong.

        Args:
            reader: not believed.
            faults: where what is wrong is noted.
            size: of a sealed checkpoint; believed.
            root: of the same; believed.

        Raises:
            ConditionError: so much was unreadable that the place must be down.
        """
        self._reader: Final = reader
        self._size = size
        self.full: dict[tuple[int, int], Believed] = {}
        self.edge = self._believe_edge(faults, root)
        levels_count = max((tile.level for tile in edge_tiles(size)), default=0) + 1
        hashes: list[Hash | None] = []
        for level in range(levels_count - 1, 0, -1):
            below: list[Hash | None] = []
            for index, parent in enumerate(hashes):
                tile = Tile(level, index, TILE_WIDTH)
                self.full[level, index] = believed = self._believe(tile, parent, faults)
                below += believed or [None] * TILE_WIDTH
            width = (size >> TILE_HEIGHT * level) % TILE_WIDTH
            below += (None,) * width if self.edge is None else self.edge.levels[level]
            hashes = below
        self.roots: Final = hashes

    def hashes(self, level: int, index: int) -> Believed:
        """Return what is believed of a tile above level 0 that the checkpoint covers, full or partial."""
        if (level, index) in self.full:
            return self.full[level, index]
        return None if self.edge is None else self.edge.levels[level]

    def _believe(self, tile: Tile, parent: Hash | None, faults: Faults) -> Believed:
        path, there = tile_path(tile), read_tile(self._reader, tile, faults)
        if parent is None:
            if there is not None:
                faults.add(path, Problem.UNCHECKED, UNVOUCHED)
            return None
        if there is not None:
            try:
                verify_tile(there, parent=parent)
            except ProofError:
                faults.add(path, Problem.WRONG, NOT_OF_PARENT)
            else:
                return there
        made = self._make(tile)
        return made if made is not None and compute_root(made) == parent else None

    def _believe_edge(self, faults: Faults, root: Hash) -> Edge | None:
        """Believe the partial tiles; of those that are wrong at level 0 `tlog.leaves` speaks."""
        tiles = {tile.level: tile for tile in edge_tiles(self._size)}
        there = {level: read_tile(self._reader, tile, faults if level else Faults()) for level, tile in tiles.items()}
        edge = self._find_edge(tiles, {level: [hashes] for level, hashes in there.items()}, root)
        if edge is None:
            choices = {level: [there[level], self._make(tile)] for level, tile in tiles.items()}
            edge = self._find_edge(tiles, choices, root)
        for level, tile in tiles.items():
            if level and there[level] is not None and (edge is None or there[level] != edge.levels[level]):
                problem, words = (Problem.UNCHECKED, UNVOUCHED) if edge is None else (Problem.WRONG, NOT_OF_PARENT)
                faults.add(tile_path(tile), problem, words)
        return edge

    def _find_edge(self, tiles: dict[int, Tile], choices: dict[int, list[Believed]], root: Hash) -> Edge | None:
        """Try what each partial tile may be until they lead to the root: at most two for each of eight levels."""
        levels_count = max(tiles, default=-1) + 1
        options = [[each for each in dict.fromkeys(choices[level]) if each is not None] for level in sorted(choices)]
        for chosen in product(*options):
            levels: list[tuple[Hash, ...]] = [()] * levels_count
            for level, hashes in zip(sorted(choices), chosen, strict=True):
                levels[level] = hashes
            edge = Edge(self._size, tuple(levels))
            try:
                verify_edge(edge, root=root)
            except ProofError:
                continue
            return edge
        return None

    def _make(self, tile: Tile) -> Believed:
        """Reckon a tile from what stands below it, unbelieved; None where too much is missing."""
        if tile.level == 0:
            entries = read_bundle(self._reader, tile.index, tile.width, Faults())
            return None if entries is None else tuple(leaf_hash(entry) for entry in entries)
        made: list[Hash] = []
        for place in range(tile.width):
            below = Tile(tile.level - 1, tile.index * TILE_WIDTH + place, TILE_WIDTH)
            hashes = read_tile(self._reader, below, Faults()) or self._make(below)
            if hashes is None:
                return None
            made.append(compute_root(hashes))
        return tuple(made)
