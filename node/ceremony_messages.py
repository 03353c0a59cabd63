"""What founders say to each other in the ceremony: five kinds of message, each signed by the sender's identity key.

A message is its body, JSON in one spelling, followed by 64 bytes of Ed25519 over `CEREMONY_MESSAGE || body`. The first
field of a body names its kind, the next two the session and the sender, so no message of an earlier ceremony, of one
that runs at the same time, or of another founder passes for one of this.

`parse_message` believes nothing; `verify_message` says whether the founder it names signed it for this session.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from ledger import domains
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, FormatError, PolicyError, SignatureError
from ledger.limits import CEREMONY_MESSAGE_BYTES_MAX, MEMBERS_MAX, SIGNATURE_BYTES
from ledger.positions import MemberIndex
from ledger.statements.dsse import Signer
from ledger.statements.intoto import Hex32
from ledger.threshold.dealing import Deal
from ledger.threshold.group import G1_BYTES, G2_BYTES
from ledger.threshold.transcripts import BOX_BYTES

_Member = Annotated[MemberIndex, Meta(ge=1, le=MEMBERS_MAX)]
_Signature = Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
_G1 = Annotated[bytes, Meta(min_length=G1_BYTES, max_length=G1_BYTES)]
_G2 = Annotated[bytes, Meta(min_length=G2_BYTES, max_length=G2_BYTES)]
_Box = Annotated[bytes, Meta(min_length=BOX_BYTES, max_length=BOX_BYTES)]
_List = Meta(min_length=1, max_length=MEMBERS_MAX)


class Kind(StrEnum):
    """What a message is, in the order of the steps; a complaint belongs to none."""

    DEAL = "deal"
    CERTIFY = "certify"
    CHARTER_SIGNATURE = "charter-signature"
    CONFIRM = "confirm"
    COMPLAINT = "complaint"


class Check(StrEnum):
    """What a founder found wrong with another's part; stands in a complaint."""

    DEAL = "deal"
    SHARES_COUNT = "shares-count"
    SHARE_UNREADABLE = "share-unreadable"
    SHARE_WRONG = "share-wrong"
    TWO_STORIES = "two-stories"
    DISAGREES = "disagrees"

    @property
    def meaning(self) -> str:
        """Say it to people."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    Check.DEAL: "its commitments or its proof of possession are not as they must be",
    Check.SHARES_COUNT: "it did not deal one share to each founder",
    Check.SHARE_UNREADABLE: "the share it dealt to the complainer does not open or is no scalar",
    Check.SHARE_WRONG: "the share it dealt to the complainer does not match its commitments",
    Check.TWO_STORIES: "it signed two different messages of one kind in this session",
    Check.DISAGREES: "it certified or signed another result than the complainer has",
}


class Dealt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=Kind.DEAL.value):
    """Step 1: the sender's deal, with the share of founder 1, 2, … sealed to each."""

    kind: ClassVar[Kind] = Kind.DEAL
    session: Hex32
    sender: _Member
    commitments: Annotated[tuple[_G2, ...], _List]
    possession: _G1
    shares: Annotated[tuple[_Box, ...], _List]

    def deal(self) -> Deal:
        """Give what is public of it."""
        return Deal(dealer=self.sender, commitments=self.commitments, possession=self.possession)


class Complaint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=Kind.COMPLAINT.value):
    """Any step: the sender found something wrong with a message of `about`; the ceremony is over."""

    kind: ClassVar[Kind] = Kind.COMPLAINT
    session: Hex32
    sender: _Member
    about: _Member
    check: Check
    message: Hex32


class Certified(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=Kind.CERTIFY.value):
    """Step 3: the sender has all deals; `signature` is over `CEREMONY || digest`, for everybody to check later."""

    kind: ClassVar[Kind] = Kind.CERTIFY
    session: Hex32
    sender: _Member
    digest: Hex32
    signature: _Signature


class CharterSigned(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=Kind.CHARTER_SIGNATURE.value
):
    """Step 4: the sender's signature in the charter's envelope; `digest` is SHA-256 of the payload."""

    kind: ClassVar[Kind] = Kind.CHARTER_SIGNATURE
    session: Hex32
    sender: _Member
    digest: Hex32
    signature: _Signature


class Confirmed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag=Kind.CONFIRM.value):
    """Step 5: the sender has entry 0; `digest` is SHA-256 of it, the ledger's id."""

    kind: ClassVar[Kind] = Kind.CONFIRM
    session: Hex32
    sender: _Member
    digest: Hex32


Body = Dealt | Complaint | Certified | CharterSigned | Confirmed

_DECODER: Final[msgspec.json.Decoder[Body]] = msgspec.json.Decoder(Body)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is sent and kept.

    Attributes:
        raw: body and signature.
        body: what it says.
        digest: SHA-256 of the body's bytes: two messages of one body are one message.
    """

    raw: bytes
    body: Body
    digest: bytes


def sign_message(body: Body, sign: Signer) -> Message:
    """Write a message and sign it with the sender's identity key."""
    said = msgspec.json.encode(body)
    raw = said + sign(domains.CEREMONY_MESSAGE + said)
    assert len(raw) <= CEREMONY_MESSAGE_BYTES_MAX
    return Message(raw=raw, body=body, digest=hashlib.sha256(said).digest())


def parse_message(raw: bytes) -> Message:
    """Read a message, of which nothing is believed yet.

    Raises:
        FormatError: too large, too short, not of this form, or not in its one spelling.
    """
    if not SIGNATURE_BYTES < len(raw) <= CEREMONY_MESSAGE_BYTES_MAX:
        expected = f"{SIGNATURE_BYTES + 1} to {CEREMONY_MESSAGE_BYTES_MAX} bytes"
        raise FormatError(field="message", found=f"{len(raw)} bytes", expected=expected)
    said = raw[:-SIGNATURE_BYTES]
    try:
        body = _DECODER.decode(said)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise FormatError(field="message", found=str(error), expected="a ceremony message") from None
    if msgspec.json.encode(body) != said:
        raise FormatError(field="message", found="another spelling", expected="the one that encoding gives")
    return Message(raw=raw, body=body, digest=hashlib.sha256(said).digest())


def verify_message(message: Message, *, session: bytes, identities: Sequence[bytes]) -> None:
    """Check that a founder of this session said this.

    Args:
        message: as parsed.
        session: of the ceremony that is running.
        identities: identity keys of founder 1, 2, … from the draft, believed.

    Raises:
        PolicyError: of another session (`WRONG_LEDGER`), or of or about nobody in the draft.
        SignatureError: `message.signature`, or the certificate in it, does not verify.
    """
    body = message.body
    if body.session != session.hex():
        raise PolicyError(
            field="message.session",
            found=body.session,
            expected=f"the ceremony that runs here, {session.hex()}",
            code=Code.WRONG_LEDGER,
        )
    about = body.about if isinstance(body, Complaint) else body.sender
    if max(body.sender, about) > len(identities):
        raise PolicyError(field="message.sender", found=max(body.sender, about), expected=f"1 … {len(identities)}")
    identity = identities[body.sender - 1]
    said, signature = message.raw[:-SIGNATURE_BYTES], message.raw[-SIGNATURE_BYTES:]
    if not is_ed25519_signature(identity, signature, domains.CEREMONY_MESSAGE + said):
        raise SignatureError(
            field="message.signature", found=signature.hex(), expected=f"a signature of founder {body.sender}"
        )
    if isinstance(body, Certified):
        certificate = domains.CEREMONY + bytes.fromhex(body.digest)
        if not is_ed25519_signature(identity, body.signature, certificate):
            raise SignatureError(
                field="message.certificate", found=body.signature.hex(), expected=f"founder {body.sender}'s certificate"
            )
