"""Four members on one chain of real blocks, without network, threads or a clock: a test says what happens when.

Nothing is executed twice in one place: each node has its own store, and follows the chain as far as a test lets it.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ledger.agreement import Agreement
from ledger.blocks import Header
from ledger.limits import SEAL_BYTES
from ledger.positions import BeaconRound, MemberIndex, Millis, View
from ledger.rules.entries import PreparedEntry
from ledger.statements.beacons import BEACON, Beacon, parse_beacon
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from node import beacon
from node.daemon import Node
from node.execute import ExecutedBlock, build_block, execute_block
from tests.node.cluster import COUNT, set_up
from tests.node.conftest import make_agreement_with_rounds
from tests.simulation.attackers.attacker import STREAM

ROUND_S = 4
START_S = 1_700_000_000
TURN_S = 0.2 * beacon.TURN_DELTAS
REPEAT_S = 0.2 * beacon.REPEAT_DELTAS
MEMBERS = [MemberIndex(number + 1) for number in range(COUNT)]
Said = tuple[MemberIndex, BeaconRound, bytes]


class AtOnce(Executor):
    """Does what it is given before it answers."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **named))
        return future


@dataclass
class Chain:
    """The members' nodes, which do not run, and the blocks they agreed on."""

    nodes: list[Node]
    blocks: list[tuple[Header, tuple[bytes, ...]]] = field(default_factory=list)
    now_s: float = 0.0
    said: list[Said] = field(default_factory=list)
    faults: list[tuple[MemberIndex, MemberIndex, str]] = field(default_factory=list)
    parts: dict[MemberIndex, beacon.Beacon] = field(default_factory=dict)

    def node(self, member: MemberIndex) -> Node:
        return self.nodes[member - 1]

    def start(self, member: MemberIndex) -> beacon.Beacon:
        """Make a member's part in the beacon as after a start: it remembers nothing."""
        node = self.node(member)
        self.parts[member] = beacon.Beacon(
            node.charter,
            member,
            node._vote_keys,
            node.nation,
            node.admission,
            state=lambda: node.branches.final.state,
            say=partial(self._say, member),
            on_fault=partial(self._blame, member),
            clock=lambda: self.now_s,
        )
        return self.parts[member]

    def _say(self, member: MemberIndex, beacon_round: BeaconRound, share: bytes) -> None:
        """Hold every share that leaves a member against the headers that are final there: the rules are not asked."""
        opened_ms = (START_S + beacon_round * ROUND_S) * 1000
        trigger = next(place for place, (header, _) in enumerate(self.blocks) if header.time_ms >= opened_ms)
        stored = self.node(member).store.require_tip().header.height
        assert self.blocks[trigger][0].height < stored, "a share of a round whose trigger is not final there"
        self.said.append((member, beacon_round, share))

    def _blame(self, member: MemberIndex, accused: MemberIndex, fault: str, detail: str) -> None:
        assert detail.startswith("of round ")
        self.faults.append((member, accused, fault))

    def build(self, member: MemberIndex, at_s: float) -> ExecutedBlock:
        """Let a member that has followed so far make the next block out of what waits at it."""
        node = self.node(member)
        waiting: list[PreparedEntry] = [pending.prepared for pending in node.mempool]
        block, refused = build_block(
            node.branches.final,
            waiting,
            view=View(node.branches.final.header.view + 1),
            time_ms=Millis(int((START_S + at_s) * 1000)),
            proposer=member,
            snapshot_interval=0,
        )
        node.admission.on_refused(refused)
        return block

    async def grow(self, at_s: float, *, by: MemberIndex = MEMBERS[0], all_follow: bool = True) -> None:
        """Make the chain a block longer; `at_s` is its time since the start of the grid."""
        await self.follow(by)
        block = self.build(by, at_s)
        self.blocks.append((block.header, block.entries))
        for member in MEMBERS if all_follow else [by]:
            await self.follow(member)

    async def follow(self, member: MemberIndex, blocks_max: int = 1_000_000) -> None:
        """Have a member execute and finalize blocks that it lacks."""
        node = self.node(member)
        for header, entries in self.blocks[node.branches.final.header.height :][:blocks_max]:
            block = execute_block(node.branches.final, header, list(entries), snapshot_interval=0)
            assert isinstance(block, ExecutedBlock), block
            await node.driver.commit([(block, bytes(SEAL_BYTES))])  # nobody looks at a seal once it is believed

    async def work(self, *members: MemberIndex) -> list[float | None]:
        """Let members do what they can now; gives in how many seconds each wants to be asked again."""
        return [await self.parts[member]._work(AtOnce()) for member in members or MEMBERS]

    def deliver(self, *, to: list[MemberIndex] | None = None) -> None:
        """Bring what was said since the last time to others."""
        said, self.said = self.said, []
        for source, beacon_round, share in said:
            for member in MEMBERS if to is None else to:
                if member != source:
                    self.parts[member].take(source, STREAM, beacon_round, share)

    def waiting(self) -> list[tuple[str, BeaconRound]]:
        """Who has beacons of which rounds waiting for a block, at its own node."""
        return [
            (pending.issuer, parse_beacon(pending.prepared.envelope.payload).predicate.round)
            for node in self.nodes
            for pending in node.mempool
        ]

    def posted(self) -> list[tuple[str, Beacon]]:
        """The beacons on the chain, in order."""
        entries = [entry for _, block in self.blocks for entry in block if not is_computed_entry(entry)]
        payloads = [parse_envelope(entry).payload for entry in entries]
        made = [parse_beacon(payload).predicate for payload in payloads if find_kind(payload) == BEACON]
        return [(each.issuer, each) for each in made]

    def close(self) -> None:
        for node in self.nodes:
            node.disk.shutdown()
            node.votefile.close()
            node.store.close()


def make_chain(folder: Path, *, agreement: Agreement | None = None) -> Chain:
    """Found a ledger of four with an agreement, and make every member's node and part; none of them runs."""
    make = set_up(
        folder,
        start=START_S,
        founded_s=START_S - 60,
        agreement=agreement or make_agreement_with_rounds(ROUND_S),
    )[2]
    chain = Chain([make(number) for number in range(COUNT)])
    for member in MEMBERS:
        chain.start(member)
    return chain
