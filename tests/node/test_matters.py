"""What is open, as a nation's node tells its operator: every deadline is the one that the rules will keep."""

import json

import pytest

from ledger.positions import LeafIndex, MemberIndex
from ledger.rules.records.committee import MOTIONS, Outcome
from ledger.statements.committee import Resolution, compute_change_digest
from ledger.statements.pauses import compute_terms_digest
from node import matters
from node.matters import list_matters
from node.v1 import operator_pb2
from tests.ledger import inspecting, training
from tests.ledger.pausing import MEMBERS, RESOLUTION, WINDOW_S, PauseWorld, boundary, make_terms
from tests.ledger.rulebook import AGREED_ENTRY, CHARTER_ENTRY, NATIONS, World, millis

A, B, C, D = MEMBERS
ME, OTHER = MemberIndex(1), MemberIndex(2)


def ask(world: World, *, me: MemberIndex = ME, held_from: int = 1) -> operator_pb2.ListOpenResponse:
    entries = [b"", *(entry for _, block in world.blocks for entry in block)]

    def read_entry(index: LeafIndex) -> bytes | None:
        return entries[index] if index >= held_from else None

    return list_matters(world.state, read_entry, me=me)


def test_a_pause_is_open_from_its_proposal_to_its_end_with_who_joins_on_what_condition() -> None:
    world = PauseWorld()
    world.accept(10, world.pause(A))
    world.accept(20, world.accede(B, nations=[C], nations_min=3, lapses=7))
    (pause,) = ask(world).pauses
    assert (pause.pause, pause.proposer, pause.activated, pause.lapses, pause.index) == ("p", A, False, 8, 1)
    assert pause.terms.hex() == compute_terms_digest(make_terms())
    assert json.loads(pause.body)["title"] == make_terms().title
    (said,) = pause.accessions
    assert (said.nation, said.joined, list(said.nations), said.nations_min, said.lapses) == (B, False, [C], 3, 7)
    world.accept(30, world.accede(C))
    world.accept(40, world.accede(A))
    world.block(boundary(1))
    (pause,) = ask(world).pauses
    assert (pause.activated, pause.start, pause.end) == (True, 3, 7)
    assert [(each.nation, each.joined, each.since) for each in pause.accessions] == [
        (nation, True, 3) for nation in (A, B, C)
    ]
    world.block(boundary(7))
    assert not ask(world).pauses


def test_a_proposal_is_open_until_it_is_carried_and_votes_are_told() -> None:
    world = PauseWorld()
    world.accept(10, world.motion(A, RESOLUTION))
    world.accept(20, world.vote(B))
    world.accept(20, world.vote(C, approves=False))
    (proposal,) = ask(world).proposals
    assert (proposal.proposal, proposal.proposer, list(proposal.yes), list(proposal.no)) == ("m", A, [B], [C])
    assert (proposal.needed, proposal.closes_ms) == (3, millis(10 + WINDOW_S))
    assert proposal.change.hex() == compute_change_digest(RESOLUTION)
    assert json.loads(proposal.body)["text"] == RESOLUTION.text
    for nation in (A, D):
        world.accept(30, world.vote(nation))
    assert not ask(world).proposals


@pytest.mark.parametrize("outage_s", [0, 5_000])
def test_a_proposal_lapses_when_it_was_told_to_and_an_outage_moves_both(outage_s: int) -> None:
    world = PauseWorld()
    world.accept(10, world.motion(A, RESOLUTION))
    world.block(20 + outage_s)
    (proposal,) = ask(world).proposals
    assert (proposal.closes_ms > millis(10 + WINDOW_S)) == bool(outage_s)
    for after_ms, outcome in ((-1_000, Outcome.OPEN), (0, Outcome.LAPSED)):
        world.block((proposal.closes_ms + after_ms - millis(0)) // 1000)
        assert MOTIONS.require(world.state, b"m").outcome == outcome


def test_words_that_are_in_a_part_of_the_history_not_here_are_left_out_and_their_digest_stays() -> None:
    world = PauseWorld()
    world.accept(10, world.motion(A, RESOLUTION))
    world.accept(20, world.pause(A))
    (proposal,), (pause,) = ask(world, held_from=2).proposals, ask(world, held_from=2).pauses
    assert (proposal.body, proposal.change.hex()) == (b"", compute_change_digest(RESOLUTION))
    assert pause.body


def test_a_run_waits_for_its_own_nation_alone_until_silence_speaks() -> None:
    world = training.make_world()
    world.accept(100, training.training_run(world, "declared", band=23, cap_band=24))
    (run,) = ask(world).runs
    known = training.get_run(world)
    assert known is not None
    assert (run.lab, run.run, run.state, run.declared) == ("acme", "r1", "declared", True)
    assert (run.band, run.cap_band, run.declaration) == (23, 24, known.leaf)
    assert run.decide_by_ms == millis(100 + 60)
    assert not ask(world, me=OTHER).runs
    for at, stage, until in ((159, "declared", run.decide_by_ms), (160, "approved", 0)):
        world.block(at)
        (run,) = ask(world).runs
        assert (run.state, run.decide_by_ms) == (stage, until)


def test_a_run_that_needs_no_approval_has_no_deadline_and_one_that_ended_is_not_told() -> None:
    world = training.make_world()
    world.accept(100, training.training_run(world, "declared", band=20))
    assert [run.decide_by_ms for run in ask(world).runs] == [0]
    world.accept(110, training.training_run(world, "stopped", band=20))
    assert not ask(world).runs


def test_a_review_has_its_clock_which_stands_still_while_it_waits_and_is_gone_once_it_is_cleared() -> None:
    world = training.make_world()
    world.accept(100, training.training_run(world, "started", band=20))
    world.accept(110, training.hand_in(world))
    (review,) = ask(world).reviews
    assert (review.lab, review.model, review.stage, review.ends_ms) == ("acme", "m1", "running", millis(410))
    assert review.review == training.review_of(world).leaf
    assert not ask(world, me=OTHER).reviews
    world.accept(150, training.event(world, "info-requested"))
    (review,) = ask(world).reviews
    assert (review.stage, review.ends_ms, review.remaining_ms) == ("waiting", 0, 260_000)
    world.accept(160, training.event(world, "blocked"))
    assert [each.stage for each in ask(world).reviews] == ["blocked"]
    world.accept(170, training.event(world, "cleared"))
    assert not ask(world).reviews


def test_a_ledger_without_agreement_has_nothing_open() -> None:
    world = World(CHARTER_ENTRY)
    world.block(10)
    answer = ask(world)
    assert (answer.charter, answer.time_ms) == (CHARTER_ENTRY, millis(10))
    assert [*answer.pauses, *answer.proposals, *answer.runs, *answer.reviews] == []


def test_a_list_that_is_too_long_keeps_what_ends_first_and_says_how_much_is_left_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matters, "MATTERS_MAX", 2)
    world = PauseWorld()
    for place, name in enumerate(("z", "y", "x", "w")):
        change = Resolution(text=name, digest="00" * 32)
        world.accept(10 + place, world.motion(A, change, name))
    answer = ask(world)
    assert [proposal.proposal for proposal in answer.proposals] == ["z", "y"]
    assert answer.left_off == 2


def test_a_challenge_is_told_to_who_raised_it_whose_lab_it_is_and_whose_inspectors_are_named() -> None:
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1"])
    inspecting.name_inspectors(world, 20, "ada")
    world.file(250, "acme", 1, ["a1"])
    world.accept(260, inspecting.make_challenge(world))
    lab_nation, challenger, asked = (MemberIndex(i) for i in (1, 2, 3))
    for member, own in ((lab_nation, []), (challenger, ["ada"]), (asked, ["ada"])):
        (raised,) = ask(world, me=member).challenges
        assert (raised.challenge, raised.nation, raised.lab_nation) == ("c-1", NATIONS[1], NATIONS[0])
        assert (raised.stage, raised.until_ms, list(raised.inspectors)) == ("open", millis(360), own)
    world.block(360)
    assert [(each.stage, each.until_ms) for each in ask(world).challenges] == [("overdue", millis(430))]
    world.accept(400, inspecting.make_response(world))
    world.accept(410, inspecting.make_finding(world, NATIONS[1], "consistent"))
    assert [list(each.inspectors) for each in ask(world, me=challenger).challenges] == [[]]
    (raised,) = ask(world, me=asked).challenges
    assert (raised.stage, raised.until_ms, list(raised.inspectors)) == ("provided", millis(550), ["ada"])
    world.block(550)
    assert not ask(world, me=asked).challenges
