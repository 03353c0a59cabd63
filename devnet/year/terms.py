"""What the nations of the year agreed on: one charter in parts of an interval, whether that is a fortnight or seconds.

Thresholds are ours, in decades near those of the EU AI Act and of California's SB 53; windows are shorter than real
ones would be, so that one year shows how each of them ends.
"""

from typing import Final

from devnet.year.acts import Moment
from ledger.agreement import (
    Agreement,
    Challenges,
    Decisions,
    Incidents,
    Inspections,
    Inventories,
    Pauses,
    Reviews,
    Runs,
)
from ledger.charter import Grid, Limit
from ledger.positions import Interval, Millis, Seconds

ORIGIN: Final = "demo.counterseal.example/year"
TITLE: Final = "A year of the pause"
INTERVALS_PER_YEAR: Final = 26

SUBMIT_PERMILLE: Final = 650
GRACE_PERMILLE: Final = 600
ANSWER_INTERVALS: Final = 3
"""How many intervals a lab has to open what was drawn: long, since labs of the year look only once an interval."""

DECLARE_PFLOP: Final = 10**9
APPROVE_PFLOP: Final = 10**10
RUN_CAP: Final = Limit(
    id="run-cap", quantity="training_pflop_per_run", maximum=10**11, note="10^26 operations for one training run"
)
LIMITS: Final = (RUN_CAP,)


def make_grid(start: Seconds, interval_s: int) -> Grid:
    """The grid: reports are due after `SUBMIT_PERMILLE` of the next interval and missing `GRACE_PERMILLE` later."""
    return Grid(
        start=start,
        interval_s=Seconds(interval_s),
        submit_window_s=_part(interval_s, SUBMIT_PERMILLE),
        grace_s=_part(interval_s, GRACE_PERMILLE),
        correction_window_s=_part(interval_s, 2_000),
        challenge_window_s=_part(interval_s, 1000 * INTERVALS_PER_YEAR),
    )


def make_agreement(interval_s: int) -> Agreement:
    """The agreement, its windows in parts of the interval."""
    return Agreement(
        runs=Runs(
            declare_pflop=DECLARE_PFLOP,
            approve_pflop=APPROVE_PFLOP,
            prohibit_pflop=None,
            post_training_declare_pflop=DECLARE_PFLOP,
            approval_window_s=_part(interval_s, 1_000),
            silence="refuses",
        ),
        reviews=Reviews(
            required_pflop=APPROVE_PFLOP,
            window_s=_part(interval_s, 2_143),  # thirty days, where an interval is a fortnight
            extension_s=_part(interval_s, 2_143),
            extensions_max=1,
            is_binding=True,
            silence="clears",
        ),
        inventories=Inventories(pair_window_s=_part(interval_s, 1_000)),
        challenges=Challenges(
            per_year_max=24,
            response_window_s=_part(interval_s, 1_000),
            missing_after_s=_part(interval_s, 1_000),
            finding_window_s=_part(interval_s, 3_000),
            inspectors_min=2,
            nations_min=2,
        ),
        inspections=Inspections(
            round_s=Seconds(interval_s),
            bad_permille=100,
            confidence_permille=950,
            answer_window_s=_part(interval_s, 1_000 * ANSWER_INTERVALS),
        ),
        pauses=Pauses(
            notice_s=_part(interval_s, 1_000),
            lift="quorum",
            duration_max_s=_part(interval_s, 1000 * INTERVALS_PER_YEAR),
        ),
        decisions=Decisions(voting_window_s=_part(interval_s, 2_000)),
        incidents=Incidents(outage_extension_s=_part(interval_s, 500)),
        retention_s=_part(interval_s, 2 * 1000 * INTERVALS_PER_YEAR),
    )


def compute_time_ms(grid: Grid, base: Interval, moment: Moment) -> Millis:
    """When a moment of the story is, in Unix milliseconds.

    Args:
        grid: of the ledger.
        base: its interval that is interval 0 of the story.
        moment: which.
    """
    return Millis(
        grid.start * 1000 + (base + moment.interval) * grid.interval_s * 1000 + moment.permille * grid.interval_s
    )


def _part(interval_s: int, permille: int) -> Seconds:
    """A part of the interval in whole seconds, rounded up."""
    return Seconds(-(-interval_s * permille // 1000))
