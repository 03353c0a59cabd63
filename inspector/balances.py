"""X7 and X8 over statements: books that were opened, and both sides of transfers.

Public statements come with receipts (`inspector.books`), numbers from what labs opened (`inspector.parts`). Books are
compared only where the files leave nothing out: a gap in the numbers of the lab's statements could be a transfer. Of
transfers, what is public of both sides is compared whatever was opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from inspector.books import Books, Filed
from inspector.parts import Known
from ledger.crosschecks.books import Counted, Movement, examine_books, join_counts
from ledger.crosschecks.comparisons import Comparison, Place
from ledger.crosschecks.inventories import Counts, TransferSide, compare_terms, compare_transfer, read_terms
from ledger.positions import Interval
from ledger.statements.inventories import Inventory, InventoryRow, Transfer

Side: TypeAlias = tuple[Filed, Transfer]
"""One side's word on a transfer, and where it stands."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A transfer between two labs, as far as both have spoken.

    Attributes:
        name: what people call it.
        sender: id of the lab.
        receiver: id of the lab; the same where it moves within one.
        out: the sender's word.
        into: the receiver's word.
    """

    name: str
    sender: str
    receiver: str
    out: Side | None
    into: Side | None


def compare_inventories(lab: str, books: Books, known: Known) -> tuple[Comparison, ...]:
    """X7: each inventory of a lab that has one before it, against that one and the transfers since.

    Args:
        lab: whose.
        books: its statements, and others'.
        known: what was opened of them.
    """
    gaps = books.list_gaps(lab)
    said = books.list_said(lab, Inventory)
    place = Place("X7", lab)
    if not said:
        return (place.skip("counts", "before, plus in, less out", reason="no inventory of the lab is in the books"),)
    compared: list[Comparison] = []
    if gaps:
        reason = f"not in the books: statements {', '.join(gaps)}; any of them could be a transfer"
        compared.append(place.skip("transfers", "all that the lab said of transfers", reason=reason))
    moved = [Movement(transfer, read_moved(filed, transfer, known)) for filed, transfer in books.list_transfers(lab)]
    before: dict[str, Counted] = {}
    standing = {(inventory.interval, row.cluster): filed.leaf for filed, inventory in said for row in inventory.rows}
    for filed, inventory in said:
        rows = [row for row in inventory.rows if standing[inventory.interval, row.cluster] == filed.leaf]
        now = {row.cluster: known.list_chip_counts(filed.leaf, row.cluster) for row in rows}
        compared += _compare_leaves(rows, now, inventory.interval)
        earlier = {cluster: count for cluster, count in before.items() if count.interval < inventory.interval}
        if earlier:
            found = examine_books(now, inventory.interval, lab=lab, before=earlier, transfers=None if gaps else moved)
            compared += [_date(one, inventory) for one in found]
        before |= {cluster: Counted(inventory.interval, counts) for cluster, counts in now.items()}
    if len({inventory.interval for _, inventory in said}) == 1:
        reason = "the books have inventories as of one interval alone"
        compared.append(place.skip("counts", "before, plus in, less out", reason=reason))
    return tuple(compared)


def find_most_chips(lab: str, cluster: str, interval: Interval, books: Books, known: Known) -> Counts | None:
    """The most accelerators by model that a cluster can have had in an interval, for X1; None if nobody can say.

    They are those of its newest inventory as of the interval or before, and all that may have come to it since.
    """
    newest: tuple[Filed, Inventory] | None = None
    for filed, inventory in books.list_said(lab, Inventory):
        if inventory.interval <= interval and any(row.cluster == cluster for row in inventory.rows):
            newest = filed, inventory
    if newest is None or books.list_gaps(lab):
        return None
    came = [
        read_moved(filed, transfer, known)
        for filed, transfer in books.list_transfers(lab)
        if transfer.direction == "in"
        and newest[1].interval <= transfer.interval <= interval
        and (not transfer.clusters or cluster in transfer.clusters)
    ]
    return join_counts([known.list_chip_counts(newest[0].leaf, cluster), *came])


def read_moved(filed: Filed, transfer: Transfer, known: Known) -> Counts | None:
    """Accelerators by model that a side says moved; none for nothing, None if not opened."""
    return {} if transfer.shipment is None else known.list_moved(filed.leaf)


def pair_transfers(books: Books) -> Iterator[Pair]:
    """Put both sides of every transfer between labs together, in the order of names.

    An id is free again once both sides agreed, so several transfers may have one: those that agree are found by what
    both signed. Of the others the first word of one side belongs to the first of the other. A word that nothing moved
    agrees with silence, and is no transfer.
    """
    sides: dict[tuple[str, str, str], tuple[list[Side], list[Side]]] = {}
    for lab in books.list_labs():
        for filed, transfer in books.list_transfers(lab):
            if transfer.sender is not None and transfer.receiver is not None:
                key = (transfer.transfer, transfer.sender, transfer.receiver)
                sides.setdefault(key, ([], []))[transfer.direction == "in"].append((filed, transfer))
    for (transfer_id, sender, receiver), (outs, ins) in sorted(sides.items(), key=lambda item: item[0]):
        name = f"{transfer_id}, {sender} to {receiver}"
        for out, into in _match(outs, ins):
            yield Pair(name, sender, receiver, out, into)


def compare_pair(pair: Pair, known: Known, *, window_s: int) -> tuple[Comparison, ...]:
    """X8: both sides of a transfer against each other, and each against the terms that both signed.

    Args:
        pair: the transfer.
        known: what was opened of it.
        window_s: in which both must have spoken.
    """
    out, into = _read_side(pair.out, known), _read_side(pair.into, known)
    compared: list[Comparison] = []
    for said in (pair.out, pair.into):
        if said is not None and said[1].shipment is not None:
            terms, moved = known.find_terms(said[0].leaf), known.list_moved(said[0].leaf)
            compared += compare_terms(pair.name, said[1], terms=terms, counts=moved)
    if out is not None and into is not None and out.match == into.match:
        agreed = _find_agreed(pair, known)
        out = replace(out, counts=agreed) if out.counts is None else out
        into = replace(into, counts=agreed) if into.counts is None else into
    return (*compare_transfer(pair.name, out=out, into=into, window_s=window_s, now=None), *compared)


def _match(outs: Sequence[Side], ins: Sequence[Side]) -> Iterator[tuple[Side | None, Side | None]]:
    """Sides that signed the same; then those that moved something against each other, and then against denials."""
    arrivals = [each for each in ins if _find_match(each) is not None]
    departures: list[Side] = []
    for out in outs:
        match = _find_match(out)
        into = None if match is None else next((each for each in arrivals if _find_match(each) == match), None)
        if into is not None:
            arrivals.remove(into)
            yield out, into
        elif match is not None:
            departures.append(out)
    count = min(len(departures), len(arrivals))
    yield from zip(departures[:count], arrivals[:count], strict=True)
    denials = iter([each for each in ins if _find_match(each) is None])
    yield from ((out, next(denials, None)) for out in departures[count:])
    denials = iter([each for each in outs if _find_match(each) is None])
    yield from ((next(denials, None), into) for into in arrivals[count:])


def _find_match(side: Side) -> str | None:
    """What the side's terms hash to; None if it says that nothing moved."""
    shipment = side[1].shipment
    return None if shipment is None else shipment.match


def _read_side(said: Side | None, known: Known) -> TransferSide | None:
    if said is None:
        return None
    filed, transfer = said
    shipment = transfer.shipment
    return TransferSide(
        lab=filed.issuer,
        counterparty=transfer.counterparty or "",
        counts=read_moved(filed, transfer, known),
        root="" if shipment is None else shipment.chips_root,
        sealed_at=None,
        match="" if shipment is None or shipment.match is None else shipment.match,
    )


def _find_agreed(pair: Pair, known: Known) -> Counts | None:
    """What both signed, if one of them opened it: their `match` is the same."""
    for said in (pair.out, pair.into):
        terms = None if said is None else known.find_terms(said[0].leaf)
        if terms is not None:
            return read_terms(terms)
    return None


def _compare_leaves(
    rows: Sequence[InventoryRow], now: Mapping[str, Counts | None], interval: Interval
) -> Iterator[Comparison]:
    """A root over fewer leaves than accelerators leaves some out of every sample."""
    for row in rows:
        counts = now[row.cluster]
        if counts is not None:
            total, leaves = sum(counts.values()), row.chips.count
            place, expected = (
                Place("X7", f"{row.cluster} as of {interval}"),
                f"at most {leaves}, under its root",
            )
            yield place.compare("leaves", f"{total} together", expected, holds=total <= leaves)


def _date(one: Comparison, inventory: Inventory) -> Comparison:
    return replace(one, subject=f"{one.subject} as of {inventory.interval}")
