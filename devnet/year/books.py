"""What a lab of the year knows of its cluster in a fortnight, and the row of a report that it makes of it.

Figures follow from the facts: all chips are on all the time; a lab that trains has them all in training, another one
serves. Salts follow from names, which no real lab may do: whoever reads this can open every row. A fortnight of figures
is reported for every interval of the ledger's grid, whether that is a fortnight or seconds.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from devnet.year.cast import HALCYON, KESTREL, OSPREY, LabRole
from devnet.year.facts import ANNEX, FORTNIGHT_S
from ledger.disclosure import CommittedFields, commit_fields, commit_records
from ledger.limits import SALT_BYTES_MIN
from ledger.statements.reports import (
    HIDDEN_FIELD_NAMES,
    HiddenFields,
    LimitRespected,
    Records,
    Row,
    Run,
    Split,
    compute_band,
    encode_hidden_fields,
)

LIE_DIVISOR: Final = 10
"""A lab that understates says that it had, used and did one part of so many."""

TRAINED: Final = {
    HALCYON.id: (*range(4, 9), 16, 17),  # a pause between
    KESTREL.id: tuple(range(2, 9)),  # and then a pause, as far as it says
    OSPREY.id: (1, 2, 3),  # until it was seen
}
"""In which intervals of the story a run is done that is not done in one go."""

_JOBS_COUNT: Final = 4
_HOUR_S: Final = 3_600
_BUILDING_PERMILLE: Final = 1_250  # energy of the building over that of its accelerators


@dataclass(frozen=True, slots=True)
class Book:
    """A lab's own account of one interval.

    Attributes:
        lab: whose.
        interval: of the story.
        trained: PFLOP of its run in this interval; 0 if it stands still.
        before: PFLOP of its run until this interval.
    """

    lab: LabRole
    interval: int
    trained: int
    before: int

    @property
    def figures(self) -> HiddenFields:
        """What is true."""
        return self._make(self.lab.fact.chips_count * FORTNIGHT_S, self.trained, self.before + self.trained)

    @property
    def understated(self) -> HiddenFields:
        """A tenth of everything: consistent in itself, as a liar's figures are who has read the cross-checks."""
        trained = self.trained // LIE_DIVISOR
        return self._make(
            self.lab.fact.chips_count * FORTNIGHT_S // LIE_DIVISOR, trained, self.before // LIE_DIVISOR + trained
        )

    @property
    def records(self) -> tuple[bytes, ...]:
        """What the scheduler accounted: a line a job."""
        fact = self.lab.fact
        chip_seconds, use = fact.chips_count * FORTNIGHT_S, "training" if self.trained else "inference"
        parts = [chip_seconds // _JOBS_COUNT] * (_JOBS_COUNT - 1)
        parts.append(chip_seconds - sum(parts))
        return tuple(
            json.dumps({"chip_seconds": part, "job": number, "model": fact.chip, "use": use}, sort_keys=True).encode()
            for number, part in enumerate(parts)
        )

    def record_salts(self) -> list[bytes]:
        """A salt a record."""
        return [self.salt(f"record {number}") for number in range(_JOBS_COUNT)]

    def salt(self, what: str) -> bytes:
        """The salt of something; never do this outside of a demonstration."""
        return make_salt(f"{self.lab.id} {self.interval} {what}")

    def commit(self, figures: HiddenFields) -> CommittedFields:
        """Commit to the figures of this interval."""
        return commit_fields(
            encode_hidden_fields(figures), salts=[self.salt(f"field {name}") for name in HIDDEN_FIELD_NAMES]
        )

    def row(self, figures: HiddenFields, *, promises: Sequence[str]) -> Row:
        """The row of the report.

        Args:
            figures: as the lab says they are.
            promises: limits that it says were respected.
        """
        records = commit_records(self.records, self.record_salts())
        return Row(
            cluster=self.lab.cluster,
            digests=self.commit(figures).digests,
            limits_respected=tuple(LimitRespected(limit, respected=True) for limit in promises),
            band=compute_band(int(figures.training_pflop)),
            records=Records(records.root.hex(), records.count),
            evidence=(),
        )

    def _make(self, chip_seconds: int, trained: int, cumulative: int) -> HiddenFields:
        fact = self.lab.fact
        tdp_w = next(each.tdp_w for each in ANNEX if each.model == fact.chip)
        energy_wh = chip_seconds * tdp_w // _HOUR_S
        training, serving = (chip_seconds, 0) if self.trained else (0, chip_seconds)
        runs = (Run(run=self.lab.run, pflop=trained, cumulative_pflop=cumulative),) if self.trained else ()
        return HiddenFields(
            chip_seconds={fact.chip: chip_seconds},
            busy_chip_seconds=chip_seconds,
            split=Split(training=training, post_training=0, inference=serving, evaluation=0, other=0, idle=0),
            training_pflop=trained,
            largest_run_pflop=trained,
            energy_wh=energy_wh,
            facility_energy_wh=energy_wh * _BUILDING_PERMILLE // 1000,
            utilisation_permille=1000,
            runs=runs,
        )


def open_books(lab: LabRole, last: int) -> dict[int, Book]:
    """All of a lab's accounts, from interval 1 to `last` of the story; its run is done where `TRAINED` says."""
    before, numbers = 0, list(TRAINED.get(lab.id) or range(lab.begins, lab.begins + lab.fact.fortnights))
    books = {}
    for interval in range(1, last + 1):
        trained = lab.fact.share_pflop(numbers.index(interval)) if interval in numbers else 0
        books[interval] = Book(lab, interval, trained, before)
        before += trained
    return books


def make_salt(name: str) -> bytes:
    """A salt that follows from a name."""
    return hashlib.sha256(f"a year, salt: {name}".encode()).digest()[:SALT_BYTES_MIN]
