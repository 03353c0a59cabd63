"""Values of a column made into an Arrow array, many at a time: the hashes in one stroke, nulls exactly where said.

Believes that values are of the type its callers name; a spelling of a hash that is not the one raises `FormatError`.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped] # it brings no stubs

from ledger.encoding import decode_hashes, decode_hashes_base64url
from ledger.limits import HASH_BYTES
from ledger.statements.intoto import ZERO_HASH
from observer.export.schema import EVIDENCE, LIMIT
from observer.export.statements import Evidence, LimitRespected

Array = Any  # a pyarrow array, which has no types that mypy could see

_HASH: Final = pa.binary(HASH_BYTES)


def make_binaries(raw: bytes, *, size: int) -> Array:
    """Make an array of binaries of a fixed size out of their concatenation."""
    assert len(raw) % size == 0
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), len(raw) // size, [None, pa.py_buffer(raw)])


def make_hashes(texts: Sequence[str], *, field: str) -> Array:
    """Make an array of hashes out of their hex.

    Raises:
        FormatError: `field`: one is not lowercase hex.
    """
    return make_binaries(decode_hashes(texts, field=field), size=HASH_BYTES)


def make_hashes_or_null(texts: Sequence[str | None], *, field: str) -> Array:
    """Make an array of hashes, null where there is none.

    Raises:
        FormatError: `field`: one is not lowercase hex.
    """
    raw = decode_hashes([ZERO_HASH if text is None else text for text in texts], field=field)
    validity = pa.array([text is not None for text in texts], pa.bool_()).buffers()[1]
    return pa.FixedSizeBinaryArray.from_buffers(_HASH, len(texts), [validity, pa.py_buffer(raw)])


def make_digest_lists(lists: Sequence[Sequence[str]], *, field: str) -> Array:
    """Make an array of lists of hashes out of their base64url.

    Raises:
        FormatError: `field`: one is not canonical.
    """
    raw = decode_hashes_base64url([text for texts in lists for text in texts], field=field)
    return _make_lists(lists, make_binaries(raw, size=HASH_BYTES).cast(pa.binary()))


def make_limit_lists(lists: Sequence[Sequence[LimitRespected]]) -> Array:
    """Make an array of lists of promises."""
    lines = [line for each in lists for line in each]
    columns = pa.array([line.limit for line in lines], pa.string()), pa.array([line.respected for line in lines])
    return _make_lists(lists, pa.StructArray.from_arrays(_cast(columns, LIMIT), fields=list(LIMIT)))


def make_evidence_lists(lists: Sequence[Sequence[Evidence]], *, field: str) -> Array:
    """Make an array of lists of pieces of evidence.

    Raises:
        FormatError: `field`: a digest or nonce is not lowercase hex.
    """
    pieces = [piece for each in lists for piece in each]
    columns = (
        pa.array([piece.type for piece in pieces], pa.string()),
        pa.array([piece.layer for piece in pieces], pa.string()),
        make_hashes([piece.digest for piece in pieces], field=field),
        pa.array([piece.size for piece in pieces], pa.int64()),
        make_hashes([piece.nonce for piece in pieces], field=field),
    )
    return _make_lists(lists, pa.StructArray.from_arrays(_cast(columns, EVIDENCE), fields=list(EVIDENCE)))


def _cast(columns: Sequence[Array], struct: Any) -> list[Array]:  # a pyarrow type
    return [column.cast(field.type) for column, field in zip(columns, struct, strict=True)]


def _make_lists(lists: Sequence[Sequence[object]], values: Array) -> Array:
    offsets = pa.array([0, *itertools.accumulate(map(len, lists))], pa.int32())
    element = pa.field("element", values.type, nullable=False)
    return pa.ListArray.from_arrays(offsets, values, type=pa.list_(element))
