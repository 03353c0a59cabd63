"""X7 from statements: each cluster's inventory against its last one and the transfers since; or else a lab's together.

Whoever calls knows the numbers, or says which of them it does not: a lab from its vault, an inspector from what was
opened. Public statements alone have none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.crosschecks.comparisons import Comparison
from ledger.crosschecks.inventories import Counts, compare_book
from ledger.positions import Interval
from ledger.statements.inventories import Direction, Transfer


@dataclass(frozen=True, slots=True)
class Counted:
    """A cluster's inventory: as of the beginning of which interval, and accelerators by model; None if not opened."""

    interval: Interval
    counts: Counts | None


@dataclass(frozen=True, slots=True)
class Movement:
    """What a lab last said of a transfer, and what it moved.

    Attributes:
        transfer: what it says.
        counts: accelerators by model; none if it says that nothing moved; None if not opened.
    """

    transfer: Transfer
    counts: Counts | None


def examine_books(
    now: Mapping[str, Counts | None],
    interval: Interval,
    *,
    lab: str,
    before: Mapping[str, Counted],
    transfers: Sequence[Movement] | None,
) -> tuple[Comparison, ...]:
    """X7: hold each cluster's inventory against its last one and the transfers since.

    Where a transfer names no cluster or several, nobody can say whose books it changed: then the clusters are not
    compared, and the lab's inventories are held together instead.

    Args:
        now: accelerators by model, of each cluster in the inventory; None for one that was not opened.
        interval: as of whose beginning.
        lab: id of the lab.
        before: each cluster's last inventory.
        transfers: what the lab last said of each; None if these may not be all.
    """
    compared: list[Comparison] = []
    is_clear = True
    for cluster, counts in now.items():
        known = before.get(cluster)
        since = None if known is None else _select_between(transfers, known.interval, interval)
        is_known = since is None or all(len(moved.transfer.clusters) == 1 for moved in since)
        is_clear = is_clear and is_known
        own = None if since is None or not is_known else [one for one in since if cluster in one.transfer.clusters]
        compared += compare_book(
            cluster,
            before=None if known is None else known.counts,
            received=_add_up(own, "in"),
            sent=_add_up(own, "out"),
            now=counts,
        )
    if not is_clear:
        compared += _examine_whole(now, interval, lab=lab, before=before, transfers=transfers)
    return tuple(compared)


def join_counts(counts: Sequence[Counts | None]) -> Counts | None:
    """Add numbers up by model; None if one of them is not known."""
    together: dict[str, int] = {}
    for each in counts:
        if each is None:
            return None
        for model, count in each.items():
            together[model] = together.get(model, 0) + count
    return together


def _examine_whole(
    now: Mapping[str, Counts | None],
    interval: Interval,
    *,
    lab: str,
    before: Mapping[str, Counted],
    transfers: Sequence[Movement] | None,
) -> tuple[Comparison, ...]:
    """X7 over the clusters of the inventory together, where their last ones are of one interval and all of them."""
    starts = sorted({before[cluster].interval for cluster in now if cluster in before})
    is_whole = len(starts) == 1 and all(cluster in before for cluster in now) and all(each in now for each in before)
    since = _select_between(transfers, starts[0], interval) if is_whole else None
    return compare_book(
        lab,
        before=join_counts([before[cluster].counts for cluster in now]) if is_whole else None,
        received=_add_up(since, "in"),
        sent=_add_up(since, "out"),
        now=join_counts(list(now.values())),
    )


def _select_between(transfers: Sequence[Movement] | None, first: Interval, last: Interval) -> Sequence[Movement] | None:
    if transfers is None:
        return None
    return [moved for moved in transfers if first <= moved.transfer.interval < last]


def _add_up(moved: Sequence[Movement] | None, direction: Direction) -> Counts | None:
    if moved is None:
        return None
    return join_counts([each.counts for each in moved if each.transfer.direction == direction])
