"""Safety for any seed, progress once faults stop, and every run the same again: with cores only.

A failing seed replays byte for byte: `scripts/simulate --seed N --trace`. Keep it in `regressions.py` when it is
understood.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.attackers.attacker import Attacker
from tests.simulation.attackers.equivocating_leader import EquivocatingLeader
from tests.simulation.attackers.registry import ATTACKERS
from tests.simulation.checkers.checker import ViolationError
from tests.simulation.cores.disk import Disk
from tests.simulation.cores.level import Cores
from tests.simulation.elsewhere import run_under_two_hash_seeds
from tests.simulation.faults import BadWeather, Crash, LostLog
from tests.simulation.member import WORK_MAX_MS
from tests.simulation.network import Weather
from tests.simulation.plan import FAULTS_MS, Plan, draw_plan
from tests.simulation.simulation import Simulation

WILD = Weather(drop_percent=30, repeat_percent=30, delay_min_ms=1, delay_max_ms=300)
EVEN = Weather(delay_min_ms=5, delay_max_ms=5)
ROOT = Path(__file__).resolve().parent.parent.parent


def make_wild(seed: int, *, crashes: int) -> Plan:
    """Make a plan of one long storm, in which members crash again and again."""
    storm = BadWeather(at_ms=0, lasts_ms=FAULTS_MS - 1, weather=WILD)
    fallen = (
        Crash(
            at_ms=100 + number * FAULTS_MS // (crashes + 1),
            member=1 + (seed + number) % 4,
            down_ms=200,
            actions=number % 7,
        )
        for number in range(crashes)
    )
    return Plan(seed=seed, faults=(storm, *fallen))


@pytest.mark.parametrize("seed", range(25))
def test_honest_members_agree_whatever_happens_and_go_on_when_it_is_over(seed: int) -> None:
    outcome = Simulation(draw_plan(seed), Cores()).run()
    assert outcome.entries >= 3
    assert outcome.acknowledged > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ATTACKERS)
def test_one_attacker_among_four_breaks_nothing_and_stops_nobody(name: str, seed: int) -> None:
    Simulation(draw_plan(seed, attackers=[name]), Cores()).run()


@pytest.mark.parametrize("seed", range(4))
def test_seven_members_with_up_to_two_attackers_agree(seed: int) -> None:
    Simulation(draw_plan(seed, member_count=7), Cores()).run()


@pytest.mark.parametrize("seed", range(4))
def test_members_agree_and_recover_after_a_wild_network_and_many_crashes(seed: int) -> None:
    Simulation(make_wild(seed, crashes=40), Cores()).run()


@pytest.mark.parametrize("seed", range(4))
def test_a_member_that_lost_its_vote_log_never_contradicts_itself_and_votes_again(seed: int) -> None:
    lost = 1 + seed % 4
    storm = BadWeather(at_ms=0, lasts_ms=FAULTS_MS - 1, weather=WILD)
    faults = (storm, LostLog(at_ms=FAULTS_MS // 2, member=lost, down_ms=1))
    simulation = Simulation(Plan(seed=seed, faults=faults), Cores())
    simulation.run()
    simulation.world.run_until(simulation.world.now_ms + 10_000)
    status = simulation.members[lost].status()
    assert not status.is_recovering
    assert 0 < status.muted_until_view < status.view


@pytest.mark.parametrize("member_count", [1, 2, 3, 5])
def test_committees_of_other_sizes_work(member_count: int) -> None:
    assert Simulation(draw_plan(7, member_count, attackers=[]), Cores()).run().entries >= member_count


def test_an_equivocating_leader_leaves_evidence() -> None:
    simulation = Simulation(Plan(seed=1, attackers={2: EquivocatingLeader}), Cores())
    assert simulation.run().evidence > 0
    assert list(simulation.checkers.accusations.evidence) == [2]


def test_in_calm_an_entry_is_final_after_three_messages_and_the_work_between() -> None:
    """Idle network, entry at the leader: proposal, NOTARIZE, FINALIZE, with 5 ms a message and at most 4 ms of work."""
    calm = Plan(seed=3, submit_every_ms=FAULTS_MS, faults_ms=FAULTS_MS)
    simulation = Simulation(calm, Cores())
    world, members = simulation.world, simulation.members
    simulation.network.weather = EVEN
    simulation.begin()
    world.run_until(3_000)
    leader = members[members[1].status().leader]
    entry = leader.submit_next()
    asked_ms = world.now_ms
    world.run_until(4_000, is_done=lambda: entry in simulation.checkers.validity.heights_of)
    assert 15 <= world.now_ms - asked_ms <= 15 + 2 * WORK_MAX_MS


def test_the_same_plan_gives_the_same_actions() -> None:
    plan = draw_plan(11, attackers=["equivocating-leader"])
    assert Simulation(plan, Cores()).run() == Simulation(plan, Cores()).run()
    assert Simulation(replace(plan, seed=12), Cores()).run().trace != Simulation(plan, Cores()).run().trace


def test_actions_do_not_depend_on_the_order_of_hash_tables() -> None:
    traces = run_under_two_hash_seeds("cores.level.Cores", "draw_plan(5, attackers=['nuller'])")
    assert traces[0] == traces[1]
    assert len(traces[0]) > 60


def test_the_checkers_notice_a_disk_that_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the checkers: without the vote log, restarted members contradict themselves."""

    def forget(disk: Disk, record: bytes) -> None:
        """Say that it is written."""

    def run_many() -> None:
        for seed in range(20):
            Simulation(make_wild(seed, crashes=40), Cores()).run()

    monkeypatch.setattr(Disk, "append", forget)
    with pytest.raises(ViolationError, match=r"said two things|contradicts itself|has forgotten"):
        run_many()


def test_every_attacker_may_say_what_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the attackers: each changes something of what its member says."""
    for name, kind in ATTACKERS.items():
        outcome = Simulation(Plan(seed=1, attackers={2: kind}), Cores()).run()
        assert outcome.happened[f"attack {kind.__name__}"] > 0, name
    assert Simulation(Plan(seed=1, attackers={2: Attacker}), Cores()).run().happened.total() == 0
