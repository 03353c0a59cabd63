"""Reviews before release: the clock of a review, what stops it, what its end means, and what a release means then.

1. A lab hands a model in once, naming runs of its own that are on the ledger. With the block it stands in, a clock of
   `window_s` begins to run.
2. The lab's own nation acknowledges (once, and nothing follows from it), asks for information, extends (by
   `extension_s`, at most `extensions_max` times), clears or blocks. The clock stands still from a request until the lab
   says that it has supplied what was asked for. Which event may follow which is `NEXT_EVENTS`.
3. The clock has run out at the first moment at which nothing is left of it; what is said at that moment is too late.
   Silence until then clears or blocks, as the agreement has it. What an outage (`ledger.rules.grid`) took of the time
   that the clock ran is added to it. Nothing is written when it runs out: where a review stands follows from the time
   (`compute_review`).
4. A model that was cleared stays so. One that was blocked, by whatever, may still be cleared.
5. A lab says once that it has released a model. The release is *reviewed* if the review of these very weights had
   cleared it; it *had to be* if the band of a run it comes of proves that `required_pflop` was reached. Where reviews
   are binding, a release that had to be reviewed and was not, or one against a block, is `RELEASED_UNREVIEWED` on the
   interval in which the notice's block lies and on all clusters of the runs. Where they are not, it is only recorded.

Bounded: a lab has at most `MODELS_PER_LAB_MAX` models over all time, each with one review and one release.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ledger.errors import Code, Rejection, reject
from ledger.positions import LeafIndex, Millis
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import extend_deadline
from ledger.rules.records.foundation import CLOCK
from ledger.rules.records.registry import LABS, Lab, make_number_name
from ledger.rules.records.runs import (
    NO_RUNS,
    REVIEWS,
    RUN_COUNTS,
    RUNS,
    Review,
    ReviewStage,
    Run,
    RunCounts,
    find_review,
    make_run_name,
)
from ledger.rules.runs import check_nation, get_agreement, put_reason
from ledger.rules.state import State
from ledger.rules.thresholds import is_reached
from ledger.statements.runs import (
    RELEASE_NOTICE,
    RELEASE_REVIEW,
    REVIEW_EVENT,
    EventName,
    ReleaseNotice,
    ReleaseReview,
    ReviewEvent,
    parse_release_notice,
    parse_release_review,
    parse_review_event,
)
from ledger.statements.verdicts import Reason

MODELS_PER_LAB_MAX: Final = 1_024

NEXT_EVENTS: Final[Mapping[ReviewStage, tuple[EventName, ...]]] = {
    "absent": (),
    "running": ("acknowledged", "info-requested", "extended", "cleared", "blocked"),
    "waiting": ("acknowledged", "info-supplied", "extended", "cleared", "blocked"),
    "cleared": (),
    "blocked": ("cleared",),
}
"""What may be said in a review, by where it stands."""

_FIELD: Final = "statement.predicate"


def compute_end_ms(state: State, review: Review) -> Millis:
    """When the clock of a review that runs will have run out, after the outages so far."""
    outages = CLOCK.require(state).outages
    return Millis(extend_deadline(review.since_ms + review.remaining_ms, since=review.since_ms, outages=outages))


def compute_review(state: State, review: Review, *, time_ms: Millis) -> Review:
    """Where a review stands at a time, with its clock set to that time: rule 3.

    Args:
        state: whose outages and agreement count.
        review: as recorded.
        time_ms: not before `review.since_ms`.
    """
    if review.stage != "running":
        return review
    left_ms = compute_end_ms(state, review) - time_ms
    if left_ms > 0:
        return msgspec.structs.replace(review, since_ms=time_ms, remaining_ms=left_ms)
    silence: ReviewStage = "cleared" if get_agreement(state).reviews.silence == "clears" else "blocked"
    return msgspec.structs.replace(review, stage=silence, since_ms=time_ms, remaining_ms=0)


def apply_release_review(state: State, context: Context, said: ReleaseReview) -> Rejection | None:
    """Begin a review. Believes that the header was checked."""
    lab = LABS.require(state, said.issuer.encode())
    name = make_run_name(lab.number, said.model)
    before = REVIEWS.get(state, name)
    if before is not None:
        found = f"{said.model}, {'released' if before.stage == 'absent' else 'handed in'} before"
        return reject(Code.REVIEW_STATE, field=f"{_FIELD}.model", found=found, expected="a model of a new id")
    rejection = _check_count(state, lab, said.model) or _check_runs(state, said.issuer, lab, said.runs)
    if rejection is not None:
        return rejection
    review = Review(
        stage="running",
        leaf=context.entry.leaf_hash,
        digest=bytes.fromhex(said.digest),
        runs=said.runs,
        planned_at=said.planned_at,
        is_acknowledged=False,
        since_ms=context.time_ms,
        remaining_ms=get_agreement(state).reviews.window_s * 1000,
        extension_count=0,
        released_by=None,
        released_in="absent",
        was_required=False,
    )
    _count_model(state, lab)
    REVIEWS.put(state, review, name)
    return None


def apply_review_event(state: State, context: Context, said: ReviewEvent) -> Rejection | None:
    """Take a step of a review. Believes that the header was checked."""
    rejection = _check_speaker(state, said)
    if rejection is not None:
        return rejection
    review = find_review(state, said.lab, said.model)
    if review is None or review.stage == "absent":
        return reject(Code.UNKNOWN_REVIEW, field=f"{_FIELD}.model", found=said.model, expected="one handed in")
    if said.review != review.leaf.hex():
        return reject(Code.INVALID_FIELD, field=f"{_FIELD}.review", found=said.review, expected=review.leaf.hex())
    now = compute_review(state, review, time_ms=context.time_ms)
    rejection = _check_event(state, said, now)
    if rejection is not None:
        return rejection
    lab = LABS.require(state, said.lab.encode())
    REVIEWS.put(state, _step(state, said, now, context.time_ms), make_run_name(lab.number, said.model))
    return None


def apply_release_notice(state: State, context: Context, said: ReleaseNotice) -> Rejection | None:
    """Record a release, and what it means. Believes that the header was checked."""
    lab = LABS.require(state, said.issuer.encode())
    name = make_run_name(lab.number, said.model)
    before = REVIEWS.get(state, name)
    rejection = (
        _check_release(said, before)
        or (_check_count(state, lab, said.model) if before is None else None)
        or _check_runs(state, said.issuer, lab, said.runs)
    )
    if rejection is not None:
        return rejection
    terms = get_agreement(state).reviews
    runs = [RUNS.require(state, make_run_name(lab.number, run)) for run in said.runs]
    is_required = any(is_reached(run.band, terms.required_pflop) for run in runs)
    review = compute_review(state, before, time_ms=context.time_ms) if before is not None else None
    if review is None:
        _count_model(state, lab)
    after = _release(said, review, index=context.index, time_ms=context.time_ms, is_required=is_required)
    REVIEWS.put(state, after, name)
    is_unreviewed = after.stage == "blocked" or (is_required and after.released_in != "cleared")
    if terms.is_binding and is_unreviewed:
        put_reason(
            state,
            said.issuer,
            _join_clusters(runs),
            Reason.RELEASED_UNREVIEWED,
            time_ms=context.time_ms,
            source=context.index,
        )
    return None


def _check_count(state: State, lab: Lab, model: str) -> Rejection | None:
    counts = RUN_COUNTS.get(state, make_number_name(lab.number)) or NO_RUNS
    if counts.model_count < MODELS_PER_LAB_MAX:
        return None
    return reject(
        Code.TOO_LARGE,
        field=f"{_FIELD}.model",
        found=f"{model}, beside {counts.model_count} others",
        expected=f"at most {MODELS_PER_LAB_MAX} models of one lab over all time",
    )


def _count_model(state: State, lab: Lab) -> None:
    name = make_number_name(lab.number)
    counts = RUN_COUNTS.get(state, name) or NO_RUNS
    RUN_COUNTS.put(state, RunCounts(counts.open_count, counts.run_count, counts.model_count + 1), name)


def _check_runs(state: State, lab_id: str, lab: Lab, runs: Sequence[str]) -> Rejection | None:
    """Rule 1: each run is known."""
    for run in runs:
        if RUNS.get(state, make_run_name(lab.number, run)) is None:
            return reject(Code.UNKNOWN_RUN, field=f"{_FIELD}.runs", found=run, expected=f"a run of {lab_id}")
    return None


def _check_speaker(state: State, said: ReviewEvent) -> Rejection | None:
    """Rule 2: the lab supplies, its own nation says all else."""
    if said.event != "info-supplied":
        return check_nation(state, said.lab, said.issuer)
    if said.issuer == said.lab:
        return None
    return reject(
        Code.WRONG_ISSUER, field=f"{_FIELD}.lab", found=f"{said.lab}, by {said.issuer}", expected="the lab itself"
    )


def _check_event(state: State, said: ReviewEvent, now: Review) -> Rejection | None:
    """Rules 2 to 5."""
    if now.released_by is not None:
        return _reject_event(said, f"released by entry {now.released_by}", "nothing more: the model is out")
    allowed = NEXT_EVENTS[now.stage]
    if said.event not in allowed:
        return _reject_event(said, now.stage, " or ".join(allowed) or "nothing more: there is an outcome")
    if said.event == "acknowledged" and now.is_acknowledged:
        return _reject_event(said, "acknowledged", "that once")
    most = get_agreement(state).reviews.extensions_max
    if said.event == "extended" and now.extension_count >= most:
        return _reject_event(said, f"extended {now.extension_count} times", f"that at most {most} times")
    return None


def _reject_event(said: ReviewEvent, found: str, expected: str) -> Rejection:
    return reject(
        Code.REVIEW_STATE,
        field=f"{_FIELD}.event",
        found=f"{said.event} of a review that is {found}",
        expected=expected,
    )


def _step(state: State, said: ReviewEvent, now: Review, time_ms: Millis) -> Review:
    """The review after an event that was checked; `now` has its clock set to this time if it runs."""
    match said.event:
        case "acknowledged":
            return msgspec.structs.replace(now, is_acknowledged=True)
        case "info-requested":
            return msgspec.structs.replace(now, stage="waiting", since_ms=time_ms)
        case "info-supplied":
            return msgspec.structs.replace(now, stage="running", since_ms=time_ms)
        case "extended":
            longer_ms = now.remaining_ms + get_agreement(state).reviews.extension_s * 1000
            return msgspec.structs.replace(now, remaining_ms=longer_ms, extension_count=now.extension_count + 1)
        case "cleared" | "blocked":
            return msgspec.structs.replace(now, stage=said.event, since_ms=time_ms)


def _check_release(said: ReleaseNotice, before: Review | None) -> Rejection | None:
    """Rule 5: once, and of the runs that were named in the review."""
    if before is None:
        return None
    if before.released_by is not None:
        return reject(
            Code.REVIEW_STATE,
            field=f"{_FIELD}.model",
            found=f"{said.model}, released by entry {before.released_by}",
            expected="a model that is not out yet",
        )
    if said.runs != before.runs:
        return reject(
            Code.INVALID_FIELD,
            field=f"{_FIELD}.runs",
            found=", ".join(said.runs),
            expected=f"{', '.join(before.runs)}, as the model was handed in",
        )
    return None


def _release(
    said: ReleaseNotice, review: Review | None, *, index: LeafIndex, time_ms: Millis, is_required: bool
) -> Review:
    """The model after its release. Weights that are not those handed in have no review."""
    digest = bytes.fromhex(said.digest)
    if review is None:
        return Review(
            stage="absent",
            leaf=b"",
            digest=digest,
            runs=said.runs,
            planned_at=0,
            is_acknowledged=False,
            since_ms=time_ms,
            remaining_ms=0,
            extension_count=0,
            released_by=index,
            released_in="absent",
            was_required=is_required,
        )
    released_in: ReviewStage = review.stage if digest == review.digest else "absent"
    return msgspec.structs.replace(review, released_by=index, released_in=released_in, was_required=is_required)


def _join_clusters(runs: Sequence[Run]) -> list[str]:
    """Every cluster of these runs once, in ascending order."""
    return sorted({cluster for run in runs for cluster in run.clusters})


RELEASE_REVIEW_KIND: Final = Kind(
    name=RELEASE_REVIEW, is_for_nations=False, signature_count=1, parse=parse_release_review, apply=apply_release_review
)
REVIEW_EVENT_KIND: Final = Kind(
    name=REVIEW_EVENT, is_for_nations=None, signature_count=1, parse=parse_review_event, apply=apply_review_event
)
RELEASE_NOTICE_KIND: Final = Kind(
    name=RELEASE_NOTICE, is_for_nations=False, signature_count=1, parse=parse_release_notice, apply=apply_release_notice
)
