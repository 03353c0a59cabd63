"""What happens when, drawn from a seed: the same seed, the same faults. What comes of them depends on real time.

Phases come in turn, without end:

1. *disturbed*: at most f members, `victims`, are stopped, cut off, confused or slowed at a time, one fault each after
   another; mild weather may hit anybody. A quorum is there, so blocks must go on being sealed.
2. *overwhelmed*: more than f members at once, up to all. Nothing needs to go on; nothing wrong may be sealed.

After each there is calm until everybody has caught up, however long that takes (`devnet.chaos.campaign` bounds it), so
that the next phase's f are the only ones disturbed in it.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.limits import CLOCK_AHEAD_MAX_MS

DISTURBED_S: Final = 16.0
OVERWHELMED_S: Final = 8.0
FAULT_MIN_S: Final = 2.0
FAULT_MAX_S: Final = 8.0
PAUSE_MAX_S: Final = 2.0
MILD_COUNT_MAX: Final = 4
OFFSETS_MS: Final = (-20_000, -5_000, -1_500, 1_500, 5_000, 20_000)
assert any(abs(offset) > CLOCK_AHEAD_MAX_MS for offset in OFFSETS_MS)


class Kind(StrEnum):
    """What can happen."""

    KILL = "kill -9, restart"
    FREEZE = "stop, continue"
    FULL_DISK = "full disk, restart"
    SLOW_DISK = "slow disk"
    CLOCK = "clock offset"
    PARTITION = "partition"
    ONE_WAY = "one-way partition"
    HALF_OPEN = "half-open connections"
    THROTTLE = "throttled links"
    DELAY = "delay and jitter"
    LOSS = "packet loss"
    RESET = "connections reset"
    TEAR = "connections torn mid-frame"


SEVERE: Final = (
    Kind.KILL,
    Kind.FREEZE,
    Kind.FULL_DISK,
    Kind.SLOW_DISK,
    Kind.CLOCK,
    Kind.PARTITION,
    Kind.ONE_WAY,
    Kind.HALF_OPEN,
    Kind.THROTTLE,
)
MILD: Final = (Kind.DELAY, Kind.LOSS, Kind.RESET, Kind.TEAR)
MAJORITY: Final = (Kind.KILL, Kind.FREEZE, Kind.SLOW_DISK, Kind.PARTITION, Kind.ONE_WAY, Kind.HALF_OPEN)
"""What hits more than f at once. No wrong clocks: a quorum whose clocks are wrong is the time of the ledger."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that happens.

    Attributes:
        kind: of it.
        begin_s: after the phase began.
        seconds: how long; what happens at once takes none.
        members: numbers of the nodes it happens to.
        strength: milliseconds of delay or offset, percent of loss, bytes a second; 0 where there is no more or less.
    """

    kind: Kind
    begin_s: float
    seconds: float
    members: tuple[int, ...]
    strength: int = 0

    def __str__(self) -> str:
        """One line for who watches."""
        strength = f", {self.strength}" if self.strength else ""
        return f"{self.kind} of {', '.join(map(str, self.members))} for {self.seconds:.1f} s{strength}"


@dataclass(frozen=True, slots=True)
class Phase:
    """Faults that begin and end within one stretch of time.

    Attributes:
        number: from 0.
        is_overwhelming: whether more than f members are hit at once.
        seconds: how long it lasts.
        faults: in the order they begin.
    """

    number: int
    is_overwhelming: bool
    seconds: float
    faults: tuple[Fault, ...]


def make_phases(seed: int, count: int, *, pace: float = 1.0) -> Iterator[Phase]:
    """Draw phases without end.

    Args:
        seed: whatever it is, it decides everything.
        count: how many members there are.
        pace: lengths of phases and faults are multiplied with it.
    """
    draw = random.Random(seed)  # noqa: S311  # chance that has to repeat
    drawn = _Drawn(draw, count, pace, _deal(draw, SEVERE), _deal(draw, MILD), _deal(draw, MAJORITY))
    for number in itertools.count():
        yield drawn.overwhelm(number) if number % 2 else drawn.disturb(number)


def _deal(draw: random.Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    """Give each kind once in chance order, and then all again: a short campaign sees most of them."""
    while True:
        yield from draw.sample(kinds, len(kinds))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What phases are drawn from."""

    draw: random.Random
    count: int
    pace: float
    severe: Iterator[Kind]
    mild: Iterator[Kind]
    majority: Iterator[Kind]

    def disturb(self, number: int) -> Phase:
        draw, pace, seconds = self.draw, self.pace, DISTURBED_S * self.pace
        faults = []
        for victim in draw.sample(range(self.count), _tolerated(self.count)):
            at_s = draw.uniform(0, PAUSE_MAX_S) * pace
            while (left_s := seconds - at_s) >= FAULT_MIN_S * pace:
                lasts_s = min(left_s, draw.uniform(FAULT_MIN_S, FAULT_MAX_S) * pace)
                faults.append(_severe(draw, next(self.severe), at_s, lasts_s, (victim,)))
                at_s += lasts_s + draw.uniform(0, PAUSE_MAX_S) * pace
        for _ in range(draw.randint(1, MILD_COUNT_MAX)):
            members = sorted(draw.sample(range(self.count), draw.randint(1, self.count)))
            faults.append(_mild(draw, next(self.mild), seconds, tuple(members), pace=pace))
        return Phase(number, is_overwhelming=False, seconds=seconds, faults=_in_order(faults))

    def overwhelm(self, number: int) -> Phase:
        draw, seconds = self.draw, OVERWHELMED_S * self.pace
        hit = sorted(draw.sample(range(self.count), draw.randint(_tolerated(self.count) + 1, self.count)))
        groups = [tuple(hit)] if draw.randrange(2) else [(member,) for member in hit]
        faults = [_severe(draw, next(self.majority), 0.0, seconds, members) for members in groups]
        return Phase(number, is_overwhelming=True, seconds=seconds, faults=_in_order(faults))


def _tolerated(count: int) -> int:
    return (count - 1) // 3


def _severe(draw: random.Random, kind: Kind, at_s: float, lasts_s: float, members: tuple[int, ...]) -> Fault:
    strength = 0
    if kind is Kind.CLOCK:
        strength = draw.choice(OFFSETS_MS)
    elif kind is Kind.SLOW_DISK:
        strength = draw.choice((50, 200, 1_000))
    elif kind is Kind.THROTTLE:
        strength = draw.choice((2_000, 20_000))
    return Fault(kind, round(at_s, 3), round(lasts_s, 3), members, strength)


def _mild(draw: random.Random, kind: Kind, seconds: float, members: tuple[int, ...], *, pace: float) -> Fault:
    begin_s = draw.uniform(0, seconds - FAULT_MIN_S * pace)
    if kind in {Kind.RESET, Kind.TEAR}:
        return Fault(kind, round(begin_s, 3), 0.0, members)
    lasts_s = min(seconds - begin_s, draw.uniform(FAULT_MIN_S, FAULT_MAX_S) * pace)
    strength = draw.choice((5, 20, 60)) if kind is Kind.DELAY else draw.choice((1, 2))
    return Fault(kind, round(begin_s, 3), round(lasts_s, 3), members, strength)


def _in_order(faults: list[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.begin_s))
