"""Votes of its own for every view to come, as many as it can sign, with every other message it hears."""

from ledger.limits import VIEWS_AHEAD_MAX
from ledger.positions import MemberIndex, Millis, View
from node.consensus import messages as m
from node.consensus.messages import VoteKind
from tests.simulation.attackers.attacker import Attacker, Said

VOTES = 8


class Flooder(Attacker):
    """What members hold for it must stay bounded, and what they need of the others' must stay."""

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        if not isinstance(message, m.Vote):
            return []
        random = self.mouth.random
        said: list[Said] = []
        for _ in range(VOTES):
            view = message.view + random.randrange(2 * VIEWS_AHEAD_MAX)
            kind = random.choice([VoteKind.NOTARIZE, VoteKind.NULLIFY])
            digest = m.NO_DIGEST if kind is VoteKind.NULLIFY else random.randbytes(32)
            said.append((source, self.mouth.sign(kind, View(view), digest)))
        return said
