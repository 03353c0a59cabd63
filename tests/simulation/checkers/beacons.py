"""No honest share of an inspection round leaves before the block that opened it is final where it is made.

And the ledger has one beacon a round, in the order of rounds. Blocks are looked at by their times alone, and entries by
their bytes: the rules are not asked.
"""

from collections import Counter
from collections.abc import Sequence

from ledger.blocks import Header
from ledger.charter import Charter
from ledger.positions import BeaconRound, Millis
from ledger.statements.beacons import BEACON, parse_beacon
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from node.consensus.messages import FinalBlock
from tests.simulation.checkers.checker import Checker, require


class Beacons(Checker):
    """Knows of every member the time of the block before its newest final one, and how many beacons it has."""

    def __init__(self, charter: Charter, genesis: Header, happened: Counter[str]) -> None:
        agreement = charter.agreement
        assert agreement is not None
        self._start_ms, self._round_ms = charter.grid.start * 1000, agreement.inspections.round_s * 1000
        self._genesis_ms, self._happened = genesis.time_ms, happened
        self._final: dict[int, tuple[Millis | None, Millis]] = {}
        self._drawn: Counter[int] = Counter()

    def on_share(self, member: int, beacon_round: BeaconRound) -> None:
        """Learn that an honest member sends a share to the others."""
        before_ms, _ = self._final.get(member, (None, self._genesis_ms))
        opens_ms = self._start_ms + beacon_round * self._round_ms
        require(
            before_ms is not None and before_ms >= opens_ms,
            f"member {member} gives its share of round {beacon_round} before the block that opens it is final there",
        )
        self._happened["beacon share"] += 1

    def on_final(self, member: int, block: FinalBlock, entries: Sequence[bytes]) -> None:
        _, newest_ms = self._final.get(member, (None, self._genesis_ms))
        self._final[member] = (newest_ms, block.header.time_ms)
        payloads = [parse_envelope(entry).payload for entry in entries if not is_computed_entry(entry)]
        for payload in payloads:
            if find_kind(payload) != BEACON:
                continue
            beacon_round, due = parse_beacon(payload).predicate.round, self._drawn[member]
            require(beacon_round == due, f"member {member} has the beacon of round {beacon_round} where {due} is due")
            self._drawn[member] += 1
            self._happened[f"beacon of round {beacon_round}"] += 1
