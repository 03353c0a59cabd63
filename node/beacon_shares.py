"""Members' shares of the beacons to come: a bounded number of each, and none believed until their sum verifies.

1. Held are shares of the first `ROUNDS_HELD` rounds without a beacon, also of those that are not open here yet: another
   member may be a few blocks ahead. Shares of other rounds are passed over, which is nobody's fault.
2. One share a member and round. The same again changes nothing; another is refused, since there is only one.
3. A quorum's shares are combined and the sum is verified; only if that fails is each looked at, and whoever sent a
   wrong one is named. Its share is forgotten, so that the right one counts if it comes after all.
4. A member that has sent false ones is heard less and less, in this alone (`node.consensus.credit`): what one member
   makes others verify in a minute is bounded.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ledger.positions import BeaconRound, MemberIndex, Millis
from node.consensus.credit import Credit
from node.consensus.messages import Fault

ROUNDS_HELD: Final = 8


class BeaconFault(StrEnum):
    """What a member did wrong with its shares. Not evidence: they are not signed, so only this node saw it."""

    WRONG_BEACON_SHARE = "WRONG_BEACON_SHARE"
    TWO_BEACON_SHARES = "TWO_BEACON_SHARES"  # of one round; there is only one
    BEACON_SHARE_HELD_BACK = "BEACON_SHARE_HELD_BACK"  # not looked at, after too many of the others


class BeaconShares:
    """What members sent of the rounds whose turn comes next."""

    def __init__(self, first: BeaconRound) -> None:
        """Begin with the first round that has no beacon."""
        self._first = first
        self._rounds: dict[BeaconRound, dict[MemberIndex, bytes]] = {}
        self._credit = Credit()

    def begin_at(self, first: BeaconRound) -> None:
        """Forget the rounds below one: they have their beacons."""
        self._first = first
        for beacon_round in [known for known in self._rounds if known < first]:
            del self._rounds[beacon_round]

    def add(self, member: MemberIndex, beacon_round: BeaconRound, share: bytes, *, now: Millis) -> BeaconFault | None:
        """Hold a share, not verified; says what was wrong with sending it.

        Args:
            member: who sent it.
            beacon_round: of which round it is said to be.
            share: 48 bytes.
            now: of a clock that never goes back.
        """
        if not self._first <= beacon_round < self._first + ROUNDS_HELD:
            return None
        if not self._credit.is_heard(member, now):
            return BeaconFault.BEACON_SHARE_HELD_BACK
        held = self._rounds.setdefault(beacon_round, {}).setdefault(member, share)
        if held == share:
            return None
        self._credit.charge(member, Fault.WRONG_SHARE, now)
        return BeaconFault.TWO_BEACON_SHARES

    def drop(self, member: MemberIndex, beacon_round: BeaconRound, share: bytes, *, now: Millis) -> None:
        """Forget a share that was found wrong, and have its sender pay."""
        held = self._rounds.get(beacon_round, {})
        if held.get(member) == share:
            del held[member]
        self._credit.charge(member, Fault.WRONG_SHARE, now)

    def of(self, beacon_round: BeaconRound) -> Mapping[MemberIndex, bytes]:
        """Give what is held of a round, as it is now."""
        return dict(self._rounds.get(beacon_round, {}))
