"""What is told of sealed entries: every kind, once, the same however the history came, and inert."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import FormatError
from ledger.positions import Height
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.verdicts import VerdictState
from observer.copy import require_copy
from observer.monitor.alarms import Alarm, decode_alarm, encode_alarm, list_names, make_inert
from observer.monitor.docket import Docket
from observer.monitor.entries import tell_block
from observer.monitor.kinds import Group, Kind, Severity
from observer.monitor.looking import FAILING_PATIENCE_MS, read_docket
from observer.monitor.readings import Reading, read_entry
from tests.ledger.rulebook import NATIONS
from tests.observer.fakeledger import FakeLedger, LedgerSource, copy_of
from tests.observer.monitor.parts import Watched, open_from
from tests.observer.monitor.story import HOSTILE, StoryLedger


def read_block(ledger: FakeLedger, height: int) -> list[Reading]:
    header = ledger.chain[height].header
    entries = enumerate(ledger.entries_of(height), start=header.first_index)
    return [
        read_entry(entry, index=index, height=header.height, time_ms=header.time_ms)  # type: ignore[arg-type]
        for index, entry in entries
    ]


def tell_all(ledger: FakeLedger) -> list[Alarm]:
    docket = Docket(ledger.charter)
    return [
        alarm
        for height in range(1, ledger.height + 1)
        for alarm in tell_block(read_block(ledger, height), docket, seen_ms=ledger.chain[-1].header.time_ms)
    ]


@pytest.fixture(scope="module")
def alarms(story: StoryLedger) -> list[Alarm]:
    return tell_all(story)


def test_every_kind_of_entry_that_there_is_has_been_told(alarms: list[Alarm]) -> None:
    assert {alarm.kind for alarm in alarms} == {kind for kind in Kind if kind.group is Group.ENTRY}


def test_no_two_alarms_of_a_ledger_have_one_id(alarms: list[Alarm]) -> None:
    assert len({alarm.id for alarm in alarms}) == len(alarms)
    assert all(alarm.id.startswith(f"{alarm.kind}-") for alarm in alarms)


def test_an_alarm_names_an_entry_that_is_about_it(story: StoryLedger, alarms: list[Alarm]) -> None:
    for alarm in alarms:
        assert alarm.index is not None
        height = next(h for h, sealed in enumerate(story.chain) if sealed.header.tree_size > alarm.index)
        assert alarm.ledger_ms == story.chain[height].header.time_ms
        if alarm.lab is not None:
            entry = story.entries[alarm.index]
            said = entry if is_computed_entry(entry) else parse_envelope(entry).payload
            assert alarm.lab.encode() in said


def find(alarms: list[Alarm], kind: Kind, subject: str = "") -> Alarm:
    return next(alarm for alarm in alarms if alarm.kind is kind and alarm.subject.startswith(subject))


def test_verdicts_on_several_clusters_are_one_alarm_with_their_assurance(alarms: list[Alarm]) -> None:
    missing = [alarm for alarm in alarms if alarm.kind is Kind.VERDICT_MISSING and alarm.subject == "dyne/1"]
    assert len(missing) == 1
    assert "d1 (NOT_FILED_BY_GRACE), d2 (NOT_FILED_BY_GRACE)" in missing[0].text
    assert (missing[0].lab, missing[0].nation) == ("dyne", NATIONS[1])
    for state in VerdictState:
        told = find(alarms, Kind[f"VERDICT_{state.name}"])
        assert "(A" in told.title, "a state never stands without its assurance level"


def test_a_first_verdict_that_is_compliant_is_no_alarm_and_a_mended_one_is(alarms: list[Alarm]) -> None:
    compliant = [alarm.subject for alarm in alarms if alarm.kind is Kind.VERDICT_COMPLIANT]
    assert "dyne/0" not in compliant  # where d2 was compliant from the first verdict on
    assert "acme/0" in compliant


def test_a_proposal_is_carried_with_the_vote_that_was_the_last_one_needed(alarms: list[Alarm]) -> None:
    carried = find(alarms, Kind.PROPOSAL_CARRIED)
    votes = [alarm for alarm in alarms if alarm.kind is Kind.APPROVAL and alarm.subject.startswith("proposal/longer/")]
    assert carried.index == votes[-1].index
    assert "extend pause p until interval 9" in carried.title


def test_what_a_quorum_sealed_against_the_form_of_its_kind_is_an_alarm_of_the_worst_sort(alarms: list[Alarm]) -> None:
    malformed = find(alarms, Kind.ENTRY_MALFORMED)
    assert malformed.kind.severity is Severity.CRITICAL
    assert "another spelling" in malformed.text


def test_misconduct_is_about_the_accused_and_not_about_who_shows_it(alarms: list[Alarm]) -> None:
    assert find(alarms, Kind.MISCONDUCT).nation == NATIONS[1]


def test_words_of_parties_are_quoted_and_do_nothing(alarms: list[Alarm]) -> None:
    assert HOSTILE in find(alarms, Kind.OBSERVATION).text
    for alarm in alarms:
        assert alarm.title.isprintable()
        assert alarm.text.isprintable()


@given(st.text(max_size=300))
def test_text_of_strangers_becomes_one_line_of_printable_characters(text: str) -> None:
    inert = make_inert(text, 100)
    assert inert.isprintable()
    assert len(inert) <= 100
    if text.isprintable() and len(text) <= 100:
        assert inert == text


def test_a_list_of_names_says_how_many_it_leaves_out() -> None:
    assert list_names([], shown_max=3) == ""
    assert list_names(["a"] * 300, shown_max=2) == "a, a and 298 more"


def test_an_alarm_reads_back_as_it_was_written(alarms: list[Alarm]) -> None:
    for alarm in alarms:
        assert decode_alarm(json.dumps(encode_alarm(alarm)), field="journal") == alarm


@pytest.mark.parametrize("index", [3, 20, 60])
def test_what_is_open_is_the_same_when_it_is_read_out_of_the_copy(
    story: StoryLedger, tmp_path: Path, index: int
) -> None:
    folded = Docket(story.charter)
    for height in range(1, index + 1):
        for reading in read_block(story, height):
            folded.take(reading)
    with require_copy(copy_of(story, tmp_path / "copy")) as copy:
        read = read_docket(copy, up_to=Height(index))
    for table in ("labs", "outages_told", "runs", "reviews", "votes", "challenges", "samples", "pauses"):
        assert getattr(read, table) == getattr(folded, table), table


@settings(max_examples=5)
@given(st.data())
def test_any_split_of_a_history_into_looks_tells_the_same(story: StoryLedger, data: st.DataObject) -> None:
    heights = data.draw(st.lists(st.integers(1, story.height), min_size=1, max_size=4, unique=True).map(sorted))
    restarts = data.draw(st.lists(st.booleans(), min_size=len(heights) + 1, max_size=len(heights) + 1))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        watched = Watched(Path(folder), story)
        open_from(watched.sources, patch)
        for height, is_restarted in zip([*heights, story.height], restarts, strict=True):
            if is_restarted:
                watched.start()
            watched.sources["fake"] = LedgerSource(story, height=height)
            assert watched.look().error is None
        told = [alarm for alarm in watched.told() if alarm.kind.group is Group.ENTRY]
    assert [alarm.id for alarm in told] == [alarm.id for alarm in tell_all(story)]


def test_a_monitor_that_begins_tells_nothing_of_the_past_but_what_lasts(
    story: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path, story)
    watched.set(tells_history=False)
    open_from(watched.sources, monkeypatch)
    watched.sources["fake"] = LedgerSource(story, height=60)
    watched.look()
    assert {alarm.kind.group for alarm in watched.told()} <= {Group.CONDITION, Group.DEADLINE}
    assert Kind.NETWORK_BREACHED in {alarm.kind for alarm in watched.told()}
    watched.sources["fake"] = LedgerSource(story)
    watched.look()
    first_index = story.chain[60].header.tree_size
    expected = [alarm.id for alarm in tell_all(story) if (alarm.index or 0) >= first_index]
    assert [alarm.id for alarm in watched.told() if alarm.kind.group is Group.ENTRY] == expected


def test_a_first_look_that_breaks_off_does_not_make_news_of_the_rest_of_the_past(
    story: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is not whole yet is no place to begin from."""

    class Broken(LedgerSource):
        def read_checkpoints(self) -> list[bytes]:
            raise FormatError(field="checkpoint", found="x", expected="y")

    watched = Watched(tmp_path, story)
    watched.set(tells_history=False)
    open_from(watched.sources, monkeypatch)
    watched.sources["fake"] = Broken(story)
    watched.look()
    assert watched.journal.cursor() is None
    watched.sources["fake"] = LedgerSource(story)
    watched.look()
    assert [alarm for alarm in watched.told() if alarm.kind.group is Group.ENTRY] == []


def test_a_copy_of_another_history_is_refused_aloud(
    story: StoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path, story)
    open_from(watched.sources, monkeypatch)
    watched.sources["fake"] = LedgerSource(story)
    watched.look()
    watched.journal._connection.execute("UPDATE meta SET value = '[5, \"ab\"]' WHERE key = 'cursor'")
    look = watched.look()
    assert look.error is not None
    assert "another history" in str(look.error)
    assert look.alarms == (), "a sync by hand in the same folder must not be one"
    watched.clock.now_ms += FAILING_PATIENCE_MS
    assert [alarm.kind for alarm in watched.look().alarms] == [Kind.WATCH_FAILING]
    assert watched.look().alarms == ()
