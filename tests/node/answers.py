"""What a caller of a node reads out of a call that was refused."""

from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # ships no stubs


def read_refusal(error: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:  # an RpcError that is a Call too
    """Status, reason and metadata of google.rpc.ErrorInfo in the trailer of a refused call."""
    trailers = dict(error.trailing_metadata() or ())
    info = error_details_pb2.ErrorInfo()
    if "grpc-status-details-bin" in trailers:
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        assert status.code == error.code().value[0]
        assert status.details[0].Unpack(info)
        assert info.domain == "counterseal"
    return error.code(), info.reason, dict(info.metadata)
