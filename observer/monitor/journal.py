"""The journal of one monitor: what it has told, how far it has looked, and what each outlet still has to be given.

A file `watch.sqlite` beside the copy; each thread that uses it opens it for itself.

Invariants
1. Alarms, the conditions that last and the cursor of the ledger are written in one transaction. So after any crash the
   next look goes on where the last recorded one ended: nothing between two cursors is skipped, nothing is told twice.
2. An alarm's id is unique here; recording it again changes nothing.
3. Alarms have numbers that only rise, and an outlet has a position: everything up to it was taken, filtered out, or set
   aside. So what waits for an outlet is whatever lies behind its position, in order, and no queue grows beside the
   alarms themselves.
4. A position moves only after the outlet has taken the alarm. A crash between the two has the outlet given the same
   alarm, under the same id, once more.
5. At most `ALARMS_KEPT_MAX` alarms are kept. An outlet that is so far behind loses the oldest ones, and that is counted
   (`left_off_count`, whether its filter wanted them or not), never silent; the same for an alarm that it refused.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ledger.errors import Code, ConditionError
from ledger.positions import Height, Millis
from observer.disk import disk_errors, narrow_int, narrow_text
from observer.monitor.alarms import Alarm, decode_alarm, encode_alarm
from observer.monitor.conditions import Key, Lasting
from observer.monitor.kinds import KINDS, Group

JOURNAL_FILE: Final = "watch.sqlite"
JOURNAL_VERSION: Final = 1
ALARMS_KEPT_MAX: Final = 100_000
BATCH_MAX: Final = 1_000
BUSY_TIMEOUT_S: Final = 30.0
_APPLICATION_ID: Final = 0x43534A31  # "CSJ1"
_AT_ONCE: Final = Millis(0)
_REPEATABLE: Final = (Group.EVIDENCE, Group.DEADLINE, Group.ACCOUNT)
"""Alarms of these would be found again at every look: their ids are kept for good, their words are not."""
_SCHEMA: Final = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE alarms (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE told (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE conditions (kind TEXT NOT NULL, subject TEXT NOT NULL, since_ms INTEGER NOT NULL, raised_ms INTEGER,
                         fine_ms INTEGER, PRIMARY KEY (kind, subject)) WITHOUT ROWID;
CREATE TABLE outlets (name TEXT PRIMARY KEY, position INTEGER NOT NULL, attempts INTEGER NOT NULL,
                      next_ms INTEGER NOT NULL, failing_ms INTEGER, failure TEXT NOT NULL,
                      left_off INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {JOURNAL_VERSION};
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the ledger was looked through: a height, and which block stood there."""

    height: Height
    block: str


@dataclass(frozen=True, slots=True)
class Numbered:
    """An alarm with its number in this journal."""

    number: int
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class OutletState:
    """How an outlet stands.

    Attributes:
        position: number up to which it was given everything.
        attempts: how often in a row the next one was tried in vain.
        next_ms: when it is tried again.
        failing_ms: since when it takes nothing; None if it does.
        failure: why it took nothing, last.
        left_off_count: alarms that it was never given, ever.
    """

    position: int
    attempts: int = 0
    next_ms: Millis = _AT_ONCE
    failing_ms: Millis | None = None
    failure: str = ""
    left_off_count: int = 0


class Journal:
    """The journal as one thread uses it."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            ConditionError: it cannot be read or written, or is of another version.
        """
        self._path = path
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
        if self._version() == 0:
            with self._transaction():
                if self._version() == 0:  # nobody else was quicker
                    for statement in _SCHEMA.split(";"):
                        self._connection.execute(statement)
        version = self._version()
        if version != JOURNAL_VERSION:
            expected = f"version {JOURNAL_VERSION}; use the release that wrote it"
            raise ConditionError(
                field=str(self._path), found=f"version {version}", expected=expected, code=Code.VERSION_MISMATCH
            )

    def _version(self) -> int:
        return narrow_int(self._connection.execute("PRAGMA user_version").fetchone()[0], self._path)

    def __enter__(self) -> Self:
        """Use it, and close it whatever happens."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the file; what is not committed is as if it never was."""
        self._connection.close()

    # -- looking ------------------------------------------------------------------------------------------------------

    def record(
        self,
        alarms: Sequence[Alarm],
        *,
        cursor: Cursor | None = None,
        lasting: Mapping[Key, Lasting] | None = None,
    ) -> tuple[Alarm, ...]:
        """Write what a look found, in one transaction (1 of this module).

        Args:
            alarms: in the order in which they are to be told.
            cursor: how far the ledger was looked through; None if it stays.
            lasting: conditions that go on; None if they stay.

        Returns:
            Those that are new.
        """
        with self._transaction():
            new = tuple(alarm for alarm in alarms if self._insert(alarm))
            if cursor is not None:
                self._put("cursor", json.dumps([cursor.height, cursor.block]))
            if lasting is not None:
                self._execute("DELETE FROM conditions")
                for (kind, subject), each in lasting.items():
                    row = (kind.value, subject, each.since_ms, each.raised_ms, each.fine_ms)
                    self._execute("INSERT INTO conditions VALUES (?, ?, ?, ?, ?)", *row)
            if new:
                self._prune()
        return new

    def _insert(self, alarm: Alarm) -> bool:
        if self._one("SELECT 1 FROM told WHERE id = ?", alarm.id) is not None:
            return False
        body = json.dumps(encode_alarm(alarm), ensure_ascii=False)
        added = self._execute("INSERT OR IGNORE INTO alarms (id, body) VALUES (?, ?)", alarm.id, body)
        if added and alarm.kind.group in _REPEATABLE:
            self._execute("INSERT INTO told VALUES (?)", alarm.id)
        return bool(added)

    def _prune(self) -> None:
        """Remove the oldest alarms, and count them for every outlet that had not taken them (5 of this module)."""
        last = self.last_number() - ALARMS_KEPT_MAX
        if last <= 0:
            return
        self._execute("DELETE FROM alarms WHERE number <= ?", last)
        self._execute("UPDATE outlets SET left_off = left_off + ?1 - position, position = ?1 WHERE position < ?1", last)

    def cursor(self) -> Cursor | None:
        """Return how far the ledger was looked through; None before the first look."""
        text = self._get("cursor")
        if text is None:
            return None
        try:
            height, block = json.loads(text)
        except ValueError as error:
            raise self._damaged(text, "a cursor") from error
        return Cursor(Height(narrow_int(height, self._path)), narrow_text(block, self._path))

    def lasting(self) -> dict[Key, Lasting]:
        """Return the conditions that the last look left."""
        found: dict[Key, Lasting] = {}
        for kind, subject, since, raised, fine in self._all("SELECT * FROM conditions ORDER BY kind, subject"):
            known = KINDS.get(narrow_text(kind, self._path))
            if known is None:
                raise self._damaged(kind, "a kind of alarm")
            found[known, narrow_text(subject, self._path)] = Lasting(
                Millis(narrow_int(since, self._path)), self._time(raised), self._time(fine)
            )
        return found

    # -- delivering ---------------------------------------------------------------------------------------------------

    def add_outlet(self, name: str) -> None:
        """Let an outlet be known; one that was not is given what is recorded from now on."""
        with self._transaction():
            self._execute("INSERT OR IGNORE INTO outlets VALUES (?, ?, 0, 0, NULL, '', 0)", name, self.last_number())

    def outlet(self, name: str) -> OutletState:
        """Return how an outlet stands, which was added."""
        row = self._one(
            "SELECT position, attempts, next_ms, failing_ms, failure, left_off FROM outlets WHERE name = ?", name
        )
        assert row is not None
        position, attempts, next_ms, failing, failure, left_off = row
        return OutletState(
            position=narrow_int(position, self._path),
            attempts=narrow_int(attempts, self._path),
            next_ms=Millis(narrow_int(next_ms, self._path)),
            failing_ms=self._time(failing),
            failure=narrow_text(failure, self._path),
            left_off_count=narrow_int(left_off, self._path),
        )

    def next_for(self, name: str, *, takes: Callable[[Alarm], bool]) -> Numbered | None:
        """Return the next alarm that an outlet is to be given; the position moves over those that it does not want."""
        count = 1
        while True:
            position = self.outlet(name).position
            batch = self.alarms(after=position, count=count)
            count = min(2 * count, BATCH_MAX)
            wanted = next((each for each in batch if takes(each.alarm)), None)
            if wanted is not None or not batch:
                return wanted
            self.move(name, batch[-1].number)

    def move(self, name: str, number: int) -> None:
        """Move a position: everything up to this number was taken or not wanted. What fails is forgiven."""
        with self._transaction():
            self._execute(
                "UPDATE outlets SET position = max(position, ?), attempts = 0, next_ms = 0, failing_ms = NULL,"
                " failure = '' WHERE name = ?",
                number,
                name,
            )

    def fail(self, name: str, failure: str, *, now_ms: Millis, next_ms: Millis) -> None:
        """Remember that an outlet took nothing, and when it is tried again."""
        with self._transaction():
            self._execute(
                "UPDATE outlets SET attempts = attempts + 1, next_ms = ?, failing_ms = coalesce(failing_ms, ?),"
                " failure = ? WHERE name = ?",
                *(next_ms, now_ms, failure, name),
            )

    def leave_off(self, name: str, number: int, *, is_next_due: bool) -> None:
        """Set one alarm aside for an outlet, for good, and count it; the outlet goes on with the next.

        Args:
            name: of the outlet.
            number: of the alarm.
            is_next_due: whether the next is given at once, since only this one was refused; else the waiting goes on.
        """
        with self._transaction():
            self._execute(
                "UPDATE outlets SET position = max(position, ?), left_off = left_off + 1 WHERE name = ?", number, name
            )
            if is_next_due:
                self._execute("UPDATE outlets SET attempts = 0, next_ms = 0 WHERE name = ?", name)

    # -- reading ------------------------------------------------------------------------------------------------------

    def last_number(self) -> int:
        """Return the number of the newest alarm; 0 if there is none."""
        row = self._one("SELECT max(number) FROM alarms")
        return 0 if row is None or row[0] is None else narrow_int(row[0], self._path)

    def alarms(self, *, after: int, count: int) -> list[Numbered]:
        """Return alarms behind a number, oldest first."""
        rows = self._all("SELECT number, body FROM alarms WHERE number > ? ORDER BY number LIMIT ?", after, count)
        return [self._decode(row) for row in rows]

    def newest(self, count: int, *, takes: Callable[[Alarm], bool]) -> list[Numbered]:
        """Return the newest alarms that are wanted, newest first."""
        found: list[Numbered] = []
        before = self.last_number() + 1
        while len(found) < count:
            query = "SELECT number, body FROM alarms WHERE number < ? ORDER BY number DESC LIMIT ?"
            batch = [self._decode(row) for row in self._all(query, before, BATCH_MAX)]
            if not batch:
                break
            found += [each for each in batch if takes(each.alarm)]
            before = batch[-1].number
        return found[:count]

    def outlets(self) -> dict[str, OutletState]:
        """Return how every outlet stands that was ever added."""
        names = [narrow_text(row[0], self._path) for row in self._all("SELECT name FROM outlets ORDER BY name")]
        return {name: self.outlet(name) for name in names}

    def _decode(self, row: tuple[object, ...]) -> Numbered:
        number, body = row
        text = narrow_text(body, self._path)
        return Numbered(narrow_int(number, self._path), decode_alarm(text, field=str(self._path)))

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
        with disk_errors(self._path, remedy="an intact file; move it away, and what is new from then on is told"):
            yield

    def _get(self, key: str) -> str | None:
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return None if row is None else narrow_text(row[0], self._path)

    def _put(self, key: str, value: str) -> None:
        self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

    def _time(self, value: object) -> Millis | None:
        return None if value is None else Millis(narrow_int(value, self._path))

    def _execute(self, query: str, *arguments: object) -> int:
        return self._connection.execute(query, arguments).rowcount

    def _one(self, query: str, *arguments: object) -> tuple[object, ...] | None:
        rows = self._all(query, *arguments)
        return rows[0] if rows else None

    def _all(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        with self._disk_errors():
            return self._connection.execute(query, arguments).fetchall()

    def _damaged(self, found: object, expected: str) -> ConditionError:
        return ConditionError(field=str(self._path), found=found, expected=expected, code=Code.STORE_DAMAGED)
