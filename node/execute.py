"""From a parent's state and a block's entries to the block's state, or a refusal; and from waiting entries to a block.

Both directions run the same rules in the same order, so what this node proposes is what it would accept. Pure:
no clock, no disk. An entry comes prepared where this node met it before, so that its signature is verified once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.blocks import Header, compute_entries_digest, encode_header
from ledger.errors import Code, Rejection, reject
from ledger.limits import BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX
from ledger.merkle import Frontier, Hash, leaf_hash
from ledger.positions import Height, LeafIndex, MemberIndex, Millis, View
from ledger.rules.apply import apply_block, apply_entry, compute_due_entries
from ledger.rules.entries import PreparedEntry
from ledger.rules.state import State, compute_state_digest


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """A block whose state is known: what the next one can be built on."""

    header: Header
    leaves: tuple[Hash, ...]
    entries: tuple[bytes, ...]
    state: State
    frontier: Frontier


def execute_block(
    parent: ExecutedBlock,
    header: Header,
    entries: Sequence[PreparedEntry | bytes],
    *,
    snapshot_interval: int,
) -> ExecutedBlock | Rejection:
    """Run the rules over a proposed block and hold every computed field of its header against the result."""
    raws = tuple(_raw(entry) for entry in entries)
    if sum(len(raw) for raw in raws) > BLOCK_BYTES_MAX:
        return reject(Code.TOO_LARGE, field="block.entries", found="more", expected=f"at most {BLOCK_BYTES_MAX} bytes")
    first = LeafIndex(parent.header.tree_size)
    if header.first_index != first:
        return reject(Code.INVALID_FIELD, field="header.first_index", found=header.first_index, expected=str(first))
    outcome = apply_block(
        parent.state,
        entries,
        time_ms=header.time_ms,
        first_index=first,
        parent=header.parent,
    )
    if isinstance(outcome, Rejection):
        return outcome
    leaves = tuple(_leaf(entry) for entry in entries)
    frontier = parent.frontier.extend(leaves)
    digest = _state_digest(outcome, header.height, snapshot_interval)
    for field, found, expected in (
        ("header.tree_size", header.tree_size, frontier.size),
        ("header.root", header.root.hex(), frontier.root().hex()),
        ("header.entries_digest", header.entries_digest.hex(), compute_entries_digest(leaves).hex()),
        ("header.state_digest", header.state_digest.hex(), digest.hex()),
    ):
        if found != expected:
            return reject(Code.INVALID_FIELD, field=field, found=found, expected=str(expected))
    return ExecutedBlock(
        header=header,
        leaves=leaves,
        entries=raws,
        state=outcome,
        frontier=frontier,
    )


def build_block(
    parent: ExecutedBlock,
    candidates: Iterable[PreparedEntry],
    *,
    view: View,
    time_ms: Millis,
    proposer: MemberIndex,
    snapshot_interval: int,
) -> tuple[ExecutedBlock, list[tuple[PreparedEntry, Rejection]]]:
    """Make the block that follows `parent` from what waits; also returns what the rules refuse on this parent.

    Computed entries come first, then candidates in the order given, as far as the block's limits allow.
    """
    first = LeafIndex(parent.header.tree_size)
    taken: list[PreparedEntry | bytes] = list(
        compute_due_entries(parent.state, time_ms=time_ms, parent=parent.header.digest)
    )
    bytes_count = sum(len(_raw(entry)) for entry in taken)
    state = apply_block(parent.state, taken, time_ms=time_ms, first_index=first, parent=parent.header.digest)
    assert not isinstance(state, Rejection), f"computed entries follow from their state: {state}"
    refused: list[tuple[PreparedEntry, Rejection]] = []
    for candidate in candidates:
        if len(taken) >= BLOCK_ENTRIES_MAX or bytes_count + len(candidate.raw) > BLOCK_BYTES_MAX:
            break
        outcome = apply_entry(state, candidate, time_ms=time_ms, index=LeafIndex(first + len(taken)))
        if isinstance(outcome, Rejection):
            refused.append((candidate, outcome))
            continue
        taken.append(candidate)
        bytes_count += len(candidate.raw)
    leaves = tuple(_leaf(entry) for entry in taken)
    frontier = parent.frontier.extend(leaves)
    height = Height(parent.header.height + 1)
    header = encode_header(
        ledger_id=parent.header.ledger_id,
        epoch=parent.header.epoch,
        view=view,
        height=height,
        parent=parent.header.digest,
        time_ms=time_ms,
        proposer=proposer,
        first_index=first,
        tree_size=frontier.size,
        root=frontier.root(),
        entries_digest=compute_entries_digest(leaves),
        state_digest=_state_digest(state, height, snapshot_interval),
    )
    entries = tuple(_raw(entry) for entry in taken)
    return ExecutedBlock(header=header, leaves=leaves, entries=entries, state=state, frontier=frontier), refused


def _state_digest(state: State, height: Height, snapshot_interval: int) -> bytes:
    """Give the digest that a header of this height must carry: empty except at snapshot heights."""
    if snapshot_interval == 0 or height % snapshot_interval:
        return b""
    return compute_state_digest(state)


def _raw(entry: PreparedEntry | bytes) -> bytes:
    return entry if isinstance(entry, bytes) else entry.raw


def _leaf(entry: PreparedEntry | bytes) -> Hash:
    return leaf_hash(entry) if isinstance(entry, bytes) else entry.leaf_hash
