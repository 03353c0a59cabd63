"""The fault-injecting proxy, with real sockets: each condition does to a stream what its page says, and no more."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from devnet.chaos.proxy import LOOPBACK, REPEAT_FIRST_S, SEGMENT_BYTES, Proxy
from devnet.chaos.weather import FAIR, Conditions, Link, Place, Weather, both_ways

NEAR, FAR = Place(0), Place(1)
THERE, BACK = Link(NEAR, FAR), Link(FAR, NEAR)
CUT, SWALLOWED = Conditions(is_cut=True), Conditions(is_swallowed=True)


@dataclass
class Line:
    """One connection through a door, both ends in hand."""

    weather: Weather
    proxy: Proxy
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter]

    async def say(self, raw: bytes) -> None:
        self.near[1].write(raw)
        await self.near[1].drain()

    async def answer(self, raw: bytes) -> None:
        self.far[1].write(raw)
        await self.far[1].drain()

    async def heard(self, size: int) -> bytes:
        async with asyncio.timeout(20):
            return await self.far[0].readexactly(size)

    async def answered(self, size: int) -> bytes:
        async with asyncio.timeout(20):
            return await self.near[0].readexactly(size)


@dataclass
class Listener:
    """What is dialled: connections as they come."""

    arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=asyncio.Queue)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.arrived.put((reader, writer))


@asynccontextmanager
async def standing(weather: Weather) -> AsyncIterator[tuple[Proxy, str, Listener]]:
    """A proxy with one door to a listener; gives the door's address."""
    listener, proxy = Listener(), Proxy(weather, random.Random(7))
    server = await asyncio.start_server(listener.take, LOOPBACK, 0)
    door = proxy.make_door(NEAR, FAR)
    proxy.lead(door, "{}:{}".format(*server.sockets[0].getsockname()))
    async with server, proxy.running():
        yield proxy, door.address, listener
    while not listener.arrived.empty():
        listener.arrived.get_nowait()[1].close()


async def dial(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


@asynccontextmanager
async def connected() -> AsyncIterator[Line]:
    weather = Weather()
    async with standing(weather) as (proxy, address, listener):
        near = await dial(address)
        near[1].write(b"!")
        far = await listener.arrived.get()
        assert await far[0].readexactly(1) == b"!"
        try:
            yield Line(weather, proxy, near, far)
        finally:
            near[1].close()
            far[1].close()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110  # what the proxy counts tells nobody
            await asyncio.sleep(0.01)


async def test_in_fair_weather_every_byte_passes_in_order_both_ways_and_so_does_the_end() -> None:
    async with connected() as line:
        sent, back = random.Random(1).randbytes(1_000_000), random.Random(2).randbytes(300_000)
        async with asyncio.TaskGroup() as group:
            group.create_task(line.say(sent))
            group.create_task(line.answer(back))
            heard, answered = group.create_task(line.heard(len(sent))), group.create_task(line.answered(len(back)))
        assert (heard.result(), answered.result()) == (sent, back)
        line.near[1].write_eof()
        assert await line.far[0].read() == b""
        await line.answer(b"still here")
        assert await line.answered(10) == b"still here"


async def test_delay_holds_bytes_up_in_its_direction() -> None:
    async with connected() as line:
        loop = asyncio.get_running_loop()
        line.weather.begin([THERE], Conditions(delay_ms=300, jitter_ms=100))
        began_s = loop.time()
        await line.say(b"slow")
        await line.heard(4)
        assert loop.time() - began_s >= 0.3
        assert line.weather.at(BACK) == FAIR


async def test_lost_segments_stall_a_stream_and_lose_no_byte() -> None:
    async with connected() as line:
        sent = random.Random(3).randbytes(40 * SEGMENT_BYTES)
        line.weather.begin([THERE], Conditions(loss_percent=5))
        began_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            group.create_task(line.say(sent))
            heard = group.create_task(line.heard(len(sent)))
        assert heard.result() == sent
        assert line.proxy.counts["segments lost"] > 0
        assert asyncio.get_running_loop().time() - began_s >= REPEAT_FIRST_S


async def test_a_bounded_rate_paces_a_stream_and_slows_its_sender() -> None:
    async with connected() as line:
        began_s = asyncio.get_running_loop().time()
        line.weather.begin([THERE], Conditions(rate_bytes=200_000))
        async with asyncio.TaskGroup() as group:
            group.create_task(line.say(bytes(100_000)))
            group.create_task(line.heard(100_000))
        assert asyncio.get_running_loop().time() - began_s >= 0.5


async def test_a_cut_in_one_direction_holds_bytes_back_until_it_ends() -> None:
    async with connected() as line:
        token = line.weather.begin([THERE], CUT)
        await line.say(b"question")
        await line.answer(b"unasked")
        assert await line.answered(7) == b"unasked"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await line.far[0].read(1)
        line.weather.end(token)
        assert await line.heard(8) == b"question"


async def test_who_dials_through_a_cut_gets_no_answer_until_it_ends() -> None:
    weather = Weather()
    token = weather.begin([BACK], CUT)  # an answer to a SYN comes back
    async with standing(weather) as (_, address, listener):
        reader, writer = await dial(address)
        writer.write(b"anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await listener.arrived.get()
        weather.end(token)
        far_reader, far_writer = await listener.arrived.get()
        assert await far_reader.readexactly(8) == b"anybody?"
        far_writer.close()
        assert await reader.read() == b""
        writer.close()


async def test_a_half_open_connection_swallows_and_is_broken_by_the_first_bytes_after() -> None:
    async with connected() as line:
        token = line.weather.begin([THERE], SWALLOWED)
        await line.say(b"into the void")
        await until(lambda: line.proxy.counts["bytes swallowed"] == 13)
        line.weather.end(token)
        await line.say(b"hello?")
        with pytest.raises(ConnectionResetError):
            await line.answered(1)
        with pytest.raises(ConnectionResetError):
            await line.heard(1)


async def test_who_closes_a_half_open_connection_is_not_heard_either() -> None:
    async with connected() as line:
        token = line.weather.begin([THERE], SWALLOWED)
        line.near[1].close()
        await line.near[1].wait_closed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await line.far[0].read(1)
        line.weather.end(token)
        with pytest.raises(ConnectionResetError):
            await line.heard(1)


async def test_a_reset_breaks_both_ends_and_the_door_takes_new_connections() -> None:
    async with connected() as line:
        assert line.proxy.reset([BACK]) == 1
        with pytest.raises(ConnectionResetError):
            await line.answered(1)
        with pytest.raises(ConnectionResetError):
            await line.heard(1)
    async with connected() as line:
        await line.say(b"again")
        assert await line.heard(5) == b"again"


async def test_a_torn_connection_ends_in_the_middle_of_what_it_carries() -> None:
    async with connected() as line:
        line.proxy.tear(both_ways([NEAR], [FAR]))
        await line.say(b"first half and the other")
        assert await line.heard(12) == b"first half a"[:12]
        with pytest.raises(ConnectionResetError):
            await line.heard(1)


async def test_where_nobody_listens_the_caller_is_reset() -> None:
    weather = Weather()
    proxy = Proxy(weather, random.Random(7))
    door, unused = proxy.make_door(NEAR, FAR), proxy.make_door(NEAR, FAR)
    unused.listening.close()
    server = await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, 0)
    taken = "{}:{}".format(*server.sockets[0].getsockname())
    server.close()
    await server.wait_closed()
    proxy.lead(door, taken)
    async with proxy.running():
        reader, writer = await dial(door.address)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()


async def test_what_is_under_way_at_once_adds_up_and_ends_one_by_one() -> None:
    weather = Weather()
    slow = weather.begin([THERE, BACK], Conditions(delay_ms=10, loss_percent=60, rate_bytes=500))
    bad = weather.begin([THERE], Conditions(delay_ms=5, loss_percent=60, rate_bytes=900, is_cut=True))
    assert weather.at(THERE) == Conditions(delay_ms=15, loss_percent=100, rate_bytes=500, is_cut=True)
    assert weather.at(BACK) == Conditions(delay_ms=10, loss_percent=60, rate_bytes=500)
    weather.end(slow)
    assert weather.at(BACK) == FAIR
    weather.end(bad)
    assert weather.at(THERE) == FAIR
