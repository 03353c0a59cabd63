"""The tree of blocks above the newest final one: who is whose parent, what is executed, what a final block makes final.

Holds headers and hash lists, never entries. A block is here because its leader proposed it first in its view, or
because it was asked for by digest; so at most one a view and what certificates name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from ledger.blocks import Header, SealedHeader, compute_entries_digest
from ledger.errors import Rejection
from ledger.positions import MemberIndex


@dataclass(frozen=True, slots=True)
class Block:
    """A header and the leaf hashes of the entries it adds, in order."""

    header: Header
    entry_hashes: tuple[bytes, ...]


def find_block_fault(block: Block) -> str | None:
    """Say why the hash list is not the header's, or None."""
    if len(block.entry_hashes) != block.header.entry_count:
        return f"{len(block.entry_hashes)} hashes for {block.header.entry_count} entries"
    if compute_entries_digest(block.entry_hashes) != block.header.entries_digest:
        return "the hash list is not that of the entries digest"
    if len(dict.fromkeys(block.entry_hashes)) != len(block.entry_hashes):
        return "an entry stands twice in the block"
    return None


class Execution(Enum):
    """How far the driver is with a block."""

    NOT_ASKED = auto()
    ASKED = auto()
    VALID = auto()
    INVALID = auto()


@dataclass(slots=True)
class Node:
    """A block in the tree."""

    block: Block
    source: MemberIndex  # who sent it first
    execution: Execution = Execution.NOT_ASKED
    rejection: Rejection | None = None
    is_persisted: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The way down to the final block is broken: the block of this digest is not known."""

    digest: bytes


class Dead(Enum):
    """The way down leads past the newest final block: another branch, which can never become final."""

    DEAD = auto()


class Chain:
    """Blocks above the root, which is the newest final block."""

    def __init__(self, root: SealedHeader) -> None:
        self.root = root
        self._nodes: dict[bytes, Node] = {}

    def add(self, block: Block, *, source: MemberIndex) -> Node:
        """Hold a block that is above the root; its hash list is its header's."""
        assert block.header.view > self.root.header.view
        return self._nodes.setdefault(block.header.digest, Node(block, source))

    def get(self, digest: bytes) -> Node | None:
        """Give the unfinal block of this digest if held."""
        return self._nodes.get(digest)

    def get_header(self, digest: bytes) -> Header | None:
        """Give the header of an unfinal block, or of the root."""
        if digest == self.root.header.digest:
            return self.root.header
        node = self._nodes.get(digest)
        return None if node is None else node.block.header

    def is_executed(self, digest: bytes) -> bool:
        """Tell whether the driver holds the state after this block."""
        node = self._nodes.get(digest)
        return digest == self.root.header.digest or (node is not None and node.execution is Execution.VALID)

    def find_path(self, digest: bytes) -> list[Node] | Missing | Dead:
        """Give the blocks from just above the root to this one, oldest first; none for the root itself."""
        path: list[Node] = []
        while digest != self.root.header.digest:
            node = self._nodes.get(digest)
            if node is None:
                # Heights fall by one a step, so a child at the root's height plus one must name the root.
                is_past_root = bool(path) and path[-1].block.header.height <= self.root.header.height + 1
                return Dead.DEAD if is_past_root else Missing(digest)
            path.append(node)
            digest = node.block.header.parent
        path.reverse()
        return path

    def advance(self, root: SealedHeader) -> None:
        """Make this the newest final block and forget every block that is not above it in view.

        Blocks of dead branches with higher views go when the root passes them; nothing builds on them meanwhile, since
        no path leads from them to the root.
        """
        assert root.header.height >= self.root.header.height
        self.root = root
        self._nodes = {d: node for d, node in self._nodes.items() if node.block.header.view > root.header.view}

    def forget_executions(self) -> None:
        """Ask again for every state: the driver changed its base."""
        for node in self._nodes.values():
            if node.execution is not Execution.INVALID:
                node.execution = Execution.NOT_ASKED

    def nodes(self) -> Iterable[Node]:
        """Walk the blocks held, in the order they came."""
        return self._nodes.values()
