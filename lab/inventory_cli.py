"""`counterseal lab inventory | transfer …`: which accelerators the lab has, and how they come and go."""

from pathlib import Path
from typing import Annotated, Final

import typer

from lab.arguments import HomeOption
from lab.collectors.chips import LIST_BYTES_MAX, ListedChip, parse_chip_list
from lab.desk import Make, advised, filed, open_folder
from lab.files import read_bounded, write_atomically
from lab.inventories import prepare_inventory
from lab.transfer_terms import TERMS_BYTES_MAX, parse_terms_file
from lab.transfers import Side, prepare_denial, prepare_received, prepare_sent, restore_terms
from lab.vault import open_vault
from ledger.limits import INTERVAL_MAX
from ledger.positions import Interval
from ledger.statements.inventories import Direction, Method, TransferReason

app = typer.Typer()
transfer = typer.Typer(no_args_is_help=True, help="Say what accelerators leave, or arrive.")
app.add_typer(transfer, name="transfer")

_ChipsOption = Annotated[
    Path, typer.Option("--chips", exists=True, dir_okay=False, help="CSV of accelerators: model,serial[,rack].")
]
_IdOption = Annotated[str, typer.Option("--id", help="Of the transfer: a-z, 0-9 and hyphens; the sender chooses it.")]
_IntervalOption = Annotated[
    int, typer.Option("--interval", min=0, max=INTERVAL_MAX, help="In which they left here, or arrived here.")
]
_ClusterOption = Annotated[list[str] | None, typer.Option("--cluster", help="Where from or where to; repeatable.")]
_WhyOption = Annotated[str, typer.Option("--why", help="Why this takes the place of this lab's earlier word; public.")]
_REASON: Final = "Why it moves."


@app.command()
@filed
def inventory(
    *,
    interval: Annotated[int, typer.Option(min=0, max=INTERVAL_MAX, help="As of the beginning of this interval.")],
    chips: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV of accelerators: cluster,model,serial[,rack]."),
    ] = None,
    empty: Annotated[list[str] | None, typer.Option(help="A cluster that has no accelerators; repeatable.")] = None,
    method: Annotated[Method, typer.Option(help="How they were counted.")] = "book",
) -> Make:
    """Say which accelerators the lab has: numbers by model hidden, every one under a root."""
    listed = _read_list(chips, with_clusters=True) if chips is not None else ()
    return lambda desk: prepare_inventory(
        desk.vault,
        listed,
        ledger=desk.ledger,
        settings=desk.settings,
        interval=Interval(interval),
        method=method,
        empty=empty or (),
    )


@transfer.command(name="out")
@filed
def send_out(
    *,
    transfer_id: _IdOption,
    interval: _IntervalOption,
    chips: _ChipsOption,
    reason: Annotated[TransferReason, typer.Option(help=_REASON)],
    to: Annotated[str | None, typer.Option(help="The receiving lab, or this one; none outside the ledger.")] = None,
    terms: Annotated[Path | None, typer.Option(help="Where the file for the receiving lab is written.")] = None,
    cluster: _ClusterOption = None,
    why: _WhyOption = "",
) -> Make:
    """Say what leaves, and write the terms that the receiving lab confirms."""
    listed = _read_list(chips, with_clusters=False)
    side = Side(
        transfer=transfer_id,
        direction="out",
        counterparty=to,
        reason=reason,
        interval=Interval(interval),
        clusters=cluster or (),
        why=why,
    )
    return lambda desk: prepare_sent(
        desk.vault, side, listed, ledger=desk.ledger, lab=desk.settings.lab.id, terms=terms
    )


@transfer.command(name="in")
@filed
def take_in(
    *,
    interval: _IntervalOption,
    terms: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="What the sending lab handed over.")
    ] = None,
    transfer_id: Annotated[str | None, typer.Option("--id", help="Of a transfer from outside the ledger.")] = None,
    chips: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="CSV of accelerators from outside the ledger.")
    ] = None,
    reason: Annotated[TransferReason | None, typer.Option(help=f"{_REASON} With --terms, as the sender says.")] = None,
    cluster: _ClusterOption = None,
    why: _WhyOption = "",
) -> Make:
    """Say what arrived: by the terms of another lab, or from outside the ledger by a list."""
    if terms is not None and transfer_id is None and chips is None:
        file = parse_terms_file(read_bounded(terms, bytes_max=TERMS_BYTES_MAX))
        shared = file.shared()
        side = Side(
            transfer=shared.transfer,
            direction="in",
            counterparty=shared.sender,
            reason=reason or file.reason,
            interval=Interval(interval),
            clusters=cluster or (),
            why=why,
        )
        return lambda desk: prepare_received(desk.vault, side, file, ledger=desk.ledger, lab=desk.settings.lab.id)
    if terms is not None or transfer_id is None or chips is None or reason is None:
        raise typer.BadParameter("give --terms FILE, or --id, --chips and --reason")
    listed = _read_list(chips, with_clusters=False)
    outside = Side(
        transfer=transfer_id,
        direction="in",
        counterparty=None,
        reason=reason,
        interval=Interval(interval),
        clusters=cluster or (),
        why=why,
    )
    return lambda desk: prepare_sent(
        desk.vault, outside, listed, ledger=desk.ledger, lab=desk.settings.lab.id, terms=None
    )


@transfer.command()
@filed
def deny(
    *,
    transfer_id: _IdOption,
    direction: Annotated[Direction, typer.Option(help="Of this lab's side.")],
    counterparty: Annotated[str, typer.Option(help="The other lab; this one itself within the lab.")],
    reason: Annotated[TransferReason, typer.Option(help=_REASON)],
    interval: _IntervalOption,
    why: _WhyOption = "",
) -> Make:
    """Say that nothing moved: take this lab's word back (with --why), or deny what another lab says."""
    side = Side(
        transfer=transfer_id,
        direction=direction,
        counterparty=counterparty,
        reason=reason,
        interval=Interval(interval),
        clusters=(),
        why=why,
    )
    return lambda desk: prepare_denial(desk.vault, side, ledger=desk.ledger, lab=desk.settings.lab.id)


@transfer.command(name="terms")
@advised
def write_terms(
    *,
    folder: HomeOption,
    transfer_id: _IdOption,
    to: Annotated[str, typer.Option(help="The receiving lab.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the file is written.")],
) -> None:
    """Write the terms of a transfer for the receiving lab once more, from the vault."""
    home, _, ledger = open_folder(folder)
    with open_vault(home.vault) as vault:
        raw = restore_terms(vault, ledger=ledger, transfer=transfer_id, counterparty=to)
    write_atomically(output, raw)
    typer.echo(output)


def _read_list(path: Path, *, with_clusters: bool) -> tuple[ListedChip, ...]:
    return parse_chip_list(read_bounded(path, bytes_max=LIST_BYTES_MAX), with_clusters=with_clusters)
