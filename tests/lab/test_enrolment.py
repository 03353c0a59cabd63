"""`lab.enrolment`: a lab signs exactly what it asked for, and remembers what it is registered with."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.enrolment import (
    Enrolled,
    Offer,
    check_offer,
    choose_key,
    compose_request,
    countersign,
    find_first_intervals,
    note_enrolled,
    parse_offer,
    read_enrolled,
)
from lab.keys import LabKeys, create_keys, rotate_keys
from lab.pinned import PinnedLedger, pin_ledger
from lab.settings import ClusterTable, LabTable, LedgerTable, Settings
from ledger.domains import PAYLOAD_TYPE
from ledger.ed25519 import is_ed25519_signature
from ledger.encoding import encode_base64
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError
from ledger.sealedfile import Cost
from ledger.statements.dsse import encode_pae, parse_envelope, verify_envelope
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.registry import Registration, encode_registration
from tests.node.conftest import Committee, found_committee

CHEAP = Cost(memory_kib=32, passes=1, lanes=4)
SETTINGS = Settings(
    lab=LabTable(id="lab-a", name="Lab A"),
    ledger=LedgerTable(fingerprint="00" * 32, nodes=("grpc://a:1",)),
    clusters=(ClusterTable(id="c1", facility="Hall 1", country="DE", chips={"h100": 8}),),
)
GRID_START = 1_700_000_000


@pytest.fixture(scope="module")
def committee() -> Committee:
    return found_committee([(n, n + 1, n + 2) for n in (10, 20, 30, 40)], start=GRID_START, interval_s=100)


@pytest.fixture(scope="module")
def ledger(committee: Committee) -> PinnedLedger:
    return pin_ledger(committee.entry, committee.transcript, fingerprint=hashlib.sha256(committee.entry).digest())


@pytest.fixture
def keys(tmp_path: Path) -> LabKeys:
    return create_keys(tmp_path / "lab.keys", "secret", cost=CHEAP)


def offer(committee: Committee, pinned: PinnedLedger, request: bytes, /, *, member: int = 0, **header: object) -> Offer:
    """What a nation gives back for a request; header fields can be changed."""
    issuer = pinned.charter.members[member].id
    plain = {
        "ledger": pinned.charter.fingerprint,
        "issuer": issuer,
        "sequence": 0,
        "previous": ZERO_HASH,
        "issued_at": GRID_START + 50,
        "corrects": None,
    }
    payload = encode_registration(msgspec.convert(plain | header | msgspec.json.decode(request), Registration))
    identity = committee.founders[member].identity
    signature = identity.sign(encode_pae(PAYLOAD_TYPE, payload))
    return Offer(payload=payload, signature=signature, public_key=identity.public_key)


def test_what_was_asked_for_is_countersigned_by_nation_and_lab(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys
) -> None:
    request = compose_request(SETTINGS, keys)
    offered = offer(committee, ledger, request)
    raw = json.dumps({name: encode_base64(getattr(offered, name)) for name in offered.__struct_fields__})
    assert parse_offer(raw.encode()) == offered
    registration = check_offer(offered, request=request, keys=keys, ledger=ledger)
    assert registration.active_keys() == (keys.current.public_key,)
    envelope = parse_envelope(countersign(offered, keys.current))
    signers = [offered.public_key, keys.current.public_key]
    signed = verify_envelope(envelope, public_keys=signers, is_signature=is_ed25519_signature)
    assert sorted(signed) == sorted(signers)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lab", "lab-b"),
        ("name", "Another"),
        ("next_key_sha256", "11" * 32),
        ("clusters", []),
        ("clusters", [{"id": "c1", "facility": "Hall 1", "country": "DE", "capacity": None}]),
        ("keys", [{"key": encode_base64(b"\x09" + bytes(31)), "status": "active"}]),
    ],
)
def test_whatever_the_nation_changes_is_named_and_not_signed(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys, name: str, change: object
) -> None:
    request = compose_request(SETTINGS, keys)
    try:
        offered = offer(committee, ledger, json.dumps(json.loads(request) | {name: change}).encode())
    except FormatError:  # not even a registration
        return
    with pytest.raises(PolicyError) as caught:
        check_offer(offered, request=request, keys=keys, ledger=ledger)
    assert caught.value.field == f"registration.{name}"


def test_a_nation_cannot_add_a_key_of_its_own(committee: Committee, ledger: PinnedLedger, keys: LabKeys) -> None:
    request = compose_request(SETTINGS, keys)
    asked = json.loads(request)
    asked["keys"].append({"key": encode_base64(committee.founders[0].log.public_key), "status": "active"})
    with pytest.raises(PolicyError, match=r"registration\.keys"):
        check_offer(offer(committee, ledger, json.dumps(asked).encode()), request=request, keys=keys, ledger=ledger)


def test_the_request_in_the_folder_is_held_against_the_keys(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys, tmp_path: Path
) -> None:
    other = create_keys(tmp_path / "other.keys", "secret", cost=CHEAP)
    request = compose_request(SETTINGS, other)  # somebody put another request into the folder
    with pytest.raises(PolicyError, match=r"registration\.keys"):
        check_offer(offer(committee, ledger, request), request=request, keys=keys, ledger=ledger)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"ledger": "11" * 32}, Code.WRONG_LEDGER),
        ({"issuer": "nation-b"}, Code.WRONG_ISSUER),
        ({"issuer": "x"}, Code.WRONG_ISSUER),
    ],
)
def test_an_offer_of_another_ledger_or_nation_is_refused(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys, header: dict[str, Any], code: Code
) -> None:
    request = compose_request(SETTINGS, keys)
    with pytest.raises(PolicyError) as caught:
        check_offer(offer(committee, ledger, request, **header), request=request, keys=keys, ledger=ledger)
    assert caught.value.code is code


def test_an_offer_that_the_nation_did_not_sign_is_refused(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys
) -> None:
    request = compose_request(SETTINGS, keys)
    offered = msgspec.structs.replace(offer(committee, ledger, request), signature=bytes(64))
    with pytest.raises(LedgerError) as caught:
        check_offer(offered, request=request, keys=keys, ledger=ledger)
    assert caught.value.code is Code.SIGNATURE


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"payload":""}', b"\xff", b"a" * 200_000, b"[" * 100_000])
def test_what_is_no_offer_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_offer(raw)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda text: f'{{"payload":"{text}"}}'.encode())))
def test_no_bytes_break_the_reading_of_an_offer(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_offer(raw)


def enrolled(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys, *, sequence: int, receipt: bytes | None, sent_ms: int = 0
) -> Enrolled:
    previous = ZERO_HASH if sequence == 0 else "01" * 32
    offered = offer(committee, ledger, compose_request(SETTINGS, keys), sequence=sequence, previous=previous)
    return Enrolled(entry=countersign(offered, keys.current), sent_ms=sent_ms, receipt=receipt)


def test_what_was_sent_first_stays_and_a_receipt_completes_it(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys, tmp_path: Path
) -> None:
    path = tmp_path / "registrations.json"
    assert read_enrolled(path) == ()
    sent = enrolled(committee, ledger, keys, sequence=0, receipt=None, sent_ms=5)
    note_enrolled(path, sent)
    note_enrolled(path, msgspec.structs.replace(sent, sent_ms=9))
    done = note_enrolled(path, msgspec.structs.replace(sent, sent_ms=11, receipt=b"r"))
    assert read_enrolled(path) == (done,)
    assert (done.sent_ms, done.receipt) == (5, b"r")


def test_a_registration_whose_number_was_taken_is_forgotten(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys, tmp_path: Path
) -> None:
    path = tmp_path / "registrations.json"
    note_enrolled(path, enrolled(committee, ledger, keys, sequence=1, receipt=None))
    later = note_enrolled(path, enrolled(committee, ledger, keys, sequence=3, receipt=None))
    sealed = note_enrolled(path, enrolled(committee, ledger, keys, sequence=2, receipt=b"r"))
    assert read_enrolled(path) == (sealed, later)


def test_a_damaged_list_of_registrations_is_found(tmp_path: Path) -> None:
    path = tmp_path / "registrations.json"
    for raw in (b"{}x", b'{"version":1,"registrations":[{"entry":"eHh4","sent_ms":1,"receipt":null}]}'):
        path.write_bytes(raw)
        with pytest.raises(FormatError) as caught:
            read_enrolled(path)
        assert caught.value.code is Code.STORE_DAMAGED


def test_statements_are_signed_by_the_key_that_is_registered(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys, tmp_path: Path
) -> None:
    before = enrolled(committee, ledger, keys, sequence=0, receipt=b"r")
    assert choose_key(keys, [before]).public_key == keys.current.public_key
    rotated = rotate_keys(tmp_path / "lab.keys", "secret", cost=CHEAP)
    assert choose_key(rotated, [before]).public_key == keys.current.public_key
    after = enrolled(committee, ledger, rotated, sequence=1, receipt=None)
    assert choose_key(rotated, [before, after]).public_key == keys.current.public_key
    sealed = msgspec.structs.replace(after, receipt=b"r")
    assert choose_key(rotated, [before, sealed]).public_key == rotated.current.public_key
    with pytest.raises(ConditionError) as nobody:
        choose_key(rotated, [after])
    stranger = create_keys(tmp_path / "stranger.keys", "secret", cost=CHEAP)
    with pytest.raises(ConditionError) as wrong:
        choose_key(stranger, [sealed])
    assert (nobody.value.code, wrong.value.code) == (Code.UNKNOWN_ISSUER, Code.WRONG_KEY)


@pytest.mark.parametrize(
    ("sent_after_s", "expected"), [(0, 1), (99, 1), (101, 1), (102, 2), (250, 3)]
)  # issued at 50 s of interval 0; two seconds of clock difference are forgiven
def test_a_cluster_cannot_count_before_its_registration_was_sent(
    committee: Committee, ledger: PinnedLedger, keys: LabKeys, sent_after_s: int, expected: int
) -> None:
    sent_ms = (GRID_START + sent_after_s) * 1000
    line = enrolled(committee, ledger, keys, sequence=0, receipt=None, sent_ms=sent_ms)
    assert find_first_intervals(ledger, [line]) == {"c1": expected}
