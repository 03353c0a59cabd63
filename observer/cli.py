"""The observer's commands: each parses, calls one function of the room, prints; a result as JSON where asked for.

A command imports what it needs when it runs, so that `counterseal verify` starts without network, database or tables.
"""

import json
import secrets
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ledger.encoding import decode_hex
from ledger.limits import HASH_BYTES
from ledger.positions import Interval, Millis
from observer import notices_cli, receipts_cli, witness_cli
from observer.export.cli import register as register_export
from observer.mirror.cli import register as register_mirror
from observer.monitor.cli import register as register_monitor
from observer.web.cli import register as register_serve

if TYPE_CHECKING:
    from rich.progress import Progress

app: Final = typer.Typer(no_args_is_help=True, add_completion=False)

HomeOption = Annotated[Path, typer.Option("--home", help="Folder of your own copy.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="File to write.")]
FingerprintOption = Annotated[
    str | None,
    typer.Option(
        "--charter-fingerprint",
        help="SHA-256 of the charter in hex, from somebody you trust; a copy is pinned to it.",
    ),
]


class KeyKind(StrEnum):
    """Which keys `policy` writes in a policy's place: those that a policy has no word for."""

    SEAL = "seal"
    ARCHIVE = "archive"


def _print_json(value: dict[str, Any]) -> None:  # values of a JSON object are of several types
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _parse_fingerprint(text: str | None) -> bytes | None:
    return None if text is None else decode_hex(text, field="charter-fingerprint", size=HASH_BYTES)


def _read_clock() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


def make_bar(*, is_quiet: bool) -> "Progress":
    """Make a progress bar on stderr, shown only where somebody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=is_quiet or not console.is_terminal, transient=True)


@app.command()
def sync(
    *,
    sources: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="grpc://host:port, grpcs://…, http(s)://… or a folder of published files; repeat to compare several.",
        ),
    ],
    home: HomeOption,
    fingerprint: FingerprintOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch what is new, verify it, and keep it in your own copy; a sync that broke off is gone on with."""
    from observer.sync import conclude, describe_sync, encode_sync, sync_home

    with make_bar(is_quiet=as_json) as bar:
        task = bar.add_task("sync", total=None)
        result = sync_home(
            home,
            sources,
            fingerprint=_parse_fingerprint(fingerprint),
            draw=secrets.token_bytes,
            progress=lambda at: bar.update(task, description=at.source, completed=at.height, total=at.target),
        )
    if as_json:
        _print_json(encode_sync(result))
    else:
        for line in describe_sync(result, now_ms=_read_clock()):
            typer.echo(line)
    conclude(result.outcomes)


@app.command()
def compare(
    *,
    sources: Annotated[
        list[str], typer.Argument(help="Two or more: grpc://host:port, https://… or a folder of published files.")
    ],
    home: HomeOption,
    fingerprint: FingerprintOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold several nodes, mirrors or folders against each other and your own copy; a contradiction becomes a proof."""
    from observer.comparing import describe_comparison, require_one_history
    from observer.sync import conclude, encode_sync, sync_home

    result = sync_home(home, sources, fingerprint=_parse_fingerprint(fingerprint), draw=secrets.token_bytes)
    if as_json:
        _print_json(encode_sync(result))
    else:
        for line in describe_comparison(result):
            typer.echo(line)
    require_one_history(result.outcomes)
    conclude(result.outcomes)


@app.command()
def decide(
    *,
    evidence: Annotated[str, typer.Argument(help="Name of the folder of evidence, as the board shows it.")],
    because: Annotated[str, typer.Option("--because", help="In your words: why you go on; it is kept.")],
    home: HomeOption,
) -> None:
    """Write down that you looked at a proof of two histories: it stays, and the network is blind no more for you."""
    from observer.copy import require_copy
    from observer.evidence import decide as write_decision

    with require_copy(home) as copy:
        path = write_decision(copy.path.parent, evidence, because=because, now_ms=_read_clock())
    typer.echo(f"decision written: {path}")


@app.command()
def keep(
    *,
    proof: Annotated[Path, typer.Argument(help="A proof of two histories that somebody sent you.")],
    home: HomeOption,
) -> None:
    """Check a proof of two histories that somebody else found, and keep it: the network is blind from then on."""
    from observer.comparing import take_in
    from observer.copy import require_copy

    with require_copy(home) as copy:
        folder = take_in(copy, proof, now_ms=_read_clock())
    typer.echo(f"proof kept: {folder}")


@app.command()
def audit(
    *,
    home: HomeOption,
    fingerprint: FingerprintOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Processes that check signatures; default: one a core.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Execute all rules again from entry 0, and compare every signature, seal, root and verdict."""
    import os

    from observer.audit import audit_home, describe_audit, encode_audit

    begun = time.monotonic()
    with make_bar(is_quiet=as_json) as bar:
        task = bar.add_task("audit", total=None)
        report = audit_home(
            home,
            fingerprint=_parse_fingerprint(fingerprint),
            draw=secrets.token_bytes,
            workers_count=(os.cpu_count() or 1) if workers is None else workers,
            progress=lambda at, total: bar.update(task, completed=at, total=total),
        )
    elapsed_ms = Millis(int((time.monotonic() - begun) * 1000))
    if as_json:
        _print_json(encode_audit(report, elapsed_ms=elapsed_ms))
        return
    for line in describe_audit(report, elapsed_ms=elapsed_ms):
        typer.echo(line)


@app.command()
def board(
    *,
    home: HomeOption,
    fingerprint: FingerprintOption = None,
    intervals: Annotated[int, typer.Option("--intervals", min=1, max=100, help="How many to show.")] = 8,
    is_check: Annotated[
        bool, typer.Option("--check", help="Leave with 1 if the network is blind or breached, for scripts.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how the network stands, nations, seals a minute, and the verdict on every lab's clusters, from your copy."""
    from rich.console import Console

    from observer.board import encode_board, make_board, render_board
    from observer.copy import require_copy
    from observer.outlook import require_sight

    with require_copy(home, fingerprint=_parse_fingerprint(fingerprint)) as copy:
        made = make_board(copy, now_ms=_read_clock())
    if as_json:
        _print_json(encode_board(made))
    else:
        Console().print(render_board(made, intervals_shown=intervals))
    if is_check:
        require_sight(made.outlook)


@app.command()
def verdicts(
    *,
    home: HomeOption,
    lab: Annotated[str, typer.Option("--lab", help="Id of the lab.")],
    interval: Annotated[int, typer.Option("--interval", min=0, help="Number of the interval.")],
    until: Annotated[int | None, typer.Option("--until", min=0, help="The last of several; default: just one.")] = None,
    cluster: Annotated[str | None, typer.Option("--cluster", help="Id of a cluster; default: all of the lab.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest verdicts on a lab's clusters in an interval, or in several, from your copy."""
    from observer.copy import require_copy
    from observer.verdicts import describe_verdicts, encode_verdicts, find_verdicts

    last = interval if until is None else until
    with require_copy(home) as copy:
        found = find_verdicts(copy, lab=lab, cluster=cluster, first=Interval(interval), last=Interval(last))
    if as_json:
        _print_json(encode_verdicts(found))
        return
    for line in describe_verdicts(found):
        typer.echo(line)


@app.command()
def receipt(
    *,
    home: HomeOption,
    output: OutputOption,
    index: Annotated[int | None, typer.Option("--index", min=0, help="The entry's index.")] = None,
    leaf: Annotated[str | None, typer.Option("--leaf", help="The entry's leaf hash in hex.")] = None,
    lab: Annotated[str | None, typer.Option("--lab", help="With --interval: the lab's newest report for it.")] = None,
    interval: Annotated[int | None, typer.Option("--interval", min=0, help="With --lab.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a receipt, with the entry and the charter beside it, that `counterseal verify` checks offline."""
    from observer.copy import require_copy
    from observer.proofs import find_entry, prove_entry, write_receipt

    with require_copy(home) as copy:
        found = find_entry(copy, index=index, leaf=leaf, lab=lab, interval=interval)
        proven = prove_entry(copy, found)
        written = write_receipt(proven, copy, output)
    if as_json:
        _print_json({"index": found, "leaf": proven.verified.leaf.hex(), "files": [str(path) for path in written]})
        return
    typer.echo(f"receipt of entry {found} written: {', '.join(str(path) for path in written)}")


@app.command()
def certificate(
    *,
    home: HomeOption,
    lab: Annotated[str, typer.Option("--lab", help="Id of the lab.")],
    cluster: Annotated[str, typer.Option("--cluster", help="Id of the cluster.")],
    interval: Annotated[int, typer.Option("--interval", min=0, help="Number of the interval.")],
    output: OutputOption,
    as_json: JsonOption = False,
) -> None:
    """Write the newest verdict on a cluster's interval as one file that `counterseal verify` checks offline."""
    from observer.copy import require_copy
    from observer.files import write_file
    from observer.proofs import certify
    from observer.telling import encode_verdict

    with require_copy(home) as copy:
        raw, verified = certify(copy, lab=lab, cluster=cluster, interval=Interval(interval))
    write_file(output, raw)
    verdict = verified.verdict
    if as_json:
        _print_json({"file": str(output), "verdict": encode_verdict(verdict)})
        return
    typer.echo(f"certificate written: {output}: {verdict.state} ({verdict.assurance})")


@app.command()
def note(
    *,
    about: Annotated[str, typer.Argument(help="lab, cluster, nation or ledger.")],
    name: Annotated[str | None, typer.Argument(help="Its id; none for the ledger itself.")] = None,
    home: HomeOption,
    output: OutputOption,
    category: Annotated[
        str,
        typer.Option(
            "--category",
            help="equivocation, undeclared-compute, undeclared-transfer, site, model-release, evidence or other.",
        ),
    ],
    confidence: Annotated[str, typer.Option("--confidence", help="low, moderate or high.")],
    text: Annotated[str, typer.Option("--text", help="In a sentence or two; everybody will read it.")],
    index: Annotated[int | None, typer.Option("--index", min=0, help="Index of the entry that shows it.")] = None,
    leaf: Annotated[str | None, typer.Option("--leaf", help="The entry's leaf hash in hex.")] = None,
    lab: Annotated[str | None, typer.Option("--lab", help="With --interval: the lab's newest report for it.")] = None,
    interval: Annotated[int | None, typer.Option("--interval", min=0, help="With --lab.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write down what you noticed in an entry of your copy, for a nation or a lab to put on the ledger.

    Nothing is signed or sent: observers are not registered, and the rules know no statement of theirs. Give both files
    to somebody who is. A nation issues the note with `counterseal nation observe --file`; a lab says the same with
    `counterseal lab observe`, and names the entry as what was observed.
    """
    from observer.copy import require_copy
    from observer.noting import make_note, write_note
    from observer.proofs import find_entry

    said = {"about": about, "name": name, "category": category, "confidence": confidence, "text": text}
    with require_copy(home) as copy:
        found = find_entry(copy, index=index, leaf=leaf, lab=lab, interval=interval)
        made = make_note(copy, found, said)
        written = write_note(copy, found, made, output)
    if as_json:
        _print_json({"note": made, "index": found, "files": [str(path) for path in written]})
        return
    typer.echo(f"note on entry {found} written: {', '.join(str(path) for path in written)}")


@app.command()
def policy(
    *,
    home: HomeOption,
    url: Annotated[str | None, typer.Option("--url", help="Prefix of the published files, to be named in it.")] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="Id of a nation: name its log key alone, for tools that demand all.")
    ] = None,
    keys: Annotated[
        KeyKind | None,
        typer.Option("--keys", help="Write these keys instead, a vkey a line: of seals or archives."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; default: print it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the ledger's keys as a C2SP tlog-policy, for other people's tools."""
    from ledger.policy import encode_ml_dsa_keys, encode_seal_key
    from observer.copy import require_copy
    from observer.files import write_file
    from observer.proofs import encode_node_policy

    with require_copy(home) as copy:
        if keys is None:
            text = encode_node_policy(copy, url=url, nation=node)
        else:
            text = encode_seal_key(copy.keys) if keys is KeyKind.SEAL else encode_ml_dsa_keys(copy.keys)
    if output is not None:
        write_file(output, text.encode("utf-8"))
    if as_json:
        _print_json({"policy": text, "file": None if output is None else str(output)})
    elif output is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"{'policy' if keys is None else 'keys'} written: {output}")


@app.command()
def verify(
    *,
    file: Annotated[Path, typer.Argument(help="A receipt (.tlog-proof), a certificate, or a proof of two histories.")],
    entry: Annotated[
        Path | None, typer.Option("--entry", help="The receipt's entry; default: its name with .entry.")
    ] = None,
    charter: Annotated[
        Path | None, typer.Option("--charter", help="The ledger's entry 0; default: charter.entry beside the receipt.")
    ] = None,
    fingerprint: FingerprintOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a receipt, a certificate or a proof offline: no network, no node, no copy."""
    from observer.explaining import describe_proof, encode_proof, verify_proof_file
    from observer.offline import verify_file
    from observer.telling import describe_finding, encode_finding

    proof = verify_proof_file(file, fingerprint=_parse_fingerprint(fingerprint))
    if proof is not None:
        is_pinned = fingerprint is not None
        if as_json:
            _print_json(encode_proof(proof, is_pinned=is_pinned))
            return
        for line in describe_proof(proof, is_pinned=is_pinned):
            typer.echo(line)
        return
    finding = verify_file(file, entry=entry, charter=charter, fingerprint=_parse_fingerprint(fingerprint))
    if as_json:
        _print_json(encode_finding(finding))
        return
    for line in describe_finding(finding):
        typer.echo(line)


receipts_cli.register(app)
notices_cli.register(app)
witness_cli.register(app)
register_mirror(app)
register_export(app)
register_monitor(app)
register_serve(app)
