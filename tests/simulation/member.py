"""One member: a core, and a driver in memory that keeps the contract of `node.consensus.messages` and crashes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from ledger.blocks import Header, SealedHeader, compute_entries_digest, encode_header, verify_child
from ledger.errors import Code, ProofError, Rejection, reject
from ledger.merkle import leaf_hash
from ledger.positions import FIRST_EPOCH, Height, LeafIndex, MemberIndex, Millis, TreeSize
from node.consensus import messages as m
from node.consensus import votelog
from node.consensus.core import Core
from tests.simulation.checkers import INVALID_ENTRY_PREFIX, Checkers
from tests.simulation.disk import CrashedError, Disk
from tests.simulation.keys import CheapKeys
from tests.simulation.network import World

ORIGIN = "simulation.example/ledger"
ASK_AGAIN_MS = 150
WORK_MAX_MS = 4


@dataclass(frozen=True)
class State:
    """What a block leads to: the tree's root and size, and every entry so far."""

    root: bytes
    size: int
    seen: frozenset[bytes]


@dataclass(frozen=True)
class Network:
    """What all members share."""

    world: World
    checkers: Checkers
    members: "dict[int, Member]"
    genesis: Header
    quorum: int
    delta_ms: int = 50
    delta_max_ms: int = 800
    idle_interval_ms: int = 600


class Member:
    """An honest member."""

    def __init__(self, network: Network, index: int, *, clock_offset_ms: int = 0) -> None:
        self.network, self.index, self.world = network, index, network.world
        self.disk = Disk(SealedHeader(network.genesis, b""))
        self.clock_offset_ms = clock_offset_ms
        self.boot = 0
        self.is_up = False
        self.crash_per_mille = 0
        self.work_max_ms = WORK_MAX_MS
        self.evidence: list[m.EvidenceFound] = []

    # --- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Come up with what the disk holds and nothing else."""
        self.boot += 1
        self.is_up = True
        if not self.disk.vote_log:
            self.disk.vote_log = votelog.create(
                ledger_id=self.network.genesis.ledger_id, member=MemberIndex(self.index), is_lost=self.disk.is_log_lost
            )
        contents = votelog.read(
            self.disk.vote_log, ledger_id=self.network.genesis.ledger_id, member=MemberIndex(self.index)
        )
        self.disk.vote_log = self.disk.vote_log[: contents.intact_bytes]
        self.pool = dict(self.disk.entries)
        self.arrived_ms: dict[bytes, int] = {}
        self.states: dict[bytes, State] = {}
        self.pulling: dict[bytes, m.ExecuteBlock] = {}
        self.catching: m.FetchFinalBlocks | None = None
        self._queue: list[m.Event] = []
        self._is_handling = False
        self._timers: dict[m.TimerName, m.SetTimer] = {}
        self._restore_final_state()
        config = m.CoreConfig(
            ledger_id=self.network.genesis.ledger_id,
            origin=ORIGIN,
            epoch=FIRST_EPOCH,
            member_count=len(self.network.members),
            me=MemberIndex(self.index),
            quorum=self.network.quorum,
            delta_ms=Millis(self.network.delta_ms),
            delta_max_ms=Millis(self.network.delta_max_ms),
            idle_interval_ms=Millis(self.network.idle_interval_ms),
            final=self.disk.newest(),
        )
        self.keys = CheapKeys(self.index, self.network.quorum)
        self.core = Core(config, self.keys, contents.records)
        self.put(m.Started())
        for other in self.network.members:
            self.ask(other, lambda answerer, asker: answerer.tell_finalization(asker))

    def _restore_final_state(self) -> None:
        state = genesis_state(self.network.genesis)
        self.states[self.network.genesis.digest] = state
        for block in self.disk.final:
            state = advance(state, block.entry_hashes)
        self.states = {self.disk.newest().header.digest: state}
        self.final_state = state

    def crash(self) -> None:
        """Lose everything but the disk."""
        self.is_up = False
        self._queue.clear()

    def now(self) -> Millis:
        return Millis(1_000_000 + self.world.now_ms + self.clock_offset_ms)

    # --- events ----------------------------------------------------------------------------------------------------

    def put(self, event: m.Event) -> None:
        """Handle one event after the other; a crash may come before or within any action."""
        if not self.is_up:
            return
        self._queue.append(event)
        if self._is_handling:
            return
        self._is_handling = True
        try:
            while self._queue and self.is_up:
                for action in self.core.handle(self._queue.pop(0), now=self.now()):
                    if self.world.random.randrange(1000) < self.crash_per_mille:
                        self._crash_at(action)
                    self.network.checkers.note(self.index, self.world.now_ms, action)
                    self.carry_out(action)
        except CrashedError:
            self.crash()
        finally:
            self._is_handling = False

    def _crash_at(self, action: m.Action) -> None:
        if isinstance(action, m.Persist):
            self.disk.append(action.record, torn_at=self.world.random.randrange(len(action.record)))
        raise CrashedError

    def carry_out(self, action: m.Action) -> None:  # noqa: C901, PLR0912  # one case an action
        match action:
            case m.Persist():
                self.disk.append(action.record)
            case m.Broadcast():
                for other in self.network.members:
                    self.send(other, action.message)
            case m.Send():
                self.send(action.member, action.message)
            case m.SetTimer():
                self._set_timer(action)
            case m.BuildBlock():
                self._later(lambda: self._build(action))
            case m.ExecuteBlock():
                self.pulling[action.header.digest] = action
                self._later(lambda: self._pull(action, attempt=0))
            case m.FetchBlock():
                self.ask(action.member, lambda answerer, asker: answerer.tell_block(asker, action.digest))
            case m.FetchCertificate():
                self.ask(action.member, lambda answerer, asker: answerer.tell_certificate(asker, action))
            case m.FetchViews():
                for other in self.network.members:
                    self.ask(other, lambda answerer, asker: answerer.tell_view(asker))
            case m.FetchFinalBlocks():
                self.catching = action
                self._catch_up(action, attempt=0)
            case m.Finalized():
                self._commit(list(action.blocks))
            case m.EvidenceFound():
                self.evidence.append(action)
                assert not self.network.checkers.honest[action.member], f"honest member accused: {action}"
            case m.PeerMisbehaved():
                assert not self.network.checkers.honest[action.member], f"honest member accused: {action}"
            case m.QuorumDisagrees():
                raise AssertionError(action)

    # --- sending ---------------------------------------------------------------------------------------------------

    def send(self, other: int, message: m.Message) -> None:
        if other != self.index:
            self.network.checkers.on_said(self.index, message)
            member = self.network.members[other]
            self.world.carry(self.index, other, lambda: member.put(m.MessageReceived(MemberIndex(self.index), message)))

    def ask(self, other: int, question: "Callable[[Member, Asker], None]") -> None:
        """Make a call; the answer, if any, finds only the process that asked."""
        if other != self.index:
            answerer, asker = self.network.members[other], Asker(self, self.boot)
            self.world.carry(self.index, other, lambda: question(answerer, asker) if answerer.is_up else None)

    def tell_finalization(self, asker: "Asker") -> None:
        newest = self.core.newest_finalization()
        if newest is not None:
            asker.answer(self, lambda member: member.put(m.MessageReceived(MemberIndex(self.index), newest)))

    def tell_block(self, asker: "Asker", digest: bytes) -> None:
        known = self.core.get_block(digest)
        found = [known] if known else [block for block in self.disk.final if block.header.digest == digest]
        for block in found:
            fetched = m.BlockFetched(MemberIndex(self.index), block.header, block.entry_hashes)
            asker.answer(self, lambda member, fetched=fetched: member.put(fetched))  # type: ignore[misc]

    def tell_certificate(self, asker: "Asker", wanted: m.FetchCertificate) -> None:
        certificate = self.core.get_certificate(wanted.kind, wanted.view)
        if certificate is None:
            self.tell_finalization(asker)
        else:
            asker.answer(self, lambda member: member.put(m.CertificateFetched(MemberIndex(self.index), certificate)))

    def tell_view(self, asker: "Asker") -> None:
        view = self.core.view_to_tell()
        if view is not None:
            asker.answer(self, lambda member: member.put(m.ViewTold(MemberIndex(self.index), FIRST_EPOCH, view)))

    def tell_entries(self, asker: "Asker", wanted: list[bytes]) -> None:
        found = [self.pool[leaf] for leaf in wanted if leaf in self.pool]
        asker.answer(self, lambda member: member.hold(found))

    def tell_final_blocks(self, asker: "Asker", first_height: int) -> None:
        blocks = self.disk.final[first_height - 1 :]
        entries = [self.disk.entries[leaf] for block in blocks for leaf in block.entry_hashes]
        asker.answer(self, lambda member: member.take_final_blocks(list(blocks), entries))

    # --- entries ---------------------------------------------------------------------------------------------------

    def submit(self, entry: bytes) -> None:
        """A lab hands an entry in: admit it, and gossip it once."""
        if self.is_up:
            self.hold([entry])
            for other, member in self.network.members.items():
                if other != self.index:
                    self.world.carry(self.index, other, lambda member=member: member.hold([entry]))  # type: ignore[misc]

    def hold(self, entries: list[bytes]) -> None:
        if self.is_up:
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

    def _later(self, happening: Callable[[], None]) -> None:
        """Work takes a while, and is lost if the process crashes meanwhile."""
        boot = self.boot
        self.world.after(
            self.world.random.randint(0, self.work_max_ms),
            lambda: happening() if self.is_up and boot == self.boot else None,
        )

    def _set_timer(self, action: m.SetTimer) -> None:
        self._timers[action.timer] = action
        boot, delay_ms = self.boot, max(0, action.at_ms - self.now())
        fired = m.TimerFired(action.timer, action.view)

        def fire() -> None:
            if boot == self.boot and self._timers.get(action.timer) is action:
                self.put(fired)

        self.world.after(delay_ms, fire)

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
            count = len(self.network.members)
            whom = action.source if attempt == 0 else 1 + (action.source + attempt) % count
            self.ask(whom, lambda answerer, asker: answerer.tell_entries(asker, missing))
            boot = self.boot
            self.world.after(
                ASK_AGAIN_MS,
                lambda: self._pull(action, attempt=attempt + 1) if self.is_up and boot == self.boot else None,
            )
            return
        del self.pulling[action.header.digest]
        state = self.states.get(action.header.parent)
        if state is None:
            assert action.header.height <= self.disk.newest().header.height + 1, "asked to execute without a parent"
            return  # another branch became final meanwhile
        rejection = self._judge(action, state)
        if rejection is None:
            self._store(action.entry_hashes)
            self.states[action.header.digest] = advance(state, action.entry_hashes)
        self.put(m.BlockExecuted(action.header.digest, rejection))

    def _judge(self, action: m.ExecuteBlock, state: State) -> Rejection | None:
        for leaf in action.entry_hashes:
            if self.pool[leaf].startswith(INVALID_ENTRY_PREFIX) or leaf in state.seen:
                return reject(Code.INVALID_FIELD, field="entry", found=leaf.hex(), expected="a valid entry")
        after = advance(state, action.entry_hashes)
        if (action.header.root, action.header.tree_size) != (after.root, after.size):
            return reject(Code.INVALID_FIELD, field="root", found=action.header.root.hex(), expected=after.root.hex())
        return None

    def _commit(self, blocks: list[m.FinalBlock]) -> None:
        for block in blocks:
            self._store(block.entry_hashes)
            entries = [self.disk.entries[leaf] for leaf in block.entry_hashes]
            self.network.checkers.on_final(self.index, block, entries)
            self.disk.final.append(block)
            self.final_state = advance(self.final_state, block.entry_hashes)
        newest = self.disk.newest().header
        self.states = {d: s for d, s in self.states.items() if s.size >= newest.tree_size}
        self.states[newest.digest] = self.final_state
        if newest.height % 8 == 0:
            self.disk.vote_log = votelog.compact(
                self.disk.vote_log,
                ledger_id=newest.ledger_id,
                member=MemberIndex(self.index),
                epoch=newest.epoch,
                final_view=newest.view,
            )
        self._tell_pending()

    # --- catching up -----------------------------------------------------------------------------------------------

    def _catch_up(self, action: m.FetchFinalBlocks, *, attempt: int) -> None:
        if self.catching is not action:
            return
        whom = action.member if attempt == 0 else 1 + (self.index + attempt) % len(self.network.members)
        self.ask(whom, lambda answerer, asker: answerer.tell_final_blocks(asker, action.from_height))
        boot = self.boot
        self.world.after(
            ASK_AGAIN_MS,
            lambda: self._catch_up(action, attempt=attempt + 1) if self.is_up and boot == self.boot else None,
        )

    def take_final_blocks(self, blocks: list[m.FinalBlock], entries: list[bytes]) -> None:
        """Believe a chain of headers that ends in the target; commit it in one go."""
        action = self.catching
        if action is None:
            return
        wanted: list[m.FinalBlock] = []
        parent = self.disk.newest().header
        for block in blocks:
            try:
                verify_child(block.header, parent=parent)
            except ProofError:
                return
            wanted.append(block)
            parent = block.header
            if parent.digest == action.target.digest:
                wanted[-1] = replace(block, seal=action.seal)
                break
        else:
            return
        self.catching = None
        self.pool.update({leaf_hash(entry): entry for entry in entries})
        self._commit(wanted)
        self.put(m.CaughtUp(action.target, action.seal))


@dataclass(frozen=True)
class Asker:
    """The process that made a call."""

    member: Member
    boot: int

    def answer(self, answerer: Member, delivery: Callable[[Member], None]) -> None:
        member = self.member
        member.world.carry(
            answerer.index,
            member.index,
            lambda: delivery(member) if member.is_up and member.boot == self.boot else None,
        )


def genesis_state(genesis: Header) -> State:
    return State(root=genesis.root, size=1, seen=frozenset())


def advance(state: State, leaves: tuple[bytes, ...]) -> State:
    """A stand-in for tree and rules: a hash chain over the entries digests."""
    if not leaves:
        return state
    root = hashlib.sha256(state.root + compute_entries_digest(leaves)).digest()
    return State(root=root, size=state.size + len(leaves), seen=state.seen | frozenset(leaves))


def make_header(action: m.BuildBlock, state: State, leaves: tuple[bytes, ...], *, proposer: int) -> Header:
    parent, after = action.parent, advance(state, leaves)
    return encode_header(
        ledger_id=parent.ledger_id,
        epoch=FIRST_EPOCH,
        view=action.view,
        height=Height(parent.height + 1),
        parent=parent.digest,
        time_ms=action.time_ms,
        proposer=MemberIndex(proposer),
        first_index=LeafIndex(state.size),
        tree_size=TreeSize(after.size),
        root=after.root,
        entries_digest=compute_entries_digest(leaves),
    )
