"""Executed blocks that are not final yet, as a tree on the newest final one.

States of dead branches must not be used once a sibling is final (`ledger.rules.state.State.commit`), so whoever waits
for something between looking a parent up and using it looks it up again.
"""

from ledger.merkle import Hash
from node.execute import ExecutedBlock


class Branches:
    """Knows the state after every live executed block."""

    def __init__(self, final: ExecutedBlock) -> None:
        self.final = final
        self._live: dict[Hash, ExecutedBlock] = {}

    def get(self, digest: Hash) -> ExecutedBlock | None:
        """Return an executed block that is live or the newest final one."""
        if digest == self.final.header.digest:
            return self.final
        return self._live.get(digest)

    def add(self, block: ExecutedBlock) -> bool:
        """Keep an executed block whose parent is live; says whether it was kept."""
        if self.get(block.header.parent) is None:
            return False
        self._live[block.header.digest] = block
        return True

    def finalize(self, block: ExecutedBlock) -> None:
        """Make the child of the final block final: its changes become the root's, and its siblings die."""
        assert block.header.parent == self.final.header.digest
        block.state.commit()
        self.final = block
        alive = {block.header.digest}
        live: dict[Hash, ExecutedBlock] = {}
        for digest, other in sorted(self._live.items(), key=lambda item: item[1].header.height):
            if digest not in alive and other.header.parent in alive:
                alive.add(digest)
                live[digest] = other
        self._live = live

    def __len__(self) -> int:
        return len(self._live)
