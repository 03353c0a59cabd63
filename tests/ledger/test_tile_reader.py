"""A reader of tiles believes nothing that was not compared up to the root: every file of a ledger is bent in turn."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Code, ConditionError, FormatError, LedgerError, ProofError
from ledger.limits import TILE_WIDTH
from ledger.merkle import (
    EMPTY_ROOT,
    Hash,
    HashReader,
    compute_root,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from ledger.positions import LeafIndex, TreeSize
from ledger.tiles import (
    EMPTY_EDGE,
    TILES_KEPT_MAX,
    Edge,
    Tile,
    TileReader,
    bundle_path,
    compute_tile,
    compute_tile_width,
    edge_tiles,
    encode_bundle,
    encode_tile,
    parse_bundle,
    parse_bundle_path,
    parse_tile,
    parse_tile_path,
    tile_path,
    tiles_for_size,
)

# Any: JSON whose shape the tests below spell out.
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "merkle.json").read_text("utf-8"))

LARGE = 70_000  # 273 full tiles and a partial one, above them one full and one partial, above them one partial
Files = dict[str, bytes]
Question = Callable[[TileReader], object]


def entry_at(index: int) -> bytes:
    return b"entry %d" % index


@cache
def all_leaves() -> tuple[Hash, ...]:
    return tuple(leaf_hash(entry_at(index)) for index in range(LARGE))


@cache
def read_all() -> HashReader:
    """Hash all perfect subtrees of the large tree; level above level."""
    levels = [list(all_leaves())]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


@cache
def root_at(size: int) -> Hash:
    return compute_root(all_leaves()[:size])


@cache
def publish(size: int) -> Files:
    """Write all files of a ledger of this size, from the definition of a tile."""
    files = {}
    for tile in tiles_for_size(TreeSize(0), TreeSize(size)):
        files[tile_path(tile)] = compute_tile(tile, read=read_all())
        if tile.level == 0:
            first = tile.index * TILE_WIDTH
            entries = [entry_at(index) for index in range(first, first + tile.width)]
            files[bundle_path(tile.index, tile.width)] = encode_bundle(entries)
    return files


def open_files(files: Files, size: int) -> TileReader:
    return TileReader(size=TreeSize(size), root=root_at(size), fetch=files.get)


def flip_bit(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :]


@pytest.mark.parametrize("size", [0, 1, 2, 15, 255, 256, 257, 511, 512, 513, 1_000, 65_536, LARGE])
def test_reader_returns_every_entry_and_hash_of_an_honest_ledger(size: int) -> None:
    reader = open_files(publish(size), size)
    bundles = [reader.read_bundle(index) for index in range((size + TILE_WIDTH - 1) // TILE_WIDTH)]
    assert [entry for bundle in bundles for entry in bundle] == [entry_at(index) for index in range(size)]
    for level in range(size.bit_length()):
        count = size >> level
        for index in {0, count // 2, count - 1}:
            assert reader.read(level, index) == read_all()(level, index)
    for index in {0, size // 2, size - 1} if size else set():
        assert reader.read_entry(LeafIndex(index)) == entry_at(index)


def test_reader_of_the_tessera_log_reaches_its_roots() -> None:
    known = VECTORS["tessera"]
    leaves = [leaf_hash(entry.encode()) for entry in known["entries"]]
    for text, root in known["roots_base64"].items():
        _, tiles = EMPTY_EDGE.extend(leaves[: int(text)])
        files = {tile_path(tile): raw for tile, raw in tiles.items()}
        reader = TileReader(size=TreeSize(int(text)), root=base64.b64decode(root), fetch=files.get)
        assert reader.size == int(text)


@pytest.mark.parametrize("size", [1, 15, 256, 257, LARGE])
def test_proofs_read_from_tiles_verify(size: int) -> None:
    reader = open_files(publish(size), size)
    for old in {1, size // 3 + 1, size - size // 256 or 1, size}:
        leaf, index = all_leaves()[old - 1], LeafIndex(old - 1)
        proof = prove_inclusion(index=index, size=reader.size, read=reader.read)
        verify_inclusion(leaf=leaf, index=index, size=reader.size, proof=proof, root=root_at(size))
        growth = prove_consistency(old_size=TreeSize(old), new_size=reader.size, read=reader.read)
        verify_consistency(
            old_size=TreeSize(old),
            new_size=reader.size,
            proof=growth,
            old_root=root_at(old),
            new_root=root_at(size),
        )


def test_reader_keeps_few_tiles_and_still_reads_right() -> None:
    assert LARGE // TILE_WIDTH > TILES_KEPT_MAX
    asked: list[str] = []

    def fetch(path: str) -> bytes | None:
        asked.append(path)
        return publish(LARGE).get(path)

    reader = TileReader(size=TreeSize(LARGE), root=root_at(LARGE), fetch=fetch)
    for _ in range(2):
        for index in range(LARGE // TILE_WIDTH):
            assert reader.read_bundle(index)[7] == entry_at(index * TILE_WIDTH + 7)
    reader.read_bundle(272)
    assert asked.count("tile/0/272") == 2  # once a round: kept until others were newer
    assert asked.count("tile/1/000") == 1  # in use all the time, so kept


def test_another_root_or_size_is_refused_on_opening() -> None:
    for size in (0, 1, 15, 256, 257, LARGE):
        for root in (flip_bit(root_at(size), 0), EMPTY_ROOT if size else root_at(1), b"", root_at(size)[:31]):
            with pytest.raises(ProofError):
                TileReader(size=TreeSize(size), root=root, fetch=publish(size).get)
    with pytest.raises(LedgerError):
        TileReader(size=TreeSize(16), root=root_at(15), fetch=(publish(15) | publish(16)).get)


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader: reader.read_entry(LeafIndex(300)),
        lambda reader: reader.read_entry(LeafIndex(-1)),
        lambda reader: reader.read_bundle(2),
        lambda reader: reader.read_bundle(-1),
        lambda reader: reader.read(0, 300),
        lambda reader: reader.read(0, -1),
        lambda reader: reader.read(-1, 0),
        lambda reader: reader.read(8, 1),
        lambda reader: reader.read(6, 4),
        lambda reader: reader.read(9, 0),
        lambda reader: reader.read(16, 0),
        lambda reader: reader.read(700, 0),
    ],
)
def test_question_beyond_the_size_is_refused(ask: Question) -> None:
    with pytest.raises(ProofError):
        ask(open_files(publish(300), 300))


def ask_bundle(bundle: int, reader: TileReader) -> object:
    return reader.read_bundle(bundle)


def ask_inclusion(index: int, reader: TileReader) -> object:
    return prove_inclusion(index=LeafIndex(index), size=reader.size, read=reader.read)


def ask_growth(old_size: int, reader: TileReader) -> object:
    return prove_consistency(old_size=TreeSize(old_size), new_size=reader.size, read=reader.read)


def list_questions(size: int) -> Iterator[Question]:
    """Ask for every bundle, and for proofs about some entries."""
    for bundle in range((size + TILE_WIDTH - 1) // TILE_WIDTH):
        yield partial(ask_bundle, bundle)
    for index in sorted({0, size // 2, size - 1}):
        yield partial(ask_inclusion, index)
        yield partial(ask_growth, index + 1)


def answer(files: Files, size: int, ask: Question) -> tuple[object, set[str]]:
    """Give the answer and which files were read for it."""
    used: set[str] = set()

    def fetch(path: str) -> bytes | None:
        used.add(path)
        return files.get(path)

    return ask(TileReader(size=TreeSize(size), root=root_at(size), fetch=fetch)), used


@cache
def honest_answers(size: int) -> list[tuple[Question, object, set[str]]]:
    return [(ask, *answer(publish(size), size, ask)) for ask in list_questions(size)]


def check_flips(files: Files, size: int, path: str, places: Sequence[int]) -> None:
    """Change the file at `path`: every question that reads it must fail, and every other be answered as before."""
    assert any(path in used for _, _, used in honest_answers(size)), path
    for ask, honest, used in honest_answers(size):
        for at in places:
            forged = files | {path: flip_bit(files[path], at)}
            if path in used:
                with pytest.raises(LedgerError):
                    answer(forged, size, ask)
            else:
                assert answer(forged, size, ask) == (honest, used)


@pytest.mark.parametrize("size", [1, 15, 256, 257])
def test_one_bit_changed_anywhere_in_a_small_ledger_is_noticed(size: int) -> None:
    files = publish(size)
    for path, raw in files.items():
        check_flips(files, size, path, range(0, len(raw), 1 if size < 256 else 63))


def test_one_bit_changed_in_any_file_of_a_large_ledger_is_noticed() -> None:
    files = publish(LARGE)
    assert len(files) == 274 + 274 + 2 + 1
    by_path: dict[str, list[Question]] = {path: [] for path in files}
    for ask, _, used in honest_answers(LARGE):
        for path in used:
            by_path[path].append(ask)
    for path, raw in files.items():
        asks = by_path[path]
        assert asks, path  # every file matters to some question
        for at in (0, len(raw) // 2, len(raw) - 1):
            forged = files | {path: flip_bit(raw, at)}
            for ask in (asks[0], asks[-1]):
                with pytest.raises(LedgerError):
                    answer(forged, LARGE, ask)


def test_changed_file_that_is_not_read_changes_no_answer() -> None:
    files = publish(LARGE)
    ask, honest, used = honest_answers(LARGE)[3]
    forged = {path: raw if path in used else flip_bit(raw, 0) for path, raw in files.items()}
    assert answer(forged, LARGE, ask) == (honest, used)


def forge_below(files: Files, bundle: int, top_level: int) -> Files:
    """Change an entry and make every tile above it fit, up to and with `top_level`: only the next parent tells."""
    forged = dict(files)
    entries = parse_bundle(files[bundle_path(bundle)], count=TILE_WIDTH)
    entries[11] = b"another story"
    forged[bundle_path(bundle)] = encode_bundle(entries)
    index, place, risen = bundle, 11, leaf_hash(entries[11])
    for level in range(top_level + 1):
        path = tile_path(Tile(level=level, index=index, width=TILE_WIDTH))
        hashes = list(parse_tile(files[path], width=TILE_WIDTH))
        hashes[place] = risen
        forged[path] = encode_tile(hashes)
        index, place, risen = index >> 8, index & 255, compute_root(hashes)
    return forged


@pytest.mark.parametrize("bundle", [0, 1, 100, 254, 255])
@pytest.mark.parametrize("top_level", [-1, 0, 1])
def test_forged_tiles_that_fit_each_other_do_not_fit_their_parent(bundle: int, top_level: int) -> None:
    files = forge_below(publish(LARGE), bundle, top_level)
    reader = open_files(files, LARGE)
    with pytest.raises(ProofError):
        reader.read_bundle(bundle)
    with pytest.raises(ProofError):  # and again: a failure leaves nothing believed behind
        reader.read_bundle(bundle)
    assert reader.read_bundle(271)[0] == entry_at(271 * TILE_WIDTH)  # its tile hangs on the edge, which was not touched


@pytest.mark.parametrize("width", [1, 16, 17])
def test_forged_edge_is_refused_whichever_of_its_hashes_was_changed(width: int) -> None:
    files = publish(LARGE)
    for tile in edge_tiles(TreeSize(LARGE)):
        path = tile_path(tile)
        for place in {0, tile.width // 2, tile.width - 1, min(width, tile.width) - 1}:
            with pytest.raises(ProofError):
                open_files(files | {path: flip_bit(files[path], 32 * place + 5)}, LARGE)


def test_files_in_each_others_places_are_refused() -> None:
    files = publish(LARGE)
    for one, other, ask in [
        ("tile/0/000", "tile/0/001", 0),
        ("tile/0/000", "tile/0/272", 0),
        ("tile/entries/000", "tile/entries/001", 1),
        ("tile/1/000", "tile/0/000", 0),
    ]:
        swapped = files | {one: files[other], other: files[one]}
        with pytest.raises(ProofError):
            open_files(swapped, LARGE).read_bundle(ask)


# Partial tiles and bundles.


def publish_later(size: int, later: int) -> Files:
    """Give the files of a ledger that has grown on: partials of `size` stay only where no full tile replaced them."""
    kept = {path: raw for path, raw in publish(size).items() if path.startswith("tile/1/")}
    return publish(later) | kept


def test_partial_files_that_are_gone_are_read_from_the_full_ones() -> None:
    for size in (15, 255, 257, 511, 300):
        reader = open_files(publish_later(size, 1_024), size)
        assert [reader.read_entry(LeafIndex(index)) for index in range(0, size, 13)] == [
            entry_at(index) for index in range(0, size, 13)
        ]
        proof = prove_inclusion(index=LeafIndex(3), size=reader.size, read=reader.read)
        verify_inclusion(leaf=all_leaves()[3], index=LeafIndex(3), size=reader.size, proof=proof, root=root_at(size))


def test_reader_of_an_old_size_returns_nothing_that_came_later() -> None:
    files = publish_later(300, 512)
    reader = open_files(files, 300)
    assert len(reader.read_bundle(1)) == 300 - 256
    changed = files | {"tile/0/001": flip_bit(files["tile/0/001"], 32 * 44)}  # the first hash beyond the size
    assert open_files(changed, 300).read_bundle(1) == reader.read_bundle(1)
    used = files | {"tile/0/001": flip_bit(files["tile/0/001"], 32 * 43)}
    with pytest.raises(ProofError):
        open_files(used, 300)


def test_partial_file_of_another_width_is_refused() -> None:
    files = publish(300)
    for path in ("tile/0/001.p/44", "tile/entries/001.p/44"):
        full = publish(512)[path.split(".")[0]]
        fewer = publish(299)[path.replace("44", "43")]
        for raw in (full, fewer, b""):
            with pytest.raises(FormatError):
                open_files(files | {path: raw}, 300).read_bundle(1)


def test_wrong_partial_file_is_not_excused_by_a_right_full_one() -> None:
    files = publish(300) | publish(512)
    for path in ("tile/0/001.p/44", "tile/entries/001.p/44"):
        with pytest.raises(LedgerError):
            open_files(files | {path: flip_bit(files[path], 3)}, 300).read_bundle(1)


@pytest.mark.parametrize("path", sorted(["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"]))
def test_missing_file_is_an_error_that_names_it(path: str) -> None:
    files = {kept: raw for kept, raw in publish(300).items() if kept != path}
    assert len(files) == len(publish(300)) - 1
    with pytest.raises(ConditionError) as refused:
        answer(files, 300, partial(ask_bundle, 0))
    assert refused.value.code == Code.NOT_FOUND
    assert refused.value.field == path


def test_reader_asks_for_no_partial_file_that_its_size_does_not_imply() -> None:
    size = 70_000
    allowed = set(publish(size))
    for _, _, used in honest_answers(size):
        assert used <= allowed


# A ledger far larger than any that could be built here: all entries are the same but a few.


class SparseLedger:
    """Answers for any tile of a tree of 2**40 entries and more, hashing only around the entries that differ."""

    def __init__(self, size: int, rare: dict[int, bytes]) -> None:
        self.size = size
        self.rare = rare
        self.uniform = [leaf_hash(b"the same")]
        while len(self.uniform) < 64:
            self.uniform.append(node_hash(self.uniform[-1], self.uniform[-1]))

    def entry(self, index: int) -> bytes:
        return self.rare.get(index, b"the same")

    def read(self, level: int, index: int) -> Hash:
        if not any(rare >> level == index for rare in self.rare):
            return self.uniform[level]
        if level == 0:
            return leaf_hash(self.rare[index])
        return node_hash(self.read(level - 1, 2 * index), self.read(level - 1, 2 * index + 1))

    def root(self) -> Hash:
        edge = Edge(
            TreeSize(self.size),
            tuple(
                self.hashes(level, self.size >> 8 * (level + 1)) for level in range((self.size.bit_length() + 7) // 8)
            ),
        )
        return edge.frontier().root()

    def hashes(self, level: int, index: int) -> tuple[Hash, ...]:
        width = compute_tile_width(level=level, index=index, size=TreeSize(self.size))
        return tuple(self.read(8 * level, index * TILE_WIDTH + place) for place in range(width))

    def fetch(self, path: str) -> bytes | None:
        if path.startswith("tile/entries/"):
            bundle = parse_bundle_path(path)
            first = bundle.index * TILE_WIDTH
            return encode_bundle([self.entry(index) for index in range(first, first + bundle.width)])
        return compute_tile(parse_tile_path(path), read=self.read)


HUGE = 2**40 + LARGE
RARE = {index: b"rare %d" % index for index in (0, 123_456_789, 2**40 - 1, 2**40, HUGE - 1)}


def ask_everything(reader: TileReader, index: int) -> None:
    reader.read_entry(LeafIndex(index))
    ask_inclusion(index, reader)


@pytest.mark.parametrize("index", [*RARE, 5_000_000_000])
def test_chain_of_full_tiles_in_a_huge_ledger_is_compared_at_every_level(index: int) -> None:
    ledger_ = SparseLedger(HUGE, RARE)
    root = ledger_.root()
    used: list[str] = []

    def fetch(path: str) -> bytes | None:
        used.append(path)
        return ledger_.fetch(path)

    reader = TileReader(size=TreeSize(HUGE), root=root, fetch=fetch)
    assert reader.read_entry(LeafIndex(index)) == ledger_.entry(index)
    proof = prove_inclusion(index=LeafIndex(index), size=reader.size, read=reader.read)
    leaf = leaf_hash(ledger_.entry(index))
    verify_inclusion(leaf=leaf, index=LeafIndex(index), size=reader.size, proof=proof, root=root)
    for path in list(dict.fromkeys(used)):

        def forge(asked: str, forged: str = path) -> bytes | None:
            raw = ledger_.fetch(asked)
            return flip_bit(raw, len(raw) // 2) if raw is not None and asked == forged else raw

        with pytest.raises(LedgerError):
            ask_everything(TileReader(size=TreeSize(HUGE), root=root, fetch=forge), index)
