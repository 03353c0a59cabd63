"""What must hold at every step, whatever the seed."""

import hashlib
from dataclasses import dataclass, field

from ledger.blocks import verify_child
from node.consensus.messages import FinalBlock, Message, Proposal, Vote, VoteKind

INVALID_ENTRY_PREFIX = b"invalid"


@dataclass
class Checkers:
    """Sees everything honest members say and commit."""

    honest: dict[int, bool]
    trace: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _said: dict[tuple[int, int, VoteKind], bytes] = field(default_factory=dict)
    _final: dict[int, FinalBlock] = field(default_factory=dict)
    _seals: dict[int, bytes] = field(default_factory=dict)
    _tips: dict[int, int] = field(default_factory=dict)
    acknowledged: dict[bytes, int] = field(default_factory=dict)

    def note(self, member: int, now_ms: int, happening: object) -> None:
        """Add to the digest of the whole run, by which two runs of one seed are compared."""
        self.trace.update(f"{member} {now_ms} {happening!r}\n".encode())

    def on_said(self, member: int, message: Message) -> None:
        """No honest member ever signs a conflicting pair, across restarts."""
        vote = message.vote if isinstance(message, Proposal) else message
        if not isinstance(vote, Vote) or not self.honest.get(member):
            return
        assert vote.member == member
        known = self._said.setdefault((member, vote.view, vote.kind), vote.digest)
        assert known == vote.digest, f"member {member} said two things of view {vote.view}"
        kinds = {kind for kind in VoteKind if (member, vote.view, kind) in self._said}
        assert not kinds >= {VoteKind.NULLIFY, VoteKind.FINALIZE}, f"member {member} contradicts itself in {vote.view}"

    def on_final(self, member: int, block: FinalBlock, entries: list[bytes]) -> None:
        """One block at every height, everywhere the same, children of each other, all entries valid, none twice."""
        if not self.honest.get(member):
            return
        height = block.header.height
        known = self._final.setdefault(height, block)
        assert known.header == block.header, f"two blocks are final at height {height}"
        assert known.entry_hashes == block.entry_hashes
        if block.seal:
            assert self._seals.setdefault(height, block.seal) == block.seal, f"two seals at height {height}"
        assert height == self._tips.get(member, 0) + 1, f"member {member} skipped from {self._tips.get(member, 0)}"
        self._tips[member] = height
        if height > 1:
            verify_child(block.header, parent=self._final[height - 1].header)
        for entry, leaf in zip(entries, block.entry_hashes, strict=True):
            assert not entry.startswith(INVALID_ENTRY_PREFIX), "an invalid entry is final"
            assert self.acknowledged.setdefault(leaf, height) == height, "an entry is final twice"

    def final_height(self, member: int) -> int:
        return self._tips.get(member, 0)

    def tallest(self) -> int:
        return max(self._final, default=0)

    def entries_at(self, height: int) -> int:
        return self._final[height].header.entry_count
