"""`counterseal lab …`: set up, register, report, submit, receipts, backup; each command calls one function and prints.

Results go to stdout, as tables or with `--json` as one document; everything else goes to stderr. What speaks to nodes
is imported by the commands that do, so that the others start quickly.
"""

from pathlib import Path
from typing import Annotated

import typer

from lab import answer_cli, display, inventory_cli, notices_cli, pause_cli, respond_cli, run_cli
from lab.advice import ADVICE_TO_ENROL, advise
from lab.archive import write_backup
from lab.arguments import (
    EnergyOption,
    ExportOption,
    FormOption,
    HomeOption,
    IntervalOption,
    JsonOption,
    MappingOption,
    MemoryOption,
    OverrideOption,
    PassesOption,
    PassphraseOption,
    PromiseOption,
    ReportedOption,
    ShiftOption,
    ShowHiddenOption,
    TimeoutOption,
    choose_interval,
    guess_format,
    make_cost,
    read_energy,
    read_pairs,
    read_promises,
)
from lab.classification import MAPPING_BYTES_MAX, UseMapping, parse_use_mapping
from lab.desk import Desk, advised, ask_passphrase, now_ms, open_folder, say, send
from lab.enrolment import (
    OFFER_BYTES_MAX,
    check_offer,
    choose_key,
    countersign,
    find_first_intervals,
    parse_offer,
    read_enrolled,
)
from lab.files import read_bounded
from lab.home import Home, read_beside, write_receipt
from lab.keys import LabKeys, open_keys
from lab.pinned import PinnedLedger, parse_fingerprint
from lab.promises import PauseLimit
from lab.records import EXPORT_BYTES_MAX, shift_collected
from lab.reporting import Choices, collect, describe_time, draft_report, find_numbered, find_sealed, sign_report
from lab.settings import LabTable, LedgerTable, Settings, parse_cluster
from lab.vault import open_vault
from ledger.errors import Code, LedgerError, RejectedError
from ledger.limits import ENTRY_BYTES_MAX, INTERVAL_MAX
from ledger.merkle import leaf_hash
from ledger.positions import Interval
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.grid import compute_end_ms, compute_grid
from ledger.sealedfile import DEFAULT_COST

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Report for a lab.")


@app.callback()
def group() -> None:
    """Report for a lab."""


@app.command()
@advised
def init(
    *,
    folder: HomeOption,
    lab_id: Annotated[str, typer.Option("--id", help="Short name in statements: a-z, 0-9 and hyphens.")],
    name: Annotated[str, typer.Option(help="What people call this lab.")],
    node: Annotated[list[str], typer.Option(help="grpc://host:port of a node; several are better.")],
    fingerprint: Annotated[str, typer.Option("--charter-fingerprint", help="Of the charter, from a trusted source.")],
    cluster: Annotated[list[str] | None, typer.Option(help="id:facility:country[:model=count,…]")] = None,
    hide_capacity: Annotated[
        bool, typer.Option("--hide-capacity", help="Keep the chips out of the registration.")
    ] = False,
    authority: Annotated[
        Path | None, typer.Option("--certificate-authority", exists=True, help="PEM file for grpcs:// nodes.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    memory_kib: MemoryOption = DEFAULT_COST.memory_kib,
    passes: PassesOption = DEFAULT_COST.passes,
    timeout: TimeoutOption = 30,
    as_json: JsonOption = False,
) -> None:
    """Make the lab's folder: keys, the checked charter, and request.json for the nation."""
    from lab.setup import set_up  # noqa: PLC0415 - loads gRPC

    settings = Settings(
        lab=LabTable(id=lab_id, name=name),
        ledger=LedgerTable(
            fingerprint=parse_fingerprint(fingerprint).hex(),
            nodes=tuple(node),
            certificate_authority="" if authority is None else str(authority.absolute()),
        ),
        clusters=tuple(parse_cluster(text, public_capacity=not hide_capacity) for text in cluster or ()),
    )
    home = Home(folder)
    passphrase = ask_passphrase(passphrase_file, is_new=True)
    ledger, keys = set_up(home, settings, passphrase, cost=make_cost(memory_kib, passes), timeout_s=timeout)
    say(f"The charter of {ledger.charter.title!r} has this fingerprint. Keep {home.keys} and the passphrase safe.")
    _show_request(home, keys, as_json=as_json)


@app.command()
@advised
def request(
    *,
    folder: HomeOption,
    rotate_key: Annotated[
        bool, typer.Option("--rotate-key", help="Let the next key take over, and promise a new one.")
    ] = False,
    passphrase_file: PassphraseOption = None,
    memory_kib: MemoryOption = DEFAULT_COST.memory_kib,
    passes: PassesOption = DEFAULT_COST.passes,
    as_json: JsonOption = False,
) -> None:
    """Write request.json anew, after a change of the clusters in lab.toml, or to replace the key."""
    from lab.setup import renew_request  # noqa: PLC0415 - loads gRPC

    home, settings, _ = open_folder(folder)
    passphrase = ask_passphrase(passphrase_file)
    keys = renew_request(home, settings, passphrase, is_rotating=rotate_key, cost=make_cost(memory_kib, passes))
    _show_request(home, keys, as_json=as_json)


def _show_request(home: Home, keys: LabKeys, *, as_json: bool) -> None:
    say("Send the request to your nation, whose operator runs `counterseal nation register` on it.")
    if as_json:
        path, key = str(home.request), keys.current.public_key.hex()
        display.print_json({"request": path, "key": key, "next_key_sha256": keys.next_key_sha256})
    else:
        typer.echo(home.request)


@app.command(name="countersign")
@advised
def countersign_registration(
    registration: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What the nation gave back.")],
    *,
    folder: HomeOption,
    passphrase_file: PassphraseOption = None,
    timeout: TimeoutOption = 120,
    as_json: JsonOption = False,
) -> None:
    """Check that the nation registers what was asked for, countersign, submit, and keep the receipt."""
    from lab.online import Online  # noqa: PLC0415 - loads gRPC

    home, settings, ledger = open_folder(folder)
    offer = parse_offer(read_bounded(registration, bytes_max=OFFER_BYTES_MAX))
    keys = open_keys(home.keys, ask_passphrase(passphrase_file))
    asked = read_bounded(home.request, bytes_max=ENTRY_BYTES_MAX)
    checked = check_offer(offer, request=asked, keys=keys, ledger=ledger)
    if not as_json:
        display.show_registration(display.make_console(), checked)
    entry = countersign(offer, keys.current)
    try:
        sealed = Online(home, settings, ledger, timeout_s=timeout).enrol(entry, now_ms=now_ms())
    except RejectedError as error:
        raise advise(error, ADVICE_TO_ENROL.get(error.code)) from error
    if as_json:
        display.print_json(display.view_registration(checked, leaf=leaf_hash(entry).hex(), index=sealed.index))
    else:
        typer.echo(f"sealed at index {sealed.index}")


@app.command()
@advised
def report(
    *,
    folder: HomeOption,
    exports: ExportOption,
    interval: IntervalOption = None,
    last: Annotated[bool, typer.Option("--last", help="The last interval that is over.")] = False,
    corrects: Annotated[int | None, typer.Option(min=0, help="Correct what was reported for this interval.")] = None,
    reason: Annotated[str, typer.Option(help="Why it is corrected; this becomes public.")] = "",
    form: FormOption = None,
    mapping: MappingOption = None,
    cluster: ReportedOption = None,
    energy: EnergyOption = None,
    promise: PromiseOption = None,
    override: OverrideOption = None,
    shift: ShiftOption = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the report; sign and keep nothing.")] = False,
    show_hidden: ShowHiddenOption = False,
    passphrase_file: PassphraseOption = None,
    timeout: TimeoutOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Build and sign the report of an interval, show what will be public, keep what opens it. Nothing is sent."""
    home, settings, ledger = open_folder(folder)
    choices = Choices(
        interval=choose_interval(
            ledger.charter, interval=interval, last=last, corrects=corrects, reason=reason, now_ms=now_ms()
        ),
        reason=reason or None,
        clusters=tuple(cluster or ()),
        mapping=_read_mapping(home, settings, mapping),
        energy=read_energy(energy or ()),
        promises=read_promises(promise or ()),
        overrides=read_pairs(override or (), field="override", expected="check=reason"),
    )
    raw = [read_bounded(path, bytes_max=EXPORT_BYTES_MAX) for path in exports]
    collected = shift_collected(collect(raw, form=(form or guess_format(exports)).value, settings=settings), shift)
    enrolled = read_enrolled(home.registrations)
    pauses = _find_pauses(home, settings, ledger, choices.interval, timeout)
    stored = None
    with open_vault(home.vault) as vault:
        draft = draft_report(
            vault, collected, choices, settings=settings, ledger=ledger, enrolled=enrolled, pauses=pauses
        )
        for remark in display.list_remarks(draft):
            say(f"note: {remark}")
        if not as_json:
            display.show_draft(display.make_console(), draft)
        if not dry_run:
            from lab.online import Online  # noqa: PLC0415 - loads gRPC

            key = choose_key(open_keys(home.keys, ask_passphrase(passphrase_file)), enrolled)
            place, notes = Online(home, settings, ledger, timeout_s=timeout).find_place(vault)
            stored = sign_report(
                vault, draft, place, ledger=ledger, lab=settings.lab.id, key=key, now_ms=now_ms(), choices=choices
            )
            for note in notes:
                say(f"note: {note}")
    if as_json:
        display.print_json(display.view_draft(draft, stored, with_hidden=show_hidden))
    elif stored is not None:
        typer.echo(f"built as number {stored.sequence}, leaf hash {stored.leaf}; `counterseal lab submit` sends it")


@app.command()
def correct(
    *,
    interval: Annotated[int, typer.Argument(min=0, max=INTERVAL_MAX, help="Number of the interval.")],
    folder: HomeOption,
    exports: ExportOption,
    reason: Annotated[str, typer.Option(help="Why it is corrected; this becomes public.")],
    form: FormOption = None,
    mapping: MappingOption = None,
    cluster: ReportedOption = None,
    energy: EnergyOption = None,
    promise: PromiseOption = None,
    override: OverrideOption = None,
    shift: ShiftOption = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the correction; sign and keep nothing.")] = False,
    show_hidden: ShowHiddenOption = False,
    passphrase_file: PassphraseOption = None,
    timeout: TimeoutOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Build and sign a correction of what was reported for an interval, as `report --corrects`. Nothing is sent."""
    report(
        folder=folder,
        exports=exports,
        corrects=interval,
        reason=reason,
        form=form,
        mapping=mapping,
        cluster=cluster,
        energy=energy,
        promise=promise,
        override=override,
        shift=shift,
        dry_run=dry_run,
        show_hidden=show_hidden,
        passphrase_file=passphrase_file,
        timeout=timeout,
        as_json=as_json,
    )


def _find_pauses(
    home: Home, settings: Settings, ledger: PinnedLedger, interval: Interval, timeout: float
) -> tuple[PauseLimit, ...]:
    """Ask which pauses bind the lab, where there can be any."""
    if ledger.charter.agreement is None:
        return ()
    from lab.online import Online  # noqa: PLC0415 - loads gRPC

    return Online(home, settings, ledger, timeout_s=timeout).find_binding(interval)


def _read_mapping(home: Home, settings: Settings, path: Path | None) -> UseMapping:
    if path is not None:
        return parse_use_mapping(read_bounded(path, bytes_max=MAPPING_BYTES_MAX))
    named = settings.report.mapping
    return parse_use_mapping(read_beside(home, named, bytes_max=MAPPING_BYTES_MAX)) if named else UseMapping()


@app.command()
@advised
def submit(
    *,
    folder: HomeOption,
    interval: IntervalOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Whatever has no receipt yet; so without --interval.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Hand in and leave; run it again for the receipts.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Believe a refusal at once, and free the statement's number.")
    ] = False,
    timeout: TimeoutOption = 120,
    as_json: JsonOption = False,
) -> None:
    """Send what was built, wait until it is sealed, verify and keep the receipts. Safe to repeat."""
    if everything and interval is not None:
        raise typer.BadParameter("give one of --interval K and --all")
    home, settings, ledger = open_folder(folder)
    views: list[display.View] = []
    problem: LedgerError | None = None
    with open_vault(home.vault) as vault:
        desk = Desk(home, settings, ledger, vault, now_ms(), timeout)
        number = None if interval is None else Interval(interval)
        try:
            problem = send(desk, views, interval=number, no_wait=no_wait, give_up=give_up, as_json=as_json)
        finally:
            if as_json:
                display.print_json(views)
    if not views:
        say("Everything in the vault has its receipt.")
    if problem is not None:
        raise advise(problem, _when_over(ledger, problem, views))


def _when_over(ledger: PinnedLedger, problem: LedgerError, views: list[display.View]) -> str | None:
    """Say until when to wait, where the ledger's time is behind this machine's."""
    intervals = [view["interval"] for view in views if view["refusal"] and view["name"] is None]
    if problem.code is not Code.INTERVAL_NOT_OVER or not intervals or not isinstance(intervals[0], int):
        return None
    end_ms = compute_end_ms(compute_grid(ledger.charter.grid), Interval(intervals[0]))
    return f"interval {intervals[0]} ends at {describe_time(end_ms)} by the ledger's time: run this again then"


@app.command()
@advised
def status(
    *,
    folder: HomeOption,
    rows: Annotated[int, typer.Option(min=1, help="How many of the newest lines to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List intervals with what was reported, how far it got, and until when it is due. Asks nobody."""
    home, _, ledger = open_folder(folder)
    enrolled = read_enrolled(home.registrations)
    with open_vault(home.vault) as vault:
        first = min(find_first_intervals(ledger, enrolled).values(), default=None)
        grid = compute_grid(ledger.charter.grid)
        view = display.view_status(vault.read_all(), grid=grid, enrolled=enrolled, first=first, now_ms=now_ms())
    if as_json:
        display.print_json(view)
    else:
        display.show_status(display.make_console(), view, rows_max=rows)


@app.command()
@advised
def receipt(
    *,
    folder: HomeOption,
    interval: IntervalOption = None,
    number: Annotated[int | None, typer.Option(min=0, help="Of the statement, as `lab status` lists it.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where it is written, such as lab-a-7.tlog-proof.")],
    archival: Annotated[
        bool, typer.Option("--archival", help="With ML-DSA cosignatures, to be kept for decades; asks the nodes.")
    ] = False,
    timeout: TimeoutOption = 5,
    as_json: JsonOption = False,
) -> None:
    """Write the receipt of an interval's latest report, or of any statement, with entry and charter beside it."""
    if (interval is None) == (number is None):
        raise typer.BadParameter("give one of --interval K and --number N")
    home, settings, ledger = open_folder(folder)
    with open_vault(home.vault) as vault:
        stored = (
            find_sealed(vault, ledger, Interval(interval))
            if interval is not None
            else find_numbered(vault, ledger, SequenceNumber(number or 0))
        )
    assert stored.receipt is not None
    raw = stored.receipt
    if archival:
        from lab.online import Online  # noqa: PLC0415 - loads gRPC

        raw = Online(home, settings, ledger, timeout_s=timeout).fetch_archival(stored).receipt
    stem = output.name.removesuffix(".tlog-proof")
    transcript = ledger.transcript if archival else None  # the cosigners' ML-DSA keys are in it
    path = write_receipt(
        output.parent,
        stem,
        entry=stored.envelope,
        receipt=raw,
        charter=ledger.charter.entry,
        transcript=transcript,
    )
    if as_json:
        named = {"interval": stored.interval, "number": stored.sequence, "leaf": stored.leaf}
        display.print_json({"receipt": str(path), **named, "archival": archival})
    else:
        typer.echo(path)


@app.command()
@advised
def backup(
    *,
    folder: HomeOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive to write, such as lab-a.tar.gz.")],
    as_json: JsonOption = False,
) -> None:
    """Write one archive of the vault, the encrypted keys and all else that must not be lost."""
    home, settings, _ = open_folder(folder)
    with open_vault(home.vault) as vault:
        count = write_backup(home, vault, settings, output)
    say("The keys in it are encrypted; the vault is not: whoever reads it reads what this lab hides.")
    if as_json:
        display.print_json({"archive": str(output), "statements": count})
    else:
        typer.echo(output)


app.add_typer(inventory_cli.app)
app.add_typer(run_cli.app)
app.add_typer(pause_cli.app)
app.add_typer(respond_cli.app)
app.add_typer(answer_cli.app)
app.add_typer(notices_cli.app)
