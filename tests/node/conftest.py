"""A founded committee in memory: keys, charter and transcript as a ceremony would leave them."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from ledger.agreement import Agreement
from ledger.charter import Accelerator, ConsensusParameters, Grid, Limit, Member, compute_quorum, encode_charter_payload
from ledger.positions import FIRST_EPOCH, MemberIndex, Millis, Seconds
from ledger.statements.dsse import sign_envelope
from ledger.threshold.dealing import combine_deals, combine_shares, make_deal
from ledger.threshold.transcripts import SealedDeal, Transcript, compute_transcript_digest, encode_transcript
from node.keys import CosignerKey, EncryptionKey, IdentityKey, LogKey, ShareKey, seal_box
from node.presets import find_preset, make_agreement


@dataclass(frozen=True)
class Founder:
    """One member's secrets."""

    identity: IdentityKey
    cosigner: CosignerKey
    log: LogKey
    encryption: EncryptionKey
    share: ShareKey


@dataclass(frozen=True)
class Committee:
    """A founded ledger."""

    entry: bytes
    transcript: bytes
    founders: list[Founder]


def make_agreement_with_rounds(round_s: int, *, challenge_window_s: int = 86_400) -> Agreement:
    """An agreement whose inspection rounds are short; they divide the interval."""
    made = make_agreement(find_preset("eu"), interval_s=round_s, challenge_window_s=challenge_window_s)
    return replace(made, inspections=replace(made.inspections, round_s=Seconds(round_s)))


def found_committee(
    ports: list[tuple[int, int, int]],
    *,
    seed: int = 1,
    start: int = 1_700_000_000,
    interval_s: int = 3600,
    idle_interval_ms: int = 1000,
    delta_ms: int = 100,
    submit_window_s: int = 3600,
    grace_s: int = 3600,
    snapshot_interval: int = 0,
    agreement: Agreement | None = None,
    founded_s: int | None = None,
) -> Committee:
    """Deal, certify and sign without a network."""
    draw = random.Random(seed)
    randomness: Callable[[int], bytes] = draw.randbytes
    count = len(ports)
    quorum = compute_quorum(count)
    session = hashlib.sha256(b"test session").digest()
    dealt = [
        make_deal(dealer=MemberIndex(i + 1), quorum=quorum, members_count=count, session=session, randomness=randomness)
        for i in range(count)
    ]
    public = combine_deals([deal for deal, _ in dealt])
    keys = [
        (
            IdentityKey.make(randomness),
            CosignerKey.make(randomness),
            LogKey.make(randomness),
            EncryptionKey.make(randomness),
        )
        for _ in range(count)
    ]
    founders = []
    for i in range(count):
        secret = combine_shares([shares[i] for _, shares in dealt])
        share = ShareKey(secret, epoch=FIRST_EPOCH, member=MemberIndex(i + 1))
        founders.append(Founder(*keys[i], share))
    boxes = tuple(seal_box(bytes(32), recipient=key[3].public_key, context=b"") for key in keys)
    transcript = encode_transcript(
        Transcript(
            session=session,
            cosigners_ml_dsa=tuple(founder.cosigner.ml_dsa_public_key for founder in founders),
            deals=tuple(SealedDeal(deal=deal, boxes=boxes) for deal, _ in dealt),
        )
    )
    members = [
        Member(
            index=MemberIndex(i + 1),
            id=f"nation-{'abcdefgh'[i]}",
            name=f"Nation {i + 1}",
            node=f"node-{i + 1}.example",
            identity=founder.identity.public_key,
            cosigner=founder.cosigner.public_key,
            cosigner_ml_dsa_sha256=hashlib.sha256(founder.cosigner.ml_dsa_public_key).hexdigest(),
            log=founder.log.public_key,
            encryption=founder.encryption.public_key,
            peer=f"127.0.0.1:{peer}",
            public=f"127.0.0.1:{api}",
            http=f"http://127.0.0.1:{http}",
        )
        for i, (founder, (peer, api, http)) in enumerate(zip(founders, ports, strict=True))
    ]
    payload = encode_charter_payload(
        origin="ledger.example/test",
        title="Test",
        members=members,
        grid=Grid(
            start=Seconds(start),
            interval_s=Seconds(interval_s),
            submit_window_s=Seconds(submit_window_s),
            grace_s=Seconds(grace_s),
            correction_window_s=Seconds(86400),
            challenge_window_s=Seconds(86400),
        ),
        limits=[Limit(id="run-cap", quantity="training_pflop_per_run", maximum=10**9, note="test")],
        accelerators=[Accelerator(model="h100", peak_gflops=989_400, tdp_w=700, idle_w=70)],
        consensus=ConsensusParameters(
            delta_ms=Millis(delta_ms),
            delta_max_ms=Millis(2000),
            idle_interval_ms=Millis(idle_interval_ms),
            snapshot_interval=snapshot_interval,
        ),
        group_key=public.group_key,
        commitments=public.commitments,
        transcript=compute_transcript_digest(transcript).hex(),
        founded_at_ms=Millis((start if founded_s is None else founded_s) * 1000),
        agreement=agreement,
    )
    entry = sign_envelope(payload, [(f.identity.public_key, f.identity.sign) for f in founders])
    return Committee(entry=entry, transcript=transcript, founders=founders)


@pytest.fixture
def make_committee() -> Callable[..., Committee]:
    return found_committee
