"""A leader who shows one block to one half and another to the other half, and votes for both."""

from ledger.blocks import encode_header
from ledger.positions import MemberIndex, Millis, View
from node.consensus import messages as m
from tests.simulation.member import Member


class EquivocatingLeader(Member):
    """Two proposals a turn, both valid, both signed."""

    def carry_out(self, action: m.Action) -> None:
        if not isinstance(action, m.Broadcast) or not isinstance(action.message, m.Proposal):
            super().carry_out(action)
            return
        twin = make_twin(self, action.message)
        for other in self.network.members:
            self.send(other, action.message if other % 2 else twin)
        if self.world.random.randrange(2):
            for other in self.network.members:
                self.send(other, twin.vote)


def make_twin(member: Member, proposal: m.Proposal) -> m.Proposal:
    """Make the same block a millisecond later, with a vote for it."""
    header = proposal.header
    other = encode_header(
        ledger_id=header.ledger_id,
        epoch=header.epoch,
        view=header.view,
        height=header.height,
        parent=header.parent,
        time_ms=Millis(header.time_ms + 1),
        proposer=header.proposer,
        first_index=header.first_index,
        tree_size=header.tree_size,
        root=header.root,
        entries_digest=header.entries_digest,
    )
    vote = sign(member, m.VoteKind.NOTARIZE, other.view, other.digest)
    return m.Proposal(other, proposal.entry_hashes, vote)


def sign(member: Member, kind: m.VoteKind, view: View, digest: bytes) -> m.Vote:
    """Make a vote of this member that its core knows nothing of."""
    epoch = member.network.genesis.epoch
    message = m.compute_vote_message(
        ledger_id=member.network.genesis.ledger_id, kind=kind, epoch=epoch, view=view, digest=digest, share=b""
    )
    return m.Vote(kind, epoch, view, digest, MemberIndex(member.index), member.keys.sign_vote(message))
