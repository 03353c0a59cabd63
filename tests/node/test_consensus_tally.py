"""Votes to certificates, conflicts to evidence; every signature checked once."""

from dataclasses import replace

import pytest

from ledger.positions import Epoch, MemberIndex, View
from node.consensus.messages import Certificate, Misconduct, Vote, VoteKind
from node.consensus.tally import Added, Tally
from tests.scenarios.stage import Stage

NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.block("A", view=1)
    made.block("B", view=1, time_ms=1)
    return made


@pytest.fixture
def tally(stage: Stage) -> Tally:
    return Tally(stage.core._config, stage.keys)


def test_a_certificate_forms_once_from_q_votes_of_the_lowest_members(stage: Stage, tally: Tally) -> None:
    for member in (4, 1, 3):
        assert tally.make_certificate(NOTARIZE, View(1)) is None
        assert tally.add_vote(stage.vote(NOTARIZE, member, block="A")) is Added.NEW
    certificate = tally.make_certificate(NOTARIZE, View(1))
    assert certificate == stage.notarization("A", [1, 3, 4])
    assert tally.make_certificate(NOTARIZE, View(1)) is None
    assert tally.get_certificate(NOTARIZE, View(1)) == certificate
    assert tally.get_certificate(NULLIFY, View(1)) is None


def test_a_repeated_vote_is_not_verified_again(stage: Stage, tally: Tally) -> None:
    vote = stage.vote(NOTARIZE, 3, block="A")
    assert tally.add_vote(vote) is Added.NEW
    assert tally.add_vote(vote) is Added.REPEATED
    assert stage.keys.verifications == 1


def test_votes_held_are_not_verified_again_within_a_certificate(stage: Stage, tally: Tally) -> None:
    tally.add_vote(stage.vote(NOTARIZE, 3, block="A"))
    tally.add_vote(stage.vote(NOTARIZE, 4, block="A"))
    assert tally.find_fault(stage.notarization("A", [1, 3, 4])) is None
    assert stage.keys.verifications == 3


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": Epoch(2)},
        {"member": MemberIndex(0)},
        {"member": MemberIndex(5)},
        {"digest": b""},
        {"share": b"s" * 48},
        {"kind": NULLIFY},
        {"kind": FINALIZE},
    ],
)
def test_votes_without_exactly_the_fields_of_their_kind_are_malformed(
    stage: Stage, tally: Tally, change: dict[str, object]
) -> None:
    vote = replace(stage.vote(NOTARIZE, 3, block="A"), **change)  # type: ignore[arg-type]  # fields of several types
    assert tally.add_vote(vote) is Added.MALFORMED
    assert tally.views() == []


@pytest.mark.parametrize("change", [{"view": View(2)}, {"digest": b"d" * 32}, {"signature": b"s" * 64}])
def test_votes_that_say_anything_else_than_was_signed_are_refused(
    stage: Stage, tally: Tally, change: dict[str, object]
) -> None:
    vote = replace(stage.vote(NOTARIZE, 3, block="A"), **change)  # type: ignore[arg-type]  # fields of several types
    assert tally.add_vote(vote) is Added.WRONG_SIGNATURE
    assert tally.views() == []


def test_a_signature_covers_the_share(stage: Stage, tally: Tally) -> None:
    vote = replace(stage.vote(FINALIZE, 3, block="A"), share=b"s" * 48)
    assert tally.add_vote(vote) is Added.WRONG_SIGNATURE


def bad_certificates(stage: Stage) -> dict[str, Certificate]:
    good = stage.notarization("A", [1, 3, 4])
    forged = replace(good.votes[2], signature=bytes(64))
    finalize = tuple(stage.vote(FINALIZE, member, block="A") for member in (1, 3, 4))
    return {
        "too few": stage.notarization("A", [1, 3]),
        "too many": stage.notarization("A", [1, 2, 3, 4]),
        "one twice": stage.notarization("A", [1, 3, 3]),
        "another digest": replace(good, votes=(*good.votes[:2], stage.vote(NOTARIZE, 4, block="B"))),
        "another view": replace(good, view=View(2)),
        "another kind": replace(good, kind=NULLIFY),
        "another epoch": replace(good, epoch=Epoch(2)),
        "a forged vote": replace(good, votes=(*good.votes[:2], forged)),
        "finalize votes": Certificate(FINALIZE, good.epoch, good.view, good.digest, finalize),
        "nullify votes with a digest": replace(stage.nullification(1, [1, 3, 4]), digest=good.digest),
    }


@pytest.mark.parametrize(
    "name",
    [
        "too few",
        "too many",
        "one twice",
        "another digest",
        "another view",
        "another kind",
        "another epoch",
        "a forged vote",
        "finalize votes",
        "nullify votes with a digest",
    ],
)
def test_a_certificate_with_anything_wrong_is_refused_and_holds_nothing(stage: Stage, tally: Tally, name: str) -> None:
    assert tally.find_fault(bad_certificates(stage)[name]) is not None
    assert tally.views() == []


def conflict(stage: Stage, kind: VoteKind, what: str) -> Vote:
    return stage.vote(kind, 4, view=1) if kind is NULLIFY else stage.vote(kind, 4, block=what)


@pytest.mark.parametrize(
    ("one", "other", "misconduct"),
    [
        ((NOTARIZE, "A"), (NOTARIZE, "B"), Misconduct.DOUBLE_NOTARIZE),
        ((FINALIZE, "A"), (FINALIZE, "B"), Misconduct.DOUBLE_FINALIZE),
        ((NULLIFY, ""), (FINALIZE, "A"), Misconduct.NULLIFY_AND_FINALIZE),
        ((FINALIZE, "A"), (NULLIFY, ""), Misconduct.NULLIFY_AND_FINALIZE),
    ],
)
def test_conflicting_votes_are_evidence_once(
    stage: Stage, tally: Tally, one: tuple[VoteKind, str], other: tuple[VoteKind, str], misconduct: Misconduct
) -> None:
    first, second = conflict(stage, *one), conflict(stage, *other)
    assert tally.add_vote(first) is Added.NEW
    assert tally.take_evidence() == []
    tally.add_vote(second)
    (evidence,) = tally.take_evidence()
    assert (evidence.misconduct, evidence.member, evidence.votes) == (misconduct, 4, (first, second))
    tally.add_vote(second)
    assert tally.take_evidence() == []


@pytest.mark.parametrize(("one", "other"), [((NOTARIZE, "A"), (NULLIFY, "")), ((NOTARIZE, "A"), (FINALIZE, "A"))])
def test_what_honest_members_may_say_both_is_no_evidence(
    stage: Stage, tally: Tally, one: tuple[VoteKind, str], other: tuple[VoteKind, str]
) -> None:
    assert tally.add_vote(conflict(stage, *one)) is Added.NEW
    assert tally.add_vote(conflict(stage, *other)) is Added.NEW
    assert tally.take_evidence() == []


def test_a_forged_conflicting_vote_is_no_evidence(stage: Stage, tally: Tally) -> None:
    tally.add_vote(stage.vote(NOTARIZE, 4, block="A"))
    forged = replace(stage.vote(NOTARIZE, 4, block="B"), signature=bytes(64))
    assert tally.add_vote(forged) is Added.WRONG_SIGNATURE
    assert tally.take_evidence() == []


def test_conflicts_between_a_certificate_and_votes_held_are_evidence_too(stage: Stage, tally: Tally) -> None:
    tally.add_vote(stage.vote(NOTARIZE, 4, block="A"))
    certificate = stage.notarization("B", [1, 3, 4])
    assert tally.find_fault(certificate) is None
    tally.add_certificate(certificate)
    (evidence,) = tally.take_evidence()
    assert (evidence.misconduct, evidence.member) == (Misconduct.DOUBLE_NOTARIZE, 4)
    assert tally.has_equivocated(MemberIndex(4), View(1))
    assert not tally.has_equivocated(MemberIndex(3), View(1))


def test_shares_are_given_once_q_members_agree_and_never_again_once_known_to_be_wrong(
    stage: Stage, tally: Tally
) -> None:
    digest = stage.header("A").digest
    for member in (1, 3):
        tally.add_vote(stage.vote(FINALIZE, member, block="A"))
    tally.add_vote(stage.vote(FINALIZE, 2, block="B"))
    assert tally.get_shares(View(1)) == {}
    tally.add_vote(stage.vote(FINALIZE, 4, block="A"))
    assert list(tally.get_shares(View(1))[digest]) == [1, 3, 4]
    tally.drop_share(stage.vote(FINALIZE, 3, block="A"), stage.header("A"))
    assert tally.get_shares(View(1)) == {}
    (evidence,) = tally.take_evidence()
    assert (evidence.misconduct, evidence.member, evidence.header) == (Misconduct.WRONG_SHARE, 3, stage.header("A"))


def test_pruning_forgets_the_views_below_and_keeps_the_rest(stage: Stage, tally: Tally) -> None:
    for view in (1, 2, 3):
        tally.add_vote(stage.vote(NULLIFY, 3, view=view))
    tally.prune(View(2))
    assert tally.views() == [2, 3]
    assert tally.count_votes(View(1))[NULLIFY] == 0
    assert tally.count_votes(View(3)) == {NOTARIZE: 0, NULLIFY: 1, FINALIZE: 0}
