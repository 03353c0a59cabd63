"""Files an observer leaves for others: they appear whole or not at all."""

import os
from pathlib import Path

from ledger.errors import Code, ConditionError, FormatError


def write_file(path: Path, raw: bytes) -> None:
    """Make a file appear whole and durable, in place of an older one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_file(path: Path, *, size_max: int, field: str) -> bytes:
    """Read a file of a stranger, no further than `size_max`.

    Raises:
        ConditionError: it is not there, or cannot be read (`CONFIG`).
        FormatError: `field`: larger than `size_max`.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(size_max + 1)
    except OSError as error:
        found = f"{path}: {error.strerror}"
        raise ConditionError(field=field, found=found, expected="a readable file", code=Code.CONFIG) from error
    if len(raw) > size_max:
        raise FormatError(field=field, found=f"{path}, more bytes", expected=f"at most {size_max} bytes")
    return raw
