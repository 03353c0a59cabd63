"""Bytes that mean nothing where bytes are expected: signatures, shares, seals, hash lists, and votes of no sense."""

from dataclasses import replace

from ledger.positions import MemberIndex, Millis, View
from node.consensus import messages as m
from tests.simulation.attackers.attacker import Attacker


class Garbler(Attacker):
    """Half of what it says is garbled; that it is of the form is all the wire lets through."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if self.mouth.random.randrange(2):
            return [message]
        match message:
            case m.Vote():
                return [self._garble_vote(message)]
            case m.Proposal():
                return [self._garble_proposal(message)]
            case m.Certificate():
                return [self._garble_certificate(message)]
            case m.Finalization():
                return [replace(message, seal=self.mouth.random.randbytes(48))]

    def _garble_vote(self, vote: m.Vote) -> m.Vote:
        random = self.mouth.random
        garbled = (
            replace(vote, signature=random.randbytes(64)),
            replace(vote, member=MemberIndex(random.randrange(1, 300))),
            replace(vote, view=View(random.randrange(2**63))),
            replace(vote, share=random.randbytes(48)),
            replace(vote, digest=random.randbytes(32)),
        )
        return random.choice(garbled)

    def _garble_proposal(self, proposal: m.Proposal) -> m.Proposal:
        random = self.mouth.random
        garbled = (
            replace(proposal, entry_hashes=(*proposal.entry_hashes, random.randbytes(32))),
            replace(proposal, vote=self._garble_vote(proposal.vote)),
            replace(proposal, entry_hashes=tuple(reversed(proposal.entry_hashes))[1:]),
        )
        return random.choice(garbled)

    def _garble_certificate(self, certificate: m.Certificate) -> m.Certificate:
        random = self.mouth.random
        votes = certificate.votes
        garbled = (
            replace(certificate, votes=(*votes[:-1], self._garble_vote(votes[-1]))),
            replace(certificate, votes=votes[:-1]),
            replace(certificate, votes=(*votes[:-1], votes[0])),
            replace(certificate, view=View(certificate.view + 1)),
        )
        return random.choice(garbled)
