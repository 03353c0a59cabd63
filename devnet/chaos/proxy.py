"""Doors between nodes on one machine: real sockets whose bytes meet the weather on their way.

Each node dials the others, and labs dial nodes, at doors of this proxy (settings can move a member's address, so nothing
is made for this in a node). Bytes are carried both ways, each way under the conditions of its own direction:

| conditions | what a stream sees |
| --- | --- |
| delay, jitter | bytes arrive later, in order |
| loss | TCP repeats what is lost, so no byte is missing: the stream stalls, for `REPEAT_FIRST_S` and twice as long with each loss in a row |
| rate | bytes arrive at that pace; who sends more is held up |
| cut | nothing is read; it goes on afterwards. A new connection is accepted by this machine, and then nothing happens in it |
| swallowed | bytes are read and thrown away. Afterwards the stream has a hole, so the next bytes break the connection |

Two things happen at once: `reset` breaks connections with an RST, `tear` lets half of the next bytes pass first, so that
a frame ends in its middle. What waits in a door is bounded; a slow receiver slows the sender.
"""  # noqa: E501  # a table has long rows

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from devnet.chaos.weather import Link, Place, Weather, is_heard, is_passable

LOOPBACK: Final = "127.0.0.1"
READ_BYTES: Final = 16 * 1024
SEGMENT_BYTES: Final = 1_448  # what a packet of 1500 bytes carries of a stream (RFC 7323 §A)
CHUNKS_WAITING_MAX: Final = 64
REPEAT_FIRST_S: Final = 0.2  # the least time-out after which Linux repeats a segment
REPEATS_MAX: Final = 6
BACKLOG: Final = 128
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close sends RST


@dataclass(frozen=True, slots=True)
class Door:
    """Where one place dials another.

    Attributes:
        listening: the socket, bound and listening from the beginning, so that its port is known.
        outward: the direction from who dials to who is dialled.
    """

    listening: socket.socket
    outward: Link

    @property
    def address(self) -> str:
        """Host and port to dial."""
        host, port = self.listening.getsockname()
        return f"{host}:{port}"


@dataclass(eq=False, slots=True)
class _Carried:
    """One connection through a door."""

    near: socket.socket
    far: socket.socket
    outward: Link
    broken: asyncio.Event = field(default_factory=asyncio.Event)
    is_to_tear: bool = False
    has_hole: bool = False


class Proxy:
    """All doors; `running` carries what comes through them until it ends."""

    def __init__(self, weather: Weather, draw: random.Random) -> None:
        self._weather, self._draw = weather, draw
        self._targets: dict[Door, tuple[str, int]] = {}
        self._carried: list[_Carried] = []
        self._loop = asyncio.get_running_loop()
        self._is_ending = False
        self.counts: Counter[str] = Counter()

    def make_door(self, caller: Place, called: Place) -> Door:
        """Make a door from one place to another; it leads nowhere until `lead`."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, 0))
        listening.listen(BACKLOG)
        listening.settimeout(0)
        return Door(listening, Link(caller, called))

    def lead(self, door: Door, target: str) -> None:
        """Say where a door leads: host and port."""
        host, _, port = target.rpartition(":")
        self._targets[door] = host, int(port)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Carry connections while the block lasts; all of them end with it."""
        async with asyncio.TaskGroup() as group:
            doors = [group.create_task(self._serve(door, group)) for door in self._targets]
            try:
                yield self
            finally:
                self._is_ending = True
                for task in doors:
                    task.cancel()
                for carried in self._carried:
                    carried.broken.set()

    def reset(self, links: Sequence[Link]) -> int:
        """Break every connection in which anything goes over these links; returns how many."""
        hit = self._over(links)
        for carried in hit:
            carried.broken.set()
        return len(hit)

    def tear(self, links: Sequence[Link]) -> int:
        """Break them in the middle of what they carry next; returns how many."""
        hit = self._over(links)
        for carried in hit:
            carried.is_to_tear = True
        return len(hit)

    def _over(self, links: Sequence[Link]) -> list[_Carried]:
        return [carried for carried in self._carried if carried.outward in links or _reverse(carried.outward) in links]

    # -- one connection ----------------------------------------------------------------------------------------------

    async def _serve(self, door: Door, group: asyncio.TaskGroup) -> None:
        with door.listening:
            while True:
                near, _ = await self._loop.sock_accept(door.listening)
                group.create_task(self._carry(door, near))

    async def _carry(self, door: Door, near: socket.socket) -> None:
        """Dial the target once both directions pass, and pump until both sides are done or something breaks."""
        if self._is_ending:
            near.close()
            return
        with near, socket.socket() as far:
            near.settimeout(0)
            far.settimeout(0)
            carried = _Carried(near, far, door.outward)
            self._carried.append(carried)
            self.counts["connections"] += 1
            try:
                async with asyncio.TaskGroup() as group:
                    guard = group.create_task(_break_when_told(carried))
                    await self._weather.wait_until(door.outward, is_passable)
                    await self._weather.wait_until(_reverse(door.outward), is_passable)
                    await self._loop.sock_connect(far, self._targets[door])
                    async with asyncio.TaskGroup() as pumps:
                        pumps.create_task(self._pump(carried, near, far, door.outward))
                        pumps.create_task(self._pump(carried, far, near, _reverse(door.outward)))
                    guard.cancel()
            except* OSError:
                self.counts["broken"] += 1
                for end in (near, far):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            finally:
                self._carried.remove(carried)

    async def _pump(self, carried: _Carried, source: socket.socket, target: socket.socket, link: Link) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_WAITING_MAX)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(carried, source, link, waiting))
            group.create_task(self._write(carried, target, link, waiting))

    async def _read(
        self, carried: _Carried, source: socket.socket, link: Link, waiting: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        """Read, and say when each chunk is due at the other end."""
        free_s = due_s = 0.0
        while True:
            chunk = await self._loop.sock_recv(source, READ_BYTES)
            now_s, here = time.monotonic(), self._weather.at(link)
            if here.is_swallowed:
                carried.has_hole = True
                self.counts["bytes swallowed"] += len(chunk)
                if chunk:
                    continue
                await self._weather.wait_until(link, is_heard)  # that it ended is not heard either
                raise ConnectionResetError
            if carried.has_hole:
                raise ConnectionResetError
            late_s = (here.delay_ms + self._draw.uniform(0, here.jitter_ms)) / 1000
            late_s += self._stall_s(len(chunk), here.loss_percent)
            free_s = max(free_s, now_s) + (len(chunk) / here.rate_bytes if here.rate_bytes else 0.0)
            due_s = max(due_s, free_s + late_s)
            await waiting.put((due_s, chunk))
            if not chunk:
                return

    def _stall_s(self, size_bytes: int, loss_percent: int) -> float:
        """How long TCP is held up by the segments it loses out of so many bytes."""
        stall_s = 0.0
        for _ in range(-(-size_bytes // SEGMENT_BYTES) if loss_percent else 0):
            repeats = 0
            while repeats < REPEATS_MAX and self._draw.uniform(0, 100) < loss_percent:
                stall_s += REPEAT_FIRST_S * 2**repeats
                repeats += 1
            self.counts["segments lost"] += repeats
        return stall_s

    async def _write(
        self, carried: _Carried, target: socket.socket, link: Link, waiting: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        while True:
            due_s, chunk = await waiting.get()
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await self._weather.wait_until(link, is_passable)
            if not chunk:
                target.shutdown(socket.SHUT_WR)
                return
            if carried.is_to_tear:
                await self._loop.sock_sendall(target, chunk[: len(chunk) // 2])
                raise ConnectionResetError
            await self._loop.sock_sendall(target, chunk)
            self.counts["bytes carried"] += len(chunk)


async def _break_when_told(carried: _Carried) -> None:
    await carried.broken.wait()
    raise ConnectionResetError


def _reverse(link: Link) -> Link:
    return Link(link.receiver, link.sender)
