"""Beacons on the ledger: whose turn it is, what counts as one, and what is kept of it."""

import pytest

from ledger.errors import Code
from ledger.positions import LeafIndex
from ledger.rules.apply import apply_block, open_block
from ledger.rules.beacons import BEACONS_KEPT_MAX, find_open_rounds
from ledger.rules.records.inspections import BEACONS
from ledger.rules.records.rounds import TRIGGERS, make_round_name
from ledger.rules.samples import ROUNDS_BEHIND_MAX, get_sampling
from ledger.rules.state import State
from tests.ledger.inspecting import make_beacon, sign_round
from tests.ledger.rulebook import AGREED_ENTRY, AGREEMENT, CHARTER_ENTRY, NATIONS, World, make_charter_entry, millis

ROUND_S = AGREEMENT.inspections.round_s


@pytest.fixture
def world() -> World:
    return World(AGREED_ENTRY)


def triggers(world: World) -> int:
    """How many triggers wait."""
    return sum(key[:1] == TRIGGERS.letter for key, _ in world.state.items())


def test_a_round_opens_with_the_block_after_its_trigger_and_gets_its_beacon_once(world: World) -> None:
    world.block(-1)
    assert not find_open_rounds(world.state)
    world.block(0)  # the trigger of round 0: it cannot name itself
    assert not find_open_rounds(world.state)
    trigger = world.parent
    world.block(1)
    assert find_open_rounds(world.state) == range(1)
    world.accept(2, make_beacon(world, 0))
    assert not find_open_rounds(world.state)
    drawn = BEACONS.get(world.state, make_round_name(0))
    assert drawn is not None
    assert (drawn.signature, drawn.block) == (sign_round(0), trigger)
    assert triggers(world) == 0
    again = world.refuse(3, make_beacon(world, 0, nation=NATIONS[1]))
    assert (again.code, again.field) == (Code.BEACON_KNOWN, "statement.predicate.round")


def test_a_beacon_may_stand_in_the_very_block_that_learns_of_the_trigger(world: World) -> None:
    world.block(0)
    world.accept(0, make_beacon(world, 0))
    assert BEACONS.get(world.state, make_round_name(0)) is not None


def test_it_does_not_matter_who_posts_it_and_the_others_do_no_harm(world: World) -> None:
    world.block(0)
    world.block(1)
    entries = [make_beacon(world, 0, nation=nation) for nation in NATIONS]
    fork, opening = open_block(world.state, time_ms=millis(2), parent=world.parent)
    del fork
    outcome = apply_block(
        world.state, [*opening, *entries], time_ms=millis(2), first_index=LeafIndex(world.size), parent=world.parent
    )
    assert not isinstance(outcome, State)
    assert outcome.code == Code.BEACON_KNOWN
    world.accept(2, entries[2])
    assert world.refuse(3, entries[0]).code == Code.BEACON_KNOWN


def test_no_round_is_taken_before_it_is_open_and_none_is_skipped(world: World) -> None:
    assert world.refuse(-1, make_beacon(world, 0)).code == Code.ROUND_NOT_OPEN
    world.block(ROUND_S)  # opens two at once
    world.block(ROUND_S)
    assert find_open_rounds(world.state) == range(2)
    assert triggers(world) == 1
    for number in (1, 2, 2**53):
        assert world.refuse(ROUND_S + 1, make_beacon(world, number, signature=sign_round(0))).code == (
            Code.ROUND_NOT_OPEN
        )
    world.accept(ROUND_S + 1, make_beacon(world, 0))
    assert triggers(world) == 1
    world.accept(ROUND_S + 1, make_beacon(world, 1))
    assert triggers(world) == 0
    assert world.refuse(ROUND_S + 1, make_beacon(world, 2)).code == Code.ROUND_NOT_OPEN
    first, second = (BEACONS.get(world.state, make_round_name(number)) for number in (0, 1))
    assert first is not None
    assert second is not None
    assert first.block == second.block


def test_a_round_opens_at_its_time_and_not_a_moment_before(world: World) -> None:
    world.block(ROUND_S - 1)
    world.block(ROUND_S - 1)
    assert find_open_rounds(world.state) == range(1)
    world.block(ROUND_S)
    world.block(ROUND_S)
    assert find_open_rounds(world.state) == range(2)


def test_rounds_that_wait_for_their_beacons_keep_each_the_block_that_opened_it(world: World) -> None:
    opened_by = []
    for number in range(4):
        world.block(number * ROUND_S)
        opened_by.append(world.parent)
    world.block(4 * ROUND_S - 1)
    assert find_open_rounds(world.state) == range(4)
    assert triggers(world) == 4
    for number in range(4):
        world.accept(4 * ROUND_S - 1, make_beacon(world, number, nation=NATIONS[number % 3]))
        drawn = BEACONS.get(world.state, make_round_name(number))
        assert drawn is not None
        assert drawn.block == opened_by[number]
        assert triggers(world) == 3 - number


@pytest.mark.parametrize("signature", [sign_round(1), sign_round(0, (1, 2)), bytes(48), b"\xc0" + bytes(47)])
def test_what_the_group_did_not_sign_is_no_beacon(world: World, signature: bytes) -> None:
    world.block(0)
    world.block(1)
    refused = world.refuse(2, make_beacon(world, 0, signature=signature))
    assert refused.field == "statement.predicate.signature"
    assert refused.code in (Code.SIGNATURE, Code.FORMAT)


def test_old_beacons_are_forgotten(world: World) -> None:
    last = BEACONS_KEPT_MAX + 2
    world.block(last * ROUND_S)
    world.block(last * ROUND_S)
    for number in range(last):
        world.accept(last * ROUND_S, make_beacon(world, number))
    kept = [number for number in range(last) if BEACONS.get(world.state, make_round_name(number)) is not None]
    assert kept == list(range(2, last))


def test_a_lab_posts_no_beacon_and_a_ledger_without_agreement_knows_none() -> None:
    world = World(AGREED_ENTRY)
    world.register(-2, "acme", ["a1"])
    world.nations["acme"] = world.labs["acme"]
    world.block(0)
    assert world.refuse(1, make_beacon(world, 0, nation="acme")).code == Code.WRONG_ISSUER
    plain = World(CHARTER_ENTRY)
    plain.block(0)
    assert plain.refuse(1, make_beacon(plain, 0)).code == Code.UNKNOWN_KIND


@pytest.mark.parametrize(("founded", "first"), [(-100, 0), (-1, 0), (0, 1), (ROUND_S - 1, 1), (ROUND_S, 2)])
def test_rounds_from_before_the_founding_never_open(founded: int, first: int) -> None:
    world = World(make_charter_entry(agreement=AGREEMENT, founded=founded))
    assert find_open_rounds(world.state) == range(first, first)
    for at in (first * ROUND_S, first * ROUND_S + 1):
        world.block(at)
    assert find_open_rounds(world.state) == range(first, first + 1)
    world.accept(first * ROUND_S + 2, make_beacon(world, first))
    assert triggers(world) == 0


def test_a_ledger_that_is_founded_long_after_its_grid_began_draws_from_its_first_round_on() -> None:
    first = ROUNDS_BEHIND_MAX + 10
    at = first * ROUND_S
    world = World(make_charter_entry(agreement=AGREEMENT, founded=at - 1))
    world.block(at)
    world.block(at)
    assert list(find_open_rounds(world.state)) == [first]
    world.accept(at, make_beacon(world, first))
    world.block(at + 1)
    assert get_sampling(world.state).next_round == first + 1
