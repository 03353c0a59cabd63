"""The operator's side of the Unix socket: ask a running node how it stands, drain it, have statements signed."""

from pathlib import Path
from typing import Any, Final

import grpc

from ledger.errors import Code, ConditionError
from node.v1 import operator_pb2, operator_pb2_grpc

TIMEOUT_S: Final = 10.0


class OperatorClient:
    """Blocking calls to one node; each raises `ConditionError` if the node is not there or refuses."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def status(self) -> operator_pb2.GetStatusResponse:
        """Ask how the node stands."""
        with self._channel() as channel:
            try:
                return operator_pb2_grpc.OperatorStub(channel).GetStatus(
                    operator_pb2.GetStatusRequest(), timeout=TIMEOUT_S
                )
            except grpc.RpcError as error:
                raise self._refused(error) from error

    def peers(self) -> operator_pb2.ListPeersResponse:
        """Ask how its connections stand."""
        with self._channel() as channel:
            try:
                return operator_pb2_grpc.OperatorStub(channel).ListPeers(
                    operator_pb2.ListPeersRequest(), timeout=TIMEOUT_S
                )
            except grpc.RpcError as error:
                raise self._refused(error) from error

    def drain(self) -> int:
        """Have the node hand on what waits and stop; returns how many statements waited."""
        with self._channel() as channel:
            try:
                answer = operator_pb2_grpc.OperatorStub(channel).Drain(operator_pb2.DrainRequest(), timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                raise self._refused(error) from error
        return answer.handed_on

    def sign(self, kind: str, body: bytes) -> operator_pb2.SignStatementResponse:
        """Have the node complete and sign a statement in the nation's name."""
        with self._channel() as channel:
            try:
                return operator_pb2_grpc.OperatorStub(channel).SignStatement(
                    operator_pb2.SignStatementRequest(kind=kind, body=body), timeout=TIMEOUT_S
                )
            except grpc.RpcError as error:
                raise self._refused(error) from error

    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"unix:{self._socket}")

    def _refused(self, error: Any) -> ConditionError:  # an RpcError that is a Call too, of which the stubs do not know
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return ConditionError(
                field=str(self._socket), found="nobody listens", expected="a running node", code=Code.UNREACHABLE
            )
        return ConditionError(
            field=str(self._socket), found=error.details() or error.code().name, expected="a node that agrees"
        )
