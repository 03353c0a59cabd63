"""Votes for blocks that nobody has."""

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from node.consensus.messages import VoteKind
from tests.simulation.attackers.attacker import Attacker


class VoterForUnknown(Attacker):
    """Every vote for a block names another one, made up."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not isinstance(message, m.Vote) or message.kind is VoteKind.NULLIFY:
            return [message]
        random = self.mouth.random
        return [
            self.mouth.sign(
                message.kind, message.view, random.randbytes(32), share=random.randbytes(len(message.share))
            )
        ]
