"""One round of a mirror: every source is asked, what is verified is kept in the copy, and what is kept is published.

1. Sources are followed as every sync does (`observer.sync`): what one of them lies about is refused under its name and
   nothing of it is kept, so what sources can fill is the ledger and bounded evidence of what was refused.
2. Published is the newest checkpoint that was shown, and all under it, once the whole of it is in the copy. The place
   must be this ledger's, a mirror's, and no further than the copy: it never shows an older checkpoint than before.
3. A source that failed, or was waited for and brought nothing, rests for a round, if it does so again for two, then for
   four, up to a bound; if none is due, all are asked. One whose turn was over before it was done is asked last next.
4. Before anything is fetched there must be room on the disks; what a full disk refuses is not half there.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ledger.blocks import HEADERS_PER_BUNDLE
from ledger.checkpoints import Checkpoint
from ledger.errors import Code, ConditionError, LedgerError
from ledger.limits import NOTE_BYTES_MAX
from ledger.positions import Height, Interval, Millis
from observer.agreement import Relation, is_of_block
from observer.chain import Draw
from observer.copy import Copy
from observer.mirror.archives import Archives
from observer.mirror.passing import (
    BelievedNote,
    CopyLedger,
    believe,
    make_identity,
    make_snapshot,
    read_newest,
    require_intact_headers,
)
from observer.mirror.patience import PatientSource
from observer.mirror.targets import Target, require_apart, require_mirrors, require_room
from observer.sync import Outcome, Progress, open_or_found, sync
from tlog.publisher import CHARTER, CHECKPOINT, INDEX, Publisher

REST_ROUNDS_MAX: Final = 32
WAITED_S_MAX: Final = 10.0
LAG_MS_MAX: Final = 60_000


@dataclass(frozen=True, slots=True)
class Published:
    """What was published in a round.

    Attributes:
        checkpoint: the newest one.
        height: of its block.
        time_ms: of its block.
        archives: intervals whose archival checkpoint is new or gained lines.
    """

    checkpoint: Checkpoint
    height: Height
    time_ms: Millis
    archives: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round.

    Attributes:
        outcomes: of each source that was asked, and of archival checkpoints that were refused.
        published: None where nothing was new.
        is_cut: whether a source was left in the middle because its turn was over, and brought something until then.
        trouble: why nothing could be published, whoever told the truth.
    """

    outcomes: tuple[Outcome, ...]
    published: Published | None
    is_cut: bool
    trouble: ConditionError | None = None


@dataclass(slots=True)
class _Asked:
    """A source and how it did lately."""

    source: PatientSource
    failures_count: int = 0
    rests: int = 0

    def note(self, outcome: Outcome) -> None:
        """Let it rest if it cost time and brought nothing (3 of this module)."""
        is_failure = (outcome.error is not None or self.source.waited_s > WAITED_S_MAX) and not outcome.blocks_count
        self.failures_count = self.failures_count + 1 if is_failure else 0
        self.rests = min(REST_ROUNDS_MAX, 1 << min(self.failures_count - 1, 16)) if is_failure else 0


@dataclass(slots=True)
class Mirror:
    """A copy, where it is published, and whom it comes from. Belongs to one thread; `stop` may be called from another.

    Attributes:
        copy: what was verified.
        target: where it is published.
        draw: fresh random bytes, for checking seals together.
        clock: of this machine; decides when partial tiles go, and nothing else.
    """

    copy: Copy
    target: Target
    draw: Draw
    clock: Callable[[], Millis]
    progress: Callable[[Progress], None]
    _sources: list[_Asked]
    _archives: Archives = field(init=False)
    _publisher: Publisher | None = None
    _is_stopping: bool = False
    _shown: Height | None = None  # height of the checkpoint that is published
    _found: BelievedNote | None = None  # which was published earlier, while the copy has not reached it

    def __post_init__(self) -> None:
        """Look at what is published already."""
        self._archives = Archives(self.copy, self.target.files)
        self._require_ours()

    def run_round(self) -> Round:
        """Ask, verify, keep, publish.

        Raises:
            ConditionError: no room (`DISK_FULL`), or the copy cannot be written; a stop (`DRAINING`). What is wrong
                with the place is part of the result.
        """
        for folder in (self.copy.path.parent, self.target.folder):
            if folder is not None:
                require_room(folder)
        due = self._find_due()
        due.sort(key=lambda asked: asked.source.was_cut)
        for asked in due:
            asked.source.begin_turn()
        outcomes = sync(self.copy, [asked.source for asked in due], draw=self.draw, progress=self.progress)
        self._require_going_on()
        is_cut = False
        for place, asked in enumerate(due):  # behind the sources' outcomes stand those of heads seen earlier
            if asked.source.was_cut and outcomes[place].blocks_count:
                is_cut, outcomes[place] = True, replace(outcomes[place], error=None)  # it goes on in the next round
            outcomes[place] = self._pass_over_lag(outcomes[place])
            asked.note(outcomes[place])
        pairs = zip(due, outcomes, strict=False)
        honest = [asked.source for asked, outcome in pairs if outcome.error is None]
        try:
            published, refused = self._publish(honest)
        except ConditionError as trouble:
            return Round(tuple(outcomes), None, is_cut, trouble)
        for asked, error in ((each, refused[each.source.name]) for each in due if each.source.name in refused):
            outcome = Outcome(asked.source.name, 0, 0, error, _relate(error))
            asked.note(outcome)
            outcomes.append(outcome)
        return Round(tuple(outcomes), published, is_cut)

    def stop(self) -> None:
        """Let a round break off: a publication before its next tile."""
        self._is_stopping = True
        if self._publisher is not None:
            self._publisher.stop()

    def _require_going_on(self) -> None:
        if self._is_stopping:
            raise ConditionError(field="mirror", found="a stop", expected="no stop", code=Code.DRAINING)

    def _pass_over_lag(self, outcome: Outcome) -> Outcome:
        """Nodes publish at their own pace, and caches keep a while: a head that is moments old is no news."""
        if outcome.relation not in {Relation.BEHIND, Relation.STALE} or outcome.height is None:
            return outcome
        head = self.copy.head.header
        lag_ms = head.time_ms - self.copy.block(min(outcome.height, head.height)).header.time_ms
        return replace(outcome, error=None) if lag_ms <= LAG_MS_MAX else outcome

    def _find_due(self) -> list[_Asked]:
        due = [asked for asked in self._sources if asked.rests == 0]
        for asked in self._sources:
            asked.rests = max(0, asked.rests - 1)
        return due or list(self._sources)

    def _require_ours(self) -> None:
        """Refuse to publish over another ledger, or another history of this one; learn how far it is published.

        Raises:
            ConditionError: `CONFIG`: another ledger's, or a node's; `STORE_DAMAGED`: not a checkpoint of this copy.
        """
        files, charter = self.target.files, self.copy.charter
        there = files.read(CHARTER, size_max=len(charter.entry))
        if there is not None and there != charter.entry:
            expected = f"an empty place, or the ledger {charter.fingerprint}"
            raise ConditionError(
                field=self.target.url, found="another ledger's charter", expected=expected, code=Code.CONFIG
            )
        require_mirrors(files.read(INDEX, size_max=NOTE_BYTES_MAX), self.target.url)
        raw = files.read(CHECKPOINT, size_max=NOTE_BYTES_MAX)
        if raw is None:
            return
        try:
            believed = believe(raw, self.copy.keys)
        except LedgerError as error:
            raise self._damaged(error.found, error.expected) from error
        self._shown = believed.checkpoint.seal.height
        self._found = believed
        if self._shown <= self.copy.head.header.height:
            self._require_of_chain(believed)

    def _require_of_chain(self, believed: BelievedNote) -> None:
        seal = believed.checkpoint.seal
        header = self.copy.block(seal.height).header
        if not is_of_block(believed.checkpoint, header, origin=self.copy.charter.origin):
            expected = f"{header.digest.hex()} at height {seal.height}; `observe compare` proves it if both are sealed"
            raise self._damaged(f"the sealed block {seal.block_digest.hex()}", expected)
        self._found = None

    def _damaged(self, found: object, expected: str) -> ConditionError:
        field = f"{self.target.url}: {CHECKPOINT}"
        return ConditionError(field=field, found=found, expected=expected, code=Code.STORE_DAMAGED)

    def _publish(self, sources: Sequence[PatientSource]) -> tuple[Published | None, dict[str, LedgerError]]:
        """Publish what is new in the copy; also say which source was refused over archival checkpoints, and why.

        Raises:
            ConditionError: the copy or the place is damaged (`STORE_DAMAGED`); the place is ahead of the copy
                (`NOT_READY`); it refuses to be written; a stop (`DRAINING`).
        """
        newest = read_newest(self.copy, cosigners_min=0)
        if newest is None:
            return None, {}
        seal = newest.checkpoint.seal
        if self._shown is not None and seal.height < self._shown:
            found = f"a checkpoint of height {self._shown}"
            expected = (
                f"at most {seal.height}, as this copy has; the place keeps what it has until the copy has caught up"
            )
            raise ConditionError(field=f"{self.target.url}: {CHECKPOINT}", found=found, expected=expected)
        if self._found is not None:
            self._require_of_chain(self._found)
        for source in sources:
            source.begin_archives()
        archives, refused = self._archives.gather(sources, until=seal)
        cosigned = read_newest(self.copy, cosigners_min=1) or newest
        snapshot = make_snapshot(newest, cosigned, self.copy.keys, archives)
        files = self.target.files
        is_known = files.read(CHECKPOINT, size_max=NOTE_BYTES_MAX) == snapshot.checkpoint
        first = 0 if self._shown is None else (self._shown + 1) // HEADERS_PER_BUNDLE * HEADERS_PER_BUNDLE
        if seal.height != self._shown:
            require_intact_headers(
                self.copy,
                newest.checkpoint,
                first=Height(first),
                draw=self.draw,
                require_going_on=self._require_going_on,
            )
        publisher = self._open_publisher()
        if (self._shown or 0) < cosigned.checkpoint.seal.height < seal.height:
            # Its partial tiles must be there for whoever reads by it, so it is published as the newest for a moment.
            publisher.publish(make_snapshot(cosigned, cosigned, self.copy.keys, {}), now=self.clock())
        publisher.publish(snapshot, now=self.clock())
        self._shown = seal.height
        if is_known and not archives:
            return None, refused
        return Published(newest.checkpoint.checkpoint, seal.height, seal.time_ms, tuple(archives)), refused

    def _open_publisher(self) -> Publisher:
        if self._publisher is None:
            self._publisher = Publisher(self.target.files, CopyLedger(self.copy), make_identity(self.copy))
        self._require_going_on()  # a stop came before there was anything to tell of it
        return self._publisher


def open_mirror(
    home: Path,
    sources: Sequence[PatientSource],
    target: Target,
    stack: contextlib.ExitStack,
    *,
    fingerprint: bytes | None,
    draw: Draw,
    clock: Callable[[], Millis],
    progress: Callable[[Progress], None] = lambda _: None,
) -> Mirror:
    """Open the copy, or make it, and see that the place is this ledger's.

    Raises:
        LedgerError: as `sync.open_or_found`; the place is another ledger's, or too near to the copy.
    """
    if target.folder is not None:
        require_apart(home, target.folder)
    copy = stack.enter_context(open_or_found(home, sources, fingerprint=fingerprint))
    return Mirror(copy, target, draw, clock, progress, [_Asked(source) for source in sources])


def _relate(error: LedgerError) -> Relation:
    return Relation.UNREACHABLE if isinstance(error, ConditionError) else Relation.WRONG
