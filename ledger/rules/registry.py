"""Who may file for what: labs, their keys and their clusters, as nations register them.

1. Ids are unique: a lab's against members, other labs and the charter; a cluster's against every other lab's.
2. The envelope holds two signatures: the nation's identity key and one key of the lab.
3. For a lab that is registered already, by the same nation: an active key of the lab may sign any change. A new key may
   sign only if it is the one that the lab committed to, and then it must be the only new one.
4. The list replaces the lab's keys: what it revokes or leaves out is revoked by this entry, and a revoked key never
   comes back. Entries at later indices signed by it are refused. All keys a lab ever had are remembered for that, so
   their number is bounded.
5. Clusters are added, never taken away; each counts from the first grid boundary after the block's time.
"""

import hashlib
from typing import Final

from ledger.charter import CHARTER
from ledger.errors import Code, LedgerError, Rejection, reject
from ledger.limits import CLUSTERS_PER_LAB_MAX
from ledger.positions import Interval, LeafIndex, Sequence
from ledger.rules.capacity import note_capacity
from ledger.rules.entries import Context, Kind
from ledger.rules.grid import compute_next_interval
from ledger.rules.records.filings import PROGRESS, Cursor, Progress
from ledger.rules.records.foundation import FOUNDATION, ISSUERS, NATIONS, Issuer
from ledger.rules.records.registry import (
    CLUSTERS,
    KEYS,
    LAB_NUMBERS,
    LABS,
    KeyHolder,
    Lab,
    LabName,
    RegisteredCluster,
    RegisteredKey,
    make_number_name,
)
from ledger.rules.state import State
from ledger.statements.dsse import compute_keyid
from ledger.statements.registry import REGISTRATION, Registration, compute_next_key_commitment, parse_registration

KEYS_PER_LAB_MAX: Final = 1_024
"""Revoked ones included: a key a month for eighty years. Each registration writes and reads the whole list."""

_FIELD: Final = "statement.predicate"


def apply_registration(state: State, context: Context, registration: Registration) -> Rejection | None:
    """Register a lab, or change its keys and clusters. Believes that the header was checked."""
    lab = LABS.get(state, registration.lab.encode())
    rejection = (
        _check_names(state, registration, lab)
        or _check_keys(state, registration, lab)
        or _check_countersignature(context, registration, lab)
    )
    if rejection is not None:
        return rejection
    foundation = FOUNDATION.require(state)
    first_interval = compute_next_interval(foundation.grid, context.time_ms)
    for line in registration.keys:
        KEYS.put(state, KeyHolder(line.key), hashlib.sha256(line.key).digest())
    for cluster in registration.clusters:
        CLUSTERS.put(state, LabName(registration.lab), cluster.id.encode())
    changed = Lab(
        number=_number_lab(state, registration.lab, first_interval) if lab is None else lab.number,
        nation=registration.issuer,
        keys=_merge_keys(registration, lab, index=context.index),
        next_key=bytes.fromhex(registration.next_key_sha256),
        clusters=_merge_clusters(registration, lab, first_interval=first_interval),
    )
    LABS.put(state, changed, registration.lab.encode())
    if state.charter.agreement is not None:
        note_capacity(state, registration)
    return None


def _check_names(state: State, registration: Registration, lab: Lab | None) -> Rejection | None:
    """Rules 1 and 5."""
    name = registration.lab
    is_taken = name == CHARTER or (lab is None and ISSUERS.get(state, name.encode()) is not None)
    if is_taken or (lab is not None and lab.nation != registration.issuer):
        return reject(
            Code.ALREADY_REGISTERED, field=f"{_FIELD}.lab", found=name, expected="an id that nobody else has taken"
        )
    known_count = 0 if lab is None else len(lab.clusters)
    for cluster in registration.clusters:
        owner = CLUSTERS.get(state, cluster.id.encode())
        if owner is not None and owner.lab != name:
            return reject(
                Code.ALREADY_REGISTERED,
                field=f"{_FIELD}.clusters.id",
                found=cluster.id,
                expected="a cluster that no other lab has",
            )
        known_count += owner is None
    if known_count > CLUSTERS_PER_LAB_MAX:
        return reject(
            Code.TOO_LARGE,
            field=f"{_FIELD}.clusters",
            found=f"{known_count} clusters of one lab",
            expected=f"at most {CLUSTERS_PER_LAB_MAX}, which a report can still hold",
        )
    return None


def _check_keys(state: State, registration: Registration, lab: Lab | None) -> Rejection | None:
    """Rule 4, and that no key serves two masters."""
    known = {} if lab is None else {key.public_key: key for key in lab.keys}
    new_count = sum(line.key not in known for line in registration.keys)
    if new_count and len(known) + new_count > KEYS_PER_LAB_MAX:
        return reject(
            Code.TOO_LARGE,
            field=f"{_FIELD}.keys",
            found=f"{len(known) + new_count} keys of one lab",
            expected=f"at most {KEYS_PER_LAB_MAX} over all time",
        )
    for line in registration.keys:
        before = known.get(line.key)
        if before is not None and before.revoked_by is not None and line.status == "active":
            return reject(
                Code.KEY_REVOKED,
                field=f"{_FIELD}.keys",
                found=f"key id {compute_keyid(line.key)}, revoked by entry {before.revoked_by}",
                expected="a key that was never revoked",
            )
        if before is None and line.status == "revoked":
            return _reject_key(line.key, expected="a revoked key to be one that the lab has had")
        if before is None and _is_member_key(state, registration, line.key):
            return _reject_key(line.key, expected="a key of the lab's own, not the nation's")
        if compute_next_key_commitment(line.key) == registration.next_key_sha256:
            return _reject_key(line.key, expected="next_key_sha256 to commit to a key that nobody has seen yet")
    return None


def _is_member_key(state: State, registration: Registration, public_key: bytes) -> bool:
    return NATIONS.require(state, registration.issuer.encode()).identity == public_key


def _reject_key(public_key: bytes, *, expected: str) -> Rejection:
    return reject(
        Code.INVALID_FIELD, field=f"{_FIELD}.keys", found=f"key id {compute_keyid(public_key)}", expected=expected
    )


def _check_countersignature(context: Context, registration: Registration, lab: Lab | None) -> Rejection | None:
    """Rules 2 and 3."""
    known = () if lab is None else lab.keys
    old_keys = [key.public_key for key in known if key.revoked_by is None]
    past_keys = {key.public_key for key in known}
    new_keys = [key for key in registration.active_keys() if key not in past_keys]
    try:
        signer = _verify_countersigner(context, [*old_keys, *new_keys])
    except LedgerError as error:
        return reject(
            Code.COUNTERSIGNATURE_MISSING,
            field="entry.signatures",
            found=error.found,
            expected="a signature by an active key of the lab, or by its next key, beside the nation's",
        )
    if lab is None or signer in old_keys:
        return None
    if new_keys != [signer] or compute_next_key_commitment(signer) != lab.next_key.hex():
        return reject(
            Code.COUNTERSIGNATURE_MISSING,
            field="entry.signatures",
            found=f"key id {compute_keyid(signer)}",
            expected="a signature by an active key of the lab, or by the one new key it committed to",
        )
    return None


def _verify_countersigner(context: Context, lab_keys: list[bytes]) -> bytes:
    """Return the lab's key that signed beside the nation's.

    Raises:
        SignatureError: the other signature is by another key, or wrong.
    """
    signed = context.verify_signers((context.issuer_key, *lab_keys))
    return next(key for key in signed if key != context.issuer_key)


def _number_lab(state: State, lab_id: str, first_interval: Interval) -> int:
    """Enrol a new lab as an issuer. With the first one, deadlines begin to matter."""
    progress = PROGRESS.require(state)
    number = progress.lab_count
    start = Cursor(first_interval, 0)
    PROGRESS.put(
        state,
        Progress(
            lab_count=number + 1,
            due=progress.due if number else start,
            grace=progress.grace if number else start,
            queue_start=progress.queue_start,
            queue_end=progress.queue_end,
        ),
    )
    LAB_NUMBERS.put(state, LabName(lab_id), make_number_name(number))
    ISSUERS.put(state, Issuer(is_nation=False, next_sequence=Sequence(0), recent=b""), lab_id.encode())
    return number


def _merge_keys(registration: Registration, lab: Lab | None, *, index: LeafIndex) -> tuple[RegisteredKey, ...]:
    """Every key the lab ever had, oldest first; those that are not active any more are revoked by this entry."""
    active = registration.active_keys()
    known = () if lab is None else lab.keys
    kept = tuple(
        key if key.public_key in active or key.revoked_by is not None else RegisteredKey(key.public_key, index)
        for key in known
    )
    past = {key.public_key for key in known}
    return kept + tuple(RegisteredKey(key, None) for key in active if key not in past)


def _merge_clusters(
    registration: Registration, lab: Lab | None, *, first_interval: Interval
) -> tuple[RegisteredCluster, ...]:
    """The lab's clusters with the new ones among them, in ascending order of ids."""
    clusters = {} if lab is None else {cluster.id: cluster for cluster in lab.clusters}
    for cluster in registration.clusters:
        clusters.setdefault(cluster.id, RegisteredCluster(cluster.id, first_interval))
    return tuple(clusters[cluster_id] for cluster_id in sorted(clusters))


REGISTRATION_KIND: Final = Kind(
    name=REGISTRATION, is_for_nations=True, signature_count=2, parse=parse_registration, apply=apply_registration
)
