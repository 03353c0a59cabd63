"""A leader who proposes only to some, and answers no questions for what it withheld."""

from node.consensus import messages as m
from tests.simulation.member import Asker, Member


class Withholder(Member):
    """Its proposals reach the next q - 1 members only."""

    def carry_out(self, action: m.Action) -> None:
        if isinstance(action, m.Broadcast) and isinstance(action.message, m.Proposal):
            count = len(self.network.members)
            for step in range(1, self.network.quorum):
                self.send(1 + (self.index - 1 + step) % count, action.message)
        else:
            super().carry_out(action)

    def tell_block(self, asker: Asker, digest: bytes) -> None:
        pass

    def tell_entries(self, asker: Asker, wanted: list[bytes]) -> None:
        pass
