"""Alarms as JSON lines on stdout: one object a line, for a journal, a pipe or a person.

Every character is printable, so a line does nothing to a terminal. A line is given once it was written and flushed: a
reader that dies with lines in its pipe loses them.
"""

import json
from dataclasses import dataclass
from typing import BinaryIO

from ledger.errors import Code, ConditionError
from observer.monitor.alarms import encode_alarm
from observer.monitor.journal import Journal, Numbered
from observer.monitor.outlets import Filter


@dataclass(frozen=True, slots=True)
class LinesOutlet:
    """An `Outlet` that writes lines."""

    name: str
    filter: Filter
    stream: BinaryIO

    def prepare(self, journal: Journal) -> None:
        """Nothing can be wrong yet."""

    def deliver(self, first: Numbered, journal: Journal) -> int:
        """Write a line.

        Raises:
            ConditionError: nobody reads, or the disk behind it is full.
        """
        del journal
        line = json.dumps(encode_alarm(first.alarm), ensure_ascii=False)
        try:
            self.stream.write(line.encode("utf-8") + b"\n")
            self.stream.flush()
        except OSError as error:
            found = error.strerror or type(error).__name__
            raise ConditionError(field=self.name, found=found, expected="a reader", code=Code.UNREACHABLE) from error
        return first.number
