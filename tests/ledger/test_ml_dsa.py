"""ML-DSA-44: a true signature is recognised, everything else is not, and nothing raises."""

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.ml_dsa import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, is_ml_dsa_signature

KEY = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
PUBLIC_KEY = KEY.public_key().public_bytes_raw()


def test_a_true_signature_is_recognised() -> None:
    signature = KEY.sign(b"message")
    assert (len(PUBLIC_KEY), len(signature)) == (PUBLIC_KEY_BYTES, SIGNATURE_BYTES)
    assert is_ml_dsa_signature(PUBLIC_KEY, signature, b"message")


def test_a_signature_with_a_context_is_another() -> None:
    assert not is_ml_dsa_signature(PUBLIC_KEY, KEY.sign(b"message", b"context"), b"message")


def test_nothing_else_is_a_signature_and_nothing_raises() -> None:
    signature = KEY.sign(b"message")
    assert not is_ml_dsa_signature(PUBLIC_KEY, signature, b"massage")
    assert not is_ml_dsa_signature(PUBLIC_KEY[:-1], signature, b"message")
    assert not is_ml_dsa_signature(PUBLIC_KEY, signature[:-1], b"message")
    assert not is_ml_dsa_signature(bytes(PUBLIC_KEY_BYTES), signature, b"message")
    assert not is_ml_dsa_signature(b"\xff" * PUBLIC_KEY_BYTES, bytes(SIGNATURE_BYTES), b"message")
