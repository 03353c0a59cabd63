"""What a dead node left on its disk, looked at without any code that mends: is it whole, and what had it said?

The database must stand at a block boundary: headers chained, entries those of their blocks, root and tree those of the
entries, and the state what the rules make of them from entry 0 on; one that began from a snapshot as far as it reaches.
The published folder must hold every tile under its checkpoint, byte for byte. A snapshot must be one under its name.
Votes must not contradict each other, nor what others hold of them.
"""

import itertools
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ledger.blocks import parse_header_bundle
from ledger.charter import Charter, parse_charter
from ledger.checkpoints import parse_checkpoint
from ledger.limits import TILE_WIDTH
from ledger.merkle import compute_root, leaf_hash
from ledger.notes import parse_note
from ledger.positions import GENESIS_HEIGHT, Height, LeafIndex, MemberIndex, TreeSize
from ledger.rules.apply import apply_block, found
from ledger.rules.state import State, compute_state_digest
from ledger.tiles import bundle_path, compute_tile, encode_bundle, tile_path, tiles_for_size
from node.consensus import votelog
from node.consensus.messages import Certificate, Vote, VoteKind
from node.home import Home
from node.snapshots import SUFFIX, parse_snapshot
from node.store import Store, StoredBlock

MANY = 1_000_000
Said = tuple[int, int, VoteKind, bytes]


def open_copy(database: Path, aside: Path) -> Store:
    """Open what a crash left of a database, in a copy: the node itself must mend the real one."""
    aside.mkdir()
    for path in database.parent.glob(f"{database.name}*"):
        if not path.name.endswith("-shm"):  # rebuilt from the -wal, as after a power failure
            shutil.copy(path, aside / path.name)
    return Store(aside / database.name)


def examine_store(store: Store) -> Height:
    """Hold a database against itself, from entry 0 on; gives its height."""
    store.check()
    tip = store.tip()
    assert tip is not None
    blocks, entries = store.blocks(GENESIS_HEIGHT, MANY), store.entries(LeafIndex(0), MANY)
    leaves = [leaf_hash(entry) for entry in entries]
    assert [block.header.height for block in blocks] == list(range(tip.header.height + 1))
    assert len(entries) == tip.header.tree_size
    assert store.leaves(LeafIndex(0), MANY) == leaves
    state = found(entries[0])
    for before, block in itertools.pairwise(blocks):
        header = block.header
        assert header.parent == before.header.digest
        assert header.first_index == int(before.header.tree_size)
        assert header.root == compute_root(leaves[: header.tree_size])
        outcome = apply_block(
            state,
            entries[header.first_index : header.tree_size],
            time_ms=header.time_ms,
            first_index=LeafIndex(header.first_index),
            parent=header.parent,
        )
        assert isinstance(outcome, State), outcome
        state = outcome
    assert dict(store.state_items()) == dict(state.items())
    assert store.frontier(tip.header.tree_size).root() == compute_root(leaves)
    return tip.header.height


def examine_begun(store: Store, base: StoredBlock) -> Height:
    """Hold a database that began from a snapshot against itself, from that on; gives its height."""
    store.check()
    tip, blocks = store.require_tip(), [base, *store.blocks(Height(base.header.height + 1), MANY)]
    assert [block.header.height for block in blocks] == list(range(base.header.height, tip.header.height + 1))
    for before, block in itertools.pairwise(blocks):
        assert block.header.parent == before.header.digest
    first = LeafIndex(base.header.tree_size)
    entries = store.entries(first, MANY)
    assert len(entries) == tip.header.tree_size - first
    assert store.leaves(first, MANY) == [leaf_hash(entry) for entry in entries]
    assert store.frontier(tip.header.tree_size).root() == tip.header.root
    charter = parse_charter(store.entries(LeafIndex(0), 1)[0])
    state = State.restore(store.state_items(), charter=charter)
    if tip.header.state_digest:
        assert compute_state_digest(state) == tip.header.state_digest
    return tip.header.height


def examine_snapshots(folder: Path) -> None:
    """See that every file which bears a snapshot's name is one, whole and of that height."""
    for path in folder.glob(f"*{SUFFIX}"):
        assert parse_snapshot(path.read_bytes()).header.height == int(path.stem)


def examine_folder(folder: Path, store: Store) -> TreeSize:
    """Hold a published folder against a database that is no older; gives the size of its checkpoint."""
    if not (folder / "checkpoint").exists():
        return TreeSize(0)
    checkpoint = parse_checkpoint(parse_note((folder / "checkpoint").read_bytes()).text)
    assert store.frontier(checkpoint.size).root() == checkpoint.root
    for tile in tiles_for_size(TreeSize(0), checkpoint.size):
        assert (folder / tile_path(tile)).read_bytes() == compute_tile(tile, read=store.read_hash)
        if tile.level == 0:
            entries = store.entries(LeafIndex(tile.index * TILE_WIDTH), tile.width)
            assert (folder / bundle_path(tile.index, tile.width)).read_bytes() == encode_bundle(entries)
    held = {block.header.raw for block in store.blocks(GENESIS_HEIGHT, MANY)}
    bundles = [path for path in (folder / "headers").rglob("*") if path.is_file()]
    assert bundles
    for path in bundles:
        assert all(sealed.header.raw in held for sealed in parse_header_bundle(path.read_bytes())), path
    return checkpoint.size


def read_log(home: Home, charter: Charter, member: MemberIndex) -> Sequence[votelog.Record]:
    """Read a vote log as a crash left it; damage is an error here."""
    if not home.votes.exists():
        return ()
    return votelog.read(home.votes.read_bytes(), ledger_id=charter.ledger_id, member=member).records


def votes_of(member: MemberIndex, records: Iterable[votelog.Record]) -> dict[Said, None]:
    """Every vote of one member in a log: its own, or within certificates of another."""
    said: dict[Said, None] = {}
    for record in records:
        votes = record.votes if isinstance(record, Certificate) else (record,) if isinstance(record, Vote) else ()
        for vote in votes:
            if vote.member == member:
                said[vote.epoch, vote.view, vote.kind, vote.digest] = None
    return said


def assert_consistent(said: Iterable[Said]) -> None:
    """Rules a and b of the core, over everything that a member ever said, in all its lives."""
    named: dict[tuple[int, int, VoteKind], bytes] = {}
    for epoch, view, kind, digest in said:
        assert named.setdefault((epoch, view, kind), digest) == digest, f"two {kind.name} in view {view}"
    for (epoch, view, kind), digest in named.items():
        if kind is VoteKind.FINALIZE:
            assert (epoch, view, VoteKind.NULLIFY) not in named, f"NULLIFY and FINALIZE in view {view}"
            assert named.get((epoch, view, VoteKind.NOTARIZE), digest) == digest, f"another FINALIZE in view {view}"
