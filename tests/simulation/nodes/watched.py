"""The node's own store and driver, and somebody who looks on: nothing is done otherwise than it is in a node."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.positions import Height
from node.consensus import messages as m
from node.driver import Driver
from node.store import BlockCommit, Store
from node.wire import compute_urgency, encode_message
from tests.simulation.checkers.checker import ViolationError, require
from tests.simulation.trace import describe_action

if TYPE_CHECKING:
    from tests.simulation.nodes.member import NodeMember


class WatchedStore(Store):
    """Tells of every block that has become durable."""

    def __init__(self, path: Path, *, on_final: Callable[[m.FinalBlock, Sequence[bytes]], None]) -> None:
        super().__init__(path)
        self._on_final = on_final

    def commit(self, blocks: Sequence[BlockCommit]) -> None:
        try:
            super().commit(blocks)
        finally:  # a process that is killed once the transaction is durable has committed it
            if self._is_there(blocks[-1].header.height):
                self._tell(blocks)

    def _is_there(self, height: Height) -> bool:
        """Look past the connection that a fault may have made unreadable."""
        return self._writer.execute("SELECT 1 FROM blocks WHERE height = ?", (height,)).fetchone() is not None

    def _tell(self, blocks: Sequence[BlockCommit]) -> None:
        for block in blocks:
            self._on_final(m.FinalBlock(block.header, tuple(block.leaves), block.seal), list(block.entries))

    def missing(self, leaves: Sequence[bytes]) -> list[bytes]:
        """Name those of these entries that are neither final nor kept for a block that may become so."""
        held = "SELECT 1 FROM candidates WHERE leaf = ?1 UNION SELECT 1 FROM entries WHERE leaf = ?1"
        return [leaf for leaf in leaves if self._writer.execute(held, (leaf,)).fetchone() is None]

    def be_unreadable(self, *, is_so: bool) -> None:
        """Let every query fail, or none."""
        self._reader.set_progress_handler((lambda: 1) if is_so else None, 1)


def _votes_in(message: m.Message) -> Sequence[m.Vote]:
    match message:
        case m.Vote():
            return [message]
        case m.Proposal():
            return [message.vote]
        case m.Certificate():
            return message.votes
        case _:
            return []


class WatchedDriver(Driver):
    """Tells of every action before it is carried out, and lets an attacker speak in its member's place."""

    member: "NodeMember"

    async def _carry_out_one(self, action: m.Action) -> None:
        member = self.member
        member.reach("action")
        member.scene.trace.note(member.world.now_ms, member.name, describe_action(action))
        checkers = member.scene.checkers
        match action:
            case m.Broadcast() | m.Send():
                checkers.on_said(member.index, action.message)
                self._require_kept(action.message)
                if not member.is_honest:
                    self._say_otherwise(action)
                    return
            case m.EvidenceFound():
                member.evidence_count += 1
                checkers.on_accused(member.index, action.member, action.misconduct, is_evidence=True)
            case m.PeerMisbehaved():
                what = f"{action.fault} {action.detail}"
                checkers.on_accused(member.index, action.member, what, is_evidence=False)
            case m.QuorumDisagrees():
                raise ViolationError(f"{member.name}: {describe_action(action)}")
            case _:
                pass
        await super()._carry_out_one(action)

    def _require_kept(self, message: m.Message) -> None:
        """Look whether what an honest member shows of its own votes is on its disk, with the entries voted for."""
        member, status = self.member, self.core.status()
        if not member.is_honest or status.is_recovering:
            return
        for vote in _votes_in(message):
            if vote.member != member.index or vote.view <= status.muted_until_view:
                continue  # what it said before it lost its log, others may have told it
            says = f"{member.name} shows its {vote.kind.name} of view {vote.view}"
            require(member.machine.is_promised(vote.signature), f"{says}, and a crash would make it forget")
            block = self.core.get_block(vote.digest)
            missing = [] if block is None else member.process.store.missing(block.entry_hashes)
            require(not missing, f"{says}, and does not have the entries")

    def _say_otherwise(self, action: m.Broadcast | m.Send) -> None:
        receivers = self.member.others() if isinstance(action, m.Broadcast) else [action.member]
        for receiver in receivers:
            for said in self.member.words_for(receiver, action.message):
                self.member.say(receiver, compute_urgency(said), self.encode(said))

    def encode(self, message: m.Message) -> bytes:
        """Give the bytes of a message in this node's envelope."""
        return encode_message(message, ledger_id=self._config.ledger_id, epoch=self._config.epoch)
