"""What stands against, or speaks for, a cluster's interval beside its own declaration.

A filing (`ledger.rules.records.filings`) has one for every lab's interval and is small; remarks are few, and have a
record only where there is one.
"""

from collections.abc import Sequence
from typing import Final

from ledger.positions import LeafIndex
from ledger.rules.record import Record, Table

ASSURANCE_LEAST: Final = "A0"
"""Declared, and no more."""


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
NO_REMARKS: Final = Remarks((), (), ())


def compute_said(remarks: Remarks, clusters: Sequence[str], *, report: bytes) -> tuple[Said, ...]:
    """What is to be said of each of these clusters because of remarks, in their order.

    Args:
        remarks: on the lab's interval.
        clusters: which.
        report: leaf hash of the latest declaration; checks of earlier ones no longer count.
    """
    reasons: dict[str, set[str]] = {}
    for remark in remarks.remarks:
        reasons.setdefault(remark.cluster, set()).add(remark.reason)
    levels: dict[str, str] = {}
    for each in remarks.assured:
        if each.report == report:
            levels[each.cluster] = max(each.level, levels.get(each.cluster, ASSURANCE_LEAST))
    of_all, none = reasons.get("", set[str]()), set[str]()
    return tuple(
        Said(cluster, tuple(sorted(of_all | reasons.get(cluster, none))), levels.get(cluster, ASSURANCE_LEAST))
        for cluster in clusters
    )


def find_remarked(remarks: Remarks, clusters: Sequence[str]) -> tuple[Said, ...]:
    """What the newest verdict on each of these clusters said because of remarks; nothing where there was none."""
    said = {each.cluster: each for each in remarks.said}
    return tuple(said.get(cluster) or Said(cluster, (), ASSURANCE_LEAST) for cluster in clusters)
