"""Notices: what an outage moves, to the second, and that nothing else moves anything."""

import pytest

from ledger.agreement import YEAR_S
from ledger.errors import Code
from ledger.limits import OBSERVATIONS_PER_YEAR_MAX
from ledger.positions import Interval, LeafIndex
from ledger.rules.apply import next_deadline_ms
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.notices import EXTENSIONS, OBSERVED, Observed
from ledger.rules.remarks import add_remark
from ledger.statements.verdicts import Reason
from tests.ledger.dockets import find_party, make_enforcement, make_incident, make_observation
from tests.ledger.rulebook import (
    AGREED_ENTRY,
    AGREEMENT,
    CHARTER_ENTRY,
    CORRECTION_S,
    GRACE_S,
    NATIONS,
    World,
    due,
    grace,
    make_row,
    millis,
)

EXTENSION_S = AGREEMENT.incidents.outage_extension_s
OWN_DUE = due(1) + EXTENSION_S
OWN_GRACE = OWN_DUE + GRACE_S


@pytest.fixture
def world() -> World:
    """Interval 1 of acme has an outage, that of beta has none."""
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1"])
    world.register(10, "beta", ["b1"], nation=NATIONS[1])
    world.accept(150, make_incident(world, "acme", 1))
    return world


# --- outages ---------------------------------------------------------------------------------------------------------


def test_the_grids_deadlines_pass_over_a_lab_with_an_outage_and_its_own_are_to_the_second(world: World) -> None:
    world.block(due(1))
    world.block(grace(1))
    assert world.said("beta", "b1", 1) == [("pending", ["NOT_FILED_BY_DUE"]), ("missing", ["NOT_FILED_BY_GRACE"])]
    world.block(OWN_DUE - 1)
    assert world.said("acme", "a1", 1) == []
    world.block(OWN_DUE)
    assert world.said("acme", "a1", 1) == [("pending", ["NOT_FILED_BY_DUE"])]
    world.block(OWN_GRACE - 1)
    assert len(world.said("acme", "a1", 1)) == 1
    world.block(OWN_GRACE)
    assert world.said("acme", "a1", 1)[1:] == [("missing", ["NOT_FILED_BY_GRACE"])]


@pytest.mark.parametrize(
    ("filed", "reasons"),
    [
        (due(1) - 1, []),
        (due(1), []),
        (grace(1), []),
        (OWN_DUE - 1, []),
        (OWN_DUE, ["FILED_AFTER_DUE"]),
        (OWN_GRACE - 1, ["FILED_AFTER_DUE"]),
        (OWN_GRACE, ["FILED_AFTER_GRACE"]),
    ],
)
def test_a_report_is_in_time_or_late_by_the_labs_own_deadlines(world: World, filed: int, reasons: list[str]) -> None:
    world.file(filed, "acme", 1, ["a1"])
    if filed < OWN_DUE:
        world.block(OWN_DUE - 1)
        assert world.said("acme", "a1", 1) == []
    world.block(OWN_GRACE + 1)
    assert world.said("acme", "a1", 1)[-1] == ("late" if reasons else "compliant", reasons)


@pytest.mark.parametrize(("late", "state"), [(CORRECTION_S - 1, "compliant"), (CORRECTION_S, "exceeded")])
def test_the_correction_window_follows_the_moved_due_date(world: World, late: int, state: str) -> None:
    world.file(210, "acme", 1, [make_row("a1", respects=[False, True])])
    world.block(400)
    world.file(OWN_DUE + late, "acme", 1, ["a1"])
    world.block(OWN_DUE + late + 1)
    assert world.said("acme", "a1", 1)[0] == ("exceeded", ["LIMIT_EXCEEDED_BY_DECLARATION"])
    assert world.said("acme", "a1", 1)[-1][0] == state


def test_one_block_that_leaps_over_all_deadlines_says_what_is_so_then(world: World) -> None:
    world.block(200)
    world.block(OWN_GRACE + 50)
    assert world.said("acme", "a1", 1) == [("missing", ["NOT_FILED_BY_GRACE"])]
    world.block(OWN_GRACE + 51)
    assert len(world.said("acme", "a1", 1)) == 1


def test_an_outage_told_a_second_before_due_counts_and_one_told_at_due_does_not() -> None:
    for told, first_verdict in ((due(1) - 1, OWN_DUE), (due(1), due(1))):
        world = World(AGREED_ENTRY)
        world.register(10, "acme", ["a1"])
        world.accept(told, make_incident(world, "acme", 1))
        world.block(OWN_DUE)
        assert world.verdicts["acme", "a1", 1][0].time_ms == millis(first_verdict)


def test_only_an_outage_moves_anything_and_only_once(world: World) -> None:
    world.accept(due(1) + 1, make_incident(world, "acme", 1))
    for category in ("theft", "leak", "safety", "accident", "other"):
        world.accept(due(1) + 2, make_incident(world, "acme", 2, category=category))
    world.block(OWN_DUE)
    assert world.said("acme", "a1", 1) == [("pending", ["NOT_FILED_BY_DUE"])]
    world.block(due(2))
    assert world.said("acme", "a1", 2) == [("pending", ["NOT_FILED_BY_DUE"])]
    assert EXTENSIONS.require(world.state, make_filing_name(0, Interval(1))).index == LeafIndex(3)


def test_an_outage_of_the_network_moves_the_moved_due_date_and_grace_too(world: World) -> None:
    """Silent from 260, when only the lab's own due date of interval 1 is open, for longer than an outage takes."""
    world.block(260)
    world.block(600)
    assert world.said("beta", "b1", 1) == [("pending", ["NOT_FILED_BY_DUE"])], "grace was open, and moves to 620"
    assert world.said("acme", "a1", 1) == []
    world.block(OWN_DUE + 340 - 1)
    assert world.said("acme", "a1", 1) == []
    world.block(OWN_DUE + 340)
    assert world.said("acme", "a1", 1) == [("pending", ["NOT_FILED_BY_DUE"])]
    world.block(OWN_GRACE + 340 - 1)
    assert len(world.said("acme", "a1", 1)) == 1
    world.block(OWN_GRACE + 340)
    assert world.said("acme", "a1", 1)[1:] == [("missing", ["NOT_FILED_BY_GRACE"])]


def test_an_outage_of_the_network_during_the_moved_grace_moves_only_that(world: World) -> None:
    world.block(OWN_DUE)
    world.block(OWN_DUE + 10)
    world.block(OWN_DUE + 310)
    world.block(OWN_GRACE + 300 - 1)
    assert world.said("acme", "a1", 1) == [("pending", ["NOT_FILED_BY_DUE"])]
    world.block(OWN_GRACE + 300)
    assert len(world.said("acme", "a1", 1)) == 2


def test_a_block_is_asked_for_at_the_moved_deadlines(world: World) -> None:
    asked = []
    while (at_ms := next_deadline_ms(world.state)) is not None and at_ms <= millis(OWN_GRACE):
        seconds = (at_ms - millis(0)) // 1000
        world.block(seconds)
        asked.append(seconds)
    assert {due(1), grace(1), OWN_DUE, OWN_GRACE} <= {*asked}


def test_a_remark_waits_for_the_moved_due_date(world: World) -> None:
    world.file(210, "acme", 1, ["a1"])
    world.block(due(1))
    add_remark(
        world.state, lab="acme", interval=Interval(1), reason=Reason.CHALLENGE_OPEN, source=LeafIndex(1), cluster=""
    )
    world.state.commit()
    world.block(OWN_DUE - 1)
    assert world.said("acme", "a1", 1) == []
    world.block(OWN_DUE)
    assert world.said("acme", "a1", 1) == [("contested", ["CHALLENGE_OPEN"])]


def test_an_incident_is_of_an_interval_that_has_begun_and_of_clusters_that_count(world: World) -> None:
    refused = world.refuse(299, make_incident(world, "acme", 3))
    assert (refused.code, refused.field) == (Code.INTERVAL_NOT_BEGUN, "statement.predicate.interval")
    world.accept(300, make_incident(world, "acme", 3, clusters=("a1",)))
    refused = world.refuse(310, make_incident(world, "acme", 3, clusters=("b1",)))
    assert (refused.code, refused.field) == (Code.UNKNOWN_CLUSTER, "statement.predicate.clusters")
    refused = world.refuse(310, make_incident(world, "acme", 0))
    assert (refused.code, refused.field) == (Code.INTERVAL_BEFORE_REGISTRATION, "statement.predicate.interval")


def test_without_an_agreement_nothing_is_noticed() -> None:
    world = World(CHARTER_ENTRY)
    world.register(10, "acme", ["a1"])
    for entry in (
        make_incident(world, "acme", 1),
        make_observation(world, "acme"),
        make_enforcement(world, NATIONS[0], "acme"),
    ):
        assert world.refuse(150, entry).code is Code.UNKNOWN_KIND


# --- observations and measures ---------------------------------------------------------------------------------------


def test_nations_and_labs_observe_what_is_registered_and_no_verdict_moves(world: World) -> None:
    world.file(210, "beta", 1, ["b1"])
    world.block(due(1))
    for issuer in (NATIONS[2], "acme"):
        for about, name in (("lab", "beta"), ("cluster", "b1"), ("nation", NATIONS[1]), ("ledger", None)):
            entry = make_observation(world, issuer, about=about, name=name, category="undeclared-compute")
            world.accept(due(1) + 1, entry)
    world.block(due(1) + 2)
    assert world.said("beta", "b1", 1) == [("compliant", [])]


@pytest.mark.parametrize(("about", "name"), [("lab", "b1"), ("cluster", "beta"), ("nation", "beta"), ("lab", "gamma")])
def test_an_observation_of_nobody_is_refused(world: World, about: str, name: str) -> None:
    refused = world.refuse(210, make_observation(world, NATIONS[0], about=about, name=name))
    assert (refused.code, refused.field) == (Code.UNKNOWN_SUBJECT, "statement.predicate.name")


def test_an_issuer_observes_so_often_in_a_year_and_again_when_the_first_is_a_year_old() -> None:
    world = World(AGREED_ENTRY)
    times = [millis(100 + place) for place in range(OBSERVATIONS_PER_YEAR_MAX)]
    OBSERVED.put(world.state, Observed(b"".join(at.to_bytes(8, "big") for at in times)), NATIONS[0].encode())
    world.state.commit()
    last = 100 + YEAR_S
    refused = world.refuse(last - 1, make_observation(world, NATIONS[0]))
    assert (refused.code, refused.field) == (Code.YEAR_QUOTA_EXCEEDED, "statement.predicate.issuer")
    world.accept(last - 1, make_observation(world, NATIONS[1]))
    world.accept(last, make_observation(world, NATIONS[0]))
    assert world.refuse(last, make_observation(world, NATIONS[0])).code is Code.YEAR_QUOTA_EXCEEDED
    assert len(OBSERVED.require(world.state, NATIONS[0].encode()).times_ms) == 8 * OBSERVATIONS_PER_YEAR_MAX


def test_any_nation_takes_measures_against_a_registered_lab_and_no_verdict_moves(world: World) -> None:
    world.file(210, "beta", 1, ["b1"])
    world.block(due(1))
    for nation in NATIONS:
        world.accept(due(1) + 1, make_enforcement(world, nation, "beta", measure="suspension", until=Interval(9)))
    refused = world.refuse(due(1) + 1, make_enforcement(world, NATIONS[0], "gamma"))
    assert (refused.code, refused.field) == (Code.UNKNOWN_SUBJECT, "statement.predicate.lab")
    world.block(due(1) + 2)
    assert world.said("beta", "b1", 1) == [("compliant", [])]


def test_only_labs_have_incidents_and_only_nations_take_measures(world: World) -> None:
    lab, nation = find_party(world, "acme"), find_party(world, NATIONS[0])
    world.labs[NATIONS[0]], world.nations["acme"] = nation, lab
    assert world.refuse(210, make_incident(world, NATIONS[0], 1)).code is Code.WRONG_ISSUER
    assert world.refuse(210, make_enforcement(world, "acme", "beta")).code is Code.WRONG_ISSUER
