"""No two honest members make different blocks final at one height; what is sealed is one chain without a gap."""

from collections.abc import Sequence

from ledger.blocks import Header, verify_child
from ledger.errors import ProofError
from node.consensus.messages import FinalBlock
from tests.simulation.checkers.checker import Checker, ViolationError, require


class Agreement(Checker):
    """Remembers the one block of every height."""

    def __init__(self, genesis: Header) -> None:
        self.final: dict[int, FinalBlock] = {0: FinalBlock(genesis, (), b"")}
        self.heights: dict[int, int] = {}

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        height = block.header.height
        require(
            height == self.heights.get(member, 0) + 1,
            f"member {member} commits height {height} after {self.heights.get(member, 0)}",
        )
        self.heights[member] = height
        known = self.final.setdefault(height, block)
        if known is block:
            self._require_child(block.header, self.final[height - 1].header)
        require(known.header.digest == block.header.digest, f"two blocks are final at height {height}")
        require(known.entry_hashes == block.entry_hashes, f"two lists of entries are final at height {height}")

    @staticmethod
    def _require_child(header: Header, parent: Header) -> None:
        try:
            verify_child(header, parent=parent)
        except ProofError as error:
            raise ViolationError(f"final block {header.height} does not follow the one before: {error}") from error

    def tallest(self) -> int:
        """Give the greatest height that is final anywhere."""
        return max(self.final)
