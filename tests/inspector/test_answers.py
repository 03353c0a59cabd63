"""`inspector.answers`: every drawn accelerator, once, under the inventory's root, and whatever else is named."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.answers import examine_answer, open_answer, require_answer
from inspector.findings import compose_body
from inspector.openings import BUNDLE_BYTES_MAX
from inspector.page import render_page
from inspector.report import InspectionReport, compute_report_digest, encode_report, parse_report
from lab.answering import DrawnSample, prepare_answer
from lab.collectors.chips import ListedChip
from lab.inventories import prepare_inventory
from lab.parts import OPENINGS
from lab.pinned import PinnedLedger
from lab.vault import open_vault
from ledger.charter import ledger_keys
from ledger.chips import Chip, encode_chip_leaf
from ledger.domains import INSPECTION_REPORT_FORMAT
from ledger.errors import Code, FormatError, PolicyError, ProofError
from ledger.openings import SampleOpenings, parse_sample_openings
from ledger.positions import BeaconRound, Interval, LeafIndex, Millis
from ledger.sampling import Purpose
from ledger.statements.beacons import parse_sample
from tests.inspector.answered import NAME, ROUND, Answered, Mutate, answer_sample
from tests.inspector.dossiers import (
    CHIPS,
    CLUSTER,
    INSPECTOR,
    LAB,
    NATION,
    Shelf,
    draw_sample,
    encrypt,
    make_beacon,
    open_chips,
    the_charter,
    the_keys,
)
from tests.lab.vaults import file, make_settings

replaced = msgspec.structs.replace


def examine(answered: Answered, *others: InspectionReport) -> InspectionReport:
    require_answer(answered.case)
    sent = open_answer(answered.box, answered.case, answered.keys)
    return examine_answer(answered.case, sent, others=others, nation=NATION, inspector=INSPECTOR)


def failures(report: InspectionReport) -> list[str]:
    return [f"{one.check} {one.field}" for one in report.comparisons if one.outcome == "fails"]


def change_chip(number: int, **changes: Any) -> Mutate:
    def mutate(openings: SampleOpenings) -> SampleOpenings:
        chips = list(openings.chips)
        chips[number] = replaced(chips[number], **changes)
        return replaced(openings, chips=tuple(chips))

    return mutate


def show_another(openings: SampleOpenings) -> SampleOpenings:
    """Open one that was not drawn in the place of one that was."""
    drawn = [chip.index for chip in openings.chips]
    other = next(index for index in range(len(CHIPS)) if index not in drawn)
    return replaced(openings, chips=open_chips(sorted([*drawn[1:], other])))


def test_an_honest_answer_is_consistent_and_the_report_says_what_was_shown(tmp_path: Path) -> None:
    answered = answer_sample(tmp_path)
    report = examine(answered)
    assert failures(report) == []
    assert (report.result, report.missing) == ("consistent", ())
    assert [chip.index for chip in report.chips] == sorted(answered.case.redrawn.indices)
    assert [one.role for one in report.entries] == ["sample", "beacon", "inventory", "answer"]
    raw = encode_report(report)
    assert parse_report(raw) == report
    assert NAME in render_page(report, digest=compute_report_digest(raw))
    with pytest.raises(PolicyError):
        compose_body(raw, report, conclusion="inconsistent")


@pytest.mark.parametrize(
    ("mutate", "named"),
    [
        (change_chip(0, serial="OTHER"), "ANSWER opened_count"),
        (change_chip(0, serial="OTHER"), "ANSWER chips"),
        (change_chip(0, model="a100"), "ANSWER chips"),
        (change_chip(0, salt=bytes(32)), "ANSWER chips"),
        (change_chip(0, path=()), "ANSWER chips"),
        (change_chip(-1, index=LeafIndex(10**6)), "ANSWER chips"),
        (lambda openings: replaced(openings, chips=openings.chips[1:]), "ANSWER opened_count"),
        (lambda openings: replaced(openings, chips=()), "ANSWER opened_count"),
        (lambda openings: replaced(openings, chips=openings.chips[:1] * 2), "ANSWER openings.chips.index"),
        (lambda openings: replaced(openings, chips=openings.chips[::-1]), "ANSWER openings.chips.index"),
        (show_another, "ANSWER chips"),
        (show_another, "ANSWER opened_count"),
        (lambda openings: replaced(openings, ledger="00" * 32), "ANSWER ledger"),
        (lambda openings: replaced(openings, round=BeaconRound(7)), "ANSWER round"),
        (lambda openings: replaced(openings, purpose=Purpose.AUDIT), "ANSWER purpose"),
        (lambda openings: replaced(openings, lab="other-lab"), "ANSWER lab"),
        (lambda openings: replaced(openings, cluster="other"), "ANSWER cluster"),
        (lambda openings: replaced(openings, sample="00" * 32), "ANSWER sample"),
        (lambda openings: replaced(openings, inventory="00" * 32), "ANSWER inventory"),
        (lambda openings: replaced(openings, format="counterseal/openings/v1"), "ANSWER openings.format"),
    ],
)
def test_whatever_is_wrong_in_what_was_handed_over_is_named(tmp_path: Path, mutate: Mutate, named: str) -> None:
    report = examine(answer_sample(tmp_path, mutate=mutate))
    assert report.result == "inconsistent"
    assert named in failures(report)


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda plain: plain + b" ", lambda _: b"{}", lambda _: b"\xff"])
def test_what_is_not_of_the_form_opens_nothing(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    answered = answer_sample(tmp_path, spoil=spoil)
    report = examine(answered)
    assert report.result == "inconsistent"
    assert report.chips == ()
    assert len(report.missing) == answered.case.redrawn.sample.count


@pytest.mark.parametrize(
    ("sampled", "named"),
    [
        ({"indices": tuple(LeafIndex(index) for index in range(7))}, "SAMPLE indices"),
        ({"seed": "00" * 32}, "SAMPLE seed"),
        ({"count": 1}, "SAMPLE count"),
    ],
)
def test_the_positions_are_drawn_again_whatever_the_sample_lists(
    tmp_path: Path, sampled: dict[str, Any], named: str
) -> None:
    report = examine(answer_sample(tmp_path, sampled=sampled))
    assert named in failures(report)
    assert report.missing == ()


def test_fewer_than_were_drawn_are_missing_even_if_the_lab_says_so(tmp_path: Path) -> None:
    count = answer_sample(tmp_path / "whole").case.redrawn.sample.count
    fewer = answer_sample(
        tmp_path / "fewer",
        mutate=lambda openings: replaced(openings, chips=openings.chips[1:]),
        opened_count=count - 1,
    )
    report = examine(fewer)
    assert (report.result, len(report.missing)) == ("incomplete", 1)


def test_an_accelerator_listed_twice_is_seen_where_both_places_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def list_unchecked(chips: Iterable[Chip], salts: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        for index, (chip, salt) in enumerate(zip(chips, salts, strict=True)):
            yield salt, encode_chip_leaf(LeafIndex(index), salt, chip)

    monkeypatch.setattr("ledger.chips._leaves", list_unchecked)
    report = examine(answer_sample(tmp_path, chips=[CHIPS[0]] * len(CHIPS)))
    assert failures(report) == ["X9 chips"]


def test_an_accelerator_that_another_cluster_showed_fails(tmp_path: Path) -> None:
    report = examine(answer_sample(tmp_path))
    elsewhere = replaced(report, lab="harbour-lab", cluster="harbour")
    assert failures(examine(answer_sample(tmp_path / "a"), elsewhere)) == ["X9 chips"]
    later = replaced(elsewhere, interval=report.interval + 1)
    assert failures(examine(answer_sample(tmp_path / "b"), later)) == []
    with pytest.raises(PolicyError):
        examine(answer_sample(tmp_path / "c"), replaced(elsewhere, ledger="00" * 32))


@pytest.mark.parametrize(
    "said",
    [{"issuer": "other-lab"}, {"round": BeaconRound(7)}, {"purpose": Purpose.AUDIT}, {"cluster": "other"}],
)
def test_an_answer_to_another_sample_is_refused(tmp_path: Path, said: dict[str, Any]) -> None:
    with pytest.raises(PolicyError) as caught:
        require_answer(answer_sample(tmp_path, **said).case)
    assert caught.value.field == f"answer.{next(iter(said))}"


def test_what_the_lab_did_not_name_is_nobodys_word(tmp_path: Path) -> None:
    answered = answer_sample(tmp_path, openings="00" * 32)
    with pytest.raises(ProofError) as caught:
        open_answer(answered.box, answered.case, answered.keys)
    assert caught.value.field == "bundle"


@pytest.mark.parametrize("changes", [{"challenge": "c-1"}, {"nation": "cockaigne"}, {"inspector": "bo"}])
def test_a_ciphertext_for_something_or_somebody_else_does_not_open(tmp_path: Path, changes: dict[str, str]) -> None:
    answered = answer_sample(tmp_path)
    box = encrypt(answered.plain, answered.keys, **{"challenge": NAME, **changes})
    with pytest.raises(ProofError):
        open_answer(box, answered.case, answered.keys)
    with pytest.raises(FormatError) as caught:
        open_answer(bytes(BUNDLE_BYTES_MAX + 1), answered.case, answered.keys)
    assert caught.value.code == Code.TOO_LARGE


@pytest.mark.parametrize(
    "changes",
    [
        {"sample": None},
        {"challenge": "c-1"},
        {"format": INSPECTION_REPORT_FORMAT},
        {"challenge": "c-1", "sample": None},
    ],
)
def test_a_report_is_on_a_challenge_or_on_a_sample_as_its_format_says(tmp_path: Path, changes: dict[str, Any]) -> None:
    report = examine(answer_sample(tmp_path))
    assert (report.lab, report.cluster) == (LAB, CLUSTER)
    with pytest.raises(FormatError):
        encode_report(replaced(report, **changes))


def test_what_the_lab_s_own_tool_answers_is_consistent(tmp_path: Path) -> None:
    keys, charter = the_keys(tmp_path), the_charter()
    ledger = PinnedLedger(charter=charter, transcript=b"", keys=ledger_keys(charter))
    listed = [ListedChip(CLUSTER, chip.model, chip.serial, "") for chip in CHIPS]
    with open_vault(tmp_path / "vault") as vault:
        settings = make_settings(ledger, CLUSTER, lab=LAB)
        counted = prepare_inventory(
            vault, listed, ledger=ledger, settings=settings, interval=Interval(1), method="book"
        )
        inventory = file(vault, counted, ledger).envelope
        entry, beacon = draw_sample(inventory, ROUND), make_beacon(ROUND)
        prepared = prepare_answer(
            vault,
            DrawnSample(entry, parse_sample(entry), beacon),
            ledger=ledger,
            lab=LAB,
            recipients={(NATION, INSPECTOR): keys.public.encryption_key},
            folder=tmp_path,
            now_ms=Millis(0),
        )
        said = file(vault, prepared, ledger).envelope
    (box,) = prepared.files.values()
    shelf = Shelf(tmp_path / "shelf").put(inventory=inventory, beacon=beacon, sample=entry, answer=said).write()
    report = examine(Answered(shelf, keys, parse_sample_openings(prepared.texts[OPENINGS]), b"", box))
    assert (report.result, failures(report)) == ("consistent", [])
    assert len(report.chips) == parse_sample(entry).count
