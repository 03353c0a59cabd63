"""Votes for two blocks of one view, and says NULLIFY beside every FINALIZE and FINALIZE beside every NULLIFY."""

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from node.consensus.messages import VoteKind
from tests.simulation.attackers.attacker import Attacker, Said


class Conflicter(Attacker):
    """Everything that evidence is made of; half of the members are told the one, half the other, some both."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not isinstance(message, m.Vote):
            return [message]
        other = self._contradict(message)
        if self.mouth.random.randrange(4) == 0:
            return [message, other]
        return [message if receiver % 2 else other]

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        """FINALIZE every block that is proposed, notarized or not, to everyone; and vote for it."""
        if not isinstance(message, m.Proposal) or self.mouth.random.randrange(2):
            return []
        header = message.header
        notarize = self.mouth.sign(VoteKind.NOTARIZE, header.view, header.digest)
        votes = [notarize, self.mouth.finalize(header), self.mouth.sign(VoteKind.NULLIFY, header.view, m.NO_DIGEST)]
        return self.mouth.to_all(*votes)

    def _contradict(self, vote: m.Vote) -> m.Vote:
        match vote.kind:
            case VoteKind.NOTARIZE:
                return self.mouth.sign(VoteKind.NOTARIZE, vote.view, self.mouth.random.randbytes(32))
            case VoteKind.FINALIZE:
                return self.mouth.sign(VoteKind.NULLIFY, vote.view, m.NO_DIGEST)
            case _:
                digest, share = self.mouth.random.randbytes(32), self.mouth.random.randbytes(48)
                return self.mouth.sign(VoteKind.FINALIZE, vote.view, digest, share=share)
