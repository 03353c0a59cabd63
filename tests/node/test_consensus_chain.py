"""The block tree: ways down to the final block, and what is not on one."""

from dataclasses import replace

import pytest

from ledger.blocks import SealedHeader, compute_entries_digest
from ledger.positions import MemberIndex
from node.consensus.chain import Block, Chain, Dead, Execution, Missing, find_block_fault
from tests.scenarios.stage import GENESIS, Stage

ONE = MemberIndex(1)


@pytest.fixture
def stage() -> Stage:
    """Make A and B in a line, C beside B, and D on B."""
    made = Stage()
    made.block("A", view=1)
    made.block("B", view=2, parent="A")
    made.block("C", view=3, parent="A", time_ms=3)
    made.block("D", view=4, parent="B", entries=3)
    return made


def make_chain(stage: Stage, names: str) -> Chain:
    chain = Chain(SealedHeader(GENESIS, b""))
    for name in names:
        chain.add(stage.blocks[name], source=ONE)
    return chain


def names(stage: Stage, chain: Chain, name: str) -> str:
    path = chain.find_path(stage.header(name).digest)
    assert isinstance(path, list)
    return "".join(stage.name(node.block.header.digest) for node in path)


def test_the_path_to_a_block_leads_up_from_the_root(stage: Stage) -> None:
    chain = make_chain(stage, "DCBA")
    assert names(stage, chain, "D") == "ABD"
    assert names(stage, chain, "C") == "AC"
    assert names(stage, chain, "genesis") == ""


def test_a_gap_in_the_path_names_the_missing_block(stage: Stage) -> None:
    chain = make_chain(stage, "AD")
    assert chain.find_path(stage.header("D").digest) == Missing(stage.header("B").digest)
    assert chain.find_path(stage.header("C").digest) == Missing(stage.header("C").digest)


def test_a_branch_that_left_the_final_chain_is_dead(stage: Stage) -> None:
    chain = make_chain(stage, "ABCD")
    chain.advance(SealedHeader(stage.header("B"), b"s" * 48))
    assert names(stage, chain, "D") == "D"
    assert chain.find_path(stage.header("C").digest) is Dead.DEAD
    assert chain.get(stage.header("A").digest) is None
    assert chain.get_header(stage.header("B").digest) == stage.header("B")


def test_the_root_counts_as_executed_and_others_when_valid(stage: Stage) -> None:
    chain = make_chain(stage, "A")
    digest = stage.header("A").digest
    assert chain.is_executed(GENESIS.digest)
    assert not chain.is_executed(digest)
    node = chain.get(digest)
    assert node is not None
    node.execution = Execution.VALID
    assert chain.is_executed(digest)
    chain.forget_executions()
    assert not chain.is_executed(digest)
    node.execution = Execution.INVALID
    chain.forget_executions()
    assert node.execution is Execution.INVALID


def test_a_block_added_twice_keeps_what_is_known_of_it(stage: Stage) -> None:
    chain = make_chain(stage, "A")
    node = chain.add(stage.blocks["A"], source=MemberIndex(3))
    assert node.source == ONE


def test_a_hash_list_must_be_the_headers_and_name_no_entry_twice(stage: Stage) -> None:
    block = stage.blocks["D"]
    first, second, third = block.entry_hashes
    assert find_block_fault(block) is None
    assert find_block_fault(replace(block, entry_hashes=(first, second))) == "2 hashes for 3 entries"
    assert "entries digest" in str(find_block_fault(replace(block, entry_hashes=(first, third, second))))
    twice = (first, first, first)
    header = replace(block.header, entries_digest=compute_entries_digest(twice))
    assert "twice" in str(find_block_fault(Block(header, twice)))
