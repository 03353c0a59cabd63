"""`counterseal nation …`: what a nation says, signed by its running node; and what it is expected to say, and by when.

Each command shows in words what will be signed before it is. A file a subject: decisions, pauses, runs, challenges,
notices; here stand what fits none of them, and the group itself.
"""

import json
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from ledger.encoding import decode_hex, encode_base64
from ledger.limits import ENTRY_BYTES_MAX, HASH_BYTES
from node import challenges_cli, decisions_cli, notices_cli, pauses_cli, runs_cli
from node.config import open_config
from node.home import Home, read_file, write_file
from node.operating import OperatorClient
from node.saying import (
    HomeOption,
    JsonOption,
    Manner,
    ReceiptOption,
    Speaker,
    print_lines,
    report_outcome,
)
from node.standing import Standing

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make statements in the nation's name.")
err = Console(stderr=True, soft_wrap=True)


class Duty(NamedTuple):
    """Something that this nation may still say, and that goes on without it from a time on."""

    until_ms: int
    words: str


@app.callback()
def group() -> None:
    """Make statements in the nation's name."""


@app.command()
def register(
    request: Annotated[Path, typer.Argument(help="The request.json of a lab.")],
    home: HomeOption,
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


for _subject in (decisions_cli, runs_cli, notices_cli, challenges_cli):
    app.registered_commands += _subject.app.registered_commands
app.add_typer(pauses_cli.app, name="pause")


@app.command()
def statement(
    leaf: Annotated[str, typer.Argument(help="Leaf hash of the statement in hex, as its command printed it.")],
    home: HomeOption,
    *,
    receipt: ReceiptOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of a statement: sealed, waiting, or refused after all; and write its receipt."""
    speaker = Speaker(home)
    outcome = speaker.client.statement(decode_hex(leaf, field="leaf", size=HASH_BYTES))
    report_outcome(outcome, speaker.standing, Manner(as_json=as_json, receipt=receipt))


@app.command()
def duties(home: HomeOption, *, as_json: JsonOption = False) -> None:
    """Show what waits for a word of this nation, what silence will mean, and when: the next deadline first."""
    standing = Speaker(home).standing
    found = list_duties(standing)
    if as_json:
        typer.echo(json.dumps([each._asdict() for each in found], indent=2))
        return
    print_lines(
        [f"{standing.say_until(each.until_ms)}: {each.words}" for each in found], "Nothing waits for this nation."
    )
    if standing.matters.left_off:
        err.print(f"{standing.matters.left_off} more are open than a node tells at once.")


def list_duties(standing: Standing) -> list[Duty]:
    """Everything open that this nation has not answered, by deadline."""
    matters, me = standing.matters, standing.nation
    found = [
        Duty(each.closes_ms, f"proposal {each.proposal}: this nation has not voted; without enough votes it lapses")
        for each in matters.proposals
        if me not in (*each.yes, *each.no)
    ]
    found += [
        Duty(each.decide_by_ms, f"run {each.run} of {each.lab}: silence {standing.agreement.runs.silence} it")
        for each in matters.runs
        if each.decide_by_ms
    ]
    found += [
        Duty(each.ends_ms, f"review of {each.model} of {each.lab}: silence {standing.agreement.reviews.silence} it")
        for each in matters.reviews
        if each.stage == "running"
    ]
    found += [
        Duty(standing.compute_start_ms(each.lapses), f"pause {each.pause}: this nation has not joined; it may lapse")
        for each in matters.pauses
        if not each.activated and me not in [said.nation for said in each.accessions]
    ]
    found += [
        Duty(
            each.until_ms,
            f"challenge {each.challenge}: {_say_awaited(list(each.inspectors))}; without findings it lapses",
        )
        for each in matters.challenges
        if each.stage == "provided" and each.inspectors
    ]
    return sorted(found)


def _say_awaited(inspectors: list[str]) -> str:
    return f"{' and '.join(inspectors)} of this nation {'have' if len(inspectors) > 1 else 'has'} found nothing yet"
