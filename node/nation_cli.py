"""`counterseal nation …`: statements in the nation's name, signed by its running node."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ledger.encoding import encode_base64
from ledger.limits import ENTRY_BYTES_MAX
from node.config import open_config
from node.home import Home, read_file, write_file
from node.operating import OperatorClient

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make statements in the nation's name.")
err = Console(stderr=True, soft_wrap=True)


@app.callback()
def group() -> None:
    """Make statements in the nation's name."""


@app.command()
def register(
    request: Annotated[Path, typer.Argument(help="The request.json of a lab.")],
    home: Annotated[Path, typer.Option("--home", help="The node's folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the signed registration is written.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking; for scripts.")] = False,
) -> None:
    """Register a lab, or a change of its keys or clusters; the lab countersigns and submits what this writes."""
    body = read_file(request, size_max=ENTRY_BYTES_MAX)
    err.print("This nation will sign that the following is a lab of its own:")
    err.print_json(body.decode("utf-8", "replace"))
    if not yes:
        typer.confirm("Sign?", abort=True, err=True)
    signed = OperatorClient(open_config(Home(home).config).operator.socket).sign("registration", body)
    text = json.dumps(
        {
            "payload": encode_base64(signed.payload),
            "signature": encode_base64(signed.signature),
            "public_key": encode_base64(signed.public_key),
        },
        indent=2,
    )
    write_file(output, text.encode() + b"\n")
    err.print(f"Signed. Send {output} back to the lab, which runs `counterseal lab countersign` on it.")
    typer.echo(output)
