"""Virtual time: the queue of everything that is going to happen, in one order, and chance from one seed.

Nothing in a simulation looks at a real clock, at a thread, or at the order of a set; so a run is a pure function of its
plan. Chance comes in streams with names: what one member or link draws does not move when another draws more, so a plan
with a fault less stays close to the plan it was made from, which is what makes shrinking work.
"""

import heapq
from collections.abc import Callable
from random import Random


class World:
    """What happens next."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_ms = 0
        self.steps = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def make_chance(self, name: str) -> Random:
        """Give a stream of chance that nobody else draws from."""
        return Random(f"{self.seed} {name}")

    def at(self, time_ms: int, happening: Callable[[], None]) -> None:
        """Let something happen at a time, or now if that is past; what was asked for first happens first."""
        self._count += 1
        heapq.heappush(self._queue, (max(time_ms, self.now_ms), self._count, happening))

    def after(self, delay_ms: int, happening: Callable[[], None]) -> None:
        """Let something happen later."""
        self.at(self.now_ms + delay_ms, happening)

    def run_until(self, time_ms: int, *, is_done: Callable[[], bool] | None = None) -> None:
        """Let everything happen up to a time, or until it is done."""
        queue = self._queue
        while queue and queue[0][0] <= time_ms:
            if is_done is not None and is_done():
                return
            self.now_ms, _, happening = heapq.heappop(queue)
            self.steps += 1
            happening()
        self.now_ms = time_ms
