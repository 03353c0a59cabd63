"""Virtual time, and a network that drops, delays, repeats, reorders and cuts, all from one seed."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Weather:
    """How bad the network is: chances in percent, delays in milliseconds."""

    drop_percent: int = 0
    repeat_percent: int = 0
    delay_min_ms: int = 2
    delay_max_ms: int = 20


CALM = Weather()


class World:
    """The queue of everything that is going to happen, in one order."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now_ms = 0
        self.weather = CALM
        self._cut: dict[tuple[int, int], bool] = {}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.steps = 0

    def at(self, time_ms: int, happening: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (max(time_ms, self.now_ms), self._count, happening))

    def after(self, delay_ms: int, happening: Callable[[], None]) -> None:
        self.at(self.now_ms + delay_ms, happening)

    def carry(self, sender: int, receiver: int, delivery: Callable[[], None]) -> None:
        """Deliver a message late, twice or never."""
        weather = self.weather
        copies = 2 if self.random.randrange(100) < weather.repeat_percent else 1
        for _ in range(copies):
            if (sender, receiver) in self._cut or self.random.randrange(100) < weather.drop_percent:
                continue
            self.after(self.random.randint(weather.delay_min_ms, weather.delay_max_ms), delivery)

    def cut(self, pairs: list[tuple[int, int]]) -> None:
        """From now on nothing passes from the first to the second of each pair, whatever passes the other way."""
        self._cut = dict.fromkeys(pairs, True)

    def run_until(self, time_ms: int, *, is_done: Callable[[], bool] = lambda: False) -> None:
        while self._queue and self._queue[0][0] <= time_ms and not is_done():
            self.now_ms, _, happening = heapq.heappop(self._queue)
            self.steps += 1
            happening()
        if not is_done():
            self.now_ms = time_ms
