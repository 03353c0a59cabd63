"""`ledger.threshold.dealing`: what joint-Feldman sharing gives, and each way in which others' went wrong."""

import dataclasses
import itertools
import random
from dataclasses import dataclass

import pytest

from ledger.errors import FormatError, PolicyError, ProofError, SignatureError
from ledger.positions import MemberIndex
from ledger.threshold import bls
from ledger.threshold.dealing import (
    Deal,
    PublicPolynomial,
    combine_deals,
    combine_shares,
    make_deal,
    verify_deal_public,
    verify_share,
)
from ledger.threshold.group import ORDER, select_backend
from ledger.threshold.polynomials import SecretPolynomial, SecretScalar, compute_public_key, make_polynomial

SESSION = bytes(range(32))
MESSAGE = b"counterseal test message"


@dataclass(frozen=True)
class Dealt:
    deals: tuple[Deal, ...]
    polynomial: PublicPolynomial
    shares: dict[MemberIndex, SecretScalar]


def deal_all(count: int, quorum: int) -> Dealt:
    dealt = [
        make_deal(
            dealer=MemberIndex(i),
            quorum=quorum,
            members_count=count,
            session=SESSION,
            randomness=random.Random(i).randbytes,
        )
        for i in range(1, count + 1)
    ]
    for deal, shares in dealt:
        verify_deal_public(deal, quorum=quorum, session=SESSION)
        for j, share in enumerate(shares, start=1):
            verify_share(deal, member=MemberIndex(j), share=share)
    return Dealt(
        deals=tuple(deal for deal, _ in dealt),
        polynomial=combine_deals([deal for deal, _ in dealt]),
        shares={MemberIndex(j): combine_shares([shares[j - 1] for _, shares in dealt]) for j in range(1, count + 1)},
    )


def one_deal(quorum: int = 3, count: int = 4) -> tuple[Deal, tuple[SecretScalar, ...]]:
    return make_deal(
        dealer=MemberIndex(1),
        quorum=quorum,
        members_count=count,
        session=SESSION,
        randomness=random.Random(9).randbytes,
    )


def test_both_backends_deal_alike_and_accept_each_others_deals() -> None:
    pytest.importorskip("py_ecc")
    by_arkworks = deal_all(2, 2)
    try:
        select_backend("pyecc")
        by_pyecc = deal_all(2, 2)
    finally:
        select_backend("arkworks")
    assert by_arkworks == by_pyecc
    member = MemberIndex(2)
    assert by_pyecc.polynomial.public_share(member) == compute_public_key(by_pyecc.shares[member])


@pytest.mark.parametrize("count", range(1, 6))
def test_dealt_shares_make_the_seal_of_the_group_key_and_of_nothing_less(count: int) -> None:
    quorum = count - (count - 1) // 3
    dealt = deal_all(count, quorum)
    assert dealt.polynomial.quorum == quorum
    shares = {member: bls.sign_share(secret, MESSAGE) for member, secret in dealt.shares.items()}
    for member, share in shares.items():
        assert dealt.polynomial.public_share(member) == compute_public_key(dealt.shares[member])
        bls.verify_signature(dealt.polynomial.public_share(member), MESSAGE, share)
    seals = set()
    for chosen in itertools.combinations(shares, quorum):
        seals.add(bls.combine({member: shares[member] for member in chosen}))
    assert len(seals) == 1
    bls.verify_signature(dealt.polynomial.group_key, MESSAGE, seals.pop())
    for chosen in itertools.combinations(shares, quorum - 1):
        if chosen:
            lesser = bls.combine({member: shares[member] for member in chosen})
            assert not bls.is_signature(dealt.polynomial.group_key, MESSAGE, lesser)


@pytest.mark.parametrize("quorum", [1, 2, 4])
def test_a_deal_of_another_degree_is_refused(quorum: int) -> None:
    deal, _ = one_deal(quorum=quorum)
    with pytest.raises(FormatError) as caught:
        verify_deal_public(deal, quorum=3, session=SESSION)
    assert caught.value.field == "commitments"


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("wrong", [b"\xc0" + bytes(95), b"\xff" * 96, bytes(96), b"\x80" + bytes(94) + b"\x01", b""])
def test_a_commitment_that_is_the_identity_or_no_point_is_refused(k: int, wrong: bytes) -> None:
    deal, _ = one_deal()
    commitments = (*deal.commitments[:k], wrong, *deal.commitments[k + 1 :])
    with pytest.raises(FormatError) as caught:
        verify_deal_public(dataclasses.replace(deal, commitments=commitments), quorum=3, session=SESSION)
    assert caught.value.field == f"commitments[{k}]"


def test_a_deal_without_a_proof_of_possession_of_its_own_is_refused() -> None:
    deal, _ = one_deal()
    other, _ = make_deal(
        dealer=MemberIndex(2), quorum=3, members_count=4, session=SESSION, randomness=random.Random(8).randbytes
    )
    for wrong in (
        dataclasses.replace(deal, possession=other.possession),
        dataclasses.replace(deal, dealer=MemberIndex(2)),
        dataclasses.replace(deal, commitments=(other.commitments[0], *deal.commitments[1:])),
    ):
        with pytest.raises(SignatureError) as caught:
            verify_deal_public(wrong, quorum=3, session=SESSION)
        assert caught.value.field == "possession"
    with pytest.raises(FormatError):
        verify_deal_public(dataclasses.replace(deal, possession=b"\xc0" + bytes(47)), quorum=3, session=SESSION)


def test_a_deal_of_an_earlier_session_is_refused() -> None:
    deal, _ = one_deal()
    with pytest.raises(SignatureError):
        verify_deal_public(deal, quorum=3, session=bytes(32))


def test_a_share_of_another_member_or_deal_or_zero_is_refused_and_not_shown() -> None:
    deal, shares = one_deal()
    _, others = make_deal(
        dealer=MemberIndex(2), quorum=3, members_count=4, session=SESSION, randomness=random.Random(8).randbytes
    )
    verify_share(deal, member=MemberIndex(2), share=shares[1])
    for wrong in (shares[0], others[1], SecretScalar(0), shares[1] + SecretScalar(1)):
        with pytest.raises(ProofError) as caught:
            verify_share(deal, member=MemberIndex(2), share=wrong)
        assert str(wrong.value) not in str(caught.value).replace("member 2", "")


def test_swapped_shares_are_both_refused() -> None:
    deal, shares = one_deal()
    for member, share in ((1, shares[1]), (2, shares[0])):
        with pytest.raises(ProofError):
            verify_share(deal, member=MemberIndex(member), share=share)


def test_a_share_is_bound_to_commitments_that_came_with_it() -> None:
    """A dealer that shows other commitments to other members is found by whoever has the others."""
    deal, shares = one_deal()
    shown = dataclasses.replace(deal, commitments=make_polynomial(3, random.Random(7).randbytes).commit())
    with pytest.raises(ProofError):
        verify_share(shown, member=MemberIndex(1), share=shares[0])


def test_two_deals_of_one_dealer_or_none_are_not_combined() -> None:
    deal, _ = one_deal()
    for wrong in ((deal, deal), ()):
        with pytest.raises(PolicyError):
            combine_deals(wrong)


def test_deals_of_different_degree_are_not_combined() -> None:
    lower, _ = one_deal(quorum=2)
    higher = dataclasses.replace(one_deal(quorum=3)[0], dealer=MemberIndex(2))
    with pytest.raises(PolicyError):
        combine_deals([lower, higher])


def test_deals_that_cancel_are_not_combined() -> None:
    secret = SecretScalar(5)
    opposite = SecretScalar(ORDER - 5)
    deals = [
        Deal(dealer=MemberIndex(i), commitments=SecretPolynomial((scalar,)).commit(), possession=b"")
        for i, scalar in ((1, secret), (2, opposite))
    ]
    with pytest.raises(FormatError, match="identity"):
        combine_deals(deals)
    with pytest.raises(ProofError):
        combine_shares([secret, opposite])


@pytest.mark.parametrize(
    ("dealer", "quorum", "count"), [(0, 1, 1), (2, 1, 1), (1, 0, 1), (1, 2, 1), (1, 1, 201), (-1, 1, 4)]
)
def test_a_deal_for_an_impossible_committee_is_our_mistake(dealer: int, quorum: int, count: int) -> None:
    with pytest.raises(AssertionError):
        make_deal(
            dealer=MemberIndex(dealer),
            quorum=quorum,
            members_count=count,
            session=SESSION,
            randomness=random.Random(1).randbytes,
        )
