"""Models before and at their release: handing one in for review, supplying what was asked for, telling of a release."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.parts import hash_text
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, begin, hide, require_agreement
from lab.stored import StoredStatement
from lab.vault import Vault
from ledger.errors import Code, ConditionError
from ledger.positions import Seconds
from ledger.statements.dsse import parse_envelope
from ledger.statements.runs import (
    RELEASE_REVIEW,
    ReleaseNotice,
    ReleaseReview,
    ReviewEvent,
    ReviewFields,
    encode_release_notice,
    encode_release_review,
    encode_review_event,
    encode_review_fields,
    parse_release_review,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model and what it comes of.

    Attributes:
        id: of the model.
        runs: of this lab's own; none to take what the review says.
        digest: hex SHA-256 of the weights; None to take what the review says.
    """

    id: str
    runs: Sequence[str] = ()
    digest: str | None = None


def prepare_review(model: Model, *, evaluation: bytes, planned_at: Seconds, ledger: PinnedLedger, lab: str) -> Prepared:
    """Hand a model in.

    Args:
        model: with its runs and its digest.
        evaluation: the lab's own; its hash is hidden too.
        planned_at: when it is meant to be released.
        ledger: pinned.
        lab: id of the lab.

    Raises:
        RejectedError: the ledger takes reports alone.
        ConditionError: no digest (`CONFIG`).
        FormatError: a value that a review cannot have.
    """
    require_agreement(ledger)
    hidden = hide(encode_review_fields(ReviewFields(evaluation=hash_text(evaluation))))
    review = ReleaseReview(
        **begin(ledger, lab),
        model=model.id,
        runs=tuple(sorted(model.runs)),
        digest=_require_digest(model),
        planned_at=planned_at,
        digests=hidden.digests,
    )
    return Prepared(
        statement=review,
        encode=encode_release_review,
        openings=(hidden.opening,),
        notes=("keep the evaluation: its hash alone is in the vault",),
    )


def prepare_supply(vault: Vault, model: str, note: str, *, ledger: PinnedLedger, lab: str) -> Prepared:
    """Say that what the nation asked for was supplied, so that the clock goes on.

    Raises:
        RejectedError: the ledger takes reports alone.
        ConditionError: the vault has no review of this model (`UNKNOWN_REVIEW`).
        FormatError: a note that cannot be.
    """
    require_agreement(ledger)
    stored, _ = _require_review(vault, ledger, model)
    event = ReviewEvent(
        **begin(ledger, lab), lab=lab, model=model, review=stored.leaf, event="info-supplied", note=note
    )
    return Prepared(statement=event, encode=encode_review_event)


def prepare_notice(vault: Vault, model: Model, *, ledger: PinnedLedger, lab: str) -> Prepared:
    """Say that a model was released; runs and digest are those of its review, unless they are given.

    Raises:
        RejectedError: the ledger takes reports alone.
        ConditionError: neither a review nor runs and a digest (`UNKNOWN_REVIEW`).
        FormatError: a value that a notice cannot have.
    """
    require_agreement(ledger)
    runs, digest = tuple(sorted(model.runs)), model.digest
    notes: tuple[str, ...] = ()
    if not runs or digest is None:
        _, review = _require_review(vault, ledger, model.id)
        runs, digest = runs or review.runs, digest or review.digest
    reviewed = _find_review(vault, ledger, model.id)
    if reviewed is None:
        notes = (f"no review of {model.id} is in the vault: if one was required, the verdict says RELEASED_UNREVIEWED",)
    elif reviewed[1].digest != digest:
        notes = (f"the review of {model.id} is of other weights, {reviewed[1].digest}",)
    notice = ReleaseNotice(**begin(ledger, lab), model=model.id, runs=runs, digest=digest)
    return Prepared(statement=notice, encode=encode_release_notice, notes=notes)


def _require_digest(model: Model) -> str:
    if model.digest is None:
        expected = "hex SHA-256 of the weights"
        raise ConditionError(field="digest", found="nothing", expected=expected, code=Code.CONFIG)
    return model.digest


def _find_review(vault: Vault, ledger: PinnedLedger, model: str) -> tuple[StoredStatement, ReleaseReview] | None:
    found = None
    for stored in vault.read_statements(ledger.charter.fingerprint, RELEASE_REVIEW):
        review = parse_release_review(parse_envelope(stored.envelope).payload).predicate
        if review.model == model:
            found = stored, review
    return found


def _require_review(vault: Vault, ledger: PinnedLedger, model: str) -> tuple[StoredStatement, ReleaseReview]:
    found = _find_review(vault, ledger, model)
    if found is None:
        expected = "a model that this lab handed in, in the vault"
        raise ConditionError(field="model", found=model, expected=expected, code=Code.UNKNOWN_REVIEW)
    return found
