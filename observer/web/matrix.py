"""The newest verdict on every cluster's interval, packed into a few bytes each: what heat map and sums are made of.

A cell is one number: index of the verdict's entry, its state, its assurance level. So a million verdicts take 16 MB,
and a row is read without touching the disk. What else a verdict says is read from its entry when it is shown.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Final, get_args

import msgspec

from ledger.positions import Interval, LeafIndex
from ledger.statements.verdicts import STATES_BY_SEVERITY, Assurance, Verdict, VerdictState

_LEVELS: Final[tuple[Assurance, ...]] = get_args(Assurance)
_STATE_NUMBERS: Final = {state: number for number, state in enumerate(STATES_BY_SEVERITY)}
_LEVEL_NUMBERS: Final = {level: number for number, level in enumerate(_LEVELS)}
_BITS: Final = 3

assert max(len(_STATE_NUMBERS), len(_LEVELS)) <= 1 << _BITS


class Said(msgspec.Struct, frozen=True):
    """One cell: what was said, and where."""

    index: LeafIndex
    state: VerdictState
    assurance: Assurance


class Row:
    """The cells of one cluster, by interval."""

    __slots__ = ("_cells", "_intervals", "cluster", "lab", "nation")

    def __init__(self, *, nation: str, lab: str, cluster: str) -> None:
        self.nation, self.lab, self.cluster = nation, lab, cluster
        self._intervals, self._cells = array("Q"), array("Q")

    def get(self, interval: Interval) -> Said | None:
        """Give what was said last of an interval."""
        place = bisect_left(self._intervals, interval)
        if place == len(self._intervals) or self._intervals[place] != interval:
            return None
        return _unpack(self._cells[place])

    def put(self, interval: Interval, said: Said) -> Said | None:
        """Put a cell in, and give what it takes the place of."""
        packed = (said.index << 2 * _BITS) | (_STATE_NUMBERS[said.state] << _BITS) | _LEVEL_NUMBERS[said.assurance]
        if not self._intervals or interval > self._intervals[-1]:
            self._intervals.append(interval)
            self._cells.append(packed)
            return None
        place = bisect_left(self._intervals, interval)
        if self._intervals[place] == interval:
            before = _unpack(self._cells[place])
            self._cells[place] = packed
            return before
        self._intervals.insert(place, interval)
        self._cells.insert(place, packed)
        return None

    def last_interval(self) -> Interval:
        """Give the newest interval of which anything was said; a row has one."""
        return Interval(self._intervals[-1])


class Matrix:
    """All rows, and what they add up to.

    Attributes:
        counts: how many newest verdicts have each state.
        oldest: the oldest interval of any; None without verdicts.
        newest: the newest.
    """

    def __init__(self) -> None:
        self.counts: Counter[VerdictState] = Counter()
        self.oldest: Interval | None = None
        self.newest: Interval | None = None
        self._rows: dict[tuple[str, str], Row] = {}
        self._settled: Counter[Interval] = Counter()

    def put(self, index: LeafIndex, verdict: Verdict) -> None:
        """Take a verdict, in the place of what was said before of the same cluster's interval."""
        name, interval = (verdict.lab, verdict.cluster), verdict.interval
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = Row(nation=verdict.nation, lab=verdict.lab, cluster=verdict.cluster)
        row.nation = verdict.nation
        before = row.put(interval, Said(index, verdict.state, verdict.assurance))
        if before is not None:
            self.counts[before.state] -= 1
            self._settle(interval, before.state, -1)
        self.counts[verdict.state] += 1
        self._settle(interval, verdict.state, 1)
        if self.oldest is None or interval < self.oldest:
            self.oldest = interval
        if self.newest is None or interval > self.newest:
            self.newest = interval

    def _settle(self, interval: Interval, state: VerdictState, sign: int) -> None:
        if state is not VerdictState.PENDING:
            self._settled[interval] += sign

    def settled(self) -> Interval | None:
        """Give the newest interval of which something else than `pending` stands."""
        return max((interval for interval, count in self._settled.items() if count), default=None)

    def row(self, lab: str, cluster: str) -> Row | None:
        """Give a cluster's row, if anything was ever said of it."""
        return self._rows.get((lab, cluster))

    def rows(self) -> Iterator[Row]:
        """Give every row, in the order in which they came to be."""
        return iter(self._rows.values())


def _unpack(packed: int) -> Said:
    mask = (1 << _BITS) - 1
    state, level = STATES_BY_SEVERITY[(packed >> _BITS) & mask], _LEVELS[packed & mask]
    return Said(LeafIndex(packed >> 2 * _BITS), state, level)
