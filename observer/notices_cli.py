"""`counterseal observe notices`: what anybody can see and no verdict tells."""

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(notices)


def notices(
    *,
    home: Annotated[Path, typer.Option("--home", help="Folder of your own copy.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Tell of digests that stand in two statements, and of clusters that no sample is drawn from."""
    from observer.copy import require_copy  # noqa: PLC0415 - loads the copy when it runs
    from observer.notices import find_notices  # noqa: PLC0415

    with require_copy(home) as copy:
        found = find_notices(copy)
    if as_json:
        typer.echo(json.dumps(found.encode(), indent=2))
        return
    for line in found.describe():
        typer.echo(line)
