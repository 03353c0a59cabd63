"""`counterseal nation …`: what a nation says, signed by its running node; and what it is expected to say, and by when.

Each command shows in words what will be signed before it is. A file a subject: decisions, pauses, runs, challenges,
notices; here stand what fits none of them, and the group itself.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ledger.encoding import decode_hex
from ledger.limits import HASH_BYTES
from ledger.statements.registry import REGISTRATION, Registration
from node import challenges_cli, decisions_cli, notices_cli, pauses_cli, runs_cli
from node.saying import (
    HomeOption,
    JsonOption,
    Manner,
    OutputOption,
    ReceiptOption,
    Speaker,
    YesOption,
    err,
    print_lines,
    report_outcome,
    take_file,
)
from node.standing import Standing

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make statements in the nation's name.")


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
    output: OutputOption,
    *,
    yes: YesOption = False,
) -> None:
    """Register a lab, or a change of its keys or clusters; the lab countersigns and submits what this writes."""
    body = take_file(request, {})
    assert body is not None
    Speaker(home).offer(REGISTRATION, body, describe_registration, output, yes=yes)
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


def describe_registration(said: Registration, standing: Standing) -> Sequence[str]:
    """What registering a lab means."""
    clusters = [f"- {each.id}: {each.facility}, {each.country}" for each in said.clusters]
    count = len(said.active_keys())
    return (
        f'{said.lab}, "{said.name}", is a lab of {standing.nation}.',
        f"Its word is what its active keys sign ({count}); an earlier key that is left out is revoked.",
        f"It reports on these clusters, on new ones from {standing.say_interval(standing.next_interval)} on:",
        *clusters,
    )


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
