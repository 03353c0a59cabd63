"""Books, transfers and runs of two labs, from what they say to what an inspector is told, by the command line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from counterseal import Exit
from lab.showing import Shown
from lab.training_runs import Base, Plan
from ledger.disclosure import Disclosure, encode_disclosure
from ledger.openings import compute_openings_context, encode_openings, parse_openings
from ledger.positions import Interval
from tests.inspector.bookkeeping import PLAN, Answered, Lie, World, chips, honest, miscount, misstate, open_world
from tests.inspector.dossiers import INSPECTOR, NATION, encrypt, make_response, the_charter
from tests.inspector.test_inspect_cli import Desk as Terminal

BOOKS = Shown(since=Interval(0))


class Desk:
    """The inspector of a world at a terminal."""

    def __init__(self, world: World, capture: pytest.CaptureFixture[str]) -> None:
        self.world, self._terminal = world, Terminal(world.folder, capture)
        self.secret, self.run = self._terminal.secret, self._terminal.run

    def open(self, answered: Answered, *more: str | Path) -> tuple[int, Any]:
        """Open what was handed over; gives the exit code, and the report if there is one."""
        world, name = self.world, answered.challenge
        code, out, err = self.run(
            "open", answered.box, "--home", world.folder / "home", "--passphrase-file", self.secret,
            "--charter", world.folder / "charter.entry",
            "--challenge", world.receipt(f"{name}-challenge", answered.asked),
            "--response", world.receipt(f"{name}-response", answered.response),
            "--report", world.receipt(f"{name}-report", answered.report),
            "-o", world.folder / f"{name}.json", "--json", *more,
        )  # fmt: skip
        return code, json.loads(out) if out else err

    def balance(self, *words: str | Path) -> tuple[int, Any]:
        folder = self.world.folder
        code, out, err = self.run(
            "balance", "--charter", folder / "charter.entry", "-o", folder / "balance.json", "--json", *words
        )
        return code, json.loads(out) if out else err


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def desk(world: World, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(world, capsys)


def pick(report: Any, outcome: str, *checks: str) -> list[tuple[str, str, str]]:
    return [
        (one["check"], one["subject"], one["field"])
        for one in report["comparisons"]
        if one["outcome"] == outcome and (not checks or one["check"] in checks)
    ]


def trade(world: World, *, kept: int = 12, arrived: int = 4, says: int | None = None) -> tuple[Any, Any]:
    """One lab sells four accelerators to another, and both count before and after; gives each lab's first report."""
    a, b = world.sender, world.receiver
    a.count(0, *chips(0, 16))
    b.count(0)
    reports = a.report(1), b.report(1)
    terms = a.send(b, 1, *chips(12, 4))
    b.receive(terms, 1) if says is None else b.receive(terms, 1, lie=miscount(says))
    a.count(2, *chips(0, kept))
    b.count(2, *chips(12, arrived))
    return reports


def ask_both(world: World, reports: tuple[Any, Any], shown: Shown = BOOKS) -> tuple[Answered, Answered]:
    return (
        world.sender.answer(world.keys, reports[0], challenge="c-a", shown=shown),
        world.receiver.answer(world.keys, reports[1], challenge="c-b", shown=shown),
    )


def list_books(world: World) -> list[str]:
    books = world.write()
    return ["--books", str(books / world.sender.id), "--books", str(books / world.receiver.id)]


def test_honest_books_balance_pair_and_add_up_over_both_labs(world: World, desk: Desk) -> None:
    of_sender, of_receiver = ask_both(world, trade(world))
    books = list_books(world)
    code, found = desk.open(of_sender, *books)
    assert (code, found["result"]) == (0, "consistent")
    assert found["format"] == "counterseal/inspection-report/v2"
    assert ("X7", "aurora as of 2", "counts.h100") in pick(found, "holds")
    assert ("X8", "t-1, aurora-lab to borealis-lab", "counts.h100") in pick(found, "holds")
    code, found = desk.open(of_receiver, *books, "--also", str(world.folder / "c-a.json"))
    assert (code, found["result"]) == (0, "consistent")

    code, together = desk.balance(world.folder / "c-a.json", world.folder / "c-b.json", *books)
    assert (code, together["result"], together["missing"]) == (0, "consistent", [])
    assert sorted(field for _, _, field in pick(together, "holds", "X12")) == ["counts.h100", "received.h100"]
    assert "16 = 16 + 0 - 0" in json.dumps(together)
    page = (world.folder / "balance.html").read_text()
    assert "consistent" in page
    assert "<script" not in page


def test_a_transfer_whose_counts_differ_is_caught_on_the_side_that_signed_another_number(
    world: World, desk: Desk
) -> None:
    of_sender, of_receiver = ask_both(world, trade(world, says=3))
    books = list_books(world)
    _, honest = desk.open(of_sender, *books)
    assert honest["result"] == "consistent", "the sender said what both signed"
    code, found = desk.open(of_receiver, *books, "--also", str(world.folder / "c-a.json"))
    assert (code, found["result"]) == (1, "inconsistent")
    name = "t-1, aurora-lab to borealis-lab"
    assert pick(found, "fails", "X8") == [("X8", name, "counts.h100"), ("X8", name, "in.terms.counts")]
    assert pick(found, "fails", "X7") == [("X7", "borealis as of 2", "counts.h100")]
    code, together = desk.balance(world.folder / "c-a.json", world.folder / "c-b.json", *books)
    assert code == 1
    assert ("X12", "aurora-lab, borealis-lab", "received.h100") in pick(together, "fails")


def test_accelerators_that_nobody_sent_away_and_nobody_has_are_missed(world: World, desk: Desk) -> None:
    of_sender, of_receiver = ask_both(world, trade(world, kept=10))
    books = list_books(world)
    code, found = desk.open(of_sender, *books)
    assert (code, found["result"]) == (1, "inconsistent")
    (failed,) = [one for one in found["comparisons"] if one["outcome"] == "fails"]
    assert (failed["check"], failed["found"], failed["expected"]) == ("X7", "10", "12 = 16 + 0 - 4")
    desk.open(of_receiver, *books)
    code, together = desk.balance(world.folder / "c-a.json", world.folder / "c-b.json", *books)
    assert (code, pick(together, "fails")) == (1, [("X12", "aurora-lab, borealis-lab, from 0 to 2", "counts.h100")])


def test_what_is_built_or_still_travels_is_counted_where_it_is(world: World, desk: Desk) -> None:
    a, b = world.sender, world.receiver
    a.count(0, *chips(0, 16))
    b.count(0)
    reports = a.report(1), b.report(1)
    a.send(b, 1, *chips(14, 2))
    b.build(1, *chips(100, 8))
    a.count(2, *chips(0, 14))
    b.count(2, *chips(100, 8))
    both = ask_both(world, reports)
    books = list_books(world)
    for answered in both:
        assert desk.open(answered, *books)[1]["result"] == "consistent"
    code, together = desk.balance(world.folder / "c-a.json", world.folder / "c-b.json", *books)
    assert (code, pick(together, "fails")) == (0, [])
    assert "24 = 16 + 8 - 0" in json.dumps(together)
    assert ("X8", "t-1, aurora-lab to borealis-lab", "in") in pick(together, "not-comparable")


def test_a_statement_that_is_left_out_of_the_books_is_missed_by_its_number(world: World, desk: Desk) -> None:
    of_sender, of_receiver = ask_both(world, trade(world))
    books = list_books(world)
    desk.open(of_receiver, *books)
    (gone,) = [stored for stored in world.sender.vault.read_all() if stored.kind == "report"]
    books_folder = world.write(without=[gone.envelope])
    partial = ("--books", books_folder / world.sender.id, "--books", books_folder / world.receiver.id)
    code, found = desk.open(of_sender, *partial)
    assert (code, found["result"]) == (0, "consistent")
    assert {field for _, _, field in pick(found, "holds", "X7")} == {"leaves"}
    assert ("X7", "aurora as of 2", "counts") in pick(found, "not-comparable")
    assert "statements 1; any of them could be a transfer" in json.dumps(found)
    code, together = desk.balance(world.folder / "c-a.json", world.folder / "c-b.json", *partial)
    assert (code, together["result"]) == (0, "incomplete")
    assert together["missing"] == ["aurora-lab: statements 1"]


def test_what_a_lab_does_not_show_is_not_compared_and_what_is_shown_must_be_in_the_books(
    world: World, desk: Desk
) -> None:
    reports = trade(world)
    bare = world.sender.answer(world.keys, reports[0], challenge="c-a")
    shown = world.receiver.answer(world.keys, reports[1], challenge="c-b", shown=BOOKS)
    books = list_books(world)
    code, found = desk.open(bare, *books)
    assert (code, found["result"]) == (0, "consistent")
    assert ("X7", "aurora as of 2", "counts") in pick(found, "not-comparable")
    code, err = desk.open(shown)
    assert code == Exit.CONDITION
    assert "counterseal observe receipts" in err
    desk.open(shown, *books)
    _, together = desk.balance(world.folder / "c-a.json", world.folder / "c-b.json", *books)
    assert together["result"] == "incomplete"
    assert "aurora-lab: transfer t-1, out" in together["missing"]


@pytest.mark.parametrize(("counted", "arrives", "expected"), [(16, 0, "holds"), (1, 15, "holds"), (1, 0, "fails")])
def test_chip_seconds_are_held_against_the_books_where_no_capacity_is_public(
    world: World, desk: Desk, counted: int, arrives: int, expected: str
) -> None:
    """X1, with what may have come during the interval too."""
    lab = world.sender
    lab.count(0, *chips(0, counted))
    if arrives:
        lab.build(1, *chips(100, arrives))
    report = lab.report(1)
    answered = lab.answer(world.keys, report, challenge="c-a", shown=BOOKS, fields=("chip_seconds",))
    code, found = desk.open(answered, "--books", world.write([lab]) / lab.id)
    assert ("X1", "aurora", "chip_seconds.h100") in pick(found, expected)
    assert code == (expected == "fails")


def test_a_transfer_that_was_taken_back_moved_nothing_and_one_that_is_denied_is_told(world: World, desk: Desk) -> None:
    a, b = world.sender, world.receiver
    a.count(0, *chips(0, 16))
    b.count(0)
    reports = a.report(1), b.report(1)
    a.send(b, 1, *chips(0, 1), transfer="mistake")
    a.deny("mistake", 1, incoming=False, other=b.id, why="it never left")
    a.send(b, 1, *chips(1, 1), transfer="unwanted")
    b.deny("unwanted", 1, incoming=True, other=a.id)
    a.count(2, *chips(0, 1), *chips(2, 14))
    b.count(2)
    of_sender, of_receiver = ask_both(world, reports)
    books = list_books(world)
    code, found = desk.open(of_sender, *books)
    assert pick(found, "fails", "X7") == []
    assert "15 = 16 + 0 - 1" in json.dumps(found)
    assert code == 1, "the receiver denies what the sender says"
    assert {(check, subject) for check, subject, _ in pick(found, "fails")} == {
        ("X8", "unwanted, aurora-lab to borealis-lab")
    }
    desk.open(of_receiver, *books)
    _, together = desk.balance(world.folder / "c-a.json", world.folder / "c-b.json", *books)
    assert {check for check, _, _ in pick(together, "fails")} == {"X8", "X12"}


def test_an_id_that_was_used_before_is_another_transfer_and_a_recount_takes_the_last_ones_place(
    world: World, desk: Desk
) -> None:
    a, b = world.sender, world.receiver
    a.count(0, *chips(0, 16))
    b.count(0)
    reports = a.report(1), b.report(1)
    a.send(b, 1, *chips(0, 2))
    a.deny("t-1", 1, incoming=False, other=b.id, why="it never left")
    terms = a.send(b, 1, *chips(0, 4), transfer="t-2")
    b.receive(terms, 1)
    a.count(2, *chips(4, 11))
    a.count(2, *chips(4, 12))
    b.count(2, *chips(0, 4))
    of_sender, of_receiver = ask_both(world, reports)
    books = list_books(world)
    code, found = desk.open(of_sender, *books)
    assert (code, pick(found, "fails")) == (0, []), "silence agrees with a word that nothing moved"
    assert {subject for _, subject, _ in pick(found, "holds", "X8")} == {"t-2, aurora-lab to borealis-lab"}
    assert "12 = 16 + 0 - 4" in json.dumps(found)
    desk.open(of_receiver, *books)
    code, together = desk.balance(world.folder / "c-a.json", world.folder / "c-b.json", *books)
    assert (code, together["result"]) == (0, "consistent")


def test_a_finding_is_made_of_a_report_with_books_and_says_nothing_of_fields_of_other_statements(
    world: World, desk: Desk
) -> None:
    of_sender, _ = ask_both(world, trade(world, kept=10))
    desk.open(of_sender, *list_books(world))
    report, body = world.folder / "c-a.json", world.folder / "body.json"
    words = ("find", "--report", report, "-o", body)
    assert desk.run(*words, "--conclusion", "inconsistent", "--ground", "INVENTORY_DIFFERENCE")[0] == 0
    said = json.loads(body.read_text())
    assert said["grounds"] == ["INVENTORY_DIFFERENCE"]
    assert said["fields"] == [{"field": "training_pflop", "conclusion": "consistent"}]
    assert desk.run(*words, "--conclusion", "consistent", "--level", "A3")[0] == Exit.REFUTED


def test_books_alone_show_what_is_public_and_no_more(world: World, desk: Desk) -> None:
    reports = trade(world)
    bare = world.sender.answer(world.keys, reports[0], challenge="c-a")
    _, found = desk.open(bare, *list_books(world))
    assert (found["format"], "parts" in found) == ("counterseal/inspection-report/v2", False)
    held = [field for _, _, field in pick(found, "holds", "X8")]
    assert held == ["out.counterparty", "in.counterparty", "root", "match"]
    _, without = desk.open(bare)
    assert without["format"] == "counterseal/inspection-report/v1"
    assert {check for check, _, _ in pick(without, "not-comparable", "X7", "X8", "X12")} == {"X7", "X8", "X12"}


def test_a_report_that_was_forged_is_refused_and_a_folder_without_receipts_too(world: World, desk: Desk) -> None:
    of_sender, of_receiver = ask_both(world, trade(world))
    books = list_books(world)
    _, found = desk.open(of_sender, *books)
    desk.open(of_receiver, *books)
    forged = world.folder / "forged.json"
    for values, kind in ((["chip_counts"], "inventory"), ({"chip_counts": {"h100": -1}}, "inventory"), ({}, "charter")):
        forged.write_text(json.dumps(found | {"parts": [{**found["parts"][0], "kind": kind, "values": values}]}))
        assert desk.balance(forged, *books)[0] == Exit.MALFORMED
    (world.folder / "empty").mkdir()
    assert desk.balance(world.folder / "c-a.json", "--books", world.folder / "empty")[0] == Exit.CONDITION


# --- runs ------------------------------------------------------------------------------------------------------------


RUN = "pretrain-atlas-7b"
"""What the scheduler of the example calls it."""


def read_reported(world: World) -> int:
    """What the reports say that the run came to."""
    history = world.sender.vault.read_history(the_charter().fingerprint, Interval(99))
    return sum(pflop for (_, run), pflop in history.runs.items() if run == RUN)


def train(world: World, *, lie: Lie = honest, pflop: int | None = None, plan: Plan = PLAN) -> Answered:
    """A lab trains for two intervals and ends the run, and is asked about the second."""
    lab = world.sender
    lab.open_run(RUN, plan)
    lab.report(1)
    report = lab.report(2)
    assert read_reported(world) > 0
    lab.step(RUN, "completed", pflop=pflop, lie=lie)
    return lab.answer(world.keys, report, challenge="c-a", shown=Shown(runs=[RUN]))


def open_run(desk: Desk, answered: Answered) -> tuple[int, Any]:
    books = desk.world.write([desk.world.sender])
    return desk.open(answered, "--books", books / answered.lab.id)


def test_an_honest_run_is_what_its_reports_add_up_to_and_what_its_chips_can_do(world: World, desk: Desk) -> None:
    code, found = open_run(desk, train(world))
    assert (code, found["result"]) == (0, "consistent")
    last = f"{RUN}, number 3"
    held = pick(found, "holds", "X3", "X6", "BAND")
    assert {("X6", last, "cumulative_pflop"), ("X6", last, "run_pflop"), ("X3", last, "run_pflop")} <= {*held}
    assert ("BAND", last, "band") in held
    assert ("X6", "aurora, interval 2", f"runs.{RUN}.cumulative_pflop") in held
    values = [part["values"] for part in found["parts"] if part["kind"] == "training-run"]
    assert [sorted(each) for each in values] == [["cap_pflop", "cumulative_pflop", "estimate_pflop", "run_pflop"]] * 2


def test_a_run_whose_total_is_less_than_its_reports_say_is_caught(world: World, desk: Desk) -> None:
    code, found = open_run(desk, train(world, lie=misstate(run_pflop=200, cumulative_pflop=200)))
    assert (code, found["result"]) == (1, "inconsistent")
    (failed,) = [one for one in found["comparisons"] if one["outcome"] == "fails"]
    assert (failed["check"], failed["subject"], failed["field"]) == ("X6", f"{RUN}, number 3", "run_pflop")
    assert failed["expected"] == f"at least what the reports before it add up to, {read_reported(world)}"
    assert pick(found, "fails", "BAND") == [], "the public decade is that of the false figure too"


def test_a_run_that_hides_its_base_model_in_its_total_is_caught(world: World, desk: Desk) -> None:
    lab = world.sender
    lab.open_run("base", PLAN)
    ended = lab.step("base", "completed", pflop=5_000_000)
    plan = Plan(
        kind="post-training", base=Base(lab=lab.id, run="base"), estimate_pflop=10**7, cap_pflop=10**9,
        code="01" * 32, config="02" * 32,
    )  # fmt: skip
    assert ended.sequence == 1
    lab.open_run(RUN, plan)
    report = lab.report(1)
    lab.step(RUN, "started")
    honest = lab.answer(world.keys, report, challenge="c-a", shown=Shown(runs=[RUN]))
    code, found = open_run(desk, honest)
    assert (code, found["result"]) == (0, "consistent")
    assert ("X6", f"{RUN}, number 4", "cumulative_pflop") in pick(found, "holds")

    done = read_reported(world)
    lab.step(RUN, "completed", lie=misstate(cumulative_pflop=done))
    lying = lab.answer(world.keys, report, challenge="c-b", shown=Shown(runs=[RUN]))
    code, found = open_run(desk, lying)
    assert (code, found["result"]) == (1, "inconsistent")
    failed = [one for one in found["comparisons"] if one["outcome"] == "fails" and one["check"] == "X6"]
    assert failed[-1]["expected"].startswith(f"{5_000_000 + done}: the base model's 5000000")


def test_a_base_model_of_another_lab_is_known_from_what_that_lab_opened(world: World, desk: Desk) -> None:
    other = world.receiver
    opened = other.open_run("base", PLAN)
    other.step("base", "completed", pflop=7_000_000)
    others_report = other.report(1)
    of_other = other.answer(world.keys, others_report, challenge="c-b", shown=Shown(runs=["base"]))
    lab = world.sender
    plan = Plan(
        kind="post-training", base=Base(lab=other.id, run="base", leaf=opened.leaf, pflop=7_000_000),
        estimate_pflop=10**7, cap_pflop=10**9, code="01" * 32, config="02" * 32,
    )  # fmt: skip
    lab.open_run(RUN, plan)
    report = lab.report(1)
    lab.step(RUN, "completed")
    of_lab = lab.answer(world.keys, report, challenge="c-a", shown=Shown(runs=[RUN]))
    books = list_books(world)
    code, found = desk.open(of_lab, *books)
    assert (code, found["result"]) == (0, "consistent")
    name = ("X6", f"{RUN}, number 2", "cumulative_pflop")
    assert name in pick(found, "not-comparable")
    assert desk.open(of_other, *books)[1]["result"] == "consistent"
    code, found = desk.open(of_lab, *books, "--also", world.folder / "c-b.json")
    assert (code, found["result"], name in pick(found, "not-comparable")) == (0, "consistent", False)


def test_a_run_over_its_cap_is_caught_whatever_its_decade_says(world: World, desk: Desk) -> None:
    code, found = open_run(desk, train(world, plan=replace(PLAN, estimate_pflop=500, cap_pflop=500)))
    assert code == 1
    assert ("X6", f"{RUN}, number 3", "run_pflop") in pick(found, "fails")


# --- hostile ---------------------------------------------------------------------------------------------------------


def test_a_part_that_does_not_open_fails_and_is_left_out(world: World, desk: Desk) -> None:
    of_sender, _ = ask_both(world, trade(world))
    world.entries.remove(of_sender.response)
    spoilt = respoil(world, of_sender)
    code, found = desk.open(spoilt, *list_books(world))
    assert (code, found["result"]) == (1, "inconsistent")
    assert [check for check, _, _ in pick(found, "fails")] == ["OPENING"]
    assert ("X7", "aurora as of 2", "counts") in pick(found, "not-comparable")


def respoil(world: World, answered: Answered) -> Answered:
    """Let the lab hand over what opens nothing, in the place of its first inventory's numbers."""
    keys, lab = world.keys, answered.lab
    context = {"challenge": answered.challenge, "nation": NATION, "inspector": INSPECTOR}
    info = compute_openings_context(ledger_id=the_charter().ledger_id, **context)
    openings = parse_openings(keys.open(answered.box.read_bytes(), context=info))
    inventories = {stored.leaf for stored in lab.vault.read_all() if stored.kind == "inventory"}
    at = next(place for place, part in enumerate(openings.parts) if part.leaf in inventories)
    false = encode_disclosure(Disclosure(b"\x05" * 16, "chip_counts", {"h100": 99}))
    part = msgspec.structs.replace(openings.parts[at], disclosures=(false,))
    parts = (*openings.parts[:at], part, *openings.parts[at + 1 :])
    plain = encode_openings(msgspec.structs.replace(openings, parts=parts))
    box = encrypt(plain, keys, challenge=answered.challenge)
    response = make_response(plain, box, challenge=answered.challenge, issuer=lab.id)
    answered.box.write_bytes(box)
    world.entries.append(response)
    return replace(answered, response=response)
