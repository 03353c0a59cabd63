"""What mirrors are tried on: a ledger of several bundles, and servers that lie about it over real sockets."""

import contextlib
import functools
import gzip
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ledger.limits import BUNDLE_BYTES_MAX
from ledger.positions import Millis
from observer.mirror.running import Wanted, mirror_home
from tests.ledger.rulebook import INTERVAL_S, millis
from tests.observer.fakeledger import FakeLedger

HEIGHTS = 350
ENTRIES_PER_BLOCK = 3
BLOCKS_PER_INTERVAL = 40

Handler = http.server.SimpleHTTPRequestHandler
Answer = Callable[[Handler], None]


def make_long_ledger() -> FakeLedger:
    """Two bundles of headers and five of entries; every tenth block is sealed."""
    ledger = FakeLedger(snapshot_interval=0, without_seal=[height for height in range(HEIGHTS) if height % 10])
    for height in range(1, HEIGHTS + 1):
        time_ms = Millis(millis(0) + height * INTERVAL_S * 1000 // BLOCKS_PER_INTERVAL)
        ledger.extend(time_ms, [b'{"entry":%d,"of":%d}' % (number, height) for number in range(ENTRIES_PER_BLOCK)])
    return ledger


def archival_height(interval: int) -> int:
    """The first sealed block of an interval."""
    first = max(1, interval * BLOCKS_PER_INTERVAL)
    return -(-first // 10) * 10


def publish(ledger: FakeLedger, folder: Path, height: int | None = None, *, archives: int = 3) -> Path:
    """What a node publishes, archival checkpoints with every ML-DSA-44 line too."""
    ledger.publish(folder, height)
    (folder / "archive").mkdir(exist_ok=True)
    for interval in range(archives):
        note = ledger.note(archival_height(interval), cosigners=3, has_ml_dsa=True)
        (folder / f"archive/{interval}").write_bytes(note)
    return folder


def send(raw: bytes, **headers: str) -> Answer:
    """Answer with these bytes."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        for name, value in {"Content-Length": str(len(raw)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(raw)

    return answer


@functools.cache
def make_bomb() -> bytes:
    """Some kilobytes that unpack to more than any file of the ledger can have."""
    return gzip.compress(bytes(2 * BUNDLE_BYTES_MAX))


def send_bomb(handler: Handler) -> None:
    """A body that is small until it is unpacked."""
    send(make_bomb(), Content_Encoding="gzip")(handler)


def send_endlessly(handler: Handler) -> None:
    """A body that never ends, until its reader goes."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(bytes(1 << 16))


class Server:
    """Serves a folder, but some paths as a test wants, and counts what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, Answer] = {}
        self.folder = folder
        self.asked: list[str] = []
        self._changed = threading.Condition()
        self.released = threading.Event()
        server = self

        class Serving(Handler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                pass

            def do_GET(self) -> None:  # noqa: N802 - the name of the base class
                path = self.path.removeprefix("/")
                with server._changed:
                    server.asked.append(path)
                    server._changed.notify_all()
                answer = server.answers.get(path, server.answers.get("*"))
                if answer is None:
                    super().do_GET()
                else:
                    self.close_connection = True
                    answer(self)

        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *words: Serving(*words, directory=str(server.folder))
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def drip(self, handler: Handler) -> None:
        """Begin an answer and never get on with it, until the test is over."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-")
        self.released.wait()

    def wait_until_asked(self, path: str, *, times: int = 1) -> None:
        """Wait until somebody asked for a path so many times."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.asked.count(path) >= times, timeout=60), self.asked

    def close(self) -> None:
        """End."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def serving(folder: Path, answers: dict[str, Answer] | None = None) -> Iterator[Server]:
    """Serve a folder while the context lasts."""
    server = Server(folder)
    server.answers |= answers or {}
    try:
        yield server
    finally:
        server.close()


def mirror(place: Path, *sources: str, fingerprint: bytes | None, target: str | None = None) -> list[dict[str, Any]]:
    """Mirror once, from a process's own thread; gives what was said, also where it ends with an error."""
    said: list[dict[str, Any]] = []
    wanted = Wanted(
        home=place / "home",
        sources=sources,
        target=str(place / "mirror") if target is None else target,
        fingerprint=fingerprint,
        poll_s=None,
        listen=None,
    )
    try:
        mirror_home(wanted, say=lambda line: said.append(json.loads(line)), as_json=True)
    except Exception as error:
        error.add_note(json.dumps(said))
        raise
    return said
