"""Chaos on real processes: a network that is disturbed for minutes while labs file, and what must hold afterwards.

`scripts/chaos` runs this. Node processes are the real ones, founded for this and started as operators start them. The
schedule follows from the seed (`devnet.chaos.schedule`); what comes of it depends on real time and is never twice the
same, so a seed that found something says where to look and not what will happen. `docs/chaos.md` says how to read the
tables. Exit code 0 only if everything held.
"""

import argparse
import asyncio
import contextlib
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from counterseal import Exit
from devnet.chaos import aftermath
from devnet.chaos.ailing import Ailments
from devnet.chaos.faults import Faults, ailments_path
from devnet.chaos.filing import Filing
from devnet.chaos.grounds import Ground, GroundKind, open_ground
from devnet.chaos.report import Findings, show
from devnet.chaos.schedule import Phase, make_phases
from devnet.chaos.watch import Watch
from devnet.chaos.weather import Weather
from devnet.load import LoadLab, Planned, make_plan, register_labs, sign_reports
from devnet.network import Network
from lab.client import Sealed
from lab.pinned import PinnedLedger, pin_ledger
from ledger.charter import Charter, ConsensusParameters, Grid, Limit
from ledger.positions import Interval, Millis, Seconds
from node.daemon import read_charter
from node.home import STORE_FILE
from node.setup import ACCELERATORS, Terms
from node.store import Store

NODES_MIN: Final = 4
NODES_MAX: Final = 7
LABS: Final = 8
INTERVAL_S: Final = 1
WINDOW_S: Final = 15  # so that reports fall due, and fall due late, all the time
FOR_EVER_S: Final = 86_400
GAP_MAX_S: Final = 30.0
CALM_MAX_S: Final = 90.0
MEMORY_MAX_MIB: Final = 400
LOOK_EVERY_S: Final = 0.1
BLOCKS_AFTER: Final = 3
PHASES_MIN: Final = 2  # one of each kind


@dataclass(frozen=True, slots=True)
class Options:
    """What to do, and for how long.

    Attributes:
        minutes: of phases; the last one is not cut short, and there is one of each kind.
        nodes: how many.
        seed: of the schedule.
        ground: where the nodes stand.
        pace: lengths of phases are multiplied with it.
        observers: how many nodes are followed by one and audited, from the first on.
    """

    minutes: float
    nodes: int
    seed: int
    ground: GroundKind = GroundKind.BEST
    pace: float = 1.0
    observers: int = NODES_MAX


class Campaign:
    """One network, from its founding to what remains of it."""

    def __init__(self, options: Options, root: Path, console: Console, weather: Weather, ground: Ground) -> None:
        self.options, self.root, self.console = options, root, console
        self.weather, self.ground = weather, ground
        self.network = Network.create(
            root, options.nodes, _make_terms, places=self.ground.places, dialled=self.ground.dialled
        )
        paths = [ailments_path(self.network, number) for number in range(options.nodes)]
        self.faults = Faults(self.network, self.ground, self.weather, [Ailments(path) for path in paths])
        self.watch = Watch(self.network)
        self.acknowledged: list[Sealed] = []
        self.findings = Findings(options.seed, self.ground.title, options.nodes)

    async def run(self) -> Findings:
        """Found, disturb, calm down, check."""
        with self.network.running():
            await self._found()
            async with self.watch.watching():
                filing = await self._disturb_while_labs_file()
                await self._calm_down(was_overwhelming=False)
                self.watch.expect_nothing()
            self.say("calm; observers follow every node")
            problems = await aftermath.follow(self.network, self.ledger.charter, self.options.observers)
            await asyncio.to_thread(self.network.stop_all)
        self.say("stopped; auditing, comparing, checking receipts")
        self.findings.audited, more = await aftermath.audit(self.network, self.options.observers)
        self._conclude(filing, problems + more)
        return self.findings

    def say(self, text: str) -> None:
        """Tell what happens."""
        self.console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {text}", highlight=False, soft_wrap=True)

    async def _found(self) -> None:
        self.say(f"founding a ledger of {self.options.nodes}; {self.ground.title}")
        for number in range(self.options.nodes):
            await self.faults.start(number)
        for number in range(self.options.nodes):
            await asyncio.to_thread(self.network.wait_ready, number)
        self.ledger = _pin(Path(self.network.nodes[0].home) / STORE_FILE)

    async def _disturb_while_labs_file(self) -> Filing:
        labs = [LoadLab(number) for number in range(LABS)]
        await register_labs(self.network, labs)
        filing = Filing(self.ledger, self.ground.lab_urls)
        reports = [(lab, _sign(lab, self.ledger.charter, self.options)) for lab in labs]
        began, busy = time.monotonic(), _Busy()
        async with filing.filing(reports):

            async def is_acknowledged() -> bool:
                return len(filing.acknowledged) > 0

            await self._wait(is_acknowledged, CALM_MAX_S)
            self.watch.expect_blocks()
            for phase in make_phases(self.options.seed, self.options.nodes, pace=self.options.pace):
                if time.monotonic() - began >= 60 * self.options.minutes and self.findings.phases >= PHASES_MIN:
                    break
                await self._go_through(phase)
                await self._calm_down(was_overwhelming=phase.is_overwhelming)
        self.findings.minutes = (time.monotonic() - began) / 60
        self.findings.busy_percent = busy.percent()
        return filing

    async def _go_through(self, phase: Phase) -> None:
        """Let everything that a phase holds happen at its time."""
        self.findings.phases += 1
        self.findings.overwhelmed += phase.is_overwhelming
        kind = "more than f" if phase.is_overwhelming else "at most f"
        self.say(f"[bold]phase {phase.number}[/]: {kind}, height {self.watch.newest_height}")
        if phase.is_overwhelming:
            self.watch.expect_nothing()
        async with asyncio.TaskGroup() as group:
            at_s = 0.0
            for fault in phase.faults:
                await asyncio.sleep(fault.begin_s - at_s)
                at_s = fault.begin_s
                self.say(f"  {fault}")
                group.create_task(self.faults.happen(fault))
        self.weather.clear()

    async def _calm_down(self, *, was_overwhelming: bool) -> None:
        """Wait until new blocks come and everybody has them; it is a violation if that takes too long.

        Whoever ends meanwhile is started again: one whose disk was full may only now come to it.
        """
        began = time.monotonic()
        self.watch.expect_blocks()
        height = self.watch.newest_height + BLOCKS_AFTER

        async def is_level() -> bool:
            await self.faults.raise_up_all()
            return self.watch.newest_height >= height and self.watch.is_level()

        if await self._wait(is_level, CALM_MAX_S):
            self.faults.filled.clear()
        else:
            phases = [f"{seen.phase or 'silent'} at {seen.height}" for seen in self.watch.seen]
            self.findings.violations.append(f"not level after {CALM_MAX_S:.0f} s of calm: {', '.join(phases)}")
        self.findings.recoveries_s.append((time.monotonic() - began, was_overwhelming))

    async def _wait(self, is_so: Callable[[], Awaitable[bool]], within_s: float) -> bool:
        """Look until something is so; False if it is not in time."""
        end = time.monotonic() + within_s
        while not await is_so():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        return True

    def _conclude(self, filing: Filing, problems: list[str]) -> None:
        """Check what remains, and put together what was found."""
        found = self.findings
        found.counts, found.seconds, found.carried = self.faults.counts, self.faults.seconds, self.ground.tell()
        self.acknowledged = filing.acknowledged
        found.waits_s, found.unanswered = filing.waits_s, filing.unanswered
        found.longest_gap_s = self.watch.longest_gap_s
        found.memory_mib = max(seen.memory_mib for seen in self.watch.seen)
        with contextlib.closing(aftermath.Ledgers(self.network)) as ledgers:
            found.heights, found.sizes = ledgers.heights, ledgers.sizes
            more = ledgers.compare() + ledgers.check_receipts(filing.acknowledged, self.ledger.keys)
        if found.longest_gap_s > GAP_MAX_S:
            more.append(f"no block for {found.longest_gap_s:.0f} s, although a quorum was there")
        if found.memory_mib > MEMORY_MAX_MIB:
            more.append(f"a node took {found.memory_mib:.0f} MiB, more than {MEMORY_MAX_MIB}")
        more += aftermath.find_tracebacks(self.network)
        found.violations += [*self.faults.violations, *self.watch.violations, *filing.violations, *problems, *more]


class _Busy:
    """How much of the processors was used since it was made, by anybody."""

    def __init__(self) -> None:
        self._began = self._look()

    def percent(self) -> float:
        used, every = (now - then for now, then in zip(self._look(), self._began, strict=True))
        return 100 * used / max(every, 1)

    @staticmethod
    def _look() -> tuple[int, int]:
        user, nice, system, idle, waiting, *more = map(int, Path("/proc/stat").read_text().split()[1:8])
        used = user + nice + system + sum(more)
        return used, used + idle + waiting


def _sign(lab: LoadLab, charter: Charter, options: Options) -> list[Planned]:
    """Sign what a lab can file from now to long after the end."""
    first = Interval((time.time_ns() // 10**9 - charter.grid.start) // INTERVAL_S + 1)
    count = int(60 * options.minutes * 3 + 300) // INTERVAL_S
    return sign_reports(lab, make_plan(charter, first=first, count=count))


def _pin(path: Path) -> PinnedLedger:
    charter = read_charter(path)
    with contextlib.closing(Store(path)) as store:
        return pin_ledger(
            charter.entry, store.meta("transcript") or b"", fingerprint=bytes.fromhex(charter.fingerprint)
        )


def _make_terms() -> Terms:
    """A report a second of each lab, due soon after, so that there are verdicts all the time."""
    return Terms(
        origin="chaos.counterseal.example/weather",
        title="A network in bad weather",
        grid=Grid(
            start=Seconds(time.time_ns() // 10**9),
            interval_s=Seconds(INTERVAL_S),
            submit_window_s=Seconds(WINDOW_S),
            grace_s=Seconds(WINDOW_S),
            correction_window_s=Seconds(FOR_EVER_S),
            challenge_window_s=Seconds(FOR_EVER_S),
        ),
        consensus=ConsensusParameters(
            delta_ms=Millis(300), delta_max_ms=Millis(3_000), idle_interval_ms=Millis(500), snapshot_interval=0
        ),
        limits=(Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note="10^24 FLOP a run"),),
        accelerators=ACCELERATORS,
    )


async def run(options: Options, root: Path, console: Console) -> tuple[Campaign, Findings]:
    """Run a campaign in an empty folder; what it left behind can be looked into afterwards."""
    weather, draw = Weather(), random.Random(options.seed)  # noqa: S311  # jitter and loss, not secrets
    async with open_ground(options.ground, root, options.nodes, weather, draw) as ground:
        campaign = Campaign(options, root, console, weather, ground)
        return campaign, await campaign.run()


def main() -> None:
    """Read options, run, print the tables."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description="Disturb a network of real node processes here.")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to go on")
    parser.add_argument("--nodes", type=int, default=4, choices=range(NODES_MIN, NODES_MAX + 1), help="how many")
    parser.add_argument("--seed", type=int, help="repeat this schedule")
    parser.add_argument(
        "--ground", type=GroundKind, default=GroundKind.BEST, choices=list(GroundKind), help="where the nodes stand"
    )
    parser.add_argument("--keep", type=Path, help="an empty folder for the network, which is then left there")
    given = parser.parse_args()
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    options = Options(given.minutes, given.nodes, seed, given.ground)
    console = Console(stderr=True)
    console.print(f"seed {seed}; repeat the schedule with --seed {seed}", highlight=False)
    with contextlib.ExitStack() as stack:
        root = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        try:
            _, findings = asyncio.run(run(options, root, console))
        except KeyboardInterrupt:
            sys.exit(Exit.INTERRUPTED)
    show(findings, Console())
    sys.exit(0 if findings.holds else 1)


if __name__ == "__main__":
    main()
