"""One look: sync, read what is new, judge what lasts, and record it all; the next look goes on from there.

1. Every source is followed (`observer.sync`); what each of them did is a result and never ends the look.
2. New blocks are taken in order, a run at a time; their alarms and the cursor are recorded together.
3. Then what this look can judge: evidence, deadlines, conditions. Deadlines are told only where a source was followed
   to its newest head in this look: of a copy that is old nobody knows what is still open.
4. A monitor that begins tells, unless it is set otherwise, nothing of the past: its cursor begins where the first look
   ends that followed a source to its head. What lasts, and what was proven, it tells at once.

What is kept in memory (what is open, the newest verdicts, who cosigned) follows from the copy and is read out of it
where there is none, so a restart changes nothing.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.blocks import SealedHeader
from ledger.errors import Code, ConditionError, LedgerError
from ledger.network import NetworkState
from ledger.notes import parse_note
from ledger.policy import verify as verify_note
from ledger.positions import GENESIS_HEIGHT, Height, Interval, LeafIndex, Millis
from ledger.rules.grid import Outage
from ledger.statements.registry import REGISTRATION
from ledger.statements.reports import REPORT
from ledger.statements.verdicts import VERDICT, Verdict, VerdictState, parse_verdict
from observer.agreement import Relation
from observer.chain import Draw
from observer.copy import NOTES_KEPT, Copy, open_copy
from observer.monitor.alarms import Alarm
from observer.monitor.conditions import Sighting, step
from observer.monitor.deadlines import find_block, find_oldest_ms, find_outages, list_open, tell_approaching
from observer.monitor.docket import KINDS as OPEN_KINDS
from observer.monitor.docket import Docket
from observer.monitor.entries import tell_block
from observer.monitor.findings import tell_evidence, tell_left_off
from observer.monitor.journal import Cursor, Journal
from observer.monitor.kinds import Kind
from observer.monitor.readings import Reading, read_entry
from observer.monitor.sightings import (
    LEDGER_KINDS,
    SOURCE_KINDS,
    NationSeen,
    Patience,
    see_head,
    see_nations,
    see_network,
    see_sources,
)
from observer.outlook import judge
from observer.served import Source, blame
from observer.source import open_source
from observer.sync import Outcome, open_or_found, sync

BLOCKS_AT_ONCE: Final = 64
OPEN_READ_MAX: Final = 20_000
"""Of each kind that may be open, the newest; registrations are read all."""

MONITOR: Final = "monitor"
FAILING_PATIENCE_MS: Final = 30_000
"""A look that meets a sync by hand in the same folder fails; the next one does not."""

_FINE: Final = (VerdictState.COMPLIANT, VerdictState.PENDING)


@dataclass(frozen=True, slots=True)
class LookSettings:
    """What a look needs to know.

    Attributes:
        home: folder of the copy.
        urls: of the sources.
        fingerprint: of the charter; None to take that of the copy.
        tells_history: whether the first look tells everything on the ledger.
        patience: how long things may last.
        outlet_ms: how long an outlet may take nothing.
        clear_ms: how long something must be fine to be over.
        lead_ms: how long before a deadline it is told.
        outlets: names of the outlets.
    """

    home: Path
    urls: tuple[str, ...]
    fingerprint: bytes | None
    tells_history: bool
    patience: Patience
    outlet_ms: int
    clear_ms: int
    lead_ms: int
    outlets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found, for metrics and logs.

    Attributes:
        at_ms: when it began.
        outcomes: one of each source.
        head: newest block of the copy; None if there is none yet.
        network: the word for the network; None without a copy.
        alarms: that are new.
        error: why it could not be made; None if it was.
    """

    at_ms: Millis
    outcomes: tuple[Outcome, ...] = ()
    head: SealedHeader | None = None
    network: NetworkState | None = None
    alarms: tuple[Alarm, ...] = ()
    error: LedgerError | None = None

    @property
    def is_followed(self) -> bool:
        """Whether a source was followed to its newest head."""
        return any(outcome.error is None for outcome in self.outcomes)


class Looker:
    """Looks, again and again. Belongs to one thread, as its journal does."""

    def __init__(self, settings: LookSettings, journal: Journal, *, draw: Draw, clock: Callable[[], Millis]) -> None:
        """Bind.

        Args:
            settings: what to look at.
            journal: where to record.
            draw: fresh random bytes, for checking seals together.
            clock: of this machine.

        Raises:
            LedgerError: a URL that is none; or no copy and no fingerprint; or a copy of another ledger.
        """
        self._settings, self._journal, self._draw, self._clock = settings, journal, draw, clock
        for url in settings.urls:
            with contextlib.suppress(ConditionError):  # a folder that is not there yet is a source that does not answer
                open_source(url).close()
        self.ledger: Final = find_ledger(settings.home, settings.fingerprint)
        self._docket: Docket | None = None
        self._states: dict[str, VerdictState] | None = None  # newest verdicts that are not fine, by their subjects
        self._outages: tuple[Height, list[Outage]] | None = None  # found up to a height
        self._cosigners: dict[bytes, tuple[str, ...]] = {}

    def look(self) -> Look:
        """Look once; whatever keeps it from looking is an alarm, as long as that can be written.

        Raises:
            ConditionError: the journal cannot be written.
        """
        now_ms = self._clock()
        try:
            found = self._look(now_ms)
        except LedgerError as error:
            self._docket = self._states = self._outages = None
            found = Look(now_ms, error=error)
        words = "" if found.error is None else f"{found.error}"
        failing = Sighting(Kind.WATCH_FAILING, MONITOR, words, FAILING_PATIENCE_MS)
        recorded = self._judge([failing], judged=(), now_ms=now_ms)
        return Look(now_ms, found.outcomes, found.head, found.network, (*found.alarms, *recorded), found.error)

    def _look(self, now_ms: Millis) -> Look:
        with contextlib.ExitStack() as closing:
            sources, failed = self._open_sources(closing)
            copy, refused = self._open_copy(closing, sources)
            if copy is None:
                outcomes = (*failed, *refused)
                return Look(now_ms, outcomes, alarms=self._judge_sources(outcomes, None, now_ms=now_ms))
            outcomes = (*failed, *sync(copy, sources, draw=self._draw, clock=self._clock))
            is_followed = any(outcome.error is None for outcome in outcomes)
            alarms = self._read_new(copy, is_current=is_followed, now_ms=now_ms)
            alarms += self._judge_sources(outcomes, copy, now_ms=now_ms)
            state, judged = self._judge_ledger(copy, is_current=is_followed)
            return Look(now_ms, outcomes, copy.head, state, (*alarms, *judged))

    # -- sources ------------------------------------------------------------------------------------------------------

    def _open_sources(self, closing: contextlib.ExitStack) -> tuple[list[Source], list[Outcome]]:
        sources: list[Source] = []
        failed = []
        for url in self._settings.urls:
            try:
                source = open_source(url)
            except ConditionError as error:
                failed.append(_fail(url, error))
            else:
                closing.callback(source.close)
                sources.append(source)
        return sources, failed

    def _open_copy(
        self, closing: contextlib.ExitStack, sources: Sequence[Source]
    ) -> tuple[Copy | None, Sequence[Outcome]]:
        """Open the copy, or make it from whichever source serves the charter."""
        copy = open_copy(self._settings.home, fingerprint=bytes.fromhex(self.ledger))
        if copy is not None:
            return closing.enter_context(copy), ()
        refused = []
        for source in sources:
            try:
                copy = open_or_found(self._settings.home, [source], fingerprint=bytes.fromhex(self.ledger))
            except LedgerError as error:
                refused.append(_fail(source.name, error))
            else:
                return closing.enter_context(copy), ()
        return None, refused

    def _judge_sources(self, outcomes: Sequence[Outcome], copy: Copy | None, *, now_ms: Millis) -> tuple[Alarm, ...]:
        known = [outcome for outcome in outcomes if outcome.source in self._settings.urls]
        heights = [outcome.height for outcome in known if outcome.height is not None]
        times_ms: dict[Height, Millis] = {}
        if copy is not None:
            there = (height for height in heights if height <= copy.head.header.height)
            times_ms = {height: copy.block(height).header.time_ms for height in there}
        head_ms = None if copy is None else copy.head.header.time_ms
        seen = see_sources(known, times_ms, head_ms=head_ms, patience=self._settings.patience)
        states = self._journal.outlets()
        outlets = {name: states[name] for name in self._settings.outlets if name in states}
        for name, outlet in outlets.items():
            words = "" if outlet.failing_ms is None else f"It takes nothing: {outlet.failure}"
            seen.append(Sighting(Kind.OUTLET_FAILING, name, words, self._settings.outlet_ms))
        left_off = self._record(tell_left_off(outlets, ledger=self.ledger, now_ms=now_ms))
        return (*left_off, *self._judge(seen, judged=(*SOURCE_KINDS, Kind.OUTLET_FAILING), now_ms=now_ms))

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def _read_new(self, copy: Copy, *, is_current: bool, now_ms: Millis) -> tuple[Alarm, ...]:
        """Step 2; the first look that can tells where to begin (4)."""
        cursor = self._journal.cursor()
        if cursor is None and self._settings.tells_history:
            cursor = _point_at(copy.block(GENESIS_HEIGHT))
        elif cursor is None and is_current:
            cursor = _point_at(copy.head)
            self._journal.record((), cursor=cursor)
        if cursor is None or cursor.height > copy.head.header.height:
            return ()
        _require_same_history(copy, cursor)
        if self._docket is None:
            self._docket = read_docket(copy, up_to=cursor.height)
        alarms: list[Alarm] = []
        while run := copy.blocks(Height(cursor.height + 1), BLOCKS_AT_ONCE):
            told: list[Alarm] = []
            for readings in _read_blocks(copy, run):
                self._note_verdicts(readings)
                told += tell_block(readings, self._docket, seen_ms=now_ms)
            cursor = _point_at(run[-1])
            alarms += self._record(told, cursor=cursor)
        return tuple(alarms)

    def _note_verdicts(self, readings: Sequence[Reading]) -> None:
        for reading in readings if self._states is not None else ():
            if isinstance(reading.predicate, Verdict):
                assert self._states is not None
                self._states.pop(reading.subject, None)
                if reading.predicate.state not in _FINE:
                    self._states[reading.subject] = reading.predicate.state

    def _judge_ledger(self, copy: Copy, *, is_current: bool) -> tuple[NetworkState, tuple[Alarm, ...]]:
        """Step 3, by the clock as it is after the sync."""
        now_ms, patience, head = self._clock(), self._settings.patience, copy.head.header
        if self._states is None:
            newest = copy.newest_subjects(VERDICT)
            verdicts = (parse_verdict(entry) for entry in copy.proven_entries(newest))
            self._states = {
                f"{each.lab}/{each.cluster}/{each.interval}": each.state for each in verdicts if each.state not in _FINE
            }
        report = judge(copy, list(self._states.values()), now_ms=now_ms).report
        seen = [
            *see_network(report, patience=patience),
            see_head(height=head.height, head_ms=head.time_ms, now_ms=now_ms, patience=patience),
            *self._see_nations(copy),
        ]
        alarms = tell_evidence(self._settings.home, ledger=self.ledger, now_ms=now_ms)
        if is_current and self._docket is not None:
            alarms += self._tell_deadlines(copy, self._docket, now_ms=now_ms)
        return report.state, (*self._record(alarms), *self._judge(seen, judged=LEDGER_KINDS, now_ms=now_ms))

    def _tell_deadlines(self, copy: Copy, docket: Docket, *, now_ms: Millis) -> list[Alarm]:
        outages = self._find_outages(copy, docket, now_ms=now_ms)

        def is_reported(lab: str, interval: Interval) -> bool:
            return copy.find_newest((REPORT,), f"{lab}/{interval}") is not None

        deadlines = list_open(docket, outages=outages, now_ms=now_ms, is_reported=is_reported)
        return tell_approaching(docket, deadlines, now_ms=now_ms, lead_ms=self._settings.lead_ms)

    def _find_outages(self, copy: Copy, docket: Docket, *, now_ms: Millis) -> list[Outage]:
        """Those that can have moved what is open; of what was looked through before, they are known."""
        if self._outages is None:
            first = find_block(copy, since_ms=find_oldest_ms(docket, now_ms))
            self._outages = first, []
        after, known = self._outages
        found = [*known, *find_outages(copy, docket.grid, after=after)]
        self._outages = copy.head.header.height, found
        return found

    def _see_nations(self, copy: Copy) -> list[Sighting]:
        """Who cosigned what is kept; a ledger whose checkpoints nobody cosigned says nothing of anybody."""
        last_ms: dict[str, Millis] = {}
        times_ms: list[Millis] = []
        cosigners = {raw: self._cosigners.get(raw) for _, raw in copy.notes()[:NOTES_KEPT]}
        for height, raw in copy.notes():
            names = cosigners.get(raw)
            if names is None:
                names = cosigners[raw] = verify_note(parse_note(raw), copy.keys).cosigners
            if names or times_ms:  # the newest that nobody cosigned may still get its cosignatures
                times_ms.append(copy.block(height).header.time_ms)
                for name in names:
                    last_ms.setdefault(name, times_ms[-1])
        self._cosigners = {raw: names for raw, names in cosigners.items() if names is not None}
        if not times_ms:
            return []
        nations = [NationSeen(member.id, last_ms.get(member.node)) for member in copy.charter.members]
        patience = self._settings.patience
        return see_nations(nations, oldest_ms=times_ms[-1], newest_ms=times_ms[0], patience=patience)

    # -- recording ----------------------------------------------------------------------------------------------------

    def _record(self, alarms: Sequence[Alarm], *, cursor: Cursor | None = None) -> tuple[Alarm, ...]:
        """Record alarms; gives those that are new."""
        return self._journal.record(alarms, cursor=cursor)

    def _judge(self, seen: Sequence[Sighting], *, judged: Sequence[Kind], now_ms: Millis) -> tuple[Alarm, ...]:
        after = step(
            self._journal.lasting(),
            seen,
            ledger=self.ledger,
            judged=judged,
            now_ms=now_ms,
            clear_ms=self._settings.clear_ms,
        )
        return self._journal.record(after.alarms, lasting=after.lasting)


def find_ledger(home: Path, fingerprint: bytes | None) -> str:
    """Say which ledger is watched: that of the fingerprint, or that which the copy is pinned to.

    Raises:
        ConditionError: `CONFIG`: neither.
        LedgerError: the copy is of another ledger, or is not what was written.
    """
    copy = open_copy(home, fingerprint=fingerprint)
    if copy is not None:
        with copy:
            return copy.charter.fingerprint
    if fingerprint is None:
        raise ConditionError(
            field="fingerprint",
            found=f"none, and no copy in {home} that is pinned to one",
            expected="the SHA-256 of the charter in hex, learned from somebody you trust and not from a source",
            code=Code.CONFIG,
        )
    return fingerprint.hex()


def read_docket(copy: Copy, *, up_to: Height) -> Docket:
    """Read what was open after a block out of a copy.

    Raises:
        LedgerError: the copy on disk is not what was written.
    """
    docket, size = Docket(copy.charter), copy.block(up_to).header.tree_size
    indices: list[LeafIndex] = []
    for kind in OPEN_KINDS:
        before = [index for index in copy.all_subjects(kind) if index < size]
        indices += before if kind == REGISTRATION else before[-OPEN_READ_MAX:]
    indices.sort()
    for index, entry in zip(indices, copy.proven_entries(indices), strict=True):
        header = copy.block_with_entry(index).header
        docket.take(read_entry(entry, index=index, height=header.height, time_ms=header.time_ms))
    return docket


def _read_blocks(copy: Copy, run: Sequence[SealedHeader]) -> Iterator[list[Reading]]:
    """Read blocks that follow one another; a bundle of entries is read and compared with the sealed root once."""
    first, last = run[0].header, run[-1].header
    entries = copy.proven_entries([LeafIndex(index) for index in range(first.first_index, last.tree_size)])
    for sealed in run:
        header = sealed.header
        yield [
            read_entry(next(entries), index=LeafIndex(index), height=header.height, time_ms=header.time_ms)
            for index in range(header.first_index, header.tree_size)
        ]


def _point_at(sealed: SealedHeader) -> Cursor:
    return Cursor(sealed.header.height, sealed.header.digest.hex())


def _require_same_history(copy: Copy, cursor: Cursor) -> None:
    """Refuse a copy that is not the one that was looked through."""
    found = copy.block(cursor.height).header.digest.hex()
    if found != cursor.block:
        raise ConditionError(
            field=f"{copy.path}: blocks[{cursor.height}]",
            found=found,
            expected=f"{cursor.block}, which this monitor has looked through: this copy is of another history",
            code=Code.STORE_DAMAGED,
        )


def _fail(name: str, error: LedgerError) -> Outcome:
    relation = Relation.UNREACHABLE if isinstance(error, ConditionError) else Relation.WRONG
    return Outcome(name, 0, 0, blame(name, error), relation)
