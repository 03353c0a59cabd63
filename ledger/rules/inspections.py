"""Inspectors: who may see what labs open, and countersign what was found.

1. A nation's list takes the place of the one before: whom it revokes or leaves out is revoked by this entry, and a
   revoked signing key never comes back. Another encryption key for the same signing key is a change of that line.
2. A signing key belongs to one inspector of one nation for good. It is no key that a nation or a lab signs with, so
   that two signatures are always of two parties.
3. All that a nation ever named are remembered for that; their number is bounded.

Whoever is revoked can no longer be named in a challenge, and makes no more findings; those that were made stand.
"""

import hashlib
from typing import Final

from ledger.errors import Code, Rejection, reject
from ledger.positions import LeafIndex
from ledger.rules.entries import Context, Kind
from ledger.rules.records.inspections import (
    INSPECTOR_KEYS,
    INSPECTORS,
    InspectorKey,
    NationInspectors,
    RegisteredInspector,
)
from ledger.rules.records.registry import KEYS
from ledger.rules.state import State
from ledger.statements.dsse import compute_keyid
from ledger.statements.inspections import INSPECTORS as INSPECTORS_NAME
from ledger.statements.inspections import Inspector, Inspectors, parse_inspectors

INSPECTORS_PER_NATION_MAX: Final = 1_024
"""Revoked ones included. Each list of a nation writes and reads all of them."""

_FIELD: Final = "statement.predicate.inspectors"
_NONE: Final = NationInspectors(())


def get_inspectors(state: State, nation: str) -> tuple[RegisteredInspector, ...]:
    """All inspectors that a nation ever named, revoked ones too."""
    return (INSPECTORS.get(state, nation.encode()) or _NONE).inspectors


def find_inspector(state: State, nation: str, inspector: str) -> RegisteredInspector | None:
    """The active inspector of this id; None if the nation has none."""
    return next(
        (each for each in get_inspectors(state, nation) if each.id == inspector and each.revoked_by is None), None
    )


def apply_inspectors(state: State, context: Context, inspectors: Inspectors) -> Rejection | None:
    """Name a nation's inspectors. Believes that the header was checked."""
    known = {each.signing_key: each for each in get_inspectors(state, inspectors.issuer)}
    for line in inspectors.inspectors:
        rejection = _check_line(state, line, known.get(line.signing_key))
        if rejection is not None:
            return rejection
    active = {line.signing_key: line for line in inspectors.active()}
    kept = [
        RegisteredInspector(each.id, key, active[key].encryption_key, None)
        if key in active
        else RegisteredInspector(each.id, key, each.encryption_key, _or_index(each, context))
        for key, each in known.items()
    ]
    added = [
        RegisteredInspector(line.id, key, line.encryption_key, None) for key, line in active.items() if key not in known
    ]
    if len(kept) + len(added) > INSPECTORS_PER_NATION_MAX:
        return reject(
            Code.TOO_LARGE,
            field=_FIELD,
            found=f"{len(kept) + len(added)} inspectors of one nation",
            expected=f"at most {INSPECTORS_PER_NATION_MAX} over all time",
        )
    for each in added:
        INSPECTOR_KEYS.put(state, InspectorKey(inspectors.issuer, each.id), hashlib.sha256(each.signing_key).digest())
    INSPECTORS.put(state, NationInspectors((*kept, *added)), inspectors.issuer.encode())
    return None


def _or_index(inspector: RegisteredInspector, context: Context) -> LeafIndex:
    return context.index if inspector.revoked_by is None else inspector.revoked_by


def _check_line(state: State, line: Inspector, before: RegisteredInspector | None) -> Rejection | None:
    """Rules 1 and 2."""
    found = f"key id {compute_keyid(line.signing_key)}"
    if before is not None:
        if before.revoked_by is not None and line.status == "active":
            return reject(
                Code.KEY_REVOKED,
                field=f"{_FIELD}.signing_key",
                found=f"{found}, revoked by entry {before.revoked_by}",
                expected="a key that was never revoked",
            )
        if before.id != line.id:
            return reject(
                Code.INVALID_FIELD, field=f"{_FIELD}.id", found=line.id, expected=f"{before.id}, whose key it is"
            )
        return None
    if line.status == "revoked":
        return reject(
            Code.INVALID_FIELD,
            field=f"{_FIELD}.signing_key",
            found=found,
            expected="a revoked key to be one that an inspector of the nation has had",
        )
    digest = hashlib.sha256(line.signing_key).digest()
    if KEYS.get(state, digest) is not None or INSPECTOR_KEYS.get(state, digest) is not None:
        return reject(
            Code.ALREADY_REGISTERED,
            field=f"{_FIELD}.signing_key",
            found=found,
            expected="a key that no nation, lab or other inspector has",
        )
    return None


INSPECTORS_KIND: Final = Kind(
    name=INSPECTORS_NAME, is_for_nations=True, signature_count=1, parse=parse_inspectors, apply=apply_inspectors
)
