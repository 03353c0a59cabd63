"""What a node's refusal means to a lab: which error it stands for, and whether waiting or another node can help.

A node is a stranger: what it says is bounded and escaped before it is shown, and a code nobody knows is no code. Three
kinds of refusals, by their code alone:

- *elsewhere*: something is the matter with that node, now; the same bytes may be taken by another one;
- *wait*: the rules refuse on the state that the node has, which may be a block behind; time may change the answer;
- *none*: the rules refuse these bytes for good.

Source: google/rpc/error_details.proto; gRPC "richer error model"; the node's side is `node.services.refusals`.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # ships no stubs

from ledger.errors import Code, ConditionError, LedgerError, RejectedError, Rejection, shorten

ERROR_DOMAIN: Final = "counterseal"
DETAILS_TRAILER: Final = "grpc-status-details-bin"
DETAILS_MAX: Final = 16
RETRY_AFTER_MAX_S: Final = 60.0
"""A node cannot make a lab wait for longer than this before it asks again."""


class Remedy(Enum):
    """What can help after a refusal."""

    ELSEWHERE = "another node"
    WAIT = "time"
    NONE = "nothing"


_ELSEWHERE: Final = frozenset(
    {
        Code.MEMPOOL_FULL, Code.QUOTA_EXCEEDED, Code.DRAINING, Code.NOT_FOUND, Code.NOT_READY, Code.TIMEOUT,
        Code.TOO_MANY_STREAMS, Code.UNAUTHENTICATED, Code.CLOCK_AHEAD, Code.CONFIG, Code.PASSPHRASE,
        Code.KEY_FILE_DAMAGED, Code.STORE_DAMAGED, Code.DISK_FULL, Code.PORT_TAKEN, Code.VERSION_MISMATCH,
        Code.UNREACHABLE,
    }
)  # fmt: skip
_WAIT: Final = frozenset(
    {
        Code.UNKNOWN_ISSUER, Code.WRONG_KEY, Code.WRONG_SEQUENCE, Code.WRONG_PREVIOUS, Code.INTERVAL_NOT_OVER,
        Code.NOTHING_TO_CORRECT, Code.UNKNOWN_CLUSTER, Code.INTERVAL_BEFORE_REGISTRATION, Code.INTERVAL_NOT_BEGUN,
        Code.UNKNOWN_SUBJECT, Code.UNKNOWN_RUN, Code.UNKNOWN_REVIEW, Code.UNKNOWN_PAUSE, Code.RUN_STATE,
        Code.RUN_FROZEN, Code.LINEAGE, Code.REVIEW_STATE, Code.PAUSE_CLOSED, Code.NOT_AWAITED, Code.TRANSFER_KNOWN,
        Code.TRANSFER_SETTLED, Code.TOO_MANY_OPEN, Code.YEAR_QUOTA_EXCEEDED,
    }
)  # fmt: skip
"""Right after a registration or an earlier statement was sealed, a node that is a block behind does not know of it; and
what others say, or the clock, may make true tomorrow what is refused today, so such a refusal frees no number."""

_OF_STATUS: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Code.TIMEOUT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Code.TOO_MANY_STREAMS,
    grpc.StatusCode.UNIMPLEMENTED: Code.VERSION_MISMATCH,
    grpc.StatusCode.UNAUTHENTICATED: Code.UNAUTHENTICATED,
}
"""Statuses without our details: from gRPC itself, or from a proxy in between."""

_LONG_WINDED: Final = re.compile(r"\Afailed to connect to all addresses; last error: (?:[A-Z_]+: )?(?:ipv[46]:\S+: )?")
"""What gRPC says before it comes to the reason."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as read.

    Attributes:
        error: `RejectedError` where the rules refuse, else `ConditionError`.
        retry_after_s: how long the node asks to wait, bounded; 0 if it does not say.
    """

    error: LedgerError
    retry_after_s: float = 0.0


def find_remedy(code: Code) -> Remedy:
    """Say what can help after a refusal with this code."""
    if code in _ELSEWHERE:
        return Remedy.ELSEWHERE
    return Remedy.WAIT if code in _WAIT else Remedy.NONE


def read_refusal(code: str, *, field: str, found: str, expected: str, retry_after_ms: int = 0) -> Refused:
    """Make the error that a refusal stands for, out of its four parts."""
    known = Code.__members__.get(code)
    if known is None:
        error: LedgerError = ConditionError(
            field="node.code", found=code, expected="a code that this version knows", code=Code.VERSION_MISMATCH
        )
        return Refused(error)
    field, found, expected = shorten(field), shorten(found), shorten(expected)
    if find_remedy(known) is Remedy.ELSEWHERE:
        error = ConditionError(field=field, found=found, expected=expected, code=known)
    else:
        error = RejectedError(Rejection(code=known, field=field, found=found, expected=expected))
    return Refused(error, min(max(retry_after_ms, 0) / 1000, RETRY_AFTER_MAX_S))


def read_status(problem: grpc.aio.AioRpcError) -> Refused:
    """Make the error that a failed call stands for."""
    details = _read_details(problem)
    if details is not None:
        detailed, retry_after_ms = details
        parts = detailed.metadata
        return read_refusal(
            detailed.reason,
            field=parts.get("field", "node"),
            found=parts.get("found", ""),
            expected=parts.get("expected", ""),
            retry_after_ms=retry_after_ms,
        )
    code = _OF_STATUS.get(problem.code(), Code.UNREACHABLE)
    status = problem.code().name.lower().replace("_", " ")
    reason = _LONG_WINDED.sub("", problem.details() or "no details")
    return Refused(ConditionError(field="node", found=f"{status}: {reason}", expected="an answer", code=code))


def _read_details(problem: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, int] | None:
    """Find our ErrorInfo, and the wait that a RetryInfo beside it asks for, in milliseconds."""
    trailers: object = problem.trailing_metadata()
    raw = dict(trailers).get(DETAILS_TRAILER) if isinstance(trailers, grpc.aio.Metadata) else None
    if not isinstance(raw, bytes):
        return None
    detailed, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    found = None
    try:
        for detail in status_pb2.Status.FromString(raw).details[:DETAILS_MAX]:
            if detail.Unpack(detailed) and detailed.domain == ERROR_DOMAIN:
                found = detailed
            detail.Unpack(retry)
    except DecodeError:
        return None
    delay = retry.retry_delay
    return None if found is None else (found, delay.seconds * 1000 + delay.nanos // 1_000_000)
