"""`counterseal devnet …`: bring a network of real nodes up on this machine, look at it, take it down."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from devnet.network import Network
from ledger.charter import ConsensusParameters, Grid
from ledger.positions import Millis, Seconds
from node.charter_cli import NO_AGREEMENT
from node.presets import Preset, find_preset, make_agreement, make_limits
from node.setup import ACCELERATORS, Terms

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Run a whole network on this machine.")

HomeOption = Annotated[Path, typer.Option("--home", help="Folder of the network.")]
out = Console()
err = Console(stderr=True)


@app.command()
def up(
    *,
    home: HomeOption,
    members: Annotated[int, typer.Option(min=1, max=16, help="How many nations, in a network made anew.")] = 4,
    interval_s: Annotated[
        int, typer.Option(min=1, help="Length of a reporting interval, in a network made anew.")
    ] = 60,
    preset: Annotated[
        str, typer.Option(help="Where its agreement begins: see `charter presets`; none: reports only.")
    ] = "miri",
) -> None:
    """Make a network, or start one made before, and leave it running; `down` stops it."""
    chosen = None if preset == NO_AGREEMENT else find_preset(preset)
    if (home / "network.json").exists():
        network = Network.open(home)
    else:
        network = Network.create(home, members, lambda: _terms(interval_s, chosen))
    for number in range(len(network.nodes)):
        if not network.is_running(number):
            network.start(number)
    for number in range(len(network.nodes)):
        network.wait_ready(number)
    _show(network)


@app.command()
def status(*, home: HomeOption) -> None:
    """Show the nodes of a network and how they stand."""
    _show(Network.open(home))


@app.command()
def down(*, home: HomeOption) -> None:
    """Stop every node of a network; its folder stays, and `up` goes on from there."""
    Network.open(home).stop_all()
    err.print("All nodes have stopped.")


def _terms(interval_s: int, preset: Preset | None) -> Terms:
    challenge_window_s = 100 * interval_s
    agreement = None
    if preset is not None:
        agreement = make_agreement(preset, interval_s=interval_s, challenge_window_s=challenge_window_s)
        # One inspection round an interval, and pauses without notice: here nobody waits a fortnight.
        inspections = msgspec.structs.replace(agreement.inspections, round_s=Seconds(interval_s))
        pauses = msgspec.structs.replace(agreement.pauses, notice_s=Seconds(0))
        agreement = msgspec.structs.replace(agreement, inspections=inspections, pauses=pauses)
    return Terms(
        origin="devnet.counterseal.example",
        title="A network for trying things out",
        grid=Grid(
            start=Seconds(time.time_ns() // 1_000_000_000),
            interval_s=Seconds(interval_s),
            submit_window_s=Seconds(interval_s),
            grace_s=Seconds(interval_s),
            correction_window_s=Seconds(10 * interval_s),
            challenge_window_s=Seconds(challenge_window_s),
        ),
        consensus=ConsensusParameters(
            delta_ms=Millis(300), delta_max_ms=Millis(5000), idle_interval_ms=Millis(1000), snapshot_interval=0
        ),
        limits=() if preset is None else make_limits(preset),
        accelerators=ACCELERATORS,
        agreement=agreement,
    )


def _show(network: Network) -> None:
    ledger = ""
    for number, place in enumerate(network.nodes):
        answer = network.status(number)
        if answer is None:
            out.print(f"[bold]{place.id}[/]: [red]down[/]; {place.home}", soft_wrap=True)
            continue
        ledger = answer.ledger_id.hex()
        out.print(
            f"[bold]{place.id}[/]: {answer.phase}, height {answer.height}, {answer.tree_size} entries;"
            f" grpc://{place.public} {place.http} {place.home}",
            soft_wrap=True,
            highlight=False,
        )
    out.print(f"charter fingerprint: {ledger or 'none, as no node runs'}", soft_wrap=True, highlight=False)
