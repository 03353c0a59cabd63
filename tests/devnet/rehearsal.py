"""The year without a network: the rules alone on virtual time, where an interval is a fortnight of seconds.

A block a statement, and one at every deadline between them, as nodes make them. Every key follows from a name and
Ed25519 draws nothing, so the ledger of a rehearsal is the same to the last byte each time.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from devnet.year.acts import Header, Moment
from devnet.year.cast import NATIONS, make_key
from devnet.year.facts import ANNEX, FORTNIGHT_S
from devnet.year.script import END, Script
from devnet.year.stage import Answer, Performance, Position, Signer, Spoken, perform
from devnet.year.terms import LIMITS, ORIGIN, TITLE, compute_time_ms, make_agreement, make_grid
from ledger import charter
from ledger.beacons import compute_beacon_message
from ledger.errors import Rejection
from ledger.limits import HASH_BYTES
from ledger.merkle import leaf_hash
from ledger.positions import BeaconRound, Interval, LeafIndex, MemberIndex, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.apply import apply_block, apply_entry, found, next_deadline_ms, open_block
from ledger.rules.beacons import find_open_rounds
from ledger.rules.state import State, compute_state_digest
from ledger.statements.beacons import SAMPLE, Beacon, Sample, encode_beacon, parse_sample
from ledger.statements.computed import find_computed_kind
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import ZERO_HASH
from ledger.threshold import bls, group
from ledger.threshold.polynomials import SecretScalar

START_S = Seconds(1_798_416_000)
"""Monday, 28 December 2026."""

BASE = Interval(1)
IDLE_MS = 1_000
GRID = make_grid(START_S, FORTNIGHT_S)


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its time, the digest of its parent, what it opens with, what was submitted."""

    time_ms: Millis
    parent: bytes
    computed: tuple[bytes, ...]
    submitted: tuple[bytes, ...]


def make_charter_entry() -> bytes:
    keys = [make_key(nation) for nation in NATIONS]
    members = [
        charter.Member(
            index=MemberIndex(index),
            id=nation,
            name=nation.capitalize(),
            node=f"{nation}.example/node",
            identity=key.public_key,
            cosigner=make_key(f"{nation} cosigner").public_key,
            cosigner_ml_dsa_sha256=hashlib.sha256(nation.encode()).hexdigest(),
            log=make_key(f"{nation} log").public_key,
            encryption=hashlib.sha256(f"{nation} encryption".encode()).digest(),
            peer=f"{nation}.example:7000",
            public=f"{nation}.example:7001",
            http=f"https://{nation}.example",
        )
        for index, (nation, key) in enumerate(zip(NATIONS, keys, strict=True), start=1)
    ]
    point = group.backend().encode_g2(group.backend().g2_generator())
    payload = charter.encode_charter_payload(
        origin=ORIGIN,
        title=TITLE,
        members=members,
        grid=GRID,
        limits=LIMITS,
        accelerators=ANNEX,
        consensus=charter.ConsensusParameters(
            delta_ms=Millis(300), delta_max_ms=Millis(3000), idle_interval_ms=Millis(1000), snapshot_interval=0
        ),
        group_key=point,
        commitments=[point] * charter.compute_quorum(len(NATIONS)),
        transcript=ZERO_HASH,
        founded_at_ms=Millis(START_S * 1000),
        agreement=make_agreement(FORTNIGHT_S),
    )
    return sign_envelope(payload, [(key.public_key, key.sign) for key in keys])


@dataclass
class Rehearsal:
    """A stage: see `devnet.year.stage.Stage`."""

    charter_entry: bytes = field(default_factory=make_charter_entry)

    def __post_init__(self) -> None:
        self.state = found(self.charter_entry)
        self.state.commit()
        self.blocks: list[Block] = []
        self.marks: dict[int, bytes] = {}  # digests of the state, by the number of blocks before a moment
        self.size = 1
        self.now_ms = Millis(START_S * 1000)
        self._positions: dict[str, Position] = {}
        self._seen = 0
        self._parent = bytes(HASH_BYTES)

    @property
    def ledger(self) -> str:
        return hashlib.sha256(self.charter_entry).hexdigest()

    def entries(self) -> list[bytes]:
        """All of the ledger."""
        return [self.charter_entry, *(entry for block in self.blocks for entry in (*block.computed, *block.submitted))]

    def find_signer(self, name: str) -> Signer:
        key = make_key(name)
        return key.public_key, key.sign

    async def reach(self, moment: Moment) -> None:
        time_ms = compute_time_ms(GRID, BASE, moment)
        for boundary_ms in range(START_S * 1000, time_ms, FORTNIGHT_S * 1000):
            if boundary_ms >= self.now_ms:
                self._wait(Millis(boundary_ms))
                self._make_block(Millis(boundary_ms + IDLE_MS))
                self.now_ms = Millis(boundary_ms + 2 * IDLE_MS)
                self._post_beacons()
        self._wait(time_ms)
        self.marks[len(self.blocks)] = compute_state_digest(self.state)

    async def find_samples(self) -> list[Sample]:
        found = [entry for block in self.blocks[self._seen :] for entry in block.computed]
        self._seen = len(self.blocks)
        return [parse_sample(entry) for entry in found if find_computed_kind(entry) == SAMPLE]

    async def say(self, spoken: Sequence[Spoken]) -> list[Answer]:
        return [self._say(each) for each in spoken]

    def _wait(self, time_ms: Millis) -> None:
        """Make a block at every deadline until a time."""
        while (deadline := next_deadline_ms(self.state)) is not None and deadline <= time_ms:
            self._make_block(max(deadline, self.now_ms))
        self.now_ms = time_ms

    def _post_beacons(self) -> None:
        """What nodes do once rounds are open: the group's key is the generator, and its secret the number one."""
        for number in find_open_rounds(self.state):
            nation = NATIONS[number % len(NATIONS)]
            signature = bls.sign_share(SecretScalar(1), compute_beacon_message(BeaconRound(number)))

            def write(position: Position, round_number: int = number, made: bytes = signature) -> bytes:
                header = Header(
                    ledger=self.ledger,
                    issuer=NATIONS[round_number % len(NATIONS)],
                    sequence=position.sequence,
                    previous=position.previous,
                    issued_at=Seconds(0),
                    corrects=None,
                )
                beacon = Beacon(**header, round=BeaconRound(round_number), signature=made)
                return sign_envelope(encode_beacon(beacon), [self.find_signer(header["issuer"])])

            answer = self._say(Spoken(nation, write, None, is_refused=False))
            assert answer.rejection is None, answer.rejection

    def _say(self, spoken: Spoken) -> Answer:
        at = self._positions.get(spoken.speaker, Position(SequenceNumber(0), ZERO_HASH))
        position = spoken.position or at
        entry = spoken.write(position)
        fork, opening = open_block(self.state, time_ms=self.now_ms, parent=self._parent)
        outcome = apply_entry(fork, entry, time_ms=self.now_ms, index=LeafIndex(self.size + len(opening)))
        if isinstance(outcome, Rejection):
            return Answer(entry, position, None, outcome)
        index = LeafIndex(self.size + len(opening))
        self._make_block(self.now_ms, entry)
        self._positions[spoken.speaker] = Position(SequenceNumber(at.sequence + 1), leaf_hash(entry).hex())
        return Answer(entry, position, index, None)

    def _make_block(self, time_ms: Millis, *entries: bytes) -> None:
        opening = open_block(self.state, time_ms=time_ms, parent=self._parent)[1]
        after = apply_block(
            self.state,
            [*opening, *entries],
            time_ms=time_ms,
            first_index=LeafIndex(self.size),
            parent=self._parent,
        )
        assert isinstance(after, State), after
        after.commit()
        self.state = after
        self.now_ms = time_ms
        self.size += len(opening) + len(entries)
        self.blocks.append(Block(time_ms, self._parent, tuple(opening), tuple(entries)))
        self._parent = hashlib.sha256(self._parent + b"".join((*opening, *entries))).digest()


async def rehearse(
    script: Script, *, tell: Callable[[Moment, Sequence[str]], None] = lambda *_: None
) -> tuple[Rehearsal, Performance]:
    """Perform a script on a new stage."""
    stage = Rehearsal()
    return stage, await perform(script, stage, tell=tell, end=END)
