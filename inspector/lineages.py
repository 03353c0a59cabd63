"""X6 and X3 over whole runs: what a lab said of a run each time, its base model, and what its reports add up to.

Rows of reports that were opened hold what a run did on a cluster in an interval. Added up over all reports that were
filed before a statement of the run, they are at most what that statement says: so a total that was understated is
caught by the rows of reports that it forgot. Once they explain all of it, it is held against the chips of these rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.books import Books, Filed
from inspector.parts import Known
from ledger.charter import Accelerator
from ledger.crosschecks.books import join_counts
from ledger.crosschecks.comparisons import Comparison, Place
from ledger.crosschecks.figures import Figures, RunFigures
from ledger.crosschecks.histories import RunWord, compare_base, compare_history, compare_reported, name_word
from ledger.crosschecks.rows import assume_training
from ledger.crosschecks.runs import RunStanding, compare_run, compare_run_operations
from ledger.positions import Interval
from ledger.statements.reports import compute_band
from ledger.statements.runs import BaseModel, TrainingRun


@dataclass(frozen=True, slots=True)
class ReportedRow:
    """What a run did on a cluster in an interval, by a row that was opened."""

    cluster: str
    interval: Interval
    run: RunFigures
    figures: Figures


def compare_lab_runs(
    lab: str, books: Books, known: Known, *, accelerators: Mapping[str, Accelerator]
) -> tuple[Comparison, ...]:
    """X6, X3 and BAND over every run of a lab of which something was opened.

    Args:
        lab: whose.
        books: its statements, and others'.
        known: what was opened of them.
        accelerators: the charter's annex by model.
    """
    compared: list[Comparison] = []
    is_whole = not books.list_gaps(lab)
    for run, said in _group_runs(lab, books).items():
        words = [_read_word(filed, statement, known) for filed, statement in said]
        if all(word.run_pflop is None for word in words):
            continue
        base = _find_base(said[0][1].base_model, books, known)
        compared += compare_history(run, words, is_whole=is_whole)
        for word, (filed, statement) in zip(words, said, strict=True):
            rows = _list_rows(lab, run, books, known, before=filed.receipt.index)
            reported = sum(row.run.pflop for row in rows) if rows else None
            compared.append(compare_base(run, word, base=base))
            if word.state != "declared":
                compared.append(compare_reported(run, word, reported_pflop=reported))
            compared += _compare_bands(run, word, statement, _read_estimate(filed, known))
        rows = _list_rows(lab, run, books, known)
        compared += _compare_rows(rows)
        compared.append(_compare_chips(run, words[-1], rows, accelerators))
    return tuple(compared)


def _group_runs(lab: str, books: Books) -> dict[str, list[tuple[Filed, TrainingRun]]]:
    runs: dict[str, list[tuple[Filed, TrainingRun]]] = {}
    for filed, statement in books.list_said(lab, TrainingRun):
        runs.setdefault(statement.run, []).append((filed, statement))
    return runs


def _read_word(filed: Filed, statement: TrainingRun, known: Known) -> RunWord:
    return RunWord(
        number=filed.sequence,
        state=statement.state,
        cap_pflop=known.find_run_figure(filed.leaf, "cap_pflop"),
        run_pflop=known.find_run_figure(filed.leaf, "run_pflop"),
        cumulative_pflop=known.find_run_figure(filed.leaf, "cumulative_pflop"),
    )


def _read_estimate(filed: Filed, known: Known) -> int | None:
    return known.find_run_figure(filed.leaf, "estimate_pflop")


def _find_base(named: BaseModel | None, books: Books, known: Known) -> list[RunWord] | None:
    """What was said of the base model's run; empty if it is not on this ledger, or not in the books."""
    if named is None:
        return None
    said = _group_runs(named.lab, books).get(named.run, [])
    if named.leaf is None or not said or said[0][0].leaf != named.leaf:
        return []
    return [_read_word(filed, statement, known) for filed, statement in said]


def _list_rows(lab: str, run: str, books: Books, known: Known, *, before: int | None = None) -> list[ReportedRow]:
    rows: list[ReportedRow] = []
    for filed, report in books.list_reports(lab, before=before):
        for row in report.rows:
            figures = known.find_row(filed.leaf, row.cluster)
            if figures is not None:
                own = [each for each in figures.runs or () if each.run == run]
                rows += [ReportedRow(row.cluster, report.interval, each, figures) for each in own]
    return rows


def _compare_bands(
    run: str, word: RunWord, statement: TrainingRun, estimate_pflop: int | None
) -> tuple[Comparison, ...]:
    """BAND: the public decades of a statement against its opened figures; a declaration's are of the estimate."""
    place = Place("BAND", name_word(run, word))
    shown = estimate_pflop if statement.state == "declared" else word.run_pflop
    in_base = None
    if word.cumulative_pflop is not None and word.run_pflop is not None:
        in_base = word.cumulative_pflop - word.run_pflop
    lines = (
        ("run_band", statement.run_band, shown),
        ("band", statement.band, None if shown is None or in_base is None else shown + in_base),
        ("cap_band", statement.cap_band, word.cap_pflop),
    )
    compared = []
    for name, band, pflop in lines:
        if pflop is None:
            compared.append(place.skip(name, "the decade of what was opened", found=band, reason="not opened"))
        else:
            decade = compute_band(max(pflop, 0))
            compared.append(place.compare(name, band, f"{decade}, the decade of {pflop}", holds=band == decade))
    return tuple(compared)


def _compare_rows(rows: Sequence[ReportedRow]) -> list[Comparison]:
    """X6: a run's figures in a row against those in the row of the interval before on the same cluster."""
    by_place = {(row.cluster, row.interval): row for row in rows}
    compared: list[Comparison] = []
    for row in rows:
        before = by_place.get((row.cluster, Interval(row.interval - 1)))
        if before is not None:
            standing = RunStanding(previous_pflop=before.run.cumulative_pflop)
            compared += compare_run(f"{row.cluster}, interval {row.interval}", row.run, standing=standing)
    return compared


def _compare_chips(
    run: str, word: RunWord, rows: Sequence[ReportedRow], accelerators: Mapping[str, Accelerator]
) -> Comparison:
    """X3 over the whole run, once rows explain all that it came to."""
    place, expected, found = Place("X3", name_word(run, word)), "the peak of its chips", word.run_pflop
    if found is None:
        return place.skip("run_pflop", expected, reason="not opened")
    explained = sum(row.run.pflop for row in rows)
    if explained < found:
        reason = f"the rows that were opened hold {explained} of it"
        return place.skip("run_pflop", expected, found=found, reason=reason)
    training = join_counts([assume_training(row.figures, accelerators) for row in rows])
    return compare_run_operations(
        place.subject, run_pflop=found, chip_seconds=training, accelerators=accelerators, is_exact=False
    )
