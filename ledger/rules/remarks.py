"""What other statements say of a lab's interval: reasons put up and taken down, and how far a declaration was checked.

1. A remark has a source, the entry it goes back to. The same reason of two sources stands until both are gone.
2. A reason speaks of one cluster, or of all that the lab has in the interval.
3. A level of assurance speaks of one declaration. A later correction is another one, and begins at A0 again.
4. Once verdicts on the interval have begun, the next block says what is new (`ledger.rules.verdicts.look_again`).

Only ledgers whose charter has an agreement have remarks.
"""

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
    before = _get(state, lab, interval)
    remark = Remark(cluster, reason.value, source)
    if remark in before.remarks or (len(before.remarks) >= REMARKS_PER_INTERVAL_MAX and _is_told(before, remark)):
        return
    _put(state, lab, interval, Remarks((*before.remarks, remark), before.assured, before.said))


def drop_remark(
    state: State, *, lab: str, interval: Interval, reason: Reason, source: LeafIndex, cluster: str | None = None
) -> None:
    """Take down what an entry put up; nothing if it stands no longer.

    Args:
        state: to change.
        lab: id of a registered lab.
        interval: which.
        reason: which.
        source: index of the entry that it goes back to.
        cluster: as it was put up; None for all that the entry put up.
    """
    before = _get(state, lab, interval)
    kept = tuple(
        each
        for each in before.remarks
        if (each.reason, each.source) != (reason.value, source) or cluster not in (None, each.cluster)
    )
    if kept != before.remarks:
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


def _is_told(remarks: Remarks, remark: Remark) -> bool:
    """Say whether the cluster has this reason already."""
    return any((each.cluster, each.reason) == (remark.cluster, remark.reason) for each in remarks.remarks)


def _get(state: State, lab: str, interval: Interval) -> Remarks:
    number = LABS.require(state, lab.encode()).number
    return REMARKS.get(state, make_filing_name(number, interval)) or NO_REMARKS


def _put(state: State, lab: str, interval: Interval, remarks: Remarks) -> None:
    number = LABS.require(state, lab.encode()).number
    REMARKS.put(state, remarks, make_filing_name(number, interval))
    look_again(state, lab=number, interval=interval)
