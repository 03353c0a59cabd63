"""The node's part in the beacon: its share of every round, the others' shares, and the statement that tells the ledger.

1. A share leaves this node only of rounds that `find_open_rounds` names in the state after the newest *final* block,
   which is on disk: the block that opened the round can be no other any more, so nobody can choose it by what the
   share tells. Nothing else makes this node sign: no clock, no question, no other member's share.
2. Of the open rounds the first `ROUNDS_AT_ONCE` are worked on, in their order. A share is said to all members at once,
   and again every `REPEAT_DELTAS` Δ while its round is open: losses heal, and a node that was away is told again.
3. With a quorum of shares the beacon is made (`node.beacon_shares`), but only of rounds that are open here.
4. Any nation may post it and one is enough, so they take turns: first member `round mod n`, counted from 0, each next
   one a turn of `TURN_DELTAS` Δ later, and only if the ledger has none by then. Who posts goes on with the following
   rounds that it has made too. Two that post at once do no harm: the rules refuse the second. A nation whose next
   statement is out for a lab to complete comes after all others, since what it posts would take that one's place.
5. Nothing is on disk: shares are the same whenever they are made, and the ledger says which rounds are open.

BLS is done in a thread of its own. A ledger whose charter has no agreement has no `Beacon`.
Source: Boneh, Lynn, Shacham 2001 and Boldyreva 2003: one message has one signature, whichever quorum makes it.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from ledger.beacons import compute_beacon_message
from ledger.charter import Charter
from ledger.errors import Code, LedgerError
from ledger.merkle import Hash
from ledger.positions import BeaconRound, MemberIndex, Millis
from ledger.rules.beacons import find_open_rounds
from ledger.rules.rounds import compute_first_round
from ledger.rules.state import State
from node.admission import Admission
from node.beacon_shares import ROUNDS_HELD, BeaconFault, BeaconShares
from node.consensus.lanes import SIGNED, Lane
from node.metrics import Metrics
from node.nation import Nation
from node.v1 import operator_pb2

ROUNDS_AT_ONCE: Final = 4
REPEAT_DELTAS: Final = 4
TURN_DELTAS: Final = 10
assert ROUNDS_AT_ONCE <= ROUNDS_HELD


class BeaconKeys(Protocol):
    """This member's share of the group's secret, and the public shares of all; `node.votekeys.VoteKeys`."""

    def make_share(self, message: bytes) -> bytes:
        """Make this member's share of the signature of a message."""

    def combine(
        self, shares: Mapping[MemberIndex, bytes], message: bytes
    ) -> tuple[bytes | None, tuple[MemberIndex, ...]]:
        """Combine a quorum's shares, and verify the sum; names who sent wrong ones if it is none."""


@dataclass(slots=True)
class _Turn:
    """Since when the first open round could be posted, and when this member may try again."""

    round: BeaconRound
    since_s: float
    again_s: float


class Beacon:
    """Signs, collects and posts. `say` sends a share of this member's to all others; it may arrive nowhere."""

    def __init__(
        self,
        charter: Charter,
        me: MemberIndex,
        keys: BeaconKeys,
        nation: Nation,
        admission: Admission,
        *,
        state: Callable[[], State],
        say: Callable[[BeaconRound, bytes], None],
        on_fault: Callable[[MemberIndex, str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing; `state` gives that after the newest final block, which is on disk.

        Args:
            charter: one with an agreement.
            me: this member.
            keys: for shares of beacons.
            nation: posts in its name.
            admission: takes what is posted.
            state: as said.
            say: as said of the class.
            on_fault: told of what members did wrong: who, what, and in which round.
            clock: seconds; it never goes back.
        """
        assert charter.agreement is not None
        self._charter, self._me, self._keys = charter, me, keys
        self._nation, self._admission, self._state = nation, admission, state
        self._say, self._on_fault, self._clock = say, on_fault, clock
        delta_s = charter.consensus.delta_ms / 1000
        self._repeat_s, self._turn_s = REPEAT_DELTAS * delta_s, TURN_DELTAS * delta_s
        self._round_s = charter.agreement.inspections.round_s
        self._shares = BeaconShares(self._open_rounds()[0])
        self._own: dict[BeaconRound, bytes] = {}
        self._say_s: dict[BeaconRound, float] = {}
        self._made: dict[BeaconRound, bytes] = {}
        self._posted: dict[BeaconRound, Hash] = {}
        self._turn: _Turn | None = None
        self._woken = asyncio.Event()
        self._log = structlog.get_logger("beacon")

    def _open_rounds(self) -> tuple[BeaconRound, list[BeaconRound]]:
        """The first round without a beacon, and those to work on: the first few of the open ones."""
        rounds = find_open_rounds(self._state())
        return BeaconRound(rounds.start), [BeaconRound(number) for number in rounds[:ROUNDS_AT_ONCE]]

    # -- what is told ------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look again: a block is final."""
        self._woken.set()

    def take(self, member: MemberIndex, lane: Lane, beacon_round: BeaconRound, share: bytes) -> bool:
        """Take a share that a member sent, of whatever round it says; False if it was not looked at, as in `add`."""
        fault = self._shares.add(member, lane, beacon_round, share, now=self._now_ms())
        if fault is not None:
            self._on_fault(member, fault, f"of round {beacon_round}")
        self._woken.set()
        return fault is not BeaconFault.BEACON_SHARE_HELD_BACK

    def describe(self) -> operator_pb2.BeaconStatus:
        """Say how far the beacon is, and for whom it waits."""
        state = self._state()
        rounds, since = find_open_rounds(state), compute_first_round(state)
        if not rounds:
            return operator_pb2.BeaconStatus(drawn=rounds.start, first=since)
        first = BeaconRound(rounds.start)
        held = self._shares.of(first)
        return operator_pb2.BeaconStatus(
            drawn=first,
            open=len(rounds),
            opened_at_s=self._charter.grid.start + first * self._round_s,
            missing=[member.id for member in self._charter.members if member.index not in held],
            shares=len(held),
            is_made=first in self._made,
            first=since,
        )

    def measure(self, metrics: Metrics) -> None:
        """Tell the same in numbers."""
        now = self.describe()
        is_missing = {member.id: member.id in now.missing for member in self._charter.members}
        metrics.on_beacon(drawn=now.drawn, open_count=now.open, is_missing=is_missing)

    # -- the work ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take part until cancelled. While no round is open nothing happens, and no timer runs."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="beacon") as threads:
            while True:
                self._woken.clear()
                wait_s = await self._work(threads)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._woken.wait()

    async def _work(self, threads: Executor) -> float | None:
        """Do what can be done, and say in how many seconds there is more to do; None for when something comes."""
        first, rounds = self._open_rounds()
        self._forget_below(first)
        for beacon_round in rounds:
            await self._sign(beacon_round, threads)
        repeat_s = self._say_shares(rounds)
        for beacon_round in rounds:
            await self._make(beacon_round, threads)
        due_s = [when for when in (repeat_s, self._post()) if when is not None]
        return max(0.0, min(due_s) - self._clock()) if due_s else None

    def _forget_below(self, first: BeaconRound) -> None:
        """Forget rounds that have their beacon."""
        self._shares.begin_at(first)
        for kept in (self._own, self._say_s, self._made, self._posted):
            for beacon_round in [known for known in kept if known < first]:
                del kept[beacon_round]

    async def _sign(self, beacon_round: BeaconRound, threads: Executor) -> None:
        """Make this member's share of an open round, once."""
        if beacon_round in self._own:
            return
        message = compute_beacon_message(beacon_round)
        share = await asyncio.get_running_loop().run_in_executor(threads, self._keys.make_share, message)
        self._own[beacon_round] = share
        self._shares.add(self._me, SIGNED, beacon_round, share, now=self._now_ms())

    def _say_shares(self, rounds: list[BeaconRound]) -> float | None:
        """Say what was not said for a while; gives when to say something again."""
        now_s = self._clock()
        for beacon_round in rounds:
            if self._say_s.get(beacon_round, now_s) <= now_s:
                self._say(beacon_round, self._own[beacon_round])
                self._say_s[beacon_round] = now_s + self._repeat_s
        return min((self._say_s[beacon_round] for beacon_round in rounds), default=None)

    async def _make(self, beacon_round: BeaconRound, threads: Executor) -> None:
        """Combine an open round's shares once there is a quorum of them."""
        message, loop = compute_beacon_message(beacon_round), asyncio.get_running_loop()
        while beacon_round not in self._made:
            shares = self._shares.of(beacon_round)
            if len(shares) < self._charter.quorum:
                return
            signature, culprits = await loop.run_in_executor(threads, self._keys.combine, shares, message)
            for member in culprits:
                self._shares.drop(member, beacon_round, shares[member], now=self._now_ms())
                self._on_fault(member, BeaconFault.WRONG_BEACON_SHARE, f"of round {beacon_round}")
            if signature is not None:
                self._made[beacon_round] = signature
                self._log.info("beacon made", round=beacon_round, shares=len(shares))

    # -- the ledger --------------------------------------------------------------------------------------------------

    def _post(self) -> float | None:
        """Post what is made if it is this member's turn; gives when it comes, None while there is nothing to post."""
        first, rounds = self._open_rounds()
        if first not in self._made:
            return None
        now_s = self._clock()
        if self._turn is None or self._turn.round != first:
            self._turn = _Turn(first, now_s, now_s)
        due_s = max(self._turn.since_s + self._turn_s * self._count_turns(first), self._turn.again_s)
        if due_s <= now_s:
            for beacon_round in rounds:
                if beacon_round not in self._made or not self._is_posted(beacon_round):
                    break
            due_s = self._turn.again_s = now_s + self._turn_s
        return due_s

    def _count_turns(self, beacon_round: BeaconRound) -> int:
        """How many members have their turn before this one."""
        members_count = len(self._charter.members)
        turns = (self._me - 1 - beacon_round) % members_count
        return turns + members_count if self._nation.has_statement_out() else turns

    def _is_posted(self, beacon_round: BeaconRound) -> bool:
        """Hand a made beacon in, unless this node's own statement of it waits already."""
        if self._admission.is_waiting(self._posted.get(beacon_round, b"")):
            return True
        try:
            entry = self._nation.post_beacon(beacon_round, self._made[beacon_round])
            self._posted[beacon_round] = self._admission.admit(entry).leaf
        except LedgerError as error:
            if error.code is not Code.BEACON_KNOWN:
                self._log.warning("beacon not taken in", round=beacon_round, problem=str(error))
            return False
        self._log.info("beacon posted", round=beacon_round)
        return True

    def _now_ms(self) -> Millis:
        return Millis(int(self._clock() * 1000))
