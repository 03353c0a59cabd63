"""What keys that cost nothing leave out is time alone: with a node's keys a run goes the same way, step by step."""

from dataclasses import replace

import pytest

from ledger.positions import MemberIndex
from tests.simulation.keys import CheapKeys
from tests.simulation.nodes.founding import make_keys
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.runs import LEVELS, Result, run_plan


def run_without_trace(plan: Plan, level: str) -> Result:
    """Run a plan; traces show signatures, so those of other keys differ."""
    return replace(run_plan(plan, level), trace="")


@pytest.mark.parametrize("level", LEVELS)
def test_a_run_with_real_keys_takes_the_same_steps(level: str) -> None:
    plan = draw_plan(2, attackers=["liar-about-shares"])
    with_real_keys = run_without_trace(replace(plan, has_real_keys=True), level)
    assert with_real_keys == run_without_trace(plan, level)
    assert with_real_keys.violation is None
    assert with_real_keys.height > 0


def test_real_keys_are_those_of_a_node_and_tell_true_from_false() -> None:
    members = [make_keys(Plan(seed=0, has_real_keys=True), index, 3) for index in (1, 2, 3, 4)]
    assert not any(isinstance(keys, CheapKeys) for keys in members)
    message = b"what a quorum says"
    shares = {MemberIndex(index + 1): keys.make_share(message) for index, keys in enumerate(members[:3])}
    seal, wrong = members[3].combine(shares, message)
    assert seal is not None
    assert not wrong
    assert members[0].are_seals([(message, seal)])
    assert not members[0].is_seal(b"what it does not say", seal)
    assert not members[0].is_vote_signature(MemberIndex(2), message, members[2].sign_vote(message))
    assert members[0].is_vote_signature(MemberIndex(3), message, members[2].sign_vote(message))
