"""Decisions of the committee: what a nation proposes, and what each nation says to it.

    {"kind":"lift-pause","pause":"<id>"}                  a pause ends before its time
    {"kind":"extend-pause","pause":"<id>","until":<k>}    it lasts longer: k is the first interval it does not cover
    {"kind":"resolution","text":"…","digest":"<hex>"}     words, and a document by its SHA-256: on record, binds nobody

To propose is not to approve. An approval repeats the digest of the change, so that nobody says yes to an id and means
another content; it may be changed until the proposal is decided. What carries a proposal is said by `ledger.rules`.
Subject of a proposal: `proposal/<id>`; of an approval: `proposal/<id>/<nation>`; both with the digest of the change.
"""

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.limits import INTERVAL_MAX
from ledger.positions import Interval
from ledger.statements.intoto import (
    Hex32,
    Identifier,
    PredicateHeader,
    Statement,
    StatementForm,
    Subject,
    Text,
    make_subject,
    require_no_correction,
)
from ledger.statements.pauses import PauseId

PROPOSAL: Final = "proposal"
APPROVAL: Final = "approval"


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What is proposed: one of its subclasses, which the JSON tells apart by `kind`."""


class LiftPause(Change, frozen=True, tag="lift-pause"):
    """End a pause at the next boundary after the decision."""

    pause: PauseId


class ExtendPause(Change, frozen=True, tag="extend-pause"):
    """Let a pause last until another interval, the first it does not cover."""

    pause: PauseId
    until: Annotated[Interval, Meta(ge=1, le=INTERVAL_MAX)]


class Resolution(Change, frozen=True, tag="resolution"):
    """Put words on record, and a document by its SHA-256."""

    text: Annotated[Text, Meta(min_length=1)]
    digest: Hex32


class Proposal(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a nation asks the committee to decide, under an id that it chose and nobody used before."""

    proposal: Identifier
    change: LiftPause | ExtendPause | Resolution


class Approval(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a nation says to a proposal.

    Attributes:
        proposal: its id.
        change: hex digest of the change (`compute_change_digest`), as the nation read it.
        approves: yes or no.
    """

    proposal: Identifier
    change: Hex32
    approves: bool


_ENCODER: Final = msgspec.json.Encoder()


def compute_change_digest(change: Change) -> str:
    """Hex SHA-256 over the change as it stands in the predicate."""
    return hashlib.sha256(_ENCODER.encode(change)).hexdigest()


def encode_proposal(proposal: Proposal) -> bytes:
    """Write the payload of a proposal.

    Raises:
        FormatError: a value that `parse_proposal` would refuse.
    """
    return _PROPOSAL.encode(proposal)


def parse_proposal(payload: bytes) -> Statement[Proposal]:
    """Read a proposal.

    Raises:
        FormatError: not a proposal in its one encoding.
    """
    return _PROPOSAL.parse(payload)


def encode_approval(approval: Approval) -> bytes:
    """Write the payload of an approval.

    Raises:
        FormatError: a value that `parse_approval` would refuse.
    """
    return _APPROVAL.encode(approval)


def parse_approval(payload: bytes) -> Statement[Approval]:
    """Read an approval. Whether there is such a proposal is for the rules.

    Raises:
        FormatError: not an approval in its one encoding.
    """
    return _APPROVAL.parse(payload)


def _check_proposal(proposal: Proposal) -> Subject:
    require_no_correction(proposal)
    return make_subject(f"proposal/{proposal.proposal}", compute_change_digest(proposal.change))


def _check_approval(approval: Approval) -> Subject:
    require_no_correction(approval)
    return make_subject(f"proposal/{approval.proposal}/{approval.issuer}", approval.change)


_PROPOSAL: Final = StatementForm(PROPOSAL, Proposal, check=_check_proposal)
_APPROVAL: Final = StatementForm(APPROVAL, Approval, check=_check_approval)
