"""What outages gave labs more time for, and how much each issuer has observed of late."""

from typing import Final

from ledger.positions import LeafIndex
from ledger.rules.record import Record, Table


class Extension(Record, frozen=True):
    """More time for one lab's interval, given once.

    Attributes:
        extension_ms: by how much its due date is later than the grid's.
        index: of the incident's entry.
    """

    extension_ms: int
    index: LeafIndex


class Observed(Record, frozen=True):
    """Block times of an issuer's observations in the last year, in milliseconds, 8 bytes each, oldest first."""

    times_ms: bytes


EXTENSIONS: Final = Table(b"h", Extension)  # by lab number and interval, as filings
OBSERVED: Final = Table(b"i", Observed)  # by issuer
