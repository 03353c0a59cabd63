"""Notices: what a party tells everybody, and what moves no verdict by itself.

An *incident* is what went wrong at a lab's own; of category `outage` it gives the lab more time to report
(`ledger.rules.notices`). Public: category, severity, where and when; the account of it stays with the lab, which
commits to it by `text_sha256`, and to the figures in `HiddenIncident` by salted digests.
Subject: `<lab>/<interval>/<category>`, with `text_sha256`.

An *observation* is what a nation or a lab noticed elsewhere: it can ground a challenge.
Subject: `<about>/<name>`, with the SHA-256 of what was observed, as its issuer keeps it.

*Enforcement* is what a nation does about a lab.
Subject: `<lab>/<interval>/<measure>`, with the SHA-256 of the measure's text in UTF-8.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.disclosure import JsonValue
from ledger.errors import FormatError
from ledger.limits import CLUSTERS_PER_LAB_MAX, INTERVAL_MAX, LIST_ITEMS_MAX
from ledger.positions import Interval
from ledger.statements.hidden import FieldDigest, check_digests
from ledger.statements.intoto import (
    Hex32,
    Identifier,
    PredicateHeader,
    Quantity,
    Statement,
    StatementForm,
    Subject,
    Text,
    make_subject,
    parse_quantity,
    require_ascending,
    require_no_correction,
)

INCIDENT: Final = "incident"
OBSERVATION: Final = "observation"
ENFORCEMENT: Final = "enforcement"

IncidentCategory = Literal["outage", "theft", "leak", "safety", "accident", "other"]
Severity = Literal["minor", "serious", "critical"]

OUTAGE: Final[IncidentCategory] = "outage"

About = Literal["lab", "cluster", "nation", "ledger"]
ObservationCategory = Literal[
    "equivocation", "undeclared-compute", "undeclared-transfer", "site", "model-release", "evidence", "other"
]
Confidence = Literal["low", "moderate", "high"]

Measure = Literal["warning", "fine", "inspection", "export-stop", "suspension", "closure", "other", "lifted"]
"""`lifted` ends what the same nation ordered against the lab before."""


class Incident(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a lab tells of itself.

    Attributes:
        category: what sort of thing; `outage` is one that keeps the lab from reporting.
        severity: how bad.
        interval: when.
        clusters: where, in ascending order; none for all of the lab.
        digests: of the hidden fields (`HiddenIncident`) and of decoys, in ascending order.
        text_sha256: of the full account, which the lab keeps.
    """

    category: IncidentCategory
    severity: Severity
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    clusters: Annotated[tuple[Identifier, ...], Meta(max_length=CLUSTERS_PER_LAB_MAX)]
    digests: Annotated[tuple[FieldDigest, ...], Meta(max_length=LIST_ITEMS_MAX)]
    text_sha256: Hex32


class HiddenIncident(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an incident commits to and does not show; each attribute is one salted field of that name.

    Attributes:
        cause: in a sentence.
        chips_affected: how many accelerators stood still, are gone, or were used by others.
    """

    cause: Text
    chips_affected: Quantity


class Observation(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody noticed of another.

    Attributes:
        about: what sort of subject it has.
        name: the subject's id; null exactly if it is about this ledger as a whole.
        category: what sort of thing.
        confidence: how sure the issuer is.
        digest: SHA-256 of what was observed, as its issuer keeps it.
        text: in a sentence or two.
    """

    about: About
    name: Identifier | None
    category: ObservationCategory
    confidence: Confidence
    digest: Hex32
    text: Text


class Enforcement(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a nation does about a lab.

    Attributes:
        lab: against whom.
        measure: what.
        interval: the first it holds in.
        until: the first it no longer holds in; null if it holds until lifted, and for `lifted` itself.
        text: why, and on which ground.
    """

    lab: Identifier
    measure: Measure
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    until: Annotated[Interval, Meta(ge=1, le=INTERVAL_MAX)] | None
    text: Text


def encode_incident(incident: Incident) -> bytes:
    """Write the payload of an incident.

    Raises:
        FormatError: a value that `parse_incident` would refuse.
    """
    return _INCIDENT.encode(incident)


def parse_incident(payload: bytes) -> Statement[Incident]:
    """Read an incident.

    Raises:
        FormatError: not an incident in its one encoding, clusters or digests out of order or repeated.
    """
    return _INCIDENT.parse(payload)


def encode_observation(observation: Observation) -> bytes:
    """Write the payload of an observation.

    Raises:
        FormatError: a value that `parse_observation` would refuse.
    """
    return _OBSERVATION.encode(observation)


def parse_observation(payload: bytes) -> Statement[Observation]:
    """Read an observation.

    Raises:
        FormatError: not an observation in its one encoding, or a name exactly where none belongs.
    """
    return _OBSERVATION.parse(payload)


def encode_enforcement(enforcement: Enforcement) -> bytes:
    """Write the payload of a measure.

    Raises:
        FormatError: a value that `parse_enforcement` would refuse.
    """
    return _ENFORCEMENT.encode(enforcement)


def parse_enforcement(payload: bytes) -> Statement[Enforcement]:
    """Read a measure.

    Raises:
        FormatError: not a measure in its one encoding, or one that ends before it begins.
    """
    return _ENFORCEMENT.parse(payload)


def encode_hidden_incident(hidden: HiddenIncident) -> dict[str, JsonValue]:
    """Turn hidden fields into the JSON value of each, by name, ready for `ledger.disclosure.commit_fields`.

    Raises:
        FormatError: a value that `parse_hidden_incident` would refuse.
    """
    values: dict[str, JsonValue] = msgspec.json.decode(msgspec.json.encode(hidden))
    parse_hidden_incident(values)
    return values


def parse_hidden_incident(values: Mapping[str, object]) -> HiddenIncident:
    """Check the types, units and bounds of the hidden fields of an incident, before committing or after disclosure.

    Raises:
        FormatError: a field missing, unknown, of another type or out of bounds.
    """
    try:
        hidden = msgspec.convert(dict(values), HiddenIncident)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="hidden", found=str(error), expected="the hidden fields of an incident") from None
    parse_quantity(hidden.chips_affected, field="hidden.chips_affected")
    return hidden


def _check_incident(incident: Incident) -> Subject:
    field = "statement.predicate"
    require_no_correction(incident)
    require_ascending(incident.clusters, field=f"{field}.clusters")
    require_ascending(incident.digests, field=f"{field}.digests")
    check_digests(incident.digests, field=f"{field}.digests")
    return make_subject(f"{incident.issuer}/{incident.interval}/{incident.category}", incident.text_sha256)


def _check_observation(observation: Observation) -> Subject:
    require_no_correction(observation)
    if (observation.name is None) != (observation.about == "ledger"):
        raise FormatError(
            field="statement.predicate.name", found=observation.name, expected="null exactly about the ledger itself"
        )
    name = observation.ledger if observation.name is None else observation.name
    return make_subject(f"{observation.about}/{name}", observation.digest)


def _check_enforcement(enforcement: Enforcement) -> Subject:
    require_no_correction(enforcement)
    until = enforcement.until
    if until is not None and (until <= enforcement.interval or enforcement.measure == "lifted"):
        expected = "null" if enforcement.measure == "lifted" else f"an interval after {enforcement.interval}"
        raise FormatError(field="statement.predicate.until", found=until, expected=expected)
    name = f"{enforcement.lab}/{enforcement.interval}/{enforcement.measure}"
    return make_subject(name, hashlib.sha256(enforcement.text.encode("utf-8")).hexdigest())


_INCIDENT: Final = StatementForm(INCIDENT, Incident, check=_check_incident)
_OBSERVATION: Final = StatementForm(OBSERVATION, Observation, check=_check_observation)
_ENFORCEMENT: Final = StatementForm(ENFORCEMENT, Enforcement, check=_check_enforcement)
