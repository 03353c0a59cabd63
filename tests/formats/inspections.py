"""Formats of inspections: what an inventory commits to, what is drawn from it, and what is said of it."""

from ledger.beacons import compute_beacon_message
from ledger.chips import Chip, ChipsTree, encode_chip_leaf
from ledger.limits import INTEGER_MAX, U64_MAX
from ledger.positions import BeaconRound, LeafIndex
from ledger.rules.record import encode_record
from ledger.rules.records.inspections import BEACONS, Drawn
from ledger.sampling import Purpose, compute_sample_nonce, compute_seed, draw_indices
from ledger.statements.beacons import Beacon, encode_beacon, parse_beacon
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


def records(draw: Draw) -> bytes:
    """A record of every table of inspections, each with its letter."""
    drawn = encode_record(Drawn(draw.raw(48), draw.digest(), LeafIndex(draw.number())))
    assert encode_record(BEACONS.decode(drawn)) == drawn
    return BEACONS.letter + drawn
