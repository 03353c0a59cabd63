"""What labs and nations sign beside reports, for tests of the rules: inventories, transfers, notices."""

import hashlib
from typing import Any

import msgspec

from ledger.disclosure import compute_digest
from ledger.positions import Interval, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import Corrects
from ledger.statements.inventories import (
    EMPTY_CHIPS_ROOT,
    Chips,
    Inventory,
    InventoryRow,
    SharedTerms,
    Shipment,
    Transfer,
    encode_inventory,
    encode_terms,
    encode_transfer,
)
from ledger.statements.notices import (
    Enforcement,
    Incident,
    Observation,
    encode_enforcement,
    encode_incident,
    encode_observation,
)
from tests.ledger.rulebook import Party, World


def make_header(world: World, issuer: str) -> dict[str, Any]:  # each field of its own type
    party = find_party(world, issuer)
    return {
        "ledger": world.ledger,
        "issuer": issuer,
        "sequence": SequenceNumber(party.sequence),
        "previous": party.previous,
        "issued_at": Seconds(0),
        "corrects": None,
    }


def find_party(world: World, issuer: str) -> Party:
    return world.nations.get(issuer) or world.labs[issuer]


def make_inventory(world: World, lab: str, interval: int, chips: dict[str, int], *, salt: str = "") -> bytes:
    """An inventory with so many accelerators a cluster."""
    rows = [
        InventoryRow(
            cluster=cluster,
            digests=(),
            chips=Chips(hashlib.sha256(f"{cluster} {count} {salt}".encode()).hexdigest(), count)
            if count
            else Chips(EMPTY_CHIPS_ROOT, 0),
            method="book",
        )
        for cluster, count in chips.items()
    ]
    made = Inventory(**make_header(world, lab), interval=Interval(interval), rows=tuple(rows))
    return sign_envelope(encode_inventory(made), [world.labs[lab].key.signer])


def make_shipment(count: int, *, transfer: str = "t-1", salt: bytes = bytes(16)) -> Shipment:
    """What both sides say of so many accelerators."""
    root = hashlib.sha256(f"{count} chips".encode()).hexdigest()
    terms = SharedTerms(
        transfer=transfer, sender="acme", receiver="beta", chips_root=root, model="h100-sxm", count=count
    )
    return Shipment(digests=(), chips_root=root, match=compute_digest(encode_terms(terms, salt=salt)))


def make_transfer(
    world: World,
    lab: str,
    direction: str,
    counterparty: str | None,
    shipment: Shipment | None,
    *,
    interval: int = 2,
    corrects: str | None = None,
    **changes: object,
) -> bytes:
    """One side's word."""
    made = Transfer(
        **(make_header(world, lab) | {"corrects": Corrects(corrects, "a slip") if corrects else None}),
        transfer="t-1",
        direction="out" if direction == "out" else "in",
        counterparty=counterparty,
        reason="sale",
        interval=Interval(interval),
        clusters=(),
        shipment=shipment,
    )
    payload = encode_transfer(msgspec.structs.replace(made, **changes))
    return sign_envelope(payload, [world.labs[lab].key.signer])


def make_incident(world: World, lab: str, interval: int, **changes: object) -> bytes:
    """An outage, unless told otherwise."""
    made = Incident(
        **make_header(world, lab),
        category="outage",
        severity="serious",
        interval=Interval(interval),
        clusters=(),
        digests=(),
        text_sha256=hashlib.sha256(b"what happened").hexdigest(),
    )
    return sign_envelope(encode_incident(msgspec.structs.replace(made, **changes)), [world.labs[lab].key.signer])


def make_observation(world: World, issuer: str, **changes: object) -> bytes:
    """One about the ledger, unless told otherwise."""
    made = Observation(
        **make_header(world, issuer),
        about="ledger",
        name=None,
        category="equivocation",
        confidence="moderate",
        digest=hashlib.sha256(b"what was seen").hexdigest(),
        text="two heads of one size",
    )
    payload = encode_observation(msgspec.structs.replace(made, **changes))
    return sign_envelope(payload, [find_party(world, issuer).key.signer])


def make_enforcement(world: World, nation: str, lab: str, **changes: object) -> bytes:
    """A warning, unless told otherwise."""
    made = Enforcement(
        **make_header(world, nation), lab=lab, measure="warning", interval=Interval(3), until=None, text="for reports"
    )
    payload = encode_enforcement(msgspec.structs.replace(made, **changes))
    return sign_envelope(payload, [world.nations[nation].key.signer])
