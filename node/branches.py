"""Executed blocks that are not final yet, as a tree on the newest final one.

States of dead branches must not be used once a sibling is final (`ledger.rules.state.State.commit`), so whoever waits
for something between looking a parent up and using it looks it up again. One block may be executed twice (by the driver
and by the catch-up): its two states are siblings, so what counts is the object that a child was executed on, not only
its digest.
"""

from collections.abc import Callable

from ledger.merkle import Hash
from node.execute import ExecutedBlock


class Branches:
    """Knows the state after every live executed block."""

    def __init__(self, final: ExecutedBlock) -> None:
        self.final = final
        self._live: dict[Hash, ExecutedBlock] = {}
        self.on_final: Callable[[ExecutedBlock], None] = _tell_nobody

    def get(self, digest: Hash) -> ExecutedBlock | None:
        """Return an executed block that is live or the newest final one."""
        if digest == self.final.header.digest:
            return self.final
        return self._live.get(digest)

    def add(self, block: ExecutedBlock, *, parent: ExecutedBlock) -> bool:
        """Keep a block that was executed on `parent`, if that is still live; says whether it was kept."""
        assert block.header.parent == parent.header.digest
        if self.get(block.header.parent) is not parent:
            return False
        self._live.setdefault(block.header.digest, block)
        return True

    def leaves_above_final(self, block: ExecutedBlock) -> set[Hash]:
        """Name the entries of a live block and its ancestors that are not final yet."""
        leaves: set[Hash] = set()
        while block is not self.final:
            leaves.update(block.leaves)
            block = self._live.get(block.header.parent, self.final)
        return leaves

    def finalize(self, block: ExecutedBlock) -> None:
        """Make a child of the final block final: its changes become the root's, and its siblings die."""
        assert block.header.parent == self.final.header.digest
        # Children of another execution of the same block stand on a state that dies now.
        is_known = self._live.get(block.header.digest) is block
        block.state.commit()
        self.final = block
        alive = {block.header.digest} if is_known else set[Hash]()  # only asked for membership
        live: dict[Hash, ExecutedBlock] = {}
        for digest, other in sorted(self._live.items(), key=lambda item: item[1].header.height):
            if digest not in alive and other.header.parent in alive:
                alive.add(digest)
                live[digest] = other
        self._live = live
        self.on_final(block)

    def __len__(self) -> int:
        return len(self._live)


def _tell_nobody(block: ExecutedBlock) -> None:
    """Stand in where nobody wants the state of a block at the moment when it is final."""
