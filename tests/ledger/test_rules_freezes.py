"""Frozen runs: who may freeze which, when, and for how long they stay so."""

import hashlib

import pytest

from ledger.positions import LeafIndex
from ledger.rules import freezes
from ledger.rules.freezes import get_freezes, is_frozen
from ledger.rules.records.pauses import Freeze
from ledger.statements.committee import LiftPause
from tests.ledger.pausing import A, B, C, PauseWorld, boundary, code_of, make_terms
from tests.ledger.rulebook import due
from tests.ledger.training import training_run


@pytest.fixture
def world() -> PauseWorld:
    """A pause over intervals 3 to 6, activated at the beginning of 1, a lab that it binds and one that it does not."""
    world = PauseWorld()
    world.register(0, "acme", ["a1"], nation=A)
    world.register(0, "cogs", ["c1"], nation=C)
    world.activate()
    return world


def test_runs_are_frozen_from_the_statement_on_until_the_pause_is_over(world: PauseWorld) -> None:
    index = world.size
    world.accept(110, world.freeze("acme", "r1", "r2"))
    assert is_frozen(world.state, "acme", "r1")
    assert not is_frozen(world.state, "acme", "r3")
    assert not is_frozen(world.state, "cogs", "r1")
    [known] = get_freezes(world.state, "acme", "r2")
    assert known == Freeze("p", hashlib.sha256(b"r2").digest(), 22, LeafIndex(index))
    world.block(boundary(7) - 1)
    assert is_frozen(world.state, "acme", "r1")
    world.block(boundary(7))
    assert not is_frozen(world.state, "acme", "r1")


def test_they_are_frozen_by_the_end_of_the_first_interval_that_binds(world: PauseWorld) -> None:
    world.accept(boundary(4) - 1, world.freeze("acme", "r1"))
    assert code_of(world.refuse(boundary(4), world.freeze("acme", "r2"))) == ("PAUSE_CLOSED", "pause")


def test_a_lab_that_is_not_bound_must_pledge_first_and_then_has_its_own_time(world: PauseWorld) -> None:
    assert code_of(world.refuse(410, world.freeze("cogs", "r1"))) == ("WRONG_ISSUER", "issuer")
    world.accept(410, world.pledge("cogs"))
    world.accept(boundary(6) - 1, world.freeze("cogs", "r1"))
    assert code_of(world.refuse(boundary(6), world.freeze("cogs", "r2"))) == ("PAUSE_CLOSED", "pause")


def test_nothing_is_frozen_by_a_pause_that_is_only_proposed_or_over(world: PauseWorld) -> None:
    world.accept(110, world.pause(B, "q"))
    world.accept(120, world.pledge("acme", "q"))
    assert code_of(world.refuse(130, world.freeze("acme", "r1", pause="q"))) == ("PAUSE_CLOSED", "pause")
    assert code_of(world.refuse(130, world.freeze("acme", "r1", pause="x"))) == ("UNKNOWN_PAUSE", "pause")
    assert code_of(world.refuse(130, world.freeze("acme", "r1", terms="00" * 32))) == ("TERMS_MISMATCH", "terms")
    world.block(boundary(7))
    assert code_of(world.refuse(boundary(7), world.freeze("acme", "r1"))) == ("PAUSE_CLOSED", "pause")


def test_where_a_run_stood_first_is_what_counts(world: PauseWorld) -> None:
    world.accept(110, world.freeze("acme", "r1"))
    assert code_of(world.refuse(120, world.freeze("acme", "r0", "r1"))) == ("ALREADY_FROZEN", "runs.run")
    assert not is_frozen(world.state, "acme", "r0")


def test_a_run_that_two_pauses_froze_is_free_after_the_last(world: PauseWorld) -> None:
    world.accept(110, world.pause(B, "q", make_terms(count=9, nations_min=1)))
    world.accept(120, world.accede(A, "q"))
    world.block(boundary(2))
    world.accept(210, world.freeze("acme", "r1"))
    world.accept(220, world.freeze("acme", "r1", pause="q"))
    assert [each.pause for each in get_freezes(world.state, "acme", "r1")] == ["p", "q"]
    world.decide(230, LiftPause(pause="p"))
    world.block(boundary(3))
    assert [each.pause for each in get_freezes(world.state, "acme", "r1")] == ["q"]
    world.block(boundary(12))
    assert not is_frozen(world.state, "acme", "r1")


def test_a_lab_freezes_so_many_runs_and_the_same_again_costs_nothing(
    world: PauseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezes, "FROZEN_RUNS_PER_LAB_MAX", 2)
    world.accept(110, world.pause(B, "q", make_terms(nations_min=1)))
    world.accept(120, world.accede(A, "q"))
    world.block(boundary(2))
    world.accept(210, world.freeze("acme", "r1", "r2"))
    world.accept(220, world.freeze("acme", "r1", "r2", pause="q"))
    assert code_of(world.refuse(230, world.freeze("acme", "r3"))) == ("TOO_LARGE", "runs")


def started(world: PauseWorld, *, band: int, checkpoint: str) -> bytes:
    """A statement of acme that its run r1 goes on, so far, with these weights."""
    return training_run(
        world,
        "started",
        lab="acme",
        run="r1",
        clusters=("a1",),
        band=band,
        run_band=band,
        checkpoint=hashlib.sha256(checkpoint.encode()).hexdigest(),
    )


def test_a_run_that_a_pause_froze_and_its_lab_goes_on_with_is_exceeded_once_it_has_grown(world: PauseWorld) -> None:
    world.accept(105, started(world, band=21, checkpoint="earlier"))
    world.accept(110, world.freeze("acme", "r1"))
    world.accept(120, started(world, band=22, checkpoint="r1"))
    world.block(due(1))
    assert "FROZEN_RUN_GREW" not in world.said("acme", "a1", 1)[-1][1]
    world.accept(due(1) + 1, started(world, band=22, checkpoint="later"))
    world.block(due(2))
    assert "FROZEN_RUN_GREW" in world.said("acme", "a1", 2)[-1][1]
    assert world.said("acme", "a1", 2)[-1][0] == "exceeded"
