"""What other statements say of a lab's interval: reasons put up and taken down, and how far a declaration was checked.

1. A remark has a source, the entry it goes back to. The same reason of two sources stands until both are gone.
2. A reason speaks of one cluster, or of all that the lab has in the interval.
3. A level of assurance speaks of one declaration. A later correction is another one, and begins at A0 again.
4. Once verdicts on the interval have begun, the next block says what is new (`ledger.rules.verdicts.look_again`).

Only ledgers whose charter has an agreement have remarks.
"""

from collections.abc import Collection, Sequence
from typing import Final, Literal

from ledger.positions import Interval, LeafIndex
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.registry import LABS
from ledger.rules.records.remarks import NO_REMARKS, REMARKS, Assured, Remark, Remarks
from ledger.rules.state import State
from ledger.rules.verdicts import look_again
from ledger.statements.verdicts import Reason

REMARKS_PER_INTERVAL_MAX: Final = 1_024
"""Of one lab: more add nothing that a reader could use. What is beyond is not recorded; the statements stand anyway.

The first remark that gives a cluster a reason is recorded however many there are, so nobody can crowd out what others
say by heaping up what is less. There are never more than these, and one for each reason of each cluster.
"""


def add_remark(
    state: State, *, lab: str, interval: Interval, reason: Reason, source: LeafIndex, cluster: str = ""
) -> None:
    """Put a reason up.

    Args:
        state: to change.
        lab: id of a registered lab.
        interval: which.
        reason: one that is no filing's own.
        source: index of the entry that it goes back to.
        cluster: which it speaks of; empty for all.
    """
    add_remarks(state, lab=lab, interval=interval, reason=reason, source=source, clusters=(cluster,))


def add_remarks(
    state: State,
    *,
    lab: str,
    interval: Interval,
    reason: Reason,
    source: LeafIndex,
    clusters: Sequence[str],
    is_once: bool = False,
) -> None:
    """Put a reason up on several clusters, with no more work than on one.

    Args:
        state: to change.
        lab: id of a registered lab.
        interval: which.
        reason: one that is no filing's own.
        source: index of the entry that it goes back to.
        clusters: which it speaks of, each once; an empty id for all.
        is_once: whether a cluster that has it already, whatever that goes back to, does not get it again.
    """
    before = _get(state, lab, interval)
    remarks = list(before.remarks)
    sources: dict[str, set[LeafIndex]] = {}
    for each in remarks:
        if each.reason == reason.value:
            sources.setdefault(each.cluster, set()).add(each.source)
    for cluster in clusters:
        known = sources.get(cluster)
        if not known or not (is_once or source in known or len(remarks) >= REMARKS_PER_INTERVAL_MAX):
            remarks.append(Remark(cluster, reason.value, source))
    if len(remarks) > len(before.remarks):
        _put(state, lab, interval, Remarks(tuple(remarks), before.assured, before.said))


def drop_remark(
    state: State,
    *,
    lab: str,
    interval: Interval,
    reason: Reason,
    source: LeafIndex,
    clusters: Collection[str] | None = None,
) -> None:
    """Take down what an entry put up; nothing if it stands no longer.

    Args:
        state: to change.
        lab: id of a registered lab.
        interval: which.
        reason: which.
        source: index of the entry that it goes back to.
        clusters: as it was put up; None for all that the entry put up.
    """
    before = _get(state, lab, interval)
    dropped = None if clusters is None else frozenset(clusters)
    kept = tuple(
        each
        for each in before.remarks
        if each.source != source or each.reason != reason.value or (dropped is not None and each.cluster not in dropped)
    )
    if len(kept) < len(before.remarks):
        _put(state, lab, interval, Remarks(kept, before.assured, before.said))


def list_remarks(state: State, lab: str, interval: Interval, *, reason: Reason) -> tuple[Remark, ...]:
    """Give the remarks of one reason that stand on a lab's interval, in the order they came."""
    return tuple(each for each in _get(state, lab, interval).remarks if each.reason == reason.value)


def assure(
    state: State,
    *,
    lab: str,
    interval: Interval,
    cluster: str,
    level: Literal["A1", "A2", "A3", "A4"],
    report: bytes,
    source: LeafIndex,
) -> None:
    """Say how far somebody checked a cluster's row in a declaration.

    Args:
        state: to change.
        lab: id of a registered lab.
        interval: which.
        cluster: whose row.
        level: how far.
        report: leaf hash of the declaration, 32 bytes.
        source: index of the entry that says so.
    """
    before = _get(state, lab, interval)
    assured = Assured(cluster, level, report, source)
    if assured in before.assured or len(before.assured) >= REMARKS_PER_INTERVAL_MAX:
        return
    _put(state, lab, interval, Remarks(before.remarks, (*before.assured, assured), before.said))


def _get(state: State, lab: str, interval: Interval) -> Remarks:
    number = LABS.require(state, lab.encode()).number
    return REMARKS.get(state, make_filing_name(number, interval)) or NO_REMARKS


def _put(state: State, lab: str, interval: Interval, remarks: Remarks) -> None:
    number = LABS.require(state, lab.encode()).number
    REMARKS.put(state, remarks, make_filing_name(number, interval))
    look_again(state, lab=number, interval=interval)
