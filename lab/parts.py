"""What of a statement can be opened: its parts with salted digests, roots over accelerators, and texts behind hashes.

One reader for each kind of statement that a lab makes beside reports; a kind that is not here is not a lab's to say.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ledger.errors import FormatError
from ledger.openings import SHARED, WHOLE
from ledger.positions import Interval
from ledger.statements.beacons import SAMPLE_ANSWER, parse_sample_answer
from ledger.statements.inspections import RESPONSE, parse_response
from ledger.statements.intoto import PredicateHeader, find_kind
from ledger.statements.inventories import (
    INVENTORY,
    TERMS_NAME,
    TRANSFER,
    HiddenInventory,
    HiddenTransfer,
    parse_inventory,
    parse_transfer,
)
from ledger.statements.notices import INCIDENT, OBSERVATION, HiddenIncident, parse_incident, parse_observation
from ledger.statements.pauses import LAB_PLEDGE, PAUSE_FREEZE, HiddenRunState, parse_lab_pledge, parse_pause_freeze
from ledger.statements.runs import (
    RELEASE_NOTICE,
    RELEASE_REVIEW,
    REVIEW_EVENT,
    TRAINING_RUN,
    ReviewFields,
    RunFields,
    parse_release_notice,
    parse_release_review,
    parse_review_event,
    parse_training_run,
)

ACCOUNT: Final = "account"
OBSERVED: Final = "observed"
OPENINGS: Final = "openings"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a statement that is opened by itself.

    Attributes:
        name: the cluster or run it is about; `WHOLE` or `SHARED` else.
        digests: of its fields and of decoys.
        fields: names of its hidden fields.
        root: hex root over accelerators; None if it has none.
    """

    name: str
    digests: tuple[str, ...]
    fields: tuple[str, ...]
    root: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A statement as read.

    Attributes:
        kind: of which kind.
        header: its predicate.
        name: of its subject.
        interval: that it names; None if it names none.
        parts: what can be opened.
        texts: hex SHA-256 of each text that the lab keeps, by name.
    """

    kind: str
    header: PredicateHeader
    name: str
    interval: Interval | None
    parts: tuple[Part, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


def read_said(payload: bytes) -> Said:
    """Read a statement that a lab makes beside reports.

    Raises:
        FormatError: of another kind, or not of its form.
    """
    kind = find_kind(payload)
    reader = _READERS.get(kind)
    if reader is None:
        raise FormatError(field="envelope", found=kind, expected=f"one of {', '.join(_READERS)}")
    return reader(payload)


def hash_text(raw: bytes) -> str:
    """Hex SHA-256, as statements name a text that they do not hold."""
    return hashlib.sha256(raw).hexdigest()


def name_recipient(nation: str, inspector: str) -> str:
    """Name the text that is what one inspector was sent; no other text has a slash in its name."""
    return f"{nation}/{inspector}"


def _names(fields: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(fields.__struct_fields__)


def _read_inventory(payload: bytes) -> Said:
    statement = parse_inventory(payload)
    inventory = statement.predicate
    parts = tuple(Part(row.cluster, row.digests, _names(HiddenInventory), row.chips.root) for row in inventory.rows)
    return Said(INVENTORY, inventory, statement.subject.name, inventory.interval, parts)


def _read_transfer(payload: bytes) -> Said:
    statement = parse_transfer(payload)
    transfer, shipment = statement.predicate, statement.predicate.shipment
    parts: tuple[Part, ...] = ()
    if shipment is not None:
        matched = () if shipment.match is None else (shipment.match,)
        parts = (
            Part(WHOLE, shipment.digests, _names(HiddenTransfer)),
            Part(SHARED, matched, (TERMS_NAME,) if matched else (), shipment.chips_root),
        )
    return Said(TRANSFER, transfer, statement.subject.name, transfer.interval, parts)


def _read_incident(payload: bytes) -> Said:
    statement = parse_incident(payload)
    incident = statement.predicate
    parts = (Part(WHOLE, incident.digests, _names(HiddenIncident)),)
    texts = {ACCOUNT: incident.text_sha256}
    return Said(INCIDENT, incident, statement.subject.name, incident.interval, parts, texts)


def _read_observation(payload: bytes) -> Said:
    statement = parse_observation(payload)
    texts = {OBSERVED: statement.predicate.digest}
    return Said(OBSERVATION, statement.predicate, statement.subject.name, None, (), texts)


def _read_run(payload: bytes) -> Said:
    statement = parse_training_run(payload)
    run = statement.predicate
    return Said(TRAINING_RUN, run, statement.subject.name, None, (Part(WHOLE, run.digests, _names(RunFields)),))


def _read_review(payload: bytes) -> Said:
    statement = parse_release_review(payload)
    review = statement.predicate
    parts = (Part(WHOLE, review.digests, _names(ReviewFields)),)
    return Said(RELEASE_REVIEW, review, statement.subject.name, None, parts)


def _read_event(payload: bytes) -> Said:
    statement = parse_review_event(payload)
    return Said(REVIEW_EVENT, statement.predicate, statement.subject.name, None)


def _read_notice(payload: bytes) -> Said:
    statement = parse_release_notice(payload)
    return Said(RELEASE_NOTICE, statement.predicate, statement.subject.name, None)


def _read_pledge(payload: bytes) -> Said:
    statement = parse_lab_pledge(payload)
    return Said(LAB_PLEDGE, statement.predicate, statement.subject.name, None)


def _read_freeze(payload: bytes) -> Said:
    statement = parse_pause_freeze(payload)
    parts = tuple(Part(run.run, run.digests, _names(HiddenRunState)) for run in statement.predicate.runs)
    return Said(PAUSE_FREEZE, statement.predicate, statement.subject.name, None, parts)


def _read_response(payload: bytes) -> Said:
    statement = parse_response(payload)
    response = statement.predicate
    texts = {name_recipient(each.nation, each.inspector): each.ciphertext for each in response.recipients}
    if response.handed is not None:
        texts = {OPENINGS: response.handed, **texts}
    return Said(RESPONSE, response, statement.subject.name, None, (), texts)


def _read_sample_answer(payload: bytes) -> Said:
    statement = parse_sample_answer(payload)
    texts = {OPENINGS: statement.predicate.openings}
    return Said(SAMPLE_ANSWER, statement.predicate, statement.subject.name, None, (), texts)


_READERS: Final[Mapping[str, Callable[[bytes], Said]]] = {
    INVENTORY: _read_inventory,
    TRANSFER: _read_transfer,
    INCIDENT: _read_incident,
    OBSERVATION: _read_observation,
    TRAINING_RUN: _read_run,
    RELEASE_REVIEW: _read_review,
    REVIEW_EVENT: _read_event,
    RELEASE_NOTICE: _read_notice,
    LAB_PLEDGE: _read_pledge,
    PAUSE_FREEZE: _read_freeze,
    RESPONSE: _read_response,
    SAMPLE_ANSWER: _read_sample_answer,
}
