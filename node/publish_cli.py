"""`counterseal node publish`: bring published places up to date by hand, or check one from end to end."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger.errors import Code, ConditionError, LedgerError, ProofError
from ledger.notes import VerifierKey, parse_vkey
from node.config import Config, open_config
from node.daemon import read_charter, read_clock
from node.home import Home
from node.keystore import CREDENTIALS_VARIABLE, Passphrase
from node.publishing import publish_by_hand
from node.saying import HomeOption, JsonOption
from tlog.faults import Problem
from tlog.opening import open_reader, require_writable
from tlog.places import Kind, Place, parse_place
from tlog.verifying import Verification, verify_files

FAULTS_SHOWN: Final = 100
_COLOURS: Final = {Problem.UNCHECKED: "yellow", Problem.UNREADABLE: "yellow"}

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def register(app: typer.Typer, read_passphrase: Callable[[Path | None, Path | None], Passphrase]) -> None:
    """Add the command to a group that knows how a passphrase is found."""

    @app.command()
    def publish(
        home: HomeOption,
        places: Annotated[
            list[str] | None,
            typer.Argument(
                help="Folders or URLs (s3://, gs://, az://, file://; with --verify also http://). "
                "Without any: the published folder, and every place of the settings."
            ),
        ] = None,
        *,
        verify: Annotated[
            bool, typer.Option("--verify", help="Change nothing: hash every file again, up to the sealed root.")
        ] = False,
        again: Annotated[
            bool, typer.Option("--again", help="Look at what was published before too, and write what is missing.")
        ] = False,
        workers: Annotated[
            int, typer.Option(min=0, max=64, help="Other processes that hash; 0 for none.")
        ] = os.cpu_count() or 1,
        witnesses: Annotated[
            list[str] | None,
            typer.Option(
                "--witness",
                help="Verifier key of a witness, beside those in the settings: its lines may stand in notes.",
            ),
        ] = None,
        as_json: JsonOption = False,
        passphrase_file: Annotated[
            Path | None,
            typer.Option(
                "--passphrase-file",
                envvar="COUNTERSEAL_PASSPHRASE_FILE",
                help="A file with the passphrase on one line, mode 0600; not needed with --verify.",
            ),
        ] = None,
        credentials: Annotated[Path | None, typer.Option(envvar=CREDENTIALS_VARIABLE, hidden=True)] = None,
    ) -> None:
        """Bring published places up to date from a stopped node's database; or --verify them, while it runs too."""
        place = Home(home)
        config = open_config(place.config)
        wanted = find_places(config, places or ())
        if verify:
            keys = [*(asked.key for asked in config.witness.ask), *(parse_vkey(text) for text in witnesses or ())]
            verify_places(place, wanted, keys, workers=workers, as_json=as_json)
        else:
            publish_places(place, config, read_passphrase(passphrase_file, credentials), wanted, again=again)


def find_places(config: Config, names: Sequence[str]) -> list[Place]:
    """Read the names that were given; without any, take those of the settings."""
    if names:
        return [parse_place(name, field="place") for name in names]
    own = Place(Kind.FOLDER, str(config.publish.folder), config.publish.folder)
    return [own, *config.publish.urls]


def publish_places(
    place: Home, config: Config, passphrase: Passphrase, wanted: Sequence[Place], *, again: bool
) -> None:
    """Publish to each, with a count of the files that are written."""
    for each in wanted:
        require_writable(each)
    with place.alone(), err.status("") as status:
        size = publish_by_hand(
            place,
            config,
            passphrase,
            wanted,
            is_from_start=again,
            now=read_clock(),
            report=lambda target, count: status.update(f"{escape(target.name)}: {count} files written"),
        )
    for each in wanted:
        out.print(f"{escape(each.name)}: {size} entries published")


def verify_places(
    place: Home, wanted: Sequence[Place], witnesses: Sequence[VerifierKey], *, workers: int, as_json: bool
) -> None:
    """Check each place, say what was found, and leave with the worst of it.

    Raises:
        ProofError: a place is not whole.
        ConditionError: a place could not be read.
    """
    charter = read_charter(place.store)
    told: list[dict[str, object]] = []
    failures: list[LedgerError] = []
    for each in wanted:
        begun_s = time.monotonic()
        try:
            with _progress(each) as report:
                found = verify_files(
                    partial(open_reader, each),
                    charter,
                    is_remote=each.kind is not Kind.FOLDER,
                    workers_count=workers,
                    witnesses=witnesses,
                    report=report,
                )
        except LedgerError as error:
            failures.append(_blame(each, error))
            told.append({"place": each.name, "whole": False, "error": str(failures[-1])})
            if not as_json:
                out.print(f"[red]{escape(each.name)}: {escape(str(failures[-1]))}[/]")
            continue
        if found.faults_count:
            failures.append(
                ProofError(field=each.name, found=f"{found.faults_count} faults", expected="a whole ledger")
            )
        told.append(_encode(each, found))
        if not as_json:
            _show(each, found, elapsed_s=time.monotonic() - begun_s)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    if failures:
        raise next((error for error in failures if isinstance(error, ProofError)), failures[0])


def _blame(place: Place, error: LedgerError) -> LedgerError:
    """Without a checkpoint that can be believed a place is not whole; one that does not answer may be."""
    field = error.field if error.field.startswith(place.name) else f"{place}: {error.field}"
    if isinstance(error, ConditionError) and error.code is not Code.NOT_FOUND:
        return ConditionError(field=field, found=error.found, expected=error.expected, code=error.code)
    return ProofError(field=field, found=error.found, expected=error.expected)


@contextmanager
def _progress(place: Place) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bar:
        task = bar.add_task(f"tiles and headers of {escape(place.name)}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(place: Place, found: Verification, *, elapsed_s: float) -> None:
    state = "[red]not whole[/]" if found.faults_count else "[green]whole[/]"
    checkpoint = found.checkpoint
    out.print(
        f"{escape(place.name)}: {state}: {found.entries_count} of {checkpoint.checkpoint.size} entries and"
        f" {checkpoint.seal.height + 1} blocks, {found.files_count} files of {found.bytes_count} bytes,"
        f" in {elapsed_s:.1f} s"
    )
    for fault in found.faults[:FAULTS_SHOWN]:
        colour = _COLOURS.get(fault.problem, "red")
        out.print(f"  [{colour}]{fault.problem:<10}[/] {escape(fault.path)}: {escape(fault.words)}")
    if found.faults_count > FAULTS_SHOWN:
        out.print(f"  and {found.faults_count - FAULTS_SHOWN} more; --json has the first thousand")
    if found.ahead_count:
        out.print(f"  {found.ahead_count} files belong to later checkpoints and were not looked at")
    if not found.is_listed:
        out.print("  it does not list its files: only those that must be there were looked at")


def _encode(place: Place, found: Verification) -> dict[str, object]:
    checkpoint = found.checkpoint
    return {
        "place": place.name,
        "whole": not found.faults_count,
        "tree_size": checkpoint.checkpoint.size,
        "height": checkpoint.seal.height,
        "time_ms": checkpoint.seal.time_ms,
        "entries": found.entries_count,
        "files": found.files_count,
        "bytes": found.bytes_count,
        "ahead": found.ahead_count,
        "listed": found.is_listed,
        "faults_count": found.faults_count,
        "faults": [
            {"path": fault.path, "problem": fault.problem.value, "words": fault.words} for fault in found.faults
        ],
    }
