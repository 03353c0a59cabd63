"""`counterseal lab answer | answer-again`: opening what a beacon drew."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab.answering import choose_recipients, list_answers, prepare_answer, read_files, restore_answer
from lab.arguments import HomeOption, read_pairs
from lab.desk import Desk, Make, advised, filed, open_folder
from lab.enrolment import read_enrolled
from lab.files import make_private_folder, write_atomically
from lab.handing import Keys
from lab.home import Home
from lab.preparing import Prepared
from lab.vault import open_vault
from ledger.encoding import decode_hex
from ledger.errors import FormatError
from ledger.limits import HASH_BYTES

app = typer.Typer()
_FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Receipts of nations' lists of inspectors, of a sample and its beacon; entries beside them."),
]
_OutputOption = Annotated[
    Path, typer.Option("--output", "-o", file_okay=False, help="Folder for each inspector's file.")
]
_ToOption = Annotated[
    list[str] | None, typer.Option("--to", help="nation/inspector; else all active ones of other nations' lists.")
]
_KeyOption = Annotated[
    list[str] | None, typer.Option(help="nation/inspector=hex: an X25519 key from the nation itself.")
]


@app.command()
@filed
def answer(
    *,
    files: _FilesArgument = None,
    output: _OutputOption,
    to: _ToOption = None,
    key: _KeyOption = None,
    cluster: Annotated[str | None, typer.Option(help="Only a sample of this cluster, if nodes are asked.")] = None,
    beacon_round: Annotated[
        int | None, typer.Option("--round", min=0, help="Only a sample of this round, if nodes are asked.")
    ] = None,
    late: Annotated[
        bool, typer.Option("--late", help="Try after the window's end by this clock: an outage may have moved it.")
    ] = False,
) -> Make:
    """Answer a sample: open the drawn accelerators, encrypted to inspectors, and say so on the ledger."""

    def make(desk: Desk) -> Prepared:
        handy = read_files(files or (), ledger=desk.ledger)
        recipients = _choose(handy.inspectors, desk.home, to=to or (), key=key or ())
        if handy.sample is None and handy.beacon is None:
            from lab.drawn_samples import Wanted  # noqa: PLC0415 - loads gRPC
            from lab.online import Online  # noqa: PLC0415 - loads gRPC

            answered = frozenset(list_answers(desk.vault, desk.ledger))
            wanted = Wanted(desk.settings.lab.id, answered, cluster=cluster, beacon_round=beacon_round)
            online = Online(desk.home, desk.settings, desk.ledger, timeout_s=desk.timeout_s)
            drawn = online.find_drawn(wanted, now_ms=desk.now_ms)
        else:
            drawn = handy.drawn()
        make_private_folder(output)
        return prepare_answer(
            desk.vault,
            drawn,
            ledger=desk.ledger,
            lab=desk.settings.lab.id,
            recipients=recipients,
            folder=output,
            now_ms=desk.now_ms,
            is_late=late,
        )

    return make


@app.command(name="answer-again")
@advised
def answer_again(
    *,
    files: Annotated[
        list[Path], typer.Argument(help="Receipts of the sample, its beacon, nations' lists of inspectors.")
    ],
    folder: HomeOption,
    output: _OutputOption,
    to: _ToOption = None,
    key: _KeyOption = None,
) -> None:
    """Write the files of an answer to a sample once more, from the vault, for these inspectors."""
    home, _, ledger = open_folder(folder)
    handy = read_files(files, ledger=ledger)
    drawn, recipients = handy.drawn(), _choose(handy.inspectors, home, to=to or (), key=key or ())
    with open_vault(home.vault) as vault:
        written = restore_answer(vault, drawn, ledger=ledger, recipients=recipients, folder=output)
    make_private_folder(output)
    for path, raw in written.items():
        write_atomically(path, raw)
        typer.echo(path)


def _choose(listed: Keys, home: Home, *, to: Sequence[str], key: Sequence[str]) -> Keys:
    enrolled = read_enrolled(home.registrations)
    pairs = read_pairs(key, field="key", expected="nation/inspector=hex")
    given = {
        _split(name, "key"): decode_hex(text, field=f"key {name}", size=HASH_BYTES) for name, text in pairs.items()
    }
    return choose_recipients(
        listed,
        named=[_split(name, "to") for name in to],
        given=given,
        nation=enrolled[-1].registration.issuer if enrolled else None,
    )


def _split(name: str, field: str) -> tuple[str, str]:
    nation, _, inspector = name.partition("/")
    if not nation or not inspector or "/" in inspector:
        raise FormatError(field=field, found=name, expected="nation/inspector")
    return nation, inspector
