"""Files that must be whole or absent: written beside, synced, renamed, and the folder synced.

After `write_atomically` returned, a crash or a power cut leaves the new content; before that, the old one or none.
"""

import errno
import os
from pathlib import Path
from typing import Final

from ledger.errors import Code, ConditionError, FormatError

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700


def write_atomically(path: Path, raw: bytes) -> None:
    """Put a file in place that only its owner can read.

    Raises:
        ConditionError: the disk is full (`DISK_FULL`); nothing was changed.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ConditionError(
                field=path.name, found=error.strerror, expected=f"{len(raw)} bytes of space", code=Code.DISK_FULL
            ) from None
        raise
    sync_folder(path.parent)


def read_bounded(path: Path, *, bytes_max: int) -> bytes:
    """Read a whole file of at most `bytes_max` bytes.

    Raises:
        ConditionError: there is no such file (`NOT_FOUND`).
        FormatError: it is larger (`TOO_LARGE`).
    """
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except FileNotFoundError:
        raise ConditionError(field=str(path), found="no file", expected="a file", code=Code.NOT_FOUND) from None
    if len(raw) > bytes_max:
        raise FormatError(
            field=str(path),
            found=f"more than {bytes_max} bytes",
            expected=f"at most {bytes_max} bytes",
            code=Code.TOO_LARGE,
        )
    return raw


def make_private_folder(path: Path) -> None:
    """Create a folder that only its owner can enter, with its parents, and make its name durable."""
    if not path.is_dir():
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
