"""One inspection of the year: what is asked, what the lab hands over, and what an inspector makes of it.

The lab opens what it committed to, truly, since nothing else opens. The inspector holds every field, record and
accelerator against the roots and digests on the ledger, runs the cross-checks over what was opened, and concludes from
these alone: no conclusion of the year is written into its script.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devnet.year.books import Book
from devnet.year.cast import LabRole
from devnet.year.chapters.lending import list_chips, make_chips_tree
from devnet.year.facts import ANNEX, FORTNIGHT_S
from ledger.chips import ChipsRoot, verify_chip
from ledger.crosschecks.attestations import compare_chips_across
from ledger.crosschecks.comparisons import Comparison, Outcome
from ledger.crosschecks.figures import read_opened_fields
from ledger.crosschecks.rows import Surroundings, compare_row
from ledger.disclosure import RecordsRoot, RecordsTree, check_disclosures, verify_record
from ledger.domains import OPENINGS_FORMAT
from ledger.openings import OpenedChip, OpenedRecord, Openings
from ledger.positions import Interval, LeafIndex
from ledger.statements.reports import HIDDEN_FIELD_NAMES, HiddenFields, Row

_ANNEX: Final = {each.model: each for each in ANNEX}


@dataclass(frozen=True, slots=True)
class Inquest:
    """What a nation asks.

    Attributes:
        id: of the challenge.
        challenger: the nation.
        lab: who is asked.
        interval: of the story.
        inspectors: nations whose inspectors are to see it, in ascending order.
        chips: positions of the accelerators asked for; none if figures and records are.
    """

    id: str
    challenger: str
    lab: LabRole
    interval: int
    inspectors: tuple[str, ...]
    chips: tuple[int, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The hidden fields asked for, in ascending order."""
        return () if self.chips else tuple(sorted(HIDDEN_FIELD_NAMES))


def open_account(
    inquest: Inquest, book: Book, figures: HiddenFields, *, ledger: str, base: Interval, report: str
) -> Openings:
    """Open a row and its records.

    Args:
        inquest: asks for figures.
        book: the account of the interval.
        figures: as the lab reported them.
        ledger: hex id.
        base: interval of the ledger that is interval 0 of the story.
        report: hex leaf hash of the report.
    """
    disclosures = book.commit(figures).disclosures
    salts = book.record_salts()
    tree = RecordsTree(book.records, salts)
    records = tuple(
        OpenedRecord(index=LeafIndex(index), salt=salt, record=record, path=tree.open_record(LeafIndex(index)).proof)
        for index, (record, salt) in enumerate(zip(book.records, salts, strict=True))
    )
    opened = tuple(disclosures[name] for name in inquest.fields)
    return _make_openings(inquest, ledger=ledger, base=base, report=report, disclosures=opened, records=records)


def open_chips(inquest: Inquest, *, ledger: str, base: Interval, inventory: str) -> Openings:
    """Open accelerators of a lab's inventory; arguments as of `open_account`."""
    listed, tree = list_chips(inquest.lab), make_chips_tree(inquest.lab)
    chips = []
    for index in inquest.chips:
        opening, chip = tree.open_chip(LeafIndex(index)), listed[index]
        chips.append(
            OpenedChip(index=opening.index, salt=opening.salt, model=chip.model, serial=chip.serial, path=opening.proof)
        )
    return _make_openings(inquest, ledger=ledger, base=base, inventory=inventory, chips=tuple(chips))


def inspect_account(row: Row, openings: Openings, lab: LabRole) -> list[Comparison]:
    """Hold opened figures and records against the row, and against each other.

    Raises:
        LedgerError: something does not open what the row commits to.
    """
    disclosed = check_disclosures(row.digests, openings.disclosures)
    root = RecordsRoot(bytes.fromhex(row.records.root), row.records.count)
    busy: dict[str, int] = {}
    training: dict[str, int] = {}
    for each in openings.records:
        verify_record(root, each.record, each.opening())
        job = json.loads(each.record)
        busy[job["model"]] = busy.get(job["model"], 0) + job["chip_seconds"]
        if job["use"] == "training":
            training[job["model"]] = training.get(job["model"], 0) + job["chip_seconds"]
    around = Surroundings(
        interval_s=FORTNIGHT_S,
        accelerators=_ANNEX,
        capacity={lab.fact.chip: lab.fact.chips_count},
        busy=busy,
        training=training,
        is_energy_measured=True,
    )
    figures = read_opened_fields({each.name: each.value for each in disclosed})
    return list(compare_row(row.cluster, figures, around))


def inspect_chips(roots: Mapping[str, ChipsRoot], opened: Mapping[str, Openings]) -> list[Comparison]:
    """Hold opened accelerators against each inventory's root, and inventories against each other (X9).

    Args:
        roots: of the inventories, by lab.
        opened: of the same labs.

    Raises:
        LedgerError: an accelerator is not at its place under the root.
    """
    for lab, openings in opened.items():
        for chip in openings.chips:
            verify_chip(roots[lab], chip.chip(), chip.opening())
    serials = {lab: [f"{chip.model} {chip.serial}" for chip in openings.chips] for lab, openings in opened.items()}
    return list(compare_chips_across(serials))


def find_failures(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those that cannot be true."""
    return [each for each in comparisons if each.outcome == Outcome.FAILS]


def _make_openings(
    inquest: Inquest,
    *,
    ledger: str,
    base: Interval,
    report: str | None = None,
    inventory: str | None = None,
    disclosures: tuple[str, ...] = (),
    records: tuple[OpenedRecord, ...] = (),
    chips: tuple[OpenedChip, ...] = (),
) -> Openings:
    return Openings(
        format=OPENINGS_FORMAT,
        ledger=ledger,
        challenge=inquest.id,
        lab=inquest.lab.id,
        cluster=inquest.lab.cluster,
        interval=Interval(base + inquest.interval),
        report=report,
        inventory=inventory,
        disclosures=disclosures,
        records=records,
        chips=chips,
    )
