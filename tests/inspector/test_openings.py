"""`inspector.openings`: whatever a lab hands over is held against the ledger, and what does not hold is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inspector.openings import BUNDLE_BYTES_MAX, Opened, check_openings, open_bundle, require_case
from ledger.crosschecks.comparisons import Outcome
from ledger.disclosure import Disclosure, JsonValue, compute_digest, encode_disclosure
from ledger.errors import Code, ConditionError, FormatError, PolicyError, ProofError
from ledger.openings import OpenedChip, OpenedRecord, Openings
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import Handed, Named
from ledger.statements.reports import parse_report
from tests.inspector.dossiers import (
    ALL_FIELDS,
    CLUSTER,
    INSPECTOR,
    NATION,
    Dossier,
    encrypt,
    make_challenge,
    make_inventory,
    make_response,
    open_dossier,
)

replaced = msgspec.structs.replace
Mutate = Callable[[Openings], Openings]


def check(dossier: Dossier) -> Opened:
    case = dossier.case()
    require_case(case)
    return check_openings(open_bundle(dossier.box, case, dossier.keys).plain, case)


def failures(opened: Opened) -> list[str]:
    return [one.field for one in opened.comparisons if one.outcome == Outcome.FAILS]


def forged(name: str, value: JsonValue) -> str:
    return encode_disclosure(Disclosure(b"\x09" * 16, name, value))


def change_record(number: int, **changes: Any) -> Mutate:
    def mutate(openings: Openings) -> Openings:
        records = list(openings.records)
        records[number] = replaced(records[number], **changes)
        return replaced(openings, records=tuple(records))

    return mutate


def change_chip(number: int, **changes: Any) -> Mutate:
    def mutate(openings: Openings) -> Openings:
        chips = list(openings.chips)
        chips[number] = replaced(chips[number], **changes)
        return replaced(openings, chips=tuple(chips))

    return mutate


def test_what_an_honest_lab_hands_over_opens_whole(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, chips=(0, 3, 15))
    opened = check(dossier)
    assert failures(opened) == []
    assert opened.missing == []
    assert {one.outcome for one in opened.comparisons} == {Outcome.HOLDS}
    assert sorted(opened.values) == list(ALL_FIELDS)
    assert len(opened.records) == len(dossier.request.records) > 10
    assert [chip.serial for chip in opened.chips] == ["GPU-0000", "GPU-0003", "GPU-0015"]


@pytest.mark.parametrize(
    ("mutate", "named"),
    [
        (lambda o: replaced(o, ledger="22" * 32), "ledger"),
        (lambda o: replaced(o, challenge="c-2"), "challenge"),
        (lambda o: replaced(o, lab="harbour-lab"), "lab"),
        (lambda o: replaced(o, cluster="harbour"), "cluster"),
        (lambda o: replaced(o, interval=3), "interval"),
        (lambda o: replaced(o, format="counterseal/openings/v2"), "openings.format"),
        (lambda o: replaced(o, report=None), "openings.report"),
        (lambda o: replaced(o, inventory="33" * 32), "inventory"),
        (lambda o: replaced(o, disclosures=(*o.disclosures[1:], o.disclosures[1])), "openings.disclosures"),
        (lambda o: replaced(o, disclosures=(forged("energy_wh", 5), *o.disclosures[1:])), "disclosures.0"),
        (lambda o: replaced(o, disclosures=("!!", *o.disclosures[1:])), "disclosures.0"),
        (lambda o: replaced(o, records=o.records[::-1]), "openings.records.index"),
        (change_record(0, record=b"{}"), "records.0"),
        (change_record(0, salt=b"\x00" * 16), "records.0"),
        (change_record(1, index=0), "openings.records.index"),
        (change_record(-1, index=10**6), "records.1000000"),
        (change_record(2, path=()), "records.2"),
        (change_chip(0, serial="GPU-9999"), "chips.0"),
        (change_chip(0, model="h200"), "chips.0"),
        (change_chip(0, salt=b"\x00" * 32), "chips.0"),
        (change_chip(1, index=4), "chips.4"),
        (change_chip(1, path=(b"\x00" * 32,) * 4), "chips.3"),
    ],
)
def test_every_mutation_is_refused_and_named(tmp_path: Path, mutate: Mutate, named: str) -> None:
    opened = check(open_dossier(tmp_path, chips=(0, 3, 15), mutate=mutate))
    assert named in failures(opened)


def test_a_part_that_does_not_open_leaves_the_others_alone_and_out_of_the_examination(tmp_path: Path) -> None:
    opened = check(open_dossier(tmp_path, chips=(0, 3), mutate=change_chip(0, serial="GPU-9999")))
    assert [chip.index for chip in opened.chips] == [3]
    assert "chips.0" in opened.missing
    assert sorted(opened.values) == list(ALL_FIELDS)


def test_other_bytes_than_were_named_on_the_ledger_are_the_labs_fault_and_reported(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path)
    dossier.shelf.put(response=make_response(b"something else", dossier.box))
    assert failures(check(dossier)) == ["handed"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain + b" ",
        lambda _: b"",
        lambda _: b"[" * 100_000,
        lambda _: b"\xff" * 64,
        lambda plain: plain.replace(b'"lab":', b'"lab":"x","lab":'),
        lambda plain: plain.replace(b'"interval":2', b'"interval":' + b"9" * 5_000),
        lambda plain: plain.replace(b'"cluster":"aurora"', b'"cluster":"../../etc/passwd"'),
        lambda plain: plain.replace(b'"cluster":"aurora"', b'"cluster":"<script>alert(1)</script>"'),
        lambda plain: plain.replace(b'"cluster":"aurora"', '"cluster":"\u202e\\u0000"'.encode()),
    ],
)
def test_bytes_that_are_no_openings_are_the_labs_fault_and_told_in_one_printable_line(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    opened = check(open_dossier(tmp_path, spoil=spoil))
    assert failures(opened) == [next(iter(failures(opened)))]
    assert len(opened.missing) > 9
    assert all(str(one).isprintable() for one in opened.comparisons)


def test_what_was_asked_for_and_is_not_there_is_named(tmp_path: Path) -> None:
    opened = check(
        open_dossier(
            tmp_path,
            chips=(0, 3),
            mutate=lambda o: replaced(o, disclosures=o.disclosures[1:], records=o.records[:-2], chips=o.chips[1:]),
        )
    )
    assert failures(opened) == []
    assert opened.missing[0] == f"fields.{ALL_FIELDS[0]}"
    assert [name.partition(".")[0] for name in opened.missing] == ["fields", "records", "records", "chips"]
    told = [one.field for one in opened.comparisons if one.outcome == Outcome.NOT_COMPARABLE]
    assert told == opened.missing


def test_what_nobody_asked_for_is_told(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path)
    narrow = replaced(dossier.request, fields=("energy_wh",), records=dossier.request.records[:1])
    dossier.shelf.put(challenge=make_challenge(narrow))
    opened = check(dossier)
    assert [one.field for one in opened.comparisons if one.outcome == Outcome.UNUSUAL] == ["fields", "records"]


def test_a_committed_value_that_no_field_may_have_is_named(tmp_path: Path) -> None:
    nonsense = [
        forged("energy_wh", "<img src=x onerror=alert(1)>"),
        forged("training_pflop", "9" * 400),
        forged("a_field", 1),
        forged("runs", [{"run": "x", "pflop": 1}]),
    ]
    dossier = open_dossier(tmp_path, mutate=lambda o: replaced(o, disclosures=tuple(nonsense), records=()), records=())
    report = parse_report(parse_envelope(dossier.shelf.entries["report"]).payload).predicate
    case = dossier.case()
    assert case.report is not None
    (row,) = report.rows
    committed = replaced(row, digests=tuple(sorted(compute_digest(text) for text in nonsense)))
    lied = replaced(report, rows=(committed,))
    opened = check_openings(dossier.plain, replace(case, report=replace(case.report, predicate=lied)))
    assert failures(opened) == [f"fields.{name}" for name in ("energy_wh", "training_pflop", "a_field", "runs")]
    assert opened.values == {}


def test_faults_are_named_up_to_a_bound(tmp_path: Path) -> None:
    def spoil_all(openings: Openings) -> Openings:
        first = openings.records[0]
        many = tuple(OpenedRecord(index=i, salt=first.salt, record=b"", path=()) for i in range(4_000))  # type: ignore[arg-type]
        chips = tuple(OpenedChip(index=i, salt=b"\0" * 32, model="h100", serial="S", path=()) for i in range(4_000))  # type: ignore[arg-type]
        return replaced(openings, records=many, chips=chips)

    opened = check(open_dossier(tmp_path, chips=(0,), mutate=spoil_all))
    assert len(failures(opened)) == 2 * 101
    assert "0 of 4000 open" in [one.found for one in opened.comparisons]


# --- whose fault it may be -------------------------------------------------------------------------------------------


def test_another_ciphertext_than_the_response_names_is_refused(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path)
    again = encrypt(dossier.plain, dossier.keys)
    with pytest.raises(ProofError) as caught:
        open_bundle(again, dossier.case(), dossier.keys)
    assert caught.value.field == "bundle"


def test_a_bundle_for_another_challenge_does_not_open(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path)
    box = encrypt(dossier.plain, dossier.keys, challenge="c-2")
    dossier.shelf.put(response=make_response(dossier.plain, box))
    with pytest.raises(ProofError):
        open_bundle(box, dossier.case(), dossier.keys)


def test_a_bundle_that_is_too_large_is_not_looked_at(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path)
    with pytest.raises(FormatError) as caught:
        open_bundle(bytes(BUNDLE_BYTES_MAX + 1), dossier.case(), dossier.keys)
    assert caught.value.code == Code.TOO_LARGE


@pytest.mark.parametrize("recipients", [((NATION, "bob"),), (("cockaigne", INSPECTOR),)])
def test_nothing_was_sent_to_an_inspector_whom_the_response_does_not_name(
    tmp_path: Path, recipients: tuple[tuple[str, str], ...]
) -> None:
    dossier = open_dossier(tmp_path)
    handed = tuple(Handed(nation=n, inspector=i, ciphertext="00" * 32) for n, i in recipients)
    dossier.shelf.put(response=make_response(dossier.plain, dossier.box, recipients=handed))
    with pytest.raises(PolicyError):
        open_bundle(dossier.box, dossier.case(), dossier.keys)


def test_an_inspector_whom_the_challenge_does_not_name_opens_nothing(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path)
    dossier.shelf.put(challenge=make_challenge(dossier.request, inspectors=(Named("cockaigne", INSPECTOR),)))
    with pytest.raises(PolicyError):
        open_bundle(dossier.box, dossier.case(), dossier.keys)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("challenge", lambda d: make_challenge(d.request, challenge="c-2")),
        ("challenge", lambda d: make_challenge(d.request, lab="harbour-lab")),
        ("challenge", lambda d: make_challenge(d.request, interval=1)),
        ("challenge", lambda d: make_challenge(d.request, cluster="harbour")),
        ("inventory", lambda _: make_inventory(())),
    ],
)
def test_entries_that_do_not_belong_together_are_refused(
    tmp_path: Path, name: str, entry: Callable[[Dossier], bytes]
) -> None:
    dossier = open_dossier(tmp_path, chips=(0,))
    dossier.shelf.put(**{name: entry(dossier)})
    with pytest.raises(PolicyError):
        require_case(dossier.case())


@pytest.mark.parametrize("outcome", ["declined", "salts-lost"])
def test_a_lab_that_handed_nothing_over_has_nothing_to_open(tmp_path: Path, outcome: str) -> None:
    dossier = open_dossier(tmp_path)
    dossier.shelf.put(response=make_response(b"", b"", outcome=outcome, handed=None, recipients=()))
    with pytest.raises(PolicyError):
        require_case(dossier.case())


def test_an_entry_that_the_openings_name_and_nobody_gave_is_asked_for(tmp_path: Path) -> None:
    dossier = open_dossier(tmp_path, mutate=lambda o: replaced(o, report="44" * 32))
    with pytest.raises(ConditionError) as caught:
        check(dossier)
    assert "44" * 32 in str(caught.value)
    assert json.loads(dossier.plain)["cluster"] == CLUSTER
