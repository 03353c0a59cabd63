"""What a lab tells of itself and of others: incidents and observations, ready to be signed."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.parts import ACCOUNT, OBSERVED, hash_text
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, begin, hide, require_agreement
from ledger.positions import Interval
from ledger.statements.intoto import encode_quantity
from ledger.statements.notices import (
    About,
    Confidence,
    HiddenIncident,
    Incident,
    IncidentCategory,
    Observation,
    ObservationCategory,
    Severity,
    encode_hidden_incident,
    encode_incident,
    encode_observation,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What a person says of an incident.

    Attributes:
        category: what sort of thing.
        severity: how bad.
        interval: when.
        clusters: where; none for all of the lab.
        account: the full account, which stays in the vault.
        cause: in a sentence; hidden.
        chips_affected: how many accelerators; hidden.
    """

    category: IncidentCategory
    severity: Severity
    interval: Interval
    clusters: Sequence[str]
    account: bytes
    cause: str
    chips_affected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """What a person says of something elsewhere.

    Attributes:
        about: what sort of subject.
        name: its id; None about the ledger itself.
        category: what sort of thing.
        confidence: how sure.
        observed: what was observed; it stays in the vault.
        text: in a sentence or two; public.
    """

    about: About
    name: str | None
    category: ObservationCategory
    confidence: Confidence
    observed: bytes
    text: str


def prepare_incident(ledger: PinnedLedger, lab: str, happened: Happened) -> Prepared:
    """Make the statement of an incident.

    Raises:
        RejectedError: the ledger takes reports alone.
        FormatError: a value that an incident cannot have.
    """
    require_agreement(ledger)
    fields = HiddenIncident(cause=happened.cause, chips_affected=encode_quantity(happened.chips_affected))
    hidden = hide(encode_hidden_incident(fields))
    incident = Incident(
        **begin(ledger, lab),
        category=happened.category,
        severity=happened.severity,
        interval=happened.interval,
        clusters=tuple(sorted(happened.clusters)),
        digests=hidden.digests,
        text_sha256=hash_text(happened.account),
    )
    return Prepared(
        statement=incident, encode=encode_incident, openings=(hidden.opening,), texts={ACCOUNT: happened.account}
    )


def prepare_observation(ledger: PinnedLedger, lab: str, noticed: Noticed) -> Prepared:
    """Make the statement of an observation.

    Raises:
        RejectedError: the ledger takes reports alone.
        FormatError: a value that an observation cannot have.
    """
    require_agreement(ledger)
    observation = Observation(
        **begin(ledger, lab),
        about=noticed.about,
        name=noticed.name,
        category=noticed.category,
        confidence=noticed.confidence,
        digest=hash_text(noticed.observed),
        text=noticed.text,
    )
    return Prepared(statement=observation, encode=encode_observation, texts={OBSERVED: noticed.observed})
