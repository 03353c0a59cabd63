"""Who joins if everybody's condition is taken at its word: the greatest fixed point of conditional accessions.

1. At first everybody who would join is in.
2. Whoever's condition the others that are in do not meet goes out; and again, until nobody has to go.

A condition that some set meets is met by every larger one, so who is out would not be in by any other order, and what
remains is the largest set whose every member's condition the set itself meets: it holds every such set. In particular A
if B, B if C and C if A all join, though none of them would be the first to go in alone.
"""

from collections.abc import Mapping
from typing import Protocol


class Condition(Protocol):
    """On what somebody joins: all of `nations` do, and `nations_min` in all, itself included."""

    @property
    def nations(self) -> tuple[str, ...]:
        """Who must join too."""

    @property
    def nations_min(self) -> int:
        """How many must join in all."""


def compute_joined(conditions: Mapping[str, Condition]) -> tuple[str, ...]:
    """Give those who join, in ascending order. The work grows with the length of all conditions, not with its square.

    Args:
        conditions: by who would join.
    """
    joined = dict(conditions)
    waiting_for: dict[str, list[str]] = {}
    for party, condition in conditions.items():
        for other in condition.nations:
            waiting_for.setdefault(other, []).append(party)
    leaving = [party for other, parties in waiting_for.items() if other not in joined for party in parties]
    modest_first = sorted(conditions, key=lambda party: conditions[party].nations_min)
    while True:
        while leaving:
            party = leaving.pop()
            if joined.pop(party, None) is not None:
                leaving += waiting_for.get(party, ())
        while modest_first and modest_first[-1] not in joined:
            modest_first.pop()
        if not modest_first or conditions[modest_first[-1]].nations_min <= len(joined):
            return tuple(sorted(joined))
        leaving.append(modest_first.pop())
