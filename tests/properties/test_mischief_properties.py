"""Whatever registered parties sign, and whenever: no block fails, and every node comes to the same.

Each example grows one ledger by blocks at times that are chosen to hurt (a millisecond around boundaries and deadlines,
silences, years) and looks at what must hold after each block, whatever it took.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final  # Any: keyword arguments passed on

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Rejection
from ledger.limits import BLOCK_BYTES_MAX, ENTRY_BYTES_MAX
from ledger.positions import LeafIndex, Millis
from ledger.rules.apply import KINDS_OF_AGREEMENT, Applied, apply_block, apply_entry, next_deadline_ms, open_block
from ledger.rules.records.agenda import AGENDA, AGENDA_SIZE, Event
from ledger.rules.records.committee import MOTIONS, Outcome
from ledger.rules.records.filings import CHANGES, FILINGS, make_filing_name
from ledger.rules.records.foundation import CLOCK
from ledger.rules.records.inspections import CHALLENGES, OPEN_CHALLENGES
from ledger.rules.records.inventories import OPENED_COUNTS, TRANSFERS
from ledger.rules.records.pauses import FROZEN_RUNS, PAUSES, Phase
from ledger.rules.records.registry import make_number_name
from ledger.rules.records.rounds import ROUNDS, TRIGGERS
from ledger.rules.records.runs import REVIEWS, RUN_COUNTS, RUNS
from ledger.rules.records.tallies import TALLIES
from ledger.rules.state import State, compute_state_digest
from ledger.statements.beacons import SAMPLE, parse_sample
from ledger.statements.computed import find_computed_kind
from ledger.statements.pauses import PAUSE_EVENT, parse_pause_event
from ledger.statements.verdicts import VERDICT, parse_verdict
from tests.ledger.dockets import find_party
from tests.ledger.rulebook import (
    AGREED_ENTRY,
    AGREEMENT,
    INTERVAL_S,
    NATIONS,
    Key,
    Party,
    World,
    make_charter_entry,
    millis,
)
from tests.properties.mischief import LABS_OF, Mischief

BLOCKS_MAX: Final = 40
STATEMENTS_MAX: Final = 25
BLOCKS_NOT_FINAL: Final = 4
PARSERS: Final = {VERDICT: parse_verdict, PAUSE_EVENT: parse_pause_event, SAMPLE: parse_sample}
WAITING: Final = ("open", "overdue", "provided")
Changes = list[tuple[bytes, bytes | None]]
PASSING: Final = (CLOCK.letter, ROUNDS.letter, TRIGGERS.letter)
"""Tables that every block may change, though nothing came due."""


def vary(**sections: dict[str, object]) -> bytes:
    """A charter with an agreement of which some numbers are others."""
    changed = {name: msgspec.structs.replace(getattr(AGREEMENT, name), **changes) for name, changes in sections.items()}
    return make_charter_entry(agreement=msgspec.structs.replace(AGREEMENT, **changed))


CHARTERS: Final = (
    AGREED_ENTRY,
    vary(
        challenges={"per_year_max": 1_000, "inspectors_min": 1, "nations_min": 1, "finding_window_s": 1},
        pauses={"notice_s": 0, "lift": "all"},
        inventories={"pair_window_s": 1},
        incidents={"outage_extension_s": 0},
        inspections={"round_s": INTERVAL_S, "bad_permille": 1000},
        runs={"prohibit_pflop": None, "approval_window_s": 0, "silence": "refuses"},
        reviews={"silence": "blocks", "is_binding": False},
    ),
    vary(
        challenges={"per_year_max": 10, "inspectors_min": 1, "nations_min": 1, "missing_after_s": 1},
        incidents={"outage_extension_s": 500},
        inspections={"round_s": 1, "answer_window_s": 1, "bad_permille": 1, "confidence_permille": 999},
        decisions={"voting_window_s": 1_000},
        reviews={"window_s": 1, "extension_s": 0, "extensions_max": 100},
    ),
)


def make_world(charter_entry: bytes = AGREED_ENTRY) -> World:
    """A ledger with a lab a nation."""
    world = World(charter_entry)
    for place, (lab, clusters) in enumerate(LABS_OF.items()):
        world.accept(-50, world.registration(lab, clusters, nation=NATIONS[place]))
        world.labs[lab] = Party(lab, Key(lab), nation=NATIONS[place])
    return world


def pick_time(world: World, chance: random.Random) -> Millis:
    """A block time at which something may go wrong."""
    now = CLOCK.require(world.state).time_ms
    boundary = now - (now - millis(0)) % (INTERVAL_S * 1000) + INTERVAL_S * 1000
    edge = chance.choice((boundary, next_deadline_ms(world.state) or boundary, boundary + INTERVAL_S * 1000))
    steps = (
        now,
        *(now + chance.randrange(1, most) for most in (10_000, 20_000, 20_000, 40_000, 40_000)),
        *(max(now, edge + step) for step in (-1, 0, 0, 0, 1)),
        now + chance.randrange(INTERVAL_S * 3_000),
        now + chance.randrange(300_000, 2_000_000) if chance.randrange(4) == 0 else now + 1,
        now + chance.randrange(10**8) if chance.randrange(40) == 0 else now + 1,
    )
    return Millis(chance.choice(steps))


class Follower:
    """A node that restored a state once, and makes blocks final some blocks after it executed them."""

    def __init__(self, world: World) -> None:
        self.chain = [State.restore(world.state.items(), charter=world.state.charter)]

    def follow(self, block: list[bytes], **where: Any) -> Changes:  # Any: as `apply_block` names them
        """Execute a block on the newest; give what it changed."""
        after = apply_block(self.chain[-1], block, **where)
        assert isinstance(after, State), after
        self.chain.append(after)
        if len(self.chain) > BLOCKS_NOT_FINAL:
            self.chain[1].commit()
            del self.chain[0]
        return after.changes()


def grow(world: World, follower: Follower, time_ms: Millis, mischief: Mischief, count: int) -> list[str]:
    """Add a block with what is accepted of so many statements; give the kinds of it."""
    fork, opening = open_block(world.state, time_ms=time_ms, parent=world.parent)
    check_opening(opening)
    block, kinds = list(opening), list[str]()
    for _ in range(count):
        entry = mischief.draw()
        if entry is None:
            continue
        before = fork.changes()
        outcome = apply_entry(fork, entry, time_ms=time_ms, index=LeafIndex(world.size + len(block)))
        if isinstance(outcome, Rejection):
            assert fork.changes() == before
            continue
        assert isinstance(outcome, Applied)
        find_party(world, outcome.issuer).note(entry)
        block.append(entry)
        kinds.append(outcome.kind)
    where = {"time_ms": time_ms, "first_index": LeafIndex(world.size), "parent": world.parent}
    assert follower.follow(block, **where) == fork.changes()
    fork.commit()
    world.state, world.size = fork, world.size + len(block)
    restored = Follower(world).chain[0]
    world.parent = compute_state_digest(world.state)
    assert compute_state_digest(restored) == world.parent
    assert compute_state_digest(follower.chain[-1]) == world.parent
    assert find_news(restored, time_ms) == find_news(world.state, time_ms)
    return kinds


def check_opening(opening: Sequence[bytes]) -> None:
    """Computed entries fit, and readers understand them."""
    assert sum(map(len, opening)) <= BLOCK_BYTES_MAX
    for entry in opening:
        assert len(entry) <= ENTRY_BYTES_MAX
        PARSERS[find_computed_kind(entry)](entry)


def find_news(state: State, time_ms: Millis) -> tuple[list[bytes], list[bytes]]:
    """What a block of this time opens with, and the keys that it changes because something came due."""
    fork, opening = open_block(state, time_ms=time_ms, parent=bytes(32))
    return opening, [key for key, _ in fork.changes() if key[:1] not in PASSING]


def check_deadline(state: State) -> None:
    """Nothing comes up before the next deadline, and something does when it comes."""
    deadline, now = next_deadline_ms(state), CLOCK.require(state).time_ms
    assert deadline is not None, "there are labs"
    if deadline > now:
        assert find_news(state, Millis(deadline - 1)) == ([], [])
    assert find_news(state, max(deadline, now))[1]


def check_agenda(state: State) -> None:
    """It is a heap without gaps, and no two events have one order."""
    size = AGENDA_SIZE.get(state)
    count = 0 if size is None else size.waiting_count
    events: list[Event] = [AGENDA.require(state, make_number_name(place)) for place in range(count)]
    assert sum(key[:1] == AGENDA.letter for key, _ in state.items()) == count
    for place, event in enumerate(events[1:], start=1):
        above = events[(place - 1) // 2]
        assert (above.at_ms, above.order) < (event.at_ms, event.order)
    assert len({event.order for event in events}) == count


def check_queue(state: State) -> None:
    """What says that it waits for verdicts is what waits for them."""
    waiting, queued = set[bytes](), set[bytes]()
    for key, value in state.items():
        if key[:1] == CHANGES.letter:
            change = CHANGES.decode(value)
            waiting.add(make_filing_name(change.lab, change.interval))
        elif key[:1] == FILINGS.letter and FILINGS.decode(value).is_queued:
            queued.add(key[1:])
    assert waiting == queued


def check_counts(mischief: Mischief) -> None:
    """What is counted is what there is."""
    known = mischief.known
    tallies = known(TALLIES)
    pauses_open = Counter(each.proposer for each in known(PAUSES).values() if each.phase != Phase.OVER)
    motions_open = Counter(each.proposer for each in known(MOTIONS).values() if each.outcome == Outcome.OPEN)
    frozen = Counter(name.split(b"/")[0] for name in known(FROZEN_RUNS))
    for party, tally in tallies.items():
        assert tally.pauses_open == pauses_open.pop(party.decode(), 0)
        assert tally.motions_open == motions_open.pop(party.decode(), 0)
        assert tally.frozen_count == frozen.pop(party, 0)
    assert not pauses_open + motions_open
    assert not frozen
    opened = Counter(each.opened_by.encode() for each in known(TRANSFERS).values())
    assert {lab: each.count for lab, each in known(OPENED_COUNTS).items()} == opened
    waiting = [
        name.decode() for name, each in known(CHALLENGES).items() if each.stage in ("open", "overdue", "provided")
    ]
    assert sorted(each.challenge for each in known(OPEN_CHALLENGES).values()) == sorted(waiting)
    runs, models = known(RUNS), known(REVIEWS)
    under_way = Counter(name[:4] for name, run in runs.items() if run.stage not in ("stopped", "completed"))
    found = {name: (each.open_count, each.run_count, each.model_count) for name, each in known(RUN_COUNTS).items()}
    run_counts, model_counts = (Counter(name[:4] for name in names) for names in (runs, models))
    assert found == {lab: (under_way[lab], run_counts[lab], model_counts[lab]) for lab in run_counts | model_counts}


def play(seed: int) -> list[str]:
    """Grow a ledger as a seed says; give the kinds of all that was accepted."""
    chance, kinds = random.Random(seed), list[str]()  # to be repeated, not to be secret
    world = make_world(chance.choice(CHARTERS))
    mischief, follower = Mischief(world, chance), Follower(world)
    for _ in range(chance.randint(1, BLOCKS_MAX)):
        kinds += grow(world, follower, pick_time(world, chance), mischief, chance.randint(0, STATEMENTS_MAX))
        check_deadline(world.state)
        check_agenda(world.state)
        check_queue(world.state)
        check_counts(mischief)
    return kinds


@given(st.integers(0, 2**64 - 1))
@settings(max_examples=max(1, settings().max_examples // 2))
def test_nothing_that_parties_sign_stops_the_ledger_or_splits_it(seed: int) -> None:
    play(seed)


def test_enough_of_it_is_accepted_for_that_to_mean_something() -> None:
    kinds = {kind for seed in range(6) for kind in play(seed)}
    assert len(kinds) >= len(KINDS_OF_AGREEMENT) * 4 // 5, sorted(set(KINDS_OF_AGREEMENT) - kinds)
