"""A store of the plainest sort, that tests can have fail; and the environment that leads to a store of this machine."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest

KEY_ID, SECRET = "AKIDEXAMPLE", "such-a-secret-that-nobody-may-print"
NOTHING_LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"


def set_environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """What an operator gives the node's service for a store on this machine."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


class PlainStore(http.server.BaseHTTPRequestHandler):
    """It puts, gets and knows nothing of conditions, which it refuses or ignores; it lists nothing, and may be down."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    puts: list[str]
    refuses = False
    is_down = False

    def _answer(self, status: int, raw: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Last-Modified", "Thu, 26 Nov 2026 00:00:00 GMT")
        self.send_header("ETag", f'"{hash(raw):x}"')
        self.end_headers()
        self.wfile.write(raw if self.command != "HEAD" else b"")

    def do_PUT(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.is_down:
            self._answer(503)
        elif self.refuses and {"if-none-match", "if-match"} & {name.lower() for name in self.headers}:
            self._answer(501, b"<Error><Code>NotImplemented</Code></Error>")
        else:
            self.puts.append(self.path)
            self.objects[self.path] = raw
            self._answer(200)

    def do_GET(self) -> None:
        raw = NOTHING_LISTED if "list-type" in self.path else self.objects.get(self.path)
        if self.is_down:
            self._answer(503)
        elif raw is None:
            self._answer(404)
        else:
            self._answer(200, raw)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running_plain_store(kind: type[PlainStore], monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PlainStore]]:
    """Run one, and have the environment lead to it."""
    store = type("Store", (kind,), {"objects": {}, "puts": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), store) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        set_environment(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        yield store
        server.shutdown()
        thread.join()
