"""What must be true once it is calm again and the nodes have stopped. A check gives the sentences that contradict it.

1. All nodes have the very same ledger: headers, entries, from 0 to the end of the shortest; none is far behind.
2. Every receipt that a lab holds verifies offline, and its entry stands at its index in every node's ledger.
3. An observer that followed a node from entry 0 finds every rule, signature and seal to hold, for each node.
4. No node wrote a traceback, and every database passes its own check.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from devnet.network import Network, NodePlace
from lab.client import Sealed
from ledger.charter import Charter
from ledger.errors import LedgerError, shorten
from ledger.policy import LedgerKeys
from ledger.positions import GENESIS_HEIGHT, Height, LeafIndex
from ledger.verify import verify_receipt
from node.home import STORE_FILE
from node.store import Store
from observer.audit import audit_home
from observer.sync import conclude, sync_home

BEHIND_MAX: Final = 20
RUN: Final = 1_000


def follow_each(network: Network, charter: Charter) -> list[str]:
    """Let an observer follow each node's published files while the nodes run."""
    problems = []
    for place in network.nodes:
        try:
            fingerprint = bytes.fromhex(charter.fingerprint)
            result = sync_home(copy_of(network, place), [place.http], fingerprint=fingerprint, draw=secrets.token_bytes)
            conclude(result.outcomes)
        except LedgerError as error:
            problems.append(f"an observer could not follow {place.id}: {error}")
    return problems


def audit_each(network: Network) -> tuple[int, list[str]]:
    """Audit what was followed, from entry 0; returns how many entries were audited in all."""
    problems, count = [], 0
    for place in network.nodes:
        home = copy_of(network, place)
        try:
            report = audit_home(home, fingerprint=None, draw=secrets.token_bytes, workers_count=os.cpu_count() or 1)
            count += report.entries_count
        except LedgerError as error:
            problems.append(f"the audit of {place.id} fails: {error}")
    return count, problems


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
            problems += [f"{first} and {name} differ in {what}" for what in _differences(one, store)]
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
                if store.entries(sealed.index, 1) != [sealed.entry]:
                    problems.append(f"entry {sealed.index} was acknowledged, and {name} does not have it")
        return problems


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
