"""Where a ledger is published or read: a folder on this machine, a web server, an object store, told apart by name.

    path, file:///path              a folder
    http(s)://host/path             published files behind a web server; can be read, not published to
    s3://bucket/path                Amazon S3 and what speaks its protocol
    gs://bucket/path                Google Cloud Storage
    az://container/path             Azure Blob Storage

A place never holds a secret: a URL with a user name, a password or a query is refused, unprinted, since such a URL
ends up in logs, metrics and this program's own messages. Credentials come from where each store's own tools take them.
Nothing is opened here. Source: RFC 3986, RFC 8089 (file).
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ledger.errors import Code, ConditionError

PLACE_CHARACTERS_MAX: Final = 1_024
FORMS: Final = "a folder, file:///folder, s3://bucket/path, gs://bucket/path, az://container/path"
FORMS_READ: Final = f"{FORMS}, http://host/path or https://host/path"
_WEB: Final = ("http", "https")
_STORES: Final = ("s3", "gs", "az")


class Kind(StrEnum):
    """What sort of place it is."""

    FOLDER = "folder"
    WEB = "web server"
    STORE = "object store"


@dataclass(frozen=True, slots=True)
class Place:
    """One place, with the name that messages call it.

    Attributes:
        kind: what sort of place it is.
        name: the URL without a slash at its end, or the path; no secret is in it.
        folder: the folder, if it is one.
    """

    kind: Kind
    name: str
    folder: Path | None = None

    def __str__(self) -> str:
        """Its name."""
        return self.name


def parse_place(text: str, *, field: str, base: Path = Path()) -> Place:
    """Read the name of a place.

    Args:
        text: a URL or a path.
        field: what errors call it.
        base: where relative paths start.

    Raises:
        ConditionError: `CONFIG`: of no kind that is known, or with something in it that may be a secret.

    >>> parse_place("s3://bucket/ledger/", field="url").name
    's3://bucket/ledger'
    """
    if not text or not text.isprintable() or len(text) > PLACE_CHARACTERS_MAX:
        raise _fail(field, f"{len(text)} characters", f"1 to {PLACE_CHARACTERS_MAX} printable characters")
    scheme, colon, rest = text.partition("://")
    if not colon:
        folder = base / Path(text).expanduser()
        return Place(Kind.FOLDER, str(folder), folder)
    if "@" in rest.partition("/")[0] or "?" in rest or "#" in rest:
        raise _fail(field, "a URL with a user name, a query or a fragment", "a URL without; see where credentials go")
    try:
        parts = urlsplit(text)
        has_port = parts.port is not None
    except ValueError:
        raise _fail(field, text, FORMS_READ) from None
    if scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise _fail(field, text, "file:///folder, with an absolute path")
        folder = Path(unquote(parts.path))
        return Place(Kind.FOLDER, str(folder), folder)
    is_store = scheme in _STORES
    if (not is_store and scheme not in _WEB) or not parts.hostname or (is_store and has_port):
        raise _fail(field, text, FORMS_READ)
    inner = parts.path.strip("/")
    if is_store and inner and {"", ".", ".."} & set(inner.split("/")):
        raise _fail(field, text, "a path without empty parts and without dots")
    return Place(Kind.STORE if is_store else Kind.WEB, text.rstrip("/"))


def _fail(field: str, found: str, expected: str) -> ConditionError:
    return ConditionError(field=field, found=found, expected=expected, code=Code.CONFIG)
