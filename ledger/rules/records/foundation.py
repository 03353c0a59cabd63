"""What the charter fixed, what time it is, and where every issuer of statements stands."""

from typing import Final

from ledger.limits import HASH_BYTES
from ledger.positions import Millis, Sequence
from ledger.rules.grid import Grid, Outage
from ledger.rules.record import Record, Table

RECENT_MAX: Final = 8
"""How many of an issuer's last statements are remembered, to tell a duplicate from a second story."""

_RECENT_BYTES: Final = 2 * HASH_BYTES


class Foundation(Record, frozen=True):
    """What the charter fixes and the rules ask for: ledger id, grid, and the ids of the limits in force."""

    ledger_id: bytes
    grid: Grid
    limits: tuple[str, ...]


class Clock(Record, frozen=True):
    """Time of the newest block, and the outages so far."""

    time_ms: Millis
    outages: tuple[Outage, ...]


class Issuer(Record, frozen=True):
    """Where a nation or lab stands.

    Attributes:
        is_nation: else it is a lab.
        next_sequence: what its next statement must carry.
        recent: its last statements, oldest first: leaf hash and SHA-256 of the payload of each.
    """

    is_nation: bool
    next_sequence: Sequence
    recent: bytes


class Nation(Record, frozen=True):
    """A member: the key that signs its statements."""

    identity: bytes


FOUNDATION: Final = Table(b"A", Foundation)
CLOCK: Final = Table(b"B", Clock)
ISSUERS: Final = Table(b"D", Issuer)  # by id
NATIONS: Final = Table(b"E", Nation)  # by id


def compute_last_leaf(issuer: Issuer) -> bytes:
    """Leaf hash of the issuer's last entry; zeros if it has none."""
    return issuer.recent[-_RECENT_BYTES:][:HASH_BYTES] or bytes(HASH_BYTES)


def find_recent(issuer: Issuer, sequence: Sequence) -> tuple[bytes, bytes] | None:
    """Leaf hash and payload digest of the issuer's statement of this sequence, if it is still remembered."""
    start = len(issuer.recent) - (issuer.next_sequence - sequence) * _RECENT_BYTES
    if start < 0 or sequence >= issuer.next_sequence:
        return None
    piece = issuer.recent[start : start + _RECENT_BYTES]
    return piece[:HASH_BYTES], piece[HASH_BYTES:]


def advance_issuer(issuer: Issuer, *, leaf: bytes, payload_digest: bytes) -> Issuer:
    """The issuer after one more statement."""
    recent = (issuer.recent + leaf + payload_digest)[-RECENT_MAX * _RECENT_BYTES :]
    return Issuer(issuer.is_nation, Sequence(issuer.next_sequence + 1), recent)
