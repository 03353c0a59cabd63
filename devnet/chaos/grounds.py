"""Where the nodes of a chaotic network stand, and what carries what they say to each other."""

import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from devnet.chaos.namespaces import open_namespaces
from devnet.chaos.proxy import Door, Proxy
from devnet.chaos.weather import Link, Place, Weather, outside_of
from devnet.network import NodePlace, find_places
from ledger.errors import ConditionError


class Ground(Protocol):
    """What a campaign needs of it.

    Attributes:
        title: what it is, in a few words.
        places: of the nodes.
        dialled: by node, at which addresses it dials the others, where these are not their own.
        lab_urls: where labs reach each node.
    """

    @property
    def title(self) -> str: ...  # noqa: D102  # the class says it

    @property
    def places(self) -> Sequence[NodePlace]: ...  # noqa: D102

    @property
    def dialled(self) -> Mapping[str, Mapping[str, str]]: ...  # noqa: D102

    @property
    def lab_urls(self) -> Sequence[str]: ...  # noqa: D102

    def inside(self, number: int) -> Sequence[str]:
        """Words before a command that is to run where this node is."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Carry while the block lasts."""

    def reset(self, links: Sequence[Link]) -> int:
        """Break connections that use these links; returns how many."""

    def tear(self, links: Sequence[Link]) -> int:
        """Break them in the middle of what they carry; returns how many."""

    def tell(self) -> str:
        """Say what was carried, and what became of it."""


class GroundKind(StrEnum):
    """What to stand on."""

    BEST = "best"
    NAMESPACES = "namespaces"
    PROXY = "proxy"


@contextlib.asynccontextmanager
async def open_ground(
    kind: GroundKind, root: Path, count: int, weather: Weather, draw: random.Random
) -> AsyncIterator[Ground]:
    """Open what is asked for, or the best that this machine lets this process; it carries from now on.

    Raises:
        ConditionError: namespaces are asked for, and this machine does not let this process.
    """
    ground: Ground
    with contextlib.ExitStack() as stack:
        try:
            if kind is GroundKind.PROXY:
                ground = ProxiedGround(root, count, weather, draw)
            else:
                ground = stack.enter_context(open_namespaces(root, count, weather, draw))
        except ConditionError as error:
            if kind is GroundKind.NAMESPACES:
                raise
            ground = ProxiedGround(root, count, weather, draw)
            ground.title += f" (no namespaces: {error})"
        async with ground.running():
            yield ground


class ProxiedGround:
    """Loopback: nodes and labs reach each other through the doors of a proxy; see `devnet.chaos.proxy`."""

    title = "loopback, through a fault-injecting proxy"

    def __init__(self, root: Path, count: int, weather: Weather, draw: random.Random) -> None:
        self._proxy = Proxy(weather, draw)
        self.places = find_places(root, count)
        outside = outside_of(count)
        between: dict[tuple[int, int], Door] = {}
        entrances: list[Door] = []
        for called, place in enumerate(self.places):
            for caller in range(count):
                if caller != called:
                    between[caller, called] = self._make_door(Place(caller), Place(called), place.peer)
            entrances.append(self._make_door(outside, Place(called), place.public))
        self.dialled = {
            place.id: {self.places[called].id: door.address for (by, called), door in between.items() if by == caller}
            for caller, place in enumerate(self.places)
        }
        self.lab_urls = [f"grpc://{door.address}" for door in entrances]

    def _make_door(self, caller: Place, called: Place, target: str) -> Door:
        door = self._proxy.make_door(caller, called)
        self._proxy.lead(door, target)
        return door

    def inside(self, number: int) -> Sequence[str]:  # noqa: ARG002  # all nodes are in one place
        """Nothing: they are on this machine."""
        return ()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry while the block lasts."""
        async with self._proxy.running():
            yield

    def reset(self, links: Sequence[Link]) -> int:
        """Break connections that use these links."""
        return self._proxy.reset(links)

    def tear(self, links: Sequence[Link]) -> int:
        """Break them in the middle of what they carry."""
        return self._proxy.tear(links)

    def tell(self) -> str:
        """Say what was carried."""
        counts = self._proxy.counts
        return (
            f"{counts['connections']} connections, {counts['broken']} broken; {counts['bytes carried'] // 1000} kB,"
            f" {counts['bytes swallowed'] // 1000} kB swallowed, {counts['segments lost']} segments lost"
        )
