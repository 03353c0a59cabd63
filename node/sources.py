"""Whom to ask while catching up: members that answer, less those left alone for a while for what they did.

A member that lied is counted under the reason and left for longer each time. One that was slow, silent or had nothing
is not counted, as that is no fault, and left for a shorter while, which ends with its next good answer. So whatever a
member does, it costs one answer's worth now and then, and if it is the only one there is, it is asked again.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from ledger.errors import Code, LedgerError
from ledger.positions import MemberIndex
from node.links import Links

SILENCE_FIRST_S: Final = 0.25
SILENCE_MAX_S: Final = 5.0
LIE_FIRST_S: Final = 5.0
LIE_MAX_S: Final = 300.0


@dataclass(slots=True)
class _Standing:
    """What came of asking one member."""

    left_until_s: float = 0.0
    silence_s: float = SILENCE_FIRST_S
    lie_s: float = LIE_FIRST_S


class Sources:
    """The members one may ask, and how each has done."""

    def __init__(self, peers: Links) -> None:
        self._peers = peers
        self._standings: dict[MemberIndex, _Standing] = {}
        self._log = structlog.get_logger("catchup")

    def available(self, first: MemberIndex | None = None) -> list[MemberIndex]:
        """Name who may be asked now; `first` before the others if it may."""
        now_s = asyncio.get_running_loop().time()
        free = [member for member in self._peers.connected() if self._of(member).left_until_s <= now_s]
        return sorted(free, key=lambda member: member != first)

    def praise(self, member: MemberIndex) -> None:
        """Note a good answer."""
        self._of(member).silence_s = SILENCE_FIRST_S

    def leave(self, member: MemberIndex, problem: LedgerError) -> None:
        """Leave a member alone for a while, and say why."""
        standing, state = self._of(member), self._peers.links[member].state
        if problem.code is Code.UNREACHABLE:
            pause_s, standing.silence_s = standing.silence_s, min(2 * standing.silence_s, SILENCE_MAX_S)
        else:
            state.refused[problem.code] += 1
            pause_s, standing.lie_s = standing.lie_s, min(2 * standing.lie_s, LIE_MAX_S)
        standing.left_until_s = asyncio.get_running_loop().time() + pause_s
        self._log.info("catch-up source left", member=state.id, for_s=pause_s, problem=str(problem))

    def _of(self, member: MemberIndex) -> _Standing:
        return self._standings.setdefault(member, _Standing())
