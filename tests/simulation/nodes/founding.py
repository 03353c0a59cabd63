"""A ledger for simulated nodes: real identities, real charter, real statements; founded once for each size and pace.

The group's key is dealt by somebody who knows all of it, where a real committee has a ceremony: that is not what is
simulated. Most runs vote and seal with keys that cost nothing, and use it for beacons alone.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from ledger import charter as c
from ledger.blocks import Header, genesis_header
from ledger.positions import FIRST_EPOCH, MemberIndex, Millis, Seconds
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import ZERO_HASH
from ledger.threshold.polynomials import make_polynomial
from node.beginning import found_store
from node.cosigning import NoteSigners
from node.keys import CosignerKey, IdentityKey, LogKey, ShareKey
from node.store import Store
from node.votekeys import VoteKeys
from tests.node.conftest import make_agreement_with_rounds
from tests.node.statements import Issuer
from tests.simulation.keys import CheapKeys, MemberKeys
from tests.simulation.member import EPOCH_MS, Pace
from tests.simulation.plan import Plan

ORIGIN: Final = "simulation.example/ledger"
FOUNDED_S: Final = 1_800_000_000
DEADLINE_MS: Final = 2_500  # after the run began: the first interval ends, an archival checkpoint is due
SNAPSHOT_INTERVAL: Final = 8
STATEMENTS_MAX: Final = 96
ROUND_S: Final = 1800  # two rounds are open when a run begins, one opens within it
POSTER: Final = MemberIndex(1)
"""In whose name every node posts beacons. What the others' nations say is made beforehand, one after another."""


@dataclass(frozen=True)
class Foundation:
    """What every run of one size begins with."""

    charter: c.Charter
    identities: tuple[IdentityKey, ...]
    shares: tuple[ShareKey, ...]
    genesis: Header
    signers: tuple[NoteSigners, ...]
    ml_dsa_keys: dict[MemberIndex, bytes]
    statements: tuple[tuple[bytes, ...], ...]
    store: bytes


@cache
def make_foundation(member_count: int, pace: Pace) -> Foundation:
    """Draw keys, sign the charter, write the first block, and make every nation's statements."""
    randomness: Callable[[int], bytes] = Random(f"foundation {member_count}").randbytes
    identities = [IdentityKey.make(randomness) for _ in range(member_count)]
    cosigners = [CosignerKey.make(randomness) for _ in range(member_count)]
    logs = [LogKey.make(randomness) for _ in range(member_count)]
    members = [
        c.Member(
            index=MemberIndex(number + 1),
            id=f"nation-{number + 1}",
            name=f"Nation {number + 1}",
            node=f"node-{number + 1}.example",
            identity=identities[number].public_key,
            cosigner=cosigners[number].public_key,
            cosigner_ml_dsa_sha256=hashlib.sha256(cosigners[number].ml_dsa_public_key).hexdigest(),
            log=logs[number].public_key,
            encryption=randomness(32),
            peer=f"node-{number + 1}.example:1",
            public=f"node-{number + 1}.example:2",
            http=f"http://node-{number + 1}.example",
        )
        for number in range(member_count)
    ]
    polynomial = make_polynomial(c.compute_quorum(member_count), randomness)
    entry = _sign_charter(members, identities, pace, polynomial.commit())
    charter = c.parse_charter(entry)
    return Foundation(
        charter=charter,
        identities=tuple(identities),
        shares=tuple(
            ShareKey(polynomial.evaluate(member.index), epoch=FIRST_EPOCH, member=member.index) for member in members
        ),
        genesis=genesis_header(entry, charter.founded_at_ms),
        signers=tuple(
            NoteSigners(log=log.sign, cosigner=cosigner.sign, cosigner_ml_dsa=cosigner.sign_ml_dsa)
            for log, cosigner in zip(logs, cosigners, strict=True)
        ),
        ml_dsa_keys={MemberIndex(number + 1): key.ml_dsa_public_key for number, key in enumerate(cosigners)},
        statements=tuple(
            _make_statements(charter, member.id, identity) for member, identity in zip(members, identities, strict=True)
        ),
        store=_make_store(entry),
    )


def make_keys(plan: Plan, index: int, quorum: int) -> MemberKeys:
    """Make one member's keys: those of a node, or such as cost nothing."""
    if not plan.has_real_keys:
        return CheapKeys(index, quorum)
    foundation = make_foundation(plan.member_count, plan.pace)
    return VoteKeys(foundation.charter, foundation.identities[index - 1], foundation.shares[index - 1])


def _sign_charter(
    members: list[c.Member], identities: list[IdentityKey], pace: Pace, commitments: tuple[bytes, ...]
) -> bytes:
    payload = c.encode_charter_payload(
        origin=ORIGIN,
        title="Simulation",
        members=members,
        grid=c.Grid(
            start=Seconds(FOUNDED_S + (EPOCH_MS + DEADLINE_MS) // 1000 - 3600),
            interval_s=Seconds(3600),
            submit_window_s=Seconds(2),
            grace_s=Seconds(2),
            correction_window_s=Seconds(86400),
            challenge_window_s=Seconds(86400),
        ),
        limits=[c.Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note="")],
        accelerators=[],
        consensus=c.ConsensusParameters(
            delta_ms=Millis(pace.delta_ms),
            delta_max_ms=Millis(pace.delta_max_ms),
            idle_interval_ms=Millis(pace.idle_interval_ms),
            snapshot_interval=SNAPSHOT_INTERVAL,
        ),
        group_key=commitments[0],
        commitments=commitments,
        transcript=ZERO_HASH,
        founded_at_ms=Millis(FOUNDED_S * 1000),
        agreement=make_agreement_with_rounds(ROUND_S),
    )
    return sign_envelope(payload, [(identity.public_key, identity.sign) for identity in identities])


def _make_statements(charter: c.Charter, nation: str, identity: IdentityKey) -> tuple[bytes, ...]:
    """Register one lab after another: a chain, each naming the one before."""
    issuer = Issuer(nation, charter.ledger_id.hex(), (identity.public_key, identity.sign))
    return tuple(issuer.note(issuer.register(f"{nation}-lab-{number}")) for number in range(STATEMENTS_MAX))


def _make_store(entry: bytes) -> bytes:
    """Write the database of a ledger that has its first block only."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "ledger.sqlite")
        found_store(path, entry, b"")
        Store(path).close()
        return path.read_bytes()
