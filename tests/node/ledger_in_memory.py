"""A ledger in memory for the tests of publishing and serving, and a reader that believes nothing."""

from collections.abc import Sequence
from pathlib import Path

from ledger.blocks import SealedHeader, compute_entries_digest, encode_header, parse_header_bundle, verify_header_chain
from ledger.checkpoints import Checkpoint, encode_checkpoint, parse_checkpoint
from ledger.encoding import encode_base64
from ledger.merkle import Hash, compute_root, leaf_hash
from ledger.notes import parse_note
from ledger.positions import Epoch, Height, Interval, LeafIndex, MemberIndex, Millis, TreeSize, View
from ledger.tiles import TileReader, TileSource, headers_path
from tlog.publisher import Identity, Snapshot

ORIGIN = "ledger.example/test"
ENTRIES_PER_BLOCK = 3


class MemoryLedger:
    """Blocks of three entries each, as many as are asked for; every fourth block final through a descendant."""

    def __init__(self, heights: int, *, name: str = "entry") -> None:
        self.all_entries = [f"{name} 0".encode()]
        self.headers: list[SealedHeader] = []
        self._levels: list[list[Hash]] = [[]]
        for height in range(heights):
            first = len(self.all_entries) if height else 0
            self.all_entries += [f"{name} {first + n}".encode() for n in range(ENTRIES_PER_BLOCK if height else 0)]
            leaves = [leaf_hash(entry) for entry in self.all_entries[first:]]
            self._levels[0] += leaves
            self._raise_levels()
            self.headers.append(self._seal(height, first, leaves))

    def _raise_levels(self) -> None:
        level = 0
        while len(self._levels[level]) > 1:
            if level + 1 == len(self._levels):
                self._levels.append([])
            below, above = self._levels[level], self._levels[level + 1]
            above += [compute_root(below[2 * n : 2 * n + 2]) for n in range(len(above), len(below) // 2)]
            level += 1

    def _seal(self, height: int, first: int, leaves: list[Hash]) -> SealedHeader:
        parent = self.headers[-1].header.digest if self.headers else bytes(32)
        header = encode_header(
            ledger_id=leaf_hash(self.all_entries[0]),
            epoch=Epoch(1),
            view=View(height),
            height=Height(height),
            parent=parent,
            time_ms=Millis(1_000 + height),
            proposer=MemberIndex(1 if height else 0),
            first_index=LeafIndex(first),
            tree_size=TreeSize(len(self.all_entries)),
            root=compute_root(self._levels[0]),
            entries_digest=compute_entries_digest(leaves),
        )
        return SealedHeader(header=header, seal=b"" if height % 4 == 1 else bytes([1 + height % 255]) * 48)

    def entries(self, first: LeafIndex, count: int) -> Sequence[bytes]:
        return self.all_entries[first : first + count]

    def read_hash(self, level: int, number: int) -> Hash:
        return self._levels[level][number]

    def blocks(self, first: Height, count: int) -> Sequence[SealedHeader]:
        return self.headers[first : first + count]

    def identity(self) -> Identity:
        charter = self.all_entries[0]
        return Identity(charter, b"transcript", ORIGIN, leaf_hash(charter), "counterseal test")

    def snapshot(self, height: int) -> Snapshot:
        header = self.headers[height].header
        text = encode_checkpoint(Checkpoint(origin=ORIGIN, size=header.tree_size, root=header.root))
        line = f"— {ORIGIN} {encode_base64(bytes(4) + height.to_bytes(64, 'big'))}\n"
        other = f"— other.example {encode_base64(bytes(68))}\n"
        note = f"{text}\n{line}".encode()
        return Snapshot(
            height=Height(height),
            size=header.tree_size,
            checkpoint=note,
            cosignatures=f"{text}\n{line}{other}".encode(),
            archives={Interval(0): self.snapshot(2).checkpoint} if height > 2 else {},
        )


def read_everything(fetch: TileSource) -> tuple[TreeSize, list[bytes], list[SealedHeader]]:
    """Read a published ledger as a stranger does: from its checkpoint down, believing only what was compared."""
    note = fetch("checkpoint")
    assert note is not None
    checkpoint = parse_checkpoint(parse_note(note).text)
    reader = TileReader(size=checkpoint.size, root=checkpoint.root, fetch=fetch)
    entries = [entry for index in range((checkpoint.size + 255) // 256) for entry in reader.read_bundle(index)]
    headers: list[SealedHeader] = []
    while not headers or headers[-1].header.tree_size < checkpoint.size or headers[-1].header.root != checkpoint.root:
        headers += read_headers(fetch, index=len(headers) // 256, size=checkpoint.size)
    verify_header_chain([sealed.header for sealed in headers])
    return checkpoint.size, entries, headers


def read_headers(fetch: TileSource, *, index: int, size: TreeSize) -> list[SealedHeader]:
    """A bundle of headers: the full one, or else the widest partial one that ends at the size."""
    for width in range(256, 0, -1):
        raw = fetch(headers_path(index, width))
        if raw is not None:
            headers = parse_header_bundle(raw)
            assert len(headers) == width
            return [sealed for sealed in headers if sealed.header.tree_size <= size]
    raise AssertionError(f"no headers from {index * 256} on")


def files_in(root: Path) -> dict[str, bytes]:
    """Every file of a folder, but those that are still being written."""
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    return {path: raw for path, raw in found.items() if not path.startswith(".incoming/")}


def fetch_from(root: Path) -> TileSource:
    """Read tiles from a folder."""
    return lambda path: (root / path).read_bytes() if (root / path).is_file() else None
