"""`counterseal inspect …`: sizes, keys, samples, openings, findings; each command calls one function and prints.

Results go to stdout, as text or with `--json` as one document; everything else goes to stderr. Entries come from files,
as `counterseal observe receipt` writes them; only `submit` speaks to a network, and loads what that needs when it runs.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer

from inspector.answers import AnswerCase, examine_answer, open_answer, require_answer
from inspector.balance_report import balance, encode_balance_report
from inspector.books import read_books
from inspector.entries import Ledger, read_declaration, read_ledger, read_statement
from inspector.examination import examine
from inspector.files import read_file, write_file
from inspector.findings import (
    SIGNED_BYTES_MAX,
    check_signed,
    compose_body,
    countersign,
    describe_finding,
    parse_signed,
)
from inspector.keys import InspectorKeys, create_keys, encode_line, encode_public, open_keys
from inspector.openings import BUNDLE_BYTES_MAX, Case, check_openings, open_bundle, require_case
from inspector.page import render_balance_page, render_page
from inspector.passphrases import find_passphrase
from inspector.report import (
    REPORT_BYTES_MAX,
    Examined,
    InspectionReport,
    compute_report_digest,
    encode_report,
    make_report,
    name_compared,
    parse_report,
)
from inspector.samples import redraw_sample
from inspector.sizes import answer_question
from ledger.encoding import decode_hex
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import ENTRY_BYTES_MAX, HASH_BYTES, MIB
from ledger.sealedfile import DEFAULT_COST, Cost
from ledger.statements.beacons import parse_sample_answer
from ledger.statements.inspections import (
    Conclusion,
    Ground,
    Level,
    parse_challenge,
    parse_response,
)
from ledger.statements.inventories import parse_inventory
from ledger.statements.registry import parse_registration

KEYS_FILE: Final = "inspector.keys"
PUBLIC_FILE: Final = "inspector.json"
PAGE_SUFFIX: Final = ".html"
RECEIPT_SUFFIX: Final = ".tlog-proof"

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Inspect for a nation.")

HomeOption = Annotated[Path, typer.Option("--home", help="The inspector's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CharterOption = Annotated[Path, typer.Option("--charter", help="The ledger's entry 0.")]
FingerprintOption = Annotated[
    str | None, typer.Option("--charter-fingerprint", help="SHA-256 of the charter in hex, from a source you trust.")
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        envvar="COUNTERSEAL_PASSPHRASE_FILE",
        help="A file with the passphrase on one line, mode 0600; else you are asked.",
    ),
]
BooksOption = Annotated[
    list[Path] | None,
    typer.Option("--books", help="Folder of receipts of labs' statements, or one receipt; repeatable."),
]
ReportOption = Annotated[Path, typer.Option("--report", help="The report that `inspect open` wrote.")]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="File to write.")]


@app.callback()
def group() -> None:
    """Inspect for a nation."""


@app.command()
def size(
    *,
    population: Annotated[int, typer.Option("--population", min=1, help="How many units there are.")],
    bad: Annotated[int | None, typer.Option("--bad", min=0, help="How many of them are bad.")] = None,
    bad_permille: Annotated[
        int | None, typer.Option("--bad-permille", min=0, max=1000, help="Or their share in permille, rounded up.")
    ] = None,
    confidence: Annotated[
        int, typer.Option("--confidence", min=0, max=1000, help="How sure to be to find them, in permille.")
    ] = 950,
    hits: Annotated[int, typer.Option("--hits", min=1, help="How many bad units the sample must have.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Say how large a sample must be, exactly, and how sure it then makes."""
    answer = answer_question(
        population=population, bad=bad, bad_permille=bad_permille, confidence_permille=confidence, hits=hits
    )
    if as_json:
        _print_json(answer.encode())
        return
    typer.echo(answer.describe())


@app.command()
def init(
    *,
    home: HomeOption,
    nation: Annotated[str, typer.Option("--nation", help="Id of the nation.")],
    inspector: Annotated[str, typer.Option("--id", help="Id of the inspector within the nation.")],
    name: Annotated[str, typer.Option("--name", help="What people call the inspector.")],
    passphrase_file: PassphraseOption = None,
    memory_kib: Annotated[
        int, typer.Option("--argon2-memory-kib", min=32, help="Memory that a guess of the passphrase costs.")
    ] = DEFAULT_COST.memory_kib,
    passes: Annotated[int, typer.Option("--argon2-passes", min=1, help="Passes over that memory.")] = (
        DEFAULT_COST.passes
    ),
    as_json: JsonOption = False,
) -> None:
    """Make an inspector's keys, and the file that the nation registers."""
    keys = create_keys(
        home / KEYS_FILE,
        _ask_passphrase(passphrase_file, is_new=True),
        nation=nation,
        inspector=inspector,
        name=name,
        cost=Cost(memory_kib=memory_kib, passes=passes, lanes=DEFAULT_COST.lanes),
    )
    public = home / PUBLIC_FILE
    raw = encode_public(keys.public)
    write_file(public, raw)
    _say(f"Keys made. Give {public} to the operator of {nation}, who names all of its inspectors at once:")
    _say(f"  counterseal nation inspectors {shlex.quote(encode_line(keys.public))} …")
    typer.echo(raw.decode("utf-8") if as_json else str(public), nl=not as_json)


@app.command()
def sample(
    *,
    files: Annotated[
        list[Path], typer.Argument(help="Receipts of the sample, its beacon, its inventory; entries beside them.")
    ],
    charter: CharterOption,
    fingerprint: FingerprintOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a sample again, and say whether it is the one that follows from the beacon."""
    redrawn = redraw_sample(files, _open_ledger(charter, fingerprint))
    if as_json:
        _print_json(redrawn.encode())
    else:
        for line in redrawn.describe():
            typer.echo(line)
    if not redrawn.follows:
        raise typer.Exit(1)


@app.command(name="open")
def open_(
    *,
    bundle: Annotated[Path, typer.Argument(help="What the lab sent to this inspector, encrypted.")],
    home: HomeOption,
    charter: CharterOption,
    challenge: Annotated[Path, typer.Option("--challenge", help="Receipt of the challenge; its entry beside it.")],
    response: Annotated[Path, typer.Option("--response", help="Receipt of the lab's response.")],
    report: Annotated[
        Path | None, typer.Option("--report", help="Receipt of the report, or of its latest correction.")
    ] = None,
    inventory: Annotated[Path | None, typer.Option("--inventory", help="Receipt of the inventory.")] = None,
    registration: Annotated[
        Path | None, typer.Option("--registration", help="Receipt of the lab's registration: its public capacity.")
    ] = None,
    books: BooksOption = None,
    before: Annotated[
        Path | None, typer.Option("--before", help="Report of `inspect open` on the interval before.")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option("--also", help="Report of `inspect open` on what others opened; repeatable.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Report to write; its page beside it as .html.")
    ] = None,
    fingerprint: FingerprintOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decrypt what a lab handed over, check it against the ledger, run the cross-checks, and write a report."""
    ledger = _open_ledger(charter, fingerprint)
    case = Case(
        ledger=ledger,
        challenge=read_statement(challenge, ledger, parse_challenge),
        response=read_statement(response, ledger, parse_response),
        report=None if report is None else read_declaration(report, ledger),
        inventory=None if inventory is None else read_statement(inventory, ledger, parse_inventory),
        registration=None if registration is None else read_statement(registration, ledger, parse_registration),
        books=read_books(books or (), ledger),
    )
    require_case(case)
    earlier = None if before is None else _read_report(before)[1]
    others = [_read_report(path)[1] for path in also or ()]
    keys = _open_keys(home, passphrase_file)
    sent = open_bundle(read_file(bundle, bytes_max=BUNDLE_BYTES_MAX, field="bundle"), case, keys)
    opened = check_openings(sent.plain, case)
    compared = examine(case, opened, before=earlier, others=others)
    made = make_report(case, sent, opened, compared, nation=keys.nation, inspector=keys.public.id)
    _write(made, output, as_json=as_json)
    if made.result == "inconsistent":
        raise typer.Exit(1)


@app.command(name="balance")
def balance_(
    *,
    reports: Annotated[list[Path], typer.Argument(help="Reports of `inspect open`, with what each lab opened.")],
    charter: CharterOption,
    books: Annotated[
        list[Path], typer.Option("--books", help="Folder of receipts of all labs' statements; repeatable.")
    ],
    output: OutputOption,
    fingerprint: FingerprintOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold what several labs opened together: transfers between them, and all accelerators of all (X8 and X12)."""
    ledger = _open_ledger(charter, fingerprint)
    made = balance([_read_report(path) for path in reports], read_books(books, ledger), ledger)
    raw = encode_balance_report(made)
    page = render_balance_page(made, digest=compute_report_digest(raw))
    _write_pair(raw, page, output)
    if as_json:
        _print_json(json.loads(raw))
    else:
        typer.echo(f"{made.result}: {', '.join(made.labs)}")
        _tell_comparisons(made.comparisons, cluster="")
        typer.echo(f"report written: {output}, {output.with_suffix(PAGE_SUFFIX)}")
    if made.result == "inconsistent":
        raise typer.Exit(1)


@app.command()
def answer(
    *,
    bundle: Annotated[Path, typer.Argument(help="What the lab sent to this inspector, encrypted.")],
    home: HomeOption,
    charter: CharterOption,
    sample: Annotated[Path, typer.Option("--sample", help="Receipt of the sample; its entry beside it.")],
    beacon: Annotated[Path, typer.Option("--beacon", help="Receipt of the round's beacon.")],
    inventory: Annotated[Path, typer.Option("--inventory", help="Receipt of the inventory that the sample names.")],
    answered: Annotated[Path, typer.Option("--answer", help="Receipt of the lab's sample answer.")],
    also: Annotated[
        list[Path] | None, typer.Option("--also", help="Report on others' accelerators; repeatable.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Report to write; its page beside it as .html.")
    ] = None,
    fingerprint: FingerprintOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decrypt a lab's answer to a sample, draw again, and check each drawn accelerator against the inventory."""
    ledger = read_ledger(charter, fingerprint=_parse_fingerprint(fingerprint))
    case = AnswerCase(
        ledger=ledger,
        redrawn=redraw_sample([sample, beacon, inventory], ledger),
        answer=read_statement(answered, ledger, parse_sample_answer),
    )
    require_answer(case)
    others = [_read_report(path)[1] for path in also or ()]
    keys = _open_keys(home, passphrase_file)
    sent = open_answer(read_file(bundle, bytes_max=BUNDLE_BYTES_MAX, field="bundle"), case, keys)
    made = examine_answer(case, sent, others=others, nation=keys.nation, inspector=keys.public.id)
    _write(made, output, as_json=as_json)
    if made.result != "consistent":
        raise typer.Exit(1)


@app.command()
def find(
    *,
    report: ReportOption,
    conclusion: Annotated[str, typer.Option("--conclusion", help="consistent, inconsistent or inconclusive.")],
    ground: Annotated[
        list[str] | None, typer.Option("--ground", help="Why it is inconsistent, as a verdict's reason; repeatable.")
    ] = None,
    level: Annotated[
        str | None, typer.Option("--level", help="How far it was checked if it is consistent: A1, A3 or A4.")
    ] = None,
    output: OutputOption,
) -> None:
    """Make the body of a finding, which the nation signs first."""
    raw, read = _read_report(report)
    concluded: Conclusion = _choose(conclusion, Conclusion, field="conclusion")
    grounds: list[Ground] = [_choose(one, Ground, field="ground") for one in ground or ()]
    reached: Level | None = None if level is None else _choose(level, Level, field="level")
    body = compose_body(raw, read, conclusion=concluded, grounds=grounds, level=reached)
    write_file(output, body)
    _say(f"Give {output} to the operator of {read.nation}, who signs first; then `counterseal inspect countersign`.")
    typer.echo(str(output))


@app.command(name="countersign")
def countersign_(
    *,
    signed: Annotated[Path, typer.Argument(help="What the nation signed.")],
    home: HomeOption,
    charter: CharterOption,
    report: ReportOption,
    output: OutputOption,
    fingerprint: FingerprintOption = None,
    passphrase_file: PassphraseOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking; for scripts.")] = False,
) -> None:
    """Put this inspector's signature beside the nation's: the entry, ready to be submitted."""
    ledger = _open_ledger(charter, fingerprint)
    raw, read = _read_report(report)
    offer = parse_signed(read_file(signed, bytes_max=SIGNED_BYTES_MAX, field="signed"))
    keys = _open_keys(home, passphrase_file)
    finding = check_signed(offer, report_raw=raw, report=read, keys=keys, ledger=ledger)
    _say(f"You will sign, as {keys.public.id} of {keys.nation}, that you found the following; it is not changed later:")
    for line in describe_finding(finding, read):
        _say(line)
    if not yes:
        _confirm()
    write_file(output, countersign(offer, keys))
    _say(f"Signed. `counterseal inspect submit` hands {output} in at a node, from any machine.")
    typer.echo(str(output))


@app.command()
def submit(
    *,
    entry: Annotated[Path, typer.Argument(help="The finding with both signatures, as `countersign` wrote it.")],
    node: Annotated[str, typer.Option("--node", help="Any node: grpc://host:port, or grpcs://host:port for TLS.")],
    charter: CharterOption,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Receipt to write; default: the entry's name.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option("--certificate-authority", help="PEM file of who vouches for a grpcs node.")
    ] = None,
    fingerprint: FingerprintOption = None,
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, max=3_600, help="How long to wait, in seconds.")] = 60,
) -> None:
    """Hand a finding in at a node, and keep its receipt, verified; the only command that uses a network."""
    from inspector.submission import submit_entry  # noqa: PLC0415 - loads gRPC

    ledger = _open_ledger(charter, fingerprint)
    receipt = submit_entry(
        read_file(entry, bytes_max=ENTRY_BYTES_MAX, field="entry"),
        node=node,
        charter=ledger.charter,
        root_certificates=None if authority is None else read_file(authority, bytes_max=MIB, field="authority"),
        timeout_s=timeout_s,
    )
    target = output or entry.with_suffix(RECEIPT_SUFFIX)
    write_file(target, receipt)
    typer.echo(f"sealed; receipt written: {target}")


def _write(made: InspectionReport, output: Path | None, *, as_json: bool) -> None:
    """Write a report and its page, and say what is in it."""
    raw, target = encode_report(made), output or Path(f"{made.about.replace('/', '_')}.inspection.json")
    _write_pair(raw, render_page(made, digest=compute_report_digest(raw)), target)
    _tell(made, target, as_json=as_json)


def _write_pair(raw: bytes, page: str, target: Path) -> None:
    if target.suffix == PAGE_SUFFIX:
        raise FormatError(field="output", found=str(target), expected="another ending: the page stands beside it")
    write_file(target, raw)
    write_file(target.with_suffix(PAGE_SUFFIX), page.encode("utf-8"))


def _tell(report: InspectionReport, path: Path, *, as_json: bool) -> None:
    if as_json:
        _print_json(json.loads(encode_report(report)))
        return
    typer.echo(f"{report.result}: {report.lab}, {report.cluster}, interval {report.interval} ({report.about})")
    _tell_comparisons(report.comparisons, cluster=report.cluster)
    typer.echo(f"report written: {path}, {path.with_suffix(PAGE_SUFFIX)}")


def _tell_comparisons(comparisons: Sequence[Examined], *, cluster: str) -> None:
    for outcome in ("fails", "unusual", "not-comparable", "holds"):
        for one in comparisons:
            if one.outcome == outcome:
                found = f"found {one.found}; " if one.found else ""
                said = f"{found}expected {one.expected}" + (f": {one.reason}" if one.reason else "")
                typer.echo(f"{outcome:<15} {one.check:<8} {name_compared(one, cluster)}: {said}")


def _read_report(path: Path) -> tuple[bytes, InspectionReport]:
    raw = read_file(path, bytes_max=REPORT_BYTES_MAX, field="report")
    return raw, parse_report(raw)


def _open_ledger(charter: Path, fingerprint: str | None) -> Ledger:
    ledger = read_ledger(charter, fingerprint=_parse_fingerprint(fingerprint))
    if not ledger.is_pinned:
        _say(f"Charter {ledger.charter.fingerprint}: compare it; --charter-fingerprint does that.")
    return ledger


def _open_keys(home: Path, passphrase_file: Path | None) -> InspectorKeys:
    return open_keys(home / KEYS_FILE, _ask_passphrase(passphrase_file, is_new=False))


def _ask_passphrase(file: Path | None, *, is_new: bool) -> str:
    def prompt() -> str:
        answer: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
        return answer

    return find_passphrase(file, prompt=prompt if sys.stdin.isatty() else None)


def _confirm() -> None:
    if not sys.stdin.isatty():
        expected = "--yes, or somebody at a terminal"
        raise ConditionError(field="sign", found="nobody to ask", expected=expected, code=Code.CONFIG)
    typer.confirm("Sign?", abort=True, err=True)


def _choose(text: str, choices: Any, *, field: str) -> Any:  # one of a Literal, as its own type
    if text not in get_args(choices):
        raise FormatError(field=field, found=text, expected=f"one of {', '.join(get_args(choices))}")
    return text


def _parse_fingerprint(text: str | None) -> bytes | None:
    return None if text is None else decode_hex("".join(text.split()).lower(), field="fingerprint", size=HASH_BYTES)


def _print_json(value: dict[str, Any]) -> None:  # values of a JSON object are of several types
    typer.echo(json.dumps(value, indent=2))


def _say(line: str) -> None:
    typer.echo(line, err=True)
