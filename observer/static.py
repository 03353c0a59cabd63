"""A ledger published as static files, over HTTP(S) or from a local folder: C2SP tlog-tiles and our files beside them.

Read are `checkpoint` and `cosignatures`, `charter`, `transcript`, bundles of sealed headers (`headers/…`) and entry
bundles (`tile/entries/…`). Hash tiles are not needed by a reader who has every header and every entry: it computes
them. A partial bundle that is gone is read from the beginning of the full one that replaced it.
Source: C2SP tlog-tiles; the files beside it are ours.
"""

from collections.abc import Iterator
from typing import Final

from ledger.blocks import HEADERS_PER_BUNDLE, SealedHeader, parse_header_bundle
from ledger.errors import Code, ConditionError, FormatError, ProofError
from ledger.limits import (
    BLOCK_BYTES_MAX,
    BUNDLE_BYTES_MAX,
    ENTRY_BYTES_MAX,
    HEADER_BYTES_MAX,
    NOTE_BYTES_MAX,
    SEAL_BYTES,
    TILE_BYTES,
    TILE_WIDTH,
    TRANSCRIPT_BYTES_MAX,
)
from ledger.positions import Height, Interval, LeafIndex, TreeSize
from ledger.tiles import bundle_path, headers_path, parse_bundle
from observer.served import ServedBlock, make_block
from tlog.reading import Files

HEADERS_BYTES_MAX: Final = HEADERS_PER_BUNDLE * (2 + HEADER_BYTES_MAX + SEAL_BYTES)


class StaticSource:
    """A `Source` over published files."""

    def __init__(self, name: str, files: Files) -> None:
        """Read from `files`, under a name for messages."""
        self._name, self._files = name, files

    @property
    def name(self) -> str:
        """The URL it was opened with."""
        return self._name

    def close(self) -> None:
        """Give connections back."""
        self._files.close()

    def read_charter(self) -> bytes:
        """Read entry 0."""
        return self._require("charter", size_max=ENTRY_BYTES_MAX)

    def read_transcript(self) -> bytes:
        """Read the ceremony's transcript; empty where it is not served."""
        return self._files.read("transcript", size_max=TRANSCRIPT_BYTES_MAX) or b""

    def read_checkpoints(self) -> list[bytes]:
        """Read `checkpoint`, and `cosignatures` where that is served."""
        notes = [self._require("checkpoint", size_max=NOTE_BYTES_MAX)]
        cosigned = self._files.read("cosignatures", size_max=NOTE_BYTES_MAX)
        return notes if cosigned is None else [*notes, cosigned]

    def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
        """Read blocks; headers and entries lie in bundles of their own.

        Raises:
            FormatError: a file is larger than it may be, or not of its form.
            ProofError: headers and entries do not fit together.
            ConditionError: a file is missing, or there is no answer.
        """
        entries = _EntryReader(self, size)
        for place in range(first // HEADERS_PER_BUNDLE, last // HEADERS_PER_BUNDLE + 1):
            for offset, sealed in enumerate(self._read_headers(place, count=last + 1)):
                height = place * HEADERS_PER_BUNDLE + offset
                if sealed.header.height != height:
                    found = sealed.header.height
                    raise ProofError(field=f"{headers_path(place)}[{offset}].height", found=found, expected=str(height))
                if height >= first:
                    header = sealed.header
                    yield make_block(header, sealed.seal, entries.read(header.first_index, header.tree_size))

    def read_tile(self, path: str) -> bytes | None:
        """Read a tile of hashes by its path."""
        return self._files.read(path, size_max=TILE_BYTES)

    def read_archive(self, interval: Interval) -> bytes | None:
        """Read the archival checkpoint of an interval; None where there is none."""
        return self._files.read(f"archive/{interval}", size_max=NOTE_BYTES_MAX)

    def _read_headers(self, place: int, *, count: int) -> list[SealedHeader]:
        """Read the part of a bundle of headers that a ledger of `count` blocks has."""
        width = min(HEADERS_PER_BUNDLE, count - place * HEADERS_PER_BUNDLE)
        path = headers_path(place, width)
        raw = self.read_part(path, headers_path(place), is_full=width == HEADERS_PER_BUNDLE, size_max=HEADERS_BYTES_MAX)
        headers = parse_header_bundle(raw[0])
        if len(headers) < width or (len(headers) > width and not raw[1]):
            raise ProofError(field=path, found=f"{len(headers)} headers", expected=f"{width} headers")
        return headers[:width]

    def read_part(self, path: str, full_path: str, *, is_full: bool, size_max: int) -> tuple[bytes, bool]:
        """Read a bundle; if it is partial and gone, the full one, and say so.

        Raises:
            FormatError: larger than it may be.
            ConditionError: neither is there (`NOT_FOUND`), or there is no answer.
        """
        raw = self._files.read(path, size_max=size_max)
        if raw is not None:
            return raw, is_full
        if is_full:
            raise _missing(path)
        return self._require(full_path, size_max=size_max), True

    def _require(self, path: str, *, size_max: int) -> bytes:
        raw = self._files.read(path, size_max=size_max)
        if raw is None:
            raise _missing(path)
        return raw


class _EntryReader:
    """Reads entries in ascending order and keeps the one bundle it stands in."""

    def __init__(self, source: StaticSource, size: TreeSize) -> None:
        self._source, self._size = source, size
        self._place, self._entries = -1, list[bytes]()

    def read(self, start: LeafIndex, end: TreeSize) -> tuple[bytes, ...]:
        """Read entries from an index up to, not including, another."""
        if end > self._size:
            raise ProofError(field="header.tree_size", found=end, expected=f"at most {self._size}, as the checkpoint")
        found: list[bytes] = []
        size_bytes = 0
        while start < end:
            place, offset = divmod(start, TILE_WIDTH)
            taken = self._bundle(place)[offset : offset + end - start]
            found += taken
            start = LeafIndex(start + len(taken))
            size_bytes += sum(map(len, taken))
            if size_bytes > BLOCK_BYTES_MAX:
                field = f"entries up to {start - 1}"
                raise FormatError(field=field, found=f"{size_bytes} bytes", expected=f"at most {BLOCK_BYTES_MAX}")
        return tuple(found)

    def _bundle(self, place: int) -> list[bytes]:
        if place != self._place:
            width = min(TILE_WIDTH, self._size - place * TILE_WIDTH)
            path, full_path = bundle_path(place, width), bundle_path(place)
            is_full = width == TILE_WIDTH
            raw, came_full = self._source.read_part(path, full_path, is_full=is_full, size_max=BUNDLE_BYTES_MAX)
            self._entries = parse_bundle(raw, count=TILE_WIDTH if came_full else width)[:width]
            self._place = place
        return self._entries


def _missing(path: str) -> ConditionError:
    return ConditionError(field=path, found="nothing", expected="what its checkpoint covers", code=Code.NOT_FOUND)
