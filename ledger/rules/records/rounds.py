"""Inspection rounds: which have opened, by which block, and for which the beacon is still to come."""

from typing import Final

from ledger.rules.record import Record, Table


class Rounds(Record, frozen=True):
    """How far rounds are; they count from 0 without a gap.

    Attributes:
        next_unopened: the first whose time no final block has reached.
        next_unanswered: the first whose beacon is not on the ledger; at most `next_unopened`.
        oldest_trigger: name of the trigger that `next_unanswered` belongs to, if any waits.
    """

    next_unopened: int
    next_unanswered: int
    oldest_trigger: int


class Trigger(Record, frozen=True):
    """The first block with a time at or after that of rounds, which are known by the first of them.

    Attributes:
        last_round: the last that this block opened; a silence of the network may hold several.
        block: its digest, 32 bytes.
    """

    last_round: int
    block: bytes


ROUNDS: Final = Table(b"P", Rounds)
TRIGGERS: Final = Table(b"Q", Trigger)  # by the first round that the block opened, 8 bytes


def make_round_name(round_number: int) -> bytes:
    """Name of a record that is found by a round."""
    return round_number.to_bytes(8, "big")
