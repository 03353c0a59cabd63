"""Becoming known to the ledger: what a lab asks for, what it countersigns, and what it is registered with since.

1. The lab writes a request: its id, name, keys, the hash of its next key, its clusters.
2. Its nation adds a header (ledger, issuer, sequence) and signs; what comes back is payload, signature and public key.
3. The lab countersigns only if the payload says exactly what it asked for, of its own ledger, by a member's identity
   key whose signature verifies, and about keys that are its own.
4. Both signatures stand in one envelope, which the lab submits, as the same bytes however often it must be repeated.

What was sent is written down before it is sent, with the time, and completed with its receipt.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from lab.files import read_bounded, write_atomically
from lab.keys import LabKeys, SigningKey
from lab.pinned import PinnedLedger
from lab.settings import Settings
from ledger.domains import PAYLOAD_TYPE
from ledger.ed25519 import is_ed25519_signature
from ledger.encoding import encode_base64
from ledger.errors import Code, ConditionError, FormatError, PolicyError, SignatureError
from ledger.limits import CLOCK_AHEAD_MAX_MS, ENTRY_BYTES_MAX, KIB, MIB
from ledger.positions import Interval, Millis
from ledger.rules.grid import compute_grid, compute_next_interval
from ledger.statements.dsse import (
    Envelope,
    EnvelopeSignature,
    compute_keyid,
    encode_envelope,
    encode_pae,
    parse_envelope,
)
from ledger.statements.registry import Registration, parse_registration

OFFER_BYTES_MAX: Final = 2 * ENTRY_BYTES_MAX + KIB
REGISTRATIONS_BYTES_MAX: Final = 64 * MIB
REGISTRATIONS_COUNT_MAX: Final = 1_000
REQUESTED: Final = ("lab", "name", "keys", "next_key_sha256", "clusters")
"""What of a registration the lab itself asks for; the rest is the nation's header."""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the nation gives back: a statement it signed, not yet countersigned."""

    payload: Annotated[bytes, msgspec.Meta(min_length=1, max_length=ENTRY_BYTES_MAX)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
    public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Enrolled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A registration that this lab countersigned.

    Attributes:
        entry: the envelope, as it was sent or is about to be.
        sent_ms: when this lab's clock said so first.
        receipt: its receipt, once sealed.
    """

    entry: bytes
    sent_ms: Annotated[int, msgspec.Meta(ge=0)]
    receipt: bytes | None = None

    @property
    def registration(self) -> Registration:
        """What it says."""
        return parse_registration(parse_envelope(self.entry).payload).predicate


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: Literal[1] = 1
    registrations: Annotated[tuple[Enrolled, ...], msgspec.Meta(max_length=REGISTRATIONS_COUNT_MAX)] = ()


_OFFER: Final = msgspec.json.Decoder(Offer)
_FILE: Final = msgspec.json.Decoder(_File)


def compose_request(settings: Settings, keys: LabKeys) -> bytes:
    """Write what the nation is asked to register: these settings, the current key and a promise of the next one."""
    request = {
        "lab": settings.lab.id,
        "name": settings.lab.name,
        "keys": [{"key": encode_base64(keys.current.public_key), "status": "active"}],
        "next_key_sha256": keys.next_key_sha256,
        "clusters": [cluster.registered() for cluster in settings.clusters],
    }
    return msgspec.json.format(msgspec.json.encode(request), indent=2) + b"\n"


def parse_offer(raw: bytes) -> Offer:
    """Read what the nation gave back.

    Raises:
        FormatError: not of the form.
    """
    if len(raw) > OFFER_BYTES_MAX:
        raise FormatError(field="registration", found=f"{len(raw)} bytes", expected=f"at most {OFFER_BYTES_MAX} bytes")
    try:
        return _OFFER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        expected = "the file that `counterseal nation register` wrote"
        raise FormatError(field="registration", found=str(error), expected=expected) from None


def check_offer(offer: Offer, *, request: bytes, keys: LabKeys, ledger: PinnedLedger) -> Registration:
    """Check that a nation's registration is what this lab asked for, of its ledger, and truly the nation's.

    Args:
        offer: from the nation.
        request: the lab's own request, from its folder.
        keys: the lab's.
        ledger: pinned.

    Raises:
        FormatError: not a registration.
        PolicyError: it says something else than was asked for, or another ledger's nation says it.
        SignatureError: the nation did not sign it.
    """
    registration = parse_registration(offer.payload).predicate
    charter = ledger.charter
    member = charter.find_member(registration.issuer)
    if registration.ledger != charter.fingerprint:
        raise _differs("ledger", registration.ledger, charter.fingerprint, Code.WRONG_LEDGER)
    if member is None or member.identity != offer.public_key:
        raise _differs("issuer", registration.issuer, "a member of the charter, by its identity key", Code.WRONG_ISSUER)
    if not is_ed25519_signature(offer.public_key, offer.signature, encode_pae(PAYLOAD_TYPE, offer.payload)):
        raise SignatureError(
            field="registration.signature", found="one that does not verify", expected=f"one by {registration.issuer}"
        )
    asked = _read_request(request)
    for name in REQUESTED:
        found, expected = _plain(getattr(registration, name)), asked[name]
        if found != expected:
            raise _differs(
                name, msgspec.json.encode(found).decode(), f"as asked: {msgspec.json.encode(expected).decode()}"
            )
    if keys.current.public_key not in registration.active_keys():
        raise _differs("keys", "keys of somebody else", f"this lab's key {keys.current.public_key.hex()}")
    if registration.next_key_sha256 != keys.next_key_sha256:
        raise _differs("next_key_sha256", registration.next_key_sha256, keys.next_key_sha256)
    return registration


def countersign(offer: Offer, key: SigningKey) -> bytes:
    """Put the nation's and the lab's signature into one envelope. Only for an offer that `check_offer` let pass."""
    message = encode_pae(PAYLOAD_TYPE, offer.payload)
    lines = [
        EnvelopeSignature(compute_keyid(offer.public_key), offer.signature),
        EnvelopeSignature(compute_keyid(key.public_key), key.sign(message)),
    ]
    lines.sort(key=lambda line: line.keyid)
    return encode_envelope(Envelope(payload=offer.payload, signatures=tuple(lines)))


def read_enrolled(path: Path) -> tuple[Enrolled, ...]:
    """Read what this lab countersigned so far, in order.

    Raises:
        FormatError: the file is not what was written (`STORE_DAMAGED`).
    """
    if not path.exists():
        return ()
    raw = read_bounded(path, bytes_max=REGISTRATIONS_BYTES_MAX)
    try:
        enrolled = _FILE.decode(raw).registrations
        for line in enrolled:
            _ = line.registration
    except (msgspec.MsgspecError, UnicodeError, RecursionError, FormatError) as error:
        raise FormatError(
            field=str(path), found=str(error), expected="the file as it was written", code=Code.STORE_DAMAGED
        ) from None
    return enrolled


def note_enrolled(path: Path, noted: Enrolled) -> Enrolled:
    """Write a registration down, or complete it; the time it was first sent stays. Durable when this returns.

    One that was sealed makes void what was sent before it and was not: its nation's number is taken.
    """
    lines = list(read_enrolled(path))
    known = next((line for line in lines if line.entry == noted.entry), None)
    if known is not None:
        lines.remove(known)
        noted = Enrolled(entry=known.entry, sent_ms=known.sent_ms, receipt=noted.receipt or known.receipt)
    if noted.receipt is not None:
        number = noted.registration.sequence
        lines = [line for line in lines if line.receipt is not None or line.registration.sequence > number]
    lines.append(noted)
    lines.sort(key=lambda line: line.registration.sequence)
    write_atomically(path, msgspec.json.encode(_File(registrations=tuple(lines))))
    return noted


def choose_key(keys: LabKeys, enrolled: Sequence[Enrolled]) -> SigningKey:
    """Give the key that the ledger takes statements from: after a rotation the former one, until the new is sealed.

    Raises:
        ConditionError: nothing is registered yet (`UNKNOWN_ISSUER`), or none of the keys is (`WRONG_KEY`).
    """
    sealed = [line for line in enrolled if line.receipt is not None]
    if not sealed:
        raise ConditionError(
            field="registration",
            found="none with a receipt",
            expected="one that the nation signed and `counterseal lab countersign` submitted",
            code=Code.UNKNOWN_ISSUER,
        )
    active = sealed[-1].registration.active_keys()
    for key in (keys.current, keys.former):
        if key is not None and key.public_key in active:
            return key
    raise ConditionError(
        field="lab.keys", found=keys.current.public_key.hex(), expected="a key that is registered", code=Code.WRONG_KEY
    )


def find_first_intervals(ledger: PinnedLedger, enrolled: Sequence[Enrolled]) -> Mapping[str, Interval]:
    """Say for each cluster before which interval it certainly does not count.

    It counts from the next boundary after the time of the block that holds its registration, which is not in a receipt;
    it cannot be before the nation signed, nor before the lab sent it, as far as clocks agree.
    """
    grid = compute_grid(ledger.charter.grid)
    first: dict[str, Interval] = {}
    for line in enrolled:
        registration = line.registration
        earliest_ms = max(registration.issued_at * 1000, line.sent_ms) - CLOCK_AHEAD_MAX_MS
        for cluster in registration.clusters:
            first.setdefault(cluster.id, compute_next_interval(grid, Millis(max(earliest_ms, 0))))
    return first


def _read_request(raw: bytes) -> dict[str, object]:
    try:
        asked = msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="request.json", found=str(error), expected="the request as it was written") from None
    if sorted(asked) != sorted(REQUESTED):
        raise FormatError(field="request.json", found=", ".join(asked), expected=f"exactly {', '.join(REQUESTED)}")
    return asked


def _plain(value: object) -> object:
    """Give a typed value as JSON reads it back, to be compared with a request."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _differs(name: str, found: object, expected: str, code: Code | None = None) -> PolicyError:
    return PolicyError(field=f"registration.{name}", found=found, expected=expected, code=code)
