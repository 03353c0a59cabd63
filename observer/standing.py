"""How nations stand in one interval: verdicts on their labs, weighted by registered capacity, and their own faults."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ledger.positions import Interval
from ledger.rollups import Rollup, Tally, Word
from ledger.rules.capacity import compute_gflops
from ledger.statements.dsse import parse_envelope
from ledger.statements.misconduct import MISCONDUCT, parse_misconduct
from ledger.statements.registry import REGISTRATION, parse_registration
from ledger.statements.verdicts import Verdict, VerdictState
from observer.copy import Copy

_TFLOP_PER_PFLOP: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """One interval of the network.

    Attributes:
        interval: the newest of which something else than `pending` was said; None if there is none.
        network: all clusters of it.
        nations: those of each nation, by its id; in the order of the charter.
        faults: what was proven against each nation, by its id; nations without are left out.
    """

    interval: Interval | None
    network: Rollup
    nations: Mapping[str, Rollup]
    faults: Mapping[str, tuple[str, ...]]


def judge_standing(copy: Copy, verdicts: Sequence[Verdict]) -> Standing:
    """Add the newest verdicts of a copy up.

    Args:
        copy: whose registrations and statements of misconduct count.
        verdicts: the newest of each cluster's interval.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    tally = Tally(_read_capacity(copy))
    for verdict in verdicts:
        tally.add(verdict)
    settled = [verdict.interval for verdict in verdicts if verdict.state != VerdictState.PENDING]
    interval = max(settled, default=None)
    faults = _read_faults(copy)
    nations = {
        member.id: tally.roll_up(
            interval=Interval(-1) if interval is None else interval,
            nation=member.id,
            duties=(VerdictState.EXCEEDED,) if member.id in faults else (),
        )
        for member in copy.charter.members
    }
    return Standing(interval, tally.roll_up(interval=Interval(-1) if interval is None else interval), nations, faults)


def encode_standing(standing: Standing) -> dict[str, Any]:
    """Give a standing as JSON has it; Any because its values are of several types."""
    return {
        "interval": standing.interval,
        "network": _encode(standing.network),
        "nations": {
            nation: _encode(rollup) | {"faults": list(standing.faults.get(nation, ()))}
            for nation, rollup in standing.nations.items()
        },
    }


def render_standing(standing: Standing) -> RenderableType:
    """Lay a standing out for a terminal: a nation a row, shares of registered capacity in per cent."""
    if standing.interval is None:
        return Text("no interval has been settled yet")
    title = f"interval {standing.interval}: registered compute only, share of capacity by state (clusters)"
    table = Table(title=title, title_justify="left")
    present = list(standing.network.weights)
    for heading in ("nation", "worst", "capacity", *(f"{word.state} {word.assurance}" for word in present), "faults"):
        table.add_column(heading)
    for name, rollup in (*standing.nations.items(), ("all", standing.network)):
        table.add_row(
            Text(name),
            Text("-" if rollup.worst is None else f"{rollup.worst} {rollup.least_assurance or ''}".strip()),
            _format_capacity(rollup),
            *(_format_share(rollup, word) for word in present),
            Text(", ".join(standing.faults.get(name, ()))),
        )
    return table


def _encode(rollup: Rollup) -> dict[str, Any]:
    return {
        "worst": rollup.worst,
        "least_assurance": rollup.least_assurance,
        "registered_gflops": rollup.registered_gflops,
        "unweighed_clusters_count": rollup.unweighed_count,
        "states": [
            {
                "state": word.state,
                "assurance": word.assurance,
                "clusters_count": weight.clusters_count,
                "gflops": weight.gflops,
                "share_permille": rollup.share_permille(word),
            }
            for word, weight in rollup.weights.items()
        ],
    }


def _format_capacity(rollup: Rollup) -> str:
    if not rollup.registered_gflops:
        return "not registered"
    return f"{rollup.registered_gflops // _TFLOP_PER_PFLOP} PFLOP/s"


def _format_share(rollup: Rollup, word: Word) -> str:
    weight = rollup.weights.get(word)
    if weight is None:
        return ""
    count, tenths = weight.clusters_count, rollup.share_permille(word)
    return f"{tenths // 10}.{tenths % 10} % ({count})" if rollup.registered_gflops else f"({count})"


def _read_capacity(copy: Copy) -> dict[str, int]:
    """Registered peak of each cluster; what a later registration says takes the place of what was said before."""
    gflops: dict[str, int] = {}
    for entry in copy.proven_entries(copy.all_subjects(REGISTRATION)):
        for cluster in parse_registration(parse_envelope(entry).payload).predicate.clusters:
            gflops[cluster.id] = compute_gflops(cluster, copy.charter.accelerators)
    return gflops


def _read_faults(copy: Copy) -> dict[str, tuple[str, ...]]:
    faults: dict[str, list[str]] = {}
    for entry in copy.proven_entries(copy.all_subjects(MISCONDUCT)):
        evidence = parse_misconduct(parse_envelope(entry).payload).predicate.evidence
        faults.setdefault(evidence.accused, []).append(evidence.misconduct)
    return {accused: _name_each_once(found) for accused, found in faults.items()}


def _name_each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*names}))
