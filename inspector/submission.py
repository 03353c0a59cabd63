"""Handing an entry in at a node, and its receipt back: the one thing that an inspector does over a network.

What comes back is believed only as far as it is proven: the receipt must show that these very bytes stand on the ledger
of the charter. The stream of submissions is used, whose answers carry a refusal in four plain parts.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import grpc

from ledger.charter import Charter, ledger_keys
from ledger.errors import Code, ConditionError, FormatError, RejectedError, Rejection, shorten
from ledger.limits import ADDRESS_CHARACTERS_MAX, MESSAGE_BYTES_MAX
from ledger.verify import verify_receipt
from node.v1 import submission_pb2, submission_pb2_grpc

TIMEOUT_S: Final = 60.0

_ADDRESS: Final = re.compile(r"(grpcs?)://((?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})\Z", re.ASCII)
_OPTIONS: Final = (("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),)


def submit_entry(
    entry: bytes,
    *,
    node: str,
    charter: Charter,
    root_certificates: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> bytes:
    """Hand an entry in, wait until it is sealed, and return its receipt, which was verified.

    Args:
        entry: with all its signatures.
        node: `grpc://host:port`, or `grpcs://host:port` for TLS.
        charter: of the ledger; believed.
        root_certificates: PEM of the authority that vouches for a `grpcs` node; None for those of the system.
        timeout_s: how long to wait.

    Raises:
        FormatError: `node`: not an address.
        RejectedError: the rules refuse the entry.
        ConditionError: nobody answers (`UNREACHABLE`), or it was not sealed in time (`TIMEOUT`).
        LedgerError: the receipt does not prove the entry.
    """
    request = submission_pb2.SubmitRequest(entry=entry, wait=True, tag=1)
    with _open_channel(node, root_certificates) as channel:
        stub = submission_pb2_grpc.SubmissionStub(channel)
        try:
            answer = _first(stub.SubmitBatch(iter((request,)), timeout=timeout_s))
        except grpc.RpcError as error:
            raise _explain(error, node) from None
    if answer is None:
        raise ConditionError(field="node", found="no answer", expected="an answer of a node", code=Code.UNREACHABLE)
    if answer.HasField("refused"):
        raise _refuse(answer.refused)
    if not answer.accepted.sealed:
        raise ConditionError(field="node", found="not sealed so far", expected="a seal", code=Code.TIMEOUT)
    receipt = answer.accepted.receipt.encode("utf-8")
    verify_receipt(receipt, entry=entry, keys=ledger_keys(charter))
    return receipt


def _open_channel(node: str, root_certificates: bytes | None) -> grpc.Channel:
    match = _ADDRESS.match(node) if len(node) <= ADDRESS_CHARACTERS_MAX else None
    if match is None:
        raise FormatError(field="node", found=node, expected="grpc://host:port, or grpcs://host:port for TLS")
    if match[1] == "grpc":
        return grpc.insecure_channel(match[2], options=_OPTIONS)
    return grpc.secure_channel(match[2], grpc.ssl_channel_credentials(root_certificates), options=_OPTIONS)


def _first(answers: Iterator[submission_pb2.SubmitBatchResponse]) -> submission_pb2.SubmitBatchResponse | None:
    return next(iter(answers), None)


def _refuse(refused: submission_pb2.Refusal) -> RejectedError | ConditionError:
    try:
        code = Code(refused.code)
    except ValueError:
        found = shorten(f"{refused.code}: {refused.found}")
        return ConditionError(field="node", found=found, expected="a code that this release knows")
    field, found, expected = shorten(refused.field), shorten(refused.found), shorten(refused.expected)
    if refused.retry_after_ms:
        return ConditionError(field=field, found=found, expected=expected, code=code)
    return RejectedError(Rejection(code=code, field=field, found=found, expected=expected))


def _explain(error: Any, node: str) -> ConditionError:  # an RpcError that is a Call too, of which the stubs do not know
    status = error.code()
    found = f"{node}: {status.name.lower().replace('_', ' ')}"
    code = Code.TIMEOUT if status is grpc.StatusCode.DEADLINE_EXCEEDED else Code.UNREACHABLE
    return ConditionError(field="node", found=found, expected="a node that answers", code=code)
