"""The year, rehearsed: what it claims holds, each claim can fail, and its ledger is the golden history."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from devnet.year.books import open_books
from devnet.year.cast import LABS, NATIONS, LabRole
from devnet.year.chapters.lending import make_chips_tree
from devnet.year.claims import EXPECTED, Claim, check_claims
from devnet.year.facts import ANNEX, FACTS, FORTNIGHT_S, GFLOP_PER_PFLOP, Fact
from devnet.year.inquest import find_failures
from devnet.year.sampling import open_sample
from devnet.year.script import END, LAST_REPORTED, keep_books, write_script
from devnet.year.stage import Answer, Performance, Spoken, perform
from ledger.chips import verify_chip
from ledger.crosschecks.figures import read_fields
from ledger.crosschecks.rows import Surroundings, compare_row
from ledger.statements.beacons import SAMPLE, parse_sample
from ledger.statements.computed import find_computed_kind, is_computed_entry
from ledger.statements.verdicts import VERDICT, Verdict, parse_verdict
from tests.devnet.history import find_difference, read_history, replay, write_history
from tests.devnet.rehearsal import BASE, Rehearsal, rehearse

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def year() -> tuple[Rehearsal, Performance]:
    return asyncio.run(rehearse(write_script(BASE)))


def check(entries: Sequence[bytes], performance: Performance) -> list[Claim]:
    return check_claims(BASE, entries, performance)


def not_held(claims: Sequence[Claim]) -> list[str]:
    return [f"{claim.sentence}: {claim.detail}" for claim in claims if not claim.holds]


def verdict_of(entry: bytes) -> Verdict | None:
    is_verdict = is_computed_entry(entry) and find_computed_kind(entry) == VERDICT
    return parse_verdict(entry) if is_verdict else None


# --- claims ----------------------------------------------------------------------------------------------------------


def test_every_claim_of_the_year_holds(year: tuple[Rehearsal, Performance]) -> None:
    stage, performance = year
    claims = check(stage.entries(), performance)
    assert not not_held(claims)
    assert len(claims) > len(EXPECTED)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: f"{expected.lab}-{expected.interval}")
def test_without_the_last_word_on_a_cheat_the_claim_on_it_fails(
    year: tuple[Rehearsal, Performance], expected: object
) -> None:
    stage, performance = year
    place = next(each for each in EXPECTED if each is expected)
    kept = []
    for entry in stage.entries():
        verdict = verdict_of(entry)
        is_there = verdict is not None and (verdict.lab, verdict.interval) == (place.lab, BASE + place.interval)
        if not is_there or (verdict is not None and verdict.reasons != place.reasons):
            kept.append(entry)
    assert any(place.lab.capitalize() in each for each in not_held(check(kept, performance)))


def test_one_lab_judged_otherwise_breaks_the_claim_on_all_others(year: tuple[Rehearsal, Performance]) -> None:
    stage, performance = year
    kept = [
        entry
        for entry in stage.entries()
        if (verdict := verdict_of(entry)) is None or (verdict.lab, verdict.interval) != ("tern", BASE + 8)
    ]
    assert not_held(check(kept, performance)) == [
        next(each.sentence for each in check(kept, performance) if "last words" in each.sentence)
        + ": tern 8: no verdict"
    ]


class Backwards(Rehearsal):
    """A stage on which, at each moment, those speak first who are named last."""

    async def say(self, spoken: Sequence[Spoken]) -> list[Answer]:
        speakers = list(dict.fromkeys(each.speaker for each in spoken))[::-1]
        order = sorted(range(len(spoken)), key=lambda number: speakers.index(spoken[number].speaker))
        answers = await super().say([spoken[number] for number in order])
        return [answers[order.index(number)] for number in range(len(spoken))]


def test_year_does_not_depend_on_who_speaks_first_at_a_moment() -> None:
    stage = Backwards()
    performance = asyncio.run(perform(write_script(BASE), stage, tell=lambda *_: None, end=END))
    assert not not_held(check(stage.entries(), performance))


def test_every_sample_that_a_beacon_drew_is_opened_as_it_was_drawn(year: tuple[Rehearsal, Performance]) -> None:
    stage, performance = year
    entries = [entry for entry in stage.entries() if is_computed_entry(entry)]
    samples = [parse_sample(entry) for entry in entries if find_computed_kind(entry) == SAMPLE]
    assert {sample.lab for sample in samples} == {"sable", "marten"}
    answered = [sample for sample in samples if f"answer {sample.cluster} {sample.round}" in performance.said]
    assert answered == samples
    roots = {lab.id: make_chips_tree(lab).root() for lab in LABS}
    for sample in samples:
        openings = open_sample(sample)
        assert len(openings.chips) == sample.count == len(sample.indices)
        for chip in openings.chips:
            verify_chip(roots[sample.lab], chip.chip(), chip.opening())


# --- the golden history ----------------------------------------------------------------------------------------------


def test_year_is_the_golden_history_to_the_last_byte(year: tuple[Rehearsal, Performance]) -> None:
    stage, _ = year
    kept = read_history()
    entries = [kept[0]["charter"].encode()]
    for line in kept:
        entries += [text.encode() for text in (*line.get("computed", ()), *line.get("submitted", ()))]
    assert entries == stage.entries()


def test_golden_history_gives_the_same_words_states_and_roll_ups() -> None:
    kept = read_history()
    assert not find_difference(replay(kept), kept)
    assert sum("state" in line for line in kept) > LAST_REPORTED
    assert sum("interval" in line for line in kept) == LAST_REPORTED * (1 + len(NATIONS))


def test_golden_history_does_not_depend_on_the_order_of_sets() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "4"}
    command = [sys.executable, "-m", "tests.devnet.history"]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_history_in_which_one_word_is_changed_is_not_the_same() -> None:
    kept = read_history()
    place = next(number for number, line in enumerate(kept) if line.get("computed"))
    changed = kept[place] | {"computed": [kept[place]["computed"][0].replace("compliant", "late")]}
    lines = [*kept[:place], changed, *kept[place + 1 :]]
    assert f"line {place + 1}, computed" in find_difference(replay(lines), lines)


def test_a_history_with_a_block_that_the_rules_refuse_is_told_with_their_reason() -> None:
    kept = read_history()
    place = next(number for number, line in enumerate(kept) if line.get("submitted"))
    twice = kept[place] | {"submitted": kept[place]["submitted"] * 2}
    lines = [*kept[:place], twice, *kept[place + 1 :]]
    assert "refused" in find_difference(replay(lines), lines)


def test_a_history_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.devnet.history.FILE", tmp_path / "history" / "year.jsonl.xz")
    write_history([{"charter": "ä"}, {"state": "00"}])
    assert read_history() == [{"charter": "ä"}, {"state": "00"}]


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
def test_what_labs_keep_passes_every_hard_check(lab: LabRole) -> None:
    for book in keep_books()[lab.id].values():
        assert not find_failures(compare_row(lab.cluster, read_fields(book.figures), surround(lab)))


def test_a_lie_that_is_consistent_in_itself_passes_until_records_are_opened() -> None:
    lab = next(each for each in LABS if each.id == "lantern")
    book = open_books(lab, LAST_REPORTED)[4]
    figures = read_fields(book.understated)
    assert not find_failures(compare_row(lab.cluster, figures, surround(lab)))
    busy = {lab.fact.chip: lab.fact.chips_count * FORTNIGHT_S}
    failures = find_failures(compare_row(lab.cluster, figures, surround(lab, busy=busy)))
    assert [each.check for each in failures] == ["X11"]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.model)
def test_figures_of_a_real_run_fit_its_chips_and_add_up(fact: Fact) -> None:
    shares = [fact.share_pflop(number) for number in range(fact.fortnights)]
    assert sum(shares) == fact.pflop
    assert all(share > 0 for share in shares)
    peak_gflops = next(each.peak_gflops for each in ANNEX if each.model == fact.chip) * fact.chips_count
    assert max(shares) <= peak_gflops * FORTNIGHT_S // GFLOP_PER_PFLOP


def test_page_names_every_real_run_with_its_figures() -> None:
    page = (ROOT / "docs" / "year.md").read_text(encoding="utf-8")
    for lab in LABS:
        fact = lab.fact
        hours = "not given" if fact.hours is None else f"{fact.hours:,}".replace(",", " ")
        chips = f"{fact.chips_count:,}".replace(",", " ")
        pflop = f"{fact.pflop:.5e}".split("e")
        operations = f"{pflop[0].rstrip('0').rstrip('.')}·10^{int(pflop[1]) + 15}"
        line = (
            f"| {lab.name}, {lab.run} | {fact.model} | {fact.organization} | {fact.published} | {operations} | "
            f"{chips} {fact.chip.upper()} | {hours} | {fact.confidence} |"
        )
        assert line in page, line


def surround(lab: LabRole, *, busy: dict[str, int] | None = None) -> Surroundings:
    return Surroundings(
        interval_s=FORTNIGHT_S,
        accelerators={each.model: each for each in ANNEX},
        capacity={lab.fact.chip: lab.fact.chips_count},
        busy=busy,
        is_energy_measured=True,
    )
