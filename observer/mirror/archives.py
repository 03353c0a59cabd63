"""Archival checkpoints: the first sealed one of each interval, which members cosign with ML-DSA-44 to last for decades.

A node names them; a mirror has to find out which are right, and believes none before that:
1. The note is sealed, none of its known lines is false, its block is in the chain, and in the interval it is named by.
   So one interval's cannot pass for another's.
2. Of several, the one with the most ML-DSA-44 cosigners counts, then the earliest, then the one with the most lines.
   What is published gains by another source and never loses: lines that were verified once are not taken away because
   somebody serves fewer.
3. Every interval up to the newest block's is asked for once; after that the newest few, to which lines may be added.

Members give these lines in the moments after the boundary (`node.publication`).
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ledger.charter import Grid
from ledger.checkpoints import SealLine
from ledger.errors import Code, FormatError, LedgerError, PolicyError, ProofError, SignatureError
from ledger.limits import NOTE_BYTES_MAX
from ledger.notes import encode_note
from ledger.positions import Interval, Millis
from observer.agreement import is_of_block
from observer.copy import Copy
from observer.mirror.passing import BelievedNote, believe
from observer.served import blame
from tlog.publisher import Files, archive_path

WATCHED: Final = 8
ASKED_MAX: Final = 1_024
"""How many intervals one round asks for, so that a long ledger's archives do not hold up what is new."""


class ArchiveSource(Protocol):
    """A source of archival checkpoints."""

    @property
    def name(self) -> str:
        """The URL it was opened with."""

    @property
    def is_turn_over(self) -> bool:
        """Whether it has had its time."""

    def read_archive(self, interval: Interval) -> bytes | None:
        """Read the archival checkpoint of an interval; None where there is none."""


@dataclass(slots=True)
class Archives:
    """Which archival checkpoints are published, and which to ask for next.

    Attributes:
        copy: what is believed.
        files: where they are published.
    """

    copy: Copy
    files: Files
    _next: Interval = field(default=Interval(0))

    def gather(
        self, sources: Sequence[ArchiveSource], *, until: SealLine
    ) -> tuple[dict[Interval, bytes], dict[str, LedgerError]]:
        """Ask sources for what may be new.

        Args:
            sources: none of them believed; one that refuses, or lies, is asked for nothing more this time.
            until: of the newest checkpoint that is going to be published.

        Returns:
            Notes to publish by interval; and who was refused, and why.
        """
        last = compute_interval(self.copy.charter.grid, until.time_ms)
        wanted = range(self._next, min(last + 1, self._next + ASKED_MAX))
        found: dict[Interval, bytes] = {}
        refused: dict[str, LedgerError] = {}
        asked, reached = list(sources), self._next
        for interval in map(Interval, wanted):
            asked = [source for source in asked if not source.is_turn_over]
            if not asked:
                break
            published = self._read_published(interval)
            best = published
            reached = Interval(interval + 1)
            if published is not None and self._is_whole(published):
                continue
            for source in list(asked):
                try:
                    offered = self._read(source.read_archive, interval, until=until)
                except LedgerError as error:
                    if error.code is Code.DRAINING:
                        raise
                    refused[source.name] = blame(source.name, error)
                    asked.remove(source)
                    continue
                if offered is not None and (best is None or _rank(offered) > _rank(best)):
                    best = offered
            if best is not None and best is not published:
                found[interval] = encode_note(best.note)
            if not asked:
                reached = interval  # the next source is asked for it again
        self._next = Interval(max(0, reached - WATCHED) if reached > last else reached)
        return found, refused

    def _read(
        self, read: Callable[[Interval], bytes | None], interval: Interval, *, until: SealLine
    ) -> BelievedNote | None:
        raw = read(interval)
        return None if raw is None else self._believe(raw, interval, until=until)

    def _believe(self, raw: bytes, interval: Interval, *, until: SealLine | None = None) -> BelievedNote | None:
        """Verify an interval's archival checkpoint (1 of this module); None for one that comes too early.

        Raises:
            LedgerError: as `passing.believe`; `ProofError`: of another chain, or of another interval.
        """
        path = archive_path(interval)
        try:
            believed = believe(raw, self.copy.keys)
        except LedgerError as error:
            raise error.inside(path) from None
        seal = believed.checkpoint.seal
        if until is not None and seal.height > until.height:
            return None  # newer than what is going to be published: it comes again
        there = self.copy.blocks(seal.height, 1)
        if not there or not is_of_block(believed.checkpoint, there[0].header, origin=self.copy.charter.origin):
            raise ProofError(field=f"{path}: block", found=seal.block_digest.hex(), expected="a block of this chain")
        stands = compute_interval(self.copy.charter.grid, there[0].header.time_ms)
        if stands != interval:
            raise ProofError(
                field=path, found=f"the checkpoint of a block in interval {stands}", expected=str(interval)
            )
        return believed

    def _read_published(self, interval: Interval) -> BelievedNote | None:
        """Read what was published before; what is not right there is written again."""
        raw = self.files.read(archive_path(interval), size_max=NOTE_BYTES_MAX)
        if raw is None:
            return None
        with contextlib.suppress(FormatError, PolicyError, ProofError, SignatureError):
            return self._believe(raw, interval)
        return None

    def _is_whole(self, published: BelievedNote) -> bool:
        """Whether every member's ML-DSA-44 line stands under it, so that nobody can add any."""
        return len(published.checkpoint.cosigners_ml_dsa) == len(self.copy.charter.members)


def compute_interval(grid: Grid, time_ms: Millis) -> Interval:
    """Number the interval in which a block stands; below 0 before the first."""
    return Interval((time_ms // 1000 - grid.start) // grid.interval_s)


def _rank(believed: BelievedNote) -> tuple[int, int, int]:
    """Say how good an archival checkpoint is (2 of this module)."""
    checkpoint = believed.checkpoint
    return len(checkpoint.cosigners_ml_dsa), -checkpoint.seal.height, len(believed.note.signatures)
