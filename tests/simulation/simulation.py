"""One run: faults for a while, then calm, then proof of life. A pure function of its plan."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ledger.blocks import Header
from tests.simulation.attackers.attacker import Attacker
from tests.simulation.checkers.checker import require
from tests.simulation.checkers.every import Checkers
from tests.simulation.checkers.validity import Judge
from tests.simulation.faults import Fault
from tests.simulation.keys import MemberKeys
from tests.simulation.member import WORK_MAX_MS, Member, Scene
from tests.simulation.network import Network
from tests.simulation.plan import Plan, tolerated
from tests.simulation.trace import Trace
from tests.simulation.world import World


class Level(Protocol):
    """What members of one level are made of."""

    name: str
    origin: str

    def make_genesis(self, plan: Plan) -> Header:
        """Found the ledger."""

    def make_judge(self, plan: Plan) -> Judge:
        """Make the rules that the checkers run."""

    def make_member(self, scene: Scene, index: int, keys: MemberKeys, attacker: type[Attacker] | None) -> Member:
        """Make a member that is not started."""

    def make_keys(self, plan: Plan, index: int, quorum: int) -> MemberKeys:
        """Make one member's keys."""

    def close(self) -> None:
        """Give back what the run used."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    trace: str
    height: int
    entries: int
    acknowledged: int
    steps: int
    virtual_ms: int
    evidence: int
    happened: Counter[str]


class Simulation:
    """The run of one plan at one level."""

    def __init__(self, plan: Plan, level: Level, *, kept_lines: int = 0) -> None:
        self.plan, self.level = plan, level
        self.world = World(plan.seed)
        self.trace = Trace(kept=kept_lines)
        self.network = Network(self.world, plan.member_count)
        everybody = range(1, plan.member_count + 1)
        honest = {index: index not in plan.attackers for index in everybody}
        genesis, quorum = level.make_genesis(plan), plan.member_count - tolerated(plan.member_count)
        self.checkers = Checkers(honest, genesis, level.make_judge(plan), self.network)
        self.members: dict[int, Member] = {}
        self.scene = Scene(
            world=self.world,
            network=self.network,
            checkers=self.checkers,
            trace=self.trace,
            members=self.members,
            genesis=genesis,
            origin=level.origin,
            quorum=quorum,
            pace=plan.pace,
            happened=Counter(),
        )
        for index in everybody:
            keys = level.make_keys(plan, index, quorum)
            self.members[index] = level.make_member(self.scene, index, keys, plan.attackers.get(index))
        self.honest = [self.members[index] for index in everybody if honest[index]]
        self._lasting: dict[int, Fault] = {}

    def run(self) -> Outcome:
        """Run the whole plan.

        Raises:
            ViolationError: something happened that must not, or nothing that must.
        """
        try:
            self.begin()
            self.world.run_until(self.plan.faults_ms)
            self.calm()
            self.prove_life()
            return self.outcome()
        finally:
            self.close()

    def close(self) -> None:
        """Give back what the run used; nothing can run after that."""
        for member in self.members.values():
            member.close()
        self.level.close()

    def outcome(self) -> Outcome:
        """Sum up."""
        return Outcome(
            trace=self.trace.digest(),
            height=self.checkers.agreement.tallest(),
            entries=len(self.checkers.validity.heights_of),
            acknowledged=len(self.checkers.receipts.acknowledged),
            steps=self.world.steps,
            virtual_ms=self.world.now_ms,
            evidence=sum(member.count_evidence() for member in self.honest),
            happened=self.scene.happened,
        )

    # --- faults ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start everybody, and schedule what goes wrong and what is submitted."""
        for number, fault in enumerate(self.plan.faults):
            self.world.at(fault.at_ms, partial(self._begin_fault, number, fault))
        for member in self.members.values():
            self.world.at(0, member.start)
        chance = self.world.make_chance("submissions")
        for at_ms in range(100, self.plan.faults_ms, self.plan.submit_every_ms):
            member = self.members[chance.randint(1, self.plan.member_count)]
            self.world.at(at_ms, partial(_submit, member))

    def _begin_fault(self, number: int, fault: Fault) -> None:
        self.trace.note(self.world.now_ms, "***", f"{fault}")
        self.scene.happened.update(f"fault {kind}" for kind in fault.kinds())
        fault.begin(self.scene)
        if fault.lasts_ms:
            self._lasting[number] = fault
            self.world.after(fault.lasts_ms, lambda: self._end_fault(number))

    def _end_fault(self, number: int) -> None:
        fault = self._lasting.pop(number, None)
        if fault is not None:
            self.trace.note(self.world.now_ms, "***", f"over: {fault}")
            fault.end(self.scene)

    def calm(self) -> None:
        """End every fault, and bring back who is down; clocks stay as they are."""
        for number in list(self._lasting):
            self._end_fault(number)
        for member in self.members.values():
            assert (member.work_max_ms, member.disk_ms, member.is_disk_full) == (WORK_MAX_MS, 0, False)
            member.crash_due = None
            if not member.is_up:
                member.start()

    # --- proof of life ---------------------------------------------------------------------------------------------

    def prove_life(self) -> None:
        """With every fault gone, every honest member must make new entries final in bounded time.

        Raises:
            ViolationError: it has not.
        """
        fresh = [_submit_fresh(member) for member in self.honest]
        lagging = list(self.honest)
        heights = self.checkers.validity.heights_of

        def is_alive() -> bool:
            while fresh and fresh[-1] in heights:
                fresh.pop()
            while not fresh and lagging and lagging[-1].final_height() >= goal():
                lagging.pop()
            return not lagging

        def goal() -> int:
            return max(heights[leaf] for leaf in asked)

        asked = list(fresh)
        self.world.run_until(self.world.now_ms + self.plan.recovery_ms, is_done=is_alive)
        require(is_alive(), self._describe(len(fresh)))

    def _describe(self, fresh_count: int) -> str:
        lines = [f"{fresh_count} new entries are not final {self.plan.recovery_ms} ms after the faults stopped:"]
        lines += [f"{_describe_status(member)}" for member in self.honest]
        return "\n".join(lines)


def _describe_status(member: Member) -> str:
    if not member.is_up:
        return f"{member.name} is down, final {member.final_height()}"
    status = member.status()
    doing = "recovering" if status.is_recovering else "catching up" if status.is_catching_up else "voting"
    return (
        f"{member.name} is {doing} in view {status.view} (muted to {status.muted_until_view}), final "
        f"{member.final_height()}, notarized {status.notarized_view}, delta {status.delta_ms} ms, {status.dropped}"
    )


def _submit(member: Member) -> None:
    member.submit_next()


def _submit_fresh(member: Member) -> bytes:
    while (leaf := member.submit_next()) is None:
        pass
    return leaf
