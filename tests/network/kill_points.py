"""Kills a real node at every point at which a crash could leave something half done (`scripts/crash` runs this).

For each: a network of four real processes, statements submitted throughout; one node is started so that it kills itself
at the point (`tests.network.victim`), what it left is examined (`tests.network.remains`), it is started again, and must
catch up and vote. At the end no two of its votes contradict each other, whoever holds them, and no node has evidence.
"""

import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from devnet.network import Network, Waiting, wait_until
from ledger.positions import MemberIndex, Seconds
from node.failpoints import POINTS
from node.setup import Terms
from tests.network.parties import charter_of, home_of, make_terms
from tests.network.remains import (
    Said,
    assert_consistent,
    examine_folder,
    examine_store,
    open_copy,
    read_log,
    votes_of,
)
from tests.network.submitters import Submitter

VICTIM = 1
COUNT = 4
INTERVAL_S = 10  # so that an archival checkpoint is made while a test waits
KILLS_PER_NETWORK = 6  # a network whose labs report nothing fills with verdicts, and slows down


@dataclass(frozen=True, slots=True)
class Kill:
    """Where and how the victim dies: at which pass through which point; see `tests.network.victim`."""

    point: str
    passes: int = 1
    how: str = ""

    def __str__(self) -> str:
        return f"{self.point}, pass {self.passes}{self.how and f', {self.how}'}"

    @property
    def launcher(self) -> Sequence[str]:
        return ["-m", "tests.network.victim", f"{self.point}:{self.passes}:{self.how}"]


# Passes beyond the first let the node do something before it dies; a vote log is replaced at start, then shortened.
RUNNING = (
    Kill("votes.before-write", 4),
    Kill("votes.torn", 3, "torn=3"),
    Kill("votes.torn", 4, "torn=40"),
    Kill("votes.torn", 5, "torn=100000"),
    Kill("votes.written", 4),
    Kill("votes.written", 5, "unsynced"),
    Kill("votes.synced", 4),
    Kill("votes.aside"),
    Kill("votes.renamed"),
    Kill("votes.replaced"),
    Kill("votes.compacting"),
    Kill("votes.aside", 2),
    Kill("votes.renamed", 2),
    Kill("votes.replaced", 2),
    Kill("candidates.before"),
    Kill("candidates.inside"),
    Kill("candidates.after"),
    Kill("block.before", 3),
    Kill("block.rows", 3),
    Kill("block.inside", 3),
    Kill("block.after", 3),
    Kill("archive.before"),
    Kill("archive.inside"),
    Kill("archive.after"),
    Kill("cosignature.before"),
    Kill("cosignature.inside", 2),
    Kill("cosignature.after"),
    Kill("folder.aside", 2),
    Kill("folder.linked", 2),
    Kill("folder.renamed", 2),
    Kill("publish.before-checkpoint", 2),
    Kill("publish.after-checkpoint", 2),
)
FOUNDING = (
    Kill("ceremony.torn", 4, "torn=30"),
    Kill("ceremony.written", 1),
    Kill("ceremony.kept", 6),
    Kill("votes.aside"),
    Kill("votes.replaced"),
    Kill("founding.log"),
    Kill("key.aside"),
    Kill("key.linked"),
    Kill("founding.share"),
    Kill("meta.before"),
    Kill("meta.inside"),
    Kill("meta.after"),
    Kill("block.inside"),
    Kill("founding.store"),
    Kill("founding.done"),
)
assert {kill.point for kill in (*RUNNING, *FOUNDING)} == set(POINTS)


@dataclass
class Case:
    """One death, and all that the victim ever said."""

    network: Network
    scratch: Path
    said: dict[Said, None] = field(default_factory=dict)
    deaths: int = 0

    @property
    def member(self) -> MemberIndex:
        return MemberIndex(VICTIM + 1)

    def note_votes(self) -> None:
        """Add what the victim's log holds to what it is known to have said."""
        charter = charter_of(self.network)
        records = read_log(home_of(self.network, VICTIM), charter, self.member)
        self.said |= votes_of(self.member, records)
        assert_consistent(self.said)

    def wait_for_death(self) -> None:
        process = self.network._processes[VICTIM]
        code = process.wait(60)
        assert code == -9, f"ended with {code}: {self.network.last_words(VICTIM)}"
        self.network._wait_for_exit(VICTIM)

    def examine(self) -> None:
        """Hold what is on the victim's disk against itself."""
        home = home_of(self.network, VICTIM)
        self.deaths += 1
        if home.store.exists():
            store = open_copy(home, self.scratch / f"copy-{self.deaths}")
            try:
                examine_store(store)
                examine_folder(home.root / "public", store)
            finally:
                store.close()

    def wait_for_votes(self) -> None:
        """Wait until the victim has what others had when it came back, and says something new."""
        network = self.network
        others = [network.status(number) for number in range(COUNT) if number != VICTIM]
        height = max(status.height for status in others if status is not None)

        def is_back() -> bool:
            status = network.status(VICTIM)
            assert network.is_running(VICTIM), network.last_words(VICTIM)
            return status is not None and status.height >= height and status.phase == "voting"

        wait_until(is_back, Waiting("the victim's return", 90))
        before = len(self.said)
        wait_until(lambda: self._has_said_more(before), Waiting("a vote of the victim", 60))

    def _has_said_more(self, before: int) -> bool:
        self.note_votes()
        return len(self.said) > before

    def compare(self) -> None:
        """Hold the victim's votes against what others hold of them, and their opinion of it."""
        self.note_votes()
        charter = charter_of(self.network)
        held: dict[Said, None] = {}
        for number in range(COUNT):
            records = read_log(home_of(self.network, number), charter, MemberIndex(number + 1))
            held |= votes_of(self.member, records)
            status = self.network.status(number)
            assert status is not None
            evidence = {counter.name: counter.value for counter in status.counters}["evidence of misconduct"]
            assert evidence == 0, f"evidence at node {number}"
        assert_consistent({**self.said, **held})


def kill_running(case: Case, kill: Kill) -> None:
    """Have the victim die at a point of a running network, and come back."""
    case.network.stop(VICTIM)
    case.network.start(VICTIM, launcher=kill.launcher)
    case.wait_for_death()
    case.note_votes()
    case.examine()
    case.network.start(VICTIM)
    case.network.wait_ready(VICTIM)
    case.wait_for_votes()
    case.compare()


def kill_founding(root: Path, kill: Kill) -> None:
    """Have the victim die at a point of a founding, and take it up again."""
    network = Network.create(root / "network", COUNT, make_short_terms)
    with network.running():
        for number in range(COUNT):
            network.start(number, launcher=kill.launcher if number == VICTIM else ())
        case = Case(network, root)
        case.wait_for_death()
        case.examine()
        network.start(VICTIM)
        for number in range(COUNT):
            network.wait_ready(number)
        case.wait_for_votes()
        case.compare()
        assert len({charter_of(network, number).entry for number in range(COUNT)}) == 1


def make_short_terms() -> Terms:
    """As the other tests here, but with intervals that end while one waits."""
    terms = make_terms()
    seconds = Seconds(INTERVAL_S)
    grid = msgspec.structs.replace(
        terms.grid, interval_s=seconds, submit_window_s=seconds, grace_s=seconds, correction_window_s=seconds
    )
    return Terms(origin=terms.origin, title=terms.title, grid=grid, consensus=terms.consensus, limits=terms.limits)


@contextmanager
def running_network(root: Path) -> Iterator[Case]:
    """A founded network with a nation that submits throughout."""
    network = Network.create(root / "network", COUNT, make_short_terms)
    with network.running():
        for number in range(COUNT):
            network.start(number)
        for number in range(COUNT):
            network.wait_ready(number)
        submitter = Submitter(network, 0)
        with submitter.at_work():
            yield Case(network, root)
        assert not submitter.problems, submitter.problems


def main(wanted: Sequence[str]) -> int:
    """Go through all points, or those whose name begins as one of the words; gives how many were not survived."""
    console = Console(stderr=True)
    table = Table("point", "what is on disk then", "passes and ways", "survived")
    results: dict[str, list[bool]] = {}

    def attempt(phase: str, kill: Kill, work: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            work()
        except Exception as error:  # noqa: BLE001  # the table is to show every point
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            console.print(f"[red]lost[/] {phase}: {kill}: {type(error).__name__} at {place}: {error}")
            results.setdefault(kill.point, []).append(False)
        else:
            console.print(f"survived {phase}: {kill}, {time.monotonic() - began:.0f} s")
            results.setdefault(kill.point, []).append(True)

    def is_wanted(kill: Kill) -> bool:
        return not wanted or any(kill.point.startswith(word) for word in wanted)

    with tempfile.TemporaryDirectory(prefix="kill-points-") as folder:
        root = Path(folder)
        for number, kill in enumerate(filter(is_wanted, FOUNDING)):
            place = root / f"founding-{number}"
            attempt("founding", kill, lambda place=place, kill=kill: kill_founding(place, kill))  # type: ignore[misc]
        running = [kill for kill in RUNNING if is_wanted(kill)]
        for first in range(0, len(running), KILLS_PER_NETWORK):
            with running_network(root / f"running-{first}") as case:
                for kill in running[first : first + KILLS_PER_NETWORK]:
                    attempt("running", kill, lambda kill=kill: kill_running(case, kill))  # type: ignore[misc]
    for point, what in POINTS.items():
        if point in results:
            ways = sum(kill.point == point for kill in (*RUNNING, *FOUNDING))
            table.add_row(point, what, str(ways), "yes" if all(results[point]) else "[red]no[/]")
    Console().print(table)
    covered = sum(all(survived) for survived in results.values())
    deaths = sum(map(len, results.values()))
    Console().print(f"kill points covered {covered}/{len(POINTS)}, {deaths} deaths")
    return len(results) - covered


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
