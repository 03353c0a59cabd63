"""`inspector.books`: whose words stand, which of them are missing, and what takes the place of what."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from inspector.books import Books, Filed
from ledger.positions import Interval, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.receipts import VerifiedReceipt
from ledger.statements.intoto import Corrects
from ledger.statements.inventories import Shipment, Transfer

LAB = "lab-a"
OUT = Transfer(
    ledger="11" * 32, issuer=LAB, sequence=SequenceNumber(0), previous="22" * 32, issued_at=Seconds(0), corrects=None,
    transfer="t-1", direction="out", counterparty=None, reason="retire", interval=Interval(1), clusters=(),
    shipment=Shipment(digests=(), chips_root="ab" * 32, match=None),
)  # fmt: skip


def leaf(number: int) -> str:
    return f"{number:064x}"


def file(number: int, transfer: Transfer = OUT, *, corrects: int | None = None, issuer: str = LAB) -> Filed:
    receipt = SimpleNamespace(leaf=bytes.fromhex(leaf(number)), index=number)
    if corrects is not None:
        transfer = msgspec.structs.replace(transfer, corrects=Corrects(leaf(corrects), "a mistake"))
    return Filed("transfer", issuer, number, transfer, {}, cast("VerifiedReceipt", receipt))


def shelve(*filed: Filed) -> Books:
    return Books({each.leaf: each for each in filed})


def list_live(books: Books) -> list[int]:
    return [filed.sequence for filed, _ in books.list_transfers(LAB)]


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [((0, 1, 2), []), ((1, 2), ["0"]), ((0, 3), ["1 to 2"]), ((0, 2, 4), ["1", "3"]), ((), []), ((5,), ["0 to 4"])],
)
def test_every_number_up_to_the_newest_that_is_not_there_is_named(numbers: Sequence[int], gaps: list[str]) -> None:
    assert shelve(*(file(number) for number in numbers)).list_gaps(LAB) == gaps


def test_numbers_of_another_party_fill_no_gap() -> None:
    books = shelve(file(0), file(2), file(1, issuer="lab-b"))
    assert books.list_gaps(LAB) == ["1"]
    assert books.list_labs() == [LAB, "lab-b"]


def test_a_correction_takes_the_place_of_what_it_names_and_may_be_corrected_itself() -> None:
    assert list_live(shelve(file(0), file(1, corrects=0))) == [1]
    assert list_live(shelve(file(0), file(1, corrects=0), file(2, corrects=1))) == [2]
    assert list_live(shelve(file(1, corrects=0))) == [1], "what it names is not here"


def test_a_correction_that_names_another_transfer_hides_nothing() -> None:
    """To and from outside the ledger the rules do not look at what a correction names."""
    other = msgspec.structs.replace(OUT, transfer="t-2")
    assert list_live(shelve(file(0), file(1, other, corrects=0))) == [0, 1]
    incoming = msgspec.structs.replace(OUT, direction="in")
    assert list_live(shelve(file(0), file(1, incoming, corrects=0))) == [0, 1]
    foreign = shelve(file(0, issuer="lab-b"), file(1, corrects=0))
    assert list_live(foreign) == [1]


def test_two_words_under_one_id_without_a_correction_are_two_transfers() -> None:
    assert list_live(shelve(file(0), replace(file(1), predicate=OUT))) == [0, 1]
