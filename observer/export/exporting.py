"""An export from beginning to end: which ranges of which tables are wanted, written, and put in place in order.

1. The manifest, if there is one, is of the same ledger, and its head is a block of the copy's chain, not beyond it.
2. Headers are anchored from the sealed head down to the lowest block of any range that is wanted, before anything is
   written or removed (`observer.export.sources`).
3. Ranges of blocks first, then of entries, each in order; the manifest is written every `MANIFEST_EVERY` ranges and at
   the end, so an export that is killed loses no more than that, and the next goes on from there.

Running it again with nothing new in the copy changes no byte.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.blocks import SealedHeader
from ledger.errors import Code, ConditionError, PolicyError, ProofError
from ledger.limits import TILE_WIDTH
from ledger.positions import Height, LeafIndex, Millis
from observer.copy import Copy, require_copy
from observer.export.dataset import (
    RANGE_WIDTH,
    Dataset,
    FileLine,
    HeadLine,
    Manifest,
    TableLine,
    open_dataset,
    require_same_ledger,
)
from observer.export.jobs import Job
from observer.export.schema import SCHEMA_VERSION, SEALS, TABLES
from observer.export.sources import ANCHOR_BLOCKS, anchor_chain
from observer.export.workers import run_jobs
from observer.telling import format_time

MANIFEST_EVERY: Final = 8
RANGES_ALONE_MAX: Final = 2
"""Up to how many ranges are done before another process would have started."""

WORKERS_MAX: Final = 2
"""How many processes an export takes at most: more would need more memory than it may take."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What an export did.

    Attributes:
        folder: where.
        manifest: what is there now.
        written: by table, how many rows stand in the files that were written.
        files_count: how many files those are.
    """

    folder: Path
    manifest: Manifest
    written: Mapping[str, int]
    files_count: int


@dataclass(frozen=True, slots=True)
class _Range:
    """A range that some tables want."""

    first: int
    end: int
    tables: tuple[str, ...]


def export_home(
    home: Path,
    folder: Path,
    *,
    fingerprint: bytes | None = None,
    tables: Sequence[str] = (),
    has_entry_bytes: bool | None = None,
    is_rebuild: bool = False,
    workers_count: int = 0,
    range_width: int = RANGE_WIDTH,
    progress: Progress = lambda _, __: None,
) -> ExportResult:
    """Bring an export up to the newest sealed block of a copy.

    Args:
        home: folder of the copy.
        folder: of the export; made where there is none.
        fingerprint: what the caller believes the charter's to be; None to take the one the copy is pinned to.
        tables: which; none for those that are there already, and all where nothing is.
        has_entry_bytes: whether the table of entries holds their bytes; None for what it did before, or not.
        is_rebuild: whether to take away what is there, and write all anew.
        workers_count: how many other processes may help, at most `WORKERS_MAX`; they do where there is enough to do.
        range_width: entries, or blocks, in a file of a new export.
        progress: told how many entries and blocks were written, and of how many.

    Raises:
        ProofError, SignatureError: the copy on disk is not what was written; nothing of the range is in place.
        PolicyError: the folder holds another ledger, or another history of it.
        ConditionError: another export is at work, the copy is behind, the disk is full, or the wish contradicts what is
            there (`CONFIG`).
    """
    assert range_width % TILE_WIDTH == 0
    with require_copy(home, fingerprint=fingerprint) as copy, open_dataset(folder) as dataset:
        old = None if is_rebuild else dataset.read_manifest()
        if old is not None:
            require_same_ledger(old, ledger=copy.charter.fingerprint, folder=folder)
        chosen = _choose_tables(tables, old)
        plan = _Plan(copy, dataset, old, tables=chosen, has_entry_bytes=has_entry_bytes, range_width=range_width)
        return plan.carry_out(min(workers_count, WORKERS_MAX), progress)


def _choose_tables(wanted: Sequence[str], old: Manifest | None) -> tuple[str, ...]:
    """Give the tables to write, in their order: those that are there stay complete."""
    unknown = [name for name in wanted if name not in TABLES]
    if unknown:
        raise ConditionError(
            field="tables", found=unknown[0], expected=f"some of {', '.join(TABLES)}", code=Code.CONFIG
        )
    there = () if old is None else tuple(old.tables)
    chosen = {*there, *wanted} or set(TABLES)
    return tuple(name for name in TABLES if name in chosen)


class _Plan:
    """What is there, what is wanted, and how far it has come."""

    def __init__(
        self,
        copy: Copy,
        dataset: Dataset,
        old: Manifest | None,
        *,
        tables: tuple[str, ...],
        has_entry_bytes: bool | None,
        range_width: int,
    ) -> None:
        self._copy, self._dataset, self._old, self._tables = copy, dataset, old, tables
        self._head: Final[SealedHeader] = copy.head
        self._width = range_width if old is None else old.range_width
        self._has_entry_bytes = _choose_bytes(old, dataset.folder, wanted=has_entry_bytes)
        self._files: dict[str, dict[int, FileLine]] = {
            table: {file.first: file for file in old.tables[table].files} if old and table in old.tables else {}
            for table in tables
        }
        self._written = dict.fromkeys(tables, 0)
        self._files_count = 0

    def carry_out(self, workers_count: int, progress: Progress) -> ExportResult:
        """Write what is wanted, put it in place, and say so in the manifest."""
        self._require_not_beyond()
        blocks = list(self._list_ranges([SEALS], self._head.header.height + 1))
        entries = list(self._list_ranges([table for table in self._tables if table != SEALS], self._copy.tree.size))
        anchors = self._anchor(blocks, entries)
        if self._old is None:
            self._dataset.forget()
        else:
            self._dataset.sweep(self._old)
        jobs = (self._make_job(each, anchors) for each in (*blocks, *entries))
        total, done = sum(each.end - each.first for each in (*blocks, *entries)), 0
        is_worth_it = len(blocks) + len(entries) > RANGES_ALONE_MAX
        workers = workers_count if is_worth_it else 0
        since = 0
        for job, parts in run_jobs(jobs, self._copy, head=self._head, workers_count=workers):
            lines = self._dataset.publish(parts, first=job.first, end=job.end)
            for table, line in lines.items():
                self._files[table][job.first] = line
                self._written[table] += line.rows
            self._files_count += len(lines)
            since += 1
            if since == MANIFEST_EVERY:
                self._dataset.write_manifest(self._make_manifest())
                since = 0
            done += job.end - job.first
            progress(done, total)
        manifest = self._make_manifest()
        if manifest != self._old:
            self._dataset.write_manifest(manifest)
        self._dataset.tidy()
        return ExportResult(self._dataset.folder, manifest, self._written, self._files_count)

    def _require_not_beyond(self) -> None:
        """Refuse a copy that is older than what is there already."""
        if self._old is not None and self._old.head.height > self._head.header.height:
            raise ConditionError(
                field=str(self._copy.path),
                found=f"height {self._head.header.height}",
                expected=f"{self._old.head.height} or more, as exported before: sync first, or --rebuild",
                code=Code.CONFIG,
            )

    def _list_ranges(self, tables: Sequence[str], end: int) -> Iterator[_Range]:
        """Give the ranges of which some table has no file, a shorter one, or one that is not as it was written."""
        wanted = [table for table in tables if table in self._tables]
        for first in range(0, end if wanted else 0, self._width):
            stop = min(first + self._width, end)
            missing = [
                table
                for table in wanted
                if (file := self._files[table].get(first)) is None
                or file.end != stop
                or not self._dataset.is_intact(table, file)
            ]
            if missing:
                yield _Range(first, stop, tuple(missing))

    def _anchor(self, blocks: Sequence[_Range], entries: Sequence[_Range]) -> dict[int, bytes]:
        """Verify headers as far down as any range needs, and as the head that was exported before."""
        heights = [Height(each.first) for each in blocks[:1]]
        heights += [self._copy.block_with_entry(LeafIndex(each.first)).header.height for each in entries[:1]]
        if self._old is not None:
            heights.append(Height(self._old.head.height))
        anchors = anchor_chain(self._copy, lowest=min(heights, default=self._head.header.height))
        if self._old is not None:
            found = self._copy.block(Height(self._old.head.height)).header.digest.hex()
            if found != self._old.head.block:
                field = f"{self._dataset.folder}: block {self._old.head.height}"
                raise PolicyError(field=field, found=self._old.head.block, expected=f"{found}, as in the copy")
        return anchors

    def _make_job(self, wanted: _Range, anchors: Mapping[int, bytes]) -> Job:
        if SEALS in wanted.tables:
            lowest, highest = wanted.first, wanted.end - 1
        else:
            lowest = self._copy.block_with_entry(LeafIndex(wanted.first)).header.height
            highest = self._copy.block_with_entry(LeafIndex(wanted.end - 1)).header.height
        stretches = range(lowest // ANCHOR_BLOCKS, highest // ANCHOR_BLOCKS + 1)
        if not all(number in anchors for number in stretches):
            field = f"{self._copy.path}: blocks"
            raise ProofError(field=field, found=f"entry {wanted.first} in block {lowest}", expected="a later block")
        return Job(
            first=wanted.first,
            end=wanted.end,
            is_final=wanted.end == wanted.first + self._width,
            paths={table: self._dataset.make_aside(table, wanted.first) for table in wanted.tables},
            anchors={number: anchors[number] for number in stretches},
            has_entry_bytes=self._has_entry_bytes,
        )

    def _make_manifest(self) -> Manifest:
        charter, header = self._copy.charter, self._head.header
        head = HeadLine(
            height=header.height,
            tree_size=header.tree_size,
            root=header.root.hex(),
            block=header.digest.hex(),
            time_ms=header.time_ms,
            seal=self._head.seal.hex(),
        )
        return Manifest(
            schema_version=SCHEMA_VERSION,
            ledger=charter.fingerprint,
            origin=charter.origin,
            title=charter.title,
            head=head,
            has_entry_bytes=self._has_entry_bytes,
            range_width=self._width,
            tables={table: self._make_line(table) for table in self._tables},
        )

    def _make_line(self, table: str) -> TableLine:
        """List a table's files from the first on, up to where one is missing yet."""
        files: list[FileLine] = []
        there = self._files[table]
        while (file := there.get(len(files) * self._width)) is not None:
            files.append(file)
        complete_to = files[-1].end if files else 0
        return TableLine(complete_to=complete_to, rows=sum(file.rows for file in files), files=tuple(files))


def _choose_bytes(old: Manifest | None, folder: Path, *, wanted: bool | None) -> bool:
    if old is None:
        return bool(wanted)
    if wanted is not None and wanted != old.has_entry_bytes:
        found = "an export with the entries' bytes" if old.has_entry_bytes else "an export without the entries' bytes"
        raise ConditionError(
            field=str(folder), found=found, expected="the same, or --rebuild to write all anew", code=Code.CONFIG
        )
    return old.has_entry_bytes


def encode_export(result: ExportResult) -> dict[str, Any]:
    """Give what was done as JSON has it; Any because its values are of several types."""
    manifest = result.manifest
    return {
        "folder": str(result.folder),
        "schema_version": manifest.schema_version,
        "charter_fingerprint": manifest.ledger,
        "origin": manifest.origin,
        "head": {
            "height": manifest.head.height,
            "tree_size": manifest.head.tree_size,
            "root": manifest.head.root,
            "block": manifest.head.block,
            "time_ms": manifest.head.time_ms,
        },
        "tables": {
            table: {"complete_to": line.complete_to, "rows": line.rows, "rows_written": result.written.get(table, 0)}
            for table, line in manifest.tables.items()
        },
        "files_written": result.files_count,
    }


def describe_export(result: ExportResult) -> list[str]:
    """Say in lines what is there now, and under which head."""
    manifest = result.manifest
    head = manifest.head
    done = f"{result.files_count} files written" if result.files_count else "nothing new: no file was written"
    rows = ", ".join(f"{line.rows} {table}" for table, line in manifest.tables.items())
    return [
        f"exported   {result.folder}: {done}",
        f"rows       {rows}",
        f"ledger     {manifest.origin} ({manifest.title}), charter {manifest.ledger}",
        f"head       height {head.height}, {head.tree_size} entries, sealed {format_time(Millis(head.time_ms))}",
        f"root       {head.root}",
    ]
