"""What a cross-check gives: which number was held against what, and how that came out.

- *holds*: nothing to say.
- *unusual*: not impossible, and rare enough that a person should look (a soft check).
- *fails*: cannot be true together with the rest (a hard check).
- *not-comparable*: something that the check needs is not known; `reason` says what.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.errors import shorten

_NAMED_MAX: Final = 3


class Outcome(StrEnum):
    """How a comparison came out."""

    HOLDS = "holds"
    UNUSUAL = "unusual"
    FAILS = "fails"
    NOT_COMPARABLE = "not-comparable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number held against another, or the reason why it could not be.

    Attributes:
        check: name of the check, such as X3.
        subject: whose number: a cluster, a run, a transfer, a lab.
        field: which of its numbers.
        found: what it is; empty if nobody knows.
        expected: what would be right.
        outcome: how it came out.
        reason: why it could not be compared; empty otherwise.
    """

    check: str
    subject: str
    field: str
    found: str
    expected: str
    outcome: Outcome
    reason: str = ""

    def __str__(self) -> str:
        """One readable sentence."""
        if self.outcome == Outcome.NOT_COMPARABLE:
            return f"{self.check} {self.subject} {self.field}: not compared with {self.expected}: {self.reason}"
        return f"{self.check} {self.subject} {self.field}: found {self.found}; expected {self.expected}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a comparison is made: the check, and whose number it looks at."""

    check: str
    subject: str

    def compare(
        self, field: str, found: object, expected: str, *, holds: bool, otherwise: Outcome = Outcome.FAILS
    ) -> Comparison:
        """Say what was compared, and that it holds or else how it came out."""
        return self.state(field, found, expected, Outcome.HOLDS if holds else otherwise)

    def state(self, field: str, found: object, expected: str, outcome: Outcome) -> Comparison:
        """Say what was compared and how it came out."""
        return Comparison(self.check, self.subject, shorten(field), shorten(found), expected, outcome)

    def skip(self, field: str, expected: str, *, reason: str, found: object = "") -> Comparison:
        """Say what could not be compared, and why."""
        found = shorten(found)
        return Comparison(self.check, self.subject, shorten(field), found, expected, Outcome.NOT_COMPARABLE, reason)


def name_some(names: Sequence[str]) -> str:
    """Name the first few, and say how many more there are.

    >>> name_some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    named, more = ", ".join(shorten(name) for name in names[:_NAMED_MAX]), len(names) - _NAMED_MAX
    return f"{named} and {more} more" if more > 0 else named
