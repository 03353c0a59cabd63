"""Where alarms are sent to in tests: a web server that checks signatures by the specification, certificates, alarms."""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.positions import LeafIndex, Millis
from observer.monitor.alarms import Alarm, make_alarm
from observer.monitor.kinds import Kind
from tests.lab.test_client import self_signed

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
LEDGER = "ab" * 32


def make_one(
    number: int,
    *,
    kind: Kind = Kind.OBSERVATION,
    text: str = "It says: “x”.",
    title: str = "noticed",
    seen_ms: int = 1000,
) -> Alarm:
    """An alarm about an entry."""
    return make_alarm(
        LEDGER,
        kind,
        "ledger/x",
        place=str(number),
        title=title,
        text=text,
        lab="acme",
        nation="avalon",
        index=LeafIndex(number),
        ledger_ms=Millis(1_800_000_000_000),
        seen_ms=Millis(seen_ms),
    )


def write_secret(path: Path, text: str = SECRET + "\n") -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@dataclass
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def json(self) -> Any:  # any JSON value
        return json.loads(self.body)


def is_signed(posted: Posted, secret: str = SECRET) -> bool:
    """As a receiver checks it: another reading of the specification than the product's."""
    key = base64.b64decode(secret.split("_", 1)[1])
    signed = b".".join([posted.id.encode(), posted.headers["webhook-timestamp"].encode(), posted.body])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    versions = [each.split(",", 1) for each in posted.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(found, expected) for version, found in versions)


@dataclass
class Receiver:
    """A web server that keeps what was posted; `answer` gives the status of each request by its number from 1."""

    url: str = ""
    posted: list[Posted] = field(default_factory=list)
    answer: Callable[[int, Posted], int] = lambda _number, _posted: 204
    has_news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.posted]

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come."""
        with self.has_news:
            assert self.has_news.wait_for(lambda: len(self.posted) >= count, timeout=60), self.ids


@contextmanager
def receive(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serve on a port that the system chooses."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            posted = Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with receiver.has_news:
                receiver.posted.append(posted)
                number = len(receiver.posted)
                receiver.has_news.notify_all()
            status = receiver.answer(number, posted)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    receiver.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/hook"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Certified:
    """A certificate of 127.0.0.1 that signed itself, as a file, and as what a server offers."""

    ca_file: Path
    context: ssl.SSLContext


def certify(folder: Path) -> Certified:
    certificate, key = self_signed()
    ca_file, chain = folder / "ca.pem", folder / "chain.pem"
    ca_file.write_bytes(certificate)
    chain.write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return Certified(ca_file, context)
