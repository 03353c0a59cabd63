"""Pauses against the obvious way: the fixed point against all sets, whole histories against their own retelling."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Rejection
from ledger.positions import Interval, LeafIndex
from ledger.rules.accessions import compute_joined
from ledger.rules.apply import apply_entry, open_block
from ledger.rules.grid import Outage, compute_outage_threshold_ms
from ledger.rules.records import committee
from ledger.rules.records.committee import Outcome
from ledger.rules.records.foundation import FOUNDATION
from ledger.rules.state import State
from ledger.rules.undertakings import compute_limits
from ledger.statements.committee import ExtendPause, LiftPause
from tests.ledger.pausing import INTERVALS_MAX, MEMBERS, NOTICE_S, WINDOW_S, PauseWorld, make_entry, make_terms
from tests.ledger.rulebook import INTERVAL_S, LIMITS, millis
from tests.properties.naive_pauses import Motion, NaivePauses, Terms, Word

# --- the fixed point -------------------------------------------------------------------------------------------------

PARTIES = "abcdef"


@dataclass(frozen=True)
class Wish:
    nations: tuple[str, ...]
    nations_min: int


wishes = st.dictionaries(
    st.sampled_from(PARTIES),
    st.builds(
        Wish,
        st.lists(st.sampled_from(PARTIES + "g"), max_size=3, unique=True).map(tuple),
        st.integers(0, len(PARTIES) + 1),
    ),
)


def holds(chosen: tuple[str, ...], conditions: dict[str, Wish]) -> bool:
    """Does the set itself meet every member's condition?"""
    return all(
        len(chosen) >= conditions[party].nations_min and set(conditions[party].nations) <= set(chosen)
        for party in chosen
    )


def remove_one_by_one(conditions: dict[str, Wish], order: list[str]) -> tuple[str, ...]:
    """Take out whoever is not satisfied, always the first in an order."""
    joined = sorted(conditions)
    while True:
        leaving = [p for p in order if p in joined and not holds_for(p, joined, conditions)]
        if not leaving:
            return tuple(joined)
        joined.remove(leaving[0])


def holds_for(party: str, joined: list[str], conditions: dict[str, Wish]) -> bool:
    wish = conditions[party]
    return len(joined) >= wish.nations_min and set(wish.nations) <= set(joined)


@given(wishes)
def test_who_joins_is_the_largest_set_that_holds_together(conditions: dict[str, Wish]) -> None:
    sets = [
        chosen
        for count in range(len(conditions) + 1)
        for chosen in combinations(sorted(conditions), count)
        if holds(chosen, conditions)
    ]
    joined = compute_joined(conditions)
    assert joined == max(sets, key=len)
    assert all(set(chosen) <= set(joined) for chosen in sets)


@given(wishes, st.permutations(PARTIES), st.permutations(PARTIES))
def test_in_whichever_order_the_unsatisfied_go_the_same_remain(
    conditions: dict[str, Wish], order: list[str], other: list[str]
) -> None:
    joined = compute_joined(conditions)
    assert remove_one_by_one(conditions, order) == joined == remove_one_by_one(conditions, other)
    shuffled = {party: conditions[party] for party in order if party in conditions}
    assert compute_joined(shuffled) == joined


@given(wishes, st.sampled_from(PARTIES), wishes)
def test_one_more_or_one_more_modest_never_makes_another_leave(
    conditions: dict[str, Wish], party: str, others: dict[str, Wish]
) -> None:
    before = compute_joined(conditions)
    more = {**others, **conditions}
    assert set(before) <= set(compute_joined(more))
    modest = {**conditions, party: Wish((), 0)}
    assert set(before) <= set(compute_joined(modest))


def test_a_long_chain_falls_and_a_long_ring_stands() -> None:
    names = [f"n{number:03}" for number in range(200)]
    ring = {name: Wish((names[(place + 1) % 200],), 200) for place, name in enumerate(names)}
    assert compute_joined(ring) == tuple(names)
    assert compute_joined({name: wish for name, wish in ring.items() if name != "n100"}) == ()


# --- whole histories -------------------------------------------------------------------------------------------------

PAUSES = ("p", "q", "r", "s", "t", "u", "v")
MOTIONS = ("m1", "m2", "m3", "m4", "m5")
LABS = {"acme": MEMBERS[0], "cogs": MEMBERS[2]}
TO_BOUNDARY, TO_JUST_BEFORE = -1, -2

Names = tuple[str, ...]
Action = tuple[Any, ...]  # the name of what is done, and its own values

small = st.integers(-1, 4)
nation = st.sampled_from(MEMBERS)
some_nations = st.lists(nation, max_size=2, unique=True).map(lambda chosen: tuple(sorted(chosen)))
pause_id = st.one_of(st.just("p"), st.sampled_from(PAUSES))
motion_id = st.one_of(st.just("m1"), st.sampled_from(MOTIONS))
wanted_terms = st.tuples(small, st.integers(1, 4), small, st.integers(1, 3), some_nations)
carry = st.tuples(
    st.just("carry"), nation, st.sampled_from(MOTIONS), st.just("p"), st.one_of(st.none(), st.integers(1, 4), small)
)
actions = st.one_of(
    st.tuples(st.just("pause"), nation, pause_id, wanted_terms),
    st.tuples(st.just("join"), pause_id),
    carry,
    carry,
    st.tuples(st.just("accede"), nation, pause_id, some_nations, st.integers(0, 4), st.integers(-1, 9)),
    st.tuples(st.just("accede"), nation, pause_id, some_nations, st.just(0), st.just(9)),
    st.tuples(st.just("withdraw"), nation, pause_id),
    st.tuples(st.just("pledge"), st.sampled_from(sorted(LABS)), pause_id),
    st.tuples(st.just("move"), nation, motion_id, pause_id, st.one_of(st.none(), small)),
    st.tuples(st.just("vote"), nation, motion_id, st.sampled_from([True, True, True, False])),
)
gaps = st.sampled_from([*[0, 1, 10, 40, 60, 120, TO_BOUNDARY, TO_BOUNDARY, TO_BOUNDARY, TO_JUST_BEFORE] * 2, 290, 700])
histories = st.lists(st.tuples(gaps, st.lists(actions, max_size=6)), min_size=1, max_size=25)
SOON = (0, 6, 4, 2, ())
"""Terms that are activated as soon as two have joined."""


class Retelling:
    """The rules and the naive ones side by side on one history."""

    def __init__(self, lift: str) -> None:
        self.world = PauseWorld(make_entry(lift="all" if lift == "all" else "quorum"))
        self.naive = NaivePauses(MEMBERS, NOTICE_S * 1000, WINDOW_S * 1000, INTERVALS_MAX)
        self.lift_needed = 4 if lift == "all" else 3
        for lab, owner in LABS.items():
            self.world.register(0, lab, [f"{lab}-1"], nation=owner)
        self.now = 0

    def advance(self, gap: int) -> None:
        following = (self.now // INTERVAL_S + 1) * INTERVAL_S
        before = self.now
        self.now = {TO_BOUNDARY: following, TO_JUST_BEFORE: following - 1}.get(gap, self.now + gap)
        grid = FOUNDATION.require(self.world.state).grid
        if (self.now - before) * 1000 > compute_outage_threshold_ms(grid):
            self.naive.outages.append(Outage(before * 1000, self.now * 1000))
        self.world.block(self.now)
        events = [
            (each.pause, str(each.event), each.interval, each.until, each.nations, each.cause)
            for each in self.world.events()
        ]
        expected = [tuple(rest) for _, *rest in self.naive.events(self.now * 1000)]
        assert len(events) == len(expected)
        for pause in PAUSES:
            assert [each for each in events if each[0] == pause] == [each for each in expected if each[0] == pause]

    def take(self, entry: bytes, *, is_taken: bool) -> bool:
        """Both must agree whether it is taken; then it is."""
        fork, opening = open_block(self.world.state, time_ms=millis(self.now), parent=self.world.parent)
        assert opening == [], "the block before has said all that is to be said at this time"
        outcome = apply_entry(fork, entry, time_ms=millis(self.now), index=LeafIndex(self.world.size))
        assert is_taken == (not isinstance(outcome, Rejection)), outcome
        if is_taken:
            self.world.accept(self.now, entry)
        return is_taken

    def act(self, action: Action) -> None:
        """Do what an action names."""
        name, *values = action
        acts: dict[str, Callable[..., None]] = {
            "pause": self.pause,
            "accede": self.accede,
            "withdraw": self.withdraw,
            "pledge": self.pledge,
            "move": self.move,
            "vote": self.vote,
            "join": self.join,
            "carry": self.carry,
        }
        acts[name](*values)

    @property
    def at(self) -> int:
        return self.now * 1000

    def pause(self, nation: str, pause: str, wanted: tuple[int, int, int, int, Names]) -> None:
        naive, (first, count, lapses, least, named) = self.naive, wanted
        first = max(naive.following(self.at + NOTICE_S * 1000) + first, 0)
        lapses = max(naive.following(self.at) + lapses, 0)
        told = Terms(nation, first, count, lapses, least, named)
        known, index = self.world.terms.get(pause), self.world.size
        terms = make_terms(first=first, count=count, lapses=lapses, nations_min=least, nations=named)
        entry = self.world.pause(nation, pause, terms)
        if self.take(entry, is_taken=naive.takes_pause(pause, told, self.at)):
            naive.terms[pause] = self.at, index, told
        elif known is not None:
            self.world.terms[pause] = known

    def accede(self, nation: str, pause: str, named: Names, least: int, lapses: int) -> None:
        lapses = max(self.naive.following(self.at) + lapses, 0)
        word = Word(nation, self.at, self.world.size, named, least, lapses)
        entry = self.world.accede(nation, pause, nations=named, nations_min=least, lapses=lapses)
        self.note_accession(pause, word, entry)

    def join(self, pause: str) -> None:
        """Two nations accede without condition."""
        for nation in MEMBERS[:2]:
            self.accede(nation, pause, (), 0, 9)

    def carry(self, nation: str, motion_id: str, pause: str, later: int | None) -> None:
        """Propose and vote as many as an extension needs."""
        self.move(nation, motion_id, pause, later)
        for voter in MEMBERS[1:]:
            self.vote(voter, motion_id, True)

    def withdraw(self, nation: str, pause: str) -> None:
        word = Word(nation, self.at, self.world.size, nations=None)
        self.note_accession(pause, word, self.world.withdraw(nation, pause))

    def note_accession(self, pause: str, word: Word, entry: bytes) -> None:
        if self.take(entry, is_taken=self.naive.takes_accession(pause, word)):
            self.naive.accessions.setdefault(pause, []).append(word)

    def pledge(self, lab: str, pause: str) -> None:
        word = Word(lab, self.at, self.world.size)
        if self.take(self.world.pledge(lab, pause), is_taken=self.naive.takes_pledge(pause, word)):
            self.naive.pledges.setdefault(pause, []).append(word)

    def vote(self, nation: str, motion_id: str, yes: bool) -> None:
        word = Word(nation, self.at, self.world.size, yes=yes)
        entry = self.world.vote(nation, motion_id, approves=yes)
        if self.take(entry, is_taken=self.naive.takes_vote(motion_id, self.at)):
            self.naive.votes.setdefault(motion_id, []).append(word)

    def move(self, nation: str, motion_id: str, pause: str, later: int | None) -> None:
        """Propose to lift a pause, or to extend it beyond its end as it is known."""
        end = self.naive.live(pause, self.at).end if pause in self.naive.terms else 1
        until = 0 if later is None else max(end + later, 1)
        change = ExtendPause(pause=pause, until=Interval(until)) if until else LiftPause(pause=pause)
        needed = 3 if until else self.lift_needed
        motion = Motion(nation, self.at, self.world.size, pause, until, needed)
        known = self.world.motions.get(motion_id)
        entry = self.world.motion(nation, change, motion_id)
        if self.take(entry, is_taken=self.naive.takes_motion(motion_id, motion)):
            self.naive.motions[motion_id] = motion
        elif known is not None:
            self.world.motions[motion_id] = known

    def compare(self) -> None:
        """What is known at the end: who is bound in every interval, and what was carried."""
        at, state = self.at, self.world.state
        assert list(State.restore(state.items(), charter=state.charter).items()) == list(state.items())
        for lab, owner in LABS.items():
            for interval in range(at // 100_000 + 1):
                limits = compute_limits(self.world.state, lab, Interval(interval))
                assert list(limits) == [*LIMITS, *self.naive.limits(lab, owner, interval, at)]
        for motion_id in self.naive.motions:
            motion = committee.MOTIONS.require(self.world.state, motion_id.encode())
            assert (motion.outcome == Outcome.CARRIED) == (self.naive.carried(motion_id) is not None)
            assert (motion.outcome == Outcome.OPEN) == self.naive.is_open(motion_id, at)


@settings(max_examples=50)
@given(history=histories, lift=st.sampled_from(["quorum", "all"]), has_begun=st.booleans())
def test_a_history_told_by_the_rules_is_the_history_told_from_their_text(
    history: list[tuple[int, list[Action]]], lift: str, *, has_begun: bool
) -> None:
    both = Retelling(lift)
    for gap, wanted in [(1, [("pause", MEMBERS[0], "p", SOON), ("join", "p")]) if has_begun else (1, []), *history]:
        both.advance(gap)
        for action in wanted:
            both.act(action)
    both.advance(TO_BOUNDARY)
    both.compare()


def test_a_history_with_everything_in_it_is_told_alike() -> None:
    both = Retelling("quorum")
    a, b, c, d = MEMBERS
    for gap, wanted in (
        (1, [("pause", a, "p", (0, 3, 4, 2, ())), ("accede", a, "p", (b,), 0, 9), ("accede", b, "p", (c,), 0, 9)]),
        (TO_BOUNDARY, [("accede", c, "p", (a,), 3, 9), ("pause", b, "q", (0, 2, 0, 1, ())), ("pledge", "cogs", "p")]),
        (TO_BOUNDARY, [("withdraw", a, "p"), ("move", a, "m1", "p", 3), ("vote", a, "m1", True)]),
        (
            10,
            [("vote", b, "m1", True), ("vote", c, "m1", True), ("vote", c, "m1", False), ("accede", d, "p", (), 0, 2)],
        ),
        (TO_BOUNDARY, [("accede", a, "q", (), 0, 9)]),
        (TO_BOUNDARY, [("move", d, "m2", "p", None), ("vote", d, "m2", True), ("vote", c, "m2", True)]),
        (10, [("vote", b, "m2", False), ("vote", b, "m2", True), ("move", a, "m1", "p", 1)]),
        (TO_BOUNDARY, [("pause", a, "r", (0, 1, 0, 1, ())), ("accede", a, "r", (), 0, 0)]),
        (700, []),
    ):
        both.advance(gap)
        for action in wanted:
            both.act(action)
    both.compare()
    told = [line[1] for line in both.world.story()]
    assert sorted(dict.fromkeys(told)) == ["activated", "expired", "extended", "joined", "lapsed", "lifted"]
