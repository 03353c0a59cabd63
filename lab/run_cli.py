"""`counterseal lab run … | release …`: what the lab trains, and what it releases."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lab.desk import Make, filed
from lab.files import read_bounded
from lab.releases import Model, prepare_notice, prepare_review, prepare_supply
from lab.training_runs import Base, Plan, Step, prepare_opening, prepare_step
from ledger.limits import MIB, SIZE_MAX
from ledger.positions import Seconds
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.runs import RunKind, RunState

app = typer.Typer()
run = typer.Typer(no_args_is_help=True, help="Say what is trained: declare a run, and how it goes on.")
release = typer.Typer(no_args_is_help=True, help="Hand a model in for review, and say that it was released.")
app.add_typer(run, name="run")
app.add_typer(release, name="release")

_RunArgument = Annotated[str, typer.Argument(help="Id of the run: a-z, 0-9 and hyphens.")]
_ModelArgument = Annotated[str, typer.Argument(help="Id of the model: a-z, 0-9 and hyphens.")]
_ClusterOption = Annotated[list[str] | None, typer.Option("--cluster", help="That it runs on; repeatable.")]
_PflopOption = Annotated[
    int | None,
    typer.Option("--pflop", min=0, max=SIZE_MAX, help="Its own operations so far; else what the reports say."),
]
_WeightsOption = Annotated[str | None, typer.Option("--checkpoint", help="Hex SHA-256 of the newest weights; public.")]
_KindOption = Annotated[RunKind, typer.Option("--kind", help="Whether it trains a model, or works on a trained one.")]
_PlanPflop = typer.Option(min=0, max=SIZE_MAX, help="Hidden; its decade is public.")
_HashOption = typer.Option(help="Hex SHA-256; hidden.")


@run.command()
@filed
def declare(
    *,
    run_id: _RunArgument,
    kind: _KindOption,
    cluster: _ClusterOption,
    estimate_pflop: Annotated[int, _PlanPflop],
    cap_pflop: Annotated[int, _PlanPflop],
    code: Annotated[str, _HashOption] = ZERO_HASH,
    config: Annotated[str, _HashOption] = ZERO_HASH,
    base: Annotated[str | None, typer.Option(help="What it begins with: lab/run.")] = None,
    base_leaf: Annotated[
        str | None, typer.Option(help="Leaf hash of the entry that opened that run; none if not on this ledger.")
    ] = None,
    base_pflop: Annotated[
        int | None, typer.Option(min=0, max=SIZE_MAX, help="All that is in it; of an own run the vault knows it.")
    ] = None,
    started: Annotated[bool, typer.Option("--started", help="It has started already, undeclared.")] = False,
    pflop: _PflopOption = None,
    checkpoint: _WeightsOption = None,
) -> Make:
    """Declare a run before it starts."""
    plan = Plan(
        kind=kind,
        base=_read_base(base, base_leaf, base_pflop),
        estimate_pflop=estimate_pflop,
        cap_pflop=cap_pflop,
        code=code,
        config=config,
    )
    state: RunState = "started" if started else "declared"
    step = Step(run=run_id, state=state, clusters=cluster or (), pflop=pflop, checkpoint=checkpoint)
    return lambda desk: prepare_opening(desk.vault, step, plan, ledger=desk.ledger, lab=desk.settings.lab.id)


@run.command()
@filed
def start(
    *,
    run_id: _RunArgument,
    cluster: _ClusterOption = None,
    pflop: _PflopOption = None,
    checkpoint: _WeightsOption = None,
) -> Make:
    """Say that a declared run started, or that a frozen one goes on."""
    return _step(run_id, "started", cluster, pflop, checkpoint)


@run.command(name="checkpoint")
@filed
def note_checkpoint(
    *, run_id: _RunArgument, checkpoint: _WeightsOption, cluster: _ClusterOption = None, pflop: _PflopOption = None
) -> Make:
    """Tell of new weights, more operations or more clusters of a run that is under way."""
    return _step(run_id, "started", cluster, pflop, checkpoint)


@run.command()
@filed
def freeze(*, run_id: _RunArgument, checkpoint: _WeightsOption = None, pflop: _PflopOption = None) -> Make:
    """Say that a run stands still, at these weights."""
    return _step(run_id, "frozen", None, pflop, checkpoint)


@run.command()
@filed
def stop(*, run_id: _RunArgument, checkpoint: _WeightsOption = None, pflop: _PflopOption = None) -> Make:
    """Say that a run was given up."""
    return _step(run_id, "stopped", None, pflop, checkpoint)


@run.command()
@filed
def complete(*, run_id: _RunArgument, checkpoint: _WeightsOption = None, pflop: _PflopOption = None) -> Make:
    """Say that a run has ended, with these weights."""
    return _step(run_id, "completed", None, pflop, checkpoint)


@release.command()
@filed
def review(
    *,
    model: _ModelArgument,
    of_run: Annotated[list[str], typer.Option("--run", help="Of this lab that it comes of; repeatable.")],
    digest: Annotated[str, typer.Option(help="Hex SHA-256 of the weights; public.")],
    evaluation: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The lab's own; its hash is hidden.")],
    planned: Annotated[datetime, typer.Option(help="When it is meant to be released; in UTC.")],
) -> Make:
    """Hand a model in for review before its release."""
    raw = read_bounded(evaluation, bytes_max=64 * MIB)
    planned_at = Seconds(int(planned.replace(tzinfo=UTC).timestamp()))
    handed = Model(id=model, runs=of_run, digest=digest)
    return lambda desk: prepare_review(
        handed, evaluation=raw, planned_at=planned_at, ledger=desk.ledger, lab=desk.settings.lab.id
    )


@release.command()
@filed
def supply(*, model: _ModelArgument, note: Annotated[str, typer.Option(help="What was supplied; public.")]) -> Make:
    """Say that what the nation asked for was supplied: the clock of the review goes on."""
    return lambda desk: prepare_supply(desk.vault, model, note, ledger=desk.ledger, lab=desk.settings.lab.id)


@release.command()
@filed
def notice(
    *,
    model: _ModelArgument,
    of_run: Annotated[
        list[str] | None, typer.Option("--run", help="That it comes of; else those of its review.")
    ] = None,
    digest: Annotated[str | None, typer.Option(help="Of the weights, hex SHA-256; else that of its review.")] = None,
) -> Make:
    """Say that a model was released."""
    released = Model(id=model, runs=of_run or (), digest=digest)
    return lambda desk: prepare_notice(desk.vault, released, ledger=desk.ledger, lab=desk.settings.lab.id)


def _step(run_id: str, state: RunState, cluster: list[str] | None, pflop: int | None, checkpoint: str | None) -> Make:
    step = Step(run=run_id, state=state, clusters=cluster or (), pflop=pflop, checkpoint=checkpoint)
    return lambda desk: prepare_step(desk.vault, step, ledger=desk.ledger, lab=desk.settings.lab.id)


def _read_base(base: str | None, leaf: str | None, pflop: int | None) -> Base | None:
    if base is None:
        if leaf is not None or pflop is not None:
            raise typer.BadParameter("--base-leaf and --base-pflop belong to --base lab/run")
        return None
    lab, _, run_id = base.partition("/")
    if not lab or not run_id:
        raise typer.BadParameter("--base is lab/run")
    return Base(lab=lab, run=run_id, leaf=leaf, pflop=pflop)
