"""A leader who shows one block to one half and another to the other half, and votes for both."""

from ledger.blocks import encode_header
from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from tests.simulation.attackers.attacker import Attacker, Mouth


class EquivocatingLeader(Attacker):
    """Two proposals a turn, both valid, both signed; in every other turn everybody gets both votes."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not isinstance(message, m.Proposal):
            return [message]
        twin = make_twin(self.mouth, message)
        shown = message if receiver % 2 else twin
        return [shown, twin.vote] if message.header.view % 2 else [shown]


def make_twin(mouth: Mouth, proposal: m.Proposal) -> m.Proposal:
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
        state_digest=header.state_digest,
    )
    vote = mouth.sign(m.VoteKind.NOTARIZE, other.view, other.digest)
    return m.Proposal(other, proposal.entry_hashes, vote)
