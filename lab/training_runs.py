"""What a lab says of a training run, ready to be signed: what was fixed is from the vault, what is new is checked.

A run's own operations are at least what the reports in the vault say of it (X6), and no more than its cap. Of a frozen
run the very digests of before are said again, since nobody could tell what new ones hide (`ledger.rules.runs`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.pinned import PinnedLedger
from lab.preparing import Hidden, Prepared, begin, hide, require_agreement
from lab.stored import StoredStatement, find_opening
from lab.vault import Vault
from ledger.crosschecks.comparisons import Comparison, Outcome, Place
from ledger.disclosure import parse_disclosure
from ledger.errors import Code, ConditionError, FormatError, PolicyError
from ledger.limits import INTERVAL_MAX, SIZE_MAX
from ledger.openings import WHOLE
from ledger.positions import Interval
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import encode_quantity, parse_quantity
from ledger.statements.reports import compute_band
from ledger.statements.runs import (
    TRAINING_RUN,
    BaseModel,
    RunFields,
    RunKind,
    RunState,
    TrainingRun,
    encode_run_fields,
    encode_training_run,
    parse_run_fields,
    parse_training_run,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a run begins with.

    Attributes:
        lab: who trained it.
        run: the run it came of.
        leaf: leaf hash of the entry that opened that run; None if it is not on this ledger. Of a run of this lab's own
            the vault knows it.
        pflop: what is in it; None if the vault knows it.
    """

    lab: str
    run: str
    leaf: str | None = None
    pflop: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is fixed when a run is opened.

    Attributes:
        kind: pre-training or post-training.
        base: what it begins with; None for nothing.
        estimate_pflop: what the run will come to; hidden.
        cap_pflop: the most it may come to; hidden, its decade is public.
        code: hex SHA-256 of the program; hidden.
        config: hex SHA-256 of its settings; hidden.
    """

    kind: RunKind
    base: Base | None
    estimate_pflop: int
    cap_pflop: int
    code: str
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is said of a run this time.

    Attributes:
        run: its id.
        state: where it stands now.
        clusters: that it runs on, beside those it ran on before.
        pflop: its own operations so far; None for what the reports say.
        checkpoint: hex SHA-256 of the newest weights; None for those of before.
    """

    run: str
    state: RunState
    clusters: Sequence[str] = ()
    pflop: int | None = None
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class SaidRun:
    """A run as the vault knows it.

    Attributes:
        opened: leaf hash of the first statement of it.
        stored: the last one.
        last: what that says.
        fields: what it hides.
    """

    opened: str
    stored: StoredStatement
    last: TrainingRun
    fields: RunFields

    @property
    def base_pflop(self) -> int:
        """What is in its base model."""
        return _read(self.fields.cumulative_pflop) - _read(self.fields.run_pflop)


def read_runs(vault: Vault, ledger: str) -> dict[str, SaidRun]:
    """Give every run that the lab spoke of, by id."""
    runs: dict[str, SaidRun] = {}
    for stored in vault.read_statements(ledger, TRAINING_RUN):
        run = parse_training_run(parse_envelope(stored.envelope).payload).predicate
        disclosures = find_opening(stored, WHOLE).disclosures
        fields = parse_run_fields({name: parse_disclosure(text).value for name, text in disclosures.items()})
        opened = runs[run.run].opened if run.run in runs else stored.leaf
        runs[run.run] = SaidRun(opened, stored, run, fields)
    return runs


def require_run(vault: Vault, ledger: str, run: str) -> SaidRun:
    """Give a run that the lab spoke of.

    Raises:
        ConditionError: it did not (`UNKNOWN_RUN`).
    """
    known = read_runs(vault, ledger).get(run)
    if known is None:
        expected = "a run that this lab declared, in the vault"
        raise ConditionError(field="run", found=run, expected=expected, code=Code.UNKNOWN_RUN)
    return known


def prepare_opening(vault: Vault, step: Step, plan: Plan, *, ledger: PinnedLedger, lab: str) -> Prepared:
    """Open a run: declare it, or say that it has started without having been declared.

    Raises:
        RejectedError: the ledger takes reports alone.
        PolicyError: the lab has spoken of this run (`RUN_STATE`).
        ConditionError: what is in the base model is not known (`CONFIG`).
        FormatError: a value that a run cannot have.
    """
    require_agreement(ledger)
    runs = read_runs(vault, ledger.charter.fingerprint)
    if step.run in runs:
        found = f"{step.run}, which is {runs[step.run].last.state}"
        raise PolicyError(field="run", found=found, expected="another id", code=Code.RUN_STATE)
    base, base_pflop = _find_base(runs, plan.base, lab=lab)
    done = 0 if step.state == "declared" else _choose_pflop(vault, step, ledger, least=0)
    shown = plan.estimate_pflop if step.state == "declared" else done
    fields = RunFields(
        estimate_pflop=encode_quantity(plan.estimate_pflop),
        cap_pflop=encode_quantity(plan.cap_pflop),
        run_pflop=encode_quantity(done),
        cumulative_pflop=_write(done + base_pflop),
        code=plan.code,
        config=plan.config,
    )
    hidden = hide(encode_run_fields(fields))
    statement = TrainingRun(
        **begin(ledger, lab),
        run=step.run,
        state=step.state,
        kind=plan.kind,
        base_model=base,
        clusters=tuple(sorted(step.clusters)),
        band=compute_band(shown + base_pflop),
        run_band=compute_band(shown),
        cap_band=compute_band(plan.cap_pflop),
        checkpoint=step.checkpoint,
        digests=hidden.digests,
    )
    findings = _examine(vault, ledger, step.run, shown, cap_pflop=plan.cap_pflop)
    return _finish(statement, hidden, findings)


def prepare_step(vault: Vault, step: Step, *, ledger: PinnedLedger, lab: str) -> Prepared:
    """Say what became of a run that was opened.

    Raises:
        RejectedError: the ledger takes reports alone.
        ConditionError: the lab never spoke of this run (`UNKNOWN_RUN`).
        FormatError: a value that a run cannot have.
    """
    require_agreement(ledger)
    known = require_run(vault, ledger.charter.fingerprint, step.run)
    last, before = known.last, _read(known.fields.run_pflop)
    if last.state == "frozen" and step.pflop in {None, before} and step.checkpoint in {None, last.checkpoint}:
        hidden = Hidden(last.digests, find_opening(known.stored, WHOLE))
        return _finish(_move(known, step, before, hidden, ledger=ledger, lab=lab), hidden, ())
    pflop = _choose_pflop(vault, step, ledger, least=before)
    fields = RunFields(
        estimate_pflop=known.fields.estimate_pflop,
        cap_pflop=known.fields.cap_pflop,
        run_pflop=encode_quantity(pflop),
        cumulative_pflop=_write(pflop + known.base_pflop),
        code=known.fields.code,
        config=known.fields.config,
    )
    hidden = hide(encode_run_fields(fields))
    findings = _examine(vault, ledger, step.run, pflop, cap_pflop=_read(known.fields.cap_pflop))
    if last.state == "frozen":
        place, expected = Place("X6", step.run), "neither operations nor weights: the run is frozen"
        findings += (place.compare("frozen", f"{pflop - before} more PFLOP", expected, holds=False),)
    return _finish(_move(known, step, pflop, hidden, ledger=ledger, lab=lab), hidden, findings)


def _move(known: SaidRun, step: Step, pflop: int, hidden: Hidden, *, ledger: PinnedLedger, lab: str) -> TrainingRun:
    last = known.last
    return TrainingRun(
        **begin(ledger, lab),
        run=step.run,
        state=step.state,
        kind=last.kind,
        base_model=last.base_model,
        clusters=tuple(sorted({*last.clusters, *step.clusters})),
        band=compute_band(pflop + known.base_pflop),
        run_band=compute_band(pflop),
        cap_band=last.cap_band,
        checkpoint=step.checkpoint or last.checkpoint,
        digests=hidden.digests,
    )


def _finish(statement: TrainingRun, hidden: Hidden, findings: tuple[Comparison, ...]) -> Prepared:
    failed = tuple(one for one in findings if one.outcome == Outcome.FAILS)
    return Prepared(statement=statement, encode=encode_training_run, openings=(hidden.opening,), findings=failed)


def _find_base(runs: dict[str, SaidRun], base: Base | None, *, lab: str) -> tuple[BaseModel | None, int]:
    if base is None:
        return None, 0
    own = runs.get(base.run) if base.lab == lab else None
    pflop = base.pflop if own is None or base.pflop is not None else _read(own.fields.cumulative_pflop)
    if pflop is None:
        found, expected = f"nothing of {base.lab}/{base.run}", "its cumulative PFLOP (--base-pflop)"
        raise ConditionError(field="base", found=found, expected=expected, code=Code.CONFIG)
    leaf = own.opened if own is not None and base.leaf is None else base.leaf
    return BaseModel(lab=base.lab, run=base.run, leaf=leaf), pflop


def _choose_pflop(vault: Vault, step: Step, ledger: PinnedLedger, *, least: int) -> int:
    if step.pflop is not None:
        return step.pflop
    return max(least, _sum_reported(vault, ledger, step.run))


def _sum_reported(vault: Vault, ledger: PinnedLedger, run: str) -> int:
    """What the reports in the vault say that a run came to, on all clusters."""
    history = vault.read_history(ledger.charter.fingerprint, Interval(INTERVAL_MAX))
    return sum(pflop for (_, each), pflop in history.runs.items() if each == run)


def _examine(vault: Vault, ledger: PinnedLedger, run: str, pflop: int, *, cap_pflop: int) -> tuple[Comparison, ...]:
    """X6, on what only the lab knows in full."""
    place, reported = Place("X6", run), _sum_reported(vault, ledger, run)
    return (
        place.compare("run_pflop", pflop, f"at least {reported}, as reports say", holds=pflop >= reported),
        place.compare("own_pflop", pflop, f"at most its cap, {cap_pflop}", holds=pflop <= cap_pflop),
    )


def _write(pflop: int) -> int | str:
    if pflop > SIZE_MAX:
        raise FormatError(field="cumulative_pflop", found=pflop, expected=f"at most {SIZE_MAX}, with the base model's")
    return encode_quantity(pflop)


def _read(quantity: int | str) -> int:
    return parse_quantity(quantity, field="run")
