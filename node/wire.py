"""Between the messages members speak (protobuf) and the ones the core understands; every size checked on the way in.

Encoding cannot fail; decoding raises `FormatError` for anything the core must not see: unknown vote kinds, digests,
signatures and shares of the wrong length, more votes than members or more hashes than a block may have.
"""

from typing import Final, assert_never

from ledger.blocks import parse_header
from ledger.encoding import require_bytes
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import BLOCK_ENTRIES_MAX, HASH_BYTES, INTEGER_MAX, MEMBERS_MAX, SEAL_BYTES, SIZE_MAX
from ledger.positions import BeaconRound, Epoch, MemberIndex, View
from node.consensus.messages import (
    NO_DIGEST,
    NO_SHARE,
    Certificate,
    Finalization,
    Message,
    Proposal,
    Vote,
    VoteKind,
)
from node.outbox import Urgency
from node.v1 import peer_pb2

ED25519_SIGNATURE_BYTES: Final = 64


def encode_message(message: Message, *, ledger_id: bytes, epoch: Epoch) -> bytes:
    """Serialize one core message in its envelope."""
    envelope = peer_pb2.PeerMessage(ledger_id=ledger_id, epoch=epoch)
    match message:
        case Proposal():
            envelope.proposal.CopyFrom(encode_proposal(message))
        case Vote():
            envelope.vote.CopyFrom(encode_vote(message))
        case Certificate():
            envelope.certificate.CopyFrom(encode_certificate(message))
        case Finalization():
            envelope.finalization.CopyFrom(encode_finalization(message))
        case _:
            assert_never(message)
    return envelope.SerializeToString()


def compute_urgency(message: Message) -> Urgency:
    """Say what may be dropped first: votes are repeated, certificates and proposals less often."""
    return Urgency.VOTE if isinstance(message, Vote) else Urgency.CERTIFICATE


def encode_vote(vote: Vote) -> peer_pb2.Vote:
    """Put a vote on the wire; the envelope says its epoch."""
    return peer_pb2.Vote(
        kind=vote.kind,
        view=vote.view,
        digest=vote.digest,
        member=vote.member,
        signature=vote.signature,
        share=vote.share,
    )


def encode_proposal(proposal: Proposal) -> peer_pb2.Proposal:
    """Put a proposal on the wire."""
    return peer_pb2.Proposal(
        header=proposal.header.raw, entry_hashes=proposal.entry_hashes, vote=encode_vote(proposal.vote)
    )


def encode_certificate(certificate: Certificate) -> peer_pb2.Certificate:
    """Put a notarization or nullification on the wire."""
    return peer_pb2.Certificate(
        kind=certificate.kind,
        view=certificate.view,
        digest=certificate.digest,
        votes=[encode_vote(vote) for vote in certificate.votes],
    )


def encode_finalization(finalization: Finalization) -> peer_pb2.Finalization:
    """Put a finalization on the wire."""
    return peer_pb2.Finalization(header=finalization.header.raw, seal=finalization.seal)


def encode_beacon_share(beacon_round: BeaconRound, share: bytes, *, ledger_id: bytes, epoch: Epoch) -> bytes:
    """Serialize this member's share of a round's beacon in its envelope."""
    said = peer_pb2.BeaconShare(round=beacon_round, share=share)
    return peer_pb2.PeerMessage(ledger_id=ledger_id, epoch=epoch, beacon_share=said).SerializeToString()


def parse_beacon_share(said: peer_pb2.BeaconShare) -> tuple[BeaconRound, bytes]:
    """Read a share of a round's beacon. Whether it is the sender's is not looked at.

    Raises:
        FormatError: a round that no ledger reaches, or another length.
    """
    if said.round > INTEGER_MAX:
        raise FormatError(field="beacon_share.round", found=said.round, expected=f"at most {INTEGER_MAX}")
    return BeaconRound(said.round), require_bytes(said.share, field="beacon_share.share", size=SEAL_BYTES)


def require_envelope(envelope: peer_pb2.PeerMessage, *, ledger_id: bytes, epoch: Epoch) -> None:
    """Check that a message is of this ledger and epoch.

    Raises:
        ConditionError: `WRONG_LEDGER`.
    """
    if envelope.ledger_id != ledger_id or envelope.epoch != epoch:
        raise ConditionError(
            field="message",
            found=f"ledger {envelope.ledger_id.hex()[:16]}, epoch {envelope.epoch}",
            expected=f"ledger {ledger_id.hex()[:16]}, epoch {epoch}",
            code=Code.WRONG_LEDGER,
        )


def parse_vote(vote: peer_pb2.Vote, *, epoch: Epoch) -> Vote:
    """Read a vote of the envelope's epoch.

    Raises:
        FormatError: a field of the wrong length or out of range.
    """
    kind = _kind(vote.kind)
    if vote.view > SIZE_MAX:
        raise FormatError(field="vote.view", found=vote.view, expected=f"at most {SIZE_MAX}")
    if not 1 <= vote.member <= MEMBERS_MAX:
        raise FormatError(field="vote.member", found=vote.member, expected=f"1 to {MEMBERS_MAX}")
    digest_bytes = 0 if kind is VoteKind.NULLIFY else HASH_BYTES
    share_bytes = SEAL_BYTES if kind is VoteKind.FINALIZE else 0
    return Vote(
        kind=kind,
        epoch=epoch,
        view=View(vote.view),
        digest=require_bytes(vote.digest, field="vote.digest", size=digest_bytes) or NO_DIGEST,
        member=MemberIndex(vote.member),
        signature=require_bytes(vote.signature, field="vote.signature", size=ED25519_SIGNATURE_BYTES),
        share=require_bytes(vote.share, field="vote.share", size=share_bytes) or NO_SHARE,
    )


def parse_proposal(proposal: peer_pb2.Proposal, *, epoch: Epoch) -> Proposal:
    """Read a proposal.

    Raises:
        FormatError: header, hashes or vote are not of the form.
    """
    return Proposal(
        header=parse_header(proposal.header),
        entry_hashes=parse_hashes(proposal),
        vote=parse_vote(proposal.vote, epoch=epoch),
    )


def parse_hashes(proposal: peer_pb2.Proposal) -> tuple[bytes, ...]:
    """Read a proposal's hash list.

    Raises:
        FormatError: too many, or one of another length.
    """
    if len(proposal.entry_hashes) > BLOCK_ENTRIES_MAX:
        raise FormatError(
            field="proposal.entry_hashes", found=len(proposal.entry_hashes), expected=f"at most {BLOCK_ENTRIES_MAX}"
        )
    return tuple(require_bytes(leaf, field="proposal.entry_hashes", size=HASH_BYTES) for leaf in proposal.entry_hashes)


def parse_certificate(certificate: peer_pb2.Certificate, *, epoch: Epoch) -> Certificate:
    """Read a notarization or nullification.

    Raises:
        FormatError: a kind that makes no certificate, too many votes, or a malformed one.
    """
    kind = _kind(certificate.kind)
    if kind is VoteKind.FINALIZE:
        raise FormatError(field="certificate.kind", found=certificate.kind, expected="NOTARIZE or NULLIFY")
    if not 1 <= len(certificate.votes) <= MEMBERS_MAX:
        raise FormatError(field="certificate.votes", found=len(certificate.votes), expected=f"1 to {MEMBERS_MAX}")
    if certificate.view > SIZE_MAX:
        raise FormatError(field="certificate.view", found=certificate.view, expected=f"at most {SIZE_MAX}")
    digest_bytes = 0 if kind is VoteKind.NULLIFY else HASH_BYTES
    return Certificate(
        kind=kind,
        epoch=epoch,
        view=View(certificate.view),
        digest=require_bytes(certificate.digest, field="certificate.digest", size=digest_bytes),
        votes=tuple(parse_vote(vote, epoch=epoch) for vote in certificate.votes),
    )


def parse_finalization(finalization: peer_pb2.Finalization) -> Finalization:
    """Read a finalization.

    Raises:
        FormatError: the header is malformed or the seal not 48 bytes.
    """
    seal = require_bytes(finalization.seal, field="finalization.seal", size=SEAL_BYTES)
    return Finalization(header=parse_header(finalization.header), seal=seal)


def parse_message(envelope: peer_pb2.PeerMessage) -> Message | None:
    """Read the core's message in an envelope; None if it carries another kind (gossip, cosignature, beacon share).

    Raises:
        FormatError: malformed, or empty.
    """
    epoch = Epoch(envelope.epoch)
    match envelope.WhichOneof("body"):
        case "proposal":
            return parse_proposal(envelope.proposal, epoch=epoch)
        case "vote":
            return parse_vote(envelope.vote, epoch=epoch)
        case "certificate":
            return parse_certificate(envelope.certificate, epoch=epoch)
        case "finalization":
            return parse_finalization(envelope.finalization)
        case "gossip" | "cosignature" | "beacon_share":
            return None
        case _:
            raise FormatError(field="message.body", found="nothing this version knows", expected="one kind of message")


def _kind(number: int) -> VoteKind:
    try:
        return VoteKind(number)
    except ValueError:
        raise FormatError(field="vote.kind", found=number, expected="1, 2 or 3") from None
