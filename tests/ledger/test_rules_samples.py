"""Samples: that everybody draws the same, from what was fixed before, as much as was agreed, and what silence costs.

The small ledger: four rounds of 25 in an interval of 100; a tenth of bad units is to be found out with 95 %; a lab has
60 to answer.
"""

import hashlib
from fractions import Fraction
from typing import Any

import msgspec
import pytest

import ledger.rules.beacons
import ledger.rules.samples
from ledger.agreement import Inspections
from ledger.blocks import Header, encode_header
from ledger.charter import Charter, parse_charter
from ledger.errors import Code, LedgerError, ProofError, SignatureError
from ledger.limits import INTEGER_MAX, INTERVAL_MAX, SAMPLE_COUNT_MAX, SAMPLE_INDICES_LISTED_MAX, SIZE_MAX
from ledger.merkle import leaf_hash
from ledger.positions import (
    BeaconRound,
    Epoch,
    Height,
    Interval,
    LeafIndex,
    MemberIndex,
    Millis,
    Seconds,
    TreeSize,
    View,
)
from ledger.rules.agenda import compute_next_event_ms
from ledger.rules.apply import apply_block, open_block
from ledger.rules.beacons import find_open_rounds
from ledger.rules.opening import AGENDA_BYTES_MAX, AGENDA_ENTRIES_MAX
from ledger.rules.records.filings import make_filing_name
from ledger.rules.records.inspections import BEACONS, SAMPLES, Drawn
from ledger.rules.records.remarks import REMARKS
from ledger.rules.records.rounds import make_round_name
from ledger.rules.samples import (
    COUNTED_EXACTLY_MAX,
    SAMPLES_PER_BLOCK_MAX,
    compute_round_count,
    get_sampling,
    recompute_sample,
)
from ledger.rules.state import State, compute_state_digest
from ledger.sampling import Purpose, compute_seed, draw_indices
from ledger.statements.beacons import SAMPLE, Sample, encode_sample
from ledger.statements.computed import find_computed_kind
from ledger.statements.dsse import sign_envelope
from tests.ledger.dockets import make_inventory
from tests.ledger.inspecting import find_samples, make_beacon, make_sample_answer, sign_round
from tests.ledger.rulebook import AGREED_ENTRY, AGREEMENT, World, due, make_charter_entry, millis

CHARTER: Charter = parse_charter(AGREED_ENTRY)
TERMS, INTERVAL_S, ROUND_S = AGREEMENT.inspections, 100, 25
DRAWN = 126  # round 5, which opens at 125 in interval 1, is drawn in the block after


@pytest.fixture
def world() -> World:
    """One where round 4 is answered, and `acme` has inventories of two of its three clusters."""
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1", "a2", "a3"])
    world.accept(105, make_inventory(world, "acme", 1, {"a1": 50, "a2": 400}))
    answer_rounds(world, 110)
    world.block(111)
    return world


def answer_rounds(world: World, at: int) -> None:
    """Give every round that is open its beacon."""
    world.block(at)
    for number in find_open_rounds(world.state):
        world.accept(at, make_beacon(world, number))


def draw_round(world: World, at: int = DRAWN) -> list[Sample]:
    """Open round 5, answer it, and give the samples that follow."""
    before = len(world.computed)
    answer_rounds(world, at - 1)
    answer_rounds(world, at - 1)
    world.block(at)
    return find_samples(world.computed[before:])


def waiting(world: World) -> int:
    """How many samples wait for an answer."""
    return sum(key[:1] == SAMPLES.letter for key, _ in world.state.items())


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_a_beacon_draws_from_every_cluster_with_an_inventory(world: World) -> None:
    samples = draw_round(world)
    assert [(each.lab, each.cluster, each.round, each.interval) for each in samples] == [
        ("acme", "a1", 5, 1),
        ("acme", "a2", 5, 1),
    ]
    assert [(each.population, each.count) for each in samples] == [(50, 7), (400, 8)]
    for each in samples:
        assert (each.time_ms, each.answer_by_ms) == (millis(DRAWN), millis(DRAWN + 60))
        assert each.ledger == world.ledger


def test_what_is_drawn_follows_from_seed_beacon_trigger_and_inventory_alone(world: World) -> None:
    entry = make_inventory(world, "acme", 1, {"a1": 60})
    world.accept(112, entry)
    world.block(125)
    trigger = world.parent
    [sample, _] = draw_round(world)
    seed = compute_seed(
        signature=sign_round(5),
        block_digest=trigger,
        ledger_id=bytes.fromhex(world.ledger),
        beacon_round=sample.round,
        purpose=Purpose.SPOT,
        lab="acme",
        cluster="a1",
        inventory_leaf=leaf_hash(entry),
        population=60,
    )
    assert (sample.seed, sample.block) == (seed.hex(), trigger.hex())
    assert sample.indices == draw_indices(seed, population=60, count=sample.count)


def test_an_inventory_that_came_after_the_trigger_waits_for_the_next_round(world: World) -> None:
    world.block(125)
    world.block(125)
    world.accept(125, make_inventory(world, "acme", 1, {"a1": 77, "a3": 10}))
    assert [(each.cluster, each.population) for each in draw_round(world)] == [("a1", 50), ("a2", 400)]
    answer_rounds(world, 150)
    answer_rounds(world, 150)
    before = len(world.computed)
    world.block(151)
    samples = find_samples(world.computed[before:])
    assert [(each.cluster, each.population) for each in samples] == [("a1", 77), ("a2", 400), ("a3", 10)]


def test_an_inventory_of_the_trigger_itself_counts(world: World) -> None:
    world.accept(125, make_inventory(world, "acme", 1, {"a1": 77}))
    assert draw_round(world)[0].population == 77


def test_a_round_before_the_cluster_counts_and_one_without_units_draw_nothing() -> None:
    world = World(AGREED_ENTRY)
    world.register(10, "acme", ["a1"])
    answer_rounds(world, 90)
    answer_rounds(world, 90)
    world.block(91)
    world.accept(100, make_inventory(world, "acme", 1, {"a1": 0}))
    answer_rounds(world, 101)
    world.block(102)
    assert find_samples(world.computed) == []
    assert get_sampling(world.state).next_round == 5


def test_all_rounds_of_a_silence_are_drawn_in_their_order(world: World) -> None:
    answer_rounds(world, 180)
    answer_rounds(world, 180)
    world.block(181)
    samples = find_samples(world.computed)
    assert [(each.round, each.cluster) for each in samples if each.round > 4] == [
        (number, cluster) for number in (5, 6, 7) for cluster in ("a1", "a2")
    ]
    assert len({each.block for each in samples if each.round > 4}) == 1
    assert len({each.seed for each in samples}) == len(samples)


def test_a_large_sample_is_not_listed_and_anybody_can_draw_it() -> None:
    strict = msgspec.structs.replace(
        AGREEMENT,
        inspections=Inspections(
            round_s=Seconds(25), bad_permille=1, confidence_permille=999, answer_window_s=Seconds(60)
        ),
    )
    world = World(make_charter_entry(agreement=strict))
    world.register(10, "acme", ["a1"])
    world.accept(105, make_inventory(world, "acme", 1, {"a1": 10**6}))
    answer_rounds(world, 110)
    *_, sample = draw_round(world)
    assert (sample.round, sample.count, sample.indices) == (5, 1727, ())
    assert len(draw_indices(bytes.fromhex(sample.seed), population=10**6, count=sample.count)) == 1727


# --- how much --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("population", [1, 2, 9, 10, 11, 50, 400, 5_000, COUNTED_EXACTLY_MAX, COUNTED_EXACTLY_MAX + 1])
def test_all_rounds_of_an_interval_together_are_as_sure_as_agreed(population: int) -> None:
    count = compute_round_count(population, terms=TERMS, interval_s=INTERVAL_S)
    bad = -(-population // 10)

    def miss(size: int) -> Fraction:
        chance = Fraction(1)
        for drawn in range(size):
            chance *= Fraction(max(population - bad - drawn, 0), population - drawn)
        return chance ** (INTERVAL_S // ROUND_S)

    assert 1 <= count <= population
    assert miss(count) <= Fraction(50, 1000)
    assert count == 1 or miss(count - 1) > Fraction(50, 1000)


def test_a_population_too_large_to_count_needs_no_more_than_with_return() -> None:
    assert compute_round_count(2**53, terms=TERMS, interval_s=INTERVAL_S) == 8
    alone = msgspec.structs.replace(TERMS, bad_permille=1000)
    assert compute_round_count(2**53, terms=alone, interval_s=INTERVAL_S) == 1
    assert compute_round_count(3, terms=alone, interval_s=INTERVAL_S) == 1


# --- how much a block does -------------------------------------------------------------------------------------------


def test_a_block_draws_so_many_and_the_next_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.rules.samples, "SAMPLES_PER_BLOCK_MAX", 1)
    [first] = draw_round(world)
    assert first.cluster == "a1"
    assert compute_next_event_ms(world.state) == millis(DRAWN) + 1
    before = len(world.computed)
    world.block(DRAWN)
    assert find_samples(world.computed[before:]) == [], "time must pass, or one block could follow another for ever"
    world.block(DRAWN + 1)
    [second] = find_samples(world.computed[before:])
    assert (second.round, second.cluster, second.time_ms) == (5, "a2", millis(DRAWN + 1))
    world.block(DRAWN + 2)
    assert len(find_samples(world.computed[before:])) == 1
    assert get_sampling(world.state).next_round == 6


def test_labs_with_nothing_to_draw_from_cost_visits_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.rules.samples, "SAMPLE_VISITS_PER_BLOCK_MAX", 2)
    seen = [(each.cluster, each.time_ms - millis(DRAWN)) for each in draw_round(world)]
    for step in range(1, 4):
        before = len(world.computed)
        world.block(DRAWN + step)
        seen += [(each.cluster, each.time_ms - millis(DRAWN)) for each in find_samples(world.computed[before:])]
    assert seen == [("a1", 0), ("a2", 1000)]
    assert get_sampling(world.state).next_round == 6


def test_labs_without_clusters_cost_visits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.rules.samples, "SAMPLE_VISITS_PER_BLOCK_MAX", 2)
    world = World(AGREED_ENTRY)
    for number in range(5):
        world.register(-50, f"lab-{number}", [])
    world.block(0)
    world.block(0)
    world.accept(0, make_beacon(world, 0))
    seen = []
    for step in range(4):
        world.block(step)
        seen.append((get_sampling(world.state).next_round, get_sampling(world.state).lab))
    assert seen == [(0, 2), (0, 4), (1, 0), (1, 0)]
    assert compute_next_event_ms(world.state) is None


def test_beacons_wait_for_drawing_that_is_too_far_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.rules.beacons, "ROUNDS_BEHIND_MAX", 2)
    world.block(200)
    world.block(200)
    assert find_open_rounds(world.state) == range(5, 7)
    world.accept(200, make_beacon(world, 5))
    fork, opening = open_block(world.state, time_ms=millis(200), parent=world.parent)
    assert [each.round for each in find_samples([e for e in opening if find_computed_kind(e) == SAMPLE])] == [5, 5]
    assert find_open_rounds(fork) == range(6, 8)
    entries = [*opening, make_beacon(world, 6)]
    for number in (7, 8):
        world.nations["avalon"].note(entries[-1])
        entries.append(make_beacon(world, number))
    outcome = apply_block(
        world.state, entries, time_ms=millis(200), first_index=LeafIndex(world.size), parent=world.parent
    )
    assert not isinstance(outcome, State)
    assert (outcome.code, outcome.found) == (Code.ROUND_NOT_OPEN, "8")


def test_the_largest_samples_of_a_block_fit_what_the_agenda_may_take() -> None:
    largest = Sample(
        ledger="ff" * 32,
        round=BeaconRound(INTEGER_MAX),
        purpose=Purpose.RECORDS,
        lab="a" * 64,
        cluster="b" * 64,
        interval=Interval(INTERVAL_MAX),
        block="ff" * 32,
        inventory="ff" * 32,
        population=INTEGER_MAX,
        count=SAMPLE_COUNT_MAX,
        seed="ff" * 32,
        indices=(LeafIndex(INTEGER_MAX - 1),) * SAMPLE_INDICES_LISTED_MAX,
        time_ms=Millis(SIZE_MAX),
        answer_by_ms=Millis(SIZE_MAX),
    )
    assert len(encode_sample(largest)) * SAMPLES_PER_BLOCK_MAX <= AGENDA_BYTES_MAX
    assert SAMPLES_PER_BLOCK_MAX <= AGENDA_ENTRIES_MAX


# --- answers ---------------------------------------------------------------------------------------------------------


def say(world: World, cluster: str = "a1") -> list[str]:
    """The reasons in the first verdict of interval 1."""
    world.file(210, "acme", 1, ["a1", "a2", "a3"])
    world.block(due(1))
    return [str(reason) for reason in world.verdicts["acme", cluster, 1][-1].reasons]


def find_sources(world: World) -> list[int]:
    """Which entries the remarks on interval 1 go back to."""
    remarks = REMARKS.require(world.state, make_filing_name(0, Interval(1)))
    return [each.source for each in remarks.remarks]


def beacon_index(world: World) -> int:
    """Where the beacon of round 5 stands."""
    drawn: Drawn = BEACONS.require(world.state, make_round_name(5))
    return drawn.index


def answer_all(world: World, at: int, samples: list[Sample]) -> None:
    for each in samples:
        world.accept(at, make_sample_answer(world, each.round, each.count, cluster=each.cluster))


def test_answers_in_time_leave_nothing_behind(world: World) -> None:
    answer_all(world, 115, find_samples(world.computed))
    answer_all(world, DRAWN + 59, draw_round(world))
    world.block(DRAWN + 60)
    assert waiting(world) == 0
    assert say(world) == []


def test_silence_is_said_of_the_cluster_in_the_interval_of_the_round(world: World) -> None:
    answer_all(world, 115, find_samples(world.computed))
    first, _ = draw_round(world)
    answer_all(world, DRAWN, [first])
    world.block(DRAWN + 59)
    assert waiting(world) == 1
    world.block(DRAWN + 60)
    assert waiting(world) == 0
    assert find_sources(world) == [beacon_index(world)]
    late = world.refuse(DRAWN + 60, make_sample_answer(world, 5, 7, cluster="a2"))
    assert (late.code, late.field) == (Code.NOT_AWAITED, "statement.predicate.round")
    assert say(world, "a1") == []
    assert [str(reason) for reason in world.verdicts["acme", "a2", 1][-1].reasons] == ["SAMPLE_UNANSWERED"]
    assert str(world.verdicts["acme", "a2", 1][-1].state) == "unverifiable"


def test_silence_in_many_rounds_of_an_interval_is_said_once_a_cluster(world: World) -> None:
    drawn = len(draw_round(world)) + len(draw_round(world, 152)) + len(draw_round(world, 177))
    world.block(300)
    assert (drawn, waiting(world)) == (6, 0)
    remarks = REMARKS.require(world.state, make_filing_name(0, Interval(1))).remarks
    assert [(each.cluster, each.reason) for each in remarks] == [
        ("a1", "SAMPLE_UNANSWERED"),
        ("a2", "SAMPLE_UNANSWERED"),
    ]


def test_an_answer_in_the_block_of_the_deadline_is_too_late(world: World) -> None:
    draw_round(world)
    assert world.refuse(DRAWN + 60, make_sample_answer(world, 5, 7)).code == Code.NOT_AWAITED
    world.accept(DRAWN + 59, make_sample_answer(world, 5, 7))
    assert world.refuse(DRAWN + 59, make_sample_answer(world, 5, 7)).code == Code.NOT_AWAITED, "once"


def test_fewer_openings_than_units_are_no_answer_and_more_are_a_mistake(world: World) -> None:
    answer_all(world, 115, find_samples(world.computed))
    _, second = draw_round(world)
    answer_all(world, DRAWN, [second])
    more = world.refuse(DRAWN, make_sample_answer(world, 5, 8))
    assert (more.code, more.field) == (Code.INVALID_FIELD, "statement.predicate.opened_count")
    index = world.size
    world.accept(DRAWN, make_sample_answer(world, 5, 6))
    assert waiting(world) == 0
    assert find_sources(world) == [index], "the answer itself says so"
    assert say(world) == ["SAMPLE_UNANSWERED"]


def test_only_the_lab_whose_cluster_it_is_answers(world: World) -> None:
    world.register(112, "babel", ["b1"])
    draw_round(world)
    assert world.refuse(DRAWN, make_sample_answer(world, 5, 7, lab="babel")).code == Code.WRONG_ISSUER
    assert world.refuse(DRAWN, make_sample_answer(world, 5, 7, cluster="a3")).code == Code.NOT_AWAITED
    assert world.refuse(DRAWN, make_sample_answer(world, 99, 7)).code == Code.NOT_AWAITED


def test_an_outage_gives_the_lab_its_time_back(world: World) -> None:
    draw_round(world)
    silence = 500
    world.block(DRAWN + silence)
    world.accept(DRAWN + silence + 59, make_sample_answer(world, 5, 7))
    world.block(DRAWN + silence + 60)
    assert world.refuse(DRAWN + silence + 60, make_sample_answer(world, 5, 7, cluster="a2")).code == Code.NOT_AWAITED


def test_a_sample_cannot_be_submitted(world: World) -> None:
    [sample, _] = draw_round(world)
    assert world.refuse(DRAWN, encode_sample(sample)).code == Code.COMPUTED_ONLY
    envelope = sign_envelope(encode_sample(sample), [world.labs["acme"].key.signer])
    assert world.refuse(DRAWN, envelope).code == Code.FORMAT


# --- everybody draws the same ----------------------------------------------------------------------------------------


def make_block_header(at: int, parent: bytes) -> Header:
    return encode_header(
        ledger_id=CHARTER.ledger_id,
        epoch=Epoch(1),
        view=View(1),
        height=Height(1),
        parent=parent,
        time_ms=millis(at),
        proposer=MemberIndex(1),
        first_index=LeafIndex(1),
        tree_size=TreeSize(1),
        root=bytes(32),
        entries_digest=hashlib.sha256(b"").digest(),
    )


def draw_on_headers(world: World) -> dict[str, Any]:
    """A sample of `a1` with all that it is drawn again from, as arguments of `recompute_sample`."""
    inventory = make_inventory(world, "acme", 1, {"a1": 60})
    world.accept(112, inventory)
    parent = make_block_header(124, b"\1" * 32)
    trigger = make_block_header(125, parent.digest)
    world.block(124)
    world.parent = parent.digest
    world.block(125)
    world.parent = trigger.digest
    world.block(125)
    beacon = make_beacon(world, 5)
    world.accept(125, beacon)
    before = len(world.computed)
    world.block(DRAWN)
    entry = next(entry for entry in world.computed[before:] if find_computed_kind(entry) == SAMPLE)
    return {
        "entry": entry,
        "charter": CHARTER,
        "beacon": beacon,
        "inventory": inventory,
        "trigger": trigger,
        "parent": parent,
    }


def test_anybody_draws_the_same_from_the_bytes_of_the_ledger_alone(world: World) -> None:
    given = draw_on_headers(world)
    indices = recompute_sample(**given)
    [sample] = find_samples([given["entry"]])
    assert indices == sample.indices
    assert len(indices) == sample.count == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 6),
        ("seed", "00" * 32),
        ("indices", (LeafIndex(1),)),
        ("population", 61),
        ("block", "00" * 32),
        ("inventory", "00" * 32),
        ("lab", "babel"),
        ("interval", 2),
        ("answer_by_ms", 5),
        ("purpose", Purpose.AUDIT),
        ("ledger", "00" * 32),
    ],
)
def test_a_sample_that_says_anything_else_is_found_out(world: World, name: str, value: object) -> None:
    given = draw_on_headers(world)
    [sample] = find_samples([given["entry"]])
    given["entry"] = encode_sample(msgspec.structs.replace(sample, **{name: value}))
    with pytest.raises(ProofError) as caught:
        recompute_sample(**given)
    assert caught.value.field == f"sample.{name}"


def test_another_beacon_block_or_inventory_is_found_out(world: World) -> None:
    given = draw_on_headers(world)
    forged = make_beacon(world, 5, signature=sign_round(6))
    later = make_block_header(130, given["trigger"].digest)
    others: list[tuple[dict[str, Any], type[LedgerError], str]] = [
        ({"beacon": forged}, SignatureError, "beacon.signature"),
        ({"trigger": later, "parent": given["trigger"]}, ProofError, "trigger"),
        ({"parent": make_block_header(123, b"\1" * 32)}, ProofError, "trigger"),
        ({"inventory": make_inventory(world, "acme", 1, {"a1": 61})}, ProofError, "sample.inventory"),
        ({"inventory": make_inventory(world, "acme", 1, {"a2": 60})}, ProofError, "sample.inventory"),
        ({"charter": parse_charter(make_charter_entry())}, ProofError, "charter.agreement"),
    ]
    for changes, error, field in others:
        with pytest.raises(error) as caught:
            recompute_sample(**{**given, **changes})
        assert caught.value.field == field


def test_two_members_compute_the_same_bytes_however_they_came_to_them(world: World) -> None:
    """One executes block by block, the other restores what was kept before the last one."""
    answer_rounds(world, 125)
    answer_rounds(world, 125)
    restored = State.restore(list(world.state.items()), charter=world.state.charter)
    states = []
    for state in (world.state, restored):
        fork, opening = open_block(state, time_ms=Millis(millis(DRAWN)), parent=world.parent)
        states.append((compute_state_digest(fork), opening))
    assert states[0] == states[1]
    assert len(find_samples([e for e in states[0][1] if find_computed_kind(e) == SAMPLE])) == 2
