"""Which accelerators each cluster is said to have, and which transfers wait for their other side."""

from typing import Final

from ledger.positions import Interval, LeafIndex
from ledger.rules.record import Record, Table


class ClusterInventory(Record, frozen=True):
    """What a lab said of one cluster's accelerators.

    Attributes:
        first_round: the first inspection round that can draw from it: the first that was not open when it came.
        interval: at whose beginning it was so.
        leaf: leaf hash of the entry, 32 bytes.
        root: over the leaves of the accelerators (`ledger.chips`), 32 bytes.
        count: of leaves under it.
        method: how they were counted.
    """

    first_round: int
    interval: Interval
    leaf: bytes
    root: bytes
    count: int
    method: str


class ClusterInventories(Record, frozen=True):
    """Those of one cluster that a round can still draw from, oldest first, at most one a round; the last is newest."""

    inventories: tuple[ClusterInventory, ...]


class Side(Record, frozen=True):
    """One side's latest word on a transfer.

    Attributes:
        leaf: leaf hash of the entry.
        terms: chip root and match, as they must be equal on both sides; empty if the side says that nothing moved.
        clusters: which it named.
    """

    leaf: bytes
    terms: bytes
    clusters: tuple[str, ...]


class OpenTransfer(Record, frozen=True):
    """A transfer that both sides have not long agreed on.

    Attributes:
        sender: id of the lab.
        receiver: id of the lab.
        opened_by: id of the one that spoke first.
        index: of its entry.
        out: what the sender says; None if nothing yet.
        into: what the receiver says.
        interval: the one in which the window ended without agreement; None before.
    """

    sender: str
    receiver: str
    opened_by: str
    index: LeafIndex
    out: Side | None
    into: Side | None
    interval: Interval | None


class OpenedCount(Record, frozen=True):
    """How many open transfers a lab spoke of first."""

    count: int


class ClusterDifferences(Record, frozen=True):
    """How many transfers are unresolved for a cluster; an empty id stands for all of the lab."""

    cluster: str
    count: int


class Differences(Record, frozen=True):
    """What is unresolved for a lab's interval.

    Attributes:
        source: index of the entry that the first difference of the interval goes back to.
        lines: in ascending order of clusters, none with nothing unresolved.
    """

    source: LeafIndex
    lines: tuple[ClusterDifferences, ...]


INVENTORIES: Final = Table(b"d", ClusterInventories, is_packed=True)  # by cluster
TRANSFERS: Final = Table(b"e", OpenTransfer)  # by transfer, sender and receiver
OPENED_COUNTS: Final = Table(b"f", OpenedCount)  # by lab
DIFFERENCES: Final = Table(b"g", Differences)  # by lab number and interval, as filings


def make_transfer_name(transfer: str, *, sender: str, receiver: str) -> bytes:
    """Name of a transfer between two labs; no id holds a slash."""
    return f"{sender}/{receiver}/{transfer}".encode("ascii")
