"""One run: faults for a while, then calm, then proof of life. A pure function of its seed."""

from dataclasses import dataclass, field, replace

from ledger.blocks import genesis_header
from ledger.positions import Millis
from tests.simulation.checkers import Checkers
from tests.simulation.member import WORK_MAX_MS, Member, Network
from tests.simulation.network import CALM, Weather, World

FAULTS_MS = 6_000
RECOVERY_MS = 20_000


@dataclass(frozen=True)
class Plan:
    """What a run is made of."""

    seed: int
    member_count: int = 4
    attackers: dict[int, type[Member]] = field(default_factory=dict)
    weather: Weather = field(
        default_factory=lambda: Weather(drop_percent=10, repeat_percent=10, delay_min_ms=1, delay_max_ms=60)
    )
    crash_per_mille: int = 2
    has_partitions: bool = True
    slow_work_max_ms: int = 150
    lost_log_of: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    trace: str
    height: int
    entries: int
    steps: int
    evidence: int


class Simulation:
    """The run of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World(plan.seed)
        count = plan.member_count
        honest = {index: index not in plan.attackers for index in range(1, count + 1)}
        self.checkers = Checkers(honest)
        self.members: dict[int, Member] = {}
        genesis = genesis_header(b"charter", Millis(1_000))
        network = Network(self.world, self.checkers, self.members, genesis, count - (count - 1) // 3)
        for index in range(1, count + 1):
            kind = plan.attackers.get(index, Member)
            self.members[index] = kind(network, index, clock_offset_ms=self.world.random.randint(-200, 200))
        self.honest = [self.members[index] for index, is_honest in honest.items() if is_honest]
        self._submitted = 0

    def run(self) -> Outcome:
        for member in self.members.values():
            member.start()
        self._fault()
        self._recover()
        height = self.checkers.tallest()
        return Outcome(
            trace=self.checkers.trace.hexdigest(),
            height=height,
            entries=len(self.checkers.acknowledged),
            steps=self.world.steps,
            evidence=sum(len(member.evidence) for member in self.honest),
        )

    # --- faults ----------------------------------------------------------------------------------------------------

    def _fault(self) -> None:
        world, plan = self.world, self.plan
        world.weather = plan.weather
        for member in self.honest:
            member.crash_per_mille = plan.crash_per_mille
        for at_ms in range(100, FAULTS_MS, 250):
            world.at(at_ms, self._submit)
        for at_ms in range(500, FAULTS_MS, 700):
            world.at(at_ms, self._restart)
        if plan.has_partitions:
            for at_ms in range(1_000, FAULTS_MS, 1_000):
                world.at(at_ms, self._cut)
        for at_ms in range(800, FAULTS_MS, 900):
            world.at(at_ms, self._jump)
        slow = world.random.choice(list(self.members.values()))
        slow.work_max_ms = plan.slow_work_max_ms
        if plan.lost_log_of is not None:
            world.at(FAULTS_MS // 2, self._lose_log)
        world.run_until(FAULTS_MS)

    def _submit(self) -> None:
        self._submitted += 1
        member = self.members[self.world.random.randint(1, len(self.members))]
        prefix = b"invalid" if self._submitted % 10 == 0 else b"entry"
        member.submit(prefix + b" %d" % self._submitted)

    def _restart(self) -> None:
        for member in self.members.values():
            if not member.is_up and self.world.random.randrange(2):
                member.start()

    def _cut(self) -> None:
        """Cut the members in two, in both directions or in one, or mend."""
        sides = {index: self.world.random.randrange(2) for index in self.members}
        ways = self.world.random.randrange(3)
        self.world.cut(
            [
                (one, other)
                for one in self.members
                for other in self.members
                if (sides[one] < sides[other] and ways >= 1) or (sides[one] > sides[other] and ways == 2)
            ]
        )

    def _jump(self) -> None:
        """Set somebody's clock, forward or back; two of them stay within what a header's time may be ahead."""
        member = self.world.random.choice(list(self.members.values()))
        member.clock_offset_ms = self.world.random.randint(-900, 900)

    def _lose_log(self) -> None:
        assert self.plan.lost_log_of is not None
        member = self.members[self.plan.lost_log_of]
        member.crash()
        member.disk.vote_log, member.disk.is_log_lost = b"", True
        member.start()

    # --- proof of life ---------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """With every fault gone, every honest member must make new entries final in bounded time."""
        self.world.weather = replace(CALM)
        self.world.cut([])
        for member in self.members.values():
            member.crash_per_mille = 0
            member.work_max_ms = WORK_MAX_MS
            if not member.is_up:
                member.start()
        fresh = [b"fresh %d" % member.index for member in self.honest]
        for member, entry in zip(self.honest, fresh, strict=True):
            member.submit(entry)
        self.world.run_until(FAULTS_MS + RECOVERY_MS, is_done=lambda: self._is_alive(len(fresh)))
        assert self._is_alive(len(fresh)), self._describe()

    def _is_alive(self, fresh_count: int) -> bool:
        final = [
            sum(entry.startswith(b"fresh") for leaf in member.final_state.seen for entry in [member.disk.entries[leaf]])
            for member in self.honest
        ]
        return min(final) >= fresh_count

    def _describe(self) -> str:
        return "no progress after the faults stopped:\n" + "\n".join(
            f"{member.index}: {member.core.status()}" for member in self.honest
        )
