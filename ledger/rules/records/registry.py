"""Labs, their keys and their clusters."""

from typing import Final

from ledger.positions import Interval, LeafIndex
from ledger.rules.record import Record, Table


class RegisteredKey(Record, frozen=True):
    """A lab's key, and the ledger index that revoked it."""

    public_key: bytes
    revoked_by: LeafIndex | None


class RegisteredCluster(Record, frozen=True):
    """A lab's cluster, and the first interval it must be reported in."""

    id: str
    first_interval: Interval


class Lab(Record, frozen=True):
    """A lab as registered.

    Attributes:
        number: labs are counted from 0 in the order of their registration.
        nation: id of the member that registered it.
        keys: all it ever had.
        next_key: commitment to the key that will follow, 32 bytes.
        clusters: in ascending order of their ids.
    """

    number: int
    nation: str
    keys: tuple[RegisteredKey, ...]
    next_key: bytes
    clusters: tuple[RegisteredCluster, ...]


class KeyHolder(Record, frozen=True):
    """The public key behind a key id."""

    public_key: bytes


class LabName(Record, frozen=True):
    """The id of a lab, under its number or under one of its clusters."""

    lab: str


LABS: Final = Table(b"F", Lab)  # by id
LAB_NUMBERS: Final = Table(b"G", LabName)  # by number
KEYS: Final = Table(b"H", KeyHolder)  # by key id, 32 bytes
CLUSTERS: Final = Table(b"I", LabName)  # by id: whose it is


def make_number_name(number: int) -> bytes:
    """Name of a record that is found by a number: 4 bytes, so that byte order is numeric order."""
    return number.to_bytes(4, "big")
