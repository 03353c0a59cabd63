"""Inspections: who may inspect for a nation, what it asks a lab to open, what the lab hands over, what was found.

    inspectors ──► challenge ──► response ──► finding, finding, …
                       └──► withdrawal

A challenge names what is to be opened and to which inspectors. What is opened travels to each of them encrypted to
their own key (HPKE, RFC 9180), outside the ledger; on it stand digests: of what was handed over, and of each
ciphertext. A finding is signed by the nation and, in the same envelope, by the inspector who made it.
When each may be said, and what follows, is said by `ledger.rules.inspections` and `ledger.rules.challenges`.

Subjects: `<nation>` with the SHA-256 over its inspectors' active signing keys, joined; `<challenge>` with the SHA-256
of the request as it stands in the predicate; of a response `<challenge>` with the digest of what was handed over, or
zeros; of a withdrawal `<challenge>` with zeros; `<challenge>/<nation>/<inspector>` with the digest of the report.
"""

import hashlib
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from ledger.ed25519 import require_strong_public_key
from ledger.errors import FormatError
from ledger.limits import CHALLENGED_UNITS_MAX, INSPECTORS_MAX, INTEGER_MAX, INTERVAL_MAX
from ledger.positions import Interval, LeafIndex
from ledger.statements.intoto import (
    ZERO_HASH,
    Hex32,
    Identifier,
    Name,
    PredicateHeader,
    PublicKey,
    Statement,
    StatementForm,
    Subject,
    Text,
    make_subject,
    require_ascending,
    require_no_correction,
    require_unique,
)
from ledger.statements.registry import KeyStatus
from ledger.statements.reports import HIDDEN_FIELD_NAMES
from ledger.statements.verdicts import Reason

INSPECTORS: Final = "inspectors"
CHALLENGE: Final = "challenge"
WITHDRAWAL: Final = "withdrawal"
RESPONSE: Final = "response"
FINDING: Final = "finding"

_FIELD: Final = "statement.predicate"
_ENCODER: Final = msgspec.json.Encoder()

Unit = Annotated[LeafIndex, Meta(ge=0, le=INTEGER_MAX)]
Units = Annotated[tuple[Unit, ...], Meta(max_length=CHALLENGED_UNITS_MAX)]
Sentence = Annotated[Text, Meta(min_length=1)]
FieldName = Literal[
    "chip_seconds",
    "busy_chip_seconds",
    "split",
    "training_pflop",
    "largest_run_pflop",
    "energy_wh",
    "facility_energy_wh",
    "utilisation_permille",
    "runs",
]
"""A hidden field of a row of a report."""

Conclusion = Literal["consistent", "inconsistent", "inconclusive"]
Outcome = Literal["provided", "declined", "salts-lost"]

Level = Literal["A1", "A3", "A4"]
"""What was shown passed its checks; an inspection found it consistent; a part was computed again."""

Ground = Literal[
    "CHECK_FAILED",
    "FOUND_INCONSISTENT",
    "FROZEN_RUN_GREW",
    "INVENTORY_DIFFERENCE",
    "PAUSE_LIMIT_EXCEEDED",
    "RUN_OVER_CAP",
    "RUN_UNDECLARED",
]
"""What a finding may give as a reason why it is inconsistent: `ledger.statements.verdicts.Reason` by value."""

assert get_args(FieldName) == HIDDEN_FIELD_NAMES
assert all(ground in Reason.__members__ for ground in get_args(Ground))


class Inspector(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who inspects for a nation.

    Attributes:
        id: within the nation.
        name: what people call them.
        signing_key: Ed25519, of their own; it countersigns findings.
        encryption_key: X25519, of their own; what they are to see is encrypted to it.
        status: revoked keys are listed or left out, and never come back.
    """

    id: Identifier
    name: Name
    signing_key: PublicKey
    encryption_key: PublicKey
    status: KeyStatus


class Inspectors(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All inspectors of a nation, in the place of those it named before; none may be active."""

    inspectors: Annotated[tuple[Inspector, ...], Meta(max_length=INSPECTORS_MAX)]

    def active(self) -> tuple[Inspector, ...]:
        """Those who may inspect from this statement on, in its order."""
        return tuple(each for each in self.inspectors if each.status == "active")


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An inspector of a nation."""

    nation: Identifier
    inspector: Identifier


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a lab is asked to open of one cluster's interval; at least one thing, every list in ascending order.

    Attributes:
        fields: hidden fields of its row.
        records: positions of records under the row's root.
        inventory: leaf hash of the inventory whose chips are asked for; null exactly if none are.
        chips: positions of chips under the inventory's root for the cluster.
        recompute: id of a training run of which a part is to be computed again; null for none.
    """

    fields: Annotated[tuple[FieldName, ...], Meta(max_length=len(HIDDEN_FIELD_NAMES))]
    records: Units
    inventory: Hex32 | None
    chips: Units
    recompute: Identifier | None


class Grounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why: the entry that made the challenger ask, by its ledger index, if there is one, and a sentence."""

    entry: Unit | None
    text: Sentence


class Challenge(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a nation asks of a lab.

    Attributes:
        challenge: id, chosen by the nation, that nobody has used.
        lab: who is asked.
        cluster: about which cluster.
        interval: about when.
        request: what is to be opened.
        grounds: why.
        inspectors: to whom, in ascending order.
    """

    challenge: Identifier
    lab: Identifier
    cluster: Identifier
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    request: Request
    grounds: Grounds
    inspectors: Annotated[tuple[Named, ...], Meta(min_length=1, max_length=INSPECTORS_MAX)]


class Withdrawal(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The challenger's word that it asks no more.

    Attributes:
        challenge: its id.
        reason: a sentence.
    """

    challenge: Identifier
    reason: Sentence


class Handed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one inspector was sent.

    Attributes:
        nation: whose inspector.
        inspector: id within the nation.
        ciphertext: SHA-256 of the HPKE ciphertext, with its encapsulated key before it.
    """

    nation: Identifier
    inspector: Identifier
    ciphertext: Hex32


class Response(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a lab answers.

    Attributes:
        challenge: its id.
        outcome: whether it handed over what was asked, will not, or cannot since it lost the salts.
        handed: SHA-256 of what was handed over, before encryption; null exactly if nothing was.
        recipients: a line for every inspector that the challenge names, in its order; none exactly if nothing was.
    """

    challenge: Identifier
    outcome: Outcome
    handed: Hex32 | None
    recipients: Annotated[tuple[Handed, ...], Meta(max_length=INSPECTORS_MAX)]


class FieldFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found of one hidden field."""

    field: FieldName
    conclusion: Conclusion


class Finding(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an inspector of the issuing nation found.

    Attributes:
        challenge: its id.
        inspector: who, by id within the nation; countersigns.
        conclusion: of all together.
        fields: of single hidden fields, in ascending order of names; for readers, the rules do not look at them.
        grounds: why it is inconsistent, in ascending order; empty for any other conclusion, and may be empty for this.
        level: how far the declaration was checked; null unless it was found consistent.
        report: SHA-256 of the inspector's report.
    """

    challenge: Identifier
    inspector: Identifier
    conclusion: Conclusion
    fields: Annotated[tuple[FieldFinding, ...], Meta(max_length=len(HIDDEN_FIELD_NAMES))]
    grounds: Annotated[tuple[Ground, ...], Meta(max_length=len(get_args(Ground)))]
    level: Level | None
    report: Hex32


def encode_inspectors(inspectors: Inspectors) -> bytes:
    """Write the payload that the nation signs.

    Raises:
        FormatError: a value that `parse_inspectors` would refuse.
    """
    return _INSPECTORS.encode(inspectors)


def parse_inspectors(payload: bytes) -> Statement[Inspectors]:
    """Read a nation's list of inspectors.

    Raises:
        FormatError: not one in its one encoding, a weak signing key, or a key, or an active id, named twice.
    """
    return _INSPECTORS.parse(payload)


def encode_challenge(challenge: Challenge) -> bytes:
    """Write the payload that the nation signs.

    Raises:
        FormatError: a value that `parse_challenge` would refuse.
    """
    return _CHALLENGE.encode(challenge)


def parse_challenge(payload: bytes) -> Statement[Challenge]:
    """Read a challenge.

    Raises:
        FormatError: not one in its one encoding, nothing asked, an unknown field, or a list out of order.
    """
    return _CHALLENGE.parse(payload)


def encode_withdrawal(withdrawal: Withdrawal) -> bytes:
    """Write the payload that the nation signs.

    Raises:
        FormatError: a value that `parse_withdrawal` would refuse.
    """
    return _WITHDRAWAL.encode(withdrawal)


def parse_withdrawal(payload: bytes) -> Statement[Withdrawal]:
    """Read a withdrawal.

    Raises:
        FormatError: not one in its one encoding.
    """
    return _WITHDRAWAL.parse(payload)


def encode_response(response: Response) -> bytes:
    """Write the payload that the lab signs.

    Raises:
        FormatError: a value that `parse_response` would refuse.
    """
    return _RESPONSE.encode(response)


def parse_response(payload: bytes) -> Statement[Response]:
    """Read a response.

    Raises:
        FormatError: not one in its one encoding, digests without an outcome that has them, or recipients out of order.
    """
    return _RESPONSE.parse(payload)


def encode_finding(finding: Finding) -> bytes:
    """Write the payload that nation and inspector sign.

    Raises:
        FormatError: a value that `parse_finding` would refuse.
    """
    return _FINDING.encode(finding)


def parse_finding(payload: bytes) -> Statement[Finding]:
    """Read a finding.

    Raises:
        FormatError: not one in its one encoding, or a level, grounds or fields that do not belong to the conclusion.
    """
    return _FINDING.parse(payload)


def _check_inspectors(inspectors: Inspectors) -> Subject:
    field = f"{_FIELD}.inspectors"
    require_no_correction(inspectors)
    for each in inspectors.inspectors:
        require_strong_public_key(each.signing_key, f"{field}.signing_key")
    require_unique([each.signing_key.hex() for each in inspectors.inspectors], field=f"{field}.signing_key")
    require_unique([each.encryption_key.hex() for each in inspectors.inspectors], field=f"{field}.encryption_key")
    require_unique([each.id for each in inspectors.active()], field=f"{field}.id")
    keys = b"".join(each.signing_key for each in inspectors.active())
    return make_subject(inspectors.issuer, hashlib.sha256(keys).hexdigest())


def _check_challenge(challenge: Challenge) -> Subject:
    require_no_correction(challenge)
    request, field = challenge.request, f"{_FIELD}.request"
    require_ascending(request.fields, field=f"{field}.fields")
    require_ascending(request.records, field=f"{field}.records")
    require_ascending(request.chips, field=f"{field}.chips")
    if (request.inventory is None) != (not request.chips):
        raise FormatError(field=f"{field}.inventory", found=request.inventory, expected="one exactly with chips")
    if not (request.fields or request.records or request.chips or request.recompute):
        raise FormatError(field=field, found="nothing asked", expected="at least one thing to open")
    require_ascending([(each.nation, each.inspector) for each in challenge.inspectors], field=f"{_FIELD}.inspectors")
    return make_subject(challenge.challenge, hashlib.sha256(_ENCODER.encode(request)).hexdigest())


def _check_withdrawal(withdrawal: Withdrawal) -> Subject:
    require_no_correction(withdrawal)
    return make_subject(withdrawal.challenge, ZERO_HASH)


def _check_response(response: Response) -> Subject:
    require_no_correction(response)
    is_provided = response.outcome == "provided"
    if (response.handed is not None) != is_provided:
        raise FormatError(field=f"{_FIELD}.handed", found=response.handed, expected="a digest exactly with provided")
    if bool(response.recipients) != is_provided:
        raise FormatError(
            field=f"{_FIELD}.recipients", found=len(response.recipients), expected="recipients exactly with provided"
        )
    require_ascending([(each.nation, each.inspector) for each in response.recipients], field=f"{_FIELD}.recipients")
    return make_subject(response.challenge, response.handed or ZERO_HASH)


def _check_finding(finding: Finding) -> Subject:
    require_no_correction(finding)
    if (finding.level is not None) != (finding.conclusion == "consistent"):
        raise FormatError(field=f"{_FIELD}.level", found=finding.level, expected="a level exactly with consistent")
    if finding.grounds and finding.conclusion != "inconsistent":
        raise FormatError(
            field=f"{_FIELD}.grounds", found=finding.grounds[0], expected=f"none for {finding.conclusion}"
        )
    require_ascending(finding.grounds, field=f"{_FIELD}.grounds")
    require_ascending([line.field for line in finding.fields], field=f"{_FIELD}.fields")
    return make_subject(f"{finding.challenge}/{finding.issuer}/{finding.inspector}", finding.report)


_INSPECTORS: Final = StatementForm(INSPECTORS, Inspectors, check=_check_inspectors)
_CHALLENGE: Final = StatementForm(CHALLENGE, Challenge, check=_check_challenge)
_WITHDRAWAL: Final = StatementForm(WITHDRAWAL, Withdrawal, check=_check_withdrawal)
_RESPONSE: Final = StatementForm(RESPONSE, Response, check=_check_response)
_FINDING: Final = StatementForm(FINDING, Finding, check=_check_finding)
