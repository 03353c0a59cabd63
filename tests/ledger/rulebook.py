"""A small ledger for tests of the rules: three nations, labs that sign, blocks that are executed.

Times are seconds after the start of the grid. An interval lasts 100, its report is due 50 later, grace is 30 more,
corrections are free until 200 after due; a silence of more than 280 is an outage.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import charter
from ledger.agreement import (
    Agreement,
    Challenges,
    Decisions,
    Incidents,
    Inspections,
    Inventories,
    Pauses,
    Reviews,
    Runs,
)
from ledger.errors import Rejection
from ledger.limits import HASH_BYTES
from ledger.merkle import leaf_hash
from ledger.positions import Interval, LeafIndex, MemberIndex, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.apply import Applied, apply_block, apply_entry, found, open_block
from ledger.rules.state import State
from ledger.statements.computed import find_computed_kind
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import ZERO_HASH, Corrects
from ledger.statements.registry import (
    Cluster,
    KeyStatus,
    LabKey,
    Registration,
    compute_next_key_commitment,
    encode_registration,
)
from ledger.statements.reports import LimitRespected, Records, Report, Row, encode_correction, encode_report
from ledger.statements.verdicts import VERDICT, Verdict, parse_verdict
from ledger.threshold import group

START_S = 1_800_000_000
INTERVAL_S, SUBMIT_S, GRACE_S, CORRECTION_S = 100, 50, 30, 200
LIMITS = ("cap", "post")
NATIONS = ("avalon", "brittia", "cockaigne")
NO_REPORT = "00" * HASH_BYTES
NO_PARENT = bytes(HASH_BYTES)


@dataclass
class Key:
    """An Ed25519 key made from a name."""

    name: str
    signed_count: int = 0

    def __post_init__(self) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.name.encode()).digest())
        self.public = self._private.public_key().public_bytes_raw()
        self.commitment = compute_next_key_commitment(self.public)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    @property
    def signer(self) -> tuple[bytes, Callable[[bytes], bytes]]:
        return self.public, self.sign


def millis(seconds: int) -> Millis:
    """Block time, from seconds after the start of the grid."""
    return Millis((START_S + seconds) * 1000)


def due(interval: int) -> int:
    return (interval + 1) * INTERVAL_S + SUBMIT_S


def grace(interval: int) -> int:
    return due(interval) + GRACE_S


AGREEMENT = Agreement(
    runs=Runs(
        declare_pflop=10**6,
        approve_pflop=10**8,
        prohibit_pflop=10**9,
        post_training_declare_pflop=10**5,
        approval_window_s=Seconds(60),
        silence="approves",
    ),
    reviews=Reviews(
        required_pflop=10**6,
        window_s=Seconds(300),
        extension_s=Seconds(100),
        extensions_max=1,
        is_binding=True,
        silence="clears",
    ),
    inventories=Inventories(pair_window_s=Seconds(140)),
    challenges=Challenges(
        per_year_max=3,
        response_window_s=Seconds(100),
        missing_after_s=Seconds(70),
        finding_window_s=Seconds(150),
        inspectors_min=2,
        nations_min=2,
    ),
    inspections=Inspections(
        round_s=Seconds(25), bad_permille=100, confidence_permille=950, answer_window_s=Seconds(60)
    ),
    pauses=Pauses(notice_s=Seconds(50), lift="quorum", duration_max_s=Seconds(10_000)),
    decisions=Decisions(voting_window_s=Seconds(200)),
    incidents=Incidents(outage_extension_s=Seconds(70)),
    retention_s=Seconds(2000),
)
"""One of everything, on the same small grid."""


def make_charter_entry(
    *,
    limits: Sequence[str] = LIMITS,
    interval_s: int = INTERVAL_S,
    agreement: Agreement | None = None,
    nations: Sequence[str] = NATIONS,
    accelerators: Sequence[charter.Accelerator] = (),
    founded: int = -100,
) -> bytes:
    keys = [Key(nation) for nation in nations]
    members = [
        charter.Member(
            index=MemberIndex(index),
            id=nation,
            name=nation.title(),
            node=f"{nation}.example/node",
            identity=key.public,
            cosigner=Key(f"{nation} cosigner").public,
            cosigner_ml_dsa_sha256=hashlib.sha256(nation.encode()).hexdigest(),
            log=Key(f"{nation} log").public,
            encryption=hashlib.sha256(f"{nation} encryption".encode()).digest(),
            peer=f"{nation}.example:7000",
            public=f"{nation}.example:7001",
            http=f"https://{nation}.example",
        )
        for index, (nation, key) in enumerate(zip(nations, keys, strict=True), start=1)
    ]
    point = group.backend().encode_g2(group.backend().g2_generator())
    payload = charter.encode_charter_payload(
        origin="rules.example/test",
        title="Rules",
        members=members,
        grid=charter.Grid(
            start=Seconds(START_S),
            interval_s=Seconds(interval_s),
            submit_window_s=Seconds(SUBMIT_S),
            grace_s=Seconds(GRACE_S),
            correction_window_s=Seconds(CORRECTION_S),
            challenge_window_s=Seconds(1000),
        ),
        limits=[charter.Limit(id=limit, quantity="pflop", maximum=10**9, note="") for limit in limits],
        accelerators=accelerators,
        consensus=charter.ConsensusParameters(
            delta_ms=Millis(1), delta_max_ms=Millis(2), idle_interval_ms=Millis(3), snapshot_interval=0
        ),
        group_key=point,
        commitments=[point] * charter.compute_quorum(len(nations)),
        transcript=ZERO_HASH,
        founded_at_ms=millis(founded),
        agreement=agreement,
    )
    return sign_envelope(payload, [key.signer for key in keys])


CHARTER_ENTRY = make_charter_entry()
AGREED_ENTRY = make_charter_entry(agreement=AGREEMENT)
"""A charter of version 2, the others as they are."""


@dataclass
class Party:
    """An issuer's own view of its chain."""

    id: str
    key: Key
    sequence: int = 0
    previous: str = ZERO_HASH
    nation: str = ""
    next_key: Key = field(default_factory=lambda: Key("unused"))
    latest: dict[int, str] = field(default_factory=dict)

    def note(self, entry: bytes) -> None:
        """Move on after an accepted entry."""
        self.sequence += 1
        self.previous = leaf_hash(entry).hex()


def make_row(cluster: str, *, respects: Sequence[bool] = (True, True), limits: Sequence[str] = LIMITS) -> Row:
    return Row(
        cluster=cluster,
        digests=(),
        limits_respected=tuple(LimitRespected(limit, ok) for limit, ok in zip(limits, respects, strict=True)),
        band=24,
        records=Records(hashlib.sha256(cluster.encode()).hexdigest(), 1),
        evidence=(),
    )


class World:
    """A ledger that grows by blocks; every entry it takes is final at once."""

    def __init__(self, charter_entry: bytes = CHARTER_ENTRY) -> None:
        self.ledger = hashlib.sha256(charter_entry).hexdigest()
        self.state = found(charter_entry)
        self.state.commit()
        self.nations = {each.id: Party(each.id, Key(each.id)) for each in self.state.charter.members}
        self.labs: dict[str, Party] = {}
        self.blocks: list[tuple[Millis, list[bytes]]] = []
        self.size = 1
        self.verdicts: dict[tuple[str, str, int], list[Verdict]] = {}
        self.computed: list[bytes] = []
        self.parent = NO_PARENT

    # --- entries -----------------------------------------------------------------------------------------------------

    def registration(
        self,
        lab: str,
        clusters: Sequence[str | Cluster] = (),
        *,
        nation: str = NATIONS[0],
        keys: Sequence[tuple[Key, KeyStatus]] = (),
        signer: Key | None = None,
        next_key: Key | None = None,
        **changes: object,
    ) -> bytes:
        """A registration, signed by the nation and by `signer`, which is the first key unless given."""
        issuer = self.nations[nation]
        listed = keys or ((Key(lab), "active"),)
        predicate = Registration(
            ledger=self.ledger,
            issuer=nation,
            sequence=SequenceNumber(issuer.sequence),
            previous=issuer.previous,
            issued_at=Seconds(0),
            corrects=None,
            lab=lab,
            name=lab,
            keys=tuple(LabKey(key.public, status) for key, status in listed),
            next_key_sha256=(next_key or Key(f"{lab} next")).commitment,
            clusters=tuple(
                Cluster(cluster, "Hall 1", "NO", None) if isinstance(cluster, str) else cluster for cluster in clusters
            ),
        )
        payload = encode_registration(msgspec.structs.replace(predicate, **changes))
        return sign_envelope(payload, [issuer.key.signer, (signer or listed[0][0]).signer])

    def report(
        self, lab: str, interval: int, rows: Sequence[Row | str], *, key: Key | None = None, **changes: object
    ) -> bytes:
        """A report; a row given as a name is one of a cluster that respects every limit."""
        predicate = self.declaration(lab, interval, rows, **changes)
        return sign_envelope(encode_report(predicate), [(key or self.labs[lab].key).signer])

    def correction(
        self, lab: str, interval: int, rows: Sequence[Row | str], *, leaf: str | None = None, **changes: object
    ) -> bytes:
        """A correction of the lab's latest declaration for the interval, or of `leaf`."""
        corrects = Corrects(leaf or self.labs[lab].latest.get(interval, ZERO_HASH), "a slip of the pen")
        predicate = self.declaration(lab, interval, rows, corrects=corrects, **changes)
        return sign_envelope(encode_correction(predicate), [self.labs[lab].key.signer])

    def declaration(self, lab: str, interval: int, rows: Sequence[Row | str], **changes: object) -> Report:
        issuer = self.labs[lab]
        predicate = Report(
            ledger=self.ledger,
            issuer=lab,
            sequence=SequenceNumber(issuer.sequence),
            previous=issuer.previous,
            issued_at=Seconds(0),
            corrects=None,
            interval=Interval(interval),
            rows=tuple(make_row(row) if isinstance(row, str) else row for row in rows),
        )
        return msgspec.structs.replace(predicate, **changes)

    # --- blocks ------------------------------------------------------------------------------------------------------

    def block(self, at: int, *entries: bytes) -> list[Verdict]:
        """Execute a block `at` seconds after the start of the grid and return the verdicts that open it."""
        opening = open_block(self.state, time_ms=millis(at), parent=self.parent)[1]
        block = [*opening, *entries]
        after = apply_block(self.state, block, time_ms=millis(at), first_index=LeafIndex(self.size), parent=self.parent)
        assert isinstance(after, State), after
        after.commit()
        self.state = after
        self.blocks.append((millis(at), block))
        self.size += len(block)
        self.parent = hashlib.sha256(f"block {len(self.blocks)}".encode()).digest()
        self.computed += opening
        verdicts = [parse_verdict(entry) for entry in opening if find_computed_kind(entry) == VERDICT]
        for verdict in verdicts:
            self.verdicts.setdefault((verdict.lab, verdict.cluster, verdict.interval), []).append(verdict)
        return verdicts

    def refuse(self, at: int, entry: bytes) -> Rejection:
        """Try an entry in a block of its own, which must be refused and leave no trace."""
        fork, _ = open_block(self.state, time_ms=millis(at), parent=self.parent)
        before = fork.changes()
        outcome = apply_entry(fork, entry, time_ms=millis(at), index=LeafIndex(self.size))
        assert isinstance(outcome, Rejection), outcome
        assert fork.changes() == before
        return outcome

    def accept(self, at: int, entry: bytes) -> Applied:
        """Execute a block with this entry, and let its issuer move on."""
        fork, _ = open_block(self.state, time_ms=millis(at), parent=self.parent)
        outcome = apply_entry(fork, entry, time_ms=millis(at), index=LeafIndex(self.size))
        assert isinstance(outcome, Applied), outcome
        self.block(at, entry)
        (self.nations.get(outcome.issuer) or self.labs[outcome.issuer]).note(entry)
        return outcome

    def register(self, at: int, lab: str, clusters: Sequence[str], *, nation: str = NATIONS[0]) -> Party:
        """Register a lab with a key of its name and the next key committed to."""
        self.accept(at, self.registration(lab, clusters, nation=nation))
        self.labs[lab] = Party(lab, Key(lab), nation=nation, next_key=Key(f"{lab} next"))
        return self.labs[lab]

    def file(self, at: int, lab: str, interval: int, rows: Sequence[Row | str]) -> str:
        """File a report, or a correction where there is one, and return its leaf hash in hex."""
        make = self.correction if interval in self.labs[lab].latest else self.report
        leaf = self.accept(at, make(lab, interval, rows)).leaf_hash.hex()
        self.labs[lab].latest[interval] = leaf
        return leaf

    def said(self, lab: str, cluster: str, interval: int) -> list[tuple[str, list[str]]]:
        """Every verdict on a cluster's interval so far: state and reasons."""
        return [(str(v.state), list(v.reasons)) for v in self.verdicts.get((lab, cluster, interval), [])]
