"""The folder that is exported to: files of tables, a manifest that is written last, and a lock.

    manifest.json                       what is there, under which sealed head
    entries/000000000000.parquet        entries from index 0 on
    entries/000000065536.parquet        entries from index 65 536 on
    reports/, verdicts/, votes/, statements/   the same ranges, each with the rows of its table
    seals/000000000000.parquet          blocks from height 0 on
    .lock, .writing/                    ours

Invariants
1. A file is named by where its range begins. It is written aside and put in place by one rename, so a reader sees it
   whole; the last one of a table, whose range is not full yet, is replaced under its name by one that holds the same
   rows and more. So at no moment does a reader of `entries/*.parquet` see a row twice, or none where it saw one.
2. A full range is never written again, unless its file is gone or of another size than the manifest says.
3. The manifest is replaced after the files it lists. What is not in it was left by an export that broke off, and is
   removed when the next one begins.
4. One process writes at a time; the lock is the kernel's and ends with the process.
5. Nothing is ever removed but files with our names in our folders.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.limits import MIB, SIZE_MAX, TILE_WIDTH
from observer.export.parts import Part
from observer.export.schema import SCHEMA_VERSION, TABLES
from observer.files import read_file, write_file

MANIFEST: Final = "manifest.json"
RANGE_WIDTH: Final = 65_536
"""How many entries, or blocks, a file's range has: as many as a tile of level 1 stands for."""

MANIFEST_BYTES_MAX: Final = 256 * MIB
_LOCK: Final = ".lock"
_ASIDE: Final = ".writing"
_MANIFEST_ASIDE: Final = re.compile(rf"\.{re.escape(MANIFEST)}\.[0-9]+", re.ASCII)
"""What `write_file` leaves when it is killed."""

_NAME: Final = re.compile(r"[0-9]{12,19}\.parquet", re.ASCII)

Size = Annotated[int, Meta(ge=0, le=SIZE_MAX)]
Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class HeadLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sealed head that all rows are under.

    Attributes:
        height: of the block.
        tree_size: how many entries the ledger had.
        root: hex, of the Merkle tree.
        block: hex digest, its name.
        time_ms: its time.
        seal: hex; empty only if there is no block but the charter's.
    """

    height: Size
    tree_size: Size
    root: Hex32
    block: Hex32
    time_ms: Size
    seal: str


class FileLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file: its range, how many rows it has, its size and hex SHA-256."""

    first: Size
    end: Size
    rows: Size
    size_bytes: Size
    sha256: Hex32


class TableLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table: up to which index or height it is complete, and its files in order."""

    complete_to: Size
    rows: Size
    files: tuple[FileLine, ...]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is in the folder.

    Attributes:
        schema_version: of the tables.
        ledger: hex, the charter's fingerprint.
        origin: name of the ledger.
        title: what people call it.
        head: the sealed head that all rows are under.
        has_entry_bytes: whether the table of entries holds their bytes.
        range_width: how many entries, or blocks, a file's range has.
        tables: by name.
    """

    schema_version: int
    ledger: Hex32
    origin: str
    title: str
    head: HeadLine
    has_entry_bytes: bool
    range_width: Annotated[int, Meta(ge=TILE_WIDTH, multiple_of=TILE_WIDTH)]
    tables: dict[str, TableLine]


class _Version(msgspec.Struct):
    schema_version: int


_MANIFEST: Final = msgspec.json.Decoder(Manifest)
_VERSION: Final = msgspec.json.Decoder(_Version)


def name_file(first: int) -> str:
    """Name the file of the range that begins there.

    >>> name_file(65536)
    '000000065536.parquet'
    """
    return f"{first:012d}.parquet"


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest for people: indented, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def parse_manifest(raw: bytes, *, path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        ConditionError: of another version (`VERSION_MISMATCH`).
        FormatError: no manifest, or with tables or ranges that none has.
    """
    try:
        version = _VERSION.decode(raw).schema_version
        if version != SCHEMA_VERSION:
            expected = f"version {SCHEMA_VERSION}: use the release that wrote it, or write all anew with --rebuild"
            raise ConditionError(
                field=str(path), found=f"version {version}", expected=expected, code=Code.VERSION_MISMATCH
            )
        manifest = _MANIFEST.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        expected = "a manifest of an export; write all anew with --rebuild"
        raise FormatError(field=str(path), found=str(error), expected=expected) from None
    for table, line in manifest.tables.items():
        firsts = [file.first for file in line.files]
        if table not in TABLES or firsts != [place * manifest.range_width for place in range(len(firsts))]:
            expected = "tables of this version, files of every range in order; write all anew with --rebuild"
            raise FormatError(field=str(path), found=table, expected=expected)
    return manifest


@contextlib.contextmanager
def open_dataset(folder: Path) -> Iterator["Dataset"]:
    """Open the folder, making it, and keep other exports out while the context lasts.

    Raises:
        ConditionError: another export is at work there (`NOT_READY`); the folder holds something else, or cannot be
            written to (`CONFIG`).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_ours(folder)
        held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        found = os.strerror(error.errno or 0)
        raise ConditionError(
            field=str(folder), found=found, expected="a folder on a writable disk", code=Code.CONFIG
        ) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Dataset(folder)
    except BlockingIOError:
        expected = "one export to this folder at a time"
        raise ConditionError(field=str(folder), found="another export at work here", expected=expected) from None
    finally:
        os.close(held)


class Dataset:
    """The files in the folder. Use `open_dataset`, which holds the lock."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that is ours and locked."""
        self.folder: Final = folder
        self._aside: Final = folder / _ASIDE

    def read_manifest(self) -> Manifest | None:
        """Read what is there; None where nothing was written yet.

        Raises:
            FormatError, ConditionError: as `parse_manifest`.
        """
        path = self.folder / MANIFEST
        if not path.exists():
            return None
        return parse_manifest(read_file(path, size_max=MANIFEST_BYTES_MAX, field="manifest"), path=path)

    def write_manifest(self, manifest: Manifest) -> None:
        """Say what is there now; every file that it lists is in place."""
        write_file(self.folder / MANIFEST, encode_manifest(manifest))
        _sync_folder(self.folder)

    def forget(self) -> None:
        """Take everything away that an export wrote, the manifest first."""
        (self.folder / MANIFEST).unlink(missing_ok=True)
        _sync_folder(self.folder)
        self.sweep(None)

    def sweep(self, manifest: Manifest | None) -> None:
        """Remove what an export left that broke off: whatever the manifest does not list."""
        for path in self.folder.iterdir():
            if _MANIFEST_ASIDE.fullmatch(path.name):
                path.unlink()
        if self._aside.is_dir():
            for path in self._aside.iterdir():
                path.unlink()
        for table in TABLES:
            place = self.folder / table
            line = None if manifest is None else manifest.tables.get(table)
            listed = {name_file(file.first) for file in line.files} if line else set()
            if place.is_dir():
                for path in place.iterdir():
                    if _NAME.fullmatch(path.name) and path.name not in listed:
                        path.unlink()

    def tidy(self) -> None:
        """Remove the place for files that are being written; none are any more."""
        if self._aside.is_dir():
            self._aside.rmdir()

    def is_intact(self, table: str, file: FileLine) -> bool:
        """Say whether a listed file is there with the size it had; its bytes are the reader's to compare."""
        try:
            return (self.folder / table / name_file(file.first)).stat().st_size == file.size_bytes
        except FileNotFoundError:
            return False

    def make_aside(self, table: str, first: int) -> Path:
        """Give a place for a file to be written to: on the same disk, and no `*.parquet` of any glob."""
        self._aside.mkdir(exist_ok=True)
        path = self._aside / f"{table}-{first:012d}.part"
        path.unlink(missing_ok=True)
        return path

    def publish(self, parts: Sequence[Part], *, first: int, end: int) -> dict[str, FileLine]:
        """Put the files of a range in place, and say by table what is to be listed."""
        lines = {}
        for part in parts:
            place = self.folder / part.table
            place.mkdir(exist_ok=True)
            (self._aside / f"{part.table}-{first:012d}.part").replace(place / name_file(first))
            _sync_folder(place)
            lines[part.table] = FileLine(
                first=first, end=end, rows=part.rows, size_bytes=part.size_bytes, sha256=part.sha256
            )
        return lines


def require_same_ledger(manifest: Manifest, *, ledger: str, folder: Path) -> None:
    """Refuse to add rows of one ledger to those of another.

    Raises:
        PolicyError: the folder holds another ledger.
    """
    if manifest.ledger != ledger:
        expected = f"{ledger}; another ledger needs another folder"
        raise PolicyError(field=f"{folder}: ledger", found=manifest.ledger, expected=expected)


def _require_ours(folder: Path) -> None:
    """Refuse a folder with something in it that no export wrote, unless an export was written there all the same.

    Raises:
        ConditionError: `CONFIG`.
    """
    ours = {MANIFEST, _LOCK, _ASIDE, *TABLES}
    others = (path.name for path in folder.iterdir() if path.name not in ours)
    other = min((name for name in others if not _MANIFEST_ASIDE.fullmatch(name)), default=None)
    if other is not None and not (folder / MANIFEST).exists():
        expected = "a new or empty folder, or one that an export was written to"
        raise ConditionError(field=str(folder), found=other, expected=expected, code=Code.CONFIG)


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
