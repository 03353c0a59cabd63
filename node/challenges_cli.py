"""`counterseal nation inspectors`, `challenge`, `withdraw`, `find` and `challenges`: what a nation asks labs to open.

A finding has two signatures. The nation's is made here and written to a file; the inspector adds their own to it and
submits, as a lab does with its registration.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer

from ledger.explanation import format_duration
from ledger.limits import MIB
from ledger.statements.inspections import (
    CHALLENGE,
    FINDING,
    INSPECTORS,
    WITHDRAWAL,
    Challenge,
    Conclusion,
    FieldName,
    Finding,
    Ground,
    Inspectors,
    Level,
    Withdrawal,
)
from node.home import read_file
from node.saying import (
    WAIT_S,
    FileOption,
    HomeOption,
    JsonOption,
    Manner,
    OutputOption,
    ReceiptOption,
    Speaker,
    WaitOption,
    YesOption,
    err,
    print_lines,
    require,
    take_file,
)
from node.standing import Standing
from node.v1 import operator_pb2

REPORT_BYTES_MAX: Final = 64 * MIB

app: Final = typer.Typer(add_completion=False)

IdArgument = Annotated[str | None, typer.Argument(help="Id of the challenge.")]


@app.command()
def inspectors(
    lines: Annotated[
        list[str] | None,
        typer.Argument(help="id:name:signing key:encryption key of each, keys in base64 (Ed25519, X25519)."),
    ] = None,
    *,
    home: HomeOption,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Name all who inspect for this nation. Whoever was named before and is not now is revoked, and stays so."""
    body = take_file(file, {"LINES": lines})
    if body is None:
        require({"LINES": lines or None})
        body = {"inspectors": [_parse_inspector(line) for line in lines or ()]}
    Speaker(home).say(INSPECTORS, body, describe_inspectors, Manner(yes, as_json, wait_s, receipt))


@app.command()
def challenge(
    challenge_id: Annotated[str | None, typer.Argument(metavar="CHALLENGE", help="An id of your choice.")] = None,
    lab: Annotated[str | None, typer.Argument(help="Id of the lab, of another nation.")] = None,
    cluster: Annotated[str | None, typer.Argument(help="Id of the cluster.")] = None,
    interval: Annotated[int | None, typer.Argument(min=0, help="About which interval.")] = None,
    *,
    home: HomeOption,
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", help=f"Hidden field to open: {', '.join(get_args(FieldName))}; repeat."),
    ] = None,
    records: Annotated[list[int] | None, typer.Option("--record", min=0, help="Record to open; repeat.")] = None,
    inventory: Annotated[str | None, typer.Option("--inventory", help="Leaf hash of the inventory of --chip.")] = None,
    chips: Annotated[list[int] | None, typer.Option("--chip", min=0, help="Accelerator to open; repeat.")] = None,
    recompute: Annotated[str | None, typer.Option("--recompute", help="Run of which a part is computed again.")] = None,
    because: Annotated[str | None, typer.Option("--because", help="Why, in a sentence.")] = None,
    entry: Annotated[int | None, typer.Option("--entry", min=0, help="Index of the entry that made you ask.")] = None,
    named: Annotated[list[str] | None, typer.Option("--inspector", help="To whom: nation/inspector; repeat.")] = None,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Ask a lab of another nation to open something to inspectors; a nation may ask so often a year, and no more."""
    needed: dict[str, object] = {"CHALLENGE": challenge_id, "LAB": lab, "CLUSTER": cluster, "INTERVAL": interval}
    needed |= {"--because": because, "--inspector": named or None}
    asked = {
        "--field": fields,
        "--record": records,
        "--inventory": inventory,
        "--chip": chips,
        "--recompute": recompute,
    }
    body = take_file(file, needed | asked | {"--entry": entry})
    if body is None:
        require(needed)
        request = {
            "fields": sorted(fields or ()),
            "records": sorted(records or ()),
            "inventory": inventory,
            "chips": sorted(chips or ()),
            "recompute": recompute,
        }
        body = {"challenge": challenge_id, "lab": lab, "cluster": cluster, "interval": interval, "request": request}
        body |= {"grounds": {"entry": entry, "text": because}, "inspectors": _parse_named(named or ())}
    Speaker(home).say(CHALLENGE, body, describe_challenge, Manner(yes, as_json, wait_s, receipt))


@app.command()
def withdraw(
    challenge_id: Annotated[str, typer.Argument(metavar="CHALLENGE", help="Id of the challenge.")],
    *,
    home: HomeOption,
    because: Annotated[str, typer.Option("--because", help="Why, in a sentence.")],
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Take a challenge of this nation back, as long as the lab has not answered it."""
    body = {"challenge": challenge_id, "reason": because}
    Speaker(home).say(WITHDRAWAL, body, describe_withdrawal, Manner(yes, as_json, wait_s, receipt))


@app.command()
def find(
    challenge_id: Annotated[str | None, typer.Argument(metavar="CHALLENGE", help="Id of the challenge.")] = None,
    inspector: Annotated[str | None, typer.Argument(help="Id of the inspector, of this nation.")] = None,
    conclusion: Annotated[str | None, typer.Argument(help=f"One of {', '.join(get_args(Conclusion))}.")] = None,
    *,
    home: HomeOption,
    output: OutputOption,
    fields: Annotated[
        list[str] | None, typer.Option("--field", help="What was found of a hidden field: name=conclusion; repeat.")
    ] = None,
    grounds: Annotated[
        list[str] | None, typer.Option("--ground", help=f"Why inconsistent: {', '.join(get_args(Ground))}; repeat.")
    ] = None,
    level: Annotated[
        str | None,
        typer.Option("--level", help=f"How far it was checked, if consistent: {', '.join(get_args(Level))}."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="The inspector's report; its SHA-256 is signed.")
    ] = None,
    file: FileOption = None,
    yes: YesOption = False,
) -> None:
    """Sign what an inspector of this nation found; the inspector countersigns and submits what this writes."""
    needed = {"CHALLENGE": challenge_id, "INSPECTOR": inspector, "CONCLUSION": conclusion, "--report": report}
    body = take_file(file, needed | {"--field": fields, "--ground": grounds, "--level": level})
    if body is None:
        require(needed)
        assert report is not None
        digest = hashlib.sha256(read_file(report, size_max=REPORT_BYTES_MAX)).hexdigest()
        body = {"challenge": challenge_id, "inspector": inspector, "conclusion": conclusion}
        body |= {"fields": _parse_fields(fields or ()), "grounds": sorted(grounds or ())}
        body |= {"level": level, "report": digest}
    Speaker(home).offer(FINDING, body, describe_finding, output, yes=yes)
    err.print(f"Signed. Send {output} to the inspector, who countersigns and submits it.")
    typer.echo(output)


@app.command()
def challenges(home: HomeOption, *, as_json: JsonOption = False) -> None:
    """Show the open challenges that concern this nation: its own, of its labs, for its inspectors."""
    standing = Speaker(home).standing
    if as_json:
        typer.echo(json.dumps([_encode_challenge(each) for each in standing.matters.challenges], indent=2))
        return
    print_lines([describe_open(each, standing) for each in standing.matters.challenges], "No challenge is open.")


def describe_open(raised: operator_pb2.OpenChallenge, standing: Standing) -> str:
    """An open challenge in one line."""
    waits = {
        "open": "the lab answers",
        "overdue": "overdue; missing unless the lab answers",
        "provided": "inspectors find",
    }
    line = (
        f"{raised.challenge}, by {raised.nation}: {raised.lab} {raised.cluster}, interval {raised.interval};"
        f" {waits.get(raised.stage, raised.stage)} until {standing.say_until(raised.until_ms)}"
    )
    return f"{line}; not yet said by {', '.join(raised.inspectors)}" if raised.inspectors else line


def describe_inspectors(said: Inspectors, standing: Standing) -> Sequence[str]:
    """What naming inspectors means."""
    return (
        f"From the block on that this stands in, {standing.nation}'s inspectors are:",
        *(f"- {each.id}, {each.name}" for each in said.active()),
        *(["- nobody"] if not said.active() else []),
        "Whoever was named before and is not named now is revoked, and the keys never come back.",
    )


def describe_challenge(said: Challenge, standing: Standing) -> Sequence[str]:
    """What a challenge asks and starts."""
    rules, request = standing.agreement.challenges, said.request
    asked = [f"the fields {', '.join(request.fields)}"] if request.fields else []
    asked += [f"{len(request.records)} records"] if request.records else []
    asked += [f"{len(request.chips)} accelerators of the inventory {request.inventory}"] if request.chips else []
    asked += [f"a part of the run {request.recompute}, computed again"] if request.recompute else []
    return (
        (
            f"{standing.nation} asks {said.lab} to open, of cluster {said.cluster} in"
            f" {standing.say_interval(said.interval)}: {'; '.join(asked)}."
        ),
        f"To these inspectors alone: {', '.join(f'{each.inspector} of {each.nation}' for each in said.inspectors)}.",
        f"Everybody will read why: {said.grounds.text}",
        (
            f"The lab has {format_duration(rules.response_window_s)}; silence makes the interval unverifiable, and"
            f" {format_duration(rules.missing_after_s)} later missing."
        ),
        f"It is one of at most {rules.per_year_max} of this nation within a year.",
    )


def describe_withdrawal(said: Withdrawal, standing: Standing) -> Sequence[str]:
    """What withdrawing means."""
    return (
        f"{standing.nation} takes the challenge {said.challenge} back; the lab need not answer it any more.",
        f"Everybody will read why: {said.reason}",
        "It counts against the quota all the same.",
    )


def describe_finding(said: Finding, standing: Standing) -> Sequence[str]:
    """What a finding means."""
    rules = standing.agreement.challenges
    grounds = f" ({', '.join(said.grounds)})" if said.grounds else ""
    level = f", at level {said.level}" if said.level else ""
    return (
        f"{said.inspector} of {standing.nation}, on {said.challenge}: {said.conclusion}{grounds}{level}.",
        f"It counts once {rules.inspectors_min} inspectors of {rules.nations_min} nations conclude the same.",
        f"Keep the report with the SHA-256 {said.report}.",
        "Whatever else this nation says before the inspector submits it takes its place, and it must be signed again.",
    )


def _encode_challenge(raised: operator_pb2.OpenChallenge) -> dict[str, Any]:  # values are of several types
    return {
        "challenge": raised.challenge,
        "nation": raised.nation,
        "lab": raised.lab,
        "lab_nation": raised.lab_nation,
        "cluster": raised.cluster,
        "interval": raised.interval,
        "stage": raised.stage,
        "until_ms": raised.until_ms,
        "inspectors": list(raised.inspectors),
    }


def _parse_inspector(line: str) -> dict[str, object]:
    parts = line.split(":")
    if len(parts) != 4:
        raise typer.BadParameter(f"found {line!r}, expected id:name:signing key:encryption key")
    inspector_id, name, signing_key, encryption_key = parts
    keys = {"signing_key": signing_key, "encryption_key": encryption_key}
    return {"id": inspector_id, "name": name, **keys, "status": "active"}


def _parse_named(named: Sequence[str]) -> list[dict[str, object]]:
    pairs = [tuple(text.split("/")) for text in sorted(named)]
    for text, pair in zip(sorted(named), pairs, strict=True):
        if len(pair) != 2:
            raise typer.BadParameter(f"found {text!r}, expected nation/inspector", param_hint="--inspector")
    return [{"nation": pair[0], "inspector": pair[1]} for pair in sorted(pairs)]


def _parse_fields(fields: Sequence[str]) -> list[dict[str, object]]:
    pairs = [text.partition("=") for text in sorted(fields)]
    return [{"field": name, "conclusion": conclusion} for name, _, conclusion in pairs]
