"""What the simulator found, each as the plan that showed it; every one runs in the default suite, at its level.

A plan here was shrunk (`scripts/simulate` prints it), and stays as it is: what it found must not come back.
"""

from dataclasses import dataclass

from tests.simulation.plan import Plan


@dataclass(frozen=True)
class Regression:
    """One finding.

    Attributes:
        found: what went wrong, and why.
        level: where it shows.
        plan: what showed it.
    """

    found: str
    level: str
    plan: Plan


REGRESSIONS: dict[str, Regression] = {}
