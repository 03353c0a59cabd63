"""The seal of a height is unique."""

from collections.abc import Sequence

from node.consensus.messages import FinalBlock
from tests.simulation.checkers.checker import Checker, require


class Seals(Checker):
    """Remembers the one seal of every height that has one."""

    def __init__(self) -> None:
        self._seals: dict[int, bytes] = {}

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        if block.seal:
            height = block.header.height
            require(self._seals.setdefault(height, block.seal) == block.seal, f"two seals at height {height}")
