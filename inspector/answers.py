"""A lab's answer to a sample: decrypted, and held against what the beacon drew from the lab's inventory.

1. The answer on the ledger is the lab's to this sample, and its digest is that of what was decrypted.
2. Sample and positions are drawn again (`inspector.samples`), whatever the entry lists.
3. What was decrypted is of the form, and about this sample.
4. Every drawn position is opened, none else is, and each accelerator stands under the inventory's root.
5. As many open as the answer says. No accelerator is shown twice, here or in what others showed (X9).

Up to the digest a mistake may be anybody's, who need no key to encrypt to an inspector, and is raised. From then on it
is the lab's, whose signed answer has the digest of these very bytes: it becomes a comparison that fails.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inspector.entries import Ledger, Sealed
from inspector.examination import Where, compare_chips, compare_chips_across, require_same_ledger
from inspector.keys import InspectorKeys
from inspector.openings import BUNDLE_BYTES_MAX, Bundle, Opened, check_units
from inspector.parts import FAULTS_NAMED_MAX
from inspector.report import ChipOpened, InspectionReport, RecordsOpened, conclude, list_bases, list_examined
from inspector.samples import Redrawn
from ledger.chips import verify_chip
from ledger.crosschecks.comparisons import Outcome, Place, name_some
from ledger.domains import SAMPLE_REPORT_FORMAT
from ledger.errors import Code, FormatError, LedgerError, PolicyError, ProofError
from ledger.openings import (
    OpenedChip,
    SampleOpenings,
    compute_handed,
    compute_openings_context,
    name_sample,
    parse_sample_openings,
)
from ledger.statements.beacons import BEACON, SAMPLE, SampleAnswer
from ledger.statements.inventories import INVENTORY

CHECK: Final = "ANSWER"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCase:
    """A sample, and what the lab answered.

    Attributes:
        ledger: on which both stand.
        redrawn: the sample, drawn again.
        answer: of the lab.
    """

    ledger: Ledger
    redrawn: Redrawn
    answer: Sealed[SampleAnswer]

    @property
    def name(self) -> str:
        """Of the sample."""
        sample = self.redrawn.sample
        return name_sample(cluster=sample.cluster, beacon_round=sample.round, purpose=sample.purpose)


def require_answer(case: AnswerCase) -> None:
    """Check that the answer is to this sample: rule 1.

    Raises:
        PolicyError: it is of another lab, or to another sample.
    """
    sample, answer = case.redrawn.sample, case.answer.predicate
    pairs = (
        ("issuer", answer.issuer, sample.lab),
        ("round", answer.round, sample.round),
        ("purpose", answer.purpose, sample.purpose),
        ("cluster", answer.cluster, sample.cluster),
    )
    for name, found, expected in pairs:
        if found != expected:
            raise PolicyError(field=f"answer.{name}", found=found, expected=f"{expected}, as in the sample")


def open_answer(raw: bytes, case: AnswerCase, keys: InspectorKeys) -> Bundle:
    """Decrypt what this inspector was sent, and see that it is what the lab's answer names: rule 1.

    Args:
        raw: the encapsulated key and the ciphertext, of at most `BUNDLE_BYTES_MAX` bytes.
        case: passed `require_answer`.
        keys: of the inspector.

    Raises:
        ProofError: it does not open, or is not what the answer names.
        FormatError: too large.
    """
    if len(raw) > BUNDLE_BYTES_MAX:
        found, expected = f"{len(raw)} bytes", f"at most {BUNDLE_BYTES_MAX} bytes"
        raise FormatError(field="bundle", found=found, expected=expected, code=Code.TOO_LARGE)
    context = compute_openings_context(
        ledger_id=case.ledger.charter.ledger_id, challenge=case.name, nation=keys.nation, inspector=keys.public.id
    )
    plain = keys.open(raw, context=context)
    found, named = compute_handed(plain), case.answer.predicate.openings
    if found != named:
        raise ProofError(field="bundle", found=found, expected=f"{named}, which the lab's answer names")
    return Bundle(plain, hashlib.sha256(raw).hexdigest())


def check_answer(plain: bytes, case: AnswerCase) -> Opened:
    """Hold what was decrypted against the ledger: rules 2 to 5, serial numbers aside.

    Args:
        plain: as `open_answer` gave it.
        case: passed `require_answer`.
    """
    opened, redrawn = Opened(), case.redrawn
    place = Place(CHECK, redrawn.sample.cluster)
    opened.comparisons += redrawn.comparisons
    try:
        openings = parse_sample_openings(plain)
    except LedgerError as error:
        opened.comparisons.append(place.state(error.field, error.found, error.expected, Outcome.FAILS))
    else:
        _check_names(opened, openings, case, place)
        _check_chips(opened, openings, case, place)
    drawn = frozenset(redrawn.indices)
    there = frozenset(chip.index for chip in opened.chips if chip.index in drawn)
    said = case.answer.predicate.opened_count
    expected = f"{len(there)}: so many drawn accelerators open"
    opened.comparisons.append(place.compare("opened_count", said, expected, holds=said == len(there)))
    opened.missing += [f"chips.{index}" for index in sorted(redrawn.indices) if index not in there]
    for one in opened.missing[:FAULTS_NAMED_MAX]:
        opened.comparisons.append(place.skip(one, "what was drawn", reason="drawn and not opened"))
    return opened


def examine_answer(
    case: AnswerCase, bundle: Bundle, *, others: Sequence[InspectionReport], nation: str, inspector: str
) -> InspectionReport:
    """Check an answer, and put together what was found out.

    Args:
        case: passed `require_answer`.
        bundle: as `open_answer` gave it.
        others: examinations whose accelerators are held against these.
        nation: whose inspector examines.
        inspector: which.

    Raises:
        PolicyError: an examination is of another ledger.
    """
    charter, sample, receipts = case.ledger.charter, case.redrawn.sample, case.redrawn.receipts
    require_same_ledger(others, charter.fingerprint)
    opened = check_answer(bundle.plain, case)
    annex = {line.model: line for line in charter.accelerators}
    where = Where(sample.lab, sample.cluster, sample.interval)
    comparisons = list_examined(
        [
            *opened.comparisons,
            *compare_chips(sample.cluster, opened, annex),
            *compare_chips_across(where, opened.chips, others),
        ]
    )
    return InspectionReport(
        format=SAMPLE_REPORT_FORMAT,
        ledger=charter.fingerprint,
        is_pinned=case.ledger.is_pinned,
        challenge=None,
        lab=sample.lab,
        cluster=sample.cluster,
        interval=sample.interval,
        nation=nation,
        inspector=inspector,
        entries=list_bases(
            {
                "sample": receipts[SAMPLE],
                "beacon": receipts[BEACON],
                "inventory": receipts[INVENTORY],
                "answer": case.answer.receipt,
            }
        ),
        handed=compute_handed(bundle.plain),
        ciphertext=bundle.ciphertext,
        result=conclude(comparisons, opened.missing),
        missing=tuple(opened.missing),
        fields={},
        records=RecordsOpened(opened=0, of=0),
        chips=tuple(ChipOpened(index=chip.index, model=chip.model, serial=chip.serial) for chip in opened.chips),
        comparisons=comparisons,
        sample=case.name,
    )


def _check_names(opened: Opened, openings: SampleOpenings, case: AnswerCase, place: Place) -> None:
    """Rule 3."""
    sample, receipts = case.redrawn.sample, case.redrawn.receipts
    pairs = (
        ("ledger", openings.ledger, case.ledger.charter.fingerprint),
        ("round", openings.round, sample.round),
        ("purpose", openings.purpose, sample.purpose),
        ("lab", openings.lab, sample.lab),
        ("cluster", openings.cluster, sample.cluster),
        ("sample", openings.sample, receipts[SAMPLE].leaf.hex()),
        ("inventory", openings.inventory, receipts[INVENTORY].leaf.hex()),
    )
    opened.comparisons += [place.compare(name, is_, str(must), holds=is_ == must) for name, is_, must in pairs]


def _check_chips(opened: Opened, openings: SampleOpenings, case: AnswerCase, place: Place) -> None:
    """Rule 4; that all are there is seen by who counts."""
    root, drawn = case.redrawn.root, frozenset(case.redrawn.indices)

    def check(chip: OpenedChip) -> None:
        verify_chip(root, chip.chip(), chip.opening())
        opened.chips.append(chip)

    opened.comparisons += check_units("chips", openings.chips, check, of=root.count, place=place)
    others = [str(chip.index) for chip in openings.chips if chip.index not in drawn]
    if others:
        found = f"{len(others)} that were not drawn: {name_some(others)}"
        opened.comparisons.append(place.state("chips", found, "what was drawn", Outcome.FAILS))
