"""An observer's own copy of the ledger: a folder with one SQLite file, which never holds anything unverified.

Invariants
1. The copy is pinned to one charter fingerprint when it is made, and belongs to that ledger for good.
2. It holds a chain of `VerifiedBlock`s without a gap, up to a sealed one; a run of blocks is added in one transaction,
   so after any crash it ends with an earlier sealed block, and a sync goes on from there.
3. Notes in it were believed by `ledger.policy`, and their blocks are in the chain.
4. What is read for a proof or a board is read through `ledger.tiles.TileReader`, which compares it with the root of the
   newest block; and that block's seal is verified each time the copy is opened. So a copy that somebody changed on disk
   is refused, and not believed, wherever the change matters. `observer.audit` looks at all of it.
"""

import contextlib
import hashlib
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from ledger.blocks import NO_SEAL, SealedHeader, genesis_header, parse_header, seal_message
from ledger.charter import Charter, ledger_keys, parse_charter
from ledger.errors import Code, ConditionError, PolicyError
from ledger.limits import HASH_BYTES, KIB, MIB, TILE_WIDTH
from ledger.policy import LedgerKeys
from ledger.positions import Height, LeafIndex, MemberIndex
from ledger.threshold import bls
from ledger.threshold.transcripts import parse_transcript
from ledger.tiles import EMPTY_EDGE, TileReader, encode_bundle, parse_bundle_path, parse_tile_path
from observer.chain import Position, VerifiedBlock, begin
from observer.disk import disk_errors, narrow_bytes, narrow_int
from observer.subjects import read_subject

FILE: Final = "copy.sqlite"
SCHEMA_VERSION: Final = 1
NOTES_KEPT: Final = 256
BUSY_TIMEOUT_S: Final = 5.0
PAGE_BYTES: Final = 16 * KIB  # entries of some kilobytes: in pages of 4 KiB most would need a chain of pages each
CACHE_BYTES: Final = 32 * MIB  # a run stays in memory until it is committed, and so do the newest pages of indexes
_APPLICATION_ID: Final = 0x43534F31  # "CSO1"
_BUNDLES: Final = "tile/entries/"
_SCHEMA: Final = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (height INTEGER PRIMARY KEY, tree_size INTEGER NOT NULL, header BLOB NOT NULL, seal BLOB NOT NULL);
CREATE INDEX blocks_by_size ON blocks (tree_size);
CREATE TABLE entries (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL, entry BLOB NOT NULL);
CREATE INDEX entries_by_leaf ON entries (leaf);
CREATE TABLE tiles (level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL,
                    PRIMARY KEY (level, number)) WITHOUT ROWID;
CREATE TABLE subjects (kind TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL,
                       PRIMARY KEY (kind, name, position)) WITHOUT ROWID;
CREATE TABLE notes (height INTEGER PRIMARY KEY, cosigners INTEGER NOT NULL, note BLOB NOT NULL);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


def _disk_errors(path: Path) -> contextlib.AbstractContextManager[None]:
    return disk_errors(path, remedy=f"an intact copy; remove {FILE} and sync again, but keep what lies beside it")


class Copy:
    """One observer's copy. Belongs to one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, fingerprint: bytes) -> None:
        """Read and believe what is on disk; `open_copy` and `found_copy` call this.

        Raises:
            ConditionError: `STORE_DAMAGED`.
            PolicyError, ProofError, SignatureError, FormatError: what is on disk is not what was written.
        """
        self.path: Final = path
        self._connection = connection
        self.charter: Final[Charter] = parse_charter(b"".join(self.entries(LeafIndex(0), 1)))
        if self.charter.ledger_id != fingerprint:
            found = self.charter.fingerprint
            raise PolicyError(field=f"{path}: entry 0", found=found, expected=f"the pinned charter {fingerprint.hex()}")
        self.transcript: bytes
        self.ml_dsa_keys: dict[MemberIndex, bytes]
        self.keys: LedgerKeys
        self._learn(self._meta("transcript") or b"")
        self._version = self._one("PRAGMA data_version")
        self.head: SealedHeader = self._read_head()
        self.tree: TileReader = self._read_tree(self.head)

    def __enter__(self) -> Self:
        """Use it, and close it whatever happens."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the file; anything not committed is as if it never was."""
        self._connection.close()

    @property
    def position(self) -> Position:
        """Where the chain ends."""
        return Position(self.head.header, self.tree.edge.frontier())

    def _learn(self, transcript: bytes) -> None:
        keys = read_ml_dsa_keys(self.charter, transcript)
        self.keys = ledger_keys(self.charter, keys)
        self.transcript, self.ml_dsa_keys = transcript, keys

    def _read_head(self) -> SealedHeader:
        """Read the newest block and verify its seal; the first needs none, since the charter alone makes it."""
        row = self._one("SELECT max(height) FROM blocks")
        head = self.block(Height(narrow_int(row[0] if row else None, self.path)))
        header = head.header
        if head.seal == NO_SEAL:
            if header != genesis_header(self.charter.entry, self.charter.founded_at_ms):
                raise self._damaged(f"block {header.height}", "no seal", "a sealed block at the end of the chain")
            return head
        message = seal_message(header, self.charter.origin)
        bls.verify_signature(
            self.charter.group_key, message, head.seal, field=f"{self.path}: blocks[{header.height}].seal"
        )
        return head

    def _read_tree(self, head: SealedHeader) -> TileReader:
        header = head.header
        return TileReader(size=header.tree_size, root=header.root, fetch=self.read_path)

    def refresh(self) -> bool:
        """Take up what another process has written since, as carefully as when opening; say whether there was anything.

        Raises:
            ConditionError, PolicyError, ProofError, SignatureError, FormatError: as `Copy`; this copy is as it was.
        """
        version = self._one("PRAGMA data_version")
        if version == self._version:
            return False
        head = self._read_head()
        tree = self.tree if head.header == self.head.header else self._read_tree(head)
        if not self.transcript:
            self._learn(self._meta("transcript") or b"")
        self.head, self.tree, self._version = head, tree, version
        return True

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read all that is read inside from one state of the file, whatever other processes write meanwhile."""
        with _disk_errors(self.path):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):  # closed inside
                self._connection.execute("ROLLBACK")

    # -- writing ------------------------------------------------------------------------------------------------------

    def append(self, blocks: Sequence[VerifiedBlock]) -> None:
        """Add a run of blocks that ends with a sealed one, in one transaction.

        Raises:
            ConditionError: the disk refuses, or another process has written meanwhile; nothing of the run was kept.
        """
        last = blocks[-1]
        assert blocks[0].header.parent == self.head.header.digest
        assert last.seal != NO_SEAL
        edge, tiles = self.tree.edge.extend(leaf for block in blocks for leaf in block.leaves)
        assert edge.frontier().root() == last.header.root
        with self._transaction():
            newest = self._one("SELECT max(height) FROM blocks")
            if newest is None or newest[0] != self.head.header.height:
                expected = f"height {self.head.header.height}: no other process that is writing to this copy"
                raise ConditionError(field=str(self.path), found=newest, expected=expected, code=Code.CONFIG)
            _insert_blocks(self._connection, blocks)
            self._connection.executemany(
                "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)",
                ((tile.level, tile.index, raw) for tile, raw in tiles.items()),
            )
        self.head = SealedHeader(last.header, last.seal)
        self.tree = self._read_tree(self.head)

    def put_note(self, raw: bytes, *, height: Height, cosigners_count: int) -> None:
        """Keep a believed note of a block in the chain, unless one with as many cosigners is there already."""
        with self._transaction():
            self._connection.execute(
                "INSERT INTO notes VALUES (?, ?, ?) ON CONFLICT (height) DO UPDATE SET cosigners = excluded.cosigners,"
                " note = excluded.note WHERE excluded.cosigners > notes.cosigners",
                (height, cosigners_count, raw),
            )
            self._connection.execute(
                "DELETE FROM notes WHERE height NOT IN (SELECT height FROM notes ORDER BY height DESC LIMIT ?)",
                (NOTES_KEPT,),
            )

    def put_transcript(self, raw: bytes) -> None:
        """Keep the ceremony's transcript, from which the members' ML-DSA-44 keys come.

        Raises:
            PolicyError, FormatError: as `read_ml_dsa_keys`; nothing was kept.
        """
        self._learn(raw)
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('transcript', ?)", (raw,))

    def put_audited(self, head: SealedHeader) -> None:
        """Remember how far the rules were executed again and everything was found to hold."""
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('audited', ?)", (head.header.raw,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _transaction(self._connection, self.path):
            yield

    # -- reading ------------------------------------------------------------------------------------------------------

    def audited_height(self) -> Height | None:
        """Return the height up to which the newest audit of this very chain found everything to hold."""
        raw = self._meta("audited")
        if raw is None:
            return None
        header = parse_header(raw)
        there = self.blocks(header.height, 1)
        return header.height if there and there[0].header == header else None

    def blocks(self, first: Height, count: int) -> list[SealedHeader]:
        """Return up to `count` headers with their seals, from a height on."""
        rows = self._all(
            "SELECT header, seal FROM blocks WHERE height >= ? ORDER BY height LIMIT ?", first, min(count, 1 << 31)
        )
        return [
            SealedHeader(parse_header(narrow_bytes(header, self.path)), narrow_bytes(seal, self.path))
            for header, seal in rows
        ]

    def block_with_entry(self, index: LeafIndex) -> SealedHeader:
        """Return the block that added an entry."""
        row = self._one("SELECT min(height) FROM blocks WHERE tree_size > ?", index)
        return self.block(Height(narrow_int(row[0] if row else None, self.path)))

    def block(self, height: Height) -> SealedHeader:
        """Return one header with its seal, of a height up to the newest."""
        there = self.blocks(height, 1)
        if not there or there[0].header.height != height:
            raise self._damaged("blocks", f"none of height {height}", "a chain without a gap")
        return there[0]

    def entries(self, first: LeafIndex, count: int) -> list[bytes]:
        """Return up to `count` entries from an index on, as they lie on disk: compared with nothing."""
        rows = self._all(
            "SELECT position, entry FROM entries WHERE position >= ? ORDER BY position LIMIT ?", first, count
        )
        if [row[0] for row in rows] != list(range(first, first + len(rows))):
            raise self._damaged(f"entries from {first} on", "a gap", "none")
        return [narrow_bytes(entry, self.path) for _, entry in rows]

    def proven_entries(self, indices: Sequence[LeafIndex]) -> Iterator[bytes]:
        """Give entries of ascending indices, each compared with the sealed root; a bundle is read once.

        Raises:
            ProofError, ConditionError: what lies on disk is not what was written.
        """
        for place, group in itertools.groupby(indices, key=lambda index: index // TILE_WIDTH):
            bundle = self.tree.read_bundle(place)
            yield from (bundle[index % TILE_WIDTH] for index in group)

    def find_leaf(self, leaf: bytes) -> LeafIndex | None:
        """Return where the entry with this leaf hash stands."""
        return self._index("SELECT min(position) FROM entries WHERE leaf = ?", leaf)

    def find_newest(self, kinds: Sequence[str], name: str) -> LeafIndex | None:
        """Return where the newest entry about a subject stands."""
        found = (
            self._index("SELECT max(position) FROM subjects WHERE kind = ? AND name = ?", kind, name) for kind in kinds
        )
        return max((index for index in found if index is not None), default=None)

    def find_subject(self, kind: str, start: str) -> str | None:
        """Return the first subject of a kind whose name is `start` or comes after it, in the order of characters."""
        row = self._one("SELECT min(name) FROM subjects WHERE kind = ? AND name >= ?", kind, start)
        name = None if row is None else row[0]
        if name is not None and not isinstance(name, str):
            raise self._damaged("subjects", type(name).__name__, "a name")
        return name

    def newest_subjects(self, kind: str) -> list[LeafIndex]:
        """Return where the newest entry about each subject of a kind stands, in ascending order."""
        rows = self._all("SELECT max(position) FROM subjects WHERE kind = ? GROUP BY name", kind)
        return sorted(LeafIndex(narrow_int(row[0], self.path)) for row in rows)

    def all_subjects(self, kind: str) -> list[LeafIndex]:
        """Indices of every statement of a kind, in the order of the ledger."""
        rows = self._all("SELECT position FROM subjects WHERE kind = ? ORDER BY position", kind)
        return [LeafIndex(narrow_int(position, self.path)) for (position,) in rows]

    def notes(self) -> list[tuple[Height, bytes]]:
        """Return the kept notes with the heights of their blocks, newest first."""
        rows = self._all("SELECT height, note FROM notes ORDER BY height DESC")
        return [(Height(narrow_int(height, self.path)), narrow_bytes(note, self.path)) for height, note in rows]

    def newest_note(self, *, cosigners_min: int) -> tuple[Height, bytes] | None:
        """Return the newest kept note with at least so many cosigners, and the height of its block."""
        query = "SELECT height, note FROM notes WHERE cosigners >= ? ORDER BY height DESC LIMIT 1"
        row = self._one(query, cosigners_min)
        return None if row is None else (Height(narrow_int(row[0], self.path)), narrow_bytes(row[1], self.path))

    def read_path(self, path: str) -> bytes | None:
        """Give a tile or bundle of this copy, compared with nothing: a `ledger.tiles.TileSource`."""
        if path.startswith(_BUNDLES):
            bundle = parse_bundle_path(path)
            entries = self.entries(LeafIndex(bundle.index * TILE_WIDTH), bundle.width)
            return encode_bundle(entries) if len(entries) == bundle.width else None
        tile = parse_tile_path(path)
        row = self._one("SELECT hashes FROM tiles WHERE level = ? AND number = ?", tile.level, tile.index)
        return None if row is None else narrow_bytes(row[0], self.path)[: tile.width * HASH_BYTES]

    def _meta(self, key: str) -> bytes | None:
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else narrow_bytes(row[0], self.path)

    def _index(self, query: str, *arguments: object) -> LeafIndex | None:
        row = self._one(query, *arguments)
        return None if row is None or row[0] is None else LeafIndex(narrow_int(row[0], self.path))

    def _one(self, query: str, *arguments: object) -> tuple[object, ...] | None:
        rows = self._all(query, *arguments)
        return rows[0] if rows else None

    def _all(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        with _disk_errors(self.path):
            return self._connection.execute(query, arguments).fetchall()

    def _damaged(self, field: str, found: object, expected: str) -> ConditionError:
        return ConditionError(field=f"{self.path}: {field}", found=found, expected=expected, code=Code.STORE_DAMAGED)


def open_copy(home: Path, *, fingerprint: bytes | None = None) -> Copy | None:
    """Open the copy in a folder; None where none was made yet.

    Args:
        home: the folder.
        fingerprint: what the caller believes the charter's to be; None to take the one the copy is pinned to.

    Raises:
        PolicyError: the copy is pinned to another charter.
        ConditionError, ProofError, SignatureError, FormatError: as `Copy`.
    """
    path = home / FILE
    if not path.exists():
        return None
    connection = _connect(path)
    try:
        pinned = _read_pin(connection, path, fingerprint)
        copy = None if pinned is None else Copy(path, connection, fingerprint=pinned)
    except BaseException:
        connection.close()
        raise
    if copy is None:
        connection.close()
    return copy


def _read_pin(connection: sqlite3.Connection, path: Path, fingerprint: bytes | None) -> bytes | None:
    """Return the fingerprint the copy is pinned to; None after a founding that broke off."""
    with _disk_errors(path):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        row = connection.execute("SELECT value FROM meta WHERE key = 'charter'").fetchone() if version else None
    if version == 0:
        return None
    if version != SCHEMA_VERSION:
        expected = f"version {SCHEMA_VERSION}; use the release that wrote it, or sync into another folder"
        raise ConditionError(field=str(path), found=f"version {version}", expected=expected, code=Code.VERSION_MISMATCH)
    pinned = narrow_bytes(row[0] if row else None, path)
    if fingerprint is not None and pinned != fingerprint:
        raise PolicyError(
            field=f"{path}: charter",
            found=f"a copy pinned to {pinned.hex()}",
            expected=f"{fingerprint.hex()}; another ledger needs another folder",
        )
    return pinned


def require_copy(home: Path, *, fingerprint: bytes | None = None) -> Copy:
    """Open the copy in a folder.

    Raises:
        ConditionError: none was made yet (`NOT_FOUND`); else as `open_copy`.
    """
    copy = open_copy(home, fingerprint=fingerprint)
    if copy is None:
        expected = "a copy; make one with `counterseal observe sync`"
        raise ConditionError(field=str(home), found="none", expected=expected, code=Code.NOT_FOUND)
    return copy


def found_copy(home: Path, charter: Charter) -> Copy:
    """Make the copy of a ledger: pinned to its charter, which the caller compared with a fingerprint it trusts."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / FILE
    connection = _connect(path)
    try:
        _, genesis = begin(charter)
        _, tiles = EMPTY_EDGE.extend(genesis.leaves)
        with _transaction(connection, path):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('charter', ?)", (charter.ledger_id,))
            _insert_blocks(connection, [genesis])
            for tile, raw in tiles.items():
                connection.execute("INSERT INTO tiles VALUES (?, ?, ?)", (tile.level, tile.index, raw))
        return Copy(path, connection, fingerprint=charter.ledger_id)
    except BaseException:
        connection.close()
        raise


def read_ml_dsa_keys(charter: Charter, transcript: bytes) -> dict[MemberIndex, bytes]:
    """Give the members' ML-DSA-44 keys out of the ceremony's transcript; none where there is no transcript.

    Raises:
        PolicyError: `transcript`: another than the one the charter names.
        FormatError: not a transcript.
    """
    if not transcript:
        return {}
    digest = hashlib.sha256(transcript).hexdigest()
    if digest != charter.predicate.transcript:
        raise PolicyError(field="transcript", found=digest, expected=f"{charter.predicate.transcript}, as the charter")
    keys = parse_transcript(transcript).cosigners_ml_dsa
    return {member.index: key for member, key in zip(charter.members, keys, strict=False)}


def _connect(path: Path) -> sqlite3.Connection:
    with _disk_errors(path):
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a file that is made now; another keeps its own
        connection.execute(f"PRAGMA cache_size = {-CACHE_BYTES // KIB}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    with _disk_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back by itself
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _insert_blocks(connection: sqlite3.Connection, blocks: Sequence[VerifiedBlock]) -> None:
    connection.executemany(
        "INSERT INTO blocks VALUES (?, ?, ?, ?)",
        ((block.header.height, block.header.tree_size, block.header.raw, block.seal) for block in blocks),
    )
    placed = [
        (block.header.first_index + offset, leaf, entry)
        for block in blocks
        for offset, (leaf, entry) in enumerate(zip(block.leaves, block.entries, strict=True))
    ]
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", placed)
    subjects = ((read_subject(entry), position) for position, _, entry in placed)
    connection.executemany(
        "INSERT INTO subjects VALUES (?, ?, ?)",
        sorted((each.kind, each.name, position) for each, position in subjects if each is not None),  # as they lie
    )
