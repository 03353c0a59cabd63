"""A lab fills its inventory with accelerators of another, which says nothing of it and lists them too."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from devnet.year.acts import Act, Chapter, Header, Moment, Said, Write
from devnet.year.books import make_salt
from devnet.year.cast import MARTEN, SABLE, LabRole
from ledger.chips import Chip, ChipsTree
from ledger.disclosure import commit_fields, compute_digest
from ledger.limits import CHIP_SALT_BYTES
from ledger.positions import Interval
from ledger.statements.inventories import (
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
)

LENDER: Final = SABLE
BORROWER: Final = MARTEN
LENT_COUNT: Final = 40
LISTED_IN: Final = 6
DIFFERENCE_IN: Final = LISTED_IN + 1
TRANSFER: Final = "forty-for-a-while"


@cache
def list_chips(lab: LabRole) -> tuple[Chip, ...]:
    """What a lab's inventory lists; the last ones of the borrower's are the lender's last ones."""
    own = [Chip(lab.fact.chip, f"{lab.id}-{number:05d}") for number in range(lab.fact.chips_count)]
    if lab == BORROWER:
        own[-LENT_COUNT:] = _list_lent()
    return tuple(own)


@cache
def make_chips_tree(lab: LabRole) -> ChipsTree:
    """The tree under a lab's inventory."""
    chips = list_chips(lab)
    return ChipsTree(chips, (_chip_salt(f"{lab.id} {number}") for number in range(len(chips))))


def name_inventory(lab: LabRole) -> str:
    """How acts call a lab's inventory."""
    return f"inventory {lab.id}"


def write_lending(base: Interval) -> Chapter:
    """Two inventories that list the same accelerators, and one side of a transfer."""
    at = Moment(LISTED_IN, 350)
    lists = [
        Act(
            at,
            lab.id,
            _list(base, lab),
            tells=f"{lab.name} commits to an inventory of {lab.fact.chips_count} {lab.fact.chip}",
            name=name_inventory(lab),
        )
        for lab in (LENDER, BORROWER)
    ]
    receives = Act(
        Moment(LISTED_IN, 550),
        BORROWER.id,
        _receive(base),
        tells=f"{BORROWER.name} says that {LENT_COUNT} of them came from {LENDER.name}; {LENDER.name} says nothing",
        name="transfer",
    )
    return Chapter("lent accelerators", (*lists, receives))


def _list(base: Interval, lab: LabRole) -> Write:
    hidden = encode_hidden_inventory(HiddenInventory(chip_counts={lab.fact.chip: lab.fact.chips_count}))
    digests = commit_fields(hidden, salts=[make_salt(f"{lab.id} inventory {name}") for name in hidden]).digests
    root = make_chips_tree(lab).root()
    row = InventoryRow(
        cluster=lab.cluster, digests=digests, chips=Chips(root.root.hex(), root.count), method="physical"
    )

    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        return encode_inventory(Inventory(**header, interval=Interval(base + LISTED_IN), rows=(row,)))

    return write


def _receive(base: Interval) -> Write:
    model = LENDER.fact.chip
    hidden = encode_hidden_transfer(HiddenTransfer(model=model, count=LENT_COUNT))
    digests = commit_fields(hidden, salts=[make_salt(f"{BORROWER.id} transfer {name}") for name in hidden]).digests
    lent = _list_lent()
    root = ChipsTree(lent, (_chip_salt(f"lent {number}") for number in range(len(lent)))).root().root.hex()
    terms = SharedTerms(
        transfer=TRANSFER, sender=LENDER.id, receiver=BORROWER.id, chips_root=root, model=model, count=LENT_COUNT
    )
    match = compute_digest(encode_terms(terms, salt=make_salt("terms of the transfer")))

    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        return encode_transfer(
            Transfer(
                **header,
                transfer=TRANSFER,
                direction="in",
                counterparty=LENDER.id,
                reason="lease",
                interval=Interval(base + LISTED_IN),
                clusters=(BORROWER.cluster,),
                shipment=Shipment(digests=digests, chips_root=root, match=match),
            )
        )

    return write


def _list_lent() -> list[Chip]:
    count = LENDER.fact.chips_count
    return [Chip(LENDER.fact.chip, f"{LENDER.id}-{number:05d}") for number in range(count - LENT_COUNT, count)]


def _chip_salt(name: str) -> bytes:
    """A salt twice as long as others: two of those."""
    salt = make_salt(f"chip {name}") + make_salt(f"chip {name}, second half")
    assert len(salt) == CHIP_SALT_BYTES
    return salt
