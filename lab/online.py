"""The commands' way to the nodes: connect as the settings say, do one thing, disconnect. Importing this loads gRPC."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from lab.answering import DrawnSample
from lab.client import Client, Sealed, connect
from lab.drawn_samples import Wanted, find_drawn
from lab.filing import Filed, enrol, fetch_archival, find_place, hand_in_pending, submit_pending
from lab.home import Home
from lab.nodes import NodesError, Patience
from lab.pauses import find_binding, find_proposal
from lab.pinned import PinnedLedger
from lab.promises import PauseLimit
from lab.reporting import Place, describe_time
from lab.responding import Raised, find_raised
from lab.settings import Settings
from lab.setup import read_certificates
from lab.stored import Stored
from lab.vault import Vault
from ledger.errors import Code, ConditionError
from ledger.positions import Interval, Millis
from ledger.rules.grid import compute_grid, compute_next_interval, compute_start_ms
from ledger.statements.pauses import PauseProposal

POSITION_ATTEMPT_S: Final = 5.0
T = TypeVar("T")


class Online:
    """One lab's nodes, for one command; each method connects and disconnects."""

    def __init__(self, home: Home, settings: Settings, ledger: PinnedLedger, *, timeout_s: float) -> None:
        """Take what the lab's folder says; nothing is connected yet."""
        self._home, self._settings, self._ledger, self._timeout_s = home, settings, ledger, timeout_s

    def enrol(self, entry: bytes, *, now_ms: Millis) -> Sealed:
        """Submit a countersigned registration."""

        async def use(client: Client) -> Sealed:
            _, sealed = await enrol(self._home, client, entry, now_ms=now_ms)
            return sealed

        return self._run(use)

    def find_place(self, vault: Vault) -> tuple[Place, list[str]]:
        """Say where the next statement stands, and what to note of the nodes' answers."""
        return self._run(
            lambda client: find_place(vault, client, lab=self._settings.lab.id), attempt_s=POSITION_ATTEMPT_S
        )

    def find_binding(self, interval: Interval) -> tuple[PauseLimit, ...]:
        """Give the pauses that bind the lab in an interval; none without an agreement."""
        if self._ledger.charter.agreement is None:
            return ()
        return self._run(lambda client: find_binding(client, lab=self._settings.lab.id, interval=interval))

    def find_proposal(self, pause: str) -> PauseProposal:
        """Give a pause's proposal, proven."""
        return self._run(lambda client: find_proposal(client, pause))

    def find_raised(self, challenge: str, *, keys: Mapping[tuple[str, str], bytes], is_opened: bool) -> Raised:
        """Give a challenge, and whom it is answered to."""
        return self._run(
            lambda client: find_raised(client, challenge, keys=keys, is_opened=is_opened), attempt_s=POSITION_ATTEMPT_S
        )

    def find_drawn(self, wanted: Wanted, *, now_ms: Millis) -> DrawnSample:
        """Give a sample of the lab, and its beacon, proven."""
        return self._run(lambda client: find_drawn(client, wanted, now_ms=now_ms))

    def submit(self, vault: Vault, *, interval: Interval | None, is_given_up: bool) -> list[Filed]:
        """Send what is pending and wait for the receipts."""
        return self._run(
            lambda client: submit_pending(self._home, vault, client, interval=interval, is_given_up=is_given_up)
        )

    def hand_in(self, vault: Vault, *, interval: Interval | None) -> list[Stored]:
        """Send what is pending and do not wait."""
        return self._run(lambda client: hand_in_pending(vault, client, interval=interval))

    def fetch_archival(self, stored: Stored) -> Sealed:
        """Fetch the receipt to keep for decades.

        Raises:
            ConditionError: not there yet (`NOT_READY`); it says from when on.
        """
        try:
            return self._run(lambda client: fetch_archival(client, stored))
        except NodesError as error:
            if error.code is not Code.NOT_READY:
                raise
            raise ConditionError(
                field="receipt",
                found="no archival one yet",
                expected=f"one soon after the grid's next boundary, {self._next_boundary(stored)}",
            ) from error

    def _next_boundary(self, stored: Stored) -> str:
        """When an archival checkpoint can be there at the earliest."""

        async def use(client: Client) -> Millis:
            return (await client.fetch_receipt(bytes.fromhex(stored.leaf))).checkpoint.seal.time_ms

        grid = compute_grid(self._ledger.charter.grid)
        return describe_time(compute_start_ms(grid, compute_next_interval(grid, self._run(use))))

    def _run(self, use: Callable[[Client], Awaitable[T]], *, attempt_s: float = 15.0) -> T:
        patience = Patience(total_s=self._timeout_s, attempt_s=min(attempt_s, self._timeout_s))
        certificates = read_certificates(self._home, self._settings)

        async def run() -> T:
            nodes = self._settings.ledger.nodes
            async with connect(self._ledger, nodes, patience=patience, root_certificates=certificates) as client:
                return await use(client)

        return asyncio.run(run())
