"""A small secret in a file, encrypted under a passphrase: the format, as bytes in and bytes out.

Layout, integers big-endian:

    counterseal/keystore/v1 LF          format and version (`domains.KEYSTORE`)
    u8 length || purpose                what the secret is, ASCII; opening demands the same
    u32 memory KiB || u32 passes || u32 lanes      Argon2id cost, bounded before any of it is spent
    salt 16 || nonce 12 || check 16
    u32 length || ciphertext and tag    AES-256-GCM, everything before it is associated data
    SHA-256 of all of the above

Argon2id gives 48 bytes: 32 are the AES key, 16 the check value. The three failures are told apart in this order:
a wrong trailing hash or form is *damage* (`KEY_FILE_DAMAGED`), a wrong check value is a wrong passphrase
(`PASSPHRASE`), and a tag that fails although hash and check are right is a changed file (`KEY_FILE_DAMAGED`).
The trailing hash is no authentication, only the means to tell accident from mistyping.

Salt and nonce are arguments, since this package has no randomness: the caller takes them from the operating system,
fresh for every write. Source: RFC 9106 §4 (Argon2id; the second recommended option is the default), NIST SP 800-38D.
"""

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from ledger import domains
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import KIB

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
PLAINTEXT_BYTES_MAX: Final = 64 * KIB
PURPOSE_BYTES_MAX: Final = 64
MEMORY_KIB_MAX: Final = 1024 * 1024
PASSES_MAX: Final = 16
LANES_MAX: Final = 16
MEMORY_KIB_PER_LANE_MIN: Final = 8  # RFC 9106 §3.1: memory is at least 8 KiB a lane

_KEY_BYTES: Final = 32
_CHECK_BYTES: Final = 16
_TAG_BYTES: Final = 16
_HASH_BYTES: Final = 32
_FIXED_BYTES: Final = 3 * 4 + SALT_BYTES + NONCE_BYTES + _CHECK_BYTES + 4

FILE_BYTES_MAX: Final = (
    len(domains.KEYSTORE) + 1 + PURPOSE_BYTES_MAX + _FIXED_BYTES + PLAINTEXT_BYTES_MAX + _TAG_BYTES + _HASH_BYTES
)

assert PURPOSE_BYTES_MAX <= 0xFF
assert LANES_MAX * MEMORY_KIB_PER_LANE_MIN <= MEMORY_KIB_MAX


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess of the passphrase costs, in Argon2id's terms.

    Attributes:
        memory_kib: memory in KiB.
        passes: passes over that memory.
        lanes: lanes computed in parallel.
    """

    memory_kib: int
    passes: int
    lanes: int


DEFAULT_COST: Final = Cost(memory_kib=64 * KIB, passes=3, lanes=4)


@dataclass(frozen=True, slots=True)
class _Parts:
    purpose: str
    cost: Cost
    salt: bytes
    nonce: bytes
    check: bytes
    ciphertext: bytes
    header: bytes


def encode_passphrase(text: str) -> bytes:
    """Turn what a person typed into the bytes that are stretched: NFC, UTF-8 (RFC 8265 §4, OpaqueString).

    Raises:
        ConditionError: the passphrase is empty, or a terminal gave bytes that are no text (`PASSPHRASE`).
    """
    if not text:
        raise ConditionError(field="passphrase", found="nothing", expected="a passphrase", code=Code.PASSPHRASE)
    try:
        return unicodedata.normalize("NFC", text).encode("utf-8")
    except UnicodeEncodeError:  # whose message would show a part of the passphrase
        raise ConditionError(
            field="passphrase", found="bytes that are no UTF-8", expected="text", code=Code.PASSPHRASE
        ) from None


def encrypt_file(
    plaintext: bytes, *, passphrase: bytes, purpose: str, salt: bytes, nonce: bytes, cost: Cost = DEFAULT_COST
) -> bytes:
    """Encrypt a secret into the bytes of a file.

    Args:
        plaintext: the secret, at most `PLAINTEXT_BYTES_MAX` bytes.
        passphrase: from `encode_passphrase`.
        purpose: what the secret is, ASCII without spaces; `decrypt_file` demands the same.
        salt: `SALT_BYTES` fresh random bytes.
        nonce: `NONCE_BYTES` fresh random bytes.
        cost: Argon2id parameters, stored in the file.
    """
    assert len(salt) == SALT_BYTES
    assert len(nonce) == NONCE_BYTES
    assert len(plaintext) <= PLAINTEXT_BYTES_MAX
    assert passphrase
    assert _is_purpose(purpose.encode())
    _require_cost(cost)
    key, check = _stretch(passphrase, salt=salt, cost=cost)
    header = b"".join(
        (
            domains.KEYSTORE,
            bytes([len(purpose)]),
            purpose.encode("ascii"),
            cost.memory_kib.to_bytes(4, "big"),
            cost.passes.to_bytes(4, "big"),
            cost.lanes.to_bytes(4, "big"),
            salt,
            nonce,
            check,
            (len(plaintext) + _TAG_BYTES).to_bytes(4, "big"),
        )
    )
    body = header + AESGCM(key).encrypt(nonce, plaintext, header)
    return body + hashlib.sha256(body).digest()


def decrypt_file(raw: bytes, *, passphrase: bytes, purpose: str) -> bytes:
    """Open what `encrypt_file` wrote.

    Args:
        raw: the whole file; its size is bounded before anything is computed.
        passphrase: from `encode_passphrase`.
        purpose: what the caller expects the secret to be.

    Raises:
        FormatError: the file is damaged, of another version or changed (`KEY_FILE_DAMAGED`), or holds something else.
        ConditionError: the passphrase is wrong (`PASSPHRASE`).
    """
    parts = _parse(raw)
    if parts.purpose != purpose:
        raise FormatError(field="keyfile.purpose", found=parts.purpose, expected=purpose)
    key, check = _stretch(passphrase, salt=parts.salt, cost=parts.cost)
    if not hmac.compare_digest(check, parts.check):
        raise ConditionError(
            field="passphrase",
            found="another passphrase",
            expected="the passphrase this file was written with",
            code=Code.PASSPHRASE,
        )
    try:
        return AESGCM(key).decrypt(parts.nonce, parts.ciphertext, parts.header)
    except InvalidTag:
        raise _damaged("keyfile.ciphertext", "a tag that does not verify", "an unchanged file") from None


def _parse(raw: bytes) -> _Parts:
    if len(raw) > FILE_BYTES_MAX:
        raise _damaged("keyfile", f"{len(raw)} bytes", f"at most {FILE_BYTES_MAX} bytes")
    if not raw.startswith(domains.KEYSTORE):
        raise _damaged("keyfile.version", raw[: len(domains.KEYSTORE)], "a key file of version 1")
    body, trailer = raw[:-_HASH_BYTES], raw[-_HASH_BYTES:]
    if hashlib.sha256(body).digest() != trailer:
        raise _damaged("keyfile.hash", "bytes that do not match their hash", "an undamaged file")
    offset = len(domains.KEYSTORE)
    purpose_bytes = body[offset : offset + 1]
    purpose_end = offset + 1 + (purpose_bytes[0] if purpose_bytes else 0)
    header_end = purpose_end + _FIXED_BYTES
    purpose = body[offset + 1 : purpose_end]
    if len(body) < header_end + _TAG_BYTES or not _is_purpose(purpose):
        raise _damaged("keyfile.purpose", purpose, "an ASCII word and the fixed fields after it")
    fixed = body[purpose_end:header_end]
    memory_kib, passes, lanes = (int.from_bytes(fixed[at : at + 4], "big") for at in (0, 4, 8))
    cost = Cost(memory_kib=memory_kib, passes=passes, lanes=lanes)
    _require_cost(cost)
    ciphertext = body[header_end:]
    if int.from_bytes(fixed[-4:], "big") != len(ciphertext):
        raise _damaged("keyfile.length", f"{len(ciphertext)} bytes", f"{int.from_bytes(fixed[-4:], 'big')} bytes")
    nonce_at = 12 + SALT_BYTES
    check_at = nonce_at + NONCE_BYTES
    return _Parts(
        purpose=purpose.decode("ascii"),
        cost=cost,
        salt=fixed[12:nonce_at],
        nonce=fixed[nonce_at:check_at],
        check=fixed[check_at : check_at + _CHECK_BYTES],
        ciphertext=ciphertext,
        header=body[:header_end],
    )


def _is_purpose(raw: bytes) -> bool:
    return 0 < len(raw) <= PURPOSE_BYTES_MAX and all(0x21 <= byte <= 0x7E for byte in raw)


def _require_cost(cost: Cost) -> None:
    lanes_ok = 1 <= cost.lanes <= LANES_MAX
    memory_ok = lanes_ok and MEMORY_KIB_PER_LANE_MIN * cost.lanes <= cost.memory_kib <= MEMORY_KIB_MAX
    if not (memory_ok and 1 <= cost.passes <= PASSES_MAX):
        raise _damaged(
            "keyfile.cost",
            f"{cost.memory_kib} KiB, {cost.passes} passes, {cost.lanes} lanes",
            f"at most {MEMORY_KIB_MAX} KiB, {PASSES_MAX} passes, {LANES_MAX} lanes, and 8 KiB a lane",
        )


def _stretch(passphrase: bytes, *, salt: bytes, cost: Cost) -> tuple[bytes, bytes]:
    stretched = Argon2id(
        salt=salt,
        length=_KEY_BYTES + _CHECK_BYTES,
        iterations=cost.passes,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    ).derive(passphrase)
    return stretched[:_KEY_BYTES], stretched[_KEY_BYTES:]


def _damaged(field: str, found: object, expected: str) -> FormatError:
    return FormatError(field=field, found=found, expected=expected, code=Code.KEY_FILE_DAMAGED)
