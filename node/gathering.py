"""The entries of blocks whose headers are proven, from several members at once.

A proven header names its entries by a digest, so a body may come from anybody in any order: a wrong one is known at
once and its sender with it. The blocks are cut into pieces; each member is asked for a few pieces at a time. Pieces are
handed out in the order of heights and only so far ahead of what was taken, so what is under way and what waits here is
bounded. A member with nothing else to do takes over the oldest piece that another one has been slow with.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.blocks import Header, SealedHeader, compute_entries_digest
from ledger.errors import Code, ConditionError, LedgerError, ProofError
from ledger.limits import BLOCK_BYTES_MAX, ENTRY_BYTES_MAX, MIB
from ledger.merkle import leaf_hash
from ledger.positions import MemberIndex
from ledger.rules.entries import PreparedEntry
from node.pulling import PATIENCE_FIRST_S, Puller, next_patience_s
from node.sources import Sources

PIECE_ENTRIES_MAX: Final = 256  # or one block, if that has more
PIECE_BLOCKS_MAX: Final = 64
PIECES_AHEAD_MAX: Final = 16
PIECES_ASKED_MAX: Final = 8
PIECES_ASKED_PER_MEMBER_MAX: Final = 2
BYTES_WAITING_MAX: Final = 32 * MIB
OVERTAKEN_AFTER_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.25

# What may be in memory however large entries are: what waits, and what is being received.
assert PIECES_ASKED_MAX * max(PIECE_ENTRIES_MAX * ENTRY_BYTES_MAX, BLOCK_BYTES_MAX) <= 4 * BYTES_WAITING_MAX

Entries = Sequence[PreparedEntry | bytes]
Prepare = Callable[[Sequence[Sequence[bytes]]], list[Entries]]


@dataclass(slots=True)
class _Piece:
    """Some blocks that follow each other, and as many of their bodies as have come.

    Attributes:
        blocks: proven.
        bodies: entries of the first of them.
        asked: who is asked for the rest, and since when.
        is_closed: all bodies have come, and nothing more is taken.
        prepared: bodies, once they were prepared.
        ready: set then.
    """

    blocks: Sequence[SealedHeader]
    bodies: list[Sequence[bytes]] = field(default_factory=list)
    asked: dict[MemberIndex, float] = field(default_factory=dict)
    bytes: int = 0
    is_closed: bool = False
    prepared: list[Entries] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def is_whole(self) -> bool:
        """Say whether every body is here or was; blocks without entries need none."""
        if self.is_closed:
            return True
        while len(self.bodies) < len(self.blocks) and not self.blocks[len(self.bodies)].header.entry_count:
            self.bodies.append(())
        return len(self.bodies) == len(self.blocks)


class Gathering:
    """Gathers the bodies of proven blocks, and gives them in order."""

    def __init__(self, blocks: Sequence[SealedHeader], *, puller: Puller, sources: Sources, prepare: Prepare) -> None:
        """Take the blocks in the order of heights.

        Args:
            blocks: headers that are proven.
            puller: asks.
            sources: whom to ask.
            prepare: makes bodies ready to be executed, when they have come.
        """
        self._pieces = [_Piece(piece) for piece in _cut(blocks)]
        self._puller, self._sources, self._prepare = puller, sources, prepare
        self._taken = 0
        self._patience_s = PATIENCE_FIRST_S
        self._changed = asyncio.Event()
        self._calls: dict[tuple[MemberIndex, int], asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Ask until every body is here."""
        async with asyncio.TaskGroup() as group:
            while any(not piece.ready.is_set() for piece in self._pieces[self._taken :]):
                self._assign(group)
                with contextlib.suppress(TimeoutError):  # whom one may ask changes with time
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await self._changed.wait()
                self._changed.clear()

    async def pieces(self) -> AsyncIterator[tuple[Sequence[SealedHeader], list[Entries]]]:
        """Give all blocks with their entries, in order, as they come: some at a time."""
        for piece in self._pieces:
            await piece.ready.wait()
            prepared, piece.prepared, piece.bytes = piece.prepared, [], 0
            self._taken += 1
            self._changed.set()
            yield piece.blocks, prepared

    # -- who is asked for what ---------------------------------------------------------------------------------------

    def _assign(self, group: asyncio.TaskGroup) -> None:
        for number in self._near():
            if self._pieces[number].is_whole():
                self._finish(number)
        is_any_given = True
        while is_any_given:  # one each in turn, so that the work is spread
            is_any_given = False
            for member in self._sources.available():
                chosen = self._choose(member)
                if chosen is not None:
                    self._pieces[chosen].asked[member] = asyncio.get_running_loop().time()
                    call = group.create_task(self._ask(member, chosen), name=f"blocks of member {member}")
                    self._calls[member, chosen] = call
                    is_any_given = True

    def _near(self) -> range:
        return range(self._taken, min(self._taken + PIECES_AHEAD_MAX, len(self._pieces)))

    def _choose(self, member: MemberIndex) -> int | None:
        """Find a piece for a member: the next that nobody is asked for, else the oldest that others are slow with."""
        mine = sum(other == member for other, _ in self._calls)
        if len(self._calls) >= PIECES_ASKED_MAX or mine >= PIECES_ASKED_PER_MEMBER_MAX:
            return None
        is_room = sum(self._pieces[number].bytes for number in self._near()) < BYTES_WAITING_MAX
        open_ = [number for number in self._near() if not self._pieces[number].is_whole()]
        for number in open_:
            if not self._pieces[number].asked and (is_room or number == self._taken):
                return number
        slow_since_s = asyncio.get_running_loop().time() - OVERTAKEN_AFTER_S
        for number in open_:
            asked = self._pieces[number].asked
            if mine == 0 and member not in asked and all(since_s <= slow_since_s for since_s in asked.values()):
                return number
        return None

    # -- asking ------------------------------------------------------------------------------------------------------

    async def _ask(self, member: MemberIndex, number: int) -> None:
        piece = self._pieces[number]
        count = len(piece.bodies)
        try:
            await self._fill(member, piece)
            self._sources.praise(member)
        except LedgerError as problem:
            self._sources.leave(member, problem)
            if problem.code is not Code.UNREACHABLE:
                self._stop_calls(lambda who, _: who == member)
        finally:
            has_gained = piece.is_closed or len(piece.bodies) > count
            self._patience_s = next_patience_s(self._patience_s, has_gained=has_gained)
            self._calls.pop((member, number), None)
            del piece.asked[member]
            self._changed.set()
        if piece.is_whole():
            self._finish(number)

    def _finish(self, number: int) -> None:
        """Prepare a whole piece, once; who was slower with it is left for others."""
        piece = self._pieces[number]
        if piece.is_closed:
            return
        slow_since_s = asyncio.get_running_loop().time() - OVERTAKEN_AFTER_S
        for member, since_s in piece.asked.items():
            if since_s <= slow_since_s:
                found, expected = "another was faster", f"blocks within {OVERTAKEN_AFTER_S:g} s"
                slow = ConditionError(field="final_blocks", found=found, expected=expected, code=Code.UNREACHABLE)
                self._sources.leave(member, slow)
        self._stop_calls(lambda _, of: of == number)
        piece.is_closed = True
        bodies, piece.bodies = piece.bodies, []
        piece.prepared = self._prepare(bodies)
        piece.ready.set()
        self._changed.set()

    def _stop_calls(self, is_meant: Callable[[MemberIndex, int], bool]) -> None:
        here = asyncio.current_task()
        for (member, number), call in self._calls.items():
            if is_meant(member, number) and call is not here:
                call.cancel()

    async def _fill(self, member: MemberIndex, piece: _Piece) -> None:
        """Take bodies from one member until the piece is whole, whoever made it so.

        Raises:
            ProofError: other blocks than those asked for.
            LedgerError: unreachable, malformed, or the end before the last body.
        """
        place = len(piece.bodies)
        first, count = piece.blocks[place].header.height, len(piece.blocks) - place
        answers = self._puller.final_blocks(member, first, count, patience_s=self._patience_s)
        async with contextlib.aclosing(answers) as blocks:
            async for header, _, entries in blocks:
                _require_body(piece.blocks[place].header, header, entries)
                if place == len(piece.bodies):
                    piece.bodies.append(entries)
                    piece.bytes += sum(map(len, entries))
                place += 1
                if piece.is_whole():
                    return
        raise ConditionError(
            field=f"member {member}", found=f"{place} blocks", expected=str(len(piece.blocks)), code=Code.UNREACHABLE
        )


def _require_body(proven: Header, served: Header, entries: Sequence[bytes]) -> None:
    """Hold what was served against what is proven.

    Raises:
        ProofError: it is something else.
    """
    if served.digest != proven.digest:
        raise ProofError(field="final_block.header", found=served.digest.hex(), expected=proven.digest.hex())
    if len(entries) != proven.entry_count:
        raise ProofError(field="final_block.entries", found=len(entries), expected=f"{proven.entry_count} entries")
    digest = compute_entries_digest(map(leaf_hash, entries))
    if digest != proven.entries_digest:
        raise ProofError(field="final_block.entries", found=digest.hex(), expected=proven.entries_digest.hex())


def _cut(blocks: Sequence[SealedHeader]) -> Iterator[Sequence[SealedHeader]]:
    """Cut blocks into pieces of few blocks and few entries each."""
    piece: list[SealedHeader] = []
    count = 0
    for block in blocks:
        if piece and (count + block.header.entry_count > PIECE_ENTRIES_MAX or len(piece) == PIECE_BLOCKS_MAX):
            yield piece
            piece, count = [], 0
        piece.append(block)
        count += block.header.entry_count
    if piece:
        yield piece
