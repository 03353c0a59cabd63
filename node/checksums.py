"""Checksums of what the database holds: they notice accidents, a disk's or ours; anybody who may write can forge them.

What hashes of the ledger bind needs none: an entry is checked by its leaf hash, a header by its digest. The rest has
one of these:

- a row: SHA-256 over its columns, each with its length before it, cut to 8 bytes;
- the rules' state, whose rows come and go with every block: the sum of SHA-256(row) over all rows, modulo 2**256. A
  block takes off the rows it replaces and adds its own, so keeping the sum costs what the changes cost; a row that is
  lost, that came back, or that has another value leaves another sum.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from ledger.limits import HASH_BYTES

ROW_CHECK_BYTES: Final = 8
_MODULUS: Final = 1 << (8 * HASH_BYTES)


def _digest(columns: Iterable[bytes | int]) -> bytes:
    parts = hashlib.sha256()
    for column in columns:
        raw = column.to_bytes(8, "big", signed=True) if isinstance(column, int) else column
        parts.update(len(raw).to_bytes(8, "big") + raw)
    return parts.digest()


def compute_row_check(*columns: bytes | int) -> bytes:
    """Give the checksum that stands in a row."""
    return _digest(columns)[:ROW_CHECK_BYTES]


class StateSum:
    """The sum over the rows of the rules' state."""

    def __init__(self, raw: bytes = bytes(HASH_BYTES)) -> None:
        self._sum = int.from_bytes(raw, "big")

    def add(self, key: bytes, value: bytes) -> None:
        """Count a row that is there now."""
        self._sum = (self._sum + int.from_bytes(_digest((key, value)), "big")) % _MODULUS

    def remove(self, key: bytes, value: bytes) -> None:
        """Count a row no longer."""
        self._sum = (self._sum - int.from_bytes(_digest((key, value)), "big")) % _MODULUS

    def encode(self) -> bytes:
        """Give the 32 bytes that are kept."""
        return self._sum.to_bytes(HASH_BYTES, "big")
