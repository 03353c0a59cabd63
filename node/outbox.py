"""Messages that wait to be sent to one member: bounded, in order, and the least needed given up first.

When full, the oldest vote goes first (votes are repeated), then the oldest gossip (it can be pulled), then whatever is
oldest. Nothing here waits for a slow peer.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from enum import IntEnum
from typing import Final

from ledger.limits import MESSAGE_BYTES_MAX

OUTBOX_MESSAGES_MAX: Final = 4_096
OUTBOX_BYTES_MAX: Final = 32 * 1024 * 1024
assert OUTBOX_BYTES_MAX >= MESSAGE_BYTES_MAX


class Urgency(IntEnum):
    """What may be dropped first when an outbox is full."""

    VOTE = 0
    GOSSIP = 1
    CERTIFICATE = 2


class Outbox:
    """The waiting messages; one stream at a time takes them out."""

    def __init__(self) -> None:
        self._queues: dict[Urgency, deque[tuple[int, bytes]]] = {urgency: deque() for urgency in Urgency}
        self._next_number = 0
        self.waiting_bytes = 0
        self._filled = asyncio.Event()
        self._is_ended = False
        self._stream_count = 0
        self.dropped = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def put(self, urgency: Urgency, raw: bytes) -> None:
        """Add a message, giving older ones up if there is no room; after `end`, nothing is added."""
        if self._is_ended:
            return
        assert len(raw) <= MESSAGE_BYTES_MAX
        while len(self) >= OUTBOX_MESSAGES_MAX or self.waiting_bytes + len(raw) > OUTBOX_BYTES_MAX:
            self._drop_one()
        self._queues[urgency].append((self._next_number, raw))
        self._next_number += 1
        self.waiting_bytes += len(raw)
        self._filled.set()

    def _drop_one(self) -> None:
        queue = next(queue for queue in self._queues.values() if queue)
        self.waiting_bytes -= len(queue.popleft()[1])
        self.dropped += 1

    def _take(self) -> bytes:
        """Take the oldest message of all."""
        queue = min((queue for queue in self._queues.values() if queue), key=lambda queue: queue[0][0])
        _, raw = queue.popleft()
        self.waiting_bytes -= len(raw)
        return raw

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield messages as they come, until `end` or until a newer stream takes over."""
        self._stream_count += 1
        mine = self._stream_count
        self._filled.set()  # wakes the stream before this one, whose connection is gone
        while mine == self._stream_count:
            if len(self):
                yield self._take()
            elif self._is_ended:
                return
            else:
                self._filled.clear()
                await self._filled.wait()

    def end(self) -> None:
        """Take nothing more; the stream ends once everything was taken out."""
        self._is_ended = True
        self._filled.set()
