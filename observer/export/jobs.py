"""A range of a ledger made into files: one job, the same in this process and in another.

A job names everything it needs, so it can be sent to a process that has only opened the same copy. It reads through
`VerifiedReader`, holds a bounded part of the range at a time, and writes each table's file aside.
"""

import contextlib
import gc
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa  # type: ignore[import-untyped] # it brings no stubs

from ledger.blocks import NO_SEAL, SealedHeader
from ledger.charter import Charter
from ledger.limits import HASH_BYTES, MIB, SEAL_BYTES
from ledger.positions import Height, LeafIndex
from observer.chain import Draw
from observer.copy import Copy
from observer.export.arrays import Array, make_binaries
from observer.export.parts import Part, PartWriter
from observer.export.rows import Placed, make_rows
from observer.export.schema import SCHEMA_VERSION, SEALS, TABLES
from observer.export.sources import Anchors, VerifiedReader

BATCH_ENTRIES: Final = 4_096
BATCH_BYTES: Final = 4 * MIB
PIECE_ENTRIES: Final = 32
"""When rows are made: after the piece with which this many entries, or bytes of them, are there."""

_TIME: Final = pa.timestamp("ms", tz="UTC")


@dataclass(frozen=True, slots=True)
class Job:
    """What to write.

    Attributes:
        first: index of the range's first entry, or height of its first block.
        end: where the range, or the ledger, ends: the first that is not in it.
        is_final: whether the range is full, so that its files will never change.
        paths: where to write each table's file, none of which is there; all of entries, or of blocks alone.
        anchors: of all headers that will be read.
        has_entry_bytes: whether the table of entries holds their bytes.
    """

    first: int
    end: int
    is_final: bool
    paths: Mapping[str, Path]
    anchors: Anchors
    has_entry_bytes: bool


def run_job(job: Job, copy: Copy, *, head: SealedHeader, draw: Draw) -> list[Part]:
    """Write the files of a job, and say what they are.

    Args:
        job: what to write.
        copy: to read; only what is compared with the head is used.
        head: the sealed head that the rows are under; believed.
        draw: fresh random bytes, for checking seals together.

    Raises:
        ProofError, SignatureError: the copy is not what was written; the files are no good.
        ConditionError: the copy is damaged, or the disk is full.
    """
    reader = VerifiedReader(copy, head=head, anchors=job.anchors, draw=draw)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_spare_collecting())
        writers = {
            table: PartWriter(path, table, metadata=_describe(table, job, copy.charter, head))
            for table, path in job.paths.items()
        }
        for writer in writers.values():
            stack.callback(writer.abandon)
        if SEALS in writers:
            blocks = itertools.chain.from_iterable(reader.read_blocks(Height(job.first), Height(job.end)))
            while group := list(itertools.islice(blocks, BATCH_ENTRIES)):
                writers[SEALS].write(_make_seals(group, copy.charter))
        else:
            for placed in _gather(reader.read_entries(LeafIndex(job.first), LeafIndex(job.end))):
                made = make_rows(placed, tables=list(writers), has_entry_bytes=job.has_entry_bytes)
                for table, rows in made.items():
                    writers[table].write(rows)
        return [writer.close() for writer in writers.values()]


@contextlib.contextmanager
def _spare_collecting() -> Iterator[None]:
    """Keep Python from looking for cycles: rows hold none, and looking takes a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _gather(bundles: Iterator[Placed]) -> Iterator[Placed]:
    """Join small bundles, and part large ones, until they are worth being made into rows and no more."""
    held: list[Placed] = []
    count = size_bytes = 0
    for bundle in bundles:
        for piece in _part(bundle):
            held.append(piece)
            count += len(piece.entries)
            size_bytes += sum(map(len, piece.entries))
            if count >= BATCH_ENTRIES or size_bytes >= BATCH_BYTES:
                yield _join(held)
                held, count, size_bytes = [], 0, 0
    if held:
        yield _join(held)


def _part(bundle: Placed) -> Iterator[Placed]:
    """Give a bundle in pieces of at most `PIECE_ENTRIES`."""
    for start in range(0, len(bundle.entries), PIECE_ENTRIES):
        stop = start + PIECE_ENTRIES
        yield Placed(
            bundle.first + start,
            bundle.entries[start:stop],
            bundle.leaves[start * HASH_BYTES : stop * HASH_BYTES],
            bundle.heights[start:stop],
            bundle.times_ms[start:stop],
        )


def _join(held: Sequence[Placed]) -> Placed:
    chain = itertools.chain.from_iterable
    return Placed(
        held[0].first,
        list(chain(each.entries for each in held)),
        b"".join(each.leaves for each in held),
        list(chain(each.heights for each in held)),
        list(chain(each.times_ms for each in held)),
    )


def _describe(table: str, job: Job, charter: Charter, head: SealedHeader) -> dict[str, str]:
    """Say in the file what it is, of which ledger, and under which sealed head: enough to cite it."""
    header = head.header
    return {
        "counterseal.schema_version": str(SCHEMA_VERSION),
        "counterseal.table": table,
        "counterseal.ledger": charter.fingerprint,
        "counterseal.origin": charter.origin,
        "counterseal.title": charter.title,
        "counterseal.first": str(job.first),
        "counterseal.end": str(job.end),
        "counterseal.is_final": json.dumps(job.is_final),
        "counterseal.head_height": str(header.height),
        "counterseal.head_tree_size": str(header.tree_size),
        "counterseal.head_root": header.root.hex(),
        "counterseal.head_block": header.digest.hex(),
        "counterseal.head_time_ms": str(header.time_ms),
        "counterseal.head_seal": head.seal.hex(),
    }


def _make_seals(blocks: Sequence[SealedHeader], charter: Charter) -> pa.Table:
    headers = [sealed.header for sealed in blocks]
    names = {member.index: member.id for member in charter.members}
    hashes = {
        name: make_binaries(b"".join(each), size=HASH_BYTES)
        for name, each in (
            ("root", [header.root for header in headers]),
            ("block_digest", [header.digest for header in headers]),
            ("parent", [header.parent for header in headers]),
            ("entries_digest", [header.entries_digest for header in headers]),
        )
    }
    columns: dict[str, Array] = hashes | {
        "height": pa.array([header.height for header in headers], pa.int64()),
        "epoch": pa.array([header.epoch for header in headers], pa.int64()),
        "view_number": pa.array([header.view for header in headers], pa.int64()),
        "block_time": pa.array([header.time_ms for header in headers], pa.int64()).cast(_TIME),
        "proposer_index": pa.array([header.proposer for header in headers], pa.int32()),
        "proposer": pa.array([names.get(header.proposer) for header in headers], pa.string()),
        "first_index": pa.array([header.first_index for header in headers], pa.int64()),
        "entry_count": pa.array([header.entry_count for header in headers], pa.int32()),
        "tree_size": pa.array([header.tree_size for header in headers], pa.int64()),
        "state_digest": pa.array([header.state_digest or None for header in headers], pa.binary(HASH_BYTES)),
        "seal": pa.array([None if each.seal == NO_SEAL else each.seal for each in blocks], pa.binary(SEAL_BYTES)),
    }
    fields = [pa.field(each.name, each.type, nullable=each.is_nullable) for each in TABLES[SEALS].columns]
    return pa.Table.from_arrays([columns[field.name] for field in fields], schema=pa.schema(fields))
