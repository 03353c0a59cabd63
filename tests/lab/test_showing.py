"""`lab.showing`: what a lab hands over beside what it is asked for, and no more of it than comparisons need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.preparing import Prepared
from lab.responding import prepare_response
from lab.showing import NOTHING, Shown, collect_parts
from lab.stored import Stored
from lab.training_runs import Base, Plan, Step, prepare_opening, prepare_step
from lab.vault import Vault, open_vault
from ledger.disclosure import parse_disclosure
from ledger.errors import Code, ConditionError
from ledger.openings import OpenedPart, parse_openings
from ledger.positions import Interval
from tests.lab.test_inventories import chips, count, side
from tests.lab.test_inventories import ship as prepare_shipment
from tests.lab.test_responding import ask, challenge
from tests.lab.test_vault import draft_of, sign
from tests.lab.vaults import LAB, file, make_ledger

LEDGER = make_ledger()
PLAN = Plan(kind="pre-training", base=None, estimate_pflop=50, cap_pflop=90, code="01" * 32, config="02" * 32)
Opened = dict[tuple[str, str], list[str]]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with open_vault(tmp_path / "vault") as opened:
        yield opened


def seal(vault: Vault, prepared: Prepared) -> Stored:
    return vault.mark_sealed(file(vault, prepared, LEDGER), b"a receipt")


def declare(vault: Vault, run: str, plan: Plan = PLAN) -> Stored:
    step = Step(run=run, state="started", clusters=["hall-1"], pflop=10)
    return seal(vault, prepare_opening(vault, step, plan, ledger=LEDGER, lab=LAB))


def read(parts: tuple[OpenedPart, ...]) -> Opened:
    return {(part.leaf, part.part): sorted(parse_disclosure(text).name for text in part.disclosures) for part in parts}


def show(vault: Vault, shown: Shown) -> Opened:
    return read(collect_parts(vault, LEDGER.charter.fingerprint, shown))


def test_books_are_numbers_and_terms_of_the_intervals_that_are_named(vault: Vault) -> None:
    counted = [seal(vault, count(vault, number, *chips("c1", 0, 5))) for number in (0, 2, 4)]
    moved = [seal(vault, prepare_shipment(vault, side(f"t-{at}", interval=at), *chips("", 0, 1))) for at in (1, 3)]
    assert show(vault, NOTHING) == {}
    assert show(vault, Shown(since=Interval(2), until=Interval(3))) == {
        (counted[1].leaf, "c1"): ["chip_counts"],
        (moved[1].leaf, ""): ["count", "model"],
        (moved[1].leaf, "shared"): ["transfer"],
    }
    assert {leaf for leaf, _ in show(vault, Shown(since=Interval(0)))} == {each.leaf for each in (*counted, *moved)}


def test_what_is_not_sealed_is_not_shown(vault: Vault) -> None:
    file(vault, count(vault, 0, *chips("c1", 0, 5)), LEDGER)
    assert show(vault, Shown(since=Interval(0))) == {}


def test_a_run_is_shown_with_what_it_comes_of_and_with_the_rows_it_is_in(vault: Vault) -> None:
    draft = draft_of(1)
    report = vault.mark_sealed(vault.add(draft, sign(draft, ledger=LEDGER.charter.fingerprint, lab=LAB)), b"a receipt")
    (trained,) = {run.run for row in draft.rows for run in row.hidden.runs}
    base = declare(vault, "base")
    derived = Plan(
        kind="post-training", base=Base(lab=LAB, run="base"), estimate_pflop=50, cap_pflop=9_000_000,
        code="01" * 32, config="02" * 32,
    )  # fmt: skip
    opened = declare(vault, trained, derived)
    declare(vault, "secret")
    step = Step(run=trained, state="stopped")
    ended = seal(vault, prepare_step(vault, step, ledger=LEDGER, lab=LAB))
    figures = ["cap_pflop", "cumulative_pflop", "estimate_pflop", "run_pflop"]
    assert show(vault, Shown(runs=[trained])) == {
        (base.leaf, ""): figures,
        (opened.leaf, ""): figures,
        (ended.leaf, ""): figures,
        (report.leaf, draft.rows[0].row.cluster): ["chip_seconds", "runs", "split"],
    }
    assert (base.leaf, "") in show(vault, Shown(runs=["base"]))
    with pytest.raises(ConditionError) as caught:
        show(vault, Shown(runs=["nobody"]))
    assert caught.value.code is Code.UNKNOWN_RUN


def test_an_answer_says_what_it_holds_beside_what_was_asked_and_is_as_ever_without(
    vault: Vault, tmp_path: Path
) -> None:
    draft = draft_of(1)
    report = vault.mark_sealed(vault.add(draft, sign(draft, ledger=LEDGER.charter.fingerprint, lab=LAB)), b"a receipt")
    seal(vault, count(vault, 1, *chips("c1", 0, 5)))
    raised = challenge(report.leaf, ask(fields=("energy_wh",)))

    def prepare(shown: Shown) -> Prepared:
        return prepare_response(vault, raised, ledger=LEDGER, lab=LAB, outcome="provided", folder=tmp_path, shown=shown)

    more, plain = prepare(Shown(since=Interval(0))), prepare(NOTHING)
    assert any("the numbers in inventories and transfers from interval 0 on: parts of 1" in note for note in more.notes)
    assert parse_openings(plain.texts["openings"]).format == "counterseal/openings/v1"
    assert len(parse_openings(more.texts["openings"]).parts) == 1
    with pytest.raises(ConditionError) as caught:
        prepare_response(
            vault, raised, ledger=LEDGER, lab=LAB, outcome="declined", folder=None, shown=Shown(since=Interval(0))
        )
    assert caught.value.code is Code.CONFIG
