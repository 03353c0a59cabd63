"""`counterseal nation propose`, `approve` and `proposals`: what the committee decides, by vote of its members."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, assert_never

import msgspec
import typer

from ledger.errors import Code, ConditionError
from ledger.explanation import format_duration
from ledger.limits import MIB
from ledger.statements.committee import APPROVAL, PROPOSAL, Approval, ExtendPause, LiftPause, Proposal, Resolution
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
    print_lines,
    require,
    take_file,
)
from node.standing import Standing, read_change
from node.v1 import operator_pb2

DOCUMENT_BYTES_MAX: Final = 64 * MIB

app: Final = typer.Typer(add_completion=False)


@app.command()
def propose(
    proposal: Annotated[str | None, typer.Argument(help="An id of your choice: a-z, 0-9 and hyphens.")] = None,
    *,
    home: HomeOption,
    lift: Annotated[str | None, typer.Option("--lift", help="End this pause before its time.")] = None,
    extend: Annotated[str | None, typer.Option("--extend", help="Let this pause last longer, with --until.")] = None,
    until: Annotated[int | None, typer.Option("--until", min=1, help="The first interval it does not cover.")] = None,
    resolution: Annotated[str | None, typer.Option("--resolution", help="Words on record; with --document.")] = None,
    document: Annotated[
        Path | None, typer.Option("--document", help="What the resolution is about: its SHA-256 is put on record.")
    ] = None,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Ask the committee to decide something. Who proposes has not voted by that."""
    given = {"PROPOSAL": proposal, "--lift": lift, "--extend": extend, "--until": until, "--resolution": resolution}
    body = take_file(file, given | {"--document": document})
    if body is None:
        require({"PROPOSAL": proposal})
        body = {"proposal": proposal, "change": _make_change(lift, extend, until, resolution, document)}
    Speaker(home).say(PROPOSAL, body, describe_proposal, Manner(yes, as_json, wait_s, receipt))


@app.command()
def approve(
    proposal: Annotated[str | None, typer.Argument(help="Id of the proposal.")] = None,
    *,
    home: HomeOption,
    no: Annotated[bool, typer.Option("--no", help="Say no. Both can be changed as long as it is open.")] = False,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Say yes, or no, to a proposal that is open."""
    body = take_file(file, {"PROPOSAL": proposal, "--no": no})
    speaker = Speaker(home)
    if body is None:
        require({"PROPOSAL": proposal})
        change = speaker.standing.require_proposal(proposal or "").change.hex()
        body = {"proposal": proposal, "change": change, "approves": not no}
    speaker.say(APPROVAL, body, describe_approval, Manner(yes, as_json, wait_s, receipt))


@app.command()
def proposals(home: HomeOption, *, as_json: JsonOption = False) -> None:
    """Show every proposal that is open, the votes so far and when it closes."""
    standing = Speaker(home).standing
    if as_json:
        typer.echo(json.dumps([_encode_proposal(each) for each in standing.matters.proposals], indent=2))
        return
    print_lines([describe_open(each, standing) for each in standing.matters.proposals], "No proposal is open.")


def describe_open(proposal: operator_pb2.OpenProposal, standing: Standing) -> str:
    """An open proposal in one line."""
    words = say_change(read_change(proposal), standing) if proposal.body else "its words are not here yet"
    return (
        f"{proposal.proposal}, by {proposal.proposer}: {words}; {len(proposal.yes)} of {proposal.needed} yes"
        f"{_list_votes(proposal)}; closes {standing.say_until(proposal.closes_ms)}"
    )


def describe_proposal(proposal: Proposal, standing: Standing) -> Sequence[str]:
    """What proposing means."""
    window, needed = (
        format_duration(standing.agreement.decisions.voting_window_s),
        _say_needed(proposal.change, standing),
    )
    return (
        f"{standing.nation} proposes, as {proposal.proposal}: {say_change(proposal.change, standing)}.",
        f"It is carried once {needed} say yes, and lapses {window} from now if they do not.",
        f"{standing.nation} has not voted by this: `counterseal nation approve {proposal.proposal}` does.",
        _say_effect(proposal.change, standing),
    )


def describe_approval(approval: Approval, standing: Standing) -> Sequence[str]:
    """What a vote means."""
    known = standing.require_proposal(approval.proposal)
    if approval.change != known.change.hex():
        raise ConditionError(
            field="change",
            found=approval.change,
            expected=f"the one proposed, {known.change.hex()}",
            code=Code.TERMS_MISMATCH,
        )
    change = read_change(known)
    word = "yes" if approval.approves else "no"
    lines = [f"{standing.nation} says {word} to {known.proposal} of {known.proposer}: {say_change(change, standing)}."]
    yes_count = len([nation for nation in known.yes if nation != standing.nation]) + approval.approves
    closes = standing.say_until(known.closes_ms)
    lines.append(f"With this vote {yes_count} of the {known.needed} that it needs say yes; it closes {closes}.")
    if yes_count >= known.needed:
        lines += ["So it is carried, and no vote can be changed any more.", _say_effect(change, standing)]
    return lines


def say_change(change: LiftPause | ExtendPause | Resolution, standing: Standing) -> str:
    """Say what is proposed."""
    match change:
        case LiftPause():
            return f"end the pause {change.pause} before its time"
        case ExtendPause():
            return f"let the pause {change.pause} last until {standing.say_interval(change.until)}"
        case Resolution():
            return f'put on record "{change.text}" (document {change.digest})'
        case _:
            assert_never(change)


def _say_needed(change: LiftPause | ExtendPause | Resolution, standing: Standing) -> str:
    is_all = isinstance(change, LiftPause) and standing.agreement.pauses.lift == "all"
    count = len(standing.charter.members)
    return f"all {count} members" if is_all else f"{standing.charter.quorum} of {count} members"


def _say_effect(change: LiftPause | ExtendPause | Resolution, standing: Standing) -> str:
    first = standing.say_interval(standing.next_interval)
    match change:
        case LiftPause():
            return f"Once carried, the pause ends with the next boundary, {first} at the earliest."
        case ExtendPause():
            return f"Once carried, it has its new end from the next boundary on, {first} at the earliest."
        case Resolution():
            return "A resolution binds nobody: it is on record that it was carried."
        case _:
            assert_never(change)


def _list_votes(proposal: operator_pb2.OpenProposal) -> str:
    votes = [f"yes: {', '.join(proposal.yes)}"] if proposal.yes else []
    votes += [f"no: {', '.join(proposal.no)}"] if proposal.no else []
    return f" ({'; '.join(votes)})" if votes else ""


def _encode_proposal(proposal: operator_pb2.OpenProposal) -> dict[str, Any]:  # values are of several types
    return {
        "proposal": proposal.proposal,
        "proposer": proposal.proposer,
        "index": proposal.index,
        "change_digest": proposal.change.hex(),
        "change": msgspec.json.decode(proposal.body) if proposal.body else None,
        "yes": list(proposal.yes),
        "no": list(proposal.no),
        "needed": proposal.needed,
        "closes_ms": proposal.closes_ms,
    }


def _make_change(
    lift: str | None, extend: str | None, until: int | None, resolution: str | None, document: Path | None
) -> dict[str, object]:
    if [lift, extend, resolution].count(None) != 2:
        raise typer.BadParameter("exactly one of --lift, --extend and --resolution is needed, or --file")
    if lift is not None:
        return {"kind": "lift-pause", "pause": lift}
    if extend is not None:
        require({"--until": until})
        return {"kind": "extend-pause", "pause": extend, "until": until}
    require({"--document": document})
    assert document is not None
    digest = hashlib.sha256(read_file(document, size_max=DOCUMENT_BYTES_MAX)).hexdigest()
    return {"kind": "resolution", "text": resolution, "digest": digest}
