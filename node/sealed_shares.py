"""Shares of the group's secret on their way: sealed to one receiver, opened by it, recovered from the transcript.

A box is bound to what it is for, `CEREMONY_SHARE || session || u64 dealer || u64 receiver`, through HPKE's `info`
(RFC 9180 §8.1: with a single message per key schedule this does what associated data would do). So a box of another
session, another dealer or for another receiver does not open.
"""

from ledger import domains
from ledger.charter import Charter
from ledger.encoding import encode_u64
from ledger.errors import ProofError
from ledger.positions import MemberIndex
from ledger.threshold.dealing import combine_shares, verify_share
from ledger.threshold.polynomials import SecretScalar, encode_secret_scalar, parse_secret_scalar
from ledger.threshold.transcripts import compute_transcript_digest, parse_transcript, verify_transcript
from node.keys import EncryptionKey, seal_box


def seal_share(
    share: SecretScalar, *, session: bytes, dealer: MemberIndex, member: MemberIndex, recipient: bytes
) -> bytes:
    """Seal a dealer's share for a member to that member's encryption key."""
    context = _share_context(session, dealer=dealer, member=member)
    return seal_box(encode_secret_scalar(share), recipient=recipient, context=context)


def open_share(
    box: bytes, *, session: bytes, dealer: MemberIndex, member: MemberIndex, key: EncryptionKey
) -> SecretScalar:
    """Open the share that a dealer sealed to a member.

    Raises:
        ProofError: the box does not open with this key for this session, dealer and member.
        FormatError: what is in it is no scalar.
    """
    context = _share_context(session, dealer=dealer, member=member)
    return parse_secret_scalar(key.open(box, context=context), field="share")


def recover_share(raw: bytes, *, charter: Charter, member: MemberIndex, encryption: EncryptionKey) -> SecretScalar:
    """Recover a member's share of the group's secret from the published transcript.

    Args:
        raw: the transcript's bytes, from anywhere.
        charter: believed; it names the transcript's digest.
        member: whose share.
        encryption: that member's key.

    Raises:
        PolicyError: no member has this index.
        ProofError: not the transcript of this charter, or not this member's key.
        FormatError: not a transcript.
    """
    charter.member(member)
    digest = compute_transcript_digest(raw).hex()
    if digest != charter.predicate.transcript:
        raise ProofError(field="transcript", found=digest, expected=charter.predicate.transcript)
    transcript = parse_transcript(raw)
    polynomial = verify_transcript(transcript, quorum=charter.quorum)
    if polynomial.commitments != charter.commitments:
        raise ProofError(field="transcript", found="deals of another group key", expected="the charter's commitments")
    shares = []
    for part in transcript.deals:
        dealer, box = part.deal.dealer, part.boxes[member - 1]
        share = open_share(box, session=transcript.session, dealer=dealer, member=member, key=encryption)
        verify_share(part.deal, member=member, share=share)
        shares.append(share)
    return combine_shares(shares)


def _share_context(session: bytes, *, dealer: MemberIndex, member: MemberIndex) -> bytes:
    return domains.CEREMONY_SHARE + session + encode_u64(dealer) + encode_u64(member)
