"""A whole node: the real driver, mempool, admission, rules, store, vote log, catch-up and wire, on such a machine."""

import asyncio
import sqlite3
from asyncio import events
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from ledger.errors import ConditionError, LedgerError
from ledger.positions import Height, MemberIndex
from node.consensus import messages as m
from node.consensus.status import Status
from node.metrics import Metrics
from node.outbox import Urgency
from node.v1 import peer_pb2
from node.votefile import VoteFile
from tests.simulation.attackers.attacker import Attacker
from tests.simulation.checkers.beacons import Beacons
from tests.simulation.keys import MemberKeys
from tests.simulation.member import CrashedError, Member, Scene
from tests.simulation.nodes.desk import Desk
from tests.simulation.nodes.founding import POSTER, Foundation
from tests.simulation.nodes.judge import ReferenceJudge
from tests.simulation.nodes.loop import ProcessLoop
from tests.simulation.nodes.machine import Machine, Machines
from tests.simulation.nodes.process import Process

STOPPED_MS: Final = 400
WRONG_EVERY: Final = 10
WRITE_MAX_MS: Final = 1
_NEXT: Final = MemberIndex(POSTER + 1)


@contextmanager
def _current(loop: ProcessLoop) -> Iterator[None]:
    """Let what is made now belong to a loop."""
    before = events._get_running_loop()
    events._set_running_loop(loop)
    try:
        yield
    finally:
        events._set_running_loop(before)


class NodeMember(Member):
    """An honest node; its mouth may be an attacker's."""

    def __init__(
        self,
        scene: Scene,
        index: int,
        keys: MemberKeys,
        attacker: type[Attacker] | None,
        *,
        foundation: Foundation,
        folder: Path,
        machines: Machines,
        judge: ReferenceJudge,
        beacons: Beacons,
    ) -> None:
        super().__init__(scene, index, keys, attacker)
        self.keys: MemberKeys = keys
        self.foundation, self.judge, self.beacons, self._machines = foundation, judge, beacons, machines
        folder.mkdir()
        self.machine = Machine(folder, reach=self.reach, is_full=lambda: self.is_disk_full)
        self.machine.store.write_bytes(foundation.store)
        self.metrics = Metrics()
        self.desk = Desk(scene, self.name, foundation.statements[index - 1], self._hand_to)
        self.process: Process
        self._dying: Process | None = None
        self._height = Height(0)
        self._status: Status | None = None
        self._submitted_count = 0
        self._disk_free_ms = 0
        self._has_begun = False
        self._torn_percent: int | None = None
        self.evidence_count = 0

    def other_members(self) -> Mapping[MemberIndex, "NodeMember"]:
        """Give everybody else."""
        others: dict[MemberIndex, NodeMember] = {}
        for index in self.others():
            other = self.scene.members[index]
            assert isinstance(other, NodeMember)
            others[index] = other
        return others

    # --- life ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._disk_free_ms = self.world.now_ms
        loop = ProcessLoop(  # type: ignore[abstract]  # what it lacks, no node uses
            self.world, do_on_disk=partial(self._do_on_disk, self.boot), draw_work_ms=self._draw_work_ms
        )
        try:
            with self._machines.working(self.machine), _current(loop):
                if not self._has_begun:
                    self._begin_log()
                self.process = Process(self, loop)
                self._has_begun = True
        except CrashedError:
            return
        except ConditionError as error:
            self.scene.trace.note(self.world.now_ms, self.name, f"cannot start: {error.code}, {error.found}")
            self.crash(down_ms=STOPPED_MS)
            return
        self.process.begin()

    def _begin_log(self) -> None:
        log = VoteFile(self.machine.votes, ledger_id=self.scene.genesis.ledger_id, member=self.index)
        log.create()
        log.close()

    def _lose_memory(self) -> None:
        process = getattr(self, "process", None)
        torn_percent = 50 if self._torn_percent is None else self._torn_percent
        self._torn_percent = None
        if process is None or process.loop.is_killed:
            self.machine.lose_unsynced(torn_percent)
            return
        process.loop.kill()
        self._dying = process
        self._status = process.driver.core.status()
        self.world.after(0, partial(self._bury, process, torn_percent))

    def _bury(self, process: Process, torn_percent: int) -> None:
        process.loop.bury()
        process.close()
        self._dying = None
        self.machine.lose_unsynced(torn_percent)

    def stop(self, condition: ConditionError) -> None:
        """End as a node does that cannot go on; somebody starts it again."""
        self.scene.happened[f"stopped {condition.code}"] += 1
        self.scene.trace.note(self.world.now_ms, self.name, f"stops: {condition.code}, {condition.found}")
        self.crash(down_ms=STOPPED_MS)

    def reach(self, point: str) -> None:
        """Pass a point at which the process may be killed.

        Raises:
            CrashedError: it is.
        """
        if not self.is_up:
            raise CrashedError
        due = self.crash_due
        if due is None:
            return
        if due.actions > 0:
            due.actions -= 1
            return
        self.scene.happened[f"killed at {point}"] += 1
        self._torn_percent = due.torn_percent
        self.crash(down_ms=max(1, due.down_ms))
        raise CrashedError

    def close(self) -> None:
        if self.is_up:
            self.is_up = False
            self.process.loop.kill()
            self._dying = self.process
        if self._dying is not None:  # a violation may end the run before anybody is buried
            self._dying.loop.bury()
            self._dying.close()
            self._dying = None

    def lose_log(self) -> None:
        self.world.after(0, lambda: self.machine.votes.unlink(missing_ok=True))

    def damage_log(self, at_percent: int) -> None:
        self.world.after(0, partial(self._damage_log, at_percent))

    def _damage_log(self, at_percent: int) -> None:
        if self.machine.votes.exists():
            log = bytearray(self.machine.votes.read_bytes())
            log[(len(log) - 1) * at_percent // 100] ^= 0x10
            self.machine.votes.write_bytes(bytes(log))

    def status(self) -> Status:
        return self.process.driver.core.status()

    def final_height(self) -> Height:
        return self._height

    def count_evidence(self) -> int:
        return self.evidence_count

    # --- the machine -------------------------------------------------------------------------------------------------

    def _draw_work_ms(self) -> int:
        return self.chance.randint(0, self.work_max_ms) // 4

    def _do_on_disk(self, boot: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> "asyncio.Future[Any]":
        """Write, one after the other, each after a while; a crash may come before, within and after."""
        future: asyncio.Future[Any] = self.process.loop.create_future()
        delay_ms = self.disk_ms + self.chance.randint(0, WRITE_MAX_MS)
        self._disk_free_ms = max(self._disk_free_ms, self.world.now_ms) + delay_ms
        self.world.at(self._disk_free_ms, partial(self._write, boot, function, arguments, future))
        return future

    def _write(
        self, boot: int, function: Callable[..., Any], arguments: tuple[Any, ...], future: "asyncio.Future[Any]"
    ) -> None:
        if not self.is_running(boot):
            return
        self.scene.trace.note(self.world.now_ms, self.name, f"writes: {getattr(function, '__name__', '?')}")
        try:
            with self._machines.working(self.machine):
                answer = function(*arguments)
        except CrashedError:
            return
        except (LedgerError, sqlite3.Error) as error:
            if not future.done():
                future.set_exception(error)
        else:
            if self.is_running(boot) and not future.done():
                future.set_result(answer)

    # --- what is said and known --------------------------------------------------------------------------------------

    def on_disk_changed(self) -> None:
        if self.is_up:
            self.process.store.be_unreadable(is_so=self.is_disk_unreadable)

    def say(self, receiver: MemberIndex, urgency: Urgency, raw: bytes) -> None:
        """Put bytes on their way."""
        self.process.links.send(receiver, urgency, raw)

    def reply_to(self, source: MemberIndex, message: m.Message) -> list[tuple[MemberIndex, m.Message]]:
        """Ask an attacker what it says to what has come in."""
        assert self.attacker is not None
        if not self.scene.members[source].is_honest:  # two that react to each other would go on for ever
            return []
        said = self.attacker.on_receive(source, message, self.now())
        if said:
            self.scene.happened[f"attack {type(self.attacker).__name__}"] += 1
        return said

    def answers_for(
        self, asker: MemberIndex, question: peer_pb2.FetchRequest, answers: list[peer_pb2.FetchResponse]
    ) -> list[peer_pb2.FetchResponse]:
        """Say what an attacker makes of what this node would answer."""
        if self.attacker is None:
            return answers
        said = self.attacker.on_answer(asker, question, answers)
        if said != answers:
            self.scene.happened[f"attack {type(self.attacker).__name__}"] += 1
        return said

    def on_final(self, block: m.FinalBlock, entries: Sequence[bytes]) -> None:
        """Learn that a block is on this machine's disk."""
        if block.header.height == 0:
            return
        self._height = block.header.height
        self.scene.trace.note(self.world.now_ms, self.name, f"has committed {block.header.height}")
        self.scene.checkers.on_final(self.index, block, entries)

    # --- statements --------------------------------------------------------------------------------------------------

    def submit_next(self) -> bytes | None:
        self._submitted_count += 1
        if self._submitted_count % WRONG_EVERY == 0:
            self.hand_in(self.desk.wrong_statement(), self.desk)
            return None
        desk = self.other_members()[_NEXT].desk if self.index == POSTER else self.desk  # its own chain has the beacons
        return desk.want_next(self.index)

    def _hand_to(self, index: int, statement: bytes, desk: Desk) -> None:
        member = self.scene.members[index]
        assert isinstance(member, NodeMember)
        member.hand_in(statement, desk)

    def hand_in(self, statement: bytes, desk: Desk) -> None:
        """Take a statement, if there is anybody to take it."""
        if self.is_up:
            self.process.hand_in(statement, desk)
