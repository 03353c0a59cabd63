"""`counterseal lab incident | observe`: what the lab tells of itself and of others."""

from pathlib import Path
from typing import Annotated, Final

import typer

from lab.desk import Make, filed
from lab.files import read_bounded
from lab.notices import Happened, Noticed, prepare_incident, prepare_observation
from ledger.limits import INTEGER_MAX, INTERVAL_MAX, MIB
from ledger.positions import Interval
from ledger.statements.notices import About, Confidence, IncidentCategory, ObservationCategory, Severity

app = typer.Typer()
TEXT_BYTES_MAX: Final = 16 * MIB


@app.command()
@filed
def incident(
    *,
    category: Annotated[IncidentCategory, typer.Option(help="An outage, told before due, gives time to report.")],
    severity: Annotated[Severity, typer.Option(help="How bad.")],
    interval: Annotated[int, typer.Option(min=0, max=INTERVAL_MAX, help="When: number of the interval.")],
    account: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The full account; its hash is public.")],
    cause: Annotated[str, typer.Option(help="In a sentence; hidden.")],
    chips: Annotated[int, typer.Option(min=0, max=INTEGER_MAX, help="How many accelerators it touched; hidden.")] = 0,
    cluster: Annotated[list[str] | None, typer.Option(help="Where; repeatable; none for the whole lab.")] = None,
) -> Make:
    """Tell of an incident: an outage, a theft, a leak, an accident."""
    happened = Happened(
        category=category,
        severity=severity,
        interval=Interval(interval),
        clusters=cluster or (),
        account=read_bounded(account, bytes_max=TEXT_BYTES_MAX),
        cause=cause,
        chips_affected=chips,
    )
    return lambda desk: prepare_incident(desk.ledger, desk.settings.lab.id, happened)


@app.command()
@filed
def observe(
    *,
    about: Annotated[About, typer.Option(help="What sort of subject.")],
    category: Annotated[ObservationCategory, typer.Option(help="What sort of thing.")],
    confidence: Annotated[Confidence, typer.Option(help="How sure.")],
    observed: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What was observed; its hash is public.")],
    text: Annotated[str, typer.Option(help="In a sentence or two; public.")],
    name: Annotated[str | None, typer.Option(help="Id of the subject; none about the ledger itself.")] = None,
) -> Make:
    """Tell what was noticed of another lab, a cluster, a nation or the ledger."""
    noticed = Noticed(
        about=about,
        name=name,
        category=category,
        confidence=confidence,
        observed=read_bounded(observed, bytes_max=TEXT_BYTES_MAX),
        text=text,
    )
    return lambda desk: prepare_observation(desk.ledger, desk.settings.lab.id, noticed)
