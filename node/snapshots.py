"""The state after a block as one file: kept at snapshot heights, and believed by nobody who has not verified it.

The form is `domains.SNAPSHOT`, then

    header        after its length as u16; it has a state digest
    right edge    for level 0, 1, … the roots of complete subtrees of 256**level leaves that stand in no complete one of
                  the next level: (tree_size >> 8 * level) & 255 hashes
    state         of every record u32 length, key, u32 length, value; keys ascending

SHA-256 over a tag and the state part is the header's `state_digest`, and the edge folds into its root, so a snapshot is
as true as its header. Every member's snapshot of a height is the same file. Whether the header is final, a seal says.

A node keeps the newest few in a folder. A file appears whole or not at all, and is verified when the folder is opened:
one that a crash or a disk has spoilt is removed, as it can be made again at the next height.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ledger.blocks import Header, parse_header
from ledger.domains import SNAPSHOT, STATE
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.limits import HASH_BYTES, HEADER_BYTES_MAX, MIB, TILE_HEIGHT, TILE_WIDTH
from ledger.merkle import EMPTY_FRONTIER, Frontier, Hash, HashReader
from ledger.positions import Height, TreeSize
from ledger.rules.state import State
from node import failpoints
from node.execute import ExecutedBlock
from node.home import write_file

SUFFIX: Final = ".snapshot"
SNAPSHOTS_KEPT: Final = 2
SNAPSHOT_BYTES_MAX: Final = 1_024 * MIB
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verified snapshot.

    Attributes:
        header: of the block; its seal is another matter.
        edge: hashes of the right edge, a list for each level.
        frontier: the same as a frontier; its root is the header's.
        items: keys and values of the state; their digest is the header's.
    """

    header: Header
    edge: tuple[tuple[Hash, ...], ...]
    frontier: Frontier
    items: tuple[tuple[bytes, bytes], ...]


def encode_snapshot(header: Header, state: State, read: HashReader) -> bytes:
    """Write the snapshot of a block.

    Args:
        header: of a block with a state digest.
        state: after it.
        read: of a tree that begins with the block's.
    """
    assert header.state_digest
    parts = [SNAPSHOT, len(header.raw).to_bytes(2, "big"), header.raw]
    for level in range(_levels(header.tree_size)):
        end = header.tree_size >> TILE_HEIGHT * level
        parts += (read(TILE_HEIGHT * level, number) for number in range(end - end % TILE_WIDTH, end))
    for key, value in state.items():
        parts += (_encode_length(key), key, _encode_length(value), value)
    return b"".join(parts)


def parse_snapshot(raw: bytes) -> Snapshot:
    """Read a snapshot and hold it against its own header.

    Raises:
        FormatError: `snapshot.*`: not of this form.
        ProofError: `snapshot.edge` or `snapshot.state`: not what the header says.
    """
    if not raw.startswith(SNAPSHOT):
        raise FormatError(field="snapshot", found=raw[: len(SNAPSHOT)].hex(), expected="a snapshot of version 1")
    start = len(SNAPSHOT) + 2
    length = int.from_bytes(raw[len(SNAPSHOT) : start], "big")
    if length > HEADER_BYTES_MAX:
        raise FormatError(field="snapshot.header", found=f"{length} bytes", expected=f"at most {HEADER_BYTES_MAX}")
    header = parse_header(raw[start : start + length])
    start += length
    edge: list[tuple[Hash, ...]] = []
    for level in range(_levels(header.tree_size)):
        end = start + HASH_BYTES * ((header.tree_size >> TILE_HEIGHT * level) % TILE_WIDTH)
        if end > len(raw):
            raise FormatError(field="snapshot.edge", found=f"{len(raw)} bytes", expected=f"at least {end}")
        edge.append(tuple(raw[at : at + HASH_BYTES] for at in range(start, end, HASH_BYTES)))
        start = end
    frontier = _fold_edge(header.tree_size, edge)
    if frontier.root() != header.root:
        raise ProofError(field="snapshot.edge", found=frontier.root().hex(), expected=header.root.hex())
    digest = hashlib.sha256(STATE + raw[start:]).digest()
    if digest != header.state_digest:
        expected = header.state_digest.hex() or "a header with a state digest"
        raise ProofError(field="snapshot.state", found=digest.hex(), expected=expected)
    return Snapshot(header, tuple(edge), frontier, tuple(_parse_items(raw, start)))


def _levels(size: int) -> int:
    """How many levels of rows of 256 a tree has."""
    return -(-size.bit_length() // TILE_HEIGHT)


def _fold_edge(size: TreeSize, edge: Sequence[Sequence[Hash]]) -> Frontier:
    """Make the frontier that a right edge is: within each level as if its hashes were leaves, higher levels first."""
    hashes = [each for row in reversed(edge) for each in EMPTY_FRONTIER.extend(row).hashes]
    return Frontier(size=size, hashes=tuple(hashes))


def _encode_length(part: bytes) -> bytes:
    return len(part).to_bytes(_LENGTH_BYTES, "big")


def _parse_items(raw: bytes, start: int) -> Iterator[tuple[bytes, bytes]]:
    """Cut the state into keys and values."""
    while start < len(raw):
        parts: list[bytes] = []
        for _ in range(2):
            begin = start + _LENGTH_BYTES
            start = begin + int.from_bytes(raw[start:begin], "big")
            if begin > len(raw) or start > len(raw):
                raise FormatError(field="snapshot.state", found="a record cut short", expected="whole records")
            parts.append(raw[begin:start])
        yield parts[0], parts[1]


class SnapshotFolder:
    """The newest snapshots of a node."""

    def __init__(self, folder: Path) -> None:
        """Verify what is there, and remove what does not hold; a disk that refuses is as an empty one."""
        self._folder = folder
        self._sizes: dict[Height, int] = {}
        self._log = structlog.get_logger("snapshots")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):
                if not self._is_right(path):
                    path.unlink()
        except OSError as error:
            self._log.warning("no snapshots: the disk refuses", path=str(folder), problem=error.strerror)

    def _is_right(self, path: Path) -> bool:
        if path.suffix != SUFFIX or path.stat().st_size > SNAPSHOT_BYTES_MAX:
            return False  # a crash left it unfinished
        try:
            header = parse_snapshot(path.read_bytes()).header
        except LedgerError as problem:
            self._log.warning("snapshot removed: it does not hold", path=str(path), problem=str(problem))
            return False
        if path != self._path(header.height):
            return False
        self._sizes[header.height] = path.stat().st_size
        return True

    def keep(self, height: Height, raw: bytes) -> None:
        """Keep a snapshot in place of the oldest; may be called from another thread than the others, by one at a time.

        Raises:
            ConditionError: the disk refuses.
        """
        write_file(self._path(height), raw)
        failpoints.reach("snapshot.kept")
        self._sizes = {**self._sizes, height: len(raw)}
        for old in self.heights()[:-SNAPSHOTS_KEPT]:
            self._sizes = {kept: size for kept, size in self._sizes.items() if kept != old}
            with contextlib.suppress(OSError):
                self._path(old).unlink()

    def heights(self) -> list[Height]:
        """Name the snapshots that are here, oldest first."""
        return sorted(self._sizes)

    def size(self, height: Height) -> int:
        """Say how long a snapshot is; 0 if it is not here."""
        return self._sizes.get(height, 0)

    def read(self, height: Height, offset: int, count: int) -> bytes:
        """Read a part of a snapshot; nothing if it is not here any more."""
        try:
            with self._path(height).open("rb") as file:
                file.seek(min(offset, SNAPSHOT_BYTES_MAX))
                return file.read(count)
        except OSError:
            return b""

    def _path(self, height: Height) -> Path:
        return self._folder / f"{height}{SUFFIX}"


class SnapshotTaker:
    """Keeps the state after every block that carries a state digest, as the block becomes final."""

    def __init__(self, folder: SnapshotFolder, read: HashReader) -> None:
        self._folder, self._read = folder, read
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshots")
        self._log = structlog.get_logger("snapshots")

    def take(self, block: ExecutedBlock) -> None:
        """Write the snapshot of a block that was just committed, if it is at a snapshot height.

        The bytes are made at once, for a state does not last; the file is written by a thread of its own.
        """
        if block.header.state_digest:
            raw = encode_snapshot(block.header, block.state, self._read)
            self._thread.submit(self._keep, block.header.height, raw)

    def _keep(self, height: Height, raw: bytes) -> None:
        """Write it; a disk that refuses costs a snapshot and no more, as whatever matters will meet it too."""
        try:
            self._folder.keep(height, raw)
        except LedgerError as problem:
            self._log.warning("snapshot not kept", height=height, problem=str(problem))
        else:
            self._log.info("snapshot kept", height=height, bytes=len(raw))

    def close(self) -> None:
        """Return once what was taken is written."""
        self._thread.shutdown()
