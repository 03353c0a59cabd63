"""`counterseal nation observe` and `enforce`: what a nation noticed elsewhere, and what it does about a lab."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, get_args

import typer

from ledger.limits import MIB
from ledger.statements.notices import (
    ENFORCEMENT,
    OBSERVATION,
    About,
    Confidence,
    Enforcement,
    Measure,
    Observation,
    ObservationCategory,
)
from node.home import read_file
from node.saying import (
    WAIT_S,
    FileOption,
    HomeOption,
    JsonOption,
    Manner,
    ReceiptOption,
    Speaker,
    WaitOption,
    YesOption,
    require,
    take_file,
)
from node.standing import Standing

EVIDENCE_BYTES_MAX: Final = 256 * MIB

app: Final = typer.Typer(add_completion=False)


@app.command()
def observe(
    about: Annotated[str | None, typer.Argument(help=f"One of {', '.join(get_args(About))}.")] = None,
    name: Annotated[str | None, typer.Argument(help="Its id; none for the ledger itself.")] = None,
    *,
    home: HomeOption,
    category: Annotated[
        str | None, typer.Option("--category", help=f"One of {', '.join(get_args(ObservationCategory))}.")
    ] = None,
    confidence: Annotated[
        str | None, typer.Option("--confidence", help=f"One of {', '.join(get_args(Confidence))}.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="In a sentence or two; everybody reads it.")] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="What was observed: you keep it, its SHA-256 is put on record.")
    ] = None,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Put on record what this nation noticed, or by --file what `counterseal observe note` wrote. Moves no verdict."""
    given = {"ABOUT": about, "--category": category, "--confidence": confidence, "--text": text, "--evidence": evidence}
    body = take_file(file, given | {"NAME": name})
    if body is None:
        require(given)
        assert evidence is not None
        digest = hashlib.sha256(read_file(evidence, size_max=EVIDENCE_BYTES_MAX)).hexdigest()
        body = {"about": about, "name": name, "category": category, "confidence": confidence}
        body |= {"digest": digest, "text": text}
    Speaker(home).say(OBSERVATION, body, describe_observation, Manner(yes, as_json, wait_s, receipt))


@app.command()
def enforce(
    lab: Annotated[str | None, typer.Argument(help="Id of the lab, also of another nation's.")] = None,
    measure: Annotated[str | None, typer.Argument(help=f"One of {', '.join(get_args(Measure))}.")] = None,
    *,
    home: HomeOption,
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="First interval it holds in; default: the next.")
    ] = None,
    until: Annotated[
        int | None, typer.Option("--until", min=1, help="First interval it no longer holds in; default: until lifted.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="Why, and on which ground.")] = None,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Put on record what this nation does about a lab. Moves no verdict."""
    given = {"LAB": lab, "MEASURE": measure, "--text": text}
    body = take_file(file, given | {"--from": first, "--until": until})
    speaker = Speaker(home)
    if body is None:
        require(given)
        begins = speaker.standing.next_interval if first is None else first
        body = {"lab": lab, "measure": measure, "interval": begins, "until": until, "text": text}
    speaker.say(ENFORCEMENT, body, describe_enforcement, Manner(yes, as_json, wait_s, receipt))


def describe_observation(observation: Observation, standing: Standing) -> Sequence[str]:
    """What an observation means."""
    subject = f"the {observation.about} {observation.name}" if observation.name else "this ledger"
    return (
        f"{standing.nation} noticed of {subject}: {observation.category}; its confidence is {observation.confidence}.",
        f"Everybody will read: {observation.text}",
        f"Keep what has the SHA-256 {observation.digest}: it is what was observed.",
        "It moves no verdict; a challenge can rest on it.",
    )


def describe_enforcement(measure: Enforcement, standing: Standing) -> Sequence[str]:
    """What a measure means."""
    first = standing.say_interval(measure.interval)
    if measure.measure == "lifted":
        held = f"What {standing.nation} ordered against {measure.lab} before is lifted from {first} on."
    else:
        until = f"until {standing.say_interval(measure.until)}" if measure.until is not None else "until it is lifted"
        held = f"{standing.nation} orders against the lab {measure.lab}: {measure.measure}, from {first} {until}."
    return (held, f"Everybody will read: {measure.text}", "It moves no verdict.")
