"""What honest traffic keeps while one node is attacked: a row for each attack of `devnet.attacks`.

Honest labs submit to all four nodes without pause. Windows with and without an attack alternate, and a row's share is
the rate in its window over the mean of the windows without attack before and after it: so what else the machine does
is in both. The rate is what the slowest node has sealed. Attackers run at a low priority, since on one machine they
would else take the processor from those they attack, which no limit of a node could prevent.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devnet.attacks import ATTACKED
from devnet.load import Planned, submit_all
from devnet.network import Network
from ledger.errors import ConditionError
from node.operating import OperatorClient

SHARE_MIN: Final = 0.5
IN_FLIGHT: Final = 50
LOOK_EVERY_S: Final = 0.25
ATTACK_GROWS_S: Final = 1.0  # until an attacker has its connections


@dataclass(frozen=True, slots=True)
class Resources:
    """What a node's process holds."""

    rss_mib: float
    files_count: int

    @classmethod
    def of(cls, pid: int) -> "Resources":
        """Look into `/proc`."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen in a window of time.

    Attributes:
        rate: reports a second that the slowest node sealed.
        peak: the most that the attacked node held.
    """

    rate: float
    peak: Resources


@dataclass(frozen=True, slots=True)
class Row:
    """What an attack did.

    Attributes:
        share: of the honest rate without it.
        before: what the attacked node held.
        peak: the most that it held.
        after: what it held a window later.
        refused: what it refused meanwhile, by reason.
        stopped: nodes that ended.
    """

    name: str
    share: float
    before: Resources
    peak: Resources
    after: Resources
    refused: Counter[str]
    stopped: int

    def __str__(self) -> str:
        """One line for the table."""
        held = " → ".join(f"{each.rss_mib:.0f}" for each in (self.before, self.peak, self.after))
        files = " → ".join(str(each.files_count) for each in (self.before, self.peak, self.after))
        refused = ", ".join(f"{count} {reason}" for reason, count in self.refused.most_common(4)) or "nothing counted"
        return f"{100 * self.share:.0f} %; {held} MiB; {files} files; refused {refused}; {self.stopped} nodes ended"


class AbuseBench:
    """Attacks one node of a running network, in each way, while honest labs go on."""

    def __init__(
        self, network: Network, queues: Sequence[Iterator[Planned]], say: Callable[[str], None], *, window_s: float
    ) -> None:
        self._network, self._queues, self._say, self._window_s = network, queues, say, window_s
        pid = network.pid(ATTACKED)
        assert pid is not None
        self._pid = pid

    async def run(self, names: Sequence[str]) -> list[Row]:
        """Make each attack once, with a window of quiet before and after it."""
        is_over = False
        async with asyncio.TaskGroup() as group:
            load = group.create_task(
                submit_all(self._network.nodes, self._queues, in_flight=IN_FLIGHT, until=lambda: is_over)
            )
            await asyncio.sleep(self._window_s)
            quiet, rows = await self._watch(), []
            for name in names:
                before, counted = Resources.of(self._pid), await asyncio.to_thread(self._refused)
                attacked = await self._attack(name)
                refused = await asyncio.to_thread(self._refused) - counted
                after = await self._watch()
                share = 2 * attacked.rate / max(quiet.rate + after.rate, 1e-9)
                stopped = sum(1 for number in range(len(self._network.nodes)) if not self._network.is_running(number))
                held = Resources.of(self._pid)
                rows.append(Row(name, share, before, attacked.peak, held, refused, stopped))
                self._say(f"{name}: {rows[-1]}")
                quiet = after
            is_over = True
        answers = load.result()
        self._say(f"honest labs: {len(answers.latencies_s)} receipts, refused {dict(answers.refused)}")
        return rows

    async def _attack(self, name: str) -> Window:
        seconds = self._window_s + ATTACK_GROWS_S + 1
        attacker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "devnet.attacks", name),
            *("--root", str(self._network.root), "--seconds", str(seconds)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert attacker.stdout is not None
            await attacker.stdout.readline()
            await asyncio.sleep(ATTACK_GROWS_S)
            return await self._watch()
        finally:
            if attacker.returncode is None:
                attacker.kill()
            await attacker.wait()

    async def _watch(self) -> Window:
        """Let a window pass, and look now and then."""
        size, began = await self._sealed()
        peak = Resources.of(self._pid)
        while time.perf_counter() < began + self._window_s:
            await asyncio.sleep(LOOK_EVERY_S)
            now = Resources.of(self._pid)
            peak = Resources(max(peak.rss_mib, now.rss_mib), max(peak.files_count, now.files_count))
        size_after, ended = await self._sealed()
        return Window((size_after - size) / (ended - began), peak)

    async def _sealed(self) -> tuple[int, float]:
        """Entries that every node that answers has sealed."""
        numbers = range(len(self._network.nodes))
        answers = await asyncio.gather(*(asyncio.to_thread(self._network.status, number) for number in numbers))
        return min(answer.tree_size for answer in answers if answer is not None), time.perf_counter()

    def _refused(self) -> Counter[str]:
        """What the attacked node has refused of members and of everybody, by reason."""
        client = OperatorClient(Path(self._network.nodes[ATTACKED].home) / "operator.sock")
        counted: Counter[str] = Counter()
        try:
            for counter in client.status().counters:
                if counter.name.startswith("refused "):
                    counted[counter.name.removeprefix("refused ")] += counter.value
            for peer in client.peers().peers:
                for counter in peer.refused:
                    counted[f"{counter.name} of a member"] += counter.value
        except ConditionError as error:
            self._say(f"the attacked node does not answer its operator: {error}")
        return counted
