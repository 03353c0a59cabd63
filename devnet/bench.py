"""How fast this is on this machine: one table of figures, each beside what it should be. No test: nothing here passes.

Four node processes share the machine with the process that makes the load. Figures of one run are made minutes apart
under the same conditions, so compare within a run, and runs on one machine; `docs/benchmarks.md` says how to read them.
"""

import argparse
import asyncio
import contextlib
import io
import itertools
import os
import pstats
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from devnet.abuse import SHARE_MIN, AbuseBench
from devnet.attacks import ATTACKS
from devnet.catching_up import CatchUpBench
from devnet.load import (
    Answers,
    LoadLab,
    Planned,
    interleave,
    make_plan,
    register_labs,
    sign_all,
    submit_all,
    submit_one_by_one,
    submit_steadily,
)
from devnet.network import Network
from devnet.ruling import INTERVALS_A_YEAR, draw_costs, format_costs, measure_costs, measure_memory
from ledger.charter import ConsensusParameters, Grid, Limit, ledger_keys
from ledger.positions import Interval, Millis, Seconds
from ledger.verify import verify_receipt
from node.daemon import read_charter
from node.home import STORE_FILE
from node.setup import ACCELERATORS, Terms
from observer.audit import audit_home
from observer.sync import conclude, sync_home
from tlog.reading import FolderFiles
from tlog.verifying import verify_files

NODES: Final = 4
INTERVAL_S: Final = 2  # every lab has a report to file this often, which must be more than nodes can take
FOR_EVER_S: Final = 86_400
IN_FLIGHT: Final = 200
STEADY_PER_SECOND: Final = 100
MEMORY_ENTRIES: Final = 100_000
RULES_HISTORIES: Final = (1_000, 10_000, 100_000, 1_000_000)
PUBLISH_INTERVAL_MS: Final = 1_000  # as a node's own settings have it
PROFILE_LINES: Final = 40
NAMES: Final = ("idle", "steady", "sealed", "memory", "audit", "fsck", "receipt", "rules", "catchup", "help")
WITHOUT_NETWORK: Final = ("rules", "catchup", "help")  # that is, without the one that the others share
ABUSE: Final = "abuse"  # only when asked for
ABUSE_ENTRIES: Final = 60_000  # more than labs file while one attack after another is made
ABUSE_WINDOW_S: Final = 5.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    target: str
    found: str
    is_met: bool | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and for how long.

    Attributes:
        only: names out of `NAMES`.
        seconds: of load, for each kind of load.
        labs: how many file reports.
        entries: up to which size of the ledger memory is watched.
        profile: where to write how one node, under a profiler, spent its time.
        svg: where to draw what a report costs the rules over the length of the history.
        attacks: which attacks to make; names out of `ATTACKS`.
    """

    only: tuple[str, ...]
    seconds: float
    labs: int
    entries: int
    profile: Path | None
    svg: Path | None
    attacks: tuple[str, ...]


class Moment(NamedTuple):
    """Processor seconds used until now: by a node on average, by the load, by everything on this machine."""

    at_s: float
    node_s: float
    load_s: float
    all_s: float


_NEVER: Final = Moment(0, 0, 0, 0)


@dataclass(slots=True)
class Usage:
    """What node processes use: memory now, processor time since `start`."""

    pids: Sequence[int]
    _begin: Moment = _NEVER

    def rss_mib(self) -> list[float]:
        """Resident memory of each."""
        page_mib = os.sysconf("SC_PAGE_SIZE") / 2**20
        return [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page_mib for pid in self.pids]

    def start(self) -> None:
        """Begin to count processor time."""
        self._begin = self._look()

    def since(self) -> Moment:
        """Seconds since `start`, of each kind."""
        return Moment(*(now - then for now, then in zip(self._look(), self._begin, strict=True)))

    def show(self, used: Moment, *, digits: int = 0) -> str:
        """Say it in words, with what had nothing to do with the benchmark."""
        strange_s = max(0.0, used.all_s - used.load_s - used.node_s * len(self.pids))
        return (
            f"{100 * used.node_s / used.at_s:.{digits}f} % of a core; the load {100 * used.load_s / used.at_s:.0f} %,"
            f" others on this machine {100 * strange_s / used.at_s:.0f} %"
        )

    def _look(self) -> Moment:
        stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids)
        nodes = sum(int(stat[11]) + int(stat[12]) for stat in stats) / _TICKS_PER_S
        user, nice, system, _, _, *interrupts = Path("/proc/stat").read_text().split()[1:8]
        everything = sum(map(int, (user, nice, system, *interrupts))) / _TICKS_PER_S
        return Moment(time.perf_counter(), nodes / len(self.pids), time.process_time(), everything)


@dataclass(slots=True)
class Bench:
    """One run over one network."""

    options: Options
    console: Console
    root: Path
    figures: list[Figure] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Tell what happens, on stderr."""
        self.console.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {text}", highlight=False)

    def add(self, name: str, target: str, found: str, *, is_met: bool | None = None) -> None:
        """Note a figure."""
        self.figures.append(Figure(name, target, found, is_met))
        self.say(f"{name}: {found}")

    def wants(self, *names: str) -> bool:
        """Say whether any of these is to be measured."""
        return any(name in self.options.only for name in names)

    def run(self) -> None:
        """Measure everything asked for."""
        if self.wants("help"):
            self.measure_help()
        if self.wants("catchup"):
            self.measure_catchup()
        if self.wants("rules"):
            self.measure_rules()
        if self.wants(*(name for name in NAMES if name not in WITHOUT_NETWORK), ABUSE):
            network = Network.create(self.root, NODES, _make_terms, publish_interval_ms=PUBLISH_INTERVAL_MS)
            with network.running():
                NetworkBench(self, network).run()

    def measure_rules(self) -> None:
        """Execute reports after short and long histories, and weigh the state of a year."""
        most = 10 * self.options.entries
        costs = measure_costs([size for size in RULES_HISTORIES if size <= most], self.say)
        for cost in costs:
            found = f"{cost.unchecked_us:.1f} µs, {cost.checked_us:.1f} with Ed25519, {cost.block_us:.1f} of its block"
            is_met = cost.unchecked_us <= 60
            self.add(f"rules, a report after {cost.entries} entries", "<= 60 µs", found, is_met=is_met)
        if self.options.svg is not None:
            self.console.print(*format_costs(costs), sep="\n", soft_wrap=True)
            self.options.svg.write_text(draw_costs(costs), encoding="utf-8")
        total = self.options.entries // 10
        for clusters in (1, 10):
            self.say(f"the state of {total} clusters, {clusters} a lab, after {INTERVALS_A_YEAR} intervals")
            found_mib = measure_memory(labs=total // clusters, clusters=clusters)
            name = f"state of {total} clusters, {INTERVALS_A_YEAR} intervals, {clusters} a lab"
            self.add(name, "< 300 MiB at 10000", f"{found_mib:.0f} MiB", is_met=found_mib < 300)

    def measure_catchup(self) -> None:
        """Take a member away from a network of its own, and watch it come back."""
        options = self.options
        network = Network.create(self.root / "catchup", NODES, _make_terms, publish_interval_ms=PUBLISH_INTERVAL_MS)
        with network.running():
            work = CatchUpBench(network, labs=options.labs, entries=options.entries, say=self.say)
            for name, found in work.run():
                self.add(name, "", found)

    def measure_help(self) -> None:
        """Start the command in a process of its own, several times."""
        times = []
        for _ in range(7):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-m", "counterseal", "--help"], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - begin)
        middle = statistics.median(times)
        self.add("counterseal --help", "< 0.4 s", f"{middle:.2f} s", is_met=middle < 0.4)


class NetworkBench:
    """What needs a running network."""

    def __init__(self, bench: Bench, network: Network) -> None:
        self.bench, self.network, self.options = bench, network, bench.options
        self.copy_home = bench.root / "observer"

    def run(self) -> None:
        """Start the nodes, register the labs, and measure in an order in which nothing disturbs what follows."""
        bench, network = self.bench, self.network
        raw_profile = self.bench.root / "profile"
        for number in range(NODES):
            is_profiled = self.options.profile is not None and number == 0
            network.start(number, launcher=("-m", "cProfile", "-o", str(raw_profile)) if is_profiled else ())
        for number in range(NODES):
            network.wait_ready(number)
        pids = [int((Path(place.home) / "pid").read_text()) for place in network.nodes]
        self.usage = Usage(pids)
        self.charter = read_charter(Path(network.nodes[0].home) / STORE_FILE)
        bench.add("memory of a node, empty ledger", "", _show_mib(self.usage.rss_mib()))
        asyncio.run(self.measure_load())
        if bench.wants("receipt"):
            self.measure_receipt()
        if bench.wants("audit"):
            self.measure_sync()
        network.stop_all()
        if bench.wants("audit"):
            self.measure_audit()
        if bench.wants("fsck"):
            self.measure_fsck()
        if self.options.profile is not None:
            self.options.profile.write_text(_read_profile(raw_profile))
            bench.say(f"where node {network.nodes[0].id} spent its time: {self.options.profile}")

    async def measure_load(self) -> None:
        """Register labs, sign their reports, and submit them in each way that is asked for."""
        bench, options = self.bench, self.options
        labs = [LoadLab(number) for number in range(options.labs)]
        begin = time.perf_counter()
        await register_labs(self.network, labs)
        rate = len(labs) / (time.perf_counter() - begin)
        bench.add(f"registration of {len(labs)} labs", "", f"{rate:.0f} /s, two signatures each")
        grid = self.charter.grid
        first = Interval((time.time_ns() // 10**9 - grid.start) // grid.interval_s + 1)
        wanted = options.entries if bench.wants("memory") else int(1_500 * options.seconds)
        wanted = max(wanted, ABUSE_ENTRIES) if bench.wants(ABUSE) else wanted
        plan = make_plan(self.charter, first=first, count=-(-wanted // len(labs)) + 4)
        bench.say(f"signing {plan.count * len(labs)} reports")
        chains = sign_all(labs, plan)
        self.queues = [interleave(chains[number::NODES]) for number in range(NODES)]
        if bench.wants("idle"):
            await self.measure_idle()
        if bench.wants("steady"):
            await self.measure_steady()
        if bench.wants("sealed"):
            await self.measure_sealed()
        if bench.wants("memory"):
            await self.measure_memory()
        if bench.wants(ABUSE):
            await self.measure_abuse()

    async def measure_idle(self) -> None:
        """One report at a time, at odd moments."""
        self.usage.start()
        await asyncio.sleep(10)
        self.bench.add("processor use of an idle node", "", self.usage.show(self.usage.since(), digits=1))
        draw = random.Random(1)  # noqa: S311  # odd moments, not secrets
        count = max(10, int(self.options.seconds))
        answers = await submit_one_by_one(
            self.network.nodes, self._mix(), count=count, pause_s=lambda: draw.uniform(0.2, 0.8)
        )
        middle = _at(answers.latencies_s, 0.5)
        self.bench.add("receipt, idle network", "p50 < 150 ms", _show_latencies(answers), is_met=middle < 0.15)

    async def measure_steady(self) -> None:
        """A hundred reports a second."""
        self.usage.start()
        answers = await submit_steadily(
            self.network.nodes, self._mix(), per_second=STEADY_PER_SECOND, seconds=self.options.seconds
        )
        middle = _at(answers.latencies_s, 0.5)
        name = f"receipt, {STEADY_PER_SECOND} reports/s"
        self.bench.add(name, "p50 < 500 ms", _show_latencies(answers), is_met=middle < 0.5)
        self.bench.add("  processor use of a node", "", self.usage.show(self.usage.since()))

    async def measure_sealed(self) -> None:
        """As many as the nodes take; what counts is what they have sealed, not what was sent."""
        seconds = self.options.seconds
        begin = time.perf_counter()
        warm_s = min(5.0, seconds / 4)
        end = begin + warm_s + seconds
        async with asyncio.TaskGroup() as group:
            load = group.create_task(
                submit_all(
                    self.network.nodes, self.queues, in_flight=IN_FLIGHT, until=lambda: time.perf_counter() > end
                )
            )
            await asyncio.sleep(warm_s)
            self.usage.start()
            sealed, at, height = await self._sealed()
            await asyncio.sleep(seconds)
            sealed_after, at_after, height_after = await self._sealed()
            used = self.usage.since()
        answers, took_s = load.result(), at_after - at
        rate, blocks = (sealed_after - sealed) / took_s, (height_after - height) / took_s
        found = f"{rate:.0f} /s over {took_s:.0f} s, {rate / blocks:.0f} a block"
        self.bench.add("reports committed and sealed", ">= 500 /s for 60 s", found, is_met=rate >= 500)
        self.bench.add(f"  receipt, {IN_FLIGHT} open at each node", "", _show_latencies(answers))
        each_ms = 1000 * used.node_s / (sealed_after - sealed)
        self.bench.add("  processor use of a node", "", f"{each_ms:.2f} ms a report, {self.usage.show(used)}")

    async def measure_memory(self) -> None:
        """Go on until the ledger has the size in question."""
        self.bench.say(f"filling the ledger up to {self.options.entries} entries")
        size = (await self._sealed())[0]
        left = itertools.count(size)

        def is_full() -> bool:
            return next(left) >= self.options.entries

        await submit_all(self.network.nodes, self.queues, in_flight=IN_FLIGHT, until=is_full)
        size, rss = (await self._sealed())[0], self.usage.rss_mib()
        self.bench.add(
            f"memory of a node, {size} entries", "< 200 MiB at 100000", _show_mib(rss), is_met=max(rss) < 200
        )

    async def measure_abuse(self) -> None:
        """Attack one node in every way while labs submit to all."""
        abuse = AbuseBench(
            self.network, self.queues, self.bench.say, window_s=min(ABUSE_WINDOW_S, self.options.seconds)
        )
        for row in await abuse.run(self.options.attacks):
            is_met = row.share >= SHARE_MIN and not row.stopped
            self.bench.add(f"honest rate beside {row.name}", f">= {100 * SHARE_MIN:.0f} %", str(row), is_met=is_met)

    def measure_sync(self) -> None:
        """Follow a node's published files from nothing but the fingerprint, as an observer does."""
        begin = time.perf_counter()
        fingerprint = bytes.fromhex(self.charter.fingerprint)
        result = sync_home(
            self.copy_home, [self.network.nodes[0].http], fingerprint=fingerprint, draw=secrets.token_bytes
        )
        conclude(result.outcomes)
        size, took_s = result.head.header.tree_size, time.perf_counter() - begin
        self.bench.add("observer's sync over HTTP", "", f"{size / took_s:.0f} entries/s ({size} in {took_s:.1f} s)")

    def measure_audit(self) -> None:
        """Execute every rule and check every signature and seal again, while nothing else runs."""
        begin = time.perf_counter()
        cores = os.cpu_count() or 1
        report = audit_home(self.copy_home, fingerprint=None, draw=secrets.token_bytes, workers_count=cores)
        count, took_s = report.entries_count, time.perf_counter() - begin
        found = f"{count / took_s:.0f} entries/s ({count} in {took_s:.1f} s, {report.seals_count} seals)"
        self.bench.add("audit", ">= 3000 entries/s", found, is_met=count / took_s >= 3_000)

    def measure_fsck(self) -> None:
        """Hash every published file again, up to the sealed root, in this process alone and with others."""
        folder = Path(self.network.nodes[0].home) / "public"
        opener = partial(FolderFiles, folder)
        for workers in sorted({0, os.cpu_count() or 1}):
            begin = time.perf_counter()
            found = verify_files(opener, self.charter, workers_count=workers)
            count, took_s = found.entries_count, time.perf_counter() - begin
            about = f"{count / took_s:.0f} entries/s ({count} in {found.files_count} files in {took_s:.1f} s)"
            self.bench.add(f"node publish --verify, {workers} processes beside", "", about)

    def measure_receipt(self) -> None:
        """Verify real receipts offline."""
        answers = asyncio.run(submit_one_by_one(self.network.nodes, self._mix(), count=20, pause_s=lambda: 0.0))
        keys, times = ledger_keys(self.charter), []
        for entry, receipt in answers.receipts:
            begin = time.perf_counter()
            verify_receipt(receipt, entry=entry, keys=keys)
            times.append(time.perf_counter() - begin)
        middle = statistics.median(times)
        found = f"{1000 * middle:.1f} ms, the first {1000 * times[0]:.1f} ms"
        self.bench.add("offline verification of a receipt", "< 10 ms", found, is_met=middle < 0.01)

    def _mix(self) -> Iterator[Planned]:
        """Take from the nodes' queues in turn, so that each report goes to the node its lab goes to."""
        for queue in itertools.cycle(self.queues):
            report = next(queue, None)
            if report is None:
                return
            yield report

    async def _sealed(self) -> tuple[int, float, int]:
        """Entries and blocks that every node has as final and sealed, and when that was asked."""
        answers = await asyncio.gather(*(asyncio.to_thread(self.network.status, n) for n in range(NODES)))
        sizes = [(answer.tree_size, answer.height) for answer in answers if answer is not None]
        size, height = min(sizes)
        return size, time.perf_counter(), height


def _make_terms() -> Terms:
    """Short intervals, so that labs have much to report; windows that do not end meanwhile."""
    return Terms(
        origin="bench.counterseal.example/load",
        title="A benchmark",
        grid=Grid(
            start=Seconds(time.time_ns() // 10**9),
            interval_s=Seconds(INTERVAL_S),
            submit_window_s=Seconds(FOR_EVER_S),
            grace_s=Seconds(FOR_EVER_S),
            correction_window_s=Seconds(FOR_EVER_S),
            challenge_window_s=Seconds(FOR_EVER_S),
        ),
        consensus=ConsensusParameters(
            delta_ms=Millis(500), delta_max_ms=Millis(60_000), idle_interval_ms=Millis(2_000), snapshot_interval=0
        ),
        limits=(Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note="10^24 FLOP a run"),),
        accelerators=ACCELERATORS,
    )


def _at(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(int(part * len(values)), len(values) - 1)]


def _show_latencies(answers: Answers) -> str:
    parts = " ".join(f"p{part} {1000 * _at(answers.latencies_s, part / 100):.0f}" for part in (50, 95, 99))
    refused = f", REFUSED {dict(answers.refused)}" if answers.refused else ""
    return f"{parts} ms ({len(answers.latencies_s)} receipts{refused})"


def _show_mib(found: Sequence[float]) -> str:
    return f"{statistics.median(found):.0f} MiB, at most {max(found):.0f}"


def _read_profile(path: Path) -> str:
    text = io.StringIO()
    pstats.Stats(str(path), stream=text).strip_dirs().sort_stats("tottime").print_stats(PROFILE_LINES)
    return text.getvalue()


def main() -> None:
    """Read options, measure, print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure a network of four nodes here.")
    parser.add_argument("--only", nargs="+", choices=(*NAMES, ABUSE), default=NAMES, help="what to measure")
    parser.add_argument("--seconds", type=float, default=60, help="of load, for each kind")
    parser.add_argument("--labs", type=int, default=4_000, help="how many file reports")
    parser.add_argument("--entries", type=int, default=MEMORY_ENTRIES, help="size of the ledger whose memory counts")
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten: the same, smaller")
    parser.add_argument("--profile", type=Path, help="run one node under a profiler; write here where its time goes")
    parser.add_argument("--svg", type=Path, help="draw here what a report costs the rules, however long the history")
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=tuple(ATTACKS), help=f"to make in {ABUSE}")
    given = parser.parse_args()
    options = Options(
        only=tuple(given.only),
        seconds=given.seconds,
        labs=given.labs,
        entries=given.entries,
        profile=given.profile,
        svg=given.svg,
        attacks=tuple(given.attacks),
    )
    if given.quick:
        options = replace(options, seconds=8, labs=2_000, entries=10_000)
    console = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        bench = Bench(options, console, root / "network")
        bench.run()
    table = Table("figure", "target", "here", "")
    for figure in bench.figures:
        mark = "" if figure.is_met is None else "[green]met[/]" if figure.is_met else "[red]missed[/]"
        table.add_row(figure.name, figure.target, figure.found, mark)
    Console().print(table)


if __name__ == "__main__":
    main()
