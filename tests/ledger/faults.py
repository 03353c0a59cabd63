"""Votes of members of the small ledger, made with their true keys, and evidence made of votes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.blocks import NO_PARENT, Header, encode_header, seal_message
from ledger.charter import Charter, parse_charter
from ledger.positions import FIRST_EPOCH, Epoch, Height, LeafIndex, MemberIndex, Millis, Seconds, TreeSize, View
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import sign_envelope
from ledger.statements.misconduct import Evidence, MisconductReport, SignedVote, encode_misconduct
from ledger.threshold import bls
from ledger.threshold.polynomials import SecretScalar
from ledger.votes import NO_DIGEST, NO_SHARE, Misconduct, VoteKind, compute_vote_message
from tests.ledger.rulebook import CHARTER_ENTRY, NATIONS, START_S, Key, Party

CHARTER: Charter = parse_charter(CHARTER_ENTRY)


def digest_of(block: str) -> bytes:
    return hashlib.sha256(block.encode()).digest()


def make_header(block: str, *, view: int = 7, epoch: int = 1, ledger_id: bytes = CHARTER.ledger_id) -> Header:
    return encode_header(
        ledger_id=ledger_id,
        epoch=Epoch(epoch),
        view=View(view),
        height=Height(5),
        parent=hashlib.sha256(NO_PARENT).digest(),
        time_ms=Millis(START_S * 1000),
        proposer=MemberIndex(1),
        first_index=LeafIndex(9),
        tree_size=TreeSize(9),
        root=digest_of(block),
        entries_digest=hashlib.sha256(b"").digest(),
    )


def make_share(member: int, header: Header) -> bytes:
    """The right share: the small ledger's public polynomial is that of 1 + x + x²."""
    secret = SecretScalar(1 + member + member * member)
    return bls.sign_share(secret, seal_message(header, CHARTER.origin))


@dataclass(frozen=True)
class Member:
    """A member that signs whatever it is asked to."""

    id: str
    ledger_id: bytes = CHARTER.ledger_id
    epoch: int = FIRST_EPOCH

    def vote(self, kind: VoteKind, block: bytes = NO_DIGEST, share: bytes = NO_SHARE, *, view: int = 7) -> SignedVote:
        message = compute_vote_message(
            ledger_id=self.ledger_id,
            kind=kind,
            epoch=Epoch(self.epoch),
            view=View(view),
            digest=block,
            share=share,
        )
        return SignedVote(
            kind=kind.name,  # type: ignore[arg-type]  # the names of the kinds are the literals
            digest=block.hex() if block else None,
            share=share or None,
            signature=Key(self.id).sign(message),
        )

    def notarize(self, block: str, *, view: int = 7) -> SignedVote:
        return self.vote(VoteKind.NOTARIZE, digest_of(block), view=view)

    def nullify(self, *, view: int = 7) -> SignedVote:
        return self.vote(VoteKind.NULLIFY, view=view)

    def finalize(self, block: str, *, view: int = 7, share: bytes = b"\x80" + bytes(47)) -> SignedVote:
        return self.vote(VoteKind.FINALIZE, digest_of(block), share, view=view)


def make_evidence(
    misconduct: Misconduct,
    votes: Sequence[SignedVote],
    *,
    accused: str = NATIONS[1],
    view: int = 7,
    epoch: int = 1,
    header: bytes | None = None,
) -> Evidence:
    """Evidence with the votes in the order it takes them in."""
    kinds = list(VoteKind)
    ordered = sorted(votes, key=lambda vote: (kinds[vote.vote_kind - 1] is not VoteKind.NULLIFY, vote.digest or ""))
    return Evidence(
        accused=accused, misconduct=misconduct, epoch=Epoch(epoch), view=View(view), votes=tuple(ordered), header=header
    )


LIAR = Member(NATIONS[1])


def make_wrong_share(block: str = "a", *, share: bytes | None = None) -> Evidence:
    """A share that is another member's, over the right block, unless given."""
    header = make_header(block)
    vote = LIAR.vote(VoteKind.FINALIZE, header.digest, share or make_share(3, header))
    return make_evidence(Misconduct.WRONG_SHARE, [vote], header=header.raw)


TRUE_EVIDENCE = {
    Misconduct.DOUBLE_NOTARIZE: make_evidence(
        Misconduct.DOUBLE_NOTARIZE, [LIAR.notarize("a"), LIAR.notarize("b")]
    ),
    Misconduct.DOUBLE_FINALIZE: make_evidence(
        Misconduct.DOUBLE_FINALIZE, [LIAR.finalize("a"), LIAR.finalize("b")]
    ),
    Misconduct.NULLIFY_AND_FINALIZE: make_evidence(
        Misconduct.NULLIFY_AND_FINALIZE, [LIAR.nullify(), LIAR.finalize("a")]
    ),
    Misconduct.WRONG_SHARE: make_wrong_share(),
}  # fmt: skip


def accuse(evidence: Evidence, issuer: Party, *, ledger: str = CHARTER.fingerprint) -> bytes:
    """A statement of misconduct by a nation or a lab."""
    report = MisconductReport(
        ledger=ledger,
        issuer=issuer.id,
        sequence=SequenceNumber(issuer.sequence),
        previous=issuer.previous,
        issued_at=Seconds(0),
        corrects=None,
        evidence=evidence,
    )
    return sign_envelope(encode_misconduct(report), [issuer.key.signer])
