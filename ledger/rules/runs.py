"""Training runs: what a lab may say of them and when, what its nation answers, and what public figures prove.

1. A run goes declared → approved or refused → started ⇄ frozen → stopped or completed. Its lab says all but the
   second, which the lab's own nation says, as often as it changes its mind before the start, or silence. Which
   statement may follow which is `NEXT_STATES`. A run that was never declared may be said to have started: that it is
   late is no reason not to tell.
2. Silence: a declared run whose estimate may reach `approve_pflop` is approved or refused, as the agreement has it,
   once `approval_window_s` has passed; an outage moves that as it moves other deadlines (`ledger.rules.grid`). Nothing
   is written then: where a run stands follows from the time (`compute_stage`). One whose estimate reaches
   `prohibit_pflop` is refused from the beginning, and no nation can approve it.
3. What was fixed when a run was opened stays: its kind, its base model, its cap. While it is under way its bands never
   fall and no cluster leaves its list.
4. What a run begins with is in its figures (`ledger.rules.lineage`).
5. A frozen run does not grow. Another checkpoint or a higher band while it is frozen, or when it goes on, proves that
   it did: `FROZEN_RUN_GREW`. If neither is there, the salted digests are the very ones of before, or the statement is
   refused: nobody could tell what new ones hide. What goes on names the weights it goes on with. A run that a pause
   froze (`ledger.rules.freezes`) is held against what was said there: who says that it has started names its weights,
   and others than those, or a higher band, prove that it grew. A declaration is of
   what is to come, and proves nothing.
6. Thresholds are held against public bands alone (`ledger.rules.thresholds`). From its start on, each statement of a
   run that is under way gives, on the interval in which the statement's block lies and on all its clusters:
   `RUN_UNDECLARED` if it reaches the threshold of declaring and was not declared; `RUN_UNAPPROVED` if it reaches
   `approve_pflop` and was not approved when it started; `RUN_PROHIBITED` if it reaches `prohibit_pflop`; `RUN_OVER_CAP`
   if it has done more than its cap's band allows.

Bounded: a lab has at most `RUNS_OPEN_MAX` runs that have not ended and `RUNS_PER_LAB_MAX` over all time; a cluster has
each of these reasons once an interval, however often it is shown.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ledger.agreement import Agreement
from ledger.errors import Code, Rejection, reject
from ledger.positions import Interval, LeafIndex, Millis
from ledger.rules.entries import Context, Kind
from ledger.rules.freezes import get_freezes
from ledger.rules.grid import compute_next_interval, extend_deadline
from ledger.rules.lineage import check_lineage
from ledger.rules.records.foundation import CLOCK, FOUNDATION
from ledger.rules.records.pauses import Freeze
from ledger.rules.records.registry import LABS, Lab, make_number_name
from ledger.rules.records.runs import NO_RUNS, RUN_COUNTS, RUNS, Base, Run, RunCounts, RunStage, find_run, make_run_name
from ledger.rules.remarks import add_remarks
from ledger.rules.state import State
from ledger.rules.thresholds import compute_breaches, may_need_approval
from ledger.statements.runs import (
    RUN_DECISION,
    TRAINING_RUN,
    RunDecision,
    RunState,
    TrainingRun,
    parse_run_decision,
    parse_training_run,
)
from ledger.statements.verdicts import Reason

RUNS_OPEN_MAX: Final = 256
RUNS_PER_LAB_MAX: Final = 4_096
"""Ended ones included, since models come of them: a run a day for eleven years."""

NEXT_STATES: Final[Mapping[RunStage | None, tuple[RunState, ...]]] = {
    None: ("declared", "started"),
    "declared": ("started", "stopped"),
    "approved": ("started", "stopped"),
    "refused": ("started", "stopped"),
    "started": ("started", "frozen", "stopped", "completed"),
    "frozen": ("started", "frozen", "stopped", "completed"),
    "stopped": (),
    "completed": (),
}
"""What a lab may say of a run, by where the run stands."""

_FIELD: Final = "statement.predicate"
_ENDED: Final = ("stopped", "completed")
_BEGUN: Final = ("started", "frozen", "stopped", "completed")


def compute_stage(state: State, run: Run, *, time_ms: Millis) -> RunStage:
    """Where a run stands at a time: rule 2."""
    if run.stage != "declared":
        return run.stage
    terms = get_agreement(state).runs
    if Reason.RUN_PROHIBITED in compute_breaches(terms, run):
        return "refused"
    if not may_need_approval(terms, run):
        return "declared"
    if time_ms < compute_approval_end_ms(state, run):
        return "declared"
    return "approved" if terms.silence == "approves" else "refused"


def compute_approval_end_ms(state: State, run: Run) -> Millis:
    """From when on the silence of nations means something for a declared run, after the outages so far."""
    end_ms = run.opened_ms + get_agreement(state).runs.approval_window_s * 1000
    return Millis(extend_deadline(end_ms, since=run.opened_ms, outages=CLOCK.require(state).outages))


def put_reason(
    state: State, lab_id: str, clusters: Sequence[str], reason: Reason, *, time_ms: Millis, source: LeafIndex
) -> None:
    """Put a reason up on clusters of a lab, in the interval that a time lies in. It is never taken down.

    A cluster that does not count yet has it in its first interval: naming a new one hides nothing. One that has it
    already does not get it again, so a lab cannot crowd out what others say of it.

    Args:
        state: to change.
        lab_id: whose.
        clusters: of this lab.
        reason: what was shown.
        time_ms: of the block that shows it.
        source: index of the entry that the reason goes back to.
    """
    next_interval = compute_next_interval(FOUNDATION.require(state).grid, time_ms)
    interval = Interval(max(0, next_interval - 1))
    lab = LABS.require(state, lab_id.encode())
    first = {cluster.id: cluster.first_interval for cluster in lab.clusters}
    by_interval: dict[Interval, list[str]] = {}
    for cluster in clusters:
        by_interval.setdefault(max(interval, first[cluster]), []).append(cluster)
    for at, named in by_interval.items():
        add_remarks(state, lab=lab_id, interval=at, reason=reason, source=source, clusters=named, is_once=True)


def apply_training_run(state: State, context: Context, said: TrainingRun) -> Rejection | None:
    """Take what a lab says of a run. Believes that the header was checked."""
    lab = LABS.require(state, said.issuer.encode())
    before = RUNS.get(state, make_run_name(lab.number, said.run))
    counts = RUN_COUNTS.get(state, make_number_name(lab.number)) or NO_RUNS
    stage = None if before is None else compute_stage(state, before, time_ms=context.time_ms)
    stands_still = before is not None and before.stage == "frozen"
    freezes = get_freezes(state, said.issuer, said.run)
    rejection = (
        _check_step(said, stage)
        or _check_count(said, before, counts)
        or _check_clusters(lab, said, before)
        or _check_fixed(said, before)
        or check_lineage(state, said, before, has_begun=before is not None and before.stage in _BEGUN)
        or _check_growth(said, before, is_frozen=stands_still)
        or _check_freezes(said, freezes)
    )
    if rejection is not None:
        return rejection
    after = _make_run(state, context, said, before, stage)
    RUNS.put(state, after, make_run_name(lab.number, said.run))
    _count(state, lab, before, after, counts)
    has_grown = said.state != "declared" and (
        (stands_still and before is not None and _has_grown(said, before))
        or any(said.band > each.band or said.checkpoint not in (None, each.checkpoint.hex()) for each in freezes)
    )
    reasons = [Reason.FROZEN_RUN_GREW] if has_grown else []
    if has_grown or _is_under_way(said, stage):
        reasons += compute_breaches(get_agreement(state).runs, after)
    for reason in reasons:
        put_reason(state, said.issuer, said.clusters, reason, time_ms=context.time_ms, source=after.opened_by)
    return None


def apply_run_decision(state: State, context: Context, said: RunDecision) -> Rejection | None:
    """Approve or refuse a run that was declared. Believes that the header was checked."""
    run = find_run(state, said.lab, said.run)
    rejection = check_nation(state, said.lab, said.issuer) or _check_decision(state, said, run, time_ms=context.time_ms)
    if run is None or rejection is not None:
        return rejection
    lab = LABS.require(state, said.lab.encode())
    RUNS.put(state, msgspec.structs.replace(run, stage=said.decision), make_run_name(lab.number, said.run))
    return None


def check_nation(state: State, lab_id: str, issuer: str) -> Rejection | None:
    """Refuse a nation that answers for a lab which is not its own."""
    lab = LABS.get(state, lab_id.encode())
    if lab is not None and lab.nation == issuer:
        return None
    return reject(
        Code.WRONG_ISSUER,
        field=f"{_FIELD}.lab",
        found=f"{lab_id}, by {issuer}",
        expected="a registered lab" if lab is None else f"a statement of {lab.nation}, whose lab it is",
    )


def get_agreement(state: State) -> Agreement:
    """The agreement, without which no rule of runs is called."""
    agreement = state.charter.agreement
    assert agreement is not None
    return agreement


def _check_decision(state: State, said: RunDecision, run: Run | None, *, time_ms: Millis) -> Rejection | None:
    """Rules 1 and 2."""
    if run is None:
        return reject(Code.UNKNOWN_RUN, field=f"{_FIELD}.run", found=said.run, expected=f"a run of {said.lab}")
    if not run.is_declared or run.stage in _BEGUN:
        found = run.stage if run.is_declared else f"{run.stage}, never declared"
        return reject(Code.RUN_STATE, field=f"{_FIELD}.run", found=found, expected="a declared run before its start")
    if said.declaration != run.leaf.hex():
        return reject(
            Code.INVALID_FIELD, field=f"{_FIELD}.declaration", found=said.declaration, expected=run.leaf.hex()
        )
    if said.decision == compute_stage(state, run, time_ms=time_ms):
        return reject(
            Code.RUN_STATE, field=f"{_FIELD}.decision", found=said.decision, expected="something else than what holds"
        )
    if said.decision == "approved" and Reason.RUN_PROHIBITED in compute_breaches(get_agreement(state).runs, run):
        return reject(
            Code.INVALID_FIELD,
            field=f"{_FIELD}.decision",
            found=said.decision,
            expected="refused: the estimate reaches what the agreement prohibits",
        )
    return None


def _check_step(said: TrainingRun, stage: RunStage | None) -> Rejection | None:
    """Rule 1."""
    allowed = NEXT_STATES[stage]
    if said.state in allowed:
        return None
    return reject(
        Code.UNKNOWN_RUN if stage is None else Code.RUN_STATE,
        field=f"{_FIELD}.state",
        found=f"{said.state} of a run that {'nobody knows' if stage is None else f'is {stage}'}",
        expected=" or ".join(allowed) or "nothing more: the run has ended",
    )


def _check_count(said: TrainingRun, before: Run | None, counts: RunCounts) -> Rejection | None:
    if before is not None or (counts.open_count < RUNS_OPEN_MAX and counts.run_count < RUNS_PER_LAB_MAX):
        return None
    return reject(
        Code.TOO_LARGE,
        field=f"{_FIELD}.run",
        found=f"{said.run}, beside {counts.open_count} that have not ended, of {counts.run_count}",
        expected=f"at most {RUNS_OPEN_MAX} that have not ended, and {RUNS_PER_LAB_MAX} over all time",
    )


def _check_clusters(lab: Lab, said: TrainingRun, before: Run | None) -> Rejection | None:
    """Clusters are the lab's, and rule 3."""
    owned = {cluster.id for cluster in lab.clusters}
    for cluster in said.clusters:
        if cluster not in owned:
            return reject(
                Code.UNKNOWN_CLUSTER,
                field=f"{_FIELD}.clusters",
                found=cluster,
                expected=f"a cluster of {said.issuer}",
            )
    kept = before.clusters if before is not None and before.stage in _BEGUN else ()
    for cluster in kept:
        if cluster not in said.clusters:
            return reject(
                Code.INVALID_FIELD,
                field=f"{_FIELD}.clusters",
                found=f"none called {cluster}",
                expected="every cluster that the run was on since it started",
            )
    return None


def _check_fixed(said: TrainingRun, before: Run | None) -> Rejection | None:
    """Rule 3."""
    if before is None:
        return None
    for name, now, then in (
        ("kind", said.kind, before.kind),
        ("base_model", _describe(_make_base(said)), _describe(before.base)),
        ("cap_band", said.cap_band, before.cap_band),
    ):
        if now != then:
            return reject(
                Code.INVALID_FIELD, field=f"{_FIELD}.{name}", found=now, expected=f"{then}, as the run was opened"
            )
    return None


def _describe(base: Base | None) -> str:
    return "null" if base is None else f"{base.lab}/{base.run}, leaf {base.leaf.hex() or 'null'}"


def _check_growth(said: TrainingRun, before: Run | None, *, is_frozen: bool) -> Rejection | None:
    """Rules 3 and 5."""
    if before is None or before.stage not in _BEGUN:
        return None
    for name, now, then in (("band", said.band, before.band), ("run_band", said.run_band, before.run_band)):
        if now < then:
            return reject(Code.BAND_FALLS, field=f"{_FIELD}.{name}", found=now, expected=f"at least {then}")
    if is_frozen and said.state == "started" and said.checkpoint is None and before.checkpoint:
        return reject(
            Code.RUN_FROZEN,
            field=f"{_FIELD}.checkpoint",
            found="null",
            expected=f"{before.checkpoint.hex()}, the weights that the run goes on with",
        )
    if is_frozen and not _has_grown(said, before) and _compute_figures(said) != before.figures:
        return reject(
            Code.RUN_FROZEN,
            field=f"{_FIELD}.digests",
            found="other digests, with the bands and the checkpoint of before",
            expected="the very digests of before: while a run is frozen nothing changes",
        )
    return None


def _check_freezes(said: TrainingRun, freezes: Sequence[Freeze]) -> Rejection | None:
    """Rule 5, of runs that pauses froze."""
    if not freezes or said.state != "started" or said.checkpoint is not None:
        return None
    return reject(
        Code.RUN_FROZEN,
        field=f"{_FIELD}.checkpoint",
        found="null",
        expected=f"the weights of the run, which {freezes[0].pause} froze as {freezes[0].checkpoint.hex()}",
    )


def _has_grown(said: TrainingRun, before: Run) -> bool:
    """Say whether more was done than before, by public figures alone."""
    has_other_weights = said.checkpoint is not None and bytes.fromhex(said.checkpoint) != before.checkpoint
    return said.band > before.band or said.run_band > before.run_band or has_other_weights


def _is_under_way(said: TrainingRun, stage: RunStage | None) -> bool:
    """Say whether the run was computing at some time since its last statement, as far as its lab says."""
    if said.state == "started" or stage == "started":
        return True
    return stage in ("declared", "approved", "refused") and said.run_band > 0


def _make_run(state: State, context: Context, said: TrainingRun, before: Run | None, stage: RunStage | None) -> Run:
    """The run after a statement that was checked."""
    is_declaration = said.state == "declared"
    base_band = 0 if before is None else before.base_band
    if said.base_model is not None and said.base_model.leaf is not None and stage not in ("started", "frozen"):
        base = find_run(state, said.base_model.lab, said.base_model.run)
        base_band = 0 if base is None else base.band
    checkpoint = bytes.fromhex(said.checkpoint) if said.checkpoint is not None else b""
    first = before or Run(
        stage="declared",
        kind=said.kind,
        opened_by=context.index,
        leaf=context.entry.leaf_hash,
        opened_ms=context.time_ms,
        is_declared=is_declaration,
        is_approved=False,
        base=_make_base(said),
        base_band=base_band,
        estimate_band=said.band if is_declaration else 0,
        estimate_run_band=said.run_band if is_declaration else 0,
        cap_band=said.cap_band,
        band=0,
        run_band=0,
        checkpoint=b"",
        figures=b"",
        clusters=(),
    )
    return msgspec.structs.replace(
        first,
        stage=said.state,
        is_approved=first.is_approved or stage == "approved",
        base_band=base_band,
        band=0 if is_declaration else said.band,
        run_band=0 if is_declaration else said.run_band,
        checkpoint=checkpoint or first.checkpoint,
        figures=_compute_figures(said),
        clusters=said.clusters,
    )


def _make_base(said: TrainingRun) -> Base | None:
    named = said.base_model
    return None if named is None else Base(named.lab, named.run, bytes.fromhex(named.leaf or ""))


def _compute_figures(said: TrainingRun) -> bytes:
    return hashlib.sha256("".join(said.digests).encode()).digest()


def _count(state: State, lab: Lab, before: Run | None, after: Run, counts: RunCounts) -> None:
    opened, ended = before is None, after.stage in _ENDED
    if opened or ended:
        changed = RunCounts(counts.open_count + opened - ended, counts.run_count + opened, counts.model_count)
        RUN_COUNTS.put(state, changed, make_number_name(lab.number))


TRAINING_RUN_KIND: Final = Kind(
    name=TRAINING_RUN, is_for_nations=False, signature_count=1, parse=parse_training_run, apply=apply_training_run
)
RUN_DECISION_KIND: Final = Kind(
    name=RUN_DECISION, is_for_nations=True, signature_count=1, parse=parse_run_decision, apply=apply_run_decision
)
