"""What must hold beside the checkers' invariants, and takes a look at all members of the level of cores."""

import hashlib
from collections.abc import Sequence

from ledger.blocks import seal_message
from node.consensus import messages as m
from node.consensus.messages import Fault, FinalBlock, VoteKind
from tests.simulation.checkers.checker import Checker, require
from tests.simulation.cores.member import CoreMember
from tests.simulation.member import EPOCH_MS, Scene

CLOCKS_APART_MS = 2_000 + 900 + 900  # how far ahead a time may be, by a clock that is ahead, seen by one that is behind


class Watch(Checker):
    """Looks at what honest members say and commit, with all their disks in view."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def on_said(self, member: int, message: m.Message) -> None:
        """A vote for a block is cast with the block's entries on this member's disk."""
        vote = message.vote if isinstance(message, m.Proposal) else message
        voter = self._scene.members[member]
        if not isinstance(vote, m.Vote) or vote.kind is VoteKind.NULLIFY or not isinstance(voter, CoreMember):
            return
        block = voter.core.get_block(vote.digest)
        missing = [leaf for leaf in block.entry_hashes if leaf not in voter.disk.entries] if block else []
        require(not missing, f"member {member} says {vote.kind.name} in view {vote.view} and does not have the entries")

    def on_accused(self, accuser: int, accused: int, what: str, *, is_evidence: bool) -> None:
        """Count what the accuser looked at in vain."""
        if not is_evidence and not what.startswith(Fault.HELD_BACK):
            self._scene.happened["checked in vain"] += 1

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        """A final block's time is not of tomorrow, and its seal is good."""
        header, scene = block.header, self._scene
        latest_ms = scene.genesis.time_ms + EPOCH_MS + scene.world.now_ms + CLOCKS_APART_MS
        require(header.time_ms <= latest_ms, f"a final block is {header.time_ms - latest_ms} ms ahead of time")
        good = hashlib.sha384(b"seal " + seal_message(header, scene.origin)).digest()  # as `CheapKeys` makes them
        require(not block.seal or block.seal == good, f"the seal of final block {header.height} is none")
