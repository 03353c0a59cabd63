"""Reviews before release: the clock, its stops and its end; what a release means then."""

from collections.abc import Mapping
from typing import Final, get_args

import pytest

from ledger.errors import Code
from ledger.positions import LeafIndex, Millis
from ledger.rules import reviews as rules
from ledger.rules.records.runs import Review, ReviewStage, find_review
from ledger.rules.reviews import NEXT_EVENTS, compute_review
from ledger.statements.runs import BaseModel, EventName
from tests.ledger.rulebook import NATIONS, World, due, millis
from tests.ledger.training import (
    LAB,
    MODEL,
    OTHER_WEIGHTS,
    WEIGHTS,
    decision,
    event,
    hand_in,
    make_world,
    notice,
    review_of,
    training_run,
)

DAY_0: Final = 110
"""When the model is handed in; the clock runs until 410."""

EVENTS: Final[tuple[EventName, ...]] = get_args(EventName)

PATHS: Final[Mapping[ReviewStage, tuple[EventName, ...]]] = {
    "running": (),
    "waiting": ("info-requested",),
    "cleared": ("cleared",),
    "blocked": ("blocked",),
}


def make_reviewed(*, band: int = 21, terms: dict[str, object] | None = None) -> World:
    """A model that comes of a run of this band, which was declared, and a review that begins on day 0."""
    world = make_trained(band=band, terms=terms)
    world.accept(DAY_0, hand_in(world))
    return world


def make_trained(*, band: int = 21, terms: dict[str, object] | None = None) -> World:
    world = make_world(reviews=terms)
    world.accept(100, training_run(world, "declared", band=band, clusters=("a1", "a2")))
    world.accept(100, decision(world, "approved"))
    world.accept(100, training_run(world, "started", band=band, clusters=("a1", "a2")))
    return world


def say(world: World, at: int, *words: EventName) -> World:
    for word in words:
        world.accept(at, event(world, word))
    return world


def verdicts_of(world: World, interval: int) -> list[tuple[str, list[str]]]:
    """The newest verdict on each of the lab's clusters, after a report in time."""
    world.file(due(interval) - 1, LAB, interval, ["a1", "a2"])
    world.block(due(interval))
    return [world.said(LAB, cluster, interval)[-1] for cluster in ("a1", "a2")]


GOOD: Final[list[tuple[str, list[str]]]] = [("compliant", [])] * 2
BAD: Final = [("exceeded", ["RELEASED_UNREVIEWED"])] * 2


# --- which event may follow which -------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", EVENTS)
@pytest.mark.parametrize("stage", PATHS)
def test_every_event_at_every_stage_is_taken_or_refused(stage: ReviewStage, word: EventName) -> None:
    expected: dict[ReviewStage, str] = {
        "running": "acknowledged info-requested extended cleared blocked",
        "waiting": "acknowledged info-supplied extended cleared blocked",
        "cleared": "",
        "blocked": "cleared",
    }
    assert " ".join(NEXT_EVENTS[stage]) == expected[stage]
    world = say(make_reviewed(), 120, *PATHS[stage])
    after: dict[str, ReviewStage] = {"info-requested": "waiting", "info-supplied": "running"}
    entry = event(world, word)
    if word in expected[stage].split():
        world.accept(130, entry)
        outcome = word if word in ("cleared", "blocked") else after.get(word, stage)
        assert review_of(world).stage == outcome
        return
    assert world.refuse(130, entry).code is Code.REVIEW_STATE


def test_nothing_more_is_said_of_a_model_that_is_out() -> None:
    for path in PATHS.values():
        world = say(make_reviewed(), 120, *path)
        world.accept(130, notice(world))
        for word in EVENTS:
            assert world.refuse(140, event(world, word)).code is Code.REVIEW_STATE
        assert world.refuse(140, hand_in(world)).code is Code.REVIEW_STATE
        assert world.refuse(140, notice(world)).code is Code.REVIEW_STATE


def test_only_the_labs_own_nation_answers_and_only_the_lab_supplies() -> None:
    world = make_reviewed()
    world.register(115, "bolt", ["b1"])
    for word in EVENTS:
        for issuer in (NATIONS[1], "bolt", LAB if word != "info-supplied" else NATIONS[0]):
            assert world.refuse(120, event(world, word, issuer=issuer)).code is Code.WRONG_ISSUER
        rejection = world.refuse(120, event(world, word, review="11" * 32))
        assert (rejection.code, rejection.field) == (Code.INVALID_FIELD, "statement.predicate.review")
    assert world.refuse(120, event(world, "cleared", lab="nobody")).code is Code.WRONG_ISSUER
    assert world.refuse(120, event(world, "cleared", model="m2")).code is Code.UNKNOWN_REVIEW


def test_a_review_is_acknowledged_once_and_the_clock_does_not_mind() -> None:
    world = say(make_reviewed(), 120, "acknowledged")
    assert world.refuse(130, event(world, "acknowledged")).code is Code.REVIEW_STATE
    assert review_of(world).is_acknowledged
    assert not review_of(world).was_required  # before there is a release
    assert review_of(world, 409).stage == "running"
    assert review_of(world, 410).stage == "cleared"


def test_a_model_comes_of_known_runs_and_is_handed_in_once() -> None:
    world = make_trained()
    assert world.refuse(DAY_0, hand_in(world, runs=("r9",))).code is Code.UNKNOWN_RUN
    assert world.refuse(DAY_0, notice(world, runs=("r1", "r9"))).code is Code.UNKNOWN_RUN
    world.accept(DAY_0, hand_in(world))
    world.accept(DAY_0, notice(world, model="m2"))
    for model, found in ((MODEL, "m1, handed in before"), ("m2", "m2, released before")):
        rejection = world.refuse(DAY_0, hand_in(world, model=model))
        assert (rejection.code, rejection.found) == (Code.REVIEW_STATE, found)
    world.accept(DAY_0, training_run(world, "declared", run="r2"))
    assert world.refuse(DAY_0, notice(world, runs=("r2",))).field == "statement.predicate.runs"


def test_a_lab_has_a_bounded_number_of_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MODELS_PER_LAB_MAX", 2)
    world = make_reviewed()
    world.accept(120, notice(world, model="m2"))
    assert world.refuse(120, hand_in(world, model="m3")).code is Code.TOO_LARGE
    assert world.refuse(120, notice(world, model="m3")).code is Code.TOO_LARGE
    world.accept(120, notice(world))  # of one that is counted


# --- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("silence", "outcome"), [("clears", "cleared"), ("blocks", "blocked")])
def test_silence_speaks_when_the_clock_has_run_out_and_not_a_moment_before(silence: str, outcome: str) -> None:
    world = make_reviewed(terms={"silence": silence})
    world.block(250)  # a silence of 300 would be an outage
    assert review_of(world, 409).stage == "running"
    assert review_of(world, 410).stage == outcome
    world.accept(410, notice(world))
    assert verdicts_of(world, 4) == (GOOD if outcome == "cleared" else BAD)


def test_the_last_millisecond_still_counts() -> None:
    world = make_reviewed()
    last = compute_review(world.state, review_of(world), time_ms=Millis(millis(410) - 1))
    over = compute_review(world.state, review_of(world), time_ms=millis(410))
    assert (last.stage, last.remaining_ms) == ("running", 1)
    assert (over.stage, over.remaining_ms, over.since_ms) == ("cleared", 0, millis(410))


def test_an_extension_on_the_last_day_counts_and_one_at_its_end_is_too_late() -> None:
    world = make_reviewed()
    world.block(250)
    assert world.refuse(410, event(world, "extended")).code is Code.REVIEW_STATE
    assert world.refuse(410, event(world, "blocked")).code is Code.REVIEW_STATE
    say(world, 409, "extended")
    assert review_of(world, 409).remaining_ms == 101_000
    assert review_of(world, 509).stage == "running"
    assert review_of(world, 510).stage == "cleared"


def test_a_review_is_extended_as_often_as_agreed() -> None:
    world = say(make_reviewed(terms={"extensions_max": 2}), 120, "extended", "info-requested", "extended")
    assert world.refuse(130, event(world, "extended")).code is Code.REVIEW_STATE
    assert review_of(world).remaining_ms == 490_000
    none = make_reviewed(terms={"extensions_max": 0})
    assert none.refuse(130, event(none, "extended")).code is Code.REVIEW_STATE


def test_the_clock_stands_still_while_the_nation_waits() -> None:
    world = say(make_reviewed(), 200, "info-requested")  # after 90
    assert review_of(world, 5_000).stage == "waiting"
    say(world, 3_000, "info-supplied")
    assert review_of(world, 3_209).stage == "running"
    assert review_of(world, 3_210).stage == "cleared"


def test_a_review_that_waits_for_ever_is_never_cleared() -> None:
    world = say(make_reviewed(), 200, "info-requested")
    world.accept(1_000, notice(world))
    assert verdicts_of(world, 10) == BAD


def test_an_outage_gives_the_clock_its_time_back() -> None:
    world = make_reviewed()
    world.block(200)
    world.block(500)  # 300 without a block, of which the clock would have run 210
    assert review_of(world, 709).stage == "running"
    assert review_of(world, 710).stage == "cleared"
    say(world, 600, "info-requested")
    assert review_of(world).remaining_ms == 110_000


def test_an_outage_while_the_clock_stands_still_changes_nothing() -> None:
    world = say(make_reviewed(), 200, "info-requested")
    say(world, 600, "info-supplied")  # the first block for 400
    assert review_of(world, 809).stage == "running"
    assert review_of(world, 810).stage == "cleared"


def test_an_outage_after_the_clock_has_run_out_changes_nothing() -> None:
    world = make_reviewed()
    world.block(250)
    world.block(410)
    world.block(900)
    assert review_of(world, 410).stage == review_of(world, 900).stage == "cleared"
    rejection = world.refuse(900, event(world, "blocked"))
    assert (rejection.code, rejection.found) == (Code.REVIEW_STATE, "blocked of a review that is cleared")
    assert rejection.expected == "nothing more: there is an outcome"


def test_a_nation_may_relent_after_a_block_by_itself_or_by_silence() -> None:
    world = say(make_reviewed(terms={"silence": "blocks"}), 500, "cleared")
    assert review_of(world, 900).stage == "cleared"
    world.accept(600, notice(world))
    assert verdicts_of(world, 6) == GOOD


# --- release ----------------------------------------------------------------------------------------------------------


def test_a_reviewed_release_is_good_and_recorded_as_such() -> None:
    world = say(make_reviewed(), 120, "cleared")
    world.accept(220, notice(world))
    assert verdicts_of(world, 2) == GOOD
    review = review_of(world)
    assert (review.released_in, review.was_required) == ("cleared", True)
    assert review.released_by is not None


@pytest.mark.parametrize("words", [(), ("info-requested",), ("blocked",)])
def test_a_release_before_the_outcome_or_against_it_is_a_breach(words: tuple[EventName, ...]) -> None:
    world = say(make_reviewed(), 120, *words)
    world.accept(220, notice(world))
    assert verdicts_of(world, 1) == GOOD
    assert verdicts_of(world, 2) == BAD


def test_a_release_that_was_never_handed_in_is_a_breach_on_every_cluster_of_its_runs() -> None:
    world = make_trained()
    index = world.size
    world.accept(220, notice(world))
    assert verdicts_of(world, 2) == BAD
    assert review_of(world) == Review(
        stage="absent",
        leaf=b"",
        digest=bytes.fromhex(WEIGHTS),
        runs=("r1",),
        planned_at=0,
        is_acknowledged=False,
        since_ms=millis(220),
        remaining_ms=0,
        extension_count=0,
        released_by=LeafIndex(index),
        released_in="absent",
        was_required=True,
    )


def test_a_release_of_other_weights_than_those_reviewed_is_unreviewed() -> None:
    world = say(make_reviewed(), 120, "cleared")
    world.accept(220, notice(world, digest=OTHER_WEIGHTS))
    assert verdicts_of(world, 2) == BAD
    assert (review_of(world).stage, review_of(world).released_in) == ("cleared", "absent")


@pytest.mark.parametrize(("threshold", "lowest"), [(10**6 - 1, 21), (10**6, 21), (10**6 + 1, 22)])
def test_a_review_is_required_from_the_band_that_proves_it(threshold: int, lowest: int) -> None:
    for band, expected in ((lowest - 1, GOOD), (lowest, BAD)):
        world = make_trained(band=band, terms={"required_pflop": threshold})
        world.accept(220, notice(world))
        assert verdicts_of(world, 2) == expected


def test_a_block_binds_where_no_review_was_required() -> None:
    world = say(make_reviewed(band=20), 120, "blocked")
    world.accept(220, notice(world))
    assert verdicts_of(world, 2) == BAD
    assert not review_of(world).was_required


def test_an_unfinished_review_of_a_small_model_hinders_nobody() -> None:
    world = make_reviewed(band=20)
    world.accept(220, notice(world))
    assert verdicts_of(world, 2) == GOOD


@pytest.mark.parametrize("words", [(), ("blocked",)])
def test_where_reviews_are_not_binding_a_release_is_only_recorded(words: tuple[EventName, ...]) -> None:
    world = say(make_reviewed(terms={"is_binding": False}), 120, *words)
    world.accept(220, notice(world))
    assert verdicts_of(world, 2) == GOOD
    review = review_of(world)
    assert (review.released_in, review.was_required) == ("blocked" if words else "running", True)


def test_what_is_in_the_base_model_counts_for_the_review() -> None:
    world = make_world()
    base = BaseModel(lab="elsewhere", run="giant", leaf=None)
    entry = training_run(world, "started", kind="post-training", base_model=base, band=24, run_band=19)
    world.accept(110, entry)
    world.accept(220, notice(world))
    world.file(249, LAB, 1, ["a1", "a2"])
    world.file(349, LAB, 2, ["a1", "a2"])
    world.block(350)
    assert [world.said(LAB, cluster, 2)[-1] for cluster in ("a1", "a2")] == [BAD[0], GOOD[0]]


def test_of_a_model_that_nobody_named_nothing_is_known() -> None:
    world = make_world()
    assert find_review(world.state, LAB, MODEL) is None
    assert find_review(world.state, "nobody", MODEL) is None
    assert world.refuse(120, event(world, "cleared")).code is Code.UNKNOWN_REVIEW
