"""Presets for charters: limits and agreements after rules that exist or were proposed, each number with its source.

A preset is where founders begin to talk, not where they end: everything is written into the draft, and can be changed
there. Where a source is silent the number is ours and is the same in all presets: windows, quotas, sample sizes.

Sources of thresholds, in operations:
- `eu`: Regulation (EU) 2024/1689, Art. 51(2): 10^25 for general-purpose models with systemic risk.
- `miri`: MIRI's draft treaty on a halt: 10^22 monitored, 10^24 prohibited, 10^23 for post-training.
- `ca`: California SB 53 (2025): 10^26, later training included.
- `ny`: New York RAISE Act: 10^26.
- `eo14110`: Executive Order 14110 §4.2(b), rescinded in January 2025: 10^26.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
from ledger.charter import Limit
from ledger.errors import Code, ConditionError
from ledger.positions import Seconds
from ledger.statements.intoto import encode_quantity, parse_quantity

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
ROUNDS_PER_INTERVAL: Final = 24
RETENTION_AFTER_CHALLENGES_S: Final = 90 * DAY_S


@dataclass(frozen=True, slots=True)
class Preset:
    """Where a charter's numbers come from.

    Attributes:
        name: as typed.
        source: what it follows, in a line.
        declare_pflop: a run from here on is declared.
        approve_pflop: and from here on approved.
        prohibit_pflop: and from here on not allowed; None if nothing is.
        post_training_pflop: as `declare_pflop`, of further training.
        is_binding: whether a review before release binds.
    """

    name: str
    source: str
    declare_pflop: int
    approve_pflop: int
    prohibit_pflop: int | None
    post_training_pflop: int
    is_binding: bool


PRESETS: Final[Mapping[str, Preset]] = {
    preset.name: preset
    for preset in (
        Preset("eu", "EU AI Act, Art. 51(2): systemic risk from 10^25", 10**9, 10**10, None, 10**9, is_binding=False),
        Preset(
            "miri",
            "MIRI draft treaty: 10^22 monitored, 10^24 prohibited, 10^23 post-training",
            10**7,
            10**8,
            10**9,
            10**8,
            is_binding=True,
        ),
        Preset("ca", "California SB 53: frontier from 10^26", 10**10, 10**11, None, 10**10, is_binding=False),
        Preset("ny", "New York RAISE Act: frontier from 10^26", 10**10, 10**11, None, 10**10, is_binding=True),
        Preset("eo14110", "Executive Order 14110 (rescinded): 10^26", 10**11, 10**11, None, 10**11, is_binding=False),
    )
}


def find_preset(name: str) -> Preset:
    """Give a preset by its name.

    Raises:
        ConditionError: there is none (`CONFIG`).
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise ConditionError(field="--preset", found=name, expected=f"one of {', '.join(PRESETS)}", code=Code.CONFIG)
    return preset


def make_limits(preset: Preset) -> tuple[Limit, ...]:
    """The promises that every report makes: no run beyond what is prohibited, where something is."""
    if preset.prohibit_pflop is None:
        return ()
    maximum = encode_quantity(preset.prohibit_pflop - 1)
    return (Limit(id="run-cap", quantity="training_pflop_per_run", maximum=maximum, note=preset.source),)


def make_agreement(preset: Preset, *, interval_s: int, challenge_window_s: int) -> Agreement:
    """The agreement of a preset on a grid; rounds are as many an interval as divide it, up to `ROUNDS_PER_INTERVAL`."""
    rounds = next(count for count in range(ROUNDS_PER_INTERVAL, 0, -1) if interval_s % count == 0)
    prohibit = preset.prohibit_pflop
    return Agreement(
        runs=Runs(
            declare_pflop=encode_quantity(preset.declare_pflop),
            approve_pflop=encode_quantity(preset.approve_pflop),
            prohibit_pflop=None if prohibit is None else encode_quantity(prohibit),
            post_training_declare_pflop=encode_quantity(preset.post_training_pflop),
            approval_window_s=Seconds(14 * DAY_S),
            silence="refuses",
        ),
        reviews=Reviews(
            required_pflop=encode_quantity(preset.approve_pflop),
            window_s=Seconds(30 * DAY_S),
            extension_s=Seconds(30 * DAY_S),
            extensions_max=1,
            is_binding=preset.is_binding,
            silence="clears",
        ),
        inventories=Inventories(pair_window_s=Seconds(14 * DAY_S)),
        challenges=Challenges(
            per_year_max=24,
            response_window_s=Seconds(14 * DAY_S),
            missing_after_s=Seconds(14 * DAY_S),
            finding_window_s=Seconds(60 * DAY_S),
            inspectors_min=2,
            nations_min=2,
        ),
        inspections=Inspections(
            round_s=Seconds(interval_s // rounds),
            bad_permille=10,
            confidence_permille=950,
            answer_window_s=Seconds(2 * DAY_S),
        ),
        pauses=Pauses(notice_s=Seconds(14 * DAY_S), lift="quorum", duration_max_s=Seconds(2 * 365 * DAY_S)),
        decisions=Decisions(voting_window_s=Seconds(30 * DAY_S)),
        incidents=Incidents(outage_extension_s=Seconds(7 * DAY_S)),
        retention_s=Seconds(challenge_window_s + RETENTION_AFTER_CHALLENGES_S),
    )


def compute_warning_threshold_pflop(agreement: Agreement) -> int:
    """The threshold that a cluster must not cross unseen: what is prohibited, or else what needs approval."""
    runs = agreement.runs
    return parse_quantity(
        runs.approve_pflop if runs.prohibit_pflop is None else runs.prohibit_pflop, field="agreement.runs"
    )
