"""A node killed while it writes comes back to the same ledger, and says nothing twice; all points: `scripts/crash`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devnet.network import Network
from node.consensus.messages import VoteKind
from node.failpoints import POINTS
from tests.network.conftest import AURELIA
from tests.network.kill_points import EVERY, Case, Kill, kill_migrating, kill_running
from tests.network.remains import Said, assert_consistent
from tests.network.submitters import Submitter

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


@pytest.fixture
def case(network: Network, tmp_path: Path) -> Iterator[Case]:
    submitter = Submitter(network, AURELIA)
    with submitter.at_work():
        yield Case(network, tmp_path)
    assert not submitter.problems, submitter.problems


@pytest.mark.parametrize("kill", [Kill("votes.torn", 3, "torn=40"), Kill("block.rows", 2)], ids=str)
def test_a_node_killed_while_it_writes_comes_back_and_contradicts_nothing_it_said(case: Case, kill: Kill) -> None:
    kill_running(case, kill)


def test_a_node_killed_while_its_old_database_is_brought_up_comes_back_with_all_it_had(case: Case) -> None:
    kill_migrating(case, Kill("schema.table", 2))


def test_every_point_of_the_code_is_one_at_which_the_harness_kills() -> None:
    files = (path for room in ("node", "tlog") for path in Path(room).glob("*.py"))
    product = "".join(path.read_text(encoding="utf-8") for path in files)
    for point in POINTS:
        name, _, moment = point.partition(".")
        assert f'reach("{point}"' in product or (f'_transaction("{name}")' in product and f".{moment}" in product)
    assert {kill.point for kill in EVERY} == set(POINTS)


@pytest.mark.parametrize(
    "said",
    [
        [(1, 5, NOTARIZE, b"x"), (1, 5, NOTARIZE, b"y")],
        [(1, 5, NULLIFY, b""), (1, 5, FINALIZE, b"x")],
        [(1, 5, NOTARIZE, b"x"), (1, 5, FINALIZE, b"y")],
    ],
)
def test_a_contradiction_between_two_lives_of_a_node_is_noticed(said: list[Said]) -> None:
    with pytest.raises(AssertionError):
        assert_consistent(said)
