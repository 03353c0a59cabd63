"""The monitor's commands: each parses, calls one function, prints. Mounted in the observer's."""
# ruff: noqa: PLC0415  # a command imports what it needs when it runs

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from observer.monitor.config import WatchConfig

ALARMS_SHOWN: Final = 20
WITHOUT_CONFIG: Final = b'[metrics]\nlisten = ""'
"""What is watched from the command line alone serves nothing."""


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command()(watch)
    app.command()(alarms)


def watch(
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings, such as watch.toml; default: alarms go to stdout, no metrics."),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", help="A source, in place of those of the settings; repeat for several."),
    ] = None,
    home: Annotated[Path | None, typer.Option("--home", help="Folder of your own copy.")] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--charter-fingerprint",
            help="SHA-256 of the charter in hex, from somebody you trust; a copy is pinned to it.",
        ),
    ] = None,
    is_once: Annotated[bool, typer.Option("--once", help="Look once, give every outlet its alarms, and end.")] = False,
    is_init: Annotated[
        bool, typer.Option("--init", help="Write a commented file of settings to --config, and end.")
    ] = False,
) -> None:
    """Follow sources for good, and tell whoever must know: stdout, webhook, e-mail, feed; ends on SIGTERM."""
    import asyncio

    from observer.heads import read_clock
    from observer.monitor.config import CONFIG_FILE, require_sources, write_default_config
    from observer.monitor.watching import Monitor, alone, configure_log

    if is_init:
        written = write_default_config(config or Path(CONFIG_FILE))
        typer.echo(f"settings written: {written}")
        return
    settings = _read_settings(config, sources=sources, home=home, fingerprint=fingerprint)
    require_sources(settings)
    configure_log()
    with alone(settings.watch.home):
        monitor = Monitor(settings, draw=secrets.token_bytes, clock=read_clock)
        if is_once:
            monitor.look_once()
        else:
            asyncio.run(monitor.run(on_started=_say_started))


def _read_settings(
    config: Path | None, *, sources: list[str] | None, home: Path | None, fingerprint: str | None
) -> "WatchConfig":
    """Read the settings, with what the command line says in place of theirs."""
    from ledger.encoding import decode_hex
    from ledger.limits import HASH_BYTES
    from observer.monitor.config import open_watch_config, parse_watch_config

    settings = parse_watch_config(WITHOUT_CONFIG, folder=Path()) if config is None else open_watch_config(config)
    watched = settings.watch
    if sources:
        watched = replace(watched, sources=tuple(sources))
    if home is not None:
        watched = replace(watched, home=home)
    if fingerprint is not None:
        pinned = decode_hex(fingerprint, field="charter-fingerprint", size=HASH_BYTES)
        watched = replace(watched, fingerprint=pinned)
    return replace(settings, watch=watched)


def _say_started(port: int | None) -> None:
    import structlog

    structlog.get_logger("watch").info("watching", metrics_port=port)


def alarms(
    *,
    home: Annotated[Path, typer.Option("--home", help="Folder of your own copy.")],
    count: Annotated[int, typer.Option("--count", min=1, max=100_000, help="How many, the newest.")] = ALARMS_SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Show the newest alarms of a monitor's journal, and how every outlet stands."""
    from observer.monitor.listing import describe_listing, encode_listing, list_alarms

    listing = list_alarms(home, count=count)
    if as_json:
        typer.echo(json.dumps(encode_listing(listing), ensure_ascii=False, indent=2))
        return
    for line in describe_listing(listing):
        typer.echo(line)
