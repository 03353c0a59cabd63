"""`lab.promises`: a promise about a pause follows from all its caps, or is the lab's own word."""

import pytest

from lab.promises import Decided, PauseLimit, decide_limits
from ledger.charter import Limit
from ledger.errors import Code, ConditionError
from ledger.statements.pauses import Cap
from tests.lab.test_crosschecks import SANE

LIMIT = Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note="")
ENERGY, RUNS = "energy_wh_per_interval", "training_pflop_per_run"
UNKNOWN = "models_released_per_interval"


def decide(*caps: tuple[str, int], promises: dict[str, bool] | None = None) -> Decided:
    pause = PauseLimit("pause-p", tuple(Cap(quantity=quantity, maximum=maximum) for quantity, maximum in caps))
    return decide_limits({"hall-1": SANE}, limits=[LIMIT], pauses=[pause], runs_before={}, promises=promises or {})


def respects(decided: Decided) -> bool:
    (first, second) = decided.respected["hall-1"]
    assert (first.limit, second.limit) == ("run-cap", "pause-p")
    return second.respected


@pytest.mark.parametrize(
    ("energy", "pflop", "respected"), [(5_000, 5_432, True), (4_999, 5_432, False), (5_000, 5_431, False)]
)
def test_every_cap_of_a_pause_must_hold(energy: int, pflop: int, respected: bool) -> None:
    assert respects(decide((ENERGY, energy), (RUNS, pflop))) is respected


def test_a_cap_that_no_record_shows_needs_the_labs_word() -> None:
    with pytest.raises(ConditionError) as caught:
        decide((ENERGY, 5_000), (UNKNOWN, 0))
    assert (caught.value.code, caught.value.field) == (Code.CONFIG, "promises.pause-p")
    assert respects(decide((ENERGY, 5_000), (UNKNOWN, 0), promises={"pause-p": True}))


def test_a_cap_that_is_exceeded_decides_whatever_the_others_are() -> None:
    decided = decide((ENERGY, 1), (UNKNOWN, 0), promises={"pause-p": True})
    (finding,) = decided.findings
    assert (finding.check, finding.field) == ("LIMIT", "pause-p")
    assert not respects(decide((ENERGY, 1), (UNKNOWN, 0)))


def test_pauses_stand_after_the_limits_of_the_charter_in_their_order() -> None:
    pauses = [PauseLimit(f"pause-{name}", (Cap(quantity=RUNS, maximum=10**9),)) for name in ("a", "b")]
    decided = decide_limits({"hall-1": SANE}, limits=[LIMIT], pauses=pauses, runs_before={}, promises={})
    assert [line.limit for line in decided.respected["hall-1"]] == ["run-cap", "pause-a", "pause-b"]
