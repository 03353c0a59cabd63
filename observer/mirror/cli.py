"""`counterseal observe mirror`: a verified copy of the published ledger, kept up and served."""

from pathlib import Path
from typing import Annotated, Final

import typer

from ledger.encoding import decode_hex
from ledger.limits import HASH_BYTES

POLL_S: Final = 10.0
POLL_S_MAX: Final = 86_400.0


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(mirror)


def mirror(
    *,
    sources: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="grpc://host:port, grpcs://…, http(s)://… or a folder of published files; repeat: none is believed.",
        ),
    ],
    target: Annotated[
        str, typer.Option("--to", help="Where to publish: a folder, file:///path, s3://…, gs://… or az://….")
    ],
    home: Annotated[Path, typer.Option("--home", help="Folder of your own copy, apart from what is published.")],
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--charter-fingerprint",
            help="SHA-256 of the charter in hex, from somebody you trust; a copy is pinned to it.",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Keep up until stopped; default: once.")] = False,
    poll_s: Annotated[
        float, typer.Option("--poll", min=0.1, max=POLL_S_MAX, help="Seconds between two looks at the sources.")
    ] = POLL_S,
    listen: Annotated[
        str | None, typer.Option("--listen", help="host:port to serve what is published on; keeps up too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Publish again what you verified: a copy of the static ledger, for others to read without asking a node."""
    from observer.mirror.running import Wanted, mirror_home  # noqa: PLC0415 - loads a server, gRPC and more

    wanted = Wanted(
        home=home,
        sources=tuple(sources),
        target=target,
        fingerprint=None
        if fingerprint is None
        else decode_hex(fingerprint, field="charter-fingerprint", size=HASH_BYTES),
        poll_s=poll_s if follow or listen is not None else None,
        listen=listen,
    )
    mirror_home(wanted, say=typer.echo, as_json=as_json)
