"""Envelopes: the exact bytes of a signed entry (DSSE v1).

    {"payload":"<base64>","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"<hex>","sig":"<base64>"}]}

One statement has one envelope. An entry that differs from its own re-encoding is refused: other key order, spaces,
escapes, another spelling of base64, repeated or unknown keys. Signatures stand in ascending order of `keyid`, none
twice; `verify_envelope` demands that each `keyid` is the hash of the very key that verified and that no signature
stands there which nobody can check. So nobody but the signers can turn an envelope into another one of the same
statement, which matters because the next statement of the issuer names this entry's hash.

Source: https://github.com/secure-systems-lab/dsse, `envelope.md` and `protocol.md`, of which this is a strict profile.
It does not look inside the payload: `ledger.statements.intoto` does.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import msgspec

from ledger.domains import PAYLOAD_TYPE
from ledger.errors import Code, FormatError, SignatureError
from ledger.limits import ENTRY_BYTES_MAX, SIGNATURES_MAX

ED25519_SIGNATURE_BYTES: Final = 64
ML_DSA_44_SIGNATURE_BYTES: Final = 2420

Signer = Callable[[bytes], bytes]
"""Signs a message with a key it keeps to itself."""

SignatureCheck = Callable[[bytes, bytes, bytes], bool]
"""Says whether (public key, signature, message) belong together; `ledger.ed25519.is_ed25519_signature` is one."""


class EnvelopeSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature line. `keyid` finds the key; whether it counts is decided by the key alone."""

    keyid: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    signature: bytes = msgspec.field(name="sig")


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A payload and the signatures over it, not yet verified."""

    payload: Annotated[bytes, msgspec.Meta(min_length=1)]
    payload_type: str = msgspec.field(name="payloadType", default=PAYLOAD_TYPE)
    signatures: Annotated[tuple[EnvelopeSignature, ...], msgspec.Meta(min_length=1, max_length=SIGNATURES_MAX)]


_DECODER: Final = msgspec.json.Decoder(Envelope)
_ENCODER: Final = msgspec.json.Encoder()


def encode_pae(payload_type: str, body: bytes) -> bytes:
    """Make the bytes that are signed: `DSSEv1 SP len(type) SP type SP len(body) SP body`.

    >>> encode_pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def compute_keyid(public_key: bytes) -> str:
    """Hex SHA-256 of the raw public key."""
    return hashlib.sha256(public_key).hexdigest()


def encode_envelope(envelope: Envelope) -> bytes:
    """Write an entry. The envelope's signatures must stand in order already (`sign_envelope` sorts them).

    Raises:
        FormatError: the envelope could not be read back: too large, no signature, not in order.
    """
    raw = _ENCODER.encode(envelope)
    parse_envelope(raw)
    return raw


def parse_envelope(raw: bytes) -> Envelope:
    """Read an entry that a party signed.

    Raises:
        FormatError: too large, not an envelope, or not in its one encoding.
    """
    if len(raw) > ENTRY_BYTES_MAX:
        raise FormatError(
            field="entry", found=f"{len(raw)} bytes", expected=f"at most {ENTRY_BYTES_MAX} bytes", code=Code.TOO_LARGE
        )
    try:
        envelope = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="entry", found=str(error), expected="a DSSE envelope") from None
    if _ENCODER.encode(envelope) != raw:
        raise FormatError(
            field="entry", found="another spelling of the same envelope", expected="the envelope's one encoding"
        )
    if envelope.payload_type != PAYLOAD_TYPE:
        raise FormatError(field="entry.payloadType", found=envelope.payload_type, expected=PAYLOAD_TYPE)
    previous = ""
    for line in envelope.signatures:
        if len(line.signature) not in (ED25519_SIGNATURE_BYTES, ML_DSA_44_SIGNATURE_BYTES):
            raise FormatError(
                field="entry.signatures.sig",
                found=f"{len(line.signature)} bytes",
                expected=f"{ED25519_SIGNATURE_BYTES} or {ML_DSA_44_SIGNATURE_BYTES} bytes",
            )
        if line.keyid <= previous:
            raise FormatError(
                field="entry.signatures.keyid", found=line.keyid, expected="ascending order, each key id once"
            )
        previous = line.keyid
    return envelope


def sign_envelope(payload: bytes, signers: Sequence[tuple[bytes, Signer]]) -> bytes:
    """Sign a payload with every signer given and encode the entry.

    Args:
        payload: the statement, as `encode_…` of its kind made it.
        signers: (public key, signer) pairs, of distinct keys.

    Raises:
        FormatError: no signer, a key twice, or the entry would be too large.
    """
    message = encode_pae(PAYLOAD_TYPE, payload)
    lines = [EnvelopeSignature(compute_keyid(public_key), signer(message)) for public_key, signer in signers]
    lines.sort(key=lambda line: line.keyid)
    return encode_envelope(Envelope(payload=payload, signatures=tuple(lines)))


def verify_envelope(
    envelope: Envelope, *, public_keys: Sequence[bytes], is_signature: SignatureCheck
) -> tuple[bytes, ...]:
    """Check every signature and return the distinct public keys that signed, in the order of the envelope.

    Who must have signed is the caller's to decide, over the keys returned. A signature by nobody in `public_keys` is
    refused and not skipped: it would be a way to make a second entry of one statement.

    Args:
        envelope: as `parse_envelope` returned it.
        public_keys: every key that may sign this statement.
        is_signature: the check of one signature.

    Raises:
        SignatureError: `WRONG_KEY` for a key id of none of the keys, `SIGNATURE` for a signature that does not verify.
    """
    keys = {compute_keyid(public_key): public_key for public_key in public_keys}
    message = encode_pae(envelope.payload_type, envelope.payload)
    signed: dict[bytes, None] = {}
    for line in envelope.signatures:
        public_key = keys.get(line.keyid)
        if public_key is None:
            raise SignatureError(
                field="entry.signatures.keyid",
                found=line.keyid,
                expected="the key id of a key that may sign this statement",
                code=Code.WRONG_KEY,
            )
        if not is_signature(public_key, line.signature, message):
            raise SignatureError(
                field="entry.signatures.sig", found=f"key id {line.keyid}", expected="a signature over the payload"
            )
        signed[public_key] = None
    return tuple(signed)
