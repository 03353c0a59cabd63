"""`counterseal lab pledge | freeze`: the lab's own word on a pause."""

from typing import Annotated

import typer

from lab.arguments import read_pairs
from lab.desk import Desk, Make, filed
from lab.preparing import Prepared
from ledger.encoding import decode_decimal
from ledger.statements.pauses import PauseProposal

app = typer.Typer()
_PauseArgument = Annotated[str, typer.Argument(help="Id of the pause.")]


@app.command()
@filed
def pledge(*, pause: _PauseArgument) -> Make:
    """Promise to keep to a pause once it is activated, whatever the nation does."""

    def make(desk: Desk) -> Prepared:
        from lab.pauses import prepare_pledge  # noqa: PLC0415 - loads gRPC

        return prepare_pledge(_find(desk, pause), ledger=desk.ledger, lab=desk.settings.lab.id)

    return make


@app.command()
@filed
def freeze(
    *,
    pause: _PauseArgument,
    run: Annotated[list[str], typer.Option(help="run=bytes: a run in flight, and the size of its newest checkpoint.")],
) -> Make:
    """Say which runs were in flight when a pause came: each is frozen where it stands."""
    pairs = read_pairs(run, field="run", expected="run=bytes")
    sizes = {name: decode_decimal(text, field=f"run {name}") for name, text in pairs.items()}

    def make(desk: Desk) -> Prepared:
        from lab.pauses import prepare_freeze  # noqa: PLC0415 - loads gRPC

        return prepare_freeze(desk.vault, _find(desk, pause), sizes, ledger=desk.ledger, lab=desk.settings.lab.id)

    return make


def _find(desk: Desk, pause: str) -> PauseProposal:
    from lab.online import Online  # noqa: PLC0415 - loads gRPC

    return Online(desk.home, desk.settings, desk.ledger, timeout_s=desk.timeout_s).find_proposal(pause)
