"""Pace, questions, ballot, judging: the core's parts, each alone."""

from dataclasses import replace

import pytest

from ledger.blocks import SealedHeader
from ledger.errors import Code, Rejection
from ledger.positions import Height, MemberIndex, Millis, View
from node.consensus.ballot import Ballot
from node.consensus.chain import Chain, Execution
from node.consensus.judging import judge_place
from node.consensus.messages import VoteKind
from node.consensus.pace import Pace
from node.consensus.questions import Questions
from node.consensus.tally import Tally
from tests.scenarios.stage import GENESIS, START_MS, Stage

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
ONE = MemberIndex(1)


# --- pace (Δ 100 ms, at most 800; idle 1000 ms) ----------------------------------------------------------------------


@pytest.fixture
def pace() -> Pace:
    made = Pace(Stage().core._config)
    made.begin(Millis(10_000), by_block=True)
    return made


def test_a_leader_has_the_idle_interval_and_two_delta_when_nothing_is_pending(pace: Pace) -> None:
    assert pace.leader_deadline_ms(ONE) == 10_000 + 1_000 + 200


def test_a_leader_has_two_delta_after_a_nullified_view(pace: Pace) -> None:
    pace.begin(Millis(10_000), by_block=False)
    assert pace.leader_deadline_ms(ONE) == 10_200
    assert pace.empty_block_ms(is_parent_final=True) == 10_000


@pytest.mark.parametrize(
    ("since_ms", "deadline_ms"), [(9_000, 10_200), (9_950, 10_250), (10_300, 10_600), (99_000, 11_200)]
)
def test_an_entry_pending_for_delta_starts_the_leaders_two_delta(pace: Pace, since_ms: int, deadline_ms: int) -> None:
    pace.set_pending(Millis(since_ms))
    assert pace.leader_deadline_ms(ONE) == deadline_ms
    pace.set_pending(None)
    assert pace.leader_deadline_ms(ONE) == 11_200


def test_a_deadline_of_the_rules_starts_the_leaders_two_delta_too(pace: Pace) -> None:
    pace.set_deadline(Millis(10_500))
    assert pace.leader_deadline_ms(ONE) == 10_700
    assert not pace.has_reason(Millis(10_499))
    assert pace.has_reason(Millis(10_500))
    assert pace.next_proposal_ms(Millis(10_100), is_parent_final=True) == 10_500
    assert pace.next_proposal_ms(Millis(10_600), is_parent_final=True) == 11_000


def test_a_parent_that_is_not_final_gets_an_empty_child_after_delta(pace: Pace) -> None:
    assert pace.empty_block_ms(is_parent_final=False) == 10_100
    assert pace.empty_block_ms(is_parent_final=True) == 11_000


def test_delta_doubles_from_the_second_nullified_view_in_a_row_and_halves_with_finality(pace: Pace) -> None:
    seen = []
    for _ in range(6):
        pace.end(ONE, by_block=False, was_heard=True)
        seen.append(pace.delta_ms)
    assert seen == [100, 200, 400, 800, 800, 800]
    for expected in (400, 200, 100, 100):
        pace.on_finalized()
        assert pace.delta_ms == expected
    pace.end(ONE, by_block=False, was_heard=True)
    pace.end(ONE, by_block=True, was_heard=True)
    pace.end(ONE, by_block=False, was_heard=True)
    assert pace.delta_ms == 100


def test_a_leader_silent_twice_gets_delta_only_until_it_is_heard_again(pace: Pace) -> None:
    for _ in range(2):
        pace.end(ONE, by_block=False, was_heard=False)
    pace.begin(Millis(0), by_block=False)
    assert pace.leader_deadline_ms(ONE) == pace.delta_ms
    assert pace.leader_deadline_ms(MemberIndex(2)) == 2 * pace.delta_ms
    pace.end(ONE, by_block=False, was_heard=True)
    pace.begin(Millis(0), by_block=False)
    assert pace.leader_deadline_ms(ONE) == 2 * pace.delta_ms


# --- questions -------------------------------------------------------------------------------------------------------


def ask(questions: Questions, now: int) -> MemberIndex | None:
    return questions.ask(b"d", first=MemberIndex(3), now=Millis(now), delta_ms=Millis(100))


def test_the_first_is_asked_first_and_every_delta_another_but_never_oneself() -> None:
    questions = Questions(me=MemberIndex(4), member_count=4)
    assert [ask(questions, now) for now in (0, 50, 100, 199, 200, 300, 400)] == [3, None, 1, None, 1, 2, 3]
    assert b"d" in questions
    questions.answered(b"d")
    assert b"d" not in questions
    assert ask(questions, 401) == 3


def test_there_is_nobody_to_ask_alone() -> None:
    assert ask(Questions(me=ONE, member_count=1), 0) is None


# --- ballot ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.block("A", view=1)
    made.block("B", view=3, parent="A", time_ms=20)
    return made


@pytest.fixture
def ballot(stage: Stage) -> Ballot:
    return Ballot(stage.core._config, stage.keys)


@pytest.mark.parametrize(
    ("kind", "view", "expected"),
    [
        (NOTARIZE, 4, False), (NOTARIZE, 5, True), (NOTARIZE, 6, False),
        (NULLIFY, 4, False), (NULLIFY, 5, True), (NULLIFY, 6, False),
        (FINALIZE, 4, True), (FINALIZE, 5, False), (FINALIZE, 6, False),
    ],
)  # fmt: skip
def test_votes_are_of_the_current_view_but_finalize_of_those_left(
    ballot: Ballot, kind: VoteKind, view: int, expected: bool
) -> None:
    assert ballot.may_cast(kind, View(view), current=View(5)) is expected


def test_a_vote_carries_to_disk_the_block_and_the_certificates_it_rests_on(stage: Stage, ballot: Ballot) -> None:
    chain = Chain(stage.core._config.final)
    node = chain.add(stage.blocks["A"], source=ONE)
    node.execution = Execution.VALID
    ballot.learned(stage.nullification(9, [1, 3, 4]))
    _, record = ballot.cast(NOTARIZE, View(1), node, current=View(1))
    _, again = ballot.cast(FINALIZE, View(1), node, current=View(2))
    stage.disk += record + again
    stage.rebuild()
    assert stage.core.get_block(stage.header("A").digest) == stage.blocks["A"]
    assert stage.core.get_certificate(NULLIFY, View(9)) is not None
    assert len(again) < len(record), "block and certificate are written once"


def test_a_vote_that_may_not_be_cast_is_our_own_mistake(stage: Stage, ballot: Ballot) -> None:
    ballot.cast(NULLIFY, View(1), None, current=View(1))
    with pytest.raises(AssertionError):
        ballot.cast(NULLIFY, View(1), None, current=View(1))
    node = Chain(stage.core._config.final).add(stage.blocks["A"], source=ONE)
    with pytest.raises(AssertionError):
        ballot.cast(FINALIZE, View(1), node, current=View(2))
    with pytest.raises(AssertionError):
        ballot.cast(NOTARIZE, View(2), node, current=View(2))


@pytest.mark.parametrize(("said", "never"), [(FINALIZE, NULLIFY), (NULLIFY, FINALIZE)])
def test_a_finalize_vote_rules_out_nullify_and_the_other_way_round_whatever_the_view(
    stage: Stage, ballot: Ballot, said: VoteKind, never: VoteKind
) -> None:
    ballot.replay(stage.vote(said, 2, view=1) if said is NULLIFY else stage.vote(said, 2, block="A"))
    for current in (1, 2):
        assert not ballot.may_cast(never, View(1), current=View(current))


@pytest.mark.parametrize(("member_count", "answers"), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5), (7, 5)])
def test_recovery_needs_answers_of_a_quorum_or_of_all_others(member_count: int, answers: int) -> None:
    stage = Stage(member_count=member_count, me=1, is_lost=True)
    ballot = stage.core._ballot
    for member in range(2, 2 + answers):
        assert ballot.lift_recovery(current=View(1)) is None
        ballot.take_view(MemberIndex(member), View(10 + member))
    assert ballot.lift_recovery(current=View(1)) is not None
    assert ballot.muted_until == (3 if answers == 0 else 10 + 1 + answers + 2)


# --- judging ---------------------------------------------------------------------------------------------------------


def test_a_well_placed_proposal_has_nothing_against_it_and_nothing_missing(stage: Stage) -> None:
    chain, tally = Chain(stage.core._config.final), Tally(stage.core._config, stage.keys)
    header = stage.header("B")
    chain.add(stage.blocks["B"], source=ONE)
    now = Millis(START_MS)
    assert judge_place(header, chain=chain, tally=tally, now=now) == [stage.header("A").digest]
    chain.add(stage.blocks["A"], source=ONE)
    assert judge_place(header, chain=chain, tally=tally, now=now) == [(NOTARIZE, 1), (NULLIFY, 2)]
    tally.add_certificate(stage.notarization("A", [1, 3, 4]))
    tally.add_certificate(stage.nullification(2, [1, 3, 4]))
    assert judge_place(header, chain=chain, tally=tally, now=now) == []


def reject_place(stage: Stage, name: str, *, now: int = START_MS, certified: str = "") -> Rejection:
    chain, tally = Chain(stage.core._config.final), Tally(stage.core._config, stage.keys)
    for block in stage.blocks.values():
        chain.add(block, source=ONE)
    if certified:
        tally.add_certificate(stage.notarization(certified, [1, 3, 4]))
    verdict = judge_place(stage.header(name), chain=chain, tally=tally, now=Millis(now))
    assert isinstance(verdict, Rejection)
    return verdict


def test_a_time_more_than_two_seconds_ahead_is_refused(stage: Stage) -> None:
    stage.block("L", view=1, time_ms=2_001)
    assert reject_place(stage, "L").code is Code.CLOCK_AHEAD
    stage.block("M", view=3, parent="A", time_ms=2_000)
    with pytest.raises(AssertionError):
        reject_place(stage, "M")


def test_a_parent_that_lost_to_another_block_of_its_view_is_refused(stage: Stage) -> None:
    stage.block("X", view=1, time_ms=9)
    assert reject_place(stage, "B", certified="X").field == "header.parent"


def test_a_header_that_contradicts_its_parent_is_refused(stage: Stage) -> None:
    block = stage.blocks["B"]
    stage.blocks["B"] = replace(block, header=replace(block.header, height=Height(3)))
    assert reject_place(stage, "B").field == "header.height"


def test_a_branch_below_the_newest_final_block_is_refused(stage: Stage) -> None:
    stage.block("X", view=1, time_ms=9)
    stage.block("Y", view=5, parent="X", time_ms=30)
    chain, tally = Chain(stage.core._config.final), Tally(stage.core._config, stage.keys)
    chain.add(stage.blocks["A"], source=ONE)
    chain.advance(SealedHeader(stage.header("A"), b"s" * 48))
    chain.add(stage.blocks["Y"], source=ONE)
    verdict = judge_place(stage.header("Y"), chain=chain, tally=tally, now=Millis(START_MS + 50))
    assert isinstance(verdict, Rejection)
    assert verdict.found == stage.header("X").digest.hex()
    assert chain.root.header != GENESIS
