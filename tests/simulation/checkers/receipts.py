"""Nothing that was acknowledged with a receipt is ever lost: every later view of the ledger has it where it was."""

from collections.abc import Sequence

from node.consensus.messages import FinalBlock
from tests.simulation.checkers.checker import Checker, require


class Receipts(Checker):
    """A submitter that never forgets what it was told."""

    def __init__(self) -> None:
        self.acknowledged: dict[bytes, int] = {}
        self._by_index: dict[int, bytes] = {}
        self._final: dict[int, bytes] = {}

    def on_acknowledged(self, member: int, leaf: bytes, index: int) -> None:
        known = self.acknowledged.setdefault(leaf, index)
        require(known == index, f"an entry was acknowledged at {known}, and by member {member} at {index}")
        self._by_index[index] = leaf
        require(self._final.get(index) == leaf, f"member {member} acknowledged at {index} what is not final there")

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        for index, leaf in enumerate(block.entry_hashes, start=block.header.first_index):
            self._final[index] = leaf
            promised = self._by_index.get(index, leaf)
            require(promised == leaf, f"member {member} has another entry at {index} than was acknowledged")
