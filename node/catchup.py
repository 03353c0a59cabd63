"""From this node's tip to a finalized header far ahead: pull final blocks, check, execute, commit.

The target's seal was verified by the core, so every block below it is proven by the chain of parent digests; each block
is executed by the rules before it is committed, so nothing is believed of the peer that serves it. A peer that serves
anything else is left for the next one. Work is committed at sealed blocks, also when the peer breaks off, so however
slow it is something is gained; and blocks that wait for the next seal are bounded, so however it lies little is held.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

import structlog

from ledger.blocks import NO_SEAL, Header, verify_child
from ledger.errors import Code, LedgerError, ProofError, RejectedError, Rejection
from ledger.limits import BLOCK_BYTES_MAX
from ledger.merkle import leaf_hash
from ledger.positions import Height, MemberIndex
from node.branches import Branches
from node.consensus.messages import Keys
from node.execute import ExecutedBlock, execute_block
from node.mempool import Mempool
from node.peers import Peers
from node.pulling import PATIENCE_FIRST_S, Puller, next_patience_s

BLOCKS_PER_COMMIT_MAX: Final = 128
BYTES_PER_COMMIT_MAX: Final = BLOCK_BYTES_MAX
# Honest members finalize a block in nearly every view, so long runs without a seal are made up.
UNSEALED_BLOCKS_MAX: Final = 4_096
UNSEALED_BYTES_MAX: Final = 32 * BLOCK_BYTES_MAX
PAUSE_FIRST_S: Final = 0.2
PAUSE_MAX_S: Final = 5.0

Commit = Callable[[Sequence[tuple[ExecutedBlock, bytes]]], Awaitable[None]]
SealMessage = Callable[[Header], bytes]


class CatchUp:
    """Pulls final blocks up to a target."""

    def __init__(
        self,
        branches: Branches,
        mempool: Mempool,
        peers: Peers,
        puller: Puller,
        *,
        keys: Keys,
        seal_message: SealMessage,
        snapshot_interval: int,
    ) -> None:
        self._branches, self._mempool, self._peers, self._puller = branches, mempool, peers, puller
        self._keys, self._seal_message = keys, seal_message
        self._snapshot_interval = snapshot_interval
        self._log = structlog.get_logger("catchup")

    async def run(self, commit: Commit, *, target: Header, seal: bytes, first: MemberIndex) -> None:
        """Return once the block of `target` is committed here."""
        pause, patience_s = PAUSE_FIRST_S, PATIENCE_FIRST_S
        while (begin := self._branches.final.header.height) < target.height:
            for member in [first, *(other for other in self._peers.connected() if other != first)]:
                problem = await self._pull(commit, member, target, seal, patience_s)
                if problem is not None:
                    self._log.info("catch-up source left", member=member, problem=str(problem))
                    if problem.code is not Code.UNREACHABLE:
                        self._peers.links[member].state.refused[problem.code] += 1
                if self._branches.final.header.height >= target.height:
                    return
            has_gained = self._branches.final.header.height > begin
            pause = PAUSE_FIRST_S if has_gained else min(2 * pause, PAUSE_MAX_S)
            patience_s = next_patience_s(patience_s, has_gained=has_gained)
            await asyncio.sleep(pause)

    async def _pull(
        self, commit: Commit, member: MemberIndex, target: Header, seal: bytes, patience_s: float
    ) -> LedgerError | None:
        """Commit what one member serves, as far as it is right; returns the first thing that is not.

        Raises:
            ConditionError: of the commit: nothing that the member did.
        """
        run = _Run()
        problem: LedgerError | None = None
        async with contextlib.aclosing(self._verified_blocks(member, target, seal, patience_s)) as blocks:
            while problem is None:
                try:
                    run.add(*await anext(blocks))
                except StopAsyncIteration:
                    break
                except LedgerError as error:
                    problem = error
                if run.is_ready():
                    await commit(run.take_sealed())
                await asyncio.sleep(0)  # a long pull must not starve the rest of the node
        sealed = run.take_sealed()
        if sealed:
            await commit(sealed)
        return problem

    async def _verified_blocks(
        self, member: MemberIndex, target: Header, seal: bytes, patience_s: float
    ) -> AsyncGenerator[tuple[ExecutedBlock, bytes]]:
        """Yield the blocks above this node's tip, executed, each with its seal or none, up to the target.

        Raises:
            LedgerError: the member serves something else.
        """
        tip = self._branches.final
        first, count = Height(tip.header.height + 1), target.height - tip.header.height
        answers = self._puller.final_blocks(member, first, count, patience_s=patience_s)
        async with contextlib.aclosing(answers) as blocks:
            async for header, served_seal, entries in blocks:
                known_seal = seal if header.digest == target.digest else served_seal
                tip = self._execute(tip, header, known_seal, entries, target)
                yield tip, known_seal
                if header.height == target.height:
                    return

    def _execute(
        self, parent: ExecutedBlock, header: Header, seal: bytes, entries: Sequence[bytes], target: Header
    ) -> ExecutedBlock:
        """Check a served block against its parent, its seal and the rules.

        Raises:
            LedgerError: it is not the block that follows.
        """
        verify_child(header, parent=parent.header)
        if header.height == target.height and header.digest != target.digest:
            raise ProofError(field="header", found=header.digest.hex(), expected=target.digest.hex())
        if seal != NO_SEAL and not self._keys.is_seal(self._seal_message(header), seal):
            raise ProofError(field="seal", found=f"one that fails at {header.height}", expected="a valid seal")
        # A node that is a block behind has met most entries already: their signatures are not checked again.
        waiting = [self._mempool.get(leaf_hash(entry)) for entry in entries]
        known = [
            entry if pending is None else pending.prepared for entry, pending in zip(entries, waiting, strict=True)
        ]
        outcome = execute_block(parent, header, known, snapshot_interval=self._snapshot_interval)
        if isinstance(outcome, Rejection):
            if seal != NO_SEAL:  # not the member's fault: what the core calls `QuorumDisagrees`, met while catching up
                self._log.critical(
                    "a quorum sealed a block that this node's rules refuse; standing still",
                    height=header.height,
                    rejection=str(outcome),
                )
            raise RejectedError(outcome)
        return outcome


class _Run:
    """Executed blocks that follow each other and are not committed yet."""

    def __init__(self) -> None:
        self._blocks: list[tuple[ExecutedBlock, bytes]] = []
        self._sealed_count = 0
        self._bytes = 0
        self._unsealed_bytes = 0

    def add(self, block: ExecutedBlock, seal: bytes) -> None:
        """Add the next block.

        Raises:
            ProofError: too many without a seal.
        """
        size = sum(len(entry) for entry in block.entries)
        self._blocks.append((block, seal))
        self._bytes += size
        self._unsealed_bytes += size
        if seal != NO_SEAL:
            self._sealed_count, self._unsealed_bytes = len(self._blocks), 0
        unsealed_count = len(self._blocks) - self._sealed_count
        if unsealed_count > UNSEALED_BLOCKS_MAX or self._unsealed_bytes > UNSEALED_BYTES_MAX:
            raise ProofError(
                field="final_blocks", found=f"{unsealed_count} blocks without a seal", expected="a sealed one sooner"
            )

    def is_ready(self) -> bool:
        """Say whether it is time to commit."""
        is_much = self._sealed_count >= BLOCKS_PER_COMMIT_MAX or self._bytes >= BYTES_PER_COMMIT_MAX
        return is_much and self._sealed_count > 0

    def take_sealed(self) -> list[tuple[ExecutedBlock, bytes]]:
        """Take out the blocks up to the newest sealed one."""
        sealed, self._blocks = self._blocks[: self._sealed_count], self._blocks[self._sealed_count :]
        self._sealed_count, self._bytes = 0, self._unsealed_bytes
        return sealed
