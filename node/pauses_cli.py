"""`counterseal nation pause …`: propose a pause, join one or take that back, and see how each stands."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import typer

from ledger.errors import Code, ConditionError
from ledger.explanation import format_duration, format_operations
from ledger.positions import Millis
from ledger.rules.grid import compute_grid, compute_next_interval
from ledger.statements.intoto import encode_quantity, parse_quantity
from ledger.statements.pauses import (
    PAUSE_ACCESSION,
    PAUSE_PROPOSAL,
    Cap,
    PauseAccession,
    PauseProposal,
    Terms,
    make_limit_id,
)
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
from node.standing import Standing, read_terms
from node.v1 import operator_pb2

app: Final = typer.Typer(no_args_is_help=True, add_completion=False, help="Propose, join and look at pauses.")

PauseArgument = Annotated[str | None, typer.Argument(help="Id of the pause: a-z, 0-9 and hyphens, at most 32.")]


@app.command()
def propose(
    pause: PauseArgument = None,
    *,
    home: HomeOption,
    title: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option("--cap", help="quantity=maximum, such as training_pflop_per_run=1000000; repeat."),
    ] = None,
    first: Annotated[
        int | None, typer.Option("--first-interval", min=0, help="It begins with this one or later.")
    ] = None,
    count: Annotated[int | None, typer.Option("--intervals", min=1, help="How many it lasts.")] = None,
    lapses: Annotated[
        int | None,
        typer.Option(
            "--lapses", min=0, help="Activated at the beginning of this one at the latest; default: its first."
        ),
    ] = None,
    nations_min: Annotated[int | None, typer.Option("--nations-min", min=1, help="So many must join.")] = None,
    nations: Annotated[list[str] | None, typer.Option("--nation", help="Who must be among them; repeat.")] = None,
    permille: Annotated[
        int | None, typer.Option("--capacity-permille", min=0, max=1000, help="Share of the capacity they must have.")
    ] = None,
    lift: Annotated[str | None, typer.Option("--lift", help="In words: when it should be lifted.")] = None,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Put a pause up for nations to join. Who proposes has not joined by that."""
    needed = {
        "PAUSE": pause,
        "--title": title,
        "--cap": cap,
        "--first-interval": first,
        "--intervals": count,
        "--nations-min": nations_min,
        "--lift": lift,
    }
    body = take_file(file, needed | {"--lapses": lapses, "--nation": nations, "--capacity-permille": permille})
    if body is None:
        require(needed)
        terms = {
            "title": title,
            "scope": [_parse_cap(text) for text in sorted(cap or ())],
            "first_interval": first,
            "interval_count": count,
            "lapses": first if lapses is None else lapses,
            "activation": {
                "nations_min": nations_min,
                "nations": sorted(nations or ()),
                "capacity_permille_min": permille or 0,
            },
            "lift": lift,
        }
        body = {"pause": pause, "terms": terms}
    Speaker(home).say(PAUSE_PROPOSAL, body, describe_proposal, Manner(yes, as_json, wait_s, receipt))


@app.command()
def join(
    pause: PauseArgument = None,
    *,
    home: HomeOption,
    nations: Annotated[list[str] | None, typer.Option("--if", help="Only if this nation joins too; repeat.")] = None,
    nations_min: Annotated[
        int | None, typer.Option("--if-nations", min=0, help="Only if so many join in all, this one included.")
    ] = None,
    lapses: Annotated[
        int | None,
        typer.Option(
            "--lapses", min=0, help="Counts at the beginning of this interval last; default: when the pause lapses."
        ),
    ] = None,
    file: FileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Join a pause, on a condition if there is one. Once the pause is activated nobody who joined can leave."""
    body = take_file(file, {"PAUSE": pause, "--if": nations, "--if-nations": nations_min, "--lapses": lapses})
    speaker = Speaker(home)
    if body is None:
        require({"PAUSE": pause})
        known = speaker.standing.require_pause(pause or "")
        last = known.end - 1 if known.activated else known.lapses
        joins = {
            "nations": sorted(nations or ()),
            "nations_min": nations_min or 0,
            "lapses": last if lapses is None else lapses,
        }
        body = {"pause": pause, "terms": known.terms.hex(), "joins": joins}
    speaker.say(PAUSE_ACCESSION, body, describe_accession, Manner(yes, as_json, wait_s, receipt))


@app.command()
def withdraw(
    pause: Annotated[str, typer.Argument(help="Id of the pause.")],
    *,
    home: HomeOption,
    yes: YesOption = False,
    as_json: JsonOption = False,
    wait_s: WaitOption = WAIT_S,
    receipt: ReceiptOption = None,
) -> None:
    """Take an accession back, as long as the pause does not bind this nation."""
    speaker = Speaker(home)
    terms = speaker.standing.require_pause(pause).terms.hex()
    body = {"pause": pause, "terms": terms, "joins": None}
    speaker.say(PAUSE_ACCESSION, body, describe_accession, Manner(yes, as_json, wait_s, receipt))


@app.command(name="list")
def list_pauses(home: HomeOption, *, as_json: JsonOption = False) -> None:
    """Show every pause that is not over."""
    standing = Speaker(home).standing
    if as_json:
        typer.echo(json.dumps([_encode_pause(pause) for pause in standing.matters.pauses], indent=2))
        return
    print_lines([describe_pause(pause, standing) for pause in standing.matters.pauses], "No pause is open.")


@app.command()
def show(
    pause: Annotated[str, typer.Argument(help="Id of the pause.")], home: HomeOption, *, as_json: JsonOption = False
) -> None:
    """Show one pause: its terms in words, who joins it on what condition."""
    standing = Speaker(home).standing
    known = standing.require_pause(pause)
    if as_json:
        typer.echo(json.dumps(_encode_pause(known), indent=2))
        return
    lines = [describe_pause(known, standing), *_describe_terms(pause, read_terms(known), standing)]
    lines += [_describe_said(said, standing) for said in known.accessions]
    lines.append(f"Labs that have pledged to it: {known.pledge_count}.")
    print_lines(lines, "")


def describe_pause(pause: operator_pb2.OpenPause, standing: Standing) -> str:
    """A pause in one line: where it stands and until when."""
    joined = ", ".join(each.nation for each in pause.accessions if each.joined)
    waiting = ", ".join(each.nation for each in pause.accessions if not each.joined)
    if pause.activated:
        more = f"; {waiting} will join" if waiting else ""
        return (
            f"{pause.pause}: activated, from {standing.say_interval(pause.start)} until"
            f" {standing.say_interval(pause.end)}; joined: {joined}{more}"
        )
    lapses = standing.say_until(standing.compute_start_ms(pause.lapses))
    return f"{pause.pause}: proposed by {pause.proposer}, lapses {lapses}; acceded: {waiting or 'nobody'}"


def describe_proposal(proposal: PauseProposal, standing: Standing) -> Sequence[str]:
    """What a proposal of a pause means."""
    notice = format_duration(standing.agreement.pauses.notice_s)
    return (
        f"{standing.nation} puts the pause {proposal.pause} up for nations to join, and has not joined by that.",
        *_describe_terms(proposal.pause, proposal.terms, standing),
        f"Once it is activated it begins {notice} after that at the earliest, and nobody who joined can leave.",
        "Nothing of this can be changed once it is on the ledger.",
    )


def describe_accession(accession: PauseAccession, standing: Standing) -> Sequence[str]:
    """What joining means for the nation and its labs, or taking that back."""
    known = standing.require_pause(accession.pause)
    if accession.terms != known.terms.hex():
        raise ConditionError(
            field="terms",
            found=accession.terms,
            expected=f"those on the ledger, {known.terms.hex()}",
            code=Code.TERMS_MISMATCH,
        )
    since = standing.say_interval(standing.next_interval)
    if accession.joins is None:
        return (f"{standing.nation} takes its accession to the pause {accession.pause} back; it counts no more.",)
    joins, terms = accession.joins, read_terms(known)
    condition = _say_condition(joins.nations, joins.nations_min)
    lines = [
        f"{standing.nation} joins the pause {accession.pause} {condition}.",
        f"This counts from {since} on, and for the last time when {standing.say_interval(joins.lapses)} begins.",
        *_describe_terms(accession.pause, terms, standing),
    ]
    if known.activated:
        first = standing.say_interval(max(known.start, standing.next_interval))
        promise = f"its labs must promise {make_limit_id(accession.pause)} in every row"
        lines.append(f"It is activated: if the condition holds, {promise}, from {first} on.")
    else:
        first = standing.say_interval(_compute_earliest(terms, standing))
        promise = f"must promise {make_limit_id(accession.pause)} in every row"
        lines.append(f"Once it is activated, labs of {standing.nation} {promise}, from {first} on at the earliest.")
    lines.append("It can be taken back until the pause binds this nation, and not after that.")
    return lines


def _compute_earliest(terms: Terms, standing: Standing) -> int:
    """The first interval that a pause can cover if it is activated at the next boundary."""
    grid = compute_grid(standing.charter.grid)
    activated_ms = grid.start_ms + standing.next_interval * grid.interval_ms
    notified = compute_next_interval(grid, Millis(activated_ms + standing.agreement.pauses.notice_s * 1000 - 1))
    return max(terms.first_interval, notified)


def _describe_terms(pause_id: str, terms: Terms, standing: Standing) -> list[str]:
    need = terms.activation
    who = f", {', '.join(need.nations)} among them" if need.nations else ""
    share = need.capacity_permille_min
    capacity = f", with {share / 10:g} % of the registered capacity" if share else ""
    first, length = standing.say_interval(terms.first_interval), standing.say_length(terms.interval_count)
    return [
        f'{pause_id}, "{terms.title}": {"; ".join(_describe_cap(each) for each in terms.scope)}.',
        f"It begins with {first} or later and lasts {length}.",
        (
            f"It is activated once {need.nations_min} nations have joined{who}{capacity}; if that does not hold when"
            f" {standing.say_interval(terms.lapses)} begins, it lapses."
        ),
        f"It should be lifted: {terms.lift}",
    ]


def _describe_cap(cap: Cap) -> str:
    maximum = parse_quantity(cap.maximum, field=f"cap {cap.quantity}")
    return f"{cap.quantity} at most {format_operations(maximum) if 'pflop' in cap.quantity else maximum}"


def _describe_said(said: operator_pb2.OpenAccession, standing: Standing) -> str:
    if said.joined:
        return f"{said.nation} has joined; it binds its labs from {standing.say_interval(said.since)} on."
    condition = _say_condition(said.nations, said.nations_min)
    return f"{said.nation} joins {condition}; that lapses after {standing.say_interval(said.lapses)} has begun."


def _say_condition(nations: Sequence[str], nations_min: int) -> str:
    verb = "joins" if len(nations) == 1 else "join"
    others = [f"{' and '.join(nations)} {verb} too"] if nations else []
    others += [f"{nations_min} nations join in all"] if nations_min else []
    return f"if {' and '.join(others)}" if others else "without condition"


def _encode_pause(pause: operator_pb2.OpenPause) -> dict[str, Any]:  # values of a JSON object are of several types
    return {
        "pause": pause.pause,
        "proposer": pause.proposer,
        "index": pause.index,
        "terms_digest": pause.terms.hex(),
        "terms": msgspec.json.decode(pause.body) if pause.body else None,
        "activated": pause.activated,
        "start": pause.start if pause.activated else None,
        "end": pause.end if pause.activated else None,
        "lapses": pause.lapses,
        "pledge_count": pause.pledge_count,
        "accessions": [
            {
                "nation": said.nation,
                "joined": said.joined,
                "since": said.since,
                "condition": None
                if said.joined
                else {"nations": list(said.nations), "nations_min": said.nations_min, "lapses": said.lapses},
            }
            for said in pause.accessions
        ],
    }


def _parse_cap(text: str) -> dict[str, object]:
    quantity, equals, maximum = text.partition("=")
    if not equals or not maximum.isascii() or not maximum.isdecimal() or len(maximum) > 19:
        raise typer.BadParameter(
            f"found {text!r}, expected quantity=maximum, the maximum in decimal", param_hint="--cap"
        )
    return {"quantity": quantity, "maximum": encode_quantity(int(maximum))}
