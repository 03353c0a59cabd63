"""What a witness remembers: of each log the newest checkpoint it cosigned, in one SQLite file.

Invariants
1. Reading the newest checkpoint of a log, deciding, and writing the next one are one transaction (`deciding`),
   whichever threads or processes ask at once: of two requests from the same size one finds the other's checkpoint.
2. What is written is durable when `deciding` ends (WAL, `synchronous = FULL`), and only then does anybody see the
   cosignature. So after any crash the witness remembers at least what it gave away.
3. A checkpoint is kept as the note that was cosigned, this witness's own line in it. Size, root and time are read from
   it and the line is verified, so a file that somebody edited is refused, not believed. An *older* file that is put
   back cannot be told from the right one: a witness whose file was lost or restored must be given up with its key.
4. The file belongs to one key, whose verifier key stands in it; without the file that `found_witness_store` made
   nothing is begun: a lost file must not look like a witness that has seen nothing.
5. Two notes in which a log signed two trees of one size are kept, `FORKS_MAX` for a log: they are the proof.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from ledger.checkpoints import Checkpoint, parse_cosignature
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import SIGNATURE_BYTES
from ledger.notes import Note, VerifierKey, encode_note, encode_vkey, parse_note, parse_vkey
from ledger.policy import verify_lines
from ledger.positions import Seconds
from ledger.witnessing import parse_head
from tlog.publisher import pass_by

STORE_FILE: Final = "witness.sqlite"
FORKS_MAX: Final = 16
BUSY_TIMEOUT_S: Final = 5.0
SCHEMA_VERSION: Final = 1
_APPLICATION_ID: Final = 0x43535731  # "CSW1"
_SCHEMA: Final = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE heads (origin TEXT PRIMARY KEY, note BLOB NOT NULL, day INTEGER NOT NULL, growths INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE forks (origin TEXT NOT NULL, note BLOB NOT NULL, seen_s INTEGER NOT NULL, held BLOB NOT NULL,
                    PRIMARY KEY (origin, note)) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


@dataclass(frozen=True, slots=True)
class Held:
    """The newest checkpoint cosigned of a log.

    Attributes:
        checkpoint: what was cosigned.
        time_s: when.
        note: text, the log's lines, and the cosignature behind them.
        day: since the Unix epoch, on which it grew last.
        growths: how often it grew on that day.
    """

    checkpoint: Checkpoint
    time_s: Seconds
    note: Note
    day: int
    growths: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Two trees of one size, both signed by the log: the one this witness cosigned, and another."""

    origin: str
    cosigned: Note
    other: Note
    seen_s: Seconds


class WitnessStore:
    """The memory of one witness. Used by one thread at a time."""

    def __init__(self, path: Path, *, reach: Callable[[str], None] = pass_by) -> None:
        """Open what `found_witness_store` made; `reach` is told where a crash could leave something half done.

        Raises:
            ConditionError: there is none, it is damaged (`STORE_DAMAGED`), or of another release (`VERSION_MISMATCH`).
        """
        if not path.exists():
            raise ConditionError(
                field=str(path),
                found="no memory of what was cosigned",
                expected="the file that `init` made; if it is lost, give this witness and its key up for a new one",
                code=Code.STORE_DAMAGED,
            )
        self.path: Final = path
        self._reach = reach
        with _disk_errors(path):
            self._connection = _connect(path)
        try:
            self._check()
            self.key: Final[VerifierKey] = self._read_key()
            self.heads()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        """Use it, and close it whatever happens."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the file; what was not committed is as if it never was."""
        self._connection.close()

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """Let nobody else read or write until the block ends; then everything written in it is durable, or nothing.

        Raises:
            ConditionError: the disk refuses, or another process holds the file for too long.
        """
        with _disk_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            self._reach("witness.begun")
            try:
                yield
                self._reach("witness.written")
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise
            self._reach("witness.durable")

    def head(self, origin: str) -> Held | None:
        """Return the newest checkpoint cosigned of a log.

        Raises:
            ConditionError: `STORE_DAMAGED`: it is not what was written.
        """
        with _disk_errors(self.path):
            row = self._connection.execute(
                "SELECT note, day, growths FROM heads WHERE origin = ?", (origin,)
            ).fetchone()
        return None if row is None else self._read_head(origin, row)

    def heads(self) -> dict[str, Held]:
        """Return all of them, by origin.

        Raises:
            ConditionError: `STORE_DAMAGED`.
        """
        with _disk_errors(self.path):
            rows = self._connection.execute("SELECT origin, note, day, growths FROM heads ORDER BY origin").fetchall()
        return {origin: self._read_head(origin, tuple(rest)) for origin, *rest in rows}

    def put_head(self, note: Note, *, day: int, growths: int) -> None:
        """Remember a cosigned checkpoint as its log's newest; within `deciding`."""
        origin = parse_head(note.text).checkpoint.origin
        self._connection.execute(
            "INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?)", (origin, encode_note(note), day, growths)
        )

    def put_fork(self, fork: Fork) -> bool:
        """Keep the proof that a log signed two trees of one size; within `deciding`.

        Returns:
            Whether it was kept: not if it is there already, or enough are.
        """
        count = self._connection.execute("SELECT count(*) FROM forks WHERE origin = ?", (fork.origin,)).fetchone()[0]
        if count >= FORKS_MAX:
            return False
        added = self._connection.execute(
            "INSERT OR IGNORE INTO forks VALUES (?, ?, ?, ?)",
            (fork.origin, encode_note(fork.other), fork.seen_s, encode_note(fork.cosigned)),
        )
        return added.rowcount > 0

    def forks(self) -> list[Fork]:
        """Return what is kept, by origin and time.

        Raises:
            ConditionError: `STORE_DAMAGED`.
        """
        with _disk_errors(self.path):
            rows = self._connection.execute(
                "SELECT origin, held, note, seen_s FROM forks ORDER BY origin, seen_s"
            ).fetchall()
        with self._intact("forks"):
            return [Fork(origin, parse_note(held), parse_note(note), Seconds(at)) for origin, held, note, at in rows]

    def _check(self) -> None:
        with _disk_errors(self.path):
            verdict = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if verdict != "ok":
            raise self._damaged("pages", verdict)
        if version != SCHEMA_VERSION:
            found, expected = f"version {version}", f"version {SCHEMA_VERSION}; use the release that wrote it"
            raise ConditionError(field=str(self.path), found=found, expected=expected, code=Code.VERSION_MISMATCH)

    def _read_key(self) -> VerifierKey:
        with _disk_errors(self.path):
            row = self._connection.execute("SELECT value FROM meta WHERE key = 'vkey'").fetchone()
        with self._intact("vkey"):
            return parse_vkey(row[0])

    def _read_head(self, origin: str, row: tuple[object, ...]) -> Held:
        raw, day, growths = row
        with self._intact(f"head of {origin}"):
            if not (isinstance(raw, bytes) and isinstance(day, int) and isinstance(growths, int)):
                raise TypeError("columns of another type")
            note = parse_note(raw)
            checkpoint = parse_head(note.text).checkpoint
            known = MappingProxyType({(self.key.name, self.key.key_id): self.key})
            ((line, _),) = verify_lines(note, known, checkpoint)
            if checkpoint.origin != origin:
                raise FormatError(field="origin", found=checkpoint.origin, expected=origin)
            time_s = parse_cosignature(line.signature, signature_bytes=SIGNATURE_BYTES).time_s
            return Held(checkpoint, time_s, note, day, growths)

    @contextlib.contextmanager
    def _intact(self, field: str) -> Iterator[None]:
        """Say that the file was changed, whatever it is that a reader of what was written here stumbles over."""
        try:
            yield
        except (TypeError, ValueError) as error:
            raise self._damaged(field, str(error) or type(error).__name__) from error

    def _damaged(self, field: str, found: str) -> ConditionError:
        expected = "what this witness wrote; give it and its key up for a new one"
        return ConditionError(field=f"{self.path}: {field}", found=found, expected=expected, code=Code.STORE_DAMAGED)


def found_witness_store(path: Path, key: VerifierKey) -> None:
    """Begin the memory of a key that has signed nothing yet.

    Raises:
        ConditionError: there is a memory already, which may hold proofs (`CONFIG`); or the disk refuses.
    """
    if path.exists():
        expected = "none yet: a new witness needs an empty folder"
        raise ConditionError(field=str(path), found="a memory", expected=expected, code=Code.CONFIG)
    with _disk_errors(path):
        connection = _connect(path)
        try:
            connection.executescript(f"BEGIN; {_SCHEMA}")
            connection.execute("INSERT INTO meta VALUES ('vkey', ?)", (encode_vkey(key),))
            connection.execute("COMMIT")
        finally:
            connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Say in our words what SQLite says."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        code, expected = Code.STORE_DAMAGED, "what this witness wrote; give it and its key up for a new one"
        if "full" in text or "disk I/O" in text:
            code, expected = Code.DISK_FULL, "room on a writable disk"
        elif "locked" in text or "readonly" in text or "unable to open" in text:
            code, expected = Code.CONFIG, "a file that this witness alone writes"
        raise ConditionError(field=str(path), found=text, expected=expected, code=code) from error
