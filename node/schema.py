"""The tables of a node's database, their version, and how an older file becomes one of today.

Version 2 has checksums (`node.checksums`) where version 1 had nothing that would notice a changed byte. A file of
version 1 is brought up in one transaction when it is opened: after a crash it is of the one version or the other. Its
checksums then hold what was found; whether that was right, only `counterseal node check` can say.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.errors import Code, ConditionError
from node import failpoints
from node.checksums import StateSum, compute_row_check

SCHEMA_VERSION: Final = 2
STATE_SUM: Final = "state sum"
BASE: Final = "base"
"""Height of the block whose snapshot the database began from, 8 bytes; absent in one that holds everything."""
BUSY_TIMEOUT_MS: Final = 5_000
READ_CACHE_KIB: Final = 8_192
WAL_PAGES: Final = 4_000  # 16 MB: a page that many blocks touch is copied into the database once for all of them
_APPLICATION_ID: Final = 0x43534C31  # "CSL1", so that `file` and we recognise the database

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (height INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, tree_size INTEGER NOT NULL,
                     header BLOB NOT NULL, seal BLOB NOT NULL, checksum BLOB NOT NULL DEFAULT x'');
CREATE INDEX blocks_by_size ON blocks (tree_size);
CREATE TABLE entries (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL UNIQUE, digest BLOB NOT NULL UNIQUE,
                      entry BLOB NOT NULL);
CREATE TABLE tiles (level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL,
                    checksum BLOB NOT NULL DEFAULT x'', PRIMARY KEY (level, number)) WITHOUT ROWID;
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE candidates (leaf BLOB PRIMARY KEY, height INTEGER NOT NULL, entry BLOB NOT NULL);
CREATE INDEX candidates_by_height ON candidates (height);
CREATE TABLE cosignatures (tree_size INTEGER NOT NULL, member INTEGER NOT NULL, type INTEGER NOT NULL,
                           line BLOB NOT NULL, checksum BLOB NOT NULL DEFAULT x'',
                           PRIMARY KEY (tree_size, member, type)) WITHOUT ROWID;
CREATE TABLE archive (interval INTEGER PRIMARY KEY, height INTEGER NOT NULL, checksum BLOB NOT NULL DEFAULT x'');
"""

# Each row of these has a checksum over these columns.
CHECKED_COLUMNS: Final = {
    "blocks": ("height", "header", "seal"),
    "tiles": ("level", "number", "hashes"),
    "cosignatures": ("tree_size", "member", "type", "line"),
    "archive": ("interval", "height"),
}


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
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
        raise damaged(path, text) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # text that is none is met before any column is
        raise damaged(path, str(error)) from error


def damaged(path: Path, found: object, *, field: str = "", expected: str = "what was written") -> ConditionError:
    """Say that the database is not what was written, and what helps."""
    return ConditionError(
        field=f"{path}: {field}" if field else str(path),
        found=found,
        expected=f"{expected}; stop the node and run `counterseal node repair`",
        code=Code.STORE_DAMAGED,
    )


def connect(path: Path) -> sqlite3.Connection:
    """Open one connection with the settings every connection to such a file has."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{READ_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    return connection


def prepare_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file, or bring an older one up to date.

    Raises:
        ConditionError: `VERSION_MISMATCH`: a newer release wrote it.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        connection.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        )
        connection.execute("INSERT INTO meta VALUES (?, ?)", (STATE_SUM, StateSum().encode()))
        connection.execute("COMMIT")
        return
    if version == 1:
        _add_checksums(connection)
    elif version != SCHEMA_VERSION:
        raise ConditionError(
            field=str(path),
            found=f"database version {version}",
            expected=f"version {SCHEMA_VERSION}; use the release that wrote it",
            code=Code.VERSION_MISMATCH,
        )


def _add_checksums(connection: sqlite3.Connection) -> None:
    """From version 1 to 2."""
    connection.create_function("row_check", -1, compute_row_check, deterministic=True)
    failpoints.reach("schema.before")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table, columns in CHECKED_COLUMNS.items():
            connection.execute(f"ALTER TABLE {table} ADD COLUMN checksum BLOB NOT NULL DEFAULT x''")
            connection.execute(f"UPDATE {table} SET checksum = row_check({', '.join(columns)})")  # noqa: S608  # ours
            failpoints.reach("schema.table")
        state_sum = StateSum()
        for key, value in connection.execute("SELECT key, value FROM state"):
            state_sum.add(key, value)
        connection.execute("INSERT INTO meta VALUES (?, ?)", (STATE_SUM, state_sum.encode()))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        failpoints.reach("schema.inside")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    failpoints.reach("schema.after")
