"""From what a person says to a statement that can be looked at, and from there to a signed one in the vault.

A statement is *prepared* with everything but its place in the lab's chain: its fields are checked, its hidden values
are under fresh salts. People look at it; then it gets its place, is signed, and is in the vault with all that opens it
before anybody else sees it (`sign_prepared`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from lab.keys import SigningKey
from lab.parts import read_said
from lab.pinned import PinnedLedger
from lab.reporting import Place
from lab.stored import Opening, Progress, StoredStatement
from lab.vault import Vault, draw_salt
from ledger.agreement import Agreement
from ledger.crosschecks.comparisons import Comparison
from ledger.disclosure import JsonValue, commit_fields
from ledger.errors import Code, PolicyError, RejectedError, reject
from ledger.limits import SALT_BYTES_MIN
from ledger.openings import WHOLE
from ledger.positions import Millis, Seconds
from ledger.statements.dsse import sign_envelope
from ledger.statements.intoto import ZERO_HASH, PredicateHeader

DIGESTS_PER_PART: Final = 8
"""Fields and decoys together: more fields one day will not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A statement that only lacks its place.

    Attributes:
        statement: its predicate, in the first place of an empty chain.
        encode: writes the payload of its kind.
        openings: what opens each of its parts, in their order.
        texts: what stands behind hashes in it, by name.
        findings: cross-checks that are unusual, or fail.
        notes: what a person should read before it is signed.
        files: what is written beside, once the vault has the statement: for others, whom the lab hands it to.
    """

    statement: PredicateHeader
    encode: Callable[[Any], bytes]  # of the kind's own predicate
    openings: tuple[Opening, ...] = ()
    texts: Mapping[str, bytes] = field(default_factory=dict)
    findings: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    files: Mapping[Path, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hidden:
    """Hidden values under fresh salts: what the statement says of them, and what opens them."""

    digests: tuple[str, ...]
    opening: Opening


def begin(ledger: PinnedLedger, lab: str) -> dict[str, Any]:
    """Give the header of a statement whose place is not known yet, as arguments of its predicate."""
    return {
        "ledger": ledger.charter.fingerprint,
        "issuer": lab,
        "sequence": 0,
        "previous": ZERO_HASH,
        "issued_at": 0,
        "corrects": None,
    }


def require_agreement(ledger: PinnedLedger) -> Agreement:
    """Give the agreement of the ledger's charter.

    Raises:
        RejectedError: it has none, so its rules know reports and corrections alone (`UNKNOWN_KIND`).
    """
    agreement = ledger.charter.agreement
    if agreement is None:
        found, expected = (
            "a charter without an agreement",
            "a ledger whose charter has one: this one takes reports alone",
        )
        raise RejectedError(reject(Code.UNKNOWN_KIND, field="charter", found=found, expected=expected))
    return agreement


def hide(values: Mapping[str, JsonValue], *, part: str = WHOLE, count: int = DIGESTS_PER_PART) -> Hidden:
    """Put values under fresh salts, among decoys.

    Args:
        values: JSON value by name.
        part: of the statement.
        count: of digests, decoys included.
    """
    assert len(values) <= count
    salts = [draw_salt(SALT_BYTES_MIN) for _ in values]
    decoys = [draw_salt(SALT_BYTES_MIN) for _ in range(count - len(values))]
    fields = commit_fields(values, salts=salts, decoys=decoys)
    return Hidden(fields.digests, Opening(part=part, disclosures=dict(fields.disclosures)))


def require_nothing_waiting(vault: Vault, prepared: Prepared) -> None:
    """Refuse to say again what waits to be sent: a command that was cut short is finished, not repeated.

    Raises:
        FormatError: the statement is not of its form.
        PolicyError: a statement of the same kind about the same subject has no receipt yet.
    """
    said = read_said(prepared.encode(prepared.statement))
    for stored in vault.read_statements(said.header.ledger, said.kind):
        if stored.name == said.name and stored.progress in {Progress.BUILT, Progress.SUBMITTED}:
            raise PolicyError(
                field=said.kind,
                found=f"number {stored.sequence} about {said.name}, without a receipt",
                expected="that one sent first: run `counterseal lab submit`",
            )


def sign_prepared(
    vault: Vault,
    prepared: Prepared,
    place: Place,
    *,
    key: SigningKey,
    now_ms: Millis,
    overrides: Mapping[str, str],
    notes: Sequence[str] = (),
) -> StoredStatement:
    """Sign a statement and keep it with all that opens it; durable when this returns.

    Raises:
        FormatError: a value that the kind does not take.
        ProofError: what was prepared does not open the statement.
        PolicyError: another statement has this sequence number (`EQUIVOCATION`).
        ConditionError: the disk is full.
    """
    placed = msgspec.structs.replace(
        prepared.statement,
        sequence=place.sequence,
        previous=place.previous,
        issued_at=Seconds(now_ms // 1000),
    )
    return vault.add_statement(
        sign_envelope(prepared.encode(placed), [(key.public_key, key.sign)]),
        openings=prepared.openings,
        texts=prepared.texts,
        findings=tuple(str(finding) for finding in prepared.findings),
        notes=(*prepared.notes, *notes),
        overrides=overrides,
    )
