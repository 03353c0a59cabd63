"""What tests that run at the same time must not do to each other on one machine.

A browser gives up whatever it is loading when an address of the machine changes, and tests of namespaces change some.
"""

import contextlib
import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LOCK = Path(tempfile.gettempdir()) / "counterseal-tests-network.lock"


@contextlib.contextmanager
def _locked(how: int) -> Iterator[None]:
    with _LOCK.open("w") as file:
        fcntl.flock(file, how)
        yield


def while_addresses_stay() -> contextlib.AbstractContextManager[None]:
    """Let no test change the machine's addresses."""
    return _locked(fcntl.LOCK_SH)


def while_addresses_change() -> contextlib.AbstractContextManager[None]:
    """Wait for tests that cannot bear a change of the machine's addresses, and keep them waiting."""
    return _locked(fcntl.LOCK_EX)
