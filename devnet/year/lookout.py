"""An observer beside the live stage: it copies the ledger now and then, and shows labs what was drawn from them."""

import asyncio
from pathlib import Path

from devnet.commands import must
from ledger.statements.beacons import SAMPLE, Sample, parse_sample
from observer.copy import require_copy


class Lookout:
    """A copy of the ledger that is brought up in the background, by the command that observers use."""

    def __init__(self, tasks: asyncio.TaskGroup, home: Path, *, source: str, fingerprint: str) -> None:
        """Watch a ledger.

        Args:
            tasks: ends when the last copy is made.
            home: folder of the copy.
            source: address of the node that it is copied from.
            fingerprint: of the charter, hex.
        """
        self._home, self._source, self._fingerprint = home, source, fingerprint
        self._tasks = tasks
        self._sync: asyncio.Task[object] | None = None
        self._seen = -1

    async def find_samples(self) -> list[Sample]:
        """What the last copy shows that was not shown before; begins the next copy and does not wait for it.

        Raises:
            LedgerError: the copy could not be made, or is not what was written.
        """
        if self._sync is not None and not self._sync.done():
            return []
        found: list[Sample] = []
        if self._sync is not None:
            await self._sync
            found = self._read()
        self._sync = self._tasks.create_task(self._copy())
        return found

    async def _copy(self) -> None:
        known = ("--charter-fingerprint", self._fingerprint)
        await must("observe", "sync", "--home", str(self._home), "--from", self._source, *known)

    def _read(self) -> list[Sample]:
        with require_copy(self._home, fingerprint=bytes.fromhex(self._fingerprint)) as copy:
            new = [index for index in copy.all_subjects(SAMPLE) if index > self._seen]
            self._seen = max([self._seen, *new])
            return [parse_sample(entry) for entry in copy.proven_entries(new)]
