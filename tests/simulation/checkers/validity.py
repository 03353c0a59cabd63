"""Every final entry is valid, and none is final twice: the chain is executed again, by rules that no member runs."""

from collections.abc import Sequence
from typing import Protocol

from ledger.blocks import Header
from ledger.merkle import leaf_hash
from node.consensus.messages import FinalBlock
from tests.simulation.checkers.checker import Checker, require


class Judge(Protocol):
    """Executes the one chain, block by block."""

    def find_fault(self, header: Header, entries: Sequence[bytes]) -> str | None:
        """Say what is wrong with the block that follows those judged before, or None."""


class Validity(Checker):
    """Has every block judged once, when the first member commits it."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._height = 0
        self.heights_of: dict[bytes, int] = {}

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        height = block.header.height
        if height <= self._height:
            return
        self._height = height
        for leaf, entry in zip(block.entry_hashes, entries, strict=True):
            require(leaf == leaf_hash(entry), f"another entry than its hash says is final at height {height}")
            require(leaf not in self.heights_of, f"an entry is final twice: {self.heights_of.get(leaf)} and {height}")
            self.heights_of[leaf] = height
        fault = self._judge.find_fault(block.header, entries)
        require(fault is None, f"an invalid block is final at height {height}: {fault}")
