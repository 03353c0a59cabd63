"""All invariants together; add a checker here, and every run at both levels is held against it."""

from collections.abc import Callable, Sequence

from ledger.blocks import Header
from node.consensus.messages import FinalBlock, Message
from tests.simulation.checkers.accusations import Accusations
from tests.simulation.checkers.agreement import Agreement
from tests.simulation.checkers.checker import Checker
from tests.simulation.checkers.receipts import Receipts
from tests.simulation.checkers.seals import Seals
from tests.simulation.checkers.storage import Storage
from tests.simulation.checkers.validity import Judge, Validity
from tests.simulation.checkers.votes import Votes
from tests.simulation.network import Network


class Checkers(Checker):
    """Tells each checker what it listens to."""

    def __init__(self, honest: dict[int, bool], genesis: Header, judge: Judge, network: Network) -> None:
        self.agreement = Agreement(genesis)
        self.validity = Validity(judge)
        self.receipts = Receipts()
        self.accusations = Accusations(honest, network)
        self._all: list[Checker] = [
            self.agreement,
            Seals(),
            Votes(),
            Storage(self.agreement),
            self.validity,
            self.receipts,
            self.accusations,
        ]
        self._honest = honest
        self.add()

    def add(self, *more: Checker) -> None:
        """Hold the run against more than every run is held against."""
        self._all += more
        self._on_said = self._who_listens("on_said")
        self._on_final = self._who_listens("on_final")

    def _who_listens(self, name: str) -> list[Callable[..., None]]:
        return [getattr(each, name) for each in self._all if getattr(type(each), name) is not getattr(Checker, name)]

    def on_said(self, member: int, message: Message) -> None:
        if self._honest[member]:
            for tell in self._on_said:
                tell(member, message)

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        if self._honest[member]:
            for tell in self._on_final:
                tell(member, block, entries)

    def on_started(self, member: int, tip: Header) -> None:
        if self._honest[member]:
            for each in self._all:
                each.on_started(member, tip)

    def on_acknowledged(self, member: int, leaf: bytes, index: int) -> None:
        if self._honest[member]:
            for each in self._all:
                each.on_acknowledged(member, leaf, index)

    def on_accused(self, accuser: int, accused: int, what: str, *, is_evidence: bool) -> None:
        if self._honest[accuser]:
            for each in self._all:
                each.on_accused(accuser, accused, what, is_evidence=is_evidence)
