"""Formats of inspections: what an inventory commits to, what is drawn from it, and what is said of it."""

from typing import get_args

import msgspec

from ledger.beacons import compute_beacon_message
from ledger.chips import Chip, ChipsTree, encode_chip_leaf
from ledger.disclosure import Disclosure, encode_disclosure
from ledger.domains import OPENINGS_FORMAT, OPENINGS_PARTS_FORMAT, SAMPLE_OPENINGS_FORMAT
from ledger.limits import INTEGER_MAX, INTERVAL_MAX, SAMPLE_COUNT_MAX, U64_MAX
from ledger.openings import (
    SHARED,
    WHOLE,
    OpenedChip,
    OpenedPart,
    OpenedRecord,
    Openings,
    SampleOpenings,
    compute_openings_context,
    encode_openings,
    encode_sample_openings,
)
from ledger.positions import BeaconRound, Interval, LeafIndex, Millis
from ledger.rules.record import encode_record
from ledger.rules.records.inspections import (
    BEACONS,
    CHALLENGES,
    INSPECTOR_KEYS,
    INSPECTORS,
    OPEN_CHALLENGES,
    RAISED_COUNTS,
    RAISED_TIMES,
    SAMPLES,
    SAMPLING,
    ChallengeName,
    Drawn,
    Found,
    InspectorKey,
    NationInspectors,
    OpenSample,
    RaisedAt,
    RaisedChallenge,
    RaisedCount,
    RegisteredInspector,
    Sampling,
    Stage,
    make_open_name,
    make_raised_name,
    make_sample_name,
)
from ledger.rules.records.rounds import make_round_name
from ledger.rules.state import State
from ledger.rules.tables import TABLES
from ledger.sampling import Purpose, compute_sample_nonce, compute_seed, draw_indices
from ledger.statements.beacons import (
    Beacon,
    Sample,
    SampleAnswer,
    encode_beacon,
    encode_sample,
    encode_sample_answer,
    parse_beacon,
    parse_sample,
    parse_sample_answer,
)
from ledger.statements.inspections import (
    Challenge,
    Conclusion,
    FieldFinding,
    FieldName,
    Finding,
    Ground,
    Grounds,
    Handed,
    Inspector,
    Inspectors,
    Level,
    Named,
    Outcome,
    Request,
    Response,
    Withdrawal,
    encode_challenge,
    encode_finding,
    encode_inspectors,
    encode_response,
    encode_withdrawal,
    parse_challenge,
    parse_finding,
    parse_inspectors,
    parse_response,
    parse_withdrawal,
)
from ledger.statements.registry import KeyStatus
from tests.formats import entries
from tests.formats.draws import Draw


def chip(draw: Draw) -> bytes:
    """A leaf, and root, salt and path of one chip of an inventory."""
    leaf = encode_chip_leaf(LeafIndex(draw.number()), draw.digest(), Chip(draw.identifier(), draw.hex32()))
    count = draw.between(1, 9)
    tree = ChipsTree(
        [Chip(draw.identifier(), draw.hex32()) for _ in range(count)], [draw.digest() for _ in range(count)]
    )
    opening = tree.open_chip(LeafIndex(draw.below(count)))
    return leaf + tree.root().root + opening.salt + b"".join(opening.proof)


def sample(draw: Draw) -> bytes:
    """A seed, what it draws, and the nonce of the first unit."""
    population = draw.number(U64_MAX) if draw.flag() else draw.below(30)
    seed = compute_seed(
        signature=draw.raw(48),
        block_digest=draw.digest(),
        ledger_id=draw.digest(),
        beacon_round=BeaconRound(draw.number(U64_MAX)),
        purpose=draw.pick(tuple(Purpose)),
        lab=draw.identifier(),
        cluster=draw.identifier(),
        inventory_leaf=draw.digest(),
        population=population,
    )
    indices = draw_indices(seed, population=population, count=draw.below(20))
    nonce = compute_sample_nonce(seed, indices[0]) if indices else b""
    return seed + b"".join(index.to_bytes(8, "big") for index in indices) + nonce


def beacon(draw: Draw) -> bytes:
    number = BeaconRound(draw.number(INTEGER_MAX))
    made = Beacon(**entries.header(draw), round=number, signature=draw.raw(48))  # type: ignore[arg-type]  # each of its own type
    raw = encode_beacon(made)
    assert parse_beacon(raw).predicate == made
    return raw


def beacon_message(draw: Draw) -> bytes:
    return compute_beacon_message(BeaconRound(draw.number()))


def sample_entry(draw: Draw) -> bytes:
    """The entry of a sample."""
    made = Sample(
        ledger=draw.hex32(),
        round=BeaconRound(draw.number(INTEGER_MAX)),
        purpose=draw.pick(tuple(Purpose)),
        lab=draw.identifier(),
        cluster=draw.identifier(),
        interval=Interval(draw.number(INTERVAL_MAX)),
        block=draw.hex32(),
        inventory=draw.hex32(),
        population=1 + draw.number(INTEGER_MAX - 1),
        count=1 + draw.number(SAMPLE_COUNT_MAX - 1),
        seed=draw.hex32(),
        indices=draw.some(lambda: LeafIndex(draw.number(INTEGER_MAX)), 0, 5),
        time_ms=Millis(draw.number()),
        answer_by_ms=Millis(draw.number()),
    )
    raw = encode_sample(made)
    assert parse_sample(raw) == made
    return raw


def sample_answer(draw: Draw) -> bytes:
    made = SampleAnswer(
        **entries.header(draw),  # type: ignore[arg-type]  # each of its own type
        round=BeaconRound(draw.number(INTEGER_MAX)),
        purpose=draw.pick(tuple(Purpose)),
        cluster=draw.identifier(),
        openings=draw.hex32(),
        opened_count=draw.number(INTEGER_MAX),
    )
    raw = encode_sample_answer(made)
    assert parse_sample_answer(raw).predicate == made
    return raw


def inspectors(draw: Draw) -> bytes:
    """A nation's list of inspectors, some of them revoked."""
    statuses: tuple[KeyStatus, ...] = get_args(KeyStatus)
    made = Inspectors(
        **entries.header(draw),  # type: ignore[arg-type]  # each of its own type
        inspectors=tuple(
            Inspector(
                id=name,
                name=draw.text(),
                signing_key=draw.signer().public_key,
                encryption_key=draw.digest(),
                status=draw.pick(statuses),
            )
            for name in entries.distinct(draw, 0, 4)
        ),
    )
    raw = encode_inspectors(made)
    assert parse_inspectors(raw).predicate == made
    return raw


def _ascending(draw: Draw) -> tuple[LeafIndex, ...]:
    return tuple(LeafIndex(index) for index in sorted({draw.number(INTEGER_MAX) for _ in range(draw.below(5))}))


def _pairs(draw: Draw) -> list[tuple[str, str]]:
    return sorted((nation, draw.identifier()) for nation in entries.distinct(draw, 1, 3))


def challenge(draw: Draw) -> bytes:
    fields: tuple[FieldName, ...] = get_args(FieldName)
    chips = _ascending(draw)
    made = Challenge(
        **entries.header(draw),  # type: ignore[arg-type]  # each of its own type
        challenge=draw.identifier(),
        lab=draw.identifier(),
        cluster=draw.identifier(),
        interval=Interval(draw.number(INTERVAL_MAX)),
        request=Request(
            fields=tuple(sorted(field for field in fields if draw.flag())),
            records=_ascending(draw),
            inventory=draw.hex32() if chips else None,
            chips=chips,
            recompute=draw.identifier(),
        ),
        grounds=Grounds(LeafIndex(draw.number(INTEGER_MAX)) if draw.flag() else None, draw.text()),
        inspectors=tuple(Named(*pair) for pair in _pairs(draw)),
    )
    raw = encode_challenge(made)
    assert parse_challenge(raw).predicate == made
    return raw


def withdrawal(draw: Draw) -> bytes:
    made = Withdrawal(**entries.header(draw), challenge=draw.identifier(), reason=draw.text())  # type: ignore[arg-type]  # each of its own type
    raw = encode_withdrawal(made)
    assert parse_withdrawal(raw).predicate == made
    return raw


def response(draw: Draw) -> bytes:
    outcomes: tuple[Outcome, ...] = get_args(Outcome)
    outcome = draw.pick(outcomes)
    is_provided = outcome == "provided"
    made = Response(
        **entries.header(draw),  # type: ignore[arg-type]  # each of its own type
        challenge=draw.identifier(),
        outcome=outcome,
        handed=draw.hex32() if is_provided else None,
        recipients=tuple(
            Handed(nation=nation, inspector=inspector, ciphertext=draw.hex32())
            for nation, inspector in (_pairs(draw) if is_provided else [])
        ),
    )
    raw = encode_response(made)
    assert parse_response(raw).predicate == made
    return raw


def finding(draw: Draw) -> bytes:
    conclusions: tuple[Conclusion, ...] = get_args(Conclusion)
    fields: tuple[FieldName, ...] = get_args(FieldName)
    grounds: tuple[Ground, ...] = get_args(Ground)
    levels: tuple[Level, ...] = get_args(Level)
    conclusion = draw.pick(conclusions)
    made = Finding(
        **entries.header(draw),  # type: ignore[arg-type]  # each of its own type
        challenge=draw.identifier(),
        inspector=draw.identifier(),
        conclusion=conclusion,
        fields=tuple(FieldFinding(field, draw.pick(conclusions)) for field in sorted(fields) if draw.flag()),
        grounds=tuple(ground for ground in grounds if conclusion == "inconsistent" and draw.flag()),
        level=draw.pick(levels) if conclusion == "consistent" else None,
        report=draw.hex32(),
    )
    raw = encode_finding(made)
    assert parse_finding(raw).predicate == made
    return raw


def records(draw: Draw) -> bytes:
    """A record of every table of inspections, each with its key."""
    state, interval = State(), Interval(draw.number(INTERVAL_MAX))
    nation, name, cluster = draw.identifier(), draw.identifier(), draw.identifier()
    BEACONS.put(
        state, Drawn(draw.raw(48), draw.digest(), LeafIndex(draw.number())), make_round_name(draw.number(INTEGER_MAX))
    )
    SAMPLING.put(state, Sampling(draw.number(), draw.below(9), draw.below(9), is_scheduled=draw.flag()))
    sample_name = make_sample_name(draw.number(INTEGER_MAX), draw.pick(tuple(Purpose)), cluster)
    SAMPLES.put(
        state,
        OpenSample(draw.identifier(), cluster, interval, draw.number(SAMPLE_COUNT_MAX), LeafIndex(draw.number())),
        sample_name,
    )
    lines = draw.some(
        lambda: RegisteredInspector(
            draw.identifier(), draw.digest(), draw.digest(), LeafIndex(draw.number()) if draw.flag() else None
        ),
        0,
        3,
    )
    INSPECTORS.put(state, NationInspectors(lines), nation.encode())
    INSPECTOR_KEYS.put(state, InspectorKey(nation, name), draw.digest())
    stages: tuple[Stage, ...] = get_args(Stage)
    raised = RaisedChallenge(
        nation=nation,
        lab=draw.identifier(),
        cluster=cluster,
        interval=interval,
        report=draw.digest(),
        index=LeafIndex(draw.number()),
        stage=draw.pick(stages),
        inspectors=tuple(_pairs(draw)),
        findings=draw.some(
            lambda: Found(
                draw.identifier(),
                draw.identifier(),
                draw.pick(get_args(Conclusion)),
                tuple(entries.distinct(draw, 0, 2)),
                draw.pick(("", "A3")),
            ),
            0,
            2,
        ),
    )
    CHALLENGES.put(state, raised, name.encode())
    OPEN_CHALLENGES.put(state, ChallengeName(name), make_open_name(nation, cluster, interval))
    RAISED_COUNTS.put(state, RaisedCount(draw.number()), nation.encode())
    RAISED_TIMES.put(state, RaisedAt(Millis(draw.number())), make_raised_name(nation, draw.below(100)))
    changes = [(key, value) for key, value in state.changes() if value is not None]
    assert [encode_record(TABLES[key[0]].decode(value)) for key, value in changes] == [value for _, value in changes]
    return b"".join(b"%b\n%b\n" % change for change in changes)


def openings(draw: Draw) -> bytes:
    """What answers a challenge."""
    return encode_openings(_openings(draw))


def openings_with_parts(draw: Draw) -> bytes:
    """The same, with more than was asked."""
    leaves = sorted(draw.hex32() for _ in range(1 + draw.below(3)))
    parts = tuple(
        OpenedPart(leaf=leaf, part=draw.pick((WHOLE, SHARED, draw.identifier())), disclosures=_disclosures(draw, 1))
        for leaf in leaves
    )
    return encode_openings(msgspec.structs.replace(_openings(draw), format=OPENINGS_PARTS_FORMAT, parts=parts))


def _disclosures(draw: Draw, least: int) -> tuple[str, ...]:
    return draw.some(
        lambda: encode_disclosure(Disclosure(draw.raw(16), draw.identifier(), draw.number(2**53))), least, 3
    )


def _openings(draw: Draw) -> Openings:
    disclosures = _disclosures(draw, 0)
    records = tuple(_record(draw, at) for at in range(draw.below(4)))
    chips = tuple(_chip(draw, 2 * at) for at in range(draw.below(4)))
    return Openings(
        format=OPENINGS_FORMAT,
        ledger=draw.hex32(),
        challenge=draw.identifier(),
        lab=draw.identifier(),
        cluster=draw.identifier(),
        interval=Interval(draw.number(INTERVAL_MAX)),
        report=draw.hex32() if disclosures or records else None,
        inventory=draw.hex32() if chips else None,
        disclosures=disclosures,
        records=records,
        chips=chips,
    )


def sample_openings(draw: Draw) -> bytes:
    """What answers a sample."""
    return encode_sample_openings(
        SampleOpenings(
            format=SAMPLE_OPENINGS_FORMAT,
            ledger=draw.hex32(),
            round=BeaconRound(draw.number(INTEGER_MAX)),
            purpose=draw.pick(tuple(Purpose)),
            lab=draw.identifier(),
            cluster=draw.identifier(),
            sample=draw.hex32(),
            inventory=draw.hex32(),
            chips=tuple(_chip(draw, 2 * at) for at in range(draw.below(4))),
        )
    )


def openings_context(draw: Draw) -> bytes:
    """What binds a ciphertext of it to one inspector."""
    return compute_openings_context(
        ledger_id=draw.digest(), challenge=draw.identifier(), nation=draw.identifier(), inspector=draw.identifier()
    )


def _record(draw: Draw, index: int) -> OpenedRecord:
    path = draw.some(draw.digest, 0, 3)
    return OpenedRecord(index=LeafIndex(index), salt=draw.raw(16), record=draw.some_raw(0, 50), path=path)


def _chip(draw: Draw, index: int) -> OpenedChip:
    path = draw.some(draw.digest, 0, 3)
    return OpenedChip(
        index=LeafIndex(index), salt=draw.digest(), model=draw.identifier(), serial=draw.hex32(), path=path
    )
