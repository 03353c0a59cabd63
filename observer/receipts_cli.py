"""`counterseal observe receipts`: every statement of a lab with its receipt, for inspectors."""

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(receipts)


def receipts(
    *,
    home: Annotated[Path, typer.Option("--home", help="Folder of your own copy.")],
    lab: Annotated[str, typer.Option("--lab", help="Id of the lab, or of a nation.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Write the receipt of every statement of a lab, entries beside them, for `counterseal inspect open --books`."""
    from observer.copy import require_copy  # noqa: PLC0415 - loads the copy when it runs
    from observer.receipts import write_receipts  # noqa: PLC0415

    with require_copy(home) as copy:
        written = write_receipts(copy, lab, output)
    if as_json:
        typer.echo(json.dumps({"lab": lab, "receipts": [str(path) for path in written]}, indent=2))
        return
    typer.echo(f"{len(written)} receipts of {lab} written to {output}")
