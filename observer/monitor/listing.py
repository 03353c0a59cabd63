"""What a monitor has told, and how its outlets stand: read out of its journal, for a person or a program."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.errors import Code, ConditionError
from observer.monitor.alarms import encode_alarm
from observer.monitor.journal import JOURNAL_FILE, Journal, Numbered, OutletState
from observer.telling import format_time


@dataclass(frozen=True, slots=True)
class Listing:
    """The newest alarms, oldest first; every outlet by its name; and the number of the newest alarm."""

    alarms: tuple[Numbered, ...]
    outlets: Mapping[str, OutletState]
    last_number: int


def list_alarms(home: Path, *, count: int) -> Listing:
    """Read a journal.

    Args:
        home: the copy's folder.
        count: how many alarms at most.

    Raises:
        ConditionError: `NOT_FOUND`: no monitor has run here; or the journal is not what was written.
    """
    path = home / JOURNAL_FILE
    if not path.exists():
        expected = "a monitor's journal; `counterseal observe watch` makes one"
        raise ConditionError(field=str(path), found="none", expected=expected, code=Code.NOT_FOUND)
    with Journal(path) as journal:
        newest = journal.newest(count, takes=lambda _: True)
        return Listing(tuple(reversed(newest)), journal.outlets(), journal.last_number())


def encode_listing(listing: Listing) -> dict[str, Any]:
    """Give a listing as JSON has it; Any because its values are of several types."""
    return {
        "alarms": [{"number": each.number, **encode_alarm(each.alarm)} for each in listing.alarms],
        "outlets": {
            name: {**dataclasses.asdict(outlet), "waiting_count": listing.last_number - outlet.position}
            for name, outlet in listing.outlets.items()
        },
    }


def describe_listing(listing: Listing) -> list[str]:
    """Say a listing in lines."""
    lines = [
        f"{each.number} {format_time(each.alarm.seen_ms)} {each.alarm.kind.severity.word}: {each.alarm.title}"
        for each in listing.alarms
    ]
    for name, outlet in listing.outlets.items():
        waiting = listing.last_number - outlet.position
        failing = "" if outlet.failing_ms is None else f", takes nothing since {format_time(outlet.failing_ms)}"
        why = f": {outlet.failure}" if outlet.failure else ""
        lines.append(f"{name}: {waiting} behind, {outlet.left_off_count} never given{failing}{why}")
    return lines
