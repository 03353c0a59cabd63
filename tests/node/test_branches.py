"""States of blocks that are not final: what dies with a sibling is never handed out again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.ledger_on_disk import DiskLedger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DiskLedger]:
    made = DiskLedger(tmp_path)
    yield made
    made.store.close()


def test_a_final_block_keeps_its_descendants_and_ends_its_siblings(ledger: DiskLedger) -> None:
    branches = ledger.branches
    root = branches.final
    one, other = ledger.build(view=1), ledger.build(view=2)
    child, nephew = ledger.build(on=one, view=3), ledger.build(on=other, view=4)
    for block, parent in ((one, root), (other, root), (child, one), (nephew, other)):
        assert branches.add(block, parent=parent)
    branches.finalize(one)
    assert branches.final is one
    assert branches.get(child.header.digest) is child
    assert branches.get(other.header.digest) is branches.get(nephew.header.digest) is None
    assert branches.get(root.header.digest) is None
    branches.finalize(child)
    assert len(branches) == 0


def test_a_block_whose_parent_died_is_not_kept(ledger: DiskLedger) -> None:
    root = ledger.branches.final
    one, late = ledger.build(view=1), ledger.build(view=2)
    assert ledger.branches.add(one, parent=root)
    ledger.branches.finalize(one)
    assert not ledger.branches.add(late, parent=root)


def test_children_of_another_execution_of_the_final_block_die_with_its_state(ledger: DiskLedger) -> None:
    branches, root = ledger.branches, ledger.branches.final
    mine = ledger.build(view=1)
    ledger.now_ms -= 1000
    pulled = ledger.build(view=1)  # the same block, executed again by the catch-up
    assert pulled.header == mine.header
    assert branches.add(mine, parent=root)
    child = ledger.build(on=mine, view=2)
    assert branches.add(child, parent=mine)
    late = ledger.build(on=mine, view=3)
    branches.finalize(pulled)
    assert branches.get(child.header.digest) is None, "its state stands on one that is dead"
    assert not branches.add(late, parent=mine)
    with pytest.raises(AssertionError):
        list(late.state.items())
    again = ledger.build(on=pulled, view=3)
    assert branches.add(again, parent=pulled)
    list(again.state.items())
