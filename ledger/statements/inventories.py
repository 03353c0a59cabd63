"""Inventories and transfers: which accelerators a lab says it has, and how they come and go.

An *inventory* holds, as of the beginning of an interval, a row a cluster. Public: the root over its accelerators
(`ledger.chips`) and the number of leaves under it, and how they were counted. Whoever wants to hide the number pads it
with empty leaves to a public band. Hidden: the numbers by model, as salted digests (`ledger.disclosure`).
Subject: `<lab>/<interval>`, with the SHA-256 over the concatenated roots of the rows.

A *transfer* is said by both sides, each in a statement of its own: the sender says `out`, the receiver `in`, under one
id that the sender chose. Model and number are hidden twice. Under salts of its own, so that each side can open one of
them alone; and once under a salt that both sides share, over all terms together (`SharedTerms`): that digest is the
public `match`, and it is equal on both sides exactly if both committed to the same terms. It is a disclosure of
RFC 9901 §4.2 like every hidden field, a hash over at least 16 bytes of fresh salt and the value: it binds, since nobody
finds two values of one SHA-256, and it hides, since nobody guesses the salt. It does not show that the later side knew
the terms: who copies the other's `match` has signed for what it cannot open.
Subject: `<sender>/<receiver>/<transfer>`, with the root over what moved, or zeros where nothing did.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.disclosure import Disclosure, JsonValue, encode_disclosure, parse_disclosure
from ledger.errors import FormatError
from ledger.limits import CLUSTERS_PER_LAB_MAX, INTERVAL_MAX, LIST_ITEMS_MAX, MODELS_MAX
from ledger.positions import Interval
from ledger.statements.hidden import FieldDigest, check_digests
from ledger.statements.intoto import (
    ZERO_HASH,
    Count,
    Hex32,
    Identifier,
    PredicateHeader,
    Quantity,
    Statement,
    StatementForm,
    Subject,
    make_subject,
    parse_quantity,
    require_ascending,
    require_no_correction,
)

INVENTORY: Final = "inventory"
TRANSFER: Final = "transfer"

Method = Literal["book", "physical", "attested"]
"""How accelerators were counted: from the books, by walking past them, or by what their hardware signs."""

Direction = Literal["out", "in"]
TransferReason = Literal["sale", "lease", "move", "repair", "retire", "destroy", "build"]

EMPTY_CHIPS_ROOT: Final = hashlib.sha256(b"").hexdigest()
"""Root over no accelerators (RFC 6962 §2.1)."""

OUTSIDE: Final = "outside"
"""What subjects call a party that is no lab of this ledger; a lab of that name is told from it by `counterparty`."""

TERMS_NAME: Final = "transfer"
"""Name of the field whose digest is `match`."""


class Chips(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Root over the leaves of a cluster's accelerators, and how many leaves there are."""

    root: Hex32
    count: Count


class InventoryRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One cluster.

    Attributes:
        cluster: its id.
        digests: of the hidden fields (`HiddenInventory`) and of decoys, in ascending order.
        chips: root and number of leaves.
        method: how they were counted.
    """

    cluster: Identifier
    digests: Annotated[tuple[FieldDigest, ...], Meta(max_length=LIST_ITEMS_MAX)]
    chips: Chips
    method: Method


class Inventory(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a lab has when an interval begins.

    Attributes:
        interval: at whose beginning.
        rows: in ascending order of clusters; a cluster that is left out keeps the inventory it had.
    """

    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    rows: Annotated[tuple[InventoryRow, ...], Meta(min_length=1, max_length=CLUSTERS_PER_LAB_MAX)]


class Shipment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What moved.

    Attributes:
        digests: of the hidden fields (`HiddenTransfer`) and of decoys, in ascending order; each side's own.
        chips_root: over the accelerators that moved, in an order and under salts that both sides know.
        match: digest of the shared terms; null if and only if there is no other side to match with.
    """

    digests: Annotated[tuple[FieldDigest, ...], Meta(max_length=LIST_ITEMS_MAX)]
    chips_root: Hex32
    match: FieldDigest | None


class Transfer(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One side's word on a transfer; with `corrects`, what stands in the place of its earlier word on the same one.

    Attributes:
        transfer: id, chosen by the sender; it belongs to the two labs.
        direction: whether the issuer sends or receives.
        counterparty: the other lab; the issuer itself where it moves between its own clusters; null for everybody who
            is no lab of this ledger: suppliers, scrap dealers, other countries.
        reason: why.
        interval: in which they left here, or arrived here.
        clusters: where from or where to, in ascending order; none if the lab does not say.
        shipment: what moved; null for nothing: the issuer takes back what it said, or denies what the other side says.
    """

    transfer: Identifier
    direction: Direction
    counterparty: Identifier | None
    reason: TransferReason
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    clusters: Annotated[tuple[Identifier, ...], Meta(max_length=CLUSTERS_PER_LAB_MAX)]
    shipment: Shipment | None

    @property
    def sender(self) -> str | None:
        """Id of the lab that sends; None if it is none of this ledger."""
        return self.issuer if self.direction == "out" else self.counterparty

    @property
    def receiver(self) -> str | None:
        """Id of the lab that receives; None if it is none of this ledger."""
        return self.counterparty if self.direction == "out" else self.issuer


class HiddenInventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a row of an inventory commits to and does not show; each attribute is one salted field of that name.

    Attributes:
        chip_counts: accelerators by model of the charter, without padding.
    """

    chip_counts: Annotated[dict[Identifier, Quantity], Meta(max_length=MODELS_MAX)]


class HiddenTransfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a shipment commits to and does not show; each attribute is one salted field of that name.

    Attributes:
        model: of the charter; a transfer holds one.
        count: how many accelerators.
    """

    model: Identifier
    count: Quantity


class SharedTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that both sides of a transfer say alike, under one salt; the order of fields is that of the JSON."""

    transfer: Identifier
    sender: Identifier
    receiver: Identifier
    chips_root: Hex32
    model: Identifier
    count: Quantity


def encode_inventory(inventory: Inventory) -> bytes:
    """Write the payload of an inventory.

    Raises:
        FormatError: a value that `parse_inventory` would refuse.
    """
    return _INVENTORY.encode(inventory)


def parse_inventory(payload: bytes) -> Statement[Inventory]:
    """Read an inventory.

    Raises:
        FormatError: not an inventory in its one encoding, rows or digests out of order or repeated, or the root of no
            accelerators over some.
    """
    return _INVENTORY.parse(payload)


def encode_transfer(transfer: Transfer) -> bytes:
    """Write the payload of a transfer.

    Raises:
        FormatError: a value that `parse_transfer` would refuse.
    """
    return _TRANSFER.encode(transfer)


def parse_transfer(payload: bytes) -> Statement[Transfer]:
    """Read a transfer.

    Raises:
        FormatError: not a transfer in its one encoding, clusters or digests out of order or repeated, a `match` without
            another side or none with one, or a denial of what nobody said.
    """
    return _TRANSFER.parse(payload)


def compute_chips_digest(rows: tuple[InventoryRow, ...]) -> str:
    """Hex SHA-256 over the concatenated roots of the rows: the digest of an inventory's subject."""
    return hashlib.sha256(bytes.fromhex("".join(row.chips.root for row in rows))).hexdigest()


def encode_hidden_inventory(hidden: HiddenInventory) -> dict[str, JsonValue]:
    """Turn hidden fields into the JSON value of each, by name, ready for `ledger.disclosure.commit_fields`.

    Raises:
        FormatError: a value that `parse_hidden_inventory` would refuse.
    """
    values: dict[str, JsonValue] = msgspec.json.decode(msgspec.json.encode(hidden))
    parse_hidden_inventory(values)
    return values


def parse_hidden_inventory(values: Mapping[str, object]) -> HiddenInventory:
    """Check the types, units and bounds of the hidden fields of a row, before committing or after disclosure.

    Raises:
        FormatError: a field missing, unknown, of another type or out of bounds.
    """
    try:
        hidden = msgspec.convert(dict(values), HiddenInventory)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="hidden", found=str(error), expected="the hidden fields of an inventory") from None
    for count in hidden.chip_counts.values():
        parse_quantity(count, field="hidden.chip_counts")
    return hidden


def encode_hidden_transfer(hidden: HiddenTransfer) -> dict[str, JsonValue]:
    """Turn hidden fields into the JSON value of each, by name, ready for `ledger.disclosure.commit_fields`.

    Raises:
        FormatError: a value that `parse_hidden_transfer` would refuse.
    """
    values: dict[str, JsonValue] = msgspec.json.decode(msgspec.json.encode(hidden))
    parse_hidden_transfer(values)
    return values


def parse_hidden_transfer(values: Mapping[str, object]) -> HiddenTransfer:
    """Check the types, units and bounds of the hidden fields of a shipment, before committing or after disclosure.

    Raises:
        FormatError: a field missing, unknown, of another type or out of bounds.
    """
    try:
        hidden = msgspec.convert(dict(values), HiddenTransfer)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="hidden", found=str(error), expected="the hidden fields of a transfer") from None
    parse_quantity(hidden.count, field="hidden.count")
    return hidden


def encode_terms(terms: SharedTerms, *, salt: bytes) -> str:
    """Write the disclosure of the terms. Both sides write the same one; its `compute_digest` is their `match`.

    Args:
        terms: as both sides agreed.
        salt: at least 16 bytes, fresh, drawn by one side and told to the other in private.

    Raises:
        FormatError: a value that `parse_terms` would refuse.
    """
    text = encode_disclosure(Disclosure(salt, TERMS_NAME, msgspec.to_builtins(terms)))
    parse_terms(text)
    return text


def parse_terms(text: str) -> SharedTerms:
    """Read the disclosure of shared terms, as an inspector is shown it. Whether it opens a `match` is for the digest.

    Raises:
        FormatError: not a disclosure, of another field, or not such terms.
    """
    disclosure = parse_disclosure(text)
    if disclosure.name != TERMS_NAME:
        raise FormatError(field="disclosure.name", found=disclosure.name, expected=TERMS_NAME)
    try:
        terms = msgspec.convert(disclosure.value, SharedTerms)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="disclosure.value", found=str(error), expected="the terms of a transfer") from None
    parse_quantity(terms.count, field="disclosure.value.count")
    return terms


def _check_inventory(inventory: Inventory) -> Subject:
    field = "statement.predicate.rows"
    require_no_correction(inventory)
    require_ascending([row.cluster for row in inventory.rows], field=f"{field}.cluster")
    for row in inventory.rows:
        require_ascending(row.digests, field=f"{field}.digests")
        if (row.chips.count == 0) != (row.chips.root == EMPTY_CHIPS_ROOT):
            raise FormatError(
                field=f"{field}.chips.root", found=row.chips.root, expected="the empty root exactly for no accelerators"
            )
    check_digests([digest for row in inventory.rows for digest in row.digests], field=f"{field}.digests")
    return make_subject(f"{inventory.issuer}/{inventory.interval}", compute_chips_digest(inventory.rows))


def _check_transfer(transfer: Transfer) -> Subject:
    field = "statement.predicate"
    require_ascending(transfer.clusters, field=f"{field}.clusters")
    shipment = transfer.shipment
    if shipment is None:
        if transfer.corrects is None and transfer.counterparty is None:
            raise FormatError(
                field=f"{field}.shipment", found="null", expected="what moved: nothing was said that this could answer"
            )
    else:
        require_ascending(shipment.digests, field=f"{field}.shipment.digests")
        check_digests(shipment.digests, field=f"{field}.shipment.digests")
        if (shipment.match is None) != (transfer.counterparty is None):
            raise FormatError(
                field=f"{field}.shipment.match", found=shipment.match, expected="null exactly without a counterparty"
            )
        if shipment.match is not None:
            check_digests((shipment.match,), field=f"{field}.shipment.match")
    name = f"{transfer.sender or OUTSIDE}/{transfer.receiver or OUTSIDE}/{transfer.transfer}"
    return make_subject(name, ZERO_HASH if shipment is None else shipment.chips_root)


_INVENTORY: Final = StatementForm(INVENTORY, Inventory, check=_check_inventory)
_TRANSFER: Final = StatementForm(TRANSFER, Transfer, check=_check_transfer)
