"""Misconduct on the ledger: what faults a member, what never does, and how little follows from it."""

import hashlib

import msgspec
import pytest

from ledger.charter import parse_charter
from ledger.errors import Code, FormatError, LedgerError
from ledger.rules.misconduct import get_faults, verify_evidence
from ledger.rules.state import State, compute_state_digest
from ledger.statements.dsse import parse_envelope
from ledger.statements.misconduct import (
    Evidence,
    EvidenceFile,
    SignedVote,
    encode_evidence_file,
    parse_evidence_file,
    parse_misconduct,
)
from ledger.votes import Misconduct, VoteKind
from tests.ledger.faults import (
    CHARTER,
    LIAR,
    TRUE_EVIDENCE,
    Member,
    accuse,
    make_evidence,
    make_header,
    make_share,
    make_wrong_share,
)
from tests.ledger.rulebook import CHARTER_ENTRY, NATIONS, Key, Party, World, due, make_charter_entry

ACCUSER, ACCUSED = NATIONS[0], NATIONS[1]
DOUBLE = TRUE_EVIDENCE[Misconduct.DOUBLE_NOTARIZE]


def faults_of(world: World, member: str = ACCUSED) -> list[tuple[str, int]]:
    return [(fault.misconduct, fault.index) for fault in get_faults(world.state, member)]


@pytest.mark.parametrize("misconduct", list(Misconduct))
def test_true_evidence_faults_the_member_from_its_entry_on(misconduct: Misconduct) -> None:
    world = World()
    index = world.size
    world.accept(10, accuse(TRUE_EVIDENCE[misconduct], world.nations[ACCUSER]))
    assert faults_of(world) == [(misconduct, index)]
    assert faults_of(world, ACCUSER) == []


def test_each_kind_counts_once_and_a_second_proof_is_refused() -> None:
    world = World()
    for at, misconduct in enumerate(Misconduct):
        world.accept(at, accuse(TRUE_EVIDENCE[misconduct], world.nations[ACCUSER]))
    assert [name for name, _ in faults_of(world)] == list(Misconduct)
    again = make_evidence(Misconduct.DOUBLE_NOTARIZE, [LIAR.notarize(block, view=9) for block in "ab"], view=9)
    for evidence in (DOUBLE, again):
        rejection = world.refuse(10, accuse(evidence, world.nations[NATIONS[2]]))
        assert rejection.code is Code.MISCONDUCT_KNOWN
        assert "entry 1" in rejection.expected


def test_a_lab_may_accuse_and_so_may_the_accused() -> None:
    world = World()
    lab = world.register(0, "acme", ["acme-1"])
    world.accept(1, accuse(DOUBLE, lab))
    world.accept(2, accuse(make_wrong_share(), world.nations[ACCUSED]))
    assert [name for name, _ in faults_of(world)] == ["DOUBLE_NOTARIZE", "WRONG_SHARE"]


def test_a_stranger_may_not_accuse() -> None:
    stranger = Party(ACCUSER, Key("a stranger's key"))
    assert World().refuse(1, accuse(DOUBLE, stranger)).code is Code.WRONG_KEY


def refusal_of(evidence: Evidence) -> tuple[Code, str]:
    """Code and field with which the rules refuse this evidence; `verify_evidence` says the same."""
    world = World()
    rejection = world.refuse(1, accuse(evidence, world.nations[ACCUSER]))
    with pytest.raises(LedgerError) as caught:
        verify_evidence(evidence, charter=CHARTER)
    assert caught.value.code == rejection.code
    assert rejection.field == f"statement.predicate.{caught.value.field}"
    return rejection.code, caught.value.field


def test_votes_of_another_ledger_epoch_view_or_member_prove_nothing() -> None:
    elsewhere = Member(ACCUSED, ledger_id=hashlib.sha256(b"another ledger").digest())
    later = Member(ACCUSED, epoch=2)
    double = Misconduct.DOUBLE_NOTARIZE
    blocks = sorted("ab", key=lambda block: LIAR.notarize(block).digest or "")
    for votes in (
        [LIAR.notarize(blocks[0]), elsewhere.notarize(blocks[1])],
        [LIAR.notarize(blocks[0]), later.notarize(blocks[1])],
        [LIAR.notarize(blocks[0]), LIAR.notarize(blocks[1], view=8)],
        [LIAR.notarize(blocks[0]), Member(NATIONS[2]).notarize(blocks[1])],
    ):
        assert refusal_of(make_evidence(double, votes)) == (Code.SIGNATURE, "evidence.votes[1].signature")
    of_later = [later.notarize(block) for block in "ab"]
    assert refusal_of(make_evidence(double, of_later, epoch=2)) == (Code.INVALID_FIELD, "evidence.epoch")
    assert refusal_of(make_evidence(double, of_later)) == (Code.SIGNATURE, "evidence.votes[0].signature")
    assert refusal_of(make_evidence(double, DOUBLE.votes, view=8)) == (Code.SIGNATURE, "evidence.votes[0].signature")
    assert refusal_of(make_evidence(double, DOUBLE.votes, accused="atlantis")) == (
        Code.INVALID_FIELD,
        "evidence.accused",
    )
    assert refusal_of(make_evidence(double, DOUBLE.votes, accused=NATIONS[2])) == (
        Code.SIGNATURE,
        "evidence.votes[0].signature",
    )


def test_the_right_share_is_no_misconduct_in_whichever_view_the_block_is_finalized() -> None:
    for view in (7, 12):
        header = make_header("a", view=view)
        vote = LIAR.vote(VoteKind.FINALIZE, header.digest, make_share(2, header))
        evidence = make_evidence(Misconduct.WRONG_SHARE, [vote], header=header.raw)
        assert refusal_of(evidence) == (Code.NOT_MISCONDUCT, "evidence.votes[0].share")


@pytest.mark.parametrize("share", [bytes(48), b"\xc0" + bytes(47), b"\xff" * 48, b"\x80" + bytes(47)])
def test_a_share_that_is_no_point_is_a_wrong_share(share: bytes) -> None:
    verify_evidence(make_wrong_share(share=share), charter=CHARTER)


def test_a_share_over_a_block_of_another_ledger_proves_nothing() -> None:
    header = make_header("a", ledger_id=bytes(32))
    vote = LIAR.vote(VoteKind.FINALIZE, header.digest, make_share(2, header))
    evidence = make_evidence(Misconduct.WRONG_SHARE, [vote], header=header.raw)
    assert refusal_of(evidence) == (Code.PROOF, "evidence.header.ledger_id")


def malformed() -> dict[str, Evidence]:
    """Evidence of things that an honest member may say, or that nobody can say."""
    a, b = (LIAR.notarize(block) for block in "ab")
    final, other_share = LIAR.finalize("a"), LIAR.finalize("a", share=b"\x81" + bytes(47))
    double, share = Misconduct.DOUBLE_NOTARIZE, TRUE_EVIDENCE[Misconduct.WRONG_SHARE]
    late_header = make_header("a", epoch=2)
    late = LIAR.vote(VoteKind.FINALIZE, late_header.digest, make_share(2, late_header))
    return {
        "the same vote twice": make_evidence(double, [a, a]),
        "one vote alone": make_evidence(double, [a]),
        "notarize and nullify": make_evidence(Misconduct.NULLIFY_AND_FINALIZE, [a, LIAR.nullify()]),
        "notarize and finalize": make_evidence(Misconduct.DOUBLE_FINALIZE, [a, final]),
        "the same finalize with another share": make_evidence(Misconduct.DOUBLE_FINALIZE, [final, other_share]),
        "nullify twice": make_evidence(double, [LIAR.nullify(), LIAR.nullify()]),
        "another kind's name": make_evidence(Misconduct.DOUBLE_FINALIZE, [a, b]),
        "the other order": msgspec.structs.replace(DOUBLE, votes=DOUBLE.votes[::-1]),
        "a digest with nullify": make_evidence(
            Misconduct.NULLIFY_AND_FINALIZE, [msgspec.structs.replace(LIAR.nullify(), digest=a.digest), final]
        ),
        "no digest": make_evidence(double, [msgspec.structs.replace(a, digest=None), b]),
        "a share with notarize": make_evidence(double, [msgspec.structs.replace(a, share=bytes(48)), b]),
        "no share with finalize": make_evidence(
            Misconduct.NULLIFY_AND_FINALIZE, [LIAR.nullify(), msgspec.structs.replace(final, share=None)]
        ),
        "a header beside two votes": msgspec.structs.replace(DOUBLE, header=make_header("a").raw),
        "a wrong share without its block": msgspec.structs.replace(share, header=None),
        "a wrong share with another block": msgspec.structs.replace(share, header=make_header("b").raw),
        "a wrong share with no block at all": msgspec.structs.replace(share, header=b"\x00"),
        "a block of another epoch": make_evidence(Misconduct.WRONG_SHARE, [late], header=late_header.raw),
        "view 0": msgspec.structs.replace(DOUBLE, view=0),
    }


@pytest.mark.parametrize("what", malformed())
def test_what_is_no_misconduct_by_its_form_cannot_be_written_or_read(what: str) -> None:
    evidence = malformed()[what]
    with pytest.raises(FormatError):
        accuse(evidence, World().nations[ACCUSER])
    with pytest.raises(FormatError):
        encode_evidence_file(EvidenceFile(charter=CHARTER_ENTRY, evidence=evidence))


def test_another_signature_over_the_same_vote_changes_nothing() -> None:
    """What is signed is compared, never the bytes of signatures."""
    a = LIAR.notarize("a")
    other = SignedVote(kind=a.kind, digest=a.digest, share=None, signature=bytes(64))
    with pytest.raises(FormatError, match="two blocks"):
        accuse(make_evidence(Misconduct.DOUBLE_NOTARIZE, [a, other]), World().nations[ACCUSER])


def test_a_fault_changes_no_verdict_and_nothing_but_the_standing() -> None:
    worlds = World(), World()
    for world in worlds:
        world.register(0, "acme", ["acme-1"], nation=ACCUSED)
    worlds[1].accept(5, accuse(DOUBLE, worlds[1].nations[ACCUSER]))
    for world in worlds:
        world.block(due(0) + 1)
        world.block(due(1) + 1)
    assert worlds[0].said("acme", "acme-1", 1) == worlds[1].said("acme", "acme-1", 1)
    changed = dict(worlds[1].state.items()).items() - dict(worlds[0].state.items()).items()
    assert sorted(key[:1] for key, _ in changed) == [b"D", b"L"]  # the accuser's place, and the standing


def test_a_standing_comes_back_from_the_store_with_the_charter_it_is_checked_against() -> None:
    world = World()
    world.accept(1, accuse(DOUBLE, world.nations[ACCUSER]))
    back = State.restore(world.state.items(), charter=CHARTER)
    assert compute_state_digest(back) == compute_state_digest(world.state)
    assert get_faults(back, ACCUSED) == get_faults(world.state, ACCUSED)
    assert back.fork().charter is CHARTER
    other = World().state.items()
    with pytest.raises(FormatError, match=r"state: found"):
        State.restore(other, charter=parse_charter(make_charter_entry(limits=["x"])))


def test_the_file_comes_back_as_it_was_written() -> None:
    for evidence in TRUE_EVIDENCE.values():
        file = EvidenceFile(charter=CHARTER_ENTRY, evidence=evidence)
        raw = encode_evidence_file(file)
        assert parse_evidence_file(raw) == file


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ((b"misconduct/v1", b"misconduct/v2"), "file.format"),
        ((b'{"format"', b'{ "format"'), "file"),
        ((b'"epoch":1', b'"epoch":1.0'), "file"),
        ((b'"epoch":1', b'"epoch":1,"epoch":1'), "file"),
        ((b'"header":null', b'"header":null,"more":1'), "file"),
        ((b"DOUBLE_NOTARIZE", b"DOUBLE_FINALIZE"), "evidence.votes.kind"),
    ],
)
def test_a_file_has_one_spelling(change: tuple[bytes, bytes], field: str) -> None:
    raw = encode_evidence_file(EvidenceFile(charter=CHARTER_ENTRY, evidence=DOUBLE))
    with pytest.raises(FormatError) as caught:
        parse_evidence_file(raw.replace(*change, 1))
    assert caught.value.field == field


def test_a_file_is_bounded() -> None:
    with pytest.raises(FormatError, match="at most"):
        parse_evidence_file(b" " * 200_000)


def test_the_subject_names_the_accused_and_what_it_did() -> None:
    payload = parse_envelope(accuse(DOUBLE, World().nations[ACCUSER])).payload
    assert parse_misconduct(payload).subject.name == f"{ACCUSED}/DOUBLE_NOTARIZE"
