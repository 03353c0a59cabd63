"""Inventories and transfers: their one spelling, what contradicts itself, and what makes two sides' words equal."""

import json
from typing import Any

import msgspec
import pytest

from ledger.disclosure import Disclosure, check_disclosures, commit_fields, compute_decoy, compute_digest
from ledger.disclosure import encode_disclosure as disclose
from ledger.errors import FormatError
from ledger.positions import Interval, Seconds, Sequence
from ledger.statements.intoto import ZERO_HASH, Corrects, find_kind
from ledger.statements.inventories import (
    EMPTY_CHIPS_ROOT,
    INVENTORY,
    TRANSFER,
    Chips,
    HiddenInventory,
    HiddenTransfer,
    Inventory,
    InventoryRow,
    SharedTerms,
    Shipment,
    Transfer,
    encode_hidden_inventory,
    encode_hidden_transfer,
    encode_inventory,
    encode_terms,
    encode_transfer,
    parse_hidden_inventory,
    parse_hidden_transfer,
    parse_inventory,
    parse_terms,
    parse_transfer,
)

LEDGER, LEAF, ROOT = "ab" * 32, "cd" * 32, "ef" * 32
DIGEST = compute_decoy(bytes(16))
HEADER: dict[str, Any] = {  # each of its own type
    "ledger": LEDGER,
    "issuer": "acme",
    "sequence": Sequence(0),
    "previous": ZERO_HASH,
    "issued_at": Seconds(0),
    "corrects": None,
}
ROW = InventoryRow(cluster="a1", digests=(DIGEST,), chips=Chips(ROOT, 64), method="attested")
STOCK = Inventory(**HEADER, interval=Interval(7), rows=(ROW,))
SHIPMENT = Shipment(digests=(), chips_root=ROOT, match=DIGEST)
SENT = Transfer(
    **HEADER,
    transfer="t-1",
    direction="out",
    counterparty="beta",
    reason="lease",
    interval=Interval(7),
    clusters=("a1",),
    shipment=SHIPMENT,
)
TERMS = SharedTerms(transfer="t-1", sender="acme", receiver="beta", chips_root=ROOT, model="h100-sxm", count=64)
SALT = bytes(range(16))


def test_an_inventory_reads_back_and_is_about_its_interval_and_roots() -> None:
    raw = encode_inventory(STOCK)
    statement = parse_inventory(raw)
    assert (statement.predicate, find_kind(raw)) == (STOCK, INVENTORY)
    assert statement.subject.name == "acme/7"
    assert raw.endswith(
        b'"interval":7,"rows":[{"cluster":"a1","digests":["%b"],"chips":{"root":"%b","count":64},"method":"attested"}]}}'
        % (DIGEST.encode(), ROOT.encode())
    )


def test_a_transfer_reads_back_and_is_about_both_sides() -> None:
    raw = encode_transfer(SENT)
    statement = parse_transfer(raw)
    assert (statement.predicate, find_kind(raw)) == (SENT, TRANSFER)
    assert (statement.subject.name, statement.subject.digest.sha256) == ("acme/beta/t-1", ROOT)
    assert raw.endswith(
        b'"transfer":"t-1","direction":"out","counterparty":"beta","reason":"lease","interval":7,"clusters":["a1"],'
        b'"shipment":{"digests":[],"chips_root":"%b","match":"%b"}}}' % (ROOT.encode(), DIGEST.encode())
    )


def test_both_sides_name_the_sender_first() -> None:
    received = msgspec.structs.replace(SENT, issuer="beta", direction="in", counterparty="acme")
    assert (received.sender, received.receiver) == (SENT.sender, SENT.receiver) == ("acme", "beta")
    assert parse_transfer(encode_transfer(received)).subject == parse_transfer(encode_transfer(SENT)).subject


def test_what_comes_from_outside_is_about_outside() -> None:
    bought = msgspec.structs.replace(
        SENT, direction="in", counterparty=None, shipment=msgspec.structs.replace(SHIPMENT, match=None)
    )
    assert parse_transfer(encode_transfer(bought)).subject.name == "outside/acme/t-1"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("rows.cluster", {"rows": (ROW, ROW)}),
        ("rows.cluster", {"rows": (ROW, msgspec.structs.replace(ROW, cluster="a0"))}),
        ("rows.chips.root", {"rows": (msgspec.structs.replace(ROW, chips=Chips(ROOT, 0)),)}),
        ("rows.chips.root", {"rows": (msgspec.structs.replace(ROW, chips=Chips(EMPTY_CHIPS_ROOT, 1)),)}),
        ("rows.digests", {"rows": (msgspec.structs.replace(ROW, digests=(DIGEST, DIGEST)),)}),
        ("rows.digests", {"rows": (ROW, msgspec.structs.replace(ROW, cluster="a2"))}),
        ("rows.digests", {"rows": (msgspec.structs.replace(ROW, digests=("!" * 43,)),)}),
        ("corrects", {"corrects": Corrects(LEAF, "a slip")}),
    ],
)
def test_an_inventory_that_contradicts_itself_is_refused(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        encode_inventory(msgspec.structs.replace(STOCK, **changes))
    assert caught.value.field == f"statement.predicate.{field}"


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": ()},
        {"rows": (msgspec.structs.replace(ROW, method="hearsay"),)},
        {"rows": (msgspec.structs.replace(ROW, chips=Chips(ROOT, -1)),)},
        {"interval": -1},
    ],
)
def test_an_inventory_of_other_types_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        encode_inventory(msgspec.structs.replace(STOCK, **changes))


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("clusters", {"clusters": ("a2", "a1")}),
        ("clusters", {"clusters": ("a1", "a1")}),
        ("shipment.digests", {"shipment": msgspec.structs.replace(SHIPMENT, digests=(DIGEST, DIGEST))}),
        ("shipment.digests", {"shipment": msgspec.structs.replace(SHIPMENT, digests=("!" * 43,))}),
        ("shipment.match", {"shipment": msgspec.structs.replace(SHIPMENT, match="!" * 43)}),
        ("shipment.match", {"shipment": msgspec.structs.replace(SHIPMENT, match=None)}),
        ("shipment.match", {"counterparty": None}),
        ("shipment", {"counterparty": None, "shipment": None}),
    ],
)
def test_a_transfer_that_contradicts_itself_is_refused(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        encode_transfer(msgspec.structs.replace(SENT, **changes))
    assert caught.value.field == f"statement.predicate.{field}"


def test_hidden_fields_survive_commitment_and_disclosure() -> None:
    counts = HiddenInventory(chip_counts={"h100-sxm": 64, "b200": 8})
    moved = HiddenTransfer(model="h100-sxm", count=64)
    values = encode_hidden_inventory(counts) | encode_hidden_transfer(moved)
    committed = commit_fields(values, salts=[bytes([place]) * 16 for place in range(3)])
    opened = {each.name: each.value for each in check_disclosures(committed.digests, [*committed.disclosures.values()])}
    assert parse_hidden_inventory({"chip_counts": opened["chip_counts"]}) == counts
    assert parse_hidden_transfer({name: opened[name] for name in ("model", "count")}) == moved


@pytest.mark.parametrize(
    "values",
    [{}, {"chip_counts": {"H100": 1}}, {"chip_counts": {"h100": -1}}, {"chip_counts": {}, "more": 1}],
)
def test_other_hidden_fields_of_an_inventory_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse_hidden_inventory(values)


@pytest.mark.parametrize("values", [{}, {"model": "h100"}, {"model": "h100", "count": 1.0}, {"model": "", "count": 1}])
def test_other_hidden_fields_of_a_transfer_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse_hidden_transfer(values)


def test_both_sides_compute_one_match_and_any_other_term_or_salt_gives_another() -> None:
    """A known answer: what one side computes in another language, the other must find equal."""
    text = encode_terms(TERMS, salt=SALT)
    assert compute_digest(text) == "HGrl-SBnvos1aLQGr1IOQh0OdlM3aq42eJbD_7m6P-c"
    assert parse_terms(text) == TERMS
    others = [
        msgspec.structs.replace(TERMS, **{name: value})
        for name, value in (
            ("transfer", "t-2"),
            ("sender", "acme-2"),
            ("receiver", "beta-2"),
            ("chips_root", LEAF),
            ("model", "h100"),
            ("count", 65),
        )
    ]
    digests = [compute_digest(encode_terms(other, salt=SALT)) for other in others]
    digests += [compute_digest(text), compute_digest(encode_terms(TERMS, salt=bytes(16)))]
    assert len(dict.fromkeys(digests)) == 8


def test_shared_terms_are_a_plain_disclosure_of_the_standard() -> None:
    value = json.loads(msgspec.json.encode(TERMS))
    assert encode_terms(TERMS, salt=SALT) == disclose(Disclosure(SALT, "transfer", value))


@pytest.mark.parametrize("salt", [b"", bytes(15)])
def test_a_salt_that_can_be_guessed_is_refused(salt: bytes) -> None:
    with pytest.raises(FormatError):
        encode_terms(TERMS, salt=salt)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("terms", {}),
        ("transfer", {}),
        ("transfer", []),
        ("transfer", json.loads(msgspec.json.encode(TERMS)) | {"x": 1}),
    ],
)
def test_another_disclosure_is_no_shared_terms(name: str, value: Any) -> None:  # JSON
    with pytest.raises(FormatError):
        parse_terms(disclose(Disclosure(SALT, name, value)))
