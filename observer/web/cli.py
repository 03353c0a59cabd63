"""The command that serves the page."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_LISTEN = "127.0.0.1:8480"


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command()(serve)


def serve(
    *,
    home: Annotated[Path, typer.Option("--home", help="Folder of your own copy.")],
    listen: Annotated[str, typer.Option("--listen", help="Host and port.")] = DEFAULT_LISTEN,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from", help="Follow this source in the background, as `sync` does; repeat for several. Default: none."
        ),
    ] = None,
    every_s: Annotated[
        int, typer.Option("--every", min=1, max=86_400, help="Seconds between two times of following.")
    ] = 30,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--charter-fingerprint",
            help="SHA-256 of the charter in hex, from somebody you trust; a copy is pinned to it.",
        ),
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            help="Name by which browsers reach it through a proxy; repeat for several. Others are refused.",
        ),
    ] = None,
) -> None:
    """Show your copy in a browser, which checks what it shows itself; read-only, until Ctrl-C or SIGTERM."""
    # Only what runs it: the other commands start without a server's packages.
    from observer.web.serving import make_settings, run_server  # noqa: PLC0415

    run_server(
        make_settings(
            home=home, listen=listen, sources=sources or (), every_s=every_s, fingerprint=fingerprint, hosts=hosts or ()
        )
    )
