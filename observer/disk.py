"""What SQLite says of an observer's files, in our words, and columns narrowed to the type they were written with."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ledger.errors import Code, ConditionError


@contextlib.contextmanager
def disk_errors(path: Path, *, remedy: str) -> Iterator[None]:
    """Say in our words what SQLite says: a full disk, another process, damage.

    Args:
        path: of the file.
        remedy: what to do where it is damaged.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        code, expected = Code.STORE_DAMAGED, remedy
        if "full" in text or "disk I/O" in text:
            code, expected = Code.DISK_FULL, "room on a writable disk"
        elif "locked" in text:
            code, expected = Code.CONFIG, "no other process that is writing to this copy"
        elif "readonly" in text or "unable to open" in text:
            code, expected = Code.CONFIG, "a folder that can be written to"
        raise ConditionError(field=str(path), found=text, expected=expected, code=code) from error


def narrow_bytes(value: object, path: Path) -> bytes:
    """Narrow a column; another type means that the file was changed."""
    if not isinstance(value, bytes):
        raise ConditionError(field=str(path), found=type(value).__name__, expected="bytes", code=Code.STORE_DAMAGED)
    return value


def narrow_int(value: object, path: Path) -> int:
    """Narrow a column; another type means that the file was changed."""
    if not isinstance(value, int):
        raise ConditionError(field=str(path), found=type(value).__name__, expected="a number", code=Code.STORE_DAMAGED)
    return value


def narrow_text(value: object, path: Path) -> str:
    """Narrow a column; another type means that the file was changed."""
    if not isinstance(value, str):
        raise ConditionError(field=str(path), found=type(value).__name__, expected="text", code=Code.STORE_DAMAGED)
    return value
