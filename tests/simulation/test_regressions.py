"""What was found once is not found again."""

import pytest

from tests.simulation.regressions import REGRESSIONS
from tests.simulation.runs import run_plan


@pytest.mark.parametrize("name", REGRESSIONS)
def test_what_was_mended_stays_mended(name: str) -> None:
    regression = REGRESSIONS[name]
    assert run_plan(regression.plan, regression.level).violation is None, regression.found
