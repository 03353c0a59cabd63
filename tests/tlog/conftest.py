"""An S3-compatible server in a process of its own, one for each run of tests, and a bucket for each test."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.tlog.plain_store import set_environment
from tests.tlog.servers import LIMIT_S, S3_COMMAND, running_server
from tlog.addresses import Address
from tlog.reading import FolderFiles
from tlog.serving import READERS_MAX, make_app, serve_http


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Where the server listens."""
    with running_server(*S3_COMMAND) as url:
        yield url


_numbers = count()


@pytest.fixture
def make_bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Buckets of the server, which the environment of this test leads to."""
    set_environment(monkeypatch, s3_url)

    def make() -> str:
        name = f"bucket-{next(_numbers)}"
        assert httpx.put(f"{s3_url}/{name}").status_code == 200
        return f"s3://{name}/the/ledger"

    return make


@pytest.fixture
def bucket(make_bucket: Callable[[], str]) -> str:
    return make_bucket()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves folders as a node does, each at its own address."""
    with contextlib.ExitStack() as stack:

        def serve_folder(folder: Path) -> str:
            ports: queue.SimpleQueue[int] = queue.SimpleQueue()
            ends: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
            thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, ports, ends)))
            thread.start()
            stack.callback(thread.join)
            port = ports.get(timeout=LIMIT_S)
            stack.callback(ends.get(timeout=LIMIT_S))
            return f"http://127.0.0.1:{port}"

        yield serve_folder


async def _serve(folder: Path, ports: queue.SimpleQueue[int], ends: queue.SimpleQueue[Callable[[], object]]) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    with ThreadPoolExecutor(READERS_MAX) as threads:
        async with serve_http(make_app(FolderFiles(folder), threads), Address("127.0.0.1", 0)) as port:
            ports.put(port)
            ends.put(partial(loop.call_soon_threadsafe, ended.set))
            await ended.wait()
