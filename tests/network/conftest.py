"""One network of four real nodes for all tests here: founded with every obstacle in the way, and then kept running.

Founding is told in `Founding`, so that its tests need no network of their own. A test that stops or harms a node brings
it back before it ends.
"""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devnet.network import Network, Waiting, wait_until
from tests.network.parties import home_of, make_terms

AURELIA, BOREALIS, CIMBRIA, DACIA = range(4)


@dataclass
class Founding:
    """What was seen while the network was founded.

    Attributes:
        told_of_other_draft: what a founder with another draft and one with the right one wrote.
        told_of_late: what those who were there wrote while one was not.
        killed_with: messages that the killed founder had kept, before and after its restart.
        was_founded_when_killed: whether it was too late to kill it.
    """

    told_of_other_draft: dict[int, str] = field(default_factory=dict)
    told_of_late: str = ""
    killed_with: list[bytes] = field(default_factory=list)
    was_founded_when_killed: bool = True
    fingerprints: list[str] = field(default_factory=list)


@dataclass
class Running:
    """The network and how it came to be."""

    network: Network
    founding: Founding


def written(network: Network, number: int, name: str = "err.log") -> str:
    path = Path(network.nodes[number].home) / name
    return path.read_text(errors="replace") if path.exists() else ""


def height_of(network: Network, number: int) -> int:
    status = network.status(number)
    return -1 if status is None else status.height


def wait_for_height(network: Network, number: int, height: int, within_s: float = 90.0) -> None:
    wait_until(lambda: height_of(network, number) >= height, Waiting(f"height {height} of node {number}", within_s))


def wait_for_text(network: Network, number: int, text: str, within_s: float = 90.0) -> None:
    wait_until(lambda: text in written(network, number), Waiting(f"{text!r} of node {number}", within_s))


def ceremony_messages(network: Network, number: int) -> bytes:
    logs = [path.read_bytes() for path in sorted(home_of(network, number).ceremony.glob("*.log"))]
    return max(logs, key=len, default=b"")


def start_with_draft(network: Network, number: int, draft: bytes) -> None:
    """Start a founder with a draft of its own."""
    right = network.root / "charter.toml"
    kept = right.read_bytes()
    right.write_bytes(draft)
    try:
        network.start(number)
        drafted = home_of(network, number).draft
        wait_until(lambda: drafted.exists() and drafted.read_bytes() == draft, Waiting("a draft taken over", 30))
    finally:
        right.write_bytes(kept)


def found_with_obstacles(network: Network) -> Founding:
    """Found the ledger: one founder has another draft, comes late with the right one, and another is killed midway."""
    seen = Founding()
    draft = (network.root / "charter.toml").read_bytes()
    for number in (AURELIA, BOREALIS, CIMBRIA):
        start_with_draft(network, number, draft)
    start_with_draft(network, DACIA, draft.replace(b'title = "Network"', b'title = "Another"'))
    for number in (DACIA, AURELIA):
        wait_for_text(network, number, "the same draft?")
        seen.told_of_other_draft[number] = written(network, number)
    network.kill(DACIA)
    seen.told_of_late = written(network, AURELIA)
    network.start(DACIA)
    killed = home_of(network, BOREALIS)
    end = time.monotonic() + 60
    while not ceremony_messages(network, BOREALIS):  # without a pause, to be there early
        assert time.monotonic() < end, network.last_words(BOREALIS)
    pid = int((killed.root / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)  # nothing more is said, so whatever comes now is midway
    seen.was_founded_when_killed = killed.is_founded
    seen.killed_with.append(ceremony_messages(network, BOREALIS))
    network.kill(BOREALIS)
    network.start(BOREALIS)
    for number in range(4):
        network.wait_ready(number)
        wait_for_height(network, number, 2)
    seen.killed_with.append(ceremony_messages(network, BOREALIS))
    seen.fingerprints = [written(network, number, "out.log").split()[-1] for number in range(4)]
    return seen


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    network = Network.create(tmp_path_factory.mktemp("network"), 4, make_terms)
    with network.running():
        founding = found_with_obstacles(network)
        yield Running(network, founding)
        assert not any("Traceback" in written(network, number) for number in range(4))


@pytest.fixture
def network(running: Running) -> Iterator[Network]:
    yield running.network
    for number in range(4):
        assert running.network.is_running(number), running.network.last_words(number)
