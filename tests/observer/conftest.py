"""Ledgers that observers look at, and servers that serve them over real sockets."""

import asyncio
import functools
import http.server
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from node.v1 import reading_pb2, reading_pb2_grpc
from tests.ledger.rulebook import NATIONS
from tests.observer.fakeledger import FakeLedger

Context = grpc.aio.ServicerContext[Any, Any]


def make_ledger(*, seed: int = 0) -> FakeLedger:
    """Two labs over four intervals: filed, missing; some blocks final only through the next."""
    ledger = FakeLedger(seed=seed, without_seal=(3, 4, 8))
    ledger.grow(4)
    return ledger


@pytest.fixture(scope="session")
def ledger() -> FakeLedger:
    """A ledger that no test may change."""
    return make_ledger()


class Reading(reading_pb2_grpc.ReadingServicer):
    """The part of the Reading service that observers use, over a fake ledger."""

    def __init__(self, ledger: FakeLedger) -> None:
        self.ledger = ledger
        self.height = ledger.height
        self.stream_ends_at: int | None = None
        self.note: str | None = None
        self.extra_bytes = b""

    async def GetCharter(  # noqa: N802
        self, request: reading_pb2.GetCharterRequest, context: Context
    ) -> reading_pb2.GetCharterResponse:
        del request, context
        return reading_pb2.GetCharterResponse(
            entry=self.ledger.charter_entry + self.extra_bytes, transcript=self.ledger.founders.transcript
        )

    async def GetCheckpoint(  # noqa: N802
        self, request: reading_pb2.GetCheckpointRequest, context: Context
    ) -> reading_pb2.GetCheckpointResponse:
        del context
        if self.note is not None:
            return reading_pb2.GetCheckpointResponse(note=self.note)
        cosigners = len(NATIONS) if request.all_cosignatures else 1
        return reading_pb2.GetCheckpointResponse(note=self.ledger.note(self.height, cosigners=cosigners).decode())

    async def StreamBlocks(  # noqa: N802
        self, request: reading_pb2.StreamBlocksRequest, context: Context
    ) -> AsyncIterator[reading_pb2.StreamBlocksResponse]:
        del context
        last = self.height if self.stream_ends_at is None else self.stream_ends_at
        for height in range(request.first_height, last + 1):
            sealed = self.ledger.chain[height]
            yield reading_pb2.StreamBlocksResponse(
                header=sealed.header.raw, seal=sealed.seal, entries=self.ledger.entries_of(height)
            )

    async def _answer_nothing(self, _: object, context: Context) -> None:
        """What observers never ask for."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED)

    # Any: one method stands for seven, whose types differ.
    GetEntries = GetInclusionProof = GetConsistencyProof = GetReceipt = cast("Any", _answer_nothing)
    GetVerdicts = GetPauses = GetChallenge = cast("Any", _answer_nothing)


@pytest.fixture
def serve_grpc() -> Iterator[Callable[[reading_pb2_grpc.ReadingServicer], str]]:
    """Serve a Reading service over a real port, from a loop in a thread of its own; gives the URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[grpc.aio.Server] = []

    async def start(servicer: reading_pb2_grpc.ReadingServicer) -> int:
        server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
        reading_pb2_grpc.add_ReadingServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        return port

    def serve(servicer: reading_pb2_grpc.ReadingServicer) -> str:
        return f"grpc://127.0.0.1:{asyncio.run_coroutine_threadsafe(start(servicer), loop).result()}"

    async def stop() -> None:
        for server in servers:
            await server.stop(None)

    yield serve
    asyncio.run_coroutine_threadsafe(stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture
def serve_http() -> Iterator[Callable[[Path], str]]:
    """Serve a folder over a real port; gives the URL."""
    servers: list[tuple[http.server.ThreadingHTTPServer, threading.Thread]] = []

    def serve(folder: Path) -> str:
        handler = functools.partial(_QuietHandler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()
