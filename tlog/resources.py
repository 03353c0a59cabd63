"""What a published folder holds: each path, its type, how long it lasts, how a partial one is cut from its full one.

One table for whoever hands published files to others, so that the node's own server, an object store and a mirror
give the same headers. A path is known only if it is, letter for letter, one that `tlog.publisher` writes: it is read,
checked and written again, so no path leads out of the folder and each resource has one address.
Source: C2SP tlog-tiles ("APIs"); RFC 9111 §5.2.2, RFC 8246 (immutable).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.blocks import encode_header_bundle, parse_header_bundle
from ledger.encoding import decode_decimal
from ledger.limits import BUNDLE_BYTES_MAX, HASH_BYTES, NOTE_BYTES_MAX, TILE_BYTES, TILE_WIDTH
from ledger.schemas import PREDICATES
from ledger.tiles import (
    Tile,
    bundle_path,
    encode_bundle,
    headers_path,
    parse_bundle,
    parse_bundle_path,
    parse_headers_path,
    parse_tile_path,
    tile_path,
)
from tlog.publisher import CHARTER, CHECKPOINT, COSIGNATURES, INDEX, TRANSCRIPT, WITNESSED, schema_path

YEAR_S: Final = 31_536_000
FOREVER: Final = f"public, max-age={YEAR_S}, immutable"
SHORTLY: Final = "public, max-age=2"

TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
SCHEMA: Final = "application/schema+json"


class Reader(Protocol):
    """Published files, wherever they are; none of them is believed."""

    def read(self, path: str, *, size_max: int) -> bytes | None:
        """Read a file, at most `size_max` bytes and one more; None where there is none."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that is published: what it is called, of what type, how long it lasts.

    Attributes:
        path: in the folder.
        media_type: as C2SP asks for it.
        caching: how long whoever comes between may keep it.
        size_max: largest number of bytes that it can have.
        is_compressed: whether it is sent compressed to whoever takes that.
        full: if it is partial, where the full one is.
        cut: makes the partial one from the bytes of the full one.
    """

    path: str
    media_type: str
    caching: str
    size_max: int
    is_compressed: bool = False
    full: str | None = None
    cut: Callable[[bytes], bytes] = bytes


_NAMED: Final = {
    CHECKPOINT: Resource(CHECKPOINT, TEXT, SHORTLY, NOTE_BYTES_MAX),
    COSIGNATURES: Resource(COSIGNATURES, TEXT, SHORTLY, NOTE_BYTES_MAX),
    WITNESSED: Resource(WITNESSED, TEXT, SHORTLY, NOTE_BYTES_MAX),
    CHARTER: Resource(CHARTER, "application/vnd.dsse.envelope.v1+json", FOREVER, BUNDLE_BYTES_MAX),
    TRANSCRIPT: Resource(TRANSCRIPT, BYTES, FOREVER, BUNDLE_BYTES_MAX, is_compressed=True),
    INDEX: Resource(INDEX, "application/json", SHORTLY, NOTE_BYTES_MAX),
    **{
        schema_path(kind): Resource(schema_path(kind), SCHEMA, SHORTLY, NOTE_BYTES_MAX, is_compressed=True)
        for kind in PREDICATES
    },
}


def parse_resource(path: str) -> Resource:
    """Read a path as it came, without its leading slash.

    Raises:
        FormatError: nothing of this name is ever published.
    """
    if path in _NAMED:
        return _NAMED[path]
    if path.startswith("archive/"):
        decode_decimal(path.removeprefix("archive/"), field="path")
        return Resource(path, TEXT, SHORTLY, NOTE_BYTES_MAX)
    if path.startswith("headers/"):
        place = parse_headers_path(path)
        return _bundle(path, headers_path(place.index), place.width, _cut_headers)
    if path.startswith("tile/entries/"):
        place = parse_bundle_path(path)
        return _bundle(path, bundle_path(place.index), place.width, _cut_entries)
    tile = parse_tile_path(path)
    full = tile_path(Tile(tile.level, tile.index, TILE_WIDTH)) if tile.width < TILE_WIDTH else None
    return Resource(path, BYTES, FOREVER, TILE_BYTES, full=full, cut=lambda raw: raw[: tile.width * HASH_BYTES])


def _bundle(path: str, full: str, width: int, cut: Callable[[bytes, int], bytes]) -> Resource:
    return Resource(
        path,
        BYTES,
        FOREVER,
        BUNDLE_BYTES_MAX,
        is_compressed=True,
        full=full if width < TILE_WIDTH else None,
        cut=lambda raw: cut(raw, width),
    )


def _cut_entries(raw: bytes, width: int) -> bytes:
    return encode_bundle(parse_bundle(raw, count=TILE_WIDTH)[:width])


def _cut_headers(raw: bytes, width: int) -> bytes:
    return encode_header_bundle(parse_header_bundle(raw)[:width])


def read_resource(files: Reader, resource: Resource) -> bytes | None:
    """Return the bytes of a resource, if need be the beginning of the full tile that replaced it."""
    raw = files.read(resource.path, size_max=resource.size_max)
    if raw is None and resource.full is not None:
        raw = files.read(resource.full, size_max=resource.size_max)
        return None if raw is None else resource.cut(raw)
    return raw
