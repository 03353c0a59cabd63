"""Runs a node that kills itself at one point: `python -m tests.network.victim <plan> -m counterseal node run …`.

A plan is `<point>:<pass>:<how>`. At the named pass through the point (`node.failpoints`) the process sends itself
SIGKILL, after what `how` says: nothing; `torn=<k>`: k bytes of the write that is about to happen are written (at most
all but one); `unsynced`: what was written since the last sync is taken back, as a power failure would.
"""

import os
import signal
import sys

import counterseal
from node import driver, failpoints, starting

COMPACT_EVERY_BLOCKS = 2  # so that a vote log is shortened within a test's patience
AHEAD_MIN = 1  # so that a snapshot is far enough ahead within it
SEEK_S = 90.0  # a busy machine has not made the links sooner


class Killer:
    """Counts the passes through one point."""

    def __init__(self, plan: str) -> None:
        self._point, passes, self._how = plan.split(":")
        assert self._point in failpoints.POINTS, self._point
        self._left = int(passes)
        self._unsynced: tuple[int, int] | None = None

    def act(self, point: str, torn: failpoints.Torn | None) -> None:
        if torn is not None:
            self._unsynced = (torn.file, os.fstat(torn.file).st_size)
        if point != self._point:
            return
        self._left -= 1
        if self._left > 0:
            return
        if self._how == "unsynced":
            assert self._unsynced is not None
            os.ftruncate(*self._unsynced)
        elif self._how:
            assert torn is not None
            part = min(int(self._how.removeprefix("torn=")), len(torn.raw) - 1)
            os.write(torn.file, torn.raw[:part])
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    plan, module, *words = sys.argv[1:]
    assert (plan.count(":"), module, words[0]) == (2, "-m", "counterseal")
    failpoints.install(Killer(plan).act)
    setattr(driver, "COMPACT_EVERY_BLOCKS", COMPACT_EVERY_BLOCKS)  # noqa: B010  # a Final, for all but this test
    setattr(starting, "AHEAD_MIN", AHEAD_MIN)  # noqa: B010  # the same
    setattr(starting, "SEEK_S", SEEK_S)  # noqa: B010  # the same
    counterseal.main(words[1:])
