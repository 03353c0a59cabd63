"""Blocks that attackers make up: well-formed; to make an empty one takes nothing but the header of its parent."""

from ledger.blocks import Header, compute_entries_digest, encode_header
from ledger.positions import Height, LeafIndex, MemberIndex, Millis, TreeSize, View


def make_child(
    parent: Header,
    *,
    view: View,
    proposer: MemberIndex,
    time_ms: int = 0,
    root: bytes | None = None,
    leaves: tuple[bytes, ...] = (),
) -> Header:
    """Make a block on a parent; the root stays the parent's unless one is given."""
    return encode_header(
        ledger_id=parent.ledger_id,
        epoch=parent.epoch,
        view=view,
        height=Height(parent.height + 1),
        parent=parent.digest,
        time_ms=Millis(max(parent.time_ms, time_ms)),
        proposer=proposer,
        first_index=LeafIndex(parent.tree_size),
        tree_size=TreeSize(parent.tree_size + len(leaves)),
        root=parent.root if root is None else root,
        entries_digest=compute_entries_digest(leaves),
    )


def make_twin(header: Header, *, later_ms: int = 1, state_digest: bytes | None = None) -> Header:
    """Make the same block a moment later: as valid, and another; unless it is given another digest of the state."""
    return encode_header(
        ledger_id=header.ledger_id,
        epoch=header.epoch,
        view=header.view,
        height=header.height,
        parent=header.parent,
        time_ms=Millis(header.time_ms + later_ms),
        proposer=header.proposer,
        first_index=header.first_index,
        tree_size=header.tree_size,
        root=header.root,
        entries_digest=header.entries_digest,
        state_digest=header.state_digest if state_digest is None else state_digest,
    )
