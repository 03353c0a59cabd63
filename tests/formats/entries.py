"""Formats of what stands on the ledger: envelopes, statements of each kind, verdicts, disclosures, records."""

import json
from typing import get_args

from ledger.charter import (
    Accelerator,
    ConsensusParameters,
    Grid,
    Limit,
    Member,
    compute_outage_threshold_s,
    encode_charter_payload,
    parse_charter,
    parse_charter_payload,
)
from ledger.disclosure import (
    Disclosure,
    JsonValue,
    RecordLeaf,
    RecordsTree,
    compute_decoy,
    compute_digest,
    encode_disclosure,
)
from ledger.limits import CONSENSUS_DELAY_MAX_MS, INTERVAL_MAX, SIZE_MAX, TIME_S_MAX
from ledger.positions import Interval, LeafIndex, MemberIndex, Millis, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.dsse import Envelope, EnvelopeSignature, encode_envelope, parse_envelope, sign_envelope
from ledger.statements.intoto import Corrects, encode_quantity
from ledger.statements.registry import (
    Capacity,
    Cluster,
    KeyStatus,
    LabKey,
    Registration,
    compute_next_key_commitment,
    encode_registration,
    parse_registration,
)
from ledger.statements.reports import (
    EMPTY_RECORDS_ROOT,
    Evidence,
    HiddenFields,
    LimitRespected,
    Records,
    Report,
    Row,
    Run,
    Split,
    compute_evidence_nonce,
    encode_correction,
    encode_hidden_fields,
    encode_report,
    parse_correction,
    parse_report,
)
from ledger.statements.verdicts import (
    REASONS_OF_FILINGS,
    STATES_BY_SEVERITY,
    Assurance,
    Verdict,
    encode_verdict,
    parse_verdict,
)
from ledger.threshold.polynomials import compute_public_key
from tests.formats.draws import Draw, Signer

COUNTRIES = ("NO", "KE", "JP", "BR")


def envelope(draw: Draw) -> bytes:
    signers = [draw.signer().pair for _ in range(draw.between(1, 4))]
    raw = sign_envelope(draw.some_raw(1, 200), signers)
    lines = (
        *parse_envelope(raw).signatures,
        EnvelopeSignature("f" * 64, draw.raw(2420)),
    )
    with_ml_dsa = encode_envelope(Envelope(payload=draw.some_raw(1, 50), signatures=lines))
    return raw + with_ml_dsa


def header(draw: Draw) -> dict[str, object]:
    """The fields every signed predicate begins with."""
    return {
        "ledger": draw.hex32(),
        "issuer": draw.identifier(),
        "sequence": SequenceNumber(draw.number(2**53)),
        "previous": draw.hex32(),
        "issued_at": Seconds(draw.number(TIME_S_MAX)),
        "corrects": None,
    }


def distinct(draw: Draw, least: int, most: int) -> list[str]:
    """Different identifiers in ascending order."""
    return sorted(dict.fromkeys(draw.identifier() for _ in range(draw.between(least, most))))


def registration(draw: Draw) -> bytes:
    statuses: tuple[KeyStatus, ...] = get_args(KeyStatus)
    clusters = [
        Cluster(
            id=name,
            facility=draw.text(),
            country=draw.pick(COUNTRIES),
            capacity=tuple(Capacity(model, draw.number(2**53)) for model in distinct(draw, 0, 3))
            if draw.flag()
            else None,
        )
        for name in distinct(draw, 0, 4)
    ]
    first = LabKey(draw.signer().public_key, "active")
    rest = draw.some(lambda: LabKey(draw.signer().public_key, draw.pick(statuses)), 0, 3)
    made = Registration(
        **header(draw),  # type: ignore[arg-type]  # each of its own type
        lab=draw.identifier(),
        name=draw.text(),
        keys=(first, *rest),
        next_key_sha256=draw.hex32(),
        clusters=tuple(clusters),
    )
    raw = encode_registration(made)
    assert parse_registration(raw).predicate == made
    return raw


def row(draw: Draw, cluster: str) -> Row:
    is_empty = draw.flag()
    return Row(
        cluster=cluster,
        digests=tuple(sorted(dict.fromkeys(compute_decoy(draw.digest()) for _ in range(draw.below(5))))),
        limits_respected=tuple(LimitRespected(limit, draw.flag()) for limit in distinct(draw, 0, 3)),
        band=draw.below(41),
        records=Records(root=EMPTY_RECORDS_ROOT, count=0)
        if is_empty
        else Records(root=draw.hex32(), count=1 + draw.number(2**53 - 1)),
        evidence=draw.some(
            lambda: Evidence(
                draw.identifier(), draw.identifier(), draw.hex32(), draw.number(2**53), nonce=draw.hex32()
            ),
            0,
            2,
        ),
    )


def _report(draw: Draw, corrects: Corrects | None) -> Report:
    fields = header(draw) | {"corrects": corrects}
    rows = tuple(row(draw, cluster) for cluster in distinct(draw, 1, 3))
    return Report(**fields, interval=Interval(draw.number(INTERVAL_MAX)), rows=rows)  # type: ignore[arg-type]  # as above


def report(draw: Draw) -> bytes:
    made = _report(draw, None)
    raw = encode_report(made)
    assert parse_report(raw).predicate == made
    return raw


def correction(draw: Draw) -> bytes:
    made = _report(draw, Corrects(draw.hex32(), draw.text()))
    raw = encode_correction(made)
    assert parse_correction(raw).predicate == made
    return raw


def verdict(draw: Draw) -> bytes:
    levels: tuple[Assurance, ...] = get_args(Assurance)
    made = Verdict(
        ledger=draw.hex32(),
        lab=draw.identifier(),
        nation=draw.identifier(),
        cluster=draw.identifier(),
        interval=Interval(draw.number(INTERVAL_MAX)),
        state=draw.pick(STATES_BY_SEVERITY),
        reasons=tuple(reason for reason in REASONS_OF_FILINGS if draw.flag()),
        assurance=draw.pick(levels),
        report=draw.hex32(),
        time_ms=Millis(draw.number()),
        supersedes=draw.hex32(),
    )
    raw = encode_verdict(made)
    assert parse_verdict(raw) == made
    return raw


def terms(draw: Draw) -> tuple[Grid, ConsensusParameters, tuple[Limit, ...], tuple[Accelerator, ...]]:
    """What a charter fixes beside who its members are."""

    def window() -> Seconds:
        return Seconds(1 + draw.number(10**6))

    grid = Grid(
        start=Seconds(draw.number(TIME_S_MAX)),
        interval_s=window(),
        submit_window_s=window(),
        grace_s=window(),
        correction_window_s=window(),
        challenge_window_s=window(),
    )
    delta = draw.between(1, 1_000)
    consensus = ConsensusParameters(
        delta_ms=Millis(delta),
        delta_max_ms=Millis(draw.between(delta, CONSENSUS_DELAY_MAX_MS)),
        idle_interval_ms=Millis(
            draw.between(1, min(CONSENSUS_DELAY_MAX_MS, 1000 * compute_outage_threshold_s(grid) - 1))
        ),
        snapshot_interval=draw.number(2**53),
    )
    limits = tuple(
        Limit(
            id=name,
            quantity=draw.pick(("training_pflop", "energy_wh_2")),
            maximum=encode_quantity(draw.number(SIZE_MAX)),
            note=draw.text(0),
        )
        for name in distinct(draw, 0, 3)
    )
    accelerators = tuple(
        Accelerator(
            model=model, peak_gflops=draw.between(1, 2**50), tdp_w=draw.between(100, 900), idle_w=draw.below(100)
        )
        for model in distinct(draw, 0, 3)
    )
    return grid, consensus, limits, accelerators


def make_member(draw: Draw, index: int, identity: Signer) -> Member:
    return Member(
        index=MemberIndex(index),
        id=f"{draw.identifier()}{index}",
        name=draw.text(),
        node=f"{draw.key_name()}{index}",
        identity=identity.public_key,
        cosigner=draw.signer().public_key,
        cosigner_ml_dsa_sha256=draw.hex32(),
        log=draw.signer().public_key,
        encryption=draw.digest(),
        peer=f"{draw.pick(('a.example', '[2001:db8::1]', '192.0.2.7'))}:{index}",
        public=f"b.example:{draw.between(1, 65535)}",
        http=f"https://c.example{draw.pick(('', '/ledger', '/a/b'))}",
    )


def charter(draw: Draw) -> bytes:
    """Entry 0, signed by every founder."""
    identities = [draw.signer() for _ in range(draw.between(1, 4))]
    quorum = len(identities) - (len(identities) - 1) // 3
    grid, consensus, limits, accelerators = terms(draw)
    commitments = [compute_public_key(draw.scalar()) for _ in range(quorum)]
    payload = encode_charter_payload(
        origin=draw.key_name(),
        title=draw.text(),
        members=[make_member(draw, index, identity) for index, identity in enumerate(identities, 1)],
        grid=grid,
        limits=limits,
        accelerators=accelerators,
        consensus=consensus,
        group_key=commitments[0],
        commitments=commitments,
        transcript=draw.hex32(),
        founded_at_ms=Millis(draw.number(TIME_S_MAX * 1000)),
    )
    parse_charter_payload(payload)
    entry = sign_envelope(payload, [identity.pair for identity in identities])
    assert parse_charter(entry).entry == entry
    return entry


def quantity(draw: Draw) -> int | str:
    return encode_quantity(draw.number(SIZE_MAX))


def hidden_fields(draw: Draw) -> bytes:
    """The values of a row's hidden fields as JSON, in their order."""
    made = HiddenFields(
        chip_seconds={model: quantity(draw) for model in distinct(draw, 0, 3)},
        busy_chip_seconds=quantity(draw),
        split=Split(**{name: quantity(draw) for name in Split.__struct_fields__}),
        training_pflop=quantity(draw),
        largest_run_pflop=quantity(draw),
        energy_wh=quantity(draw),
        facility_energy_wh=quantity(draw),
        utilisation_permille=draw.below(1001),
        runs=tuple(
            Run(run=name, pflop=quantity(draw), cumulative_pflop=quantity(draw)) for name in distinct(draw, 0, 2)
        ),
    )
    return json.dumps(encode_hidden_fields(made), ensure_ascii=False, separators=(",", ":")).encode()


def _json(draw: Draw, depth: int) -> JsonValue:
    kind = draw.below(6 if depth else 4)
    if kind == 0:
        return None
    if kind == 1:
        return draw.flag()
    if kind == 2:
        return draw.number(2**53) * (1 if draw.flag() else -1)
    if kind == 3:
        return draw.text(0)
    if kind == 4:
        return [_json(draw, depth - 1) for _ in range(draw.below(4))]
    return {draw.text(): _json(draw, depth - 1) for _ in range(draw.below(4))}


def disclosure(draw: Draw) -> bytes:
    """A disclosure and its digest."""
    text = encode_disclosure(Disclosure(draw.some_raw(16, 32), draw.text(), _json(draw, 2)))
    return f"{text}\n{compute_digest(text)}\n".encode()


def record(draw: Draw) -> bytes:
    """A leaf, and root, salt and path of one record of a row."""
    leaf = RecordLeaf(LeafIndex(draw.number()), draw.raw(16), draw.digest()).encode()
    count = draw.between(1, 9)
    tree = RecordsTree([draw.some_raw(0, 30) for _ in range(count)], [draw.raw(16) for _ in range(count)])
    opening = tree.open_record(LeafIndex(draw.below(count)))
    return leaf + tree.root().root + opening.salt + b"".join(opening.proof)


def commitments(draw: Draw) -> bytes:
    """Hashes that bind evidence to a report, and a lab to its next key."""
    nonce = compute_evidence_nonce(
        ledger=draw.hex32(),
        lab=draw.identifier(),
        interval=Interval(draw.number(INTERVAL_MAX)),
        previous=draw.hex32(),
        latest_root=draw.digest(),
    )
    return nonce + compute_next_key_commitment(draw.signer().public_key).encode()
