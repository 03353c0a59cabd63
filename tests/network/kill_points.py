"""Kills a real node at every point at which a crash could leave something half done (`scripts/crash` runs this).

For each: a network of four real processes, statements submitted throughout; one node is started so that it kills itself
at the point (`tests.network.victim`), what it left is examined (`tests.network.remains`), it is started again, and must
catch up and vote. At the end no two of its votes contradict each other, whoever holds them, and no node has evidence.
It dies while it runs, while it is founded, while a database of an older version is brought up, and while it begins from
a member's snapshot, audits the history and takes that into use.
"""

import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from devnet.network import Network, Waiting, wait_until
from ledger.positions import MemberIndex, Seconds
from node.failpoints import POINTS
from node.home import SNAPSHOTS_FOLDER
from node.schema import SCHEMA_VERSION
from node.setup import Terms
from node.snapshots import SUFFIX
from tests.network.earlier import forget_ledger, read_schema_version, set_schema_back
from tests.network.parties import charter_of, home_of, make_terms
from tests.network.remains import (
    Said,
    assert_consistent,
    examine_begun,
    examine_folder,
    examine_snapshots,
    examine_store,
    open_copy,
    read_log,
    votes_of,
)
from tests.network.submitters import Submitter

VICTIM = 1
COUNT = 4
INTERVAL_S = 10  # so that an archival checkpoint is made while a test waits
SNAPSHOT_INTERVAL = 4  # blocks
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


NEVER = Kill("votes.synced", 10**9)  # has a node be as the victim is, and live


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
    Kill("file.torn", 1, "torn=100"),
    Kill("file.aside"),
    Kill("file.renamed"),
    Kill("snapshot.kept"),
)
MIGRATING = (
    Kill("schema.before"),
    Kill("schema.table"),
    Kill("schema.table", 3),
    Kill("schema.inside"),
    Kill("schema.after"),
)
BEGINNING = (
    Kill("base.before"),
    Kill("base.inside"),
    Kill("base.after"),
    Kill("founding.store"),  # of the database that the history is audited in
    Kill("founding.done"),
    Kill("block.inside", 2),
    Kill("block.inside", 5),
    Kill("history.whole"),
    Kill("history.renamed"),
    Kill("history.replaced"),
)
FOUNDING = (
    Kill("file.torn", 1, "torn=100"),
    Kill("file.aside"),
    Kill("file.renamed", 2),
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
EVERY = (*FOUNDING, *RUNNING, *MIGRATING, *BEGINNING)
assert {kill.point for kill in EVERY} == set(POINTS)


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
        code = process.wait(120)
        assert code == -9, f"ended with {code}: {self.network.last_words(VICTIM)}"
        self.network._wait_for_exit(VICTIM)

    def examine(self) -> None:
        """Hold what is on the victim's disk against itself."""
        home = home_of(self.network, VICTIM)
        self.deaths += 1
        examine_snapshots(home.root / SNAPSHOTS_FOLDER)
        for database in (home.store, home.history):
            if not database.exists():
                continue
            with closing(open_copy(database, self.scratch / f"{database.stem}-{self.deaths}")) as store:
                if store.base is not None:
                    examine_begun(store, store.base)
                    continue
                examine_store(store)
                if database == home.store:
                    examine_folder(home.root / "public", store)

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


def kill_migrating(case: Case, kill: Kill) -> None:
    """Have the victim die while its database, one of version 1, is brought up."""
    store = home_of(case.network, VICTIM).store
    case.network.stop(VICTIM)
    set_schema_back(store)
    case.network.start(VICTIM, launcher=kill.launcher)
    case.wait_for_death()
    found = read_schema_version(store, case.scratch / f"version-{case.deaths}")
    assert found == (SCHEMA_VERSION if kill.point == "schema.after" else 1), f"version {found}"
    case.note_votes()
    case.examine()
    case.network.start(VICTIM)
    case.network.wait_ready(VICTIM)
    case.wait_for_votes()
    case.compare()


def kill_beginning(case: Case, kill: Kill) -> None:
    """Have the victim die while it begins from a snapshot, audits what was before, or takes that into use."""
    network, home = case.network, home_of(case.network, VICTIM)
    is_late = kill.point.startswith("history.")
    wait_until(lambda: any((home_of(network, 0).root / SNAPSHOTS_FOLDER).glob(f"*{SUFFIX}")), Waiting("a snapshot", 60))
    network.stop(VICTIM)
    forget_ledger(home)
    if not is_late:
        network.start(VICTIM, launcher=kill.launcher)
        case.wait_for_death()
        case.note_votes()
        case.examine()
    network.start(VICTIM, launcher=NEVER.launcher)
    network.wait_ready(VICTIM)
    case.wait_for_votes()
    wait_until(lambda: is_audited(network), Waiting("the audit of the history", 120))
    network.stop(VICTIM)
    if is_late:
        network.start(VICTIM, launcher=kill.launcher)
        case.wait_for_death()
        case.note_votes()
        case.examine()
    network.start(VICTIM)
    network.wait_ready(VICTIM)
    case.wait_for_votes()
    case.compare()
    network.stop(VICTIM)
    case.examine()
    assert not home.history.exists(), "the audited history is the ledger now"
    network.start(VICTIM)
    network.wait_ready(VICTIM)


def is_audited(network: Network) -> bool:
    status = network.status(VICTIM)
    assert network.is_running(VICTIM), network.last_words(VICTIM)
    assert status is None or status.history_from, "it did not begin from a snapshot"
    return status is not None and status.history_audited > status.history_from


def make_short_terms() -> Terms:
    """As the other tests here, but with intervals that end and snapshots that are made while one waits."""
    terms = make_terms()
    seconds = Seconds(INTERVAL_S)
    grid = msgspec.structs.replace(
        terms.grid, interval_s=seconds, submit_window_s=seconds, grace_s=seconds, correction_window_s=seconds
    )
    consensus = msgspec.structs.replace(terms.consensus, snapshot_interval=SNAPSHOT_INTERVAL)
    return Terms(origin=terms.origin, title=terms.title, grid=grid, consensus=consensus, limits=terms.limits)


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


PHASES: Sequence[tuple[str, Sequence[Kill], Callable[[Case, Kill], None]]] = (
    ("running", RUNNING, kill_running),
    ("migrating", MIGRATING, kill_migrating),
    ("beginning", BEGINNING, kill_beginning),
)


def main(wanted: Sequence[str]) -> int:
    """Go through all points, or those whose name begins as one of the words; gives how many were not survived."""
    console = Console(stderr=True)
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
        for phase, kills, die in PHASES:
            left = [kill for kill in kills if is_wanted(kill)]
            for first in range(0, len(left), KILLS_PER_NETWORK):
                with running_network(root / f"{phase}-{first}") as case:
                    for kill in left[first : first + KILLS_PER_NETWORK]:
                        attempt(phase, kill, lambda kill=kill, die=die, case=case: die(case, kill))  # type: ignore[misc]
    return show(results)


def show(results: Mapping[str, Sequence[bool]]) -> int:
    """Print a line for each point that was gone through; gives how many were not survived."""
    table = Table("point", "what is on disk then", "passes and ways", "survived")
    for point, what in POINTS.items():
        if point in results:
            ways = sum(kill.point == point for kill in EVERY)
            table.add_row(point, what, str(ways), "yes" if all(results[point]) else "[red]no[/]")
    Console().print(table)
    covered = sum(all(survived) for survived in results.values())
    deaths = sum(map(len, results.values()))
    Console().print(f"kill points covered {covered}/{len(POINTS)}, {deaths} deaths")
    return len(results) - covered


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
