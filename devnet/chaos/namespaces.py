"""Nodes in network namespaces of their own, joined by a switch in this process: real packets that really get lost.

Linux only, as root, with `ip` (iproute2) and /dev/net/tun; nothing else is needed of the machine, no netem either.
Namespaces are called `counterseal-<network>-<node>` and are deleted at the end. Addresses are of 198.18.0.0/15, which
is set aside for tests of networks (RFC 2544 §C.2.2): the nodes' from .1 on, this process's own, for labs, after them.
"""

import contextlib
import fcntl
import os
import random
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from devnet.chaos.switch import Switch
from devnet.chaos.weather import Link, Place, Weather, outside_of
from devnet.network import make_place
from ledger.errors import Code, ConditionError

PORTS: Final = (7301, 7302, 7303, 7304)
NETWORKS_MAX: Final = 256
_TUN: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA  # linux/if_tun.h
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000


class NamespacedGround:
    """Nodes in namespaces of their own; see `devnet.chaos.switch`."""

    title = "each node in a network namespace, joined by a packet switch"
    dialled: Mapping[str, Mapping[str, str]] = {}

    def __init__(self, root: Path, names: Sequence[str], addresses: Sequence[str], switch: Switch) -> None:
        self._names, self._switch = names, switch
        self.places = [make_place(root, number, addresses[number], PORTS) for number in range(len(names))]
        self.lab_urls = [f"grpc://{place.public}" for place in self.places]

    def inside(self, number: int) -> Sequence[str]:
        """Enter a node's namespace, and become the command."""
        return ("ip", "netns", "exec", self._names[number])

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry while the block lasts."""
        async with self._switch.running():
            yield

    def reset(self, links: Sequence[Link]) -> int:
        """Break connections that use these links."""
        return self._switch.reset(links)

    def tear(self, links: Sequence[Link]) -> int:
        """Break them in the middle of what they carry."""
        return self._switch.tear(links)

    def tell(self) -> str:
        """Say what was carried."""
        counts = self._switch.counts
        return (
            f"{counts['packets carried']} packets, {counts['bytes carried'] // 1000} kB;"
            f" {counts['packets lost']} packets lost"
        )


@contextlib.contextmanager
def open_namespaces(root: Path, count: int, weather: Weather, draw: random.Random) -> Iterator[NamespacedGround]:
    """Make namespaces and devices for so many nodes; all are gone when the block ends.

    Raises:
        ConditionError: this machine does not let this process.
    """
    with contextlib.ExitStack() as stack:
        network = _take_network(stack)
        names = [_name(network, number) for number in range(count)]
        for name in names[1:]:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
        addresses = [f"198.18.{network}.{number + 1}" for number in range(count + 1)]
        devices = {}
        for number, address in enumerate(addresses):
            device = f"cs{network}n{number}"
            devices[Place(number)] = _open_device(stack, device)
            within: tuple[str, ...] = ()
            if number < count:
                _ip("link", "set", device, "netns", names[number])
                within = ("-netns", names[number])
                _ip(*within, "link", "set", "lo", "up")
            _ip(*within, "address", "add", f"{address}/24", "dev", device)
            _ip(*within, "link", "set", device, "up")
        assert outside_of(count) in devices
        places = {Place(number): address for number, address in enumerate(addresses)}
        yield NamespacedGround(root, names, addresses, Switch(weather, draw, devices, places))


def _take_network(stack: contextlib.ExitStack) -> int:
    """Take the first number whose first namespace nobody else has made."""
    for network in range(NETWORKS_MAX):
        try:
            _ip("netns", "add", _name(network, 0))
        except ConditionError as error:
            if "File exists" not in str(error):
                raise
        else:
            stack.callback(_ip, "netns", "delete", _name(network, 0))
            return network
    raise ConditionError(field="namespaces", found=f"{NETWORKS_MAX} networks", expected="one that is free")


def _name(network: int, number: int) -> str:
    return f"counterseal-{network}-{number}"


def _open_device(stack: contextlib.ExitStack, name: str) -> int:
    try:
        device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
        stack.callback(os.close, device)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        found = error.strerror or "an error"
        raise ConditionError(field=str(_TUN), found=found, expected="a device", code=Code.CONFIG) from error
    return device


def _ip(*words: str) -> None:
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)  # noqa: S603, S607
    except OSError as error:
        found = error.strerror or "an error"
        raise ConditionError(field="ip", found=found, expected="iproute2", code=Code.CONFIG) from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["nothing"])[-1]
        raise ConditionError(field=f"ip {' '.join(words)}", found=said, expected="done", code=Code.CONFIG) from error
