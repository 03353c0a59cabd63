"""Pauses, who joined them, who pledged to them, and which runs they froze."""

from enum import IntEnum
from typing import Final

from ledger.limits import INTERVAL_MAX
from ledger.positions import Interval, LeafIndex
from ledger.rules.record import Record, Table


class Phase(IntEnum):
    """Where a pause stands."""

    PROPOSED = 0
    ACTIVATED = 1
    OVER = 2


class Joined(Record, frozen=True):
    """A nation that has joined, and the first interval in which its labs are bound."""

    nation: str
    since: Interval


class Decision(Record, frozen=True):
    """What the committee decided about a pause, until the next boundary puts it into effect.

    Attributes:
        until: the first interval that is no longer covered; 0 to lift it.
        cause: index of the proposal's entry.
        since: the boundary that puts it into effect.
    """

    until: Interval
    cause: LeafIndex
    since: Interval


class Pause(Record, frozen=True):
    """A pause: what its terms ask, and what came of it.

    Attributes:
        proposer: id of the nation that proposed it.
        index: of the entry that did; its terms hold the caps.
        terms: their digest, 32 bytes.
        first_interval: as in the terms.
        interval_count: as in the terms.
        lapses: as in the terms.
        nations_min: as in the terms.
        nations: as in the terms.
        capacity_permille_min: as in the terms.
        phase: a `Phase`.
        newest: the boundary from which the newest accession counts.
        start: the first interval it covers, once it is activated.
        end: the first it does not, as known so far.
        joined: in ascending order of ids.
        pledge_count: how many labs pledged.
        decisions: those without effect yet, in the order in which they carried.
    """

    proposer: str
    index: LeafIndex
    terms: bytes
    first_interval: Interval
    interval_count: int
    lapses: Interval
    nations_min: int
    nations: tuple[str, ...]
    capacity_permille_min: int
    phase: int
    newest: Interval
    start: Interval
    end: Interval
    joined: tuple[Joined, ...]
    pledge_count: int
    decisions: tuple[Decision, ...]

    def covers(self, interval: Interval) -> bool:
        """Say whether the pause is in force in an interval, for those it binds."""
        return self.phase != Phase.PROPOSED and self.start <= interval < self.end


class Commitment(Record, frozen=True):
    """A party's word on a pause: a nation's accession, or a lab's pledge, which has no condition.

    Attributes:
        since: the boundary from which it counts.
        index: of the entry that gave it.
        nations: who must join too.
        nations_min: how many must join in all.
        lapses: the interval at whose beginning it counts for the last time, unless it has bound by then.
    """

    since: Interval
    index: LeafIndex
    nations: tuple[str, ...] = ()
    nations_min: int = 0
    lapses: Interval = Interval(INTERVAL_MAX)


class Undertakings(Record, frozen=True):
    """The pauses that a party has acceded or pledged to, from an interval on until that of the next place."""

    since: Interval
    pauses: tuple[str, ...]


class Freeze(Record, frozen=True):
    """A run as it stood when a pause froze it: SHA-256 of the checkpoint, public band, index of the entry."""

    pause: str
    checkpoint: bytes
    band: int
    index: LeafIndex


class FrozenRun(Record, frozen=True):
    """A run that was frozen, by one pause or by several at a time."""

    freezes: tuple[Freeze, ...]


PAUSES: Final = Table(b"T", Pause)  # by id
COMMITMENTS: Final = Table(b"U", Commitment)  # by pause and party
UNDERTAKINGS: Final = Table(b"V", Undertakings)  # by party and place, from 0
FROZEN_RUNS: Final = Table(b"W", FrozenRun)  # by lab and run


def make_pair_name(first: str, second: str) -> bytes:
    """Name of a record that is found by two ids; neither holds a slash."""
    return f"{first}/{second}".encode()


def make_place_name(party: str, place: int) -> bytes:
    """Name of what a party undertook, by its place."""
    return f"{party}/".encode() + place.to_bytes(4, "big")
