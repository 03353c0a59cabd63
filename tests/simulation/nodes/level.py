"""The level of whole nodes: what runs in production, but for sockets, threads, real disks and real time."""

import logging
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import structlog

from ledger.blocks import Header
from tests.simulation.attackers.attacker import Attacker
from tests.simulation.checkers.beacons import Beacons
from tests.simulation.checkers.validity import Judge
from tests.simulation.keys import MemberKeys
from tests.simulation.member import Member, Scene
from tests.simulation.nodes.founding import ORIGIN, make_foundation, make_keys
from tests.simulation.nodes.judge import ReferenceJudge
from tests.simulation.nodes.machine import Machines
from tests.simulation.nodes.member import NodeMember
from tests.simulation.plan import Plan

FAST_DISK: Final = Path("/dev/shm")


class Nodes:
    """A `simulation.Level` for one run."""

    name = "nodes"
    origin = ORIGIN

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(tempfile.mkdtemp(dir=FAST_DISK if FAST_DISK.is_dir() else None))
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        before = structlog.get_config()
        self._stack.callback(lambda: structlog.configure(**before))
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), processors=[_drop])
        self._machines = Machines()
        self._stack.enter_context(self._machines.instead_of_the_system())
        self._judge: ReferenceJudge | None = None
        self._beacons: Beacons | None = None

    def make_genesis(self, plan: Plan) -> Header:
        return make_foundation(plan.member_count, plan.pace).genesis

    def make_judge(self, plan: Plan) -> Judge:
        self._foundation = make_foundation(plan.member_count, plan.pace)
        self._judge = ReferenceJudge(self._foundation.charter.entry)
        return self._judge

    def make_member(self, scene: Scene, index: int, keys: MemberKeys, attacker: type[Attacker] | None) -> Member:
        assert self._judge is not None
        if self._beacons is None:
            self._beacons = Beacons(self._foundation.charter, self._foundation.genesis, scene.happened)
            scene.checkers.add(self._beacons)
        return NodeMember(
            scene,
            index,
            keys,
            attacker,
            foundation=self._foundation,
            folder=self._folder / f"m{index}",
            machines=self._machines,
            judge=self._judge,
            beacons=self._beacons,
        )

    def make_keys(self, plan: Plan, index: int, quorum: int) -> MemberKeys:
        return make_keys(plan, index, quorum)

    def close(self) -> None:
        self._stack.close()


def _drop(_logger: object, _name: str, _event: object) -> str:
    """Write no log: a trace says what happened."""
    raise structlog.DropEvent
