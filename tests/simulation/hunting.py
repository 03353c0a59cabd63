"""Does the simulator bite: each mutant is this very code with one protection switched off, and must be caught.

A mutant replaces named functions of the real code while it runs, in this process alone; the code itself has no switch.
It is run under the scenario that is meant to catch it, seed after seed, until an invariant is violated or the ledger
fails to go on. A mutant that survives its seeds means a weak simulator, or a protection that another one makes
redundant: those are in the table too, with the layer behind them, and a mutant beside them that takes both away.

`scripts/simulate --mutants` runs a level's table and prints what caught each: `tests.simulation.mutants` for the core,
`tests.simulation.nodes.mutants` for what lies around it.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.simulation.checkers.checker import require
from tests.simulation.runs import run_plan
from tests.simulation.scenarios import SCENARIOS

Patch = tuple[Any, str, Callable[..., Any]]  # any class or module
"""Where, which function, and what stands in its place."""

SEEDS_MAX: Final = 20


@dataclass(frozen=True)
class Mutant:
    """The code with one protection switched off.

    Attributes:
        lacks: the protection, by the numbers of docs/consensus.md where it has one.
        patches: what is replaced.
        scenario: by name, under which it must be caught.
        behind: why it is not caught: the layer that protects as well. Empty for all that must be caught.
        is_quick: one of those that every run of the tests tries.
        level: at which it is run.
    """

    lacks: str
    patches: tuple[Patch, ...]
    scenario: str
    behind: str = ""
    is_quick: bool = True
    level: str = "cores"

    def run(self, seed: int) -> None:
        """Run its scenario, on whatever code there is.

        Raises:
            ViolationError: something happened that must not, or nothing that must.
        """
        scenario = SCENARIOS[self.scenario]
        if self.level == "cores":
            scenario.run(seed)
            return
        violation = run_plan(scenario.make_plan(seed), self.level).violation
        require(violation is None, violation or "")


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: after how many seeds it was caught and by what; None if it was not."""

    seeds: int
    caught_by: str | None


@contextlib.contextmanager
def mutated(patches: tuple[Patch, ...]) -> Iterator[None]:
    """Have functions replaced for a while."""
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    try:
        for owner, name, replacement in patches:
            setattr(owner, name, replacement)
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def hunt(mutant: Mutant, *, seeds_max: int = SEEDS_MAX) -> Verdict:
    """Run a mutant seed after seed until it is caught."""
    with mutated(mutant.patches):
        for seed in range(seeds_max):
            try:
                mutant.run(seed)
            except AssertionError as violation:
                return Verdict(seed + 1, (str(violation) or "an assertion").splitlines()[0][:90])
    return Verdict(seeds_max, None)


def pass_control(mutant: Mutant, *, seeds: int) -> None:
    """Run the code itself through the seeds that a mutant was given.

    Raises:
        ViolationError: it is caught as well, so that the mutant's being caught proves nothing.
    """
    for seed in range(seeds):
        mutant.run(seed)


def hunt_all(mutants: Mapping[str, Mutant], *, seeds_max: int = SEEDS_MAX) -> bool:
    """Run a table, and say what caught each; tells whether all that must be caught were."""
    caught, expected, began_s = 0, 0, time.perf_counter()
    for name, mutant in mutants.items():
        verdict = hunt(mutant, seeds_max=seeds_max)
        pass_control(mutant, seeds=verdict.seeds)
        expected += not mutant.behind
        caught += verdict.caught_by is not None and not mutant.behind
        found = verdict.caught_by or ("survives: " + mutant.behind if mutant.behind else "SURVIVES")
        sys.stdout.write(f"{name:30} {mutant.scenario:29} {verdict.seeds:3} seeds: {found}\n")
        sys.stdout.flush()
    took_s = time.perf_counter() - began_s
    sys.stdout.write(
        f"caught {caught} / {expected} in {took_s:.0f} s, and the code itself passed the same seeds; "
        f"{len(mutants) - expected} more have another layer behind them\n"
    )
    return caught == expected
