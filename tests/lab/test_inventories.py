"""`lab.inventories`, `lab.transfers` and `lab.books`: what is said of accelerators can be opened, and balances."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from lab.collectors.chips import ListedChip
from lab.crosschecks import require_sane
from lab.inventories import prepare_inventory
from lab.preparing import Prepared
from lab.stored import StoredStatement, find_opening, open_chips, verify_stored
from lab.transfer_terms import encode_terms_file, parse_terms_file
from lab.transfers import Side, prepare_denial, prepare_received, prepare_sent, restore_terms
from lab.vault import Vault, open_vault
from ledger.chips import ChipsRoot, verify_chip
from ledger.errors import Code, ConditionError, FormatError, LedgerError, PolicyError, ProofError, RejectedError
from ledger.openings import SHARED
from ledger.positions import Interval, LeafIndex
from ledger.statements.dsse import parse_envelope
from ledger.statements.inventories import Direction, TransferReason, parse_inventory, parse_transfer
from tests.lab.vaults import LAB, OTHER, file, make_ledger, make_settings

LEDGER = make_ledger()
SETTINGS = make_settings(LEDGER, "c1", "c2")


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with open_vault(tmp_path / "vault") as opened:
        yield opened


def chips(cluster: str, first: int, count: int, model: str = "h100") -> list[ListedChip]:
    return [ListedChip(cluster, model, f"SERIAL-{number}", "") for number in range(first, first + count)]


def count(vault: Vault, interval: int, *listed: ListedChip, empty: Sequence[str] = ()) -> Prepared:
    return prepare_inventory(
        vault, listed, ledger=LEDGER, settings=SETTINGS, interval=Interval(interval), method="book", empty=empty
    )


def side(
    transfer: str = "t-1",
    *,
    direction: Direction = "out",
    counterparty: str | None = OTHER,
    reason: TransferReason = "sale",
    interval: int = 1,
    clusters: Sequence[str] = ("c1",),
    why: str = "",
) -> Side:
    return Side(
        transfer=transfer, direction=direction, counterparty=counterparty, reason=reason,
        interval=Interval(interval), clusters=clusters, why=why,
    )  # fmt: skip


def ship(vault: Vault, said: Side, *listed: ListedChip, terms: Path | None = Path("terms.json")) -> Prepared:
    return prepare_sent(vault, said, listed, ledger=LEDGER, lab=LAB, terms=terms)


def test_an_inventory_says_roots_and_numbers_and_every_chip_can_be_opened(vault: Vault) -> None:
    stored = file(vault, count(vault, 0, *chips("c2", 0, 5), *chips("c1", 5, 3), *chips("c1", 8, 1, "a100")), LEDGER)
    inventory = parse_inventory(parse_envelope(stored.envelope).payload).predicate
    assert [(row.cluster, row.chips.count) for row in inventory.rows] == [("c1", 4), ("c2", 5)]
    assert b"SERIAL" not in parse_envelope(stored.envelope).payload
    verify_stored(stored)
    for row in inventory.rows:
        root = ChipsRoot(bytes.fromhex(row.chips.root), row.chips.count)
        indices = tuple(LeafIndex(index) for index in range(row.chips.count))
        for chip, opening in open_chips(find_opening(stored, row.cluster), indices):
            verify_chip(root, chip, opening)
    with pytest.raises(ProofError):
        open_chips(find_opening(stored, "c1"), (LeafIndex(4),))


def test_the_same_chips_have_other_digests_and_another_root_each_time(vault: Vault) -> None:
    first, second = (
        parse_inventory(parse_envelope(file(vault, count(vault, n, *chips("c1", 0, 3)), LEDGER).envelope).payload)
        for n in (0, 1)
    )
    (row,), (other,) = first.predicate.rows, second.predicate.rows
    assert row.chips.root != other.chips.root
    assert set(row.digests).isdisjoint(other.digests)


def test_a_cluster_may_have_none(vault: Vault) -> None:
    stored = file(vault, count(vault, 0, *chips("c1", 0, 1), empty=["c2"]), LEDGER)
    inventory = parse_inventory(parse_envelope(stored.envelope).payload).predicate
    assert [(row.cluster, row.chips.count) for row in inventory.rows] == [("c1", 1), ("c2", 0)]


def test_books_that_do_not_balance_stop_unless_overridden(vault: Vault) -> None:
    file(vault, count(vault, 0, *chips("c1", 0, 5)), LEDGER)
    prepared = count(vault, 3, *chips("c1", 0, 4))
    with pytest.raises(PolicyError) as caught:
        require_sane(prepared.findings, {})
    assert caught.value.field == "X7 c1.counts.h100"
    require_sane(prepared.findings, {"X7": "one was stolen"})


def test_books_balance_with_what_left_and_what_came_since(vault: Vault) -> None:
    file(vault, count(vault, 0, *chips("c1", 0, 5)), LEDGER)
    file(vault, ship(vault, side("t-1", interval=1), *chips("", 0, 2)), LEDGER)
    built = side("t-2", direction="in", counterparty=None, reason="build", interval=2)
    file(vault, ship(vault, built, *chips("", 10, 3), terms=None), LEDGER)
    later = side("t-3", interval=3)
    file(vault, ship(vault, later, *chips("", 12, 1)), LEDGER)
    assert count(vault, 3, *chips("c1", 2, 3), *chips("c1", 10, 3)).findings == ()
    assert [one.check for one in count(vault, 4, *chips("c1", 2, 3), *chips("c1", 10, 3)).findings] == ["X7"]


def test_what_was_taken_back_moved_nothing(vault: Vault) -> None:
    file(vault, count(vault, 0, *chips("c1", 0, 5)), LEDGER)
    file(vault, ship(vault, side(), *chips("", 0, 2)), LEDGER)
    file(vault, prepare_denial(vault, side(why="it never left"), ledger=LEDGER, lab=LAB), LEDGER)
    assert count(vault, 3, *chips("c1", 0, 5)).findings == ()


def test_clusters_that_a_transfer_does_not_name_are_held_together(vault: Vault) -> None:
    file(vault, count(vault, 0, *chips("c1", 0, 5), *chips("c2", 5, 5)), LEDGER)
    file(vault, ship(vault, side(clusters=()), *chips("", 0, 2)), LEDGER)
    whole = count(vault, 3, *chips("c1", 2, 3), *chips("c2", 5, 5))
    assert whole.findings == ()
    assert sum("not known" in note for note in whole.notes) == 2
    short = count(vault, 3, *chips("c1", 2, 2), *chips("c2", 5, 5))
    assert [(one.check, one.subject) for one in short.findings] == [("X7", LAB)]


def test_both_sides_of_a_transfer_say_the_same_and_each_opens_its_own(tmp_path: Path) -> None:
    place = tmp_path / "terms.json"
    with open_vault(tmp_path / "a") as mine, open_vault(tmp_path / "b") as theirs:
        prepared = ship(mine, side(), *chips("", 0, 3), terms=place)
        sent = file(mine, prepared, LEDGER)
        terms = parse_terms_file(prepared.files[place])
        answer = side(direction="in", counterparty=LAB, interval=2, clusters=("b1",))
        received = file(theirs, prepare_received(theirs, answer, terms, ledger=LEDGER, lab=OTHER), LEDGER)
        assert restore_terms(mine, ledger=LEDGER, transfer="t-1", counterparty=OTHER) == prepared.files[place]
    out, into = (parse_transfer(parse_envelope(stored.envelope).payload).predicate for stored in (sent, received))
    assert out.shipment is not None
    assert into.shipment is not None
    assert (out.sender, out.receiver, out.transfer) == (into.sender, into.receiver, into.transfer)
    assert out.shipment.match == into.shipment.match is not None
    assert out.shipment.chips_root == into.shipment.chips_root
    assert set(out.shipment.digests).isdisjoint(into.shipment.digests)
    for stored in (sent, received):
        verify_stored(stored)
        assert [chip.serial for chip in find_opening(stored, SHARED).chips] == ["SERIAL-0", "SERIAL-1", "SERIAL-2"]


def test_a_move_within_the_lab_has_both_sides_in_one_vault(vault: Vault, tmp_path: Path) -> None:
    place = tmp_path / "terms.json"
    prepared = ship(vault, side(counterparty=LAB, reason="move"), *chips("", 0, 3), terms=place)
    file(vault, prepared, LEDGER)
    answer = side(direction="in", counterparty=LAB, reason="move", clusters=("c2",))
    terms = parse_terms_file(prepared.files[place])
    received: StoredStatement = file(vault, prepare_received(vault, answer, terms, ledger=LEDGER, lab=LAB), LEDGER)
    verify_stored(received)


def test_a_lab_speaks_once_of_a_transfer_and_then_corrects_itself_with_a_reason(vault: Vault) -> None:
    first = file(vault, ship(vault, side(), *chips("", 0, 2)), LEDGER)
    with pytest.raises(PolicyError) as caught:
        ship(vault, side(), *chips("", 0, 3))
    assert caught.value.code is Code.TRANSFER_KNOWN
    second = file(vault, ship(vault, side(why="one more went along"), *chips("", 0, 3)), LEDGER)
    corrects = parse_transfer(parse_envelope(second.envelope).payload).predicate.corrects
    assert corrects is not None
    assert corrects.leaf == first.leaf
    with pytest.raises(ConditionError) as nothing:
        ship(vault, side("t-9", why="a mistake"), *chips("", 0, 3))
    assert nothing.value.code is Code.NOTHING_TO_CORRECT


def test_terms_that_contradict_themselves_are_refused(vault: Vault, tmp_path: Path) -> None:
    place = tmp_path / "terms.json"
    whole = parse_terms_file(ship(vault, side(), *chips("", 0, 3), terms=place).files[place])
    fewer = msgspec.structs.replace(whole, chips=whole.chips[1:])
    swapped = msgspec.structs.replace(whole, chips=whole.chips[::-1])
    another = msgspec.structs.replace(whole.chips[0], model="a100")
    other = msgspec.structs.replace(whole, chips=(another, *whole.chips[1:]))
    for wrong in (fewer, swapped, other):
        with pytest.raises(LedgerError):
            encode_terms_file(wrong)


def test_terms_for_another_lab_are_not_confirmed(vault: Vault, tmp_path: Path) -> None:
    place = tmp_path / "terms.json"
    terms = parse_terms_file(ship(vault, side(), *chips("", 0, 3), terms=place).files[place])
    with pytest.raises(PolicyError) as caught:
        prepare_received(vault, side(direction="in"), terms, ledger=LEDGER, lab="lab-c")
    assert caught.value.field == "terms.receiver"


def test_what_cannot_be_said_is_refused_before_anything_is_signed(vault: Vault) -> None:
    with pytest.raises(PolicyError):
        count(vault, 0, *chips("c1", 0, 1, "abacus"))
    with pytest.raises(ConditionError):
        count(vault, 0, *chips("c9", 0, 1))
    with pytest.raises(ConditionError):
        count(vault, 0)
    with pytest.raises(FormatError):
        ship(vault, side(), *chips("", 0, 1), *chips("", 1, 1, "a100"))
    with pytest.raises(FormatError):
        ship(vault, side())
    with pytest.raises(ConditionError):
        ship(vault, side(), *chips("", 0, 1), terms=None)
    with pytest.raises(RejectedError) as caught:
        prepare_inventory(
            vault, chips("c1", 0, 1), ledger=make_ledger(agreed=False), settings=SETTINGS, interval=Interval(0),
            method="book",
        )  # fmt: skip
    assert caught.value.code is Code.UNKNOWN_KIND
