"""What a place says it holds, sorted by what a checkpoint covers of it.

Covered are the files that must be there and the partial ones of earlier checkpoints. What belongs to a later checkpoint
is *ahead*: it was written before its checkpoint was, as it must be, and nothing vouches for it yet. Whatever has a name
that is never published is extra. A web server lists nothing: then only what must be there can be looked at.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ledger.blocks import HEADERS_PER_BUNDLE
from ledger.errors import FormatError
from ledger.limits import TILE_WIDTH
from ledger.positions import Interval, TreeSize
from ledger.tiles import compute_tile_width, parse_bundle_path, parse_headers_path, parse_tile_path
from tlog.resources import parse_resource

ARCHIVES: Final = "archive/"
_BUNDLES: Final = "tile/entries/"
_TILES: Final = "tile/"
_HEADERS: Final = "headers/"
_PlaceT = TypeVar("_PlaceT")


@dataclass(slots=True)
class Listing:
    """Files of a place.

    Attributes:
        tiles: widths of partial tiles of earlier checkpoints, by level and index.
        bundles: the same of bundles, by index.
        headers: the same of bundles of headers, by index.
        archives: intervals of archival checkpoints, in order.
        extra: names that are never published.
        ahead_count: files of later checkpoints.
    """

    tiles: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    bundles: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    headers: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    archives: list[Interval] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    ahead_count: int = 0


def sort_paths(paths: Iterable[str], *, size: TreeSize, blocks_count: int) -> Listing:
    """Sort what a place holds by what a checkpoint of so many entries and blocks covers of it."""
    listing = Listing()
    for path in sorted(paths):
        try:
            parse_resource(path)
        except FormatError:
            listing.extra.append(path)
            continue
        if path.startswith(_BUNDLES):
            bundle = parse_bundle_path(path)
            covered = compute_tile_width(level=0, index=bundle.index, size=size)
            _sort(listing, listing.bundles, bundle.index, bundle.width, covered)
        elif path.startswith(_TILES):
            tile = parse_tile_path(path)
            covered = compute_tile_width(level=tile.level, index=tile.index, size=size)
            _sort(listing, listing.tiles, (tile.level, tile.index), tile.width, covered)
        elif path.startswith(_HEADERS):
            bundle = parse_headers_path(path)
            covered = max(0, min(TILE_WIDTH, blocks_count - bundle.index * HEADERS_PER_BUNDLE))
            _sort(listing, listing.headers, bundle.index, bundle.width, covered)
        elif path.startswith(ARCHIVES):
            listing.archives.append(Interval(int(path.removeprefix(ARCHIVES))))
    listing.archives.sort()
    return listing


def _sort(listing: Listing, places: dict[_PlaceT, list[int]], place: _PlaceT, width: int, covered: int) -> None:
    if width < covered:
        places[place].append(width)
    elif width > covered:
        listing.ahead_count += 1
