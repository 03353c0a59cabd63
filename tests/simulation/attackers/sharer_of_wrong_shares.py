"""A member whose seal shares are wrong, under signatures that are right."""

from dataclasses import replace

from node.consensus import messages as m
from tests.simulation.member import Member


class SharerOfWrongShares(Member):
    """FINALIZE with a share that combines to nothing."""

    def carry_out(self, action: m.Action) -> None:
        if isinstance(action, m.Broadcast) and isinstance(action.message, m.Vote) and action.message.share:
            vote = replace(action.message, share=bytes(reversed(action.message.share)))
            message = m.compute_vote_message(
                ledger_id=self.network.genesis.ledger_id,
                kind=vote.kind,
                epoch=vote.epoch,
                view=vote.view,
                digest=vote.digest,
                share=vote.share,
            )
            action = m.Broadcast(replace(vote, signature=self.keys.sign_vote(message)))
        super().carry_out(action)
