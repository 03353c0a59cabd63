"""`counterseal charter …`: draft the agreement that founders sign, and read one in plain language."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from ledger.charter import Accelerator, ConsensusParameters, Grid, Limit, parse_charter
from ledger.errors import Code, ConditionError
from ledger.explanation import Agreed, Heading, explain, find_interval_warning
from ledger.limits import DRAFT_BYTES_MAX, ENTRY_BYTES_MAX
from ledger.positions import Millis, Seconds
from node.daemon import read_clock
from node.draft import Draft, parse_draft
from node.home import read_file, write_file
from node.presets import PRESETS, compute_warning_threshold_pflop, find_preset, make_agreement, make_limits
from node.setup import ACCELERATORS, Terms, make_draft

NO_AGREEMENT: Final = "none"
COUNT_MAX: Final = 10**9
_ENVELOPE_START: Final = b'{"payload":'

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Draft a charter, and read one in plain language.")
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


@app.callback()
def group() -> None:
    """Draft a charter, and read one in plain language."""


@app.command()
def presets(*, as_json: JsonOption = False) -> None:
    """List the presets that a charter can begin from, and what each follows."""
    if as_json:
        out.print_json(json.dumps({preset.name: preset.source for preset in PRESETS.values()}))
        return
    for preset in PRESETS.values():
        out.print(f"{preset.name:8} {escape(preset.source)}")
    out.print(f"{NO_AGREEMENT:8} reports only: no runs, reviews, pauses or inspections")


@app.command()
def new(
    *,
    public_files: Annotated[list[Path], typer.Argument(help="public.json of every founder, in member order.")],
    preset: Annotated[str, typer.Option(help="Where limits and agreement begin: see `charter presets`; or none.")],
    origin: Annotated[str, typer.Option(help="Name of the ledger: a URL without scheme, such as example.org/2026.")],
    title: Annotated[str, typer.Option(help="What people call it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the draft is written.")] = Path("charter.toml"),
    start: Annotated[
        str | None, typer.Option(help="Start of interval 0, ISO 8601 UTC; default: next midnight.")
    ] = None,
    interval_s: Annotated[int, typer.Option(help="Length of a reporting interval.")] = 86_400,
    submit_window_s: Annotated[int, typer.Option(help="From an interval's end to when its report is due.")] = 172_800,
    grace_s: Annotated[int, typer.Option(help="From due to missing.")] = 259_200,
    correction_window_s: Annotated[int, typer.Option(help="From due until a correction is contested.")] = 1_209_600,
    challenge_window_s: Annotated[int, typer.Option(help="From due until challenges end.")] = 31_536_000,
    limit: Annotated[
        list[str] | None, typer.Option(help="id:quantity:maximum:note; reports promise to respect it. Repeatable.")
    ] = None,
    largest_cluster: Annotated[
        str | None, typer.Option(help="model:count of the largest cluster, such as h100:100000, to check the interval.")
    ] = None,
    delta_ms: Annotated[int, typer.Option(help="How long a message and its handling may take when all is well.")] = 500,
    delta_max_ms: Annotated[int, typer.Option(help="The same when views fail one after another.")] = 60_000,
    idle_interval_ms: Annotated[int, typer.Option(help="Time between blocks when nothing is submitted.")] = 2_000,
    snapshot_interval: Annotated[
        int, typer.Option(help="Blocks between snapshots of the state, which new nodes may begin from; 0 for none.")
    ] = 10_000,
) -> None:
    """Draft a charter from the founders' public files. All founders must load the very same draft."""
    begin = int(read_clock()) // 86_400_000 * 86_400 + 86_400 if start is None else _parse_time(start)
    chosen = None if preset == NO_AGREEMENT else find_preset(preset)
    limits = tuple(_parse_limit(text) for text in limit or ())
    grid = Grid(
        start=Seconds(begin),
        interval_s=Seconds(interval_s),
        submit_window_s=Seconds(submit_window_s),
        grace_s=Seconds(grace_s),
        correction_window_s=Seconds(correction_window_s),
        challenge_window_s=Seconds(challenge_window_s),
    )
    terms = Terms(
        origin=origin,
        title=title,
        grid=grid,
        consensus=ConsensusParameters(
            delta_ms=Millis(delta_ms),
            delta_max_ms=Millis(delta_max_ms),
            idle_interval_ms=Millis(idle_interval_ms),
            snapshot_interval=snapshot_interval,
        ),
        limits=limits if chosen is None else (*make_limits(chosen), *limits),
        accelerators=ACCELERATORS,
        agreement=None
        if chosen is None
        else make_agreement(chosen, interval_s=interval_s, challenge_window_s=challenge_window_s),
    )
    raw = make_draft(public_files, terms, now=read_clock())
    drafted = parse_draft(raw)
    warning = _find_warning(drafted, largest_cluster)
    write_file(output, raw)
    for heading in explain(_agreed_of_draft(drafted)):
        _print(heading, err)
    if warning is not None:
        err.print(f"[bold]warning:[/bold] {escape(warning)}")
    err.print(
        "This is what it says (`counterseal charter explain` says it again). Change what should differ, then give the"
    )
    err.print("same file to every founder.")
    typer.echo(output)


@app.command("explain")
def explain_charter(
    file: Annotated[Path, typer.Argument(help="A draft (charter.toml), or the charter itself (entry 0).")],
    *,
    largest_cluster: Annotated[
        str | None, typer.Option(help="model:count of the largest cluster, to check the interval.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say in plain language what was agreed."""
    raw = read_file(file, size_max=DRAFT_BYTES_MAX)
    if raw.startswith(_ENVELOPE_START):
        agreed, warning = _agreed_of_charter(raw), None
    else:
        draft = parse_draft(raw)
        agreed, warning = _agreed_of_draft(draft), _find_warning(draft, largest_cluster)
    headings = explain(agreed)
    if as_json:
        table = {heading.title: list(heading.sentences) for heading in headings}
        out.print_json(json.dumps({"title": agreed.title, "sections": table, "warning": warning}))
        return
    for heading in headings:
        _print(heading, out)
    if warning is not None:
        err.print(f"[bold]warning:[/bold] {escape(warning)}")


def _print(heading: Heading, console: Console) -> None:
    console.print(f"[bold]{escape(heading.title)}[/bold]")
    for sentence in heading.sentences:
        console.print(f"  {escape(sentence)}")
    console.print()


def _agreed_of_draft(draft: Draft) -> Agreed:
    return Agreed(
        title=draft.title,
        origin=draft.origin,
        members=[public.name for public in draft.members],
        quorum=draft.quorum,
        grid=draft.grid,
        limits=draft.limits,
        accelerators=draft.accelerators,
        consensus=draft.consensus,
        agreement=draft.agreement,
    )


def _agreed_of_charter(raw: bytes) -> Agreed:
    if len(raw) > ENTRY_BYTES_MAX:
        raise ConditionError(
            field="charter", found=f"{len(raw)} bytes", expected=f"at most {ENTRY_BYTES_MAX}", code=Code.TOO_LARGE
        )
    charter = parse_charter(raw)
    return Agreed(
        title=charter.title,
        origin=charter.origin,
        members=[member.name for member in charter.members],
        quorum=charter.quorum,
        grid=charter.grid,
        limits=charter.limits,
        accelerators=charter.accelerators,
        consensus=charter.consensus,
        agreement=charter.agreement,
    )


def _find_warning(draft: Draft, largest_cluster: str | None) -> str | None:
    if largest_cluster is None:
        return None
    accelerator, count = _parse_cluster(draft, largest_cluster)
    if draft.agreement is None:
        return None
    threshold = compute_warning_threshold_pflop(draft.agreement)
    return find_interval_warning(draft.grid, accelerator=accelerator, count=count, threshold_pflop=threshold)


def _parse_cluster(draft: Draft, text: str) -> tuple[Accelerator, int]:
    model, _, count = text.partition(":")
    found = next((line for line in draft.accelerators if line.model == model), None)
    if found is None or not count.isascii() or not count.isdecimal() or not 1 <= int(count[:20]) <= COUNT_MAX:
        models = ", ".join(line.model for line in draft.accelerators)
        raise ConditionError(
            field="--largest-cluster", found=text, expected=f"model:count, a model of {models}", code=Code.CONFIG
        )
    return found, int(count)


def _parse_time(text: str) -> Seconds:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ConditionError(field="--start", found=text, expected="a time such as 2027-01-01T00:00", code=Code.CONFIG)
    return Seconds(int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()))


def _parse_limit(text: str) -> Limit:
    parts = text.split(":", 3)
    if len(parts) != 4 or not parts[2].isascii() or not parts[2].isdecimal():
        raise ConditionError(
            field="--limit", found=text, expected="id:quantity:maximum:note, the maximum in decimal", code=Code.CONFIG
        )
    return Limit(id=parts[0], quantity=parts[1], maximum=int(parts[2]), note=parts[3])
