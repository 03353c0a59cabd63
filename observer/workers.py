"""Signature checks that run in other processes, so that an audit uses every core.

Only bytes go out and only yes, no or a place comes back; what a check believes and what a refusal says is decided in
the process that asked. The functions stand at the top of a module because another process finds them by name.
"""

import secrets
from collections.abc import Sequence

from ledger.ed25519 import is_ed25519_signature
from ledger.errors import FormatError, SignatureError
from ledger.threshold import bls

SignatureTask = tuple[bytes, bytes, bytes]
"""Public key, signature, message."""


def check_signatures(tasks: Sequence[SignatureTask]) -> list[bool]:
    """Say of each Ed25519 signature whether it is true."""
    return [is_ed25519_signature(public_key, signature, message) for public_key, signature, message in tasks]


def are_seals(group_key: bytes, signed: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether every seal is true over its message; which one is not, the asker finds out."""
    randomness = secrets.token_bytes(bls.BATCH_WEIGHT_BYTES * len(signed))
    try:
        bls.verify_signatures_batch(group_key, signed, randomness=randomness)
    except (FormatError, SignatureError):
        return False
    return True
