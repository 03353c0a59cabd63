"""The main job, live: four nations found a ledger, labs report, a node is killed, one lab is late and one silent.

`scripts/demo` runs this. Everything is done with the project's own commands and real node processes; what the story
adds is the order, the waiting and the checks. Exit code 0 only if every check held.

Reports are made from exports of a real Slurm in `examples/slurm/`; their times are shifted onto the demonstration's
grid, whose intervals are seconds long (`lab report --shift`, which says so in its output).
"""

import asyncio
import math
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.panel import Panel

from devnet.checks import Checks, measure_pace
from devnet.commands import Outcome, counterseal, must
from devnet.network import Network, Waiting, wait_until
from devnet.year.show import tell_year
from ledger.charter import ConsensusParameters, Grid, Limit
from ledger.errors import LedgerError
from ledger.positions import Interval, Millis, Seconds
from node.daemon import read_charter
from node.fingerprint import fingerprint_words
from node.home import Home
from node.setup import ACCELERATORS, Terms

INTERVAL_S: Final = 12
SUBMIT_WINDOW_S: Final = 10
GRACE_S: Final = 6
EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples"
SEALED_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class LabRole:
    """A lab of the story.

    Attributes:
        id: of the lab.
        nation: number of the node of its nation.
        export: what its scheduler wrote.
        begins: Unix second at which jobs begin in that export.
        cluster: id:facility:country:capacity of its cluster.
        scheduler: name of the cluster in the export.
    """

    id: str
    nation: int
    export: str
    begins: int
    cluster: str


LABS: Final = (
    LabRole("aurora-lab", 0, "aurora-22.05.json", 1795447125, "aurora:Hall North:NO:h100=16"),
    LabRole("harbour-lab", 1, "harbour-22.05.json", 1795447125, "harbour:Pier 4:NL:h100=8"),
    LabRole("meridian-lab", 2, "meridian-24.11.json", 1795447425, "meridian:Campus East:CA:h200=16"),
)
ON_TIME, LATE, SILENT = LABS
KILLED: Final = 3


class Story:
    """The demonstration, step by step; the steps are those of the README."""

    def __init__(self, root: Path, console: Console) -> None:
        self.root, self.console = root, console
        self.checks = Checks(console)
        self.network: Network
        self.fingerprint = ""
        self.start_s = 0
        self.first = Interval(0)
        self.pace = 1.0
        self._began = time.monotonic()

    async def tell(self) -> None:
        """Tell the whole story."""
        self.pace = await measure_pace(self.console)
        self.found()
        await self.register()
        await self.report_and_kill()
        await self.late_and_silent()
        await self.observe()
        await self.show_board()

    def step(self, number: int, title: str) -> None:
        """Announce a step."""
        self.console.print(f"\n[bold]{number}. {title}[/] [dim]{time.monotonic() - self._began:.0f} s[/]")

    def say(self, text: str) -> None:
        """Tell what happens."""
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)

    @property
    def _interval_s(self) -> int:
        return self._paced(INTERVAL_S)

    def _paced(self, seconds: int) -> int:
        return math.ceil(self.pace * seconds)

    # -- 1 and 2 -----------------------------------------------------------------------------------------------------

    def found(self) -> None:
        """Start four nodes, which hold the founding ceremony between them."""
        self.step(1, "Four nations, four processes, mutual TLS")
        self.network = Network.create(self.root / "network", 4, self._terms)
        for number, place in enumerate(self.network.nodes):
            self.network.start(number)
            self.say(f"{place.id}: peers {place.peer}, labs and observers {place.public}, files {place.http}")
        self.step(2, "The founding ceremony, without a dealer")
        for number in range(4):
            self.network.wait_ready(number)
        fingerprints = {(Path(place.home) / "out.log").read_text().strip() for place in self.network.nodes}
        self.checks.check("all four nodes hold the same charter", holds=len(fingerprints) == 1)
        self.fingerprint = fingerprints.pop()
        transcripts = {read_charter(Home(Path(place.home)).store).predicate.transcript for place in self.network.nodes}
        self.checks.check(
            "all four operators would read out the same transcript fingerprint", holds=len(transcripts) == 1
        )
        words = fingerprint_words(bytes.fromhex(transcripts.pop()))
        self.say("the words they compare by telephone:")
        for first in range(0, len(words), 6):
            self.say("    " + " ".join(words[first : first + 6]))
        self.say(f"charter fingerprint: {self.fingerprint}")

    def _terms(self) -> Terms:
        self.start_s = time.time_ns() // 1_000_000_000
        return Terms(
            origin="demo.counterseal.example/pause",
            title="A demonstration pause",
            grid=Grid(
                start=Seconds(self.start_s),
                interval_s=Seconds(self._interval_s),
                submit_window_s=Seconds(self._paced(SUBMIT_WINDOW_S)),
                grace_s=Seconds(self._paced(GRACE_S)),
                correction_window_s=Seconds(600),
                challenge_window_s=Seconds(3600),
            ),
            consensus=ConsensusParameters(
                delta_ms=Millis(300), delta_max_ms=Millis(3000), idle_interval_ms=Millis(1000), snapshot_interval=0
            ),
            limits=(
                Limit(
                    id="run-cap",
                    quantity="training_pflop_per_run",
                    maximum=10**9,
                    note="10^24 FLOP for one training run",
                ),
            ),
            accelerators=ACCELERATORS,
        )

    # -- 3 -----------------------------------------------------------------------------------------------------------

    async def register(self) -> None:
        """Have three nations register a lab each."""
        self.step(3, "Labs register, and report what their Slurm accounted")
        await asyncio.gather(*(self._register(lab) for lab in LABS))
        registered_s = time.time_ns() // 1_000_000_000
        self.first = Interval((registered_s - self.start_s) // self._interval_s + 1)
        self.checks.check("three labs are registered, each signed by its nation and by itself", holds=True)
        self.say(f"their clusters count from the next boundary of the grid: interval {self.first}")

    async def _register(self, lab: LabRole) -> None:
        home = self._home(lab)
        nodes = [f"grpc://{self.network.nodes[(lab.nation + turn) % 4].public}" for turn in (3, 0, 1, 2)]
        words = ["lab", "init", "--home", str(home), "--id", lab.id, "--name", lab.id.replace("-", " ").title()]
        words += ["--cluster", lab.cluster, "--charter-fingerprint", self.fingerprint]
        words += ["--passphrase-file", str(self._passphrase()), "--argon2-memory-kib", "1024", "--argon2-passes", "1"]
        for node in nodes:
            words += ["--node", node]
        await must(*words)
        signed = self.root / f"{lab.id}.registration.json"
        nation_home = self.network.nodes[lab.nation].home
        await must("nation", "register", str(home / "request.json"), "--home", nation_home, "-o", str(signed), "--yes")
        await must("lab", "countersign", "--home", str(home), str(signed), *self._secret())

    async def report(self, lab: LabRole, interval: int) -> Outcome:
        """Turn the lab's export into the report of an interval, and submit it."""
        shift = self.start_s + int(self.first) * self._interval_s - lab.begins
        words = ["lab", "report", "--home", str(self._home(lab)), "--interval", str(interval)]
        words += ["--from", str(EXAMPLES / "slurm" / lab.export), "--mapping", str(EXAMPLES / "mapping.toml")]
        await must(*words, "--shift", str(shift), *self._secret())
        return await must("lab", "submit", "--home", str(self._home(lab)), "--interval", str(interval))

    def _home(self, lab: LabRole) -> Path:
        return self.root / "labs" / lab.id

    def _passphrase(self) -> Path:
        return self.root / "network" / "passphrase"

    def _secret(self) -> list[str]:
        return ["--passphrase-file", str(self._passphrase())]

    async def _until_end_of(self, interval: int, after_s: float = 0.3) -> None:
        """Wait until an interval is over in ledger time, and a little longer."""
        end = self.start_s + (interval + 1) * self._interval_s + after_s
        await asyncio.sleep(max(0.0, end - time.time_ns() / 1e9))

    # -- 4 -----------------------------------------------------------------------------------------------------------

    async def report_and_kill(self) -> None:
        """Report a first interval from all labs while a node is killed, and see it catch up."""
        first = int(self.first)
        self.say(f"waiting for the end of interval {first} …")
        await self._until_end_of(first)
        self.step(4, f"{self.network.nodes[KILLED].id} is killed (SIGKILL) while the labs submit")
        before = self._height(0)
        self.network.kill(KILLED)
        await asyncio.gather(*(self.report(lab, first) for lab in LABS))
        self.checks.check(
            "each lab holds a verified receipt; the first node that aurora-lab asked was the dead one", holds=True
        )
        wait_until(lambda: self._height(0) > before + 2, Waiting("three more seals", SEALED_WITHIN_S))
        self.checks.check(
            "the other three go on sealing",
            holds=self._height(0) > before + 2,
            detail=f"height {before} → {self._height(0)}",
        )
        self.network.start(KILLED)
        self.network.wait_ready(KILLED)
        wait_until(self._is_level, Waiting("the restarted node to catch up", SEALED_WITHIN_S))
        self.checks.check("restarted, it catches up to the same checkpoint", holds=self._is_level())

    def _height(self, number: int) -> int:
        status = self.network.status(number)
        return 0 if status is None else status.height

    def _is_level(self) -> bool:
        ours, theirs = self.network.status(KILLED), self.network.status(0)
        if ours is None or theirs is None:
            return False
        return ours.tree_size == theirs.tree_size and ours.root == theirs.root and theirs.height - ours.height <= 1

    # -- 5 -----------------------------------------------------------------------------------------------------------

    async def late_and_silent(self) -> None:
        """Let one lab file late and one not at all, and wait for the sealed verdicts."""
        second = int(self.first) + 1
        self.step(5, f"Interval {second}: one lab on time, one late, one silent")
        await self._until_end_of(second)
        await self.report(ON_TIME, second)
        self.say(f"{ON_TIME.id} filed on time")
        await self._until_end_of(second, self._paced(SUBMIT_WINDOW_S) + 0.5)
        await self.report(LATE, second)
        self.say(f"{LATE.id} filed after it was due; {SILENT.id} says nothing")
        await self._until_end_of(second, self._paced(SUBMIT_WINDOW_S) + self._paced(GRACE_S) + 2.5)

    # -- 6 -----------------------------------------------------------------------------------------------------------

    async def observe(self) -> None:
        """Let an observer that knows only the charter's fingerprint check everything, and write proofs to files."""
        self.step(6, "An observer who knows nothing but the charter's fingerprint")
        known = ["--charter-fingerprint", self.fingerprint]
        home = self._observer_home()
        grpc_source, http_source = f"grpc://{self.network.nodes[1].public}", self.network.nodes[2].http
        await must("observe", "sync", "--home", home, "--from", grpc_source, *known)
        self.checks.check("it syncs over gRPC from one node", holds=True, detail=grpc_source)
        files_home = str(self.root / "observer-by-files")
        await must("observe", "sync", "--home", files_home, "--from", http_source, *known)
        self.checks.check("and over plain files from another", holds=True, detail=http_source)
        audit = (await must("observe", "audit", "--home", home, "--json")).parsed()
        self.checks.check(
            "it executes every rule again: signatures, seals, roots and verdicts are as the nations sealed them",
            holds=audit["holds"] is True and audit["verdicts_count"] > 0,
            detail=", ".join(f"{audit[what + '_count']} {what}" for what in ("signatures", "seals", "verdicts")),
        )
        await self._check_verdicts(home)
        await self._prove(home, known)

    async def _check_verdicts(self, home: str) -> None:
        board = (await must("observe", "board", "--home", home, "--json")).parsed()
        states = {(each["lab"], each["interval"]): each for each in board["verdicts"]}
        first, second = int(self.first), int(self.first) + 1
        expected = [(lab, first, "compliant") for lab in LABS]
        expected += [(ON_TIME, second, "compliant"), (LATE, second, "late"), (SILENT, second, "missing")]
        for lab, interval, state in expected:
            verdict = states.get((lab.id, interval), {})
            found = verdict.get("state", "no verdict")
            reasons = ", ".join(verdict.get("reasons", []))
            self.checks.check(
                f"the sealed verdict on {lab.id}, interval {interval}, is {state}",
                holds=found == state,
                detail=f"{verdict.get('assurance', '')} {reasons}" if found == state else f"found {found}",
            )

    async def _prove(self, home: str, known: list[str]) -> None:
        """Write a receipt and a certificate, verify them with no network, and see a changed byte refused."""
        proofs = self.root / "proofs"
        proofs.mkdir(exist_ok=True)
        interval = str(int(self.first))
        receipt, certificate = proofs / "report.tlog-proof", proofs / "compliance.json"
        await must(
            "observe", "receipt", "--home", home, "--lab", ON_TIME.id, "--interval", interval, "-o", str(receipt)
        )
        cluster = ON_TIME.cluster.partition(":")[0]
        words = ["--lab", ON_TIME.id, "--cluster", cluster, "--interval", interval, "-o", str(certificate)]
        await must("observe", "certificate", "--home", home, *words)
        for file in (receipt, certificate):
            verified = await counterseal("verify", str(file), *known)
            self.checks.check(f"`{verified.shown.partition(' --')[0]}` holds, offline", holds=verified.code == 0)
        changed = proofs / "changed.json"
        raw = bytearray(certificate.read_bytes())
        raw[len(raw) // 2] ^= 1
        changed.write_bytes(raw)
        refused = await counterseal("verify", str(changed), *known)
        self.checks.check("one byte changed in a copy, and it is refused", holds=refused.code != 0)
        self.say(f"[dim]{refused.err.strip()}[/]")

    def _observer_home(self) -> str:
        return str(self.root / "observer")

    # -- 7 -----------------------------------------------------------------------------------------------------------

    async def show_board(self) -> None:
        """Print the observer's board."""
        self.step(7, "The board, from the observer's own verified copy")
        words = ("observe", "board", "--home", self._observer_home())
        board = await must(*words, environment={"COLUMNS": str(min(120, self.console.width))})
        self.console.print(board.out, highlight=False, markup=False)


def _keep_notes(story: Story) -> None:
    """Say how to talk to a network that was left running."""
    network = story.network
    node, nation = network.nodes[0], network.nodes[0].home
    lines = [
        f"counterseal devnet status --home {network.root}",
        f"counterseal node status --home {nation}",
        f"counterseal observe sync --home {story.root / 'observer'} --from grpc://{node.public}",
        f"counterseal observe board --home {story.root / 'observer'}",
        f"counterseal lab status --home {story.root / 'labs' / ON_TIME.id}",
        f"curl {node.http}/checkpoint",
        f"counterseal devnet down --home {network.root}",
    ]
    command = Path(sys.executable).parent
    story.console.print(Panel("\n".join(lines), title=f"The network is running; the command is in {command}"))


async def _tell(root: Path, console: Console, *, keep: bool) -> bool:
    story = Story(root, console)
    try:
        await story.tell()
    finally:
        if hasattr(story, "network") and not keep:
            story.network.stop_all()
    if keep:
        _keep_notes(story)
    return story.checks.conclude()


class Scenario(StrEnum):
    """Which demonstration."""

    STORY = "story"
    YEAR = "year"


def main(
    *,
    scenario: Annotated[
        Scenario, typer.Option("--scenario", help="The main job in a minute or two, or a year of a pause in three.")
    ] = Scenario.STORY,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running, and say how to talk to it.")] = False,
    home: Annotated[Path | None, typer.Option("--home", help="Folder of the demonstration; else a new one.")] = None,
) -> None:
    """Tell the story; exit code 0 only if every check held."""
    console = Console(width=max(100, Console().width))
    root = Path(tempfile.mkdtemp(prefix="counterseal-demo-")) if home is None else home
    tell = tell_year if scenario == Scenario.YEAR else _tell
    try:
        held = asyncio.run(tell(root, console, keep=keep))
    except LedgerError as error:
        console.print(f"[red]the demonstration stopped:[/] {error}", highlight=False, soft_wrap=True)
        console.print(f"logs are in {root}")
        raise typer.Exit(1) from None
    if held and not keep and home is None:
        shutil.rmtree(root)
    elif not keep:
        console.print(f"everything it made is in {root}")
    if not held:
        raise typer.Exit(1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
