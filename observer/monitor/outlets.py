"""What every outlet is: somewhere alarms are given to, with a filter; and files that hold its secrets.

An outlet is given alarms one by one, in order. It returns once the alarm is where it belongs, or raises:
- `ConditionError`: it cannot take anything now. The same alarm is tried again.
- `PolicyError`: it will not take this alarm. It is tried a few more times, then left off and counted.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import KIB
from observer.files import read_file
from observer.monitor.alarms import Alarm
from observer.monitor.journal import Journal, Numbered
from observer.monitor.kinds import Severity

SECRET_BYTES_MAX: Final = 4 * KIB
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alarms an outlet is given.

    Attributes:
        severity_min: the least severity.
        kinds: names of the kinds; empty for all.
        labs: ids of the labs; empty for all. What is about no lab passes.
        nations: ids of the nations; empty for all. What is about no nation passes.
    """

    severity_min: Severity = Severity.INFO
    kinds: tuple[str, ...] = ()
    labs: tuple[str, ...] = ()
    nations: tuple[str, ...] = ()

    def takes(self, alarm: Alarm) -> bool:
        """Say whether the outlet wants an alarm."""
        return (
            alarm.kind.severity >= self.severity_min
            and (not self.kinds or alarm.kind.value in self.kinds)
            and (not self.labs or alarm.lab is None or alarm.lab in self.labs)
            and (not self.nations or alarm.nation is None or alarm.nation in self.nations)
        )


class Outlet(Protocol):
    """Where alarms are given to. Belongs to one thread."""

    @property
    def name(self) -> str:
        """Its sort and the name it has in the settings, such as `webhook.office`."""

    @property
    def filter(self) -> Filter:
        """Which alarms it wants."""

    def prepare(self, journal: Journal) -> None:
        """Check what can be checked without anybody else, before watching begins.

        Raises:
            LedgerError: a file of secrets is not as it must be, or the disk refuses.
        """

    def deliver(self, first: Numbered, journal: Journal) -> int:
        """Give the next alarm that is wanted.

        Args:
            first: the alarm.
            journal: for an outlet that shows several at once.

        Returns:
            The number up to which everything is given now.

        Raises:
            ConditionError, PolicyError: see the head of this file.
        """


def read_secret_lines(path: Path, *, field: str) -> list[str]:
    """Read a file of secrets, which nobody else may read; each line without white space around it, none empty.

    Raises:
        ConditionError: `CONFIG`: not there, or others may read it.
        FormatError: too large, not text, or empty. What stands in it is in no message.
    """
    raw = read_file(path, size_max=SECRET_BYTES_MAX, field=field)
    mode = path.stat().st_mode & 0o777
    if mode & _OTHERS:
        expected = "mode 0600 or 0400: a secret"
        raise ConditionError(field=f"{field}: {path}", found=f"mode {mode:04o}", expected=expected, code=Code.CONFIG)
    try:
        lines = [line.strip() for line in raw.decode("utf-8").splitlines()]
    except UnicodeDecodeError:
        raise FormatError(field=f"{field}: {path}", found="bytes that are no text", expected="text") from None
    if not lines or not all(lines):
        raise FormatError(field=f"{field}: {path}", found="an empty line or file", expected="a secret on each line")
    return lines
