"""Named runs: one kind of trouble each, at its worst, from a seed.

`python -m tests.simulation.scenarios NAME --seeds 20` runs one, without NAME all; `SCENARIOS` is the table.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.simulation.attackers.attacker import Attacker
from tests.simulation.attackers.conflicter import Conflicter
from tests.simulation.attackers.equivocating_leader import EquivocatingLeader
from tests.simulation.attackers.forker import InventorOfParents
from tests.simulation.attackers.liar_about_shares import LiarAboutShares
from tests.simulation.attackers.liar_when_asked import LiarWhenAsked
from tests.simulation.attackers.spammer import Spammer
from tests.simulation.attackers.thief import Thief
from tests.simulation.attackers.together import together
from tests.simulation.attackers.withholder import Deserter
from tests.simulation.checkers.checker import require
from tests.simulation.cores.level import Cores
from tests.simulation.cores.member import CoreMember
from tests.simulation.cores.watch import Watch
from tests.simulation.faults import (
    BadWeather,
    Blackout,
    ClockJump,
    Crash,
    Fault,
    LostLog,
    OldLog,
    Partition,
    SlowDisk,
    SlowNode,
)
from tests.simulation.network import Weather
from tests.simulation.plan import FAULTS_MS, Plan, draw_plan
from tests.simulation.simulation import Outcome, Simulation

HOUR_MS: Final = 3_600_000
EVERYBODY: Final = (1, 2, 3, 4)
RAIN: Final = Weather(drop_percent=10, repeat_percent=10, delay_min_ms=1, delay_max_ms=60)
WILD: Final = Weather(drop_percent=30, repeat_percent=30, delay_min_ms=1, delay_max_ms=300)
SLOW: Final = Weather(delay_max_ms=600)
CHECKED_IN_VAIN_MAX: Final = 3 * (3 + 10)  # by three members: as often as is free, then twice as long each time
VIEWS_WASTED_MAX: Final = 3  # when all is well two at most are, while every fourth is if one leader is not heard
COLLUDER: Final = together(EquivocatingLeader, Conflicter, LiarAboutShares, LiarWhenAsked)


@dataclass(frozen=True)
class Scenario:
    """One kind of trouble.

    Attributes:
        says: what happens, in a sentence.
        make_plan: the run of a seed.
        afterwards: what must be true at the end, beside the invariants.
    """

    says: str
    make_plan: Callable[[int], Plan]
    afterwards: Callable[[Simulation], None] | None = None

    def run(self, seed: int) -> Outcome:
        """Run it.

        Raises:
            ViolationError: something happened that must not, or nothing that must.
        """
        simulation = Simulation(self.make_plan(seed), Cores())
        simulation.checkers.add(Watch(simulation.scene))
        outcome = simulation.run()
        if self.afterwards is not None:
            self.afterwards(simulation)
        return outcome


def _attacked_by(name: str) -> Callable[[int], Plan]:
    """One member of four attacks, beside all that goes wrong anyway."""
    return lambda seed: draw_plan(seed, 4, attackers=[name])


def _with(*faults: Fault, attackers: dict[int, type[Attacker]] | None = None) -> Callable[[int], Plan]:
    """Nothing goes wrong but this."""
    return lambda seed: Plan(seed=seed, faults=faults, attackers=attackers or {})


def _has_evidence(simulation: Simulation) -> None:
    """Demand that honest members hold evidence against every attacker."""
    found = simulation.checkers.accusations.evidence
    missing = [index for index in simulation.plan.attackers if index not in found]
    require(not missing, f"no evidence against {missing}")


def _noticed(simulation: Simulation) -> None:
    """Demand that the member with the old log has found out."""
    require(simulation.scene.happened["vote forgotten"], "nobody noticed that the vote log is an old one")


def _looked_seldom(simulation: Simulation) -> None:
    """Demand that what is false was mostly not looked at: a member's pauses add up to the length of the run."""
    looked = simulation.scene.happened["checked in vain"]
    require(looked <= CHECKED_IN_VAIN_MAX, f"{looked} false messages were checked")


def _heard_beside_a_thief(simulation: Simulation) -> None:
    """Demand that lies were seldom looked at, and that the member in whose name they were said led as others do."""
    _looked_seldom(simulation)
    newest = [
        member.disk.newest().header for member in simulation.scene.members.values() if isinstance(member, CoreMember)
    ]
    wasted = max(header.view - header.height for header in newest)
    require(wasted <= VIEWS_WASTED_MAX, f"{wasted} views brought no block")


def _weather(weather: Weather) -> BadWeather:
    return BadWeather(at_ms=0, lasts_ms=FAULTS_MS - 1, weather=weather)


def _blackouts(members: tuple[int, ...], *, every_ms: int, down_ms: int) -> Iterator[Fault]:
    for at_ms in range(700, FAULTS_MS - down_ms, every_ms):
        yield Blackout(at_ms=at_ms, members=members, down_ms=tuple(down_ms + 10 * member for member in members))


def _crashes(seed: int, *, every_ms: int, down_ms: int) -> Iterator[Fault]:
    for number, at_ms in enumerate(range(100, FAULTS_MS - down_ms, every_ms)):
        member, torn_percent = 1 + (seed + 3 * number) % 4, 37 * number % 101
        yield Crash(at_ms=at_ms, member=member, down_ms=down_ms, actions=number % 7, torn_percent=torn_percent)


def _cut(at_ms: int, lasts_ms: int, *ways: tuple[int, int]) -> Partition:
    return Partition(at_ms=at_ms, lasts_ms=lasts_ms, ways=ways)


def _ways(one: int, others: tuple[int, ...]) -> list[tuple[int, int]]:
    """Name the ways between a member and others, there and back."""
    return [way for other in others for way in ((one, other), (other, one))]


def _storm(seed: int) -> Plan:
    crashes = _crashes(seed, every_ms=120, down_ms=150)
    return Plan(seed=seed, faults=(_weather(WILD), *crashes))


def _collusion(seed: int) -> Plan:
    drawn = draw_plan(seed, 7, attackers=["conflicter"])
    return Plan(seed=seed, member_count=7, faults=drawn.faults, attackers=dict.fromkeys((2, 3), COLLUDER))


_IN_TWO: Final = tuple((one, other) for one in EVERYBODY for other in EVERYBODY if (one in {1, 2}) != (other in {1, 2}))
_JUMPS: Final = ((700, HOUR_MS), (1_500, -HOUR_MS), (2_300, 3 * HOUR_MS), (3_100, 0), (3_900, -HOUR_MS), (5_500, 100))

SCENARIOS: Final[dict[str, Scenario]] = {
    "equivocator": Scenario(
        "A leader shows one block to one half and another to the other.",
        lambda seed: Plan(seed=seed, faults=(_weather(RAIN),), attackers={2: EquivocatingLeader}),
        _has_evidence,
    ),
    "conflicter": Scenario(
        "A member votes for two blocks, and says both NULLIFY and FINALIZE.",
        lambda seed: Plan(seed=seed, faults=(_weather(RAIN),), attackers={2: Conflicter}),
        _has_evidence,
    ),
    "withholder": Scenario(
        "A leader's block reaches q - 1 members; it gives neither block nor entries.", _attacked_by("withholder")
    ),
    "deserter": Scenario(
        "A leader's block reaches q - 1 members, and that is the last that is heard of it.",
        lambda seed: Plan(seed=seed, faults=(_weather(RAIN),), attackers={2: Deserter}),
    ),
    "selective-leader": Scenario("A leader proposes to some members only.", _attacked_by("selective-leader")),
    "nuller": Scenario("A member nullifies every view, also those it finalizes.", _attacked_by("nuller")),
    "replayer": Scenario("A member says old messages again, also as of other epochs.", _attacked_by("replayer")),
    "liar-about-shares": Scenario(
        "A member's seal shares are wrong in every way.",
        lambda seed: Plan(seed=seed, faults=(_weather(RAIN),), attackers={2: LiarAboutShares}),
        _has_evidence,
    ),
    "impersonator": Scenario("A member speaks in others' names.", _attacked_by("impersonator")),
    "forger": Scenario("A member makes up certificates and seals.", _attacked_by("forger")),
    "forker": Scenario("A leader extends old blocks.", _attacked_by("forker")),
    "inventor-of-parents": Scenario(
        "A leader extends blocks it made up, while a member that nobody hears finalizes those it passes over.",
        _with(_cut(0, FAULTS_MS - 1, (3, 1), (3, 2), (3, 4)), attackers={2: InventorOfParents}),
    ),
    "hurrier": Scenario("A leader proposes blocks of the next hour.", _attacked_by("hurrier")),
    "wrong-reckoner": Scenario("A leader's roots do not follow from its entries.", _attacked_by("wrong-reckoner")),
    "wrong-digester": Scenario(
        "A leader's digests of the state are of no state, also where there should be none.",
        _attacked_by("wrong-digester"),
    ),
    "repeater-of-entries": Scenario("A leader proposes entries twice.", _attacked_by("repeater-of-entries")),
    "voter-for-unknown": Scenario("A member votes for blocks nobody has.", _attacked_by("voter-for-unknown")),
    "garbler": Scenario("Half of what a member says is garbled.", _attacked_by("garbler")),
    "silent-leader": Scenario("A leader never proposes.", _attacked_by("silent-leader")),
    "flooder": Scenario("A member votes in every view to come.", _attacked_by("flooder")),
    "liar-when-asked": Scenario("A member answers every question wrongly.", _attacked_by("liar-when-asked")),
    "fed-by-a-liar": Scenario(
        "A member that was away reaches nobody but one who answers every question wrongly.",
        _with(
            _cut(300, 2_400, *_ways(1, (2, 3, 4))), _cut(2_700, 2_000, *_ways(1, (3, 4))), attackers={2: LiarWhenAsked}
        ),
    ),
    "collusion": Scenario(
        "Two of seven do all at once: equivocate, vote for both, lie about shares and when asked.", _collusion
    ),
    "slow-disk": Scenario(
        "Every write of one member takes three Δ, and its work up to ten.",
        _with(
            SlowDisk(at_ms=0, lasts_ms=FAULTS_MS - 1, member=1, disk_ms=150),
            SlowNode(at_ms=0, lasts_ms=FAULTS_MS - 1, member=1, work_max_ms=500),
        ),
    ),
    "slow-disks": Scenario(
        "Every write of every member takes a Δ, in all weather, and somebody crashes now and then.",
        lambda seed: Plan(
            seed=seed,
            faults=(
                _weather(WILD),
                *(SlowDisk(at_ms=0, lasts_ms=FAULTS_MS - 1, member=index, disk_ms=50) for index in EVERYBODY),
                *_crashes(seed, every_ms=700, down_ms=300),
            ),
        ),
    ),
    "slow-network": Scenario(
        "Messages take up to twelve of the smallest Δ, and that does not change.",
        _with(BadWeather(at_ms=0, weather=SLOW)),
    ),
    "clock-jumper": Scenario(
        "One member's clock jumps by hours, forward and back; it counts as faulty.",
        _with(*(ClockJump(at_ms=at_ms, member=3, offset_ms=to_ms) for at_ms, to_ms in _JUMPS), attackers={3: Attacker}),
    ),
    "asymmetric-partition": Scenario(
        "A member is heard and hears nobody; then it hears and nobody hears it; then a ring; then two and two.",
        _with(
            _cut(600, 1_200, (2, 1), (3, 1), (4, 1)),
            _cut(1_800, 1_200, (1, 2), (1, 3), (1, 4)),
            _cut(3_000, 1_200, (1, 2), (2, 3), (3, 4), (4, 1)),
            _cut(4_200, 1_500, *_IN_TWO),
        ),
    ),
    "majority-restart": Scenario(
        "Three of four stop at once, and come back, again and again.",
        _with(*_blackouts((1, 2, 3), every_ms=900, down_ms=350)),
    ),
    "rolling-restart": Scenario(
        "One after the other stops and comes back.",
        lambda seed: _with(*_crashes(seed, every_ms=450, down_ms=300))(seed),
    ),
    "every-member-crashed-at-once": Scenario(
        "All stop at the same moment, again and again, in all weather.",
        _with(_weather(WILD), *_blackouts(EVERYBODY, every_ms=530, down_ms=230)),
    ),
    "lost-vote-log": Scenario(
        "A member loses its vote log, again and again. (More than f that have lost theirs would stop the ledger.)",
        _with(_weather(WILD), *(LostLog(at_ms=at_ms, member=2, down_ms=1) for at_ms in range(900, FAULTS_MS, 700))),
    ),
    "old-vote-log": Scenario(
        "An old vote log is put back, again and again; the member counts as faulty, and finds out.",
        _with(
            _weather(WILD),
            *(OldLog(at_ms=at_ms, lasts_ms=500, member=2) for at_ms in range(700, FAULTS_MS - 600, 600)),
            attackers={2: Attacker},
        ),
        _noticed,
    ),
    "spammer": Scenario(
        "A member sends false certificates and seals without end.",
        lambda seed: Plan(seed=seed, attackers={2: Spammer}),
        _looked_seldom,
    ),
    "thief": Scenario(
        "Somebody says such things in a member's name, beside what that member says itself.",
        lambda seed: Plan(seed=seed, attackers={2: Thief}),
        _heard_beside_a_thief,
    ),
    "rain": Scenario(
        "Loss, repetition, delay, and a crash now and then.",
        lambda seed: Plan(seed=seed, faults=(_weather(RAIN), *_crashes(seed, every_ms=700, down_ms=300))),
    ),
    "storm": Scenario("Everything is lost, late or twice, and somebody crashes every tenth of a second.", _storm),
    "anything": Scenario("Faults and attackers drawn at random.", partial(draw_plan, member_count=4)),
}


def main() -> None:
    """Run what was named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(SCENARIOS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.names or SCENARIOS:
        began_s, heights = time.perf_counter(), []
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            try:
                heights.append(SCENARIOS[name].run(seed).height)
            except BaseException:
                sys.stderr.write(f"{name}: seed {seed}\n")
                raise
        took_s = time.perf_counter() - began_s
        sys.stdout.write(
            f"{name:30} {options.seeds} seeds, {sum(heights)} blocks, {took_s:.1f} s: {SCENARIOS[name].says}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
