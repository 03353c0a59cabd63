"""What was said of a lab: its newest verdicts, found through the rules' state by their keys.

The state holds the leaf hash of the newest verdict on each cluster and interval (`ledger.rules.verdicts`), and the
store finds an entry by its leaf hash, against which it is held. So a verdict costs a lookup in each, however long the
ledger is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.errors import Code, ConditionError
from ledger.limits import INTERVAL_MAX
from ledger.positions import Interval, LeafIndex
from ledger.rules.records.registry import LABS, Lab
from ledger.rules.state import State
from ledger.rules.verdicts import find_said
from node.proving import Prover
from node.store import Store

INTERVALS_PER_ANSWER_MAX: Final = 400
VERDICTS_PER_ANSWER_MAX: Final = 1_000
"""An answer goes no further once it holds so many."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer.

    Attributes:
        verdicts: index and bytes of each entry, by interval, then by cluster.
        next_interval: the first interval that was not looked at.
    """

    verdicts: tuple[tuple[LeafIndex, bytes], ...]
    next_interval: int


class VerdictReader:
    """Answers from the newest final state."""

    def __init__(self, state: Callable[[], State], store: Store, prover: Prover) -> None:
        """Bind.

        Args:
            state: gives the state after the newest final block.
            store: where the entries are.
            prover: finds them.
        """
        self._state, self._store, self._prover = state, store, prover

    def read(self, *, lab: str, cluster: str, first: int, count: int) -> Said:
        """Find the newest verdicts on a lab's clusters, interval by interval.

        Args:
            lab: id of the lab.
            cluster: id of one of its clusters; empty for all that count.
            first: the first interval.
            count: of intervals, of which as many are answered as fit.

        Raises:
            ConditionError: `NOT_FOUND`: no such lab, or not its cluster. `NOT_READY`: it is in the part of the history
                that this node does not hold. `STORE_DAMAGED`.
        """
        state = self._state()
        registered = _require_lab(state, lab, cluster)
        interval, end = first, min(first + min(count, INTERVALS_PER_ANSWER_MAX), INTERVAL_MAX + 1)
        verdicts: list[tuple[LeafIndex, bytes]] = []
        while interval < end and len(verdicts) < VERDICTS_PER_ANSWER_MAX:
            for each, leaf in find_said(state, registered, Interval(interval)):
                if cluster in {"", each}:
                    index = self._prover.find(leaf=leaf)
                    verdicts += ((index, entry) for entry in self._store.entries(index, 1))
            interval += 1
        return Said(tuple(verdicts), interval)


def _require_lab(state: State, lab: str, cluster: str) -> Lab:
    registered: Lab | None = LABS.get(state, lab.encode())
    if registered is None:
        raise ConditionError(field="lab", found=lab, expected="a lab that a nation registered", code=Code.NOT_FOUND)
    if cluster and all(each.id != cluster for each in registered.clusters):
        raise ConditionError(field="cluster", found=cluster, expected=f"a cluster of {lab}", code=Code.NOT_FOUND)
    return registered
