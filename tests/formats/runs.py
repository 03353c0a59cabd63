"""Formats of training runs and reviews: statements, hidden fields, and what a state holds of them."""

import json
from typing import get_args

from ledger.disclosure import compute_decoy
from ledger.limits import TIME_S_MAX
from ledger.positions import LeafIndex, Millis, Seconds
from ledger.rules.record import Record, Table, encode_record
from ledger.rules.records.runs import (
    REVIEWS,
    RUN_COUNTS,
    RUNS,
    Base,
    Review,
    ReviewStage,
    Run,
    RunCounts,
    RunStage,
)
from ledger.statements.runs import (
    BaseModel,
    Decision,
    EventName,
    ReleaseNotice,
    ReleaseReview,
    ReviewEvent,
    ReviewFields,
    RunDecision,
    RunFields,
    RunKind,
    RunState,
    TrainingRun,
    encode_release_notice,
    encode_release_review,
    encode_review_event,
    encode_review_fields,
    encode_run_decision,
    encode_run_fields,
    encode_training_run,
    parse_release_notice,
    parse_release_review,
    parse_review_event,
    parse_run_decision,
    parse_training_run,
)
from tests.formats import entries
from tests.formats.draws import Draw


def digests(draw: Draw) -> tuple[str, ...]:
    """Salted digests, in order."""
    return tuple(sorted(dict.fromkeys(compute_decoy(draw.digest()) for _ in range(draw.below(5)))))


def training_run(draw: Draw) -> bytes:
    """A run in one of its states, on a base model or on none."""
    kinds: tuple[RunKind, ...] = get_args(RunKind)
    states: tuple[RunState, ...] = get_args(RunState)
    kind, state = draw.pick(kinds), draw.pick(states)
    base = BaseModel(lab=draw.identifier(), run=draw.identifier(), leaf=draw.hex32() if draw.flag() else None)
    run_band = draw.pick((0, draw.between(15, 30)))
    has_checkpoint = state in ("frozen", "completed") or (state != "declared" and draw.flag())
    made = TrainingRun(
        **entries.header(draw),  # type: ignore[arg-type]  # each of its own type
        run=draw.identifier(),
        state=state,
        kind=kind,
        base_model=base if kind == "post-training" or draw.flag() else None,
        clusters=tuple(entries.distinct(draw, 1, 3)),
        band=draw.between(max(15, run_band), 40),
        run_band=run_band,
        cap_band=draw.between(30, 40),
        checkpoint=draw.hex32() if has_checkpoint else None,
        digests=digests(draw),
    )
    raw = encode_training_run(made)
    assert parse_training_run(raw).predicate == made
    return raw


def run_decision(draw: Draw) -> bytes:
    decisions: tuple[Decision, ...] = get_args(Decision)
    made = RunDecision(
        **entries.header(draw),  # type: ignore[arg-type]  # as above
        lab=draw.identifier(),
        run=draw.identifier(),
        declaration=draw.hex32(),
        decision=draw.pick(decisions),
        note=draw.text(0),
    )
    raw = encode_run_decision(made)
    assert parse_run_decision(raw).predicate == made
    return raw


def release_review(draw: Draw) -> bytes:
    made = ReleaseReview(
        **entries.header(draw),  # type: ignore[arg-type]  # as above
        model=draw.identifier(),
        runs=tuple(entries.distinct(draw, 1, 3)),
        digest=draw.hex32(),
        planned_at=Seconds(draw.number(TIME_S_MAX)),
        digests=digests(draw),
    )
    raw = encode_release_review(made)
    assert parse_release_review(raw).predicate == made
    return raw


def review_event(draw: Draw) -> bytes:
    events: tuple[EventName, ...] = get_args(EventName)
    made = ReviewEvent(
        **entries.header(draw),  # type: ignore[arg-type]  # as above
        lab=draw.identifier(),
        model=draw.identifier(),
        review=draw.hex32(),
        event=draw.pick(events),
        note=draw.text(0),
    )
    raw = encode_review_event(made)
    assert parse_review_event(raw).predicate == made
    return raw


def release_notice(draw: Draw) -> bytes:
    made = ReleaseNotice(
        **entries.header(draw),  # type: ignore[arg-type]  # as above
        model=draw.identifier(),
        runs=tuple(entries.distinct(draw, 1, 3)),
        digest=draw.hex32(),
    )
    raw = encode_release_notice(made)
    assert parse_release_notice(raw).predicate == made
    return raw


def run_fields(draw: Draw) -> bytes:
    """The values of a run's hidden fields as JSON, in their order."""
    made = RunFields(
        estimate_pflop=entries.quantity(draw),
        cap_pflop=entries.quantity(draw),
        run_pflop=entries.quantity(draw),
        cumulative_pflop=entries.quantity(draw),
        code=draw.hex32(),
        config=draw.hex32(),
    )
    return json.dumps(encode_run_fields(made), separators=(",", ":")).encode()


def review_fields(draw: Draw) -> bytes:
    """The value of a review's hidden field as JSON."""
    return json.dumps(encode_review_fields(ReviewFields(evaluation=draw.hex32())), separators=(",", ":")).encode()


def make_run(draw: Draw) -> Run:
    """A run as a state holds it."""
    kinds: tuple[RunKind, ...] = get_args(RunKind)
    stages: tuple[RunStage, ...] = get_args(RunStage)
    return Run(
        stage=draw.pick(stages),
        kind=draw.pick(kinds),
        opened_by=LeafIndex(draw.number()),
        leaf=draw.digest(),
        opened_ms=Millis(draw.number()),
        is_declared=draw.flag(),
        is_approved=draw.flag(),
        base=Base(draw.identifier(), draw.identifier(), draw.pick((b"", draw.digest()))) if draw.flag() else None,
        base_band=draw.below(41),
        estimate_band=draw.below(41),
        estimate_run_band=draw.below(41),
        cap_band=draw.below(41),
        band=draw.below(41),
        run_band=draw.below(41),
        checkpoint=draw.pick((b"", draw.digest())),
        figures=draw.digest(),
        clusters=tuple(entries.distinct(draw, 1, 3)),
    )


def make_review(draw: Draw) -> Review:
    """A model as a state holds it."""
    stages: tuple[ReviewStage, ...] = get_args(ReviewStage)
    return Review(
        stage=draw.pick(stages),
        leaf=draw.pick((b"", draw.digest())),
        digest=draw.digest(),
        runs=tuple(entries.distinct(draw, 1, 3)),
        planned_at=draw.number(TIME_S_MAX),
        is_acknowledged=draw.flag(),
        since_ms=Millis(draw.number()),
        remaining_ms=draw.number(),
        extension_count=draw.below(101),
        released_by=LeafIndex(draw.number()) if draw.flag() else None,
        released_in=draw.pick(stages),
        was_required=draw.flag(),
    )


def records(draw: Draw) -> bytes:
    """One record of each table."""

    def written(table: Table[Record], record: Record) -> bytes:
        raw = encode_record(record)
        assert table.decode(raw) == record
        return table.letter + raw

    # A table of one kind of record stands for a table of records, as in `ledger.rules.tables`.
    return (
        written(RUNS, make_run(draw))  # type: ignore[arg-type]
        + written(RUN_COUNTS, RunCounts(draw.below(99), draw.below(99), draw.below(99)))  # type: ignore[arg-type]
        + written(REVIEWS, make_review(draw))  # type: ignore[arg-type]
    )
