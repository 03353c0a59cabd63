"""What was filed for each lab's interval, what was said of it, and how far verdicts have been computed."""

from typing import Final

from ledger.positions import Interval
from ledger.rules.record import Record, Table


class Filing(Record, frozen=True):
    """What a lab filed for an interval and what was said of it; `ledger.rules.verdicts` packs the rows.

    Attributes:
        filed: when the report came, a `verdicts.Filed`; 0 if it has not.
        is_contested: a correction came after the correction window.
        is_queued: the next block opens with what changed here.
        latest: leaf hash of the latest report or correction; empty if there is none.
        rows: a fixed-width piece per cluster that counts in this interval, in ascending order of their ids.
    """

    filed: int
    is_contested: bool
    is_queued: bool
    latest: bytes
    rows: bytes


class Cursor(Record, frozen=True):
    """How far a deadline has been served: every lab of earlier intervals, and labs below `lab` of `interval`."""

    interval: Interval
    lab: int


class Progress(Record, frozen=True):
    """How far verdicts have been computed, and what waits: changes `queue_start` up to `queue_end`."""

    lab_count: int
    due: Cursor
    grace: Cursor
    queue_start: int
    queue_end: int


class Change(Record, frozen=True):
    """A (lab, interval) whose verdicts changed after due."""

    lab: int
    interval: Interval


PROGRESS: Final = Table(b"C", Progress)
FILINGS: Final = Table(b"J", Filing, is_packed=True)  # by lab number and interval
CHANGES: Final = Table(b"K", Change)  # by place in the queue


def make_filing_name(lab: int, interval: Interval) -> bytes:
    """Name of the filing of a lab for an interval."""
    return (lab << 32 | interval).to_bytes(8, "big")


def make_queue_name(place: int) -> bytes:
    """Name of a change in the queue."""
    return place.to_bytes(8, "big")
