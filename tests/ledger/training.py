"""Statements of runs, reviews and releases for tests of the rules; on the ledger of `tests.ledger.rulebook`.

Its agreement in decades: a run is declared from 21, approved from 23, prohibited from 24; post-training is declared
from 20; a model is reviewed from 21. A nation has 60 s to answer a declaration, a review takes 300, an extension 100.
"""

import hashlib
from typing import TypeVar

import msgspec

from ledger.agreement import Agreement, Reviews, Runs
from ledger.positions import Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.records.runs import Review, Run, RunStage, find_review, find_run
from ledger.rules.reviews import compute_review
from ledger.rules.runs import compute_stage
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import PredicateHeader
from ledger.statements.runs import (
    BaseModel,
    Decision,
    EventName,
    ReleaseNotice,
    ReleaseReview,
    ReviewEvent,
    RunDecision,
    RunState,
    TrainingRun,
    encode_release_notice,
    encode_release_review,
    encode_review_event,
    encode_run_decision,
    encode_training_run,
)
from tests.ledger.rulebook import AGREEMENT, NATIONS, Party, World, make_charter_entry, millis

LAB, CLUSTERS, RUN, MODEL = "acme", ("a1", "a2"), "r1", "m1"
WEIGHTS, OTHER_WEIGHTS = (hashlib.sha256(text).hexdigest() for text in (b"weights", b"other weights"))

PredicateT = TypeVar("PredicateT", bound=PredicateHeader)


def make_digest(text: str) -> str:
    """A canonical digest of a hidden field."""
    return "A" * 42 + {"one": "A", "other": "E"}[text]


def make_agreement(*, runs: dict[str, object] | None = None, reviews: dict[str, object] | None = None) -> Agreement:
    """The agreement with some terms changed."""
    changed_runs: Runs = msgspec.structs.replace(AGREEMENT.runs, **(runs or {}))
    changed_reviews: Reviews = msgspec.structs.replace(AGREEMENT.reviews, **(reviews or {}))
    return msgspec.structs.replace(AGREEMENT, runs=changed_runs, reviews=changed_reviews)


def make_world(*, runs: dict[str, object] | None = None, reviews: dict[str, object] | None = None) -> World:
    """A ledger with one lab and its two clusters, which count from interval 1."""
    world = World(make_charter_entry(agreement=make_agreement(runs=runs, reviews=reviews)))
    world.register(10, LAB, CLUSTERS)
    return world


def _sign(world: World, issuer: Party, kind: type[PredicateT], fields: dict[str, object]) -> tuple[PredicateT, Party]:
    header: dict[str, object] = {
        "ledger": world.ledger,
        "issuer": issuer.id,
        "sequence": SequenceNumber(issuer.sequence),
        "previous": issuer.previous,
        "issued_at": Seconds(0),
        "corrects": None,
    }
    return kind(**(header | fields)), issuer  # type: ignore[arg-type]  # each of its own type


def training_run(world: World, state: RunState, **changes: object) -> bytes:
    """What a lab says of a run: of its own and nothing else's operations, unless it says so.

    One change, `lab`, is who says it.
    """
    lab = str(changes.pop("lab", LAB))
    band = changes.get("band", 20)
    known = get_run(world, str(changes.get("run", RUN)), lab=lab)
    goes_on = known is not None and known.stage == "frozen" and state == "started"
    fields: dict[str, object] = {
        "run": RUN,
        "state": state,
        "kind": "pre-training",
        "base_model": None,
        "clusters": ("a1",),
        "band": band,
        "run_band": band,
        "cap_band": 30,
        "checkpoint": WEIGHTS if goes_on or state in ("frozen", "completed") else None,
        "digests": (make_digest("one"),),
    }
    said, issuer = _sign(world, world.labs[lab], TrainingRun, fields | changes)
    return sign_envelope(encode_training_run(said), [issuer.key.signer])


def decision(world: World, word: Decision, **changes: object) -> bytes:
    """What the lab's nation says, or the `nation` among the changes."""
    nation = str(changes.pop("nation", NATIONS[0]))
    run = get_run(world, str(changes.get("run", RUN)))
    fields: dict[str, object] = {
        "lab": LAB,
        "run": RUN,
        "declaration": run.leaf.hex() if run is not None else "00" * 32,
        "decision": word,
        "note": "",
    }
    said, issuer = _sign(world, world.nations[nation], RunDecision, fields | changes)
    return sign_envelope(encode_run_decision(said), [issuer.key.signer])


def hand_in(world: World, **changes: object) -> bytes:
    fields: dict[str, object] = {
        "model": MODEL,
        "runs": (RUN,),
        "digest": WEIGHTS,
        "planned_at": Seconds(1_900_000_000),
        "digests": (),
    }
    said, issuer = _sign(world, world.labs[LAB], ReleaseReview, fields | changes)
    return sign_envelope(encode_release_review(said), [issuer.key.signer])


def event(world: World, word: EventName, **changes: object) -> bytes:
    """A step of a review, by whoever may take it, or by the `issuer` among the changes."""
    by = str(changes.pop("issuer", LAB if word == "info-supplied" else NATIONS[0]))
    review = find_review(world.state, LAB, MODEL)
    leaf = review.leaf.hex() if review is not None and review.leaf else "00" * 32
    fields: dict[str, object] = {"lab": LAB, "model": MODEL, "review": leaf, "event": word, "note": ""}
    said, party = _sign(world, world.nations.get(by) or world.labs[by], ReviewEvent, fields | changes)
    return sign_envelope(encode_review_event(said), [party.key.signer])


def notice(world: World, **changes: object) -> bytes:
    fields: dict[str, object] = {"model": MODEL, "runs": (RUN,), "digest": WEIGHTS}
    said, issuer = _sign(world, world.labs[LAB], ReleaseNotice, fields | changes)
    return sign_envelope(encode_release_notice(said), [issuer.key.signer])


def get_run(world: World, run: str = RUN, *, lab: str = LAB) -> Run | None:
    return find_run(world.state, lab, run)


def stage_of(world: World, at: int, run: str = RUN) -> RunStage:
    """Where a run stands, seconds after the start of the grid."""
    known = get_run(world, run)
    assert known is not None
    return compute_stage(world.state, known, time_ms=millis(at))


def review_of(world: World, at: int | None = None, *, model: str = MODEL) -> Review:
    """A review, with its clock set to a time if one is given."""
    known = find_review(world.state, LAB, model)
    assert known is not None
    return known if at is None else compute_review(world.state, known, time_ms=millis(at))


def name_base(world: World, run: str, *, lab: str = LAB) -> BaseModel:
    """The base model that came of a run, as it must be named on this ledger."""
    known = get_run(world, run, lab=lab)
    return BaseModel(lab=lab, run=run, leaf=None if known is None else known.leaf.hex())
