"""Chaos on real processes: the schedule, the ailments of a process, a short campaign, and that its checks can fail.

A longer one is a command: `scripts/chaos --minutes 10`.
"""

import contextlib
import io
import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from counterseal import Exit
from devnet.chaos.aftermath import Ledgers
from devnet.chaos.ailing import Ailments
from devnet.chaos.campaign import Options, run
from devnet.chaos.faults import Faults
from devnet.chaos.grounds import Ground, GroundKind
from devnet.chaos.report import Findings, show
from devnet.chaos.schedule import MAJORITY, MILD, SEVERE, Kind, Phase, make_phases
from devnet.chaos.watch import EVIDENCE, Seen, Watch
from devnet.chaos.weather import Weather
from devnet.network import Network, find_places
from ledger.charter import ledger_keys
from node.daemon import read_charter
from node.v1 import operator_pb2

SEEDS = range(20)
SHORT = Options(minutes=0, nodes=4, seed=6, ground=GroundKind.PROXY, pace=0.25, observers=1)  # a phase of each kind


def phases_of(seed: int, count: int, phases: int = 20) -> list[Phase]:
    return list(itertools.islice(make_phases(seed, count), phases))


# --- the schedule ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [4, 7])
def test_a_seed_decides_the_schedule_and_another_gives_another(count: int) -> None:
    assert phases_of(1, count) == phases_of(1, count)
    assert phases_of(1, count) != phases_of(2, count)


@pytest.mark.parametrize("count", [4, 5, 6, 7])
def test_while_blocks_must_come_no_more_than_f_members_are_stopped_one_fault_at_a_time(count: int) -> None:
    for phase in itertools.chain.from_iterable(phases_of(seed, count) for seed in SEEDS):
        severe = [fault for fault in phase.faults if fault.kind in SEVERE]
        hit = {member for fault in severe for member in fault.members}
        assert all(fault.begin_s + fault.seconds <= phase.seconds + 0.01 for fault in phase.faults)
        if phase.is_overwhelming:
            assert len(hit) > (count - 1) // 3
            continue
        assert len(hit) == (count - 1) // 3
        for member in hit:
            mine = [fault for fault in severe if member in fault.members]
            assert all(a.begin_s + a.seconds <= b.begin_s + 0.01 for a, b in itertools.pairwise(mine))


def test_in_a_few_phases_everything_that_can_happen_happens() -> None:
    assert {*SEVERE, *MILD} == set(Kind)
    assert set(MAJORITY) < set(SEVERE)
    for seed in SEEDS:
        assert {fault.kind for phase in phases_of(seed, 4) for fault in phase.faults} == set(Kind)


# --- ailments --------------------------------------------------------------------------------------------------------

PROBE = """
import os, sqlite3, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
kept = sqlite3.connect(sys.argv[1] + ".sqlite", isolation_level=None)
kept.execute("CREATE TABLE t (a)")
def took(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began
def commit():
    kept.execute("BEGIN")
    kept.execute("INSERT INTO t VALUES (1)")
    kept.execute("COMMIT")
for _ in sys.stdin:
    true_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
    late = [took(lambda: os.fsync(file)), took(lambda: os.fdatasync(file)), took(commit)]
    print((time.time_ns() - true_ns) // 10**9, min(late) >= 0.3, flush=True)
"""


def test_a_process_ails_while_it_runs_and_recovers(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    ailments = Ailments(tmp_path / "ailments")
    command = [sys.executable, "-m", "devnet.chaos.ailing", str(tmp_path / "ailments"), "-m", "probe"]
    with subprocess.Popen(
        [*command, str(tmp_path / "file")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ) | {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def probe() -> list[str]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return process.stdout.readline().split()

        well = probe()
        ailments.clock_offset_ms, ailments.disk_delay_ms = -3_600_000, 300
        ill = probe()
        ailments.clock_offset_ms = ailments.disk_delay_ms = 0
        again = probe()
        process.stdin.close()
    assert int(well[0]) in range(60)
    assert int(ill[0]) in range(-3600, -3540)
    assert ill[1] == "True"
    assert int(again[0]) in range(60)


# --- what is watched -------------------------------------------------------------------------------------------------


def status_of(height: int, root: bytes, *, evidence: int = 0) -> operator_pb2.GetStatusResponse:
    counters = [operator_pb2.Counter(name=EVIDENCE, value=evidence)]
    return operator_pb2.GetStatusResponse(phase="voting", height=height, root=root, counters=counters)


def watch_two(tmp_path: Path) -> Watch:
    watch = Watch(Network(tmp_path, find_places(tmp_path, 2)))
    watch.seen = [Seen(), Seen()]
    return watch


def test_nodes_that_agree_and_go_on_violate_nothing(tmp_path: Path) -> None:
    watch = watch_two(tmp_path)
    for height in range(5):
        watch.take(0, status_of(height, bytes([height])))
        watch.take(1, status_of(height, bytes([height])))
    assert watch.violations == {}
    assert watch.is_level()
    assert watch.newest_height == 4


def test_two_roots_at_one_height_a_falling_height_and_evidence_are_told(tmp_path: Path) -> None:
    watch = watch_two(tmp_path)
    watch.take(0, status_of(7, b"root"))
    watch.take(1, status_of(7, b"other"))
    watch.take(0, status_of(6, b"older"))
    watch.take(1, status_of(8, b"new", evidence=1))
    assert list(watch.violations) == [
        "aurelia and borealis have different roots at height 7",
        "aurelia had block 7 as final, and then an earlier one",
        "borealis holds evidence that somebody voted twice",
    ]


def test_time_without_a_block_counts_only_while_blocks_are_expected(tmp_path: Path) -> None:
    watch = watch_two(tmp_path)
    watch.take(0, status_of(1, b"one"))
    assert watch.quiet_s() == 0
    watch.expect_blocks()
    while watch.quiet_s() == 0:
        pass
    watch.take(0, status_of(2, b"two"))
    longest = watch.longest_gap_s
    watch.expect_nothing()
    watch.take(0, status_of(3, b"three"))
    assert 0 < longest <= watch.longest_gap_s
    assert watch.quiet_s() == 0


# --- nodes that end by themselves ------------------------------------------------------------------------------------


class Dying(Network):
    """A network of nodes that are always found to have ended over a full disk."""

    def is_running(self, number: int) -> bool:
        return False

    def reap(self, number: int) -> int | None:
        return Exit.CONDITION

    def last_words(self, number: int) -> str:
        return "counterseal: a.sqlite: found disk I/O error; expected room on a writable disk [DISK_FULL]"

    def start(self, number: int, *, launcher: Sequence[str] = (), inside: Sequence[str] = ()) -> None:
        pass


class Nowhere:
    """A ground with nothing on it."""

    def inside(self, number: int) -> list[str]:
        return []


async def test_a_node_may_end_over_its_full_disk_once_after_there_is_room_again(tmp_path: Path) -> None:
    network = Dying(tmp_path, find_places(tmp_path, 2))
    faults = Faults(network, cast("Ground", Nowhere()), Weather(), [])
    faults.filled.add(1)
    await faults.raise_up_all()
    assert [name.partition(" ")[0] for name in faults.violations] == [network.nodes[0].id]
    await faults.raise_up_all()
    assert [name.partition(" ")[0] for name in faults.violations] == [place.id for place in network.nodes]


# --- a campaign ------------------------------------------------------------------------------------------------------


async def test_a_network_disturbed_for_a_few_seconds_loses_nothing_and_the_checks_would_tell(tmp_path: Path) -> None:
    kinds = {
        fault.kind for phase in itertools.islice(make_phases(SHORT.seed, SHORT.nodes), 2) for fault in phase.faults
    }
    assert {Kind.KILL, Kind.PARTITION} < kinds
    campaign, findings = await run(SHORT, tmp_path / "network", Console(quiet=True))
    assert findings.violations == [], "\n".join(findings.violations)
    assert findings.holds
    assert (findings.phases, findings.overwhelmed) == (2, 1)
    assert len(set(findings.heights)) <= 2
    places = campaign.network.nodes
    kept = next(sealed for sealed in campaign.acknowledged if sealed.index > 0)
    with contextlib.closing(sqlite3.connect(Path(places[2].home) / "ledger.sqlite")) as store, store:
        store.execute("UPDATE entries SET entry = x'00' WHERE position = ?", (kept.index,))
    keys = ledger_keys(read_charter(Path(places[0].home) / "ledger.sqlite"))
    with contextlib.closing(Ledgers(campaign.network)) as ledgers:
        told = ledgers.compare()
        assert any(f"{places[2].id} cannot be compared: " in problem for problem in told), told
        told = ledgers.check_receipts([kept], keys)
        assert told == [f"entry {kept.index} was acknowledged, and {places[2].id} does not have it"]


def test_a_campaign_in_which_nothing_happened_or_nothing_was_acknowledged_proves_nothing() -> None:
    findings = Findings(seed=1, ground="nowhere", nodes=4)
    held = [findings.holds]
    findings.waits_s = [1.0]
    held.append(findings.holds)
    findings.counts[Kind.KILL] += 1
    held.append(findings.holds)
    findings.violations.append("an entry was lost [/at.all]")
    assert [*held, findings.holds] == [False, False, True, False]
    console = Console(record=True, width=120, file=io.StringIO())
    show(findings, console)
    assert "an entry was lost [/at.all]" in console.export_text()
