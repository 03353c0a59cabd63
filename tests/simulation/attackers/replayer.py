"""Says again, at any time, what it once heard or said; also under the name of another epoch."""

from collections import deque
from dataclasses import replace

from ledger.positions import Epoch, MemberIndex, Millis
from node.consensus import messages as m
from tests.simulation.attackers.attacker import Attacker, Mouth, Said

REMEMBERED = 200


class Replayer(Attacker):
    """Old views, old epochs, others' messages as its own."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__(mouth)
        self._heard: deque[m.Message] = deque(maxlen=REMEMBERED)

    def on_send(self, message: m.Message, receiver: MemberIndex, now: Millis) -> list[m.Message]:
        self._heard.append(message)
        return [message]

    def on_receive(self, source: MemberIndex, message: m.Message, now: Millis) -> list[Said]:
        self._heard.append(message)
        random = self.mouth.random
        old = self._heard[random.randrange(len(self._heard))]
        receiver = random.choice([*self.mouth.others(), source])
        match random.randrange(3):
            case 0 if isinstance(old, m.Vote):
                vote = self.mouth.sign(
                    old.kind, old.view, old.digest, share=old.share, epoch=Epoch(random.choice([0, 2]))
                )
                return [(receiver, vote)]
            case 1 if isinstance(old, m.Certificate):
                epoch = Epoch(self.mouth.genesis.epoch + 1)
                votes = tuple(replace(vote, epoch=epoch) for vote in old.votes)
                return [(receiver, replace(old, epoch=epoch, votes=votes))]
            case _:
                return [(receiver, old)]
