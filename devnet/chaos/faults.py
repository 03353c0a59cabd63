"""Letting the faults of a schedule happen: to processes by signals and limits, to links by the weather.

A node that ends although nothing was done to end it is no fault but a finding; it is started again all the same, as an
operator's system would.
"""

import asyncio
import contextlib
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from counterseal import Exit
from devnet.chaos.ailing import Ailments
from devnet.chaos.grounds import Ground
from devnet.chaos.schedule import Fault, Kind
from devnet.chaos.weather import Conditions, Link, Place, Weather, both_ways, outside_of
from devnet.network import Network
from ledger.errors import Code

LOOK_EVERY_S: Final = 0.1
ROOM_FOR_WORDS_BYTES: Final = 16 * 1024
"""What a node on a full disk may still write to its log, so that it can say so."""


@dataclass(slots=True)
class Faults:
    """What happens to one network.

    Attributes:
        counts: how often each kind happened, a member at a time.
        violations: nodes that ended by themselves, or in another way than they should.
        filled: whose disk was full and who went on when it no longer was: one that had already met it is ending.
    """

    network: Network
    ground: Ground
    weather: Weather
    ailments: Sequence[Ailments]
    counts: Counter[Kind] = field(default_factory=Counter)
    seconds: Counter[Kind] = field(default_factory=Counter)
    violations: dict[str, None] = field(default_factory=dict)
    filled: set[int] = field(default_factory=set)

    async def start(self, number: int) -> None:
        """Start a node where it stands, able to ail."""
        launcher = ("-m", "devnet.chaos.ailing", str(ailments_path(self.network, number)))
        await asyncio.to_thread(self.network.start, number, launcher=launcher, inside=tuple(self.ground.inside(number)))

    async def happen(self, fault: Fault) -> None:
        """Let a fault begin, last and end."""
        self.counts[fault.kind] += len(fault.members)
        self.seconds[fault.kind] += round(fault.seconds * len(fault.members))
        match fault.kind:
            case Kind.KILL:
                await self._kill(fault)
            case Kind.FULL_DISK:
                await self._fill_disk(fault)
            case Kind.RESET:
                self.ground.reset(self._links(fault))
            case Kind.TEAR:
                self.ground.tear(self._links(fault))
            case Kind.FREEZE | Kind.SLOW_DISK | Kind.CLOCK:
                with self._ailing(fault):
                    await asyncio.sleep(fault.seconds)
            case _:
                token = self.weather.begin(self._links(fault), _conditions(fault))
                await asyncio.sleep(fault.seconds)
                self.weather.end(token)

    def _links(self, fault: Fault) -> list[Link]:
        """Which links a fault is about."""
        count = len(self.network.nodes)
        hit = [Place(number) for number in fault.members]
        others = [Place(number) for number in range(count) if number not in fault.members]
        match fault.kind:
            case Kind.PARTITION:  # labs reach both sides of it; who is cut off together stays together
                return both_ways(hit, others)
            case Kind.ONE_WAY:
                return [Link(one, other) for one in hit for other in map(Place, range(count)) if one != other]
            case _:
                return both_ways(hit, [*map(Place, range(count)), outside_of(count)])

    async def _kill(self, fault: Fault) -> None:
        for number in fault.members:
            await asyncio.to_thread(self.network.kill, number)
            self.filled.discard(number)
        await asyncio.sleep(fault.seconds)
        for number in fault.members:
            await self.start(number)

    @contextlib.contextmanager
    def _ailing(self, fault: Fault) -> Iterator[None]:
        for number in fault.members:
            match fault.kind:
                case Kind.FREEZE:
                    self.network.freeze(number)
                case Kind.SLOW_DISK:
                    self.ailments[number].disk_delay_ms = fault.strength
                case _:
                    self.ailments[number].clock_offset_ms = fault.strength
        try:
            yield
        finally:
            for number in fault.members:
                self.network.thaw(number)
                self.ailments[number].disk_delay_ms = self.ailments[number].clock_offset_ms = 0

    async def _fill_disk(self, fault: Fault) -> None:
        """Let no file of a node grow, until it ends over that or until the time is over."""
        for number in fault.members:
            home, pid = Path(self.network.nodes[number].home), self.network.pid(number)
            size = (home / "err.log").stat().st_size + ROOM_FOR_WORDS_BYTES
            if pid is not None and self.network.is_running(number):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        await asyncio.sleep(fault.seconds)
        for number in fault.members:
            pid = self.network.pid(number)
            if pid is not None and self.network.is_running(number):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                self.filled.add(number)
            else:
                await self._raise_up(number, may_be_full=True)

    async def raise_up_all(self) -> None:
        """Start again whoever ended by itself, and note that it did."""
        for number in range(len(self.network.nodes)):
            if not self.network.is_running(number):
                await self._raise_up(number, may_be_full=number in self.filled)

    async def _raise_up(self, number: int, *, may_be_full: bool) -> None:
        code, words = await asyncio.to_thread(self.network.reap, number), self.network.last_words(number)
        if not may_be_full or code != Exit.CONDITION or f"[{Code.DISK_FULL.value}]" not in words:
            self.violations[f"{self.network.nodes[number].id} ended with exit code {code}: {words}"] = None
        self.filled.discard(number)
        await self.start(number)


def ailments_path(network: Network, number: int) -> Path:
    """Say where a node's ailments are set."""
    return Path(network.nodes[number].home) / "ailments"


def _conditions(fault: Fault) -> Conditions:
    match fault.kind:
        case Kind.PARTITION | Kind.ONE_WAY:
            return Conditions(is_cut=True)
        case Kind.HALF_OPEN:
            return Conditions(is_swallowed=True)
        case Kind.THROTTLE:
            return Conditions(rate_bytes=fault.strength)
        case Kind.LOSS:
            return Conditions(loss_percent=fault.strength)
        case _:
            return Conditions(delay_ms=fault.strength, jitter_ms=fault.strength)
