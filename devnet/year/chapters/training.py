"""Runs that are declared and approved as they should be, one that nobody declared, and a model released too early."""

import hashlib
from collections.abc import Mapping
from typing import Final

from devnet.year.acts import Act, Chapter, Header, Moment, Said, Write
from devnet.year.books import Book, make_salt
from devnet.year.cast import HALCYON, KESTREL, LANTERN, MARTEN, OSPREY, PETREL, LabRole
from devnet.year.terms import APPROVE_PFLOP
from ledger.disclosure import commit_fields
from ledger.positions import Seconds
from ledger.statements.reports import compute_band
from ledger.statements.runs import (
    EventName,
    ReleaseNotice,
    ReleaseReview,
    ReviewEvent,
    RunDecision,
    RunFields,
    RunState,
    TrainingRun,
    encode_release_notice,
    encode_release_review,
    encode_review_event,
    encode_run_decision,
    encode_run_fields,
    encode_training_run,
)

DECLARED: Final = (HALCYON, KESTREL, PETREL, LANTERN, MARTEN)
COMPLETED: Final = (PETREL, LANTERN, MARTEN)
UNDECLARED: Final = OSPREY
SEEN_IN: Final = 4
RELEASED: Final = PETREL
RELEASED_IN: Final = 8
MODEL: Final = "bellows-chat"


def say_run(lab: LabRole, state: RunState, *, done: int) -> Write:
    """What a lab says of its run.

    Args:
        lab: whose run.
        state: where it stands.
        done: PFLOP so far; what a frozen run repeats is the same as long as this is.
    """
    total = lab.fact.pflop
    band = compute_band(total if state == "declared" else done)
    fields = RunFields(
        estimate_pflop=total,
        cap_pflop=total,
        run_pflop=done,
        cumulative_pflop=done,
        code=_hash(f"{lab.run} code"),
        config=_hash(f"{lab.run} config"),
    )
    values = encode_run_fields(fields)
    salts = [make_salt(f"{lab.id} {lab.run} {name} at {done} {state == 'declared'}") for name in values]
    digests = commit_fields(values, salts=salts).digests

    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        return encode_training_run(
            TrainingRun(
                **header,
                run=lab.run,
                state=state,
                kind="pre-training",
                base_model=None,
                clusters=(lab.cluster,),
                band=band,
                run_band=band,
                cap_band=compute_band(total),
                checkpoint=make_weights(lab, done) if done else None,
                digests=digests,
            )
        )

    return write


def make_weights(lab: LabRole, done: int) -> str:
    """Hex SHA-256 of the weights of a lab's run after so many PFLOP."""
    return _hash(f"{lab.run} weights at {done}")


def write_training(books: Mapping[str, Mapping[int, Book]]) -> Chapter:
    """Declarations, approvals, starts and ends; and the run that was not declared."""
    acts: list[Act] = []
    for lab in DECLARED:
        acts.append(_declare(lab))
        if lab.fact.pflop >= APPROVE_PFLOP:
            acts.append(_approve(lab))
        acts.append(
            Act(Moment(lab.begins, 350), lab.id, say_run(lab, "started", done=0), tells=f"{lab.name} starts {lab.run}")
        )
    for lab in COMPLETED:
        at = Moment(lab.begins + lab.fact.fortnights, 350)
        tells = f"{lab.name} completes {lab.run}"
        acts.append(Act(at, lab.id, say_run(lab, "completed", done=lab.fact.pflop), tells=tells))
    done = books[UNDECLARED.id][SEEN_IN].before
    tells = (
        f"{UNDECLARED.name} speaks of {UNDECLARED.run} for the first time: 10^{compute_band(done)} operations already"
    )
    acts += [
        Act(Moment(SEEN_IN, 350), UNDECLARED.id, say_run(UNDECLARED, "started", done=done), tells=tells),
        Act(
            Moment(SEEN_IN, 550),
            UNDECLARED.id,
            say_run(UNDECLARED, "stopped", done=done),
            tells=f"{UNDECLARED.name} stops {UNDECLARED.run}",
        ),
    ]
    return Chapter("training runs", tuple(acts))


def write_release() -> Chapter:
    """A model is handed in for review, and released a fortnight later, before the review has ended."""
    lab = RELEASED
    weights, handed_in = make_weights(lab, lab.fact.pflop), RELEASED_IN - 1

    def hand_in(header: Header, _: Mapping[str, Said]) -> bytes:
        return encode_release_review(
            ReleaseReview(**header, model=MODEL, runs=(lab.run,), digest=weights, planned_at=Seconds(0), digests=())
        )

    def release(header: Header, _: Mapping[str, Said]) -> bytes:
        return encode_release_notice(ReleaseNotice(**header, model=MODEL, runs=(lab.run,), digest=weights))

    return Chapter(
        "an early release",
        (
            Act(
                Moment(handed_in, 550), lab.id, hand_in, tells=f"{lab.name} hands {MODEL} in for review", name="review"
            ),
            Act(
                Moment(handed_in, 800),
                lab.nation,
                _review(lab, "acknowledged"),
                tells=f"{lab.nation.capitalize()} acknowledges it; the clock runs for thirty days",
            ),
            Act(
                Moment(RELEASED_IN, 350),
                lab.id,
                release,
                tells=f"{lab.name} releases {MODEL} after a fortnight of review",
            ),
        ),
    )


def _declare(lab: LabRole) -> Act:
    tells = f"{lab.name} declares {lab.run}, of 10^{compute_band(lab.fact.pflop)} operations"
    return Act(Moment(1, 350), lab.id, say_run(lab, "declared", done=0), tells=tells, name=f"declaration {lab.run}")


def _approve(lab: LabRole) -> Act:
    def write(header: Header, said: Mapping[str, Said]) -> bytes:
        declaration = said[f"declaration {lab.run}"].leaf
        return encode_run_decision(
            RunDecision(**header, lab=lab.id, run=lab.run, declaration=declaration, decision="approved", note="")
        )

    nation = lab.nation
    return Act(Moment(1, 550), nation, write, tells=f"{nation.capitalize()} approves {lab.run}")


def _review(lab: LabRole, event: EventName) -> Write:
    def write(header: Header, said: Mapping[str, Said]) -> bytes:
        review = said["review"].leaf
        return encode_review_event(ReviewEvent(**header, lab=lab.id, model=MODEL, review=review, event=event, note=""))

    return write


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
