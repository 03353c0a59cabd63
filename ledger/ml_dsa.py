"""ML-DSA-44 as the ledger uses it: whether a signature is true.

Pure ML-DSA with empty context. Members cosign archival checkpoints with it beside Ed25519, so that a receipt stays
convincing after Ed25519 and BLS have fallen.
Source: FIPS 204 §5.3; C2SP tlog-cosignature (type 0x06).
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

PUBLIC_KEY_BYTES: Final = 1312
SIGNATURE_BYTES: Final = 2420


def is_ml_dsa_signature(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` is the key's over `message`; anything of another length is not."""
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
