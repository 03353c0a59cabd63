"""Reports, corrections and verdicts: when they are accepted, what is said of them, and when."""

import itertools

import msgspec
import pytest

from ledger.errors import Code
from ledger.limits import INTEGER_MAX
from ledger.merkle import leaf_hash
from ledger.positions import Interval, Millis
from ledger.rules import verdicts
from ledger.rules.records.filings import PROGRESS
from ledger.statements.verdicts import (
    REASONS_OF_FILINGS,
    STATE_OF_REASON,
    Reason,
    Verdict,
    VerdictState,
    encode_verdict,
)
from tests.ledger.rulebook import CORRECTION_S, LIMITS, NATIONS, NO_REPORT, World, due, grace, make_row, millis

ROWS = ("a1", "a2")
COMPLIANT: tuple[str, list[str]] = ("compliant", [])
PENDING = ("pending", ["NOT_FILED_BY_DUE"])
MISSING = ("missing", ["NOT_FILED_BY_GRACE"])
LATE = ("late", ["FILED_AFTER_DUE"])
VERY_LATE = ("late", ["FILED_AFTER_GRACE"])
ROW_MISSING = ("unverifiable", ["ROW_MISSING"])
EXCEEDED = ("exceeded", ["LIMIT_EXCEEDED_BY_DECLARATION"])
CONTESTED = ("contested", ["CORRECTED_AFTER_WINDOW"])


@pytest.fixture
def world() -> World:
    """A lab with two clusters that count from interval 1 on, [100, 200) seconds."""
    made = World()
    made.register(10, "acme", ROWS)
    return made


# --- when a report is accepted ---------------------------------------------------------------------------------------


def test_a_report_one_millisecond_before_the_end_is_refused_and_at_the_end_accepted(world: World) -> None:
    refused = world.refuse(199, world.report("acme", 1, ROWS))
    assert (refused.code, refused.field) == (Code.INTERVAL_NOT_OVER, "statement.predicate.interval")
    world.file(200, "acme", 1, ROWS)


def test_an_interval_that_began_before_registration_is_refused(world: World) -> None:
    refused = world.refuse(200, world.report("acme", 0, ROWS))
    assert (refused.code, refused.found) == (Code.INTERVAL_BEFORE_REGISTRATION, "0")


def test_an_interval_is_reported_once(world: World) -> None:
    leaf = world.file(200, "acme", 1, ROWS)
    refused = world.refuse(201, world.report("acme", 1, ROWS))
    assert refused.code == Code.INTERVAL_ALREADY_REPORTED
    assert leaf[:16] in refused.expected


def test_a_row_of_a_cluster_that_does_not_count_is_refused(world: World) -> None:
    world.register(20, "beta", ["b1"])
    assert world.refuse(200, world.report("acme", 1, ["a1", "b1"])).code == Code.UNKNOWN_CLUSTER
    assert world.refuse(200, world.report("acme", 1, ["a1", "zz"])).code == Code.UNKNOWN_CLUSTER


@pytest.mark.parametrize("limits", [(), ("cap",), ("post", "cap"), ("cap", "post", "more"), ("cap", "past")])
def test_a_row_promises_exactly_the_limits_of_the_charter(world: World, limits: tuple[str, ...]) -> None:
    row = make_row("a1", limits=limits, respects=[True] * len(limits))
    refused = world.refuse(200, world.report("acme", 1, [row, "a2"]))
    assert (refused.code, refused.expected) == (
        Code.LIMIT_PROMISE_MISMATCH,
        f"exactly {', '.join(LIMITS)}, in this order",
    )


def test_a_cluster_added_within_an_interval_counts_from_the_next_boundary(world: World) -> None:
    world.accept(250, world.registration("acme", ["a0"]))
    assert world.refuse(300, world.report("acme", 2, ["a0", *ROWS])).code == Code.UNKNOWN_CLUSTER
    world.file(300, "acme", 2, ROWS)
    world.block(due(2))
    assert world.said("acme", "a0", 2) == []
    world.file(400, "acme", 3, ["a0", *ROWS])
    world.block(due(3))
    assert world.said("acme", "a0", 3) == [COMPLIANT]
    assert world.said("acme", "a1", 2) == [COMPLIANT]


def test_a_cluster_added_at_a_boundary_counts_from_the_one_after(world: World) -> None:
    world.accept(200, world.registration("acme", ["a0"]))
    assert world.refuse(300, world.report("acme", 2, ["a0", *ROWS])).code == Code.UNKNOWN_CLUSTER
    world.block(300)
    world.file(400, "acme", 3, ["a0", *ROWS])


# --- verdicts at the deadlines ---------------------------------------------------------------------------------------


def test_filed_at_due_minus_one_is_compliant_at_due_and_not_before(world: World) -> None:
    leaf = world.file(due(1) - 1, "acme", 1, ROWS)
    assert world.block(due(1) - 1) == []
    verdict, _ = world.block(due(1))
    assert verdict == Verdict(
        ledger=world.ledger,
        lab="acme",
        nation="avalon",
        cluster="a1",
        interval=Interval(1),
        state=VerdictState.COMPLIANT,
        reasons=(),
        assurance="A0",
        report=leaf,
        time_ms=millis(due(1)),
        supersedes=NO_REPORT,
    )
    world.block(grace(1))
    assert world.said("acme", "a1", 1) == world.said("acme", "a2", 1) == [COMPLIANT]


def test_filed_at_due_is_pending_first_and_late_in_the_next_block(world: World) -> None:
    world.file(due(1), "acme", 1, ROWS)
    assert world.said("acme", "a1", 1) == [PENDING]
    pending = world.verdicts["acme", "a1", 1][0]
    assert (pending.report, pending.supersedes) == (NO_REPORT, NO_REPORT)
    world.block(due(1))
    assert world.said("acme", "a1", 1) == [PENDING, LATE]
    late = world.verdicts["acme", "a1", 1][1]
    assert late.supersedes == leaf_hash(encode_verdict(pending)).hex()
    assert late.report == world.labs["acme"].latest[1]
    world.block(grace(1))
    assert world.said("acme", "a1", 1) == [PENDING, LATE]


def test_nothing_by_grace_is_missing_and_late_after_it(world: World) -> None:
    world.block(due(1))
    world.block(grace(1) - 1)
    assert world.said("acme", "a1", 1) == [PENDING]
    world.block(grace(1))
    assert world.said("acme", "a1", 1) == [PENDING, MISSING]
    world.file(grace(1) + 5, "acme", 1, ROWS)
    world.block(grace(1) + 5)
    assert world.said("acme", "a1", 1) == [PENDING, MISSING, VERY_LATE]
    chain = world.verdicts["acme", "a1", 1]
    for before, after in itertools.pairwise(chain):
        assert after.supersedes == leaf_hash(encode_verdict(before)).hex()


def test_filed_one_millisecond_before_grace_is_late_and_at_grace_after_it(world: World) -> None:
    other = World()
    other.register(10, "acme", ROWS)
    world.file(grace(1) - 1, "acme", 1, ROWS)
    world.block(grace(1))
    assert world.said("acme", "a1", 1) == [PENDING, LATE]
    other.file(grace(1), "acme", 1, ROWS)
    other.block(grace(1))
    assert other.said("acme", "a1", 1) == [MISSING, VERY_LATE], "one block reached both deadlines: the later is said"


def test_a_missing_row_is_unverifiable_for_that_cluster_alone(world: World) -> None:
    world.file(200, "acme", 1, ["a1"])
    world.block(due(1))
    assert world.said("acme", "a1", 1) == [COMPLIANT]
    assert world.said("acme", "a2", 1) == [ROW_MISSING]


def test_a_limit_not_respected_by_its_own_word_is_exceeded_and_all_reasons_are_kept(world: World) -> None:
    world.file(due(1), "acme", 1, [make_row("a2", respects=[True, False])])
    world.block(due(1))
    assert world.said("acme", "a1", 1)[-1] == ("unverifiable", ["FILED_AFTER_DUE", "ROW_MISSING"])
    assert world.said("acme", "a2", 1)[-1] == ("exceeded", ["FILED_AFTER_DUE", "LIMIT_EXCEEDED_BY_DECLARATION"])


def test_every_reason_has_its_state() -> None:
    assert set(STATE_OF_REASON) == set(Reason)


# --- corrections -----------------------------------------------------------------------------------------------------


def test_a_correction_before_due_is_what_is_judged(world: World) -> None:
    world.file(200, "acme", 1, ["a1"])
    leaf = world.file(210, "acme", 1, ROWS)
    assert [verdict.report for verdict in world.block(due(1))] == [leaf, leaf]
    assert world.said("acme", "a2", 1) == [COMPLIANT]


def test_a_correction_within_the_window_can_un_exceed(world: World) -> None:
    world.file(200, "acme", 1, [make_row("a1", respects=[False, True]), "a2"])
    world.block(due(1))
    leaf = world.file(due(1) + CORRECTION_S - 1, "acme", 1, ROWS)
    world.block(due(1) + CORRECTION_S)
    assert world.said("acme", "a1", 1) == [EXCEEDED, COMPLIANT]
    assert world.said("acme", "a2", 1) == [COMPLIANT, COMPLIANT], "its row was declared anew"
    assert world.verdicts["acme", "a2", 1][-1].report == leaf


def test_a_correction_after_the_window_is_contested_and_cannot_un_exceed(world: World) -> None:
    world.file(200, "acme", 1, [make_row("a1", respects=[False, True])])
    world.block(due(1))
    world.block(due(1) + 100)
    leaf = world.file(due(1) + CORRECTION_S, "acme", 1, ROWS)
    world.block(due(1) + CORRECTION_S)
    both = ["CORRECTED_AFTER_WINDOW", "LIMIT_EXCEEDED_BY_DECLARATION"]
    assert world.said("acme", "a1", 1) == [EXCEEDED, ("exceeded", both)]
    assert world.said("acme", "a2", 1) == [
        ROW_MISSING,
        ("contested", ["CORRECTED_AFTER_WINDOW", "ROW_MISSING"]),
    ]
    assert world.verdicts["acme", "a1", 1][-1].report == leaf


def test_a_late_correction_contests_an_interval_that_was_fine(world: World) -> None:
    world.file(200, "acme", 1, ROWS)
    world.block(due(1))
    world.block(due(1) + 100)
    world.file(due(1) + CORRECTION_S, "acme", 1, ROWS)
    world.block(due(1) + CORRECTION_S)
    assert world.said("acme", "a1", 1) == [COMPLIANT, CONTESTED]


def test_a_correction_of_a_correction_names_the_correction(world: World) -> None:
    first = world.file(200, "acme", 1, ROWS)
    second = world.file(201, "acme", 1, ROWS)
    refused = world.refuse(202, world.correction("acme", 1, ROWS, leaf=first))
    assert (refused.code, refused.expected) == (Code.NOTHING_TO_CORRECT, second)
    world.accept(202, world.correction("acme", 1, ROWS, leaf=second))


def test_there_must_be_a_report_to_correct(world: World) -> None:
    assert world.refuse(200, world.correction("acme", 1, ROWS, leaf="11" * 32)).code == Code.NOTHING_TO_CORRECT
    first = world.file(200, "acme", 1, ROWS)
    refused = world.refuse(300, world.correction("acme", 2, ROWS, leaf=first))
    assert refused.code == Code.NOTHING_TO_CORRECT
    world.block(due(1))
    world.block(grace(2))
    assert world.refuse(grace(2), world.correction("acme", 2, ROWS, leaf="00" * 32)).code == Code.NOTHING_TO_CORRECT


def test_a_correction_keeps_lateness(world: World) -> None:
    world.file(due(1), "acme", 1, ["a1"])
    world.file(due(1) + 1, "acme", 1, ROWS)
    world.block(due(1) + 1)
    both = ("unverifiable", ["FILED_AFTER_DUE", "ROW_MISSING"])
    assert world.said("acme", "a2", 1) == [PENDING, both, LATE]
    assert world.said("acme", "a1", 1) == [PENDING, LATE, LATE]


def test_corrections_in_one_block_give_one_verdict(world: World) -> None:
    world.file(200, "acme", 1, ROWS)
    world.block(due(1))
    acme = world.labs["acme"]
    first = world.correction("acme", 1, ["a1"])
    acme.note(first)
    leaf = leaf_hash(first).hex()
    second = world.correction("acme", 1, ["a2"], leaf=leaf)
    world.block(due(1) + 1, first, second)
    progress = PROGRESS.require(world.state)
    assert progress.queue_end - progress.queue_start == 1, "an interval waits once"
    opening = world.block(due(1) + 2)
    assert [(verdict.cluster, str(verdict.state)) for verdict in opening] == [
        ("a1", "unverifiable"),
        ("a2", "compliant"),
    ]
    assert {verdict.report for verdict in opening} == {leaf_hash(second).hex()}
    assert world.block(due(1) + 3) == []


def test_a_cluster_left_out_again_is_not_spoken_of_again(world: World) -> None:
    world.file(200, "acme", 1, ["a1"])
    world.block(due(1))
    world.file(due(1) + 1, "acme", 1, ["a1"])
    world.block(due(1) + 1)
    assert world.said("acme", "a2", 1) == [ROW_MISSING]
    assert world.said("acme", "a1", 1) == [COMPLIANT, COMPLIANT]


# --- order, bounds, outages ------------------------------------------------------------------------------------------


def test_verdicts_come_by_interval_then_registration_then_cluster() -> None:
    world = World()
    world.register(10, "zeta", ["m2", "m1"])
    world.register(11, "beta", ["b1"], nation=NATIONS[1])
    opening = world.block(150)
    opening += world.block(due(1))
    opening += world.block(due(2))
    order = [(verdict.interval, verdict.lab, verdict.cluster, str(verdict.state)) for verdict in opening]
    three = [("zeta", "m1"), ("zeta", "m2"), ("beta", "b1")]
    assert order == [
        *((1, *who, "pending") for who in three),
        *((2, *who, "pending") for who in three),
        *((1, *who, "missing") for who in three),
    ]
    assert {verdict.nation for verdict in opening if verdict.lab == "beta"} == {NATIONS[1]}


@pytest.mark.parametrize("bound", ["VERDICTS_PER_BLOCK_MAX", "VISITS_PER_BLOCK_MAX"])
def test_what_finds_no_room_follows_in_the_next_blocks(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    world, unbounded = World(), World()
    for each in (world, unbounded):
        for number in range(5):
            each.register(10, f"lab{number}", [f"c{number}a", f"c{number}b"])
        each.file(200, "lab3", 1, ["c3a"])
    expected = [
        (verdict.lab, verdict.cluster, verdict.interval, verdict.state)
        for at in (due(1), grace(1))
        for verdict in unbounded.block(at)
    ]
    monkeypatch.setattr(verdicts, bound, 5 if bound.startswith("VERDICTS") else 2)
    found = []
    for at in (due(1), grace(1)):
        for _ in range(6):
            opening = world.block(at)
            assert len(opening) <= 5
            found += [(verdict.lab, verdict.cluster, verdict.interval, verdict.state) for verdict in opening]
        assert world.block(at) == []
    assert found == expected


def test_a_report_that_overtakes_its_first_verdict_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for number in range(3):
        world.register(10, f"lab{number}", [f"c{number}a", f"c{number}b"])
    monkeypatch.setattr(verdicts, "VERDICTS_PER_BLOCK_MAX", 2)
    world.file(due(1), "lab2", 1, ["c2a", "c2b"])
    for _ in range(4):
        world.block(due(1))
    assert world.said("lab2", "c2a", 1) == [LATE]
    assert world.said("lab1", "c1a", 1) == [PENDING]


def test_an_outage_over_due_moves_the_deadlines_of_those_who_could_not_file(world: World) -> None:
    world.block(190)
    lost = due(1) + 300  # nothing sealed from 190 on: 350 seconds of the window after the interval's end are gone
    assert world.block(lost) == []
    world.file(lost + SUBMIT_LEFT - 1, "acme", 1, ROWS)
    world.block(lost + SUBMIT_LEFT)
    assert world.said("acme", "a1", 1) == [COMPLIANT]


SUBMIT_LEFT = 50
"""What is left of the submit window after an outage that began before the interval ended: all of it."""


def test_an_outage_after_due_moves_grace_only(world: World) -> None:
    world.block(due(1) + 10)
    assert world.said("acme", "a1", 1) == [PENDING]
    lost = due(1) + 10 + 500
    world.block(lost)
    assert world.said("acme", "a1", 1) == [PENDING]
    world.block(lost + 19)
    assert world.said("acme", "a1", 1) == [PENDING]
    world.block(lost + 20)
    assert world.said("acme", "a1", 1) == [PENDING, MISSING]


def test_a_short_silence_moves_nothing(world: World) -> None:
    world.block(due(1))
    world.block(due(1) + 150)
    assert world.said("acme", "a1", 1) == [PENDING, MISSING]


def test_the_longest_verdict_fits_its_bound() -> None:
    name = "x" * 64
    verdict = Verdict(
        ledger="f" * 64,
        lab=name,
        nation=name,
        cluster=name,
        interval=Interval(2**32 - 1),
        state=VerdictState.UNVERIFIABLE,
        reasons=REASONS_OF_FILINGS,
        assurance="A0",
        report="f" * 64,
        time_ms=Millis(INTEGER_MAX),
        supersedes="f" * 64,
    )
    assert len(encode_verdict(verdict)) <= verdicts.VERDICT_BYTES_MAX
    remarked = msgspec.structs.replace(verdict, reasons=tuple(sorted(Reason)))
    assert len(encode_verdict(remarked)) <= verdicts.REMARKED_BYTES_MAX
