"""Formats of what a lab hands to inspectors."""

from ledger.disclosure import Disclosure, encode_disclosure
from ledger.domains import OPENINGS_FORMAT
from ledger.limits import INTERVAL_MAX
from ledger.openings import OpenedChip, OpenedRecord, Openings, compute_openings_context, encode_openings
from ledger.positions import Interval, LeafIndex
from tests.formats.draws import Draw


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
