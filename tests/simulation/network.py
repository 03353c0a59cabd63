"""A network that drops, delays, repeats, reorders, garbles and cuts; each direction of each pair for itself."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is: chances in percent, delays in milliseconds."""

    drop_percent: int = 0
    repeat_percent: int = 0
    garble_percent: int = 0
    delay_min_ms: int = 2
    delay_max_ms: int = 20

    def __or__(self, other: "Weather") -> "Weather":
        """Give the worse of both in every respect."""
        return Weather(
            drop_percent=max(self.drop_percent, other.drop_percent),
            repeat_percent=max(self.repeat_percent, other.repeat_percent),
            garble_percent=max(self.garble_percent, other.garble_percent),
            delay_min_ms=min(self.delay_min_ms, other.delay_min_ms),
            delay_max_ms=max(self.delay_max_ms, other.delay_max_ms),
        )


CALM = Weather()


class Network:
    """Carries what members say to each other."""

    def __init__(self, world: World, member_count: int) -> None:
        self.world, self.member_count = world, member_count
        self.weather = CALM
        self.carried = 0
        self.dropped: Counter[str] = Counter()
        self.garbled_from: dict[int, bool] = {}
        self._fronts: list[Weather] = []
        self._cuts: Counter[tuple[int, int]] = Counter()
        self._chance = {index: world.make_chance(f"link {index}") for index in range(1, member_count + 1)}

    def worsen(self, front: Weather) -> None:
        """Let bad weather come."""
        self._fronts.append(front)
        self._reckon()

    def ease(self, front: Weather) -> None:
        """Let it go again."""
        self._fronts.remove(front)
        self._reckon()

    def _reckon(self) -> None:
        self.weather = CALM
        for front in self._fronts:
            self.weather |= front

    def cut(self, ways: Iterable[tuple[int, int]]) -> None:
        """From now on nothing passes from the first to the second of each, whatever passes the other way."""
        self._cuts.update(ways)

    def mend(self, ways: Iterable[tuple[int, int]]) -> None:
        """Take a cut back; a way that was cut twice must be mended twice."""
        self._cuts -= Counter(ways)

    def is_open(self, sender: int, receiver: int) -> bool:
        """Say whether anything passes this way now."""
        return (sender, receiver) not in self._cuts

    def draw_garbled(self, sender: int, raw: bytes) -> bytes:
        """Change some of what is sent, or cut it off."""
        chance = self._chance[sender]
        self.garbled_from[sender] = True
        garbled = bytearray(raw)
        for _ in range(chance.randint(1, 4)):
            if garbled:
                garbled[chance.randrange(len(garbled))] ^= 1 << chance.randrange(8)
        return bytes(garbled[: chance.randint(0, len(raw))] if chance.randrange(4) == 0 else garbled)

    def carry(self, sender: int, receiver: int, deliver: Callable[[bool], None]) -> int:
        """Deliver late, twice or never; `deliver` is told whether to garble. Says how many copies are on their way."""
        weather, chance = self.weather, self._chance[sender]
        if weather is CALM and not self._cuts:
            self.carried += 1
            self.world.after(_draw_delay(chance.random(), weather), partial(deliver, False))
            return 1
        sent = 0
        for _ in range(2 if chance.randrange(100) < weather.repeat_percent else 1):
            if (sender, receiver) in self._cuts:
                self.dropped["cut"] += 1
            elif chance.randrange(100) < weather.drop_percent:
                self.dropped["lost"] += 1
            else:
                sent += 1
                is_garbled = chance.randrange(100) < weather.garble_percent
                delay_ms = _draw_delay(chance.random(), weather)
                self.world.after(delay_ms, partial(deliver, is_garbled))
        self.carried += sent
        return sent


def _draw_delay(drawn: float, weather: Weather) -> int:
    return weather.delay_min_ms + int(drawn * (weather.delay_max_ms - weather.delay_min_ms + 1))
