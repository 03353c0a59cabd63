"""What must be true once it is calm again and the nodes have stopped. A check gives the sentences that contradict it.

1. All nodes have the very same ledger: headers, entries, from 0 to the end of the shortest; none is far behind.
2. Every receipt that a lab holds verifies offline, and its entry stands at its index in every node's ledger.
3. An observer that followed a node from entry 0 finds every rule, signature and seal to hold, for each node.
4. No node wrote a traceback, and every database passes its own check.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from counterseal import Exit
from devnet.commands import counterseal
from devnet.network import Network, NodePlace
from lab.client import Sealed
from ledger.charter import Charter
from ledger.errors import LedgerError, shorten
from ledger.policy import LedgerKeys
from ledger.positions import GENESIS_HEIGHT, Height, LeafIndex
from ledger.verify import verify_receipt
from node.home import STORE_FILE
from node.store import Store

BEHIND_MAX: Final = 20
RUN: Final = 1_000


async def follow(network: Network, charter: Charter, count: int) -> list[str]:
    """Let an observer follow the published files of so many nodes while they run."""
    problems = []
    for place in network.nodes[:count]:
        words = ("--from", place.http, "--charter-fingerprint", charter.fingerprint)
        outcome = await counterseal("observe", "sync", "--home", str(copy_of(network, place)), *words)
        if outcome.code != Exit.DONE:
            problems.append(f"an observer could not follow {place.id}: {outcome.err.strip()}")
    return problems


async def audit(network: Network, count: int) -> tuple[int, list[str]]:
    """Audit what was followed, from entry 0; returns how many entries were audited in all."""
    problems, audited = [], 0
    for place in network.nodes[:count]:
        outcome = await counterseal("observe", "audit", "--json", "--home", str(copy_of(network, place)))
        if outcome.code == Exit.DONE:
            audited += int(outcome.parsed()["tree_size"])
        else:
            problems.append(f"the audit of {place.id} fails: {outcome.err.strip()}")
    return audited, problems


def copy_of(network: Network, place: NodePlace) -> Path:
    """Say where the observer's copy of a node is."""
    return network.root / "observer" / place.id


class Ledgers:
    """The databases of all nodes, opened after the nodes have stopped."""

    def __init__(self, network: Network) -> None:
        self.stores = {place.id: Store(Path(place.home) / STORE_FILE) for place in network.nodes}
        tips = [store.tip() for store in self.stores.values()]
        self.heights = [GENESIS_HEIGHT if tip is None else tip.header.height for tip in tips]
        self.sizes = [0 if tip is None else int(tip.header.tree_size) for tip in tips]

    def close(self) -> None:
        """Close them."""
        for store in self.stores.values():
            store.close()

    def compare(self) -> list[str]:
        """Check 1, and of 4 what is the databases'."""
        problems = []
        if max(self.heights) - min(self.heights) > BEHIND_MAX:
            problems.append(f"heights at the end are {self.heights}")
        (first, one), *rest = self.stores.items()
        for name, store in rest:
            try:
                problems += [f"{first} and {name} differ in {what}" for what in _differences(one, store)]
            except LedgerError as error:
                problems.append(f"{first} and {name} cannot be compared: {error}")
        for name, store in self.stores.items():
            try:
                store.check()
            except LedgerError as error:
                problems.append(f"the database of {name}: {error}")
        return problems

    def check_receipts(self, receipts: Sequence[Sealed], keys: LedgerKeys) -> list[str]:
        """Check 2."""
        problems = []
        for sealed in receipts:
            try:
                verify_receipt(sealed.receipt, entry=sealed.entry, keys=keys)
            except LedgerError as error:
                problems.append(f"the receipt of entry {sealed.index} does not verify: {error}")
            for name, store in self.stores.items():
                if not _has(store, sealed):
                    problems.append(f"entry {sealed.index} was acknowledged, and {name} does not have it")
        return problems


def _has(store: Store, sealed: Sealed) -> bool:
    try:
        return store.entries(sealed.index, 1) == [sealed.entry]
    except LedgerError:  # `compare` says what is wrong with the database
        return False


def _differences(one: Store, other: Store) -> Iterator[str]:
    first = GENESIS_HEIGHT
    while (mine := one.blocks(first, RUN)) and (theirs := other.blocks(first, len(mine))):
        for block, beside in zip(mine, theirs, strict=False):
            if block.header != beside.header:
                yield f"block {block.header.height}"
                return
        first = Height(first + len(theirs))
    place = 0
    while (entries := one.entries(LeafIndex(place), RUN)) and (others := other.entries(LeafIndex(place), len(entries))):
        if entries[: len(others)] != others:
            yield f"an entry of those from {place}"
            return
        place += len(others)


def find_tracebacks(network: Network) -> list[str]:
    """Check 4: what no node should ever write, with the first line of each node's that has it."""
    problems = []
    for place in network.nodes:
        lines = (Path(place.home) / "err.log").read_text(errors="replace").splitlines()
        told = [line for line in lines if "Traceback" in line]
        problems += [f"{place.id} wrote {len(told)} tracebacks, first {shorten(told[0])}"] if told else []
    return problems
