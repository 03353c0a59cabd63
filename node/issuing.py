"""What the nation says through its own node: made, signed, admitted here as from anybody, and followed to its seal.

Between the nation's position and the admission of its statement nothing else happens, so two statements never take one
place. A statement that was admitted stays so when its operator goes away; what became of the last ones is remembered
here, since an entry that the rules refused in the end leaves no trace elsewhere.
"""

import asyncio
import contextlib
from typing import Final

from ledger.errors import Code, ConditionError, RejectedError, Rejection
from ledger.merkle import Hash
from node.admission import Admission
from node.nation import Nation
from node.proving import Prover
from node.store import Store
from node.v1 import operator_pb2

ISSUED_REMEMBERED: Final = 256


class Issuing:
    """Hands in the nation's statements and knows what became of them."""

    def __init__(self, nation: Nation, admission: Admission, prover: Prover, store: Store) -> None:
        self._nation, self._admission, self._prover, self._store = nation, admission, prover, store
        self._issued: dict[Hash, Rejection | None] = {}
        admission.on_dropped = self._remember

    def sign(self, kind: str, body: bytes) -> operator_pb2.SignStatementResponse:
        """Sign a statement that another party completes and hands in; as `Nation.sign`."""
        return self._nation.sign(kind, body)

    async def issue(self, kind: str, body: bytes, *, wait_s: float) -> operator_pb2.StatementOutcome:
        """Make a statement, hand it in, and wait for a while until it is sealed.

        Args:
            kind: of statement.
            body: JSON of its predicate, without the header.
            wait_s: how long; when it is over the statement goes on by itself.

        Raises:
            LedgerError: as `Nation.make_entry` and `Admission.admit`; nothing was handed in then. Or the rules refused
                it after all.
        """
        entry = self._nation.make_entry(kind, body)
        leaf = self._admission.admit(entry).leaf
        while len(self._issued) >= ISSUED_REMEMBERED:
            del self._issued[next(iter(self._issued))]
        self._issued[leaf] = None
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._admission.wait_sealed(leaf)
        return self.find(leaf)

    def find(self, leaf: Hash) -> operator_pb2.StatementOutcome:
        """Say what became of a statement that was handed in here, or is final.

        Raises:
            RejectedError: the rules refused it after it was handed in here.
            ConditionError: `NOT_FOUND`: it neither waits here nor is it final.
        """
        rejection = self._issued.get(leaf)
        if rejection is not None:
            raise RejectedError(rejection)
        index = self._store.index_of_leaf(leaf)
        if index is not None:
            receipt, entry = self._prover.receipt(index).decode(), self._store.entries(index, 1)[0]
            return operator_pb2.StatementOutcome(leaf_hash=leaf, sealed=True, index=index, receipt=receipt, entry=entry)
        waiting = self._admission.find_waiting(leaf)
        if waiting is None:
            raise ConditionError(
                field="statement", found=leaf.hex(), expected="one that waits here or is final", code=Code.NOT_FOUND
            )
        return operator_pb2.StatementOutcome(leaf_hash=leaf, entry=waiting)

    def _remember(self, leaf: Hash, rejection: Rejection) -> None:
        if leaf in self._issued:
            self._issued[leaf] = rejection
