"""Whole nodes on virtual time: safety for any seed, progress once faults stop, and every run the same again."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ledger.positions import BeaconRound
from ledger.rules.beacons import find_open_rounds
from node import failpoints
from node.beacon import Beacon
from node.votefile import VoteFile
from tests.simulation.elsewhere import run_under_two_hash_seeds
from tests.simulation.nodes.level import Nodes
from tests.simulation.plan import draw_plan
from tests.simulation.runs import run_plan
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.simulation import Simulation

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("seed", range(8))
def test_whole_nodes_agree_whatever_happens_and_go_on_when_it_is_over(seed: int) -> None:
    outcome = Simulation(draw_plan(seed), Nodes()).run()
    assert outcome.height > 3
    assert outcome.acknowledged > 0
    assert outcome.happened["beacon of round 0"] > 0


def test_a_vote_log_that_is_written_but_not_synced_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on the simulated disk: what was not promised to survive does not."""

    def append(log: VoteFile, records: Sequence[bytes]) -> None:
        failpoints.reach("votes.before-write")
        assert log._file is not None
        os.write(log._file, b"".join(records))

    monkeypatch.setattr(VoteFile, "append", append)
    violations = (run_plan(SCENARIOS["storm"].make_plan(seed), "nodes").violation for seed in range(20))
    assert any(violation is not None for violation in violations)


def open_rounds_of_what_is_executed(beacon: Beacon) -> tuple[BeaconRound, list[BeaconRound]]:
    branches = beacon._admission._branches
    newest = max((branches.final, *branches._live.values()), key=lambda block: block.header.height)
    rounds = find_open_rounds(newest.state)
    return BeaconRound(rounds.start), [BeaconRound(number) for number in rounds]


def open_rounds_and_the_next(beacon: Beacon) -> tuple[BeaconRound, list[BeaconRound]]:
    rounds = find_open_rounds(beacon._state())
    return BeaconRound(rounds.start), [BeaconRound(number) for number in (*rounds, rounds.stop)]


@pytest.mark.parametrize("mutant", [open_rounds_of_what_is_executed, open_rounds_and_the_next])
def test_a_share_that_leaves_before_its_round_is_open_for_good_is_noticed(
    monkeypatch: pytest.MonkeyPatch, mutant: Callable[[Beacon], tuple[BeaconRound, list[BeaconRound]]]
) -> None:
    monkeypatch.setattr(Beacon, "_open_rounds", mutant)
    violations = (run_plan(draw_plan(seed), "nodes").violation for seed in range(10))
    assert any(violation is not None and "gives its share" in violation for violation in violations)


def test_a_run_of_whole_nodes_does_not_depend_on_the_order_of_hash_tables() -> None:
    traces = run_under_two_hash_seeds("nodes.level.Nodes", "draw_plan(3)")
    assert traces[0] == traces[1]
    assert len(traces[0]) > 60
