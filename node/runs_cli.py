"""`counterseal nation decide`, `review`, `runs` and `reviews`: what a nation answers its labs before silence does."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, get_args

import typer

from ledger.explanation import format_duration
from ledger.statements.runs import REVIEW_EVENT, RUN_DECISION, Decision, EventName, ReviewEvent, RunDecision
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
    print_lines,
    require,
    take_file,
)
from node.standing import Standing, say_time
from node.v1 import operator_pb2

app: Final = typer.Typer(add_completion=False)

LabArgument = Annotated[str | None, typer.Argument(help="Id of the lab.")]
NoteOption = Annotated[str | None, typer.Option("--note", help="Why, or what is asked for.")]
_DECISIONS: Final = " or ".join(get_args(Decision))
_EVENTS: Final = ", ".join(name for name in get_args(EventName) if name != "info-supplied")


@app.command()
def decide(
    lab: LabArgument = None,
    run: Annotated[str | None, typer.Argument(help="Id of the run.")] = None,
    decision: Annotated[str | None, typer.Argument(help=f"{_DECISIONS}.")] = None,
    *,
    home: HomeOption,
    note: NoteOption = None,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Approve or refuse a training run that a lab of this nation declared."""
    given = {"LAB": lab, "RUN": run, "DECISION": decision}
    body = take_file(file, given | {"--note": note})
    speaker = Speaker(home)
    if body is None:
        require(given)
        declaration = speaker.standing.require_run(lab or "", run or "").declaration.hex()
        body = {"lab": lab, "run": run, "declaration": declaration, "decision": decision, "note": note or ""}
    speaker.say(RUN_DECISION, body, describe_decision, Manner(yes, as_json, wait_s, receipt))


@app.command()
def review(
    lab: LabArgument = None,
    model: Annotated[str | None, typer.Argument(help="Id of the model.")] = None,
    event: Annotated[str | None, typer.Argument(help=f"One of {_EVENTS}.")] = None,
    *,
    home: HomeOption,
    note: NoteOption = None,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Take a step of the review of a model before its release."""
    given = {"LAB": lab, "MODEL": model, "EVENT": event}
    body = take_file(file, given | {"--note": note})
    speaker = Speaker(home)
    if body is None:
        require(given)
        handed_in = speaker.standing.require_review(lab or "", model or "").review.hex()
        body = {"lab": lab, "model": model, "review": handed_in, "event": event, "note": note or ""}
    speaker.say(REVIEW_EVENT, body, describe_event, Manner(yes, as_json, wait_s, receipt))


@app.command()
def runs(home: HomeOption, *, as_json: JsonOption = False) -> None:
    """Show the training runs of this nation's labs that have not ended, and by when to decide."""
    standing = Speaker(home).standing
    if as_json:
        typer.echo(json.dumps([_encode_run(each) for each in standing.matters.runs], indent=2))
        return
    print_lines([describe_run(each, standing) for each in standing.matters.runs], "No run is open.")


@app.command()
def reviews(home: HomeOption, *, as_json: JsonOption = False) -> None:
    """Show the reviews of this nation's labs that are not cleared, and when their clocks run out."""
    standing = Speaker(home).standing
    if as_json:
        typer.echo(json.dumps([_encode_review(each) for each in standing.matters.reviews], indent=2))
        return
    print_lines([describe_review(each, standing) for each in standing.matters.reviews], "No review is open.")


def describe_run(run: operator_pb2.OpenRun, standing: Standing) -> str:
    """An open run in one line."""
    size = f"at least 10^{run.band} operations" if run.band else "no operations yet"
    line = f"{run.lab} {run.run}: {run.state}, {size}, cap in decade {run.cap_band}"
    if run.decide_by_ms:
        silence = standing.agreement.runs.silence
        line += f"; silence {silence} it {standing.say_until(run.decide_by_ms)}"
    return line


def describe_review(review: operator_pb2.OpenReview, standing: Standing) -> str:
    """An open review in one line."""
    planned = f"release planned for {say_time(review.planned_at * 1000)}"
    if review.stage == "blocked":
        return f"{review.lab} {review.model}: blocked; it can still be cleared; {planned}"
    if review.stage == "waiting":
        left = format_duration(review.remaining_ms // 1000)
        return f"{review.lab} {review.model}: waits for the lab, {left} left on the clock; {planned}"
    silence = standing.agreement.reviews.silence
    word = "acknowledged" if review.acknowledged else "not acknowledged"
    return f"{review.lab} {review.model}: {word}; silence {silence} it {standing.say_until(review.ends_ms)}; {planned}"


def describe_decision(decision: RunDecision, standing: Standing) -> Sequence[str]:
    """What a decision on a run means."""
    rules = standing.agreement.runs
    known = [each for each in standing.matters.runs if (each.lab, each.run) == (decision.lab, decision.run)]
    lines = [f"The run {decision.run} of {decision.lab} is {decision.decision}, from the block on that this stands in."]
    lines += [f"It stands so: {describe_run(each, standing)}." for each in known]
    lines.append(
        "The lab may start it."
        if decision.decision == "approved"
        else "If the lab starts it all the same and it reaches what must be approved, that is held against the lab."
    )
    lines.append(
        f"It can be changed until the run starts; without a decision silence {rules.silence} it"
        f" {format_duration(rules.approval_window_s)} after it was declared."
    )
    return lines


def describe_event(event: ReviewEvent, standing: Standing) -> Sequence[str]:
    """What a step of a review means."""
    rules = standing.agreement.reviews
    known = [each for each in standing.matters.reviews if (each.lab, each.model) == (event.lab, event.model)]
    extension, most = format_duration(rules.extension_s), rules.extensions_max
    meanings = {
        "acknowledged": "It is on record that the nation knows of it; nothing follows from that.",
        "info-requested": "The clock stands still until the lab has supplied what is asked for.",
        "info-supplied": "Only the lab itself can say this: the rules will refuse it.",
        "extended": f"There is {extension} more on the clock; a nation may do this {most} times for a model.",
        "cleared": "The lab may release the model. This stays so.",
        "blocked": "The lab must not release the model, as long as it is not cleared."
        if rules.is_binding
        else "A release all the same is told to everybody: reviews do not bind here.",
    }
    lines = [f"The review of the model {event.model} of {event.lab}: {event.event}. {meanings[event.event]}"]
    lines += [f"It stands so: {describe_review(each, standing)}." for each in known]
    return lines


def _encode_run(run: operator_pb2.OpenRun) -> dict[str, Any]:  # values of a JSON object are of several types
    return {
        "lab": run.lab,
        "run": run.run,
        "state": run.state,
        "declaration": run.declaration.hex(),
        "index": run.index,
        "declared": run.declared,
        "decide_by_ms": run.decide_by_ms or None,
        "band": run.band,
        "cap_band": run.cap_band,
    }


def _encode_review(review: operator_pb2.OpenReview) -> dict[str, Any]:  # values are of several types
    return {
        "lab": review.lab,
        "model": review.model,
        "stage": review.stage,
        "review": review.review.hex(),
        "ends_ms": review.ends_ms or None,
        "remaining_ms": review.remaining_ms,
        "acknowledged": review.acknowledged,
        "extensions": review.extensions,
        "planned_at": review.planned_at,
    }
