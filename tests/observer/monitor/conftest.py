"""The ledger on which everything happens, made once."""

from collections.abc import Iterator

import pytest
import structlog

from tests.observer.monitor.story import StoryLedger, make_story


@pytest.fixture(scope="session")
def story() -> StoryLedger:
    """A ledger that no test may change."""
    return make_story()


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """A command that ran in this process has set where messages go, and that place is gone by the next test."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
