"""False certificates and seals without end, each of which costs who checks it up to q checks."""

from ledger.positions import MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus.messages import VoteKind
from tests.simulation.attackers.attacker import Attacker, Said
from tests.simulation.attackers.blocks import make_child

SAID = 4


class Spammer(Attacker):
    """To everybody, with everything it hears."""

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        mouth = self.mouth
        said: list[m.Message] = []
        for _ in range(SAID):
            view = View(mouth.random.randrange(1, 2**40))
            block = make_child(mouth.genesis, view=view, proposer=mouth.me)
            forged = mouth.forge(VoteKind.NULLIFY, view, m.NO_DIGEST)
            said.append(mouth.random.choice((forged, m.Finalization(block, mouth.random.randbytes(48)))))
        return mouth.to_all(*said)
