"""How long this node waits for what: Δ, silent leaders, the leader's deadline, when an empty block is due.

Steps 1, 2 and 10 of the protocol in `core.py`. Nothing here bears on safety: with any waiting times at all the core
never says two things, it only gets on better or worse.
"""

from collections import Counter
from typing import Final

from ledger.positions import MemberIndex, Millis
from node.consensus.messages import CoreConfig

SILENT_TURNS: Final = 2


class Pace:
    """Waiting times in the current view."""

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self.delta_ms = config.delta_ms
        self._nullified_in_row = 0
        self._silent_turns: Counter[MemberIndex] = Counter()
        self._entered_ms = Millis(0)
        self._entered_by_block = True
        self._pending_since_ms: Millis | None = None
        self._deadline_ms: Millis | None = None

    def begin(self, now: Millis, *, by_block: bool) -> None:
        """Enter a view; `by_block` unless the view before brought none."""
        self._entered_ms, self._entered_by_block = now, by_block

    def end(self, leader: MemberIndex, *, by_block: bool, was_heard: bool, gave_up: bool = False) -> None:
        """Learn from a view that ends: was its leader silent (step 1), and is Δ too short (step 10)."""
        self._silent_turns[leader] = 0 if by_block or was_heard else self._silent_turns[leader] + 1
        self._nullified_in_row = 0 if by_block else self._nullified_in_row + 1
        if self._nullified_in_row > 1 or (by_block and gave_up):
            self.delta_ms = Millis(min(2 * self.delta_ms, self._config.delta_max_ms))

    def on_finalized(self) -> None:
        """Let Δ decay (step 10)."""
        self.delta_ms = Millis(max(self._config.delta_ms, self.delta_ms // 2))
        self._nullified_in_row = 0

    def set_back(self, by_ms: int) -> None:
        """Keep durations right when the clock was set back."""
        self._entered_ms = Millis(self._entered_ms - by_ms)

    def set_pending(self, since_ms: Millis | None) -> None:
        """Since when the oldest entry waits."""
        self._pending_since_ms = since_ms

    def set_deadline(self, at_ms: Millis | None) -> None:
        """When the rules need a block."""
        self._deadline_ms = at_ms

    def after(self, now: Millis, deltas: int) -> Millis:
        """Give the time so many Δ from now."""
        return Millis(now + deltas * self.delta_ms)

    def leader_deadline_ms(self, leader: MemberIndex) -> Millis:
        """Step 1: when the leader has been silent for too long."""
        due = self._entered_ms + (self._config.idle_interval_ms if self._entered_by_block else 0)
        if self._pending_since_ms is not None:
            due = min(due, max(self._entered_ms, self._pending_since_ms + self.delta_ms))
        if self._deadline_ms is not None:
            due = min(due, max(self._entered_ms, self._deadline_ms))
        patience = self.delta_ms if self._silent_turns[leader] >= SILENT_TURNS else 2 * self.delta_ms
        return Millis(due + patience)

    def has_reason(self, now: Millis) -> bool:
        """Step 2: whether a block is wanted for what it would hold."""
        return self._pending_since_ms is not None or (self._deadline_ms is not None and now >= self._deadline_ms)

    def empty_block_ms(self, *, is_parent_final: bool) -> Millis:
        """Step 2: when to propose even if there is nothing to say."""
        if not self._entered_by_block:
            return self._entered_ms
        return Millis(self._entered_ms + (self._config.idle_interval_ms if is_parent_final else self.delta_ms))

    def next_proposal_ms(self, now: Millis, *, is_parent_final: bool) -> Millis:
        """Step 2: when to propose if nothing comes meanwhile."""
        empty_ms = self.empty_block_ms(is_parent_final=is_parent_final)
        return (
            min(empty_ms, self._deadline_ms) if self._deadline_ms is not None and now < self._deadline_ms else empty_ms
        )
