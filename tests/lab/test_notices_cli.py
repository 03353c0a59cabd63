"""`counterseal lab incident | observe` against whole nodes of a ledger with an agreement."""

import hashlib
from pathlib import Path

import pytest

from counterseal import Exit
from lab.stored import StoredStatement, verify_stored
from lab.vault import open_vault
from ledger.disclosure import parse_disclosure
from tests.lab.desks import Desk


@pytest.fixture
def desk(agreed_desk: Desk) -> Desk:
    return agreed_desk


def outage(desk: Desk, interval: int) -> tuple[str | Path, ...]:
    account = desk.folder / "account.txt"
    account.write_text("The transformer of hall 1 burnt out.\n")
    return (
        "--category", "outage", "--severity", "serious", "--interval", str(interval), "--account", account,
        "--cause", "a transformer burnt out", "--chips", "64", "--passphrase-file", desk.secret,
    )  # fmt: skip


def test_an_incident_is_shown_sealed_and_can_be_opened(desk: Desk) -> None:
    desk.register()
    words = outage(desk, desk.wait_over())
    shown = desk("incident", *words, "--dry-run")
    assert shown.code == 0, shown.err
    assert "PUBLIC" in shown.out
    assert "a transformer burnt out" in shown.out

    done = desk("incident", *words, "--yes", "--json")
    assert done.code == 0, done.err
    (filed,) = done.json["filed"]
    assert (filed["state"], filed["kind"]) == ("sealed", "incident")
    assert Path(filed["receipt"]).name == f"{desk.lab}-incident-0.tlog-proof"
    assert set(done.json["hidden"][""]["cause"]) == {"digest"}
    with open_vault(desk.home / "vault") as vault:
        (stored,) = vault.read_all()
    assert isinstance(stored, StoredStatement)
    verify_stored(stored)
    assert parse_disclosure(stored.openings[0].disclosures["chips_affected"]).value == 64
    assert stored.texts == {"account": (desk.folder / "account.txt").read_bytes()}
    kept = desk.folder / "kept.tlog-proof"
    written = desk("receipt", "--number", "0", "-o", kept)
    assert written.code == 0, written.err
    assert kept.read_bytes() == Path(filed["receipt"]).read_bytes()
    assert desk("receipt", "-o", kept).code == Exit.USAGE
    assert desk("receipt", "--number", "5", "-o", kept).code == Exit.UNAVAILABLE
    status = desk("status", "--json").json
    assert [(line["kind"], line["state"]) for line in status["statements"]] == [("incident", "sealed")]
    assert "other statements" in desk("status").out


def test_nothing_is_signed_before_somebody_says_yes(desk: Desk) -> None:
    desk.register()
    asked = desk("incident", *outage(desk, desk.wait_over()))
    assert asked.code == Exit.CONDITION
    assert "nobody to ask" in asked.err
    assert "PUBLIC" in asked.out
    assert list((desk.home / "vault").glob("*.json")) == []


def test_reports_and_other_statements_stand_in_one_chain(desk: Desk) -> None:
    desk.register()
    interval = desk.wait_over()
    assert desk("incident", *outage(desk, interval), "--yes", "--no-wait").code == 0
    again = desk("incident", *outage(desk, interval), "--yes")
    assert again.code == Exit.REFUTED
    assert "lab submit" in again.err
    assert desk.build(interval).code == 0
    sent = desk("submit", "--json")
    assert [(line["kind"], line["sequence"], line["state"]) for line in sent.json] == [
        ("incident", 0, "sealed"),
        ("report", 1, "sealed"),
    ]


def test_what_time_may_make_true_is_refused_with_its_code_and_keeps_its_number_until_it_is_given_up(desk: Desk) -> None:
    desk.register()
    words = [str(word) for word in outage(desk, desk.wait_over())]
    words[words.index("--interval") + 1] = "4000000"
    refused = desk("incident", *words, "--yes", "--json")
    assert refused.code == Exit.REJECTED
    assert refused.json["filed"][0]["refusal"]["code"] == "INTERVAL_NOT_BEGUN"
    assert refused.json["filed"][0]["state"] == "submitted"
    given_up = desk("submit", "--give-up", "--json")
    assert given_up.json[0]["state"] == "refused"
    words[words.index("--interval") + 1] = str(desk.wait_over())
    assert desk("incident", *words, "--yes", "--json").json["filed"][0]["sequence"] == 0


def test_an_observation_keeps_what_was_observed(desk: Desk) -> None:
    desk.register()
    picture = desk.folder / "picture"
    picture.write_bytes(b"cooling towers")
    done = desk(
        "observe", "--about", "ledger", "--category", "other", "--confidence", "low", "--observed", picture,
        "--text", "something odd", "--passphrase-file", desk.secret, "--yes", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["public"]["digest"] == hashlib.sha256(b"cooling towers").hexdigest()
    assert done.json["filed"][0]["state"] == "sealed"
