"""Labs that file reports throughout, as labs do: by the lab's own client, at any node, again with the same bytes.

A receipt that a lab holds is an acknowledgement: from then on its statement must stay. Nothing else is one.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from devnet.load import LoadLab, Planned
from lab.client import Client, Sealed, connect
from lab.nodes import NodesError, NodesRefusedError, Patience
from lab.pinned import PinnedLedger

PATIENCE: Final = Patience(total_s=10.0, attempt_s=4.0, wait_max_s=1.0)
STOP_WITHIN_S: Final = 60.0


@dataclass(slots=True)
class Filing:
    """All labs of a campaign.

    Attributes:
        ledger: what they hold receipts against.
        urls: of the nodes; each lab begins with another one.
        acknowledged: what they hold receipts of.
        waits_s: how long each took.
        unanswered: how often nobody could answer in time, by code.
        violations: honest statements that were refused.
    """

    ledger: PinnedLedger
    urls: Sequence[str]
    acknowledged: list[Sealed] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)
    violations: dict[str, None] = field(default_factory=dict)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def filing(self, labs: Sequence[tuple[LoadLab, Sequence[Planned]]]) -> AsyncIterator["Filing"]:
        """Let labs file while the block lasts; afterwards each waits for the receipt it is waiting for."""
        end = asyncio.timeout(None)
        try:
            async with end, asyncio.TaskGroup() as group:
                for number, (lab, reports) in enumerate(labs):
                    group.create_task(self._file(number, lab, reports), name=lab.id)
                yield self
                self._stopped.set()
                end.reschedule(asyncio.get_running_loop().time() + STOP_WITHIN_S)
        except TimeoutError:
            if not end.expired():
                raise
            self.violations[f"labs still wait for receipts after {STOP_WITHIN_S:.0f} s of calm"] = None

    async def _file(self, number: int, lab: LoadLab, reports: Sequence[Planned]) -> None:
        first = number % len(self.urls)
        async with connect(self.ledger, [*self.urls[first:], *self.urls[:first]], patience=PATIENCE) as client:
            for report in reports:
                if await self._is_stopped_before(report.not_before_s):
                    return
                if not await self._submit(client, lab, report.entry):
                    return

    async def _submit(self, client: Client, lab: LoadLab, entry: bytes) -> bool:
        """Hand the same bytes in until they are sealed; False if they are refused."""
        began_s = time.monotonic()
        while True:
            try:
                sealed = await client.submit(entry)
            except NodesRefusedError as error:
                self.violations[f"{lab.id} was refused: {error}"] = None
                return False
            except NodesError as error:
                self.unanswered[error.code] += 1
            else:
                self.acknowledged.append(sealed)
                self.waits_s.append(time.monotonic() - began_s)
                return True

    async def _is_stopped_before(self, moment_s: int) -> bool:
        """Wait until a report may be filed; True if this is to end before."""
        try:
            async with asyncio.timeout(max(0.0, moment_s - time.time_ns() / 1e9)):
                await self._stopped.wait()
        except TimeoutError:
            pass
        return self._stopped.is_set()
