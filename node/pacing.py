"""What one member may cost this node: so much at once, so much in a second. Beyond it, what it sends next waits.

A member's messages and questions are taken at a pace of their own, so that one which floods is slowed at its own
streams and the others notice nothing. Each of its streams of messages has its own budget: a thief's flood beside the
member's true stream does not slow that. It has a number too, by which the core tells it from the others
(`node.consensus.credit`). Waiting drops nothing: what an honest member sends comes a little later, and an honest member
comes nowhere near. A pause is bounded, so that no mistake in here could silence a member for long.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

from ledger.errors import Code, ConditionError
from ledger.limits import BLOCK_ENTRIES_MAX, ENTRY_BYTES_MAX, HASH_BYTES, KIB, MESSAGE_BYTES_MAX, MIB
from node.consensus.lanes import ANSWERS, Lane

PAUSE_MAX_S: Final = 5.0

# An honest member says a handful of messages a view, and gossips ten times a second.
LANES: Final = 2  # a member needs one stream, and for a moment its next one; who stole its TLS key must not slow that
MESSAGES_BURST: Final = 600
MESSAGES_PER_S: Final = 300

REFUSED_BURST: Final = 200
REFUSED_PER_S: Final = 50

ANSWERED_BURST: Final = 128 * MIB
ANSWERED_PER_S: Final = 32 * MIB
ANSWER_PRICE: Final = 16 * KIB  # what a message costs beside its bytes: a question too, whatever comes of it
QUESTION_BYTE_PRICE: Final = 256  # each hash in a question is looked up

assert ANSWERED_BURST >= 2 * MESSAGE_BYTES_MAX  # no single answer leaves a member in debt for longer than a pause
assert ANSWERED_PER_S > 100 * (ENTRY_BYTES_MAX + ANSWER_PRICE)  # what catching up takes, with the largest entries
assert ANSWERED_BURST > BLOCK_ENTRIES_MAX * HASH_BYTES * QUESTION_BYTE_PRICE  # who lacks a whole block may ask for it
assert MESSAGES_BURST > MESSAGES_PER_S > REFUSED_PER_S
assert REFUSED_BURST >= REFUSED_PER_S


class Pace:
    """A budget that fills with time. What costs more than there is makes a debt, and a debt is waited for."""

    def __init__(self, *, burst: int, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a full budget."""
        self._burst, self._per_s, self._clock = burst, per_s, clock
        self._left, self._filled_s = float(burst), clock()

    def charge(self, price: int) -> float:
        """Take a price; returns for how many seconds there is nothing left."""
        now_s = self._clock()
        self._left = min(self._burst, self._left + self._per_s * (now_s - self._filled_s)) - price
        self._filled_s = now_s
        self._left = max(self._left, -PAUSE_MAX_S * self._per_s)
        return max(0.0, -self._left / self._per_s)

    async def pay(self, price: int) -> None:
        """Take a price and wait while there is nothing left."""
        pause_s = self.charge(price)
        if pause_s > 0:
            await asyncio.sleep(pause_s)


class MemberPace:
    """The budgets of one member."""

    def __init__(self) -> None:
        """Begin with full ones."""
        numbers = range(ANSWERS + 1, ANSWERS + 1 + LANES)
        self._free = [(Lane(number), Pace(burst=MESSAGES_BURST, per_s=MESSAGES_PER_S)) for number in numbers]
        self.refused = Pace(burst=REFUSED_BURST, per_s=REFUSED_PER_S)
        self.answered = Pace(burst=ANSWERED_BURST, per_s=ANSWERED_PER_S)

    @contextlib.contextmanager
    def lane(self) -> Iterator[tuple[Lane, Pace]]:
        """Hold a stream's own number and budget of messages; it is no fuller for the stream being another.

        The one that was let go last is taken first, so that who comes back gets its own again, and not one on which a
        thief has spoken meanwhile.

        Raises:
            ConditionError: `TOO_MANY_STREAMS`.
        """
        if not self._free:
            raise ConditionError(
                field="streams of messages",
                found=f"{LANES} open",
                expected=f"fewer than {LANES}",
                code=Code.TOO_MANY_STREAMS,
            )
        lane = self._free.pop(0)
        try:
            yield lane
        finally:
            self._free.insert(0, lane)

    async def pay_question(self, size: int) -> None:
        """Wait until a question of so many bytes may be answered."""
        await self.answered.pay(ANSWER_PRICE + size * QUESTION_BYTE_PRICE)

    async def pay_answer(self, size: int) -> None:
        """Wait until more than an answer of so many bytes may be given."""
        await self.answered.pay(ANSWER_PRICE + size)
