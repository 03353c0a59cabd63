"""A member that answers with bytes of no form: it must not end more than the call it answers."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from ledger.errors import Code, LedgerError
from ledger.positions import FIRST_EPOCH, Height, MemberIndex, Seconds
from node import pulling
from node.daemon import read_clock
from node.greeting import PROTOCOL_VERSION, Greeting
from node.keys import IdentityKey
from node.peers import PeerAddress, Peers
from node.pulling import Puller, next_patience_s
from node.tls import (
    issue_certificate,
    make_channel_credentials,
    make_server_credentials,
    server_name,
    verify_certificate,
)
from node.v1 import peer_pb2

ME, LIAR = MemberIndex(1), MemberIndex(2)
SESSION = bytes(range(32))
GARBAGE = b"\xff\xff\xff"  # no protobuf reader takes it


class LyingMember(grpc.GenericRpcHandler):
    """A member under a true certificate: greets well as often as it is told, and answers all else with garbage."""

    def __init__(self) -> None:
        self.good_greetings = 1
        self.greeted = asyncio.Semaphore(0)

    def service(self, handler_call_details: Any) -> "grpc.RpcMethodHandler[Any, Any] | None":  # gRPC's own loose type
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Greet": grpc.unary_unary_rpc_method_handler(self._greet),
            "Deliver": grpc.stream_unary_rpc_method_handler(self._deliver),
            "Fetch": grpc.unary_stream_rpc_method_handler(self._fetch),
            "Found": grpc.unary_unary_rpc_method_handler(self._found),
        }
        return handlers[handler_call_details.method.rpartition("/")[2]]

    async def _greet(self, _request: bytes, _context: object) -> bytes:
        self.greeted.release()
        self.good_greetings -= 1
        answer = peer_pb2.GreetResponse(protocol_version=PROTOCOL_VERSION, session_id=SESSION, member=LIAR)
        return GARBAGE if self.good_greetings < 0 else answer.SerializeToString()

    async def _deliver(self, _requests: AsyncIterator[bytes], _context: object) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def _fetch(self, _request: bytes, _context: object) -> AsyncIterator[bytes]:
        yield GARBAGE

    async def _found(self, _request: bytes, _context: object) -> bytes:
        return GARBAGE


@contextlib.asynccontextmanager
async def connected_to(liar: LyingMember) -> AsyncIterator[tuple[Peers, "asyncio.Task[None]"]]:
    """Run this node's side of a link to the liar, over real TLS."""
    now = Seconds(read_clock() // 1000)
    identities = [IdentityKey(hashlib.sha256(name).digest()) for name in (b"aa", b"bb")]
    own, theirs = (
        issue_certificate(member_id=name, sign=identity.sign, now=now)
        for name, identity in zip(("aa", "bb"), identities, strict=True)
    )
    mine, shown = (
        verify_certificate(key.certificate, member_id=name, identity=identity.public_key, now=now)
        for key, name, identity in zip((own, theirs), ("aa", "bb"), identities, strict=True)
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((liar,))
    port = server.add_secure_port("127.0.0.1:0", make_server_credentials(theirs, [mine]))
    await server.start()
    met = asyncio.Event()

    async def on_connected(_member: MemberIndex) -> None:
        met.set()

    peers = Peers(
        [PeerAddress(member=LIAR, id="bb", address=f"127.0.0.1:{port}", server_name=server_name("bb"))],
        make_channel_credentials(own, [shown]),
        lambda: Greeting(ledger_id=b"", session_id=SESSION, member=ME),
        on_connected,
        skew_alarm_ms=10**18,
    )
    running = asyncio.create_task(peers.run())
    try:
        async with asyncio.timeout(20):
            if liar.good_greetings:
                await met.wait()
            yield peers, running
    finally:
        running.cancel()
        await asyncio.wait([running])
        await server.stop(0)


async def read_blocks(puller: Puller) -> None:
    async with contextlib.aclosing(puller.final_blocks(LIAR, first=1, count=1)) as blocks:  # type: ignore[arg-type]
        async for _ in blocks:
            pass


QUESTIONS: dict[str, Callable[[Puller], Awaitable[object]]] = {
    "block": lambda puller: puller.block(LIAR, bytes(32)),
    "newest": lambda puller: puller.newest(LIAR),
    "view": lambda puller: puller.view(LIAR),
    "cosignatures": lambda puller: puller.cosignatures(LIAR, 0),  # type: ignore[arg-type]
    "final_blocks": read_blocks,
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_an_answer_of_no_form_is_an_error_that_callers_expect(name: str) -> None:
    async with connected_to(LyingMember()) as (peers, running):
        with pytest.raises(LedgerError) as caught:
            await QUESTIONS[name](Puller(peers, FIRST_EPOCH))
        assert caught.value.code is Code.FORMAT
        assert not running.done()


async def test_entries_of_no_form_are_asked_of_others_and_the_liar_is_counted() -> None:
    async with connected_to(LyingMember()) as (peers, running):
        puller = Puller(peers, FIRST_EPOCH)
        assert await puller.entries([bytes(32)], first=LIAR, is_wanted=lambda: False) is None
        assert peers.links[LIAR].state.refused[Code.FORMAT] == 1
        assert not running.done()


async def test_ceremony_messages_of_no_form_are_an_error_that_callers_expect() -> None:
    async with connected_to(LyingMember()) as (peers, running):
        with pytest.raises(LedgerError) as caught:
            await peers.links[LIAR].found(SESSION, [])
        assert caught.value.code is Code.FORMAT
        assert not running.done()


async def test_a_greeting_of_no_form_is_dialled_again_and_ends_nothing() -> None:
    liar = LyingMember()
    liar.good_greetings = 0
    async with connected_to(liar) as (peers, running):
        for _ in range(2):
            await liar.greeted.acquire()
        assert not running.done()
        assert not peers.links[LIAR].state.connected


class SilentMember(LyingMember):
    """Takes every question and answers none."""

    async def _fetch(self, _request: bytes, _context: object) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


async def test_a_member_that_keeps_silent_is_soon_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is faulty must not hold up, for half a minute each time, a node whose vote is needed."""
    monkeypatch.setattr(pulling, "PATIENCE_FIRST_S", 0.05)
    async with connected_to(SilentMember()) as (peers, running):
        puller = Puller(peers, FIRST_EPOCH)
        async with asyncio.timeout(10):
            assert await puller.entries([bytes(32)], first=LIAR, is_wanted=lambda: False) is None
            with pytest.raises(LedgerError) as caught:
                await anext(puller.final_blocks(LIAR, Height(1), 1, patience_s=0.05))
        assert caught.value.code is Code.UNREACHABLE
        assert not peers.links[LIAR].state.refused, "to be slow is no fault"
        assert not running.done()


def test_patience_grows_while_nobody_gives_anything_and_never_beyond_its_bound() -> None:
    patience_s, waits = pulling.PATIENCE_FIRST_S, []
    for _ in range(8):
        patience_s = next_patience_s(patience_s, has_gained=False)
        waits.append(patience_s)
    assert waits == sorted(waits)
    assert waits[-1] == pulling.PATIENCE_MAX_S
    assert next_patience_s(patience_s, has_gained=True) == pulling.PATIENCE_FIRST_S
