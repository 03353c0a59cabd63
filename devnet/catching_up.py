"""How fast a member that was away comes back, with the rest of the network going on. Part of `devnet.bench`.

The ledger is not filled through the network, which would take most of the time: blocks are built and sealed here with
the keys of a devnet's nodes, while none of them runs, exactly as nodes would have, and put into three of four stores.
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devnet.load import LoadLab, Planned, interleave, make_plan, register_labs, sign_all, submit_steadily
from devnet.network import Network, Waiting, wait_until
from ledger.blocks import seal_message
from ledger.charter import Charter, parse_charter
from ledger.positions import FIRST_EPOCH, Interval, LeafIndex, MemberIndex, Millis, View
from ledger.rules.entries import PreparedEntry, prepare_entry
from ledger.rules.state import State
from ledger.statements.dsse import compute_keyid
from node.beginning import found_store
from node.execute import ExecutedBlock, build_block
from node.home import STORE_FILE, Home
from node.keystore import Keystore, find_passphrase
from node.store import BlockCommit, Store
from node.votekeys import VoteKeys

ENTRIES_PER_BLOCK: Final = 270  # as many as the same machine puts into one under load
BUSY_LABS: Final = 200
BUSY_PER_SECOND: Final = 20
BUSY_FOR_S: Final = 600
WITHIN_S: Final = 300.0
AWAY: Final = 3


@dataclass(frozen=True, slots=True)
class Return:
    """How a member came back.

    Attributes:
        entries: how many it lacked when it was started.
        took_s: from the start of its process until it voted.
        node_s: of processor time, in its process and its helpers'.
    """

    entries: int
    took_s: float
    node_s: float

    def __str__(self) -> str:
        """Say it in a line."""
        rate, used = self.entries / self.took_s, 100 * self.node_s / self.took_s
        return f"{rate:.0f} entries/s ({self.entries} in {self.took_s:.1f} s, {used:.0f} % of a core)"


class LedgerBuilder:
    """Fills the store of a node that does not run."""

    def __init__(self, network: Network, labs: Sequence[LoadLab]) -> None:
        self._lab_keys = {compute_keyid(lab.key().public_key): lab.key().public_key for lab in labs}
        self.path = Path(network.nodes[0].home) / STORE_FILE
        self._store = Store(self.path)
        self.charter = parse_charter(self._store.entries(LeafIndex(0), 1)[0])
        tip = self._store.tip()
        assert tip is not None
        state = State.restore(self._store.state_items(), charter=self.charter)
        self._final = ExecutedBlock(tip.header, (), (), state, self._store.frontier(tip.header.tree_size))
        self._keys = [_open_keys(network, number, self.charter) for number in range(self.charter.quorum)]

    def fill(self, reports: Iterator[Planned], count: int) -> None:
        """Add blocks of reports, each as if it had been submitted when its interval was over."""
        for _ in range(-(-count // ENTRIES_PER_BLOCK)):
            some = list(itertools.islice(reports, ENTRIES_PER_BLOCK))
            self._add(
                [self._prepare(report.entry) for report in some], time_s=max(report.not_before_s for report in some)
            )
        self._store.close()

    def _add(self, entries: Sequence[PreparedEntry], *, time_s: int) -> None:
        parent = self._final
        block, refused = build_block(
            parent,
            entries,
            view=View(parent.header.view + 1),
            time_ms=Millis(max(time_s * 1000, parent.header.time_ms)),
            proposer=MemberIndex(1),
            snapshot_interval=self.charter.consensus.snapshot_interval,
        )
        assert not refused, refused[0][1]
        message = seal_message(block.header, self.charter.origin)
        shares = {MemberIndex(number + 1): keys.make_share(message) for number, keys in enumerate(self._keys)}
        seal, _ = self._keys[0].combine(shares, message)
        assert seal is not None
        self._store.commit([BlockCommit(block.header, seal, block.entries, block.leaves, block.state.changes())])
        block.state.commit()
        self._final = block

    def _prepare(self, entry: bytes) -> PreparedEntry:
        """Read an entry whose signature was made here a moment ago: it need not be checked."""
        prepared = prepare_entry(entry)
        for line in prepared.envelope.signatures:
            prepared.is_signed_by(self._lab_keys[line.keyid], line.signature, _was_made_here)
        return prepared

    @property
    def end_s(self) -> float:
        """Time of the newest block: no node may start before it."""
        return self._final.header.time_ms / 1000


def _was_made_here(_public_key: bytes, _signature: bytes, _message: bytes) -> bool:
    return True


def _open_keys(network: Network, number: int, charter: Charter) -> VoteKeys:
    keystore = Keystore(Home(Path(network.nodes[number].home)).keys, randomness=secrets.token_bytes)
    passphrase = find_passphrase(file=network.root / "passphrase", environment={}, prompt=None)
    return VoteKeys(charter, keystore.open(passphrase).identity, keystore.open_share(FIRST_EPOCH, passphrase))


class CatchUpBench:
    """Takes one of four members away and watches it come back, in each way."""

    def __init__(self, network: Network, *, labs: int, entries: int, say: Callable[[str], None]) -> None:
        self.network, self._entries, self._say = network, entries, say
        self._labs = [LoadLab(number) for number in range(labs + BUSY_LABS)]

    def run(self) -> Iterator[tuple[str, str]]:
        """Fill three stores, then give each figure's name and what was found."""
        others = list(range(AWAY))
        for number in (*others, AWAY):
            self.network.start(number)
        for number in (*others, AWAY):
            self.network.wait_ready(number)
        asyncio.run(register_labs(self.network, self._labs))
        self.network.stop_all()
        busy = self._fill()
        for number in others:
            self.network.start(number)
        for number in others:
            self.network.wait_ready(number)
        stored = Path(self.network.nodes[AWAY].home) / STORE_FILE
        yield "  catching up: a member that was down", self._measure(busy)
        self._begin_anew(stored)
        yield "  catching up: a fresh member", self._measure(busy)
        self.network.stop_all()

    def _fill(self) -> Iterator[Planned]:
        """Make the ledger; gives reports that can be filed while it is used."""
        builder = LedgerBuilder(self.network, self._labs)
        grid = builder.charter.grid
        filling, busy = self._labs[BUSY_LABS:], self._labs[:BUSY_LABS]
        first = Interval((time.time_ns() // 10**9 - grid.start) // grid.interval_s + 1)
        plan = make_plan(builder.charter, first=first, count=-(-self._entries // len(filling)))
        self._say(f"signing {plan.count * len(filling)} reports")
        chains = sign_all(filling, plan)
        self._say("building the ledger")
        builder.fill(interleave(chains), self._entries)
        for number in range(1, AWAY):
            shutil.copy(builder.path, Path(self.network.nodes[number].home) / STORE_FILE)
        later = make_plan(builder.charter, first=first, count=BUSY_PER_SECOND * BUSY_FOR_S // BUSY_LABS)
        reports = interleave(sign_all(busy, later))
        time.sleep(max(0.0, builder.end_s - time.time_ns() / 1e9))
        return reports

    def _begin_anew(self, stored: Path) -> None:
        """Leave a member its keys and its founding, and nothing that came after."""
        self.network.stop(AWAY)
        with contextlib.closing(Store(stored)) as store:
            entry, transcript = store.entries(LeafIndex(0), 1)[0], store.meta("transcript") or b""
        for left in stored.parent.glob(f"{STORE_FILE}*"):
            left.unlink()
        found_store(stored, entry, transcript)

    def _measure(self, busy: Iterator[Planned]) -> str:
        """Start the member, wait until it votes, and say how it went."""
        return str(asyncio.run(self._come_back(busy)))

    async def _come_back(self, busy: Iterator[Planned]) -> Return:
        stored = Path(self.network.nodes[AWAY].home) / STORE_FILE
        with contextlib.closing(Store(stored)) as store:
            tip = store.tip()
        assert tip is not None
        async with asyncio.TaskGroup() as group:
            load = group.create_task(
                submit_steadily(self.network.nodes[:AWAY], busy, per_second=BUSY_PER_SECOND, seconds=BUSY_FOR_S)
            )
            begin_s = time.perf_counter()
            self.network.start(AWAY)
            await asyncio.to_thread(wait_until, self._is_back, Waiting("a member that votes again", WITHIN_S))
            took_s = time.perf_counter() - begin_s
            load.cancel()
        status = self.network.status(AWAY)
        assert status is not None
        return Return(status.tree_size - tip.header.tree_size, took_s, self._used_s())

    def _is_back(self) -> bool:
        away, other = self.network.status(AWAY), self.network.status(0)
        return away is not None and other is not None and away.phase == "voting" and away.height + 2 >= other.height

    def _used_s(self) -> float:
        """Processor time of the member, and of helpers that have ended."""
        pid = (Path(self.network.nodes[AWAY].home) / "pid").read_text()
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
