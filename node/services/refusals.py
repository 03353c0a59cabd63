"""From an error of ours to a gRPC status, in one table; and the way back, for the counts shown to operators.

Every refusal carries google.rpc.ErrorInfo (reason = the stable code, metadata = field, found, expected) in the
`grpc-status-details-bin` trailer, and google.rpc.RetryInfo where waiting helps.
Source: google/rpc/error_details.proto; gRPC "richer error model".
"""

from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # ships no stubs

from ledger.errors import Code, ConditionError, LedgerError, Rejection, shorten

ERROR_DOMAIN: Final = "counterseal"
_S: Final = grpc.StatusCode

STATUS_OF_CODE: Final[dict[Code, grpc.StatusCode]] = {
    Code.FORMAT: _S.INVALID_ARGUMENT,
    Code.PROOF: _S.INVALID_ARGUMENT,
    Code.SIGNATURE: _S.INVALID_ARGUMENT,
    Code.POLICY: _S.FAILED_PRECONDITION,
    Code.TOO_LARGE: _S.INVALID_ARGUMENT,
    Code.WRONG_LEDGER: _S.FAILED_PRECONDITION,
    Code.UNKNOWN_KIND: _S.INVALID_ARGUMENT,
    Code.UNKNOWN_ISSUER: _S.FAILED_PRECONDITION,
    Code.WRONG_ISSUER: _S.PERMISSION_DENIED,
    Code.WRONG_KEY: _S.PERMISSION_DENIED,
    Code.KEY_REVOKED: _S.PERMISSION_DENIED,
    Code.COUNTERSIGNATURE_MISSING: _S.PERMISSION_DENIED,
    Code.WRONG_SEQUENCE: _S.FAILED_PRECONDITION,
    Code.WRONG_PREVIOUS: _S.FAILED_PRECONDITION,
    Code.EQUIVOCATION: _S.ALREADY_EXISTS,
    Code.DUPLICATE: _S.ALREADY_EXISTS,
    Code.INTERVAL_NOT_OVER: _S.FAILED_PRECONDITION,
    Code.INTERVAL_BEFORE_REGISTRATION: _S.FAILED_PRECONDITION,
    Code.INTERVAL_ALREADY_REPORTED: _S.ALREADY_EXISTS,
    Code.NOTHING_TO_CORRECT: _S.FAILED_PRECONDITION,
    Code.UNKNOWN_CLUSTER: _S.FAILED_PRECONDITION,
    Code.ALREADY_REGISTERED: _S.ALREADY_EXISTS,
    Code.INVALID_FIELD: _S.INVALID_ARGUMENT,
    Code.COMPUTED_ONLY: _S.INVALID_ARGUMENT,
    Code.LIMIT_PROMISE_MISMATCH: _S.INVALID_ARGUMENT,
    Code.NOT_MISCONDUCT: _S.INVALID_ARGUMENT,
    Code.MISCONDUCT_KNOWN: _S.ALREADY_EXISTS,
    Code.BEACON_KNOWN: _S.ALREADY_EXISTS,
    Code.ROUND_NOT_OPEN: _S.FAILED_PRECONDITION,
    Code.UNKNOWN_SUBJECT: _S.FAILED_PRECONDITION,
    Code.YEAR_QUOTA_EXCEEDED: _S.FAILED_PRECONDITION,
    Code.CHALLENGE_KNOWN: _S.ALREADY_EXISTS,
    Code.NOTHING_TO_CHALLENGE: _S.FAILED_PRECONDITION,
    Code.NOT_AWAITED: _S.FAILED_PRECONDITION,
    Code.FINDING_KNOWN: _S.ALREADY_EXISTS,
    Code.INTERVAL_NOT_BEGUN: _S.FAILED_PRECONDITION,
    Code.INTERVAL_TOO_OLD: _S.FAILED_PRECONDITION,
    Code.TRANSFER_KNOWN: _S.ALREADY_EXISTS,
    Code.TRANSFER_SETTLED: _S.ALREADY_EXISTS,
    Code.TOO_MANY_OPEN: _S.FAILED_PRECONDITION,
    Code.UNKNOWN_RUN: _S.FAILED_PRECONDITION,
    Code.RUN_STATE: _S.FAILED_PRECONDITION,
    Code.RUN_FROZEN: _S.FAILED_PRECONDITION,
    Code.BAND_FALLS: _S.INVALID_ARGUMENT,
    Code.LINEAGE: _S.INVALID_ARGUMENT,
    Code.UNKNOWN_REVIEW: _S.FAILED_PRECONDITION,
    Code.REVIEW_STATE: _S.FAILED_PRECONDITION,
    Code.ID_TAKEN: _S.ALREADY_EXISTS,
    Code.UNKNOWN_PROPOSAL: _S.FAILED_PRECONDITION,
    Code.PROPOSAL_CLOSED: _S.FAILED_PRECONDITION,
    Code.UNKNOWN_PAUSE: _S.FAILED_PRECONDITION,
    Code.PAUSE_CLOSED: _S.FAILED_PRECONDITION,
    Code.TERMS_MISMATCH: _S.INVALID_ARGUMENT,
    Code.ALREADY_BOUND: _S.ALREADY_EXISTS,
    Code.FREEZE_KNOWN: _S.ALREADY_EXISTS,
    Code.MEMPOOL_FULL: _S.RESOURCE_EXHAUSTED,
    Code.QUOTA_EXCEEDED: _S.RESOURCE_EXHAUSTED,
    Code.DRAINING: _S.UNAVAILABLE,
    Code.NOT_FOUND: _S.NOT_FOUND,
    Code.NOT_READY: _S.UNAVAILABLE,
    Code.TIMEOUT: _S.DEADLINE_EXCEEDED,
    Code.TOO_MANY_STREAMS: _S.RESOURCE_EXHAUSTED,
    Code.UNAUTHENTICATED: _S.UNAUTHENTICATED,
    Code.CLOCK_AHEAD: _S.FAILED_PRECONDITION,
    Code.CONFIG: _S.FAILED_PRECONDITION,
    Code.PASSPHRASE: _S.FAILED_PRECONDITION,
    Code.KEY_FILE_DAMAGED: _S.DATA_LOSS,
    Code.STORE_DAMAGED: _S.DATA_LOSS,
    Code.DISK_FULL: _S.RESOURCE_EXHAUSTED,
    Code.PORT_TAKEN: _S.UNAVAILABLE,
    Code.VERSION_MISMATCH: _S.FAILED_PRECONDITION,
    Code.UNREACHABLE: _S.UNAVAILABLE,
}

RETRY_AFTER_MS: Final[dict[Code, int]] = {
    Code.MEMPOOL_FULL: 1_000,
    Code.QUOTA_EXCEEDED: 1_000,
    Code.NOT_READY: 1_000,
    Code.TIMEOUT: 1_000,
    Code.TOO_MANY_STREAMS: 5_000,
    Code.DRAINING: 0,
}


def read_refusal(error: grpc.aio.AioRpcError, *, who: str) -> ConditionError | None:
    """Return what the other side refused a call with, told of it; None if it gave no reason that is ours."""
    trailers: Any = error.trailing_metadata() or ()  # pairs, of which the stubs do not know
    raw = next((value for name, value in trailers if name == "grpc-status-details-bin"), b"")
    reason = error_details_pb2.ErrorInfo()
    try:
        details = status_pb2.Status.FromString(raw).details
        if not details or not details[0].Unpack(reason) or reason.domain != ERROR_DOMAIN:
            return None
        code = Code(reason.reason)
    except (DecodeError, ValueError, TypeError):
        return None
    told = {name: shorten(reason.metadata.get(name, "")) for name in ("field", "found", "expected")}
    return ConditionError(
        field=f"{who} refuses {told['field']}", found=told["found"], expected=told["expected"], code=code
    )


def compute_status(problem: LedgerError | Rejection) -> status_pb2.Status:
    """Give the google.rpc.Status of a refusal."""
    code = problem.code
    reason = error_details_pb2.ErrorInfo(
        reason=code.value,
        domain=ERROR_DOMAIN,
        metadata={"field": problem.field, "found": problem.found, "expected": problem.expected},
    )
    details = [any_pb2.Any()]
    details[0].Pack(reason)
    if code in RETRY_AFTER_MS:
        wait = duration_pb2.Duration()
        wait.FromMilliseconds(RETRY_AFTER_MS[code])
        details.append(any_pb2.Any())
        details[1].Pack(error_details_pb2.RetryInfo(retry_delay=wait))
    return status_pb2.Status(code=STATUS_OF_CODE[code].value[0], message=str(problem), details=details)


async def refuse(context: grpc.aio.ServicerContext[Any, Any], problem: LedgerError | Rejection) -> NoReturn:
    """End the call with the status of `problem`; the context's message types do not matter here, hence Any."""
    status = compute_status(problem)
    await context.abort(
        STATUS_OF_CODE[problem.code],
        status.message,
        trailing_metadata=(("grpc-status-details-bin", status.SerializeToString()),),
    )
    raise AssertionError  # abort raises; this tells mypy
