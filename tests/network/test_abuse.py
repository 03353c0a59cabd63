"""Every kind of attack of `devnet.attacks` for a moment: nothing ends, memory stays bounded, the others are sealed."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from devnet.abuse import Resources
from devnet.attacks import ATTACKED, ATTACKS, BEGINS, MEMBER
from devnet.network import Network, Waiting, wait_until
from ledger.errors import Code
from node.operating import OperatorClient
from tests.network.conftest import CIMBRIA
from tests.network.parties import Caller, calling, home_of, nation_of

SECONDS = 4
MEMORY_MIB_MAX = 300  # what all attacks of a kind at once may add
OF_STRANGERS = [name for name in ATTACKS if not name.startswith("member-")]
OF_MEMBERS = [name for name in ATTACKS if name.startswith("member-")]


@contextmanager
def attacking(network: Network, names: Sequence[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "devnet.attacks", *names, "--root", str(network.root), "--seconds", str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            assert attacker.stdout is not None
            assert attacker.stdout.readline().strip() == BEGINS
            yield
            assert attacker.wait(120) == 0
        finally:
            attacker.kill()


def refused_of_member(network: Network) -> dict[str, int]:
    client = OperatorClient(home_of(network, ATTACKED).root / "operator.sock")
    peer = next(peer for peer in client.peers().peers if peer.member == MEMBER + 1)
    return {counter.name: counter.value for counter in peer.refused}


@pytest.mark.parametrize("names", [OF_STRANGERS, OF_MEMBERS], ids=["strangers", "members"])
def test_whatever_is_thrown_at_a_node_the_others_are_sealed_and_nothing_ends(
    network: Network, names: list[str]
) -> None:
    pid = network.pid(ATTACKED)
    assert pid is not None
    before = Resources.of(pid)
    with attacking(network, names):
        for number in (ATTACKED, CIMBRIA):
            with calling(network.nodes[number].public) as channel:
                caller = Caller(channel)
                nation = caller.take_place(nation_of(network, CIMBRIA))
                name = f"lab-under-{names[0]}-{number}"
                assert caller.submit(nation.note(nation.register(name)), timeout_s=90).sealed
    assert network.pid(ATTACKED) == pid
    assert Resources.of(pid).rss_mib - before.rss_mib < MEMORY_MIB_MAX
    wait_until(lambda: Resources.of(pid).files_count < before.files_count + 100, Waiting("descriptors back", 60))


def test_what_a_member_throws_is_counted_against_it(network: Network) -> None:
    before = refused_of_member(network)
    with attacking(network, ["member-garbage"]):
        pass
    after = refused_of_member(network)
    assert after.get(Code.WRONG_LEDGER, 0) > before.get(Code.WRONG_LEDGER, 0)
