"""What stands before every answer of the page: who may ask, how, and what a browser may do with what it gets.

1. GET and HEAD only. A path is plain ASCII without a percent sign, an empty or a dotted part; a query is short.
2. Where only this machine can connect, `Host` must be one of its own names: a page of a stranger whose name was made to
   point here (DNS rebinding) sends its own name, and is refused. Elsewhere `Host` is compared if names were given.
3. Every answer, also of what is mounted here, has the headers below, and none that lets another site read it.

Source: Fetch standard; Content Security Policy Level 3; RFC 9110 §7.2 (Host), §15.5.20 (421).
"""

import re
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.errors import Code
from observer.web.openapi import PROBLEM_TYPE
from observer.web.parameters import QUERY_CHARACTERS_MAX
from observer.web.problems import Refusal, describe_status

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
METHODS: Final = ("GET", "HEAD")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FOREIGN: Final = "access-control-"
_PATH: Final = re.compile(rb"/|(?:/[A-Za-z0-9_.~-]+)+", re.ASCII)
_DOTS: Final = re.compile(rb"/\.{1,2}(?:/|\Z)")
_HOST: Final = re.compile(r"(?P<name>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)


class Guard:
    """An application around an application."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str] | None) -> None:
        """Guard an application.

        Args:
            app: that answers.
            hosts: names that `Host` may have; None for any.
        """
        self._app = app
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or have it answered."""
        assert scope["type"] == "http"
        is_head = scope["method"] == "HEAD"

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                for name in [name for name in headers if name.startswith(_FOREIGN)]:
                    del headers[name]
                for name, value in HEADERS.items():
                    headers[name] = value
                message = {**message, "headers": headers.raw}
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        refusal = self._refuse(scope)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await send_refusal(refusal, send_guarded)

    def _refuse(self, scope: Scope) -> Refusal | None:
        if scope["method"] not in METHODS:
            return describe_status(405, field="method", found=scope["method"], expected="GET or HEAD", code=Code.CONFIG)
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if not self._is_ours(hosts):
            expected = "a name of this server; see --host" if self._hosts is None else ", ".join(sorted(self._hosts))
            found = ", ".join(hosts) or "none"
            return describe_status(421, field="Host", found=found, expected=expected, code=Code.UNAUTHENTICATED)
        path = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
        if not _PATH.fullmatch(path) or _DOTS.search(path):
            found = path.decode("latin-1")
            return describe_status(404, field="path", found=found, expected="a plain path", code=Code.NOT_FOUND)
        if len(scope["query_string"]) > QUERY_CHARACTERS_MAX:
            found, expected = f"{len(scope['query_string'])} bytes", f"at most {QUERY_CHARACTERS_MAX}"
            return describe_status(414, field="query", found=found, expected=expected, code=Code.TOO_LARGE)
        return None

    def _is_ours(self, hosts: Sequence[str]) -> bool:
        if len(hosts) != 1:
            return False
        found = _HOST.fullmatch(hosts[0])
        return found is not None and (self._hosts is None or found["name"].lower() in self._hosts)


async def send_refusal(refusal: Refusal, send: Send) -> None:
    """Send a problem."""
    headers = [
        (b"content-type", PROBLEM_TYPE.encode("ascii")),
        (b"content-length", str(len(refusal.raw)).encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    if refusal.status == 405:
        headers.append((b"allow", ", ".join(METHODS).encode("ascii")))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.raw})
