"""The transcript of a founding ceremony: every deal in member order, published with the charter.

From it anybody checks that the charter's group key is the sum of what the founders dealt, and a member who kept only
its identity and encryption keys recovers its share. It also holds the members' full ML-DSA-44 public keys, of which the
charter has only the hashes, so that a charter of many nations fits one entry.

The form is JSON in one spelling: what is read is written again and compared. Sizes are bounded before anything is
decoded. What a transcript says is true only if its SHA-256 is the one the charter names, which all founders signed.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.encoding import decode_hex, require_bytes
from ledger.errors import FormatError
from ledger.limits import HASH_BYTES, MEMBERS_MAX, TRANSCRIPT_BYTES_MAX
from ledger.ml_dsa import PUBLIC_KEY_BYTES as ML_DSA_PUBLIC_KEY_BYTES
from ledger.positions import MemberIndex
from ledger.threshold.dealing import Deal, PublicPolynomial, combine_deals, verify_deal_public
from ledger.threshold.group import G1_BYTES, G2_BYTES, SCALAR_BYTES

BOX_BYTES: Final = 32 + SCALAR_BYTES + 16  # HPKE: encapsulated X25519 key, a scalar, the tag (RFC 9180 §7.1, §7.3)


@dataclass(frozen=True, slots=True)
class SealedDeal:
    """A deal and its shares, each encrypted to its receiver.

    Attributes:
        deal: what is public of it.
        boxes: the share of member 1, 2, … in order, `BOX_BYTES` each.
    """

    deal: Deal
    boxes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """All deals of one ceremony.

    Attributes:
        session: id of the ceremony, 32 bytes.
        cosigners_ml_dsa: the ML-DSA-44 public key of member 1, 2, … in order.
        deals: of dealer 1, 2, … in order; as many as there are members.
    """

    session: bytes
    cosigners_ml_dsa: tuple[bytes, ...]
    deals: tuple[SealedDeal, ...]

    @property
    def members_count(self) -> int:
        """How many founders there are."""
        return len(self.deals)


class _Deal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    commitments: list[bytes]
    possession: bytes
    shares: list[bytes]


class _Transcript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    session: str
    cosigners_ml_dsa: list[bytes]
    deals: list[_Deal]


_DECODER: Final = msgspec.json.Decoder(_Transcript)


def encode_transcript(transcript: Transcript) -> bytes:
    """Write the one spelling of a transcript."""
    wire = _Transcript(
        session=transcript.session.hex(),
        cosigners_ml_dsa=list(transcript.cosigners_ml_dsa),
        deals=[
            _Deal(commitments=list(s.deal.commitments), possession=s.deal.possession, shares=list(s.boxes))
            for s in transcript.deals
        ],
    )
    return msgspec.json.encode(wire)


def parse_transcript(raw: bytes) -> Transcript:
    """Read a transcript; whether its deals are right is for `verify_transcript`.

    Raises:
        FormatError: too large, not of this form, not in its one spelling, or with parts of a wrong number or size.
    """
    if len(raw) > TRANSCRIPT_BYTES_MAX:
        raise FormatError(field="transcript", found=f"{len(raw)} bytes", expected=f"at most {TRANSCRIPT_BYTES_MAX}")
    try:
        wire = _DECODER.decode(raw)
    except (msgspec.MsgspecError, ValueError) as error:
        raise FormatError(field="transcript", found=str(error), expected="a ceremony's transcript") from None
    count = len(wire.deals)
    if not 1 <= count <= MEMBERS_MAX or len(wire.cosigners_ml_dsa) != count:
        found = f"{count} deals and {len(wire.cosigners_ml_dsa)} keys"
        raise FormatError(field="transcript", found=found, expected=f"as many of each, 1 … {MEMBERS_MAX}")
    for j, key in enumerate(wire.cosigners_ml_dsa, start=1):
        require_bytes(key, field=f"transcript.cosigners_ml_dsa[{j}]", size=ML_DSA_PUBLIC_KEY_BYTES)
    deals = tuple(_read_deal(deal, dealer=MemberIndex(i), count=count) for i, deal in enumerate(wire.deals, start=1))
    session = decode_hex(wire.session, field="transcript.session", size=HASH_BYTES)
    transcript = Transcript(session=session, cosigners_ml_dsa=tuple(wire.cosigners_ml_dsa), deals=deals)
    if encode_transcript(transcript) != raw:
        raise FormatError(field="transcript", found="another spelling", expected="the one that encoding gives")
    return transcript


def _read_deal(wire: _Deal, *, dealer: MemberIndex, count: int) -> SealedDeal:
    field = f"transcript.deals[{dealer}]"
    if not 1 <= len(wire.commitments) <= count or len(wire.shares) != count:
        found = f"{len(wire.commitments)} commitments and {len(wire.shares)} shares"
        raise FormatError(field=field, found=found, expected=f"1 … {count} commitments and {count} shares")
    for raw in wire.commitments:
        require_bytes(raw, field=f"{field}.commitments", size=G2_BYTES)
    require_bytes(wire.possession, field=f"{field}.possession", size=G1_BYTES)
    for raw in wire.shares:
        require_bytes(raw, field=f"{field}.shares", size=BOX_BYTES)
    deal = Deal(dealer=dealer, commitments=tuple(wire.commitments), possession=wire.possession)
    return SealedDeal(deal=deal, boxes=tuple(wire.shares))


def compute_transcript_digest(raw: bytes) -> bytes:
    """Compute the digest that founders certify and the charter names: SHA-256 of the bytes as published."""
    return hashlib.sha256(raw).digest()


def verify_transcript(transcript: Transcript, *, quorum: int) -> PublicPolynomial:
    """Check every deal as far as anyone can, and add them up.

    Args:
        transcript: believed to be the one the charter names.
        quorum: of the charter.

    Returns:
        The public polynomial; the caller compares its commitments with the charter's.

    Raises:
        FormatError: a deal has another number of commitments, or one is no point.
        SignatureError: a proof of possession does not verify.
    """
    for sealed in transcript.deals:
        verify_deal_public(sealed.deal, quorum=quorum, session=transcript.session)
    return combine_deals([sealed.deal for sealed in transcript.deals])
