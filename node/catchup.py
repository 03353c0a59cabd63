"""From this node's tip to a finalized header far ahead: pull final blocks, check, execute, commit.

The target's seal was verified by the core, so every block below it is proven by the chain of parent digests; each block
is executed by the rules before it is committed, so nothing is believed of the peer that serves it. A peer that serves
anything else is left for the next one. Work is committed at sealed blocks, so an interruption loses little.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from ledger.blocks import NO_SEAL, Header, verify_child
from ledger.errors import LedgerError, ProofError, RejectedError, Rejection
from ledger.positions import Height, MemberIndex
from node.branches import Branches
from node.consensus.messages import Keys
from node.execute import ExecutedBlock, execute_block
from node.peers import Peers
from node.pulling import Puller

BLOCKS_PER_COMMIT_MAX: Final = 128
PAUSE_S: Final = 0.2

Commit = Callable[[Sequence[tuple[ExecutedBlock, bytes]]], Awaitable[None]]
SealMessage = Callable[[Header], bytes]


class CatchUp:
    """Pulls final blocks up to a target."""

    def __init__(
        self,
        branches: Branches,
        peers: Peers,
        puller: Puller,
        keys: Keys,
        seal_message: SealMessage,
        *,
        snapshot_interval: int,
    ) -> None:
        self._branches, self._peers, self._puller = branches, peers, puller
        self._keys, self._seal_message = keys, seal_message
        self._snapshot_interval = snapshot_interval
        self._log = structlog.get_logger("catchup")

    async def run(self, commit: Commit, *, target: Header, seal: bytes, first: MemberIndex) -> None:
        """Return once the block of `target` is committed here."""
        while self._branches.final.header.height < target.height:
            for member in [first, *(other for other in self._peers.connected() if other != first)]:
                try:
                    await self._pull(commit, member, target, seal)
                except LedgerError as error:
                    self._log.warning("catch-up source left", member=member, problem=str(error))
                    self._peers.links[member].state.refused[error.code] += 1
                if self._branches.final.header.height >= target.height:
                    return
            await asyncio.sleep(PAUSE_S)

    async def _pull(self, commit: Commit, member: MemberIndex, target: Header, seal: bytes) -> None:
        """Commit what one member serves, as far as it is right.

        Raises:
            LedgerError: the first thing that is not; what was right before it stays committed.
        """
        tip = self._branches.final
        first = Height(tip.header.height + 1)
        count = target.height - tip.header.height
        run: list[tuple[ExecutedBlock, bytes]] = []
        async with contextlib.aclosing(self._puller.final_blocks(member, first, count)) as blocks:
            async for header, served_seal, entries in blocks:
                verify_child(header, parent=tip.header)
                known_seal = seal if header.digest == target.digest else served_seal
                if header.height == target.height and header.digest != target.digest:
                    raise ProofError(field="header", found=header.digest.hex(), expected=target.digest.hex())
                if known_seal != NO_SEAL and not self._keys.is_seal(self._seal_message(header), known_seal):
                    raise ProofError(field="seal", found=f"one that fails at {header.height}", expected="a valid seal")
                outcome = execute_block(tip, header, entries, snapshot_interval=self._snapshot_interval)
                if isinstance(outcome, Rejection):
                    raise RejectedError(outcome)
                tip = outcome
                run.append((tip, known_seal))
                if known_seal != NO_SEAL and (len(run) >= BLOCKS_PER_COMMIT_MAX or header.height == target.height):
                    await commit(run)
                    run = []
                    tip = self._branches.final
                await asyncio.sleep(0)  # a long pull must not starve the rest of the node
