"""X8 and X12 over several labs: what they opened to one inspector, held together, over their public statements.

X8 over every transfer between labs, whoever was asked. X12 over the labs of which there are statements, between the
first and the last boundary as of which each of them opened an inventory of all its clusters:

- what was sent since is what arrived, or travels;
- all accelerators at the later boundary, those that travel included, are those at the earlier one, with what came from
  outside these labs, less what left for there.

X12 needs every statement of each lab, and every number that it adds up. What is missing is named, and nothing is
concluded without it. Which lab is to be asked when numbers do not meet, no sum says: each lab's own report (`inspect
open --also`) shows its side, so no finding is made of this one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from inspector.balances import Pair, Side, compare_pair, pair_transfers, read_moved
from inspector.books import Books
from inspector.parts import Known
from ledger.crosschecks.books import join_counts
from ledger.crosschecks.comparisons import Comparison, Place, name_some
from ledger.crosschecks.inventories import Counts, compare_shipments, compare_stock
from ledger.limits import INTERVAL_MAX
from ledger.positions import Interval
from ledger.statements.inventories import Direction, Inventory

CHECK: Final = "X12"
_MISSING_NAMED_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Network:
    """Labs that are looked at together.

    Attributes:
        books: all their statements.
        known: what was opened of them.
    """

    books: Books
    known: Known

    @property
    def labs(self) -> list[str]:
        """Those of which there is an inventory, a transfer, a run or a report."""
        return sorted({filed.issuer for filed in self.books.by_leaf.values() if filed.predicate is not None})

    def list_inside(self) -> Iterator[Pair]:
        """Give every transfer between two of the labs, or within one."""
        labs = self.labs
        yield from (pair for pair in pair_transfers(self.books) if pair.sender in labs and pair.receiver in labs)

    def list_outside(self, direction: Direction) -> Iterator[Side]:
        """Give every transfer that came from others, or left for others."""
        labs = self.labs
        for lab in labs:
            for filed, transfer in self.books.list_transfers(lab):
                if transfer.direction == direction and transfer.counterparty not in labs:
                    yield filed, transfer

    def add_up(self, sides: Iterable[Side | None]) -> Counts | None:
        """Accelerators by model that sides say moved; None if one of them was not opened."""
        return join_counts([read_moved(*side, self.known) for side in sides if side is not None])


def compare_network(books: Books, known: Known, *, window_s: int) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """Run X8 over all transfers between labs, and X12 over all labs.

    Args:
        books: statements of several labs.
        known: what was opened of them.
        window_s: in which both sides of a transfer must have spoken.

    Returns:
        what was compared; and by name what X12 needs and was not opened, or is not there.
    """
    network = Network(books, known)
    compared = [one for pair in pair_transfers(books) for one in compare_pair(pair, known, window_s=window_s)]
    gaps = [f"{lab}: statements {gap}" for lab in network.labs for gap in books.list_gaps(lab)]
    boundaries = _find_boundaries(network)
    first, last = (boundaries[0], boundaries[-1]) if len(boundaries) > 1 else (Interval(0), Interval(INTERVAL_MAX))
    name = name_some(network.labs)
    sums = _add_up_between(network, first, last)
    missing = [*gaps, *sums.unopened]
    if gaps:
        compared += compare_shipments(name, sent=None, received=None, in_transit=None)
    else:
        compared += compare_shipments(name, sent=sums.sent, received=sums.received, in_transit=sums.in_transit)
    if len(boundaries) < 2:
        missing.append("inventories of all clusters of every lab, as of the same two intervals")
    if gaps or len(boundaries) < 2:
        compared += compare_stock(name, before=None, built=None, retired=None, now=None)
    else:
        name = f"{name}, from {first} to {last}"
        before, now = _count_all(network, first), _count_all(network, last)
        compared += compare_stock(name, before=before, built=sums.built, retired=sums.retired, now=now)
    for one in missing[:_MISSING_NAMED_MAX]:
        compared.append(Place(CHECK, name).skip(one, "all that is added up", reason="not opened, or not there"))
    return tuple(compared), tuple(missing)


@dataclass(frozen=True, slots=True)
class _Sums:
    """What moved between two boundaries; None for a sum of which a part was not opened."""

    sent: Counts | None
    received: Counts | None
    in_transit: Counts | None
    built: Counts | None
    retired: Counts | None
    unopened: Sequence[str]


def _add_up_between(network: Network, first: Interval, last: Interval) -> _Sums:
    """Add up what left in these intervals.

    What arrived and was not sent yet by anybody's word is left out: its sender may still speak, and the rules see to
    it that they do.
    """
    pairs = [pair for pair in network.list_inside() if pair.out is not None and first <= pair.out[1].interval < last]
    sides = {direction: list(network.list_outside(direction)) for direction in ("in", "out")}
    built, retired = (
        [side for side in sides[direction] if first <= side[1].interval < last] for direction in ("in", "out")
    )
    used = [*(side for pair in pairs for side in (pair.out, pair.into)), *built, *retired]
    travelling = [side for at in (first, last) for side, _ in _list_travelling(network, at)]
    unopened = [
        f"{filed.issuer}: transfer {transfer.transfer}, {transfer.direction}"
        for filed, transfer in (side for side in (*used, *travelling) if side is not None)
        if read_moved(filed, transfer, network.known) is None
    ]
    return _Sums(
        sent=network.add_up(pair.out for pair in pairs),
        received=network.add_up(pair.into for pair in pairs),
        in_transit=network.add_up(pair.out for pair in pairs if pair.into is None),
        built=network.add_up(built),
        retired=network.add_up(retired),
        unopened=list(dict.fromkeys(unopened)),
    )


def _find_boundaries(network: Network) -> list[Interval]:
    """The intervals as of which every lab opened an inventory of every cluster that it ever counted.

    A cluster that is counted for the first time later is where accelerators may have stood before: then the boundaries
    begin with that.
    """
    common: set[Interval] | None = None
    for lab in network.labs:
        said = network.books.list_said(lab, Inventory)
        clusters = {row.cluster for _, inventory in said for row in inventory.rows}
        whole = set[Interval]()
        for interval in {inventory.interval for _, inventory in said}:
            counted = _count_lab(network, lab, interval)
            if counted.keys() == clusters and None not in counted.values():
                whole.add(interval)
        common = whole if common is None else common & whole
    return sorted(common or ())


def _count_lab(network: Network, lab: str, interval: Interval) -> dict[str, Counts | None]:
    """Accelerators by model of each cluster in a lab's inventories as of an interval; the last word on each counts."""
    counted: dict[str, Counts | None] = {}
    for filed, inventory in network.books.list_said(lab, Inventory):
        if inventory.interval == interval:
            rows = inventory.rows
            counted |= {row.cluster: network.known.list_chip_counts(filed.leaf, row.cluster) for row in rows}
    return counted


def _count_all(network: Network, interval: Interval) -> Counts | None:
    """All accelerators at a boundary: counted, or on the way between two of the labs."""
    counted = [counts for lab in network.labs for counts in _count_lab(network, lab, interval).values()]
    for side, sign in _list_travelling(network, interval):
        moved = read_moved(*side, network.known)
        counted.append(None if moved is None else {model: sign * count for model, count in moved.items()})
    return join_counts(counted)


def _list_travelling(network: Network, boundary: Interval) -> Iterator[tuple[Side, int]]:
    """What had left before a boundary and not arrived; with -1 what arrived, by both words, before it left."""
    for pair in network.list_inside():
        has_left = pair.out is not None and pair.out[1].interval < boundary
        has_arrived = pair.into is not None and pair.into[1].interval < boundary
        if pair.out is not None and has_left and not has_arrived:
            yield pair.out, 1
        if pair.into is not None and has_arrived and not has_left:
            yield pair.into, -1
