"""What a lab of the year answers when the beacon has drawn from its inventory: it opens what was drawn."""

from devnet.year.acts import Header
from devnet.year.cast import LABS
from devnet.year.chapters.lending import list_chips, make_chips_tree
from ledger.domains import OPENINGS_FORMAT
from ledger.openings import OpenedChip, Openings, compute_handed, encode_openings
from ledger.positions import LeafIndex
from ledger.sampling import draw_indices
from ledger.statements.beacons import Sample, SampleAnswer, encode_sample_answer


def write_answer(sample: Sample, header: Header) -> bytes:
    """Answer a sample of a cluster of the story."""
    return encode_sample_answer(
        SampleAnswer(
            **header,
            round=sample.round,
            purpose=sample.purpose,
            cluster=sample.cluster,
            openings=compute_handed(encode_openings(open_sample(sample))),
            opened_count=sample.count,
        )
    )


def open_sample(sample: Sample) -> Openings:
    """Open all accelerators that a sample drew."""
    lab = next(each for each in LABS if each.id == sample.lab)
    listed, tree = list_chips(lab), make_chips_tree(lab)
    drawn = draw_indices(bytes.fromhex(sample.seed), population=sample.population, count=sample.count)
    chips = []
    for index in sorted(drawn):
        opening, chip = tree.open_chip(LeafIndex(index)), listed[index]
        chips.append(
            OpenedChip(index=opening.index, salt=opening.salt, model=chip.model, serial=chip.serial, path=opening.proof)
        )
    return Openings(
        format=OPENINGS_FORMAT,
        ledger=sample.ledger,
        challenge=f"round-{sample.round}",
        lab=lab.id,
        cluster=sample.cluster,
        interval=sample.interval,
        report=None,
        inventory=sample.inventory,
        disclosures=(),
        records=(),
        chips=tuple(chips),
    )
