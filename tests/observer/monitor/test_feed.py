"""The feed, as another program reads it: whole, valid by RFC 4287, and with nothing in it but text."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ledger.errors import Code, ConditionError
from observer.monitor.feed import FeedOutlet, encode_feed
from observer.monitor.journal import Journal
from observer.monitor.kinds import Severity
from observer.monitor.outlets import Filter
from tests.observer.monitor.receivers import LEDGER, make_one

ATOM = "{http://www.w3.org/2005/Atom}"
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
HOSTILE = "<script>alert(1)</script> & ]]> &amp; \x0b \ufffe <![CDATA[ é 𝛑"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "watch.sqlite") as opened:
        opened.add_outlet("feed.public")
        yield opened


def make_outlet(tmp_path: Path, *, count: int = 100, wanted: Filter | None = None, url: str = "") -> FeedOutlet:
    path = tmp_path / "web" / "alarms.atom"
    return FeedOutlet("feed.public", wanted or Filter(), path, LEDGER, "Alarms & more", url, count)


def texts(element: ET.Element, name: str) -> list[str]:
    return [each.text or "" for each in element.findall(f"{ATOM}{name}")]


def check_atom(raw: bytes) -> ET.Element:
    """What RFC 4287 demands of a feed and its entries, each with its section."""
    feed = ET.fromstring(raw)
    assert feed.tag == f"{ATOM}feed"
    for element, name, count in ((feed, "id", 1), (feed, "title", 1), (feed, "updated", 1), (feed, "author", 1)):
        assert len(element.findall(f"{ATOM}{name}")) == count, f"§4.1.1 {name}"
    assert texts(feed.find(f"{ATOM}author") or ET.Element("none"), "name") != [""], "§3.2.1"
    assert len([link for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"]) <= 1
    entries = feed.findall(f"{ATOM}entry")
    for entry in entries:
        for name in ("id", "title", "updated", "content"):
            assert len(entry.findall(f"{ATOM}{name}")) == 1, f"§4.1.2 {name}"
        assert entry.find(f"{ATOM}content").get("type") == "text", "§4.1.3.1"  # type: ignore[union-attr]
        assert not list(entry.find(f"{ATOM}content")), "text has no child elements"  # type: ignore[arg-type]
        for category in entry.findall(f"{ATOM}category"):
            assert category.get("term"), "§4.2.2.1"
    dates = [*texts(feed, "updated"), *(date for entry in entries for date in texts(entry, "updated"))]
    assert all(DATE.match(date) for date in dates), "§3.3"
    ids = [*texts(feed, "id"), *(each for entry in entries for each in texts(entry, "id"))]
    assert len(set(ids)) == len(ids)
    assert all(re.match(r"[a-z]+:[!-~]+\Z", each) for each in ids), "§4.2.6: an absolute IRI"
    return feed


def test_a_feed_is_there_before_anything_was_told(journal: Journal, tmp_path: Path) -> None:
    outlet = make_outlet(tmp_path)
    outlet.prepare(journal)
    feed = check_atom(outlet.path.read_bytes())
    assert texts(feed, "title") == ["Alarms & more"]
    assert feed.findall(f"{ATOM}entry") == []


def test_a_feed_has_the_newest_alarms_newest_first_and_no_more_than_it_may(journal: Journal, tmp_path: Path) -> None:
    alarms = [make_one(number, seen_ms=1_000 * number) for number in range(1, 21)]
    journal.record(alarms)
    outlet = make_outlet(tmp_path, count=5, url="https://observer.example/alarms.atom")
    (first,) = journal.alarms(after=0, count=1)
    assert outlet.deliver(first, journal) == 20
    feed = check_atom(outlet.path.read_bytes())
    found = [texts(entry, "id")[0] for entry in feed.findall(f"{ATOM}entry")]
    assert found == [f"urn:counterseal:alarm:{alarm.id}" for alarm in reversed(alarms[-5:])]
    assert texts(feed, "updated") == ["1970-01-01T00:00:20Z"]
    assert [link.get("href") for link in feed.findall(f"{ATOM}link")] == ["https://observer.example/alarms.atom"]


def test_a_feed_that_is_written_again_is_the_same_file(journal: Journal, tmp_path: Path) -> None:
    journal.record([make_one(1), make_one(2)])
    outlet = make_outlet(tmp_path)
    outlet.prepare(journal)
    before = outlet.path.read_bytes()
    (first,) = journal.alarms(after=0, count=1)
    outlet.deliver(first, journal)
    assert outlet.path.read_bytes() == before
    assert list(outlet.path.parent.iterdir()) == [outlet.path], "nothing is left beside it"


def test_words_of_strangers_are_text_in_a_feed(journal: Journal, tmp_path: Path) -> None:
    alarm = make_one(1, title=HOSTILE, text=HOSTILE)
    feed = check_atom(encode_feed([alarm], feed_id="urn:x:y", title="t", url=""))
    (entry,) = feed.findall(f"{ATOM}entry")
    assert texts(entry, "title") == [alarm.title]
    assert texts(entry, "content")[0].startswith(alarm.text)
    assert "<script>alert(1)</script> & ]]> &amp; \\x0b \\ufffe" in alarm.title


def test_a_feed_shows_what_its_filter_takes(journal: Journal, tmp_path: Path) -> None:
    journal.record([make_one(1)])
    outlet = make_outlet(tmp_path, wanted=Filter(severity_min=Severity.CRITICAL))
    outlet.prepare(journal)
    assert check_atom(outlet.path.read_bytes()).findall(f"{ATOM}entry") == []


def test_a_feed_that_cannot_be_written_keeps_its_alarms_waiting(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "web").write_text("a file where a folder should be")
    with pytest.raises(ConditionError) as refused:
        make_outlet(tmp_path).prepare(journal)
    assert refused.value.code is Code.CONFIG
