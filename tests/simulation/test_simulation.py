"""Safety for any seed, progress once faults stop, and every run the same again."""

import os
import subprocess
import sys

import pytest

from tests.simulation.attackers.equivocating_leader import EquivocatingLeader
from tests.simulation.attackers.nuller import Nuller
from tests.simulation.attackers.sharer_of_wrong_shares import SharerOfWrongShares
from tests.simulation.attackers.withholder import Withholder
from tests.simulation.network import CALM
from tests.simulation.simulation import Plan, Simulation


@pytest.mark.parametrize("seed", range(8))
def test_honest_members_agree_through_crashes_and_partitions_and_recover(seed: int) -> None:
    outcome = Simulation(Plan(seed=seed)).run()
    assert outcome.evidence == 0
    assert outcome.entries >= 4
