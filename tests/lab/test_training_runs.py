"""`lab.training_runs` and `lab.releases`: what was fixed stays, what is hidden can be opened, growth is noticed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.crosschecks import require_sane
from lab.preparing import Prepared
from lab.releases import Model, prepare_notice, prepare_review, prepare_supply
from lab.stored import StoredStatement, verify_stored
from lab.training_runs import Base, Plan, Step, prepare_opening, prepare_step, read_runs
from lab.vault import Vault, open_vault
from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.limits import SIZE_MAX
from ledger.positions import Seconds
from ledger.statements.dsse import parse_envelope
from ledger.statements.runs import RunState, TrainingRun, parse_release_notice, parse_review_event, parse_training_run
from tests.lab.vaults import LAB, file, make_ledger

LEDGER = make_ledger()
WEIGHTS, OTHER_WEIGHTS = "aa" * 32, "bb" * 32
PLAN = Plan(kind="pre-training", base=None, estimate_pflop=5000, cap_pflop=9000, code="01" * 32, config="02" * 32)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with open_vault(tmp_path / "vault") as opened:
        yield opened


def declare(vault: Vault, run: str = "r-1", plan: Plan = PLAN, state: RunState = "declared") -> StoredStatement:
    prepared = prepare_opening(vault, Step(run=run, state=state, clusters=["c1"]), plan, ledger=LEDGER, lab=LAB)
    return file(vault, prepared, LEDGER)


def step(
    vault: Vault, state: RunState, *, pflop: int | None = None, checkpoint: str | None = None, run: str = "r-1"
) -> Prepared:
    said = Step(run=run, state=state, pflop=pflop, checkpoint=checkpoint)
    return prepare_step(vault, said, ledger=LEDGER, lab=LAB)


def move(
    vault: Vault, state: RunState, *, pflop: int | None = None, checkpoint: str | None = None, run: str = "r-1"
) -> TrainingRun:
    stored = file(vault, step(vault, state, pflop=pflop, checkpoint=checkpoint, run=run), LEDGER)
    verify_stored(stored)
    return parse_training_run(parse_envelope(stored.envelope).payload).predicate


def test_a_run_goes_its_way_and_what_was_fixed_is_said_each_time(vault: Vault) -> None:
    stored = declare(vault)
    declared = parse_training_run(parse_envelope(stored.envelope).payload).predicate
    assert (declared.band, declared.run_band, declared.cap_band) == (18, 18, 18)
    started = move(vault, "started")
    assert (started.band, started.run_band, started.checkpoint) == (0, 0, None)
    going = move(vault, "started", pflop=70, checkpoint=WEIGHTS)
    assert (going.band, going.cap_band, going.clusters, going.kind) == (16, 18, ("c1",), "pre-training")
    done = move(vault, "completed", pflop=5100)
    assert (done.band, done.checkpoint) == (18, WEIGHTS)
    known = read_runs(vault, LEDGER.charter.fingerprint)["r-1"]
    assert (known.opened, known.fields.run_pflop, known.fields.cap_pflop, known.fields.code) == (
        stored.leaf, 5100, 9000, "01" * 32,
    )  # fmt: skip


def test_of_a_frozen_run_the_very_digests_are_said_again_and_open_as_before(vault: Vault) -> None:
    declare(vault)
    move(vault, "started", pflop=70)
    frozen = move(vault, "frozen", pflop=80, checkpoint=WEIGHTS)
    assert step(vault, "started").findings == ()
    on = move(vault, "started")
    assert (on.digests, on.checkpoint, on.run_band) == (frozen.digests, WEIGHTS, frozen.run_band)
    assert move(vault, "started", pflop=81).digests != frozen.digests


@pytest.mark.parametrize(("pflop", "checkpoint"), [(81, None), (None, OTHER_WEIGHTS)])
def test_a_frozen_run_that_grew_stops_before_it_is_signed(vault: Vault, pflop: int, checkpoint: str) -> None:
    declare(vault)
    move(vault, "started", pflop=70)
    move(vault, "frozen", pflop=80, checkpoint=WEIGHTS)
    with pytest.raises(PolicyError) as caught:
        require_sane(step(vault, "started", pflop=pflop, checkpoint=checkpoint).findings, {})
    assert caught.value.field == "X6 r-1.frozen"


def test_a_run_over_its_cap_stops_before_it_is_signed(vault: Vault) -> None:
    declare(vault)
    with pytest.raises(PolicyError) as caught:
        require_sane(step(vault, "started", pflop=9001).findings, {})
    assert caught.value.field == "X6 r-1.own_pflop"
    require_sane(step(vault, "started", pflop=9000).findings, {})


def test_what_is_in_a_base_model_of_the_lab_itself_comes_from_the_vault(vault: Vault) -> None:
    opened = declare(vault)
    move(vault, "started", pflop=4000)
    move(vault, "completed", checkpoint=WEIGHTS)
    tuned = Plan(
        kind="post-training", base=Base(lab=LAB, run="r-1"), estimate_pflop=10, cap_pflop=90, code="01" * 32,
        config="02" * 32,
    )  # fmt: skip
    declare(vault, "r-2", tuned)
    started = move(vault, "started", pflop=8, run="r-2")
    assert started.base_model is not None
    assert (started.base_model.leaf, started.band, started.run_band) == (opened.leaf, 18, 15)
    assert read_runs(vault, LEDGER.charter.fingerprint)["r-2"].fields.cumulative_pflop == 4008


def test_a_base_model_of_others_needs_its_figures(vault: Vault) -> None:
    def opened(pflop: int | None) -> StoredStatement:
        base = Base(lab="lab-x", run="old", pflop=pflop)
        return declare(
            vault,
            "r-3",
            Plan(kind="post-training", base=base, estimate_pflop=1, cap_pflop=9, code="00" * 32, config="00" * 32),
        )

    with pytest.raises(ConditionError):
        opened(None)
    with pytest.raises(FormatError):
        file(vault, prepare_opening(
            vault, Step(run="r-3", state="started", clusters=["c1"], pflop=SIZE_MAX),
            Plan(kind="post-training", base=Base(lab="lab-x", run="old", pflop=1), estimate_pflop=1,
                 cap_pflop=9, code="00" * 32, config="00" * 32),
            ledger=LEDGER, lab=LAB,
        ), LEDGER)  # fmt: skip
    assert opened(10**6).sequence == 0


def test_a_run_is_opened_once_and_must_be_known_to_go_on(vault: Vault) -> None:
    declare(vault)
    with pytest.raises(PolicyError) as twice:
        declare(vault)
    assert twice.value.code is Code.RUN_STATE
    with pytest.raises(ConditionError) as unknown:
        step(vault, "started", run="r-9")
    assert unknown.value.code is Code.UNKNOWN_RUN


def test_a_model_is_handed_in_supplied_for_and_released_by_one_digest(vault: Vault) -> None:
    model = Model(id="m-1", runs=["r-2", "r-1"], digest=WEIGHTS)
    with pytest.raises(ConditionError) as early:
        prepare_supply(vault, "m-1", "logs", ledger=LEDGER, lab=LAB)
    assert early.value.code is Code.UNKNOWN_REVIEW
    prepared = prepare_review(model, evaluation=b"our tests", planned_at=Seconds(5), ledger=LEDGER, lab=LAB)
    review = file(vault, prepared, LEDGER)
    verify_stored(review)
    event = file(vault, prepare_supply(vault, "m-1", "logs", ledger=LEDGER, lab=LAB), LEDGER)
    assert parse_review_event(parse_envelope(event.envelope).payload).predicate.review == review.leaf
    released = file(vault, prepare_notice(vault, Model(id="m-1"), ledger=LEDGER, lab=LAB), LEDGER)
    notice = parse_release_notice(parse_envelope(released.envelope).payload).predicate
    assert (notice.runs, notice.digest) == (("r-1", "r-2"), WEIGHTS)


def test_a_release_without_a_review_or_of_other_weights_is_noted(vault: Vault) -> None:
    free = prepare_notice(vault, Model(id="m-9", runs=["r-1"], digest=WEIGHTS), ledger=LEDGER, lab=LAB)
    assert "no review" in free.notes[0]
    model = Model(id="m-1", runs=["r-1"], digest=WEIGHTS)
    file(vault, prepare_review(model, evaluation=b"", planned_at=Seconds(5), ledger=LEDGER, lab=LAB), LEDGER)
    other = prepare_notice(vault, Model(id="m-1", digest=OTHER_WEIGHTS), ledger=LEDGER, lab=LAB)
    assert "other weights" in other.notes[0]
