"""`counterseal lab inventory | transfer …` against whole nodes, and accelerators that go from lab to lab."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from counterseal import Exit
from tests.lab.desks import Desk, Done


@pytest.fixture
def desk(agreed_desk: Desk) -> Desk:
    return agreed_desk


def write(desk: Desk, text: str, name: str = "chips.csv") -> Path:
    path = desk.folder / name
    path.write_text(text)
    return path


def sign(desk: Desk, *words: str | Path) -> Done:
    command, *rest = words
    return desk(str(command), *rest, "--passphrase-file", desk.secret, "--yes", "--json")


def transfer(desk: Desk, direction: str, *words: str | Path) -> Done:
    return desk.run(
        "transfer", direction, "--home", desk.home, *words, "--passphrase-file", desk.secret, "--yes", "--json"
    )


def test_an_inventory_is_sealed_and_the_next_one_must_balance(desk: Desk) -> None:
    desk.register()
    first = desk.wait_over()
    cluster = f"{desk.lab}-c1"
    chips = write(desk, f"cluster,model,serial\n{cluster},h100,S1\n{cluster},h100,S2\n")
    done = sign(desk, "inventory", "--interval", str(first), "--chips", chips, "--method", "physical")
    assert done.code == 0, done.err
    assert done.json["public"]["rows"][0]["chips"]["count"] == 2
    assert done.json["hidden"][cluster]["chips"] == {"count": 2}
    assert done.json["filed"][0]["state"] == "sealed"
    assert "lab.toml says" in done.err

    second = desk.wait_over()
    fewer = write(desk, f"cluster,model,serial\n{cluster},h100,S1\n")
    words = ("inventory", "--interval", str(second), "--chips", fewer)
    stopped = sign(desk, *words)
    assert stopped.code == Exit.REFUTED
    assert f"X7 {cluster}.counts.h100" in stopped.err
    overridden = sign(desk, *words, "--override", "X7=one was stolen")
    assert overridden.code == 0, overridden.err
    assert overridden.json["overrides"] == {"X7": "one was stolen"}


def test_accelerators_go_from_one_lab_to_another_by_terms_that_both_sign(desk: Desk) -> None:
    other = replace(desk, lab=f"{desk.lab}-b")
    desk.register()
    other.register()
    interval = str(desk.wait_over())
    chips = write(desk, "model,serial\nh100,serial-one\nh100,serial-two\n")
    terms = desk.folder / "terms.json"
    sent = transfer(
        desk, "out", "--id", "t-1", "--to", other.lab, "--reason", "sale", "--interval", interval,
        "--cluster", f"{desk.lab}-c1", "--chips", chips, "--terms", terms,
    )  # fmt: skip
    assert sent.code == 0, sent.err
    assert "in private" in sent.err
    assert "serial-one" not in json.dumps(sent.json)

    shown = other.run("transfer", "in", "--home", other.home, "--terms", terms, "--interval", interval, "--dry-run")
    assert "h100" in shown.out
    received = transfer(other, "in", "--terms", terms, "--interval", interval, "--cluster", f"{other.lab}-c1")
    assert received.code == 0, received.err
    assert received.json["public"]["shipment"]["match"] == sent.json["public"]["shipment"]["match"]
    assert received.json["filed"][0]["state"] == "sealed"

    again = desk.folder / "again.json"
    restored = desk.run("transfer", "terms", "--home", desk.home, "--id", "t-1", "--to", other.lab, "-o", again)
    assert restored.code == 0, restored.err
    assert again.read_bytes() == terms.read_bytes()


def test_what_comes_from_outside_has_no_other_side_and_can_be_taken_back(desk: Desk) -> None:
    desk.register()
    interval = str(desk.wait_over())
    chips = write(desk, "model,serial\nh100,N1\n")
    built = transfer(desk, "in", "--id", "new", "--chips", chips, "--reason", "build", "--interval", interval)
    assert built.code == 0, built.err
    assert built.json["public"]["shipment"]["match"] is None
    unclear = transfer(desk, "in", "--id", "new", "--interval", interval)
    assert unclear.code == Exit.USAGE


def test_nothing_moves_between_labs_by_the_word_of_one(desk: Desk) -> None:
    other = replace(desk, lab=f"{desk.lab}-b")
    desk.register()
    other.register()
    interval = str(desk.wait_over())
    words = ("--counterparty", other.lab, "--reason", "sale", "--interval", interval)
    denied = transfer(desk, "deny", "--id", "t-1", "--direction", "in", *words)
    assert denied.code == Exit.REJECTED
    assert denied.json["filed"][0]["refusal"]["code"] == "NOTHING_TO_CORRECT"
