"""A stand-in for tree and rules that costs little: a hash chain, and entries that say whether they are valid."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.blocks import Header, compute_entries_digest, encode_header
from ledger.errors import Code, Rejection, reject
from ledger.merkle import leaf_hash
from ledger.positions import FIRST_EPOCH, Height, LeafIndex, MemberIndex, TreeSize
from node.consensus import messages as m

INVALID_ENTRY_PREFIX = b"invalid"


@dataclass(frozen=True)
class State:
    """What a block leads to: the tree's root and size, and every entry so far."""

    root: bytes
    size: int
    seen: frozenset[bytes]


def genesis_state(genesis: Header) -> State:
    return State(root=genesis.root, size=1, seen=frozenset())


def advance(state: State, leaves: tuple[bytes, ...]) -> State:
    if not leaves:
        return state
    root = hashlib.sha256(state.root + compute_entries_digest(leaves)).digest()
    return State(root=root, size=state.size + len(leaves), seen=state.seen | frozenset(leaves))


def judge(header: Header, state: State, entries: Sequence[bytes]) -> Rejection | None:
    leaves = tuple(leaf_hash(entry) for entry in entries)
    for entry, leaf in zip(entries, leaves, strict=True):
        if entry.startswith(INVALID_ENTRY_PREFIX) or leaf in state.seen:
            return reject(Code.INVALID_FIELD, field="entry", found=leaf.hex(), expected="a valid entry")
    if header.state_digest:
        return reject(Code.INVALID_FIELD, field="state_digest", found=header.state_digest.hex(), expected="none")
    after = advance(state, leaves)
    if (header.root, header.tree_size) != (after.root, after.size):
        return reject(Code.INVALID_FIELD, field="root", found=header.root.hex(), expected=after.root.hex())
    return None


def make_header(action: m.BuildBlock, state: State, leaves: tuple[bytes, ...], *, proposer: int) -> Header:
    parent, after = action.parent, advance(state, leaves)
    return encode_header(
        ledger_id=parent.ledger_id,
        epoch=FIRST_EPOCH,
        view=action.view,
        height=Height(parent.height + 1),
        parent=parent.digest,
        time_ms=action.time_ms,
        proposer=MemberIndex(proposer),
        first_index=LeafIndex(state.size),
        tree_size=TreeSize(after.size),
        root=after.root,
        entries_digest=compute_entries_digest(leaves),
    )


class StandInJudge:
    """Executes the one chain for the checkers."""

    def __init__(self, genesis: Header) -> None:
        self._state = genesis_state(genesis)

    def find_fault(self, header: Header, entries: Sequence[bytes]) -> str | None:
        rejection = judge(header, self._state, entries)
        self._state = advance(self._state, tuple(leaf_hash(entry) for entry in entries))
        return None if rejection is None else str(rejection)
