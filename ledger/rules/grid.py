"""The grid: which interval a time falls into, and until when something about an interval may be filed.

Interval k is [start + k·L, start + (k+1)·L), half open, in ledger time (milliseconds of block headers). A lab files the
index k and never bounds, so gaps, overlaps and back-dating cannot be expressed.

    end k ──submit window──► due ──grace──► grace end          due ──correction window──► corrections close

Outages: when no block was sealed for so long that some interval began, ended, fell due and ran out of grace meanwhile,
nobody could file. Then every due date that was still open moves by the part of the outage that lay after the interval's
end, and every grace that was still open by the part that lay after due. Shorter silences are what the windows are for.
Deadlines stay in the order of their intervals, and an outage never reopens one that had passed.

Everything here is arithmetic on integers; nothing reads a clock.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ledger import charter
from ledger.positions import Interval, Millis


class Grid(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The charter's grid in milliseconds.

    Attributes:
        start_ms: where interval 0 begins, Unix time.
        interval_ms: length L of an interval.
        submit_window_ms: from the end of an interval to its due date.
        grace_ms: from due to the end of grace.
        correction_window_ms: from due until corrections no longer replace what was declared.
    """

    start_ms: int
    interval_ms: int
    submit_window_ms: int
    grace_ms: int
    correction_window_ms: int


class Outage(NamedTuple):
    """A time without blocks: from the last block before it to the first after it."""

    start_ms: int
    end_ms: int


class Deadlines(NamedTuple):
    """When the windows of one interval end; each is the first moment that is too late."""

    due_ms: Millis
    grace_ms: Millis
    correction_ms: Millis


def compute_grid(terms: charter.Grid) -> Grid:
    """The grid in milliseconds, from what the charter says in seconds."""
    return Grid(
        start_ms=terms.start * 1000,
        interval_ms=terms.interval_s * 1000,
        submit_window_ms=terms.submit_window_s * 1000,
        grace_ms=terms.grace_s * 1000,
        correction_window_ms=terms.correction_window_s * 1000,
    )


def compute_start_ms(grid: Grid, interval: Interval) -> Millis:
    """First moment of an interval."""
    return Millis(grid.start_ms + interval * grid.interval_ms)


def compute_end_ms(grid: Grid, interval: Interval) -> Millis:
    """First moment after an interval: from here on it may be reported."""
    return Millis(grid.start_ms + (interval + 1) * grid.interval_ms)


def compute_next_interval(grid: Grid, time_ms: Millis) -> Interval:
    """The interval that begins at the next boundary strictly after `time_ms`: what is new counts from there."""
    return Interval(max(0, (time_ms - grid.start_ms) // grid.interval_ms + 1))


def compute_outage_threshold_ms(grid: Grid) -> int:
    """The shortest silence that holds the whole course of an interval, from its start to the end of its grace.

    One interval more than that course, since a silence may begin anywhere within an interval.
    """
    return 2 * grid.interval_ms + grid.submit_window_ms + grid.grace_ms


def is_outage(grid: Grid, *, previous_ms: Millis, time_ms: Millis) -> bool:
    """Say whether the time between two consecutive blocks was an outage."""
    return time_ms - previous_ms > compute_outage_threshold_ms(grid)


def compute_deadlines(
    grid: Grid, interval: Interval, outages: Sequence[Outage] = (), *, extension_ms: int = 0
) -> Deadlines:
    """When the windows of an interval end, after the outages so far.

    Args:
        grid: of the charter.
        interval: which.
        outages: of the network, in the order of time, none overlapping.
        extension_ms: by how much a lab's due date is later, because of an outage of its own.
    """
    end = compute_end_ms(grid, interval)
    due = end + grid.submit_window_ms + extension_ms
    if not outages:
        return Deadlines(Millis(due), Millis(due + grid.grace_ms), Millis(due + grid.correction_window_ms))
    due = extend_deadline(due, since=end, outages=outages)
    grace = extend_deadline(due + grid.grace_ms, since=due, outages=outages)
    return Deadlines(Millis(due), Millis(grace), Millis(due + grid.correction_window_ms))


def extend_deadline(deadline: int, *, since: int, outages: Sequence[Outage]) -> int:
    """Move a deadline by what each outage took of the time from `since` on, if it had not passed when it began."""
    for outage in outages:
        if outage.start_ms >= deadline:
            break
        if outage.end_ms > since:
            deadline += outage.end_ms - max(outage.start_ms, since)
    return deadline
