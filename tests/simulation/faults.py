"""What goes wrong, as a schedule: each fault says when, to whom, for how long; dropping one leaves the others be.

A fault begins and, unless it is over at once, ends; every run ends all of them before it asks for proof of life.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.member import CrashDue, Member, Scene
from tests.simulation.network import Weather


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(ABC):
    """One thing that goes wrong."""

    at_ms: int
    lasts_ms: int = 0

    @abstractmethod
    def begin(self, scene: Scene) -> None:
        """Let it happen."""

    def end(self, scene: Scene) -> None:  # noqa: B027  # many are over at once
        """Let it be over, if it lasts."""

    def kinds(self) -> Iterator[str]:
        """Name what is counted as injected."""
        yield type(self).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class BadWeather(Fault):
    """The network loses, repeats, delays, reorders, garbles."""

    weather: Weather

    def begin(self, scene: Scene) -> None:
        scene.network.worsen(self.weather)

    def end(self, scene: Scene) -> None:
        scene.network.ease(self.weather)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition(Fault):
    """Nothing passes along some ways; the other direction of each is a way of its own."""

    ways: tuple[tuple[int, int], ...]

    def begin(self, scene: Scene) -> None:
        scene.network.cut(self.ways)

    def end(self, scene: Scene) -> None:
        scene.network.mend(self.ways)

    def kinds(self) -> Iterator[str]:
        ways = dict.fromkeys(self.ways)
        is_symmetric = all((other, one) in ways for one, other in self.ways)
        yield "Partition" if is_symmetric else "AsymmetricPartition"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnMember(Fault):
    """Something that happens to one member."""

    member: int

    def _member(self, scene: Scene) -> Member:
        return scene.members[self.member]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash(OnMember):
    """The process is killed some actions later, at the boundary of one or within what it writes."""

    down_ms: int
    actions: int = 0
    torn_percent: int = 50

    def begin(self, scene: Scene) -> None:
        member = self._member(scene)
        if member.is_up and member.crash_due is None:
            member.crash_due = CrashDue(self.actions, self.torn_percent, self.down_ms)

    def kinds(self) -> Iterator[str]:
        yield "Crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackout(Fault):
    """Some or all members crash at once, and come back one after another."""

    members: tuple[int, ...]
    down_ms: tuple[int, ...]

    def begin(self, scene: Scene) -> None:
        for index, down_ms in zip(self.members, self.down_ms, strict=True):
            scene.members[index].crash(down_ms=down_ms)

    def kinds(self) -> Iterator[str]:
        yield "Blackout"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJump(OnMember):
    """A clock is set, forward or back."""

    offset_ms: int

    def begin(self, scene: Scene) -> None:
        self._member(scene).clock_offset_ms = self.offset_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowNode(OnMember):
    """All work takes long."""

    work_max_ms: int

    def begin(self, scene: Scene) -> None:
        member = self._member(scene)
        member.work_max_ms += self.work_max_ms

    def end(self, scene: Scene) -> None:
        member = self._member(scene)
        member.work_max_ms -= self.work_max_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDisk(OnMember):
    """Every write takes long."""

    disk_ms: int

    def begin(self, scene: Scene) -> None:
        self._member(scene).disk_ms += self.disk_ms

    def end(self, scene: Scene) -> None:
        self._member(scene).disk_ms -= self.disk_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class FullDisk(OnMember):
    """Nothing can be written."""

    def begin(self, scene: Scene) -> None:
        self._member(scene).is_disk_full = True

    def end(self, scene: Scene) -> None:
        self._member(scene).is_disk_full = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableDisk(OnMember):
    """Nothing can be read."""

    def begin(self, scene: Scene) -> None:
        self._member(scene).is_disk_unreadable = True
        self._member(scene).on_disk_changed()

    def end(self, scene: Scene) -> None:
        self._member(scene).is_disk_unreadable = False
        self._member(scene).on_disk_changed()


@dataclass(frozen=True, slots=True, kw_only=True)
class LostLog(OnMember):
    """The process is killed and its vote log is gone."""

    down_ms: int

    def begin(self, scene: Scene) -> None:
        member = self._member(scene)
        member.crash(down_ms=self.down_ms)
        member.lose_log()


@dataclass(frozen=True, slots=True, kw_only=True)
class OldLog(OnMember):
    """The vote log is copied, and when this ends, the process is killed and finds the copy in its place."""

    def begin(self, scene: Scene) -> None:
        self._member(scene).save_log()

    def end(self, scene: Scene) -> None:
        member = self._member(scene)
        member.crash(down_ms=1)
        member.put_log_back()


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedLog(OnMember):
    """The process is killed and a byte of its vote log is another."""

    down_ms: int
    at_percent: int

    def begin(self, scene: Scene) -> None:
        member = self._member(scene)
        member.crash(down_ms=self.down_ms)
        member.damage_log(self.at_percent)
