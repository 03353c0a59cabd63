"""Real processes that lack the history: gone and begun anew, killed on the way, and equal to the others in the end."""

from devnet.network import Network, Waiting, wait_until
from node.home import STORE_FILE
from tests.network.conftest import AURELIA, CIMBRIA, DACIA, height_of, wait_for_height
from tests.network.parties import home_of
from tests.network.submitters import Submitter, wait_for_more
from tests.network.test_crashes import headers_of, start_again


def test_a_member_without_its_ledger_gets_it_again_though_it_is_killed_on_the_way(network: Network) -> None:
    """The published folder stays, and is ahead of the node for a while; labs file all the time."""
    submitters = [Submitter(network, number) for number in (AURELIA, CIMBRIA)]
    with submitters[0].at_work(), submitters[1].at_work():
        wait_for_more(submitters, 2)
        network.kill(DACIA)
        for left in home_of(network, DACIA).root.glob(f"{STORE_FILE}*"):
            left.unlink()
        network.start(DACIA)
        network.wait_ready(DACIA)
        wait_until(lambda: height_of(network, DACIA) > 0, Waiting("the first blocks", 90))
        network.kill(DACIA)
        start_again(network, DACIA)
        wait_for_more(submitters, 2)
    height = height_of(network, AURELIA)
    wait_for_height(network, DACIA, height)
    assert headers_of(network, DACIA)[: height + 1] == headers_of(network, AURELIA)[: height + 1]
