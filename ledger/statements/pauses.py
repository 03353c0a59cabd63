"""Pauses: who proposes which one, who joins it and on what condition, what labs pledge and freeze, what came of it.

    pause-proposal   a nation: which caps, from when, how long, what must hold for it to be activated, what to lift it
    pause-accession  a nation: "I join, if …, or not after …"; or takes that back
    lab-pledge       a lab: it keeps to the pause, whatever its nation does
    pause-freeze     a lab: these runs were in flight, and this is where each of them stands
    pause-event      the rules: activated, joined, extended, lifted, expired, lapsed

Who joins, pledges or freezes repeats the digest of the terms, so that nobody agrees to an id and means another content.
Subjects: `pause/<id>`, `pause/<id>/<party>`, `pause/<id>/<party>/freeze`, `pause/<id>/<event>/<interval>`, all with the
digest of the terms. What follows from them is said by `ledger.rules.pauses`.

Intervals are indices on the charter's grid; `until` names the first interval that is no longer covered, `lapses` the
interval at whose beginning something counts for the last time.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.disclosure import JsonValue
from ledger.errors import FormatError
from ledger.limits import (
    BAND_MAX,
    CAPS_MAX,
    FROZEN_DIGESTS_MAX,
    FROZEN_RUNS_MAX,
    INTEGER_MAX,
    INTERVAL_MAX,
    MEMBERS_MAX,
    PAUSE_ID_CHARACTERS_MAX,
    SIZE_MAX,
)
from ledger.positions import Interval, LeafIndex, Millis
from ledger.statements.computed import ComputedForm
from ledger.statements.hidden import FieldDigest, check_digests
from ledger.statements.intoto import (
    Hex32,
    Identifier,
    Name,
    PredicateHeader,
    Quantity,
    QuantityName,
    Statement,
    StatementForm,
    Subject,
    Text,
    make_subject,
    parse_quantity,
    require_ascending,
    require_no_correction,
)

PAUSE_PROPOSAL: Final = "pause-proposal"
PAUSE_ACCESSION: Final = "pause-accession"
LAB_PLEDGE: Final = "lab-pledge"
PAUSE_FREEZE: Final = "pause-freeze"
PAUSE_EVENT: Final = "pause-event"

_LIMIT_PREFIX: Final = "pause-"

PauseId = Annotated[str, Meta(pattern=rf"\A[a-z0-9-]{{1,{PAUSE_ID_CHARACTERS_MAX}}}\Z")]
"""`[a-z0-9-]{1,32}`: shorter than other ids, since every row of a report names it."""

IntervalIndex = Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
Members = Annotated[tuple[Identifier, ...], Meta(max_length=MEMBERS_MAX)]


class Cap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What no lab that the pause binds may exceed; the words are those of the charter's limits."""

    quantity: QuantityName
    maximum: Quantity


class Activation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must hold of the nations that join for the pause to be activated.

    Attributes:
        nations_min: how many at least.
        nations: who must be among them, in ascending order.
        capacity_permille_min: what share of the publicly registered accelerator capacity of all members is theirs;
            0 where that is not asked.
    """

    nations_min: Annotated[int, Meta(ge=1, le=MEMBERS_MAX)]
    nations: Members
    capacity_permille_min: Annotated[int, Meta(ge=0, le=1000)]


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a pause asks, of whom, when. Nothing of it can be changed once it is on the ledger.

    Attributes:
        title: what people call it.
        scope: the caps, in ascending order of their quantities.
        first_interval: the pause begins with this interval or a later one.
        interval_count: how many intervals it lasts.
        lapses: the interval at whose beginning it is activated at the latest; else it has lapsed.
        activation: what must hold for it to be activated.
        lift: in words, when it should be lifted. Who decides that is said by the charter.
    """

    title: Name
    scope: Annotated[tuple[Cap, ...], Meta(min_length=1, max_length=CAPS_MAX)]
    first_interval: IntervalIndex
    interval_count: Annotated[int, Meta(ge=1, le=INTERVAL_MAX)]
    lapses: IntervalIndex
    activation: Activation
    lift: Annotated[Text, Meta(min_length=1)]


class PauseProposal(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pause that others may join, under an id that the nation chose and nobody used before."""

    pause: PauseId
    terms: Terms


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """On what a nation joins.

    Attributes:
        nations: all of these join too, in ascending order.
        nations_min: so many join in all, the nation itself included; 0 where that does not matter.
        lapses: the interval at whose beginning the accession counts for the last time, if it has not bound by then.
    """

    nations: Members
    nations_min: Annotated[int, Meta(ge=0, le=MEMBERS_MAX)]
    lapses: IntervalIndex


class PauseAccession(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A nation's word on joining a pause. A later one takes the place of an earlier, until the nation has joined.

    Attributes:
        pause: its id.
        terms: hex digest of its terms (`compute_terms_digest`), as the nation read them.
        joins: on what condition; null takes the accession back.
    """

    pause: PauseId
    terms: Hex32
    joins: Condition | None


class LabPledge(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A lab's word that it keeps to a pause once it is activated, whatever its nation does.

    Attributes:
        pause: its id.
        terms: hex digest of its terms, as the lab read them.
    """

    pause: PauseId
    terms: Hex32


class InFlightRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A training run as it stands, from which it must not grow.

    Attributes:
        run: the lab's id of it.
        checkpoint: hex SHA-256 that commits to its newest checkpoint.
        band: decade of the operations in the model, those of its base models included, as a training run's; 0 if none.
        digests: of the hidden fields (`HiddenRunState`) and of decoys, in ascending order.
    """

    run: Identifier
    checkpoint: Hex32
    band: Annotated[int, Meta(ge=0, le=BAND_MAX)]
    digests: Annotated[tuple[FieldDigest, ...], Meta(max_length=FROZEN_DIGESTS_MAX)]


class PauseFreeze(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which runs a lab had in flight, in ascending order of their ids."""

    pause: PauseId
    terms: Hex32
    runs: Annotated[tuple[InFlightRun, ...], Meta(min_length=1, max_length=FROZEN_RUNS_MAX)]


class HiddenRunState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a frozen run commits to and does not show; each attribute is one salted field of that name.

    Attributes:
        run_pflop: spent on the run itself.
        cumulative_pflop: with all that its base models took.
        checkpoint_bytes: size of the checkpoint that was hashed.
    """

    run_pflop: Quantity
    cumulative_pflop: Quantity
    checkpoint_bytes: Quantity


class PauseStep(StrEnum):
    """What can come of a pause."""

    ACTIVATED = "activated"
    JOINED = "joined"
    EXTENDED = "extended"
    LIFTED = "lifted"
    EXPIRED = "expired"
    LAPSED = "lapsed"


class PauseEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the rules say of a pause.

    Attributes:
        ledger: hex id of the ledger.
        pause: its id.
        terms: hex digest of its terms.
        event: what came.
        interval: the first in which it holds: where the pause begins or binds more nations, where its longer term was
            decided, where it no longer holds.
        until: the first interval that the pause does not cover, as known from here on; null if it lapsed.
        nations: all that have joined, in ascending order.
        pledge_count: how many labs have pledged to it.
        cause: index of the entry it goes back to: the newest accession, the proposal that carried, the pause's own.
        time_ms: time of the block that opens with it.
    """

    ledger: Hex32
    pause: PauseId
    terms: Hex32
    event: PauseStep
    interval: IntervalIndex
    until: IntervalIndex | None
    nations: Members
    pledge_count: Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
    cause: Annotated[LeafIndex, Meta(ge=1, le=INTEGER_MAX)]
    time_ms: Annotated[Millis, Meta(ge=0, le=SIZE_MAX)]


_ENCODER: Final = msgspec.json.Encoder()


def compute_terms_digest(terms: Terms) -> str:
    """Hex SHA-256 over the terms as they stand in the predicate."""
    return hashlib.sha256(_ENCODER.encode(terms)).hexdigest()


def make_limit_id(pause: str) -> str:
    """Name of a pause among the limits that a row of a report promises to respect."""
    return _LIMIT_PREFIX + pause


def encode_pause_proposal(proposal: PauseProposal) -> bytes:
    """Write the payload of a pause's proposal.

    Raises:
        FormatError: a value that `parse_pause_proposal` would refuse.
    """
    return _PROPOSAL.encode(proposal)


def parse_pause_proposal(payload: bytes) -> Statement[PauseProposal]:
    """Read a pause's proposal.

    Raises:
        FormatError: not one in its one encoding, or a quantity or nation out of order or repeated.
    """
    return _PROPOSAL.parse(payload)


def encode_pause_accession(accession: PauseAccession) -> bytes:
    """Write the payload of an accession.

    Raises:
        FormatError: a value that `parse_pause_accession` would refuse.
    """
    return _ACCESSION.encode(accession)


def parse_pause_accession(payload: bytes) -> Statement[PauseAccession]:
    """Read an accession.

    Raises:
        FormatError: not one in its one encoding, or a nation out of order or repeated.
    """
    return _ACCESSION.parse(payload)


def encode_lab_pledge(pledge: LabPledge) -> bytes:
    """Write the payload of a pledge.

    Raises:
        FormatError: a value that `parse_lab_pledge` would refuse.
    """
    return _PLEDGE.encode(pledge)


def parse_lab_pledge(payload: bytes) -> Statement[LabPledge]:
    """Read a pledge.

    Raises:
        FormatError: not one in its one encoding.
    """
    return _PLEDGE.parse(payload)


def encode_pause_freeze(freeze: PauseFreeze) -> bytes:
    """Write the payload that freezes runs.

    Raises:
        FormatError: a value that `parse_pause_freeze` would refuse.
    """
    return _FREEZE.encode(freeze)


def parse_pause_freeze(payload: bytes) -> Statement[PauseFreeze]:
    """Read which runs are frozen.

    Raises:
        FormatError: not one in its one encoding, or runs or digests out of order or repeated.
    """
    return _FREEZE.parse(payload)


def encode_pause_event(event: PauseEvent) -> bytes:
    """Write the entry; the same value gives the same bytes everywhere."""
    return _EVENT.encode(event)


def parse_pause_event(entry: bytes) -> PauseEvent:
    """Read an event. That the rules called for it is for `ledger.rules` to say, by computing it again.

    Raises:
        FormatError: not an event in its one encoding, or its subject contradicts it.
    """
    return _EVENT.parse(entry)


def encode_hidden_run_state(hidden: HiddenRunState) -> dict[str, JsonValue]:
    """Turn hidden fields into the JSON value of each, by name, ready for `ledger.disclosure.commit_fields`.

    Raises:
        FormatError: a value that `parse_hidden_run_state` would refuse.
    """
    values: dict[str, JsonValue] = msgspec.json.decode(msgspec.json.encode(hidden))
    parse_hidden_run_state(values)
    return values


def parse_hidden_run_state(values: Mapping[str, object]) -> HiddenRunState:
    """Check types and bounds of all hidden fields of a frozen run, before committing or after disclosure.

    Raises:
        FormatError: a field missing, unknown, of another type or out of bounds.
    """
    try:
        hidden = msgspec.convert(dict(values), HiddenRunState)
    except (msgspec.ValidationError, RecursionError) as error:
        raise FormatError(field="hidden", found=str(error), expected="the hidden fields of a frozen run") from None
    for name in HiddenRunState.__struct_fields__:
        parse_quantity(getattr(hidden, name), field=f"hidden.{name}")
    return hidden


def _check_proposal(proposal: PauseProposal) -> Subject:
    field = "statement.predicate.terms"
    require_no_correction(proposal)
    terms = proposal.terms
    require_ascending([cap.quantity for cap in terms.scope], field=f"{field}.scope.quantity")
    for cap in terms.scope:
        parse_quantity(cap.maximum, field=f"{field}.scope.maximum")
    require_ascending(terms.activation.nations, field=f"{field}.activation.nations")
    return make_subject(f"pause/{proposal.pause}", compute_terms_digest(terms))


def _check_accession(accession: PauseAccession) -> Subject:
    require_no_correction(accession)
    if accession.joins is not None:
        require_ascending(accession.joins.nations, field="statement.predicate.joins.nations")
    return make_subject(f"pause/{accession.pause}/{accession.issuer}", accession.terms)


def _check_pledge(pledge: LabPledge) -> Subject:
    require_no_correction(pledge)
    return make_subject(f"pause/{pledge.pause}/{pledge.issuer}", pledge.terms)


def _check_freeze(freeze: PauseFreeze) -> Subject:
    field = "statement.predicate.runs"
    require_no_correction(freeze)
    require_ascending([run.run for run in freeze.runs], field=f"{field}.run")
    for run in freeze.runs:
        require_ascending(run.digests, field=f"{field}.digests")
    check_digests([digest for run in freeze.runs for digest in run.digests], field=f"{field}.digests")
    return make_subject(f"pause/{freeze.pause}/{freeze.issuer}/freeze", freeze.terms)


def _check_event(event: PauseEvent) -> Subject:
    require_ascending(event.nations, field="entry.predicate.nations")
    return make_subject(f"pause/{event.pause}/{event.event}/{event.interval}", event.terms)


_PROPOSAL: Final = StatementForm(PAUSE_PROPOSAL, PauseProposal, check=_check_proposal)
_ACCESSION: Final = StatementForm(PAUSE_ACCESSION, PauseAccession, check=_check_accession)
_PLEDGE: Final = StatementForm(LAB_PLEDGE, LabPledge, check=_check_pledge)
_FREEZE: Final = StatementForm(PAUSE_FREEZE, PauseFreeze, check=_check_freeze)
_EVENT: Final = ComputedForm(PAUSE_EVENT, PauseEvent, check=_check_event)
