"""A switch in this process: packets between network devices meet the weather on their way.

Each place has a TUN device: what its kernel sends comes here as an IPv4 packet, and what is written here its kernel
takes as received. So loss is loss of packets, a cut is a cable, and TCP does with it whatever TCP does.

| conditions | what a packet meets |
| --- | --- |
| delay, jitter | it arrives later, and with jitter perhaps after one sent after it |
| loss | it is gone |
| rate | it waits for its turn; if `QUEUE_BYTES` wait already, it is gone |
| cut, swallowed | it is gone |

`reset` turns the next packets of connections under way into RST for both ends, `tear` lets half a payload pass first.
Connections under way are those that began through this switch: kernels also repeat the last packets of connections of
an earlier network that had the same addresses.
"""

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from devnet.chaos.packets import (
    Segment,
    forge_first_half,
    forge_reset_back,
    forge_reset_onward,
    is_ipv4,
    parse_segment,
    receiver_of,
)
from devnet.chaos.weather import Link, Place, Weather

PACKET_BYTES_MAX: Final = 65_535
PACKETS_AT_ONCE: Final = 64
QUEUE_BYTES: Final = 16 * 1024
BREAK_FOR_S: Final = 10.0
"""How long packets of a connection that is to break are turned into RST."""

FLOWS_MAX: Final = 10_000

Flow = frozenset[tuple[bytes, int]]


class Switch:
    """Carries packets between the devices of places."""

    def __init__(
        self, weather: Weather, draw: random.Random, devices: Mapping[Place, int], addresses: Mapping[Place, str]
    ) -> None:
        """Take open TUN devices, not blocking, and the address of each place."""
        self._weather, self._draw, self._devices = weather, draw, devices
        self._places = {address: place for place, address in addresses.items()}
        self._free_s: dict[Link, float] = {}
        self._flows: dict[Flow, Link] = {}
        self._to_break: dict[Flow, float] = {}
        self._to_tear: dict[Flow, float] = {}
        self.counts: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Switch"]:
        """Carry packets while the block lasts."""
        loop = asyncio.get_running_loop()
        for place, device in self._devices.items():
            loop.add_reader(device, self._read, place)
        try:
            yield self
        finally:
            for device in self._devices.values():
                loop.remove_reader(device)

    def reset(self, links: Sequence[Link]) -> int:
        """Break every connection that used these links."""
        return self._mark(links, self._to_break)

    def tear(self, links: Sequence[Link]) -> int:
        """Break them in the middle of what they carry next."""
        return self._mark(links, self._to_tear)

    def _mark(self, links: Sequence[Link], marks: dict[Flow, float]) -> int:
        until_s = time.monotonic() + BREAK_FOR_S
        hit = [flow for flow, link in self._flows.items() if link in links or Link(link.receiver, link.sender) in links]
        marks.update(dict.fromkeys(hit, until_s))
        return len(hit)

    # -- a packet ----------------------------------------------------------------------------------------------------

    def _read(self, sender: Place) -> None:
        for _ in range(PACKETS_AT_ONCE):
            try:
                packet = os.read(self._devices[sender], PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            receiver = self._places.get(receiver_of(packet)) if is_ipv4(packet) else None
            if receiver is not None:
                self._carry(packet, Link(sender, receiver))

    def _carry(self, packet: bytes, link: Link) -> None:
        now_s, here = time.monotonic(), self._weather.at(link)
        if here.is_cut or here.is_swallowed or self._draw.uniform(0, 100) < here.loss_percent:
            self.counts["packets lost"] += 1
            return
        segment = parse_segment(packet)
        if segment is not None and self._is_broken(segment, link, now_s):
            return
        due_s = now_s + (here.delay_ms + self._draw.uniform(0, here.jitter_ms)) / 1000
        if here.rate_bytes is not None:
            free_s = max(self._free_s.get(link, 0.0), now_s)
            if (free_s - now_s) * here.rate_bytes > QUEUE_BYTES:
                self.counts["packets lost"] += 1
                return
            self._free_s[link] = free_s + len(packet) / here.rate_bytes
            due_s += self._free_s[link] - now_s
        if due_s > now_s:
            asyncio.get_running_loop().call_later(due_s - now_s, self._write, packet, link.receiver)
        else:
            self._write(packet, link.receiver)

    def _write(self, packet: bytes, receiver: Place) -> None:
        try:
            os.write(self._devices[receiver], packet)
        except OSError:  # its queue is full, or it is being taken down: either way a packet is lost, as packets are
            self.counts["packets lost"] += 1
        else:
            self.counts["packets carried"] += 1
            self.counts["bytes carried"] += len(packet)

    def _is_broken(self, segment: Segment, link: Link, now_s: float) -> bool:
        """Note whose packet this is; if its connection is to break, do that instead of carrying it."""
        flow = segment.flow
        if segment.is_opening and flow not in self._flows:
            while len(self._flows) >= FLOWS_MAX:
                del self._flows[next(iter(self._flows))]
            self._flows[flow] = link
        if len(segment.payload) > 1 and self._to_tear.pop(flow, 0.0) > now_s:
            self._write(forge_first_half(segment), link.receiver)
            self._write(forge_reset_onward(segment, after=len(segment.payload) // 2), link.receiver)
            self._to_break[flow] = now_s + BREAK_FOR_S
            self.counts["connections broken"] += 1
        elif self._to_break.get(flow, 0.0) > now_s:
            self._write(forge_reset_onward(segment), link.receiver)
        else:
            return False
        self._write(forge_reset_back(segment), link.sender)
        return True
