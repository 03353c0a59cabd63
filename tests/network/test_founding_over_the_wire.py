"""Founding by real processes: another draft, a late founder, one killed midway; all or nothing, and all is told."""

from ledger.charter import parse_charter
from ledger.positions import LeafIndex
from node.draft import parse_draft
from node.store import Store
from tests.network.conftest import AURELIA, DACIA, Running
from tests.network.parties import home_of


def test_a_founder_with_another_draft_is_told_and_so_are_the_others(running: Running) -> None:
    told = running.founding.told_of_other_draft
    assert "do all founders have the same draft?" in told[DACIA]
    assert "aurelia" in told[DACIA]
    assert "do all founders have the same draft?" in told[AURELIA]
    assert "dacia" in told[AURELIA]
    assert "WRONG_LEDGER" in told[AURELIA]


def test_who_is_there_says_for_whom_it_waits(running: Running) -> None:
    assert "waiting to reach" in running.founding.told_of_late
    assert "dacia" in running.founding.told_of_late


def test_a_founder_killed_midway_goes_on_with_what_it_had_said(running: Running) -> None:
    founding = running.founding
    assert not founding.was_founded_when_killed
    before, after = founding.killed_with
    assert before
    assert after.startswith(before)


def test_all_founders_end_with_one_charter_and_the_same_words(running: Running) -> None:
    network = running.network
    entries = []
    for number in range(4):
        store = Store(home_of(network, number).store)
        entries += store.entries(LeafIndex(0), 1)
        store.close()
    assert len(entries) == 4
    assert len(dict.fromkeys(entries)) == 1
    charter = parse_charter(entries[0])
    assert running.founding.fingerprints == [charter.fingerprint] * 4
    assert charter.title == "Network"
    assert parse_draft(home_of(network, DACIA).draft.read_bytes()).title == "Network"
