"""The rules are a function of the ledger: replayed, restored or computed the slow way, all comes out the same."""

import dataclasses
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Rejection
from ledger.merkle import leaf_hash
from ledger.positions import Interval, LeafIndex, Millis
from ledger.rules.apply import apply_block, apply_entry, compute_due_entries, found, next_deadline_ms, open_block
from ledger.rules.grid import Grid, Outage, compute_deadlines, compute_outage_threshold_ms
from ledger.rules.records.registry import LABS as LAB_RECORDS
from ledger.rules.state import State, compute_state_digest
from ledger.rules.verdicts import compute_active
from ledger.statements.verdicts import Verdict, parse_verdict
from tests.ledger.dockets import make_incident
from tests.ledger.rulebook import (
    AGREED_ENTRY,
    AGREEMENT,
    CHARTER_ENTRY,
    CORRECTION_S,
    GRACE_S,
    INTERVAL_S,
    NATIONS,
    NO_PARENT,
    START_S,
    SUBMIT_S,
    Key,
    Party,
    World,
    make_row,
    millis,
)
from tests.properties.naive_verdicts import NaiveLedger

LABS: Final = ("acme", "beta", "gamma")
STEPS: Final = (0, 1, 10, 20, 30, 49, 50, 50, 80, 100, 100, 281, 400)
ACTIONS: Final = ("register", "grow", "rotate", "report", "report", "report", "report", "correct", "correct", "correct")
ROWS: Final = ("good", "good", "good", "bad", "none")


def make_history(seed: int, actions_of: Sequence[str] = ACTIONS) -> "History":
    """Blocks with what their issuers try: draws that are spread evenly reach more of the rules than small ones."""
    draw = random.Random(seed)
    history: History = [(draw.randrange(60), [("register", lab, 0, list(ROWS[:4])) for lab in range(2)])]
    for _ in range(draw.randrange(4, 24)):
        actions = [
            (draw.choice(actions_of), draw.randrange(len(LABS)), draw.randrange(5), draw.choices(ROWS, k=4))
            for _ in range(draw.randrange(4))
        ]
        history.append((draw.choice(STEPS), actions))
    return history


HISTORIES: Final = st.builds(make_history, st.integers(0, 2**32))
HISTORIES_WITH_OUTAGES: Final = st.builds(make_history, st.integers(0, 2**32), st.just((*ACTIONS, *["outage"] * 4)))
Action = tuple[str, int, int, list[str]]
History = list[tuple[int, list[Action]]]
Made = tuple[bytes, Party, Callable[[str], None]]


class Chronicle(World):
    """A world that turns drawn actions into entries; those that the rules refuse are left out of the block."""

    def play(self, at: int, actions: list[Action]) -> None:
        fork, _ = open_block(self.state, time_ms=millis(at), parent=NO_PARENT)
        self.opened = fork
        taken: list[bytes] = []
        for action in actions:
            made = self.make(at, *action)
            if made is None:
                continue
            entry, issuer, after = made
            before = fork.changes()
            outcome = apply_entry(fork, entry, time_ms=millis(at), index=LeafIndex(self.size))
            if isinstance(outcome, Rejection):
                assert fork.changes() == before
                continue
            taken.append(entry)
            issuer.note(entry)
            after(leaf_hash(entry).hex())
        self.block(at, *taken)

    def make(self, at: int, what: str, lab_place: int, back: int, rows: list[str]) -> Made | None:
        """An entry, its issuer, and what to remember if it is accepted."""
        name = LABS[lab_place]
        lab = self.labs.get(name)
        nation = NATIONS[lab_place]
        if what == "register" and lab is None:
            entry = self.registration(name, [f"{name}-1", f"{name}-2"], nation=nation)
            return entry, self.nations[nation], lambda _: self.labs.update({name: Party(name, Key(name))})
        if lab is None:
            return None
        if what in ("register", "grow"):
            entry = self.registration(
                name, [f"{name}-{back}"], nation=nation, keys=[(lab.key, "active")], next_key=self.next_key(lab)
            )
            return entry, self.nations[nation], lambda _: None
        if what == "rotate":
            new = self.next_key(lab)
            after = self.next_key(dataclasses.replace(lab, key=new))
            entry = self.registration(name, nation=nation, keys=[(new, "active")], next_key=after)
            return entry, self.nations[nation], lambda _: setattr(lab, "key", new)
        if what == "outage":
            interval = max(0, at // INTERVAL_S - back % 3)
            return make_incident(self, name, interval, category="theft" if back == 4 else "outage"), lab, lambda _: None
        ended = [k for k in range(1, at // INTERVAL_S) if (k in lab.latest) == (what == "correct")]
        interval = ended[-1 - back % min(3, len(ended))] if ended else back
        known = compute_active(LAB_RECORDS.require(self.opened, name.encode()), Interval(interval + back // 4))
        declared = [
            make_row(cluster, respects=[how == "good", True])
            for cluster, how in zip(known, [*rows, *rows], strict=False)
            if how != "none"
        ] or [make_row(f"{name}-1")]
        make = self.report if what == "report" else self.correction
        return make(name, interval, declared), lab, lambda leaf: lab.latest.update({interval: leaf})

    @staticmethod
    def next_key(lab: Party) -> Key:
        return Key(f"{lab.key.name} next")


def play(history: History, charter_entry: bytes = CHARTER_ENTRY) -> Chronicle:
    chronicle, at = Chronicle(charter_entry), 0
    for step, actions in history:
        at += step
        chronicle.play(at, actions)
    return chronicle


@given(HISTORIES)
@settings(max_examples=40)
def test_verdicts_are_those_of_the_slow_and_obvious_way(history: History) -> None:
    compare(play(history), make_naive())


@given(HISTORIES_WITH_OUTAGES)
@settings(max_examples=60)
def test_with_outages_of_labs_too_verdicts_are_those_of_the_obvious_way(history: History) -> None:
    naive = make_naive(extension=AGREEMENT.incidents.outage_extension_s * 1000)
    compare(play(history, AGREED_ENTRY), naive)


def make_naive(*, extension: int = 0) -> NaiveLedger:
    return NaiveLedger(
        start=START_S * 1000,
        interval=INTERVAL_S * 1000,
        submit=SUBMIT_S * 1000,
        grace=GRACE_S * 1000,
        correction=CORRECTION_S * 1000,
        founded=millis(-100),
        extension=extension,
    )


def compare(chronicle: Chronicle, naive: NaiveLedger) -> None:
    """Every block must open with what the naive ledger says."""
    latest: dict[tuple[str, str, int], str] = {}
    for time_ms, entries in chronicle.blocks:
        computed = [entry for entry in entries if entry.startswith(b'{"_type"')]
        verdicts = [parse_verdict(entry) for entry in computed]
        found_here = {(v.lab, v.cluster, v.interval): (str(v.state), v.reasons, v.report) for v in verdicts}
        assert len(found_here) == len(verdicts)
        assert found_here == naive.open(time_ms)
        naive.close(entries)
        for entry, verdict in zip(computed, verdicts, strict=True):
            check_chain(latest, entry, verdict, time_ms)


def check_chain(latest: dict[tuple[str, str, int], str], entry: bytes, verdict: Verdict, time_ms: Millis) -> None:
    """Each verdict names the one before it, and the block it opens."""
    triple = (verdict.lab, verdict.cluster, int(verdict.interval))
    assert verdict.supersedes == latest.get(triple, "00" * 32)
    assert verdict.time_ms == time_ms
    latest[triple] = leaf_hash(entry).hex()


@given(HISTORIES, st.data())
@settings(max_examples=40)
def test_replayed_and_restored_at_any_point_the_state_is_the_same(history: History, draw: st.DataObject) -> None:
    chronicle = play(history)
    restored_at = draw.draw(st.integers(0, len(chronicle.blocks) - 1))
    kept_open = draw.draw(st.integers(1, 4))
    state = found(CHARTER_ENTRY)
    store = dict(state.changes())
    state.commit()
    index, waiting = 1, list[State]()
    for place, (time_ms, entries) in enumerate(chronicle.blocks):
        if place == restored_at:
            while waiting:
                waiting.pop(0).commit()
            kept = [(key, value) for key, value in store.items() if value is not None]
            state = State.restore(kept, charter=state.charter)
        opening = compute_due_entries(state, time_ms=time_ms, parent=NO_PARENT)
        assert entries[: len(opening)] == opening
        after = apply_block(state, entries, time_ms=time_ms, first_index=LeafIndex(index), parent=NO_PARENT)
        assert isinstance(after, State)
        for key, value in after.changes():
            store.pop(key, None) if value is None else store.update({key: value})
        assert list(after.items()) == sorted(store.items())
        index += len(entries)
        waiting.append(after)
        if len(waiting) > kept_open:  # blocks that are not final yet are layers on one another
            waiting.pop(0).commit()
        state = after
    assert compute_state_digest(state) == compute_state_digest(chronicle.state)


@given(HISTORIES)
@settings(max_examples=20)
def test_there_is_nothing_to_say_before_the_next_deadline(history: History) -> None:
    chronicle = play(history)
    state, last = chronicle.state, chronicle.blocks[-1][0]
    deadline_ms = next_deadline_ms(state)
    if deadline_ms is None:
        assert compute_due_entries(state, time_ms=Millis(millis(10**6)), parent=NO_PARENT) == []
        return
    if deadline_ms - 1 >= last:
        assert compute_due_entries(state, time_ms=Millis(deadline_ms - 1), parent=NO_PARENT) == []


GRIDS: Final = st.builds(
    Grid,
    start_ms=st.integers(0, 50),
    interval_ms=st.integers(1, 30),
    submit_window_ms=st.integers(1, 60),
    grace_ms=st.integers(0, 60),
    correction_window_ms=st.just(10),
)


@given(GRIDS, st.lists(st.tuples(st.integers(0, 80), st.integers(1, 90)), max_size=6))
def test_outages_keep_deadlines_in_order_and_never_reopen_one(grid: Grid, gaps: list[tuple[int, int]]) -> None:
    outages: list[Outage] = []
    at = 0
    for quiet_after, length in gaps:
        begin = at + quiet_after
        before = [compute_deadlines(grid, Interval(k), outages) for k in range(20)]
        at = begin + compute_outage_threshold_ms(grid) + length
        outages.append(Outage(begin, at))
        after = [compute_deadlines(grid, Interval(k), outages) for k in range(20)]
        assert after == sorted(after)
        for old, new in zip(before, after, strict=True):
            assert new.due_ms == old.due_ms if old.due_ms <= begin else new.due_ms >= old.due_ms
            assert new.grace_ms == old.grace_ms if old.grace_ms <= begin else new.grace_ms >= old.grace_ms
            assert new.due_ms <= new.grace_ms


def test_the_same_history_gives_the_same_bytes_in_every_version() -> None:
    """A known answer: a change of it is a change of what members agree on."""
    rows = ["good", "bad", "none", "none"]
    history = [
        (10, [("register", 0, 0, rows), ("register", 1, 0, rows)]),
        (195, [("report", 0, 0, rows)]),
        (50, [("report", 1, 0, rows), ("grow", 0, 3, rows)]),
        (60, [("correct", 0, 1, rows), ("rotate", 1, 0, rows)]),
        (100, [("report", 1, 0, rows)]),
    ]
    chronicle = play(history)
    everything = hashlib.sha256()
    for time_ms, entries in chronicle.blocks:
        everything.update(msgspec.msgpack.encode([time_ms, entries]))
    assert compute_state_digest(chronicle.state).hex() == (
        "ee59ab164864d4df8477d121cbaf3e180f55f57aab7d65488a7fd50155fecbf1"
    )
    assert everything.hexdigest() == "96b75e0f82feffdf992650323f1f971c0b4252bd0910f8fffae5ad4a5fcd7dcf"
