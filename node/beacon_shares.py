"""Members' shares of the beacons to come: a bounded number of each, and none believed until their sum verifies.

1. Held are shares of the first `ROUNDS_HELD` rounds without a beacon, also of those that are not open here yet: another
   member may be a few blocks ahead. Shares of other rounds are passed over, which is nobody's fault.
2. One share a member, round and stream. The same again changes nothing; another is refused, since there is only one.
3. A quorum's shares are combined and the sum is verified; only if that fails is each looked at, and whoever sent a
   wrong one is named. Its share is forgotten, so that the right one counts: one that came by another of the member's
   streams, since whoever stole its TLS key may have sent the first, or one that comes after all.
4. A stream that has brought false ones is heard less and less, in this alone (`node.consensus.credit`): what one member
   makes others verify in a minute is bounded.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ledger.positions import BeaconRound, MemberIndex, Millis
from node.consensus.credit import Credit
from node.consensus.lanes import Lane
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
        self._rounds: dict[BeaconRound, dict[MemberIndex, dict[Lane, bytes]]] = {}
        self._credit = Credit()

    def begin_at(self, first: BeaconRound) -> None:
        """Forget the rounds below one: they have their beacons."""
        self._first = first
        for beacon_round in [known for known in self._rounds if known < first]:
            del self._rounds[beacon_round]

    def add(
        self, member: MemberIndex, lane: Lane, beacon_round: BeaconRound, share: bytes, *, now: Millis
    ) -> BeaconFault | None:
        """Hold a share, not verified; says what was wrong with sending it.

        Args:
            member: who sent it.
            lane: by which of its streams.
            beacon_round: of which round it is said to be.
            share: 48 bytes.
            now: of a clock that never goes back.
        """
        if not self._first <= beacon_round < self._first + ROUNDS_HELD:
            return None
        if not self._credit.is_heard(member, lane, now):
            return BeaconFault.BEACON_SHARE_HELD_BACK
        held = self._rounds.setdefault(beacon_round, {}).setdefault(member, {})
        if held.setdefault(lane, share) == share:
            return None
        self._credit.charge(member, lane, Fault.WRONG_SHARE, now)
        return BeaconFault.TWO_BEACON_SHARES

    def drop(self, member: MemberIndex, beacon_round: BeaconRound, share: bytes, *, now: Millis) -> None:
        """Forget a share that was found wrong, and have the streams pay that brought it."""
        held = self._rounds.get(beacon_round, {}).get(member, {})
        for lane in [lane for lane, other in held.items() if other == share]:
            del held[lane]
            self._credit.charge(member, lane, Fault.WRONG_SHARE, now)

    def of(self, beacon_round: BeaconRound) -> Mapping[MemberIndex, bytes]:
        """Give what is held of a round, of each member what came first."""
        held = self._rounds.get(beacon_round, {})
        return {member: next(iter(ways.values())) for member, ways in held.items() if ways}
