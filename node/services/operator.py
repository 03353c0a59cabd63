"""The nation's own view of its node, and what it says by its identity key. Reached over a Unix socket only."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc.aio

from ledger.errors import LedgerError
from ledger.positions import MemberIndex
from node.issuing import Issuing
from node.matters import MatterReader
from node.peers import PeerState
from node.services.refusals import refuse
from node.v1 import operator_pb2, operator_pb2_grpc

BODY_BYTES_MAX: Final = 64 * 1024
ANSWER_BEFORE_S: Final = 0.5
_Context = grpc.aio.ServicerContext[Any, Any]  # message types differ from call to call


class OperatorServicer(operator_pb2_grpc.OperatorServicer):
    """Translates; what it tells and does is given to it as functions of the node."""

    def __init__(
        self,
        status: Callable[[], operator_pb2.GetStatusResponse],
        peers: Mapping[MemberIndex, PeerState],
        drain: Callable[[], Awaitable[int]],
        issuing: Issuing,
        matters: MatterReader,
        *,
        wait_max_s: float,
    ) -> None:
        self._status, self._peers, self._drain = status, peers, drain
        self._issuing, self._matters, self._wait_max_s = issuing, matters, wait_max_s

    async def GetStatus(  # noqa: N802
        self, request: operator_pb2.GetStatusRequest, context: _Context
    ) -> operator_pb2.GetStatusResponse:
        """Say how the node stands."""
        del request, context
        return self._status()

    async def ListPeers(  # noqa: N802
        self, request: operator_pb2.ListPeersRequest, context: _Context
    ) -> operator_pb2.ListPeersResponse:
        """Say how each fellow member's connection stands, and what of theirs was refused."""
        del request, context
        return operator_pb2.ListPeersResponse(
            peers=[
                operator_pb2.PeerStatus(
                    member=peer.member,
                    id=peer.id,
                    address=peer.address,
                    connected=peer.connected,
                    last_heard_ms=peer.last_heard_ms,
                    clock_skew_ms=peer.clock_skew_ms,
                    height=peer.height,
                    refused=[operator_pb2.Counter(name=name, value=n) for name, n in sorted(peer.refused.items())],
                    last_error=peer.last_error,
                )
                for _, peer in sorted(self._peers.items())
            ]
        )

    async def Drain(  # noqa: N802
        self, request: operator_pb2.DrainRequest, context: _Context
    ) -> operator_pb2.DrainResponse:
        """Refuse new statements, hand on what waits, stop."""
        del request, context
        return operator_pb2.DrainResponse(handed_on=await self._drain())

    async def SignStatement(  # noqa: N802
        self, request: operator_pb2.SignStatementRequest, context: _Context
    ) -> operator_pb2.SignStatementResponse:
        """Add header and signature of this nation to a predicate's body."""
        try:
            return self._issuing.sign(request.kind, request.body[: BODY_BYTES_MAX + 1])
        except LedgerError as error:
            await refuse(context, error)

    async def IssueStatement(  # noqa: N802
        self, request: operator_pb2.IssueStatementRequest, context: _Context
    ) -> operator_pb2.StatementOutcome:
        """Make, sign and hand in a statement; answer once it is sealed, or before the caller stops waiting."""
        wait_s = min(request.wait_ms / 1000, self._limit_s(context.time_remaining()))
        try:
            return await self._issuing.issue(request.kind, request.body[: BODY_BYTES_MAX + 1], wait_s=wait_s)
        except LedgerError as error:
            await refuse(context, error)

    def _limit_s(self, time_remaining_s: float | None) -> float:
        remaining_s = self._wait_max_s if time_remaining_s is None else time_remaining_s - ANSWER_BEFORE_S
        return min(self._wait_max_s, remaining_s)

    async def GetStatement(  # noqa: N802
        self, request: operator_pb2.GetStatementRequest, context: _Context
    ) -> operator_pb2.StatementOutcome:
        """Say what became of a statement."""
        try:
            return self._issuing.find(request.leaf_hash)
        except LedgerError as error:
            await refuse(context, error)

    async def ListOpen(  # noqa: N802
        self, request: operator_pb2.ListOpenRequest, context: _Context
    ) -> operator_pb2.ListOpenResponse:
        """Say what is open, and until when."""
        del request
        try:
            return self._matters.read()
        except LedgerError as error:
            await refuse(context, error)
