"""`counterseal lab answer | answer-again` against whole nodes, which draw from an inventory round by round."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from counterseal import Exit
from ledger.openings import compute_openings_context, parse_sample_openings
from tests.lab.desks import ATTEMPTS_MAX, Desk, Done

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
ADA = X25519PrivateKey.from_private_bytes(b"\x07" * 32)
KEY = f"nation-b/ada={ADA.public_key().public_bytes_raw().hex()}"


@pytest.fixture
def desk(agreed_desk: Desk) -> Desk:
    return agreed_desk


def sign(desk: Desk, *words: str | Path) -> Done:
    return desk(str(words[0]), *words[1:], "--passphrase-file", desk.secret, "--yes", "--json")


def list_chips(desk: Desk, count: int = 12) -> None:
    """Register, and say which accelerators there are."""
    desk.register()
    path = desk.folder / "chips.csv"
    path.write_text("\n".join(["cluster,model,serial", *(f"{desk.lab}-c1,h100,S{n}" for n in range(count)), ""]))
    done = sign(desk, "inventory", "--interval", str(desk.wait_over()), "--chips", path, "--method", "book")
    assert done.code == 0, done.err


def answer(desk: Desk, folder: Path, *words: str | Path) -> Done:
    """Answer once something has been drawn: an interval has a round here."""
    for _ in range(ATTEMPTS_MAX):
        done = sign(desk, "answer", "-o", folder, "--key", KEY, *words)
        if "none that waits for this lab" not in done.err:
            return done
        desk.wait_over()
    raise AssertionError("nothing was drawn")


def test_what_nodes_draw_is_answered_in_time_and_opens_to_the_inspector(desk: Desk) -> None:
    list_chips(desk)
    folder = desk.folder / "handed"
    done = answer(desk, folder)
    assert done.code == 0, done.err
    assert done.json["filed"][0]["state"] == "sealed"
    public = done.json["public"]
    (path,) = folder.iterdir()
    name = f"{desk.lab}-c1/{public['round']}/spot"
    assert path.name == f"{name.replace('/', '_')}_nation-b_ada.openings.hpke"
    context = compute_openings_context(
        ledger_id=desk.network.charter.ledger_id, challenge=name, nation="nation-b", inspector="ada"
    )
    raw = SUITE.decrypt(path.read_bytes(), ADA, info=context)
    assert hashlib.sha256(raw).hexdigest() == public["openings"]
    opened = parse_sample_openings(raw)
    assert len(opened.chips) == public["opened_count"]
    assert [chip.serial for chip in opened.chips] == [f"S{chip.index}" for chip in opened.chips]
    twice = sign(desk, "answer", "-o", folder, "--key", KEY, "--round", str(public["round"]))
    assert twice.code == Exit.UNAVAILABLE
    assert "none that waits" in twice.err


def test_an_answer_is_shown_before_it_is_signed_and_goes_to_nobody_of_ones_own_nation(desk: Desk) -> None:
    list_chips(desk)
    folder = desk.folder / "handed"
    shown = answer(desk, folder, "--dry-run")
    assert shown.code == 0, shown.err
    assert "opens all of them to nation-b/ada" in shown.err
    assert shown.json["kind"] == "sample-answer"
    assert list(folder.iterdir()) == []
    own = KEY.replace("nation-b", "nation-a")
    refused = sign(desk, "answer", "-o", folder, "--key", own)
    assert refused.code == Exit.REFUTED
    nobody = sign(desk, "answer", "-o", folder)
    assert nobody.code == Exit.CONDITION, nobody.err
