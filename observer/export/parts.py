"""One Parquet file: written aside, in row groups of bounded size, whole and durable before anybody is told of it.

Source: https://parquet.apache.org/docs/file-format/. Only what every reader of the last years knows: format 2.6, data
pages of version 1, Zstandard. Salted digests are written as they are, since nothing makes them smaller.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped] # it brings no stubs
from pyarrow import parquet as pq

from ledger.errors import Code, ConditionError
from ledger.limits import MIB
from observer.export.schema import TABLES, make_arrow_schema

GROUP_ROWS: Final = 65_536
GROUP_BYTES: Final = 8 * MIB
"""When a row group is written: as soon as this many rows, or bytes of them, are there."""

_UNCOMPRESSED: Final = frozenset({"digests"})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Part:
    """A file that was written.

    Attributes:
        table: name of its table.
        rows: how many it has.
        size_bytes: of the file.
        sha256: hex, of its bytes.
    """

    table: str
    rows: int
    size_bytes: int
    sha256: str


class PartWriter:
    """Writes one file; only after `close` is it one."""

    def __init__(self, path: Path, table: str, *, metadata: Mapping[str, str]) -> None:
        """Begin a file that is not there yet.

        Raises:
            ConditionError: `DISK_FULL`.
        """
        self._path, self._table, self._rows = path, table, 0
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = 0
        self._schema = make_arrow_schema(TABLES[table], metadata)
        with _disk_errors(path):
            self._writer: Any = pq.ParquetWriter(  # it brings no stubs
                path,
                self._schema,
                version="2.6",
                data_page_version="1.0",
                compression=_choose_compression(self._schema),
                use_dictionary=_list_texts(self._schema),
                write_statistics=_list_ordered(self._schema),
                sorting_columns=[pq.SortingColumn(0)],
            )

    def write(self, rows: pa.Table) -> None:
        """Add rows, which are held until they are worth a row group.

        Raises:
            ConditionError: `DISK_FULL`.
        """
        if rows.num_rows == 0:
            return
        self._held.append(rows.cast(self._schema))
        self._rows += rows.num_rows
        self._held_rows += rows.num_rows
        self._held_bytes += rows.nbytes
        if self._held_rows >= GROUP_ROWS or self._held_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Write what is held as one row group."""
        if self._held:
            group = pa.concat_tables(self._held)
            self._held, self._held_rows, self._held_bytes = [], 0, 0
            with _disk_errors(self._path):
                self._writer.write_table(group)

    def close(self) -> Part:
        """Finish the file, make it durable, and say what it is.

        Raises:
            ConditionError: `DISK_FULL`.
        """
        self._flush()
        with _disk_errors(self._path):
            self._writer.close()
            with self._path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
                os.fsync(file.fileno())
                return Part(self._table, self._rows, file.tell(), digest.hexdigest())

    def abandon(self) -> None:
        """Stop where it stands, unless it was closed; whoever gave the path removes what is there."""
        self._writer.is_open = False


def _list_leaves(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    """Give the path in the file, and the type, of every column that holds values."""
    leaves: list[tuple[str, pa.DataType]] = []

    def descend(path: str, kind: pa.DataType) -> None:
        if pa.types.is_list(kind):
            descend(f"{path}.list.element", kind.value_type)
        elif pa.types.is_struct(kind):
            for field in kind:
                descend(f"{path}.{field.name}", field.type)
        else:
            leaves.append((path, kind))

    for field in schema:
        descend(field.name, field.type)
    return leaves


def _choose_compression(schema: pa.Schema) -> dict[str, str]:
    return {path: "NONE" if path.partition(".")[0] in _UNCOMPRESSED else "ZSTD" for path, _ in _list_leaves(schema)}


def _list_texts(schema: pa.Schema) -> Sequence[str]:
    """Columns in which values repeat: texts, but for JSON, of which no two are the same."""
    return [path for path, kind in _list_leaves(schema) if pa.types.is_string(kind) and path != "payload"]


def _list_ordered(schema: pa.Schema) -> Sequence[str]:
    """Columns of which the least and the greatest value help a reader to pass over what it does not look for."""
    return [path for path, kind in _list_leaves(schema) if not pa.types.is_fixed_size_binary(kind)]


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Say a full disk, or a file that may grow no further, in our words; whatever else the system says, it says."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        found = os.strerror(error.errno)
        expected = "room on the disk"
        raise ConditionError(field=str(path), found=found, expected=expected, code=Code.DISK_FULL) from error
