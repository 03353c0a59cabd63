"""The history before the snapshot that a node began from: got and executed from entry 0 on, in a database of its own.

Rules of this file
1. The history is caught up as any node catches up (`node.catchup`): every header proven by seals, every entry executed.
   Its target is the block that the node began from, so the two cannot meet in anything but the very same header, and
   the rules must make the very state that the snapshot was.
2. What this node's rules refuse before that block was sealed by a quorum nevertheless. That is written into the history
   first, then the node ends; it does not start on such a history again. People must look.
3. Past that block it follows the live database, which holds the rest, and is so never far behind.
4. It takes the live database's place when the node is started again (`node.starting`), by one rename, once both end
   with the same block and state, and what only the live one had was copied. Until then both stay as they are.
5. It goes on from its own newest block, whenever the node was stopped or killed. It rests as long as it works.

What a node may vote, its vote log alone decides, so neither the start nor the rename can make it vote twice: to the log
both are as a database that was lost and pulled again (`node.repair`). A vote's block is kept: candidates are copied.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import structlog

from ledger.blocks import Header, seal_message, verify_child
from ledger.charter import Charter
from ledger.errors import Code, ConditionError, LedgerError, Rejection, shorten
from ledger.positions import Height, Interval, LeafIndex, Seconds
from ledger.rules.state import State
from node import failpoints
from node.beginning import found_store
from node.branches import Branches
from node.catchup import CatchUp, SealKeys
from node.cosigning import Notary
from node.execute import ExecutedBlock, execute_block
from node.home import sync_folder
from node.links import Links
from node.mempool import Mempool, MempoolLimits
from node.preflight import believed
from node.pulling import Puller
from node.schema import damaged
from node.store import BlockCommit, Store, StoredBlock
from node.tip import Tip

BLOCKS_AT_A_TIME: Final = 16
REST_MAX_S: Final = 1.0
REFUSED: Final = "refused"
"""Name of the value that says which block of the history the rules refused."""
_NOTHING_WAITS: Final = MempoolLimits(bytes_max=0, entries_max=0, entries_per_issuer_max=0)


class History:
    """The history of a node that began from a snapshot."""

    def __init__(self, path: Path, live: Store, charter: Charter) -> None:
        """Begin the database, or go on with it.

        Raises:
            ConditionError: `STORE_DAMAGED`; `VERSION_MISMATCH`: it was refused before.
        """
        assert live.base is not None
        self.base: StoredBlock = live.base
        self._path, self._live, self._charter = path, live, charter
        self._log = structlog.get_logger("history")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
        self._worked_since_s = 0.0
        found_store(path, charter.entry, live.meta("transcript") or b"")
        self.store = Store(path)
        self.store.check()
        refused = self.store.meta(REFUSED)
        if refused is not None:
            raise self._refusal(refused.decode("utf-8", "replace"))
        tip = self.store.require_tip()
        with believed(path):
            state = State.restore(self.store.state_items(), charter=charter)
        frontier = self.store.frontier(tip.header.tree_size)
        self._branches = Branches(ExecutedBlock(tip.header, (), (), state, frontier))

    @property
    def height(self) -> Height:
        """How far everything from entry 0 on was executed."""
        return self._branches.final.header.height

    def close(self) -> None:
        """Close the database, once nothing of it is under way."""
        self._thread.shutdown()
        self.store.close()

    # -- while the node runs -----------------------------------------------------------------------------------------

    async def run(
        self, links: Links, puller: Puller, keys: SealKeys, tip: Tip, make_notary: Callable[[Store], Notary]
    ) -> None:
        """Get and execute the history, then follow the live database until the node stops.

        Raises:
            ConditionError: the rules refuse what a quorum sealed, or the disk refuses.
        """
        catch_up = CatchUp(
            self._branches,
            Mempool(_NOTHING_WAITS),
            links,
            puller,
            keys=keys,
            seal_message=lambda header: seal_message(header, self._charter.origin),
            snapshot_interval=self._charter.consensus.snapshot_interval,
            refuse=self._refuse,
        )
        notary = make_notary(self.store)

        async def commit(run: Sequence[tuple[ExecutedBlock, bytes]]) -> None:
            await self._commit(run)
            for block, seal in run:
                if seal and notary.is_archival(block.header) is not None:
                    self._name_archival(notary, StoredBlock(block.header, seal))
            loop = asyncio.get_running_loop()
            await asyncio.sleep(min(loop.time() - self._worked_since_s, REST_MAX_S))
            self._worked_since_s = loop.time()

        self._log.info("auditing the history", height=self.height, begun_at=self.base.header.height)
        self._worked_since_s = asyncio.get_running_loop().time()
        first = self.base.header.proposer
        await catch_up.run(commit, target=self.base.header, seal=self.base.seal, first=first)
        self._log.info("the history is audited; it is taken into use at the next start", height=self.height)
        while True:
            await self.follow()
            try:
                await tip.wait_above(self.height)
            except ConditionError as problem:
                if problem.code is Code.DRAINING:
                    return
                raise

    async def follow(self) -> None:
        """Execute what the live database has beyond this one, which holds at least the block that it began from.

        Raises:
            ConditionError: the rules refuse a block, or the disk.
        """
        self._require_same(self.base.header)
        count = BLOCKS_AT_A_TIME
        while True:
            found = self._live.blocks(Height(self.height + 1), count)
            blocks = list(found)
            while blocks and not blocks[-1].seal:
                blocks.pop()
            if not blocks and len(found) < count:
                return
            count = BLOCKS_AT_A_TIME if blocks else 2 * count
            await self._execute(blocks)

    async def _execute(self, blocks: Sequence[StoredBlock]) -> None:
        newest = self._branches.final
        run: list[tuple[ExecutedBlock, bytes]] = []
        for block in blocks:
            header = block.header
            try:
                verify_child(header, parent=newest.header)
            except LedgerError as error:
                raise damaged(self._path, error.found, field=error.field, expected=error.expected) from error
            entries = self._live.entries(LeafIndex(header.first_index), header.entry_count)
            interval = self._charter.consensus.snapshot_interval
            outcome = execute_block(newest, header, entries, snapshot_interval=interval)
            if isinstance(outcome, Rejection):
                raise self._refuse(header, outcome)
            newest = outcome
            run.append((newest, block.seal))
            await asyncio.sleep(0)  # what else this node does must not starve
        if run:
            await self._commit(run)

    async def _commit(self, run: Sequence[tuple[ExecutedBlock, bytes]]) -> None:
        commits = [
            BlockCommit(block.header, seal, block.entries, block.leaves, block.state.changes()) for block, seal in run
        ]
        await asyncio.get_running_loop().run_in_executor(self._thread, self.store.commit, commits)
        for block, _ in run:
            self._branches.finalize(block)

    def _name_archival(self, notary: Notary, block: StoredBlock) -> None:
        """Name and cosign an archival checkpoint, as the driver does when it catches up."""
        own, interval = notary.on_final(block, now_s=Seconds(block.header.time_ms // 1000))
        if interval is not None:
            self.store.put_archive(interval, block.header.height)
            for cosignature in own:
                kind, blob = notary.verify(notary.me, cosignature)
                self.store.put_cosignature(cosignature.size, notary.me, kind, blob)

    def _refuse(self, header: Header, rejection: Rejection) -> ConditionError:
        """Write down that a quorum sealed what the rules refuse; the node ends with what this gives."""
        words = shorten(f"block {header.height}: {rejection}")
        self.store.put_meta(REFUSED, words.encode())
        self._log.critical(
            "a quorum sealed a history that this node's rules refuse; the node ends", height=header.height, found=words
        )
        return self._refusal(words)

    def _refusal(self, words: str) -> ConditionError:
        return ConditionError(
            field="history",
            found=words,
            expected="blocks that the rules of this release take, as a quorum sealed them: compare releases with the"
            f" other members; with another one, remove {self._path} and start",
            code=Code.VERSION_MISMATCH,
        )

    # -- while it does not -------------------------------------------------------------------------------------------

    def _require_same(self, header: Header) -> None:
        """Check that both databases hold a block.

        Raises:
            ConditionError: `STORE_DAMAGED`.
        """
        mine = self.store.block_at(header.height)
        if mine is None or mine.header != header:
            found = "none" if mine is None else mine.header.digest.hex()
            raise damaged(self._path, found, field=f"block {header.height}", expected=header.digest.hex())

    def take_place(self) -> None:
        """Put this database in the live one's place; both are closed after it, whatever happened.

        Raises:
            ConditionError: `STORE_DAMAGED`: they differ; `NOT_READY`: another process reads one of them.
        """
        live, history = self._live, self.store
        try:
            self._require_same(live.require_tip().header)
            if dict(live.state_items()) != dict(history.state_items()):
                raise damaged(live.path, "another state", field="state", expected="what the rules make of the entries")
            for interval, height in live.archives(Interval(0)):
                history.put_archive(interval, height)
                size = live.require_block(height).header.tree_size
                for member, kind, line in live.cosignatures(size):
                    history.put_cosignature(size, member, kind, line)
            for height, leaf, entry in live.candidates():
                history.put_candidates(height, [(leaf, entry)])
        finally:
            self.close()
            live.close()
        for path in (live.path, self._path):  # SQLite leaves none when the last connection closes
            for left in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                if left.exists():
                    raise ConditionError(
                        field=str(left), found="another process at work here", expected="none", code=Code.NOT_READY
                    )
        failpoints.reach("history.whole")
        self._path.rename(live.path)
        failpoints.reach("history.renamed")
        sync_folder(live.path.parent)
        failpoints.reach("history.replaced")
        self._log.info("the audited history is in use", height=self.height)
