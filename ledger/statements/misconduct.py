"""Misconduct: votes of a member that no honest member makes, as evidence, as a statement and as a file of its own.

Evidence is one or two signed votes of one member in one view, with every field that their signatures are over, so that
it proves what it says to anybody who has the charter; who found it, and who shows it, does not matter:

    DOUBLE_NOTARIZE       NOTARIZE of two blocks, in ascending order of their digests
    DOUBLE_FINALIZE       FINALIZE of two blocks, in ascending order of their digests
    NULLIFY_AND_FINALIZE  NULLIFY, then FINALIZE
    WRONG_SHARE           one FINALIZE, and the header of the block it is for: the seal message follows from it

So one pair of votes has one spelling. Whether the votes are truly the member's is said by `ledger.rules.misconduct`.
The file is one JSON object in one encoding, with the charter in it, so that it explains itself offline:

    {"format":"counterseal/misconduct/v1","charter":"<base64 of entry 0>","evidence":{…}}

Subject of the statement: `<accused>/<misconduct>`, with the SHA-256 of the evidence as it stands in the predicate.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.blocks import Header, parse_header
from ledger.domains import MISCONDUCT_FORMAT
from ledger.errors import FormatError
from ledger.limits import EVIDENCE_FILE_BYTES_MAX, HEADER_BYTES_MAX, INTEGER_MAX, SEAL_BYTES, SIGNATURE_BYTES
from ledger.positions import Epoch, View
from ledger.statements.intoto import (
    Hex32,
    Identifier,
    PredicateHeader,
    Statement,
    StatementForm,
    Subject,
    make_subject,
    require_no_correction,
)
from ledger.votes import NO_DIGEST, NO_SHARE, Misconduct, VoteKind

MISCONDUCT: Final = "misconduct"

VoteName = Literal["NOTARIZE", "NULLIFY", "FINALIZE"]

NAMES_OF_VOTES: Final[Mapping[VoteKind, VoteName]] = {
    VoteKind.NOTARIZE: "NOTARIZE",
    VoteKind.NULLIFY: "NULLIFY",
    VoteKind.FINALIZE: "FINALIZE",
}

KINDS_OF_VOTES: Final[Mapping[Misconduct, tuple[VoteName, ...]]] = {
    Misconduct.DOUBLE_NOTARIZE: ("NOTARIZE", "NOTARIZE"),
    Misconduct.DOUBLE_FINALIZE: ("FINALIZE", "FINALIZE"),
    Misconduct.NULLIFY_AND_FINALIZE: ("NULLIFY", "FINALIZE"),
    Misconduct.WRONG_SHARE: ("FINALIZE",),
}
"""The votes that each kind of misconduct is made of, in order."""


class SignedVote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One vote with what its signature is over, but for what all votes of the evidence share.

    Attributes:
        kind: what it says of its view.
        digest: the block's; null for NULLIFY.
        share: the seal share of FINALIZE, else null.
        signature: Ed25519 by the accused's identity key over `ledger.votes.compute_vote_message`.
    """

    kind: VoteName
    digest: Hex32 | None
    share: Annotated[bytes, Meta(min_length=SEAL_BYTES, max_length=SEAL_BYTES)] | None
    signature: Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]

    @property
    def vote_kind(self) -> VoteKind:
        """The kind as the number that is signed."""
        return VoteKind[self.kind]

    @property
    def digest_bytes(self) -> bytes:
        """The digest as it is signed; `NO_DIGEST` for NULLIFY."""
        return NO_DIGEST if self.digest is None else bytes.fromhex(self.digest)

    @property
    def share_bytes(self) -> bytes:
        """The share as it is signed; `NO_SHARE` unless FINALIZE."""
        return NO_SHARE if self.share is None else self.share


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a member signed and no honest member signs.

    Attributes:
        accused: id of the member.
        misconduct: what kind it is.
        epoch: of the votes.
        view: of the votes.
        votes: those of `KINDS_OF_VOTES`.
        header: of the block that the share of WRONG_SHARE is for, as it was encoded; else null.
    """

    accused: Identifier
    misconduct: Misconduct
    epoch: Annotated[Epoch, Meta(ge=1, le=INTEGER_MAX)]
    view: Annotated[View, Meta(ge=1, le=INTEGER_MAX)]
    votes: Annotated[tuple[SignedVote, ...], Meta(min_length=1, max_length=2)]
    header: Annotated[bytes, Meta(min_length=1, max_length=HEADER_BYTES_MAX)] | None

    def parse_header(self) -> Header:
        """The block that the share is for. Only of evidence of a wrong share."""
        assert self.header is not None
        return parse_header(self.header)


class MisconductReport(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an issuer shows of a member."""

    evidence: Evidence


class EvidenceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Evidence with the charter whose keys it is checked against; nobody has verified either yet.

    Attributes:
        charter: the bytes of entry 0.
        evidence: what is shown.
    """

    format: str = MISCONDUCT_FORMAT
    charter: bytes
    evidence: Evidence


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(EvidenceFile)
_FILE_START: Final = f'{{"format":"{MISCONDUCT_FORMAT}"'.encode()


def encode_misconduct(report: MisconductReport) -> bytes:
    """Write the payload that the issuer signs.

    Raises:
        FormatError: a value that `parse_misconduct` would refuse.
    """
    return _FORM.encode(report)


def parse_misconduct(payload: bytes) -> Statement[MisconductReport]:
    """Read a statement of misconduct. Whether its evidence is true is for the rules.

    Raises:
        FormatError: not one in its one encoding, or votes that are not those of the kind of misconduct.
    """
    return _FORM.parse(payload)


def compute_evidence_digest(evidence: Evidence) -> str:
    """Hex SHA-256 over the evidence's one encoding."""
    return hashlib.sha256(_ENCODER.encode(evidence)).hexdigest()


def is_evidence_file(raw: bytes) -> bool:
    """Say whether a file begins as one with evidence of misconduct does."""
    return raw.startswith(_FILE_START)


def encode_evidence_file(file: EvidenceFile) -> bytes:
    """Write evidence and charter in their one encoding.

    Raises:
        FormatError: a value that `parse_evidence_file` would refuse.
    """
    try:
        raw = _ENCODER.encode(file)
    except (msgspec.MsgspecError, UnicodeError, OverflowError, TypeError) as error:
        raise FormatError(field="evidence", found=str(error), expected="evidence of misconduct") from None
    parse_evidence_file(raw)
    return raw


def parse_evidence_file(raw: bytes) -> EvidenceFile:
    """Read a file from bytes of a stranger. Believes nothing but its form.

    Raises:
        FormatError: `file`: too long, not of the form, or not its one encoding; `file.format`: another version;
            `evidence…`: votes that are not those of the kind of misconduct.
    """
    if len(raw) > EVIDENCE_FILE_BYTES_MAX:
        raise FormatError(field="file", found=f"{len(raw)} bytes", expected=f"at most {EVIDENCE_FILE_BYTES_MAX} bytes")
    try:
        file = _DECODER.decode(raw)
        again = _ENCODER.encode(file)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="file", found=str(error), expected="a file with evidence of misconduct") from None
    if file.format != MISCONDUCT_FORMAT:
        raise FormatError(field="file.format", found=file.format, expected=MISCONDUCT_FORMAT)
    if again != raw:
        raise FormatError(field="file", found="another spelling", expected="its one encoding")
    _check_evidence(file.evidence, field="evidence")
    return file


def _check(report: MisconductReport) -> Subject:
    require_no_correction(report)
    _check_evidence(report.evidence, field="statement.predicate.evidence")
    evidence = report.evidence
    return make_subject(f"{evidence.accused}/{evidence.misconduct}", compute_evidence_digest(evidence))


def _check_evidence(evidence: Evidence, *, field: str) -> None:
    """Check that the votes are those the kind is made of, each with exactly its own fields, in the one order."""
    kinds = tuple(vote.kind for vote in evidence.votes)
    expected = KINDS_OF_VOTES[evidence.misconduct]
    if kinds != expected:
        raise FormatError(field=f"{field}.votes.kind", found=", ".join(kinds), expected=", ".join(expected))
    for place, vote in enumerate(evidence.votes):
        at = f"{field}.votes[{place}]"
        if (vote.digest is None) != (vote.kind == "NULLIFY"):
            raise FormatError(field=f"{at}.digest", found=vote.digest, expected="null exactly for NULLIFY")
        if (vote.share is None) != (vote.kind != "FINALIZE"):
            raise FormatError(field=f"{at}.share", found=vote.kind, expected="a share exactly with FINALIZE")
    digests = [vote.digest for vote in evidence.votes if vote.digest is not None]
    if digests != sorted({*digests}):
        raise FormatError(
            field=f"{field}.votes.digest", found=", ".join(digests), expected="two blocks, in ascending order"
        )
    _check_header(evidence, field=f"{field}.header")


def _check_header(evidence: Evidence, *, field: str) -> None:
    """Check that the block of a wrong share, and of nothing else, is here, and is the very one the vote is for."""
    if (evidence.header is None) != (evidence.misconduct is not Misconduct.WRONG_SHARE):
        found = "none" if evidence.header is None else f"{len(evidence.header)} bytes"
        raise FormatError(field=field, found=found, expected=f"a header exactly for {Misconduct.WRONG_SHARE}")
    if evidence.header is None:
        return
    try:
        header = evidence.parse_header()
    except FormatError as error:
        raise FormatError(field=f"{field}: {error.field}", found=error.found, expected=error.expected) from None
    voted = evidence.votes[0].digest
    if header.digest.hex() != voted:
        raise FormatError(field=field, found=header.digest.hex(), expected=f"the block voted for, {voted}")
    if header.epoch != evidence.epoch:
        raise FormatError(field=f"{field}.epoch", found=header.epoch, expected=str(evidence.epoch))


_FORM: Final = StatementForm(MISCONDUCT, MisconductReport, check=_check)
