"""`counterseal inspect`: from a lab's bundle to an entry with both signatures, by the command line alone."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import counterseal
from counterseal import Exit
from inspector.cli import KEYS_FILE, PUBLIC_FILE
from inspector.findings import encode_signed
from inspector.report import encode_report, parse_report
from ledger.errors import LedgerError
from ledger.openings import SampleOpenings
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import Inspector, parse_finding
from node.challenges_cli import _parse_inspector
from tests.inspector.answered import Answered, answer_sample
from tests.inspector.dossiers import (
    CLUSTER,
    INSPECTOR,
    LAB,
    NATION,
    PASSPHRASE,
    Change,
    Dossier,
    Shelf,
    draw_sample,
    make_beacon,
    make_inventory,
    open_dossier,
    the_charter,
)
from tests.inspector.test_examination import understate
from tests.inspector.test_findings import sign_as_nation

CHEAP = ("--argon2-memory-kib", "32", "--argon2-passes", "1")


class Desk:
    """An inspector at a terminal."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture
        self.secret = folder / "passphrase"
        self.secret.write_text(f"{PASSPHRASE}\n")
        self.secret.chmod(0o600)

    def run(self, *words: str | Path) -> tuple[int, str, str]:
        self._capture.readouterr()
        with pytest.raises(SystemExit) as left:
            counterseal.main(["inspect", *map(str, words)])
        printed = self._capture.readouterr()
        assert isinstance(left.value.code, int)
        assert "Traceback" not in printed.err
        return left.value.code, printed.out, printed.err

    def done(self, *words: str | Path) -> str:
        code, out, err = self.run(*words)
        assert code == 0, err
        return out

    def dossier(self, *, change: Change | None = None, **options: Any) -> Dossier:
        dossier = open_dossier(self.folder, change=change, **options)
        dossier.shelf.write()
        (self.folder / "bundle").write_bytes(dossier.box)
        return dossier

    def open(self, dossier: Dossier, *more: str | Path) -> tuple[int, str, str]:
        shelf = dossier.shelf
        return self.run(
            "open", "--home", self.folder / "home", "--passphrase-file", self.secret,
            "--charter", shelf.folder / "charter.entry", "--challenge", shelf.path("challenge"),
            "--response", shelf.path("response"), "--report", shelf.path("report"),
            "--registration", shelf.path("registration"), self.folder / "bundle",
            "-o", self.folder / "found.json", *more,
        )  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sample", "attained"),
    [
        (("--bad", "100"), 294, 950),
        (("--bad-permille", "10"), 294, 950),
        (("--bad-permille", "10", "--confidence", "990"), 448, 990),
        (("--bad", "100", "--hits", "2"), 464, 950),
    ],
)
def test_a_size_is_exact_and_says_what_it_attains(
    desk: Desk, words: tuple[str, ...], sample: int, attained: int
) -> None:
    answer = json.loads(desk.done("size", "--population", "10000", *words, "--json"))
    assert (answer["sample"], answer["attained_permille"], answer["bad"]) == (sample, attained, 100)
    assert desk.done("size", "--population", "10000", *words).startswith(f"{sample} of 10000: ")


@pytest.mark.parametrize(
    "words", [(), ("--bad", "1", "--bad-permille", "1"), ("--bad", "101"), ("--bad", "1", "--hits", "2")]
)
def test_a_question_that_has_no_answer_is_refused(desk: Desk, words: tuple[str, ...]) -> None:
    code, _, err = desk.run("size", "--population", "100", *words)
    assert code == Exit.MALFORMED
    assert "sample." in err


# --- init ------------------------------------------------------------------------------------------------------------


def test_init_makes_keys_once_and_the_file_for_the_nation(desk: Desk) -> None:
    words = ("init", "--home", desk.folder / "new", "--nation", NATION, "--id", "bob", "--name", "Bob", *CHEAP)
    code, out, err = desk.run(*words, "--passphrase-file", desk.secret)
    public = Path(out.strip())
    line = shlex.split(err.splitlines()[-1])[3]
    assert (code, msgspec.convert(_parse_inspector(line), Inspector)) == (
        0,
        msgspec.json.decode(public.read_bytes(), type=Inspector),
    )
    assert public == desk.folder / "new" / PUBLIC_FILE
    assert msgspec.json.decode(public.read_bytes(), type=Inspector).id == "bob"
    assert (desk.folder / "new" / KEYS_FILE).stat().st_mode & 0o777 == 0o600
    assert desk.run(*words, "--passphrase-file", desk.secret)[0] == Exit.CONDITION


def test_a_passphrase_that_others_can_read_is_refused(desk: Desk) -> None:
    desk.secret.chmod(0o644)
    code, _, err = desk.run(
        "init", "--home", desk.folder / "new", "--nation", NATION, "--id", "bob", "--name", "Bob", *CHEAP,
        "--passphrase-file", desk.secret,
    )  # fmt: skip
    assert (code, "0600" in err) == (Exit.CONDITION, True)
    assert not (desk.folder / "new").exists()


# --- sample ----------------------------------------------------------------------------------------------------------


def test_sample_draws_again_and_exits_with_1_if_another_was_drawn(desk: Desk) -> None:
    for number, (seed, code) in enumerate(((None, 0), ("00" * 32, Exit.REFUTED))):
        inventory = make_inventory()
        changes = {} if seed is None else {"seed": seed}
        shelf = Shelf(desk.folder / str(number)).put(
            inventory=inventory, beacon=make_beacon(6), sample=draw_sample(inventory, 6, **changes)
        )
        shelf.write()
        words: tuple[str | Path, ...] = (
            "sample",
            *(shelf.path(name) for name in shelf.entries),
            "--charter",
            shelf.folder / "charter.entry",
        )
        left, out, _ = desk.run(*words, "--charter-fingerprint", the_charter().fingerprint, "--json")
        assert (left, json.loads(out)["follows"]) == (code, code == 0)
        assert desk.run(*words)[1].startswith("follows" if code == 0 else "does not follow")
        assert desk.run(*words, "--charter-fingerprint", "00" * 32)[0] == Exit.REFUTED


# --- open, find, countersign -----------------------------------------------------------------------------------------


def test_an_honest_bundle_becomes_a_finding_with_both_signatures(desk: Desk) -> None:
    dossier = desk.dossier()
    code, out, err = desk.open(dossier, "--charter-fingerprint", the_charter().fingerprint)
    assert (code, out.splitlines()[0]) == (0, "consistent: aurora-lab, aurora, interval 2 (c-1)"), err
    found, page = desk.folder / "found.json", desk.folder / "found.html"
    assert parse_report(found.read_bytes()).is_pinned
    assert page.read_text().startswith("<!doctype html>")
    assert {path.stat().st_mode & 0o777 for path in (found, page)} == {0o600}
    body, signed, entry = (desk.folder / name for name in ("body.json", "signed.json", "finding.entry"))
    desk.done("find", "--report", found, "--conclusion", "consistent", "--level", "A3", "-o", body)
    signed.write_bytes(encode_signed(sign_as_nation(body.read_bytes())))
    words = (
        "countersign", signed, "--home", desk.folder / "home", "--charter", dossier.shelf.folder / "charter.entry",
        "--report", found, "-o", entry, "--passphrase-file", desk.secret,
    )  # fmt: skip
    code, _, err = desk.run(*words)
    assert (code, entry.exists()) == (Exit.CONDITION, False), "nobody said yes"
    assert "conclusion  consistent" in err
    assert "c-1: aurora-lab, aurora, interval 2" in err
    desk.done(*words, "--yes")
    envelope = parse_envelope(entry.read_bytes())
    assert len(envelope.signatures) == 2
    assert parse_finding(envelope.payload).predicate.inspector == INSPECTOR


def test_an_understated_report_is_caught_and_exits_with_1(desk: Desk) -> None:
    dossier = desk.dossier(change=understate)
    code, out, err = desk.open(dossier)
    assert code == Exit.REFUTED
    assert out.startswith("inconsistent: ")
    assert "fails           RECORDS  training_pflop: found " in out
    assert "--charter-fingerprint" in err
    refused = desk.run(
        "find", "--report", desk.folder / "found.json", "--conclusion", "consistent", "--level", "A3",
        "-o", desk.folder / "body.json",
    )  # fmt: skip
    assert refused[0] == Exit.REFUTED
    desk.done(
        "find", "--report", desk.folder / "found.json", "--conclusion", "inconsistent", "--ground", "CHECK_FAILED",
        "-o", desk.folder / "body.json",
    )  # fmt: skip
    assert json.loads((desk.folder / "body.json").read_text())["grounds"] == ["CHECK_FAILED"]


def test_an_examination_serves_the_next_interval_and_the_next_lab(desk: Desk) -> None:
    earlier = desk.dossier(intervals=(1,), chips=(0, 3))
    assert desk.open(earlier, "--inventory", earlier.shelf.path("inventory"))[0] == 0
    before = desk.folder / "before.json"
    (desk.folder / "found.json").rename(before)
    (desk.folder / "vault").rename(desk.folder / "old-vault")
    code, out, _ = desk.open(desk.dossier(), "--before", before, "--also", before, "--json")
    said = {(one["check"], one["outcome"]) for one in json.loads(out)["comparisons"]}
    assert code == 0
    assert ("X6", "holds") in said
    assert ("X13", "not-comparable") not in said


@pytest.mark.parametrize(
    "words",
    [
        ("--conclusion", "fine"),
        ("--conclusion", "inconsistent", "--ground", "BECAUSE"),
        ("--conclusion", "consistent"),
        ("--conclusion", "consistent", "--level", "A9"),
    ],
)
def test_a_finding_that_no_statement_holds_is_refused(desk: Desk, words: tuple[str, ...]) -> None:
    assert desk.open(desk.dossier())[0] == 0
    body = desk.folder / "body.json"
    assert desk.run("find", "--report", desk.folder / "found.json", *words, "-o", body)[0] == Exit.MALFORMED
    assert not body.exists()


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda d: flip(d.folder / "bundle"), Exit.REFUTED),
        (lambda d: (d.folder / "bundle").unlink(), Exit.CONDITION),
        (lambda d: (d.folder / "shelf" / "challenge.entry").unlink(), Exit.CONDITION),
        (lambda d: (d.folder / "shelf" / "report.tlog-proof").write_bytes(b""), Exit.MALFORMED),
        (lambda d: flip(d.folder / "shelf" / "response.entry"), Exit.REFUTED),
        (lambda d: flip(d.folder / "home" / KEYS_FILE), Exit.CONDITION),
        (lambda d: d.secret.write_text("another\n"), Exit.CONDITION),
    ],
)
def test_whatever_is_wrong_is_a_sentence_and_a_number_and_nothing_is_written(
    desk: Desk, spoil: Callable[[Desk], object], code: Exit
) -> None:
    dossier = desk.dossier()
    spoil(desk)
    left, out, err = desk.open(dossier)
    assert (left, out) == (code, "")
    assert err.splitlines()[-1].startswith("counterseal: ")
    assert not (desk.folder / "found.json").exists()


def test_a_report_beside_a_link_is_written_in_its_place_and_not_through_it(desk: Desk) -> None:
    dossier, victim = desk.dossier(), desk.folder / "victim"
    victim.write_text("mine")
    (desk.folder / "found.json").symlink_to(victim)
    (desk.folder / ".found.json.new").symlink_to(victim)
    assert desk.open(dossier)[0] == 0
    assert victim.read_text() == "mine"
    assert not (desk.folder / "found.json").is_symlink()


def test_a_report_is_not_written_where_its_page_stands(desk: Desk) -> None:
    code, _, err = desk.open(desk.dossier(), "-o", desk.folder / "found.html")
    assert (code, "output" in err) == (Exit.MALFORMED, True)
    assert not (desk.folder / "found.html").exists()


def test_the_file_of_another_report_is_not_countersigned(desk: Desk) -> None:
    dossier = desk.dossier()
    assert desk.open(dossier)[0] == 0
    found, body, signed = (desk.folder / name for name in ("found.json", "body.json", "signed.json"))
    desk.done("find", "--report", found, "--conclusion", "inconclusive", "-o", body)
    signed.write_bytes(encode_signed(sign_as_nation(body.read_bytes())))
    changed = msgspec.structs.replace(parse_report(found.read_bytes()), is_pinned=True)
    found.write_bytes(msgspec.json.encode(changed))
    with pytest.raises(LedgerError):
        parse_report(found.read_bytes() + b" ")
    code, _, err = desk.run(
        "countersign", signed, "--home", desk.folder / "home", "--charter", dossier.shelf.folder / "charter.entry",
        "--report", found, "-o", desk.folder / "finding.entry", "--passphrase-file", desk.secret, "--yes",
    )  # fmt: skip
    assert (code, "finding.report" in err) == (Exit.REFUTED, True)


# --- answer ----------------------------------------------------------------------------------------------------------


def answer(desk: Desk, answered: Answered, *more: str | Path) -> tuple[int, str, str]:
    (desk.folder / "bundle").write_bytes(answered.box)
    shelf = answered.shelf
    return desk.run(
        "answer", "--home", desk.folder / "home", "--passphrase-file", desk.secret,
        "--charter", shelf.folder / "charter.entry", "--charter-fingerprint", the_charter().fingerprint,
        "--sample", shelf.path("sample"), "--beacon", shelf.path("beacon"), "--inventory", shelf.path("inventory"),
        "--answer", shelf.path("answer"), desk.folder / "bundle", "-o", desk.folder / "shown.json", *more,
    )  # fmt: skip


def test_an_answer_to_a_sample_is_checked_and_reported(desk: Desk) -> None:
    code, out, err = answer(desk, answer_sample(desk.folder))
    assert code == 0, err
    assert out.startswith(f"consistent: {LAB}, {CLUSTER}, interval 1 ({CLUSTER}/6/spot)")
    report = parse_report((desk.folder / "shown.json").read_bytes())
    assert report.is_pinned
    assert f"{CLUSTER}/6/spot" in (desk.folder / "shown.html").read_text()
    as_json = json.loads(answer(desk, answer_sample(desk.folder), "--json")[1])
    assert as_json["sample"] == f"{CLUSTER}/6/spot"


def test_an_answer_that_lacks_a_drawn_accelerator_or_shows_anothers_is_told_by_its_exit_code(desk: Desk) -> None:
    def leave_out(openings: SampleOpenings) -> SampleOpenings:
        return msgspec.structs.replace(openings, chips=openings.chips[1:])

    code, out, _ = answer(desk, answer_sample(desk.folder, mutate=leave_out))
    assert code == Exit.REFUTED
    assert out.startswith("inconsistent: ")
    elsewhere = desk.folder / "elsewhere.json"
    report = parse_report((desk.folder / "shown.json").read_bytes())
    elsewhere.write_bytes(encode_report(msgspec.structs.replace(report, lab="harbour-lab", cluster="harbour")))
    code, out, _ = answer(desk, answer_sample(desk.folder), "--also", elsewhere)
    assert code == Exit.REFUTED
    assert "also shown by harbour-lab" in out


def test_what_the_answer_does_not_name_is_refused_and_nothing_is_written(desk: Desk) -> None:
    code, _, err = answer(desk, answer_sample(desk.folder, openings="00" * 32))
    assert code == Exit.REFUTED
    assert "which the lab's answer names" in err
    assert not (desk.folder / "shown.json").exists()
