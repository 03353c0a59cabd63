"""What lasts, what was proven: raised once, cleared once, by sources that lie, lag, contradict or do not answer."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Code
from ledger.positions import Millis
from observer.copy import FILE
from observer.evidence import decide, list_evidence
from observer.monitor.alarms import Alarm, Phase
from observer.monitor.conditions import Key, Lasting, Sighting, step
from observer.monitor.kinds import Group, Kind
from observer.served import ServedBlock
from tests.ledger.rulebook import NATIONS
from tests.ledger.test_rollbacks import cosigned
from tests.observer.fakeledger import FakeLedger, LedgerSource
from tests.observer.forking import fork
from tests.observer.monitor.parts import PATIENCE, Watched, kinds, open_from

LEDGER = "ab" * 32


@pytest.fixture
def watched(ledger: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A monitor of the ledger of two labs, of which it tells nothing that is past."""
    made = Watched(tmp_path / "pause", ledger)
    open_from(made.sources, monkeypatch)
    made.sources["fake"] = LedgerSource(ledger)
    made.set(tells_history=False)
    return made


def look(watched: Watched, *, later_s: float = 0) -> list[str]:
    """The kinds of what a look tells, the state of the network and deadlines aside."""
    watched.clock.now_ms += int(later_s * 1000)
    alarms = watched.look().alarms
    passed_over = (Kind.NETWORK_STRAINED, Kind.HEAD_OLD)
    return kinds([each for each in alarms if each.kind not in passed_over and each.kind.group is not Group.DEADLINE])


# --- the step --------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from(["", "bad", None]), st.integers(0, 9_000)), max_size=40),
    st.integers(0, 20_000),
    st.integers(0, 20_000),
)
def test_a_condition_is_raised_and_cleared_in_turn_each_under_an_id_of_its_own(
    looks: list[tuple[str | None, int]], patience_ms: int, clear_ms: int
) -> None:
    lasting: dict[Key, Lasting] = {}
    told: list[Alarm] = []
    now_ms, fine_since, bad_since = 0, 0, 0
    for words, later_ms in looks:
        now_ms += later_ms + 1
        seen = Sighting(Kind.SOURCE_UNREACHABLE, "s", words, patience_ms)
        after = step(lasting, [seen], ledger=LEDGER, judged=(), now_ms=Millis(now_ms), clear_ms=clear_ms)
        lasting = dict(after.lasting)
        fine_since = now_ms if words == "bad" else fine_since
        bad_since = now_ms if words == "" and not any(each.raised_ms for each in lasting.values()) else bad_since
        for alarm in after.alarms:
            assert alarm.phase is (Phase.RAISED if len(told) % 2 == 0 else Phase.CLEARED)
            if alarm.phase is Phase.RAISED:
                assert words == "bad"
            else:
                assert words == ""
                assert now_ms - fine_since >= clear_ms
            told.append(alarm)
    assert len({alarm.id for alarm in told}) == len(told)


def steps(words: list[str | None], *, patience_ms: int = 0, clear_ms: int = 0, every_ms: int = 10) -> list[str]:
    lasting: dict[Key, Lasting] = {}
    told = []
    for count, each in enumerate(words):
        seen = Sighting(Kind.HEAD_OLD, "network", each, patience_ms)
        after = step(lasting, [seen], ledger=LEDGER, judged=(), now_ms=Millis(count * every_ms), clear_ms=clear_ms)
        lasting = dict(after.lasting)
        told.append("".join(alarm.phase.value for alarm in after.alarms))
    return told


def test_patience_is_kept_to_the_millisecond() -> None:
    assert steps(["x"] * 4, patience_ms=20) == ["", "", "raised", ""]
    assert steps(["x", "x", "", "x", "x", "x"], patience_ms=20) == ["", "", "", "", "", "raised"]


def test_what_flickers_is_one_alarm() -> None:
    assert steps(["x", "", "x", "", "x", "", "", "", ""], clear_ms=20) == ["raised", *[""] * 6, "cleared", ""]


def test_a_look_that_cannot_tell_changes_nothing() -> None:
    assert steps(["x", None, None, "", None, ""], clear_ms=20) == ["raised", "", "", "", "", "cleared"]


def test_what_is_not_looked_for_any_more_is_over() -> None:
    lasting = {(Kind.SOURCE_WRONG, "gone"): Lasting(Millis(1), Millis(1))}
    judged = (Kind.SOURCE_WRONG,)
    after = step(lasting, [], ledger=LEDGER, judged=judged, now_ms=Millis(9), clear_ms=0)
    assert (kinds(after.alarms), after.lasting) == (["source-wrong cleared"], {})
    kept = step(lasting, [], ledger=LEDGER, judged=(Kind.HEAD_OLD,), now_ms=Millis(9), clear_ms=0)
    assert (kept.alarms, kept.lasting) == ((), lasting)


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_source_that_does_not_answer_is_told_after_a_while_and_once_also_after_a_restart(watched: Watched) -> None:
    assert look(watched) == []
    source = watched.sources.pop("fake")
    assert look(watched, later_s=1) == []
    assert look(watched, later_s=9.9) == []
    assert look(watched, later_s=0.1) == ["source-unreachable raised"]
    watched.start()
    assert look(watched, later_s=10) == []
    watched.sources["fake"] = source
    assert look(watched, later_s=1) == []
    assert look(watched, later_s=5) == ["source-unreachable cleared"]
    assert look(watched, later_s=20) == []
    raised, cleared = (each for each in watched.told() if each.kind is Kind.SOURCE_UNREACHABLE)
    assert raised.id != cleared.id
    assert "fake" in raised.title
    assert str(Code.UNREACHABLE) in raised.text


def test_one_source_that_does_not_answer_keeps_nobody_from_following_another(
    watched: Watched, ledger: FakeLedger
) -> None:
    watched.set(urls=("away", "fake"))
    found = watched.look()
    assert found.is_followed
    assert found.head == ledger.chain[-1]


class LyingSource(LedgerSource):
    """Serves blocks whose entries are not those of the header."""

    def block(self, height: int) -> ServedBlock:
        true = super().block(height)
        return replace(true, entries=tuple(entry[:-1] + b" " for entry in true.entries))


def test_a_source_that_lies_is_told_at_once_and_costs_nothing_but_its_own_answer(
    watched: Watched, ledger: FakeLedger
) -> None:
    watched.set(urls=("liar", "fake"))
    watched.sources["liar"] = LyingSource(ledger, name="liar")
    assert look(watched) == ["source-wrong raised"]
    assert watched.look().head == ledger.chain[-1]
    (alarm,) = (each for each in watched.told() if each.kind is Kind.SOURCE_WRONG)
    assert alarm.subject == "liar"
    watched.sources["liar"] = LedgerSource(ledger, name="liar")
    assert look(watched) == []
    assert look(watched, later_s=5) == ["source-wrong cleared"]


def test_a_source_that_lies_and_then_falls_silent_is_not_cleared_by_that(watched: Watched, ledger: FakeLedger) -> None:
    watched.set(urls=("fake", "liar"))
    source = LedgerSource(fork(ledger, 6), name="liar")
    watched.sources["liar"] = source
    assert "source-wrong raised" in look(watched)
    del watched.sources["liar"]
    assert look(watched, later_s=100) == []
    assert look(watched, later_s=100) == ["source-unreachable raised"]


def test_a_source_is_behind_by_time_and_not_by_blocks(watched: Watched, ledger: FakeLedger) -> None:
    watched.set(urls=("fake", "old"))
    head_ms = ledger.chain[-1].header.time_ms
    near, far = (
        max(
            height
            for height, sealed in enumerate(ledger.chain)
            if sealed.seal and sealed.header.time_ms <= head_ms - lag_ms
        )
        for lag_ms in (1, PATIENCE.source_behind_ms + 1)
    )
    assert far < near < ledger.height
    watched.sources["old"] = LedgerSource(ledger, name="old", height=ledger.height)
    assert look(watched) == []
    watched.sources["old"] = LedgerSource(ledger, name="old", height=far)
    assert look(watched, later_s=1) == ["source-behind raised"]
    (alarm,) = (each for each in watched.told() if each.kind is Kind.SOURCE_BEHIND)
    assert f"height {far}" in alarm.text
    assert "It showed a newer one before" in alarm.text
    watched.sources["old"] = LedgerSource(ledger, name="old")
    assert look(watched, later_s=1) == []
    assert look(watched, later_s=5) == ["source-behind cleared"]


def test_a_source_taken_out_of_the_settings_is_over(watched: Watched) -> None:
    watched.set(urls=("fake", "away"))
    look(watched)
    assert look(watched, later_s=10) == ["source-unreachable raised"]
    watched.set(urls=("fake",))
    assert look(watched) == []
    assert look(watched, later_s=5) == ["source-unreachable cleared"]


def test_without_a_copy_the_sources_are_told_of_all_the_same(watched: Watched) -> None:
    watched.sources.clear()
    assert look(watched) == []
    assert look(watched, later_s=10) == ["source-unreachable raised"]


# --- what was proven -------------------------------------------------------------------------------------------------


def test_a_fork_that_a_source_shows_is_told_with_its_proof_and_makes_the_network_blind(
    watched: Watched, ledger: FakeLedger
) -> None:
    look(watched)
    watched.set(urls=("fake", "other"))
    watched.sources["other"] = LedgerSource(fork(ledger, 6, later=1), name="other")
    assert sorted(look(watched)) == ["fork-proven", "network-blind raised", "source-wrong raised"]
    (folder,) = list_evidence(watched.home, "contradiction")
    told = next(each for each in watched.told() if each.kind is Kind.FORK_PROVEN)
    assert (told.proof, told.ledger) == (folder.name, ledger.fingerprint.hex())
    assert look(watched, later_s=1) == []
    decide(watched.home, folder.name, because="<b>explained</b>\n", now_ms=Millis(1))
    assert look(watched) == ["fork-decided"]
    assert look(watched, later_s=5) == ["network-blind cleared"]
    decided = next(each for each in watched.told() if each.kind is Kind.FORK_DECIDED)
    assert "<b>explained</b>\\n" in decided.text


def test_evidence_from_before_the_monitor_began_is_told_and_a_damaged_one_is_not_passed_over(
    watched: Watched, ledger: FakeLedger
) -> None:
    look(watched)
    watched.set(urls=("other",))
    watched.sources["other"] = LedgerSource(fork(ledger, 6), name="other")
    look(watched)
    (folder,) = list_evidence(watched.home, "contradiction")
    fresh = Watched(watched.home.parent / "elsewhere", ledger)
    fresh.home = watched.home
    fresh.set(home=watched.home)
    assert Kind.FORK_PROVEN in {alarm.kind for alarm in fresh.look().alarms}
    (folder / "about.json").write_text("{}")
    assert look(watched) == []
    assert look(watched, later_s=30) == ["watch-failing raised"]


def test_a_member_that_went_back_is_told_with_its_proof(watched: Watched, ledger: FakeLedger) -> None:
    source = LedgerSource(ledger)
    watched.sources["fake"] = source
    source.notes = [cosigned(ledger, ledger.height, 1000)]
    assert look(watched) == []
    source.notes = [cosigned(ledger, ledger.height, 1000), cosigned(ledger, 6, 2500)]
    assert look(watched) == ["member-went-back"]
    assert look(watched) == []
    told = next(each for each in watched.told() if each.kind is Kind.MEMBER_WENT_BACK)
    assert (watched.home / "evidence" / str(told.proof) / "proof.json").exists()


# --- the network -----------------------------------------------------------------------------------------------------


def test_a_ledger_that_stands_still_is_told_as_old_and_then_as_blind(watched: Watched) -> None:
    def told(later_s: float) -> list[str]:
        watched.clock.now_ms += int(later_s * 1000)
        return kinds([each for each in watched.look().alarms if each.kind.group is Group.CONDITION])

    assert told(0) == ["network-strained raised"]  # a lab of this ledger filed nothing
    assert told(100) == []
    assert told(110) == ["network-blind raised"]  # two intervals
    assert told(10) == ["network-strained cleared"]
    assert told(300) == ["head-old raised"]


def test_a_limit_that_was_exceeded_makes_the_network_breached_from_the_look_that_finds_it(
    story: FakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Watched(tmp_path / "pause", story)
    open_from(made.sources, monkeypatch)
    before = next(height for height in range(story.height) if b'"exceeded"' in b"".join(story.entries_of(height)))
    made.clock.now_ms = story.chain[before].header.time_ms
    made.sources["fake"] = LedgerSource(story, height=before - 1)
    assert "network-breached raised" not in kinds(made.look().alarms)
    made.sources["fake"] = LedgerSource(story, height=before)
    assert "network-breached raised" in kinds(made.look().alarms)


def test_a_nation_that_cosigns_nothing_for_long_is_told_by_its_name(watched: Watched, ledger: FakeLedger) -> None:
    source = LedgerSource(ledger, height=2)
    watched.sources["fake"] = source
    watched.clock.now_ms = ledger.chain[2].header.time_ms
    assert look(watched) == []
    watched.clock.now_ms = ledger.chain[-1].header.time_ms
    source = LedgerSource(ledger)
    source.notes = [ledger.note(), ledger.note(cosigners=len(NATIONS) - 1)]
    watched.sources["fake"] = source
    assert [each for each in look(watched) if not each.startswith("verdict-")] == ["nation-behind raised"]
    told = next(each for each in watched.told() if each.kind is Kind.NATION_BEHIND)
    assert (told.subject, told.nation) == (NATIONS[-1], NATIONS[-1])
    source.notes = [ledger.note(cosigners=len(NATIONS))]
    assert look(watched) == []
    assert look(watched, later_s=5) == ["nation-behind cleared"]


def test_a_ledger_without_any_cosignature_says_nothing_of_nations(watched: Watched, ledger: FakeLedger) -> None:
    source = LedgerSource(ledger)
    source.notes = [ledger.note()]
    watched.sources["fake"] = source
    assert look(watched) == []


# --- the monitor itself ----------------------------------------------------------------------------------------------


def test_a_copy_that_somebody_changed_is_an_alarm_until_it_is_mended(watched: Watched) -> None:
    look(watched)
    with sqlite3.connect(watched.home / FILE) as connection:
        (before,) = connection.execute("SELECT entry FROM entries WHERE position = 0").fetchone()
        connection.execute("UPDATE entries SET entry = ? WHERE position = 0", (b"another",))
    assert look(watched) == []
    assert look(watched, later_s=30) == ["watch-failing raised"]
    assert look(watched) == []
    with sqlite3.connect(watched.home / FILE) as connection:
        connection.execute("UPDATE entries SET entry = ? WHERE position = 0", (before,))
    connection.close()
    assert look(watched) == []
    assert look(watched, later_s=5) == ["watch-failing cleared"]


def test_an_outlet_that_takes_nothing_for_long_is_told_to_the_others(watched: Watched) -> None:
    watched.journal.add_outlet("webhook.office")
    watched.set(outlets=("webhook.office",))
    look(watched)
    watched.journal.fail("webhook.office", "no answer", now_ms=Millis(1), next_ms=Millis(2))
    assert look(watched) == []
    assert look(watched, later_s=60) == ["outlet-failing raised"]
    watched.journal.leave_off("webhook.office", 1, is_next_due=False)
    watched.journal.move("webhook.office", 2)
    assert look(watched) == ["alarms-left-off"]
    assert look(watched, later_s=5) == ["outlet-failing cleared"]
    told = next(each for each in watched.told() if each.kind is Kind.OUTLET_FAILING)
    assert "no answer" in told.text


def test_every_kind_that_is_no_entry_or_deadline_is_shown_by_a_test_of_this_file() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    groups = (Group.CONDITION, Group.EVIDENCE, Group.ACCOUNT)
    assert [kind.value for kind in Kind if kind.group in groups and f'"{kind.value}' not in text] == []
