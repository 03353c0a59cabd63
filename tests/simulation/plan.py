"""What a run is made of: a schedule of faults and who attacks, drawn from a seed or written by hand.

A plan is plain values. The same plan gives the same run, byte for byte; a plan with a fault less is a plan too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.simulation.attackers.attacker import Attacker
from tests.simulation.attackers.registry import ATTACKERS
from tests.simulation.faults import (
    BadWeather,
    Blackout,
    ClockJump,
    Crash,
    DamagedLog,
    Fault,
    FullDisk,
    LostLog,
    Partition,
    SlowDisk,
    SlowNode,
    UnreadableDisk,
)
from tests.simulation.member import Pace
from tests.simulation.network import Weather

FAULTS_MS: Final = 6_000
RECOVERY_MS: Final = 20_000
SUBMIT_EVERY_MS: Final = 250
SKEW_MS: Final = 200
JUMP_MS: Final = 900  # two clocks set apart by this stay within what a header's time may be ahead


@dataclass(frozen=True)
class Plan:
    """One run."""

    seed: int
    member_count: int = 4
    faults: tuple[Fault, ...] = ()
    attackers: Mapping[int, type[Attacker]] = field(default_factory=dict)
    faults_ms: int = FAULTS_MS
    recovery_ms: int = RECOVERY_MS
    submit_every_ms: int = SUBMIT_EVERY_MS
    pace: Pace = field(default_factory=Pace)
    has_real_keys: bool = False

    def describe(self) -> list[str]:
        """Say in lines what is in it."""
        lines = [f"member {index} attacks: {kind.__name__}" for index, kind in sorted(self.attackers.items())]
        lines += [f"{fault}" for fault in self.faults]
        keys = ", real keys" if self.has_real_keys else ""
        return [f"seed {self.seed}, {self.member_count} members, faults for {self.faults_ms} ms{keys}", *lines]


def tolerated(member_count: int) -> int:
    """Say how many members may be faulty."""
    return (member_count - 1) // 3


def draw_plan(
    seed: int, member_count: int = 4, *, attackers: Sequence[str] | None = None, faults_ms: int = FAULTS_MS
) -> Plan:
    """Compose faults and attackers at random.

    Args:
        seed: of everything that is drawn, also within the run.
        member_count: how many members there are.
        attackers: names to draw attackers from; None for all there are, empty for no attackers.
        faults_ms: how long things go wrong.
    """
    chance = Random(f"plan {seed}")
    names = list(ATTACKERS) if attackers is None else list(attackers)
    drawn: dict[int, type[Attacker]] = {}
    faulty_max = tolerated(member_count)
    attacking = chance.randint(0, faulty_max) if attackers is None else faulty_max
    if names and attacking:
        for index in sorted(chance.sample(range(1, member_count + 1), attacking)):
            drawn[index] = ATTACKERS[chance.choice(names)]
    draw = Draw(chance, member_count, faults_ms, forgetful_max=faulty_max - len(drawn))
    return Plan(seed=seed, member_count=member_count, faults=draw.faults(), attackers=drawn, faults_ms=faults_ms)


class Draw:
    """Draws the faults of one plan."""

    def __init__(self, chance: Random, member_count: int, faults_ms: int, *, forgetful_max: int) -> None:
        self._chance, self._count, self._faults_ms = chance, member_count, faults_ms
        self._forgetful_max = forgetful_max

    def faults(self) -> tuple[Fault, ...]:
        """Draw them all, in order of time."""
        found: list[Fault] = [
            ClockJump(at_ms=0, member=index, offset_ms=self._chance.randint(-SKEW_MS, SKEW_MS))
            for index in range(1, self._count + 1)
        ]
        for draw, most in (
            (self.weather, 3),
            (self.partition, 4),
            (self.crash, 2 + self._count),
            (self.blackout, 1),
            (self.clock_jump, 3),
            (self.slow_disk, 2),
            (self.slow_node, 2),
            (self.full_disk, 1),
            (self.unreadable_disk, 1),
        ):
            found += [draw() for _ in range(self._chance.randint(0, most))]
        if self._forgetful_max > 0 and self._chance.randrange(3) == 0:
            found.append(self.forgetting())
        return tuple(sorted(found, key=lambda fault: fault.at_ms))

    def _at(self) -> int:
        return self._chance.randrange(100, self._faults_ms)

    def _span(self) -> tuple[int, int]:
        at_ms = self._at()
        return at_ms, self._chance.randint(100, max(101, (self._faults_ms - at_ms) // 2 + 100))

    def _member(self) -> int:
        return self._chance.randint(1, self._count)

    def weather(self) -> Fault:
        """Bad or wild."""
        at_ms, lasts_ms = self._span()
        chance = self._chance
        weather = Weather(
            drop_percent=chance.choice((0, 5, 10, 30)),
            repeat_percent=chance.choice((0, 10, 30)),
            garble_percent=chance.choice((0, 0, 0, 2)),
            delay_min_ms=1,
            delay_max_ms=chance.choice((20, 60, 120, 300)),
        )
        return BadWeather(at_ms=at_ms, lasts_ms=lasts_ms, weather=weather)

    def partition(self) -> Fault:
        """Any shape, in one direction or in both."""
        at_ms, lasts_ms = self._span()
        chance, everybody = self._chance, range(1, self._count + 1)
        sides = {index: chance.randrange(2) for index in everybody}
        if chance.randrange(3) == 0:
            lonely = chance.choice(list(everybody))
            sides = {index: int(index == lonely) for index in everybody}
        direction = chance.randrange(3)
        ways = tuple(
            (one, other)
            for one in everybody
            for other in everybody
            if (sides[one] < sides[other] and direction != 1) or (sides[one] > sides[other] and direction != 0)
        )
        return Partition(at_ms=at_ms, lasts_ms=lasts_ms, ways=ways)

    def crash(self) -> Fault:
        """At any action, or within a write."""
        chance = self._chance
        return Crash(
            at_ms=self._at(),
            member=self._member(),
            down_ms=chance.choice((1, 50, 300, 1_000, 2_500)),
            actions=chance.choice((0, 1, 2, 3, 5, 8, 13)),
            torn_percent=chance.randrange(101),
        )

    def blackout(self) -> Fault:
        """Everybody, or a majority."""
        chance = self._chance
        hit = list(range(1, self._count + 1))
        if chance.randrange(2):
            hit = sorted(chance.sample(hit, self._count // 2 + 1))
        down_ms = tuple(chance.randint(1, 1_500) for _ in hit)
        return Blackout(at_ms=self._at(), members=tuple(hit), down_ms=down_ms)

    def clock_jump(self) -> Fault:
        """Forward or back."""
        return ClockJump(at_ms=self._at(), member=self._member(), offset_ms=self._chance.randint(-JUMP_MS, JUMP_MS))

    def slow_disk(self) -> Fault:
        """A little or a lot."""
        at_ms, lasts_ms = self._span()
        disk_ms = self._chance.choice((5, 40, 150))
        return SlowDisk(at_ms=at_ms, lasts_ms=lasts_ms, member=self._member(), disk_ms=disk_ms)

    def slow_node(self) -> Fault:
        """Slower than its timers, at times."""
        at_ms, lasts_ms = self._span()
        work_max_ms = self._chance.choice((20, 150, 400))
        return SlowNode(at_ms=at_ms, lasts_ms=lasts_ms, member=self._member(), work_max_ms=work_max_ms)

    def full_disk(self) -> Fault:
        """For a while."""
        at_ms, lasts_ms = self._span()
        return FullDisk(at_ms=at_ms, lasts_ms=lasts_ms, member=self._member())

    def unreadable_disk(self) -> Fault:
        """For a while."""
        at_ms, lasts_ms = self._span()
        return UnreadableDisk(at_ms=at_ms, lasts_ms=lasts_ms // 4, member=self._member())

    def forgetting(self) -> Fault:
        """A vote log that is gone, or not what it was."""
        at_ms, member, down_ms = self._at(), self._member(), self._chance.randint(1, 1_000)
        if self._chance.randrange(2):
            return LostLog(at_ms=at_ms, member=member, down_ms=down_ms)
        return DamagedLog(at_ms=at_ms, member=member, down_ms=down_ms, at_percent=self._chance.randrange(101))
