"""What is open and by when: the same as the rules say of their own state, and told when it is near."""

import hashlib
from pathlib import Path

import pytest

from ledger.positions import BeaconRound, Height, Interval, LeafIndex, MemberIndex, Millis
from ledger.rules.grid import Outage, compute_grid, is_outage
from ledger.rules.records.foundation import CLOCK
from ledger.rules.records.registry import LABS
from ledger.rules.verdicts import compute_lab_deadlines
from ledger.sampling import Purpose
from ledger.statements.beacons import Sample, SampleAnswer, encode_sample
from ledger.statements.committee import LiftPause
from node.matters import list_matters
from observer.copy import require_copy
from observer.monitor.deadlines import (
    INTERVALS_BACK_MAX,
    Deadline,
    find_block,
    find_outages,
    list_open,
    tell_approaching,
)
from observer.monitor.docket import Docket
from observer.monitor.kinds import Group, Kind
from observer.monitor.readings import Reading, read_entry
from tests.ledger.dockets import make_incident
from tests.ledger.inspecting import make_challenge, make_finding, make_response, name_inspectors
from tests.ledger.pausing import RESOLUTION, make_terms
from tests.ledger.rulebook import AGREEMENT, NATIONS, due, millis
from tests.ledger.training import decision, event, hand_in, training_run
from tests.observer.fakeledger import LedgerSource, copy_of
from tests.observer.monitor.parts import Watched, open_from
from tests.observer.monitor.story import StoryLedger
from tests.observer.monitor.test_entries import read_block

A, B, C = NATIONS

Open = set[tuple[str, str, int]]


def dock(ledger: StoryLedger) -> tuple[Docket, list[Outage]]:
    """What is open, and the outages, both found without the rules' state."""
    docket, outages = Docket(ledger.charter), []
    for height in range(1, ledger.height + 1):
        for reading in read_block(ledger, height):
            docket.take(reading)
        before, now = (ledger.chain[each].header.time_ms for each in (height - 1, height))
        if is_outage(docket.grid, previous_ms=before, time_ms=now):
            outages.append(Outage(before, now))
    return docket, outages


def list_now(ledger: StoryLedger) -> list[Deadline]:
    docket, outages = dock(ledger)
    return list_open(
        docket,
        outages=outages,
        now_ms=ledger.chain[-1].header.time_ms,
        is_reported=lambda lab, interval: interval in ledger.labs[lab].latest,
    )


def say_by_docket(ledger: StoryLedger) -> Open:
    return {(str(each.kind), each.subject, each.ends_ms) for each in list_now(ledger)}


def say_by_rules(ledger: StoryLedger) -> Open:
    """What a node of each nation says is open, out of the state that the rules computed."""
    grid, found = compute_grid(ledger.charter.grid), set()
    now_ms = ledger.chain[-1].header.time_ms
    for member in ledger.charter.members:
        matters = list_matters(ledger.state, lambda index: ledger.entries[index], me=MemberIndex(member.index))
        found |= {("run-decision-due", f"{run.lab}/{run.run}", run.decide_by_ms) for run in matters.runs}
        found |= {("review-due", f"{each.lab}/{each.model}", each.ends_ms) for each in matters.reviews}
        found |= {("vote-due", f"proposal/{each.proposal}", each.closes_ms) for each in matters.proposals}
        for challenge in matters.challenges:
            kind = "finding-due" if challenge.stage == "provided" else "response-due"
            found.add((kind, challenge.challenge, challenge.until_ms))
        for pause in matters.pauses:
            boundaries = (
                {"pause-begins": pause.start, "pause-ends": pause.end}
                if pause.activated
                else {"pause-lapses": pause.lapses}
            )
            for kind, interval in boundaries.items():
                found.add((kind, f"pause/{pause.pause}", grid.start_ms + interval * grid.interval_ms))
    for lab, party in ledger.labs.items():
        record = LABS.require(ledger.state, lab.encode())
        for interval in range(min(each.first_interval for each in record.clusters), 40):
            ends = grid.start_ms + (interval + 1) * grid.interval_ms
            due_ms = compute_lab_deadlines(ledger.state, record.number, Interval(interval)).due_ms
            if ends <= now_ms and interval not in party.latest:
                found.add(("report-due", f"{lab}/{interval}", due_ms))
    return {(kind, subject, ends_ms) for kind, subject, ends_ms in found if ends_ms > now_ms}


def agree(ledger: StoryLedger) -> set[str]:
    """Both say the same; gives the kinds that are open."""
    by_docket, by_rules = say_by_docket(ledger), say_by_rules(ledger)
    assert by_docket == by_rules
    return {kind for kind, _, _ in by_docket}


def test_a_docket_says_what_the_rules_say_at_every_step(tmp_path: Path) -> None:
    ledger, seen = StoryLedger(), set()

    def do(at: int, entry: bytes) -> None:
        ledger.accept(at, entry)
        seen.update(agree(ledger))

    ledger.register(-50, "acme", ["a1", "a2"], nation=A)
    name_inspectors(ledger, -40, "ada")
    do(1, ledger.pause(A, "p"))
    do(2, ledger.pause(B, "q", make_terms(lapses=2, first=2)))
    for nation in (A, B):
        do(3, ledger.accede(nation, "p"))
    for at in (50, 99, 100, 101):
        ledger.block(at)
        seen |= agree(ledger)
    do(102, make_incident(ledger, "acme", 0))
    do(103, make_incident(ledger, "acme", 1))
    for at in (due(0) - 1, due(0), due(0) + 69):
        ledger.block(at)
        seen |= agree(ledger)
    do(220, training_run(ledger, "declared", band=23))
    do(221, hand_in(ledger))
    do(222, event(ledger, "extended"))
    do(223, event(ledger, "info-requested"))
    do(240, training_run(ledger, "declared", run="r2", band=20))
    do(243, event(ledger, "info-supplied"))
    do(244, decision(ledger, "approved"))
    ledger.file(255, "acme", 1, ["a1", "a2"])
    seen |= agree(ledger)
    do(256, ledger.motion(A, RESOLUTION, "words"))
    do(257, ledger.motion(B, LiftPause(pause="p"), "lift"))
    do(258, ledger.vote(A, "words"))
    do(260, make_challenge(ledger, "c-1"))
    do(261, make_challenge(ledger, "c-2", nation=C, inspectors=(("brittia", "ada"), ("cockaigne", "ada"))))
    do(270, make_response(ledger, "c-1"))
    do(271, make_finding(ledger, B, "consistent", challenge="c-1"))
    do(272, make_finding(ledger, C, "inconsistent", challenge="c-1"))
    for at in (361, 700, 701, 720):  # c-2 is overdue, and then the network stands still for longer than 280
        ledger.block(at)
        seen |= agree(ledger)
    assert CLOCK.require(ledger.state).outages
    for at in (760, 800, 900):
        ledger.block(at)
        seen |= agree(ledger)
    assert seen == {kind.value for kind in Kind if kind.group is Group.DEADLINE} - {"sample-due"}


def test_outages_are_found_in_a_copy_by_looking_at_few_blocks(tmp_path: Path) -> None:
    ledger = StoryLedger()
    for at in (0, 10, 20, 400, 410, 420, 430, 440, 450, 460, 1000, 1010, 1300, 1310):
        ledger.block(at)
    grid = compute_grid(ledger.charter.grid)
    expected = [Outage(millis(20), millis(400)), Outage(millis(460), millis(1000)), Outage(millis(1010), millis(1300))]
    assert list(CLOCK.require(ledger.state).outages) == expected
    with require_copy(copy_of(ledger, tmp_path)) as copy:
        for since, left in ((-1000, expected), (415, expected[1:]), (2000, [])):
            after = find_block(copy, since_ms=millis(since))
            assert find_outages(copy, grid, after=after) == left
        assert find_outages(copy, grid, after=copy.head.header.height) == []


def take_sample(docket: Docket, *, opened: int, answer_by: int, number: int = 4) -> None:
    sample = Sample(
        ledger=docket.ledger,
        round=BeaconRound(number),
        purpose=Purpose.SPOT,
        lab="acme",
        cluster="a1",
        interval=Interval(1),
        block="ab" * 32,
        inventory="cd" * 32,
        population=10,
        count=1,
        seed=hashlib.sha256(b"seed").hexdigest(),
        indices=(LeafIndex(3),),
        time_ms=millis(opened),
        answer_by_ms=millis(answer_by),
    )
    reading = read_entry(encode_sample(sample), index=LeafIndex(7), height=Height(3), time_ms=millis(opened))
    assert isinstance(reading.predicate, Sample)
    docket.take(reading)


def test_a_sample_is_open_until_it_is_answered_or_its_window_ends() -> None:
    docket = Docket(StoryLedger().charter)
    take_sample(docket, opened=100, answer_by=160)

    def left(now: int, outages: list[Outage]) -> list[tuple[str, int]]:
        found = list_open(docket, outages=outages, now_ms=millis(now), is_reported=lambda *_: True)
        return [(each.kind, each.ends_ms) for each in found]

    assert left(150, []) == [(Kind.SAMPLE_DUE, millis(160))]
    assert left(160, []) == []
    assert left(160, [Outage(millis(110), millis(400))]) == [(Kind.SAMPLE_DUE, millis(450))]
    answer = SampleAnswer(
        ledger=docket.ledger,
        issuer="acme",
        sequence=0,  # type: ignore[arg-type]
        previous="00" * 32,
        issued_at=0,  # type: ignore[arg-type]
        corrects=None,
        round=BeaconRound(4),
        purpose=Purpose.SPOT,
        cluster="a1",
        openings="ab" * 32,
        opened_count=1,
    )
    docket.take(Reading(LeafIndex(8), 4, millis(120), "sample-answer", "acme/a1/4/spot", answer))  # type: ignore[arg-type]
    assert left(150, []) == []


def test_samples_whose_time_has_passed_do_not_pile_up() -> None:
    docket = Docket(StoryLedger().charter)
    for number in range(200):
        take_sample(docket, opened=100 * number, answer_by=100 * number + 60, number=number)
    assert len(docket.samples) < 5


@pytest.mark.parametrize(
    ("at", "lead", "is_told"),
    [
        (222, 10**9, False),  # the window is 220 to 280: its last quarter begins at 265
        (264, 10**9, False),
        (265, 10**9, True),
        (279, 10**9, True),
        (280, 10**9, False),
        (265, 10, False),
        (270, 10, True),
    ],
)
def test_a_deadline_is_told_in_the_last_quarter_of_its_window_and_within_the_lead(
    at: int, lead: int, is_told: bool
) -> None:
    ledger = StoryLedger()
    ledger.register(-50, "acme", ["a1"], nation=A)
    ledger.accept(220, training_run(ledger, "declared", band=23))
    assert AGREEMENT.runs.approval_window_s == 60
    docket, outages = dock(ledger)
    found = list_open(docket, outages=outages, now_ms=millis(at), is_reported=lambda *_: True)
    told = tell_approaching(docket, found, now_ms=millis(at), lead_ms=lead * 1000)
    assert [alarm.kind for alarm in told] == ([Kind.RUN_DECISION_DUE] if is_told else [])
    for alarm in told:
        assert (alarm.lab, alarm.nation, alarm.ledger_ms) == ("acme", A, millis(280))
        assert "silence approves" in alarm.title


def test_deadlines_are_told_once_by_a_given_clock_and_not_from_a_copy_that_may_be_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = StoryLedger()
    ledger.register(-50, "acme", ["a1"], nation=A)
    ledger.accept(101, ledger.motion(A, RESOLUTION, "words"))
    watched = Watched(tmp_path, ledger)
    open_from(watched.sources, monkeypatch)
    watched.sources["fake"] = LedgerSource(ledger)

    def told(at: int) -> list[str]:
        watched.clock.now_ms = millis(at)
        return [alarm.subject for alarm in watched.look().alarms if alarm.kind.group is Group.DEADLINE]

    assert told(130) == []
    assert told(140) == ["acme/0"]  # due at 150; its window began at 100
    assert told(145) == []
    del watched.sources["fake"]
    assert told(290) == []  # the vote ends at 301: but nobody says whether it was cast
    watched.sources["fake"] = LedgerSource(ledger)
    assert told(291) == ["proposal/words"]
    watched.start()
    assert told(292) == []


def test_no_more_intervals_are_looked_at_than_outages_can_have_kept_open() -> None:
    ledger = StoryLedger()
    ledger.register(-50, "acme", ["a1"], nation=A)
    docket, _ = dock(ledger)
    years_later = millis(10**8)
    outage = [Outage(millis(0), Millis(years_later - 1))]
    found = list_open(docket, outages=outage, now_ms=years_later, is_reported=lambda *_: False)
    assert 0 < len(found) <= INTERVALS_BACK_MAX + 1
