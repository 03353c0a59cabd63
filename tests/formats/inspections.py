"""Formats of inspections: what an inventory commits to, and what is drawn from it."""

from ledger.chips import Chip, ChipsTree, encode_chip_leaf
from ledger.disclosure import Disclosure, encode_disclosure
from ledger.domains import OPENINGS_FORMAT
from ledger.limits import INTERVAL_MAX, U64_MAX
from ledger.openings import OpenedChip, OpenedRecord, Openings, compute_openings_context, encode_openings
from ledger.positions import BeaconRound, Interval, LeafIndex
from ledger.sampling import Purpose, compute_sample_nonce, compute_seed, draw_indices
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


def openings(draw: Draw) -> bytes:
    """What answers a challenge."""
    disclosures = draw.some(
        lambda: encode_disclosure(Disclosure(draw.raw(16), draw.identifier(), draw.number(2**53))), 0, 3
    )
    records = tuple(_record(draw, at) for at in range(draw.below(4)))
    chips = tuple(_chip(draw, 2 * at) for at in range(draw.below(4)))
    return encode_openings(
        Openings(
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
