"""The operator's side of the Unix socket: ask a running node how it stands, drain it, have statements made."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc

from ledger.errors import Code, ConditionError
from ledger.limits import MESSAGE_BYTES_MAX
from node.services.refusals import read_refusal
from node.v1 import operator_pb2, operator_pb2_grpc

TIMEOUT_S: Final = 10.0
_OPTIONS: Final = (("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),)


class OperatorClient:
    """Blocking calls to one node; each raises `ConditionError` if the node is not there, or with what it refuses."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def status(self) -> operator_pb2.GetStatusResponse:
        """Ask how the node stands."""
        with self._calling() as stub:
            return stub.GetStatus(operator_pb2.GetStatusRequest(), timeout=TIMEOUT_S)

    def peers(self) -> operator_pb2.ListPeersResponse:
        """Ask how its connections stand."""
        with self._calling() as stub:
            return stub.ListPeers(operator_pb2.ListPeersRequest(), timeout=TIMEOUT_S)

    def drain(self) -> int:
        """Have the node hand on what waits and stop; returns how many statements waited."""
        with self._calling() as stub:
            return stub.Drain(operator_pb2.DrainRequest(), timeout=TIMEOUT_S).handed_on

    def sign(self, kind: str, body: bytes) -> operator_pb2.SignStatementResponse:
        """Have the node complete and sign a statement in the nation's name."""
        with self._calling() as stub:
            return stub.SignStatement(operator_pb2.SignStatementRequest(kind=kind, body=body), timeout=TIMEOUT_S)

    def issue(self, kind: str, body: bytes, *, wait_s: float) -> operator_pb2.StatementOutcome:
        """Have the node sign and hand in a statement, and wait until it is sealed, at most so long."""
        request = operator_pb2.IssueStatementRequest(kind=kind, body=body, wait_ms=int(wait_s * 1000))
        with self._calling() as stub:
            return stub.IssueStatement(request, timeout=wait_s + TIMEOUT_S)

    def statement(self, leaf: bytes) -> operator_pb2.StatementOutcome:
        """Ask what became of a statement."""
        with self._calling() as stub:
            return stub.GetStatement(operator_pb2.GetStatementRequest(leaf_hash=leaf), timeout=TIMEOUT_S)

    def matters(self) -> operator_pb2.ListOpenResponse:
        """Ask what is open."""
        with self._calling() as stub:
            return stub.ListOpen(operator_pb2.ListOpenRequest(), timeout=TIMEOUT_S)

    @contextlib.contextmanager
    def _calling(self) -> Iterator[operator_pb2_grpc.OperatorStub]:
        with grpc.insecure_channel(f"unix:{self._socket}", options=_OPTIONS) as channel:
            try:
                yield operator_pb2_grpc.OperatorStub(channel)
            except grpc.RpcError as error:
                raise self._refused(error) from error

    def _refused(self, error: Any) -> ConditionError:  # an RpcError that is a Call too, of which the stubs do not know
        reason = read_refusal(error, who="the node")
        if reason is not None:
            return reason
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return ConditionError(
                field=str(self._socket), found="nobody listens", expected="a running node", code=Code.UNREACHABLE
            )
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return ConditionError(
                field=str(self._socket),
                found="a node of an older release",
                expected="a node of the same release as this command",
                code=Code.VERSION_MISMATCH,
            )
        return ConditionError(
            field=str(self._socket), found=error.details() or error.code().name, expected="a node that agrees"
        )
