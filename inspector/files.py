"""Files of an inspector: read no further than a bound, written whole, for their owner alone."""

import os
from pathlib import Path
from typing import Final

from ledger.errors import Code, ConditionError, FormatError

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700


def read_file(path: Path, *, bytes_max: int, field: str) -> bytes:
    """Read a whole file of at most `bytes_max` bytes.

    Raises:
        ConditionError: it is not there, or cannot be read (`CONFIG`).
        FormatError: `field`: it is larger (`TOO_LARGE`).
    """
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except OSError as error:
        found = f"{path}: {error.strerror}"
        raise ConditionError(field=field, found=found, expected="a readable file", code=Code.CONFIG) from None
    if len(raw) > bytes_max:
        raise FormatError(
            field=field, found=f"{path}, more bytes", expected=f"at most {bytes_max} bytes", code=Code.TOO_LARGE
        )
    return raw


def write_file(path: Path, raw: bytes) -> None:
    """Make a file appear whole and durable that only its owner can read, in place of an older one."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def make_private_folder(path: Path) -> None:
    """Create a folder that only its owner can enter, with its parents."""
    if not path.is_dir():
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
