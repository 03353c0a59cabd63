"""The ledger on which everything happens, made once."""

import pytest

from tests.observer.monitor.story import StoryLedger, make_story


@pytest.fixture(scope="session")
def story() -> StoryLedger:
    """A ledger that no test may change."""
    return make_story()
