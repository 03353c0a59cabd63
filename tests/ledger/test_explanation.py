"""A charter in plain language: nothing that a rule reads is left out, and a too long interval is told."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from ledger.agreement import Agreement, Section
from ledger.charter import Accelerator, ConsensusParameters, Grid, Limit
from ledger.explanation import Agreed, explain, find_interval_warning, format_operations
from ledger.positions import Millis, Seconds
from tests.ledger.rulebook import AGREEMENT

H100 = Accelerator(model="h100", peak_gflops=989_400, tdp_w=700, idle_w=70)
GRID = Grid(
    start=Seconds(0),
    interval_s=Seconds(86_400),
    submit_window_s=Seconds(7_201),
    grace_s=Seconds(7_202),
    correction_window_s=Seconds(7_203),
    challenge_window_s=Seconds(7_204),
)
AGREED = Agreed(
    title="The pause",
    origin="pause.example/2027",
    members=("Aurelia", "Borealis", "Cimbria", "Dacia"),
    quorum=3,
    grid=GRID,
    limits=(Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note=""),),
    accelerators=(H100,),
    consensus=ConsensusParameters(
        delta_ms=Millis(1), delta_max_ms=Millis(2), idle_interval_ms=Millis(3000), snapshot_interval=0
    ),
    agreement=AGREEMENT,
)


def text_of(agreed: Agreed) -> str:
    return "\n".join(sentence for heading in explain(agreed) for sentence in heading.sentences)


def changes_of(section: Section) -> list[tuple[str, Section]]:
    """Each field of a section, and its sections, changed to another value."""
    found: list[tuple[str, Section]] = []
    for name in section.__struct_fields__:
        value: Any = getattr(section, name)  # Any: a field of any type
        if isinstance(value, Section):
            found += [
                (f"{name}.{inner}", msgspec.structs.replace(section, **{name: changed}))
                for inner, changed in changes_of(value)
            ]
            continue
        words = {"approves": "refuses", "clears": "blocks", "quorum": "all"}
        changed = words[value] if isinstance(value, str) else not value if isinstance(value, bool) else value * 2 + 3600
        found.append((name, msgspec.structs.replace(section, **{name: changed})))
    return found


@pytest.mark.parametrize(("name", "changed"), changes_of(AGREEMENT))
def test_every_number_and_word_of_an_agreement_is_in_a_sentence(name: str, changed: Agreement) -> None:
    assert text_of(replace(AGREED, agreement=changed)) != text_of(AGREED), name


@pytest.mark.parametrize(
    "name", ["interval_s", "submit_window_s", "grace_s", "correction_window_s", "challenge_window_s"]
)
def test_every_window_of_the_grid_is_in_a_sentence(name: str) -> None:
    changed = msgspec.structs.replace(GRID, **{name: Seconds(43_200)})
    assert text_of(replace(AGREED, grid=changed)) != text_of(AGREED)


def test_members_quorum_and_limits_are_named() -> None:
    text = text_of(AGREED)
    assert "Aurelia, Borealis, Cimbria, Dacia" in text
    assert "3 of them together" in text
    assert "`run-cap`: training_pflop_per_run at most 10^24 operations" in text


def test_without_an_agreement_it_says_so_and_nothing_of_pauses() -> None:
    text = text_of(replace(AGREED, agreement=None, limits=()))
    assert "knows only reports" in text
    assert "No limit was agreed" in text
    assert "joins" not in text


def test_ten_thousand_accelerators_reach_10_to_the_24_in_2_9_days_so_a_day_is_short_enough() -> None:
    assert find_interval_warning(GRID, accelerator=H100, count=10_000, threshold_pflop=10**9) is None
    warning = find_interval_warning(GRID, accelerator=H100, count=20_000, threshold_pflop=10**9)
    assert warning is not None
    assert "1 day 11 hours" in warning
    assert "at most 17 hours 32 minutes" in warning


def test_an_interval_of_exactly_half_that_time_is_allowed_and_a_second_more_is_not() -> None:
    crossing_s = 252_678
    fits = msgspec.structs.replace(GRID, interval_s=Seconds(crossing_s // 2))
    exceeds = msgspec.structs.replace(GRID, interval_s=Seconds(crossing_s // 2 + 1))
    assert find_interval_warning(fits, accelerator=H100, count=10_000, threshold_pflop=10**9) is None
    assert find_interval_warning(exceeds, accelerator=H100, count=10_000, threshold_pflop=10**9) is not None


@pytest.mark.parametrize(
    ("pflop", "text"), [(1, "10^15"), (15, "1.5·10^16"), (10**9 - 1, "9.99999999·10^23"), (123 * 10**9, "1.23·10^26")]
)
def test_operations_are_spelt_exactly(pflop: int, text: str) -> None:
    assert format_operations(pflop) == f"{text} operations"
