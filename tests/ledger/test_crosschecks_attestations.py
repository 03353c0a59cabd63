"""`ledger.crosschecks.attestations`: no chip that is not listed, none twice, no link that one side alone knows."""

import pytest

from ledger.crosschecks.attestations import (
    compare_attested,
    compare_chips_across,
    compare_freshness,
    compare_topology,
    find_shared_chips,
)
from ledger.crosschecks.comparisons import Outcome
from ledger.positions import Seconds

HOLDS, FAILS, SKIPPED = Outcome.HOLDS, Outcome.FAILS, Outcome.NOT_COMPARABLE


@pytest.mark.parametrize(
    ("attested", "listed", "outcomes"),
    [
        (["1", "2"], {"1", "2", "3"}, (HOLDS, HOLDS)),
        ([], {"1"}, (HOLDS, HOLDS)),
        (["1", "4"], {"1", "2", "3"}, (FAILS, HOLDS)),
        (["1", "1"], {"1", "2", "3"}, (HOLDS, FAILS)),
        (["4", "4"], [], (FAILS, FAILS)),
        (["1", "2"], None, (SKIPPED, HOLDS)),
        (["1", "1"], None, (SKIPPED, FAILS)),
    ],
)
def test_attested_chips_are_listed_and_shown_once(
    attested: list[str], listed: list[str] | None, outcomes: tuple[Outcome, Outcome]
) -> None:
    compared = compare_attested("hall-1", attested=attested, listed=listed)
    assert tuple(found.outcome for found in compared) == outcomes
    assert all(found.check == "X9" for found in compared)


def test_strangers_are_named_and_very_many_counted() -> None:
    strangers, _ = compare_attested("hall-1", attested=["x", *"123456"], listed=["x"])
    assert strangers.found == "not in it: 1, 2, 3 and 3 more"


def test_a_chip_lent_to_another_lab_is_found_at_both() -> None:
    attested = {"lab-a/c1": ["1", "2", "2"], "lab-a/c2": ["3"], "lab-b/c1": ["4", "2"], "lab-c/c1": ["2"]}
    assert find_shared_chips(attested) == {"2": ("lab-a/c1", "lab-b/c1", "lab-c/c1")}
    compared = compare_chips_across(attested)
    assert [(found.subject, found.outcome) for found in compared] == [
        ("lab-a/c1", FAILS),
        ("lab-a/c2", HOLDS),
        ("lab-b/c1", FAILS),
        ("lab-c/c1", FAILS),
    ]
    assert compared[2].found == "also shown: 2 by lab-a/c1, lab-c/c1"


GPUS = {f"g{gpu}": ["s0", "s1"] for gpu in range(4)}
SWITCHES = {"s0": list(GPUS), "s1": list(GPUS)}


def check_topology(gpus: dict[str, list[str]], switches: dict[str, list[str]]) -> list[str]:
    compared = compare_topology("machine", gpus=gpus, switches=switches)
    assert len(compared) == len(gpus) + len(switches)
    return [found.field for found in compared if found.outcome != HOLDS]


def test_accelerators_and_switches_that_name_each_other_hold() -> None:
    assert check_topology(GPUS, SWITCHES) == []
    assert check_topology({**GPUS, "g0": ["s1", "s0", "s1"]}, SWITCHES) == []  # a link each, so repetitions


@pytest.mark.parametrize(
    ("gpus", "switches", "fields"),
    [
        ({**GPUS, "g1": ["s0"]}, SWITCHES, ["gpu.g1", "switch.s1"]),
        ({**GPUS, "g1": ["s0", "s1", "s9"]}, SWITCHES, ["gpu.g1"]),
        ({**GPUS, "g1": []}, SWITCHES, ["gpu.g1", "switch.s0", "switch.s1"]),
        (GPUS, {**SWITCHES, "s0": ["g0", "g1", "g2"]}, ["gpu.g3", "switch.s0"]),
        (GPUS, {**SWITCHES, "s0": [*GPUS, "g9"]}, ["switch.s0"]),
        (GPUS, {"s0": list(GPUS)}, [f"gpu.{gpu}" for gpu in GPUS]),
        ({**GPUS, "other": ["s7"]}, SWITCHES, ["gpu.other"]),
        ({"g0": []}, {"s0": []}, ["gpu.g0", "switch.s0"]),
    ],
)
def test_a_link_that_one_side_alone_knows_fails(
    gpus: dict[str, list[str]], switches: dict[str, list[str]], fields: list[str]
) -> None:
    assert check_topology(gpus, switches) == fields


def test_what_is_missing_and_what_is_too_many_is_said() -> None:
    compared = compare_topology("m", gpus={"g0": ["s0", "s9"]}, switches={"s0": [], "s1": ["g0"]})
    assert compared[0].found == "names 2; not named by s0, s9; does not name s1"


def test_one_kind_alone_is_not_compared() -> None:
    for gpus, switches in ((GPUS, {}), ({}, SWITCHES)):
        (found,) = compare_topology("machine", gpus=gpus, switches=switches)
        assert (found.check, found.outcome) == ("X10", SKIPPED)


@pytest.mark.parametrize(
    ("not_before", "shown_at", "outcome"),
    [
        (1_000, 1_000, HOLDS),
        (1_000, 4_600, HOLDS),
        (1_000, 4_601, FAILS),
        (1_000, 999, FAILS),
        (None, 4_600, SKIPPED),
    ],
)
def test_a_quote_is_no_older_than_an_interval_and_not_from_the_future(
    not_before: int | None, shown_at: int, outcome: Outcome
) -> None:
    made = None if not_before is None else Seconds(not_before)
    found = compare_freshness("chip 1", not_before=made, shown_at=Seconds(shown_at), interval_s=3_600)
    assert (found.check, found.outcome) == ("X14", outcome)
