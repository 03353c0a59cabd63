"""A published ledger checked from end to end: every file of it hashed again, up to a root that a quorum sealed.

1. `charter` must be the one that is believed, and `checkpoint` sealed under its group key, or nothing can be said.
2. Tiles above level 0, and the partial ones, from the root downwards (`tlog.upper`).
3. Every level-0 tile and every entry bundle against the roots of 2, in as many processes as are given (`tlog.leaves`).
4. Every header and every seal, bundle by bundle (`tlog.headers`); the bundles must hang together, and the last block be
   the very one that the checkpoint seals.
5. `cosignatures` and archival checkpoints: every line by a known key and true, their blocks those of the chain; the
   transcript is the charter's; `index.json` and the schemas are what this release writes.
6. If the place lists its files: partial ones of earlier checkpoints are beginnings of the newer ones, and every other
   name is extra.

One flipped bit in any file is found, but for the name of the software in `index.json`, which nobody vouches for. A file
that is wrong is named and the rest looked at. Nothing is changed, and neither the files nor the place are believed.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from ledger.blocks import HEADERS_PER_BUNDLE
from ledger.charter import Charter
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import NOTE_BYTES_MAX, TILE_WIDTH
from ledger.notes import VerifierKey
from ledger.policy import VerifiedCheckpoint
from ledger.positions import Interval
from ledger.schemas import PREDICATES, encode_schema
from ledger.tiles import Tile, headers_path
from tlog.faults import Fault, Faults, Problem
from tlog.headers import Blocks, Chain, Link, check_blocks
from tlog.leaves import Leaves, check_leaves, check_partial_tiles
from tlog.listing import Listing, sort_paths
from tlog.notes import NoteCheck, NoteKeys
from tlog.pools import Pool, open_pool
from tlog.publisher import CHARTER, CHECKPOINT, INDEX, encode_index, parse_software, schema_path
from tlog.reading import Files, ListedFiles
from tlog.resources import Reader
from tlog.upper import UpperTiles

SEAL_COST: Final = 64  # entries that are hashed in the time of one seal
IN_OTHERS_MIN: Final = 1_000_000  # entries' worth: some seconds, of which starting other processes takes one or two
TILES_RUN: Final = 32  # that another process is given at a time
HEADERS_RUN: Final = 2  # bundles, likewise
_ResultT = TypeVar("_ResultT")
_UnitT = TypeVar("_UnitT")


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found.

    Attributes:
        checkpoint: which was believed, and everything under it held against.
        entries_count: entries that are right.
        files_count: files that were read.
        bytes_count: how much they hold.
        ahead_count: files of later checkpoints, of which nothing can be said.
        is_listed: whether the place said what it holds, so that extra files could be found.
        faults: what is wrong, file by file.
        faults_count: how many faults there are, of which `faults` has the first.
    """

    checkpoint: VerifiedCheckpoint
    entries_count: int
    files_count: int
    bytes_count: int
    ahead_count: int
    is_listed: bool
    faults: tuple[Fault, ...]
    faults_count: int


def verify_files(
    open_reader: Callable[[], Files],
    charter: Charter,
    *,
    is_remote: bool = False,
    workers_count: int = 0,
    witnesses: Sequence[VerifierKey] = (),
    report: Callable[[int, int], None] = lambda _, __: None,
) -> Verification:
    """Check a published ledger from end to end.

    Args:
        open_reader: opens the files; with other processes, once in each, so it must be a function they find by name.
        charter: of the ledger; believed.
        is_remote: whether an answer takes longer than looking at it, so that several files are asked for at a time.
        workers_count: other processes that hash, if there is enough to hash; with 0 everything is done in this one.
        witnesses: keys of others whose cosignatures may stand in the notes.
        report: told how many tiles and bundles of headers are done, and of how many.

    Raises:
        LedgerError: the checkpoint cannot be believed, or is of another ledger.
        ConditionError: `NOT_FOUND`: there is no checkpoint; else the place could not be read.
    """
    with contextlib.closing(open_reader()) as reader:
        faults = Faults()
        _require_same(reader, CHARTER, charter.entry, faults)
        keys = NoteKeys(reader, charter, faults, witnesses)
        raw = reader.read(CHECKPOINT, size_max=NOTE_BYTES_MAX)
        if raw is None:
            expected = "the checkpoint of a ledger"
            raise ConditionError(field=CHECKPOINT, found="nothing", expected=expected, code=Code.NOT_FOUND)
        faults.count_read(raw)
        checkpoint = keys.verify(raw, is_archival=False)
        is_listed = isinstance(reader, ListedFiles)
        paths = reader.paths() if isinstance(reader, ListedFiles) else ()
        size, blocks_count = checkpoint.checkpoint.size, checkpoint.seal.height + 1
        listing = sort_paths(paths, size=size, blocks_count=blocks_count)
        for path in listing.extra:
            faults.add(path, Problem.EXTRA, "nothing of this name is published")
        is_small = size + SEAL_COST * blocks_count < IN_OTHERS_MIN
        with open_pool(open_reader, reader, workers_count=0 if is_small else workers_count) as pool:
            check = _Check(reader, charter, checkpoint, listing, faults)
            entries_count, links = check.run(pool, report, is_remote=is_remote)
        intervals = listing.archives if is_listed else sorted({each for link in links for each in link.intervals})
        notes = NoteCheck(reader, charter, checkpoint, keys=keys, links=links, faults=faults)
        notes.run([Interval(each) for each in intervals], must_exist=is_listed)
        return Verification(
            checkpoint=checkpoint,
            entries_count=entries_count,
            files_count=faults.files_count,
            bytes_count=faults.bytes_count,
            ahead_count=listing.ahead_count + notes.ahead_count,
            is_listed=is_listed,
            faults=tuple(sorted(faults.found, key=lambda fault: (fault.path, fault.problem))),
            faults_count=faults.count,
        )


class _Check:
    """Tiles, bundles, headers and what never changes, against one checkpoint."""

    def __init__(
        self, reader: Reader, charter: Charter, checkpoint: VerifiedCheckpoint, listing: Listing, faults: Faults
    ) -> None:
        self._reader, self._charter, self._checkpoint = reader, charter, checkpoint
        self._listing, self._faults = listing, faults

    def run(self, pool: Pool, report: Callable[[int, int], None], *, is_remote: bool) -> tuple[int, list[Link]]:
        """Hash everything; gives how many entries are right, and how bundles of headers hang together."""
        checkpoint, charter, faults = self._checkpoint.checkpoint, self._charter, self._faults
        for kind in PREDICATES:
            _require_same(self._reader, schema_path(kind), encode_schema(kind), faults)
        self._check_index()
        upper = UpperTiles(self._reader, faults, size=checkpoint.size, root=checkpoint.root)
        for (level, index), widths in self._listing.tiles.items():
            if level > 0:
                tile = Tile(level, index, TILE_WIDTH)
                check_partial_tiles(self._reader, tile, widths, upper.hashes(level, index), faults)
        tiles, bundles = list(self._list_leaves(upper)), list(self._list_blocks())
        done, total = 0, len(tiles) + len(bundles)
        report(done, total)
        entries_count = 0
        for run, (found, count) in _each(tiles, partial(check_leaves, is_remote=is_remote), pool, run_length=TILES_RUN):
            faults.join(found)
            entries_count += count
            done += len(run)
            report(done, total)
        grid = charter.grid
        chain = Chain(charter.origin, charter.ledger_id, charter.group_key, grid.start, grid.interval_s)
        links: list[Link] = []
        for blocks, (found, linked) in _each(
            bundles, partial(check_blocks, chain=chain, is_remote=is_remote), pool, run_length=HEADERS_RUN
        ):
            faults.join(found)
            links += linked
            done += len(blocks)
            report(done, total)
        self._check_links(links)
        return entries_count, links

    def _list_leaves(self, upper: UpperTiles) -> Iterator[Leaves]:
        tiles, bundles = self._listing.tiles, self._listing.bundles
        for index, parent in enumerate(upper.roots):
            beside = tuple(tiles.get((0, index), ())), tuple(bundles.get(index, ()))
            yield Leaves(index, parent=parent, tile_widths=beside[0], bundle_widths=beside[1])
        index, width = divmod(self._checkpoint.checkpoint.size, TILE_WIDTH)
        if width:
            hashes = None if upper.edge is None else upper.edge.levels[0]
            beside = tuple(tiles.get((0, index), ())), tuple(bundles.get(index, ()))
            yield Leaves(index, width, hashes=hashes, tile_widths=beside[0], bundle_widths=beside[1])

    def _list_blocks(self) -> Iterator[Blocks]:
        count = self._checkpoint.seal.height + 1
        for index in range((count + HEADERS_PER_BUNDLE - 1) // HEADERS_PER_BUNDLE):
            width = min(HEADERS_PER_BUNDLE, count - index * HEADERS_PER_BUNDLE)
            yield Blocks(index, width, tuple(self._listing.headers.get(index, ())))

    def _check_links(self, links: Sequence[Link]) -> None:
        """See that bundles of headers hang together, and that the last block is the one that was sealed."""
        for before, after in itertools.pairwise(links):
            if before.last is not None and after.parent is not None and before.last != after.parent:
                blamed = after if before.is_sealed else before  # a seal vouches for whatever ends with it
                self._blame(blamed, "its chain is not that of the bundle beside it")
        if links and links[-1].last not in {None, self._checkpoint.seal.block_digest}:
            self._blame(links[-1], "its last block is not the one that the checkpoint seals")

    def _blame(self, link: Link, words: str) -> None:
        width = min(HEADERS_PER_BUNDLE, self._checkpoint.seal.height + 1 - link.index * HEADERS_PER_BUNDLE)
        self._faults.add(headers_path(link.index, width), Problem.WRONG, words)

    def _check_index(self) -> None:
        raw = self._faults.read(self._reader, INDEX, size_max=NOTE_BYTES_MAX)
        if raw is None:
            self._faults.add_missing(INDEX)
            return
        try:
            software = parse_software(raw)
        except LedgerError as error:
            self._faults.add_error(INDEX, error)
            return
        if encode_index(self._charter.origin, self._charter.ledger_id, software=software) != raw:
            self._faults.add(INDEX, Problem.WRONG, "not what this release writes for this ledger")


def _each(
    units: Sequence[_UnitT],
    check: Callable[[Reader, Sequence[_UnitT]], _ResultT],
    pool: Pool,
    *,
    run_length: int,
) -> Iterator[tuple[Sequence[_UnitT], _ResultT]]:
    """Have runs of units checked, and give each with what came of it, in order."""
    runs = [units[at : at + run_length] for at in range(0, len(units), run_length)]
    return zip(runs, pool.map(check, runs), strict=True)


def _require_same(reader: Reader, path: str, expected: bytes, faults: Faults) -> None:
    raw = faults.read(reader, path, size_max=max(len(expected), NOTE_BYTES_MAX))
    if raw is None:
        faults.add_missing(path)
    elif raw != expected:
        faults.add(path, Problem.WRONG, "other bytes than this ledger has there")
