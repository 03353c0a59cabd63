"""FINALIZE votes whose shares are wrong in every way, under signatures that are right."""

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from node.consensus.messages import VoteKind
from tests.simulation.attackers.attacker import Attacker, Mouth, Said


class LiarAboutShares(Attacker):
    """Invalid, another member's, or good for another block; each view one of these, to all or to some."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__(mouth)
        self._others: dict[MemberIndex, bytes] = {}
        self._before = bytes(48)

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        if isinstance(message, m.Vote) and message.share:
            self._others[message.member] = message.share
        return []

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not isinstance(message, m.Vote) or message.kind is not VoteKind.FINALIZE:
            return [message]
        swapped = next(iter(self._others.values()), bytes(48))
        wrong = (bytes(reversed(message.share)), swapped, self._before)[message.view % 3]
        if receiver == self.mouth.others()[-1]:
            self._before = message.share
        return [self.mouth.sign(message.kind, message.view, message.digest, share=wrong)]
