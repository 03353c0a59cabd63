"""Vocabulary: every kind of statement that parties sign, by its name, with what writes it.

Whoever makes statements of many kinds (a node for its nation, a client for its lab) goes through `encode_predicate`, so
that a kind is written by its own form and nothing else. Types are those of `ledger.schemas`; computed kinds, which
nobody signs, and the charter, which a ceremony makes, are not among them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ledger.errors import Code, FormatError
from ledger.schemas import PREDICATES
from ledger.statements.beacons import BEACON, SAMPLE_ANSWER, encode_beacon, encode_sample_answer
from ledger.statements.committee import APPROVAL, PROPOSAL, encode_approval, encode_proposal
from ledger.statements.inspections import (
    CHALLENGE,
    FINDING,
    INSPECTORS,
    RESPONSE,
    WITHDRAWAL,
    encode_challenge,
    encode_finding,
    encode_inspectors,
    encode_response,
    encode_withdrawal,
)
from ledger.statements.intoto import PredicateHeader
from ledger.statements.inventories import INVENTORY, TRANSFER, encode_inventory, encode_transfer
from ledger.statements.misconduct import MISCONDUCT, encode_misconduct
from ledger.statements.notices import (
    ENFORCEMENT,
    INCIDENT,
    OBSERVATION,
    encode_enforcement,
    encode_incident,
    encode_observation,
)
from ledger.statements.pauses import (
    LAB_PLEDGE,
    PAUSE_ACCESSION,
    PAUSE_FREEZE,
    PAUSE_PROPOSAL,
    encode_lab_pledge,
    encode_pause_accession,
    encode_pause_freeze,
    encode_pause_proposal,
)
from ledger.statements.registry import REGISTRATION, encode_registration
from ledger.statements.reports import CORRECTION, REPORT, encode_correction, encode_report
from ledger.statements.runs import (
    RELEASE_NOTICE,
    RELEASE_REVIEW,
    REVIEW_EVENT,
    RUN_DECISION,
    TRAINING_RUN,
    encode_release_notice,
    encode_release_review,
    encode_review_event,
    encode_run_decision,
    encode_training_run,
)

ENCODERS: Final[Mapping[str, Callable[[Any], bytes]]] = {
    REGISTRATION: encode_registration,
    REPORT: encode_report,
    CORRECTION: encode_correction,
    MISCONDUCT: encode_misconduct,
    INVENTORY: encode_inventory,
    TRANSFER: encode_transfer,
    INCIDENT: encode_incident,
    OBSERVATION: encode_observation,
    ENFORCEMENT: encode_enforcement,
    TRAINING_RUN: encode_training_run,
    RUN_DECISION: encode_run_decision,
    RELEASE_REVIEW: encode_release_review,
    REVIEW_EVENT: encode_review_event,
    RELEASE_NOTICE: encode_release_notice,
    BEACON: encode_beacon,
    SAMPLE_ANSWER: encode_sample_answer,
    INSPECTORS: encode_inspectors,
    CHALLENGE: encode_challenge,
    WITHDRAWAL: encode_withdrawal,
    RESPONSE: encode_response,
    FINDING: encode_finding,
    PROPOSAL: encode_proposal,
    APPROVAL: encode_approval,
    PAUSE_PROPOSAL: encode_pause_proposal,
    PAUSE_ACCESSION: encode_pause_accession,
    LAB_PLEDGE: encode_lab_pledge,
    PAUSE_FREEZE: encode_pause_freeze,
}
"""What writes the payload of each kind; each takes the kind's own predicate (`PREDICATES`), hence Any."""


def read_predicate(kind: str, fields: Mapping[str, object]) -> PredicateHeader:
    """Make a predicate of its fields, the header's among them.

    Raises:
        FormatError: `UNKNOWN_KIND`, or fields that are not those of the kind.
    """
    if kind not in ENCODERS:
        raise FormatError(field="kind", found=kind, expected=f"one of {', '.join(ENCODERS)}", code=Code.UNKNOWN_KIND)
    try:
        predicate = msgspec.convert(dict(fields), PREDICATES[kind])
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field=kind, found=str(error), expected=f"the fields of a {kind}") from None
    assert isinstance(predicate, PredicateHeader), "what parties sign has a header"
    return predicate


def encode_predicate(kind: str, fields: Mapping[str, object]) -> bytes:
    """Write the payload of a statement, ready to be signed, from the fields of its predicate.

    Raises:
        FormatError: `UNKNOWN_KIND`, or fields that the parser of the kind would refuse.
    """
    predicate = read_predicate(kind, fields)
    return ENCODERS[kind](predicate)
