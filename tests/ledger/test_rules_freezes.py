"""Frozen runs: who may freeze which, when, and for how long they stay so."""

import hashlib

import pytest

from ledger.positions import Interval, LeafIndex
from ledger.rules import freezes
from ledger.rules.freezes import get_freezes
from ledger.rules.records.pauses import Freeze
from ledger.rules.records.remarks import Remark
from ledger.rules.remarks import list_remarks
from ledger.statements.committee import LiftPause
from ledger.statements.runs import RunState
from ledger.statements.verdicts import Reason
from tests.ledger.pausing import A, B, C, PauseWorld, boundary, code_of, make_terms
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
    assert get_freezes(world.state, "acme", "r1")
    assert not get_freezes(world.state, "acme", "r3")
    assert not get_freezes(world.state, "cogs", "r1")
    [known] = get_freezes(world.state, "acme", "r2")
    assert known == Freeze("p", hashlib.sha256(b"r2").digest(), 22, LeafIndex(index))
    world.block(boundary(7) - 1)
    assert get_freezes(world.state, "acme", "r1")
    world.block(boundary(7))
    assert not get_freezes(world.state, "acme", "r1")


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
    assert code_of(world.refuse(120, world.freeze("acme", "r0", "r1"))) == ("FREEZE_KNOWN", "runs.run")
    assert not get_freezes(world.state, "acme", "r0")


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
    assert not get_freezes(world.state, "acme", "r1")


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


# --- and what is said of such a run later -----------------------------------------------------------------------------

STANDS = {"checkpoint": hashlib.sha256(b"r1").hexdigest(), "run": "r1", "band": 22}


def said_of(world: PauseWorld, interval: int) -> tuple[Remark, ...]:
    return list_remarks(world.state, "acme", Interval(interval), reason=Reason.FROZEN_RUN_GREW)


@pytest.mark.parametrize("said", ["started", "frozen", "stopped", "completed"])
@pytest.mark.parametrize(
    ("growth", "has_grown"),
    [({}, False), ({"checkpoint": "00" * 32}, True), ({"band": 23}, True), ({"band": 21}, False)],
)
def test_a_run_that_grows_while_a_pause_freezes_it_is_told_by_its_weights_or_its_band(
    world: PauseWorld, said: RunState, growth: dict[str, object], *, has_grown: bool
) -> None:
    world.accept(110, training_run(world, "started", run="r1", band=19))
    world.accept(120, world.freeze("acme", "r1"))
    assert get_freezes(world.state, "acme", "r1")
    world.accept(310, training_run(world, said, **(STANDS | growth)))
    assert bool(said_of(world, 3)) == has_grown


def test_a_run_that_the_ledger_first_hears_of_while_it_is_frozen_must_stand_there_too(world: PauseWorld) -> None:
    world.accept(120, world.freeze("acme", "r1"))
    rejection = world.refuse(210, training_run(world, "started", **(STANDS | {"checkpoint": None})))
    assert code_of(rejection) == ("RUN_FROZEN", "checkpoint")
    world.accept(210, training_run(world, "started", **STANDS))
    assert said_of(world, 2) == ()
    world.accept(310, training_run(world, "started", **(STANDS | {"checkpoint": "00" * 32})))
    assert said_of(world, 3) != ()


def test_to_declare_what_a_frozen_run_is_to_come_to_is_no_growth(world: PauseWorld) -> None:
    world.accept(120, world.freeze("acme", "r1"))
    world.accept(210, training_run(world, "declared", run="r1", band=24))
    assert said_of(world, 2) == ()
    world.accept(310, training_run(world, "started", **(STANDS | {"band": 23})))
    assert said_of(world, 3) != ()


def test_after_the_pause_it_may_grow(world: PauseWorld) -> None:
    world.accept(120, world.freeze("acme", "r1"))
    world.block(boundary(7))
    assert not get_freezes(world.state, "acme", "r1")
    world.accept(boundary(7) + 10, training_run(world, "started", **(STANDS | {"checkpoint": None, "band": 24})))
    assert said_of(world, 7) == ()
