"""A crash loses nothing that was committed, and leaves the ledger at a block boundary."""

from collections.abc import Sequence

from ledger.blocks import Header
from node.consensus.messages import FinalBlock
from tests.simulation.checkers.agreement import Agreement
from tests.simulation.checkers.checker import Checker, require


class Storage(Checker):
    """Knows how far every member had committed."""

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._committed: dict[int, int] = {}

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        self._committed[member] = block.header.height

    def on_started(self, member: int, tip: Header) -> None:
        committed = self._committed.get(member, 0)
        require(
            tip.height == committed, f"member {member} had committed {committed}, and its disk ends at {tip.height}"
        )
        known = self._agreement.final[tip.height].header
        require(known.digest == tip.digest, f"member {member} starts from another block at height {tip.height}")
