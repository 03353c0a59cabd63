"""Nobody honest is accused: never with evidence, and of a fault only if the network changed what it had said."""

from tests.simulation.checkers.checker import Checker, require
from tests.simulation.network import Network


class Accusations(Checker):
    """Knows who is honest."""

    def __init__(self, honest: dict[int, bool], network: Network) -> None:
        self._honest, self._network = honest, network
        self.evidence: dict[int, int] = {}

    def on_accused(self, accuser: int, accused: int, what: str, *, is_evidence: bool) -> None:
        if is_evidence:
            self.evidence[accused] = self.evidence.get(accused, 0) + 1
        if not self._honest[accused] or (not is_evidence and accused in self._network.garbled_from):
            return
        require(False, f"member {accuser} accuses honest member {accused}: {what}")
