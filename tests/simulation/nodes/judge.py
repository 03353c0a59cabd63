"""The rules, run a second time on every final block, from entry 0 and by another path than any node's.

Tree roots are computed from all leaves anew, and nothing that a node has prepared or kept is used.
"""

from collections.abc import Sequence

from ledger.blocks import Header, compute_entries_digest
from ledger.errors import Rejection
from ledger.merkle import compute_root, leaf_hash
from ledger.positions import LeafIndex
from ledger.rules.apply import apply_block, found
from ledger.rules.state import compute_state_digest


class ReferenceJudge:
    """Executes the one chain for the checkers."""

    def __init__(self, entry_0: bytes) -> None:
        self._state = found(entry_0)
        self._state.commit()
        self._leaves = [leaf_hash(entry_0)]
        self.state_digests = {0: compute_state_digest(self._state)}
        self.sizes = {0: 1}

    def find_fault(self, header: Header, entries: Sequence[bytes]) -> str | None:
        first = LeafIndex(len(self._leaves))
        outcome = apply_block(
            self._state, list(entries), time_ms=header.time_ms, first_index=first, parent=header.parent
        )
        if isinstance(outcome, Rejection):
            return str(outcome)
        outcome.commit()
        self._state = outcome
        leaves = [leaf_hash(entry) for entry in entries]
        self._leaves += leaves
        digest = compute_state_digest(outcome)
        self.state_digests[header.height] = digest
        self.sizes[header.height] = len(self._leaves)
        for field, found_here, expected in (
            ("tree_size", header.tree_size, len(self._leaves)),
            ("root", header.root, compute_root(self._leaves)),
            ("entries_digest", header.entries_digest, compute_entries_digest(leaves)),
            ("state_digest", header.state_digest, digest if header.state_digest else b""),
        ):
            if found_here != expected:
                return f"its {field} is not what the rules give"
        return None
