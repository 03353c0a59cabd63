"""The command that exports: it parses, calls `observer.export.exporting`, prints."""

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the observer's."""
    app.command()(export)


def export(
    *,
    home: Annotated[Path, typer.Option("--home", help="Folder of your own copy.")],
    folder: Annotated[Path, typer.Option("--to", help="Folder of Parquet files: a new one, or one of an export.")],
    tables: Annotated[
        str | None,
        typer.Option(
            "--tables",
            help="Some of entries, reports, verdicts, votes, statements and seals, with commas between them;"
            " default: all, or those that are there.",
        ),
    ] = None,
    has_entry_bytes: Annotated[
        bool | None,
        typer.Option("--raw/--no-raw", help="Keep the bytes of every entry too; default: no, or as before."),
    ] = None,
    is_rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Take away what an export wrote there, and write all of it anew.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=0, max=2, help="Other processes that help; default: one a core, up to 2."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Write your copy as Parquet files for DuckDB, Polars, pandas or Spark; again, to add what is new."""
    import os  # noqa: PLC0415 - a command imports what it needs when it runs

    from observer.cli import make_bar  # noqa: PLC0415
    from observer.export.exporting import WORKERS_MAX, describe_export, encode_export, export_home  # noqa: PLC0415

    with make_bar(is_quiet=as_json) as bar:
        task = bar.add_task("export", total=None)
        result = export_home(
            home,
            folder,
            tables=tuple(name.strip() for name in tables.split(",")) if tables is not None else (),
            has_entry_bytes=has_entry_bytes,
            is_rebuild=is_rebuild,
            workers_count=min(os.cpu_count() or 1, WORKERS_MAX) if workers is None else workers,
            progress=lambda at, total: bar.update(task, completed=at, total=total),
        )
    if as_json:
        typer.echo(json.dumps(encode_export(result), ensure_ascii=False, indent=2))
        return
    for line in describe_export(result):
        typer.echo(line)
