"""What stands against, or speaks for, a cluster's interval beside its own declaration.

A filing (`ledger.rules.records.filings`) has one for every lab's interval and is small; remarks are few, and have a
record only where there is one.
"""

from typing import Final

from ledger.positions import LeafIndex
from ledger.rules.record import Record, Table


class Remark(Record, frozen=True):
    """A reason that another statement, or the lack of one, gives.

    Attributes:
        cluster: which it speaks of; empty for all of the lab's interval.
        reason: a `ledger.statements.verdicts.Reason`.
        source: index of the entry it goes back to; the same reason may have several.
    """

    cluster: str
    reason: str
    source: LeafIndex


class Assured(Record, frozen=True):
    """How far somebody other than the lab checked a declaration.

    Attributes:
        cluster: whose row.
        level: `A1` to `A4`.
        report: leaf hash of the declaration that was checked; of another one it says nothing.
        source: index of the entry that says so.
    """

    cluster: str
    level: str
    report: bytes
    source: LeafIndex


class Said(Record, frozen=True):
    """What the newest verdict on a cluster said because of remarks: their reasons in order, and the level."""

    cluster: str
    reasons: tuple[str, ...]
    level: str


class Remarks(Record, frozen=True):
    """All about a lab's interval: remarks and levels in the order they came, what was said in order of clusters."""

    remarks: tuple[Remark, ...]
    assured: tuple[Assured, ...]
    said: tuple[Said, ...]


REMARKS: Final = Table(b"O", Remarks)  # by lab number and interval, as filings


def compute_said(remarks: Remarks, cluster: str, *, report: bytes) -> Said:
    """What is to be said of a cluster because of these remarks.

    Args:
        remarks: on the lab's interval.
        cluster: which.
        report: leaf hash of the latest declaration; checks of earlier ones no longer count.
    """
    reasons = sorted({remark.reason for remark in remarks.remarks if remark.cluster in ("", cluster)})
    levels = [each.level for each in remarks.assured if each.cluster == cluster and each.report == report]
    return Said(cluster, tuple(reasons), max(levels, default="A0"))


def find_remarked(remarks: Remarks, cluster: str) -> Said:
    """What the newest verdict on a cluster said because of remarks; nothing if there was none."""
    return next((said for said in remarks.said if said.cluster == cluster), Said(cluster, (), "A0"))
