"""A lab's keys: the one it signs with, and the next one, whose hash the registration commits to beforehand.

Whoever steals the signing key cannot take the lab over: only a key whose hash was committed may follow it without the
nation's help. Both live in one file, encrypted under a passphrase (`ledger.sealedfile`), and are handed out as an
object that signs, not as bytes. The former key is kept after a rotation, since the registration that announces the new
key may be countersigned by either.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.files import make_private_folder, read_bounded, write_atomically
from ledger import domains, sealedfile
from ledger.errors import Code, ConditionError, FormatError

PURPOSE: Final = "lab-keys"

_SEED_BYTES: Final = 32
_Seed = Annotated[bytes, msgspec.Meta(min_length=_SEED_BYTES, max_length=_SEED_BYTES)]

RandomSource = Callable[[int], bytes]


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    current: _Seed
    next: _Seed
    former: _Seed | None


class SigningKey:
    """An Ed25519 key that signs and shows its public half, and nothing else."""

    def __init__(self, seed: bytes) -> None:
        """Take the 32 bytes of the private key."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: Final = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign a message; fits `ledger.statements.dsse.Signer`."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        """Name the key by its public half."""
        return f"SigningKey({self.public_key.hex()})"


class LabKeys:
    """The keys of one lab, as opened from their file.

    Attributes:
        current: signs statements.
        next: takes over at the next rotation; until then its hash alone is public.
        former: what `current` was before the last rotation, if there was one.
    """

    def __init__(self, content: _Content) -> None:
        """Use `create_keys` or `open_keys`."""
        self._content = content
        self.current: Final = SigningKey(content.current)
        self.next: Final = SigningKey(content.next)
        self.former: Final = None if content.former is None else SigningKey(content.former)

    @property
    def next_key_sha256(self) -> str:
        """What a registration commits to: hex SHA-256 of the next public key, under its own domain."""
        return compute_next_key_hash(self.next.public_key)


def compute_next_key_hash(public_key: bytes) -> str:
    """Hash a public key for the pre-commitment in a registration."""
    return hashlib.sha256(domains.NEXT_KEY + public_key).hexdigest()


def create_keys(
    path: Path,
    passphrase: str,
    *,
    randomness: RandomSource = os.urandom,
    cost: sealedfile.Cost = sealedfile.DEFAULT_COST,
) -> LabKeys:
    """Make both keys and write their file.

    Raises:
        ConditionError: there is a file already; a key is never overwritten. Or the passphrase is empty.
    """
    if path.exists():
        raise ConditionError(field=str(path), found="a file", expected="no file of that name", code=Code.CONFIG)
    make_private_folder(path.parent)
    content = _Content(current=randomness(_SEED_BYTES), next=randomness(_SEED_BYTES), former=None)
    return _write(path, content, passphrase, randomness=randomness, cost=cost)


def open_keys(path: Path, passphrase: str) -> LabKeys:
    """Open the file.

    Raises:
        ConditionError: no such file, or the wrong passphrase (`PASSPHRASE`).
        FormatError: the file is damaged (`KEY_FILE_DAMAGED`).
    """
    raw = read_bounded(path, bytes_max=sealedfile.FILE_BYTES_MAX)
    plain = sealedfile.decrypt_file(raw, passphrase=sealedfile.encode_passphrase(passphrase), purpose=PURPOSE)
    try:
        return LabKeys(msgspec.json.decode(plain, type=_Content))
    except (msgspec.MsgspecError, UnicodeError):
        raise FormatError(
            field=path.name, found="another content", expected="the keys of a lab", code=Code.KEY_FILE_DAMAGED
        ) from None


def rotate_keys(
    path: Path,
    passphrase: str,
    *,
    randomness: RandomSource = os.urandom,
    cost: sealedfile.Cost = sealedfile.DEFAULT_COST,
) -> LabKeys:
    """Let the next key take over and make a new next one. The file is replaced whole.

    Do it when the registration that announces it is ready; until that is sealed, statements are signed by `former`.
    """
    content = open_keys(path, passphrase)._content  # noqa: SLF001 - the same module owns the file's content
    rotated = _Content(current=content.next, next=randomness(_SEED_BYTES), former=content.current)
    return _write(path, rotated, passphrase, randomness=randomness, cost=cost)


def _write(
    path: Path, content: _Content, passphrase: str, *, randomness: RandomSource, cost: sealedfile.Cost
) -> LabKeys:
    raw = sealedfile.encrypt_file(
        msgspec.json.encode(content),
        passphrase=sealedfile.encode_passphrase(passphrase),
        purpose=PURPOSE,
        salt=randomness(sealedfile.SALT_BYTES),
        nonce=randomness(sealedfile.NONCE_BYTES),
        cost=cost,
    )
    write_atomically(path, raw)
    return LabKeys(content)
