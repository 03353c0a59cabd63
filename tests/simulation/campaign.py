"""Many seeds, on as many processors as are given, and one table of what they came to."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tests.simulation.plan import Plan
from tests.simulation.runs import Result, run_plan

MakePlan = Callable[[int], Plan]
MS_AN_HOUR = 3_600_000


@dataclass
class Summary:
    """Everything added up."""

    seeds: int = 0
    failed: list[Result] = field(default_factory=list)
    blocks: int = 0
    entries: int = 0
    acknowledged: int = 0
    steps: int = 0
    messages: int = 0
    virtual_ms: int = 0
    seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    runs_with: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        """Count one run."""
        self.seeds += 1
        self.blocks += result.height
        self.entries += result.entries
        self.acknowledged += result.acknowledged
        self.steps += result.steps
        self.messages += result.messages
        self.virtual_ms += result.virtual_ms
        self.happened.update(result.happened)
        self.runs_with.update(result.happened.keys())
        if result.violation is not None:
            self.failed.append(result)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Give the table: what, and how much."""
        hours, seconds = self.virtual_ms / MS_AN_HOUR, max(self.seconds, 1e-9)
        yield "seeds", f"{self.seeds}"
        yield "violations", f"{len(self.failed)}"
        yield "simulated hours", f"{hours:.2f}"
        yield "real seconds", f"{self.seconds:.1f}"
        yield "simulated hours a second", f"{hours / seconds:.4f}"
        yield "steps", f"{self.steps}"
        yield "steps a second", f"{self.steps / seconds:.0f}"
        yield "messages delivered", f"{self.messages}"
        yield "blocks final", f"{self.blocks}"
        yield "entries final", f"{self.entries}"
        yield "entries acknowledged", f"{self.acknowledged}"
        for kind in sorted(self.happened):
            yield kind, f"{self.happened[kind]} in {self.runs_with[kind]} runs"


def run_campaign(
    make_plan: MakePlan, seeds: Iterable[int], level: str, *, jobs: int, on_result: Callable[[Result], None]
) -> Summary:
    """Run every seed; a violation does not end the campaign."""
    summary, began_s = Summary(), time.perf_counter()
    for result in _results(partial(_run_seed, make_plan, level), seeds, jobs=jobs):
        summary.add(result)
        summary.seconds = time.perf_counter() - began_s
        on_result(result)
    return summary


def _run_seed(make_plan: MakePlan, level: str, seed: int) -> Result:
    return run_plan(make_plan(seed), level)


def _results(run: Callable[[int], Result], seeds: Iterable[int], *, jobs: int) -> Iterator[Result]:
    if jobs == 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        yield from pool.map(run, seeds)
