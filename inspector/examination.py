"""The cross-checks again, over what was opened: each with what was compared, or why it could not be.

The checks are those that the lab ran before it signed (`ledger.crosschecks`), on what held of the openings, and with
what an inspector knows beside them: the public capacity, an examination of the interval before, and what others showed.
Where the lab opened parts of other statements, its books (`inspector.balances`) and its runs (`inspector.lineages`) are
compared too. Four more checks look at what only a reader of openings has:

- SUMS: the runs of a row together are its training operations, up to the rounding of each; the largest is its largest.
- BAND and LIMIT: what the row says in public, against the opened figures.
- RECORDS: the figures, against what the records add up to (`inspector.records`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from inspector.balances import compare_inventories, compare_pair, find_most_chips, pair_transfers
from inspector.lineages import compare_lab_runs
from inspector.openings import Case, Opened
from inspector.parts import Known, know
from inspector.records import Bounds, Record, Totals, add_up_records, compare_times, compare_totals, parse_record
from inspector.report import InspectionReport, list_parts
from ledger.charter import Accelerator, Limit
from ledger.crosschecks.attestations import find_shared_chips
from ledger.crosschecks.comparisons import Comparison, Outcome, Place, name_some
from ledger.crosschecks.figures import Figures, RunFigures, read_opened_fields
from ledger.crosschecks.rows import (
    Surroundings,
    compare_capacity,
    compare_energy,
    compare_energy_of_training,
    compare_patterns,
    compare_scheduler,
    compare_split,
    compare_training,
)
from ledger.crosschecks.runs import RunStanding, compare_run, compare_runs
from ledger.errors import LedgerError, PolicyError
from ledger.openings import OpenedChip
from ledger.positions import Interval
from ledger.statements.intoto import parse_quantity
from ledger.statements.reports import Row, compute_band

_NOT_OPENED: Final = "not opened"
_WITHOUT_BOOKS: Final = (
    ("X7", "counts", "before, plus in, less out", "no statements of the lab were given (--books)"),
    ("X8", "transfers", "two sides that agree", "no statements of the lab were given (--books)"),
)
_ELSEWHERE: Final = (
    ("X10", "topology", "accelerators and switches", "the signatures of quotes are not checked yet"),
    ("X12", "network", "received, less sent", "an answer is about one lab: `counterseal inspect balance`"),
    ("X14", "age_s", "at most one interval", "the signatures of quotes are not checked yet"),
)
_PER_RUN: Final = "training_pflop_per_run"
_PER_INTERVAL: Final = {
    "training_pflop_per_interval": "training_pflop",
    "energy_wh_per_interval": "energy_wh",
    "facility_energy_wh_per_interval": "facility_energy_wh",
}


@dataclass(frozen=True, slots=True)
class Where:
    """Which cluster showed something, and of which interval."""

    lab: str
    cluster: str
    interval: Interval


def examine(
    case: Case, opened: Opened, *, before: InspectionReport | None = None, others: Sequence[InspectionReport] = ()
) -> tuple[Comparison, ...]:
    """Run every check that what was opened allows.

    Args:
        case: the entries.
        opened: what held of the openings.
        before: an examination of the same cluster one interval earlier.
        others: examinations whose accelerators, and opened parts of statements, are held against these.

    Raises:
        PolicyError: an examination of another ledger, or `before` of something else.
    """
    asked = case.challenge.predicate
    _require_related(case, before, others)
    annex = {line.model: line for line in case.ledger.charter.accelerators}
    figures = read_opened_fields(opened.values)
    compared: list[Comparison] = []
    row = case.row
    if row is not None:
        totals = _read_records(opened, row, case, annex, compared)
        around = _look_around(case, opened, totals, annex, before=before, others=others)
        compared = [*_compare_row(asked.cluster, figures, around), *compared]
        if opened.records or (totals and totals.is_whole and opened.values):
            compared += compare_totals(asked.cluster, figures, totals) if totals else ()
        compared += _compare_public(asked.cluster, figures, row, case.ledger.charter.limits)
    compared += compare_chips(asked.cluster, opened, annex)
    compared += compare_chips_across(Where(asked.lab, asked.cluster, asked.interval), opened.chips, others)
    compared += _compare_books(case, opened, others, annex)
    without = () if case.books.by_leaf else _WITHOUT_BOOKS
    for check, field, expected, reason in (*without, *_ELSEWHERE):
        compared.append(Place(check, asked.cluster).skip(field, expected, reason=reason))
    return tuple(sorted(compared, key=lambda one: _order(one.check)))


def _compare_books(
    case: Case, opened: Opened, others: Sequence[InspectionReport], annex: Mapping[str, Accelerator]
) -> tuple[Comparison, ...]:
    """X7, X8, and X6 and X3 over whole runs, of the lab that was asked."""
    books, lab = case.books, case.challenge.predicate.lab
    if not books.by_leaf:
        return ()
    agreement = case.ledger.charter.agreement
    window_s = agreement.inventories.pair_window_s if agreement is not None else 0
    known = _know(case, opened, others)
    return (
        *compare_inventories(lab, books, known),
        *(
            compared
            for pair in pair_transfers(books)
            if lab in {pair.sender, pair.receiver}
            for compared in compare_pair(pair, known, window_s=window_s)
        ),
        *compare_lab_runs(lab, books, known, accelerators=annex),
    )


def _know(case: Case, opened: Opened, others: Sequence[InspectionReport]) -> Known:
    """All that was opened: the row that was asked for, parts of other statements, and what others opened."""
    own = {} if case.report is None else {(case.report.leaf, case.challenge.predicate.cluster): opened.values}
    return know([own, opened.parts, *(list_parts(other) for other in others)])


def _order(check: str) -> tuple[bool, int, str]:
    """X1 to X14 by number, then the others."""
    number = check.removeprefix("X")
    return (False, int(number), "") if number.isdigit() else (True, 0, check)


def require_same_ledger(reports: Sequence[InspectionReport], ledger: str) -> None:
    """Check that examinations are of the ledger with this id.

    Raises:
        PolicyError: one is not.
    """
    for report in reports:
        if report.ledger != ledger:
            raise PolicyError(field="examination.ledger", found=report.ledger, expected=ledger)


def _require_related(case: Case, before: InspectionReport | None, others: Sequence[InspectionReport]) -> None:
    asked = case.challenge.predicate
    require_same_ledger([*others, *([] if before is None else [before])], case.ledger.charter.fingerprint)
    if before is None:
        return
    found = (before.lab, before.cluster, before.interval)
    expected = (asked.lab, asked.cluster, asked.interval - 1)
    if found != expected:
        raise PolicyError(field="before", found=repr(found), expected=f"{expected!r}: the interval before")


def _read_records(
    opened: Opened, row: Row, case: Case, annex: Mapping[str, Accelerator], compared: list[Comparison]
) -> Totals | None:
    """Read and add up what was opened of the records; None if nothing was. What is odd of them is put to the others."""
    place, records = Place("RECORDS", row.cluster), list[Record]()
    unread: list[str] = []
    for index, raw in opened.records.items():
        try:
            records.append(parse_record(raw))
        except LedgerError:
            unread.append(str(index))
    if unread:
        reason = f"{name_some(unread)} are not written as records are"
        compared.append(place.skip("form", "records as labs write them", found=f"{len(unread)} others", reason=reason))
    if row.records.count and not records:
        return None
    grid = case.ledger.charter.grid
    start = grid.start + case.challenge.predicate.interval * grid.interval_s
    if records:
        compared += compare_times(row.cluster, records, Bounds(start, start + grid.interval_s))
    return add_up_records(records, annex, is_whole=len(records) == row.records.count)


def _look_around(
    case: Case,
    opened: Opened,
    totals: Totals | None,
    annex: Mapping[str, Accelerator],
    *,
    before: InspectionReport | None,
    others: Sequence[InspectionReport],
) -> Surroundings:
    is_exact = totals is not None and totals.is_whole and not totals.unknown
    return Surroundings(
        interval_s=case.ledger.charter.grid.interval_s,
        accelerators=annex,
        capacity=_find_capacity(case, opened, others),
        busy=None if totals is None else totals.busy,
        training=totals.training if totals is not None and is_exact else None,
        standings=None if before is None else _read_standings(before),
        before=None if before is None else read_opened_fields(before.fields),
    )


def _find_capacity(case: Case, opened: Opened, others: Sequence[InspectionReport]) -> Mapping[str, int] | None:
    """The public capacity; or else the accelerators of an inventory of which all were opened; or else its numbers."""
    asked = case.challenge.predicate
    if case.registration is not None:
        for cluster in case.registration.predicate.clusters:
            if cluster.id == asked.cluster and cluster.capacity is not None:
                return {line.model: line.count for line in cluster.capacity}
    row = case.inventory_row
    if row is not None and len(opened.chips) == row.chips.count:
        return Counter(chip.model for chip in opened.chips)
    return find_most_chips(asked.lab, asked.cluster, asked.interval, case.books, _know(case, opened, others))


def _read_standings(before: InspectionReport) -> Mapping[str, RunStanding] | None:
    runs = read_opened_fields(before.fields).runs
    return None if runs is None else {run.run: RunStanding(previous_pflop=run.cumulative_pflop) for run in runs}


def _compare_row(cluster: str, figures: Figures, around: Surroundings) -> tuple[Comparison, ...]:
    return (
        *compare_capacity(cluster, figures, around),
        *compare_split(cluster, figures),
        compare_training(cluster, figures, around),
        *compare_energy(cluster, figures, around),
        compare_energy_of_training(cluster, figures, around),
        *_compare_runs(cluster, figures.runs, around.standings),
        *compare_scheduler(cluster, figures, around),
        *compare_patterns(cluster, figures, before=around.before),
        *_compare_sums(cluster, figures),
    )


def _compare_runs(
    cluster: str, runs: Sequence[RunFigures] | None, standings: Mapping[str, RunStanding] | None
) -> tuple[Comparison, ...]:
    """X6, where a run that was not active in the interval before may be older: unless it begins, nobody knows."""
    if runs is None or standings is None:
        return compare_runs(cluster, runs, standings=None)
    compared: list[Comparison] = []
    for run in runs:
        if run.run in standings or run.cumulative_pflop == run.pflop:
            compared += compare_run(cluster, run, standing=standings.get(run.run, RunStanding()))
        else:
            field, reason = f"runs.{run.run}.cumulative_pflop", "it was not active in the interval before"
            expected = "what it was before, plus the interval's"
            compared.append(Place("X6", cluster).skip(field, expected, found=run.cumulative_pflop, reason=reason))
    return tuple(compared)


def _compare_sums(cluster: str, figures: Figures) -> tuple[Comparison, ...]:
    place, runs = Place("SUMS", cluster), figures.runs
    if runs is None:
        return (place.skip("training_pflop", "the runs together", reason="runs not opened"),)
    together, largest = sum(run.pflop for run in runs), max((run.pflop for run in runs), default=0)
    least = max(together - max(len(runs) - 1, 0), 0)
    expected = f"from {least} to {together}, the runs together"
    compared = []
    if figures.training_pflop is None:
        compared.append(place.skip("training_pflop", expected, reason=_NOT_OPENED))
    else:
        holds = least <= figures.training_pflop <= together
        compared.append(place.compare("training_pflop", figures.training_pflop, expected, holds=holds))
    expected = f"{largest}, of the largest run"
    if figures.largest_run_pflop is None:
        compared.append(place.skip("largest_run_pflop", expected, reason=_NOT_OPENED))
    else:
        holds = figures.largest_run_pflop == largest
        compared.append(place.compare("largest_run_pflop", figures.largest_run_pflop, expected, holds=holds))
    return tuple(compared)


def _compare_public(cluster: str, figures: Figures, row: Row, limits: Sequence[Limit]) -> tuple[Comparison, ...]:
    """BAND and LIMIT."""
    place = Place("BAND", cluster)
    if figures.training_pflop is None:
        band = place.skip("band", "the decade of training_pflop", found=row.band, reason="training_pflop not opened")
    else:
        decade = compute_band(figures.training_pflop)
        band = place.compare("band", row.band, f"{decade}, the decade of training_pflop", holds=row.band == decade)
    promised = {line.limit: line.respected for line in row.limits_respected}
    return (
        band,
        *(_compare_limit(cluster, figures, limit, promised[limit.id]) for limit in limits if limit.id in promised),
    )


def _compare_limit(cluster: str, figures: Figures, limit: Limit, promise: bool) -> Comparison:  # noqa: FBT001 - the promise itself
    place, maximum = Place("LIMIT", cluster), parse_quantity(limit.maximum, field="limit")
    if limit.quantity == _PER_RUN:
        runs = figures.runs
        if runs is None:
            return place.skip(limit.id, "the opened runs", found=promise, reason="runs not opened")
        largest = max((run.cumulative_pflop for run in runs), default=0)
        over, under = f"false: a run has come to {largest} of {maximum}", "either: other clusters count too"
        expected = over if largest > maximum else under
        return place.compare(limit.id, promise, expected, holds=largest <= maximum or not promise)
    name = _PER_INTERVAL.get(limit.quantity)
    value = None if name is None else getattr(figures, name)
    if value is None:
        reason = "it does not follow from the fields of a row" if name is None else f"{name} not opened"
        return place.skip(limit.id, limit.quantity, found=promise, reason=reason)
    computed = value <= maximum
    expected = f"{computed}: {name} is {value} of {maximum}"
    return place.compare(limit.id, promise, expected, holds=promise == computed)


def compare_chips(cluster: str, opened: Opened, annex: Mapping[str, Accelerator]) -> tuple[Comparison, ...]:
    """X9 within: each accelerator once, of a model that the annex has."""
    place = Place("X9", cluster)
    if not opened.chips:
        return (place.skip("chips", "each accelerator once", reason="no accelerators opened"),)
    counted = Counter(_name_chip(chip.model, chip.serial) for chip in opened.chips)
    twice = [chip for chip, count in counted.items() if count > 1]
    unknown = sorted({chip.model for chip in opened.chips if chip.model not in annex})
    found = f"shown twice: {name_some(twice)}" if twice else f"{len(opened.chips)} accelerators"
    found_models = f"others: {name_some(unknown)}" if unknown else f"{len(opened.chips)} accelerators"
    return (
        place.compare("chips", found, "each accelerator once", holds=not twice),
        place.compare("chips.model", found_models, "models of the charter's annex", holds=not unknown),
    )


def compare_chips_across(
    where: Where, chips: Sequence[OpenedChip], others: Sequence[InspectionReport]
) -> tuple[Comparison, ...]:
    """X9 across: nobody else showed one of these in the same interval; between intervals it may have moved."""
    place = Place("X9", where.cluster)
    mine = [_name_chip(chip.model, chip.serial) for chip in chips]
    compared = []
    for other in others:
        if (other.lab, other.cluster) == (where.lab, where.cluster):
            continue
        theirs = [_name_chip(chip.model, chip.serial) for chip in other.chips]
        shared = [chip for chip, _ in find_shared_chips({"": mine, "-": theirs}).items()]
        elsewhere = f"{other.lab}, {other.cluster}, interval {other.interval}"
        found = f"also shown by {elsewhere}: {name_some(shared)}" if shared else f"{len(mine)} accelerators"
        otherwise = Outcome.FAILS if other.interval == where.interval else Outcome.UNUSUAL
        expected = f"none of the {len(theirs)} of {elsewhere}"
        compared.append(place.compare("chips", found, expected, holds=not shared, otherwise=otherwise))
    return tuple(compared)


def _name_chip(model: str, serial: str) -> str:
    return f"{model} {serial}"
