"""The newest final block, and a way to wait for the next while there may be one."""

import asyncio

from ledger.blocks import Header
from ledger.errors import Code, ConditionError
from ledger.positions import GENESIS_HEIGHT, Height


class Tip:
    """Holds the newest final header; the driver moves it after the commit, anyone may wait for it."""

    def __init__(self, header: Header | None) -> None:
        self.header = header
        self._moved = asyncio.Event()
        self._is_closed = False

    @property
    def height(self) -> Height:
        """Height of the newest final block; 0 before founding."""
        return GENESIS_HEIGHT if self.header is None else self.header.height

    def move(self, header: Header) -> None:
        """Name a newer final block and wake all who wait."""
        self.header = header
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def close(self) -> None:
        """Say that nobody should wait here any longer."""
        self._is_closed = True
        self._moved.set()

    async def wait_above(self, height: Height) -> None:
        """Return once a block above `height` is final.

        Raises:
            ConditionError: `DRAINING`: the node shuts down first.
        """
        while self.header is None or self.header.height <= height:
            if self._is_closed:
                raise ConditionError(
                    field="node", found="draining", expected="another node to follow", code=Code.DRAINING
                )
            await self._moved.wait()
