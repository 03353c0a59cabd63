"""From this node's tip to a finalized header far ahead: prove headers, gather entries, execute, commit.

Rules of this file
1. Headers come first, a window at a time, each the parent of the next, up to one whose seal is true: that seal proves
   them all. A window ends with a sealed block, so nothing unproven is held but one window of headers.
2. What a block adds is bound by its proven header, so bodies come from several members at once (`node.gathering`).
3. Each block is executed by the rules before it is committed, so nothing is believed of those who serve.
4. Blocks are committed in runs that end with a sealed one; killed at any moment, it goes on from there.
5. Signatures may be checked ahead by another process; what it did not confirm is checked when the block is executed.

A member that serves anything else is counted, named in the log and left for a while (`node.sources`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, NoReturn, Protocol

import structlog

from ledger.blocks import NO_SEAL, Header, SealedHeader, verify_child
from ledger.errors import Code, ConditionError, LedgerError, ProofError, Rejection
from ledger.limits import BLOCK_BYTES_MAX
from ledger.merkle import leaf_hash
from ledger.positions import Height, MemberIndex
from ledger.rules.entries import PreparedEntry, prepare_entry
from ledger.rules.records.registry import KEYS
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import encode_pae
from node.branches import Branches
from node.checking import SignatureChecker, SignatureTask
from node.execute import ExecutedBlock, execute_block
from node.gathering import Entries, Gathering
from node.links import Links
from node.mempool import Mempool
from node.pulling import PATIENCE_FIRST_S, Puller, next_patience_s
from node.sources import Sources

BLOCKS_PER_COMMIT_MAX: Final = 64
BYTES_PER_COMMIT_MAX: Final = BLOCK_BYTES_MAX
HEADERS_PER_WINDOW: Final = 1_024
# Honest members finalize a block in nearly every view, so long runs without a seal are made up.
UNSEALED_BLOCKS_MAX: Final = 4_096
SEALS_PER_ROUND: Final = 32
CHECKED_AHEAD_MIN: Final = 2_000
"""From how many entries on a helper saves more than it costs to start."""
PAUSE_FIRST_S: Final = 0.2
PAUSE_MAX_S: Final = 5.0

Commit = Callable[[Sequence[tuple[ExecutedBlock, bytes]]], Awaitable[None]]
SealMessage = Callable[[Header], bytes]
Refuse = Callable[[Header, Rejection], ConditionError]
OpenChecker = Callable[[], AbstractAsyncContextManager[SignatureChecker]]


class SealKeys(Protocol):
    """What catching up asks of keys."""

    def is_seal(self, message: bytes, seal: bytes) -> bool:
        """Tell whether this is the group's signature."""

    def are_seals(self, signed: Sequence[tuple[bytes, bytes]]) -> bool:
        """Tell whether every one of (message, seal) is."""


class CatchUp:
    """Pulls final blocks up to a target."""

    def __init__(
        self,
        branches: Branches,
        mempool: Mempool,
        peers: Links,
        puller: Puller,
        *,
        keys: SealKeys,
        seal_message: SealMessage,
        snapshot_interval: int,
        open_checker: OpenChecker | None = None,
        refuse: Refuse | None = None,
    ) -> None:
        """Take what it works with.

        Args:
            branches: where this node stands.
            mempool: entries that were checked already.
            peers: who answers.
            puller: asks them.
            keys: check seals.
            seal_message: what a seal is over.
            snapshot_interval: of the charter.
            open_checker: makes a helper that checks signatures ahead; without it nothing leaves this process.
            refuse: gives the error to end with if the rules refuse what a quorum sealed; without it, stand still.
        """
        self._branches, self._mempool, self._puller = branches, mempool, puller
        self._keys, self._seal_message = keys, seal_message
        self._snapshot_interval = snapshot_interval
        self._open_checker, self._refuse = open_checker, refuse
        self._checker: SignatureChecker | None = None
        self._unchecked: dict[int, list[Entries]] = {}  # by identity, in the order of heights
        self._has_unchecked = asyncio.Event()
        self._sources = Sources(peers)
        self._log = structlog.get_logger("catchup")

    async def run(self, commit: Commit, *, target: Header, seal: bytes, first: MemberIndex) -> None:
        """Return once the block of `target` is committed here.

        Args:
            commit: makes a run of executed blocks final.
            target: where to; its seal was verified.
            seal: of the target.
            first: who told of it, and is asked before others.

        Raises:
            ConditionError: of the commit: nothing that a member did.
        """
        tip = self._branches.final.header
        async with contextlib.AsyncExitStack() as stack:
            if self._open_checker is not None and target.tree_size - tip.tree_size >= CHECKED_AHEAD_MIN:
                self._checker = await stack.enter_async_context(self._open_checker())
            try:
                while self._branches.final.header.height < target.height:
                    window = await self._prove_headers(target, seal, first)
                    await self._take(window, commit)
            finally:
                self._checker = None

    # -- headers -----------------------------------------------------------------------------------------------------

    async def _prove_headers(self, target: Header, seal: bytes, first: MemberIndex) -> list[SealedHeader]:
        """Get the next headers up to a true seal, from whoever has them."""
        pause_s, patience_s = PAUSE_FIRST_S, PATIENCE_FIRST_S
        while True:
            for member in self._sources.available(first):
                try:
                    window = await self._window_of(member, target, seal, patience_s)
                except LedgerError as problem:
                    self._sources.leave(member, problem)
                else:
                    self._sources.praise(member)
                    return window
            patience_s = next_patience_s(patience_s, has_gained=False)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _window_of(
        self, member: MemberIndex, target: Header, seal: bytes, patience_s: float
    ) -> list[SealedHeader]:
        """Take headers from one member, as many as one true seal proves.

        Raises:
            LedgerError: the member serves something else, too little or too slowly.
        """
        parent = self._branches.final.header
        window: list[SealedHeader] = []
        sealed_count = 0
        try:
            async with (
                asyncio.timeout(2 * patience_s),
                contextlib.aclosing(
                    self._puller.final_headers(
                        member, Height(parent.height + 1), target.height - parent.height, patience_s=patience_s
                    )
                ) as headers,
            ):
                async for served in headers:
                    verify_child(served.header, parent=parent)
                    parent = served.header
                    window.append(_with_known_seal(served, target, seal))
                    sealed_count = len(window) if window[-1].seal != NO_SEAL else sealed_count
                    _require_seal_sooner(len(window) - sealed_count)
                    if parent.height == target.height or sealed_count >= HEADERS_PER_WINDOW:
                        break
        except TimeoutError:
            pass  # what came in time may do
        except ConditionError as problem:
            if problem.code is not Code.UNREACHABLE or not sealed_count:
                raise
        if not sealed_count:
            found = f"{len(window)} headers without a seal"
            raise ConditionError(field=f"member {member}", found=found, expected="final blocks", code=Code.UNREACHABLE)
        del window[sealed_count:]
        await self._verify_seals(window)
        return window

    async def _verify_seals(self, window: Sequence[SealedHeader]) -> None:
        """Check every seal, the last first: it is what proves the others' headers.

        Raises:
            ProofError: one fails.
        """
        sealed = [block for block in reversed(window) if block.seal != NO_SEAL]
        for start in range(0, len(sealed), SEALS_PER_ROUND):
            some = sealed[start : start + SEALS_PER_ROUND]
            signed = [(self._seal_message(block.header), block.seal) for block in some]
            if not self._keys.are_seals(signed):
                wrong = next(
                    block
                    for block, (message, seal) in zip(some, signed, strict=True)
                    if not self._keys.is_seal(message, seal)
                )
                found = f"one that fails at {wrong.header.height}"
                raise ProofError(field="seal", found=found, expected="a valid seal")
            await asyncio.sleep(0)  # votes must not wait behind a thousand seals

    # -- bodies ------------------------------------------------------------------------------------------------------

    async def _take(self, window: Sequence[SealedHeader], commit: Commit) -> None:
        """Gather, execute and commit the blocks of a window.

        Raises:
            ConditionError: of the commit.
        """
        gathering = Gathering(window, puller=self._puller, sources=self._sources, prepare=self._prepare)
        problem: ConditionError | None = None
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(gathering.run(), name="gather blocks")]
            if self._checker is not None:
                beside.append(group.create_task(self._check_ahead(self._checker), name="check signatures ahead"))
            try:
                await self._execute_all(gathering.pieces(), commit)
            except ConditionError as error:
                problem = error  # as it is, not in a group
            for task in beside:
                task.cancel()
        self._unchecked.clear()
        if problem is not None:
            raise problem
        self._log.info("catching up", height=self._branches.final.header.height)

    async def _execute_all(
        self, pieces: AsyncIterator[tuple[Sequence[SealedHeader], list[Entries]]], commit: Commit
    ) -> None:
        tip = self._branches.final
        run: list[tuple[ExecutedBlock, bytes]] = []
        bytes_count = 0
        async for blocks, bodies in pieces:
            self._unchecked.pop(id(bodies), None)
            for block, entries in zip(blocks, bodies, strict=True):
                outcome = execute_block(tip, block.header, entries, snapshot_interval=self._snapshot_interval)
                if isinstance(outcome, Rejection):
                    await self._stand_still(block.header, outcome)
                tip = outcome
                run.append((tip, block.seal))
                bytes_count += sum(map(len, tip.entries))
                is_much = len(run) >= BLOCKS_PER_COMMIT_MAX or bytes_count >= BYTES_PER_COMMIT_MAX
                if block.seal != NO_SEAL and is_much:
                    await commit(run)
                    run, bytes_count = [], 0
                await asyncio.sleep(0)  # what else this node does must not starve
        if run:
            await commit(run)

    async def _stand_still(self, header: Header, rejection: Rejection) -> NoReturn:
        """Say that a quorum sealed what this node's rules refuse, and do nothing more: people must look.

        Raises:
            ConditionError: whatever `refuse` gives.
        """
        if self._refuse is not None:
            raise self._refuse(header, rejection)
        self._log.critical(
            "a quorum sealed a block that this node's rules refuse; standing still",
            height=header.height,
            rejection=str(rejection),
        )
        while True:
            await asyncio.Event().wait()

    def _prepare(self, bodies: Sequence[Sequence[bytes]]) -> list[Entries]:
        """Read entries and note them for the helper; those that waited here were checked before."""
        prepared: list[Entries] = [[self._prepare_one(entry) for entry in body] for body in bodies]
        if self._checker is not None:
            self._unchecked[id(prepared)] = prepared
            self._has_unchecked.set()
        return prepared

    async def _check_ahead(self, checker: SignatureChecker) -> None:
        """Have signatures checked that are executed next but one, so that neither process does the other's work."""
        while True:
            while not self._unchecked:
                self._has_unchecked.clear()
                await self._has_unchecked.wait()
            waiting = list(self._unchecked)
            bodies = self._unchecked.pop(waiting[min(1, len(waiting) - 1)])
            entries = (entry for body in bodies for entry in body if not isinstance(entry, bytes))
            asked = [(entry, task) for entry in entries for task in self._tasks_of(entry)]
            answers = await checker.check([task for _, task in asked])
            for (entry, (public_key, signature, _)), answer in zip(asked, answers, strict=False):
                if answer:
                    entry.is_signed_by(public_key, signature, _was_true)

    def _prepare_one(self, entry: bytes) -> PreparedEntry | bytes:
        pending = self._mempool.get(leaf_hash(entry))
        if pending is not None:
            return pending.prepared
        try:
            return entry if is_computed_entry(entry) else prepare_entry(entry)
        except LedgerError:
            return entry  # the rules say what is wrong with it

    def _tasks_of(self, entry: PreparedEntry) -> list[SignatureTask]:
        """Name the signatures of an entry by keys that the newest final state knows; the rules check the others."""
        message = encode_pae(entry.envelope.payload_type, entry.envelope.payload)
        state = self._branches.final.state
        tasks: list[SignatureTask] = []
        for line in entry.envelope.signatures:
            holder = KEYS.get(state, bytes.fromhex(line.keyid))
            if holder is not None:
                tasks.append((holder.public_key, line.signature, message))
        return tasks


def _was_true(_public_key: bytes, _signature: bytes, _message: bytes) -> bool:
    """Stand in for a check that was made."""
    return True


def _with_known_seal(served: SealedHeader, target: Header, seal: bytes) -> SealedHeader:
    """Give the target its own seal, whatever was served with it.

    Raises:
        ProofError: another block at the target's height.
    """
    if served.header.height != target.height:
        return served
    if served.header.digest != target.digest:
        raise ProofError(field="header", found=served.header.digest.hex(), expected=target.digest.hex())
    return SealedHeader(header=target, seal=seal)


def _require_seal_sooner(unsealed_count: int) -> None:
    if unsealed_count > UNSEALED_BLOCKS_MAX:
        raise ProofError(
            field="final_blocks", found=f"{unsealed_count} blocks without a seal", expected="a sealed one sooner"
        )
