"""One plan run at one level, and what came of it as plain values; whatever goes wrong is a violation with its trace."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.cores.level import Cores
from tests.simulation.nodes.level import Nodes
from tests.simulation.plan import Plan
from tests.simulation.simulation import Level, Simulation

LEVELS: dict[str, Callable[[], Level]] = {"cores": Cores, "nodes": Nodes}


@dataclass(frozen=True)
class Result:
    """What one run came to; every part of it is the same whenever the plan is run again."""

    seed: int
    violation: str | None
    trace: str
    lines: tuple[str, ...]
    height: int
    entries: int
    acknowledged: int
    steps: int
    virtual_ms: int
    messages: int
    happened: Counter[str]


def run_plan(plan: Plan, level: str, *, kept_lines: int = 0) -> Result:
    """Run it; an error of the node's own, an assertion among them, is a violation as much as what a checker raises."""
    simulation = Simulation(plan, LEVELS[level](), kept_lines=kept_lines)
    violation: str | None = None
    try:
        simulation.run()
    except Exception as error:  # noqa: BLE001  # whatever it is, no node may do it
        violation = f"{type(error).__name__}: {error}"
    outcome = simulation.outcome()
    return Result(
        seed=plan.seed,
        violation=violation,
        trace=outcome.trace,
        lines=tuple(simulation.trace.lines),
        height=outcome.height,
        entries=outcome.entries,
        acknowledged=outcome.acknowledged,
        steps=outcome.steps,
        virtual_ms=outcome.virtual_ms,
        messages=simulation.network.carried,
        happened=outcome.happened,
    )
