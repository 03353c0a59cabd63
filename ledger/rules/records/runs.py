"""Training runs and models as their labs and nations left them: what the rules need to judge the next statement."""

from typing import Final, Literal

from ledger.positions import LeafIndex, Millis
from ledger.rules.record import Record, Records, Table
from ledger.rules.records.registry import LABS, make_number_name

RunStage = Literal["declared", "approved", "refused", "started", "frozen", "stopped", "completed"]
"""`declared` is a run that no nation has answered; what silence means follows from the time (`ledger.rules.runs`)."""

ReviewStage = Literal["absent", "running", "waiting", "cleared", "blocked"]
"""`running` and `waiting` are the clock's; `absent` is a model that was released without having been handed in."""


class Base(Record, frozen=True):
    """The base model of a run, as the lab names it.

    Attributes:
        lab: whose.
        run: which run it came of.
        leaf: leaf hash of the entry that opened that run; empty if it is not on this ledger.
    """

    lab: str
    run: str
    leaf: bytes


class Run(Record, frozen=True):
    """A training run.

    Attributes:
        stage: where it stands.
        kind: as its lab said.
        opened_by: index of its first entry.
        leaf: leaf hash of that.
        opened_ms: time of the block it stands in.
        is_declared: whether that entry declared it; else the run was under way.
        is_approved: whether it was approved when it started.
        base: what it begins with.
        base_band: decade of the operations in the base model when the run started, if that is on this ledger; else 0.
        estimate_band: decade of the operations in the model, as declared; 0 if it was not declared.
        estimate_run_band: the same of the run alone.
        cap_band: decade of the most that it may do.
        band: decade of the operations in the model so far; never falls.
        run_band: the same of the run alone.
        checkpoint: SHA-256 of the newest weights; empty before there are any.
        figures: SHA-256 over the newest salted digests, joined.
        clusters: all it ran on since it started, in ascending order.
    """

    stage: RunStage
    kind: str
    opened_by: LeafIndex
    leaf: bytes
    opened_ms: Millis
    is_declared: bool
    is_approved: bool
    base: Base | None
    base_band: int
    estimate_band: int
    estimate_run_band: int
    cap_band: int
    band: int
    run_band: int
    checkpoint: bytes
    figures: bytes
    clusters: tuple[str, ...]


class Review(Record, frozen=True):
    """A model, its review and its release.

    Attributes:
        stage: where the review stands, as of `since_ms`.
        leaf: leaf hash of the entry that handed the model in; empty if none did.
        digest: SHA-256 of the weights that were handed in, or released without.
        runs: ids of the runs it comes of, in ascending order.
        planned_at: when the lab means to release it, in seconds; 0 if it was not handed in.
        is_acknowledged: whether the nation said so.
        since_ms: when the clock was last set.
        remaining_ms: how much was left on it then.
        extension_count: how often it was extended.
        released_by: index of the entry that says it was released.
        released_in: where the review of these very weights stood at that time.
        was_required: whether public figures showed by then that it had to be reviewed.
    """

    stage: ReviewStage
    leaf: bytes
    digest: bytes
    runs: tuple[str, ...]
    planned_at: int
    is_acknowledged: bool
    since_ms: Millis
    remaining_ms: int
    extension_count: int
    released_by: LeafIndex | None
    released_in: ReviewStage
    was_required: bool


class RunCounts(Record, frozen=True):
    """How many a lab has: runs that have not ended, runs, models."""

    open_count: int
    run_count: int
    model_count: int


RUNS: Final = Table(b"X", Run)  # by lab number and id
RUN_COUNTS: Final = Table(b"Y", RunCounts)  # by lab number
REVIEWS: Final = Table(b"Z", Review)  # by lab number and id of the model

NO_RUNS: Final = RunCounts(0, 0, 0)


def make_run_name(lab: int, run: str) -> bytes:
    """Name of a lab's run, or of a model."""
    return make_number_name(lab) + run.encode()


def find_run(state: Records, lab: str, run: str) -> Run | None:
    """The run of this id; None if no such lab or run is known."""
    known = LABS.get(state, lab.encode())
    return None if known is None else RUNS.get(state, make_run_name(known.number, run))


def find_review(state: Records, lab: str, model: str) -> Review | None:
    """The model of this id as it was recorded last; None if no such lab or model is known."""
    known = LABS.get(state, lab.encode())
    return None if known is None else REVIEWS.get(state, make_run_name(known.number, model))
