"""`counterseal lab respond | hand-over` against whole nodes: what inspectors can open of an answer."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from counterseal import Exit
from ledger.openings import compute_openings_context, parse_openings
from ledger.positions import Interval, LeafIndex
from ledger.statements.inspections import Grounds, Inspector, Named, Request
from tests.lab.desks import Desk, Done, Network

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
NATIONS = ("nation-b", "nation-c")


@pytest.fixture
def desk(agreed_desk: Desk) -> Desk:
    return agreed_desk


def seed(nation: str) -> bytes:
    return hashlib.sha256(nation.encode()).digest()


@pytest.fixture(scope="module")
def inspected(agreed_network: Network) -> Network:
    """Two nations have an inspector each."""
    for place, nation in enumerate(NATIONS, start=1):
        ada = Inspector(
            id="ada",
            name="Ada",
            signing_key=Ed25519PrivateKey.from_private_bytes(seed(nation)).public_key().public_bytes_raw(),
            encryption_key=X25519PrivateKey.from_private_bytes(seed(nation)).public_key().public_bytes_raw(),
            status="active",
        )
        agreed_network.say(place, "inspectors", {"inspectors": [ada]})
    return agreed_network


def raise_challenge(desk: Desk, name: str, interval: int) -> None:
    request = Request(fields=("energy_wh",), records=(LeafIndex(0),), inventory=None, chips=(), recompute=None)
    desk.network.say(
        1,
        "challenge",
        {
            "challenge": name,
            "lab": desk.lab,
            "cluster": f"{desk.lab}-c1",
            "interval": Interval(interval),
            "request": request,
            "grounds": Grounds(None, "a rumour"),
            "inspectors": [Named(nation, "ada") for nation in NATIONS],
        },
    )


def respond(desk: Desk, *words: str | Path) -> Done:
    return desk("respond", *words, "--passphrase-file", desk.secret, "--yes", "--json")


def report(desk: Desk) -> int:
    desk.register()
    interval = desk.wait_over()
    start = desk.network.charter.grid.start + interval
    export = desk.export(f"{start},{start + 1}")
    built = desk("report", "--interval", str(interval), "--from", export, "--passphrase-file", desk.secret, "--json")
    assert built.code == 0, built.err
    assert desk("submit").code == 0
    return interval


def test_what_is_asked_reaches_each_inspector_and_stands_on_the_ledger_by_its_digest(
    desk: Desk, inspected: Network
) -> None:
    interval = report(desk)
    raise_challenge(desk, "c-1", interval)
    folder = desk.folder / "handed"
    shown = desk("respond", "c-1", "-o", folder, "--dry-run")
    assert shown.code == 0, shown.err
    assert "energy_wh, 1 records" in shown.err
    assert list(folder.iterdir()) == []

    done = respond(desk, "c-1", "-o", folder)
    assert done.code == 0, done.err
    assert done.json["filed"][0]["state"] == "sealed"
    for nation in NATIONS:
        box = (folder / f"c-1_{nation}_ada.openings.hpke").read_bytes()
        context = compute_openings_context(
            ledger_id=inspected.charter.ledger_id, challenge="c-1", nation=nation, inspector="ada"
        )
        raw = SUITE.decrypt(box, X25519PrivateKey.from_private_bytes(seed(nation)), info=context)
        assert hashlib.sha256(raw).hexdigest() == done.json["public"]["handed"]
        opened = parse_openings(raw)
        assert (opened.challenge, len(opened.disclosures), len(opened.records)) == ("c-1", 1, 1)

    again = desk.folder / "again"
    written = desk("hand-over", "c-1", "-o", again)
    assert written.code == 0, written.err
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    twice = respond(desk, "c-1", "-o", folder)
    assert twice.code == Exit.REJECTED


@pytest.mark.usefixtures("inspected")
def test_one_node_alone_is_not_believed_about_keys_but_the_nations_are(desk: Desk) -> None:
    interval = report(desk)
    raise_challenge(desk, "c-2", interval)
    settings = desk.home / "lab.toml"
    lines = settings.read_text().splitlines()
    first = desk.network.addresses[0]
    settings.write_text("\n".join(f'nodes = ["{first}"]' if line.startswith("nodes") else line for line in lines))
    folder = desk.folder / "handed"
    alone = respond(desk, "c-2", "-o", folder)
    assert alone.code == Exit.UNAVAILABLE
    assert "whose keys" in alone.err
    keys = [
        f"{nation}/ada={X25519PrivateKey.from_private_bytes(seed(nation)).public_key().public_bytes_raw().hex()}"
        for nation in NATIONS
    ]
    few = respond(desk, "c-2", "-o", folder, "--key", keys[0])
    assert few.code == Exit.REFUTED
    shown = desk("respond", "c-2", "--outcome", "declined", "--dry-run")
    assert shown.code == 0, shown.err
    told = respond(desk, "c-2", "-o", folder, "--key", keys[0], "--key", keys[1])
    assert told.code == 0, told.err


@pytest.mark.usefixtures("inspected")
def test_a_lab_may_decline_and_a_challenge_that_nobody_raised_is_not_found(desk: Desk) -> None:
    interval = report(desk)
    raise_challenge(desk, "c-3", interval)
    declined = respond(desk, "c-3", "--outcome", "declined")
    assert declined.code == 0, declined.err
    assert declined.json["public"]["recipients"] == []
    idle = respond(desk, "c-3", "-o", desk.folder / "handed", "--until", "3")
    assert (idle.code, "--books" in idle.err) == (Exit.USAGE, True)
    unknown = respond(desk, "c-9", "-o", desk.folder / "handed", "--timeout", "2")
    assert unknown.code == Exit.UNAVAILABLE
