"""Proposals and how nations voted on them."""

from enum import IntEnum
from typing import Final

from ledger.positions import Interval, LeafIndex
from ledger.rules.record import Record, Table


class Outcome(IntEnum):
    """Where a proposal stands."""

    OPEN = 0
    CARRIED = 1
    LAPSED = 2


class Motion(Record, frozen=True):
    """A proposal with its votes.

    Attributes:
        proposer: id of the nation.
        index: of the entry that proposed it.
        digest: of the change, 32 bytes.
        kind: of the change, as its JSON says.
        pause: which it is about; empty if none.
        until: of an extension; else 0.
        votes: a byte per member in the charter's order: 0 said nothing, 1 no, 2 yes.
        outcome: an `Outcome`.
        decided_by: index of the entry that carried it.
    """

    proposer: str
    index: LeafIndex
    digest: bytes
    kind: str
    pause: str
    until: Interval
    votes: bytes
    outcome: int
    decided_by: LeafIndex | None


MOTIONS: Final = Table(b"R", Motion)  # by id
