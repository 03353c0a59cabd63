"""Tiles and bundles: where they stand, what is in them, and the checks one by one (data: tests/vectors/tiles.json).

The reader that makes the checks has its own file, `test_tile_reader.py`.
"""

import contextlib
import doctest
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import ledger.tiles
from ledger.errors import Code, FormatError, ProofError
from ledger.limits import BUNDLE_BYTES_MAX, ENTRY_BYTES_MAX, SIZE_MAX, TILE_WIDTH
from ledger.merkle import EMPTY_ROOT, Hash, HashReader, compute_root, leaf_hash, node_hash
from ledger.positions import TreeSize
from ledger.tiles import (
    EMPTY_EDGE,
    TILE_INDEX_MAX,
    Bundle,
    Edge,
    Tile,
    bundle_path,
    compute_tile,
    compute_tile_width,
    edge_tiles,
    encode_bundle,
    encode_tile,
    headers_path,
    parse_bundle,
    parse_bundle_path,
    parse_headers_path,
    parse_tile,
    parse_tile_path,
    tile_path,
    tiles_for_size,
    verify_bundle,
    verify_edge,
    verify_tile,
)

# Any: JSON whose shape the tests below spell out.
VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "tiles.json").read_text("utf-8"))

LARGE = 70_000  # 273 full tiles and a partial one, above them one full and one partial, above them one partial


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


# Where things stand.


def test_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(ledger.tiles)
    assert result.attempted > 0
    assert result.failed == 0


def test_paths_are_those_of_the_specification() -> None:
    for known in VECTORS["paths"]:
        tile = Tile(level=known["level"], index=known["index"], width=known["width"])
        assert tile_path(tile) == known["path"]
        assert parse_tile_path(known["path"]) == tile
    for known in VECTORS["bundle_paths"]:
        assert bundle_path(known["index"], known["width"]) == known["path"]
        assert parse_bundle_path(known["path"]) == Bundle(index=known["index"], width=known["width"])


@pytest.mark.parametrize("path", VECTORS["refused_paths"])
def test_path_that_would_be_written_otherwise_is_refused(path: str) -> None:
    with pytest.raises(FormatError):
        parse_tile_path(path)
    bundle = path.replace("tile/0/", "tile/entries/")
    with pytest.raises(FormatError):
        parse_bundle_path(bundle)


@given(st.integers(0, 63), st.integers(0, TILE_INDEX_MAX), st.integers(1, TILE_WIDTH))
@example(63, TILE_INDEX_MAX, TILE_WIDTH)
def test_paths_read_back(level: int, index: int, width: int) -> None:
    tile = Tile(level=level, index=index, width=width)
    assert parse_tile_path(tile_path(tile)) == tile
    assert parse_bundle_path(bundle_path(index, width)) == Bundle(index=index, width=width)


near_paths = st.builds(
    lambda level, groups, suffix: f"tile/{level}/{'/'.join(groups)}{suffix}",
    st.sampled_from(["entries", "0", "1", "63", "64", "00", ""]),
    st.lists(st.sampled_from(["000", "x000", "001", "x001", "x1", "12", "x999", "1000", ""]), max_size=7),
    st.sampled_from(["", ".p/1", ".p/255", ".p/256", ".p/0", ".p/01", ".p", "/", "\n"]),
)


@given(st.one_of(st.text(max_size=80), near_paths))
@example("tile/0/x001/000.p/1")
@example("tile/entries/x001/000.p/1")
def test_any_text_is_refused_or_is_the_path_of_what_it_says(text: str) -> None:
    try:
        assert tile_path(parse_tile_path(text)) == text
    except FormatError:
        with contextlib.suppress(FormatError):
            bundle = parse_bundle_path(text)
            assert bundle_path(bundle.index, bundle.width) == text


def list_tiles(size: int) -> set[Tile]:
    """List every tile of a tree, full and partial, from the widths alone."""
    tiles = set()
    for level in range(8):
        index = 0
        while width := compute_tile_width(level=level, index=index, size=TreeSize(size)):
            tiles.add(Tile(level=level, index=index, width=width))
            index += 1
    return tiles


def test_tiles_of_a_tree_are_counted_as_the_specification_counts_them() -> None:
    for known in VECTORS["growth"]:
        tiles = tiles_for_size(TreeSize(0), TreeSize(known["size"]))
        for level, (full, partial) in enumerate(zip(known["full"], known["partial"], strict=True)):
            widths = [tile.width for tile in tiles if tile.level == level]
            assert widths == [TILE_WIDTH] * full + [partial] * (partial > 0)
        assert {tile.level for tile in tiles} == set(range(len(known["full"])))


@given(st.integers(0, 150_000), st.integers(0, 150_000))
@example(0, 0)
@example(255, 256)
@example(256, 256)
@example(256, 257)
@example(65_535, 65_536)
@example(65_536, 65_537)
def test_growth_writes_exactly_the_tiles_that_were_not_there_before(one: int, other: int) -> None:
    old, new = min(one, other), max(one, other)
    tiles = tiles_for_size(TreeSize(old), TreeSize(new))
    assert len(tiles) == len(set(tiles))
    assert set(tiles) == list_tiles(new) - list_tiles(old)
    assert tiles == sorted(tiles, key=lambda tile: (tile.level, tile.index))


@given(st.integers(0, SIZE_MAX))
@example(SIZE_MAX)
@example(2**56)
def test_edge_tiles_are_the_partial_ones(size: int) -> None:
    tiles = edge_tiles(TreeSize(size))
    assert sum(tile.width << 8 * tile.level for tile in tiles) == size
    for tile in tiles:
        assert 1 <= tile.width < TILE_WIDTH
        assert compute_tile_width(level=tile.level, index=tile.index, size=TreeSize(size)) == tile.width


# What is in them.


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=TILE_WIDTH))
@example([b""])
@example([b"x" * ENTRY_BYTES_MAX, b""])
def test_bundles_read_back(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries), count=len(entries)) == entries


@given(st.binary(max_size=60), st.integers(1, 8))
def test_any_bytes_are_refused_or_are_the_bundle_of_what_they_say(raw: bytes, count: int) -> None:
    try:
        entries = parse_bundle(raw, count=count)
    except FormatError:
        return
    assert len(entries) == count
    assert encode_bundle(entries) == raw


def test_bundle_of_another_length_is_refused() -> None:
    raw = encode_bundle([b"one", b"", b"three"])
    for length in range(len(raw)):
        with pytest.raises(FormatError):
            parse_bundle(raw[:length], count=3)
    for wrong, count in [(raw + b"\0", 3), (raw + b"\0\0", 3), (raw, 2), (raw, 4), (raw, 0), (b"", 1)]:
        with pytest.raises(FormatError):
            parse_bundle(wrong, count=count)


def test_bundle_beyond_any_bound_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError) as refused:
        parse_bundle(bytes(BUNDLE_BYTES_MAX + 1), count=TILE_WIDTH)
    assert refused.value.code == Code.TOO_LARGE


@pytest.mark.parametrize("entries", [[], [b""] * (TILE_WIDTH + 1), [b"x" * (ENTRY_BYTES_MAX + 1)]])
def test_bundle_that_nobody_could_read_is_not_written(entries: list[bytes]) -> None:
    with pytest.raises(FormatError):
        encode_bundle(entries)


def test_tiles_read_back_and_other_lengths_are_refused() -> None:
    for width in (1, 2, 255, 256):
        hashes = all_leaves()[:width]
        raw = encode_tile(hashes)
        assert parse_tile(raw, width=width) == hashes
        for wrong in (b"", raw[:-1], raw + b"\0", raw[:-32], raw + raw[:32]):
            with pytest.raises(FormatError):
                parse_tile(wrong, width=width)


@pytest.mark.parametrize("steps", [[1] * 600, [256, 256, 1], [255, 2, 300], [LARGE], [65_536, 1, 4_463]])
def test_growing_edge_writes_the_tiles_of_the_definition(steps: list[int]) -> None:
    edge, written = EMPTY_EDGE, dict[str, bytes]()
    for step in steps:
        size = edge.size
        edge, tiles = edge.extend(all_leaves()[size : size + step])
        assert list(tiles) == tiles_for_size(size, edge.size)
        assert edge.size == size + step
        verify_edge(edge, root=root_at(edge.size))
        for tile, raw in tiles.items():
            assert raw == compute_tile(tile, read=read_all())
            assert written.setdefault(tile_path(tile), raw) == raw  # nothing is overwritten with other bytes
    for tile in list_tiles(edge.size):
        assert tile_path(tile) in written


def test_growing_by_nothing_writes_nothing() -> None:
    edge, _ = EMPTY_EDGE.extend(all_leaves()[:300])
    assert edge.extend([]) == (edge, {})


def test_edge_of_another_shape_cannot_be_made() -> None:
    for size, levels in [(1, ()), (1, ((),)), (256, ((), (), ())), (257, ((EMPTY_ROOT,), ()))]:
        with pytest.raises(AssertionError):
            Edge(TreeSize(size), levels)


# How they are believed.


def test_tile_is_compared_with_its_parent() -> None:
    hashes, parent = all_leaves()[:TILE_WIDTH], read_all()(8, 0)
    verify_tile(hashes, parent=parent)
    for wrong in (hashes[:-1], (*hashes, hashes[0]), hashes[::-1], all_leaves()[1 : TILE_WIDTH + 1], ()):
        with pytest.raises(ProofError):
            verify_tile(wrong, parent=parent)
    with pytest.raises(ProofError):
        verify_tile(hashes, parent=EMPTY_ROOT)


def test_no_partial_tile_is_hashed_into_the_level_above() -> None:
    for width in (1, 2, 128, 255):
        hashes = all_leaves()[:width]
        with pytest.raises(ProofError) as refused:
            verify_tile(hashes, parent=compute_root(hashes))
        assert refused.value.field == "tile.width"


def test_bundle_is_compared_entry_by_entry() -> None:
    entries, leaves = [entry_at(index) for index in range(9)], all_leaves()[:9]
    verify_bundle(entries, leaves=leaves)
    for place in range(9):
        with pytest.raises(ProofError) as refused:
            verify_bundle([*entries[:place], b"", *entries[place + 1 :]], leaves=leaves)
        assert refused.value.field == f"bundle[{place}]"
    for wrong in (entries[:-1], [*entries, entries[0]], []):
        with pytest.raises(ProofError):
            verify_bundle(wrong, leaves=leaves)


def test_entry_made_of_a_tiles_hashes_does_not_pass_for_the_tile() -> None:
    hashes = all_leaves()[:2]
    with pytest.raises(ProofError):
        verify_bundle([hashes[0] + hashes[1]], leaves=[node_hash(*hashes)])


@given(index=st.integers(min_value=0, max_value=TILE_INDEX_MAX), width=st.integers(min_value=1, max_value=TILE_WIDTH))
def test_the_path_of_a_bundle_of_headers_reads_back(index: int, width: int) -> None:
    assert parse_headers_path(headers_path(index, width)) == Bundle(index=index, width=width)


@pytest.mark.parametrize(
    "path",
    ["headers/0", "headers/000.p/256", "headers/000.p/0", "headers/x000/001", "headers/../000", "tile/entries/000"],
)
def test_another_spelling_of_a_path_of_headers_is_refused(path: str) -> None:
    with pytest.raises(FormatError, match=r"headers\.path"):
        parse_headers_path(path)
