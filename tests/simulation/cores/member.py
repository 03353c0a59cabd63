"""A member that is a core and a driver in memory, which keeps the contract of `node.consensus.messages` and crashes.

Tree and rules are stand-ins, so that what a run costs is the consensus core: this level is for many members and for
many seeds. What `node.driver`, store and mempool do is simulated with whole nodes.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from google.protobuf.message import DecodeError

from ledger.blocks import Header, SealedHeader, parse_header, seal_message, verify_child
from ledger.errors import LedgerError, ProofError
from ledger.merkle import leaf_hash
from ledger.positions import FIRST_EPOCH, Epoch, Height, MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.core import Core
from node.consensus.lanes import Lane
from node.consensus.status import Status
from node.v1 import peer_pb2
from node.wire import (
    encode_certificate,
    encode_finalization,
    encode_message,
    parse_certificate,
    parse_finalization,
    parse_hashes,
    parse_message,
    require_envelope,
)
from tests.simulation.attackers.attacker import STREAM, Attacker
from tests.simulation.checkers.checker import require
from tests.simulation.cores.disk import Disk
from tests.simulation.cores.ledger import (
    INVALID_ENTRY_PREFIX,
    advance,
    genesis_state,
    judge,
    make_header,
)
from tests.simulation.member import CrashedError, Member, Scene
from tests.simulation.trace import describe_action, describe_event

ASK_AGAIN_MS: Final = 150
FULL_DISK_DOWN_MS: Final = 400
COMPACT_EVERY_BLOCKS: Final = 8
INVALID_EVERY: Final = 10
Answer = peer_pb2.FetchResponse
Answers = Callable[[list[Answer]], None]


class CoreMember(Member):
    """An honest core; its mouth may be an attacker's."""

    def __init__(self, scene: Scene, index: int, keys: m.Keys, attacker: type[Attacker] | None) -> None:
        super().__init__(scene, index, keys, attacker)
        self.disk = Disk(SealedHeader(scene.genesis, b""))
        self._evidence_count = 0
        self._submitted_count = 0

    # --- life ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        contents = self._read_log()
        self.pool = dict(self.disk.entries)
        self.arrived_ms: dict[bytes, int] = {}
        self.pulling: dict[bytes, m.ExecuteBlock] = {}
        self.catching: m.FetchFinalBlocks | None = None
        self._promised: dict[bytes, bool] = {}
        self._events: deque[m.Event] = deque()
        self._actions: deque[m.Action] = deque()
        self._is_busy = False
        self._timers: dict[m.TimerName, m.SetTimer] = {}
        self._restore_final_state()
        self.scene.checkers.on_started(self.index, self.disk.newest().header)
        pace = self.scene.pace
        config = m.CoreConfig(
            ledger_id=self.scene.genesis.ledger_id,
            origin=self.scene.origin,
            epoch=FIRST_EPOCH,
            member_count=len(self.scene.members),
            me=self.index,
            quorum=self.scene.quorum,
            delta_ms=Millis(pace.delta_ms),
            delta_max_ms=Millis(pace.delta_max_ms),
            idle_interval_ms=Millis(pace.idle_interval_ms),
            final=self.disk.newest(),
        )
        self.core = Core(config, self.keys, contents.records)
        self.put(m.Started())
        for other in self.others():
            request = peer_pb2.FetchRequest(newest=peer_pb2.NewestFinalization())
            self.ask(other, request, partial(self._take_certificate, other))

    def _read_log(self) -> votelog.LogContents:
        genesis, disk = self.scene.genesis, self.disk
        if disk.vote_log:
            try:
                contents = votelog.read(disk.vote_log, ledger_id=genesis.ledger_id, member=self.index)
            except LedgerError:
                disk.vote_log, disk.is_log_lost = b"", True
            else:
                disk.vote_log = disk.vote_log[: contents.intact_bytes]
                return contents
        disk.vote_log = votelog.create(ledger_id=genesis.ledger_id, member=self.index, is_lost=disk.is_log_lost)
        return votelog.read(disk.vote_log, ledger_id=genesis.ledger_id, member=self.index)

    def _restore_final_state(self) -> None:
        state = genesis_state(self.scene.genesis)
        for block in self.disk.final:
            state = advance(state, block.entry_hashes)
        self.states = {self.disk.newest().header.digest: state}
        self.final_state = state

    def _lose_memory(self) -> None:
        self._events.clear()
        self._actions.clear()

    def lose_log(self) -> None:
        self.disk.vote_log, self.disk.is_log_lost = b"", True

    def save_log(self) -> None:
        self.disk.saved_log = self.disk.vote_log

    def put_log_back(self) -> None:
        if self.disk.saved_log:
            self.disk.vote_log, self.disk.has_old_log = self.disk.saved_log, True

    def damage_log(self, at_percent: int) -> None:
        log = bytearray(self.disk.vote_log)
        if log:
            log[(len(log) - 1) * at_percent // 100] ^= 0x10
            self.disk.vote_log, self.disk.is_log_lost = bytes(log), True

    def status(self) -> Status:
        return self.core.status()

    def final_height(self) -> Height:
        return self.disk.newest().header.height

    def count_evidence(self) -> int:
        return self._evidence_count

    # --- events ----------------------------------------------------------------------------------------------------

    def put(self, event: m.Event) -> None:
        """Handle one event after the other; a crash may come before, within or after any action."""
        if not self.is_up:
            return
        self._events.append(event)
        if not self._is_busy:
            self._is_busy = True
            self._go_on()

    def _go_on(self) -> None:
        """Carry out actions until there are none, or one has to wait for the disk."""
        trace, now_ms = self.scene.trace, self.world.now_ms
        try:
            while self.is_up:
                while self._actions:
                    action = self._actions.popleft()
                    if self.crash_due is not None:
                        self._count_down(action)
                    if isinstance(action, m.Persist):
                        if self.disk_ms:
                            self.world.after(self.disk_ms, partial(self._persist_late, action, self.boot))
                            return
                        self._persist(action)
                    trace.note(now_ms, self.name, describe_action(action))
                    self._carry_out(action)
                if not self._events:
                    break
                event = self._events.popleft()
                if trace.is_read:
                    trace.tell(now_ms, self.name, describe_event(event))
                self._actions.extend(self.core.handle(event, now=self.now()))
        except CrashedError:
            return
        self._is_busy = False

    def _persist_late(self, action: m.Persist, boot: int) -> None:
        if self.is_running(boot):
            try:
                self._persist(action)
            except CrashedError:
                return
            self.scene.trace.note(self.world.now_ms, self.name, describe_action(action))
            self._go_on()

    def _persist(self, action: m.Persist) -> None:
        if self.is_disk_full:
            self.scene.happened["disk full"] += 1
            self.crash(down_ms=FULL_DISK_DOWN_MS)
            raise CrashedError
        self.disk.append(action.record)

    def _count_down(self, action: m.Action) -> None:
        due = self.crash_due
        assert due is not None
        if due.actions > 0:
            due.actions -= 1
            return
        if isinstance(action, m.Persist):
            self.scene.happened["torn write"] += 1
            self.disk.vote_log += action.record[: len(action.record) * due.torn_percent // 100]
        self.crash(down_ms=due.down_ms)
        raise CrashedError

    def _carry_out(self, action: m.Action) -> None:  # noqa: C901, PLR0912  # one case an action
        match action:
            case m.Persist():
                pass
            case m.Broadcast():
                self.scene.checkers.on_said(self.index, action.message)
                for other in self.others():
                    self._send(other, action.message)
            case m.Send():
                self.scene.checkers.on_said(self.index, action.message)
                self._send(action.member, action.message)
            case m.SetTimer():
                self._set_timer(action)
            case m.BuildBlock():
                self._later(lambda: self._build(action))
            case m.ExecuteBlock():
                self.pulling[action.header.digest] = action
                self._later(lambda: self._pull(action, attempt=0))
            case m.FetchBlock():
                block = peer_pb2.FetchRequest(block=peer_pb2.BlockByDigest(digest=action.digest))
                self.ask(action.member, block, partial(self._take_block, action.member))
            case m.FetchCertificate():
                wanted = peer_pb2.CertificateOf(kind=action.kind, view=action.view)
                certificate = peer_pb2.FetchRequest(certificate=wanted)
                self.ask(action.member, certificate, partial(self._take_certificate, action.member))
            case m.FetchViews():
                self._ask_views()
            case m.FetchFinalBlocks():
                self.catching = action
                self._catch_up(action, attempt=0)
            case m.Finalized():
                self._commit(list(action.blocks))
            case m.EvidenceFound():
                self._evidence_count += 1
                self.scene.checkers.on_accused(self.index, action.member, action.misconduct, is_evidence=True)
            case m.PeerMisbehaved():
                what = f"{action.fault} {action.detail}"
                self.scene.checkers.on_accused(self.index, action.member, what, is_evidence=False)
            case m.VoteForgotten():
                is_excused = self.disk.has_old_log or not self.is_honest
                require(is_excused, f"member {self.index} has forgotten a vote that it said")
                self.scene.happened["vote forgotten"] += 1
            case m.QuorumDisagrees():
                raise AssertionError(action)

    def _later(self, happening: Callable[[], None]) -> None:
        """Work takes a while, and is lost if the process crashes meanwhile."""
        boot = self.boot
        self.world.after(
            self.chance.randint(0, self.work_max_ms), lambda: happening() if self.is_running(boot) else None
        )

    def _set_timer(self, action: m.SetTimer) -> None:
        self._timers[action.timer] = action
        boot, delay_ms = self.boot, max(0, action.at_ms - self.now())
        fired = m.TimerFired(action.timer, action.view)

        def fire() -> None:
            if self.is_running(boot) and self._timers.get(action.timer) is action:
                self.put(fired)

        self.world.after(delay_ms, fire)

    # --- saying ----------------------------------------------------------------------------------------------------

    def _send(self, other: MemberIndex, message: m.Message) -> None:
        if self.attacker is None:
            self._carry(other, message)
        else:
            for said in self.words_for(other, message):
                self._carry(other, said)

    def _carry(self, other: MemberIndex, message: m.Message, *, lane: Lane = STREAM) -> None:
        member = self.scene.members[other]
        assert isinstance(member, CoreMember)

        def deliver(is_garbled: bool) -> None:
            if member.is_up:
                member.hear(self.index, self._garble(message) if is_garbled else message, lane)

        self.network.carry(self.index, other, deliver)

    def _garble(self, message: m.Message) -> m.Message | None:
        """Say what is left of a message whose bytes were changed on the way."""
        genesis = self.scene.genesis
        raw = encode_message(message, ledger_id=genesis.ledger_id, epoch=genesis.epoch)
        self.scene.happened["garbled message"] += 1
        try:
            envelope = peer_pb2.PeerMessage.FromString(self.network.draw_garbled(self.index, raw))
            require_envelope(envelope, ledger_id=genesis.ledger_id, epoch=genesis.epoch)
            return parse_message(envelope)
        except (DecodeError, LedgerError):
            return None

    def hear(self, source: MemberIndex, message: m.Message | None, lane: Lane) -> None:
        """Take what arrives."""
        if message is None:
            return
        if self.attacker is not None and self.scene.members[source].is_honest:  # two would go on for ever
            for receiver, said in self.attacker.on_receive(source, message, self.now()):
                self.scene.happened[f"attack {type(self.attacker).__name__}"] += 1
                self._carry(receiver, said, lane=self.attacker.lane)
        self.put(m.MessageReceived(source, message, lane))

    # --- asking ----------------------------------------------------------------------------------------------------

    def ask(self, other: MemberIndex, request: peer_pb2.FetchRequest, take: Answers) -> None:
        """Make a call; the answer, if any, finds only the process that asked."""
        answerer, boot = self.scene.members[other], self.boot
        assert isinstance(answerer, CoreMember)

        def deliver(answers: list[Answer]) -> None:
            if self.is_running(boot):
                try:
                    take(answers)
                except LedgerError:  # a malformed answer is none
                    return

        def put_question(is_garbled: bool) -> None:
            if answerer.is_up and not is_garbled:
                answers = answerer.answer(self.index, request)
                if answers:
                    self.network.carry(other, self.index, lambda lost: None if lost else deliver(answers))

        self.network.carry(self.index, other, put_question)

    def _ask_views(self) -> None:
        for other in self.others():
            request = peer_pb2.FetchRequest(view=peer_pb2.CurrentView())
            self.ask(other, request, partial(self._take_view, other))

    def _take_certificate(self, source: MemberIndex, answers: list[Answer]) -> None:
        for answer in answers[:1]:
            if answer.HasField("finalization"):
                self.put(m.MessageReceived(source, parse_finalization(answer.finalization)))
            elif answer.HasField("certificate"):
                self.put(m.CertificateFetched(source, parse_certificate(answer.certificate, epoch=FIRST_EPOCH)))

    def _take_block(self, source: MemberIndex, answers: list[Answer]) -> None:
        for answer in answers[:1]:
            header = parse_header(answer.block.header)
            self.put(m.BlockFetched(source, header, parse_hashes(answer.block)))

    def _take_view(self, source: MemberIndex, answers: list[Answer]) -> None:
        for answer in answers[:1]:
            self.put(m.ViewTold(source, Epoch(answer.view.epoch), View(answer.view.view)))

    def answer(self, asker: MemberIndex, request: peer_pb2.FetchRequest) -> list[Answer]:
        """Say what an attacker makes of what this member would answer."""
        answers = self._find_answers(request)
        if self.attacker is None:
            return answers
        said = self.attacker.on_answer(asker, request, answers)
        if said != answers:
            self.scene.happened[f"attack {type(self.attacker).__name__}"] += 1
        return said

    def _find_answers(self, request: peer_pb2.FetchRequest) -> list[Answer]:  # noqa: PLR0911  # a case a question
        """Answer from what is known here, as `node.serving` does."""
        newest = self.core.newest_finalization()
        match request.WhichOneof("what"):
            case "newest":
                return [] if newest is None else [Answer(finalization=encode_finalization(newest))]
            case "block":
                return self._find_block(request.block.digest)
            case "certificate":
                wanted = request.certificate
                certificate = self.core.get_certificate(m.VoteKind(wanted.kind), View(wanted.view))
                if certificate is not None:
                    return [Answer(certificate=encode_certificate(certificate))]
                return [] if newest is None else [Answer(finalization=encode_finalization(newest))]
            case "view":
                view = self.core.view_to_tell()
                return [Answer(view=peer_pb2.ViewAnswer(epoch=FIRST_EPOCH, view=view))] if view else []
            case "entries":
                found = [self.pool[leaf] for leaf in request.entries.leaf_hashes if leaf in self.pool]
                return [Answer(entries=peer_pb2.EntryBatch(entries=found))]
            case "final_blocks":
                return [self._encode_final(block) for block in self.disk.final[request.final_blocks.first_height - 1 :]]
            case _:
                return []

    def _find_block(self, digest: bytes) -> list[Answer]:
        known = self.core.get_block(digest)
        if known is None:
            final = [block for block in self.disk.final if block.header.digest == digest]
            return [self._encode_block(block.header.raw, block.entry_hashes) for block in final]
        return [self._encode_block(known.header.raw, known.entry_hashes)]

    @staticmethod
    def _encode_block(header: bytes, leaves: Iterable[bytes]) -> Answer:
        return Answer(block=peer_pb2.Proposal(header=header, entry_hashes=leaves))

    def _encode_final(self, block: m.FinalBlock) -> Answer:
        entries = [self.disk.entries[leaf] for leaf in block.entry_hashes]
        return Answer(final_block=peer_pb2.FinalBlock(header=block.header.raw, seal=block.seal, entries=entries))

    # --- entries ---------------------------------------------------------------------------------------------------

    def submit_next(self) -> bytes | None:
        """A lab hands an entry in: admit it, and gossip it once; every tenth is one that must not get far."""
        if not self.is_up:
            return None
        self._submitted_count += 1
        kind = INVALID_ENTRY_PREFIX if self._submitted_count % INVALID_EVERY == 0 else b"entry"
        entry = kind + b" %d of %d" % (self._submitted_count, self.index)
        self._promised[leaf_hash(entry)] = True
        self._hold([entry])
        for other in self.others():
            member = self.scene.members[other]
            assert isinstance(member, CoreMember)
            self.network.carry(self.index, other, partial(member.take_gossip, entry))
        return None if kind == INVALID_ENTRY_PREFIX else leaf_hash(entry)

    def take_gossip(self, entry: bytes, is_garbled: bool) -> None:
        """Another member was handed this in."""
        if self.is_up and not is_garbled:
            self._hold([entry])

    def _hold(self, entries: list[bytes]) -> None:
        for entry in entries:
            if self.pool.setdefault(leaf_hash(entry), entry) is entry:
                self.arrived_ms.setdefault(leaf_hash(entry), self.now())
        self._tell_pending()

    def _pending(self) -> list[bytes]:
        return [
            leaf
            for leaf, entry in self.pool.items()
            if leaf not in self.final_state.seen and not entry.startswith(INVALID_ENTRY_PREFIX)
        ]

    def _tell_pending(self) -> None:
        oldest = min((self.arrived_ms.get(leaf, self.now()) for leaf in self._pending()), default=None)
        self.put(m.EntriesPending(None if oldest is None else Millis(oldest)))

    # --- blocks ----------------------------------------------------------------------------------------------------

    def _build(self, action: m.BuildBlock) -> None:
        state = self.states.get(action.parent.digest)
        if state is None:
            assert self.core.status().view > action.view, "asked to build on a state that is not held"
            return  # something later became final meanwhile
        leaves = tuple(leaf for leaf in self._pending() if leaf not in state.seen)
        if not leaves and not action.may_be_empty:
            self.put(m.NothingToPropose(action.view))
            return
        header = make_header(action, state, leaves, proposer=self.index)
        self._store(leaves)
        self.states[header.digest] = advance(state, leaves)
        self.put(m.BlockBuilt(action.view, header, leaves))

    def _store(self, leaves: tuple[bytes, ...]) -> None:
        self.disk.entries.update({leaf: self.pool[leaf] for leaf in leaves})

    def _pull(self, action: m.ExecuteBlock, *, attempt: int) -> None:
        missing = [leaf for leaf in action.entry_hashes if leaf not in self.pool]
        if self.pulling.get(action.header.digest) is not action:
            return
        if missing:
            self._pull_from(self._whom(action.source, attempt), missing)
            self._again(lambda: self._pull(action, attempt=attempt + 1))
            return
        del self.pulling[action.header.digest]
        state = self.states.get(action.header.parent)
        if state is None:
            assert action.header.height <= self.final_height() + 1, "asked to execute without a parent"
            return  # another branch became final meanwhile
        rejection = judge(action.header, state, [self.pool[leaf] for leaf in action.entry_hashes])
        if rejection is None:
            self._store(action.entry_hashes)
            self.states[action.header.digest] = advance(state, action.entry_hashes)
        self.put(m.BlockExecuted(action.header.digest, rejection))

    def _pull_from(self, other: MemberIndex, missing: list[bytes]) -> None:
        request = peer_pb2.FetchRequest(entries=peer_pb2.EntriesByHash(leaf_hashes=missing))

        def take(answers: list[Answer]) -> None:
            entries = [entry for answer in answers for entry in answer.entries.entries]
            self._hold([entry for entry in entries if leaf_hash(entry) in missing])

        self.ask(other, request, take)

    def _whom(self, first: MemberIndex, attempt: int) -> MemberIndex:
        others = self.others()
        return first if attempt == 0 and first != self.index else others[(first + attempt) % len(others)]

    def _again(self, happening: Callable[[], None]) -> None:
        boot = self.boot
        self.world.after(ASK_AGAIN_MS, lambda: happening() if self.is_running(boot) else None)

    def _commit(self, blocks: list[m.FinalBlock]) -> None:
        for block in blocks:
            self._store(block.entry_hashes)
            entries = [self.disk.entries[leaf] for leaf in block.entry_hashes]
            self.disk.final.append(block)
            self.scene.checkers.on_final(self.index, block, entries)
            self.final_state = advance(self.final_state, block.entry_hashes)
            for index, leaf in enumerate(block.entry_hashes, start=block.header.first_index):
                if self._promised.pop(leaf, False):
                    self.scene.checkers.on_acknowledged(self.index, leaf, index)
        newest = self.disk.newest().header
        self.states = {d: s for d, s in self.states.items() if s.size >= newest.tree_size}
        self.states[newest.digest] = self.final_state
        if newest.height % COMPACT_EVERY_BLOCKS == 0:
            self.disk.vote_log = votelog.compact(
                self.disk.vote_log,
                ledger_id=newest.ledger_id,
                member=self.index,
                epoch=newest.epoch,
                final_view=newest.view,
            )
        self._tell_pending()

    # --- catching up -----------------------------------------------------------------------------------------------

    def _catch_up(self, action: m.FetchFinalBlocks, *, attempt: int) -> None:
        if self.catching is not action:
            return
        wanted = peer_pb2.FinalBlocks(first_height=action.from_height, count=action.target.height)
        request = peer_pb2.FetchRequest(final_blocks=wanted)
        self.ask(self._whom(action.member, attempt), request, self._take_final_blocks)
        self._again(lambda: self._catch_up(action, attempt=attempt + 1))

    def _take_final_blocks(self, answers: list[Answer]) -> None:
        """Believe a chain of headers that ends in the target; commit it in one go."""
        action = self.catching
        if action is None:
            return
        wanted: list[m.FinalBlock] = []
        entries: dict[bytes, bytes] = {}
        parent, state = self.disk.newest().header, self.final_state
        for answer in answers:
            header, given = parse_header(answer.final_block.header), list(answer.final_block.entries)
            try:
                verify_child(header, parent=parent)
            except ProofError:
                return
            leaves = tuple(leaf_hash(entry) for entry in given)
            if judge(header, state, given) is not None:
                return
            entries |= zip(leaves, given, strict=True)
            state, parent = advance(state, leaves), header
            seal = answer.final_block.seal
            if seal and not self.keys.is_seal(self._seal_message(header), seal):
                return
            wanted.append(m.FinalBlock(header, leaves, seal))
            if header.digest == action.target.digest:
                wanted[-1] = replace(wanted[-1], seal=action.seal)
                break
        else:
            return
        self.catching = None
        self.pool |= entries
        self._commit(wanted)
        self.put(m.CaughtUp(action.target, action.seal))

    def _seal_message(self, header: Header) -> bytes:
        return seal_message(header, self.scene.origin)
