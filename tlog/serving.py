"""The published folder over plain HTTP, as C2SP tlog-tiles asks for it, inside the node's event loop.

Rules of this file
1. A path is answered only if `tlog.resources` knows it, before a file is touched; one with a percent sign never.
2. What never changes may be kept for a year (`immutable`); checkpoints a few seconds; errors not at all.
3. A partial tile that is gone is answered with the beginning of its full one.
4. Everything may be read from any origin (CORS): what is here is public, and nothing here takes an input. A witness
   (`tlog.witness_serving`), where there is one, answers below `witness/` by rules of its own.
5. Bundles are compressed when asked for, by two threads at most, so that readers cannot starve the node of its cores.
6. Connections are bounded, in all and for one address; one that is idle or does not take its answer is closed; and what
   slow readers have not taken yet is bounded, beyond which the next reader is asked to try again.

Source: C2SP tlog-tiles; RFC 9110 (conditional and range requests, content coding); Fetch standard (CORS).
"""

import asyncio
import contextlib
import errno
import gzip
import hashlib
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import KIB, MIB
from tlog.addresses import Address
from tlog.resources import TEXT, Reader, Resource, parse_resource, read_resource

NEVER: Final = "no-store"

WITNESS_PREFIX: Final = "/witness"

CONNECTIONS_MAX: Final = 512
READERS_MAX: Final = 2  # threads of the executor that `make_app` is given
KEEP_ALIVE_S: Final = 15
STALLED_S: Final = 30
SENDING_S: Final = 120
SENDING_BYTES_MAX: Final = 128 * MIB
PIECE_BYTES: Final = 256 * KIB
SHUTDOWN_S: Final = 5
COMPRESSION_LEVEL: Final = 5
COMPRESSED_BYTES_MIN: Final = 1_024
RETRY_AFTER_S: Final = 2
METHODS: Final = "GET, HEAD, OPTIONS"

ALWAYS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Content-Range, Accept-Ranges",
    "X-Content-Type-Options": "nosniff",
}
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Read a range of bytes (RFC 9110 §14): first and last position, or None if the whole is to be sent.

    Anything but one plain range is ignored, as the RFC allows. A range beyond the end has its first position at or
    above `size`.
    """
    found = _RANGE.match(header)
    if found is None or not any(found.groups()):
        return None
    if not found[1]:
        last_count = int(found[2])
        return (max(0, size - last_count), size - 1) if last_count else (size, size)
    first, last = int(found[1]), int(found[2]) if found[2] else size - 1
    return (first, min(last, size - 1)) if found[2] == "" or first <= last else None


def make_app(files: Reader, executor: ThreadPoolExecutor, *, witness: Starlette | None = None) -> Starlette:
    """Make the application that serves a published folder.

    Args:
        files: the folder.
        executor: at most `READERS_MAX` threads, that read and compress.
        witness: answers whatever is below `witness/`, if there is one.
    """
    reading, sending = asyncio.Semaphore(2 * READERS_MAX), Sending()

    async def answer(request: Request) -> Response:
        if b"%" in request.scope.get("raw_path", b"%"):
            return _refuse(404)
        try:
            resource = parse_resource(request.path_params["path"])
            async with reading:
                read = asyncio.get_running_loop().run_in_executor(executor, read_resource, files, resource)
                raw = await read
                if raw is None:
                    return _refuse(404)
                whole = await _send(request, resource, raw, executor)
        except FormatError:
            return _refuse(404)
        except ConditionError:
            return _refuse(503)
        if sending.bytes + len(whole.body) > SENDING_BYTES_MAX:
            return _refuse(503)
        return InPieces(whole, sending)

    async def preflight(request: Request) -> Response:
        del request
        allowed = {
            "Access-Control-Allow-Methods": "GET, HEAD",
            "Access-Control-Allow-Headers": "Range, If-Match, If-None-Match, If-Range",
            "Access-Control-Max-Age": "86400",
            "Allow": METHODS,
        }
        return Response(status_code=204, headers=ALWAYS | allowed)

    everything = "/{path:path}"
    beside = [] if witness is None else [Mount(WITNESS_PREFIX, app=witness)]
    return Starlette(
        routes=[
            *beside,
            Route(everything, answer, methods=["GET", "HEAD"]),
            Route(everything, preflight, methods=["OPTIONS"]),
        ],
        exception_handlers={405: lambda request, error: _refuse(405)},  # noqa: ARG005 - Starlette gives both
    )


@dataclass(slots=True)
class Sending:
    """How many bytes of answers readers have not taken yet."""

    bytes: int = 0


class InPieces(Response):
    """An answer sent piece by piece as its reader takes it, and given up when that takes too long."""

    def __init__(self, whole: Response, sending: Sending) -> None:
        super().__init__(whole.body, status_code=whole.status_code)
        self.raw_headers = whole.raw_headers
        self._sending = sending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        body = memoryview(self.body)
        self._sending.bytes += len(body)
        try:
            async with asyncio.timeout(SENDING_S):
                start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                await send(start)
                for place in range(0, len(body), PIECE_BYTES):
                    piece = bytes(body[place : place + PIECE_BYTES])
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:  # leaving the answer unfinished has the connection closed
            structlog.get_logger("http").info("reader too slow", bytes=len(body))
        finally:
            self._sending.bytes -= len(body)


async def _send(request: Request, resource: Resource, raw: bytes, executor: ThreadPoolExecutor) -> Response:
    """Answer with the bytes, compressed, in part, or not at all if the reader has them."""
    asked = request.headers
    headers = ALWAYS | {"Cache-Control": resource.caching, "Accept-Ranges": "bytes"}
    is_ranged = request.method == "GET" and "range" in asked  # a range has no meaning for HEAD (RFC 9110 §14.2)
    compresses = resource.is_compressed and len(raw) >= COMPRESSED_BYTES_MIN and not is_ranged
    if resource.is_compressed:
        headers["Vary"] = "Accept-Encoding"
    tag = hashlib.sha256(raw).hexdigest()[:32]
    is_compressed = compresses and accepts_gzip(asked.get("accept-encoding", ""))
    headers["ETag"] = f'"{tag}-gzip"' if is_compressed else f'"{tag}"'  # each coding is a representation of its own
    if "if-match" in asked and not has_tag(asked["if-match"], headers["ETag"], is_strong=True):
        return _refuse(412)
    if has_tag(asked.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if is_compressed:
        compressing = asyncio.get_running_loop().run_in_executor(executor, compress, raw)
        return _whole(await compressing, headers | {"Content-Encoding": "gzip"}, resource)
    is_current = asked.get("if-range", headers["ETag"]) == headers["ETag"]
    span = parse_range(asked["range"], len(raw)) if is_ranged and is_current else None
    if span is None:
        return _whole(raw, headers, resource)
    first, last = span
    if first >= len(raw):
        return _refuse(416, {"Content-Range": f"bytes */{len(raw)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(raw)}"
    return _whole(raw[first : last + 1], headers, resource, status=206)


def _whole(raw: bytes, headers: dict[str, str], resource: Resource, *, status: int = 200) -> Response:
    return Response(raw, status_code=status, headers=headers, media_type=resource.media_type)


def _refuse(status: int, more: dict[str, str] | None = None) -> Response:
    reasons = {
        404: "not published here\n",
        405: "read only\n",
        412: "other bytes\n",
        416: "beyond the end\n",
        503: "try again\n",
    }
    headers = ALWAYS | {"Cache-Control": NEVER} | (more or {})
    if status == 405:
        headers["Allow"] = METHODS  # RFC 9110 §15.5.6
    elif status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return Response(reasons[status], status_code=status, headers=headers, media_type=TEXT)


def compress(raw: bytes) -> bytes:
    """Compress an answer; the same bytes give the same."""
    return gzip.compress(raw, COMPRESSION_LEVEL, mtime=0)


def accepts_gzip(header: str) -> bool:
    """Whether gzip is asked for and not refused by a weight of 0 (RFC 9110 §12.5.3)."""
    for coding in header.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return not re.fullmatch(r"q=0(\.0*)?", weight.strip())
    return False


def has_tag(header: str, tag: str, *, is_strong: bool = False) -> bool:
    """Whether a list of entity tags names this one (RFC 9110 §8.8.3.2); a weak one matches only a weak comparison."""
    held = [each.strip() for each in header.split(",")]
    return "*" in held or tag in (held if is_strong else [each.removeprefix("W/") for each in held])


def make_metrics_app(encode: Callable[[], bytes], content_type: str) -> Starlette:
    """Make the application that Prometheus scrapes."""

    async def answer(request: Request) -> Response:
        del request
        return Response(encode(), headers={"Content-Type": content_type, "Cache-Control": NEVER})

    return Starlette(routes=[Route("/metrics", answer)])


class _Connection(H11Protocol):
    """One connection: refused if there are too many, closed if nothing comes of it or its answer is not taken."""

    host = ""
    _answered = 0
    _looking: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take it, if there is a place."""
        super().connection_made(transport)
        self.host = self.client[0] if self.client else ""
        same = sum(1 for other in self.connections if isinstance(other, _Connection) and other.host == self.host)
        if len(self.connections) > CONNECTIONS_MAX or same > CONNECTIONS_MAX // 2:
            transport.abort()
        else:
            self._look_again(answered=0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        for timer in (self._looking, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _look_again(self, *, answered: int) -> None:
        self._looking = self.loop.call_later(KEEP_ALIVE_S, self._look, answered)

    def _look(self, answered: int) -> None:
        """Close the connection if no request came whole since the last look and none is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # which the first request makes
        is_answering = cycle is not None and not cycle.response_complete
        if is_answering or self._answered > answered:
            self._look_again(answered=self._answered)
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Count an answer."""
        self._answered += 1
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to be impatient: the reader has enough for now."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Be patient again: the reader took something."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class _Server(uvicorn.Server):
    """Uvicorn as a part of a node: it says when it is up, and leaves the process's signals to the node."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


@contextlib.asynccontextmanager
async def serve_http(app: ASGIApp, address: Address) -> AsyncIterator[int]:
    """Serve an application while the context lasts; gives the port, which matters when 0 was asked for.

    Raises:
        ConditionError: `PORT_TAKEN`, or `CONFIG` if the address is not this machine's.
    """
    listening = _listen(address)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # a line for each malformed request would fill the disk
    server = _Server(
        uvicorn.Config(
            app,
            http=_Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listening]), name=f"http {address}")
            await server.is_up.wait()
            try:
                yield listening.getsockname()[1]
            except BaseException as error:  # noqa: BLE001 - the server ends in order first, then it goes on its way
                failure = error
            server.should_exit = True
    finally:
        listening.close()
    if failure is not None:
        raise failure


def _listen(address: Address) -> socket.socket:
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family, backlog=CONNECTIONS_MAX)
    except OSError as error:
        code = Code.PORT_TAKEN if error.errno == errno.EADDRINUSE else Code.CONFIG
        raise ConditionError(
            field=f"address {address}",
            found=error.strerror or repr(error),
            expected="a free address of ours",
            code=code,
        ) from error
