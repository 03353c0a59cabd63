"""What was proven against members."""

from typing import Final

from ledger.positions import LeafIndex
from ledger.rules.record import Record, Table


class Fault(Record, frozen=True):
    """A misconduct that was proven against a member, and the entry that first did."""

    misconduct: str
    index: LeafIndex


class Standing(Record, frozen=True):
    """What was proven against a member, each kind of misconduct once, in the order of the ledger."""

    faults: tuple[Fault, ...]


STANDINGS: Final = Table(b"L", Standing)  # by id of the member; who is not here is not faulted
