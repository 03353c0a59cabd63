"""A node's own memory of the ledger: one SQLite file, one transaction a block.

Invariants
1. After any crash the file holds whole blocks: headers, entries, tree and rules state of one height, never of two.
2. Heights, indices and tree sizes are gapless; a row once written under a height or index is never changed.
3. `tiles` holds the hashes of the tree in rows of 256 (level 0: leaf hashes; above: roots of full rows below), so any
   perfect subtree root costs at most one row and 255 hashes.
4. Entries of a block this node votes for are in `candidates`, synced, before the vote leaves.
5. A database that began from a snapshot (`base`) holds block 0 with entry 0, the base block without its entries, the
   tree's right edge and the state after it; what 2 and 3 say holds from there on. What is before is asked for in vain,
   with `NOT_READY`, never answered wrongly.

One connection writes, from the driver's disk thread; another only reads, from the event loop. SQLite's own WAL keeps
the two apart. Every disk error becomes a `ConditionError` that says what an operator can do. Nothing is handed out that
does not fit its hash or checksum (`node.checksums`): a damaged file gives errors, never wrong answers.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from ledger.blocks import Header, parse_header
from ledger.errors import Code, ConditionError, FormatError, shorten
from ledger.limits import HASH_BYTES, SIZE_MAX, TILE_HEIGHT, TILE_WIDTH
from ledger.merkle import Frontier, Hash, compute_root, leaf_hash, node_hash
from ledger.positions import GENESIS_HEIGHT, Height, Interval, LeafIndex, MemberIndex, TreeSize
from node import failpoints
from node.checksums import StateSum, compute_row_check
from node.schema import BASE, STATE_SUM, connect, damaged, disk_errors, prepare_schema
from node.snapshots import Snapshot

NODE_CACHE_MAX: Final = 16_384
ROW_CACHE_MAX: Final = 32
DAMAGES_TOLD_MAX: Final = 16
_BLOCKS: Final = "SELECT height, header, seal, checksum FROM blocks"
_ARCHIVES: Final = "SELECT interval, height, checksum FROM archive"
_POSITIONS: Final = "SELECT position FROM entries WHERE"
_ROW: Final = "SELECT level, number, hashes, checksum FROM tiles WHERE level = ? AND number = ?"


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


class Store:
    """The node's database; see the module's invariants."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; `check` must be called before an existing one is believed."""
        self.path = path
        with disk_errors(path):
            self._writer = connect(path)
            self._reader = connect(path)
            prepare_schema(self._writer, path)
        self._nodes: dict[tuple[int, int], Hash] = {}
        self._rows: dict[tuple[int, int], list[Hash]] = {}
        self._told: list[str] = []
        self.base = self._read_base()

    def close(self) -> None:
        """Close both connections; anything not committed is as if it never was."""
        self._reader.close()
        self._writer.close()

    # -- writing, from the disk thread only -------------------------------------------------------------------------

    def put_meta(self, key: str, value: bytes) -> None:
        """Write one named value, durably."""
        with self._transaction("meta"):
            self._writer.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def begin_at(self, snapshot: Snapshot, seal: bytes) -> None:
        """Let a database that holds nothing but its founding go on from a verified snapshot, in one transaction."""
        header = snapshot.header
        assert self.require_tip().header.height == GENESIS_HEIGHT < header.height
        with self._transaction("base"):
            self._insert_header(header, seal)
            self._writer.execute("DELETE FROM state")
            self._writer.execute("UPDATE meta SET value = ? WHERE key = ?", (StateSum().encode(), STATE_SUM))
            self._change_state(snapshot.items)
            self._writer.execute("DELETE FROM tiles")
            for level, hashes in enumerate(snapshot.edge):
                if hashes:
                    number, row = (header.tree_size >> TILE_HEIGHT * level) // TILE_WIDTH, b"".join(hashes)
                    check = compute_row_check(level, number, row)
                    self._writer.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (level, number, row, check))
            self._writer.execute("INSERT INTO meta VALUES (?, ?)", (BASE, header.height.to_bytes(8, "big")))
        self._nodes.clear()
        self._rows.clear()
        self.base = self._read_base()

    def commit(self, blocks: Sequence[BlockCommit]) -> None:
        """Make a run of final blocks durable, oldest first, in one transaction.

        Raises:
            ConditionError: the disk refused (`DISK_FULL`), or the file is damaged; nothing of the run was kept.
        """
        with self._transaction("block"):
            for block in blocks:
                self._insert_block(block)

    def _insert_block(self, block: BlockCommit) -> None:
        header = block.header
        self._insert_header(header, block.seal)
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
        self._change_state(block.state_changes)
        self._writer.execute("DELETE FROM candidates WHERE height <= ?", (header.height,))

    def _insert_header(self, header: Header, seal: bytes) -> None:
        check = compute_row_check(header.height, header.raw, seal)
        row = (header.height, header.digest, header.tree_size, header.raw, seal, check)
        self._writer.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", row)

    def _change_state(self, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Put and take rows of the rules' state, and keep its sum."""
        execute = self._writer.execute
        row = execute("SELECT value FROM meta WHERE key = ?", (STATE_SUM,)).fetchone()
        state_sum = StateSum(self._blob(None if row is None else row[0], STATE_SUM))
        for key, value in changes:
            old = execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
            if old is not None:
                state_sum.remove(key, self._blob(old[0], "state"))
            if value is None:
                execute("DELETE FROM state WHERE key = ?", (key,))
            else:
                state_sum.add(key, value)
                execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
        execute("UPDATE meta SET value = ? WHERE key = ?", (state_sum.encode(), STATE_SUM))

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
                    found = self._writer.execute(_ROW, (level, number)).fetchone()
                    row = self._blob(self._intact("tiles", found)[2], "tiles") if found else b""
                    if len(row) != width * HASH_BYTES:
                        raise self._damaged(f"tree row {level}/{number}", f"{len(row)} bytes", f"{width} hashes")
                row += b"".join(taken)
                check = compute_row_check(level, number, row)
                self._writer.execute("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)", (level, number, row, check))
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
            row = (size, member, kind, line)
            statement = "INSERT OR IGNORE INTO cosignatures VALUES (?, ?, ?, ?, ?)"
            self._writer.execute(statement, (*row, compute_row_check(*row)))

    def put_archive(self, interval: Interval, height: Height) -> None:
        """Name the archival checkpoint of an interval: once set it stays."""
        with self._transaction("archive"):
            check = compute_row_check(interval, height)
            self._writer.execute("INSERT OR IGNORE INTO archive VALUES (?, ?, ?)", (interval, height, check))

    @contextlib.contextmanager
    def _transaction(self, name: str) -> Iterator[None]:
        """Make what is written within durable, all of it or nothing; the name is that of its points (`failpoints`)."""
        failpoints.reach(f"{name}.before")
        with disk_errors(self.path):
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
        with disk_errors(self.path):
            row: tuple[object, ...] | None = self._reader.execute(query, _in_range(arguments)).fetchone()
            return row

    def _all(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:  # Any: columns of every type
        with disk_errors(self.path):
            return self._reader.execute(query, _in_range(arguments)).fetchall()

    def _intact(self, table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:  # Any: columns of every type
        """Give the columns of a row whose last is its checksum.

        Raises:
            ConditionError: `STORE_DAMAGED`.
        """
        try:
            check = compute_row_check(*row[:-1])
        except (TypeError, AttributeError, OverflowError):
            check = None
        if check is None or check != row[-1]:
            raise self._damaged(f"{table} row {row[0]}", "other bytes", "the row that was written")
        return row[:-1]

    def _blob(self, value: object, field: str) -> bytes:
        """Narrow a column that the schema says is a BLOB."""
        if not isinstance(value, bytes):
            raise self._damaged(field, type(value).__name__, "bytes")
        return value

    def _number(self, value: object, field: str) -> int:
        """Narrow a column that the schema says is an INTEGER."""
        if not isinstance(value, int):
            raise self._damaged(field, type(value).__name__, "a number")
        return value

    def meta(self, key: str) -> bytes | None:
        """Return one named value."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else self._blob(row[0], key)

    def _read_base(self) -> StoredBlock | None:
        """Return the block whose snapshot this database began from; None where it holds everything from entry 0 on."""
        raw = self.meta(BASE)
        return None if raw is None else self.require_block(Height(int.from_bytes(raw, "big")))

    def require_history(self, index: int) -> None:
        """Check that what is asked for is not before the snapshot that this database began from.

        Raises:
            ConditionError: `NOT_READY`.
        """
        if self.base is not None and index < self.base.header.tree_size:
            first, height = self.base.header.tree_size, self.base.header.height
            expected = f"entry {first} or later: this node began from block {height}, and still audits what is before"
            raise ConditionError(field="history", found=f"entry {index}", expected=expected, code=Code.NOT_READY)

    def holds_block(self, height: int) -> bool:
        """Say whether a block of this height would be here with its entries, if it is final."""
        return self.base is None or height > self.base.header.height

    def tip(self) -> StoredBlock | None:
        """Return the newest final block, or None before founding."""
        return self._block("ORDER BY height DESC LIMIT 1")

    def require_tip(self) -> StoredBlock:
        """Return the newest final block of a founded ledger.

        Raises:
            ConditionError: `STORE_DAMAGED`: there is none.
        """
        tip = self.tip()
        if tip is None:
            raise self._damaged("blocks", "none", "the blocks of a founded ledger")
        return tip

    def require_block(self, height: Height) -> StoredBlock:
        """Return the block of a height that another row names.

        Raises:
            ConditionError: `STORE_DAMAGED`: there is none.
        """
        block = self.block_at(height)
        if block is None:
            raise self._damaged("blocks", f"none at height {height}", "the block that another row names")
        return block

    def newest_sealed(self) -> StoredBlock | None:
        """Return the newest block that carries its own seal."""
        return self._block("WHERE seal <> x'' ORDER BY height DESC LIMIT 1")

    def sealed_from(self, height: Height) -> StoredBlock | None:
        """Return the first block at or above `height` that carries its own seal."""
        return self._block("WHERE height >= ? AND seal <> x'' ORDER BY height LIMIT 1", height)

    def sealed_with_size(self, size: TreeSize) -> StoredBlock | None:
        """Return a sealed block whose checkpoint has exactly this tree size (the newest of them)."""
        block = self._block("WHERE tree_size = ? AND seal <> x'' ORDER BY height DESC LIMIT 1", size)
        return self._expected(block, "tree_size", lambda header: header.tree_size == size)

    def block_at(self, height: Height) -> StoredBlock | None:
        """Return the block of one height."""
        return self._expected(self._block("WHERE height = ?", height), "height", lambda header: header.height == height)

    def block_of(self, index: LeafIndex) -> StoredBlock | None:
        """Return the block that holds an entry: the first whose tree is larger than the index."""
        self.require_history(index)
        block = self._block("WHERE tree_size > ? ORDER BY tree_size, height LIMIT 1", index)
        return self._expected(block, "tree_size", lambda header: header.first_index <= index < header.tree_size)

    def block_with_digest(self, digest: bytes) -> StoredBlock | None:
        """Return the final block with this digest."""
        return self._expected(self._block("WHERE digest = ?", digest), "digest", lambda header: header.digest == digest)

    def _block(self, which: str, *arguments: object) -> StoredBlock | None:
        row = self._one(f"{_BLOCKS} {which}", *arguments)
        return None if row is None else self._parse_block(row)

    def _parse_block(self, row: tuple[Any, ...]) -> StoredBlock:  # Any: columns of every type
        height, raw, seal = self._intact("blocks", row)
        try:
            block = StoredBlock(header=parse_header(self._blob(raw, "header")), seal=self._blob(seal, "seal"))
        except FormatError as error:
            raise self._damaged(f"header {height}", error, "a well-formed header") from error
        return self._expected(block, "height", lambda header: header.height == height) or block

    def _expected(
        self, block: StoredBlock | None, column: str, is_right: Callable[[Header], bool]
    ) -> StoredBlock | None:
        """Hold what an index led to against the header itself."""
        if block is not None and not is_right(block.header):
            raise self._damaged(f"blocks.{column}", f"block {block.header.height}", "the block asked for")
        return block

    def blocks(self, first: Height, count: int) -> list[StoredBlock]:
        """Return up to `count` blocks from a height on."""
        if not self.holds_block(first):
            self.require_history(0)
        rows = self._all(f"{_BLOCKS} WHERE height >= ? ORDER BY height LIMIT ?", first, count)
        blocks = [self._parse_block(row) for row in rows]
        if [block.header.height for block in blocks] != list(range(first, first + len(blocks))):
            raise self._damaged("blocks", f"a gap above height {first}", "every height")
        return blocks

    def entries(self, first: LeafIndex, count: int) -> list[bytes]:
        """Return up to `count` entries from an index on, each held against its leaf hash."""
        if first > 0 or count > 1:  # entry 0 is always here
            self.require_history(first)
        query = "SELECT position, leaf, entry FROM entries WHERE position >= ? ORDER BY position LIMIT ?"
        rows = self._all(query, first, count)
        return [self._entry(first + place, row) for place, row in enumerate(rows)]

    def _entry(self, position: int, row: tuple[Any, ...]) -> bytes:  # Any: columns of every type
        entry = self._blob(row[2], "entry")
        if row[0] != position or leaf_hash(entry) != row[1]:
            raise self._damaged(f"entry {position}", "other bytes", "the entry of its leaf hash")
        return entry

    def leaves(self, first: LeafIndex, count: int) -> list[Hash]:
        """Return up to `count` leaf hashes from an index on."""
        self.require_history(first)
        rows = self._all("SELECT leaf FROM entries WHERE position >= ? ORDER BY position LIMIT ?", first, count)
        return [self._blob(row[0], "leaf") for row in rows]

    def entries_with(self, leaves: Sequence[Hash]) -> dict[Hash, bytes]:
        """Return those of the named entries that are final or kept as candidates."""
        found: dict[Hash, bytes] = {}
        for leaf in leaves:
            row = self._one("SELECT entry FROM candidates WHERE leaf = ?", leaf)
            row = row or self._one("SELECT entry FROM entries WHERE leaf = ?", leaf)
            if row is not None:
                found[leaf] = self._entry(0, (0, leaf, row[0]))
        return found

    def index_of_leaf(self, leaf: Hash) -> LeafIndex | None:
        """Return where an entry stands, by its leaf hash."""
        return self._index_of("leaf", leaf)

    def index_of_digest(self, digest: bytes) -> LeafIndex | None:
        """Return where an entry stands, by the SHA-256 of its bytes."""
        return self._index_of("digest", digest)

    def _index_of(self, column: str, value: bytes) -> LeafIndex | None:
        """Follow an index, and see in the row itself that it led to the right one."""
        row = self._one(f"{_POSITIONS} {column} = ?", value)
        if row is None:
            return None
        position = self._number(row[0], "position")
        if self._one(f"{_POSITIONS} position = ? AND +{column} = ?", position, value) is None:
            raise self._damaged(f"index of entries by {column}", f"position {position}", "the entry asked for")
        return LeafIndex(position)

    def candidate_count(self) -> int:
        """Return how many entries are kept for proposals that are not final."""
        row = self._one("SELECT count(*) FROM candidates")
        return 0 if row is None else self._number(row[0], "candidates")

    def candidates(self) -> list[tuple[Height, Hash, bytes]]:
        """Return height, leaf hash and bytes of each entry that is kept for a proposal that is not final."""
        rows = self._all("SELECT height, leaf, entry FROM candidates")
        return [(Height(height), leaf, entry) for height, leaf, entry in rows]

    def state_items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rules' state at the tip, and hold it against its sum.

        Raises:
            ConditionError: `STORE_DAMAGED`, when all was read: what was yielded is not to be believed then.
        """
        state_sum = StateSum()
        with disk_errors(self.path):
            for key, value in self._reader.execute("SELECT key, value FROM state"):
                state_sum.add(self._blob(key, "state"), self._blob(value, "state"))
                yield key, value
        if state_sum.encode() != self.meta(STATE_SUM):
            raise self._damaged("state", "another sum of its rows", "the sum that was kept with them")

    def cosignatures(self, size: TreeSize) -> list[tuple[MemberIndex, int, bytes]]:
        """Return (member, type byte, line) of the archival checkpoint of a size, by member."""
        query = "SELECT tree_size, member, type, line, checksum FROM cosignatures WHERE tree_size = ?"
        rows = self._all(f"{query} ORDER BY member, type", size)
        found = (self._intact("cosignatures", row) for row in rows)
        return [(MemberIndex(member), kind, line) for _, member, kind, line in found]

    def archive_height(self, interval: Interval) -> Height | None:
        """Return the height of an interval's archival checkpoint."""
        found = self._archives("WHERE interval = ?", interval)
        return found[0][1] if found else None

    def is_archival(self, size: TreeSize) -> bool:
        """Say whether an archival checkpoint has this tree size."""
        query = "SELECT 1 FROM archive JOIN blocks USING (height) WHERE tree_size = ? LIMIT 1"
        return self._one(query, size) is not None

    def archival_from(self, height: Height) -> Height | None:
        """Return the first archival checkpoint at or above a height."""
        found = self._archives("WHERE height >= ? ORDER BY height LIMIT 1", height)
        return found[0][1] if found else None

    def archives(self, first: Interval) -> list[tuple[Interval, Height]]:
        """Return the archival checkpoints named so far, from an interval on."""
        return self._archives("WHERE interval >= ? ORDER BY interval", first)

    def _archives(self, which: str, *arguments: object) -> list[tuple[Interval, Height]]:
        rows = self._all(f"{_ARCHIVES} {which}", *arguments)
        found = (self._intact("archive", row) for row in rows)
        return [(Interval(interval), Height(height)) for interval, height in found]

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
            row = self.tree_row(level, number)
            if len(self._rows) >= ROW_CACHE_MAX:
                self._rows.clear()
            self._rows[level, number] = row
        if offset >= len(row):
            raise self._damaged(f"tree row {level}/{number}", f"{len(row)} hashes", f"more than {offset} hashes")
        return row[offset]

    def tree_row(self, level: int, number: int) -> list[Hash]:
        """Return the hashes of a row of the tree, as far as it is filled."""
        found = self._one(_ROW, level, number)
        return [] if found is None else _split(self._blob(self._intact("tiles", found)[2], "tiles"))

    def frontier(self, size: TreeSize) -> Frontier:
        """Return the append-only frontier of the first `size` entries."""
        hashes: list[Hash] = []
        start = 0
        for level in range(size.bit_length() - 1, -1, -1):
            if size & (1 << level):
                hashes.append(self.read_hash(level, start >> level))
                start += 1 << level
        return Frontier(size=size, hashes=tuple(hashes))

    def check(self, *, with_indexes: bool = False) -> None:
        """Hold what a start rests on against itself: pages, newest block, its entries, the tree, how many entries.

        The state is checked by whoever reads it (`state_items`), the rest when it is read, or by `node.reexecution`.

        Raises:
            ConditionError: `STORE_DAMAGED` with the first thing that does not fit.
        """
        verdict = self._one(f"PRAGMA {'integrity' if with_indexes else 'quick'}_check(1)")
        if verdict != ("ok",):
            raise self._damaged("database pages", verdict[0] if verdict else "nothing", "ok")
        tip = self.tip()
        if tip is None:
            return
        header = tip.header
        root = self.frontier(header.tree_size).root()
        if root != header.root:
            raise self._damaged("root of the stored tree", root.hex(), header.root.hex())
        if self.holds_block(header.height):
            first = LeafIndex(header.first_index)
            entries = self.entries(first, header.tree_size - first)
            digest = hashlib.sha256(b"".join(leaf_hash(entry) for entry in entries)).digest()
            if digest != header.entries_digest:
                raise self._damaged(f"entries of block {header.height}", digest.hex(), header.entries_digest.hex())
        begin = 0 if self.base is None else self.base.header.tree_size
        expected = (header.tree_size - begin, header.tree_size - 1 if header.tree_size > begin else None)
        count = self._one("SELECT count(*), max(position) FROM entries WHERE position >= ?", begin)
        if count != expected:
            raise self._damaged("entries", count, f"{header.tree_size} without a gap")

    def _damaged(self, field: str, found: object, expected: str) -> ConditionError:
        """Say what is wrong, in the journal too: whoever asked for it may not be the operator."""
        if field not in self._told and len(self._told) < DAMAGES_TOLD_MAX:
            self._told.append(field)
            log = structlog.get_logger("store")
            log.critical("the database is damaged: run `counterseal node repair`", field=field, found=shorten(found))
        return damaged(self.path, found, field=field, expected=expected)


def _in_range(arguments: Sequence[object]) -> list[object]:
    """Keep integers within what SQLite can hold: no row is named by a larger one."""
    return [min(argument, SIZE_MAX) if isinstance(argument, int) else argument for argument in arguments]


def _split(row: bytes) -> list[Hash]:
    """Cut a row into hashes."""
    return [row[start : start + HASH_BYTES] for start in range(0, len(row), HASH_BYTES)]
