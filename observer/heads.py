"""Every sealed head that an observer ever saw, with where and when: what makes a second history provable later.

A file `heads.sqlite` beside the copy. A head is written, and the write is durable, before anything is decided by it.

Growth is bounded without weakening what can be proven of the ledger. A head whose block is in the copy's chain is
*settled*: the chain itself keeps header and seal of every block for good, so of settled heads only the newest are kept,
and those that are the last word of a source or of a cosigner. A head that is ahead of the copy, or contradicts it, is
never removed: nobody but a quorum can make one. What thinning does lose is old cosignatures of members that have signed
since; a rollback is found by comparison with a member's newest.
"""

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ledger.charter import Charter, ledger_keys
from ledger.checkpoints import SealLine, encode_seal_line
from ledger.domains import NOTE_COSIGNATURE_ED25519, NOTE_SEAL
from ledger.errors import Code, ConditionError
from ledger.notes import Note, SignatureLine, VerifierKey, compute_verifier_key, encode_note, parse_note
from ledger.policy import VerifiedCheckpoint
from ledger.positions import Height, Millis
from ledger.rollbacks import read_cosigned_times
from observer.disk import disk_errors, narrow_bytes, narrow_int, narrow_text

HEADS_FILE: Final = "heads.sqlite"
HEADS_VERSION: Final = 1
SETTLED_KEPT: Final = 4_096
UNSETTLED_MAX: Final = 65_536
BUSY_TIMEOUT_S: Final = 5.0
_APPLICATION_ID: Final = 0x43534832  # "CSH2"
_SCHEMA: Final = f"""
CREATE TABLE heads (key BLOB PRIMARY KEY, height INTEGER NOT NULL, size INTEGER NOT NULL, note BLOB NOT NULL,
                    state INTEGER NOT NULL);
CREATE TABLE sightings (source TEXT NOT NULL, key BLOB NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
                        PRIMARY KEY (source, key)) WITHOUT ROWID;
CREATE TABLE cosigned (member TEXT NOT NULL, time_s INTEGER NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL,
                       signature BLOB NOT NULL, PRIMARY KEY (member, time_s, key)) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {HEADS_VERSION};
"""
_INDEXES: Final = (
    "CREATE INDEX IF NOT EXISTS heads_by_state ON heads (state, height)",
    "CREATE INDEX IF NOT EXISTS heads_by_height ON heads (height)",
    "CREATE INDEX IF NOT EXISTS heads_by_size ON heads (size)",
    "CREATE INDEX IF NOT EXISTS sightings_by_key ON sightings (key)",
    "CREATE INDEX IF NOT EXISTS cosigned_by_key ON cosigned (key)",
)
_COSIGNED: Final = "SELECT time_s, key FROM cosigned WHERE member = ? AND "
_LARGER_BEFORE: Final = _COSIGNED + "time_s < ? AND size > ? ORDER BY size DESC, time_s DESC LIMIT 1"
_SMALLER_AFTER: Final = _COSIGNED + "time_s > ? AND size < ? ORDER BY size, time_s LIMIT 1"
_OPEN, _SETTLED, _FORKED = 0, 1, 2
_NEIGHBOURS: Final = """
SELECT key, height, note FROM (SELECT * FROM heads WHERE state != ?1 AND height = ?2 LIMIT 2)
UNION SELECT key, height, note FROM (SELECT * FROM heads WHERE state != ?1 AND size = ?3 ORDER BY height LIMIT 2)
UNION SELECT key, height, note FROM (SELECT * FROM heads WHERE state != ?1 AND height < ?2 ORDER BY height DESC LIMIT 1)
UNION SELECT key, height, note FROM (SELECT * FROM heads WHERE state != ?1 AND height > ?2 ORDER BY height LIMIT 1)
ORDER BY height, key
"""


@dataclass(frozen=True, slots=True)
class SeenHead:
    """A head as it was kept: believed when it was written, to be verified again by whoever proves something with it.

    Attributes:
        key: names it in this file.
        height: of its block.
        note: the note with the most lines that was seen of it.
        sources: who showed it.
    """

    key: bytes
    height: Height
    note: bytes
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rollback:
    """Two cosignatures of one member, of which the later has the smaller tree: notes as `prove_rollback` takes them."""

    member: str
    before: bytes
    after: bytes


def read_clock() -> Millis:
    """Read this machine's clock."""
    return Millis(time.time_ns() // 1_000_000)


class Heads:
    """The heads one observer saw. Belongs to one thread."""

    def __init__(self, path: Path, charter: Charter) -> None:
        """Open the file, or make it.

        Raises:
            ConditionError: it cannot be read or written, or is of another version.
        """
        self._path, self._charter = path, charter
        self._keys: dict[str, VerifierKey] = {
            member.node: compute_verifier_key(member.node, NOTE_COSIGNATURE_ED25519, member.cosigner)
            for member in charter.members
        }
        self._known = ledger_keys(charter).known
        with self._disk_errors():
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    self._connection.execute(statement)
        elif version != HEADS_VERSION:
            expected = f"version {HEADS_VERSION}; use the release that wrote it"
            raise ConditionError(
                field=str(self._path), found=f"version {version}", expected=expected, code=Code.VERSION_MISMATCH
            )
        for statement in _INDEXES:
            self._connection.execute(statement)

    def __enter__(self) -> Self:
        """Use it, and close it whatever happens."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # -- writing ------------------------------------------------------------------------------------------------------

    def keep(self, raw: bytes, checkpoint: VerifiedCheckpoint, *, source: str, seen_ms: Millis) -> bytes:
        """Keep a believed head, durably, before anything is decided by it.

        Returns:
            Its key.

        Raises:
            ConditionError: the disk refuses; or more heads than may be lie ahead of the copy.
        """
        note = self._keep_known(parse_note(raw))
        key = compute_key(note.text, checkpoint.seal)
        with self._transaction():
            known = self._one("SELECT note FROM heads WHERE key = ?", key)
            if known is None:
                self._require_room()
                row = (key, checkpoint.seal.height, checkpoint.checkpoint.size, encode_note(note), _OPEN)
                self._execute("INSERT INTO heads VALUES (?, ?, ?, ?, ?)", row)
            elif len(note.signatures) > len(parse_note(narrow_bytes(known[0], self._path)).signatures):
                self._execute("UPDATE heads SET note = ? WHERE key = ?", (encode_note(note), key))
            self._execute(
                "INSERT INTO sightings VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET last_ms = excluded.last_ms",
                (source, key, seen_ms, seen_ms),
            )
            for member, time_s in read_cosigned_times(note, self._charter).items():
                line = next(line for line in note.signatures if line.key_id == self._keys[member].key_id)
                row_cosigned = (member, time_s, key, checkpoint.checkpoint.size, line.signature)
                self._execute("INSERT OR IGNORE INTO cosigned VALUES (?, ?, ?, ?, ?)", row_cosigned)
            self._thin()
        return key

    def mark(self, key: bytes, *, is_settled: bool) -> None:
        """Remember that a head's block is in the copy's chain, or that it contradicts it and a proof was written."""
        with self._transaction():
            self._execute("UPDATE heads SET state = ? WHERE key = ?", (_SETTLED if is_settled else _FORKED, key))

    def _require_room(self) -> None:
        count = self._number("SELECT count(*) FROM heads WHERE state != ?", _SETTLED)
        if count is not None and count >= UNSETTLED_MAX:
            expected = f"fewer than {UNSETTLED_MAX} heads ahead of the copy: sync it from a source that serves blocks"
            raise ConditionError(field=str(self._path), found=count, expected=expected, code=Code.CONFIG)

    def _thin(self) -> None:
        """Remove settled heads but the newest, and the last words of sources and cosigners."""
        count = self._number("SELECT count(*) FROM heads WHERE state = ?", _SETTLED)
        if count is None or count <= SETTLED_KEPT:
            return
        self._execute(
            "DELETE FROM heads WHERE state = ?1 AND key NOT IN"
            " (SELECT key FROM heads WHERE state = ?1 ORDER BY height DESC LIMIT ?2)"
            " AND key NOT IN (SELECT key FROM (SELECT key, max(size) FROM cosigned GROUP BY member))"
            " AND key NOT IN (SELECT key FROM (SELECT key, max(time_s) FROM cosigned GROUP BY member))"
            " AND key NOT IN (SELECT key FROM (SELECT key, max(height) FROM sightings JOIN heads USING (key)"
            " GROUP BY source))",
            (_SETTLED, SETTLED_KEPT),
        )
        self._execute("DELETE FROM sightings WHERE key NOT IN (SELECT key FROM heads)", ())
        self._execute("DELETE FROM cosigned WHERE key NOT IN (SELECT key FROM heads)", ())

    # -- reading ------------------------------------------------------------------------------------------------------

    def unsettled(self, *, up_to: Height) -> list[SeenHead]:
        """Return the heads up to a height of which it was never decided whether they are in the chain, lowest first."""
        query = "SELECT key, height, note FROM heads WHERE state = ? AND height <= ? ORDER BY height, key"
        return [self._read_head(row) for row in self._all(query, _OPEN, up_to)]

    def neighbours(self, checkpoint: VerifiedCheckpoint) -> list[SeenHead]:
        """Return the heads next to one, of the same height, of the same size, and the nearest above and below.

        Heads that are already proven to contradict something are left out. If those that are kept do not contradict
        each other, and these do not contradict the new one, then none of them does: size, time and view only rise.
        """
        height, size = checkpoint.seal.height, checkpoint.checkpoint.size
        return [self._read_head(row) for row in self._all(_NEIGHBOURS, _FORKED, height, size)]

    def heads(self) -> list[SeenHead]:
        """Return every head that is kept, lowest first."""
        return [self._read_head(row) for row in self._all("SELECT key, height, note FROM heads ORDER BY height, key")]

    def highest_of(self, source: str) -> Height | None:
        """Return the height of the highest head that a source ever showed."""
        found = self._number("SELECT max(height) FROM sightings JOIN heads USING (key) WHERE source = ?", source)
        return None if found is None else Height(found)

    def asked_ms(self) -> Millis | None:
        """Return when a source last showed a sealed head, by this machine's clock."""
        found = self._number("SELECT max(last_ms) FROM sightings")
        return None if found is None else Millis(found)

    def find_rollbacks(self, key: bytes) -> list[Rollback]:
        """Give, of each member that cosigned this head, the worst contradiction to what else it cosigned, if any."""
        found = []
        for row in self._all("SELECT member, time_s, size FROM cosigned WHERE key = ?", key):
            member, time_s, size = narrow_text(row[0], self._path), narrow_int(row[1], self._path), row[2]
            here = self._write_note(member, time_s, key)
            larger = self._one(_LARGER_BEFORE, member, time_s, size)
            smaller = self._one(_SMALLER_AFTER, member, time_s, size)
            if larger is not None:
                found.append(Rollback(member, self._write_cosigned(member, larger), here))
            elif smaller is not None:
                found.append(Rollback(member, here, self._write_cosigned(member, smaller)))
        return found

    def _read_head(self, row: tuple[object, ...]) -> SeenHead:
        key = narrow_bytes(row[0], self._path)
        height, note = Height(narrow_int(row[1], self._path)), narrow_bytes(row[2], self._path)
        return SeenHead(key=key, height=height, note=note, sources=self._sources(key))

    def _write_cosigned(self, member: str, row: tuple[object, ...]) -> bytes:
        return self._write_note(member, narrow_int(row[0], self._path), narrow_bytes(row[1], self._path))

    def _write_note(self, member: str, time_s: int, key: bytes) -> bytes:
        """Write a head with its seal and one cosignature."""
        row = self._one("SELECT note FROM heads WHERE key = ?", key)
        line = self._one(
            "SELECT signature FROM cosigned WHERE member = ? AND time_s = ? AND key = ?", member, time_s, key
        )
        assert row is not None
        assert line is not None
        note = parse_note(narrow_bytes(row[0], self._path))
        seal = compute_verifier_key(self._charter.origin, NOTE_SEAL, self._charter.group_key)
        lines = [each for each in note.signatures if each.key_id == seal.key_id and each.name == seal.name]
        verifier = self._keys[member]
        lines.append(
            SignatureLine(name=verifier.name, key_id=verifier.key_id, signature=narrow_bytes(line[0], self._path))
        )
        return encode_note(Note(text=note.text, signatures=tuple(lines)))

    def _keep_known(self, note: Note) -> Note:
        """Drop lines of strangers, who could make any number of notes out of one."""
        lines = tuple(line for line in note.signatures if (line.name, line.key_id) in self._known)
        return Note(text=note.text, signatures=lines)

    def _sources(self, key: bytes) -> tuple[str, ...]:
        rows = self._all("SELECT source FROM sightings WHERE key = ? ORDER BY first_ms, source", key)
        return tuple(narrow_text(row[0], self._path) for row in rows)

    # -- SQLite -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._disk_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        with disk_errors(self._path, remedy="an intact file; move it away and keep it: it holds what was seen"):
            yield

    def _execute(self, query: str, arguments: Sequence[object]) -> None:
        self._connection.execute(query, tuple(arguments))

    def _number(self, query: str, *arguments: object) -> int | None:
        row = self._one(query, *arguments)
        return None if row is None or row[0] is None else narrow_int(row[0], self._path)

    def _one(self, query: str, *arguments: object) -> tuple[object, ...] | None:
        rows = self._all(query, *arguments)
        return rows[0] if rows else None

    def _all(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        with self._disk_errors():
            return self._connection.execute(query, arguments).fetchall()


def compute_key(text: str, seal: SealLine) -> bytes:
    """Name a head by what the quorum signed, whoever else signed beneath."""
    return hashlib.sha256(text.encode("utf-8") + encode_seal_line(seal)).digest()


def open_heads(home: Path, charter: Charter) -> Heads:
    """Open the heads beside a copy; the file is made where there is none.

    Raises:
        ConditionError: as `Heads`.
    """
    return Heads(home / HEADS_FILE, charter)
