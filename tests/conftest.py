"""What every test may need: the sample data, and how much hypothesis tries."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent

# No timed assertions: a slow machine is no defect. A failing case is printed so that it can be kept as a test.
settings.register_profile(
    "counterseal", deadline=None, max_examples=50, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("counterseal")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Let no test inherit where another one's command wrote its log: that file may be closed."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def samples_dir() -> Path:
    """Return the folder of real-world sample data, which is too large for the repository; skip where it is absent."""
    named = os.environ.get("COUNTERSEAL_SAMPLES")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "samples"
    if not folder.is_dir():
        pytest.skip("no sample data: set COUNTERSEAL_SAMPLES to its folder")
    return folder
