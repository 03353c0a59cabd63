"""Verdicts: what the rules say of every lab, cluster and interval, and when they say it.

1. Every reason a verdict has calls for a state (`ledger.statements.verdicts`); the worst is the verdict's, and all
   reasons are kept. Not filed: `NOT_FILED_BY_DUE`, from the end of grace `NOT_FILED_BY_GRACE` instead. Filed late:
   `FILED_AFTER_DUE`, or from the end of grace `FILED_AFTER_GRACE`. The declaration has no row for the cluster:
   `ROW_MISSING`. It says that a limit was not respected: `LIMIT_EXCEEDED_BY_DECLARATION`. It was corrected after the
   correction window: `CORRECTED_AFTER_WINDOW`.
2. The first block with a time at or after *due* opens with the first verdict on each cluster that counts in the
   interval; the first at or after the end of *grace* with those that are still not filed.
3. A report or correction filed in a block at or after due changes verdicts in the opening of the next block: each
   cluster that has a row in it, and each whose reasons changed.
4. A new verdict names the entry of the one before (`supersedes`); nothing is said twice.
5. At most `VERDICTS_PER_BLOCK_MAX` open a block; the rest follows in the next ones, deadlines before changes, earlier
   intervals before later ones, labs in the order of their registration, clusters by id.
6. An outage (`ledger.rules.grid`) that ends with a block moves deadlines before that block's verdicts are computed.
7. What other statements say of a cluster's interval (`ledger.rules.remarks`) adds reasons, and says how far a
   declaration was checked. It takes effect with the first verdict after due, and later changes as under 3.
8. A lab that an outage of its own gave more time (`ledger.rules.notices`) has deadlines of its own for that interval.
   Those of the grid pass over it until then; its own come up on the agenda, which has it looked at as under 3.

The work of a block is bounded by what falls due in it and never by how long the ledger is: two cursors walk the
deadlines, and changes wait in a queue that holds a (lab, interval) at most once.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple, cast

from ledger.limits import BLOCK_BYTES_MAX, CLUSTERS_PER_LAB_MAX, HASH_BYTES, INTERVAL_MAX
from ledger.merkle import leaf_hash
from ledger.positions import Interval, Millis
from ledger.rules.grid import Deadlines, Outage, compute_deadlines
from ledger.rules.records.filings import (
    CHANGES,
    FILINGS,
    PROGRESS,
    Change,
    Cursor,
    Filing,
    Progress,
    make_filing_name,
    make_queue_name,
)
from ledger.rules.records.foundation import CLOCK, FOUNDATION, Foundation
from ledger.rules.records.notices import EXTENSIONS
from ledger.rules.records.registry import LAB_NUMBERS, LABS, Lab, make_number_name
from ledger.rules.records.remarks import NO_REMARKS, REMARKS, Remarks, Said, compute_said, find_remarked
from ledger.rules.state import State
from ledger.statements.verdicts import (
    REASONS_OF_FILINGS,
    Assurance,
    Reason,
    Verdict,
    compute_worst_state,
    encode_verdict,
)

VERDICTS_PER_BLOCK_MAX: Final = 2_000
VISITS_PER_BLOCK_MAX: Final = 20_000
"""How many (lab, interval) a block may look at, those with nothing to say included."""

VERDICT_BYTES_MAX: Final = 1_280
"""Of one whose reasons are all its filing's own."""

REMARKED_BYTES_MAX: Final = 2_048
VERDICTS_BYTES_MAX: Final = BLOCK_BYTES_MAX * 3 // 4
"""Statements find room beside them."""

assert VERDICTS_PER_BLOCK_MAX * VERDICT_BYTES_MAX + CLUSTERS_PER_LAB_MAX * REMARKED_BYTES_MAX <= VERDICTS_BYTES_MAX


class Filed(IntEnum):
    """When the report of an interval came."""

    NOT_YET = 0
    ON_TIME = 1
    AFTER_DUE = 2
    AFTER_GRACE = 3


IS_MISSING: Final = 1
IS_EXCEEDED: Final = 2
_IS_FRESH: Final = 4
_DECLARED: Final = IS_MISSING | IS_EXCEEDED

_ROW: Final = struct.Struct(">BH32s")
"""What a filing holds of a cluster: marks, what was said last (0 if nothing), leaf hash of the entry that said it."""

_NOTHING_SAID: Final = _ROW.pack(0, 0, bytes(HASH_BYTES))
_SAID: Final = 1 << 15
_REASONS: Final = REASONS_OF_FILINGS
_BIT: Final = {reason: 1 << place for place, reason in enumerate(_REASONS)}
_REASON_OF_FILED: Final = {
    Filed.ON_TIME: 0,
    Filed.AFTER_DUE: _BIT[Reason.FILED_AFTER_DUE],
    Filed.AFTER_GRACE: _BIT[Reason.FILED_AFTER_GRACE],
}
_MEANING: Final = tuple(
    (named, compute_worst_state(named))
    for bits in range(1 << len(_REASONS))
    for named in [tuple(reason for reason in _REASONS if bits & _BIT[reason])]
)
"""Of each combination of reasons: their names in order, and the state they call for."""

_NO_FILING: Final = Filing(Filed.NOT_YET, is_contested=False, is_queued=False, latest=b"", rows=b"")

assert len(_REASONS) < 15


def compute_active(lab: Lab, interval: Interval) -> list[str]:
    """The clusters that count in an interval, in ascending order.

    They are settled when the interval begins, since a cluster counts from the boundary after its registration.
    """
    return [cluster.id for cluster in lab.clusters if cluster.first_interval <= interval]


def compute_lab_deadlines(state: State, lab: int, interval: Interval) -> Deadlines:
    """When the windows of a lab's interval end, after the outages of the network and its own so far.

    Args:
        state: whose clock shows the time of the block.
        lab: its number.
        interval: which.
    """
    grid, outages = FOUNDATION.require(state).grid, CLOCK.require(state).outages
    return compute_deadlines(grid, interval, outages, extension_ms=_get_extension_ms(state, lab, interval))


def _get_extension_ms(state: State, lab: int, interval: Interval) -> int:
    extension = EXTENSIONS.get(state, make_filing_name(lab, interval))
    return 0 if extension is None else extension.extension_ms


def compute_filed(deadlines: Deadlines, time_ms: Millis) -> Filed:
    """How late a report is that is filed now."""
    if time_ms < deadlines.due_ms:
        return Filed.ON_TIME
    return Filed.AFTER_DUE if time_ms < deadlines.grace_ms else Filed.AFTER_GRACE


def get_filing(state: State, lab: Lab, interval: Interval) -> Filing | None:
    """What the lab filed for the interval, and what was said of it."""
    return FILINGS.get(state, make_filing_name(lab.number, interval))


def find_said(state: State, lab: Lab, interval: Interval) -> list[tuple[str, bytes]]:
    """Leaf hash of the newest verdict entry on each cluster of a lab that has one, in ascending order of clusters."""
    filing = get_filing(state, lab, interval)
    if filing is None or not filing.rows:
        return []
    rows = zip(compute_active(lab, interval), _ROW.iter_unpack(filing.rows), strict=True)
    return [(cluster, leaf) for cluster, (_, said, leaf) in rows if said]


def put_declaration(
    state: State,
    lab: Lab,
    interval: Interval,
    *,
    before: Filing | None,
    leaf: bytes,
    marks: Sequence[int],
    time_ms: Millis,
    deadlines: Deadlines,
) -> None:
    """Record a report, or a correction of one.

    Within the correction window the new declaration stands in the place of the old one. After it, a correction can only
    add reasons: what was said against a cluster stays, and the interval is contested.

    Args:
        state: to change.
        lab: who filed it.
        interval: for when.
        before: what `get_filing` gives for it.
        leaf: leaf hash of the entry.
        marks: `IS_MISSING` and `IS_EXCEEDED` of each cluster that counts, in ascending order of ids.
        time_ms: block time.
        deadlines: of the interval.
    """
    before = before or _NO_FILING
    is_first = before.filed == Filed.NOT_YET
    is_late_correction = not is_first and time_ms >= deadlines.correction_ms
    rows = bytearray(before.rows or _NOTHING_SAID * len(marks))
    for place, mark in enumerate(marks):
        old = rows[place * _ROW.size]
        kept = old & _DECLARED if is_late_correction else 0
        fresh = old & _IS_FRESH if mark & IS_MISSING else _IS_FRESH
        rows[place * _ROW.size] = kept | mark | fresh
    has_fallen_due = time_ms >= deadlines.due_ms
    if has_fallen_due and not before.is_queued:
        _enqueue(state, lab.number, interval)
    filing = Filing(
        filed=compute_filed(deadlines, time_ms) if is_first else before.filed,
        is_contested=is_late_correction,  # and then so is every one after it
        is_queued=has_fallen_due or before.is_queued,
        latest=leaf,
        rows=bytes(rows),
    )
    FILINGS.put(state, filing, make_filing_name(lab.number, interval))


def look_again(state: State, *, lab: int, interval: Interval) -> None:
    """Let the next block say what is new about a lab's interval, if verdicts on it have begun; else they will see.

    Args:
        state: to change.
        lab: its number.
        interval: which.
    """
    if CLOCK.require(state).time_ms < compute_lab_deadlines(state, lab, interval).due_ms:
        return
    name = make_filing_name(lab, interval)
    filing = FILINGS.get(state, name) or _NO_FILING
    if filing.is_queued:
        return
    _enqueue(state, lab, interval)
    queued = Filing(filing.filed, filing.is_contested, is_queued=True, latest=filing.latest, rows=filing.rows)
    FILINGS.put(state, queued, name)


def _enqueue(state: State, lab: int, interval: Interval) -> None:
    progress = PROGRESS.require(state)
    CHANGES.put(state, Change(lab, interval), make_queue_name(progress.queue_end))
    changed = Progress(progress.lab_count, progress.due, progress.grace, progress.queue_start, progress.queue_end + 1)
    PROGRESS.put(state, changed)


def open_verdicts(state: State) -> list[bytes]:
    """Return the verdict entries that a block must open with, at the time the state's clock shows.

    Args:
        state: a fork of the parent's state whose clock was advanced; it is changed to the state after these entries.
    """
    foundation, clock, progress = FOUNDATION.require(state), CLOCK.require(state), PROGRESS.require(state)
    opening = _Opening(state, foundation, clock.time_ms, clock.outages)
    due = opening.serve(progress.due, lab_count=progress.lab_count, is_grace=False)
    grace = opening.serve(progress.grace, lab_count=progress.lab_count, is_grace=True)
    queue_start = opening.serve_queue(progress)
    changed = Progress(progress.lab_count, due, grace, queue_start, progress.queue_end)
    if changed != progress:
        PROGRESS.put(state, changed)
    return opening.entries


def compute_next_deadline_ms(state: State) -> Millis | None:
    """When a block could open with verdicts, if no more statements come; None while there is no lab.

    The time may be past: then verdicts wait for the very next block.
    """
    clock, progress = CLOCK.require(state), PROGRESS.require(state)
    if progress.lab_count == 0:
        return None
    if progress.queue_start < progress.queue_end:
        return clock.time_ms
    grid = FOUNDATION.require(state).grid
    due = compute_deadlines(grid, progress.due.interval, clock.outages).due_ms
    return min(due, compute_deadlines(grid, progress.grace.interval, clock.outages).grace_ms)


@dataclass(slots=True)
class _Opening:
    """The opening of one block while it is computed: entries so far, and how much was looked at."""

    state: State
    foundation: Foundation
    time_ms: Millis
    outages: tuple[Outage, ...]
    entries: list[bytes] = field(default_factory=list)
    visit_count: int = 0
    bytes_count: int = 0

    def serve(self, cursor: Cursor, *, lab_count: int, is_grace: bool) -> Cursor:
        """Visit the labs of each interval whose deadline has come; return where it stopped."""
        interval, number = cursor.interval, cursor.lab
        if lab_count == 0:
            return cursor
        while interval <= INTERVAL_MAX:
            deadlines = self.deadlines(interval)
            if self.time_ms < (deadlines.grace_ms if is_grace else deadlines.due_ms):
                break
            while number < lab_count:
                if not self.visit(number, interval):
                    return Cursor(interval, number)
                number += 1
            interval, number = Interval(interval + 1), 0
        return Cursor(interval, number)

    def serve_queue(self, progress: Progress) -> int:
        """Visit what changed since the last block; return where it stopped."""
        for place in range(progress.queue_start, progress.queue_end):
            name = make_queue_name(place)
            change = CHANGES.require(self.state, name)
            if not self.visit(change.lab, change.interval, is_from_queue=True):
                return place
            CHANGES.put(self.state, None, name)
        return progress.queue_end

    def deadlines(self, interval: Interval, *, extension_ms: int = 0) -> Deadlines:
        """Deadlines after the outages so far."""
        return compute_deadlines(self.foundation.grid, interval, self.outages, extension_ms=extension_ms)

    def visit(self, number: int, interval: Interval, *, is_from_queue: bool = False) -> bool:
        """Say what is new about a lab's interval; False if the block has no room left for it."""
        lab_id = LAB_NUMBERS.require(self.state, make_number_name(number)).lab
        lab = LABS.require(self.state, lab_id.encode())
        active = compute_active(lab, interval)
        if self.visit_count >= VISITS_PER_BLOCK_MAX or len(self.entries) + len(active) > VERDICTS_PER_BLOCK_MAX:
            return False
        if self.bytes_count + len(active) * REMARKED_BYTES_MAX > VERDICTS_BYTES_MAX:
            return False
        self.visit_count += 1
        deadlines = self.deadlines(interval, extension_ms=_get_extension_ms(self.state, number, interval))
        if not active or self.time_ms < deadlines.due_ms:
            return True
        name = make_filing_name(number, interval)
        filing = FILINGS.get(self.state, name) or _NO_FILING
        rows = filing.rows or _NOTHING_SAID * len(active)
        common = _compute_common_reasons(filing, deadlines, self.time_ms)
        remarks = REMARKS.get(self.state, name)
        subject = _Subject(lab_id, lab.nation, interval, filing.latest, common)
        said = compute_said(remarks or NO_REMARKS, active, report=filing.latest)
        before = find_remarked(remarks or NO_REMARKS, active)
        spoken = b"".join(
            self._speak(subject, now, *row, is_news=now != then)
            for now, then, row in zip(said, before, _ROW.iter_unpack(rows), strict=True)
        )
        if remarks is not None:
            REMARKS.put(self.state, Remarks(remarks.remarks, remarks.assured, said), name)
        is_queued = filing.is_queued and not is_from_queue
        if spoken != filing.rows or is_queued != filing.is_queued:
            after = Filing(filing.filed, filing.is_contested, is_queued, filing.latest, spoken)
            FILINGS.put(self.state, after, name)
        return True

    def _speak(
        self, subject: "_Subject", remarked: Said, marks: int, said: int, leaf: bytes, *, is_news: bool
    ) -> bytes:
        """Append a cluster's verdict if it is new, and give its row as it is afterwards."""
        reasons = subject.reasons | _compute_row_reasons(marks)
        if said == _SAID | reasons and not marks & _IS_FRESH and not is_news:
            return _ROW.pack(marks, said, leaf)
        named, verdict_state = _MEANING[reasons]
        if remarked.reasons:
            named = tuple(sorted({*named, *map(Reason, remarked.reasons)}))
            verdict_state = compute_worst_state(named)
        verdict = Verdict(
            ledger=self.foundation.ledger_id.hex(),
            lab=subject.lab,
            nation=subject.nation,
            cluster=remarked.cluster,
            interval=subject.interval,
            state=verdict_state,
            reasons=named,
            # The level is one of the few words that the rules put into remarks.
            assurance=cast(Assurance, remarked.level),
            report=(subject.report or bytes(HASH_BYTES)).hex(),
            time_ms=self.time_ms,
            supersedes=leaf.hex(),
        )
        entry = encode_verdict(verdict)
        self.entries.append(entry)
        self.bytes_count += len(entry)
        return _ROW.pack(marks & _DECLARED, _SAID | reasons, leaf_hash(entry))


class _Subject(NamedTuple):
    """What the verdicts on a lab's interval have in common; `reasons` are the filing's own that all clusters share."""

    lab: str
    nation: str
    interval: Interval
    report: bytes
    reasons: int


def _compute_common_reasons(filing: Filing, deadlines: Deadlines, time_ms: Millis) -> int:
    """The reasons that all clusters of the interval share, as bits."""
    if filing.filed == Filed.NOT_YET:
        return _BIT[Reason.NOT_FILED_BY_DUE if time_ms < deadlines.grace_ms else Reason.NOT_FILED_BY_GRACE]
    contested = _BIT[Reason.CORRECTED_AFTER_WINDOW] if filing.is_contested else 0
    return _REASON_OF_FILED[Filed(filing.filed)] | contested


def _compute_row_reasons(marks: int) -> int:
    """The reasons that lie in a cluster's own row, as bits."""
    missing = _BIT[Reason.ROW_MISSING] if marks & IS_MISSING else 0
    return missing | (_BIT[Reason.LIMIT_EXCEEDED_BY_DECLARATION] if marks & IS_EXCEEDED else 0)
