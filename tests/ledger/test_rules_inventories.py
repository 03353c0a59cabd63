"""Inventories and transfers: what a round draws from, who has a difference, from when, and until when."""

import pytest

from ledger.errors import Code
from ledger.limits import INVENTORIES_KEPT_MAX, INVENTORY_ROUNDS_KEPT, OPEN_TRANSFERS_MAX
from ledger.positions import Interval
from ledger.rules.inventories import get_inventory
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.inventories import DIFFERENCES, INVENTORIES, OPENED_COUNTS, TRANSFERS, OpenedCount
from ledger.rules.records.rounds import ROUNDS, Rounds
from ledger.statements.inventories import Shipment
from tests.ledger.dockets import make_inventory, make_shipment, make_transfer
from tests.ledger.rulebook import AGREED_ENTRY, AGREEMENT, CHARTER_ENTRY, NATIONS, World, due

WINDOW_S = AGREEMENT.inventories.pair_window_s
ROUND_S = AGREEMENT.inspections.round_s
DIFFERENCE = ("contested", ["TRANSFER_DIFFERENCE"])
COMPLIANT: tuple[str, list[str]] = ("compliant", [])
SPOKEN = 205
"""When the first side speaks; its window ends in interval 3."""


@pytest.fixture
def world() -> World:
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1", "a2"])
    world.register(10, "beta", ["b1", "b2"], nation=NATIONS[1])
    return world


def count_of(world: World, cluster: str, *, inspection_round: int | None = None) -> int | None:
    found = get_inventory(world.state, cluster, inspection_round=inspection_round)
    return None if found is None else found.count


# --- inventories -----------------------------------------------------------------------------------------------------


def test_the_newest_inventory_of_each_cluster_is_the_one_that_stands(world: World) -> None:
    first = world.accept(210, make_inventory(world, "acme", 1, {"a1": 100, "a2": 0}))
    second = world.accept(220, make_inventory(world, "acme", 2, {"a1": 90}))
    newest, other = get_inventory(world.state, "a1"), get_inventory(world.state, "a2")
    assert newest is not None
    assert other is not None
    assert (newest.leaf, newest.count, newest.interval, newest.method) == (second.leaf_hash, 90, 2, "book")
    assert (other.leaf, other.count, other.interval) == (first.leaf_hash, 0, 1)
    assert get_inventory(world.state, "b1") is None


def test_an_inventory_is_of_a_boundary_that_has_passed_and_not_a_second_early(world: World) -> None:
    refused = world.refuse(299, make_inventory(world, "acme", 3, {"a1": 1}))
    assert (refused.code, refused.field) == (Code.INTERVAL_NOT_BEGUN, "statement.predicate.interval")
    world.accept(300, make_inventory(world, "acme", 3, {"a1": 1}))


def test_no_inventory_is_dated_before_the_last_and_one_of_the_same_boundary_takes_its_place(world: World) -> None:
    world.accept(310, make_inventory(world, "acme", 2, {"a1": 100}))
    refused = world.refuse(320, make_inventory(world, "acme", 1, {"a1": 50}))
    assert (refused.code, refused.field) == (Code.INTERVAL_TOO_OLD, "statement.predicate.interval")
    world.accept(320, make_inventory(world, "acme", 2, {"a1": 101}))
    world.accept(330, make_inventory(world, "acme", 1, {"a2": 5}))  # another cluster, another last one
    assert count_of(world, "a1") == 101


def test_clusters_of_others_and_those_that_do_not_count_yet_have_no_inventory(world: World) -> None:
    for interval, clusters in ((1, {"a1": 1, "b1": 1}), (0, {"a1": 1})):
        refused = world.refuse(210, make_inventory(world, "acme", interval, clusters))
        assert (refused.code, refused.field) == (Code.UNKNOWN_CLUSTER, "statement.predicate.rows.cluster")


def test_a_round_draws_from_what_stood_in_the_block_that_opened_it(world: World) -> None:
    """Round 9 opens at 225: the first block at or after it is its trigger, even if the next has the same time."""
    world.block(201)
    world.accept(224, make_inventory(world, "acme", 2, {"a1": 1}))
    assert count_of(world, "a1", inspection_round=9) == 1
    world.accept(227, make_inventory(world, "acme", 2, {"a1": 2}))
    assert count_of(world, "a1", inspection_round=9) == 2
    world.accept(227, make_inventory(world, "acme", 2, {"a1": 3}))
    assert [count_of(world, "a1", inspection_round=each) for each in (7, 8, 9, 10)] == [None, None, 2, 3]
    assert count_of(world, "a1") == 3


def test_an_inventory_that_comes_after_a_round_opened_never_counts_for_it(world: World) -> None:
    world.block(226)
    world.accept(226, make_inventory(world, "acme", 2, {"a1": 7}))
    assert count_of(world, "a1", inspection_round=9) is None
    assert count_of(world, "a1", inspection_round=10) == 7


def test_of_all_inventories_between_two_rounds_one_is_kept(world: World) -> None:
    world.block(201)
    for count in range(2, 9):
        world.accept(202, make_inventory(world, "acme", 2, {"a1": count}))
    assert [each.count for each in INVENTORIES.require(world.state, b"a1").inventories] == [8]


def test_while_beacons_are_late_so_many_inventories_are_kept_and_the_next_is_refused(world: World) -> None:
    at = 210
    for count in range(INVENTORIES_KEPT_MAX):
        at += ROUND_S
        world.accept(at, make_inventory(world, "acme", 2, {"a1": count + 1}))
    at += ROUND_S
    entry = make_inventory(world, "acme", 2, {"a1": 999})
    refused = world.refuse(at, entry)
    assert (refused.code, refused.field) == (Code.TOO_MANY_OPEN, "statement.predicate.rows")
    kept = INVENTORIES.require(world.state, b"a1").inventories
    answered = kept[10].first_round + INVENTORY_ROUNDS_KEPT
    ROUNDS.put(world.state, Rounds(max(answered, at // ROUND_S), answered, answered))
    world.state.commit()
    world.accept(at, make_inventory(world, "acme", 2, {"a1": 999}))
    after = INVENTORIES.require(world.state, b"a1").inventories
    assert after[:-1] == kept[10:], "the newest that the oldest round draws from is kept, what is older is not"


# --- transfers: agreement --------------------------------------------------------------------------------------------


def say(world: World, at: int, side: str, shipment: Shipment | None, **changes: object) -> str:
    """One side's word on `t-1` from acme to beta; gives the leaf hash."""
    return world.accept(at, word(world, side, shipment, **changes)).leaf_hash.hex()


def word(world: World, side: str, shipment: Shipment | None, **changes: object) -> bytes:
    lab, other = ("acme", "beta") if side == "out" else ("beta", "acme")
    return make_transfer(world, lab, side, other, shipment, **changes)  # type: ignore[arg-type]  # changes of any field


def judge(world: World, interval: int) -> dict[str, tuple[str, list[str]]]:
    """The newest verdict on each cluster."""
    return {
        cluster: world.said(lab, cluster, interval)[-1]
        for lab, cluster in (("acme", "a1"), ("acme", "a2"), ("beta", "b1"), ("beta", "b2"))
    }


def file_all(world: World, at: int, interval: int) -> None:
    for lab, clusters in (("acme", ["a1", "a2"]), ("beta", ["b1", "b2"])):
        world.file(at, lab, interval, clusters)


@pytest.mark.parametrize("first", ["out", "in"])
def test_two_sides_that_say_the_same_agree_in_either_order(world: World, first: str) -> None:
    second = "in" if first == "out" else "out"
    say(world, SPOKEN, first, make_shipment(64))
    say(world, SPOKEN + 30, second, make_shipment(64))
    world.block(SPOKEN + WINDOW_S)
    file_all(world, 400, 3)
    world.block(due(3))
    assert judge(world, 3) == dict.fromkeys(("a1", "a2", "b1", "b2"), COMPLIANT)
    assert TRANSFERS.get(world.state, b"acme/beta/t-1") is None
    assert OPENED_COUNTS.get(world.state, b"acme") is None


def test_a_transfer_over_a_boundary_pairs_though_each_side_names_its_own_interval(world: World) -> None:
    say(world, 299, "out", make_shipment(64), interval=2, clusters=("a1",))
    say(world, 301, "in", make_shipment(64), interval=3, clusters=("b2",))
    world.block(299 + WINDOW_S)
    assert DIFFERENCES.get(world.state, make_filing_name(0, Interval(4))) is None


def test_until_the_window_is_over_an_agreed_id_is_taken_and_then_it_is_free(world: World) -> None:
    say(world, SPOKEN, "out", make_shipment(64))
    leaf = say(world, SPOKEN, "in", make_shipment(64))
    for entry in (
        word(world, "out", make_shipment(1)),
        word(world, "in", make_shipment(1)),
        word(world, "in", None, corrects=leaf),
    ):
        refused = world.refuse(SPOKEN + WINDOW_S - 1, entry)
        assert (refused.code, refused.field) == (Code.TRANSFER_SETTLED, "statement.predicate.transfer")
    say(world, SPOKEN + WINDOW_S, "out", make_shipment(1), interval=3)


def test_accelerators_move_within_a_lab_by_two_statements_of_its_own(world: World) -> None:
    for direction, cluster in (("out", "a1"), ("in", "a2")):
        world.accept(SPOKEN, make_transfer(world, "acme", direction, "acme", make_shipment(8), clusters=(cluster,)))
    world.block(SPOKEN + WINDOW_S)
    assert TRANSFERS.get(world.state, b"acme/acme/t-1") is None
    assert DIFFERENCES.get(world.state, make_filing_name(0, Interval(3))) is None


def test_what_comes_from_outside_waits_for_nobody(world: World) -> None:
    shipment = Shipment(digests=(), chips_root="22" * 32, match=None)
    spoken = [
        world.accept(SPOKEN, make_transfer(world, "acme", direction, None, shipment)).leaf_hash.hex()
        for direction in ("in", "out", "in")
    ]
    world.accept(SPOKEN + 1, make_transfer(world, "acme", "in", None, None, corrects=spoken[-1]))
    world.accept(300 + WINDOW_S, make_transfer(world, "acme", "in", None, shipment, corrects=spoken[0]))
    assert OPENED_COUNTS.get(world.state, b"acme") is None
    file_all(world, 300 + WINDOW_S, 3)
    world.block(due(3))
    assert judge(world, 3)["a1"] == COMPLIANT


# --- transfers: differences ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["out", "in"])
def test_a_side_that_stays_silent_gives_both_a_difference_in_the_interval_where_the_window_ends(
    world: World, side: str
) -> None:
    say(world, SPOKEN, side, make_shipment(64))
    for interval in (2, 3, 4):
        file_all(world, (interval + 1) * 100, interval)
    world.block(due(4))
    assert judge(world, 3) == dict.fromkeys(("a1", "a2", "b1", "b2"), DIFFERENCE)
    for interval in (2, 4):
        assert judge(world, interval) == dict.fromkeys(("a1", "a2", "b1", "b2"), COMPLIANT)


@pytest.mark.parametrize(("spoken", "interval"), [(259, 3), (260, 4), (261, 4)])
def test_a_window_that_ends_on_a_boundary_ends_in_the_interval_that_begins_there(
    world: World, spoken: int, interval: int
) -> None:
    assert spoken + WINDOW_S in (399, 400, 401)
    say(world, spoken, "out", make_shipment(64))
    world.block(spoken + WINDOW_S - 1)
    assert DIFFERENCES.get(world.state, make_filing_name(1, Interval(interval))) is None
    world.block(spoken + WINDOW_S)
    assert DIFFERENCES.get(world.state, make_filing_name(1, Interval(interval))) is not None
    assert DIFFERENCES.get(world.state, make_filing_name(1, Interval(7 - interval))) is None


@pytest.mark.parametrize("other", [make_shipment(63), make_shipment(64, salt=bytes(17))])
def test_another_root_or_another_match_is_a_difference(world: World, other: Shipment) -> None:
    say(world, SPOKEN, "out", make_shipment(64))
    say(world, SPOKEN, "in", other)
    file_all(world, 400, 3)
    world.block(due(3))
    assert judge(world, 3) == dict.fromkeys(("a1", "a2", "b1", "b2"), DIFFERENCE)


def test_a_difference_is_on_the_clusters_that_a_side_named_or_on_all_of_it(world: World) -> None:
    say(world, SPOKEN, "out", make_shipment(64), clusters=("a2",))
    file_all(world, 400, 3)
    world.block(due(3))
    assert judge(world, 3) == {"a1": COMPLIANT, "a2": DIFFERENCE, "b1": DIFFERENCE, "b2": DIFFERENCE}
    say(world, due(3), "in", make_shipment(63), clusters=("b1",))
    world.block(due(3) + 1)
    assert judge(world, 3) == {"a1": COMPLIANT, "a2": DIFFERENCE, "b1": DIFFERENCE, "b2": COMPLIANT}


@pytest.mark.parametrize("late", [0, 1, 200])
def test_the_missing_side_resolves_a_difference_whenever_it_says_the_same(world: World, late: int) -> None:
    say(world, SPOKEN, "out", make_shipment(64))
    file_all(world, 400, 3)
    say(world, max(400, SPOKEN + WINDOW_S + late), "in", make_shipment(64))
    world.block(600)
    assert judge(world, 3) == dict.fromkeys(("a1", "a2", "b1", "b2"), COMPLIANT)
    assert DIFFERENCES.get(world.state, make_filing_name(0, Interval(3))) is None
    assert TRANSFERS.get(world.state, b"acme/beta/t-1") is None


def test_a_resolved_difference_gives_new_verdicts_and_the_old_ones_stay(world: World) -> None:
    say(world, SPOKEN, "out", make_shipment(64))
    leaf = say(world, SPOKEN, "in", make_shipment(63))
    file_all(world, 400, 3)
    world.block(due(3))
    say(world, due(3) + 1, "in", make_shipment(64), corrects=leaf)
    world.block(due(3) + 2)
    assert world.said("acme", "a1", 3) == [DIFFERENCE, COMPLIANT]
    assert world.said("beta", "b2", 3) == [DIFFERENCE, COMPLIANT]


def test_a_side_may_take_its_word_back_and_the_difference_with_it(world: World) -> None:
    leaf = say(world, SPOKEN, "out", make_shipment(64))
    world.block(SPOKEN + WINDOW_S)
    say(world, SPOKEN + WINDOW_S, "out", None, corrects=leaf)
    assert TRANSFERS.get(world.state, b"acme/beta/t-1") is None
    assert DIFFERENCES.get(world.state, make_filing_name(1, Interval(3))) is None


def test_a_side_that_took_its_word_back_does_not_silence_the_other(world: World) -> None:
    leaf = say(world, SPOKEN, "out", make_shipment(64))
    say(world, SPOKEN + 1, "out", None, corrects=leaf)
    say(world, SPOKEN + 2, "in", make_shipment(64))
    world.block(SPOKEN + WINDOW_S)
    assert DIFFERENCES.get(world.state, make_filing_name(0, Interval(3))) is not None


def test_a_denial_is_on_record_and_the_difference_stands_until_one_side_moves(world: World) -> None:
    leaf = say(world, SPOKEN, "out", make_shipment(64))
    denial = say(world, SPOKEN + 1, "in", None)
    world.block(SPOKEN + WINDOW_S)
    assert DIFFERENCES.get(world.state, make_filing_name(1, Interval(3))) is not None
    say(world, 350, "out", None, corrects=leaf)
    assert DIFFERENCES.get(world.state, make_filing_name(1, Interval(3))) is None
    refused = world.refuse(360, word(world, "in", make_shipment(64), corrects=denial))
    assert refused.code is Code.NOTHING_TO_CORRECT


def test_of_two_differences_in_one_interval_the_reason_stands_until_both_are_resolved(world: World) -> None:
    leaf = say(world, SPOKEN, "out", make_shipment(64), clusters=("a1", "a2"))
    say(world, SPOKEN + 1, "out", make_shipment(9), transfer="t-2", clusters=("a1",))
    file_all(world, 400, 3)
    world.block(due(3))
    say(world, due(3), "out", None, corrects=leaf)
    world.block(due(3) + 1)
    assert judge(world, 3) == {"a1": DIFFERENCE, "a2": COMPLIANT, "b1": DIFFERENCE, "b2": DIFFERENCE}
    say(world, due(3) + 2, "in", make_shipment(9), transfer="t-2")
    world.block(due(3) + 3)
    assert judge(world, 3) == dict.fromkeys(("a1", "a2", "b1", "b2"), COMPLIANT)
    assert world.said("acme", "a1", 3) == [DIFFERENCE, COMPLIANT]


def test_an_outage_of_the_network_moves_the_window_by_what_it_took_of_it(world: World) -> None:
    say(world, SPOKEN, "out", make_shipment(64))
    world.block(210)
    world.block(600)  # 390 without a block: an outage, of which the window could use nothing
    assert DIFFERENCES.get(world.state, make_filing_name(0, Interval(3))) is None
    world.block(SPOKEN + WINDOW_S + 389)
    assert TRANSFERS.require(world.state, b"acme/beta/t-1").interval is None
    world.block(SPOKEN + WINDOW_S + 390)
    assert TRANSFERS.require(world.state, b"acme/beta/t-1").interval == 7


# --- transfers: refusals ---------------------------------------------------------------------------------------------


def test_a_counterparty_is_a_registered_lab(world: World) -> None:
    for name in ("nobody", NATIONS[0]):
        refused = world.refuse(SPOKEN, make_transfer(world, "acme", "out", name, make_shipment(1)))
        assert (refused.code, refused.field) == (Code.UNKNOWN_SUBJECT, "statement.predicate.counterparty")


def test_each_side_speaks_once_and_then_corrects_its_own_latest_word(world: World) -> None:
    leaf = say(world, SPOKEN, "out", make_shipment(64))
    refused = world.refuse(SPOKEN, word(world, "out", make_shipment(63)))
    assert (refused.code, refused.field) == (Code.TRANSFER_KNOWN, "statement.predicate.transfer")
    assert leaf in refused.expected
    for side in ("out", "in"):
        refused = world.refuse(SPOKEN, word(world, side, make_shipment(63), corrects="11" * 32))
        assert (refused.code, refused.field) == (Code.NOTHING_TO_CORRECT, "statement.predicate.corrects.leaf")
    refused = world.refuse(SPOKEN, word(world, "in", make_shipment(63), corrects=leaf))
    assert refused.code is Code.NOTHING_TO_CORRECT
    newer = say(world, SPOKEN, "out", make_shipment(63), corrects=leaf)
    assert world.refuse(SPOKEN, word(world, "out", None, corrects=leaf)).expected == newer


def test_nobody_denies_what_nobody_said(world: World) -> None:
    for side in ("out", "in"):
        refused = world.refuse(SPOKEN, word(world, side, None))
        assert (refused.code, refused.field) == (Code.NOTHING_TO_CORRECT, "statement.predicate.shipment")


@pytest.mark.parametrize("counterparty", ["beta", None])
def test_a_first_word_is_of_an_interval_that_began_and_ended_within_the_window(
    world: World, counterparty: str | None
) -> None:
    shipment = make_shipment(1) if counterparty else Shipment(digests=(), chips_root="22" * 32, match=None)

    def entry(interval: int) -> bytes:
        return make_transfer(world, "acme", "out", counterparty, shipment, interval=interval)

    assert world.refuse(299, entry(3)).code is Code.INTERVAL_NOT_BEGUN
    assert world.refuse(300 + WINDOW_S, entry(2)).code is Code.INTERVAL_TOO_OLD
    world.accept(300 + WINDOW_S - 1, entry(2))


def test_clusters_are_the_issuers_own(world: World) -> None:
    refused = world.refuse(SPOKEN, word(world, "out", make_shipment(1), clusters=("b1",)))
    assert (refused.code, refused.field) == (Code.UNKNOWN_CLUSTER, "statement.predicate.clusters")


def test_a_lab_opens_so_many_transfers_and_no_more_but_answers_as_many_as_others_open(world: World) -> None:
    say(world, SPOKEN, "out", make_shipment(1))
    OPENED_COUNTS.put(world.state, OpenedCount(OPEN_TRANSFERS_MAX), b"acme")
    OPENED_COUNTS.put(world.state, OpenedCount(OPEN_TRANSFERS_MAX), b"beta")
    world.state.commit()
    for side in ("out", "in"):
        refused = world.refuse(SPOKEN, word(world, side, make_shipment(1), transfer="t-2"))
        assert (refused.code, refused.field) == (Code.TOO_MANY_OPEN, "statement.predicate.transfer")
    say(world, SPOKEN, "in", make_shipment(1))


def test_without_an_agreement_there_are_no_such_kinds() -> None:
    world = World(CHARTER_ENTRY)
    world.register(10, "acme", ["a1"])
    assert world.refuse(210, make_inventory(world, "acme", 1, {"a1": 1})).code is Code.UNKNOWN_KIND
    assert world.refuse(210, make_transfer(world, "acme", "out", None, None, corrects="11" * 32)).code is (
        Code.UNKNOWN_KIND
    )
