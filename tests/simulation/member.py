"""What a member is at both levels: a process on a machine with a disk and a clock, that faults happen to."""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import Final

from ledger.blocks import Header
from ledger.positions import Height, MemberIndex, Millis
from node.consensus import messages as m
from node.consensus.status import Status
from tests.simulation.attackers.attacker import Attacker, Mouth
from tests.simulation.checkers.every import Checkers
from tests.simulation.network import Network
from tests.simulation.trace import Trace
from tests.simulation.world import World

EPOCH_MS: Final = 1_000_000  # what clocks that are right show when a run begins, counted from the ledger's founding
WORK_MAX_MS: Final = 4


class CrashedError(BaseException):
    """The process stops here and now; nothing of the node may catch it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long members wait, as a charter says it."""

    delta_ms: int = 50
    delta_max_ms: int = 800
    idle_interval_ms: int = 600


@dataclass(frozen=True, slots=True)
class Scene:
    """What all members of one run share."""

    world: World
    network: Network
    checkers: Checkers
    trace: Trace
    members: "dict[int, Member]"
    genesis: Header
    origin: str
    quorum: int
    pace: Pace
    happened: Counter[str]


@dataclass(slots=True)
class CrashDue:
    """A crash at an action boundary: so many actions from now, and how much of a write gets onto the disk."""

    actions: int
    torn_percent: int
    down_ms: int


class Member(ABC):
    """One member; honest, or with the mouth of an attacker."""

    def __init__(self, scene: Scene, index: int, keys: m.Keys, attacker: type[Attacker] | None) -> None:
        self.scene, self.index, self.keys = scene, MemberIndex(index), keys
        self.world, self.network = scene.world, scene.network
        self.chance = scene.world.make_chance(f"member {index}")
        self.name = f"m{index}"
        self.boot = 0
        self.is_up = False
        self.clock_offset_ms = 0
        self.work_max_ms = WORK_MAX_MS
        self.disk_ms = 0
        self.is_disk_full = False
        self.is_disk_unreadable = False
        self.crash_due: CrashDue | None = None
        mouth = Mouth(
            self.index,
            keys,
            scene.genesis,
            scene.origin,
            member_count=scene.network.member_count,
            quorum=scene.quorum,
            random=scene.world.make_chance(f"attacker {index}"),
        )
        self.attacker = None if attacker is None else attacker(mouth)

    @property
    def is_honest(self) -> bool:
        """Say whether its mouth is its own."""
        return self.attacker is None

    def now(self) -> Millis:
        """Read this machine's clock."""
        return Millis(self.scene.genesis.time_ms + EPOCH_MS + self.world.now_ms + self.clock_offset_ms)

    def others(self) -> list[MemberIndex]:
        """Name everybody else."""
        return [MemberIndex(index) for index in self.scene.members if index != self.index]

    # --- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Come up with what the disk holds and nothing else."""
        assert not self.is_up
        self.boot += 1
        self.is_up = True
        self.scene.trace.note(self.world.now_ms, self.name, f"starts for the {self.boot}. time")
        self._start()

    def crash(self, *, down_ms: int) -> None:
        """Lose everything but the disk, and come back after a while."""
        if not self.is_up:
            return
        self.is_up = False
        self.crash_due = None
        self.scene.happened["crash"] += 1
        self.scene.trace.note(self.world.now_ms, self.name, "crashes")
        self._lose_memory()
        boot = self.boot
        self.world.after(down_ms, lambda: self.start() if not self.is_up and self.boot == boot else None)

    def is_running(self, boot: int) -> bool:
        """Say whether the process that was started then still runs."""
        return self.is_up and self.boot == boot

    @abstractmethod
    def _start(self) -> None:
        """Make the process."""

    @abstractmethod
    def _lose_memory(self) -> None:
        """Forget the process: nothing of it has any effect from now on; the disk keeps what was synced."""

    @abstractmethod
    def lose_log(self) -> None:
        """Take the vote log off the disk of a member that is down."""

    @abstractmethod
    def damage_log(self, at_percent: int) -> None:
        """Change a byte of the vote log of a member that is down."""

    def save_log(self) -> None:  # noqa: B027  # at the level of cores
        """Make a copy of the vote log."""

    def put_log_back(self) -> None:  # noqa: B027
        """Put the copy in the place of the vote log of a member that is down."""

    @abstractmethod
    def status(self) -> Status:
        """Say how the core stands."""

    @abstractmethod
    def final_height(self) -> Height:
        """Say which block is the newest final one here."""

    @abstractmethod
    def submit_next(self) -> bytes | None:
        """Let a lab hand its next statement in here; gives its hash, or None if it is none that becomes final."""

    @abstractmethod
    def count_evidence(self) -> int:
        """Say how much evidence of misconduct was found here."""

    def on_disk_changed(self) -> None:  # noqa: B027  # some look when they read
        """Learn that the disk can be read no more, or again."""

    def close(self) -> None:  # noqa: B027  # some use nothing
        """Give back what the member used."""

    # --- what is said ------------------------------------------------------------------------------------------------

    def words_for(self, receiver: MemberIndex, message: m.Message) -> list[m.Message]:
        """Give what is really said to one member."""
        if self.attacker is None:
            return [message]
        said = self.attacker.on_send(message, receiver, self.now())
        if len(said) != 1 or said[0] is not message:
            self.scene.happened[f"attack {type(self.attacker).__name__}"] += 1
        return said
