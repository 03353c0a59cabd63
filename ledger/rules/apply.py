"""The rules as one function: state, entries and block time in; the next state, or why not, out.

Nodes run this before they vote, observers while they audit, tests alone. It reads no clock and no randomness, iterates
over nothing unordered and knows no fractions, so the same entries give the same state and the same verdicts everywhere.

A block:
1. `open_block`: time passes; what falls due gives computed entries, which no party signs (`ledger.rules.opening`). They
   come first in the block, exactly these bytes in this order.
2. Each submitted entry in turn (`apply_entry`):
   a. its envelope is read, and signatures by registered keys are verified, before anything in the payload is believed;
   b. the payload is read as a statement of its kind, one of those the charter's version has (`get_kinds`); computed
      kinds cannot be submitted;
   c. header: this ledger; a known issuer, who may make such statements and whose own key signed; as many signatures as
      the kind calls for; sequence = the issuer's last + 1; previous = leaf hash of the issuer's last entry;
   d. the kind's own rules.
An entry that is refused has changed nothing. A block with one entry refused is refused.

The rules of a ledger are those of its charter's version for ever: without an agreement it knows the first four kinds
and the verdicts that follow from them, in the same bytes. A later kind of statement is one module with a `Kind`, one
line in `KINDS_OF_AGREEMENT`, and its records in `ledger.rules.records`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.charter import CHARTER, parse_charter
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, LedgerError, Rejection, SignatureError, reject
from ledger.limits import BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX, INTEGER_MAX
from ledger.merkle import leaf_hash
from ledger.positions import Interval, LeafIndex, Millis
from ledger.positions import Sequence as SequenceNumber
from ledger.rules.beacons import BEACON_KIND
from ledger.rules.challenges import CHALLENGE_KIND, FINDING_KIND, RESPONSE_KIND, WITHDRAWAL_KIND
from ledger.rules.committee import APPROVAL_KIND, PROPOSAL_KIND
from ledger.rules.entries import (
    Authentic,
    Context,
    Kind,
    PreparedEntry,
    prepare_entry,
    reject_error,
    verify_known_signatures,
)
from ledger.rules.freezes import PAUSE_FREEZE_KIND
from ledger.rules.grid import compute_grid
from ledger.rules.inspections import INSPECTORS_KIND
from ledger.rules.inventories import INVENTORY_KIND, TRANSFER_KIND
from ledger.rules.misconduct import MISCONDUCT_KIND
from ledger.rules.notices import ENFORCEMENT_KIND, INCIDENT_KIND, OBSERVATION_KIND
from ledger.rules.opening import compute_next_opening_ms, open_state
from ledger.rules.pauses import LAB_PLEDGE_KIND, PAUSE_ACCESSION_KIND, PAUSE_PROPOSAL_KIND
from ledger.rules.records.filings import PROGRESS, Cursor, Progress
from ledger.rules.records.foundation import (
    CLOCK,
    FOUNDATION,
    ISSUERS,
    NATIONS,
    Clock,
    Foundation,
    Issuer,
    Nation,
    advance_issuer,
    compute_last_leaf,
    find_recent,
)
from ledger.rules.records.registry import KEYS, LABS, KeyHolder
from ledger.rules.registry import REGISTRATION_KIND
from ledger.rules.reports import CORRECTION_KIND, REPORT_KIND
from ledger.rules.reviews import RELEASE_NOTICE_KIND, RELEASE_REVIEW_KIND, REVIEW_EVENT_KIND
from ledger.rules.runs import RUN_DECISION_KIND, TRAINING_RUN_KIND
from ledger.rules.samples import SAMPLE_ANSWER_KIND
from ledger.rules.state import State
from ledger.statements.beacons import SAMPLE
from ledger.statements.dsse import SignatureCheck, compute_keyid
from ledger.statements.pauses import PAUSE_EVENT
from ledger.statements.verdicts import VERDICT

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind for kind in (REGISTRATION_KIND, REPORT_KIND, CORRECTION_KIND, MISCONDUCT_KIND)
}
"""What may be submitted after a charter of version 1."""

KINDS_OF_AGREEMENT: Final[Mapping[str, Kind]] = {
    **KINDS,
    **{
        kind.name: kind
        for kind in (
            PROPOSAL_KIND,
            APPROVAL_KIND,
            PAUSE_PROPOSAL_KIND,
            PAUSE_ACCESSION_KIND,
            LAB_PLEDGE_KIND,
            PAUSE_FREEZE_KIND,
            INVENTORY_KIND,
            TRANSFER_KIND,
            INCIDENT_KIND,
            OBSERVATION_KIND,
            ENFORCEMENT_KIND,
            TRAINING_RUN_KIND,
            RUN_DECISION_KIND,
            RELEASE_REVIEW_KIND,
            REVIEW_EVENT_KIND,
            RELEASE_NOTICE_KIND,
            BEACON_KIND,
            SAMPLE_ANSWER_KIND,
            INSPECTORS_KIND,
            CHALLENGE_KIND,
            WITHDRAWAL_KIND,
            RESPONSE_KIND,
            FINDING_KIND,
        )
    },
}
"""What may be submitted after a charter with an agreement."""

_NOT_SUBMITTED: Final = (CHARTER, VERDICT, SAMPLE, PAUSE_EVENT)

_NOT_PLACED: Final = LeafIndex(INTEGER_MAX)
"""Index of an entry that is only tried: it comes after all that are there."""


def get_kinds(state: State) -> Mapping[str, Kind]:
    """The kinds that this ledger's rules know."""
    return KINDS if state.charter.agreement is None else KINDS_OF_AGREEMENT


@dataclass(frozen=True, slots=True)
class Applied:
    """A submitted entry that the state now contains."""

    kind: str
    issuer: str
    sequence: SequenceNumber
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class AdmissionHeader:
    """What a node's pool needs to know of an entry whose issuer's signature was verified.

    Attributes:
        issuer: whose.
        sequence: its place among the issuer's statements.
        previous: leaf hash that it names as the one before.
        kind: of statement.
        leaf_hash: of the entry.
        next_sequence: what the issuer's next statement must carry in the state asked.
    """

    issuer: str
    sequence: SequenceNumber
    previous: bytes
    kind: str
    leaf_hash: bytes
    next_sequence: SequenceNumber


def found(charter_entry: bytes, *, is_signature: SignatureCheck = is_ed25519_signature) -> State:
    """Make the state after entry 0, as a root.

    Raises:
        LedgerError: as `parse_charter`: not a charter, or not signed by every founder.
    """
    charter = parse_charter(charter_entry, is_signature=is_signature)
    state = State(charter)
    limits = tuple(limit.id for limit in charter.limits)
    FOUNDATION.put(state, Foundation(charter.ledger_id, compute_grid(charter.grid), limits))
    CLOCK.put(state, Clock(charter.founded_at_ms, ()))
    start = Cursor(Interval(0), 0)
    PROGRESS.put(state, Progress(lab_count=0, due=start, grace=start, queue_start=0, queue_end=0))
    for member in charter.members:
        ISSUERS.put(state, Issuer(is_nation=True, next_sequence=SequenceNumber(0), recent=b""), member.id.encode())
        NATIONS.put(state, Nation(member.identity), member.id.encode())
        KEYS.put(state, KeyHolder(member.identity), hashlib.sha256(member.identity).digest())
    return state


def open_block(state: State, *, time_ms: Millis, parent: bytes) -> tuple[State, list[bytes]]:
    """Begin a block: the fork after its opening, and the computed entries that it opens with.

    A leader tries what waits on the fork with `apply_entry` and leaves out what is refused.

    Args:
        state: after the parent; not changed.
        time_ms: of the block, at least the parent's.
        parent: digest of the parent, 32 bytes: inspection samples depend on the block that passed their cut-off.
    """
    fork = state.fork()
    return fork, open_state(fork, time_ms=time_ms, parent=parent)


def compute_due_entries(state: State, *, time_ms: Millis, parent: bytes) -> list[bytes]:
    """The computed entries that a block of this time must open with; arguments as of `open_block`."""
    return open_block(state, time_ms=time_ms, parent=parent)[1]


def next_deadline_ms(state: State) -> Millis | None:
    """When the next block is needed although nobody submits anything; None if never."""
    return compute_next_opening_ms(state)


def apply_block(
    state: State,
    entries: Sequence[bytes | PreparedEntry],
    *,
    time_ms: Millis,
    first_index: LeafIndex,
    parent: bytes,
    is_signature: SignatureCheck = is_ed25519_signature,
) -> State | Rejection:
    """Execute a block on its parent's state.

    Args:
        state: after the parent; not changed.
        entries: of the block, in order.
        time_ms: of its header.
        first_index: ledger index of its first entry.
        parent: digest of the parent, as of `open_block`.
        is_signature: the check of one signature.

    Returns:
        The state after the block as a layer on `state`, or why the block is invalid.
    """
    parent_ms = CLOCK.require(state).time_ms
    if time_ms < parent_ms:
        return reject(Code.INVALID_FIELD, field="block.time_ms", found=time_ms, expected=f"at least {parent_ms}")
    rejection = _check_size(entries)
    if rejection is not None:
        return rejection
    fork, opening = open_block(state, time_ms=time_ms, parent=parent)
    for place, computed in enumerate(opening):
        if place >= len(entries) or _raw(entries[place]) != computed:
            return reject(
                Code.INVALID_FIELD,
                field=f"entries[{place}]",
                found=leaf_hash(_raw(entries[place])).hex() if place < len(entries) else "the end of the block",
                expected=f"the computed entry with leaf hash {leaf_hash(computed).hex()}",
            )
    for place in range(len(opening), len(entries)):
        index = LeafIndex(first_index + place)
        outcome = apply_entry(fork, entries[place], time_ms=time_ms, index=index, is_signature=is_signature)
        if isinstance(outcome, Rejection):
            return Rejection(outcome.code, f"entries[{place}].{outcome.field}", outcome.found, outcome.expected)
    return fork


def apply_entry(
    state: State,
    entry: bytes | PreparedEntry,
    *,
    time_ms: Millis,
    index: LeafIndex,
    is_signature: SignatureCheck = is_ed25519_signature,
) -> Applied | Rejection:
    """Take one submitted entry into a state.

    Args:
        state: a fork that was opened for the block; changed only if the entry is accepted.
        entry: its bytes, or what `prepare_entry` made of them.
        time_ms: of the block.
        index: ledger index the entry gets.
        is_signature: the check of one signature.
    """
    authentic = _authenticate(state, entry, is_signature)
    if isinstance(authentic, Rejection):
        return authentic
    prepared, header, kind = authentic.entry, authentic.header, authentic.kind
    rejection = _check_position(authentic) or kind.apply(
        state, Context(time_ms, index, prepared, authentic.issuer_key, is_signature), header
    )
    if rejection is not None:
        return rejection
    after = advance_issuer(authentic.issuer, leaf=prepared.leaf_hash, payload_digest=prepared.payload_digest)
    ISSUERS.put(state, after, header.issuer.encode())
    return Applied(kind.name, header.issuer, header.sequence, prepared.leaf_hash)


def admission_header(
    state: State, entry: bytes | PreparedEntry, *, is_signature: SignatureCheck = is_ed25519_signature
) -> AdmissionHeader | Rejection:
    """Say where an entry belongs, once its issuer's signature is verified; whether it fits there is not asked."""
    authentic = _authenticate(state, entry, is_signature)
    if isinstance(authentic, Rejection):
        return authentic
    header = authentic.header
    return AdmissionHeader(
        issuer=header.issuer,
        sequence=header.sequence,
        previous=bytes.fromhex(header.previous),
        kind=authentic.kind.name,
        leaf_hash=authentic.entry.leaf_hash,
        next_sequence=authentic.issuer.next_sequence,
    )


def check_submission(
    state: State,
    entry: bytes | PreparedEntry,
    *,
    now_ms: Millis,
    pending: Sequence[bytes | PreparedEntry] = (),
    allows_gap: bool = False,
    is_signature: SignatureCheck = is_ed25519_signature,
) -> Rejection | None:
    """Say whether a node should admit an entry: the same rules, tried on a fork that is thrown away.

    A pool that holds many entries of one issuer keeps a fork per issuer instead, and calls `apply_entry` on it.

    Args:
        state: after the newest block; not changed.
        entry: what was handed in.
        now_ms: the caller's estimate of the next block's time. An earlier one than the newest block's is not used.
        pending: what waits before it, in order; those that are refused are skipped.
        allows_gap: whether a sequence further ahead is let through with only its signature, issuer and kind checked.
        is_signature: the check of one signature.
    """
    fork = state.fork()
    time_ms = max(now_ms, CLOCK.require(state).time_ms)
    for waiting in pending:
        apply_entry(fork, waiting, time_ms=time_ms, index=_NOT_PLACED, is_signature=is_signature)
    if allows_gap:
        header = admission_header(fork, entry, is_signature=is_signature)
        if isinstance(header, Rejection):
            return header
        if header.sequence > header.next_sequence:
            return None
    outcome = apply_entry(fork, entry, time_ms=time_ms, index=_NOT_PLACED, is_signature=is_signature)
    return outcome if isinstance(outcome, Rejection) else None


def _authenticate(state: State, entry: bytes | PreparedEntry, is_signature: SignatureCheck) -> Authentic | Rejection:
    """Steps 2a, 2b and the part of 2c that needs no sequence."""
    try:
        prepared = entry if isinstance(entry, PreparedEntry) else prepare_entry(entry)
        signers = verify_known_signatures(state, prepared, is_signature)
        kind = _find_kind(state, prepared)
        if isinstance(kind, Rejection):
            return kind
        header = prepared.parse_as(kind.parse).predicate
        ledger_id = FOUNDATION.require(state).ledger_id.hex()
        if header.ledger != ledger_id:
            return reject(
                Code.WRONG_LEDGER, field="statement.predicate.ledger", found=header.ledger, expected=ledger_id
            )
        issuer = ISSUERS.get(state, header.issuer.encode())
        if issuer is None:
            return reject(
                Code.UNKNOWN_ISSUER,
                field="statement.predicate.issuer",
                found=header.issuer,
                expected="a member, or a lab that a nation registered",
            )
        issuer_key = _find_issuer_key(state, header.issuer, issuer, signers)
    except LedgerError as error:
        return reject_error(error)
    return _check_kind(Authentic(prepared, kind, header, issuer, issuer_key))


def _raw(entry: bytes | PreparedEntry) -> bytes:
    return entry.raw if isinstance(entry, PreparedEntry) else entry


def _find_kind(state: State, entry: PreparedEntry) -> Kind | Rejection:
    """The kind's rules, by the name in the payload."""
    name, kinds = entry.find_kind(), get_kinds(state)
    kind = kinds.get(name)
    if kind is not None:
        return kind
    code = Code.COMPUTED_ONLY if name in _NOT_SUBMITTED else Code.UNKNOWN_KIND
    return reject(code, field="statement.predicateType", found=name, expected=f"one of {', '.join(kinds)}")


def _find_issuer_key(state: State, issuer_id: str, issuer: Issuer, signers: Sequence[bytes]) -> bytes:
    """The issuer's own key among those that signed.

    Raises:
        SignatureError: none is (`WRONG_KEY`), or only revoked ones (`KEY_REVOKED`).
    """
    if issuer.is_nation:
        identity = NATIONS.require(state, issuer_id.encode()).identity
        if identity in signers:
            return identity
    else:
        keys = LABS.require(state, issuer_id.encode()).keys
        for key in keys:
            if key.revoked_by is None and key.public_key in signers:
                return key.public_key
        for key in keys:
            if key.public_key in signers:
                raise SignatureError(
                    field="entry.signatures.keyid",
                    found=f"key id {compute_keyid(key.public_key)}, revoked by entry {key.revoked_by}",
                    expected=f"an active key of {issuer_id}",
                    code=Code.KEY_REVOKED,
                )
    raise SignatureError(
        field="entry.signatures.keyid",
        found=f"key id {compute_keyid(signers[0])}",
        expected=f"a key registered for {issuer_id}",
        code=Code.WRONG_KEY,
    )


def _check_kind(authentic: Authentic) -> Authentic | Rejection:
    """That the issuer may make such statements, and that the envelope holds no signature too few or too many."""
    kind = authentic.kind
    if kind.is_for_nations is not None and authentic.issuer.is_nation != kind.is_for_nations:
        return reject(
            Code.WRONG_ISSUER,
            field="statement.predicate.issuer",
            found=authentic.header.issuer,
            expected=f"a {'nation' if kind.is_for_nations else 'lab'} for a {kind.name}",
        )
    count = len(authentic.entry.envelope.signatures)
    if count != kind.signature_count:
        return reject(
            Code.COUNTERSIGNATURE_MISSING if count < kind.signature_count else Code.INVALID_FIELD,
            field="entry.signatures",
            found=f"{count} signatures",
            expected=f"exactly {kind.signature_count} for a {kind.name}",
        )
    return authentic


def _check_position(authentic: Authentic) -> Rejection | None:
    """Sequence and previous; what was filed before is told from what contradicts it."""
    header, issuer = authentic.header, authentic.issuer
    if header.sequence != issuer.next_sequence:
        return _reject_sequence(authentic)
    previous = compute_last_leaf(issuer).hex()
    if header.previous != previous:
        return reject(
            Code.WRONG_PREVIOUS, field="statement.predicate.previous", found=header.previous, expected=previous
        )
    return None


def _reject_sequence(authentic: Authentic) -> Rejection:
    """Too far ahead, too far back to remember, the same statement again, or another one in its place."""
    header, issuer = authentic.header, authentic.issuer
    known = find_recent(issuer, header.sequence)
    field = "statement.predicate.sequence"
    if known is None:
        return reject(
            Code.WRONG_SEQUENCE, field=field, found=header.sequence, expected=f"exactly {issuer.next_sequence}"
        )
    leaf, payload_digest = known
    code = Code.DUPLICATE if payload_digest == authentic.entry.payload_digest else Code.EQUIVOCATION
    return reject(
        code,
        field=field,
        found=f"{header.sequence} again",
        expected=f"{issuer.next_sequence}; {header.sequence} is the entry with leaf hash {leaf.hex()}",
    )


def _check_size(entries: Sequence[bytes | PreparedEntry]) -> Rejection | None:
    """A block's limits."""
    size_bytes = sum(len(_raw(entry)) for entry in entries)
    if len(entries) > BLOCK_ENTRIES_MAX or size_bytes > BLOCK_BYTES_MAX:
        return reject(
            Code.TOO_LARGE,
            field="entries",
            found=f"{len(entries)} entries of {size_bytes} bytes",
            expected=f"at most {BLOCK_ENTRIES_MAX} entries of {BLOCK_BYTES_MAX} bytes together",
        )
    return None
