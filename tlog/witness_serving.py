"""A witness over HTTP: `POST add-checkpoint`, and what anybody may read of it.

| request | answer |
|---|---|
| `POST <prefix>/add-checkpoint` | as `ledger.witnessing` says |
| `GET <prefix>/vkey` | the witness's verifier key, for those who configure it |
| `GET <prefix>/<hex SHA-256 of an origin>/checkpoint` | the newest checkpoint cosigned of that log, or 404 |

Beside what the protocol says, 413 answers a body that is too large, 408 one that does not come, 503 whoever comes while
too many wait or the disk refuses. A body is read no further than its bound and no longer than `BODY_S`. One thread
decides, since decisions are one after another anyway; at most `WAITING_MAX` wait for it. What may be read may be read
from any origin (CORS).
Source: C2SP tlog-witness ("add-checkpoint"; the monitoring prefix is the submission prefix).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.errors import ConditionError
from ledger.limits import WITNESS_REQUEST_BYTES_MAX
from ledger.positions import Seconds
from ledger.witnessing import Status
from tlog.resources import SHORTLY
from tlog.serving import ALWAYS, NEVER
from tlog.witness import TEXT, Witness

BODY_S: Final = 10
WAITING_MAX: Final = 64
RETRY_S: Final = 1

_TOO_SLOW: Final = 408
_NOT_FOUND: Final = 404


class _RefusedBodyError(Exception):
    """A body that is not read to its end, and what is answered."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


def make_witness_app(witness: Witness, executor: Executor, clock: Callable[[], Seconds]) -> Starlette:
    """Make the application.

    Args:
        witness: who answers.
        executor: of one thread.
        clock: the time.
    """
    waiting = _Waiting()

    async def add(request: Request) -> Response:
        try:
            raw = await _read_body(request)
        except _RefusedBodyError as refused:
            return _refuse(refused.status, refused.words, {"Connection": "close"})  # what is left of it is not read
        if waiting.count >= WAITING_MAX:
            return _refuse(Status.UNAVAILABLE, "too many wait", {"Retry-After": f"{RETRY_S}"})
        waiting.count += 1
        try:
            call = asyncio.get_running_loop().run_in_executor(executor, _add, witness, raw, clock())
            return await call
        finally:
            waiting.count -= 1

    async def vkey(request: Request) -> Response:
        del request
        return _text(f"{witness.vkey}\n".encode())

    async def checkpoint(request: Request) -> Response:
        try:
            read = asyncio.get_running_loop().run_in_executor(
                executor, witness.read_checkpoint, request.path_params["origin"]
            )
            raw = await read
        except ConditionError:
            return _refuse(Status.UNAVAILABLE, "try again")
        return _refuse(_NOT_FOUND, "nothing cosigned of such a log") if raw is None else _text(raw)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add, methods=["POST"]),
            Route("/vkey", vkey),
            Route("/{origin}/checkpoint", checkpoint),
        ],
        exception_handlers={
            404: lambda request, error: _refuse(404, "nothing of this name"),  # noqa: ARG005 - Starlette gives both
            405: lambda request, error: _refuse(405, "not this method"),  # noqa: ARG005 - the same
        },
    )


class _Waiting:
    """How many requests wait for the one thread."""

    def __init__(self) -> None:
        self.count = 0


def _add(witness: Witness, raw: bytes, now_s: Seconds) -> Response:
    reply = witness.add_checkpoint(raw, now_s=now_s)
    more = {"Retry-After": f"{RETRY_S}"} if reply.status is Status.UNAVAILABLE else {}
    headers = {"Cache-Control": NEVER, "Content-Type": reply.media_type, "X-Content-Type-Options": "nosniff"} | more
    return Response(reply.body, status_code=reply.status, headers=headers)


async def _read_body(request: Request) -> bytes:
    """Read a body of at most `WITNESS_REQUEST_BYTES_MAX` bytes, within `BODY_S`."""
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                raw += piece
                if len(raw) > WITNESS_REQUEST_BYTES_MAX:
                    words = f"at most {WITNESS_REQUEST_BYTES_MAX} bytes"
                    raise _RefusedBodyError(Status.TOO_LARGE, words)
    except TimeoutError:
        raise _RefusedBodyError(_TOO_SLOW, f"all of it within {BODY_S} s") from None
    except ClientDisconnect:
        raise _RefusedBodyError(Status.MALFORMED, "nobody is there any more") from None
    return bytes(raw)


def _text(raw: bytes) -> Response:
    return Response(raw, headers=ALWAYS | {"Cache-Control": SHORTLY}, media_type=TEXT)


def _refuse(status: int, words: str, more: dict[str, str] | None = None) -> Response:
    headers = ALWAYS | {"Cache-Control": NEVER} | (more or {})
    return Response(f"{words}\n", status_code=status, headers=headers, media_type=TEXT)
