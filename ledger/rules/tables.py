"""Every table of records there is; a later kind of statement adds its own here."""

from typing import Final

from ledger.rules.record import Record, Table
from ledger.rules.records import agenda, filings, foundation, inspections, registry, remarks, rounds, standings

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
        inspections.BEACONS,
    )
}
"""By the letter that their keys begin with."""
