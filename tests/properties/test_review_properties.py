"""The clock of a review against a naive one that adds up the pieces of time in which it ran."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Rejection
from ledger.positions import LeafIndex
from ledger.rules.apply import Applied, apply_entry, open_block
from ledger.statements.runs import EventName
from tests.ledger.rulebook import AGREEMENT, World, millis
from tests.ledger.training import event, hand_in, make_world, review_of, training_run

OUTAGE_S = 280
"""A longer time without a block is an outage; the clock does not run in it."""

TERMS = AGREEMENT.reviews
WORDS: tuple[EventName, ...] = ("info-requested", "info-supplied", "extended", "acknowledged")


@dataclass
class NaiveClock:
    """Second by second: whether the clock ran, and how many seconds it has."""

    spent_s: int = 0
    total_s: int = TERMS.window_s
    is_running: bool = True
    is_over: bool = False
    extensions: int = 0
    is_acknowledged: bool = False

    def pass_time(self, seconds: int) -> None:
        """Let the time between two blocks pass, unless nobody could have spoken in it."""
        for _ in range(0 if seconds > OUTAGE_S else seconds):
            if self.is_running and not self.is_over:
                self.spent_s += 1
                self.is_over = self.spent_s >= self.total_s

    def say(self, word: EventName) -> bool:
        """Whether this can be said now; if so, it is."""
        if self.is_over:
            return False
        if word == "info-requested" and self.is_running:
            self.is_running = False
        elif word == "info-supplied" and not self.is_running:
            self.is_running = True
        elif word == "extended" and self.extensions < TERMS.extensions_max:
            self.extensions += 1
            self.total_s += TERMS.extension_s
        elif word == "acknowledged" and not self.is_acknowledged:
            self.is_acknowledged = True
        else:
            return False
        return True


def speak(world: World, at: int, word: EventName) -> bool:
    """Try to say it in a block of this time; say whether it was taken."""
    entry = event(world, word)
    fork, _ = open_block(world.state, time_ms=millis(at), parent=world.parent)
    outcome = apply_entry(fork, entry, time_ms=millis(at), index=LeafIndex(world.size))
    if isinstance(outcome, Rejection):
        world.block(at)
        return False
    assert isinstance(outcome, Applied)
    world.accept(at, entry)
    return True


STEPS = st.lists(
    st.tuples(st.integers(0, 120) | st.integers(275, 400), st.sampled_from(WORDS)), min_size=1, max_size=14
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_clock_is_exact_over_every_stop_extension_and_outage(steps: list[tuple[int, EventName]]) -> None:
    world, naive, now = make_world(), NaiveClock(), 110
    world.accept(now, training_run(world, "started"))
    world.accept(now, hand_in(world))
    for pause_s, word in steps:
        now += pause_s
        naive.pass_time(pause_s)
        assert speak(world, now, word) == naive.say(word)
        review = review_of(world, now)
        assert review.stage == ("cleared" if naive.is_over else "running" if naive.is_running else "waiting")
        left_s = 0 if naive.is_over else naive.total_s - naive.spent_s
        assert review.remaining_ms == left_s * 1000
        if review.stage == "running":
            assert review_of(world, now + left_s).stage == "cleared"
            assert review_of(world, now + left_s - 1).stage == "running"
