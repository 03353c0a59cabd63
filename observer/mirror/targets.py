"""Where a mirror publishes: a URL becomes `tlog.publisher.Files`; a folder is one process's alone.

A URL that would lead somewhere else than it seems to is refused: with `..` in it, with escaped separators, with a name
and password that every line of output would show. A plain path is the operator's own and is taken as it is.
"""

import contextlib
import fcntl
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import MIB, NOTE_BYTES_MAX
from observer.mirror.passing import IS_MIRROR
from tlog.folder import Folder
from tlog.objects import ObjectFiles
from tlog.opening import open_files
from tlog.places import FORMS, parse_place
from tlog.publisher import INDEX, Files

FREE_BYTES_MIN: Final = 256 * MIB
"""A disk with less room is left alone: on it stand the copy, what is published, and the files of others."""
URL_CHARACTERS_MAX: Final = 2_048
_ODD: Final = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a mirror publishes.

    Attributes:
        url: as the operator wrote it.
        files: the place itself.
        folder: where it is on this machine's disk, if it is.
    """

    url: str
    files: Files
    folder: Path | None


def open_target(url: str, stack: contextlib.ExitStack) -> Target:
    """Open the place to publish into, which this process has for itself until the stack is closed.

    The one place where a kind of target is chosen. What it gives is written by one thread, and read by others meanwhile
    where the mirror serves it.

    Raises:
        FormatError: `to`: a URL of no kind that is known, or one that leads astray.
        ConditionError: another process publishes into that folder, or a node anywhere (`CONFIG`); the disk or the store
            refuses. That two mirrors write to one object store cannot be seen; they would write the same files.
    """
    folder = find_folder(url, field="to")
    if folder is None:
        place = parse_place(url, field="to")
        if place.folder is not None:  # such as s3:bucket, which is no URL of a store, and hardly meant as a folder
            raise FormatError(field="to", found=url, expected=FORMS)
        files = open_files(place)
        assert isinstance(files, ObjectFiles)
        stack.callback(files.close)
        require_mirrors(files.read(INDEX, size_max=NOTE_BYTES_MAX), url)
        return Target(place.name, files, None)
    _take(folder, stack)
    index = folder / INDEX
    require_mirrors(index.read_bytes() if index.is_file() else None, url)  # before a folder is touched that nodes use
    return Target(url, Folder(folder), folder)


def find_folder(url: str, *, field: str) -> Path | None:
    """Give the folder that a URL or path names; None for a URL that names something elsewhere.

    Raises:
        FormatError: `field`: a URL that leads astray.
    """
    scheme = require_plain_url(url, field=field)
    match scheme:
        case "":
            return Path(url)
        case "file":
            parts = urlsplit(url)
            if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
                raise FormatError(field=field, found=url, expected="file:///path, on this machine")
            return Path(unquote(parts.path))
        case _:
            return None


def require_plain_url(url: str, *, field: str) -> str:
    """Refuse a URL that leads somewhere else than it seems to; gives its scheme, none of a plain path.

    Raises:
        FormatError: `field`.
    """
    if not 0 < len(url) <= URL_CHARACTERS_MAX or "\0" in url:
        found, expected = f"{len(url)} characters", f"1 to {URL_CHARACTERS_MAX} characters, none of them NUL"
        raise FormatError(field=field, found=found, expected=expected)
    scheme, colon, rest = url.partition("://")
    if colon and ("@" in rest.partition("/")[0] or "?" in rest or "#" in rest):  # unprinted: a secret may be in it
        found, expected = f"{scheme}://…", "a URL without a name, a password, a query or a fragment"
        raise FormatError(field=field, found=found, expected=expected)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FormatError(field=field, found=url, expected=f"a URL ({error})") from None
    if not parts.scheme:
        return ""
    segments = [unquote(segment) for segment in parts.path.split("/")]
    if _ODD.search(url) or any(_ODD.search(segment) or "/" in segment for segment in segments):
        raise FormatError(field=field, found=url, expected="no space, backslash, control character or escaped slash")
    if any(segment in {".", ".."} for segment in segments):
        raise FormatError(field=field, found=url, expected="a path without . and ..")
    return parts.scheme


def require_apart(home: Path, folder: Path) -> None:
    """Refuse to publish into the copy's folder, or above it, where a web server would hand out what is in it.

    Raises:
        ConditionError: `to` (`CONFIG`).
    """
    inner, outer = home.resolve(), folder.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        expected = f"a folder that neither holds nor lies in {home}, which is no part of what is published"
        raise ConditionError(field="to", found=folder, expected=expected, code=Code.CONFIG)


def require_mirrors(index: bytes | None, url: str) -> None:
    """Refuse a place where somebody else publishes, who would find his files replaced.

    Raises:
        ConditionError: `CONFIG`.
    """
    if index is not None and IS_MIRROR.encode() not in index:
        expected = "a place of the mirror's own, where nobody else publishes"
        raise ConditionError(field=url, found="what a node published", expected=expected, code=Code.CONFIG)


def require_room(folder: Path) -> None:
    """Refuse to fill a disk to its end.

    Raises:
        ConditionError: the folder's disk has less than `FREE_BYTES_MIN` left (`DISK_FULL`), or is not there (`CONFIG`).
    """
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        found = error.strerror or repr(error)
        raise ConditionError(field=str(folder), found=found, expected="a folder", code=Code.CONFIG) from error
    if free_bytes < FREE_BYTES_MIN:
        found, expected = f"{free_bytes // MIB} MiB free", f"at least {FREE_BYTES_MIN // MIB} MiB; nothing was written"
        raise ConditionError(field=str(folder), found=found, expected=expected, code=Code.DISK_FULL)


def _take(folder: Path, stack: contextlib.ExitStack) -> None:
    """Lock the folder itself: the lock goes with the process, however that ends, and leaves nothing in the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, opened)
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConditionError(
            field="to", found=f"{folder}: in use", expected="no other process that publishes there", code=Code.CONFIG
        ) from None
    except OSError as error:
        found = f"{folder}: {error.strerror}"
        expected = "a folder that can be written to"
        raise ConditionError(field="to", found=found, expected=expected, code=Code.CONFIG) from error
