"""Every table of records there is; a later kind of statement adds its own here."""

from typing import Final

from ledger.rules.record import Record, Table
from ledger.rules.records import (
    agenda,
    capacity,
    committee,
    filings,
    foundation,
    inspections,
    inventories,
    notices,
    pauses,
    registry,
    remarks,
    rounds,
    runs,
    standings,
    tallies,
)

_ALL: Final = (
    foundation.FOUNDATION,
    foundation.CLOCK,
    filings.PROGRESS,
    foundation.ISSUERS,
    foundation.NATIONS,
    registry.LABS,
    registry.LAB_NUMBERS,
    registry.KEYS,
    registry.CLUSTERS,
    filings.FILINGS,
    filings.CHANGES,
    standings.STANDINGS,
    agenda.AGENDA,
    agenda.AGENDA_SIZE,
    remarks.REMARKS,
    rounds.ROUNDS,
    rounds.TRIGGERS,
    inspections.BEACONS,
    inspections.SAMPLING,
    inspections.SAMPLES,
    inspections.INSPECTORS,
    inspections.INSPECTOR_KEYS,
    inspections.CHALLENGES,
    inspections.OPEN_CHALLENGES,
    inspections.RAISED_COUNTS,
    inspections.RAISED_TIMES,
    committee.MOTIONS,
    tallies.TALLIES,
    pauses.PAUSES,
    pauses.COMMITMENTS,
    pauses.UNDERTAKINGS,
    pauses.FROZEN_RUNS,
    capacity.CAPACITIES,
    inventories.INVENTORIES,
    inventories.TRANSFERS,
    inventories.OPENED_COUNTS,
    inventories.DIFFERENCES,
    notices.EXTENSIONS,
    notices.OBSERVED,
    runs.RUNS,
    runs.RUN_COUNTS,
    runs.REVIEWS,
)

TABLES: Final[dict[int, Table[Record]]] = {
    # A table of one kind of record stands for a table of records: get and decode return what the type says.
    table.letter[0]: table  # type: ignore[misc]
    for table in _ALL
}
"""By the letter that their keys begin with."""

assert len(TABLES) == len(_ALL), "no two tables share a letter"
