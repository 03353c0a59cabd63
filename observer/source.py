"""One interface over every place a ledger can be read from.

    grpc://host:port      a node's Reading service, in the clear
    grpcs://host:port     the same over TLS, with the certificates this machine trusts
    http(s)://host/path   published files
    file:///path, path    a published folder on this machine

None of them needs to be trusted, so neither does the connection: a source can withhold, and be slow, and nothing else.
This is the one module of the observer that speaks to nodes.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import grpc

from ledger.blocks import parse_header
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.limits import ENTRY_BYTES_MAX, MESSAGE_BYTES_MAX, TRANSCRIPT_BYTES_MAX
from ledger.positions import Height, TreeSize
from node.v1 import reading_pb2, reading_pb2_grpc
from observer.served import FILE_TIMEOUT_S, READ_TIMEOUT_S, ServedBlock, Source, make_block
from observer.static import StaticSource
from tlog.reading import FolderFiles, HttpFiles

SCHEMES: Final = "grpc://, grpcs://, http://, https://, file:// or a folder"
_RECEIVE_BYTES_MAX: Final = max(MESSAGE_BYTES_MAX, TRANSCRIPT_BYTES_MAX + ENTRY_BYTES_MAX + 1024)
_ResponseT = TypeVar("_ResponseT")


def open_source(url: str) -> Source:
    """Open a source by its URL; nothing is read yet.

    Raises:
        FormatError: a URL of no kind that is known, or without its port.
    """
    scheme, colon, rest = url.partition("://")
    if colon and "@" in rest.partition("/")[0]:  # unprinted: names of sources stand in every output
        raise FormatError(field="source", found=f"{scheme}://…@…", expected="a URL without a name or password")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FormatError(field="source", found=url, expected=f"a URL ({error})") from None
    match parts.scheme:
        case "grpc" | "grpcs":
            if not parts.hostname or port is None or parts.path.strip("/"):
                raise FormatError(field="source", found=url, expected=f"{parts.scheme}://host:port")
            return GrpcSource(url, target=parts.netloc, is_secure=parts.scheme == "grpcs")
        case "http" | "https":
            if not parts.hostname or parts.query or parts.fragment:
                raise FormatError(
                    field="source", found=url, expected=f"{parts.scheme}://host/path, the published prefix"
                )
            return StaticSource(url, HttpFiles(url))
        case "file":
            return StaticSource(url, FolderFiles(_require_folder(Path(unquote(parts.path)), url)))
        case "":
            return StaticSource(url, FolderFiles(_require_folder(Path(url), url)))
        case _:
            raise FormatError(field="source", found=url, expected=SCHEMES)


def _require_folder(folder: Path, url: str) -> Path:
    if not folder.is_dir():
        raise ConditionError(field="source", found=url, expected="a folder that is there", code=Code.UNREACHABLE)
    return folder


class GrpcSource:
    """A `Source` over a node's Reading service."""

    def __init__(self, name: str, *, target: str, is_secure: bool) -> None:
        """Make a channel; it connects when something is asked for."""
        self._name = name
        options = [("grpc.max_receive_message_length", _RECEIVE_BYTES_MAX)]
        self._channel = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
            if is_secure
            else grpc.insecure_channel(target, options=options)
        )
        self._stub = reading_pb2_grpc.ReadingStub(self._channel)

    @property
    def name(self) -> str:
        """The URL it was opened with."""
        return self._name

    def close(self) -> None:
        """Close the channel; open calls end."""
        self._channel.close()

    def read_charter(self) -> bytes:
        """Read entry 0."""
        return self._read_founding().entry

    def read_transcript(self) -> bytes:
        """Read the ceremony's transcript; empty where it is not served."""
        return self._read_founding().transcript

    def _read_founding(self) -> reading_pb2.GetCharterResponse:
        return _call(self._stub.GetCharter, reading_pb2.GetCharterRequest(), field="charter")

    def read_checkpoints(self) -> list[bytes]:
        """Read the newest checkpoint, and the newest that a quorum cosigned."""
        requests = (reading_pb2.GetCheckpointRequest(all_cosignatures=everything) for everything in (False, True))
        answers = [_call(self._stub.GetCheckpoint, request, field="checkpoint") for request in requests]
        return [answer.note.encode("utf-8") for answer in answers]

    def read_blocks(self, *, first: Height, last: Height, size: TreeSize) -> Iterator[ServedBlock]:
        """Read blocks as a stream; a stream that runs out of its time after progress is opened again.

        Raises:
            FormatError: a block is not of its form.
            ProofError: a block has not as many entries as its header says.
            ConditionError: no answer, or none of use.
        """
        del size
        height = first
        while height <= last:
            asked_from = height
            call = self._stub.StreamBlocks(
                reading_pb2.StreamBlocksRequest(first_height=height, follow=False), timeout=FILE_TIMEOUT_S
            )
            try:
                for answer in call:
                    yield make_block(parse_header(answer.header), answer.seal, tuple(answer.entries))
                    height = Height(height + 1)
                    if height > last:
                        return
            except grpc.RpcError as error:
                refusal = _translate(error, field=f"blocks[{height}]")
                if refusal.code is not Code.TIMEOUT or height == asked_from:
                    raise refusal from error
            else:
                return
            finally:
                call.cancel()

    def read_tile(self, path: str) -> bytes | None:
        """Give none: a node's service serves blocks instead."""
        del path
        return None


def _call(method: Callable[..., _ResponseT], request: object, *, field: str) -> _ResponseT:
    try:
        return method(request, timeout=READ_TIMEOUT_S)
    except grpc.RpcError as error:
        raise _translate(error, field=field) from error


def _translate(error: grpc.RpcError, *, field: str) -> LedgerError:
    """Say in our words what gRPC says; what the node itself explains is quoted, since it is not to be believed."""
    call: Any = error  # what a call raises is the call itself, which the stubs do not know
    status: grpc.StatusCode = call.code()
    details: str = call.details() or ""
    found = f"{status.name}: {details}"
    expected = "an answer of the Reading service"
    match status:
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return ConditionError(field=field, found=found, expected=expected, code=Code.TIMEOUT)
        case grpc.StatusCode.NOT_FOUND:
            return ConditionError(field=field, found=found, expected=expected, code=Code.NOT_FOUND)
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details:
            return FormatError(field=field, found=found, expected=f"at most {_RECEIVE_BYTES_MAX} bytes")
        case _:
            return ConditionError(field=field, found=found, expected=expected, code=Code.UNREACHABLE)
