"""Challenges: every way one can go, at the edges of every window, and what it leaves on the interval.

The small ledger: a response is due 100 after the challenge and missing 70 later, findings have 150, and two inspectors
of two nations must agree. Interval 1 of `acme` is [100, 200), its report is due at 250.
"""

import msgspec
import pytest

from ledger.agreement import YEAR_S
from ledger.errors import Code
from ledger.positions import Interval, LeafIndex
from ledger.rules.challenges import get_challenge
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.inspections import OPEN_CHALLENGES
from ledger.rules.records.remarks import REMARKS
from ledger.statements.inspections import Conclusion, Ground, Grounds
from tests.ledger.inspecting import (
    ASKED,
    make_challenge,
    make_finding,
    make_inspector,
    make_list,
    make_response,
    make_withdrawal,
    name_inspectors,
)
from tests.ledger.rulebook import AGREED_ENTRY, AGREEMENT, Key, World, due, make_charter_entry

RAISED = 260
OVERDUE, MISSING = RAISED + 100, RAISED + 170
ANSWERED = RAISED + 20
LAPSED = ANSWERED + 150


@pytest.fixture
def world() -> World:
    """One where `acme` has filed interval 1 and three nations have two inspectors each."""
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1", "a2"])
    name_inspectors(world, 20, "ada", "bo")
    world.file(210, "acme", 1, ["a1", "a2"])
    world.block(due(1))
    return world


def keep_filing(world: World, until: int) -> None:
    """Later intervals are filed too, in time, so that nothing else is said than what is looked for."""
    for interval in range(2, until // 100 - 1):
        world.file(
            max((interval + 1) * 100, world.blocks[-1][0] // 1000 - 1_800_000_000), "acme", interval, ["a1", "a2"]
        )


def stage(world: World, challenge: str = "c-1") -> str:
    raised = get_challenge(world.state, challenge)
    assert raised is not None
    return raised.stage


def newest(world: World, cluster: str = "a1", interval: int = 1) -> tuple[str, list[str], str]:
    """What is said of a cluster's interval now: state, reasons, level."""
    verdict = world.verdicts["acme", cluster, interval][-1]
    return str(verdict.state), [str(reason) for reason in verdict.reasons], verdict.assurance


def provide(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    world.accept(ANSWERED, make_response(world))


def is_anything_open(world: World) -> bool:
    return any(key[:1] == OPEN_CHALLENGES.letter for key, _ in world.state.items())


# --- raising ---------------------------------------------------------------------------------------------------------


def test_a_challenge_contests_its_cluster_until_inspectors_agree(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    world.block(RAISED + 1)
    assert newest(world) == ("contested", ["CHALLENGE_OPEN"], "A0")
    assert newest(world, "a2") == ("compliant", [], "A0")
    world.accept(ANSWERED, make_response(world))
    world.accept(ANSWERED + 1, make_finding(world, "brittia", "consistent", level="A4"))
    world.block(ANSWERED + 2)
    assert newest(world) == ("contested", ["CHALLENGE_OPEN"], "A0")
    world.accept(ANSWERED + 3, make_finding(world, "cockaigne", "consistent", level="A3"))
    world.block(ANSWERED + 4)
    assert newest(world) == ("compliant", [], "A3")
    assert stage(world) == "consistent"
    assert not is_anything_open(world)


def test_a_challenge_raised_before_due_is_in_the_first_verdict() -> None:
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1"])
    name_inspectors(world, 20, "ada")
    world.file(210, "acme", 1, ["a1"])
    world.accept(220, make_challenge(world))
    world.block(due(1))
    assert world.said("acme", "a1", 1) == [("contested", ["CHALLENGE_OPEN"])]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"lab": "nobody"}, Code.UNKNOWN_SUBJECT, "lab"),
        ({"cluster": "b1"}, Code.UNKNOWN_CLUSTER, "cluster"),
        ({"interval": 0}, Code.UNKNOWN_CLUSTER, "cluster"),
        ({"interval": 2}, Code.NOTHING_TO_CHALLENGE, "interval"),
        ({"nation": "avalon"}, Code.WRONG_ISSUER, "issuer"),
        ({"inspectors": (("avalon", "ada"), *ASKED)}, Code.UNKNOWN_SUBJECT, "inspectors"),
        ({"inspectors": (("brittia", "ada"), ("cockaigne", "zoe"))}, Code.UNKNOWN_SUBJECT, "inspectors"),
        ({"inspectors": (("brittia", "ada"), ("dystopia", "ada"))}, Code.UNKNOWN_SUBJECT, "inspectors"),
        ({"inspectors": (("brittia", "ada"),)}, Code.INVALID_FIELD, "inspectors"),
        ({"inspectors": (("brittia", "ada"), ("brittia", "bo"))}, Code.INVALID_FIELD, "inspectors"),
        ({"grounds": Grounds(LeafIndex(10_000), "later")}, Code.INVALID_FIELD, "grounds.entry"),
    ],
)
def test_what_cannot_be_challenged_is_refused(world: World, changes: dict[str, object], code: Code, field: str) -> None:
    refused = world.refuse(RAISED, make_challenge(world, **changes))  # type: ignore[arg-type]  # each of its own type
    assert (refused.code, refused.field) == (code, f"statement.predicate.{field}")


def test_grounds_name_an_entry_that_is_there(world: World) -> None:
    own_index = world.size
    entry = make_challenge(world, grounds=Grounds(LeafIndex(own_index), "itself"))
    assert world.refuse(RAISED, entry).code == Code.INVALID_FIELD
    world.accept(RAISED, make_challenge(world, grounds=Grounds(LeafIndex(own_index - 1), "the newest")))


def test_a_revoked_inspector_cannot_be_named(world: World) -> None:
    world.accept(255, make_list(world, "cockaigne", make_inspector("cockaigne", "bo")))
    assert world.refuse(RAISED, make_challenge(world)).code == Code.UNKNOWN_SUBJECT


def test_the_challenge_window_ends_so_long_after_the_interval(world: World) -> None:
    keep_filing(world, 1200)
    refused = world.refuse(1200, make_challenge(world))
    assert (refused.code, refused.field) == (Code.NOTHING_TO_CHALLENGE, "statement.predicate.interval")
    world.accept(1199, make_challenge(world))


def test_a_nation_has_one_challenge_open_on_a_clusters_interval_and_an_id_is_used_once(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    again = world.refuse(RAISED, make_challenge(world, "c-2"))
    assert (again.code, again.field) == (Code.CHALLENGE_KNOWN, "statement.predicate.interval")
    taken = world.refuse(RAISED, make_challenge(world, nation="cockaigne"))
    assert (taken.code, taken.field) == (Code.CHALLENGE_KNOWN, "statement.predicate.challenge")
    world.accept(RAISED, make_challenge(world, "c-2", cluster="a2"))
    world.accept(RAISED, make_challenge(world, "c-3", nation="cockaigne"))
    world.accept(RAISED + 1, make_withdrawal(world))
    world.block(RAISED + 2)
    assert newest(world) == ("contested", ["CHALLENGE_OPEN"], "A0"), "another nation's is open"
    assert world.refuse(RAISED + 3, make_challenge(world)).code == Code.CHALLENGE_KNOWN
    world.accept(RAISED + 3, make_challenge(world, "c-4"))


def test_a_nation_has_so_many_in_a_sliding_year_whatever_became_of_them() -> None:
    """With intervals of a third of a year, so that a year is not a million of them."""
    interval_s = YEAR_S // 3 // 25 * 25
    world = World(make_charter_entry(agreement=AGREEMENT, interval_s=interval_s))
    world.register(-10, "acme", ["a1", "a2"])
    name_inspectors(world, 0, "ada")
    raised = []
    for interval in range(4):
        at = (interval + 1) * interval_s + 300
        world.file(at - 300, "acme", interval, ["a1", "a2"])
        if interval == 3:
            break
        raised.append(at)
        name = f"c-{interval}"
        world.accept(at, make_challenge(world, name, interval=interval, inspectors=ASKED))
        world.accept(at + 1, make_withdrawal(world, name))
    free = raised[0] + YEAR_S  # 300 or so after interval 3 has ended
    assert 4 * interval_s < free < 4 * interval_s + 1000
    refused = world.refuse(free - 1, make_challenge(world, "c-3", interval=3))
    assert (refused.code, refused.field) == (Code.YEAR_QUOTA_EXCEEDED, "statement.predicate.issuer")
    world.accept(free - 1, make_challenge(world, "d-0", nation="cockaigne", interval=3))
    world.accept(free, make_challenge(world, "c-3", interval=3))
    assert world.refuse(free, make_challenge(world, "c-4", interval=3, cluster="a2")).code == Code.YEAR_QUOTA_EXCEEDED


def test_an_agreement_without_challenges_takes_none() -> None:
    none = msgspec.structs.replace(AGREEMENT, challenges=msgspec.structs.replace(AGREEMENT.challenges, per_year_max=0))
    world = World(make_charter_entry(agreement=none))
    world.register(10, "acme", ["a1"])
    name_inspectors(world, 20, "ada")
    world.file(210, "acme", 1, ["a1"])
    assert world.refuse(RAISED, make_challenge(world)).code == Code.YEAR_QUOTA_EXCEEDED


# --- answering -------------------------------------------------------------------------------------------------------


def test_a_response_comes_in_time_up_to_the_last_moment(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    world.accept(OVERDUE - 1, make_response(world))
    world.block(OVERDUE)
    assert stage(world) == "provided"
    assert newest(world) == ("contested", ["CHALLENGE_OPEN"], "A0")


def test_silence_is_overdue_and_then_missing_for_good(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    world.block(RAISED + 1)
    keep_filing(world, OVERDUE)
    world.block(OVERDUE)
    world.block(OVERDUE + 1)
    assert stage(world) == "overdue"
    assert newest(world) == ("contested", ["CHALLENGE_OPEN", "RESPONSE_OVERDUE"], "A0")
    keep_filing(world, MISSING)
    world.block(MISSING)
    world.block(MISSING + 1)
    assert stage(world) == "missing"
    assert newest(world) == ("missing", ["RESPONSE_MISSING"], "A0")
    refused = world.refuse(MISSING + 2, make_response(world))
    assert (refused.code, refused.found) == (Code.NOT_AWAITED, "missing")
    assert not is_anything_open(world)


def test_a_late_response_ends_what_was_overdue(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    world.accept(MISSING - 1, make_response(world))
    world.block(MISSING)
    world.block(MISSING + 1)
    assert stage(world) == "provided"
    assert newest(world) == ("contested", ["CHALLENGE_OPEN"], "A0")


def test_a_response_in_the_block_of_its_deadline_is_too_late(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    world.block(OVERDUE)
    assert world.refuse(MISSING, make_response(world)).code == Code.NOT_AWAITED


@pytest.mark.parametrize(("outcome", "reason"), [("declined", "DISCLOSURE_DECLINED"), ("salts-lost", "SALTS_LOST")])
@pytest.mark.parametrize("at", [ANSWERED, OVERDUE + 1])
def test_a_lab_that_opens_nothing_is_unverifiable_for_good(world: World, outcome: str, reason: str, at: int) -> None:
    world.accept(RAISED, make_challenge(world))
    world.accept(at, make_response(world, outcome=outcome))  # type: ignore[arg-type]  # one of the words
    world.block(at + 1)
    assert stage(world) == outcome
    assert newest(world) == ("unverifiable", [reason], "A0")
    assert world.refuse(at + 2, make_response(world)).code == Code.NOT_AWAITED
    world.file(at + 2, "acme", 1, ["a1", "a2"])
    world.block(at + 3)
    assert reason in newest(world)[1]


def test_a_response_goes_to_exactly_those_who_were_named(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    for inspectors in (ASKED[:1], (("brittia", "ada"), ("cockaigne", "bo")), (*ASKED, ("cockaigne", "bo"))):
        refused = world.refuse(ANSWERED, make_response(world, inspectors=inspectors))
        assert (refused.code, refused.field) == (Code.INVALID_FIELD, "statement.predicate.recipients")


def test_only_the_lab_that_was_asked_answers_and_once(world: World) -> None:
    world.register(255, "babel", ["b1"], nation="brittia")
    world.accept(RAISED, make_challenge(world))
    assert world.refuse(ANSWERED, make_response(world, "c-2")).code == Code.UNKNOWN_SUBJECT
    assert world.refuse(ANSWERED, make_response(world, lab="babel")).code == Code.WRONG_ISSUER
    world.accept(ANSWERED, make_response(world))
    assert world.refuse(ANSWERED, make_response(world)).code == Code.NOT_AWAITED


# --- withdrawing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [RAISED + 1, OVERDUE + 1])
def test_what_is_not_answered_can_be_withdrawn_and_leaves_nothing(world: World, at: int) -> None:
    world.accept(RAISED, make_challenge(world))
    world.block(RAISED)
    assert world.refuse(at, make_withdrawal(world, nation="cockaigne")).code == Code.WRONG_ISSUER
    assert world.refuse(at, make_withdrawal(world, "c-9")).code == Code.UNKNOWN_SUBJECT
    world.accept(at, make_withdrawal(world))
    world.block(MISSING)
    world.block(MISSING)
    assert stage(world) == "withdrawn"
    assert newest(world) == ("compliant", [], "A0")
    assert world.refuse(MISSING, make_response(world)).code == Code.NOT_AWAITED
    assert world.refuse(MISSING, make_withdrawal(world)).code == Code.NOT_AWAITED


def test_what_inspectors_have_seen_is_theirs_to_say(world: World) -> None:
    provide(world)
    assert world.refuse(ANSWERED + 1, make_withdrawal(world)).code == Code.NOT_AWAITED


# --- finding ---------------------------------------------------------------------------------------------------------


def test_inconsistent_leaves_the_grounds_that_enough_inspectors_give(world: World) -> None:
    provide(world)
    world.accept(ANSWERED, make_finding(world, "brittia", "inconsistent", grounds=("CHECK_FAILED", "FROZEN_RUN_GREW")))
    index = world.size
    world.accept(
        ANSWERED, make_finding(world, "cockaigne", "inconsistent", grounds=("FROZEN_RUN_GREW", "RUN_OVER_CAP"))
    )
    world.block(ANSWERED + 1)
    assert newest(world) == ("exceeded", ["FOUND_INCONSISTENT", "FROZEN_RUN_GREW"], "A0")
    assert stage(world) == "inconsistent"
    remarks = REMARKS.require(world.state, make_filing_name(0, Interval(1)))
    assert [each.source for each in remarks.remarks] == [index] * 2, "the finding that settled it"
    world.file(ANSWERED + 2, "acme", 1, ["a1", "a2"])
    world.block(ANSWERED + 3)
    assert newest(world)[0] == "exceeded", "a correction takes back no finding"


def test_inconclusive_is_unverifiable(world: World) -> None:
    provide(world)
    for nation in ("brittia", "cockaigne"):
        world.accept(ANSWERED, make_finding(world, nation, "inconclusive"))
    world.block(ANSWERED + 1)
    assert newest(world) == ("unverifiable", ["FOUND_INCONCLUSIVE"], "A0")


def test_two_inspectors_of_one_nation_are_one_nation() -> None:
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1"])
    name_inspectors(world, 20, "ada", "bo")
    world.file(210, "acme", 1, ["a1"])
    world.block(due(1))
    asked = (("brittia", "ada"), ("brittia", "bo"), ("cockaigne", "ada"))
    world.accept(RAISED, make_challenge(world, inspectors=asked))
    world.accept(ANSWERED, make_response(world, inspectors=asked))
    for inspector in ("ada", "bo"):
        grounds: tuple[Ground, ...] = ("CHECK_FAILED", "RUN_OVER_CAP")
        world.accept(ANSWERED, make_finding(world, "brittia", "inconsistent", inspector=inspector, grounds=grounds))
    assert stage(world) == "provided"
    world.accept(ANSWERED, make_finding(world, "cockaigne", "inconsistent", grounds=("CHECK_FAILED",)))
    world.block(ANSWERED + 1)
    assert newest(world)[1] == ["CHECK_FAILED", "FOUND_INCONSISTENT"], "one nation alone gives the other ground"


def test_an_inspector_speaks_once(world: World) -> None:
    provide(world)
    world.accept(ANSWERED, make_finding(world, "brittia", "consistent"))
    conclusions: tuple[Conclusion, ...] = ("consistent", "inconsistent")
    for conclusion in conclusions:
        refused = world.refuse(ANSWERED, make_finding(world, "brittia", conclusion))
        assert refused.code == Code.FINDING_KNOWN
    assert stage(world) == "provided"


def test_only_named_and_active_inspectors_find_and_only_after_a_response(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    assert world.refuse(ANSWERED, make_finding(world, "brittia", "consistent")).code == Code.NOT_AWAITED
    world.accept(ANSWERED, make_response(world))
    for nation, inspector in (("brittia", "bo"), ("avalon", "ada"), ("brittia", "zoe")):
        refused = world.refuse(ANSWERED, make_finding(world, nation, "consistent", inspector=inspector))
        assert (refused.code, refused.field) == (Code.UNKNOWN_SUBJECT, "statement.predicate.inspector")
    world.accept(ANSWERED, make_list(world, "brittia", make_inspector("brittia", "bo")))
    assert world.refuse(ANSWERED, make_finding(world, "brittia", "consistent")).code == Code.UNKNOWN_SUBJECT
    assert world.refuse(ANSWERED, make_finding(world, "brittia", "consistent", challenge="c-9")).code == (
        Code.UNKNOWN_SUBJECT
    )


@pytest.mark.parametrize("signer", [Key("cockaigne ada"), Key("brittia bo"), Key("acme"), Key("stranger")])
def test_a_finding_bears_the_inspectors_own_signature(world: World, signer: Key) -> None:
    provide(world)
    refused = world.refuse(ANSWERED, make_finding(world, "brittia", "consistent", signer=signer))
    assert refused.code == Code.COUNTERSIGNATURE_MISSING


def test_findings_that_do_not_agree_lapse_with_their_window(world: World) -> None:
    provide(world)
    world.accept(ANSWERED, make_finding(world, "brittia", "consistent"))
    world.accept(ANSWERED, make_finding(world, "cockaigne", "inconsistent", grounds=("CHECK_FAILED",)))
    keep_filing(world, LAPSED)
    world.block(LAPSED - 1)
    assert stage(world) == "provided"
    world.block(LAPSED)
    world.block(LAPSED)
    assert stage(world) == "lapsed"
    assert newest(world) == ("compliant", [], "A0")
    assert world.refuse(LAPSED, make_finding(world, "cockaigne", "consistent")).code == Code.NOT_AWAITED


def test_a_finding_in_the_last_moment_counts_and_one_in_the_block_of_the_end_does_not(world: World) -> None:
    provide(world)
    world.accept(ANSWERED, make_finding(world, "brittia", "consistent"))
    last = make_finding(world, "cockaigne", "consistent")
    assert world.refuse(LAPSED, last).code == Code.NOT_AWAITED
    world.accept(LAPSED - 1, last)
    assert stage(world) == "consistent"


def test_a_level_is_of_the_declaration_that_was_challenged(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    world.file(RAISED + 1, "acme", 1, ["a1", "a2"])
    world.accept(ANSWERED, make_response(world))
    for nation in ("brittia", "cockaigne"):
        world.accept(ANSWERED, make_finding(world, nation, "consistent"))
    world.block(ANSWERED + 1)
    assert newest(world) == ("compliant", [], "A0")


# --- outages ---------------------------------------------------------------------------------------------------------


def test_an_outage_moves_the_windows_that_were_open(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    silence = 1000
    world.block(RAISED + silence)
    assert stage(world) == "open"
    world.accept(OVERDUE + silence - 1, make_response(world))
    world.block(LAPSED + silence + 1)
    assert stage(world) == "provided"


def test_a_silence_that_is_no_outage_moves_nothing(world: World) -> None:
    world.accept(RAISED, make_challenge(world))
    world.block(RAISED + 280)
    assert stage(world) == "missing"
