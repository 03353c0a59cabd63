"""Training runs, and the review of a model before its release: what a lab says of them, and what its nation answers.

A run and a model are named by ids that the lab chose. A statement of a run holds all that is public about it each time;
what it hides are the fields of `RunFields`, as salted digests (`ledger.statements.hidden`).

Public of a run are decades of operations, as a row's band in a report is one: 24 means at least 10**24 and less than
10**25, 0 none. `band` counts what is in the model, base models included; `run_band` what this run adds. In `declared`
they are those of the estimate, in every other state of what was done so far. `checkpoint` is public and not salted:
weights cannot be guessed, and a frozen run must be seen not to have changed.

Subjects: `<lab>/<run>` or `<lab>/<model>`. Digest of a training run: its checkpoint, zeros where there is none; of
review and notice: the model; of decision and event: leaf hash of the entry they answer.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.disclosure import JsonValue
from ledger.errors import FormatError
from ledger.limits import BAND_MAX, LIST_ITEMS_MAX, RUN_CLUSTERS_MAX, RUNS_PER_MODEL_MAX
from ledger.statements.hidden import FieldDigest, check_digests
from ledger.statements.intoto import (
    ZERO_HASH,
    Hex32,
    Identifier,
    PredicateHeader,
    Quantity,
    Statement,
    StatementForm,
    Subject,
    Text,
    Timestamp,
    make_subject,
    parse_quantity,
    require_ascending,
    require_no_correction,
)

TRAINING_RUN: Final = "training-run"
RUN_DECISION: Final = "run-decision"
RELEASE_REVIEW: Final = "release-review"
REVIEW_EVENT: Final = "review-event"
RELEASE_NOTICE: Final = "release-notice"

RunKind = Literal["pre-training", "post-training"]
RunState = Literal["declared", "started", "frozen", "stopped", "completed"]
Decision = Literal["approved", "refused"]
EventName = Literal["acknowledged", "info-requested", "info-supplied", "extended", "cleared", "blocked"]

BAND_LEAST: Final = 15
"""The decade of one PFLOP: operations are counted in whole PFLOP, so no band lies between none and this."""

Band = Annotated[int, Meta(ge=0, le=BAND_MAX)]
Digests = Annotated[tuple[FieldDigest, ...], Meta(max_length=LIST_ITEMS_MAX)]
RunIds = Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=RUNS_PER_MODEL_MAX)]


class BaseModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a run begins with instead of nothing.

    Attributes:
        lab: id of the lab that trained it.
        run: id of the run it came of, as that lab named it.
        leaf: leaf hash of the entry that this run was opened by; null if it is not on this ledger, as a model that is
            older or somebody else's.
    """

    lab: Identifier
    run: Identifier
    leaf: Hex32 | None


class TrainingRun(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a lab says of a run.

    Attributes:
        run: its id.
        state: `declared` before it starts; `started` when it does, when it goes on after `frozen`, and for an update
            of a run that is under way; `frozen` while it stands still; `stopped` and `completed` end it.
        kind: whether it trains a model, or works on one that was trained. The latter has a base model.
        base_model: what it begins with; null if it begins with nothing.
        clusters: those it runs on, in ascending order.
        band: decade of the operations in the model; see the head of this file.
        run_band: decade of those of this run.
        cap_band: decade of the most that this run may do; never changes.
        checkpoint: hex SHA-256 of the newest weights; null before there are any.
        digests: of the hidden fields and of decoys, in ascending order.
    """

    run: Identifier
    state: RunState
    kind: RunKind
    base_model: BaseModel | None
    clusters: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=RUN_CLUSTERS_MAX)]
    band: Band
    run_band: Band
    cap_band: Band
    checkpoint: Hex32 | None
    digests: Digests


class RunFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a statement of a run commits to and does not show; each attribute is one salted field of that name.

    Attributes:
        estimate_pflop: what this run will come to, as the lab expects.
        cap_pflop: the most that it may come to.
        run_pflop: what it came to so far.
        cumulative_pflop: the same, with what is in the base model.
        code: hex SHA-256 of the program.
        config: hex SHA-256 of its settings.
    """

    estimate_pflop: Quantity
    cap_pflop: Quantity
    run_pflop: Quantity
    cumulative_pflop: Quantity
    code: Hex32
    config: Hex32


RUN_QUANTITIES: Final = ("estimate_pflop", "cap_pflop", "run_pflop", "cumulative_pflop")
"""Those of them that count operations."""

_RUN_FIELD_TYPES: Final = {line.name: line.type for line in msgspec.structs.fields(RunFields)}


class RunDecision(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a nation says to a run that its lab declared.

    Attributes:
        lab: id of the lab.
        run: id of the run.
        declaration: leaf hash of the entry that declared it.
        decision: whether it may start.
        note: why.
    """

    lab: Identifier
    run: Identifier
    declaration: Hex32
    decision: Decision
    note: Text


class ReleaseReview(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A lab hands a model in for review.

    Attributes:
        model: its id.
        runs: ids of the lab's own runs that it comes of, in ascending order.
        digest: hex SHA-256 of the weights.
        planned_at: when the lab means to release it; information only.
        digests: of the fields of `ReviewFields` and of decoys, in ascending order.
    """

    model: Identifier
    runs: RunIds
    digest: Hex32
    planned_at: Timestamp
    digests: Digests


class ReviewFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a review commits to and does not show: hex SHA-256 of the lab's own evaluation of the model."""

    evaluation: Hex32


class ReviewEvent(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A step of a review: by the lab `info-supplied`, by its nation every other.

    Attributes:
        lab: id of the lab.
        model: id of the model.
        review: leaf hash of the entry that handed it in.
        event: what happened; `info-requested` stops the clock, `cleared` and `blocked` are outcomes.
        note: what was asked for, or why.
    """

    lab: Identifier
    model: Identifier
    review: Hex32
    event: EventName
    note: Text


class ReleaseNotice(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A lab has released a model.

    Attributes:
        model: its id, as in its review if there was one.
        runs: ids of the lab's own runs that it comes of, in ascending order.
        digest: hex SHA-256 of the weights.
    """

    model: Identifier
    runs: RunIds
    digest: Hex32


def encode_training_run(run: TrainingRun) -> bytes:
    """Write the payload of a training run.

    Raises:
        FormatError: a value that `parse_training_run` would refuse.
    """
    return _TRAINING_RUN.encode(run)


def parse_training_run(payload: bytes) -> Statement[TrainingRun]:
    """Read a training run.

    Raises:
        FormatError: not one in its one encoding, lists out of order, a band that no number of PFLOP has, figures that
            contradict each other, a checkpoint where there can be none, or none where there must be one.
    """
    return _TRAINING_RUN.parse(payload)


def encode_run_decision(decision: RunDecision) -> bytes:
    """Write the payload of a decision on a run.

    Raises:
        FormatError: a value that `parse_run_decision` would refuse.
    """
    return _RUN_DECISION.encode(decision)


def parse_run_decision(payload: bytes) -> Statement[RunDecision]:
    """Read a decision on a run.

    Raises:
        FormatError: not one in its one encoding.
    """
    return _RUN_DECISION.parse(payload)


def encode_release_review(review: ReleaseReview) -> bytes:
    """Write the payload that hands a model in.

    Raises:
        FormatError: a value that `parse_release_review` would refuse.
    """
    return _RELEASE_REVIEW.encode(review)


def parse_release_review(payload: bytes) -> Statement[ReleaseReview]:
    """Read a model's handing in.

    Raises:
        FormatError: not one in its one encoding, runs or digests out of order or repeated.
    """
    return _RELEASE_REVIEW.parse(payload)


def encode_review_event(event: ReviewEvent) -> bytes:
    """Write the payload of a step of a review.

    Raises:
        FormatError: a value that `parse_review_event` would refuse.
    """
    return _REVIEW_EVENT.encode(event)


def parse_review_event(payload: bytes) -> Statement[ReviewEvent]:
    """Read a step of a review.

    Raises:
        FormatError: not one in its one encoding.
    """
    return _REVIEW_EVENT.parse(payload)


def encode_release_notice(notice: ReleaseNotice) -> bytes:
    """Write the payload of a release.

    Raises:
        FormatError: a value that `parse_release_notice` would refuse.
    """
    return _RELEASE_NOTICE.encode(notice)


def parse_release_notice(payload: bytes) -> Statement[ReleaseNotice]:
    """Read a release.

    Raises:
        FormatError: not one in its one encoding, or runs out of order or repeated.
    """
    return _RELEASE_NOTICE.parse(payload)


def encode_run_fields(fields: RunFields) -> dict[str, JsonValue]:
    """Turn a run's hidden fields into the JSON value of each, by name, ready for `ledger.disclosure.commit_fields`.

    Raises:
        FormatError: a value that `parse_run_fields` would refuse.
    """
    values: dict[str, JsonValue] = msgspec.json.decode(msgspec.json.encode(fields))
    parse_run_fields(values)
    return values


def parse_run_fields(values: Mapping[str, object]) -> RunFields:
    """Check the types, units and bounds of a run's hidden fields, before committing or after disclosure.

    Raises:
        FormatError: a field missing, unknown, of another type or out of bounds.
    """
    try:
        fields = msgspec.convert(dict(values), RunFields)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="hidden", found=str(error), expected="the hidden fields of a run") from None
    for name in RUN_QUANTITIES:
        parse_quantity(getattr(fields, name), field=f"hidden.{name}")
    return fields


def parse_run_field(name: str, value: object) -> object:
    """Check one hidden field of a run alone, as an inspector sees it when only that field is opened.

    Returns:
        the value in its type: an integer or decimal string, or hex of 32 bytes.

    Raises:
        FormatError: not a field of a run, of another type, or out of bounds.
    """
    field_type = _RUN_FIELD_TYPES.get(name)
    if field_type is None:
        raise FormatError(field="hidden", found=name, expected=f"one of {', '.join(_RUN_FIELD_TYPES)}")
    try:
        typed: object = msgspec.convert(value, field_type)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field=f"hidden.{name}", found=str(error), expected="a value of this field's type") from None
    if name in RUN_QUANTITIES:
        assert isinstance(typed, int | str)
        parse_quantity(typed, field=f"hidden.{name}")
    return typed


def encode_review_fields(fields: ReviewFields) -> dict[str, JsonValue]:
    """Turn a review's hidden field into its JSON value, by name, ready for `ledger.disclosure.commit_fields`.

    Raises:
        FormatError: a value that `parse_review_fields` would refuse.
    """
    values: dict[str, JsonValue] = msgspec.json.decode(msgspec.json.encode(fields))
    parse_review_fields(values)
    return values


def parse_review_fields(values: Mapping[str, object]) -> ReviewFields:
    """Check a review's hidden field, before committing or after disclosure.

    Raises:
        FormatError: missing, unknown, or not a hash.
    """
    try:
        return msgspec.convert(dict(values), ReviewFields)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="hidden", found=str(error), expected="the hidden fields of a review") from None


_FIELD: Final = "statement.predicate"


def _check_training_run(run: TrainingRun) -> Subject:
    require_no_correction(run)
    require_ascending(run.clusters, field=f"{_FIELD}.clusters")
    _check_hidden(run.digests)
    for name, band in (("band", run.band), ("run_band", run.run_band), ("cap_band", run.cap_band)):
        if 0 < band < BAND_LEAST:
            raise FormatError(field=f"{_FIELD}.{name}", found=band, expected=f"0, or {BAND_LEAST} to {BAND_MAX}")
    if run.band < run.run_band:
        raise FormatError(field=f"{_FIELD}.band", found=run.band, expected=f"at least run_band, {run.run_band}")
    if run.kind == "post-training" and run.base_model is None:
        raise FormatError(field=f"{_FIELD}.base_model", found="null", expected="the model that post-training works on")
    if run.state == "declared":
        if run.run_band > run.cap_band:
            raise FormatError(
                field=f"{_FIELD}.run_band", found=run.run_band, expected=f"an estimate within the cap, {run.cap_band}"
            )
        if run.checkpoint is not None:
            raise FormatError(field=f"{_FIELD}.checkpoint", found=run.checkpoint, expected="null before the start")
    if run.state in ("frozen", "completed") and run.checkpoint is None:
        raise FormatError(field=f"{_FIELD}.checkpoint", found="null", expected=f"the weights of a {run.state} run")
    return make_subject(f"{run.issuer}/{run.run}", run.checkpoint or ZERO_HASH)


def _check_run_decision(decision: RunDecision) -> Subject:
    require_no_correction(decision)
    return make_subject(f"{decision.lab}/{decision.run}", decision.declaration)


def _check_release_review(review: ReleaseReview) -> Subject:
    require_no_correction(review)
    require_ascending(review.runs, field=f"{_FIELD}.runs")
    _check_hidden(review.digests)
    return make_subject(f"{review.issuer}/{review.model}", review.digest)


def _check_review_event(event: ReviewEvent) -> Subject:
    require_no_correction(event)
    return make_subject(f"{event.lab}/{event.model}", event.review)


def _check_release_notice(notice: ReleaseNotice) -> Subject:
    require_no_correction(notice)
    require_ascending(notice.runs, field=f"{_FIELD}.runs")
    return make_subject(f"{notice.issuer}/{notice.model}", notice.digest)


def _check_hidden(digests: tuple[str, ...]) -> None:
    require_ascending(digests, field=f"{_FIELD}.digests")
    check_digests(digests, field=f"{_FIELD}.digests")


_TRAINING_RUN: Final = StatementForm(TRAINING_RUN, TrainingRun, check=_check_training_run)
_RUN_DECISION: Final = StatementForm(RUN_DECISION, RunDecision, check=_check_run_decision)
_RELEASE_REVIEW: Final = StatementForm(RELEASE_REVIEW, ReleaseReview, check=_check_release_review)
_REVIEW_EVENT: Final = StatementForm(REVIEW_EVENT, ReviewEvent, check=_check_review_event)
_RELEASE_NOTICE: Final = StatementForm(RELEASE_NOTICE, ReleaseNotice, check=_check_release_notice)
