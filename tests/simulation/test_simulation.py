"""Safety for any seed, progress once faults stop, and every run the same again.

A failing seed replays byte for byte: `Simulation(Plan(seed=…)).run()`. Keep it as a test here when it is understood.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.attackers.equivocating_leader import EquivocatingLeader
from tests.simulation.attackers.nuller import Nuller
from tests.simulation.attackers.sharer_of_wrong_shares import SharerOfWrongShares
from tests.simulation.attackers.withholder import Withholder
from tests.simulation.disk import Disk
from tests.simulation.member import WORK_MAX_MS, Member
from tests.simulation.network import CALM, Weather
from tests.simulation.simulation import Plan, Simulation

ATTACKERS: list[type[Member]] = [EquivocatingLeader, Nuller, SharerOfWrongShares, Withholder]
WILD = Weather(drop_percent=30, repeat_percent=30, delay_min_ms=1, delay_max_ms=300)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("seed", range(10))
def test_honest_members_agree_through_crashes_and_partitions_and_recover(seed: int) -> None:
    outcome = Simulation(Plan(seed=seed)).run()
    assert outcome.evidence == 0
    assert outcome.entries >= 4


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda attacker: attacker.__name__)
def test_one_attacker_among_four_breaks_nothing_and_stops_nobody(attacker: type[Member], seed: int) -> None:
    outcome = Simulation(Plan(seed=seed, attackers={1 + seed % 4: attacker})).run()
    assert outcome.entries >= 3


@pytest.mark.parametrize("seed", range(4))
def test_two_attackers_among_seven_break_nothing_and_stop_nobody(seed: int) -> None:
    attackers = {1 + seed: ATTACKERS[seed], 5 + seed % 3: ATTACKERS[(seed + 1) % 4]}
    assert Simulation(Plan(seed=seed, member_count=7, attackers=attackers)).run().entries >= 5


@pytest.mark.parametrize("seed", range(6))
def test_members_agree_and_recover_after_a_wild_network_and_many_crashes(seed: int) -> None:
    assert Simulation(Plan(seed=seed, weather=WILD, crash_per_mille=10)).run().entries >= 4


@pytest.mark.parametrize("seed", range(8))
def test_a_member_that_lost_its_vote_log_never_contradicts_itself_and_votes_again(seed: int) -> None:
    lost = 1 + seed % 4
    simulation = Simulation(Plan(seed=seed, lost_log_of=lost))
    simulation.run()
    member = simulation.members[lost]
    simulation.world.run_until(simulation.world.now_ms + 10_000)
    status = member.core.status()
    assert not status.is_recovering
    assert 0 < status.muted_until_view < status.view


@pytest.mark.parametrize("member_count", [1, 2, 3, 5])
def test_committees_of_other_sizes_work(member_count: int) -> None:
    assert Simulation(Plan(seed=7, member_count=member_count)).run().entries >= member_count


def test_an_equivocating_leader_leaves_evidence() -> None:
    calm = Plan(seed=1, attackers={2: EquivocatingLeader}, weather=CALM, crash_per_mille=0, has_partitions=False)
    simulation = Simulation(calm)
    assert simulation.run().evidence > 0
    for member in simulation.honest:
        assert {evidence.member for evidence in member.evidence} <= {2}


def test_in_calm_an_entry_is_final_after_three_messages_and_the_work_between() -> None:
    """Idle network, entry at the leader: proposal, NOTARIZE, FINALIZE, with 5 ms a message and at most 4 ms of work."""
    simulation = Simulation(Plan(seed=3, weather=CALM, crash_per_mille=0, has_partitions=False))
    world, members = simulation.world, simulation.members
    world.weather = Weather(delay_min_ms=5, delay_max_ms=5)
    for member in members.values():
        member.start()
    world.run_until(3_000)
    leader = members[members[1].core.status().leader]
    leader.submit(b"entry")
    asked_ms = world.now_ms
    world.run_until(4_000, is_done=lambda: bool(leader.final_state.seen))
    assert 15 <= world.now_ms - asked_ms <= 15 + 2 * WORK_MAX_MS


def test_the_same_seed_gives_the_same_actions() -> None:
    plan = Plan(seed=11, attackers={2: EquivocatingLeader})
    assert Simulation(plan).run() == Simulation(plan).run()
    assert Simulation(Plan(seed=12, attackers={2: EquivocatingLeader})).run() != Simulation(plan).run()


def test_actions_do_not_depend_on_the_order_of_hash_tables() -> None:
    program = (
        "from tests.simulation.simulation import Plan, Simulation;"
        "from tests.simulation.attackers.nuller import Nuller;"
        "print(Simulation(Plan(seed=5, attackers={3: Nuller})).run().trace)"
    )
    traces = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert traces[0] == traces[1]
    assert len(traces[0]) > 60


def test_the_checkers_notice_a_disk_that_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the checkers: without the vote log, restarted members contradict themselves."""

    def forget(disk: Disk, record: bytes, *, torn_at: int | None = None) -> None:
        """Say that it is written."""

    def run_many() -> None:
        for seed in range(20):
            Simulation(Plan(seed=seed, weather=WILD, crash_per_mille=30)).run()

    monkeypatch.setattr(Disk, "append", forget)
    with pytest.raises(AssertionError, match=r"said two things|contradicts itself"):
        run_many()
