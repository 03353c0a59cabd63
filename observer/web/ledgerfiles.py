"""The ledger's static files out of a copy, as a node publishes them: for tools, and for a browser that wants the tiles.

What is given was compared with the sealed root, unlike what a mirror gives. There is no archive and no schema here.
"""

from collections.abc import Callable, Mapping
from typing import Final

from ledger.blocks import HEADERS_PER_BUNDLE, NO_SEAL, encode_header_bundle
from ledger.errors import Code, ConditionError, LedgerError
from ledger.notes import encode_note
from ledger.positions import Height
from ledger.tiles import (
    compute_tile,
    compute_tile_width,
    encode_bundle,
    parse_bundle_path,
    parse_headers_path,
    parse_tile_path,
)
from observer.chain import make_note
from observer.copy import Copy
from observer.web.reading import Reading
from tlog.publisher import CHARTER, CHECKPOINT, COSIGNATURES, TRANSCRIPT

_BUNDLES: Final = "tile/entries/"
_HEADERS: Final = "headers/"
_TILES: Final = "tile/"


class LedgerFiles:
    """A `tlog.resources.Reader`. Belongs to the thread that reads the copy."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def read(self, path: str, *, size_max: int) -> bytes | None:
        """Give a file's bytes, or None where there is none.

        Raises:
            ConditionError: the copy is not read yet, or is not what was written.
        """
        try:
            with self._reading.open() as (copy, _):
                raw = _read(copy, path)
        except LedgerError as error:
            if isinstance(error, ConditionError):
                raise
            raise ConditionError(
                field=error.field, found=error.found, expected=error.expected, code=Code.STORE_DAMAGED
            ) from error
        return None if raw is None or len(raw) > size_max else raw


def _read(copy: Copy, path: str) -> bytes | None:
    if path in _NAMED:
        return _NAMED[path](copy)
    if path.startswith(_HEADERS):
        return _read_headers(copy, path)
    if path.startswith(_BUNDLES):
        return _read_bundle(copy, path)
    return _read_tile(copy, path) if path.startswith(_TILES) else None


def _read_bundle(copy: Copy, path: str) -> bytes | None:
    bundle = parse_bundle_path(path)
    if bundle.width > compute_tile_width(level=0, index=bundle.index, size=copy.tree.size):
        return None
    return encode_bundle(copy.tree.read_bundle(bundle.index)[: bundle.width])


def _read_tile(copy: Copy, path: str) -> bytes | None:
    tile = parse_tile_path(path)
    if tile.width > compute_tile_width(level=tile.level, index=tile.index, size=copy.tree.size):
        return None
    return compute_tile(tile, read=copy.tree.read)


def _read_checkpoint(copy: Copy) -> bytes | None:
    """Give the newest block's checkpoint: as it was kept, or with the seal alone."""
    kept = copy.notes()
    if kept and kept[0][0] == copy.head.header.height:
        return kept[0][1]
    return None if copy.head.seal == NO_SEAL else encode_note(make_note(copy.head, copy.charter))


def _read_headers(copy: Copy, path: str) -> bytes | None:
    bundle = parse_headers_path(path)
    headers = copy.blocks(Height(bundle.index * HEADERS_PER_BUNDLE), bundle.width)
    return encode_header_bundle(headers) if len(headers) == bundle.width else None


_NAMED: Final[Mapping[str, Callable[[Copy], bytes | None]]] = {
    CHARTER: lambda copy: copy.charter.entry,
    TRANSCRIPT: lambda copy: copy.transcript or None,
    CHECKPOINT: _read_checkpoint,
    COSIGNATURES: _read_checkpoint,
}
