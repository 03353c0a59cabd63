"""`counterseal lab respond | hand-over`: answering a challenge."""

from pathlib import Path
from typing import Annotated

import typer

from lab.arguments import HomeOption, read_pairs
from lab.desk import Desk, Make, advised, filed, open_folder
from lab.files import make_private_folder, write_atomically
from lab.preparing import Prepared
from lab.showing import LAST, Shown
from lab.vault import open_vault
from ledger.encoding import decode_hex
from ledger.limits import HASH_BYTES, INTERVAL_MAX
from ledger.positions import Interval
from ledger.statements.inspections import Outcome

app = typer.Typer()
_ChallengeArgument = Annotated[str, typer.Argument(help="Id of the challenge.")]


@app.command()
@filed
def respond(
    *,
    challenge: _ChallengeArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", file_okay=False, help="Folder for each inspector's file.")
    ] = None,
    outcome: Annotated[Outcome, typer.Option(help="What is answered.")] = "provided",
    key: Annotated[
        list[str] | None,
        typer.Option(help="nation/inspector=hex: an X25519 key from the nation itself; else f + 1 nodes must agree."),
    ] = None,
    books: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=INTERVAL_MAX,
            help="Hand over too the numbers in inventories as of this interval or later, and in transfers since.",
        ),
    ] = None,
    until: Annotated[int, typer.Option(min=0, max=INTERVAL_MAX, help="With --books: the last interval.")] = LAST,
    run: Annotated[
        list[str] | None, typer.Option(help="Hand over too what this run came to, by all that says so; repeatable.")
    ] = None,
) -> Make:
    """Answer a challenge: open what is asked, encrypted to each inspector, and say so on the ledger."""
    if books is None and until != LAST:
        raise typer.BadParameter("--until belongs to --books")
    shown = Shown(since=None if books is None else Interval(books), until=Interval(until), runs=run or ())
    pairs = read_pairs(key or (), field="key", expected="nation/inspector=hex")
    keys = {_split(name): decode_hex(text, field=f"key {name}", size=HASH_BYTES) for name, text in pairs.items()}

    def make(desk: Desk) -> Prepared:
        from lab.online import Online  # noqa: PLC0415 - loads gRPC
        from lab.responding import prepare_response  # noqa: PLC0415 - loads gRPC

        online = Online(desk.home, desk.settings, desk.ledger, timeout_s=desk.timeout_s)
        raised = online.find_raised(challenge, keys=keys, is_opened=outcome == "provided")
        if output is not None:
            make_private_folder(output)
        return prepare_response(
            desk.vault,
            raised,
            ledger=desk.ledger,
            lab=desk.settings.lab.id,
            outcome=outcome,
            folder=output,
            shown=shown,
        )

    return make


@app.command(name="hand-over")
@advised
def hand_over(
    *,
    challenge: _ChallengeArgument,
    folder: HomeOption,
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="Folder for each inspector's file.")],
) -> None:
    """Write the files of an answer for the inspectors once more, from the vault."""
    from lab.responding import restore_files  # noqa: PLC0415 - loads gRPC

    home, _, ledger = open_folder(folder)
    with open_vault(home.vault) as vault:
        files = restore_files(vault, ledger=ledger, challenge=challenge, folder=output)
    make_private_folder(output)
    for path, raw in files.items():
        write_atomically(path, raw)
        typer.echo(path)


def _split(name: str) -> tuple[str, str]:
    nation, _, inspector = name.partition("/")
    return nation, inspector
