"""The heat map and the page of a lab: verdicts by cluster and interval."""

from typing import Final

from ledger.errors import Code, ConditionError
from ledger.limits import INTERVAL_MAX
from ledger.positions import Interval
from ledger.rules.grid import compute_grid, compute_start_ms
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.registry import Cluster as Registered
from ledger.statements.verdicts import parse_verdict
from ledger.verify import CAVEAT
from observer.web.answers.verdicts import Capacity, Cell, Cluster, Heatmap, HeatmapRow, Lab, VerdictLine
from observer.web.matrix import Row
from observer.web.pages.proven import Shown, describe_head
from observer.web.parameters import Asked
from observer.web.view import View

INTERVALS_ASKED_MAX: Final = 64
INTERVALS_OF_HEATMAP: Final = 16
INTERVALS_OF_LAB: Final = 8
VERDICTS_SHOWN_MAX: Final = 4_096
"""Of one lab: with more clusters, fewer intervals are shown at once."""


def show_heatmap(shown: Shown, asked: Asked) -> Heatmap:
    """Make a page of the heat map.

    Raises:
        ConditionError: too many intervals, or none (`TOO_LARGE`).
    """
    view, grid = shown.view, compute_grid(shown.copy.charter.predicate.grid)
    span = _choose_span(view, asked, newest=view.matrix.newest, count=INTERVALS_OF_HEATMAP)
    names = _list_clusters(view, nation=asked.word_or_none("nation"), lab=asked.word_or_none("lab"))
    offset = asked.number("offset")
    intervals = [] if span is None else [Interval(each) for each in range(span[0], span[1] + 1)]
    rows = []
    for nation, lab, cluster in names[offset : offset + asked.number("limit")]:
        row = view.matrix.row(lab, cluster)
        rows.append(
            HeatmapRow(
                nation=nation,
                lab=lab,
                cluster=cluster,
                gflops=str(view.register.gflops.get(cluster, 0)),
                cells=[None if row is None else _describe_cell(row, interval) for interval in intervals],
            )
        )
    return Heatmap(
        head=describe_head(shown.copy.head.header),
        first=None if span is None else span[0],
        last=None if span is None else span[1],
        oldest=view.matrix.oldest,
        newest=view.matrix.newest,
        starts_ms=[compute_start_ms(grid, interval) for interval in intervals],
        interval_ms=grid.interval_ms,
        rows=rows,
        rows_count=len(names),
        offset=offset,
    )


def _describe_cell(row: Row, interval: Interval) -> Cell | None:
    said = row.get(interval)
    return None if said is None else Cell(state=said.state.value, assurance=said.assurance, index=said.index)


def _list_clusters(view: View, *, nation: str | None, lab: str | None) -> list[tuple[str, str, str]]:
    """Give nation, lab and cluster of everything that was registered or judged, in order."""
    nations: dict[tuple[str, str], str] = {(row.lab, row.cluster): row.nation for row in view.matrix.rows()}
    for record in view.register.labs.values():
        for cluster in record.clusters:
            nations[record.id, cluster] = record.nation
    return sorted(
        (whose, of, cluster)
        for (of, cluster), whose in nations.items()
        if nation in (None, whose) and lab in (None, of)
    )


def _choose_span(view: View, asked: Asked, *, newest: Interval | None, count: int) -> tuple[Interval, Interval] | None:
    """Choose the first and the last interval to show; None where there is nothing to show and none was asked for."""
    first, last = asked.number_or_none("first"), asked.number_or_none("last")
    if newest is None and first is None and last is None:
        return None
    if last is None:
        last = (newest or 0) if first is None else min(first + count - 1, INTERVAL_MAX)
    if first is None:
        first = max(0, last - count + 1)
        if view.matrix.oldest is not None and view.matrix.oldest <= last:
            first = max(first, view.matrix.oldest)
    if not 0 < last - first + 1 <= INTERVALS_ASKED_MAX:
        expected = f"from 1 to {INTERVALS_ASKED_MAX} intervals at once"
        raise ConditionError(field="first", found=f"{first} to {last}", expected=expected, code=Code.TOO_LARGE)
    return Interval(first), Interval(last)


def show_lab(shown: Shown, asked: Asked) -> Lab:
    """Make the page of a lab.

    Raises:
        ConditionError: nobody registered it (`NOT_FOUND`); too many intervals, or none (`TOO_LARGE`).
        LedgerError: the copy on disk is not what was written.
    """
    copy, view, lab = shown.copy, shown.view, asked.word("lab")
    record = view.register.labs.get(lab)
    if record is None:
        expected = "the id of a lab that a nation registered"
        raise ConditionError(field="lab", found=lab, expected=expected, code=Code.NOT_FOUND)
    rows = [row for cluster in sorted(record.clusters) if (row := view.matrix.row(lab, cluster)) is not None]
    newest = max((row.last_interval() for row in rows), default=None)
    count = max(1, min(INTERVALS_OF_LAB, VERDICTS_SHOWN_MAX // max(1, len(rows))))
    span = _choose_span(view, asked, newest=newest, count=count)
    if span is not None and len(rows) * (span[1] - span[0] + 1) > VERDICTS_SHOWN_MAX:
        expected = f"fewer intervals: at most {VERDICTS_SHOWN_MAX} verdicts at once"
        raise ConditionError(field="first", found=f"{span[0]} to {span[1]}", expected=expected, code=Code.TOO_LARGE)
    gflops = view.register.gflops
    return Lab(
        head=describe_head(copy.head.header),
        id=lab,
        name=record.name,
        nation=record.nation,
        registration=record.registration,
        keys=[key.hex() for key in record.keys],
        clusters=[
            _describe_cluster(cluster, gflops.get(cluster.id, 0)) for _, cluster in sorted(record.clusters.items())
        ],
        gflops=str(sum(gflops.get(cluster, 0) for cluster in record.clusters)),
        statements_count=view.count_of(lab),
        first=None if span is None else span[0],
        last=None if span is None else span[1],
        verdicts=[] if span is None else _read_verdicts(shown, rows, *span),
        pauses=list(record.pauses),
        caveat=CAVEAT,
    )


def _describe_cluster(cluster: Registered, gflops: int) -> Cluster:
    capacity = cluster.capacity
    return Cluster(
        id=cluster.id,
        facility=cluster.facility,
        country=cluster.country,
        capacity=None if capacity is None else [Capacity(model=line.model, count=line.count) for line in capacity],
        gflops=str(gflops),
    )


def _read_verdicts(shown: Shown, rows: list[Row], first: Interval, last: Interval) -> list[VerdictLine]:
    """Read verdicts in full, each compared with the sealed root again."""
    copy = shown.copy
    cells = [
        (said.index, row.cluster, interval)
        for row in rows
        for interval in range(first, last + 1)
        if (said := row.get(Interval(interval))) is not None
    ]
    indices = sorted(index for index, _, _ in cells)
    verdicts = {index: parse_verdict(entry) for index, entry in zip(indices, copy.proven_entries(indices), strict=True)}
    lines = []
    for index, cluster, interval in cells:
        verdict = verdicts[index]
        assert (verdict.cluster, verdict.interval) == (cluster, interval), "the matrix was made of this very entry"
        report = None if verdict.report == ZERO_HASH else copy.find_leaf(bytes.fromhex(verdict.report))
        lines.append(
            VerdictLine(
                index=index,
                cluster=cluster,
                interval=interval,
                state=verdict.state.value,
                assurance=verdict.assurance,
                reasons=[reason.value for reason in verdict.reasons],
                report=verdict.report,
                report_index=report,
                time_ms=verdict.time_ms,
            )
        )
    return lines
