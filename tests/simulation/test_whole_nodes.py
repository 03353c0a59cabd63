"""Whole nodes on virtual time: safety for any seed, progress once faults stop, and every run the same again."""

import pytest

from tests.simulation.elsewhere import run_under_two_hash_seeds
from tests.simulation.hunting import hunt, pass_control
from tests.simulation.nodes.level import Nodes
from tests.simulation.nodes.mutants import NODE_MUTANTS
from tests.simulation.plan import draw_plan
from tests.simulation.simulation import Simulation

QUICK = [name for name, mutant in NODE_MUTANTS.items() if mutant.is_quick]


@pytest.mark.parametrize("seed", range(8))
def test_whole_nodes_agree_whatever_happens_and_go_on_when_it_is_over(seed: int) -> None:
    outcome = Simulation(draw_plan(seed), Nodes()).run()
    assert outcome.height > 3
    assert outcome.acknowledged > 0
    assert outcome.happened["beacon of round 0"] > 0


@pytest.mark.parametrize(
    "name", [name for name, mutant in NODE_MUTANTS.items() if mutant.is_quick and not mutant.behind]
)
def test_a_mutant_of_the_node_is_caught_by_a_seed_that_the_code_itself_passes(name: str) -> None:
    """The check on the checkers, the simulated disk and the attackers; all of them: `scripts/simulate --mutants`."""
    assert hunt(NODE_MUTANTS[name], seeds_max=1).caught_by is not None
    pass_control(NODE_MUTANTS[name], seeds=1)


def test_a_run_of_whole_nodes_does_not_depend_on_the_order_of_hash_tables() -> None:
    traces = run_under_two_hash_seeds("nodes.level.Nodes", "draw_plan(3)")
    assert traces[0] == traces[1]
    assert len(traces[0]) > 60
