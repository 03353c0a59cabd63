"""Every named scenario is survived, and every mutant is caught: the simulator bites.

All seeds and all mutants: `scripts/simulate --scenario NAME`, `scripts/simulate --mutants`.
"""

import pytest

from tests.simulation.hunting import hunt
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenarios import SCENARIOS

QUICK_SEEDS = 2
QUICK = [name for name, mutant in MUTANTS.items() if mutant.is_quick and not mutant.behind]
CONTROLLED = {MUTANTS[name].scenario for name in QUICK}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_named_scenario_is_survived(name: str) -> None:
    for seed in range(QUICK_SEEDS if name in CONTROLLED else 1):
        assert SCENARIOS[name].run(seed).height > 0


@pytest.mark.parametrize("name", QUICK)
def test_a_mutant_is_caught_within_two_seeds_that_the_code_itself_passes(name: str) -> None:
    assert hunt(MUTANTS[name], seeds_max=QUICK_SEEDS).caught_by is not None


@pytest.mark.parametrize("name", [name for name, mutant in MUTANTS.items() if mutant.behind])
def test_a_mutant_that_another_layer_protects_is_told_with_it_and_passes(name: str) -> None:
    assert hunt(MUTANTS[name], seeds_max=1).caught_by is None


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_says_what_happens_in_a_sentence(name: str) -> None:
    assert SCENARIOS[name].says.endswith((".", ")"))
