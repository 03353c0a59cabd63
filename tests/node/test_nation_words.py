"""The words that a nation is shown before it signs: what follows, from when, and that they are those of the digest."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ledger.errors import Code, ConditionError, FormatError, LedgerError, ProofError
from ledger.positions import Interval, LeafIndex, MemberIndex
from ledger.statements.committee import APPROVAL, PROPOSAL, ExtendPause, LiftPause, Resolution, compute_change_digest
from ledger.statements.inspections import CHALLENGE, FINDING, INSPECTORS, WITHDRAWAL
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.notices import ENFORCEMENT, OBSERVATION
from ledger.statements.pauses import PAUSE_ACCESSION
from ledger.statements.runs import REVIEW_EVENT, RUN_DECISION
from ledger.vocabulary import read_predicate
from node import challenges_cli, decisions_cli, notices_cli, pauses_cli, runs_cli
from node.matters import list_matters
from node.saying import Describe
from node.standing import Standing, read_change, read_standing, read_terms, say_time
from tests.ledger import training
from tests.ledger.pausing import MEMBERS, PauseWorld, boundary, make_entry, make_terms
from tests.ledger.rulebook import AGREED_ENTRY, CHARTER_ENTRY, World, millis

A, B, C, D = MEMBERS
DIGEST = "ab" * 32


def stand(world: World, *, me: int = 1, held_from: int = 1) -> Standing:
    entries = [b"", *(entry for _, block in world.blocks for entry in block)]

    def read_entry(index: LeafIndex) -> bytes | None:
        return entries[index] if index >= held_from else None

    return read_standing(list_matters(world.state, read_entry, me=MemberIndex(me)))


def say(kind: str, body: Mapping[str, Any], describe: Describe, standing: Standing) -> str:
    header = {"ledger": ZERO_HASH, "issuer": standing.nation, "sequence": 0, "previous": ZERO_HASH, "issued_at": 0}
    predicate = read_predicate(kind, header | {"corrects": None} | dict(body))
    return "\n".join(describe(predicate, standing))


def join(world: PauseWorld, standing: Standing, **joins: Any) -> str:  # each of its own type
    condition = {"nations": [], "nations_min": 0, "lapses": 6} | joins
    body = {"pause": "p", "terms": world.digest("p"), "joins": condition}
    return say(PAUSE_ACCESSION, body, pauses_cli.describe_accession, standing)


def approve(world: PauseWorld, standing: Standing, *, approves: bool = True) -> str:
    body = {"proposal": "m", "change": compute_change_digest(world.motions["m"]), "approves": approves}
    return say(APPROVAL, body, decisions_cli.describe_approval, standing)


def test_joining_says_from_which_interval_labs_must_promise() -> None:
    world = PauseWorld()
    world.accept(10, world.pause(A))
    words = join(world, stand(world, me=2), nations=[A], nations_min=3)
    assert f"{B} joins the pause p if {A} joins too and 3 nations join in all." in words
    start = say_time(millis(boundary(3)))
    assert f"labs of {B} must promise pause-p in every row, from interval 3 ({start}) on at the earliest" in words
    assert "joins the pause p without condition" in join(world, stand(world, me=2))


def test_a_notice_that_ends_later_than_the_first_interval_moves_what_is_said() -> None:
    world = PauseWorld(make_entry(notice_s=450))
    world.accept(10, world.pause(A, terms=make_terms(first=5)))
    assert "from interval 6 (" in join(world, stand(world, me=2))
    for nation in (A, B):
        world.accept(20, world.accede(nation))
    world.block(boundary(1))
    assert stand(world).matters.pauses[0].start == 6


def test_joining_a_pause_that_is_activated_binds_from_the_next_boundary_on() -> None:
    world = PauseWorld()
    world.activate()
    assert "its labs must promise pause-p in every row, from interval 3 (" in join(world, stand(world, me=3))
    world.block(boundary(4))
    assert "its labs must promise pause-p in every row, from interval 5 (" in join(world, stand(world, me=3))


def test_taking_back_says_that_it_counts_no_more() -> None:
    world = PauseWorld()
    world.accept(10, world.pause(A))
    body = {"pause": "p", "terms": world.digest("p"), "joins": None}
    assert "takes its accession to the pause p back" in say(
        PAUSE_ACCESSION, body, pauses_cli.describe_accession, stand(world)
    )


@pytest.mark.parametrize(("lift", "needed"), [("quorum", "3 of 4 members"), ("all", "all 4 members")])
def test_a_proposal_says_how_many_it_needs(lift: Any, needed: str) -> None:
    world = PauseWorld(make_entry(lift=lift))
    world.activate()
    standing = stand(world)
    lifted = say(
        PROPOSAL,
        {"proposal": "m", "change": {"kind": "lift-pause", "pause": "p"}},
        decisions_cli.describe_proposal,
        standing,
    )
    assert f"It is carried once {needed} say yes" in lifted
    assert "the pause ends with the next boundary, interval 2 (" in lifted
    extended = say(
        PROPOSAL,
        {"proposal": "m", "change": {"kind": "extend-pause", "pause": "p", "until": 9}},
        decisions_cli.describe_proposal,
        standing,
    )
    assert "let the pause p last until interval 9 (" in extended
    assert "3 of 4 members" in extended


def test_a_vote_says_what_it_does_and_when_it_is_the_last_one_needed() -> None:
    world = PauseWorld()
    world.activate()
    world.accept(110, world.motion(A, LiftPause(pause="p")))
    assert "With this vote 1 of the 3 that it needs say yes" in approve(world, stand(world))
    assert "With this vote 0 of the 3 that it needs say yes" in approve(world, stand(world), approves=False)
    for nation in (B, C):
        world.accept(120, world.vote(nation))
    words = approve(world, stand(world))
    assert "So it is carried" in words
    assert "the pause ends with the next boundary" in words
    assert "With this vote 1 of the 3" in approve(world, stand(world, me=2), approves=False)


def test_words_are_those_of_the_digest_or_nothing_is_signed() -> None:
    world = PauseWorld()
    world.activate()
    world.accept(110, world.motion(A, ExtendPause(pause="p", until=Interval(9))))
    standing = stand(world)
    (proposal,), (pause,) = standing.matters.proposals, standing.matters.pauses
    proposal.body = proposal.body.replace(b"9", b"8")
    pause.body = pause.body.replace(b"A pause", b"A cause")
    for read in (lambda: read_change(proposal), lambda: read_terms(pause)):
        with pytest.raises(ProofError):
            read()
    proposal.body, pause.body = b"{}", b"[]"
    for read in (lambda: read_change(proposal), lambda: read_terms(pause)):
        with pytest.raises(FormatError):
            read()


def test_another_digest_than_the_one_on_the_ledger_is_refused_before_it_is_signed() -> None:
    world = PauseWorld()
    world.accept(10, world.pause(A))
    world.accept(20, world.motion(A, Resolution(text="x", digest=DIGEST)))
    accession = {"pause": "p", "terms": DIGEST, "joins": None}
    vote = {"proposal": "m", "change": DIGEST, "approves": True}
    for kind, body, describe in (
        (PAUSE_ACCESSION, accession, pauses_cli.describe_accession),
        (APPROVAL, vote, decisions_cli.describe_approval),
    ):
        with pytest.raises(LedgerError) as refused:
            say(kind, body, describe, stand(world))
        assert refused.value.code is Code.TERMS_MISMATCH


def test_what_lies_in_a_part_of_the_history_not_here_cannot_be_shown_and_is_not_signed() -> None:
    world = PauseWorld()
    world.accept(10, world.pause(A))
    with pytest.raises(ConditionError) as refused:
        join(world, stand(world, held_from=99))
    assert refused.value.code is Code.NOT_READY


def test_a_ledger_without_agreement_knows_none_of_these_words() -> None:
    world = World(CHARTER_ENTRY)
    world.block(10)
    with pytest.raises(FormatError) as refused:
        _ = stand(world).agreement
    assert refused.value.code is Code.UNKNOWN_KIND


@pytest.mark.parametrize(
    ("decision", "words"), [("approved", "The lab may start it."), ("refused", "held against the lab")]
)
def test_a_decision_says_what_the_lab_may_do_then(decision: str, words: str) -> None:
    world = training.make_world()
    world.accept(100, training.training_run(world, "declared", band=23, cap_band=24))
    body = {"lab": "acme", "run": "r1", "declaration": DIGEST, "decision": decision, "note": ""}
    said = say(RUN_DECISION, body, runs_cli.describe_decision, stand(world))
    assert words in said
    assert "silence approves it" in said


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("acknowledged", "nothing follows"),
        ("info-requested", "stands still"),
        ("info-supplied", "the rules will refuse it"),
        ("extended", "1 minute 40 seconds more on the clock"),
        ("cleared", "may release"),
        ("blocked", "must not release"),
    ],
)
def test_each_step_of_a_review_says_what_follows(event: str, words: str) -> None:
    world = training.make_world()
    world.accept(100, training.training_run(world, "started", band=20))
    world.accept(110, training.hand_in(world))
    body = {"lab": "acme", "model": "m1", "review": DIGEST, "event": event, "note": ""}
    said = say(REVIEW_EVENT, body, runs_cli.describe_event, stand(world))
    assert words in said
    assert "It stands so: acme m1: not acknowledged; silence clears it" in said


REQUEST = {"fields": ["energy_wh"], "records": [0, 7], "inventory": None, "chips": [], "recompute": "r1"}
CHALLENGED = {
    "challenge": "c-1",
    "lab": "acme",
    "cluster": "a1",
    "interval": 1,
    "request": REQUEST,
    "grounds": {"entry": 7, "text": "A rumour."},
    "inspectors": [{"nation": "brittia", "inspector": "ada"}],
}
FOUND = {
    "challenge": "c-1",
    "inspector": "ada",
    "conclusion": "inconsistent",
    "fields": [],
    "grounds": ["CHECK_FAILED"],
    "level": None,
    "report": DIGEST,
}
OBSERVED = {"about": "ledger", "name": None, "category": "other", "confidence": "low", "digest": DIGEST, "text": "Hm."}
MEASURE = {"lab": "acme", "measure": "fine", "interval": 1, "until": 3, "text": "Late."}


@pytest.mark.parametrize(
    ("kind", "body", "describe", "words"),
    [
        (CHALLENGE, CHALLENGED, challenges_cli.describe_challenge,
         ["the fields energy_wh; 2 records; a part of the run r1", "ada of brittia", "1 minute 40 seconds"]),
        (WITHDRAWAL, {"challenge": "c-1", "reason": "Settled."}, challenges_cli.describe_withdrawal,
         ["takes the challenge c-1 back", "Settled."]),
        (FINDING, FOUND, challenges_cli.describe_finding, ["inconsistent (CHECK_FAILED)", "2 inspectors of 2 nations"]),
        (INSPECTORS, {"inspectors": []}, challenges_cli.describe_inspectors, ["- nobody", "is revoked"]),
        (OBSERVATION, OBSERVED, notices_cli.describe_observation, ["of this ledger: other", "Hm.", DIGEST]),
        (ENFORCEMENT, MEASURE, notices_cli.describe_enforcement, ["fine, from interval 1 (", "until interval 3 ("]),
        (ENFORCEMENT, MEASURE | {"measure": "lifted", "until": None}, notices_cli.describe_enforcement,
         ["is lifted from interval 1 ("]),
    ],
)  # fmt: skip
def test_other_statements_say_what_they_ask_or_do(
    kind: str, body: Mapping[str, Any], describe: Describe, words: Sequence[str]
) -> None:
    world = World(AGREED_ENTRY)
    world.block(10)
    said = say(kind, body, describe, stand(world))
    assert [each for each in words if each not in said] == []
