"""The newest final block, and a way to wait for the next."""

import asyncio

from ledger.blocks import Header
from ledger.positions import GENESIS_HEIGHT, Height


class Tip:
    """Holds the newest final header; the driver moves it after the commit, anyone may wait for it."""

    def __init__(self, header: Header | None) -> None:
        self.header = header
        self._moved = asyncio.Event()

    @property
    def height(self) -> Height:
        """Height of the newest final block; 0 before founding."""
        return GENESIS_HEIGHT if self.header is None else self.header.height

    def move(self, header: Header) -> None:
        """Name a newer final block and wake all who wait."""
        self.header = header
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def wait_above(self, height: Height) -> None:
        """Return once a block above `height` is final."""
        while self.header is None or self.header.height <= height:
            await self._moved.wait()
