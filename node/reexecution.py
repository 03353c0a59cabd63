"""A node's database held against itself from entry 0 on: the rules run again over everything, every seal verified.

What follows from the entries is made anew and compared: headers, tree, state. The pages and indexes are looked through
by SQLite. Nothing is written. It takes minutes for a large ledger, so a start does not do it (`Store.check` says what a
start does); `counterseal node check` and `counterseal node repair` do.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from ledger.blocks import Header, compute_entries_digest, seal_message, verify_child
from ledger.charter import Charter, parse_charter
from ledger.errors import FormatError, LedgerError, Rejection, SignatureError
from ledger.limits import TILE_WIDTH
from ledger.merkle import Frontier, Hash, compute_root, leaf_hash
from ledger.positions import GENESIS_HEIGHT, Height, LeafIndex, TreeSize
from ledger.rules.apply import found
from ledger.rules.state import State
from ledger.threshold import bls
from node.execute import ExecutedBlock, execute_block
from node.schema import damaged
from node.store import Store, StoredBlock

BLOCKS_AT_A_TIME: Final = 256

Report = Callable[[int, int], None]
"""Called with how many blocks are done, and how many there are."""


def reexecute(store: Store, report: Report) -> ExecutedBlock:
    """Check the whole database; gives the newest block as the rules make it.

    Raises:
        ConditionError: `STORE_DAMAGED`, with the first thing that is not as it must be.
    """
    try:
        return _reexecute(store, report)
    except (FormatError, SignatureError) as error:
        raise damaged(store.path, error.found, field=error.field, expected=error.expected) from error


def check_begun(store: Store, report: Report) -> Height:
    """Check what can be checked of a database that began from a snapshot: all but the rules, from there on.

    Raises:
        ConditionError: `STORE_DAMAGED`, with the first thing that is not as it must be.
    """
    try:
        store.check(with_indexes=True)
        charter = parse_charter(b"".join(store.entries(LeafIndex(0), 1)))
        assert store.base is not None
        newest, tip_height = store.base, store.require_tip().header.height
        _verify_seals(charter, [newest])
        for blocks in _runs(store, Height(newest.header.height + 1)):
            _verify_seals(charter, blocks)
            for block in blocks:
                _verify_child(store, block.header, newest.header)
                _require_entries(store, block.header)
                newest = block
            report(newest.header.height, tip_height)
        State.restore(store.state_items(), charter=charter)
    except (FormatError, SignatureError) as error:
        raise damaged(store.path, error.found, field=error.field, expected=error.expected) from error
    return newest.header.height


def _require_entries(store: Store, header: Header) -> None:
    entries = store.entries(LeafIndex(header.first_index), header.entry_count)
    digest = compute_entries_digest(map(leaf_hash, entries))
    if digest != header.entries_digest:
        expected = header.entries_digest.hex()
        raise damaged(store.path, digest.hex(), field=f"entries of block {header.height}", expected=expected)


def _reexecute(store: Store, report: Report) -> ExecutedBlock:
    store.check(with_indexes=True)
    tip_height = store.require_tip().header.height
    charter = parse_charter(b"".join(store.entries(LeafIndex(0), 1)))
    executed = _begin(store, charter)
    leaves = [*executed.leaves]
    for blocks in _runs(store, Height(1)):
        _verify_seals(charter, blocks)
        for block in blocks:
            executed = _execute(store, charter, executed, block)
            leaves += executed.leaves
        report(executed.header.height, tip_height)
    _compare_rows(store, leaves)
    if dict(store.state_items()) != dict(executed.state.items()):
        raise damaged(store.path, "other records", field="state", expected="what the rules make of the entries")
    return executed


def _begin(store: Store, charter: Charter) -> ExecutedBlock:
    genesis = store.require_block(GENESIS_HEIGHT)
    if genesis.header.ledger_id != charter.ledger_id or genesis.header.tree_size != 1:
        raise damaged(store.path, "another block", field="block 0", expected="the charter's")
    leaf, state = leaf_hash(charter.entry), found(charter.entry)
    state.commit()
    return ExecutedBlock(
        header=genesis.header,
        leaves=(leaf,),
        entries=(charter.entry,),
        state=state,
        frontier=Frontier(size=TreeSize(1), hashes=(leaf,)),
    )


def _runs(store: Store, first: Height) -> Iterator[Sequence[StoredBlock]]:
    height = int(first)
    while blocks := store.blocks(Height(height), BLOCKS_AT_A_TIME):
        yield blocks
        height += len(blocks)


def _verify_seals(charter: Charter, blocks: Sequence[StoredBlock]) -> None:
    signed = [(seal_message(block.header, charter.origin), block.seal) for block in blocks if block.seal]
    randomness = secrets.token_bytes(bls.BATCH_WEIGHT_BYTES * len(signed))
    bls.verify_signatures_batch(charter.group_key, signed, randomness=randomness, field="seals")


def _verify_child(store: Store, header: Header, parent: Header) -> None:
    try:
        verify_child(header, parent=parent)
    except LedgerError as error:
        raise damaged(store.path, error.found, field=error.field, expected=error.expected) from error


def _execute(store: Store, charter: Charter, parent: ExecutedBlock, block: StoredBlock) -> ExecutedBlock:
    header = block.header
    _verify_child(store, header, parent.header)
    entries = store.entries(LeafIndex(header.first_index), header.entry_count)
    interval = charter.consensus.snapshot_interval
    outcome = execute_block(parent, header, entries, snapshot_interval=interval)
    if isinstance(outcome, Rejection):
        raise damaged(store.path, str(outcome), field=f"block {header.height}", expected="a block that the rules take")
    outcome.state.commit()
    return outcome


def _compare_rows(store: Store, leaves: Sequence[Hash]) -> None:
    """Make every row of the tree anew, level by level, and compare it with the stored one."""
    hashes, level = list(leaves), 0
    while hashes:
        rows = [hashes[start : start + TILE_WIDTH] for start in range(0, len(hashes), TILE_WIDTH)]
        for number, row in enumerate(rows):
            if store.tree_row(level, number) != row:
                raise damaged(store.path, "other hashes", field=f"tree row {level}/{number}", expected="the entries'")
        hashes, level = [compute_root(row) for row in rows if len(row) == TILE_WIDTH], level + 1
