"""Reports and corrections: what a lab may file for an interval, and what of it is judged.

A report is accepted
1. once its interval has ended in ledger time, and not before the lab's first cluster counts;
2. once per interval: what comes after is a correction, and it names the latest report or correction of the interval;
3. with rows of clusters that count in the interval, no others; a row that is missing is judged and not refused;
4. with exactly the charter's limits in every row, in its order: nobody may leave a promise out.

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
from ledger.rules.state import State
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
        or _check_rows(foundation, active, report)
    )
    if rejection is not None:
        return rejection
    rows = {row.cluster: row for row in report.rows}
    put_declaration(
        state,
        lab,
        report.interval,
        before=filing,
        leaf=context.entry.leaf_hash,
        marks=[_compute_marks(rows.get(cluster)) for cluster in active],
        time_ms=context.time_ms,
        deadlines=compute_lab_deadlines(state, lab.number, report.interval),
    )
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


def _check_rows(foundation: Foundation, active: list[str], report: Report) -> Rejection | None:
    """Rules 3 and 4."""
    for row in report.rows:
        if row.cluster not in active:
            return reject(
                Code.UNKNOWN_CLUSTER,
                field=f"{_FIELD}.rows.cluster",
                found=row.cluster,
                expected=f"one of {len(active)} clusters of {report.issuer} that count in interval {report.interval}",
            )
        promised = tuple(line.limit for line in row.limits_respected)
        if promised != foundation.limits:
            return reject(
                Code.LIMIT_PROMISE_MISMATCH,
                field=f"{_FIELD}.rows.limits_respected",
                found=", ".join(promised) or "none",
                expected=f"exactly {', '.join(foundation.limits) or 'none'}, in this order",
            )
    return None


def _compute_marks(row: Row | None) -> int:
    """What a declaration says against a cluster by itself."""
    if row is None:
        return IS_MISSING
    return 0 if all(line.respected for line in row.limits_respected) else IS_EXCEEDED


REPORT_KIND: Final = Kind(
    name=REPORT, is_for_nations=False, signature_count=1, parse=parse_report, apply=apply_declaration
)
CORRECTION_KIND: Final = Kind(
    name=CORRECTION, is_for_nations=False, signature_count=1, parse=parse_correction, apply=apply_declaration
)
