"""Decisions: who proposes what, which votes carry it, when it lapses, and what is refused."""

import pytest

from ledger.limits import BLOCK_BYTES_MAX, INTEGER_MAX, INTERVAL_MAX, MEMBERS_MAX, PAUSE_ID_CHARACTERS_MAX, SIZE_MAX
from ledger.positions import Interval, LeafIndex, Millis
from ledger.rules.apply import open_block
from ledger.rules.committee import MOTIONS_OPEN_MAX
from ledger.rules.opening import AGENDA_BYTES_MAX
from ledger.rules.pauses import EXTENSIONS_WAITING_MAX
from ledger.rules.records.committee import MOTIONS, Outcome
from ledger.rules.records.pauses import PAUSES
from ledger.rules.verdicts import VERDICTS_BYTES_MAX
from ledger.statements.committee import ExtendPause, LiftPause
from ledger.statements.pauses import PauseEvent, PauseStep, encode_pause_event
from tests.ledger.pausing import (
    INTERVALS_MAX,
    MEMBERS,
    RESOLUTION,
    WINDOW_S,
    A,
    B,
    C,
    D,
    PauseWorld,
    boundary,
    code_of,
    make_entry,
)
from tests.ledger.rulebook import millis

LIFT = LiftPause(pause="p")


@pytest.fixture
def world() -> PauseWorld:
    return PauseWorld()


def outcome_of(world: PauseWorld, proposal: str = "m") -> Outcome:
    return Outcome(MOTIONS.require(world.state, proposal.encode()).outcome)


def test_a_quorum_carries_a_resolution_and_nothing_follows(world: PauseWorld) -> None:
    world.accept(10, world.motion(A, RESOLUTION))
    for nation in (B, C):
        world.accept(20, world.vote(nation))
        assert outcome_of(world) is Outcome.OPEN
    index = world.size
    world.accept(30, world.vote(D))
    assert outcome_of(world) is Outcome.CARRIED
    assert MOTIONS.require(world.state, b"m").decided_by == index
    world.block(1_000)
    assert outcome_of(world) is Outcome.CARRIED
    assert world.story() == []


def test_a_vote_counts_once_and_may_be_changed_until_it_is_decided(world: PauseWorld) -> None:
    world.accept(10, world.motion(A, RESOLUTION))
    for approves in (True, True, False):
        world.accept(20, world.vote(A, approves=approves))
    for nation in (B, C):
        world.accept(30, world.vote(nation))
    assert outcome_of(world) is Outcome.OPEN
    world.accept(40, world.vote(A))
    assert outcome_of(world) is Outcome.CARRIED
    assert code_of(world.refuse(50, world.vote(A, approves=False))) == ("PROPOSAL_CLOSED", "proposal")


def test_a_proposal_lapses_with_the_end_of_its_window(world: PauseWorld) -> None:
    for at in (10 + WINDOW_S - 1, 10 + WINDOW_S):
        world = PauseWorld()
        world.accept(10, world.motion(A, RESOLUTION))
        for nation in (A, B):
            world.accept(20, world.vote(nation))
        if at == 10 + WINDOW_S:
            assert code_of(world.refuse(at, world.vote(C))) == ("PROPOSAL_CLOSED", "proposal")
            world.block(at)
            assert outcome_of(world) is Outcome.LAPSED
        else:
            world.accept(at, world.vote(C))
            assert outcome_of(world) is Outcome.CARRIED


def test_an_outage_moves_the_end_of_the_window(world: PauseWorld) -> None:
    world.accept(10, world.motion(A, RESOLUTION))
    for nation in (A, B):
        world.accept(20, world.vote(nation))
    world.block(20 + 281)
    world.block(10 + WINDOW_S + 280)
    assert outcome_of(world) is Outcome.OPEN
    world.block(10 + WINDOW_S + 281)
    assert outcome_of(world) is Outcome.LAPSED


def test_lifting_takes_a_quorum_or_all_as_the_charter_says() -> None:
    for entry, voters, is_lifted in (
        (make_entry(), (A, B, C), True),
        (make_entry(), (A, B), False),
        (make_entry(lift="all"), (A, B, C), False),
        (make_entry(lift="all"), MEMBERS, True),
    ):
        world = PauseWorld(entry)
        world.activate()
        world.decide(110, LIFT, voters=voters)
        world.block(boundary(2))
        assert [line[1] for line in world.story()] == (["activated", "lifted"] if is_lifted else ["activated"])


def test_extending_takes_a_quorum_even_where_lifting_takes_all() -> None:
    world = PauseWorld(make_entry(lift="all"))
    world.activate()
    cause = world.decide(110, ExtendPause(pause="p", until=Interval(20)))
    world.block(boundary(2))
    assert world.story() == [("p", "activated", 3, 7), ("p", "extended", 2, 20)]
    assert world.events()[1].cause == cause


def test_what_can_be_proposed_about_a_pause(world: PauseWorld) -> None:
    def refused(at: int, change: LiftPause | ExtendPause) -> tuple[str, str]:
        return code_of(world.refuse(at, world.motion(A, change)))

    def extend(until: int) -> ExtendPause:
        return ExtendPause(pause="p", until=Interval(until))

    assert refused(5, LIFT) == ("UNKNOWN_PAUSE", "change.pause")
    world.accept(10, world.pause(A))
    for change in (LIFT, extend(9)):
        assert refused(15, change) == ("PAUSE_CLOSED", "change.pause")
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.block(boundary(1))
    for until in (7, 7 + INTERVALS_MAX + 1):
        assert refused(110, extend(until)) == ("INVALID_FIELD", "change.until")
    world.accept(110, world.motion(A, extend(8), "least"))
    world.accept(110, world.motion(A, extend(7 + INTERVALS_MAX), "most"))
    world.block(boundary(7))
    assert refused(710, LIFT) == ("PAUSE_CLOSED", "change.pause")


def test_what_is_refused_of_proposals_and_votes(world: PauseWorld) -> None:
    world.register(0, "acme", ["a1"])
    world.accept(10, world.motion(A, RESOLUTION))
    assert code_of(world.refuse(20, world.motion(B, RESOLUTION))) == ("ID_TAKEN", "proposal")
    assert code_of(world.refuse(20, world.vote(A, "unheard-of"))) == ("UNKNOWN_PROPOSAL", "proposal")
    assert code_of(world.refuse(20, world.vote(A, change="00" * 32))) == ("TERMS_MISMATCH", "change")
    for entry in (world.motion("acme", RESOLUTION, "n"), world.vote("acme")):
        assert code_of(world.refuse(20, entry)) == ("WRONG_ISSUER", "issuer")


def test_a_nation_has_so_many_open_and_one_more_when_one_is_decided_or_has_lapsed(world: PauseWorld) -> None:
    for number in range(MOTIONS_OPEN_MAX):
        world.accept(10 + number, world.motion(A, RESOLUTION, f"m{number}"))
    assert code_of(world.refuse(20, world.motion(A, RESOLUTION, "more"))) == ("TOO_MANY_OPEN", "proposal")
    world.motions["m1"] = RESOLUTION
    for nation in (B, C, D):
        world.accept(30, world.vote(nation, "m1"))
    world.accept(40, world.motion(A, RESOLUTION, "more"))
    assert code_of(world.refuse(50, world.motion(A, RESOLUTION, "even-more"))) == ("TOO_MANY_OPEN", "proposal")
    world.accept(10 + WINDOW_S, world.motion(A, RESOLUTION, "even-more"))


def test_a_boundary_takes_so_many_extensions_and_a_lift_whatever_waits(world: PauseWorld) -> None:
    world.activate()
    extensions = [ExtendPause(pause="p", until=Interval(8 + number)) for number in range(EXTENSIONS_WAITING_MAX + 1)]
    for number, change in enumerate(extensions[:-1]):
        world.decide(110 + number, change, f"m{number}")
    world.accept(120, world.motion(A, extensions[-1], "more"))
    for nation in (A, B):
        world.accept(120, world.vote(nation, "more"))
    assert code_of(world.refuse(120, world.vote(C, "more"))) == ("TOO_MANY_OPEN", "approves")
    fork, _ = open_block(world.state, time_ms=millis(boundary(2)), parent=world.parent)
    assert PAUSES.require(fork, b"p").end == 8 + EXTENSIONS_WAITING_MAX - 1
    world.accept(boundary(2), world.vote(C, "more"))
    world.decide(boundary(2) + 1, LiftPause(pause="p"), "lift")
    world.block(boundary(3))
    assert [step for _, step, _, _ in world.story()] == ["activated", *["extended"] * len(extensions), "lifted"]


def test_all_that_may_come_of_one_pause_fits_a_block_beside_all_else() -> None:
    event = PauseEvent(
        ledger="ab" * 32,
        pause="p" * PAUSE_ID_CHARACTERS_MAX,
        terms="ab" * 32,
        event=PauseStep.ACTIVATED,
        interval=Interval(INTERVAL_MAX),
        until=Interval(INTERVAL_MAX),
        nations=tuple(f"{number:064}" for number in range(MEMBERS_MAX)),
        pledge_count=INTEGER_MAX,
        cause=LeafIndex(INTEGER_MAX),
        time_ms=Millis(SIZE_MAX),
    )
    events_max = EXTENSIONS_WAITING_MAX + 3  # activated, joined, and how it ends
    assert AGENDA_BYTES_MAX + events_max * len(encode_pause_event(event)) + VERDICTS_BYTES_MAX <= BLOCK_BYTES_MAX
