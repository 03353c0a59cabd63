"""Certificates and seals that nobody made: of blocks it invents, and of views that ended otherwise."""

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from node.consensus.messages import VoteKind
from tests.simulation.attackers.attacker import Attacker, Said
from tests.simulation.attackers.blocks import make_twin


class Forger(Attacker):
    """With each proposal it hears: a nullification of its view, and a notarization and finalization of its twin."""

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        if not isinstance(message, m.Proposal):
            return []
        twin = make_twin(message.header)
        said: list[m.Message] = [
            self.mouth.forge(VoteKind.NULLIFY, twin.view, m.NO_DIGEST),
            self.mouth.forge(VoteKind.NOTARIZE, twin.view, twin.digest),
            m.Finalization(twin, self.mouth.random.randbytes(48)),
        ]
        return self.mouth.to_all(*said)
