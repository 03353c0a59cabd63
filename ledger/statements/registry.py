"""Registration: a nation says who a lab is, which keys are its own and which clusters it runs.

Issued by the nation and countersigned, in the same envelope, by the lab. A later registration of the same lab replaces
the list of keys and adds clusters; what that means, and from when, is said by `ledger.rules`.
Subject: the lab's id, with the SHA-256 of its first active key.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.domains import NEXT_KEY
from ledger.ed25519 import require_strong_public_key
from ledger.errors import FormatError
from ledger.limits import LAB_KEYS_MAX, LIST_ITEMS_MAX, MODELS_MAX
from ledger.statements.intoto import (
    Count,
    Hex32,
    Identifier,
    Name,
    PredicateHeader,
    PublicKey,
    Statement,
    StatementForm,
    Subject,
    make_subject,
    require_no_correction,
    require_unique,
)

REGISTRATION: Final = "registration"

KeyStatus = Literal["active", "revoked"]


class LabKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key of a lab."""

    key: PublicKey
    status: KeyStatus


class Capacity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many accelerators of a model a cluster has, where the lab makes that public."""

    model: Identifier
    count: Count


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place where computing happens, reported on as one row."""

    id: Identifier
    facility: Name
    country: Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")]
    capacity: Annotated[tuple[Capacity, ...], Meta(max_length=MODELS_MAX)] | None


class Registration(PredicateHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a nation says of a lab.

    Attributes:
        lab: the lab's id; the issuer of its later statements.
        name: what people call it.
        keys: all its keys, with their state; at least one active.
        next_key_sha256: commitment to the key that will follow (`compute_next_key_commitment`).
        clusters: the clusters of the lab.
    """

    lab: Identifier
    name: Name
    keys: Annotated[tuple[LabKey, ...], Meta(min_length=1, max_length=LAB_KEYS_MAX)]
    next_key_sha256: Hex32
    clusters: Annotated[tuple[Cluster, ...], Meta(max_length=LIST_ITEMS_MAX)]

    def active_keys(self) -> tuple[bytes, ...]:
        """The keys that may sign from this statement on, in its order."""
        return tuple(line.key for line in self.keys if line.status == "active")


def compute_next_key_commitment(public_key: bytes) -> str:
    """Commit to the next key without showing it: hex SHA-256 of a tag and the key."""
    return hashlib.sha256(NEXT_KEY + public_key).hexdigest()


def encode_registration(registration: Registration) -> bytes:
    """Write the payload that nation and lab sign.

    Raises:
        FormatError: a value that `parse_registration` would refuse.
    """
    return _FORM.encode(registration)


def parse_registration(payload: bytes) -> Statement[Registration]:
    """Read a registration.

    Raises:
        FormatError: not a registration in its one encoding, no active key, a weak key, or something named twice.
    """
    return _FORM.parse(payload)


def _check(registration: Registration) -> Subject:
    field = "statement.predicate"
    require_no_correction(registration)
    for line in registration.keys:
        require_strong_public_key(line.key, f"{field}.keys.key")
    require_unique([line.key.hex() for line in registration.keys], field=f"{field}.keys.key")
    active = registration.active_keys()
    if not active:
        raise FormatError(field=f"{field}.keys", found="no active key", expected="at least one active key")
    require_unique([cluster.id for cluster in registration.clusters], field=f"{field}.clusters.id")
    for cluster in registration.clusters:
        _check_capacity(cluster.capacity or (), field=f"{field}.clusters.capacity.model")
    return make_subject(registration.lab, hashlib.sha256(active[0]).hexdigest())


def _check_capacity(capacity: Sequence[Capacity], *, field: str) -> None:
    require_unique([line.model for line in capacity], field=field)


_FORM: Final = StatementForm(REGISTRATION, Registration, check=_check)
