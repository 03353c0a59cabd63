"""What the vault says of accelerators: the inventories of each cluster, and what transfers moved between them (X7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.parts import WHOLE
from lab.stored import Opening, StoredStatement, find_opening
from lab.vault import Vault
from ledger.crosschecks.comparisons import Comparison
from ledger.crosschecks.inventories import Counts, compare_book
from ledger.disclosure import parse_disclosure
from ledger.positions import Interval
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import parse_quantity
from ledger.statements.inventories import (
    INVENTORY,
    TRANSFER,
    Direction,
    Transfer,
    parse_hidden_inventory,
    parse_hidden_transfer,
    parse_transfer,
)


@dataclass(frozen=True, slots=True)
class Counted:
    """A cluster's inventory: as of the beginning of which interval, and accelerators by model."""

    interval: Interval
    counts: Counts


@dataclass(frozen=True, slots=True)
class Moved:
    """What the lab last said of a transfer, and what it moved.

    Attributes:
        stored: the statement.
        transfer: what it says.
        counts: accelerators by model; none if it says that nothing moved.
    """

    stored: StoredStatement
    transfer: Transfer
    counts: Counts


def read_inventories(vault: Vault, ledger: str, *, before: Interval) -> dict[str, Counted]:
    """Give each cluster's newest inventory of an earlier interval."""
    newest: dict[str, Counted] = {}
    for stored in vault.read_statements(ledger, INVENTORY):
        if stored.interval is None or stored.interval >= before:
            continue
        for opening in stored.openings:
            known = newest.get(opening.part)
            if known is None or stored.interval >= known.interval:
                newest[opening.part] = Counted(Interval(stored.interval), _read_counts(opening))
    return newest


def read_transfers(vault: Vault, ledger: str) -> tuple[Moved, ...]:
    """Give what the lab last said of each transfer, in the order in which it first spoke of them."""
    latest: dict[tuple[str, Direction, str | None], Moved] = {}
    for stored in vault.read_statements(ledger, TRANSFER):
        transfer = parse_transfer(parse_envelope(stored.envelope).payload).predicate
        key = (transfer.transfer, transfer.direction, transfer.counterparty)
        latest[key] = Moved(stored, transfer, _read_moved(stored, transfer))
    return tuple(latest.values())


def find_transfer(
    vault: Vault, ledger: str, *, transfer: str, direction: Direction, counterparty: str | None
) -> Moved | None:
    """Give what the lab last said of a transfer."""
    found = None
    for moved in read_transfers(vault, ledger):
        said = moved.transfer
        if (said.transfer, said.direction, said.counterparty) == (transfer, direction, counterparty):
            found = moved
    return found


def examine_books(
    now: Mapping[str, Counts],
    interval: Interval,
    *,
    lab: str,
    before: Mapping[str, Counted],
    transfers: Sequence[Moved],
) -> tuple[Comparison, ...]:
    """X7: hold each cluster's inventory against its last one and the transfers since.

    Where a transfer names no cluster or several, nobody can say whose books it changed: then the clusters are not
    compared, and the lab's inventories are held together instead.

    Args:
        now: accelerators by model, of each cluster in the inventory.
        interval: as of whose beginning.
        lab: id of the lab.
        before: each cluster's last inventory.
        transfers: what the lab last said of each.
    """
    compared: list[Comparison] = []
    is_clear = True
    for cluster, counts in now.items():
        known = before.get(cluster)
        since = [moved for moved in transfers if known is not None and _is_between(moved, known.interval, interval)]
        is_known = all(len(moved.transfer.clusters) == 1 for moved in since)
        is_clear = is_clear and is_known
        own = [moved for moved in since if cluster in moved.transfer.clusters]
        compared += compare_book(
            cluster,
            before=None if known is None else known.counts,
            received=_add_up(own, "in") if is_known else None,
            sent=_add_up(own, "out") if is_known else None,
            now=counts,
        )
    if not is_clear:
        compared += _examine_whole(now, interval, lab=lab, before=before, transfers=transfers)
    return tuple(compared)


def _examine_whole(
    now: Mapping[str, Counts],
    interval: Interval,
    *,
    lab: str,
    before: Mapping[str, Counted],
    transfers: Sequence[Moved],
) -> tuple[Comparison, ...]:
    """X7 over the clusters of the inventory together, where their last ones are of one interval and all of them."""
    starts = sorted({before[cluster].interval for cluster in now if cluster in before})
    is_whole = len(starts) == 1 and all(cluster in before for cluster in now) and all(each in now for each in before)
    since = [moved for moved in transfers if is_whole and _is_between(moved, starts[0], interval)]
    return compare_book(
        lab,
        before=_join([before[cluster].counts for cluster in now]) if is_whole else None,
        received=_add_up(since, "in"),
        sent=_add_up(since, "out"),
        now=_join(list(now.values())),
    )


def _is_between(moved: Moved, first: Interval, last: Interval) -> bool:
    return first <= moved.transfer.interval < last


def _add_up(moved: Sequence[Moved], direction: Direction) -> Counts:
    return _join([each.counts for each in moved if each.transfer.direction == direction])


def _join(counts: Sequence[Counts]) -> Counts:
    together: dict[str, int] = {}
    for each in counts:
        for model, count in each.items():
            together[model] = together.get(model, 0) + count
    return together


def _read_counts(opening: Opening) -> Counts:
    values = {name: parse_disclosure(text).value for name, text in opening.disclosures.items()}
    counts = parse_hidden_inventory(values).chip_counts
    return {model: parse_quantity(count, field="chip_counts") for model, count in counts.items()}


def _read_moved(stored: StoredStatement, transfer: Transfer) -> Counts:
    if transfer.shipment is None:
        return {}
    disclosures = find_opening(stored, WHOLE).disclosures
    hidden = parse_hidden_transfer({name: parse_disclosure(text).value for name, text in disclosures.items()})
    return {hidden.model: parse_quantity(hidden.count, field="count")}
