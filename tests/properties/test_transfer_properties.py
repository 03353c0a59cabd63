"""Transfers: in whichever order both sides speak, it ends the same; and a round's inventory is the obvious one."""

import hashlib
import random
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.positions import LeafIndex
from ledger.rules.apply import apply_block, found
from ledger.rules.inventories import get_inventory
from ledger.rules.records.inventories import DIFFERENCES, OPENED_COUNTS, TRANSFERS, make_transfer_name
from ledger.rules.state import State, compute_state_digest
from ledger.statements.inventories import Shipment
from tests.ledger.dockets import make_incident, make_inventory, make_observation, make_shipment, make_transfer
from tests.ledger.rulebook import AGREED_ENTRY, AGREEMENT, NATIONS, NO_PARENT, World, due

LABS: Final = {"acme": ("a1", "a2"), "beta": ("b1",), "gamma": ("c1", "c2")}
WINDOW_S: Final = AGREEMENT.inventories.pair_window_s
SPOKEN: Final = 205
ENDS: Final = 3
"""The interval in which all windows end that begin at `SPOKEN`."""

Word = tuple[str, str, str, int]
"""Transfer, sender, receiver, and how many accelerators; 0 for none."""


def make_world() -> World:
    world = World(AGREED_ENTRY)
    for place, (lab, clusters) in enumerate(LABS.items()):
        world.register(10, lab, clusters, nation=NATIONS[place])
    return world


def find_end(world: World, transfers: list[Word]) -> object:
    """All that a reader could tell apart once everything is said."""
    for lab, clusters in LABS.items():
        world.file(400, lab, ENDS, clusters)
    world.block(due(ENDS))
    verdicts = {key: (said[-1].state, said[-1].reasons) for key, said in world.verdicts.items() if key[2] == ENDS}
    names = [make_transfer_name(name, sender=sender, receiver=receiver) for name, sender, receiver, _ in transfers]
    open_names = [name for name in names if TRANSFERS.get(world.state, name) is not None]
    return verdicts, open_names


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Word], list[Word]]:
    """What senders and what receivers say of the same transfers, and they do not always agree."""
    pairs = st.permutations(sorted(LABS)).map(lambda labs: labs[:2])
    ids = draw(st.lists(st.sampled_from(["t-1", "t-2", "t-3"]), min_size=1, unique=True))
    sent, arrived = list[Word](), list[Word]()
    for name in ids:
        sender, receiver = draw(pairs)
        counts = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
        sent.append((name, sender, receiver, counts[0]))
        arrived.append((name, sender, receiver, counts[1]))
    return sent, arrived


def speak(world: World, at: int, word: Word, *, is_out: bool) -> None:
    """Say it, naming no cluster in one case and the first in the other; who sends nothing stays silent."""
    name, sender, receiver, count = word
    if count == 0:
        return
    lab, other = (sender, receiver) if is_out else (receiver, sender)
    clusters = LABS[lab][:1] if count == 1 else ()
    entry = make_transfer(
        world, lab, "out" if is_out else "in", other, make_shipment(count), transfer=name, clusters=clusters
    )
    world.accept(at, entry)


@given(plans(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_in_whichever_order_the_sides_speak_it_ends_the_same(plan: tuple[list[Word], list[Word]], seed: int) -> None:
    sent, arrived = plan
    in_order, shuffled = make_world(), make_world()
    words = [(word, True) for word in sent] + [(word, False) for word in arrived]
    for word, is_out in words:
        speak(in_order, SPOKEN, word, is_out=is_out)
    random.Random(seed).shuffle(words)
    for word, is_out in words:
        speak(shuffled, SPOKEN, word, is_out=is_out)
    end = find_end(in_order, sent)
    assert find_end(shuffled, sent) == end
    differing = {
        lab
        for (name, sender, receiver, count), (_, _, _, other) in zip(sent, arrived, strict=True)
        if count != other
        for lab in (sender, receiver)
    }
    for lab, clusters in LABS.items():
        contested = [in_order.said(lab, cluster, ENDS)[-1][0] == "contested" for cluster in clusters]
        assert any(contested) == (lab in differing), "exactly who differs with somebody has a difference"


@given(plans(), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_once_all_say_the_same_nothing_is_left_however_late_and_often_they_corrected(
    plan: tuple[list[Word], list[Word]], seed: int
) -> None:
    draw, world = random.Random(seed), make_world()
    sent, arrived = plan
    sides = [(word, True) for word in sent] + [(word, False) for word in arrived]
    said: dict[tuple[str, bool], str] = {}

    def say(at: int, word: Word, is_out: bool, shipment: Shipment | None) -> None:
        name, sender, receiver, _ = word
        lab, other = (sender, receiver) if is_out else (receiver, sender)
        entry = make_transfer(
            world,
            lab,
            "out" if is_out else "in",
            other,
            shipment,
            transfer=name,
            interval=at // 100,
            corrects=said.get((name, is_out)),
            clusters=draw.choice([LABS[lab], LABS[lab][:1], ()]),
        )
        said[name, is_out] = world.accept(at, entry).leaf_hash.hex()

    at = SPOKEN
    for _ in range(draw.randrange(12)):
        word, is_out = draw.choice(sides)
        say(at, word, is_out, make_shipment(1000 + world.size))  # of these no two are equal
        at += draw.randrange(30)
    at = max(at, SPOKEN + draw.randrange(2 * WINDOW_S))
    draw.shuffle(sides)
    for word, is_out in sides:
        say(at, word, is_out, make_shipment(7))
    for later in range(at, at + 2 * WINDOW_S, 50):
        world.block(later)
    for number in range(len(LABS)):
        for interval in range(at // 50):
            assert DIFFERENCES.get(world.state, (number << 32 | interval).to_bytes(8, "big")) is None
    assert [lab for lab in LABS if OPENED_COUNTS.get(world.state, lab.encode()) is not None] == []
    assert not [key for key, _ in world.state.items() if key[:1] == b"e"]
    for verdicts in world.verdicts.values():
        assert verdicts[-1].reasons in (("NOT_FILED_BY_GRACE",), ("NOT_FILED_BY_DUE",))


@given(st.lists(st.tuples(st.sampled_from([0, 0, 1, 7, 24, 25, 26, 60]), st.booleans()), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_the_inventory_of_a_round_is_the_newest_up_to_the_block_that_opened_it(steps: list[tuple[int, bool]]) -> None:
    world = make_world()
    at, round_s = 200, AGREEMENT.inspections.round_s
    triggers: dict[int, int] = {}  # by round: the block that opened it
    filed: list[tuple[int, int]] = []  # block, and number of accelerators
    for place, (step, files) in enumerate(steps):
        at += step
        if files:
            world.accept(at, make_inventory(world, "acme", 2, {"a1": place + 1}))
            filed.append((place, place + 1))
        else:
            world.block(at)
        for each in range(at // round_s + 1):
            triggers.setdefault(each, place)
    del triggers[0]  # it opened when the labs were registered, before any inventory
    for each, block in triggers.items():
        expected = [count for place, count in filed if place <= block]
        found = get_inventory(world.state, "a1", inspection_round=each)
        assert (None if found is None else found.count) == (expected[-1] if expected else None)
    newest = get_inventory(world.state, "a1")
    assert (None if newest is None else newest.count) == (filed[-1][1] if filed else None)


@given(plans(), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_restored_anywhere_and_replayed_the_state_is_the_same(plan: tuple[list[Word], list[Word]], seed: int) -> None:
    draw, world = random.Random(seed), make_world()
    words = [(word, True) for word in plan[0]] + [(word, False) for word in plan[1]]
    draw.shuffle(words)
    at = SPOKEN
    for word, is_out in words:
        speak(world, at, word, is_out=is_out)
        world.accept(at, make_inventory(world, "acme", 2, {"a1": world.size}))
        at += draw.randrange(40)
        world.accept(at, make_incident(world, draw.choice(list(LABS)), at // 100))
        world.accept(at, make_observation(world, "beta"))
    for step in range(6):
        world.block(at + 60 * step)
    state, size, parent = found(AGREED_ENTRY), 1, NO_PARENT
    state.commit()
    for place, (time_ms, entries) in enumerate(world.blocks, start=1):
        if draw.randrange(3) == 0:
            state = State.restore(list(state.items()), charter=state.charter)
        after = apply_block(state, entries, time_ms=time_ms, first_index=LeafIndex(size), parent=parent)
        assert isinstance(after, State), after
        after.commit()
        state, size = after, size + len(entries)
        parent = hashlib.sha256(f"block {place}".encode()).digest()
    assert compute_state_digest(state) == compute_state_digest(world.state)
