"""Beacons that are still of use."""

from typing import Final

from ledger.positions import LeafIndex
from ledger.rules.record import Record, Table


class Drawn(Record, frozen=True):
    """A round's beacon, and what the seed of its samples depends on beside it.

    Attributes:
        signature: the group's, 48 bytes.
        block: digest of the round's trigger, 32 bytes.
        index: of the entry that holds the beacon.
    """

    signature: bytes
    block: bytes
    index: LeafIndex


BEACONS: Final = Table(b"j", Drawn)  # by round, 8 bytes
