"""`scripts/demo --scenario year`: four nations found a ledger, a year passes on it in two minutes, and all is checked.

What is told is `devnet.year.script`, what is checked `devnet.year.claims`, from an observer's audited copy.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from devnet.checks import Checks, measure_pace
from devnet.commands import must
from devnet.network import Network
from devnet.year.acts import Moment
from devnet.year.claims import check_claims
from devnet.year.drawing import render_year
from devnet.year.facts import ANNEX
from devnet.year.live import LiveStage
from devnet.year.lookout import Lookout
from devnet.year.script import END, write_script
from devnet.year.stage import Performance, perform
from devnet.year.terms import LIMITS, ORIGIN, TITLE, make_agreement, make_grid
from lab.client import connect, fetch_ledger
from ledger.charter import ConsensusParameters, Grid
from ledger.positions import Interval, LeafIndex, Millis, Seconds
from node.endings import first_of
from node.keys import IdentityKey
from node.setup import Terms
from observer.copy import require_copy

INTERVAL_S: Final = 7
NODES: Final = 4


class Show:
    """The year, before an audience."""

    def __init__(self, root: Path, console: Console) -> None:
        self.root, self.console = root, console
        self.checks = Checks(console)
        self.network: Network
        self.grid: Grid
        self._told_of = -1
        self._began = time.monotonic()

    async def tell(self) -> None:
        """Tell all of it."""
        pace = await measure_pace(self.console)
        fingerprint = self.found(math.ceil(pace * INTERVAL_S))
        base, performance = await self.perform(fingerprint, until=END)
        await self._observe(fingerprint, base, performance)

    async def perform(self, fingerprint: str, *, until: Moment) -> tuple[Interval, Performance]:
        """Let the year pass on the network, from the next interval on.

        Args:
            fingerprint: of its charter, hex.
            until: a moment of the story; nothing is said after it.

        Returns:
            the interval that was interval 0 of the story, and what came of it.
        """
        addresses = [f"grpc://{place.public}" for place in self.network.nodes]
        ledger = await fetch_ledger(addresses, fingerprint=fingerprint)
        base = Interval((time.time_ns() // 1_000_000_000 - self.grid.start) // self.grid.interval_s + 1)
        async with connect(ledger, addresses) as client, asyncio.TaskGroup() as tasks:
            lookout = Lookout(tasks, self.root / "observer", source=addresses[1], fingerprint=fingerprint)
            stage = LiveStage(client, self._open_keys(), lookout, grid=self.grid, base=base)
            performance = await perform(write_script(base), stage, tell=self._say, end=until)
        return base, performance

    def _heading(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/] [dim]{time.monotonic() - self._began:.0f} s[/]", highlight=False)

    def _say(self, moment: Moment, sentences: Sequence[str]) -> None:
        if moment.interval != self._told_of:
            self._told_of = moment.interval
            self._heading(f"fortnight {moment.interval}")
        for sentence in sentences:
            self.console.print(f"  {sentence}", highlight=False, soft_wrap=True)

    def found(self, interval_s: int) -> str:
        """Start the nodes, which hold the founding ceremony; returns the charter's fingerprint.

        Raises:
            ConditionError: a node ended, or did not come up in time.
        """
        self._heading(f"{NODES} nations found a ledger; a fortnight lasts {interval_s} seconds")

        def make_terms() -> Terms:
            start = Seconds(time.time_ns() // 1_000_000_000)
            self.grid = make_grid(start, interval_s)
            return Terms(
                origin=ORIGIN,
                title=TITLE,
                grid=self.grid,
                consensus=ConsensusParameters(
                    delta_ms=Millis(300), delta_max_ms=Millis(3000), idle_interval_ms=Millis(1000), snapshot_interval=0
                ),
                limits=LIMITS,
                accelerators=ANNEX,
                agreement=make_agreement(interval_s),
            )

        self.network = Network.create(self.root / "network", NODES, make_terms)
        for number in range(NODES):
            self.network.start(number)
        for number in range(NODES):
            self.network.wait_ready(number)
        fingerprints = {(Path(place.home) / "out.log").read_text().strip() for place in self.network.nodes}
        self.checks.check("all nodes hold the same charter", holds=len(fingerprints) == 1)
        return fingerprints.pop()

    def _open_keys(self) -> Mapping[str, IdentityKey]:
        return {place.id: self.network.open_keys(number).identity for number, place in enumerate(self.network.nodes)}

    async def _observe(self, fingerprint: str, base: Interval, performance: Performance) -> None:
        """Let an observer copy and audit the ledger, and hold the copy against the claims."""
        self._heading("the year is over: an observer who knows nothing but the charter's fingerprint")
        home, known = self.root / "observer", ["--charter-fingerprint", fingerprint]
        source = f"grpc://{self.network.nodes[1].public}"
        await must("observe", "sync", "--home", str(home), "--from", source, *known)
        audit = (await must("observe", "audit", "--home", str(home), "--json")).parsed()
        self.checks.check(
            "it executes every rule again: signatures, seals, roots and verdicts are as the nations sealed them",
            holds=audit["holds"] is True and audit["verdicts_count"] > 0,
            detail=", ".join(f"{audit[what + '_count']} {what}" for what in ("signatures", "seals", "verdicts")),
        )
        with require_copy(home, fingerprint=bytes.fromhex(fingerprint)) as copy:
            indices = [LeafIndex(index) for index in range(copy.head.header.tree_size)]
            entries = list(copy.proven_entries(indices))
        for claim in check_claims(base, entries, performance):
            self.checks.check(claim.sentence, holds=claim.holds, detail="" if claim.holds else claim.detail)
        self._heading("the last words on all fortnights")
        self.console.print(render_year(base, entries))
        self._heading("the board, from the observer's own verified copy")
        words = ("observe", "board", "--home", str(home))
        board = await must(*words, environment={"COLUMNS": str(self.console.width)})
        self.console.print(board.out, highlight=False, markup=False)


async def tell_year(root: Path, console: Console, *, keep: bool) -> bool:
    """Tell the year; returns whether every claim held.

    Args:
        root: folder for all that it makes.
        console: the audience.
        keep: whether to leave the network running.

    Raises:
        LedgerError: it could not be told to its end.
    """
    show = Show(root, console)
    try:
        await show.tell()
    except BaseExceptionGroup as group:
        raise first_of(group) from None
    finally:
        if hasattr(show, "network") and not keep:
            show.network.stop_all()
    if keep:
        console.print(f"the network is running: counterseal devnet down --home {show.network.root}", highlight=False)
    return show.checks.conclude()
