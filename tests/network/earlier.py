"""Makes of a stopped node one of earlier: with a database of version 1, or with nothing but its founding."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from ledger.positions import LeafIndex
from node.beginning import found_store
from node.home import Home
from node.schema import CHECKED_COLUMNS, STATE_SUM
from node.store import Store


def set_schema_back(path: Path) -> None:
    """Make a database one of version 1, as the first release wrote it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for table in CHECKED_COLUMNS:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.execute("DELETE FROM meta WHERE key = ?", (STATE_SUM,))
        connection.execute("PRAGMA user_version = 1")
        connection.execute("COMMIT")


def read_schema_version(path: Path, aside: Path) -> int:
    """Say of which version a database is, as whoever opens it finds it; in a copy, which nothing is mended in."""
    aside.mkdir()
    for each in path.parent.glob(f"{path.name}*"):
        if not each.name.endswith("-shm"):
            shutil.copy(each, aside / each.name)
    with closing(sqlite3.connect(aside / path.name)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        has_checksums = "checksum" in str(connection.execute("SELECT sql FROM sqlite_master").fetchall())
        assert has_checksums == (version > 1)
    return version


def forget_ledger(home: Home) -> None:
    """Leave a node its keys, its vote log and its founding, and have it begin from a member's snapshot."""
    store = Store(home.store)
    entry, transcript = store.entries(LeafIndex(0), 1)[0], store.meta("transcript")
    store.close()
    assert transcript is not None
    for path in (home.store, home.history):
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()
    shutil.rmtree(home.root / "public", ignore_errors=True)
    found_store(home.store, entry, transcript)
    settings = home.config.read_text(encoding="utf-8")
    assert "from_snapshot = " in settings
    home.config.write_text(settings.replace("from_snapshot = false", "from_snapshot = true"), encoding="utf-8")
