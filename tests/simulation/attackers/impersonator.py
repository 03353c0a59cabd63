"""Speaks in others' names: their votes and their proposals, under its own signature."""

from dataclasses import replace

from ledger.positions import MemberIndex, Millis
from node.consensus import messages as m
from node.consensus.messages import VoteKind
from tests.simulation.attackers.attacker import Attacker, Said
from tests.simulation.attackers.blocks import make_twin


class Impersonator(Attacker):
    """Nothing of what others are said to have said may count, nor be held against them."""

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        if not isinstance(message, m.Vote):
            return [message]
        other = MemberIndex(self.mouth.random.choice(self.mouth.others()))
        return [message, replace(message, member=other)]

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        if not isinstance(message, m.Proposal):
            return []
        twin = make_twin(message.header)
        mine = self.mouth.sign(VoteKind.NOTARIZE, twin.view, twin.digest)
        borrowed = m.Proposal(twin, message.entry_hashes, replace(mine, member=message.vote.member))
        return self.mouth.to_all(borrowed)
