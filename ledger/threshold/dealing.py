"""Deals: a secret polynomial of one dealer, what it publishes of it, and the public polynomial that all deals make.

Joint-Feldman sharing: every founder deals; the group's secret is the sum of all constant terms, which nobody ever
holds; a member's share is the sum of what each dealer gave it. This module has the mathematics of one deal; who sends
what to whom, and what follows from a wrong deal, belongs to the ceremony that uses it.

What is checked of a deal, and by whom:
1. by anyone (`verify_deal_public`): exactly `quorum` commitments, each a point of the subgroup and not the identity,
   and a proof that the dealer holds the secret behind the first, for this session and this dealer;
2. by the receiver (`verify_share`): the share lies on the committed polynomial. There is no way to check, and so to
   accept, a share without the commitments it must match.
Source: Pedersen 1991; Gennaro, Jarecki, Krawczyk, Rabin 2003 §3 (Joint-Feldman, and what a rushing dealer can bias);
Bacho & Loss 2022 (why that bias does not help a forger of BLS signatures); Ristenpart & Yilek 2007 (rogue keys).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import FormatError, PolicyError, ProofError
from ledger.limits import MEMBERS_MAX
from ledger.positions import MemberIndex
from ledger.threshold import bls
from ledger.threshold.group import ORDER, backend
from ledger.threshold.polynomials import (
    Randomness,
    SecretScalar,
    compute_public_key,
    decode_commitments,
    evaluate_commitments,
    make_polynomial,
)


@dataclass(frozen=True, slots=True)
class Deal:
    """What a dealer publishes.

    Attributes:
        dealer: who deals.
        commitments: `g2 · a_k` for k = 0 … quorum - 1, 96 bytes each.
        possession: proof of possession of a_0, 48 bytes.
    """

    dealer: MemberIndex
    commitments: tuple[bytes, ...]
    possession: bytes


@dataclass(frozen=True, slots=True)
class PublicPolynomial:
    """The sum of all deals' commitments: the group key, and through it every member's public share."""

    commitments: tuple[bytes, ...]

    @property
    def quorum(self) -> int:
        """How many shares make a seal."""
        return len(self.commitments)

    @property
    def group_key(self) -> bytes:
        """The key that seals verify under, 96 bytes."""
        return self.commitments[0]

    def public_share(self, member: MemberIndex) -> bytes:
        """Compute the key that this member's seal shares verify under, 96 bytes.

        Raises:
            FormatError: a commitment is no point (of a polynomial that was read and not computed).
        """
        return evaluate_commitments(self.commitments, member)


def make_deal(
    *, dealer: MemberIndex, quorum: int, members_count: int, session: bytes, randomness: Randomness
) -> tuple[Deal, tuple[SecretScalar, ...]]:
    """Draw a polynomial and deal it.

    Args:
        dealer: who deals.
        quorum: how many shares determine the secret.
        members_count: how many members receive a share.
        session: 32 bytes that no other ceremony has; the proof of possession holds for it alone.
        randomness: secret, fresh bytes.

    Returns:
        What is published, and the shares of members 1, 2, … in order, each for its receiver only.
    """
    assert 1 <= dealer <= members_count <= MEMBERS_MAX
    assert 1 <= quorum <= members_count
    polynomial = make_polynomial(quorum, randomness)
    shares = tuple(polynomial.evaluate(MemberIndex(j)) for j in range(1, members_count + 1))
    possession = bls.prove_possession(polynomial.coefficients[0], session=session, member=dealer)
    return Deal(dealer=dealer, commitments=polynomial.commit(), possession=possession), shares


def verify_deal_public(deal: Deal, *, quorum: int, session: bytes) -> None:
    """Check what anyone can check of a deal (step 1 of this module).

    A polynomial with more coefficients than `quorum` would raise the number of shares a seal needs, one with fewer
    would lower the dealer's part in it: both are refused.

    Raises:
        FormatError: `commitments`, `commitments[k]` or `possession`: another count, or no point.
        SignatureError: `possession` does not verify.
    """
    if len(deal.commitments) != quorum:
        raise FormatError(field="commitments", found=len(deal.commitments), expected=f"exactly {quorum}")
    decode_commitments(deal.commitments, field="commitments")
    bls.verify_possession(deal.commitments[0], deal.possession, session=session, member=deal.dealer)


def verify_share(deal: Deal, *, member: MemberIndex, share: SecretScalar) -> None:
    """Check `g2 · share = Σ member^k · C_k`.

    Args:
        deal: believed to have passed `verify_deal_public`.
        member: whose share it is.
        share: what the dealer gave that member.

    Raises:
        ProofError: `share` does not lie on the committed polynomial, or is zero; the message does not show it.
    """
    if share.value == 0 or compute_public_key(share) != evaluate_commitments(deal.commitments, member):
        raise ProofError(
            field="share",
            found=f"another share for member {member}",
            expected=f"the value of dealer {deal.dealer}'s deal",
        )


def combine_deals(deals: Sequence[Deal]) -> PublicPolynomial:
    """Add the commitments of all deals.

    Args:
        deals: each believed to have passed `verify_deal_public`, of different dealers.

    Raises:
        PolicyError: no deal, two of one dealer, or of different degree.
        FormatError: a sum is the identity: the dealers' secrets cancel.
    """
    dealers = [deal.dealer for deal in deals]
    if not deals or len(set(dealers)) != len(dealers):
        raise PolicyError(field="deals", found=dealers, expected="one deal of each dealer")
    counts = sorted({len(deal.commitments) for deal in deals})
    if len(counts) != 1:
        raise PolicyError(field="deals", found=counts, expected="one number of commitments for all")
    group = backend()
    columns = zip(*(decode_commitments(d.commitments, field=f"deals[{d.dealer}]") for d in deals), strict=True)
    totals = [group.g2_msm(column, [1] * len(column)) for column in columns]
    if any(group.is_g2_identity(total) for total in totals):
        raise FormatError(field="deals", found="commitments that sum to the identity", expected="independent deals")
    return PublicPolynomial(commitments=tuple(group.encode_g2(total) for total in totals))


def combine_shares(shares: Sequence[SecretScalar]) -> SecretScalar:
    """Add what a member received from every dealer: its share of the group's secret.

    Raises:
        ProofError: they sum to zero, which verified shares never do in practice.
    """
    total = SecretScalar(sum(share.value for share in shares) % ORDER)
    if total.value == 0:
        raise ProofError(field="shares", found="shares that sum to zero", expected="shares of independent deals")
    return total
