"""The packet switch between namespaces, with real packets; where a machine lets nobody make them, only the forging."""

import asyncio
import contextlib
import os
import random
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devnet.chaos.namespaces import NamespacedGround, open_namespaces
from devnet.chaos.packets import (
    compute_checksum,
    forge_first_half,
    forge_reset_back,
    forge_reset_onward,
    is_ipv4,
    parse_segment,
    receiver_of,
)
from devnet.chaos.weather import Conditions, Link, Place, Weather, both_ways, outside_of
from ledger.errors import ConditionError
from tests.machine import while_addresses_change

FAR = Place(0)
OUTSIDE = outside_of(2)
BETWEEN = both_ways([FAR], [OUTSIDE])
ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], 7302))
print("up", flush=True)
while True:
    connection, _ = server.accept()
    try:
        while said := connection.recv(65536):
            connection.sendall(said)
    except OSError as error:
        print(type(error).__name__, flush=True)
    connection.close()
"""


@dataclass
class Line:
    """A connection from here to an echo in a namespace."""

    weather: Weather
    ground: NamespacedGround
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    echo: asyncio.subprocess.Process

    async def echoed(self, said: bytes) -> bytes:
        self.writer.write(said)
        async with asyncio.timeout(30):
            return await self.reader.readexactly(len(said))


@contextlib.asynccontextmanager
async def connected(root: Path) -> AsyncIterator[Line]:
    weather = Weather()
    with contextlib.ExitStack() as stack:
        try:
            ground = stack.enter_context(open_namespaces(root, 2, weather, random.Random(7)))
        except ConditionError as error:
            pytest.skip(f"no namespaces here: {error}")
        host = ground.places[FAR].public.partition(":")[0]
        command = [*ground.inside(FAR), sys.executable, "-c", ECHO, host]
        async with ground.running():
            echo = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            try:
                assert echo.stdout is not None
                assert await echo.stdout.readline() == b"up\n"
                reader, writer = await asyncio.open_connection(host, 7302)
                try:
                    yield Line(weather, ground, reader, writer, echo)
                finally:
                    writer.transport.abort()
            finally:
                echo.kill()
                await echo.wait()


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with while_addresses_change():
        yield


async def test_packets_pass_and_lost_ones_are_repeated(tmp_path: Path) -> None:
    async with connected(tmp_path) as line:
        said = random.Random(1).randbytes(300_000)
        assert await line.echoed(said) == said
        line.weather.begin(BETWEEN, Conditions(loss_percent=5, delay_ms=2, jitter_ms=2))
        assert await line.echoed(said[:50_000]) == said[:50_000]
        assert "0 packets lost" not in line.ground.tell().split("; ")


async def test_a_cut_cable_is_silent_and_the_connection_survives_it(tmp_path: Path) -> None:
    async with connected(tmp_path) as line:
        token = line.weather.begin([Link(FAR, OUTSIDE)], Conditions(is_cut=True))
        line.writer.write(b"anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await line.reader.read(1)
        line.weather.end(token)
        async with asyncio.timeout(30):
            assert await line.reader.readexactly(8) == b"anybody?"


async def test_a_throttled_link_loses_what_does_not_fit_and_everything_arrives_in_the_end(tmp_path: Path) -> None:
    async with connected(tmp_path) as line:
        line.weather.begin(BETWEEN, Conditions(rate_bytes=100_000))
        began_s = asyncio.get_running_loop().time()
        assert await line.echoed(bytes(100_000)) == bytes(100_000)
        assert asyncio.get_running_loop().time() - began_s >= 0.9


async def test_a_reset_reaches_both_ends(tmp_path: Path) -> None:
    async with connected(tmp_path) as line:
        assert await line.echoed(b"hello") == b"hello"
        assert line.ground.reset(BETWEEN) == 1
        line.writer.write(b"hello again")
        with pytest.raises(ConnectionResetError):
            await line.reader.readexactly(1)
        assert line.echo.stdout is not None
        assert await line.echo.stdout.readline() == b"ConnectionResetError\n"


async def test_a_torn_connection_carries_half_and_is_reset(tmp_path: Path) -> None:
    async with connected(tmp_path) as line:
        assert await line.echoed(b"hello") == b"hello"
        assert line.ground.tear(BETWEEN) == 1
        line.writer.write(b"one half and the other")
        with pytest.raises(ConnectionResetError):
            await line.reader.readexactly(22)


async def test_namespaces_are_gone_afterwards_and_two_networks_do_not_meet(tmp_path: Path) -> None:
    async with connected(tmp_path / "one") as one, connected(tmp_path / "other") as other:
        assert {place.peer for place in one.ground.places} & {place.peer for place in other.ground.places} == set()
        assert await one.echoed(b"a") + await other.echoed(b"b") == b"ab"
        name = one.ground.inside(0)[3]
        assert is_there(name)
    assert not is_there(name)


def is_there(namespace: str) -> bool:
    return Path("/run/netns", namespace).exists()


# --- forging ---------------------------------------------------------------------------------------------------------


def tcp_packet(payload: bytes) -> bytes:
    tcp = struct.pack(">HHIIBBHHH", 1000, 2000, 2**32 - 3, 77, 5 << 4, 0x18, 100, 0, 0) + payload
    sender, receiver = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, sender, receiver) + tcp


def test_what_is_forged_has_right_checksums_and_stands_where_it_is_expected() -> None:
    packet = tcp_packet(b"0123456789")
    assert is_ipv4(packet)
    assert receiver_of(packet) == "10.0.0.2"
    segment = parse_segment(packet)
    assert segment is not None
    assert segment.payload == b"0123456789"
    half, onward, back = forge_first_half(segment), forge_reset_onward(segment, after=5), forge_reset_back(segment)
    for forged in (half, onward, back):
        assert compute_checksum(forged[:20]) == 0
        assert compute_checksum(forged[12:20] + struct.pack(">BBH", 0, 6, len(forged) - 20) + forged[20:]) == 0
    parsed = [parse_segment(forged) for forged in (half, onward, back)]
    found = [(each.receiver[1], each.number, each.payload) for each in parsed if each is not None]
    assert found == [(2000, 2**32 - 3, b"01234"), (2000, 2, b""), (1000, 77, b"")]
    assert {each.flow for each in parsed if each is not None} == {segment.flow}
    assert not segment.is_opening


async def test_a_connection_of_an_earlier_network_is_not_one_of_this(tmp_path: Path) -> None:
    async with connected(tmp_path) as line:
        assert await line.echoed(b"hello") == b"hello"
        stray = tcp_packet(b"")
        segment = parse_segment(stray)
        assert segment is not None
        assert not line.ground._switch._is_broken(segment, Link(OUTSIDE, FAR), 0.0)
        assert line.ground.reset(BETWEEN) == 1


def test_what_is_no_tcp_segment_is_told_apart() -> None:
    packet = tcp_packet(b"0123456789")
    udp, fragment = bytearray(packet), bytearray(packet)
    udp[9], fragment[6] = 17, 0x20
    assert parse_segment(bytes(udp)) is None
    assert parse_segment(bytes(fragment)) is None
    assert parse_segment(packet[:30]) is None
    assert not is_ipv4(os.urandom(10))
    assert not is_ipv4(b"\x60" + packet[1:])
