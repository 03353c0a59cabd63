"""BLS signatures and their threshold form: shares, and the one seal that any quorum of them makes.

Signatures are in G1 (48 bytes), public keys in G2 (96 bytes), under the ciphersuite
`BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_`; proofs of possession under its POP destination, so that neither can pass
for the other. A seal is an ordinary signature under the group key: any BLS library with short signatures verifies it.
Which members made it cannot be told, and it is the same whichever did.

The hash of a message to the curve and the last public keys are remembered: the same message is signed, combined and
verified in turn, and a group key never changes.
Source: draft-irtf-cfrg-bls-signature-05 §2, §3.3 and §4.2.1; Boldyreva 2003 for the threshold form.
"""

import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from ledger import domains
from ledger.encoding import encode_u64
from ledger.errors import FormatError, PolicyError, SignatureError
from ledger.limits import HASH_BYTES, MEMBERS_MAX
from ledger.positions import MemberIndex
from ledger.threshold.group import G1, G2, G2_BYTES, ORDER, BackendName, backend
from ledger.threshold.polynomials import (
    SecretScalar,
    compute_lagrange_at_zero,
    compute_public_key,
    encode_secret_scalar,
)

BATCH_WEIGHT_BYTES: Final = 16

_MESSAGES_REMEMBERED: Final = 4
_KEYS_REMEMBERED: Final = 2 * MEMBERS_MAX


def sign_share(secret: SecretScalar, message: bytes) -> bytes:
    """Sign a message with a share of the group's secret; 48 bytes.

    The secret is multiplied as two parts, of which each alone is random: a backend whose time depends on the number it
    multiplies by (see `group.select_backend`) then tells nothing about the secret. The split is derived from secret and
    message, as the nonce of RFC 6979 is, so that signing needs no source of randomness that could fail.
    """
    assert secret.value != 0
    return _multiply_secret(secret, message, domains.BLS_SIGNATURE_DST)


def verify_signature(public_key: bytes, message: bytes, signature: bytes, *, field: str = "signature") -> None:
    """Check a signature, share or seal: `e(signature, g2) = e(H(message), public key)`.

    Args:
        public_key: 96 bytes; believed to be the signer's (the group key, or a member's public share).
        message: what was signed.
        signature: 48 bytes.
        field: name of the signature in the error.

    Raises:
        FormatError: `public_key` or `field` is no point in its one spelling.
        SignatureError: `field`: it does not verify.
    """
    _verify(public_key, message, signature, dst=domains.BLS_SIGNATURE_DST, field=field)


def is_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether `verify_signature` would accept."""
    try:
        verify_signature(public_key, message, signature)
    except (FormatError, SignatureError):
        return False
    return True


def verify_signatures_batch(
    public_key: bytes, signed: Sequence[tuple[bytes, bytes]], *, randomness: bytes, field: str = "signatures"
) -> None:
    """Check many signatures by one key at the price of one pairing check: `e(Σ rᵢ·Sᵢ, g2) = e(Σ rᵢ·H(mᵢ), PK)`.

    Soundness: all points are in the group of prime order, and the weights rᵢ are 128 bits that nobody could foresee. If
    any signature is wrong, then for any choice of the other weights at most one value of its own makes the equation
    hold, so wrong signatures pass with a probability of at most 2⁻¹²⁸. With weights that the signers could foresee,
    two wrong signatures could make up for each other. If the equation fails, each signature is verified by itself.

    Args:
        public_key: 96 bytes; believed to be the signer's.
        signed: messages, each with its signature of 48 bytes; none is fine.
        randomness: 16 fresh bytes for each signature, drawn after the signatures were there.
        field: name of the list in the error.

    Raises:
        FormatError: `public_key` or `field[i]` is no point in its one spelling.
        SignatureError: `field[i]`: the first signature that does not verify.
    """
    assert len(randomness) == BATCH_WEIGHT_BYTES * len(signed)
    if not signed:
        return
    group = backend()
    key = _decode_key(group.name, public_key)
    points = [group.decode_g1(signature, field=f"{field}[{place}]") for place, (_, signature) in enumerate(signed)]
    hashes = [group.hash_to_g1(message, domains.BLS_SIGNATURE_DST) for message, _ in signed]
    weights = [
        int.from_bytes(randomness[at : at + BATCH_WEIGHT_BYTES], "big")
        for at in range(0, len(randomness), BATCH_WEIGHT_BYTES)
    ]
    signatures, messages = group.g1_msm(points, weights), group.g1_msm(hashes, weights)
    if group.is_pairing_product_one(((group.g1_negate(signatures), group.g2_generator()), (messages, key))):
        return
    for place, (message, signature) in enumerate(signed):
        verify_signature(public_key, message, signature, field=f"{field}[{place}]")
    raise AssertionError  # right signatures satisfy the equation, whatever the weights


def combine(shares: Mapping[MemberIndex, bytes]) -> bytes:
    """Combine all shares given into the signature they make, 48 bytes, which the caller then verifies.

    Args:
        shares: at least a quorum of one polynomial's shares over one message; with fewer, or with a wrong one, the
            result is a point that verifies under nothing.

    Raises:
        FormatError: `shares[member]` is no point; or the sum is the identity.
        PolicyError: no share, or an index that is no member's.
    """
    group = backend()
    members = sorted(shares)
    factors = compute_lagrange_at_zero(members)
    points = [group.decode_g1(shares[member], field=f"shares[{member}]") for member in members]
    total = group.g1_msm(points, factors)
    if group.is_g1_identity(total):
        raise FormatError(field="shares", found="shares that sum to the identity", expected="shares of one secret")
    return group.encode_g1(total)


def combine_and_verify(
    shares: Mapping[MemberIndex, bytes],
    message: bytes,
    *,
    group_key: bytes,
    public_shares: Mapping[MemberIndex, bytes],
    quorum: int,
) -> tuple[bytes | None, tuple[MemberIndex, ...]]:
    """Make a verified seal from any quorum of shares; name those who sent wrong ones if that does not succeed at once.

    The first `quorum` shares by member index are combined and the result verified: one verification. Only if that fails
    is every share verified by itself, and the seal made from those that are right.

    Args:
        shares: what members sent, not verified.
        message: what they should have signed.
        group_key: 96 bytes.
        public_shares: of every member whose share is given, from the public polynomial.
        quorum: how many shares determine the seal.

    Returns:
        The seal, or None if too few shares are right; and the members whose shares are wrong, in order. With a seal at
        once nobody is named, since nobody was looked at.

    Raises:
        PolicyError: fewer shares than `quorum`, or from somebody who has no public share.
    """
    if len(shares) < quorum:
        raise PolicyError(field="shares", found=len(shares), expected=f"at least {quorum}")
    for member in sorted(shares):
        if member not in public_shares:
            raise PolicyError(field="shares", found=f"a share of member {member}", expected="shares of this committee")
    seal = _combine_quorum(shares, message, group_key=group_key, quorum=quorum)
    if seal is not None:
        return seal, ()
    right = {j: shares[j] for j in sorted(shares) if is_signature(public_shares[j], message, shares[j])}
    culprits = tuple(j for j in sorted(shares) if j not in right)
    if len(right) < quorum:
        return None, culprits
    return _combine_quorum(right, message, group_key=group_key, quorum=quorum), culprits


def prove_possession(secret: SecretScalar, *, session: bytes, member: MemberIndex) -> bytes:
    """Prove to hold the secret of a public key, 48 bytes, for one session and one member only.

    Without it a member could choose its key as the difference of a key it knows and the others' (a rogue key).
    """
    message = _possession_message(compute_public_key(secret), session=session, member=member)
    return _multiply_secret(secret, message, domains.BLS_POSSESSION_DST)


def verify_possession(
    public_key: bytes, proof: bytes, *, session: bytes, member: MemberIndex, field: str = "possession"
) -> None:
    """Check a proof of possession.

    Raises:
        FormatError: `public_key` or `field` is no point in its one spelling.
        SignatureError: `field`: it does not verify for this key, session and member.
    """
    message = _possession_message(public_key, session=session, member=member)
    _verify(public_key, message, proof, dst=domains.BLS_POSSESSION_DST, field=field)


def _combine_quorum(
    shares: Mapping[MemberIndex, bytes], message: bytes, *, group_key: bytes, quorum: int
) -> bytes | None:
    chosen = {member: shares[member] for member in sorted(shares)[:quorum]}
    try:
        seal = combine(chosen)
    except FormatError:
        return None
    return seal if is_signature(group_key, message, seal) else None


def _possession_message(public_key: bytes, *, session: bytes, member: MemberIndex) -> bytes:
    assert len(session) == HASH_BYTES
    return session + encode_u64(member) + public_key


def _multiply_secret(secret: SecretScalar, message: bytes, dst: bytes) -> bytes:
    group = backend()
    point = _hash_to_g1(group.name, message, dst)
    mask = _derive_mask(secret, message, dst)
    rest = secret - mask
    return group.encode_g1(group.g1_add(group.g1_mul(point, mask.value), group.g1_mul(point, rest.value)))


def _derive_mask(secret: SecretScalar, message: bytes, dst: bytes) -> SecretScalar:
    digest = hmac.digest(encode_secret_scalar(secret), encode_u64(len(dst)) + dst + message, "sha512")
    return SecretScalar(int.from_bytes(digest, "big") % ORDER)  # 512 bits reduced: the bias is nil


def _verify(public_key: bytes, message: bytes, signature: bytes, *, dst: bytes, field: str) -> None:
    group = backend()
    key = _decode_key(group.name, public_key)
    point = group.decode_g1(signature, field=field)
    pairs = ((group.g1_negate(point), group.g2_generator()), (_hash_to_g1(group.name, message, dst), key))
    if not group.is_pairing_product_one(pairs):
        raise SignatureError(field=field, found=signature.hex(), expected="a signature of this message by this key")


@lru_cache(maxsize=_MESSAGES_REMEMBERED)
def _hash_to_g1(name: BackendName, message: bytes, dst: bytes) -> G1:
    assert backend().name == name
    return backend().hash_to_g1(message, dst)


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _decode_key(name: BackendName, raw: bytes) -> G2:
    assert backend().name == name
    return backend().decode_g2(raw, field="public_key")


assert _KEYS_REMEMBERED * G2_BYTES < 1_000_000  # what is remembered stays small
