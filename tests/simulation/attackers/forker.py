"""Leaders whose blocks stand in the wrong place or say the wrong thing; each block is one that anybody can make.

On an old block, on one that was made up, in the next hour, with a root that does not follow from its entries, with a
digest of another state, or with entries for a second time. All but the last two are empty: to make one takes nothing
but the header of its parent.
"""

from collections import deque
from collections.abc import Sequence

from ledger.blocks import Header
from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from node.v1 import peer_pb2
from tests.simulation.attackers.attacker import Attacker, Mouth, Said
from tests.simulation.attackers.blocks import make_child, make_twin
from tests.simulation.cores.ledger import State, advance

REMEMBERED = 6
HOUR_MS = 3_600_000


class Forker(Attacker):
    """Extends a block that later notarized ones have passed."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__(mouth)
        self.heard: deque[m.Proposal] = deque(maxlen=REMEMBERED)
        self._made: dict[int, m.Proposal] = {}

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        if isinstance(message, m.Proposal):
            self.heard.append(message)
        return []

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not self.mouth.is_own(message):
            return [message]
        view = message.header.view
        if view not in self._made and self.heard:
            self._made[view] = self.make(message)
        return [self._made.get(view, message)]

    def make(self, instead_of: m.Proposal) -> m.Proposal:
        """Make the proposal to send in the place of this one."""
        return self.mouth.propose(self.misplace(instead_of.header))

    def misplace(self, header: Header) -> Header:
        """Make the block to propose in the place of this one."""
        older = [known.header for known in self.heard if known.header.view < header.view]
        parent = self.mouth.random.choice(older) if older else header
        return make_child(parent, view=header.view, proposer=header.proposer, time_ms=header.time_ms)

    def newest(self) -> m.Proposal:
        """Give the newest proposal heard."""
        return max(self.heard, key=lambda known: known.header.view)


class InventorOfParents(Forker):
    """Extends a block that it made up, the twin of the newest one, gives it to whoever asks, and finalizes no other."""

    parent: peer_pb2.FetchResponse | None = None

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        is_finalize = isinstance(message, m.Vote) and message.kind is m.VoteKind.FINALIZE
        if is_finalize or isinstance(message, m.Finalization):
            return []
        said = super().on_send(message, receiver, now)
        return [*said, *(self.mouth.finalize(one.header) for one in said if self.mouth.is_own(one))]

    def misplace(self, header: Header) -> Header:
        twin = make_twin(self.newest().header)
        invented = peer_pb2.Proposal(header=twin.raw, entry_hashes=self.newest().entry_hashes)
        self.parent = peer_pb2.FetchResponse(block=invented)
        return make_child(twin, view=header.view, proposer=header.proposer)

    def on_answer(
        self, asker: MemberIndex, question: peer_pb2.FetchRequest, answers: Sequence[peer_pb2.FetchResponse]
    ) -> list[peer_pb2.FetchResponse]:
        is_for_block = question.WhichOneof("what") == "block"
        return [self.parent] if is_for_block and self.parent and not answers else list(answers)


class Hurrier(Forker):
    """Proposes blocks of the next hour, where an honest block would stand."""

    def misplace(self, header: Header) -> Header:
        parent = self.newest().header
        return make_twin(make_child(parent, view=header.view, proposer=header.proposer), later_ms=HOUR_MS)


class WrongReckoner(Forker):
    """Proposes blocks whose root does not follow from their entries."""

    def misplace(self, header: Header) -> Header:
        parent, root = self.newest().header, self.mouth.random.randbytes(32)
        return make_child(parent, view=header.view, proposer=header.proposer, time_ms=header.time_ms, root=root)


class WrongDigester(Forker):
    """Proposes its member's own blocks with another digest of the state, also where there should be none."""

    def make(self, instead_of: m.Proposal) -> m.Proposal:
        twin = make_twin(instead_of.header, later_ms=0, state_digest=self.mouth.random.randbytes(32))
        return self.mouth.propose(twin, instead_of.entry_hashes)


class RepeaterOfEntries(Forker):
    """Proposes entries of a block before once more, or an entry twice in one block."""

    def make(self, instead_of: m.Proposal) -> m.Proposal:
        header, parent = instead_of.header, self.newest().header
        earlier = [leaves for known in self.heard if (leaves := known.entry_hashes)]
        again = earlier[-1] if earlier and header.view % 2 else 2 * instead_of.entry_hashes[:1]
        before = State(root=parent.root, size=parent.tree_size, seen=frozenset())
        root = advance(before, again).root
        child = make_child(
            parent, view=header.view, proposer=self.mouth.me, time_ms=header.time_ms, root=root, leaves=again
        )
        return self.mouth.propose(child, again)
