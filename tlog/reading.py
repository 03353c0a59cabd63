"""Published files, read from a folder on this machine or from a web server; object stores: `tlog.objects`.

None of them is believed, and each can withhold, or be slow, and nothing else: what is read is bounded in size and time.
Reading changes nothing, not even what a crash left in a folder.
Source: RFC 9110.
"""

import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import httpx

from ledger.errors import Code, ConditionError, FormatError
from tlog.folder import INCOMING

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 30.0
FILE_TIMEOUT_S: Final = 120.0
_GONE: Final = (404, 410)
_OK: Final = 200
_PLAIN: Final = "identity"
_GZIP: Final = "gzip"


class Files(Protocol):
    """Files under one prefix."""

    def read(self, path: str, *, size_max: int) -> bytes | None:
        """Read a file of at most `size_max` bytes; None where there is none."""

    def close(self) -> None:
        """Give connections back."""


@runtime_checkable
class ListedFiles(Files, Protocol):
    """Files of a place that says what it holds, which a web server does not."""

    def paths(self) -> Iterator[str]:
        """List every file."""


class FolderFiles:
    """A published folder on this machine."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is read only when something is asked for."""
        self._folder: Final = folder

    def read(self, path: str, *, size_max: int) -> bytes | None:
        """Read a file.

        Raises:
            FormatError: larger than `size_max`.
            ConditionError: the disk refuses (`UNREACHABLE`).
        """
        try:
            with (self._folder / path).open("rb") as file:
                raw = file.read(size_max + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConditionError(
                field=path, found=error.strerror or str(error), expected="a readable file", code=Code.UNREACHABLE
            ) from error
        if len(raw) > size_max:
            raise _too_large(path, size_max)
        return raw

    def paths(self) -> Iterator[str]:
        """List every file in it, but those that a writer has not finished."""
        for folder, names, files in os.walk(self._folder):
            if Path(folder) == self._folder and INCOMING in names:
                names.remove(INCOMING)
            for name in files:
                yield (Path(folder) / name).relative_to(self._folder).as_posix()

    def close(self) -> None:
        """Nothing is held open."""


class HttpFiles:
    """A published folder behind a web server."""

    def __init__(self, url: str) -> None:
        """Make a client that keeps connections; it connects when something is asked for."""
        self._url: Final = url.rstrip("/")
        self._client: Final = httpx.Client(
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S), headers={"Accept-Encoding": _GZIP}
        )

    def read(self, path: str, *, size_max: int) -> bytes | None:
        """Read a file, no further than `size_max` and no longer than `FILE_TIMEOUT_S`.

        Raises:
            FormatError: larger than `size_max`.
            ConditionError: no answer, or none of use (`UNREACHABLE`, `TIMEOUT`).
        """
        try:
            with self._client.stream("GET", f"{self._url}/{path}") as response:
                if response.status_code in _GONE:
                    return None
                if response.status_code != _OK:
                    found = f"HTTP status {response.status_code}"
                    raise ConditionError(field=path, found=found, expected="a file", code=Code.UNREACHABLE)
                return _read_bounded(response, path, size_max=size_max)
        except httpx.TimeoutException as error:
            found = f"no answer in time ({type(error).__name__})"
            raise ConditionError(field=path, found=found, expected="a file", code=Code.TIMEOUT) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            found = f"{type(error).__name__}: {error}"
            raise ConditionError(field=path, found=found, expected="a file", code=Code.UNREACHABLE) from error

    def close(self) -> None:
        """Close kept connections."""
        self._client.close()


def _read_bounded(response: httpx.Response, path: str, *, size_max: int) -> bytes:
    """Take a body in and unpack it here, no further than may be: a few bytes can be packed that unpack to gigabytes."""
    coding = response.headers.get("content-encoding", _PLAIN).lower()
    if coding not in {_PLAIN, _GZIP}:
        raise FormatError(field=path, found=f"content coding {coding}", expected=f"{_GZIP} or none, as asked for")
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16) if coding == _GZIP else None  # 16: in a gzip member, RFC 1952
    deadline = time.monotonic() + FILE_TIMEOUT_S
    raw = bytearray()
    for piece in response.iter_raw():
        raw += piece if unpacking is None else _unpack(unpacking, piece, path, size_max=size_max + 1 - len(raw))
        if len(raw) > size_max:
            raise _too_large(path, size_max)
        if time.monotonic() > deadline:
            expected = f"all of it within {FILE_TIMEOUT_S:.0f} s"
            raise ConditionError(field=path, found=f"{len(raw)} bytes", expected=expected, code=Code.TIMEOUT)
    if unpacking is not None and (not unpacking.eof or unpacking.unused_data):
        raise FormatError(field=path, found=f"{len(raw)} unpacked bytes", expected="one gzip member, to its end")
    return bytes(raw)


def _unpack(unpacking: "zlib._Decompress", piece: bytes, path: str, *, size_max: int) -> bytes:
    try:
        return unpacking.decompress(piece, size_max)
    except zlib.error as error:
        raise FormatError(field=path, found=str(error), expected=f"what is sent as {_GZIP} to be that") from None


def _too_large(path: str, size_max: int) -> FormatError:
    return FormatError(field=path, found="more bytes", expected=f"at most {size_max} bytes")
