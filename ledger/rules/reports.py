"""Reports and corrections: what a lab may file for an interval, and what of it is judged.

A report is accepted
1. once its interval has ended in ledger time, and not before the lab's first cluster counts;
2. once per interval: what comes after is a correction, and it names the latest report or correction of the interval;
3. with rows of clusters that count in the interval, no others; a row that is missing is judged and not refused;
4. with exactly the limits in every row that bind the lab in the interval, in their order (`ledger.rules.undertakings`):
   nobody may leave a promise out.

That a row says a limit of the charter was not respected is one of the filing's own marks. Of a pause it is a remark,
`PAUSE_LIMIT_EXCEEDED`, with the same meaning: within the correction window a correction puts its own word in the place
of what was said; after it, it can only add. What inspectors found of a pause is not the lab's to take back.

No correction is refused for being late: a lab that finds a mistake after the window must be able to say so. What the
window means is said by `ledger.rules.verdicts`.
"""

from typing import Final

from ledger.encoding import decode_hex
from ledger.errors import Code, Rejection, reject
from ledger.limits import HASH_BYTES
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import compute_end_ms
from ledger.rules.records.filings import Filing
from ledger.rules.records.foundation import FOUNDATION, Foundation
from ledger.rules.records.registry import LABS, Lab
from ledger.rules.remarks import add_remarks, drop_remark, list_remarks
from ledger.rules.state import State
from ledger.rules.undertakings import compute_limits
from ledger.rules.verdicts import (
    IS_EXCEEDED,
    IS_MISSING,
    Filed,
    compute_active,
    compute_lab_deadlines,
    get_filing,
    put_declaration,
)
from ledger.statements.reports import CORRECTION, REPORT, Report, Row, parse_correction, parse_report
from ledger.statements.verdicts import Reason

_FIELD: Final = "statement.predicate"


def apply_declaration(state: State, context: Context, report: Report) -> Rejection | None:
    """File a report, or a correction if it says that it corrects. Believes that the header was checked."""
    foundation = FOUNDATION.require(state)
    lab = LABS.require(state, report.issuer.encode())
    filing = get_filing(state, lab, report.interval)
    active = compute_active(lab, report.interval)
    rejection = (
        _check_interval(foundation, context, lab, report)
        or _check_chain(filing, report)
        or _check_rows(state, active, report)
    )
    if rejection is not None:
        return rejection
    rows = {row.cluster: row for row in report.rows}
    deadlines = compute_lab_deadlines(state, lab.number, report.interval)
    limits_count = len(foundation.limits)
    put_declaration(
        state,
        lab,
        report.interval,
        before=filing,
        leaf=context.entry.leaf_hash,
        marks=[_compute_marks(rows.get(cluster), limits_count) for cluster in active],
        time_ms=context.time_ms,
        deadlines=deadlines,
    )
    if state.charter.agreement is not None:
        is_late = report.corrects is not None and context.time_ms >= deadlines.correction_ms
        _note_broken_pauses(state, context, report, limits_count=limits_count, is_late=is_late)
    return None


def _check_interval(foundation: Foundation, context: Context, lab: Lab, report: Report) -> Rejection | None:
    """Rule 1."""
    end_ms = compute_end_ms(foundation.grid, report.interval)
    if context.time_ms < end_ms:
        return reject(
            Code.INTERVAL_NOT_OVER,
            field=f"{_FIELD}.interval",
            found=f"{report.interval} at {context.time_ms} ms",
            expected=f"a block time of at least {end_ms} ms",
        )
    first_interval = min((cluster.first_interval for cluster in lab.clusters), default=None)
    if first_interval is not None and report.interval < first_interval:
        return reject(
            Code.INTERVAL_BEFORE_REGISTRATION,
            field=f"{_FIELD}.interval",
            found=report.interval,
            expected=f"at least {first_interval}, the first in which a cluster of this lab counts",
        )
    return None


def _check_chain(filing: Filing | None, report: Report) -> Rejection | None:
    """Rule 2."""
    latest = filing.latest if filing is not None and filing.filed != Filed.NOT_YET else None
    if report.corrects is None:
        if latest is None:
            return None
        return reject(
            Code.INTERVAL_ALREADY_REPORTED,
            field=f"{_FIELD}.interval",
            found=report.interval,
            expected=f"a correction of {latest.hex()}",
        )
    if latest is not None and decode_hex(report.corrects.leaf, field="corrects.leaf", size=HASH_BYTES) == latest:
        return None
    return reject(
        Code.NOTHING_TO_CORRECT,
        field=f"{_FIELD}.corrects.leaf",
        found=report.corrects.leaf,
        expected=f"a report for interval {report.interval} first" if latest is None else latest.hex(),
    )


def _check_rows(state: State, active: list[str], report: Report) -> Rejection | None:
    """Rules 3 and 4."""
    limits = compute_limits(state, report.issuer, report.interval)
    for row in report.rows:
        if row.cluster not in active:
            return reject(
                Code.UNKNOWN_CLUSTER,
                field=f"{_FIELD}.rows.cluster",
                found=row.cluster,
                expected=f"one of {len(active)} clusters of {report.issuer} that count in interval {report.interval}",
            )
        promised = tuple(line.limit for line in row.limits_respected)
        if promised != limits:
            return reject(
                Code.LIMIT_PROMISE_MISMATCH,
                field=f"{_FIELD}.rows.limits_respected",
                found=", ".join(promised) or "none",
                expected=f"exactly {', '.join(limits) or 'none'}, in this order",
            )
    return None


def _compute_marks(row: Row | None, limits_count: int) -> int:
    """What a declaration says against a cluster by itself; the charter's limits come first in its rows."""
    if row is None:
        return IS_MISSING
    return 0 if all(line.respected for line in row.limits_respected[:limits_count]) else IS_EXCEEDED


def _note_broken_pauses(state: State, context: Context, report: Report, *, limits_count: int, is_late: bool) -> None:
    """Put up, once a cluster, that a declaration says a pause was not respected, and take down what it replaces."""
    lab, reason = report.issuer, Reason.PAUSE_LIMIT_EXCEEDED
    found = {remark.source for remark in list_remarks(state, lab, report.interval, reason=Reason.FOUND_INCONSISTENT)}
    declared = [
        remark for remark in list_remarks(state, lab, report.interval, reason=reason) if remark.source not in found
    ]
    if not is_late:
        for source in sorted({remark.source for remark in declared}):
            drop_remark(state, lab=lab, interval=report.interval, reason=reason, source=source)
        declared.clear()
    known = {remark.cluster for remark in declared}
    broken = [
        row.cluster
        for row in report.rows
        if row.cluster not in known and not all(line.respected for line in row.limits_respected[limits_count:])
    ]
    add_remarks(state, lab=lab, interval=report.interval, reason=reason, source=context.index, clusters=broken)


REPORT_KIND: Final = Kind(
    name=REPORT, is_for_nations=False, signature_count=1, parse=parse_report, apply=apply_declaration
)
CORRECTION_KIND: Final = Kind(
    name=CORRECTION, is_for_nations=False, signature_count=1, parse=parse_correction, apply=apply_declaration
)
