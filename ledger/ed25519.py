"""Ed25519 as the ledger uses it: one question about signatures, one demand on public keys.

OpenSSL answers whether a signature is true: it refuses `S` that is not reduced and `R` that is not canonical, but says
yes to signatures under keys of small order, whose owner (or anybody) can make one signature for every message, and
takes a second spelling of the same key for another key. So every key is checked once, when it is configured or
registered, by `require_strong_public_key`; `is_ed25519_signature` believes that it was.
Source: RFC 8032 §5.1.3 and §5.1.7; the list of points of small order is that of C2SP CCTV `ed25519/`.
"""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.encoding import require_bytes
from ledger.errors import FormatError
from ledger.limits import SIGNATURE_BYTES

PUBLIC_KEY_BYTES: Final = 32
KEYS_REMEMBERED: Final = 4_096

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ORDER_8_Y: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# y of the points of order 1, 2, 4 and 8: the sign of x makes no difference to their order
_SMALL_ORDER_Y: Final = (1, _P - 1, 0, _ORDER_8_Y, _P - _ORDER_8_Y)


def is_ed25519_signature(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` is the key's over `message`; anything of another length is not.

    Args:
        public_key: believed to have passed `require_strong_public_key`.
        signature: what is claimed.
        message: the bytes that must have been signed.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        _read_key(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=KEYS_REMEMBERED)
def _read_key(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def require_strong_public_key(raw: bytes, field: str) -> bytes:
    """Return `raw` if it is the one encoding of a point of the curve that is not of small order.

    Raises:
        FormatError: `field`: not 32 bytes, not reduced, not on the curve, or of order 1, 2, 4 or 8.
    """
    require_bytes(raw, field=field, size=PUBLIC_KEY_BYTES)
    y = int.from_bytes(raw, "little") & (1 << 255) - 1  # the top bit is the sign of x
    if y >= _P:
        raise FormatError(field=field, found=raw.hex(), expected="an Ed25519 key in canonical encoding")
    if y in _SMALL_ORDER_Y:  # this includes x = 0, whose sign could be spelt in two ways
        raise FormatError(field=field, found=raw.hex(), expected="an Ed25519 key that is not of small order")
    if not _is_on_curve(y):
        raise FormatError(field=field, found=raw.hex(), expected="a point of edwards25519")
    return raw


def _is_on_curve(y: int) -> bool:
    """Say whether some x has -x² + y² = 1 + d·x²·y², that is, whether (y² - 1) / (d·y² + 1) is a square."""
    numerator, denominator = y * y - 1, _D * y * y + 1
    return pow(numerator * denominator, (_P - 1) // 2, _P) == 1  # Euler; -1/d is no square, so neither factor is 0
