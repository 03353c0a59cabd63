"""What one look says of everything that lasts: sources, the newest head, nations, the network. Pure functions.

What a source answered decides only about that source, and only what it signed or served: one that does not answer is
unreachable, and neither behind nor wrong. A source is behind by the time between its newest block and the copy's, not
by a count of blocks, since every mirror is a few blocks behind a node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import ConditionError
from ledger.network import NetworkReport, NetworkState
from ledger.positions import Height, Millis
from observer.agreement import Relation
from observer.monitor.conditions import Sighting
from observer.monitor.kinds import Kind
from observer.sync import Outcome
from observer.telling import format_time

_STATES: Final[Mapping[NetworkState, Kind]] = {
    NetworkState.BLIND: Kind.NETWORK_BLIND,
    NetworkState.BREACHED: Kind.NETWORK_BREACHED,
    NetworkState.STRAINED: Kind.NETWORK_STRAINED,
}
SOURCE_KINDS: Final = (Kind.SOURCE_UNREACHABLE, Kind.SOURCE_BEHIND, Kind.SOURCE_WRONG)
LEDGER_KINDS: Final = (*_STATES.values(), Kind.HEAD_OLD, Kind.NATION_BEHIND)
NETWORK: Final = "network"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each thing may last before somebody is told; in milliseconds.

    Attributes:
        unreachable_ms: a source that does not answer.
        source_behind_ms: time between a source's newest block and the copy's.
        head_age_ms: age of the newest sealed block by this machine's clock.
        nation_behind_ms: time between the newest checkpoint and the newest that a nation cosigned.
        network_ms: a word for the network that is not *holding*.
    """

    unreachable_ms: int
    source_behind_ms: int
    head_age_ms: int
    nation_behind_ms: int
    network_ms: int


@dataclass(frozen=True, slots=True)
class NationSeen:
    """When a nation last cosigned, by the time of blocks; None if it cosigned no checkpoint that is kept."""

    id: str
    cosigned_ms: Millis | None


def see_sources(
    outcomes: Sequence[Outcome], times_ms: Mapping[Height, Millis], *, head_ms: Millis | None, patience: Patience
) -> list[Sighting]:
    """Say of each source how it stands.

    Args:
        outcomes: one of each source; others are passed over by their names being no source's.
        times_ms: of the blocks that the outcomes name, as far as the copy has them.
        head_ms: time of the copy's newest block; None if there is no copy.
        patience: how long.
    """
    found = []
    for outcome in outcomes:
        error, name = outcome.error, outcome.source
        says_nothing = isinstance(error, ConditionError) and outcome.relation in (Relation.UNREACHABLE, Relation.AHEAD)
        unreachable = str(error) if says_nothing else ""
        found.append(Sighting(Kind.SOURCE_UNREACHABLE, name, unreachable, patience.unreachable_ms))
        wrong = str(error) if outcome.is_lie else None if says_nothing else ""
        found.append(Sighting(Kind.SOURCE_WRONG, name, wrong))
        behind = None if says_nothing or outcome.is_lie else _say_behind(outcome, times_ms, head_ms, patience)
        found.append(Sighting(Kind.SOURCE_BEHIND, name, behind))
    return found


def _say_behind(
    outcome: Outcome, times_ms: Mapping[Height, Millis], head_ms: Millis | None, patience: Patience
) -> str | None:
    if outcome.height is None or head_ms is None:
        return None
    shown_ms = times_ms.get(outcome.height)
    if shown_ms is None or head_ms - shown_ms <= patience.source_behind_ms:
        return ""
    before = " It showed a newer one before." if outcome.relation is Relation.STALE else ""
    lag_s = (head_ms - shown_ms) // 1000
    return f"It shows height {outcome.height}, {lag_s} s before the newest that others showed.{before}"


def see_head(*, height: Height, head_ms: Millis, now_ms: Millis, patience: Patience) -> Sighting:
    """Say whether the newest block is old."""
    age_ms = now_ms - head_ms
    words = f"The newest sealed block, height {height}, is of {format_time(head_ms)}, {age_ms // 1000} s ago."
    return Sighting(Kind.HEAD_OLD, NETWORK, words if age_ms > patience.head_age_ms else "")


def see_nations(
    nations: Sequence[NationSeen], *, oldest_ms: Millis, newest_ms: Millis, patience: Patience
) -> list[Sighting]:
    """Say of each nation whether it cosigns.

    Args:
        nations: of the charter.
        oldest_ms: block time of the oldest checkpoint that is kept.
        newest_ms: of the newest.
        patience: how long.
    """
    found = []
    for nation in nations:
        last_ms = oldest_ms if nation.cosigned_ms is None else nation.cosigned_ms
        lag_ms = newest_ms - last_ms
        since = f"since {format_time(last_ms)}" if nation.cosigned_ms is not None else "ever, as far as is kept"
        words = f"{nation.id} has cosigned no checkpoint {since}: {lag_ms // 1000} s behind the newest."
        is_behind = lag_ms > patience.nation_behind_ms
        found.append(Sighting(Kind.NATION_BEHIND, nation.id, words if is_behind else "", nation=nation.id))
    return found


def see_network(report: NetworkReport, *, patience: Patience) -> list[Sighting]:
    """Say which word stands for the network; the worst alone is said, with every reason."""
    reasons = "; ".join(sentence for _, sentence in report.reasons)
    return [
        Sighting(
            kind, NETWORK, f"The network is {state}: {reasons}." if state is report.state else "", patience.network_ms
        )
        for state, kind in _STATES.items()
    ]
