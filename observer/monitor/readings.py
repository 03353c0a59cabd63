"""What a sealed entry says, read by the strict parser of its kind.

That an entry stands under a sealed root says that a quorum sealed it, and not that the rules allow it: only
`observer.audit` executes them. So an entry that is not of its kind's form is a reading too, and one to be alarmed by.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ledger.errors import LedgerError
from ledger.positions import Height, LeafIndex, Millis
from ledger.statements.beacons import BEACON, SAMPLE, SAMPLE_ANSWER, parse_beacon, parse_sample, parse_sample_answer
from ledger.statements.committee import APPROVAL, PROPOSAL, parse_approval, parse_proposal
from ledger.statements.computed import is_computed_entry
from ledger.statements.dsse import parse_envelope
from ledger.statements.inspections import (
    CHALLENGE,
    FINDING,
    INSPECTORS,
    RESPONSE,
    WITHDRAWAL,
    parse_challenge,
    parse_finding,
    parse_inspectors,
    parse_response,
    parse_withdrawal,
)
from ledger.statements.intoto import Statement
from ledger.statements.inventories import INVENTORY, TRANSFER, parse_inventory, parse_transfer
from ledger.statements.misconduct import MISCONDUCT, parse_misconduct
from ledger.statements.notices import (
    ENFORCEMENT,
    INCIDENT,
    OBSERVATION,
    parse_enforcement,
    parse_incident,
    parse_observation,
)
from ledger.statements.pauses import (
    LAB_PLEDGE,
    PAUSE_ACCESSION,
    PAUSE_EVENT,
    PAUSE_FREEZE,
    PAUSE_PROPOSAL,
    parse_lab_pledge,
    parse_pause_accession,
    parse_pause_event,
    parse_pause_freeze,
    parse_pause_proposal,
)
from ledger.statements.registry import REGISTRATION, parse_registration
from ledger.statements.reports import CORRECTION, REPORT, parse_correction, parse_report
from ledger.statements.runs import (
    RELEASE_NOTICE,
    RELEASE_REVIEW,
    REVIEW_EVENT,
    RUN_DECISION,
    TRAINING_RUN,
    parse_release_notice,
    parse_release_review,
    parse_review_event,
    parse_run_decision,
    parse_training_run,
)
from ledger.statements.verdicts import VERDICT, parse_verdict
from observer.subjects import read_subject

# Any: each parser gives a statement of its own kind's predicate.
SIGNED: Final[Mapping[str, Callable[[bytes], Statement[Any]]]] = {
    REGISTRATION: parse_registration,
    REPORT: parse_report,
    CORRECTION: parse_correction,
    MISCONDUCT: parse_misconduct,
    INVENTORY: parse_inventory,
    TRANSFER: parse_transfer,
    INCIDENT: parse_incident,
    OBSERVATION: parse_observation,
    ENFORCEMENT: parse_enforcement,
    TRAINING_RUN: parse_training_run,
    RUN_DECISION: parse_run_decision,
    RELEASE_REVIEW: parse_release_review,
    REVIEW_EVENT: parse_review_event,
    RELEASE_NOTICE: parse_release_notice,
    BEACON: parse_beacon,
    SAMPLE_ANSWER: parse_sample_answer,
    INSPECTORS: parse_inspectors,
    CHALLENGE: parse_challenge,
    WITHDRAWAL: parse_withdrawal,
    RESPONSE: parse_response,
    FINDING: parse_finding,
    PROPOSAL: parse_proposal,
    APPROVAL: parse_approval,
    PAUSE_PROPOSAL: parse_pause_proposal,
    PAUSE_ACCESSION: parse_pause_accession,
    LAB_PLEDGE: parse_lab_pledge,
    PAUSE_FREEZE: parse_pause_freeze,
}
COMPUTED: Final[Mapping[str, Callable[[bytes], msgspec.Struct]]] = {
    VERDICT: parse_verdict,
    PAUSE_EVENT: parse_pause_event,
    SAMPLE: parse_sample,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One entry as it was read.

    Attributes:
        index: of the entry.
        height: of its block.
        time_ms: of its block.
        kind: of the statement; empty for one that no reader of this version knows.
        subject: what it is about, as it names it; empty as above.
        predicate: what it says; None where `fault` says why it cannot be read.
        fault: empty for what could be read.
    """

    index: LeafIndex
    height: Height
    time_ms: Millis
    kind: str
    subject: str
    predicate: msgspec.Struct | None
    fault: str = ""


def read_entry(entry: bytes, *, index: LeafIndex, height: Height, time_ms: Millis) -> Reading:
    """Read an entry other than the charter, whatever it is."""
    subject = read_subject(entry)
    is_computed = is_computed_entry(entry)
    kind = "" if subject is None else subject.kind
    name = "" if subject is None else subject.name
    if kind not in (COMPUTED if is_computed else SIGNED):
        return Reading(index, height, time_ms, "", name, None, f"kind {kind!r}" if kind else "no statement")
    try:
        predicate = COMPUTED[kind](entry) if is_computed else SIGNED[kind](parse_envelope(entry).payload).predicate
    except LedgerError as error:
        return Reading(index, height, time_ms, kind, name, None, str(error))
    return Reading(index, height, time_ms, kind, name, predicate)
