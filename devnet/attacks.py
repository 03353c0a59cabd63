"""Attackers of one node: what strangers and a faulty member can do to its ports. Each runs in a process of its own.

They know the protocol and keep none of its limits. Strangers come from an address that no honest caller here uses. What
comes back is thrown away, save for what HTTP/2 (RFC 9113) needs to be allowed to go on. Header fields are HPACK
literals without indexing (RFC 7541 §6.2.2).
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import socket
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc.aio

from devnet.load import LoadLab, Plan, sign_reports
from devnet.network import Network
from ledger.charter import Charter
from ledger.limits import MESSAGE_BYTES_MAX, SEAL_BYTES, SIGNATURE_BYTES
from ledger.positions import Interval
from node.daemon import read_charter
from node.greeting import PROTOCOL_VERSION
from node.home import STORE_FILE, Home
from node.tls import read_tls_key, server_name
from node.v1 import peer_pb2, reading_pb2, submission_pb2

ATTACKED: Final = 0
MEMBER: Final = 1  # the faulty one, whose own node runs on as it should
SOURCE: Final = "127.0.0.2"
AT_ONCE: Final = 1_000
CALL_TIMEOUT_S: Final = 30
BEGINS: Final = "the attack begins"  # written when it does
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_FAR_VIEW: Final = 2**40
_Method = Any  # of gRPC's own types, which are generic in messages that are bytes here


@dataclass(frozen=True, slots=True)
class Aim:
    """The node, and what its attackers have: its addresses, a member's own TLS key, the charter."""

    network: Network
    charter: Charter

    def address(self, port: str) -> tuple[str, int]:
        """Host and port of `public`, `peer` or `http`."""
        host, _, number = getattr(self.network.nodes[ATTACKED], port).removeprefix("http://").rpartition(":")
        return host, int(number)


async def _connect(aim: Aim, port: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*aim.address(port), local_addr=(SOURCE, 0))
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    return reader, writer


async def _again(count: int, act: Callable[[], Coroutine[None, None, None]], *, pause_s: float = 0.0) -> None:
    """Do something again and again, in so many places at once, whatever comes of it."""

    async def go_on() -> None:
        while True:
            with contextlib.suppress(OSError, EOFError, grpc.aio.AioRpcError, asyncio.LimitOverrunError):
                await act()
            await asyncio.sleep(pause_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(go_on())


# -- HTTP/2 without manners -------------------------------------------------------------------------------------------


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: bytes, value: bytes) -> bytes:
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


def _call(stream: int, method: str, message: bytes) -> bytes:
    """A whole call with one message."""
    fields = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", method.encode()),
        (b":authority", b"node"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
    block = b"".join(itertools.starmap(_literal, fields))
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return _frame(_HEADERS, _END_HEADERS, stream, block) + _frame(_DATA, _END_STREAM, stream, body)


def _begin(window: int) -> bytes:
    """Preface and settings; with a window, as much for the connection as for each stream."""
    settings = _frame(_SETTINGS, 0, 0, struct.pack(">HI", 4, window))
    return _PREFACE + settings + (_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", window - 65_535)) if window else b"")


async def _call_again_and_again(aim: Aim, method: str, messages: Iterator[bytes], *, at_once: int) -> None:
    """Keep so many calls open on one connection; each that ends makes place for another."""
    reader, writer = await _connect(aim, "public")
    streams, room = itertools.count(1, 2), 65_535
    with contextlib.closing(writer):
        writer.write(_begin(2**31 - 1))
        waiting = at_once
        while True:
            while waiting and room > MESSAGE_BYTES_MAX // 1_000:
                raw = _call(next(streams), method, next(messages))
                room -= len(raw)
                writer.write(raw)
                waiting -= 1
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            if kind == _SETTINGS and not flags & _ACK:
                writer.write(_frame(_SETTINGS, _ACK, 0, b""))
            elif kind == _PING and not flags & _ACK:
                writer.write(_frame(_PING, _ACK, 0, payload))
            elif kind == _WINDOW_UPDATE and not stream:
                room += int.from_bytes(payload, "big")
            elif kind == _RST_STREAM or (kind == _HEADERS and flags & _END_STREAM):
                waiting += 1
            elif kind == _GOAWAY:
                return


# -- strangers --------------------------------------------------------------------------------------------------------


def _strange_reports(aim: Aim) -> Iterator[bytes]:
    """Reports of labs that nobody registered: well-formed, and signed by keys of their own."""
    charter = aim.charter
    plan = Plan(charter.ledger_id.hex(), (), charter.grid.start, charter.grid.interval_s, Interval(0), 1)
    entries = [sign_reports(LoadLab(90_000 + number), plan)[0].entry for number in range(50)]
    for entry in itertools.cycle(entries):
        yield submission_pb2.SubmitRequest(entry=entry, wait=True).SerializeToString()


async def submitters(aim: Aim) -> None:
    """1 000 calls that submit at any time, half of them streams."""
    reports = _strange_reports(aim)
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            method = "/node.v1.Submission/" + ("SubmitBatch" if number % 2 else "Submit")
            each = AT_ONCE // 10

            async def act(method: str = method, each: int = each) -> None:
                await _call_again_and_again(aim, method, reports, at_once=each)

            group.create_task(_again(1, act, pause_s=0.1))


async def slow_readers(aim: Aim) -> None:
    """5 000 streams of blocks over ten connections, none of which is read."""
    request = reading_pb2.StreamBlocksRequest(first_height=0, follow=True).SerializeToString()

    async def act() -> None:
        _, writer = await _connect(aim, "public")
        writer.write(_begin(0))
        for number in range(500):
            writer.write(_call(2 * number + 1, "/node.v1.Reading/StreamBlocks", request))
        await writer.drain()
        await asyncio.sleep(CALL_TIMEOUT_S)

    await _again(10, act)


async def garbage(aim: Aim) -> None:
    """Noise, halves of frames and frames said to be 16 MB long, on every port."""
    draw = random.Random(1)  # noqa: S311  # noise
    starts = (b"", _PREFACE, _begin(0), _begin(0) + b"\xff\xff\xff\x00\x00\0\0\0\x01", b"GET / HTTP/1.1\r\nA: ")
    ports = itertools.cycle(("public", "peer", "http"))

    async def act() -> None:
        _, writer = await _connect(aim, next(ports))
        with contextlib.closing(writer):
            writer.write(draw.choice(starts) + draw.randbytes(draw.randrange(20_000)))
            await writer.drain()

    await _again(50, act, pause_s=0.01)


async def oversized(aim: Aim) -> None:
    """Messages over the limit, and compressed ones that would be."""
    async with grpc.aio.insecure_channel(
        aim.network.nodes[ATTACKED].public, options=(("grpc.max_send_message_length", -1),)
    ) as channel:
        submit: _Method = channel.unary_unary("/node.v1.Submission/Submit")
        whole = bytes(MESSAGE_BYTES_MAX + 1)
        kinds = itertools.cycle((grpc.Compression.NoCompression, grpc.Compression.Gzip))

        async def act() -> None:
            await submit(whole, timeout=CALL_TIMEOUT_S, compression=next(kinds))

        await _again(4, act, pause_s=0.1)


async def churn(aim: Aim) -> None:
    """As many connections a second as can be made, each cut at once, on every port."""
    ports = itertools.cycle(("public", "peer", "http"))

    async def act() -> None:
        _, writer = await _connect(aim, next(ports))
        writer.transport.abort()

    await _again(64, act)


async def silence(aim: Aim) -> None:
    """1 000 connections on each gRPC port and as many as it takes on the other, that say nothing."""
    ports = itertools.cycle(("public", "peer", "http"))

    async def act() -> None:
        reader, writer = await _connect(aim, next(ports))
        with contextlib.closing(writer):
            while await reader.read(1 << 16):
                pass

    await _again(3 * AT_ONCE, act, pause_s=0.5)


async def drip(aim: Aim) -> None:
    """500 connections that send a byte a second of what could become a call, a handshake or a request."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # the beginning of a TLS ClientHello
    beginnings = {"public": _begin(0), "peer": hello, "http": b"GET / HTTP/1.1\r\n"}
    ports = itertools.cycle(beginnings)

    async def act() -> None:
        port = next(ports)
        _, writer = await _connect(aim, port)
        with contextlib.closing(writer):
            for byte in beginnings[port] + bytes(60):
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(1)

    await _again(AT_ONCE // 2, act, pause_s=0.1)


async def strangers(aim: Aim) -> None:
    """TLS handshakes with a node's port for members, by somebody without a certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def act() -> None:
        host, port = aim.address("peer")
        reader, writer = await asyncio.open_connection(host, port, ssl=context, local_addr=(SOURCE, 0))
        with contextlib.closing(writer):
            writer.write(_begin(0))
            await reader.read(1 << 16)

    await _again(32, act)


# -- a faulty member --------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _as_member(aim: Aim) -> AsyncIterator[grpc.aio.Channel]:
    place, home = aim.network.nodes[ATTACKED], Home(Path(aim.network.nodes[MEMBER].home))
    key = read_tls_key(home.tls)
    roots = (home.peers / f"{place.id}.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(roots, key.private_key, key.certificate)
    options = (
        ("grpc.ssl_target_name_override", server_name(place.id)),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
    )
    async with grpc.aio.secure_channel(place.peer, credentials, options=options) as channel:
        greeting = peer_pb2.GreetRequest(
            protocol_version=PROTOCOL_VERSION,
            ledger_id=aim.charter.ledger_id,
            member=MEMBER + 1,
            time_ms=time.time_ns() // 1_000_000,
        )
        greet: _Method = channel.unary_unary("/node.v1.Peer/Greet")
        await greet(greeting.SerializeToString(), timeout=CALL_TIMEOUT_S)
        yield channel


async def _deliver(aim: Aim, messages: list[bytes], *, streams: int = 8) -> None:
    async with _as_member(aim) as channel:
        deliver: _Method = channel.stream_unary("/node.v1.Peer/Deliver")

        async def act() -> None:
            async def pour() -> AsyncIterator[bytes]:
                for message in itertools.cycle(messages):
                    yield message

            await deliver(pour())

        await _again(streams, act, pause_s=0.05)


def _say(aim: Aim, **body: object) -> bytes:
    return peer_pb2.PeerMessage(ledger_id=aim.charter.ledger_id, epoch=1, **body).SerializeToString()  # type: ignore[arg-type]  # each of its own type


async def member_garbage(aim: Aim) -> None:
    """Envelopes that are none, are of another ledger, are empty, and are as long as they may be."""
    long = _say(aim, proposal=peer_pb2.Proposal(entry_hashes=[bytes(32)] * 20_000))
    other = peer_pb2.PeerMessage(ledger_id=bytes(32), epoch=1).SerializeToString()
    gossip = _say(aim, gossip=peer_pb2.Gossip(entries=[b"{}"] * 1_000))
    await _deliver(aim, [other, _say(aim), long, gossip, other, _say(aim)] * 20 + [b"\xff\xff"])


async def member_votes(aim: Aim) -> None:
    """Votes for views that are far away, each another, all with a signature that is none."""
    votes = [
        peer_pb2.Vote(kind=1, view=_FAR_VIEW + n, digest=bytes(32), member=MEMBER + 1, signature=bytes(SIGNATURE_BYTES))
        for n in range(5_000)
    ]
    await _deliver(aim, [_say(aim, vote=vote) for vote in votes])


async def member_certificates(aim: Aim) -> None:
    """Certificates and finalizations near and far, of the right form and signed by nobody."""
    header = aim.network.status(MEMBER)
    near = 1 if header is None else header.view
    signed = [peer_pb2.Vote(kind=2, view=near, member=n + 1, signature=bytes(SIGNATURE_BYTES)) for n in range(3)]
    bogus = [
        _say(aim, certificate=peer_pb2.Certificate(kind=2, view=near + ahead, votes=signed)) for ahead in range(40)
    ]
    seals = [_say(aim, finalization=peer_pb2.Finalization(header=b"\xff" * 90, seal=bytes(SEAL_BYTES)))]
    await _deliver(aim, [*bogus, *seals])


async def member_questions(aim: Aim) -> None:
    """Every final block from the first on, and thousands of entries that are not there, again and again."""
    everything = peer_pb2.FetchRequest(final_blocks=peer_pb2.FinalBlocks(first_height=0, count=10_000))
    nothing = peer_pb2.FetchRequest(entries=peer_pb2.EntriesByHash(leaf_hashes=[os.urandom(32) for _ in range(2_000)]))
    questions = itertools.cycle((everything.SerializeToString(), nothing.SerializeToString()))
    async with _as_member(aim) as channel:
        fetch: _Method = channel.unary_stream("/node.v1.Peer/Fetch")

        async def act() -> None:
            async for _ in fetch(next(questions), timeout=CALL_TIMEOUT_S):
                pass

        await _again(24, act)


ATTACKS: Final[dict[str, Callable[[Aim], Coroutine[None, None, None]]]] = {
    "submitters": submitters,
    "slow-readers": slow_readers,
    "oversized": oversized,
    "garbage": garbage,
    "churn": churn,
    "silence": silence,
    "drip": drip,
    "strangers": strangers,
    "member-garbage": member_garbage,
    "member-votes": member_votes,
    "member-certificates": member_certificates,
    "member-questions": member_questions,
}


async def _attack(names: Iterable[str], network: Network, seconds: float) -> None:
    aim = Aim(network, read_charter(Path(network.nodes[MEMBER].home) / STORE_FILE))
    sys.stdout.write(BEGINS + "\n")
    sys.stdout.flush()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(ATTACKS[name](aim), name=name)


def main() -> None:
    """Be some attackers for a while, and give way to whoever needs the processor."""
    parser = argparse.ArgumentParser(prog="python -m devnet.attacks", description="Attack one node of a devnet.")
    parser.add_argument("names", nargs="+", choices=ATTACKS)
    parser.add_argument("--root", type=Path, required=True, help="folder of the network")
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    os.nice(10)
    asyncio.run(_attack(given.names, Network.open(given.root), given.seconds))


if __name__ == "__main__":
    main()
