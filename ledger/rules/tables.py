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

TABLES: Final[dict[int, Table[Record]]] = {
    # A table of one kind of record stands for a table of records: get and decode return what the type says.
    table.letter[0]: table  # type: ignore[misc]
    for table in (
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
        committee.MOTIONS,
        tallies.TALLIES,
        pauses.PAUSES,
        pauses.COMMITMENTS,
        pauses.UNDERTAKINGS,
        pauses.FROZEN_RUNS,
        capacity.CAPACITIES,
        inspections.BEACONS,
        inspections.SAMPLING,
        inspections.SAMPLES,
        inspections.INSPECTORS,
        inspections.INSPECTOR_KEYS,
        inspections.CHALLENGES,
        inspections.OPEN_CHALLENGES,
        inspections.RAISED_COUNTS,
        inspections.RAISED_TIMES,
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
}
"""By the letter that their keys begin with."""
