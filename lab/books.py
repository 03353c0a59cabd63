"""What the vault says of accelerators: the inventories of each cluster, and what transfers moved between them (X7)."""

from dataclasses import dataclass

from lab.stored import Opening, StoredStatement, find_opening
from lab.vault import Vault
from ledger.crosschecks.books import Counted, Movement
from ledger.crosschecks.inventories import Counts
from ledger.disclosure import parse_disclosure
from ledger.openings import WHOLE
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
class Moved:
    """What the lab last said of a transfer.

    Attributes:
        stored: the statement.
        movement: what it says, and what it moved.
    """

    stored: StoredStatement
    movement: Movement

    @property
    def transfer(self) -> Transfer:
        """What it says."""
        return self.movement.transfer


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
        latest[key] = Moved(stored, Movement(transfer, _read_moved(stored, transfer)))
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
