"""The only decoder of text: strict base64, hex, decimals and fixed-width integers.

Python's own decoders are lenient (`int("1_0")`, `int("٤")`, `b64decode("QR==", validate=True)` all succeed), so two
spellings of one value could both pass. Here a text is accepted only if encoding its value gives the same text again.
Source: RFC 4648 §4 and §5; C2SP signed-note, tlog-checkpoint (decimals without leading zeros).
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from ledger.errors import FormatError
from ledger.limits import SIZE_MAX, U64_MAX

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,19})\Z", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]*\Z", re.ASCII)


def encode_base64(raw: bytes) -> str:
    """Standard alphabet with padding (RFC 4648 §4)."""
    return base64.b64encode(raw).decode("ascii")


def decode_base64(text: str, *, field: str, size: int | None = None, size_max: int | None = None) -> bytes:
    """Decode canonical standard base64.

    Args:
        text: what to decode.
        field: name used in the error.
        size: exact number of bytes expected, if fixed.
        size_max: largest number of bytes accepted, checked before decoding.

    Raises:
        FormatError: not base64, not canonical, or of the wrong size.
    """
    bound = size if size is not None else size_max
    if bound is not None and len(text) > 4 * ((bound + 2) // 3):
        raise FormatError(field=field, found=f"{len(text)} characters", expected=f"base64 of at most {bound} bytes")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(field=field, found=text, expected="base64") from None
    if encode_base64(raw) != text:
        raise FormatError(field=field, found=text, expected="canonical base64")
    if size is not None and len(raw) != size:
        raise FormatError(field=field, found=f"{len(raw)} bytes", expected=f"{size} bytes")
    if size_max is not None and len(raw) > size_max:  # four characters may hold up to two bytes more
        raise FormatError(field=field, found=f"{len(raw)} bytes", expected=f"at most {size_max} bytes")
    return raw


def encode_base64url(raw: bytes) -> str:
    """URL-safe alphabet without padding (RFC 4648 §5), as SD-JWT uses it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_base64url(text: str, *, field: str, size: int | None = None) -> bytes:
    """Decode canonical unpadded URL-safe base64.

    Raises:
        FormatError: not base64url, padded, not canonical, or of the wrong size.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(field=field, found=text, expected="base64url without padding") from None
    if encode_base64url(raw) != text:
        raise FormatError(field=field, found=text, expected="canonical base64url without padding")
    if size is not None and len(raw) != size:
        raise FormatError(field=field, found=f"{len(raw)} bytes", expected=f"{size} bytes")
    return raw


def decode_hex(text: str, *, field: str, size: int) -> bytes:
    """Decode lowercase hex of exactly `size` bytes.

    Raises:
        FormatError: another length, upper case, or another character.
    """
    if len(text) != 2 * size or not _HEX.match(text):
        raise FormatError(field=field, found=text, expected=f"{2 * size} lowercase hex digits")
    return bytes.fromhex(text)


def decode_hashes(texts: Sequence[str], *, field: str) -> bytes:
    """Decode many hashes in lowercase hex at once, 32 bytes each, one after the other.

    Raises:
        FormatError: one is not as `decode_hex` wants it.
    """
    joined = "".join(texts)
    try:
        raw = bytes.fromhex(joined)
    except ValueError:
        raw = b""
    if not {64}.issuperset(map(len, texts)) or raw.hex() != joined:
        raise FormatError(field=field, found=f"{len(texts)} texts", expected="each 64 lowercase hex digits")
    return raw


def decode_hashes_base64url(texts: Sequence[str], *, field: str) -> bytes:
    """Decode many hashes in base64url at once, 32 bytes each, one after the other.

    A hash has 43 characters, of which the last holds two bits too many; with an `A` behind it, six zero bits, these are
    a byte, which is zero in the canonical spelling and is taken out.

    Raises:
        FormatError: one is not as `decode_base64url` wants it.
    """
    joined = "A".join([*texts, ""])
    try:
        raw = bytearray(base64.b64decode(joined, altchars=b"-_", validate=True))
    except ValueError:
        raw = bytearray(b"?")
    is_url_safe = "+" not in joined and "/" not in joined
    if not {43}.issuperset(map(len, texts)) or not is_url_safe or raw[32::33].strip(b"\x00") or len(raw) % 33:
        expected = "each 43 characters of canonical base64url"
        raise FormatError(field=field, found=f"{len(texts)} texts", expected=expected)
    del raw[32::33]
    return bytes(raw)


def decode_decimal(text: str, *, field: str, maximum: int = SIZE_MAX) -> int:
    """Decode an ASCII decimal without sign, spaces or leading zeros, at most `maximum`.

    Raises:
        FormatError: any other spelling, or larger than `maximum`.
    """
    if not _DECIMAL.match(text):
        raise FormatError(field=field, found=text, expected="a decimal number without leading zeros")
    number = int(text)
    if number > maximum:
        raise FormatError(field=field, found=text, expected=f"at most {maximum}")
    return number


def encode_u64(number: int) -> bytes:
    """Eight bytes, big-endian."""
    assert 0 <= number <= U64_MAX
    return number.to_bytes(8, "big")


def decode_u64(raw: bytes, *, field: str, maximum: int = U64_MAX) -> int:
    """Decode eight big-endian bytes, at most `maximum`.

    Raises:
        FormatError: not eight bytes, or larger than `maximum`.
    """
    if len(raw) != 8:
        raise FormatError(field=field, found=f"{len(raw)} bytes", expected="8 bytes")
    number = int.from_bytes(raw, "big")
    if number > maximum:
        raise FormatError(field=field, found=number, expected=f"at most {maximum}")
    return number


def require_bytes(raw: bytes, *, field: str, size: int) -> bytes:
    """Return `raw` if it has exactly `size` bytes.

    Raises:
        FormatError: another length.
    """
    if len(raw) != size:
        raise FormatError(field=field, found=f"{len(raw)} bytes", expected=f"{size} bytes")
    return raw
