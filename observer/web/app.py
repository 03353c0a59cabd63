"""The page as an application: its files, its API, and the ledger's static files, behind one guard.

Answers are tagged by their bytes, so that a browser that has one already gets none again: every answer holds the head
it was read at, and so has another tag once the ledger has grown and what it says may have changed. They are compressed
when asked for, by threads of their own.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp

from ledger.errors import Code, FormatError, LedgerError
from observer.web.api import JSON_TYPE, PREFIX, ROUTES, STATUS, Page, Route
from observer.web.desk import Body, Desk
from observer.web.guard import Guard
from observer.web.ledgerfiles import LedgerFiles
from observer.web.openapi import DESCRIPTION, PROBLEM_TYPE, encode_description
from observer.web.parameters import Asked, parse_parameters
from observer.web.problems import RETRY_S, Refusal, describe_asked, describe_failed, describe_mistake, describe_status
from observer.web.reading import Reading
from tlog.serving import COMPRESSED_BYTES_MIN, SENDING_BYTES_MAX, InPieces, Sending, accepts_gzip, compress, has_tag
from tlog.serving import make_app as make_ledger_app

STATIC: Final = Path(__file__).with_name("static")
INDEX_FILE: Final = "index.html"
MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
FIELDS_MAX: Final = 16
COMPRESSORS: Final = 2
_CACHING: Final = "no-cache"  # kept, and asked for again with its tag

Handler = Callable[[Request], Awaitable[Response]]


def make_app(
    desk: Desk,
    reading: Reading,
    *,
    readers: ThreadPoolExecutor,
    compressors: ThreadPoolExecutor,
    hosts: Sequence[str] | None,
    static: Path = STATIC,
) -> ASGIApp:
    """Make the application.

    Args:
        desk: that answers.
        reading: the same that the desk has.
        readers: the desk's thread.
        compressors: `COMPRESSORS` threads.
        hosts: names that `Host` may have; None for any.
        static: folder of the page's own files.
    """
    sender = _Sender(compressors)
    routes: list[BaseRoute] = [_make_route(route, desk, sender) for route in ROUTES]
    description = Body(encode_description(), JSON_TYPE)

    async def answer_status(request: Request) -> Response:
        try:
            _parse(request, None)
            status = await desk.status()
        except FormatError as error:
            return _refuse(describe_asked(error))
        except LedgerError as error:
            return _refuse(describe_failed(error, place=desk.place))
        return await sender.send(request, Body(msgspec.json.encode(status), JSON_TYPE))

    async def answer_description(request: Request) -> Response:
        try:
            _parse(request, None)
        except FormatError as error:
            return _refuse(describe_asked(error))
        return await sender.send(request, description)

    routes += [
        HttpRoute(PREFIX + STATUS, answer_status),
        HttpRoute(PREFIX + DESCRIPTION, answer_description),
        Mount("/ledger", make_ledger_app(LedgerFiles(reading), readers)),
        *_make_static_routes(static, sender),
    ]
    app = Starlette(routes=routes, exception_handlers={404: _answer_unknown, 500: _answer_mistake})
    app.router.redirect_slashes = False
    return Guard(app, hosts=hosts)


def _make_route(route: Route, desk: Desk, sender: "_Sender") -> HttpRoute:
    async def answer(request: Request) -> Response:
        try:
            asked = _parse(request, route)
        except LedgerError as error:
            return _refuse(describe_asked(error))
        try:
            body = await desk.answer(route, asked, target=_target(request))
        except LedgerError as error:
            return _refuse(describe_failed(error, place=desk.place))
        return await sender.send(request, body)

    return HttpRoute(PREFIX + route.path, answer, name=route.name)


def _target(request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return f"{request.scope['path']}?{query}"


def _parse(request: Request, route: Route | None) -> Asked:
    """Read the parameters of a request; without a route it has none."""
    try:
        query = parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(request.scope["query_string"]),
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except (ValueError, UnicodeError) as error:
        raise FormatError(field="query", found=str(error), expected="name=value, percent-encoded UTF-8") from None
    in_path = () if route is None else route.in_path
    in_query = route.in_query if isinstance(route, Page) else ()
    return parse_parameters(in_path, in_query, request.path_params, query)


class _Sender:
    """Sends answers: tagged, compressed, in pieces, and no more at a time than memory holds."""

    def __init__(self, compressors: ThreadPoolExecutor) -> None:
        self._compressors, self._sending = compressors, Sending()

    async def send_file(self, request: Request, path: Path) -> Response:
        """Answer with a file of our own."""
        raw = await asyncio.get_running_loop().run_in_executor(self._compressors, path.read_bytes)
        return await self.send(request, Body(raw, MEDIA_TYPES[path.suffix]))

    async def send(self, request: Request, body: Body) -> Response:
        """Answer with a body, or with nothing if its reader has it."""
        tag = hashlib.sha256(body.raw).hexdigest()[:32]
        is_compressed = len(body.raw) >= COMPRESSED_BYTES_MIN and accepts_gzip(
            request.headers.get("accept-encoding", "")
        )
        headers = {
            "Cache-Control": _CACHING,
            "Vary": "Accept-Encoding",
            "ETag": f'"{tag}-gzip"' if is_compressed else f'"{tag}"',
        }
        if body.file_name is not None:
            headers["Content-Disposition"] = f'attachment; filename="{body.file_name}"'
        if has_tag(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        raw = body.raw
        if is_compressed:
            raw = await asyncio.get_running_loop().run_in_executor(self._compressors, compress, raw)
            headers["Content-Encoding"] = "gzip"
        if self._sending.bytes + len(raw) > SENDING_BYTES_MAX:
            expected = "less waiting to be taken; try again in a moment"
            return _refuse(
                describe_status(503, field="page", found="slow readers", expected=expected, code=Code.TOO_MANY_STREAMS)
            )
        return InPieces(Response(raw, headers=headers, media_type=body.media_type), self._sending)


def _refuse(refusal: Refusal) -> Response:
    headers = {"Cache-Control": "no-store"}
    if refusal.status == 503:
        headers["Retry-After"] = str(RETRY_S)
    return Response(refusal.raw, status_code=refusal.status, headers=headers, media_type=PROBLEM_TYPE)


async def _answer_unknown(request: Request, error: Exception) -> Response:
    del error
    expected = f"one of those that {PREFIX}{DESCRIPTION} describes"
    found = request.scope["path"]
    return _refuse(describe_status(404, field="path", found=found, expected=expected, code=Code.NOT_FOUND))


async def _answer_mistake(request: Request, error: Exception) -> Response:
    """Tell of a mistake of ours; Starlette raises it again, for the server's log."""
    del request
    return _refuse(describe_mistake(error))


# The page's own files.


def list_static(folder: Path) -> dict[str, Path]:
    """List the files that make up the page, by their path below `/static/`; others in the folder are not served."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in MEDIA_TYPES and path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


def _make_static_routes(folder: Path, sender: _Sender) -> list[BaseRoute]:
    files = list_static(folder)

    def make(path: Path) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                _parse(request, None)
            except FormatError as error:
                return _refuse(describe_asked(error))
            return await sender.send_file(request, path)

        return answer

    routes: list[BaseRoute] = [HttpRoute(f"/static/{name}", make(path)) for name, path in files.items()]
    if INDEX_FILE in files:
        routes.append(HttpRoute("/", make(files[INDEX_FILE])))
    return routes
