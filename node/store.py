"""A node's own memory of the ledger: one SQLite file, one transaction a block.

Invariants
1. After any crash the file holds whole blocks: headers, entries, tree and rules state of one height, never of two.
2. Heights, indices and tree sizes are gapless; a row once written under a height or index is never changed.
3. `tiles` holds the hashes of the tree in rows of 256 (level 0: leaf hashes; above: roots of full rows below), so any
   perfect subtree root costs at most one row and 255 hashes.
4. Entries of a block this node votes for are in `candidates`, synced, before the vote leaves.

One connection writes, from the driver's disk thread; another only reads, from the event loop. SQLite's own WAL keeps
the two apart. Every disk error becomes a `ConditionError` that says what an operator can do.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.blocks import Header, parse_header
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import HASH_BYTES, SIZE_MAX, TILE_HEIGHT, TILE_WIDTH
from ledger.merkle import Frontier, Hash, compute_root, leaf_hash, node_hash
from ledger.positions import Height, Interval, LeafIndex, MemberIndex, TreeSize
from node import failpoints

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_MS: Final = 5_000
READ_CACHE_KIB: Final = 8_192
WAL_PAGES: Final = 4_000  # 16 MB: a page that many blocks touch is copied into the database once for all of them
NODE_CACHE_MAX: Final = 16_384
ROW_CACHE_MAX: Final = 32
_APPLICATION_ID: Final = 0x43534C31  # "CSL1", so that `file` and we recognise the database

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (height INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, tree_size INTEGER NOT NULL,
                     header BLOB NOT NULL, seal BLOB NOT NULL);
CREATE INDEX blocks_by_size ON blocks (tree_size);
CREATE TABLE entries (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL UNIQUE, digest BLOB NOT NULL UNIQUE,
                      entry BLOB NOT NULL);
CREATE TABLE tiles (level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL,
                    PRIMARY KEY (level, number)) WITHOUT ROWID;
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE candidates (leaf BLOB PRIMARY KEY, height INTEGER NOT NULL, entry BLOB NOT NULL);
CREATE INDEX candidates_by_height ON candidates (height);
CREATE TABLE cosignatures (tree_size INTEGER NOT NULL, member INTEGER NOT NULL, type INTEGER NOT NULL,
                           line BLOB NOT NULL, PRIMARY KEY (tree_size, member, type)) WITHOUT ROWID;
CREATE TABLE archive (interval INTEGER PRIMARY KEY, height INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A final block's header and its seal (empty when final through a descendant)."""

    header: Header
    seal: bytes


@dataclass(frozen=True, slots=True)
class BlockCommit:
    """All that becomes true when a block becomes final."""

    header: Header
    seal: bytes
    entries: Sequence[bytes]
    leaves: Sequence[Hash]
    state_changes: Sequence[tuple[bytes, bytes | None]]


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's words into ours: full disk, read-only disk, damage, another process."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            raise ConditionError(
                field=str(path), found=text, expected="room on a writable disk", code=Code.DISK_FULL
            ) from error
        if "locked" in text or "readonly" in text or "unable to open" in text:
            raise ConditionError(
                field=str(path), found=text, expected="a file only this node writes", code=Code.NOT_READY
            ) from error
        raise ConditionError(
            field=str(path), found=text, expected="an intact database", code=Code.STORE_DAMAGED
        ) from error
    except sqlite3.DatabaseError as error:
        raise ConditionError(
            field=str(path), found=str(error), expected="an intact database", code=Code.STORE_DAMAGED
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    """Open one connection with the settings every connection here has."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{READ_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    return connection


class Store:
    """The node's database; see the module's invariants."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; `check` must be called before an existing one is believed."""
        self.path = path
        with _disk_errors(path):
            self._writer = _connect(path)
            self._reader = _connect(path)
            self._prepare_schema()
        self._nodes: dict[tuple[int, int], Hash] = {}
        self._rows: dict[tuple[int, int], list[Hash]] = {}

    def _prepare_schema(self) -> None:
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and self._writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            self._writer.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
            return
        if version != SCHEMA_VERSION:
            raise ConditionError(
                field=str(self.path),
                found=f"database version {version}",
                expected=f"version {SCHEMA_VERSION}; use the release that wrote it",
                code=Code.VERSION_MISMATCH,
            )

    def close(self) -> None:
        """Close both connections; anything not committed is as if it never was."""
        self._reader.close()
        self._writer.close()

    # -- writing, from the disk thread only -------------------------------------------------------------------------

    def put_meta(self, key: str, value: bytes) -> None:
        """Write one named value, durably."""
        with self._transaction("meta"):
            self._writer.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def commit(self, blocks: Sequence[BlockCommit]) -> None:
        """Make a run of final blocks durable, oldest first, in one transaction.

        Raises:
            ConditionError: the disk refused (`DISK_FULL`), or the file is damaged; nothing of the run was kept.
        """
        with self._transaction("block"):
            for block in blocks:
                self._insert_block(block)

    def _insert_block(self, block: BlockCommit) -> None:
        header, execute = block.header, self._writer.execute
        execute(
            "INSERT INTO blocks VALUES (?, ?, ?, ?, ?)",
            (header.height, header.digest, header.tree_size, header.raw, block.seal),
        )
        first = header.first_index
        self._writer.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?)",
            (
                (first + offset, leaf, hashlib.sha256(entry).digest(), entry)
                for offset, (leaf, entry) in enumerate(zip(block.leaves, block.entries, strict=True))
            ),
        )
        failpoints.reach("block.rows")
        self._extend_tiles(first, block.leaves)
        self._writer.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?)",
            ((key, value) for key, value in block.state_changes if value is not None),
        )
        self._writer.executemany(
            "DELETE FROM state WHERE key = ?", ((key,) for key, value in block.state_changes if value is None)
        )
        execute("DELETE FROM candidates WHERE height <= ?", (header.height,))

    def _extend_tiles(self, first: int, leaves: Sequence[Hash]) -> None:
        """Append hashes to level 0 from position `first`, and roots of rows that became full to the level above."""
        level, position, hashes = 0, first, list(leaves)
        while hashes:
            full_roots: list[Hash] = []
            first_root = position // TILE_WIDTH
            while hashes:
                number, width = divmod(position, TILE_WIDTH)
                taken, hashes = hashes[: TILE_WIDTH - width], hashes[TILE_WIDTH - width :]
                row = b""
                if width:
                    found = self._writer.execute(
                        "SELECT hashes FROM tiles WHERE level = ? AND number = ?", (level, number)
                    ).fetchone()
                    row = bytes(found[0])
                    assert len(row) == width * HASH_BYTES
                row += b"".join(taken)
                self._writer.execute("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)", (level, number, row))
                position += len(taken)
                if len(row) == TILE_WIDTH * HASH_BYTES:
                    full_roots.append(compute_root(_split(row)))
            level, position, hashes = level + 1, first_root, full_roots

    def put_candidates(self, height: Height, entries: Iterable[tuple[Hash, bytes]]) -> None:
        """Keep the entries of a proposed block of this height, durably, before a vote for it may leave."""
        with self._transaction("candidates"):
            self._writer.executemany(
                "INSERT INTO candidates VALUES (?, ?, ?)"
                " ON CONFLICT (leaf) DO UPDATE SET height = max(height, excluded.height)",
                ((leaf, height, entry) for leaf, entry in entries),
            )

    def put_cosignature(self, size: TreeSize, member: MemberIndex, kind: int, line: bytes) -> None:
        """Keep one member's cosignature of an archival checkpoint; the first for (size, member, type) stays."""
        with self._transaction("cosignature"):
            self._writer.execute("INSERT OR IGNORE INTO cosignatures VALUES (?, ?, ?, ?)", (size, member, kind, line))

    def put_archive(self, interval: Interval, height: Height) -> None:
        """Name the archival checkpoint of an interval: once set it stays."""
        with self._transaction("archive"):
            self._writer.execute("INSERT OR IGNORE INTO archive VALUES (?, ?)", (interval, height))

    @contextlib.contextmanager
    def _transaction(self, name: str) -> Iterator[None]:
        """Make what is written within durable, all of it or nothing; the name is that of its points (`failpoints`)."""
        failpoints.reach(f"{name}.before")
        with _disk_errors(self.path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
                failpoints.reach(f"{name}.inside")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back by itself
                    self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")
        failpoints.reach(f"{name}.after")

    # -- reading, from the event loop --------------------------------------------------------------------------------

    def _one(self, query: str, *arguments: object) -> tuple[object, ...] | None:
        with _disk_errors(self.path):
            row: tuple[object, ...] | None = self._reader.execute(query, _in_range(arguments)).fetchone()
            return row

    def _all(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:  # Any: columns of every type
        with _disk_errors(self.path):
            return self._reader.execute(query, _in_range(arguments)).fetchall()

    def meta(self, key: str) -> bytes | None:
        """Return one named value."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else _bytes(row[0])

    def tip(self) -> StoredBlock | None:
        """Return the newest final block, or None before founding."""
        return self._block("SELECT header, seal FROM blocks ORDER BY height DESC LIMIT 1")

    def newest_sealed(self) -> StoredBlock | None:
        """Return the newest block that carries its own seal."""
        return self._block("SELECT header, seal FROM blocks WHERE seal <> x'' ORDER BY height DESC LIMIT 1")

    def sealed_from(self, height: Height) -> StoredBlock | None:
        """Return the first block at or above `height` that carries its own seal."""
        return self._block(
            "SELECT header, seal FROM blocks WHERE height >= ? AND seal <> x'' ORDER BY height LIMIT 1", height
        )

    def sealed_with_size(self, size: TreeSize) -> StoredBlock | None:
        """Return a sealed block whose checkpoint has exactly this tree size (the newest of them)."""
        return self._block(
            "SELECT header, seal FROM blocks WHERE tree_size = ? AND seal <> x'' ORDER BY height DESC LIMIT 1", size
        )

    def block_at(self, height: Height) -> StoredBlock | None:
        """Return the block of one height."""
        return self._block("SELECT header, seal FROM blocks WHERE height = ?", height)

    def block_of(self, index: LeafIndex) -> StoredBlock | None:
        """Return the block that holds an entry: the first whose tree is larger than the index."""
        return self._block(
            "SELECT header, seal FROM blocks WHERE tree_size > ? ORDER BY tree_size, height LIMIT 1", index
        )

    def block_with_digest(self, digest: bytes) -> StoredBlock | None:
        """Return the final block with this digest."""
        return self._block("SELECT header, seal FROM blocks WHERE digest = ?", digest)

    def _block(self, query: str, *arguments: object) -> StoredBlock | None:
        row = self._one(query, *arguments)
        return None if row is None else StoredBlock(header=parse_header(_bytes(row[0])), seal=_bytes(row[1]))

    def blocks(self, first: Height, count: int) -> list[StoredBlock]:
        """Return up to `count` blocks from a height on."""
        rows = self._all("SELECT header, seal FROM blocks WHERE height >= ? ORDER BY height LIMIT ?", first, count)
        return [StoredBlock(header=parse_header(bytes(raw)), seal=bytes(seal)) for raw, seal in rows]

    def entries(self, first: LeafIndex, count: int) -> list[bytes]:
        """Return up to `count` entries from an index on."""
        rows = self._all("SELECT entry FROM entries WHERE position >= ? ORDER BY position LIMIT ?", first, count)
        return [bytes(row[0]) for row in rows]

    def leaves(self, first: LeafIndex, count: int) -> list[Hash]:
        """Return up to `count` leaf hashes from an index on."""
        rows = self._all("SELECT leaf FROM entries WHERE position >= ? ORDER BY position LIMIT ?", first, count)
        return [bytes(row[0]) for row in rows]

    def entries_with(self, leaves: Sequence[Hash]) -> dict[Hash, bytes]:
        """Return those of the named entries that are final or kept as candidates."""
        found: dict[Hash, bytes] = {}
        with _disk_errors(self.path):
            for leaf in leaves:
                row = self._reader.execute("SELECT entry FROM candidates WHERE leaf = ?", (leaf,)).fetchone()
                row = row or self._reader.execute("SELECT entry FROM entries WHERE leaf = ?", (leaf,)).fetchone()
                if row is not None:
                    found[leaf] = bytes(row[0])
        return found

    def index_of_leaf(self, leaf: Hash) -> LeafIndex | None:
        """Return where an entry stands, by its leaf hash."""
        row = self._one("SELECT position FROM entries WHERE leaf = ?", leaf)
        return None if row is None else LeafIndex(_int(row[0]))

    def index_of_digest(self, digest: bytes) -> LeafIndex | None:
        """Return where an entry stands, by the SHA-256 of its bytes."""
        row = self._one("SELECT position FROM entries WHERE digest = ?", digest)
        return None if row is None else LeafIndex(_int(row[0]))

    def candidate_count(self) -> int:
        """Return how many entries are kept for proposals that are not final."""
        row = self._one("SELECT count(*) FROM candidates")
        return 0 if row is None else _int(row[0])

    def state_items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rules' state at the tip."""
        with _disk_errors(self.path):
            for key, value in self._reader.execute("SELECT key, value FROM state"):
                yield bytes(key), bytes(value)

    def cosignatures(self, size: TreeSize) -> list[tuple[MemberIndex, int, bytes]]:
        """Return (member, type byte, line) of the archival checkpoint of a size, by member."""
        rows = self._all("SELECT member, type, line FROM cosignatures WHERE tree_size = ? ORDER BY member, type", size)
        return [(MemberIndex(member), kind, bytes(line)) for member, kind, line in rows]

    def archive_height(self, interval: Interval) -> Height | None:
        """Return the height of an interval's archival checkpoint."""
        row = self._one("SELECT height FROM archive WHERE interval = ?", interval)
        return None if row is None else Height(_int(row[0]))

    def is_archival(self, size: TreeSize) -> bool:
        """Say whether an archival checkpoint has this tree size."""
        query = "SELECT 1 FROM archive JOIN blocks USING (height) WHERE tree_size = ? LIMIT 1"
        return self._one(query, size) is not None

    def archival_from(self, height: Height) -> Height | None:
        """Return the first archival checkpoint at or above a height."""
        row = self._one("SELECT height FROM archive WHERE height >= ? ORDER BY height LIMIT 1", height)
        return None if row is None else Height(_int(row[0]))

    def archives(self, first: Interval) -> list[tuple[Interval, Height]]:
        """Return the archival checkpoints named so far, from an interval on."""
        rows = self._all("SELECT interval, height FROM archive WHERE interval >= ? ORDER BY interval", first)
        return [(Interval(interval), Height(height)) for interval, height in rows]

    # -- the tree ------------------------------------------------------------------------------------------------------

    def read_hash(self, level: int, number: int) -> Hash:
        """Return the root of the perfect subtree of `2**level` leaves that starts at leaf `number * 2**level`.

        A `ledger.merkle.HashReader` over what is final. Complete subtrees never change, so results are cached.
        """
        row_level, depth = divmod(level, TILE_HEIGHT)
        if depth == 0:
            return self._read_row_hash(row_level, *divmod(number, TILE_WIDTH))
        root = self._nodes.get((level, number))
        if root is None:
            root = node_hash(self.read_hash(level - 1, 2 * number), self.read_hash(level - 1, 2 * number + 1))
            if len(self._nodes) >= NODE_CACHE_MAX:
                self._nodes.clear()
            self._nodes[level, number] = root
        return root

    def _read_row_hash(self, level: int, number: int, offset: int) -> Hash:
        """Return one hash of a row; the last rows asked for are kept, and read again when one has grown since."""
        row = self._rows.get((level, number), [])
        if offset >= len(row):
            found = self._one("SELECT hashes FROM tiles WHERE level = ? AND number = ?", level, number)
            row = [] if found is None else _split(_bytes(found[0]))
            if len(self._rows) >= ROW_CACHE_MAX:
                self._rows.clear()
            self._rows[level, number] = row
        if offset >= len(row):
            raise ConditionError(
                field=f"tree row {level}/{number}",
                found=f"{len(row)} hashes",
                expected=f"more than {offset} hashes in {self.path}",
                code=Code.STORE_DAMAGED,
            )
        return row[offset]

    def frontier(self, size: TreeSize) -> Frontier:
        """Return the append-only frontier of the first `size` entries."""
        hashes: list[Hash] = []
        start = 0
        for level in range(size.bit_length() - 1, -1, -1):
            if size & (1 << level):
                hashes.append(self.read_hash(level, start >> level))
                start += 1 << level
        return Frontier(size=size, hashes=tuple(hashes))

    def check(self) -> None:
        """Hold the file against itself and against the newest block's root and entries.

        Raises:
            ConditionError: `STORE_DAMAGED` with the first thing that does not fit.
        """
        with _disk_errors(self.path):
            verdict = self._reader.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise self._damaged("database pages", verdict, "ok")
        try:
            tip = self.tip()
        except LedgerError as error:
            raise self._damaged("newest header", error, "a well-formed header") from error
        if tip is None:
            return
        header = tip.header
        root = self.frontier(header.tree_size).root()
        if root != header.root:
            raise self._damaged("root of the stored tree", root.hex(), header.root.hex())
        first = LeafIndex(header.first_index)
        entries = self.entries(first, header.tree_size - first)
        digest = hashlib.sha256(b"".join(leaf_hash(entry) for entry in entries)).digest()
        if digest != header.entries_digest:
            raise self._damaged(f"entries of block {header.height}", digest.hex(), header.entries_digest.hex())
        count = self._one("SELECT count(*), max(position) FROM entries")
        if count is None or count[0] != header.tree_size or count[1] != header.tree_size - 1:
            raise self._damaged("entries", count, f"{header.tree_size} without a gap")

    def _damaged(self, field: str, found: object, expected: str) -> ConditionError:
        return ConditionError(field=f"{self.path}: {field}", found=found, expected=expected, code=Code.STORE_DAMAGED)


def _in_range(arguments: Sequence[object]) -> list[object]:
    """Keep integers within what SQLite can hold: no row is named by a larger one."""
    return [min(argument, SIZE_MAX) if isinstance(argument, int) else argument for argument in arguments]


def _split(row: bytes) -> list[Hash]:
    """Cut a row into hashes."""
    return [row[start : start + HASH_BYTES] for start in range(0, len(row), HASH_BYTES)]


def _bytes(value: object) -> bytes:
    """Narrow a column that the schema says is a BLOB."""
    assert isinstance(value, bytes)
    return value


def _int(value: object) -> int:
    """Narrow a column that the schema says is an INTEGER."""
    assert isinstance(value, int)
    return value
