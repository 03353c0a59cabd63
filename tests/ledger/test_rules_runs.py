"""Training runs: which statement may follow which, what silence means, and what public figures prove."""

from collections.abc import Mapping
from typing import Final, get_args

import msgspec
import pytest

from ledger.errors import Code, FormatError
from ledger.rules import runs as rules
from ledger.rules.records.runs import RUNS, RunStage
from ledger.rules.state import State, compute_state_digest
from ledger.rules.thresholds import compute_least_pflop, compute_most_pflop, is_reached
from ledger.statements.reports import compute_band
from ledger.statements.runs import BaseModel, RunKind, RunState
from ledger.statements.verdicts import Reason
from tests.ledger.rulebook import CHARTER_ENTRY, NATIONS, World, due
from tests.ledger.training import (
    LAB,
    OTHER_WEIGHTS,
    WEIGHTS,
    decision,
    get_run,
    make_digest,
    make_world,
    name_base,
    stage_of,
    training_run,
)

SAID: Final[tuple[RunState, ...]] = get_args(RunState)

PATHS: Final[Mapping[RunStage, tuple[str, ...]]] = {
    "declared": ("declared",),
    "approved": ("declared", "+approved"),
    "refused": ("declared", "+refused"),
    "started": ("declared", "started"),
    "frozen": ("declared", "started", "frozen"),
    "stopped": ("declared", "started", "stopped"),
    "completed": ("declared", "started", "completed"),
}
"""How a run comes to where it stands."""

OK, R = None, Code.RUN_STATE
TABLE: Final[Mapping[RunStage | None, tuple[Code | None, ...]]] = {
    #            declared started frozen stopped completed
    None: (OK, OK, Code.UNKNOWN_RUN, Code.UNKNOWN_RUN, Code.UNKNOWN_RUN),
    "declared": (R, OK, R, OK, R),
    "approved": (R, OK, R, OK, R),
    "refused": (R, OK, R, OK, R),
    "started": (R, OK, OK, OK, OK),
    "frozen": (R, OK, OK, OK, OK),
    "stopped": (R, R, R, R, R),
    "completed": (R, R, R, R, R),
}
DECISIONS: Final[Mapping[RunStage | None, tuple[Code | None, Code | None]]] = {
    #            approved refused
    None: (Code.UNKNOWN_RUN, Code.UNKNOWN_RUN),
    "declared": (OK, OK),
    "approved": (R, OK),
    "refused": (OK, R),
    "started": (R, R),
    "frozen": (R, R),
    "stopped": (R, R),
    "completed": (R, R),
}


def bring(world: World, stage: RunStage | None, *, at: int = 110, **changes: object) -> None:
    """Take a run to a stage; a run that is not yet there is left so."""
    for step in () if stage is None else PATHS[stage]:
        if step.startswith("+"):
            world.accept(at, decision(world, "approved" if step == "+approved" else "refused"))
        else:
            said = next(each for each in SAID if each == step)
            given = changes if said == "declared" else {key: value for key, value in changes.items() if key != "band"}
            world.accept(at, training_run(world, said, **given))


def reasons_of(world: World, interval: int, cluster: str = "a1") -> list[str]:
    """What the newest verdict says of runs; the report is filed if it is not."""
    at = max(due(interval) - 1, (world.blocks[-1][0] - world.blocks[0][0]) // 1000 + 10)
    if interval not in world.labs[LAB].latest:
        world.file(at, LAB, interval, ["a1", "a2"])
    world.block(at + 1)
    return [reason for reason in world.said(LAB, cluster, interval)[-1][1] if "FILED" not in reason]


# --- which statement may follow which ---------------------------------------------------------------------------------


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("stage", [None, *PATHS])
def test_every_statement_after_every_stage_is_taken_or_refused_with_its_code(
    stage: RunStage | None, said: RunState
) -> None:
    world = make_world()
    bring(world, stage)
    expected = TABLE[stage][SAID.index(said)]
    entry = training_run(world, said)
    if expected is not None:
        assert world.refuse(120, entry).code is expected
        return
    world.accept(120, entry)
    assert stage_of(world, 120) == said


@pytest.mark.parametrize("word", ["approved", "refused"])
@pytest.mark.parametrize("stage", [None, *PATHS])
def test_every_decision_at_every_stage_is_taken_or_refused_with_its_code(stage: RunStage | None, word: str) -> None:
    world = make_world()
    bring(world, stage)
    expected = DECISIONS[stage][word == "refused"]
    entry = decision(world, "approved" if word == "approved" else "refused")
    if expected is not None:
        assert world.refuse(120, entry).code is expected
        return
    world.accept(120, entry)
    assert stage_of(world, 120) == word


def test_only_the_labs_own_nation_decides_and_only_on_what_was_declared() -> None:
    world = make_world()
    bring(world, "declared")
    assert world.refuse(120, decision(world, "approved", nation=NATIONS[1])).code is Code.WRONG_ISSUER
    assert world.refuse(120, decision(world, "approved", lab="nobody")).code is Code.WRONG_ISSUER
    assert world.refuse(120, decision(world, "approved", declaration="11" * 32)).code is Code.INVALID_FIELD
    world.accept(120, training_run(world, "started", run="r2"))
    assert world.refuse(120, decision(world, "approved", run="r2")).code is Code.RUN_STATE


def test_a_run_keeps_what_it_was_opened_with() -> None:
    world = make_world()
    bring(world, "started")
    base = BaseModel(lab="elsewhere", run="x", leaf=None)
    changes: dict[str, dict[str, object]] = {
        "kind": {"kind": "post-training", "base_model": base},
        "base_model": {"base_model": base},
        "cap_band": {"cap_band": 31},
        "clusters": {"clusters": ("a2",)},
    }
    for name, change in changes.items():
        rejection = world.refuse(120, training_run(world, "started", **change))
        assert (rejection.code, rejection.field) == (Code.INVALID_FIELD, f"statement.predicate.{name}")
    assert world.refuse(120, training_run(world, "started", clusters=("a1", "b1"))).code is Code.UNKNOWN_CLUSTER
    world.accept(120, training_run(world, "started", clusters=("a1", "a2")))
    assert world.refuse(120, training_run(world, "stopped")).field == "statement.predicate.clusters"


def test_what_was_done_never_becomes_less() -> None:
    world = make_world()
    bring(world, "declared", band=22)
    world.accept(120, training_run(world, "started", band=20))  # an estimate is no work done
    for name in ("band", "run_band"):
        less: dict[str, object] = {"band": 19} if name == "band" else {"run_band": 19}
        rejection = world.refuse(120, training_run(world, "started", **less))
        assert rejection.code in (Code.BAND_FALLS, Code.LINEAGE)
    assert world.refuse(120, training_run(world, "completed", band=0)).code is Code.BAND_FALLS


@pytest.mark.parametrize(
    ("state", "changes", "field"),
    [
        ("declared", {"band": 21, "cap_band": 20}, "run_band"),
        ("declared", {"checkpoint": WEIGHTS}, "checkpoint"),
        ("frozen", {"checkpoint": None}, "checkpoint"),
        ("completed", {"checkpoint": None}, "checkpoint"),
        ("started", {"band": 14}, "band"),
        ("started", {"cap_band": 1}, "cap_band"),
        ("started", {"band": 20, "run_band": 21}, "band"),
        ("started", {"kind": "post-training"}, "base_model"),
        ("started", {"clusters": ("a2", "a1")}, "clusters"),
        ("started", {"clusters": ("a1", "a1")}, "clusters"),
        ("started", {"digests": ("!" * 43,)}, "digests"),
    ],
)
def test_what_contradicts_itself_cannot_be_written(state: RunState, changes: dict[str, object], field: str) -> None:
    with pytest.raises(FormatError) as caught:
        training_run(make_world(), state, **changes)
    assert caught.value.field == f"statement.predicate.{field}"


def test_a_lab_has_a_bounded_number_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RUNS_OPEN_MAX", 2)
    monkeypatch.setattr(rules, "RUNS_PER_LAB_MAX", 4)
    world = make_world()
    for run in ("r1", "r2"):
        world.accept(110, training_run(world, "declared", run=run))
    for run, ended in (("r3", "r1"), ("r4", "r2")):
        assert world.refuse(110, training_run(world, "declared", run=run)).code is Code.TOO_LARGE  # two are open
        world.accept(110, training_run(world, "stopped", run=ended))
        world.accept(110, training_run(world, "declared", run=run))
    world.accept(110, training_run(world, "stopped", run="r3"))
    assert world.refuse(110, training_run(world, "declared", run="r5")).code is Code.TOO_LARGE  # there were four


def test_a_ledger_without_an_agreement_knows_no_runs() -> None:
    world = World(CHARTER_ENTRY)
    world.register(10, LAB, ["a1"])
    before = compute_state_digest(world.state)
    assert world.refuse(110, training_run(world, "declared")).code is Code.UNKNOWN_KIND
    assert compute_state_digest(world.state) == before


def test_runs_come_back_from_the_store_as_they_were() -> None:
    world = make_world()
    bring(world, "frozen")
    back = State.restore(world.state.items(), charter=world.state.charter)
    assert compute_state_digest(back) == compute_state_digest(world.state)
    assert [key[:1] for key, _ in back.items()].count(RUNS.letter) == 1


# --- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("silence", "stage"), [("approves", "approved"), ("refuses", "refused")])
def test_silence_speaks_at_the_end_of_the_window_and_not_a_moment_before(silence: str, stage: str) -> None:
    world = make_world(runs={"silence": silence})
    bring(world, "declared", band=23)
    assert stage_of(world, 169) == "declared"
    assert stage_of(world, 170) == stage
    world.accept(170, training_run(world, "started", band=20))
    known = get_run(world)
    assert known is not None
    assert known.is_approved == (stage == "approved")
    assert reasons_of(world, 1) == ([] if stage == "approved" else ["RUN_UNAPPROVED"])


def test_a_start_before_silence_has_spoken_is_unapproved_for_good() -> None:
    world = make_world()
    bring(world, "declared", band=23)
    world.accept(169, training_run(world, "started", band=20))
    world.accept(210, training_run(world, "started", band=21))
    assert reasons_of(world, 1) == ["RUN_UNAPPROVED"]
    assert reasons_of(world, 2) == ["RUN_UNAPPROVED"]


@pytest.mark.parametrize("silence", ["approves", "refuses"])
def test_what_a_nation_says_holds_whatever_silence_would_mean(silence: str) -> None:
    world = make_world(runs={"silence": silence})
    bring(world, "declared", band=23)
    world.accept(120, decision(world, "refused"))
    assert stage_of(world, 500) == "refused"
    world.accept(130, decision(world, "approved"))
    assert stage_of(world, 500) == "approved"


def test_a_nation_may_overrule_silence_until_the_start() -> None:
    world = make_world()
    bring(world, "declared", band=23)
    assert world.refuse(180, decision(world, "approved")).code is Code.RUN_STATE  # silence has said so already
    world.accept(180, decision(world, "refused"))
    world.accept(190, training_run(world, "started", band=20))
    assert reasons_of(world, 1) == ["RUN_UNAPPROVED"]


@pytest.mark.parametrize("silence", ["approves", "refuses"])
def test_silence_says_nothing_of_a_run_that_cannot_need_an_approval(silence: str) -> None:
    world = make_world(runs={"silence": silence})
    bring(world, "declared", band=22)
    assert stage_of(world, 1_000) == "declared"
    world.accept(1_000, training_run(world, "started", band=22))
    world.accept(1_110, training_run(world, "started", band=23))
    assert reasons_of(world, 9) == []
    assert reasons_of(world, 11) == ["RUN_UNAPPROVED"]  # it has outgrown its estimate, and nobody was asked


@pytest.mark.parametrize(("threshold", "stage"), [(10**8 - 1, "approved"), (10**8, "declared")])
def test_silence_speaks_where_the_highest_value_of_the_estimate_may_need_it(threshold: int, stage: str) -> None:
    world = make_world(runs={"approve_pflop": threshold})
    bring(world, "declared", band=22)
    assert stage_of(world, 170) == stage


@pytest.mark.parametrize(("own", "stage"), [(19, "declared"), (20, "approved")])
def test_silence_says_nothing_of_post_training_that_does_not_count(own: int, stage: str) -> None:
    world = make_world(runs={"post_training_declare_pflop": 10**5 + 1})
    base = BaseModel(lab="elsewhere", run="giant", leaf=None)
    world.accept(110, training_run(world, "declared", kind="post-training", base_model=base, band=23, run_band=own))
    assert stage_of(world, 170) == stage


def test_an_outage_gives_the_nation_its_time_back() -> None:
    world = make_world()
    bring(world, "declared", band=23)  # at 110, silence until 170
    world.block(120)
    world.block(420)  # 300 without a block
    assert stage_of(world, 469) == "declared"
    assert stage_of(world, 470) == "approved"


def test_an_outage_after_silence_has_spoken_changes_nothing() -> None:
    world = make_world()
    bring(world, "declared", band=23)
    world.block(170)
    world.block(500)
    assert stage_of(world, 170) == stage_of(world, 500) == "approved"


def test_nobody_can_approve_what_is_prohibited() -> None:
    world = make_world()
    bring(world, "declared", band=24)
    assert stage_of(world, 110) == stage_of(world, 500) == "refused"
    assert world.refuse(120, decision(world, "approved")).code is Code.INVALID_FIELD
    world.accept(500, training_run(world, "started", band=0))
    assert reasons_of(world, 5) == ["RUN_PROHIBITED", "RUN_UNAPPROVED"]


# --- thresholds -------------------------------------------------------------------------------------------------------


def test_a_band_proves_its_lowest_value_and_no_more() -> None:
    for exponent in range(26):
        decade = 10**exponent
        for pflop in (decade, 2 * decade, 10 * decade - 1):
            band = compute_band(pflop)
            assert compute_least_pflop(band) == decade <= pflop <= compute_most_pflop(band)
    assert (compute_least_pflop(0), compute_most_pflop(0)) == (0, 0)
    assert is_reached(21, 10**6)
    assert not is_reached(21, 10**6 + 1)
    assert not is_reached(20, 10**6 - 1)
    assert is_reached(0, 0)


AT: Final = 10**6  # where decade 21 begins
THRESHOLDS: Final = [(AT - 1, 21), (AT, 21), (AT + 1, 22)]
"""Below, at and above the beginning of a decade, and the lowest band that proves each to be reached."""


@pytest.mark.parametrize(("threshold", "lowest"), THRESHOLDS)
def test_a_run_is_undeclared_from_the_band_that_proves_it(threshold: int, lowest: int) -> None:
    high = 10**15
    for band, expected in ((lowest - 1, []), (lowest, ["RUN_UNDECLARED"])):
        world = make_world(runs={"declare_pflop": threshold, "approve_pflop": high, "prohibit_pflop": high})
        world.accept(110, training_run(world, "started", band=band))
        assert reasons_of(world, 1) == expected


@pytest.mark.parametrize(("threshold", "lowest"), THRESHOLDS)
def test_a_run_is_unapproved_from_the_band_that_proves_it(threshold: int, lowest: int) -> None:
    for band, expected in ((lowest - 1, []), (lowest, ["RUN_UNAPPROVED"])):
        for estimate, so_far in ((band, 0), (15, band)):
            world = make_world(runs={"declare_pflop": 1, "approve_pflop": threshold, "prohibit_pflop": None})
            world.accept(110, training_run(world, "declared", band=estimate))
            world.accept(110, training_run(world, "started", band=so_far))
            assert reasons_of(world, 1) == expected


@pytest.mark.parametrize(("threshold", "lowest"), THRESHOLDS)
def test_a_run_is_prohibited_from_the_band_that_proves_it(threshold: int, lowest: int) -> None:
    for band, expected in ((lowest - 1, []), (lowest, ["RUN_PROHIBITED"])):
        world = make_world(runs={"declare_pflop": 1, "approve_pflop": 1, "prohibit_pflop": threshold})
        world.accept(110, training_run(world, "declared", band=15))
        world.accept(110, decision(world, "approved"))
        world.accept(110, training_run(world, "started", band=band))
        assert reasons_of(world, 1) == expected


@pytest.mark.parametrize(("threshold", "lowest"), THRESHOLDS)
def test_post_training_counts_from_its_own_operations_on_and_then_with_its_base(threshold: int, lowest: int) -> None:
    terms: dict[str, object] = {"post_training_declare_pflop": threshold}
    for own, expected in ((lowest - 1, []), (lowest, ["RUN_PROHIBITED", "RUN_UNAPPROVED", "RUN_UNDECLARED"])):
        world = make_world(runs=terms)
        base = BaseModel(lab="elsewhere", run="giant", leaf=None)
        entry = training_run(world, "started", kind="post-training", base_model=base, band=25, run_band=own)
        world.accept(110, entry)
        assert reasons_of(world, 1) == expected


def test_training_that_goes_on_from_a_base_model_counts_as_a_whole() -> None:
    world = make_world()
    base = BaseModel(lab="elsewhere", run="giant", leaf=None)
    world.accept(110, training_run(world, "declared", base_model=base, band=22, run_band=15))
    world.accept(110, training_run(world, "started", base_model=base, band=24, run_band=15))
    assert reasons_of(world, 1) == ["RUN_PROHIBITED", "RUN_UNAPPROVED"]


def test_a_run_beyond_the_band_of_its_cap_is_over_it() -> None:
    for band, expected in ((19, []), (20, ["RUN_OVER_CAP"])):
        world = make_world()
        world.accept(110, training_run(world, "declared", band=18, cap_band=19))
        world.accept(110, training_run(world, "started", band=band, cap_band=19))
        assert reasons_of(world, 1) == expected


def test_a_declaration_alone_is_no_breach_and_neither_is_its_withdrawal() -> None:
    world = make_world()
    world.accept(110, training_run(world, "declared", band=25))
    world.accept(110, training_run(world, "stopped", band=0))
    assert reasons_of(world, 1) == []


def test_who_withdraws_a_run_that_has_done_something_has_run_it() -> None:
    world = make_world()
    world.accept(110, training_run(world, "declared", band=23))
    world.accept(120, training_run(world, "stopped", band=21))
    assert reasons_of(world, 1) == ["RUN_UNAPPROVED"]


def test_reasons_stand_on_every_cluster_named_in_the_interval_of_the_block() -> None:
    world = make_world()
    world.accept(199, training_run(world, "started", band=21))
    world.accept(300, training_run(world, "stopped", band=21, clusters=("a1", "a2")))
    assert [reasons_of(world, 1, cluster) for cluster in ("a1", "a2")] == [["RUN_UNDECLARED"], []]
    assert reasons_of(world, 2) == []
    assert [reasons_of(world, 3, cluster) for cluster in ("a1", "a2")] == [["RUN_UNDECLARED"]] * 2
    assert world.said(LAB, "a2", 3)[-1][0] == "exceeded"


def test_a_cluster_that_does_not_count_yet_has_the_reason_in_its_first_interval() -> None:
    world = make_world()
    world.accept(20, training_run(world, "started", band=21))
    assert reasons_of(world, 1) == ["RUN_UNDECLARED"]


def test_no_lab_crowds_out_what_is_said_of_it_by_saying_the_same_often() -> None:
    world = make_world()
    for run in ("r1", "r2"):
        for band in (21, 22):
            world.accept(110, training_run(world, "started", run=run, band=band))
    lines = [value for key, value in world.state.items() if key[:1] == b"O"]
    assert sum(line.count(Reason.RUN_UNDECLARED.encode()) for line in lines) == 1


# --- frozen runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["started", "frozen", "stopped", "completed"])
@pytest.mark.parametrize(
    "growth", [{"checkpoint": OTHER_WEIGHTS}, {"band": 21}, {"checkpoint": OTHER_WEIGHTS, "digests": ()}]
)
def test_a_frozen_run_that_grew_is_told_by_its_weights_or_its_bands(said: RunState, growth: dict[str, object]) -> None:
    """One PFLOP more is another checkpoint, whatever the band."""
    world = make_world()
    bring(world, "frozen")
    world.accept(210, training_run(world, said, **growth))
    assert "FROZEN_RUN_GREW" in reasons_of(world, 2)
    assert world.said(LAB, "a1", 2)[-1][0] == "exceeded"


@pytest.mark.parametrize("said", ["started", "frozen", "stopped", "completed"])
def test_a_frozen_run_that_stood_still_says_the_very_same(said: RunState) -> None:
    world = make_world()
    bring(world, "frozen")
    rejection = world.refuse(210, training_run(world, said, digests=(make_digest("other"),)))
    assert (rejection.code, rejection.field) == (Code.RUN_FROZEN, "statement.predicate.digests")
    world.accept(210, training_run(world, said))
    assert reasons_of(world, 2) == []


def test_a_run_that_goes_on_names_its_weights() -> None:
    world = make_world()
    bring(world, "frozen")
    rejection = world.refuse(210, training_run(world, "started", checkpoint=None))
    assert (rejection.code, rejection.field) == (Code.RUN_FROZEN, "statement.predicate.checkpoint")
    world.accept(210, training_run(world, "stopped", checkpoint=None))  # nothing goes on


def test_a_run_that_goes_on_may_grow_again() -> None:
    world = make_world()
    bring(world, "frozen")
    world.accept(210, training_run(world, "started"))
    world.accept(210, training_run(world, "started", checkpoint=OTHER_WEIGHTS, digests=(make_digest("other"),)))
    assert reasons_of(world, 2) == []


def test_growth_is_measured_from_what_was_said_last() -> None:
    world = make_world()
    bring(world, "frozen")
    world.accept(210, training_run(world, "frozen", checkpoint=OTHER_WEIGHTS))
    world.accept(310, training_run(world, "frozen", checkpoint=OTHER_WEIGHTS))
    world.accept(410, training_run(world, "started"))
    assert [bool(reasons_of(world, interval)) for interval in (2, 3, 4)] == [True, False, True]


def test_a_frozen_run_that_grew_is_judged_as_one_that_ran() -> None:
    world = make_world()
    world.accept(110, training_run(world, "started", band=20))
    world.accept(110, training_run(world, "frozen", band=20))
    world.accept(210, training_run(world, "frozen", band=21))
    assert reasons_of(world, 2) == ["FROZEN_RUN_GREW", "RUN_UNDECLARED"]


# --- lineage ----------------------------------------------------------------------------------------------------------

PALM, U_PALM = compute_band(2_530_000_000), compute_band(4_000_000)
"""2.53e24 operations in the model, 4e21 of them by the run that made U-PaLM of PaLM (Epoch AI, notable models)."""


def post_train(world: World, state: RunState, base: BaseModel | None, **changes: object) -> bytes:
    kind: RunKind = "pre-training" if base is None else "post-training"
    fields: dict[str, object] = {"kind": kind, "base_model": base, "band": PALM, "run_band": U_PALM}
    return training_run(world, state, run="u-palm", **(fields | changes))


def train_base(world: World, run: str, band: int) -> None:
    world.accept(110, training_run(world, "declared", run=run, band=band))
    world.accept(110, training_run(world, "started", run=run, band=band))
    world.accept(110, training_run(world, "completed", run=run, band=band))


def test_u_palm_passes_with_its_lineage_and_fails_without() -> None:
    assert (PALM, U_PALM) == (24, 21)
    world = make_world(runs={"post_training_declare_pflop": 10**8})
    train_base(world, "palm", PALM)
    train_base(world, "small", 22)
    assert world.refuse(120, post_train(world, "started", None)).code is Code.LINEAGE
    wrong = world.refuse(120, post_train(world, "started", name_base(world, "small")))
    assert (wrong.code, wrong.field) == (Code.LINEAGE, "statement.predicate.band")
    world.accept(220, post_train(world, "started", name_base(world, "palm")))
    world.accept(220, post_train(world, "completed", name_base(world, "palm")))
    assert reasons_of(world, 2) == []
    known = get_run(world, "u-palm")
    assert known is not None
    assert (known.band, known.run_band, known.base_band) == (24, 21, 24)


@pytest.mark.parametrize(("band", "is_taken"), [(23, False), (24, True), (25, True), (26, False)])
def test_a_total_holds_its_base_and_no_more_than_both_come_to(band: int, is_taken: bool) -> None:
    world = make_world()
    train_base(world, "palm", PALM)
    entry = post_train(world, "started", name_base(world, "palm"), band=band)
    if is_taken:
        world.accept(120, entry)
        return
    assert world.refuse(120, entry).code is Code.LINEAGE


def test_a_base_on_this_ledger_is_named_by_the_entry_that_opened_it() -> None:
    world = make_world()
    train_base(world, "palm", PALM)
    base = name_base(world, "palm")
    for wrong in (
        msgspec.structs.replace(base, leaf=None),
        msgspec.structs.replace(base, leaf="11" * 32),
        msgspec.structs.replace(base, run="pal"),
        msgspec.structs.replace(base, lab="nobody"),
        BaseModel(lab=LAB, run="u-palm", leaf=None),  # itself
    ):
        assert world.refuse(120, post_train(world, "declared", wrong)).code is Code.LINEAGE
    world.accept(120, post_train(world, "declared", base))


def test_a_run_of_another_lab_may_be_the_base() -> None:
    world = make_world()
    world.register(20, "bolt", ["b1"], nation=NATIONS[1])
    world.accept(110, training_run(world, "started", lab="bolt", run="palm", band=PALM, clusters=("b1",)))
    base = name_base(world, "palm", lab="bolt")
    assert world.refuse(120, post_train(world, "started", base, band=23)).code is Code.LINEAGE
    world.accept(120, post_train(world, "started", base))


def test_a_base_without_operations_can_be_planned_with_but_not_begun_with() -> None:
    world = make_world()
    world.accept(110, training_run(world, "declared", run="palm", band=PALM))
    base = name_base(world, "palm")
    world.accept(110, post_train(world, "declared", base, band=25))  # what it will be
    assert world.refuse(120, post_train(world, "started", base)).field == "statement.predicate.base_model.run"
    world.accept(120, training_run(world, "started", run="palm", band=PALM))
    assert world.refuse(120, post_train(world, "started", base, band=23)).code is Code.LINEAGE
    world.accept(120, post_train(world, "started", base))


def test_what_a_base_does_later_is_not_in_the_model() -> None:
    world = make_world()
    world.accept(110, training_run(world, "started", run="palm", band=22))
    base = name_base(world, "palm")
    world.accept(110, post_train(world, "started", base, band=22))
    world.accept(120, training_run(world, "started", run="palm", band=25))
    world.accept(120, post_train(world, "started", base, band=23))
    assert world.refuse(120, post_train(world, "started", base, band=24)).code is Code.LINEAGE


def test_a_base_that_is_not_on_this_ledger_stays_the_labs_word() -> None:
    world = make_world()
    base = BaseModel(lab=LAB, run="palm", leaf=None)
    world.accept(110, post_train(world, "declared", base))
    train_base(world, "palm", 15)  # opened later, so another
    world.accept(120, post_train(world, "started", base))
    world.accept(120, post_train(world, "started", base))
