"""Work that can wait takes turns, a little in each round of the event loop, so that what cannot wait comes through.

Checking entries and building receipts takes a fraction of a millisecond each, and hundreds of them come at once; votes
come on the same event loop, and every member waits for them. Whoever has such work awaits `take` before each piece.
Turns go round among callers, and for each in the order in which it asked: whoever asks for hundreds waits behind itself
and nobody else does. A caller is whatever name is given: an address, a member.
"""

import asyncio
from collections import deque


class Turns:
    """Gives at most a number of turns in a round of the event loop."""

    def __init__(self, per_round: int) -> None:
        self._per_round = self._left = per_round
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by caller; whose turn is next stands first
        self._is_refilling = False

    async def take(self, caller: str = "") -> None:
        """Return when it is the caller's turn."""
        if self._left == 0 or self._waiting:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(caller, deque()).append(turn)
            await turn
            return
        self._left -= 1
        self._refill_soon()

    def _refill_soon(self) -> None:
        if not self._is_refilling:
            self._is_refilling = True
            asyncio.get_running_loop().call_soon(self._refill)

    def _refill(self) -> None:
        """Begin a round: those who wait come first."""
        self._is_refilling, self._left = False, self._per_round
        while self._waiting and self._left > 0:
            caller, turns = next(iter(self._waiting.items()))
            del self._waiting[caller]
            turn = turns.popleft()
            if turns:
                self._waiting[caller] = turns  # behind the others
            if not turn.done():  # whoever asked may have left
                turn.set_result(None)
                self._left -= 1
        if self._left < self._per_round:
            self._refill_soon()
