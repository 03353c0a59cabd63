"""The year on a network of real nodes: statements go in through the services that labs use, and come back sealed.

Nations sign with the keys of their nodes, which the devnet's passphrase opens. A node may speak for its nation too,
with beacons; so where a nation stands is asked before it speaks, and asked again if its node was faster.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

from devnet.year.acts import Moment
from devnet.year.cast import make_key
from devnet.year.lookout import Lookout
from devnet.year.stage import Answer, Position, Signer, Spoken
from devnet.year.terms import compute_time_ms
from lab.client import Client
from lab.nodes import NodesRefusedError
from ledger.charter import Grid
from ledger.errors import Code, Rejection
from ledger.merkle import leaf_hash
from ledger.positions import Interval
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.beacons import Sample
from ledger.statements.intoto import ZERO_HASH
from node.keys import IdentityKey

TRIES_MAX: Final = 8

_OVERTAKEN: Final = (Code.WRONG_SEQUENCE, Code.WRONG_PREVIOUS, Code.EQUIVOCATION)
_BEGINNING: Final = Position(SequenceNumber(0), ZERO_HASH)


class LiveStage:
    """A stage: see `devnet.year.stage.Stage`."""

    def __init__(
        self, client: Client, nations: Mapping[str, IdentityKey], lookout: Lookout, *, grid: Grid, base: Interval
    ) -> None:
        """Perform on a network that is running.

        Args:
            client: of its nodes.
            nations: identity key of each, by its id.
            lookout: sees what is drawn.
            grid: of the ledger.
            base: interval of the ledger that is interval 0 of the story.
        """
        self._client, self._nations, self._lookout = client, nations, lookout
        self._grid, self._base = grid, base
        self._positions: dict[str, Position] = {}

    @property
    def ledger(self) -> str:
        """Hex id of the ledger."""
        return self._client.ledger.charter.ledger_id.hex()

    def find_signer(self, name: str) -> Signer:
        """A nation's key is its node's; everybody else's follows from the name."""
        nation = self._nations.get(name)
        if nation is not None:
            return nation.public_key, nation.sign
        key = make_key(name)
        return key.public_key, key.sign

    async def reach(self, moment: Moment) -> None:
        """Sleep until a moment has come by this machine's clock, which is the nodes' too."""
        time_ms = compute_time_ms(self._grid, self._base, moment)
        await asyncio.sleep(max(0.0, time_ms / 1000 - time.time_ns() / 1e9))

    async def find_samples(self) -> list[Sample]:
        """What the lookout has seen."""
        return await self._lookout.find_samples()

    async def say(self, spoken: Sequence[Spoken]) -> list[Answer]:
        """All speakers at once, each in its order."""
        by_speaker: dict[str, list[int]] = {}
        for number, each in enumerate(spoken):
            by_speaker.setdefault(each.speaker, []).append(number)
        answers: dict[int, Answer] = {}

        async def speak(numbers: Sequence[int]) -> None:
            for number in numbers:
                answers[number] = await self._say(spoken[number])

        await asyncio.gather(*(speak(numbers) for numbers in by_speaker.values()))
        return [answers[number] for number in range(len(spoken))]

    async def _say(self, spoken: Spoken) -> Answer:
        for turn in range(TRIES_MAX):
            position = spoken.position or await self._find_position(spoken.speaker)
            entry = spoken.write(position)
            try:
                sealed = await self._client.submit(entry)
            except NodesRefusedError as error:
                rejection = Rejection(error.code, error.field, error.found, error.expected)
                is_overtaken = spoken.speaker in self._nations and rejection.code in _OVERTAKEN
                if not is_overtaken or spoken.is_refused or turn == TRIES_MAX - 1:
                    return Answer(entry, position, None, rejection)
            else:
                after = Position(SequenceNumber(position.sequence + 1), leaf_hash(entry).hex())
                self._positions[spoken.speaker] = after
                return Answer(entry, position, sealed.index, None)
        raise AssertionError

    async def _find_position(self, speaker: str) -> Position:
        """A lab's is what it said last here; a nation's is what a node says, if that is further."""
        known = self._positions.get(speaker, _BEGINNING)
        if speaker not in self._nations:
            return known
        told = await self._client.get_position(speaker)
        return known if told.next_sequence <= known.sequence else Position(told.next_sequence, told.previous)
