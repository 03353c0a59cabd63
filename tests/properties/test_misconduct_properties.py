"""No history of an honest member is evidence against it, and no change of true evidence is evidence of anything."""

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import FormatError, LedgerError
from ledger.rules.misconduct import verify_evidence
from ledger.statements.misconduct import (
    Evidence,
    EvidenceFile,
    SignedVote,
    encode_evidence_file,
    parse_evidence_file,
)
from ledger.verify import verify_misconduct
from ledger.votes import Misconduct, VoteKind
from tests.ledger.faults import CHARTER, LIAR, TRUE_EVIDENCE, Member, make_evidence, make_header, make_share
from tests.ledger.rulebook import CHARTER_ENTRY

ELSEWHERE = Member(LIAR.id, ledger_id=bytes(32))
LATER = Member(LIAR.id, epoch=2)
INDEX = 2  # of the accused in the charter
HEADERS = {(block, view): make_header(block, view=view) for block in "ab" for view in (1, 2)}
SHARES = {block: make_share(INDEX, header) for block, header in HEADERS.items()}


@st.composite
def honest_votes(draw: st.DrawFn) -> list[tuple[int, SignedVote, bytes | None]]:
    """What an honest member says in a few views, here, in a later epoch and on another ledger: view, vote, header."""
    said: list[tuple[int, SignedVote, bytes | None]] = []
    for member, view in product((LIAR, LATER, ELSEWHERE), (1, 2)):
        block = draw(st.sampled_from("ab"))
        header = HEADERS[block, draw(st.sampled_from((1, view)))]  # a block may be proposed again in a later view
        course = draw(st.sampled_from(("nothing", "notarize", "give up", "both", "finalize")))
        if course in {"notarize", "both", "finalize"}:
            said.append((view, member.vote(VoteKind.NOTARIZE, header.digest, view=view), header.raw))
        if course in {"give up", "both"}:
            said.append((view, member.vote(VoteKind.NULLIFY, view=view), None))
        if course == "finalize":
            share = SHARES[block, header.view]
            said.append((view, member.vote(VoteKind.FINALIZE, header.digest, share, view=view), header.raw))
    return said


def is_accepted(evidence: Evidence) -> bool:
    """Whether this evidence can be written as a file and is believed."""
    try:
        raw = encode_evidence_file(EvidenceFile(charter=CHARTER_ENTRY, evidence=evidence))
        verify_misconduct(raw, charter_fingerprint=CHARTER.ledger_id)
    except LedgerError:
        return False
    return True


@given(honest_votes())
@settings(max_examples=40, deadline=None)
def test_nothing_that_an_honest_member_says_is_evidence_however_it_is_put_together(
    said: list[tuple[int, SignedVote, bytes | None]],
) -> None:
    for (view, one, header), (other_view, other, _) in combinations(said, 2):
        for shown, misconduct in product({view, other_view}, Misconduct):
            assert not is_accepted(make_evidence(misconduct, [one, other], view=shown))
        assert not is_accepted(make_evidence(Misconduct.WRONG_SHARE, [one], view=view, header=header))
    for view, vote, _ in said:
        for header_of in HEADERS.values():
            evidence = make_evidence(Misconduct.WRONG_SHARE, [vote], view=view, header=header_of.raw)
            assert not is_accepted(evidence)


FILES = {
    misconduct: encode_evidence_file(EvidenceFile(charter=CHARTER_ENTRY, evidence=evidence))
    for misconduct, evidence in TRUE_EVIDENCE.items()
}


@given(st.sampled_from(list(Misconduct)), st.data())
@settings(max_examples=150, deadline=None)
def test_true_evidence_with_a_byte_changed_is_refused(misconduct: Misconduct, draw: st.DataObject) -> None:
    raw = FILES[misconduct]
    charter_end = raw.index(b'"evidence"')
    place = draw.draw(st.integers(charter_end, len(raw) - 1) | st.integers(0, len(raw) - 1))
    flip = draw.draw(st.integers(1, 255))
    changed = raw[:place] + bytes((raw[place] ^ flip,)) + raw[place + 1 :]
    try:
        verify_misconduct(changed, charter_fingerprint=CHARTER.ledger_id)
    except LedgerError as error:
        assert error.field  # noqa: PT017  # an error of any kind, but it says where
    else:
        raise AssertionError(changed)


@given(st.sampled_from(list(Misconduct)), st.sampled_from(list(Misconduct)), st.data())
@settings(max_examples=60, deadline=None)
def test_parts_of_true_evidence_put_together_anew_prove_nothing_new(
    one: Misconduct, other: Misconduct, draw: st.DataObject
) -> None:
    true, parts = TRUE_EVIDENCE[one], TRUE_EVIDENCE[other]
    votes = draw.draw(st.lists(st.sampled_from([*true.votes, *parts.votes]), min_size=1, max_size=2))
    header = draw.draw(st.sampled_from((None, true.header, parts.header)))
    evidence = Evidence(
        accused=true.accused, misconduct=one, epoch=true.epoch, view=true.view, votes=tuple(votes), header=header
    )
    try:
        verify_evidence(
            parse_evidence_file(encode_evidence_file(EvidenceFile(charter=CHARTER_ENTRY, evidence=evidence))).evidence,
            charter=CHARTER,
        )
    except FormatError:
        return
    except LedgerError:
        raise AssertionError(evidence) from None  # votes of one member, ledger and view: only the form can refuse them
    kinds = [vote.kind for vote in evidence.votes]
    assert kinds == [vote.kind for vote in true.votes]  # and then it is the same misconduct, truly committed
