"""The weather between places: what happens now to what one sends to another, link by link and direction by direction.

A place is a node, by its number, or the outside world where labs are (`outside_of`). What begins is ended by its token;
what is under way at once on a link adds up. Nothing here touches a socket: the proxy (`devnet.chaos.proxy`) and the
packet switch (`devnet.chaos.switch`) ask before they carry anything, and each says what the words mean for it.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NewType

Place = NewType("Place", int)
"""A node's number, or that of the outside world."""


@dataclass(frozen=True, slots=True)
class Link:
    """One direction between two places."""

    sender: Place
    receiver: Place


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happens on a link.

    Attributes:
        delay_ms: added to everything.
        jitter_ms: at most so much more, drawn anew each time.
        loss_percent: of the packets.
        rate_bytes: that pass in a second; None is no bound.
        is_cut: nothing passes. A stream is held back and goes on afterwards, as TCP repeats; packets are lost.
        is_swallowed: what is sent is taken and never arrives, as with a host that died without a word.
    """

    delay_ms: int = 0
    jitter_ms: int = 0
    loss_percent: int = 0
    rate_bytes: int | None = None
    is_cut: bool = False
    is_swallowed: bool = False

    def and_also(self, other: "Conditions") -> "Conditions":
        """Both at once."""
        rates = [rate for rate in (self.rate_bytes, other.rate_bytes) if rate is not None]
        return Conditions(
            delay_ms=self.delay_ms + other.delay_ms,
            jitter_ms=self.jitter_ms + other.jitter_ms,
            loss_percent=min(100, self.loss_percent + other.loss_percent),
            rate_bytes=min(rates, default=None),
            is_cut=self.is_cut or other.is_cut,
            is_swallowed=self.is_swallowed or other.is_swallowed,
        )


FAIR: Final = Conditions()


class Weather:
    """The conditions on all links now."""

    def __init__(self) -> None:
        self._under_way: dict[int, tuple[frozenset[Link], Conditions]] = {}
        self._tokens = itertools.count()
        self._now: dict[Link, Conditions] = {}
        self._changed = asyncio.Event()

    def at(self, link: Link) -> Conditions:
        """Say what happens on a link now."""
        return self._now.get(link, FAIR)

    def begin(self, links: Iterable[Link], conditions: Conditions) -> int:
        """Let something begin; returns the token that ends it."""
        token = next(self._tokens)
        self._under_way[token] = frozenset(links), conditions
        self._change()
        return token

    def end(self, token: int) -> None:
        """Let it end."""
        del self._under_way[token]
        self._change()

    def clear(self) -> None:
        """Let everything end."""
        self._under_way.clear()
        self._change()

    async def wait_until(self, link: Link, is_so: Callable[[Conditions], bool]) -> None:
        """Return when something holds for the conditions of a link."""
        while not is_so(self.at(link)):
            await self._changed.wait()

    def _change(self) -> None:
        self._now.clear()
        for links, conditions in self._under_way.values():
            for link in links:
                self._now[link] = self.at(link).and_also(conditions)
        self._changed.set()  # wakes everybody who waits now; who waits later waits for the next change
        self._changed = asyncio.Event()


def outside_of(node_count: int) -> Place:
    """The place of labs and observers beside so many nodes."""
    return Place(node_count)


def both_ways(some: Iterable[Place], others: Iterable[Place]) -> list[Link]:
    """Every link between two groups, in both directions."""
    pairs = list(itertools.product(list(some), list(others)))
    return [Link(a, b) for a, b in pairs if a != b] + [Link(b, a) for a, b in pairs if a != b]


def is_passable(conditions: Conditions) -> bool:
    """Say whether anything passes now; what is swallowed does, as far as its sender knows."""
    return not conditions.is_cut


def is_heard(conditions: Conditions) -> bool:
    """Say whether what passes arrives."""
    return not conditions.is_swallowed
