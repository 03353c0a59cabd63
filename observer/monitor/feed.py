"""Alarms as an Atom feed: a file that any web server can serve, replaced whole, with the newest alarms in it.

Everything is plain text, escaped by the XML writer; no HTML is made of what parties wrote. The file follows from the
journal alone, so writing it again is harmless, and an entry's id is the alarm's for good.

Source: RFC 4287; XML 1.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from ledger.errors import Code, ConditionError
from ledger.positions import Millis
from observer.files import write_file
from observer.monitor.alarms import Alarm
from observer.monitor.journal import Journal, Numbered
from observer.monitor.mail import describe_alarm
from observer.monitor.outlets import Filter

ATOM: Final = "http://www.w3.org/2005/Atom"
AUTHOR: Final = "Counterseal monitor"
_URN: Final = "urn:counterseal:alarm"

ET.register_namespace("", ATOM)


@dataclass(frozen=True, slots=True)
class FeedOutlet:
    """An `Outlet` that writes a file.

    Attributes:
        name: of the outlet.
        filter: which alarms.
        path: of the file.
        ledger: fingerprint of the ledger's charter.
        title: what readers see above it.
        url: where it will be found; empty if nobody knows.
        entries_max: how many alarms it shows.
    """

    name: str
    filter: Filter
    path: Path
    ledger: str
    title: str
    url: str
    entries_max: int

    def prepare(self, journal: Journal) -> None:
        """Write the file as it stands, so that whoever subscribes finds one.

        Raises:
            ConditionError: the disk refuses.
        """
        self._write(journal)

    def deliver(self, first: Numbered, journal: Journal) -> int:
        """Write the file with everything that is new.

        Raises:
            ConditionError: the disk refuses.
        """
        return max([first.number, *self._write(journal)])

    def _write(self, journal: Journal) -> list[int]:
        newest = journal.newest(self.entries_max, takes=self.filter.takes)
        raw = encode_feed(
            [each.alarm for each in newest],
            feed_id=f"{_URN}s:{self.ledger}:{self.name}",
            title=self.title,
            url=self.url,
        )
        try:
            write_file(self.path, raw)
        except OSError as error:
            found = f"{self.path}: {error.strerror}"
            raise ConditionError(field=self.name, found=found, expected="a writable file", code=Code.CONFIG) from error
        return [each.number for each in newest]


def encode_feed(alarms: Sequence[Alarm], *, feed_id: str, title: str, url: str) -> bytes:
    """Write a feed.

    Args:
        alarms: newest first.
        feed_id: of the feed, for good.
        title: of the feed.
        url: where it will be found; empty if nobody knows.
    """
    feed = ET.Element(f"{{{ATOM}}}feed")
    _add(feed, "id", feed_id)
    _add(feed, "title", title)
    _add(feed, "updated", _format(max((alarm.seen_ms for alarm in alarms), default=Millis(0))))
    _add(_add(feed, "author"), "name", AUTHOR)
    if url:
        _add(feed, "link", rel="self", href=url)
    for alarm in alarms:
        entry = _add(feed, "entry")
        _add(entry, "id", f"{_URN}:{alarm.id}")
        _add(entry, "title", alarm.title, type="text")
        _add(entry, "updated", _format(alarm.seen_ms))
        _add(entry, "category", term=alarm.kind.value, label=alarm.kind.severity.word)
        _add(entry, "content", "\n".join(describe_alarm(alarm)), type="text")
    ET.indent(feed)
    raw: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return raw + b"\n"


def _add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
    if text:
        element.text = text
    return element


def _format(time_ms: Millis) -> str:
    """A date of RFC 3339, as RFC 4287 §3.3 asks for."""
    return f"{datetime.fromtimestamp(time_ms // 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
