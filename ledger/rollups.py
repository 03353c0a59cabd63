"""Verdicts of many clusters as one word for a nation and one for the network, weighted by what was registered.

A nation stands as the worst of its labs' clusters and of its own duties. Beside the word stand the shares of registered
capacity per state, since a small cluster that is late says less than a large one, and the least assurance level, since
no state is ever shown without it. Capacity that nobody registered in public counts as clusters, not as a share.

Pure arithmetic on integers: the order in which verdicts come makes no difference. `Tally` takes them one by one, a
newer one in the place of an older, so that who follows the ledger never adds up everything again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ledger.positions import Interval
from ledger.statements.verdicts import STATES_BY_SEVERITY, Verdict, VerdictState

PERMILLE: Final = 1000


class Place(NamedTuple):
    """Which verdict it is: of two with one place, only the newer counts."""

    lab: str
    cluster: str
    interval: Interval


class Word(NamedTuple):
    """What is said of a cluster: never the one without the other."""

    state: VerdictState
    assurance: str


class Weight(NamedTuple):
    """How many clusters something is said of, and their registered peak capacity."""

    clusters_count: int
    gflops: int


@dataclass(frozen=True, slots=True)
class Rollup:
    """Verdicts added up.

    Attributes:
        worst: the worst state among them, and among a nation's own duties; None if there is nothing to tell.
        weights: of what is said of any cluster, the worst state first, in it the lowest level.
        least_assurance: the lowest level among them; None if there is none.
        unweighed_count: clusters without registered capacity.
    """

    worst: VerdictState | None
    weights: Mapping[Word, Weight]
    least_assurance: str | None
    unweighed_count: int

    @property
    def registered_gflops(self) -> int:
        """All capacity that these clusters registered."""
        return sum(weight.gflops for weight in self.weights.values())

    def share_permille(self, word: Word) -> int:
        """The share of registered capacity that this is said of, rounded down; 0 where nobody registered any."""
        registered, weight = self.registered_gflops, self.weights.get(word)
        return weight.gflops * PERMILLE // registered if registered and weight is not None else 0


@dataclass(slots=True)
class _Sum:
    """What is added up for one nation and interval."""

    clusters: Counter[Word] = field(default_factory=Counter)
    gflops: Counter[Word] = field(default_factory=Counter)
    unweighed_count: int = 0

    def add(self, verdict: Verdict, gflops: int, sign: int) -> None:
        word = Word(verdict.state, verdict.assurance)
        self.clusters[word] += sign
        self.gflops[word] += sign * gflops
        self.unweighed_count += sign * (gflops == 0)


class Tally:
    """Verdicts as they come, added up by nation and interval."""

    def __init__(self, gflops_by_cluster: Mapping[str, int]) -> None:
        """Begin with none.

        Args:
            gflops_by_cluster: registered peak capacity; a cluster that is missing registered none. Not to change while
                the tally is used: what is taken out must be what was put in.
        """
        self._gflops = gflops_by_cluster
        self._newest: dict[Place, Verdict] = {}
        self._sums: dict[tuple[str, Interval], _Sum] = {}

    def add(self, verdict: Verdict) -> None:
        """Take a verdict, in the place of the one on the same cluster's interval that came before."""
        place = Place(verdict.lab, verdict.cluster, verdict.interval)
        before = self._newest.get(place)
        if before is not None:
            self._sum_of(before).add(before, self._gflops.get(before.cluster, 0), -1)
        self._newest[place] = verdict
        self._sum_of(verdict).add(verdict, self._gflops.get(verdict.cluster, 0), 1)

    def roll_up(self, *, interval: Interval, nation: str | None = None, duties: Iterable[VerdictState] = ()) -> Rollup:
        """Add an interval up.

        Args:
            interval: which.
            nation: of which nation's labs; None for the whole network.
            duties: states that a nation's own duties call for, such as `exceeded` for a member that is faulted.
        """
        sums = [
            each
            for (whose, when), each in self._sums.items()
            if when == interval and (nation is None or whose == nation)
        ]
        clusters, gflops = Counter[Word](), Counter[Word]()
        for each in sums:
            clusters.update(each.clusters)
            gflops.update(each.gflops)
        present = sorted(word for word, count in clusters.items() if count)
        present.sort(key=lambda word: STATES_BY_SEVERITY.index(word.state), reverse=True)
        return Rollup(
            worst=max((*(word.state for word in present), *duties), key=STATES_BY_SEVERITY.index, default=None),
            weights={word: Weight(clusters[word], gflops[word]) for word in present},
            least_assurance=min((word.assurance for word in present), default=None),
            unweighed_count=sum(each.unweighed_count for each in sums),
        )

    def intervals(self) -> list[Interval]:
        """The intervals that anything was said of, in order."""
        return sorted({interval for _, interval in self._sums})

    def _sum_of(self, verdict: Verdict) -> _Sum:
        return self._sums.setdefault((verdict.nation, verdict.interval), _Sum())
