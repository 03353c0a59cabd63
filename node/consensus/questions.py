"""Whom to ask for a block or certificate that is missing: first the one who must have it, then every Δ another."""

from ledger.positions import MemberIndex, Millis, View
from node.consensus.messages import VoteKind

Missable = bytes | tuple[VoteKind, View]
"""A block, by digest, or the certificate of a view."""


class Questions:
    """What has been asked for and not come yet."""

    def __init__(self, *, me: MemberIndex, member_count: int) -> None:
        self._me = me
        self._member_count = member_count
        self._asked: dict[Missable, tuple[int, Millis]] = {}

    def __contains__(self, wanted: Missable) -> bool:
        return wanted in self._asked

    def ask(self, wanted: Missable, *, first: MemberIndex, now: Millis, delta_ms: Millis) -> MemberIndex | None:
        """Choose whom to ask now; None if the last one asked still has time, or if there is nobody else."""
        attempt, asked_ms = self._asked.get(wanted, (0, None))
        if self._member_count == 1 or (asked_ms is not None and now < asked_ms + delta_ms):
            return None
        self._asked[wanted] = (attempt + 1, now)
        return self.other_than_me(MemberIndex(1 + (first - 1 + attempt) % self._member_count))

    def other_than_me(self, member: MemberIndex) -> MemberIndex:
        """Give this member, or the next one if it is ourselves."""
        return MemberIndex(1 + member % self._member_count) if member == self._me else member

    def answered(self, wanted: Missable) -> None:
        """It came."""
        self._asked.pop(wanted, None)

    def clear(self) -> None:
        """Start over: what was missing may not be needed any more."""
        self._asked.clear()
