"""The ledger as a folder of files that any web server, mirror or object store can serve.

Rules of this file
1. Order of writing: charter and transcript; for a growth entry bundle, level-0 tile, upper tiles; bundles of headers;
   all of that durable; then archival checkpoints, `cosignatures`, `witnessed` and, last of all, `checkpoint`. So who
   reads a checkpoint finds everything under it, after a crash at any point too.
2. What is immutable is written aside, synced, and linked into place: it appears whole, and never over another file. If
   it is there already, it must be the same bytes; another content means that the folder is another ledger's or damaged.
   One exception: a seal may have become known since, so a bundle of headers that differs in seals alone stays.
3. Where to go on is read from the folder itself: from the size in its `checkpoint`. Writing again what is there changes
   nothing, so a publication that broke off is simply repeated.
4. What is replaced is read first, and a store that others write too refuses if it changed since; a checkpoint never
   goes back. So two publishers of one ledger into one place do no harm.
5. A partial tile stays for a day after its full one is there; then it goes, and readers fall back to the full one.

Layout: C2SP tlog-tiles (`checkpoint`, `tile/…`), and beside it ours: `charter`, `transcript`, `headers/…` (bundles of
256 sealed headers, named like tiles), `cosignatures` (the checkpoint with every cosignature), `witnessed` (a recent one
with those of external witnesses), `archive/<interval>`, `index.json`. Neither clock nor database is read here: what is
final comes through `Ledger`, the time as an argument.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from ledger.blocks import HEADERS_PER_BUNDLE, Header, SealedHeader, encode_header_bundle, parse_header_bundle
from ledger.checkpoints import parse_checkpoint
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import BUNDLE_BYTES_MAX, NOTE_BYTES_MAX, TILE_WIDTH
from ledger.merkle import Hash
from ledger.notes import parse_note
from ledger.positions import Height, Interval, LeafIndex, Millis, TreeSize
from ledger.schemas import PREDICATES, encode_schema, schema_name
from ledger.tiles import Tile, bundle_path, compute_tile, encode_bundle, headers_path, tile_path, tiles_for_size

LAYOUT_VERSION: Final = 1
STEP_LEAVES: Final = TILE_WIDTH * TILE_WIDTH  # a long ledger is published in steps that fill whole level-1 tiles
PARTIAL_KEPT: Final = Millis(86_400_000)
PARTIAL_SUFFIX: Final = ".p"

CHECKPOINT: Final = "checkpoint"
COSIGNATURES: Final = "cosignatures"
WITNESSED: Final = "witnessed"
CHARTER: Final = "charter"
TRANSCRIPT: Final = "transcript"
INDEX: Final = "index.json"
SCHEMAS: Final = "schema/"


def pass_by(point: str) -> None:
    """Do nothing at a point where a crash could leave something half done: what happens outside tests."""


class SealedBlock(Protocol):
    """A final header with its seal, empty when final through a descendant."""

    @property
    def header(self) -> Header:
        """The header."""

    @property
    def seal(self) -> bytes:
        """48 bytes, or none."""


class Ledger(Protocol):
    """What is final, as the node's store knows it."""

    def entries(self, first: LeafIndex, count: int) -> Sequence[bytes]:
        """Return up to `count` entries from an index on."""

    def read_hash(self, level: int, number: int) -> Hash:
        """Return the root of a perfect subtree; a `ledger.merkle.HashReader`."""

    def blocks(self, first: Height, count: int) -> Sequence[SealedBlock]:
        """Return up to `count` blocks from a height on."""


class Files(Protocol):
    """A folder to publish into; paths are relative, with `/`. Errors of the disk are `ConditionError`."""

    def read(self, path: str, *, size_max: int) -> bytes | None:
        """Return a file's bytes, or None where there is none."""

    def exists(self, path: str) -> bool:
        """Say whether there is such a file."""

    def create(self, path: str, raw: bytes) -> bool:
        """Make a file appear whole and durable; False, and nothing changed, if there is one."""

    def replace(self, path: str, raw: bytes) -> None:
        """Make a file appear whole and durable in place of the one that was read.

        Where others may write too: `NOT_READY` if one of them replaced it since it was read.
        """

    def sync(self) -> None:
        """Make every name created since the last time durable."""

    def partials(self) -> Sequence[tuple[str, Millis]]:
        """List folders of partial tiles whose full one is there, with the time at which that was written."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder and the files in it, if it is there."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One sealed checkpoint, to be published with all that is under it.

    Attributes:
        height: of the block that the checkpoint is of.
        size: entries under it.
        checkpoint: the note, with at most 16 lines.
        cosignatures: the same note with every cosignature.
        archives: notes of archival checkpoints that are new or gained lines; each at or below `size`.
        witnessed: the note of a recent checkpoint, at or below `size`, with cosignatures of external witnesses; None
            leaves what is published.
    """

    height: Height
    size: TreeSize
    checkpoint: bytes
    cosignatures: bytes
    archives: Mapping[Interval, bytes] = field(default_factory=dict)
    witnessed: bytes | None = None


def schema_path(kind: str) -> str:
    """Where the schema of a kind of statement is published."""
    return f"{SCHEMAS}{schema_name(kind)}"


class _Index(msgspec.Struct, frozen=True):
    """What `index.json` says, for whoever finds the folder without knowing what it is."""

    version: int
    origin: str
    ledger: str
    software: str
    resources: tuple[str, ...] = (
        CHECKPOINT,
        COSIGNATURES,
        WITNESSED,
        CHARTER,
        TRANSCRIPT,
        "tile/<level>/<index>[.p/<width>]",
        "tile/entries/<index>[.p/<width>]",
        "headers/<index>[.p/<width>]",
        "archive/<interval>",
        "schema/<kind>.v<version>.json",
    )


def encode_index(origin: str, ledger_id: bytes, *, software: str) -> bytes:
    """Write `index.json`."""
    index = _Index(version=LAYOUT_VERSION, origin=origin, ledger=ledger_id.hex(), software=software)
    return msgspec.json.format(msgspec.json.encode(index), indent=2) + b"\n"


def parse_software(index: bytes) -> str:
    """Read from `index.json` who wrote the folder: the one thing in it that nothing else vouches for.

    Raises:
        FormatError: `index.json` is not of the form.
    """
    try:
        return msgspec.json.decode(index, type=_Index).software
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(field=INDEX, found=str(error), expected="what `encode_index` writes") from None


@dataclass(frozen=True, slots=True)
class Identity:
    """Which ledger a folder is of, and what never changes in it.

    Attributes:
        charter: entry 0.
        transcript: of the ceremony that made the keys of the charter.
        origin: the ledger's name.
        ledger_id: SHA-256 of the charter.
        software: who wrote the folder, for people.
    """

    charter: bytes
    transcript: bytes
    origin: str
    ledger_id: bytes
    software: str


class Publisher:
    """Brings a folder up to date with the ledger; one at a time for one folder, in one thread."""

    def __init__(
        self, files: Files, ledger: Ledger, identity: Identity, *, reach: Callable[[str], None] = pass_by
    ) -> None:
        """Name the folder, what is final, and what happens at the points where a crash could leave half of it."""
        self._files, self._ledger, self._identity, self._reach = files, ledger, identity, reach
        self._is_open = False
        self._is_stopping = False
        self._published_size = TreeSize(0)
        self._headers_count = 0  # heights below it are published in full bundles
        self._expiring: deque[tuple[Millis, str]] = deque()

    def stop(self) -> None:
        """Let a publication that runs in another thread break off before its next tile."""
        self._is_stopping = True

    def _open(self) -> None:
        """Write what never changes, and find out from the folder where to go on."""
        identity = self._identity
        self._create(CHARTER, identity.charter)
        self._create(TRANSCRIPT, identity.transcript)
        self._replace(INDEX, encode_index(identity.origin, identity.ledger_id, software=identity.software))
        for kind in PREDICATES:
            self._replace(schema_path(kind), encode_schema(kind))
        self._headers_count = self._find_headers() * HEADERS_PER_BUNDLE
        self._expiring.clear()
        for path, written in sorted(self._files.partials(), key=lambda each: each[1]):
            self._expiring.append((written, path))
        self._is_open = True

    def published_size(self) -> TreeSize:
        """Return the size of the checkpoint in the folder, 0 if there is none.

        Raises:
            ConditionError: `STORE_DAMAGED`: that file is no checkpoint.
        """
        return self._read_checkpoint()[1]

    def _read_checkpoint(self) -> tuple[bytes, TreeSize]:
        raw = self._files.read(CHECKPOINT, size_max=NOTE_BYTES_MAX)
        if raw is None:
            return b"", TreeSize(0)
        try:
            return raw, parse_checkpoint(parse_note(raw).text).size
        except FormatError as error:
            raise _damaged(CHECKPOINT, str(error), "the checkpoint this node wrote") from error

    def is_ahead_of(self, snapshot: Snapshot) -> bool:
        """Say whether the folder is of this very ledger, and of a larger one: a ledger that is being pulled again."""
        charter = self._identity.charter
        is_same = self._files.read(CHARTER, size_max=len(charter)) == charter
        return is_same and self.published_size() > snapshot.size

    def publish(self, snapshot: Snapshot, *, now: Millis, is_from_start: bool = False) -> None:
        """Publish a checkpoint and everything under it.

        Args:
            snapshot: sealed.
            now: the time, which decides when partial tiles go.
            is_from_start: go through what is published already too: what is missing of it is written again.

        Raises:
            ConditionError: `STORE_DAMAGED`: the folder is another ledger's, or holds other bytes; `NOT_READY`: it
                holds more than this node has yet; `DRAINING`: it was told to stop; `DISK_FULL` and others of the disk.
                What was written stays and is right; publishing again goes on from there.
        """
        if not self._is_open:
            self._open()
        size = self.published_size()
        if size < self._published_size:  # somebody emptied the folder, or put an older one in its place
            self._open()
        _require_not_ahead(size, snapshot)  # a node whose database was lost gets it again, and is behind meanwhile
        if is_from_start:
            size, self._headers_count = TreeSize(0), 0
        while size < snapshot.size:
            size = self._publish_step(size, snapshot.size, now)
        self._publish_headers(snapshot.height, now)
        self._files.sync()
        for interval, note in snapshot.archives.items():
            self._replace(archive_path(interval), note)
        self._replace(COSIGNATURES, snapshot.cosignatures)
        if snapshot.witnessed is not None:
            self._replace(WITNESSED, snapshot.witnessed)
        self._reach("publish.before-checkpoint")
        self._replace_checkpoint(snapshot)
        self._reach("publish.after-checkpoint")
        self._published_size = snapshot.size
        self._remove_expired(now)

    def _publish_step(self, old: TreeSize, end: TreeSize, now: Millis) -> TreeSize:
        new = TreeSize(min(end, (old // STEP_LEAVES + 1) * STEP_LEAVES))
        for tile in tiles_for_size(old, new):
            if self._is_stopping:
                raise ConditionError(field="publication", found="a stop", expected="no stop", code=Code.DRAINING)
            if tile.level == 0:
                entries = self._ledger.entries(LeafIndex(tile.index * TILE_WIDTH), tile.width)
                _require_whole("entries", len(entries), tile.width)
                self._create(bundle_path(tile.index, tile.width), encode_bundle(entries))
                self._expire(bundle_path(tile.index), tile.width, now)
            self._create(tile_path(tile), compute_tile(tile, read=self._ledger.read_hash))
            self._expire(tile_path(Tile(tile.level, tile.index, TILE_WIDTH)), tile.width, now)
        return new

    def _publish_headers(self, height: Height, now: Millis) -> None:
        count = height + 1
        while self._headers_count < count:
            index = self._headers_count // HEADERS_PER_BUNDLE
            width = min(HEADERS_PER_BUNDLE, count - self._headers_count)
            blocks = self._ledger.blocks(Height(self._headers_count), width)
            _require_whole("blocks", len(blocks), width)
            self._create_headers(headers_path(index, width), blocks)
            self._expire(headers_path(index), width, now)
            if width < HEADERS_PER_BUNDLE:
                return
            self._headers_count += width

    def _find_headers(self) -> int:
        """Count the full bundles of headers: they are written in order, so a search by halves finds the end."""
        low, step = 0, 1
        while self._files.exists(headers_path(low + step - 1)):
            low, step = low + step, step * 2
        while step > 1:
            step //= 2
            if self._files.exists(headers_path(low + step - 1)):
                low += step
        return low

    def _create(self, path: str, raw: bytes) -> None:
        if not self._files.create(path, raw) and self._files.read(path, size_max=BUNDLE_BYTES_MAX) != raw:
            raise _damaged(path, "other bytes", "what the ledger has there; publish into an empty folder")

    def _replace(self, path: str, raw: bytes) -> None:
        if self._files.read(path, size_max=NOTE_BYTES_MAX) != raw:
            self._files.replace(path, raw)

    def _replace_checkpoint(self, snapshot: Snapshot) -> None:
        """Put the checkpoint in place of an older one, never of a newer one that another publisher wrote meanwhile."""
        raw, size = self._read_checkpoint()
        _require_not_ahead(size, snapshot)
        if raw != snapshot.checkpoint:
            self._files.replace(CHECKPOINT, snapshot.checkpoint)

    def _create_headers(self, path: str, blocks: Sequence[SealedBlock]) -> None:
        raw = encode_header_bundle([SealedHeader(header=block.header, seal=block.seal) for block in blocks])
        if self._files.create(path, raw):
            return
        there = self._files.read(path, size_max=BUNDLE_BYTES_MAX) or b""
        try:
            same = [sealed.header.raw for sealed in parse_header_bundle(there)] == [
                block.header.raw for block in blocks
            ]
        except FormatError:
            same = False
        if not same:
            raise _damaged(path, "other bytes", "what the ledger has there; publish into an empty folder")

    def _expire(self, full_path: str, width: int, now: Millis) -> None:
        """Once a tile is full, let its partial ones go a day later."""
        if width == TILE_WIDTH:
            self._expiring.append((now, full_path + PARTIAL_SUFFIX))

    def _remove_expired(self, now: Millis) -> None:
        while self._expiring and self._expiring[0][0] + PARTIAL_KEPT <= now:
            self._files.remove_folder(self._expiring[0][1])
            self._expiring.popleft()


def _require_not_ahead(size: TreeSize, snapshot: Snapshot) -> None:
    if size > snapshot.size:
        found, expected = f"a checkpoint of {size} entries", f"at most {snapshot.size}, as this node has by now"
        raise ConditionError(field=f"published {CHECKPOINT}", found=found, expected=expected, code=Code.NOT_READY)


def _require_whole(field: str, found: int, expected: int) -> None:
    """See that a final ledger has every entry below its size and every height below its tip."""
    if found != expected:
        raise ConditionError(
            field=f"ledger.{field}", found=found, expected=f"{expected}, as its size says", code=Code.STORE_DAMAGED
        )


def archive_path(interval: Interval) -> str:
    """Return the path of an interval's archival checkpoint."""
    return f"archive/{interval}"


def _damaged(path: str, found: str, expected: str) -> ConditionError:
    return ConditionError(field=f"published {path}", found=found, expected=expected, code=Code.STORE_DAMAGED)
