"""A witness's key: Ed25519, encrypted under a passphrase, handed out as an object that cosigns and does nothing else.

One file in the witness's folder, mode 0600, a file of `ledger.sealedfile` that holds the key's name and seed. It
appears whole or not at all, and is never overwritten: a witness's key stands for what its memory holds
(`tlog.witness_store`), so the same key beside another memory would be a witness that forgot.
What it signs is a cosignature, which does not say who made it: so no other key may be used as this one, nor this one
as another. Source: C2SP tlog-cosignature ("Ed25519 signed message").
"""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import domains, sealedfile
from ledger.checkpoints import compute_cosignature_message_ed25519, encode_cosignature
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.notes import SignatureLine, VerifierKey, compute_verifier_key, require_key_name
from ledger.positions import Seconds

KEY_FILE: Final = "witness.key"
PURPOSE: Final = "witness-key"

_SEED_BYTES: Final = 32
_Seed = Annotated[bytes, msgspec.Meta(min_length=_SEED_BYTES, max_length=_SEED_BYTES)]

RandomSource = Callable[[int], bytes]


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    seed: _Seed


class WitnessKey:
    """Cosigns checkpoints under the witness's name."""

    __slots__ = ("_private", "verifier")

    def __init__(self, name: str, seed: bytes) -> None:
        """Use `make_witness_key` or `open_witness_key`."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.verifier: Final[VerifierKey] = compute_verifier_key(name, domains.NOTE_COSIGNATURE_ED25519, public)

    def cosign(self, text: str, *, time_s: Seconds) -> SignatureLine:
        """Make the line over the text of a checkpoint that was found to extend all that came before it."""
        signature = self._private.sign(compute_cosignature_message_ed25519(text, time_s))
        blob = encode_cosignature(time_s, signature)
        return SignatureLine(name=self.verifier.name, key_id=self.verifier.key_id, signature=blob)

    def secret_bytes(self) -> bytes:
        """Give the seed, to be encrypted."""
        return self._private.private_bytes_raw()

    def __repr__(self) -> str:
        return f"WitnessKey({self.verifier.name}+{self.verifier.key_id.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key is neither pickled nor copied")


def make_witness_key(name: str, *, randomness: RandomSource) -> WitnessKey:
    """Draw a new key; nothing is written.

    Raises:
        FormatError: `name`: not a key name.
    """
    require_key_name(name, field="name")
    return WitnessKey(name, randomness(_SEED_BYTES))


def write_witness_key(
    path: Path, key: WitnessKey, passphrase: bytes, *, randomness: RandomSource, cost: sealedfile.Cost
) -> None:
    """Write a key under a name that no file has.

    Args:
        path: of the file.
        key: what to write.
        passphrase: from `sealedfile.encode_passphrase`.
        randomness: for salt and nonce.
        cost: of a guess of the passphrase.

    Raises:
        ConditionError: there is a file already (`CONFIG`), or the disk refuses.
    """
    content = _Content(name=key.verifier.name, seed=key.secret_bytes())
    raw = sealedfile.encrypt_file(
        msgspec.json.encode(content),
        passphrase=passphrase,
        purpose=PURPOSE,
        salt=randomness(sealedfile.SALT_BYTES),
        nonce=randomness(sealedfile.NONCE_BYTES),
        cost=cost,
    )
    with disk_conditions(path), _written_aside(path, raw) as aside:
        try:
            os.link(aside, path)
        except FileExistsError:
            raise _taken(path) from None


def require_no_key(path: Path) -> None:
    """See that there is no key yet.

    Raises:
        ConditionError: there is (`CONFIG`).
    """
    if path.exists():
        raise _taken(path)


def open_witness_key(path: Path, passphrase: bytes) -> WitnessKey:
    """Read a key.

    Raises:
        ConditionError: no such file (`KEY_FILE_DAMAGED`), the wrong passphrase (`PASSPHRASE`), or the disk refuses.
        FormatError: the file is damaged (`KEY_FILE_DAMAGED`).
    """
    if not path.exists():
        raise ConditionError(
            field=str(path), found="no such file", expected="the key of a witness", code=Code.KEY_FILE_DAMAGED
        )
    with disk_conditions(path), path.open("rb") as file:
        raw = file.read(sealedfile.FILE_BYTES_MAX + 1)
    try:
        plain = sealedfile.decrypt_file(raw, passphrase=passphrase, purpose=PURPOSE)
        content = msgspec.json.decode(plain, type=_Content)
        return WitnessKey(content.name, content.seed)
    except LedgerError as error:
        raise error.inside(path) from None
    except (msgspec.MsgspecError, UnicodeError):
        raise FormatError(
            field=str(path), found="another content", expected="the key of a witness", code=Code.KEY_FILE_DAMAGED
        ) from None


@contextlib.contextmanager
def disk_conditions(path: Path) -> Iterator[None]:
    """Name what the disk refused."""
    try:
        yield
    except OSError as error:
        code = Code.DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else Code.CONFIG
        found, expected = error.strerror or repr(error), "a disk and permissions that allow it"
        raise ConditionError(field=str(path), found=found, expected=expected, code=code) from None


def _taken(path: Path) -> ConditionError:
    return ConditionError(
        field=str(path), found="a key file", expected="none yet; keys are never overwritten", code=Code.CONFIG
    )


@contextlib.contextmanager
def _written_aside(path: Path, raw: bytes) -> Iterator[str]:
    """Write and sync a file beside its name, mode 0600; the name that it got is durable afterwards."""
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        Path(aside).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
