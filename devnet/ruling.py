"""What a report costs the rules after a history of any length, and how much memory their state takes.

No node runs here. The ledger is founded with keys that guard nothing, and labs are put into its state as they stand
there after their registration and a few statements. From then on its history goes through the rules: a report of every
lab is filed for every interval (`put_declaration`, with a drawn leaf hash in the place of a signed entry's), and blocks
open with real verdicts. The reports whose cost is measured are signed, and go in as bytes like any other.

Times are processor time of this thread, so what else the machine does disturbs them only by way of its caches.
"""

import gc
import hashlib
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devnet.drawing import Curve, draw_curves
from devnet.load import LoadLab, Plan, Planned, sign_reports
from lab.keys import SigningKey
from ledger import charter
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Rejection
from ledger.limits import HASH_BYTES
from ledger.positions import Interval, LeafIndex, MemberIndex, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.apply import apply_entry, found, open_block
from ledger.rules.grid import Grid, compute_deadlines, compute_end_ms
from ledger.rules.records.filings import PROGRESS, Progress
from ledger.rules.records.foundation import FOUNDATION, ISSUERS, RECENT_MAX, Issuer, compute_last_leaf
from ledger.rules.records.registry import (
    CLUSTERS,
    KEYS,
    LAB_NUMBERS,
    LABS,
    KeyHolder,
    Lab,
    LabName,
    RegisteredCluster,
    RegisteredKey,
    make_number_name,
)
from ledger.rules.state import State
from ledger.rules.verdicts import put_declaration
from ledger.statements.dsse import SignatureCheck, sign_envelope
from ledger.statements.intoto import ZERO_HASH
from ledger.threshold import group
from node.presets import find_preset, make_agreement

LABS_REPORTING: Final = 100
INTERVALS_MEASURED: Final = 10
INTERVALS_A_YEAR: Final = 365
NATIONS: Final = ("avalon", "brittia", "cockaigne", "dilmun")
_START_S: Final = Seconds(1_800_000_000)
_MIB: Final = 1 << 20
NO_PARENT: Final = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a report costs after a history, in microseconds of processor time.

    Attributes:
        entries: of the history: reports and verdicts.
        checked_us: `apply_entry` on an entry's bytes, in the median: reading it, hashes, Ed25519, rules.
        unchecked_us: the same with a check of signatures that says yes at once.
        least_us: the cheapest of the latter.
        block_us: a report's share of its blocks beside that: its verdict, and what changed folded into the root.
    """

    entries: int
    checked_us: float
    unchecked_us: float
    least_us: float
    block_us: float


class History:
    """A state that goes through the rules interval by interval."""

    def __init__(self, *, labs: int, clusters: int) -> None:
        """Found a ledger and put labs into it."""
        self._draw = random.Random(1).randbytes  # noqa: S311  # filler, not secrets
        self._labs = [LoadLab(number) for number in range(labs)]
        self._clusters = clusters
        self.state = found(_make_charter_entry(), is_signature=_accept)
        self.entries = 1
        self.interval = Interval(0)
        for lab in self._labs:
            self._put_lab(lab)
        progress = PROGRESS.require(self.state)
        PROGRESS.put(self.state, Progress(labs, progress.due, progress.grace, 0, 0))
        self.state.commit()

    def _put_lab(self, lab: LoadLab) -> None:
        """Put what stands in the state after a lab's registration and a few statements."""
        name, key = lab.id.encode(), lab.key().public_key
        names = [lab.cluster, *(f"{lab.cluster}-{number:02}" for number in range(1, self._clusters))]
        clusters = tuple(RegisteredCluster(cluster, Interval(0)) for cluster in names)
        keys = (RegisteredKey(key, None),)
        LABS.put(self.state, Lab(lab.number, NATIONS[0], keys, self._draw(32), clusters), name)
        LAB_NUMBERS.put(self.state, LabName(lab.id), make_number_name(lab.number))
        KEYS.put(self.state, KeyHolder(key), hashlib.sha256(key).digest())
        issuer = Issuer(is_nation=False, next_sequence=SequenceNumber(RECENT_MAX), recent=self._draw(64 * RECENT_MAX))
        ISSUERS.put(self.state, issuer, name)
        for cluster in names:
            CLUSTERS.put(self.state, LabName(lab.id), cluster.encode())

    def go_on(self, intervals: int) -> None:
        """Let every lab report for so many intervals, and the rules say what they say of each."""
        for _ in range(intervals):
            fork = self._open_at_end()
            time_ms, deadlines = self._end_ms(), compute_deadlines(self._grid(), self.interval)
            for lab in self._labs:
                record = LABS.require(fork, lab.id.encode())
                put_declaration(
                    fork,
                    record,
                    self.interval,
                    before=None,
                    leaf=self._draw(32),
                    marks=[0] * self._clusters,
                    time_ms=time_ms,
                    deadlines=deadlines,
                )
            self.entries += len(self._labs)
            self._close(fork)

    def measure(self, intervals: int) -> Cost:
        """Let every lab file signed reports, each second one with its signature checked, and take the time."""
        before, chains = self.entries, [self._sign(lab, intervals) for lab in self._labs]
        checks: tuple[SignatureCheck, ...] = (is_ed25519_signature, _accept)
        times_us: tuple[list[float], list[float]] = ([], [])
        block_ns = 0
        for place in range(intervals):
            begin_ns = time.thread_time_ns()
            fork = self._open_at_end()
            block_ns += time.thread_time_ns() - begin_ns
            for number, chain in enumerate(chains):
                which = (number + place) % 2
                times_us[which].append(self._time_entry(fork, chain[place].entry, checks[which]))
            self.entries += len(chains)
            begin_ns = time.thread_time_ns()
            self._close(fork)
            block_ns += time.thread_time_ns() - begin_ns
        return Cost(
            entries=before,
            checked_us=statistics.median(times_us[0]),
            unchecked_us=statistics.median(times_us[1]),
            least_us=min(times_us[1]),
            block_us=block_ns / 1000 / (intervals * len(chains)),
        )

    def _sign(self, lab: LoadLab, count: int) -> list[Planned]:
        """Make a lab's next reports."""
        foundation = FOUNDATION.require(self.state)
        issuer: Issuer = ISSUERS.require(self.state, lab.id.encode())
        plan = Plan(
            ledger=foundation.ledger_id.hex(),
            limits=foundation.limits,
            grid_start_s=foundation.grid.start_ms // 1000,
            interval_s=foundation.grid.interval_ms // 1000,
            first=self.interval,
            count=count,
        )
        return sign_reports(lab, plan, previous=compute_last_leaf(issuer).hex(), sequence=issuer.next_sequence)

    def _time_entry(self, fork: State, entry: bytes, check: SignatureCheck) -> float:
        time_ms, index = self._end_ms(), LeafIndex(self.entries)
        begin = time.thread_time_ns()
        outcome = apply_entry(fork, entry, time_ms=time_ms, index=index, is_signature=check)
        taken_us = (time.thread_time_ns() - begin) / 1000
        assert not isinstance(outcome, Rejection), outcome
        return taken_us

    def _grid(self) -> Grid:
        return FOUNDATION.require(self.state).grid

    def _end_ms(self) -> Millis:
        return compute_end_ms(self._grid(), self.interval)

    def _open_at_end(self) -> State:
        fork, opening = open_block(self.state, time_ms=self._end_ms(), parent=NO_PARENT)
        assert not opening
        return fork

    def _close(self, fork: State) -> None:
        """Make a block final, and those after it until all that fell due was said."""
        due_ms = compute_deadlines(self._grid(), self.interval).due_ms
        while True:
            fork.commit()
            self.state = fork
            fork, opening = open_block(self.state, time_ms=due_ms, parent=NO_PARENT)
            if not opening:
                break
            self.entries += len(opening)
        self.interval = Interval(self.interval + 1)


def measure_costs(histories: Sequence[int], say: Callable[[str], None]) -> list[Cost]:
    """Measure after histories of at least so many entries, ascending, each going on from the one before."""
    history, costs = History(labs=LABS_REPORTING, clusters=1), []
    for size in histories:
        say(f"a history of {size} entries through the rules")
        history.go_on(-((history.entries - size) // (2 * LABS_REPORTING)))  # a report and a verdict of each lab
        costs.append(history.measure(INTERVALS_MEASURED))
    return costs


def measure_memory(*, labs: int, clusters: int, intervals: int = INTERVALS_A_YEAR) -> float:
    """Give what a state takes in a process of its own, in MiB of resident memory above the same process without it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_take_memory, labs, clusters, intervals).result()


def _take_memory(labs: int, clusters: int, intervals: int) -> float:
    History(labs=1, clusters=1).go_on(2)  # what is loaded once is loaded
    begin_bytes = _read_resident_bytes()
    history = History(labs=labs, clusters=clusters)
    history.go_on(intervals)
    taken_bytes = _read_resident_bytes() - begin_bytes
    assert history.interval == intervals
    return taken_bytes / _MIB


def _read_resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def format_costs(costs: Sequence[Cost]) -> list[str]:
    """Write the costs as a table in Markdown."""
    lines = [
        "| entries before | µs a report, without Ed25519 | the cheapest | with Ed25519 | its share of the block |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {cost.entries} | {cost.unchecked_us:.1f} | {cost.least_us:.1f} | {cost.checked_us:.1f} |"
        f" {cost.block_us:.1f} |"
        for cost in costs
    ]
    return lines


def draw_costs(costs: Sequence[Cost]) -> str:
    """Draw the costs over the length of the history, as SVG."""
    curves = (
        Curve("µs a report, Ed25519 checked", [cost.checked_us for cost in costs]),
        Curve("µs a report, without Ed25519", [cost.unchecked_us for cost in costs]),
        Curve("µs of its block for it: verdict, and folding into the root", [cost.block_us for cost in costs]),
    )
    return draw_curves([cost.entries for cost in costs], curves, label="entries of history")


def _accept(_public_key: bytes, _signature: bytes, _message: bytes) -> bool:
    return True


def _make_charter_entry() -> bytes:
    """A charter whose founders signed nothing: only `_accept` takes it."""
    members = [
        charter.Member(
            index=MemberIndex(index),
            id=nation,
            name=nation.capitalize(),
            node=f"{nation}.example/node",
            identity=_make_key(nation),
            cosigner=_make_key(f"{nation} cosigner"),
            cosigner_ml_dsa_sha256=hashlib.sha256(nation.encode()).hexdigest(),
            log=_make_key(f"{nation} log"),
            encryption=hashlib.sha256(f"{nation} encryption".encode()).digest(),
            peer=f"{nation}.example:7000",
            public=f"{nation}.example:7001",
            http=f"https://{nation}.example",
        )
        for index, nation in enumerate(NATIONS, start=1)
    ]
    point = group.backend().encode_g2(group.backend().g2_generator())
    payload = charter.encode_charter_payload(
        origin="bench.counterseal.example/rules",
        title="A benchmark of the rules",
        members=members,
        grid=charter.Grid(
            start=_START_S,
            interval_s=Seconds(86_400),
            submit_window_s=Seconds(43_200),
            grace_s=Seconds(21_600),
            correction_window_s=Seconds(172_800),
            challenge_window_s=Seconds(604_800),
        ),
        limits=[charter.Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note="10^24 FLOP a run")],
        accelerators=[],
        consensus=charter.ConsensusParameters(
            delta_ms=Millis(500), delta_max_ms=Millis(60_000), idle_interval_ms=Millis(2_000), snapshot_interval=0
        ),
        group_key=point,
        commitments=[point] * charter.compute_quorum(len(NATIONS)),
        transcript=ZERO_HASH,
        founded_at_ms=Millis(_START_S * 1000),
        agreement=make_agreement(find_preset("miri"), interval_s=86_400, challenge_window_s=604_800),
    )
    return sign_envelope(payload, [(member.identity, lambda _: bytes(64)) for member in members])


def _make_key(name: str) -> bytes:
    return SigningKey(hashlib.sha256(name.encode()).digest()).public_key
