"""What nodes say of themselves while all this happens, and what they must never say.

Every node is asked for its status a few times a second, over its own socket. Held at any time, whatever happens:

1. Two nodes that have a block of one height have the same root at that height.
2. A node's height never falls: what it has said to be final stays final, after kill -9 as well.
3. No node holds evidence of misconduct: all members are honest, so evidence means that one of them voted twice.

Beside that it is measured how long no block came although a quorum was there, and how much memory nodes take.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc.aio

from devnet.network import Network
from node.v1 import operator_pb2, operator_pb2_grpc

LOOK_EVERY_S: Final = 0.25
ANSWER_WITHIN_S: Final = 1.0
LEVEL_BLOCKS: Final = 3
EVIDENCE: Final = "evidence of misconduct"
_PAGE_MIB: Final = os.sysconf("SC_PAGE_SIZE") / 2**20
_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(slots=True)
class Seen:
    """What one node said last.

    Attributes:
        height: the greatest it ever said.
        phase: "" if it does not answer now.
        memory_mib: the most it was seen to take.
    """

    height: int = -1
    phase: str = ""
    memory_mib: float = 0.0


@dataclass(slots=True)
class Watch:
    """Looks at a network until `watching` ends."""

    network: Network
    seen: list[Seen] = field(default_factory=list)
    violations: dict[str, None] = field(default_factory=dict)
    longest_gap_s: float = 0.0
    newest_height: int = -1
    blocks_seen: int = 0
    _roots: dict[int, tuple[bytes, str]] = field(default_factory=dict)
    _quiet_since_s: float | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Watch"]:
        """Look while the block lasts."""
        self.seen = [Seen() for _ in self.network.nodes]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._look(number)) for number in range(len(self.network.nodes))]
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()

    def expect_blocks(self) -> None:
        """A quorum is there from now on."""
        if self._quiet_since_s is None:
            self._quiet_since_s = time.monotonic()

    def expect_nothing(self) -> None:
        """From now on there may be none."""
        self.longest_gap_s = max(self.longest_gap_s, self.quiet_s())
        self._quiet_since_s = None

    def quiet_s(self) -> float:
        """How long there was no block although there should have been."""
        return 0.0 if self._quiet_since_s is None else time.monotonic() - self._quiet_since_s

    def is_level(self) -> bool:
        """Say whether every node votes and none is behind: they are asked one after another."""
        return all(seen.phase == "voting" and seen.height >= self.newest_height - LEVEL_BLOCKS for seen in self.seen)

    async def _look(self, number: int) -> None:
        path = Path(self.network.nodes[number].home) / "operator.sock"
        async with grpc.aio.insecure_channel(f"unix:{path}", options=_OPTIONS) as channel:
            stub = operator_pb2_grpc.OperatorStub(channel)
            while True:
                try:
                    status = await stub.GetStatus(operator_pb2.GetStatusRequest(), timeout=ANSWER_WITHIN_S)
                except grpc.aio.AioRpcError:
                    self.seen[number].phase = ""
                else:
                    self.take(number, status)
                await asyncio.sleep(LOOK_EVERY_S)

    def take(self, number: int, status: operator_pb2.GetStatusResponse) -> None:
        """Hold what a node says against what it and the others said before."""
        seen, name = self.seen[number], self.network.nodes[number].id
        if status.height < seen.height:
            self.violations[f"{name} had block {seen.height} as final, and then an earlier one"] = None
        root, first = self._roots.setdefault(status.height, (status.root, name))
        if root != status.root:
            self.violations[f"{first} and {name} have different roots at height {status.height}"] = None
        held = next((counter.value for counter in status.counters if counter.name == EVIDENCE), 0)
        if held:
            self.violations[f"{name} holds evidence that somebody voted twice"] = None
        seen.phase, seen.height = status.phase, max(seen.height, status.height)
        seen.memory_mib = max(seen.memory_mib, self._memory_mib(number))
        if status.height > self.newest_height:
            self.blocks_seen += status.height - self.newest_height
            self.newest_height = status.height
            self.longest_gap_s = max(self.longest_gap_s, self.quiet_s())
            if self._quiet_since_s is not None:
                self._quiet_since_s = time.monotonic()

    def _memory_mib(self, number: int) -> float:
        try:
            return int(Path(f"/proc/{self.network.pid(number)}/statm").read_text().split()[1]) * _PAGE_MIB
        except (OSError, IndexError):
            return 0.0
