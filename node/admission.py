"""Which entries a node takes in: the rules on the newest final state and what waits, bounds, and who waits for what.

An entry is admitted when it is valid after the final state and the same issuer's waiting entries, so that a block of
this node's would take it. Nothing that is refused is kept. A submitter who waits is woken when the entry is sealed, or
when it turns out that it never will be.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import Code, ConditionError, FormatError, LedgerError, RejectedError, Rejection, reject
from ledger.limits import ENTRY_BYTES_MAX
from ledger.merkle import Hash, leaf_hash
from ledger.positions import LeafIndex, Millis
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.apply import admission_header, apply_entry
from ledger.rules.entries import PreparedEntry, prepare_entry
from ledger.rules.records.foundation import ISSUERS, compute_last_leaf
from ledger.rules.state import State
from node.branches import Branches
from node.execute import ExecutedBlock
from node.mempool import Mempool, PendingEntry
from node.store import Store
from node.turns import Turns

ENTRIES_PER_ROUND: Final = 4

_TOO_EARLY: Final = (Code.INTERVAL_NOT_OVER, Code.INTERVAL_NOT_BEGUN)
"""What time alone changes: the clock that admitted the entry was ahead of the block's."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of an entry that was handed in.

    Attributes:
        known: it was here before.
        index: where it stands, if it is final.
    """

    leaf: Hash
    known: bool
    index: LeafIndex | None


@dataclass(frozen=True, slots=True)
class Position:
    """What an issuer's next statement must carry, and what the newest final block says."""

    ledger_id: bytes
    next_sequence: SequenceNumber
    previous: bytes
    sealed_sequence: SequenceNumber
    time_ms: Millis
    root: bytes


class Admission:
    """Admits entries into the mempool and tells submitters what became of them."""

    def __init__(
        self,
        mempool: Mempool,
        branches: Branches,
        store: Store,
        clock: Callable[[], Millis],
    ) -> None:
        self._mempool, self._branches, self._store = mempool, branches, store
        self._clock = clock
        self.on_admitted: Callable[[PreparedEntry, bool], None] = _tell_nobody
        self._scratch: dict[str, State] = {}
        self._waiting: dict[Hash, asyncio.Future[LeafIndex]] = {}
        self.on_settled: Callable[[Millis], None] = _measure_nothing
        self.on_dropped: Callable[[Hash, Rejection], None] = _forget
        self.turns = Turns(ENTRIES_PER_ROUND)
        self.is_draining = False
        self.admitted_count = 0
        self.refused: Counter[str] = Counter()

    def admit(self, entry: bytes, *, is_gossip: bool = False) -> Admitted:
        """Take one entry in, or say why not; nothing is kept of what is refused.

        Args:
            entry: the exact bytes of an envelope.
            is_gossip: it came from a member, who spreads it itself.

        Raises:
            LedgerError: with the rules' or the mempool's code.
        """
        try:
            return self._admit(entry, is_gossip=is_gossip)
        except LedgerError as error:
            self.refused[error.code] += 1
            raise

    def _admit(self, entry: bytes, *, is_gossip: bool) -> Admitted:
        if len(entry) > ENTRY_BYTES_MAX:
            raise FormatError(
                field="entry",
                found=f"{len(entry)} bytes",
                expected=f"at most {ENTRY_BYTES_MAX} bytes",
                code=Code.TOO_LARGE,
            )
        leaf = leaf_hash(entry)
        if self._mempool.get(leaf) is not None:
            return Admitted(leaf=leaf, known=True, index=None)
        try:
            self._take_in(entry, is_gossip=is_gossip)
        except LedgerError:
            # The rules refuse what is final already, so only what is refused has to be looked for on disk.
            index = self._store.index_of_leaf(leaf)
            if index is None:
                raise
            return Admitted(leaf=leaf, known=True, index=index)
        return Admitted(leaf=leaf, known=False, index=None)

    def _take_in(self, entry: bytes, *, is_gossip: bool) -> None:
        if self.is_draining:
            raise ConditionError(
                field="node", found="draining", expected="a node that accepts statements", code=Code.DRAINING
            )
        now = self._clock()
        prepared = prepare_entry(entry)
        header = admission_header(self._branches.final.state, prepared)
        if isinstance(header, Rejection):
            raise RejectedError(header)
        self._mempool.require_room(header.issuer, len(entry))
        applied = apply_entry(
            self._scratch_of(header.issuer), prepared, time_ms=self._judged_ms(now), index=self._next_index()
        )
        if isinstance(applied, Rejection):
            raise RejectedError(applied)
        pending = PendingEntry(prepared=prepared, issuer=applied.issuer, sequence=applied.sequence, arrived_ms=now)
        self._mempool.add(pending)
        self.admitted_count += 1
        self.on_admitted(prepared, is_gossip)

    def position(self, issuer: str) -> Position:
        """Say where an issuer stands, counting what waits here.

        Raises:
            ConditionError: `UNKNOWN_ISSUER`.
        """
        final = self._branches.final
        sealed = ISSUERS.get(final.state, issuer.encode())
        if sealed is None:
            raise ConditionError(
                field="issuer",
                found=issuer,
                expected="a member, or a lab that a nation registered",
                code=Code.UNKNOWN_ISSUER,
            )
        waiting = ISSUERS.require(self._scratch_of(issuer), issuer.encode())
        return Position(
            ledger_id=final.header.ledger_id,
            next_sequence=waiting.next_sequence,
            previous=compute_last_leaf(waiting),
            sealed_sequence=sealed.next_sequence,
            time_ms=final.header.time_ms,
            root=final.header.root,
        )

    def is_waiting(self, leaf: Hash) -> bool:
        """Say whether an entry waits here for a block."""
        return self._mempool.get(leaf) is not None

    def find_waiting(self, leaf: Hash) -> bytes | None:
        """The entry that waits here for a block; None if it does not."""
        pending = self._mempool.get(leaf)
        return None if pending is None else pending.prepared.raw

    async def wait_sealed(self, leaf: Hash) -> LeafIndex:
        """Return the index of an admitted entry once it is sealed.

        Raises:
            RejectedError: it turned out that the rules refuse it after all.
        """
        index = self._store.index_of_leaf(leaf)
        if index is not None:
            return index
        future = self._waiting.get(leaf)
        if future is None:
            future = self._waiting[leaf] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(future)

    async def wait_settled(self) -> None:
        """Return once nobody waits any more for an entry to be sealed."""
        while self._waiting:
            await asyncio.wait(list(self._waiting.values()))

    # -- told by the driver ------------------------------------------------------------------------------------------

    def on_final(self, blocks: Sequence[ExecutedBlock]) -> None:
        """Forget what is final or can no longer become so, and wake those who wait for it."""
        self._scratch.clear()
        touched: dict[str, None] = {}
        is_all_known = True
        for block in blocks:
            for offset, leaf in enumerate(block.leaves):
                pending = self._mempool.remove(leaf)
                is_all_known = is_all_known and pending is not None
                if pending is not None:
                    touched[pending.issuer] = None
                    self.on_settled(Millis(max(0, self._clock() - pending.arrived_ms)))
                future = self._waiting.pop(leaf, None)
                if future is not None and not future.done():
                    future.set_result(LeafIndex(block.header.first_index + offset))
        # What was never here may have taken the place of what waits: then every issuer is looked at.
        for issuer in touched if is_all_known else self._mempool.issuers():
            next_sequence = ISSUERS.require(self._branches.final.state, issuer.encode()).next_sequence
            for pending in self._mempool.of_issuer(issuer):
                if pending.sequence < next_sequence:
                    self._drop(pending.prepared.leaf_hash, _overtaken(pending.sequence, next_sequence))

    def on_refused(self, refused: Sequence[tuple[PreparedEntry, Rejection]]) -> None:
        """Drop entries that the rules refuse on the final state, unless time alone will change that."""
        for prepared, rejection in refused:
            if rejection.code not in _TOO_EARLY:
                self._drop(prepared.leaf_hash, rejection)

    def _drop(self, leaf: Hash, rejection: Rejection) -> None:
        self._mempool.remove(leaf)
        self._scratch.clear()
        self.refused[rejection.code] += 1
        self.on_dropped(leaf, rejection)
        future = self._waiting.pop(leaf, None)
        if future is not None and not future.done():
            future.set_exception(RejectedError(rejection))
            future.exception()  # whoever waited may have left: that is no error of ours

    def _scratch_of(self, issuer: str) -> State:
        """Return the final state with what waits of one issuer applied."""
        scratch = self._scratch.get(issuer)
        if scratch is None:
            scratch = self._branches.final.state.fork()
            for pending in self._mempool.of_issuer(issuer):
                apply_entry(
                    scratch,
                    pending.prepared,
                    time_ms=self._judged_ms(pending.arrived_ms),
                    index=self._next_index(),
                )
            self._scratch[issuer] = scratch
        return scratch

    def _judged_ms(self, now: Millis) -> Millis:
        """The block time an entry is judged by: this node's clock, but never before the newest block's."""
        return max(now, self._branches.final.header.time_ms)

    def _next_index(self) -> LeafIndex:
        return LeafIndex(self._branches.final.header.tree_size)


def _tell_nobody(prepared: PreparedEntry, is_gossip: bool) -> None:  # noqa: FBT001  # the form of a callback
    """Stand in until the driver listens."""


def _forget(leaf: Hash, rejection: Rejection) -> None:
    """Stand in until somebody wants to know what was dropped."""


def _measure_nothing(waited: Millis) -> None:
    """Stand in until the metrics listen."""


def _overtaken(sequence: int, next_sequence: int) -> Rejection:
    return reject(
        Code.EQUIVOCATION,
        field="statement.predicate.sequence",
        found=f"{sequence} again",
        expected=f"{next_sequence}; another statement took this place",
    )
