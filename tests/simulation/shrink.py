"""From a plan that fails to a smaller one that fails in the same way.

A plan is a list of faults and of attackers, and what they draw is drawn from streams of their own, so a plan with some
of them less is nearly the same run. Attackers go first, then halves of the schedule, then quarters, down to single
faults; then what is left is made shorter. Nothing here knows what a fault means.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.simulation.faults import Crash, Fault
from tests.simulation.plan import Plan

Run = Callable[[Plan], str | None]
"""Gives the violation that a plan leads to, or None."""


@dataclass
class Shrinker:
    """Looks for smaller plans, as long as it may."""

    run: Run
    runs_left: int

    def shrink(self, plan: Plan, violation: str) -> Plan:
        """Return the smallest plan found that leads to such a violation."""
        wanted, is_smaller = _kind_of(violation), True
        while is_smaller and self.runs_left > 0:
            is_smaller = False
            for candidate in _candidates(plan):
                if self.runs_left <= 0:
                    break
                self.runs_left -= 1
                found = self.run(candidate)
                if found is not None and _kind_of(found) == wanted:
                    plan, is_smaller = candidate, True
                    break
        return plan


def _kind_of(violation: str) -> str:
    """Say what went wrong without saying to whom and when."""
    return re.sub(r"\d+", "N", violation.split("\n", 1)[0])[:60]


def _candidates(plan: Plan) -> Iterator[Plan]:
    """Give smaller plans, those that promise most first."""
    for index in plan.attackers:
        yield replace(plan, attackers={other: kind for other, kind in plan.attackers.items() if other != index})
    size = len(plan.faults)
    while size > 0:
        for start in range(0, len(plan.faults), size):
            yield replace(plan, faults=plan.faults[:start] + plan.faults[start + size :])
        size //= 2
    for place, fault in enumerate(plan.faults):
        for simpler in _simpler(fault):
            yield replace(plan, faults=(*plan.faults[:place], simpler, *plan.faults[place + 1 :]))
    last_ms = max((fault.at_ms + fault.lasts_ms for fault in plan.faults), default=0) + 500
    if last_ms < plan.faults_ms:
        yield replace(plan, faults_ms=last_ms)


def _simpler(fault: Fault) -> Iterator[Fault]:
    if fault.lasts_ms > 100:
        yield replace(fault, lasts_ms=fault.lasts_ms // 2)
    if isinstance(fault, Crash) and fault.actions > 0:
        yield replace(fault, actions=0)
