"""A member whose seal shares are wrong, under signatures that are right."""

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from tests.simulation.attackers.attacker import Attacker


class SharerOfWrongShares(Attacker):
    """FINALIZE with a share that combines to nothing."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not isinstance(message, m.Vote) or not message.share:
            return [message]
        wrong = bytes(reversed(message.share))
        return [self.mouth.sign(message.kind, message.view, message.digest, wrong)]
