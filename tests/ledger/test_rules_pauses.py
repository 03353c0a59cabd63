"""Pauses: what brings one about and what does not, when it begins, whom it binds, how it ends."""

from collections.abc import Callable, Sequence

import pytest

from ledger.charter import Accelerator
from ledger.positions import Interval
from ledger.rules import opening, pauses
from ledger.rules.apply import open_block
from ledger.rules.pauses import PAUSES_OPEN_MAX
from ledger.rules.records.pauses import Pause
from ledger.rules.records.tallies import TALLIES
from ledger.rules.remarks import list_remarks
from ledger.rules.undertakings import UNDERTAKINGS_MAX, compute_limits
from ledger.statements.committee import ExtendPause, LiftPause
from ledger.statements.dsse import sign_envelope
from ledger.statements.pauses import PauseStep
from ledger.statements.registry import Capacity, Cluster
from ledger.statements.reports import Row
from ledger.statements.verdicts import Reason
from tests.ledger.inspecting import make_challenge, make_finding, make_response, name_inspectors
from tests.ledger.pausing import (
    INTERVALS_MAX,
    A,
    B,
    C,
    D,
    PauseWorld,
    boundary,
    code_of,
    make_agreement,
    make_entry,
    make_terms,
)
from tests.ledger.rulebook import CHARTER_ENTRY, LIMITS, Key, World, due, make_charter_entry, make_row, millis

LIFT = LiftPause(pause="p")


@pytest.fixture
def world() -> PauseWorld:
    return PauseWorld()


def extend(until: int, pause: str = "p") -> ExtendPause:
    return ExtendPause(pause=pause, until=Interval(until))


# --- activation ------------------------------------------------------------------------------------------------------


def test_a_pause_is_activated_at_the_boundary_at_which_enough_have_joined(world: PauseWorld) -> None:
    world.accept(10, world.pause(A))
    world.accept(20, world.accede(A))
    world.block(boundary(1))
    assert world.story() == []
    cause = world.size
    world.accept(110, world.accede(B))
    world.block(boundary(2) - 1)
    assert world.story() == []
    world.block(boundary(2))
    [event] = world.events()
    assert (event.event, event.interval, event.until) == (PauseStep.ACTIVATED, 3, 7)
    assert (event.nations, event.cause, event.pledge_count) == ((A, B), cause, 0)
    assert event.terms == world.digest("p")


def test_an_accession_in_the_very_block_of_the_boundary_counts_from_the_next(world: PauseWorld) -> None:
    world.accept(10, world.pause(A))
    world.accept(20, world.accede(A))
    world.accept(boundary(1), world.accede(B))
    assert world.story() == []
    world.block(boundary(2))
    assert world.story() == [("p", "activated", 3, 7)]


@pytest.mark.parametrize(
    ("notice_s", "first", "start"), [(0, 1, 1), (1, 2, 2), (50, 2, 2), (100, 2, 2), (101, 3, 3), (250, 4, 4), (0, 6, 6)]
)
def test_it_begins_with_its_first_interval_and_not_before_the_notice_has_passed(
    notice_s: int, first: int, start: int
) -> None:
    world = PauseWorld(make_entry(notice_s=notice_s))
    world.accept(10 if notice_s != 100 else 0, world.pause(A, terms=make_terms(first=first, count=2)))
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.block(boundary(1))
    assert world.story() == [("p", "activated", start, start + 2)]


def test_the_notice_counts_from_the_boundary_of_the_activation_to_one_at_its_end_or_after() -> None:
    for notice_s, start in ((100, 3), (101, 4)):
        world = PauseWorld(make_entry(notice_s=notice_s))
        world.accept(10, world.pause(A, terms=make_terms(first=3, count=1)))
        for nation in (A, B):
            world.accept(110, world.accede(nation))
        world.block(boundary(2))
        assert world.story() == [("p", "activated", start, start + 1)]


def test_a_pause_may_be_settled_before_the_grid_begins_and_at_its_very_first_boundary(world: PauseWorld) -> None:
    world.accept(-60, world.pause(A, terms=make_terms(first=0, count=1, lapses=0)))
    for nation in (A, B):
        world.accept(-1, world.accede(nation, lapses=0))
    world.block(boundary(0))
    assert world.story() == [("p", "activated", 1, 2)]


def test_conditional_accessions_in_a_cycle_activate_together(world: PauseWorld) -> None:
    world.accept(10, world.pause(D, terms=make_terms(nations_min=3)))
    for nation, other in ((A, B), (B, C)):
        world.accept(20, world.accede(nation, nations=[other]))
    world.block(boundary(1))
    assert world.story() == []
    world.accept(110, world.accede(C, nations=[A], nations_min=3))
    world.block(boundary(2))
    [event] = world.events()
    assert (event.event, event.nations) == (PauseStep.ACTIVATED, (A, B, C))


def test_a_cycle_that_asks_for_one_nation_too_many_does_not_activate(world: PauseWorld) -> None:
    world.accept(10, world.pause(D))
    for nation, other, least in ((A, B, 0), (B, C, 0), (C, A, 4)):
        world.accept(20, world.accede(nation, nations=[other], nations_min=least))
    world.block(boundary(1))
    assert world.story() == []
    world.accept(110, world.accede(D))
    world.block(boundary(2))
    assert world.events()[0].nations == (A, B, C, D)


def test_whose_condition_is_not_met_is_left_out_and_the_others_go_ahead(world: PauseWorld) -> None:
    world.accept(10, world.pause(A))
    for entry in (world.accede(A), world.accede(B), world.accede(C, nations=[D])):
        world.accept(20, entry)
    world.block(boundary(1))
    assert world.events()[0].nations == (A, B)


def test_nations_that_the_terms_name_must_be_among_them(world: PauseWorld) -> None:
    world.accept(10, world.pause(A, terms=make_terms(nations=[C])))
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.block(boundary(1))
    assert world.story() == []
    world.accept(110, world.accede(C))
    world.block(boundary(2))
    assert world.story() == [("p", "activated", 3, 7)]


def test_a_withdrawn_accession_does_not_count_and_a_later_one_takes_the_place_of_an_earlier(world: PauseWorld) -> None:
    world.accept(10, world.pause(A))
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.accept(30, world.withdraw(B))
    world.block(boundary(1))
    assert world.story() == []
    world.accept(110, world.accede(B, nations=[D]))
    world.block(boundary(2))
    assert world.story() == []
    world.accept(210, world.accede(B, nations=[A]))
    world.block(boundary(3))
    assert world.story() == [("p", "activated", 4, 8)]


def test_an_accession_counts_for_the_last_time_at_the_boundary_at_which_it_lapses(world: PauseWorld) -> None:
    for lapses, second_at, expected in ((2, 110, 1), (1, 110, 0)):
        world = PauseWorld()
        world.accept(10, world.pause(A))
        world.accept(20, world.accede(A, lapses=lapses))
        world.accept(second_at, world.accede(B))
        world.block(boundary(2))
        assert len(world.story()) == expected


def test_a_pause_lapses_at_its_boundary_unless_it_is_activated_at_that_very_one(world: PauseWorld) -> None:
    for second_at, expected in ((199, ("p", "activated", 3, 7)), (200, ("p", "lapsed", 2, None))):
        world = PauseWorld()
        world.accept(10, world.pause(A, terms=make_terms(lapses=2)))
        world.accept(20, world.accede(A))
        if second_at == boundary(2):
            assert code_of(world.refuse(second_at, world.accede(B))) == ("PAUSE_CLOSED", "pause")
            world.block(second_at)
        else:
            world.accept(second_at, world.accede(B))
            world.block(boundary(2))
        assert world.story() == [expected]


def test_what_has_lapsed_cannot_be_joined_pledged_to_or_proposed_again(world: PauseWorld) -> None:
    world.register(0, "acme", ["a1"])
    index = world.size
    world.accept(10, world.pause(A, terms=make_terms(lapses=1)))
    world.block(boundary(1))
    [event] = world.events()
    assert (event.event, event.cause, event.nations) == (PauseStep.LAPSED, index, ())
    for entry in (world.accede(A), world.pledge("acme"), world.freeze("acme", "r1")):
        assert code_of(world.refuse(110, entry)) == ("PAUSE_CLOSED", "pause")
    assert code_of(world.refuse(110, world.pause(B, terms=make_terms()))) == ("ID_TAKEN", "pause")


# --- capacity --------------------------------------------------------------------------------------------------------

ANNEX = (Accelerator(model="h100", peak_gflops=1000, tdp_w=700, idle_w=70),)


def register(world: PauseWorld, at: int, lab: str, nation: str, *capacity: Capacity) -> None:
    """Say in public what a cluster of the lab's name holds."""
    cluster = Cluster(f"{lab}-1", "Hall 1", "NO", capacity or None)
    world.accept(at, world.registration(lab, [cluster], nation=nation))


@pytest.mark.parametrize(("permille", "is_enough"), [(749, True), (750, True), (751, False)])
def test_the_share_of_capacity_is_that_of_who_joins_in_what_all_registered(permille: int, is_enough: bool) -> None:
    world = PauseWorld(make_entry(accelerators=ANNEX))
    register(world, 1, "acme", A, Capacity("h100", 200))
    register(world, 2, "bolt", B, Capacity("h100", 100), Capacity("abacus", 10**6))
    register(world, 3, "cogs", C, Capacity("h100", 100))
    register(world, 4, "dark", D)
    world.accept(10, world.pause(A, terms=make_terms(permille=permille)))
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.block(boundary(1))
    assert bool(world.story()) == is_enough


def test_a_later_registration_takes_the_place_of_an_earlier_and_is_seen_at_the_next_boundary() -> None:
    world = PauseWorld(make_entry(accelerators=ANNEX))
    register(world, 1, "acme", A, Capacity("h100", 100))
    register(world, 2, "cogs", C, Capacity("h100", 2**53))
    world.accept(10, world.pause(A, terms=make_terms(permille=500)))
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.block(boundary(1))
    assert world.story() == []
    register(world, 110, "cogs", C, Capacity("h100", 99))
    world.block(boundary(2))
    assert world.story() == [("p", "activated", 3, 7)]
    register(world, 210, "cogs", C)


def test_where_nobody_registered_capacity_no_share_is_enough(world: PauseWorld) -> None:
    world.accept(10, world.pause(A, terms=make_terms(permille=1)))
    for nation in (A, B, C, D):
        world.accept(20, world.accede(nation))
    world.block(boundary(1))
    assert world.story() == []


# --- what happens to an activated pause ------------------------------------------------------------------------------


def test_who_has_joined_can_neither_leave_nor_change_a_word_and_others_may(world: PauseWorld) -> None:
    world.activate()
    for entry in (world.withdraw(A), world.accede(A), world.accede(B, nations=[D])):
        assert code_of(world.refuse(110, entry)) == ("ALREADY_BOUND", "joins")
    world.accept(110, world.accede(C, nations=[D]))
    world.accept(120, world.withdraw(C))


def test_a_nation_may_join_later_and_is_bound_from_the_next_boundary_or_the_beginning(world: PauseWorld) -> None:
    world.register(0, "cogs", ["c1"], nation=C)
    world.register(0, "dark", ["d1"], nation=D)
    world.activate()
    world.accept(110, world.accede(C, nations=[D]))
    world.block(boundary(2))
    cause = world.size_after_opening(410)
    world.accept(410, world.accede(D, nations=[C]))
    world.block(boundary(5))
    assert world.new_story() == [("p", "activated", 3, 7), ("p", "joined", 5, 7)]
    assert (world.events()[1].nations, world.events()[1].cause) == ((A, B, C, D), cause)
    bound = [compute_limits(world.state, "cogs", Interval(k))[len(LIMITS) :] for k in range(3, 8)]
    assert bound == [(), (), ("pause-p",), ("pause-p",), ()]


def test_who_joins_before_it_begins_is_bound_from_its_beginning(world: PauseWorld) -> None:
    world.activate(terms=make_terms(first=5))
    world.accept(110, world.accede(C))
    world.block(boundary(2))
    assert world.new_story() == [("p", "activated", 5, 9), ("p", "joined", 5, 9)]


def test_it_expires_at_the_end_of_its_last_interval(world: PauseWorld) -> None:
    world.activate()
    world.block(boundary(7) - 1)
    assert world.new_story() == [("p", "activated", 3, 7)]
    world.block(boundary(7))
    assert world.new_story() == [("p", "expired", 7, 7)]
    assert TALLIES.require(world.state, A.encode()).pauses_open == 0


def test_it_is_lifted_at_the_boundary_after_the_decision(world: PauseWorld) -> None:
    world.register(0, "acme", ["a1"], nation=A)
    world.activate()
    cause = world.decide(410, LIFT)
    world.block(boundary(5) - 1)
    assert world.new_story() == [("p", "activated", 3, 7)]
    world.block(boundary(5))
    assert world.new_story() == [("p", "lifted", 5, 5)]
    assert world.events()[1].cause == cause
    bound = [compute_limits(world.state, "acme", Interval(k))[len(LIMITS) :] for k in range(2, 7)]
    assert bound == [(), ("pause-p",), ("pause-p",), (), ()]


def test_a_pause_that_is_lifted_before_it_begins_never_binds(world: PauseWorld) -> None:
    world.register(0, "acme", ["a1"], nation=A)
    world.activate(terms=make_terms(first=6))
    world.decide(110, LIFT)
    world.block(boundary(2))
    assert world.new_story()[1:] == [("p", "lifted", 2, 2)]
    for k in range(10):
        assert compute_limits(world.state, "acme", Interval(k)) == LIMITS


def test_an_extension_in_the_last_interval_keeps_it_and_one_after_it_is_refused(world: PauseWorld) -> None:
    world.activate()
    world.decide(boundary(7) - 1, extend(9))
    world.block(boundary(7))
    assert world.new_story()[1:] == [("p", "extended", 7, 9)]
    world.accept(850, world.motion(A, extend(12), "late"))
    for voter in (A, B):
        world.accept(860, world.vote(voter, "late"))
    world.block(boundary(9))
    assert world.new_story() == [("p", "expired", 9, 9)]
    assert code_of(world.refuse(901, world.vote(C, "late"))) == ("PAUSE_CLOSED", "proposal")
    assert code_of(world.refuse(901, world.motion(A, extend(12), "later"))) == ("PAUSE_CLOSED", "change.pause")


def test_of_two_extensions_the_longer_counts_and_what_comes_after_a_lift_does_not(world: PauseWorld) -> None:
    world.activate()
    for proposal, until in (("m1", 12), ("m2", 10), ("m3", 14)):
        world.accept(310, world.motion(B, extend(until), proposal))
    for proposal in ("m1", "m2"):
        for voter in (A, B, C):
            world.accept(320, world.vote(voter, proposal))
    world.block(boundary(4))
    assert world.new_story()[1:] == [("p", "extended", 4, 12)]
    world.decide(410, LIFT, "m4")
    for voter in (A, B, C):
        world.accept(420, world.vote(voter, "m3"))
    world.block(boundary(5))
    assert world.new_story() == [("p", "lifted", 5, 5)]


def test_an_outage_over_boundaries_moves_none_of_them(world: PauseWorld) -> None:
    world.register(0, "acme", ["a1"], nation=A)
    world.accept(10, world.pause(A, terms=make_terms(first=2, count=3)))
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.accept(20, world.accede(C, nations=[D]))
    assert code_of(world.refuse(boundary(9) + 5, world.accede(D))) == ("PAUSE_CLOSED", "pause")
    world.block(boundary(9) + 5)
    assert world.story() == [("p", "activated", 2, 5), ("p", "expired", 5, 5)]
    assert [compute_limits(world.state, "acme", Interval(k))[len(LIMITS) :] for k in (1, 2, 4, 5)] == [
        (),
        ("pause-p",),
        ("pause-p",),
        (),
    ]


def test_pauses_do_not_touch_each_other_and_their_events_come_in_the_order_of_boundaries(world: PauseWorld) -> None:
    world.activate()
    world.accept(110, world.pause(B, "q", make_terms(lapses=2)))
    world.accept(120, world.pause(C, "r", make_terms(nations_min=1, count=2)))
    world.accept(130, world.accede(D, "r"))
    world.block(boundary(6))
    assert [line for line in world.story() if line[0] == "p"] == [("p", "activated", 3, 7)]
    assert [line for line in world.story() if line[0] == "q"] == [("q", "lapsed", 2, None)]
    assert [line for line in world.story() if line[0] == "r"] == [("r", "activated", 3, 5), ("r", "expired", 5, 5)]


def test_what_waits_for_the_next_block_counts_nothing_that_came_after_its_boundary(
    world: PauseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pauses lapse and a third is served a block later: what is said in between is for the next boundary."""
    monkeypatch.setattr(opening, "AGENDA_BYTES_MAX", 1)
    for pause in ("n", "o"):
        world.accept(10, world.pause(B, pause, make_terms(lapses=2)))
    world.activate(terms=make_terms(nations_min=1), nations=[A])
    world.accept(110, world.motion(A, LIFT))
    for nation in (A, B):
        world.accept(120, world.vote(nation))
    world.accept(130, world.accede(C))
    world.new_story()
    world.block(boundary(2), world.vote(C))
    assert world.new_story() == [("n", "lapsed", 2, None)]
    world.nations[C].note(world.blocks[-1][1][-1])
    world.block(boundary(2) + 1, world.accede(B))
    assert world.new_story() == [("o", "lapsed", 2, None)]
    world.block(boundary(2) + 2)
    assert world.new_story() == [("p", "joined", 3, 7)]
    assert world.events()[-1].nations == (A, C)
    world.block(boundary(3))
    assert world.new_story() == [("p", "lifted", 3, 3)]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("terms.interval_count", {"count": INTERVALS_MAX + 1}),
        ("terms.first_interval", {"first": 0}),
        ("terms.first_interval", {"first": INTERVALS_MAX + 2}),
        ("terms.lapses", {"lapses": 0}),
        ("terms.lapses", {"lapses": INTERVALS_MAX + 2}),
        ("terms.activation.nations", {"nations": ["atlantis"]}),
        ("terms.activation.nations_min", {"nations_min": 5}),
    ],
)
def test_terms_that_nobody_could_keep_to_are_refused(world: PauseWorld, field: str, changes: dict[str, object]) -> None:
    entry = world.pause(A, terms=make_terms(**changes))  # type: ignore[arg-type]  # each of its own type
    assert code_of(world.refuse(10, entry)) == ("INVALID_FIELD", field)


def test_the_longest_and_latest_terms_are_taken(world: PauseWorld) -> None:
    latest = INTERVALS_MAX + 1
    terms = make_terms(first=latest, count=INTERVALS_MAX, lapses=latest, nations_min=4, nations=[A, B, C, D])
    world.accept(10, world.pause(A, terms=terms))


def test_the_first_interval_leaves_time_for_the_notice(world: PauseWorld) -> None:
    assert code_of(world.refuse(50, world.pause(A, terms=make_terms(first=1)))) == (
        "INVALID_FIELD",
        "terms.first_interval",
    )
    world.accept(49, world.pause(A, terms=make_terms(first=1)))


def test_an_id_is_used_once_and_is_no_limit_of_the_charter() -> None:
    world = PauseWorld(make_charter_entry(agreement=make_agreement(), limits=["cap", "pause-x"]))
    world.accept(10, world.pause(A))
    assert code_of(world.refuse(20, world.pause(A))) == ("ID_TAKEN", "pause")
    assert code_of(world.refuse(20, world.pause(A, "x"))) == ("ID_TAKEN", "pause")


def test_a_nation_has_so_many_pauses_open_and_one_more_when_one_is_over(world: PauseWorld) -> None:
    for number in range(PAUSES_OPEN_MAX):
        world.accept(10, world.pause(A, f"p{number}", make_terms(lapses=1 + number)))
    assert code_of(world.refuse(20, world.pause(A, "one-more"))) == ("TOO_MANY_OPEN", "pause")
    world.accept(20, world.pause(B, "anothers"))
    world.accept(boundary(1), world.pause(A, "one-more"))


def test_a_party_undertakes_so_many_at_a_time_and_withdrawing_makes_room(world: PauseWorld) -> None:
    world.register(0, "acme", ["a1"])
    for number, nation in zip(range(UNDERTAKINGS_MAX + 1), (A, A, A, B, B), strict=True):
        world.accept(10, world.pause(nation, f"p{number}", make_terms(lapses=2 + number)))
    for number in range(UNDERTAKINGS_MAX):
        world.accept(20, world.accede(C, f"p{number}"))
        world.accept(20, world.pledge("acme", f"p{number}"))
    last = f"p{UNDERTAKINGS_MAX}"
    assert code_of(world.refuse(30, world.accede(C, last))) == ("TOO_MANY_OPEN", "pause")
    assert code_of(world.refuse(30, world.pledge("acme", last))) == ("TOO_MANY_OPEN", "pause")
    world.accept(40, world.accede(C, "p1", nations=[D]))
    world.accept(50, world.withdraw(C, "p1"))
    world.accept(60, world.accede(C, last))
    world.accept(boundary(2), world.pledge("acme", last))


def test_a_party_that_changes_its_mind_often_leaves_one_record_a_boundary(world: PauseWorld) -> None:
    world.accept(10, world.pause(A))
    for _ in range(3):
        world.accept(20, world.accede(B))
        world.accept(20, world.accede(B, nations=[A]))
        world.accept(20, world.withdraw(B))
    assert TALLIES.require(world.state, B.encode()).undertakings_count == 1
    world.accept(110, world.accede(B))
    world.accept(120, world.accede(B, nations=[A]))
    world.accept(210, world.accede(B))
    assert TALLIES.require(world.state, B.encode()).undertakings_count == 2


def test_accessions_that_cannot_be_meant_are_refused(world: PauseWorld) -> None:
    world.accept(10, world.pause(A))
    for entry, expected in (
        (world.accede(B, "unheard-of"), ("UNKNOWN_PAUSE", "pause")),
        (world.accede(B, terms="00" * 32), ("TERMS_MISMATCH", "terms")),
        (world.accede(B, nations=["atlantis"]), ("INVALID_FIELD", "joins.nations")),
        (world.accede(B, nations_min=5), ("INVALID_FIELD", "joins.nations_min")),
        (world.accede(B, lapses=0), ("INVALID_FIELD", "joins.lapses")),
        (world.withdraw(B), ("INVALID_FIELD", "joins")),
    ):
        assert code_of(world.refuse(20, entry)) == expected
    world.accept(30, world.accede(B, lapses=1))
    world.accept(40, world.withdraw(B))
    assert code_of(world.refuse(50, world.withdraw(B))) == ("INVALID_FIELD", "joins")


def test_who_may_say_what(world: PauseWorld) -> None:
    world.register(0, "acme", ["a1"])
    world.accept(10, world.pause(A))
    for entry in (world.pause("acme", "q"), world.accede("acme"), world.pledge(A), world.freeze(A, "r1")):
        assert code_of(world.refuse(20, entry)) == ("WRONG_ISSUER", "issuer")


def test_nobody_submits_an_event(world: PauseWorld) -> None:
    world.activate()
    [event] = [entry for entry in world.computed if b"pause-event" in entry]
    assert code_of(world.refuse(110, event))[0] == "COMPUTED_ONLY"
    assert code_of(world.refuse(110, sign_envelope(event, [Key(A).signer])))[0] == "FORMAT"


def test_without_an_agreement_there_are_no_pauses() -> None:
    for entry in (PauseWorld(CHARTER_ENTRY).pause(A), PauseWorld(CHARTER_ENTRY).accede(A)):
        assert code_of(World(CHARTER_ENTRY).refuse(10, entry))[0] == "UNKNOWN_KIND"


# --- pledges, and what reports promise -------------------------------------------------------------------------------


def test_a_pledge_binds_a_lab_whatever_its_nation_does(world: PauseWorld) -> None:
    world.register(0, "cogs", ["c1"], nation=C)
    world.accept(5, world.pause(A))
    world.accept(6, world.pledge("cogs"))
    assert code_of(world.refuse(7, world.pledge("cogs"))) == ("ALREADY_BOUND", "pause")
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.block(boundary(1))
    assert world.events()[0].pledge_count == 1
    bound = [compute_limits(world.state, "cogs", Interval(k))[len(LIMITS) :] for k in (2, 3, 6, 7)]
    assert bound == [(), ("pause-p",), ("pause-p",), ()]


def test_a_pledge_to_a_pause_in_force_binds_from_the_next_boundary(world: PauseWorld) -> None:
    world.register(0, "cogs", ["c1"], nation=C)
    world.activate()
    world.accept(410, world.pledge("cogs"))
    bound = [compute_limits(world.state, "cogs", Interval(k))[len(LIMITS) :] for k in range(3, 7)]
    assert bound == [(), (), ("pause-p",), ("pause-p",)]


def test_pauses_of_nation_and_lab_are_named_once_each_in_order(world: PauseWorld) -> None:
    world.register(0, "acme", ["a1"], nation=A)
    for pause in ("z", "b", "m"):
        world.accept(10, world.pause(B, pause, make_terms(nations_min=1)))
    for nation, pause in ((A, "z"), (A, "b"), (B, "m")):
        world.accept(20, world.accede(nation, pause))
    for pause in ("m", "b"):
        world.accept(30, world.pledge("acme", pause))
    world.block(boundary(1))
    assert compute_limits(world.state, "acme", Interval(3)) == (*LIMITS, "pause-b", "pause-m", "pause-z")


def in_force(world: PauseWorld) -> PauseWorld:
    """A pause over intervals 3 to 6, and a lab with two clusters that it binds."""
    world.register(0, "acme", ["a1", "a2"], nation=A)
    world.activate()
    world.block(300)
    return world


def row(cluster: str, *respects: bool, limits: Sequence[str] = (*LIMITS, "pause-p")) -> Row:
    return make_row(cluster, respects=respects or [True] * len(limits), limits=limits)


def test_a_report_promises_the_pauses_that_bind_in_its_interval_and_no_others(world: PauseWorld) -> None:
    in_force(world)
    for k, limits, wrong in ((2, LIMITS, (*LIMITS, "pause-p")), (3, (*LIMITS, "pause-p"), LIMITS)):
        at = boundary(k + 1) + 10
        rejection = world.refuse(at, world.report("acme", k, [row("a1", limits=wrong)]))
        assert code_of(rejection) == ("LIMIT_PROMISE_MISMATCH", "rows.limits_respected")
        world.file(at, "acme", k, [row("a1", limits=limits), row("a2", limits=limits)])
    swapped = (*LIMITS[:1], "pause-p", *LIMITS[1:])
    assert code_of(world.refuse(510, world.report("acme", 4, [row("a1", limits=swapped)])))[0] == (
        "LIMIT_PROMISE_MISMATCH"
    )


def test_a_broken_pause_is_exceeded_on_its_cluster_and_a_correction_in_the_window_takes_it_down(
    world: PauseWorld,
) -> None:
    in_force(world)
    world.file(410, "acme", 3, [row("a1", True, True, False), row("a2")])
    world.block(due(3))
    assert world.said("acme", "a1", 3) == [("exceeded", ["PAUSE_LIMIT_EXCEEDED"])]
    assert world.said("acme", "a2", 3) == [("compliant", [])]
    world.file(due(3) + 10, "acme", 3, [row("a1"), row("a2", True, False, False)])
    world.block(due(3) + 11)
    assert world.said("acme", "a1", 3)[1:] == [("compliant", [])]
    assert world.said("acme", "a2", 3)[1:] == [("exceeded", ["LIMIT_EXCEEDED_BY_DECLARATION", "PAUSE_LIMIT_EXCEEDED"])]


def test_a_correction_takes_down_what_the_lab_said_and_not_what_inspectors_found(world: PauseWorld) -> None:
    in_force(world)
    name_inspectors(world, 300, "ada")
    world.file(410, "acme", 3, [row("a1"), row("a2", True, True, False)])
    world.accept(411, make_challenge(world, interval=3))
    world.accept(412, make_response(world))
    for nation in (B, C):
        world.accept(413, make_finding(world, nation, "inconsistent", grounds=("PAUSE_LIMIT_EXCEEDED",)))
    for at, respects in ((420, False), (430, True)):
        world.file(at, "acme", 3, [row("a1", True, True, respects), row("a2")])
    world.block(due(3))
    assert world.said("acme", "a1", 3) == [("exceeded", ["FOUND_INCONSISTENT", "PAUSE_LIMIT_EXCEEDED"])]
    assert world.said("acme", "a2", 3) == [("compliant", [])]


def test_a_correction_after_the_window_only_adds(world: PauseWorld) -> None:
    in_force(world)
    world.file(410, "acme", 3, [row("a1", True, True, False), row("a2")])
    world.block(due(3))
    for late in range(due(3) + 200, due(3) + 206, 2):
        world.file(late, "acme", 3, [row("a1"), row("a2", True, True, False)])
        world.block(late + 1)
    expected = ("exceeded", ["CORRECTED_AFTER_WINDOW", "PAUSE_LIMIT_EXCEEDED"])
    assert world.said("acme", "a1", 3)[-1] == world.said("acme", "a2", 3)[-1] == expected
    remarks = list_remarks(world.state, "acme", Interval(3), reason=Reason.PAUSE_LIMIT_EXCEEDED)
    assert [remark.cluster for remark in remarks] == ["a1", "a2"]


def test_a_lift_leaves_old_intervals_bound_for_corrections_long_after(world: PauseWorld) -> None:
    in_force(world)
    world.file(410, "acme", 3, [row("a1"), row("a2")])
    world.decide(410, LIFT)
    world.block(2_000)
    entry = world.correction("acme", 3, [make_row("a1")])
    assert code_of(world.refuse(2_010, entry))[0] == "LIMIT_PROMISE_MISMATCH"
    world.file(2_010, "acme", 3, [row("a1")])


def test_a_silence_of_many_boundaries_costs_a_pause_few_looks(
    world: PauseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.accept(10, world.pause(A, "p", make_terms(lapses=90, permille=1)))
    world.accept(10, world.pause(B, "q", make_terms(count=80)))
    world.accept(20, world.accede(A, "p"))
    for nation in (A, B):
        world.accept(20, world.accede(nation, "q"))
    looks = list[int]()
    monkeypatch.setattr(pauses, "_find_next_boundary", record_calls(pauses._find_next_boundary, looks))
    open_block(world.state, time_ms=millis(boundary(95)), parent=world.parent)
    assert looks == [1, 1]
    world.block(boundary(95))
    assert world.story() == [
        ("p", "lapsed", 90, None),
        ("q", "activated", 3, 83),
        ("q", "expired", 83, 83),
    ]


def record_calls(
    find: Callable[[Pause, Interval], Interval], boundaries: list[int]
) -> Callable[[Pause, Interval], Interval]:
    """The same function, with a note of every boundary it is asked of."""

    def recorded(pause: Pause, at: Interval) -> Interval:
        boundaries.append(at)
        return find(pause, at)

    return recorded
