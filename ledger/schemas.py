r"""JSON Schemas of every kind of statement, made from the types that the parsers use.

For people and programs that make or read statements without this code. A schema says as much as JSON Schema can: what
fields there are, of what type, within which bounds. The one encoding, the subject that follows from the predicate, and
whatever relates two fields are said in `docs/formats.md` and checked by the parsers, which decide.

Source: JSON Schema draft 2020-12; patterns are ECMA-262, which has no `\A` and `\Z`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ledger.charter import CHARTER, CharterPredicate, CharterPredicateV2
from ledger.domains import PREDICATE_PREFIX, STATEMENT_TYPE
from ledger.statements.beacons import BEACON, SAMPLE, SAMPLE_ANSWER, Beacon, Sample, SampleAnswer
from ledger.statements.committee import APPROVAL, PROPOSAL, Approval, Proposal
from ledger.statements.inspections import (
    CHALLENGE,
    FINDING,
    INSPECTORS,
    RESPONSE,
    WITHDRAWAL,
    Challenge,
    Finding,
    Inspectors,
    Response,
    Withdrawal,
)
from ledger.statements.intoto import Subject, make_kind_name
from ledger.statements.inventories import INVENTORY, TRANSFER, Inventory, Transfer
from ledger.statements.misconduct import MISCONDUCT, MisconductReport
from ledger.statements.notices import ENFORCEMENT, INCIDENT, OBSERVATION, Enforcement, Incident, Observation
from ledger.statements.pauses import (
    LAB_PLEDGE,
    PAUSE_ACCESSION,
    PAUSE_EVENT,
    PAUSE_FREEZE,
    PAUSE_PROPOSAL,
    LabPledge,
    PauseAccession,
    PauseEvent,
    PauseFreeze,
    PauseProposal,
)
from ledger.statements.registry import REGISTRATION, Registration
from ledger.statements.reports import CORRECTION, REPORT, Report
from ledger.statements.runs import (
    RELEASE_NOTICE,
    RELEASE_REVIEW,
    REVIEW_EVENT,
    RUN_DECISION,
    TRAINING_RUN,
    ReleaseNotice,
    ReleaseReview,
    ReviewEvent,
    RunDecision,
    TrainingRun,
)
from ledger.statements.verdicts import VERDICT, Verdict

PREDICATES: Final[Mapping[str, type[msgspec.Struct]]] = {
    CHARTER: CharterPredicate,
    make_kind_name(CHARTER, 2): CharterPredicateV2,
    REGISTRATION: Registration,
    REPORT: Report,
    CORRECTION: Report,
    MISCONDUCT: MisconductReport,
    INVENTORY: Inventory,
    TRANSFER: Transfer,
    INCIDENT: Incident,
    OBSERVATION: Observation,
    ENFORCEMENT: Enforcement,
    TRAINING_RUN: TrainingRun,
    RUN_DECISION: RunDecision,
    RELEASE_REVIEW: ReleaseReview,
    REVIEW_EVENT: ReviewEvent,
    RELEASE_NOTICE: ReleaseNotice,
    PROPOSAL: Proposal,
    APPROVAL: Approval,
    PAUSE_PROPOSAL: PauseProposal,
    PAUSE_ACCESSION: PauseAccession,
    LAB_PLEDGE: LabPledge,
    PAUSE_FREEZE: PauseFreeze,
    PAUSE_EVENT: PauseEvent,
    BEACON: Beacon,
    SAMPLE: Sample,
    SAMPLE_ANSWER: SampleAnswer,
    INSPECTORS: Inspectors,
    CHALLENGE: Challenge,
    WITHDRAWAL: Withdrawal,
    RESPONSE: Response,
    FINDING: Finding,
    VERDICT: Verdict,
}
"""The predicate of each kind, by the name that `find_kind` gives."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_BEYOND: Final = r"\U000e0000-\U0010ffff"
"""The part of a range of characters that JSON Schema's patterns spell in no way that all readers know."""


def schema_name(kind: str) -> str:
    """Name of the file that a kind's schema stands in.

    >>> schema_name("report"), schema_name("charter:v2")
    ('report.v1.json', 'charter.v2.json')
    """
    name, _, version = kind.partition(":")
    return f"{name}.{version or 'v1'}.json"


def make_schema(kind: str) -> dict[str, Any]:
    """Make the schema of a kind's payload: the whole in-toto statement. Any: values of a JSON object.

    Args:
        kind: one of `PREDICATES`.
    """
    name, _, version = kind.partition(":")
    (predicate, subject), definitions = msgspec.json.schema_components(
        [PREDICATES[kind], Subject], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": _DIALECT,
        "$id": f"{PREDICATE_PREFIX}schema:{name}:{version or 'v1'}",
        "title": f"{name}, {version or 'v1'}",
        "type": "object",
        "properties": {
            "_type": {"const": STATEMENT_TYPE},
            "subject": {"type": "array", "items": subject, "minItems": 1, "maxItems": 1},
            "predicateType": {"const": f"{PREDICATE_PREFIX}{name}:{version or 'v1'}"},
            "predicate": predicate,
        },
        "required": ["_type", "subject", "predicateType", "predicate"],
        "additionalProperties": False,
        "$defs": _translate(definitions),
    }


def encode_schema(kind: str) -> bytes:
    """Write a kind's schema for people: indented, keys in order, a newline at the end."""
    raw = msgspec.json.encode(make_schema(kind), order="sorted")
    return msgspec.json.format(raw, indent=2) + b"\n"


def _translate(part: Any) -> Any:  # Any: any JSON value
    """Say what Python's patterns say in those of ECMA-262, and docstrings as one line each."""
    if isinstance(part, list):
        return [_translate(item) for item in part]
    if not isinstance(part, dict):
        return part
    translated = {name: _translate(value) for name, value in part.items()}
    pattern = part.get("pattern")
    if isinstance(pattern, str):
        if _BEYOND in pattern:
            translated["$comment"] = "nor any character from U+E0000 on"
        translated["pattern"] = pattern.replace(_BEYOND, "").replace(r"\A", "^").replace(r"\Z", "$")
    description = part.get("description")
    if isinstance(description, str):
        translated["description"] = description.partition("\n")[0]
    return translated
