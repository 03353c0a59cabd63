"""An accusation is not a conviction: whatever a lab does that speaks the truth, no reason stands that is not true.

The true figures are known here, as they are to nobody on the ledger, and every reason that public decades gave is held
against them. The same blocks give the same bytes again.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Rejection
from ledger.positions import LeafIndex
from ledger.rules.apply import apply_block, apply_entry, found, open_block
from ledger.rules.records.remarks import REMARKS
from ledger.rules.state import State, compute_state_digest
from ledger.statements.reports import compute_band
from ledger.statements.runs import BaseModel, RunState
from ledger.statements.verdicts import Reason
from tests.ledger.rulebook import AGREEMENT, NO_PARENT, World, millis
from tests.ledger.training import LAB, decision, make_digest, make_world, training_run

TERMS: Final = AGREEMENT.runs
ELSEWHERE: Final = BaseModel(lab="elsewhere", run="x", leaf=None)

Action = Literal["declared", "started", "frozen", "stopped", "completed", "approved", "refused"]
ACTIONS: Final[tuple[Action, ...]] = ("declared", "started", "frozen", "stopped", "completed", "approved", "refused")


@dataclass
class Truth:
    """What a run really is, and what was really said to it."""

    base: int
    estimate: int
    cap_factor: int
    is_post_training: bool
    own: int = 0
    declared_at: int | None = None
    answer: str | None = None
    state: RunState | None = None
    is_declared: bool = False
    is_approved: bool = False
    frozen_own: int | None = None
    has_grown: bool = False
    is_over_cap: bool = False
    totals: list[int] = field(default_factory=list)

    @property
    def cap(self) -> int:
        """The most that it may do, as its lab says in public."""
        return self.cap_factor * self.estimate

    def find_answer(self, at: int) -> str | None:
        """What the nation said, or its silence if the run as estimated needs an answer."""
        if self.answer is not None or self.declared_at is None or at < self.declared_at + TERMS.approval_window_s:
            return self.answer
        is_small = self.is_post_training and self.estimate < int(TERMS.post_training_declare_pflop)
        total = self.base + self.estimate
        if is_small or total < int(TERMS.approve_pflop):
            return None
        return "approved" if total < int(TERMS.prohibit_pflop or 0) else "refused"

    def take(self, said: RunState, at: int) -> None:
        """Note what was taken."""
        if said == "declared":
            self.declared_at, self.is_declared = at, True
        elif self.state in (None, "declared"):
            self.is_approved = self.find_answer(at) == "approved"
        if said != "declared":
            self.totals.append(self.own)
            self.has_grown |= self.frozen_own is not None and self.own > self.frozen_own
        self.frozen_own = self.own if said == "frozen" else None
        self.is_over_cap |= self.own > self.cap
        self.state = said

    def is_true(self, reason: Reason) -> bool:
        """Say whether a reason is true of this run by its true figures."""
        own = max(*self.totals, self.estimate if self.is_declared else 0, 0)
        total = self.base + own
        counts = not self.is_post_training or own >= int(TERMS.post_training_declare_pflop)
        match reason:
            case Reason.RUN_UNDECLARED:
                return not self.is_declared and counts and (self.is_post_training or total >= int(TERMS.declare_pflop))
            case Reason.RUN_UNAPPROVED:
                return not self.is_approved and counts and total >= int(TERMS.approve_pflop)
            case Reason.RUN_PROHIBITED:
                return counts and TERMS.prohibit_pflop is not None and total >= int(TERMS.prohibit_pflop)
            case Reason.RUN_OVER_CAP:
                return self.is_over_cap
            case _:
                return reason is Reason.FROZEN_RUN_GREW and self.has_grown


def write(world: World, truth: Truth, said: RunState) -> bytes:
    """What a lab says that speaks the truth; weights are others with every PFLOP."""
    own = truth.estimate if said == "declared" else truth.own
    weights = hashlib.sha256(str(truth.own).encode()).hexdigest()
    return training_run(
        world,
        said,
        kind="post-training" if truth.is_post_training else "pre-training",
        base_model=ELSEWHERE if truth.base else None,
        band=compute_band(truth.base + own),
        run_band=compute_band(own),
        cap_band=compute_band(truth.cap),
        checkpoint=None if said == "declared" else weights,
        digests=(make_digest("one"),),
    )


def offer(world: World, at: int, entry: bytes) -> bool:
    """Try an entry in a block of this time; say whether it was taken."""
    fork, _ = open_block(world.state, time_ms=millis(at), parent=world.parent)
    if isinstance(apply_entry(fork, entry, time_ms=millis(at), index=LeafIndex(world.size)), Rejection):
        world.block(at)
        return False
    world.accept(at, entry)
    return True


def reasons_of(world: World) -> list[Reason]:
    """Every reason that stands against the lab in any interval."""
    standing = []
    for key, value in world.state.items():
        if key[:1] == REMARKS.letter:
            standing += [Reason(remark.reason) for remark in REMARKS.decode(value).remarks]
    return standing


def replay(world: World) -> bytes:
    """Digest of the state after the same blocks on another machine, which keeps its records as bytes in between."""
    state, size, parent = found(world.state.charter.entry), 1, NO_PARENT
    state.commit()
    for number, (time_ms, entries) in enumerate(world.blocks, 1):
        after = apply_block(state, entries, time_ms=time_ms, first_index=LeafIndex(size), parent=parent)
        assert isinstance(after, State)
        after.commit()
        state = State.restore(after.items(), charter=after.charter)
        size, parent = size + len(entries), hashlib.sha256(f"block {number}".encode()).digest()
    return compute_state_digest(state)


PFLOP = st.builds(lambda digit, exponent: digit * 10**exponent, st.integers(1, 9), st.integers(4, 9))
TRUTHS = st.builds(
    Truth,
    base=st.just(0) | PFLOP,
    estimate=PFLOP,
    cap_factor=st.integers(1, 3),
    is_post_training=st.booleans(),
)
STEP = st.tuples(st.integers(0, 70), st.just(0) | PFLOP, st.sampled_from((*ACTIONS, "started", "frozen")))
STEPS = st.lists(STEP, min_size=4, max_size=14)


@settings(max_examples=40, deadline=None)
@given(TRUTHS, STEPS)
def test_no_reason_stands_that_the_true_figures_do_not_bear_out(
    truth: Truth, steps: list[tuple[int, int, Action]]
) -> None:
    truth.is_post_training &= truth.base > 0
    world, now = make_world(), 110
    for pause_s, growth, action in steps:
        now += pause_s
        match action:
            case "approved" | "refused":
                if truth.is_declared and offer(world, now, decision(world, action)):
                    truth.answer = action
            case _:
                truth.own += growth if truth.state in ("started", "frozen") else 0
                if offer(world, now, write(world, truth, action)):
                    truth.take(action, now)
        assert [reason for reason in reasons_of(world) if not truth.is_true(reason)] == []
    assert replay(world) == compute_state_digest(world.state)
    assert world.labs[LAB].sequence == sum(1 for _ in truth.totals) + truth.is_declared
