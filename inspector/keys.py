"""An inspector's keys: one that signs findings, one to which labs encrypt what the inspector is to see.

Both live in one file, encrypted under a passphrase (`ledger.sealedfile`), together with whose they are, and are handed
out as an object that signs and opens, not as bytes. `public` is the line that the nation puts into its statement of
inspectors (`ledger.statements.inspections.Inspector`); it holds no secret.

What is opened is `encapsulated key 32 || ciphertext`, HPKE in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
ChaCha20-Poly1305, single-shot. Source: RFC 9180 §6.1.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from inspector.files import make_private_folder, read_file, write_file
from ledger import sealedfile
from ledger.encoding import encode_base64
from ledger.errors import Code, ConditionError, FormatError, ProofError
from ledger.statements.inspections import Inspector
from ledger.statements.intoto import Identifier, Name

PURPOSE: Final = "inspector-keys"

_SEED_BYTES: Final = 32
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_Seed = Annotated[bytes, msgspec.Meta(min_length=_SEED_BYTES, max_length=_SEED_BYTES)]

RandomSource = Callable[[int], bytes]


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    nation: Identifier
    id: Identifier
    name: Name
    signing: _Seed
    encryption: _Seed


class InspectorKeys:
    """The keys of one inspector, as opened from their file.

    Attributes:
        nation: for which nation.
        public: the inspector as the nation registers them.
    """

    __slots__ = ("_encryption", "_signing", "nation", "public")

    def __init__(self, content: _Content) -> None:
        """Use `create_keys` or `open_keys`."""
        self._signing = Ed25519PrivateKey.from_private_bytes(content.signing)
        self._encryption = X25519PrivateKey.from_private_bytes(content.encryption)
        self.nation: Final = content.nation
        self.public: Final = Inspector(
            id=content.id,
            name=content.name,
            signing_key=self._signing.public_key().public_bytes_raw(),
            encryption_key=self._encryption.public_key().public_bytes_raw(),
            status="active",
        )

    def sign(self, message: bytes) -> bytes:
        """Sign a message; fits `ledger.statements.dsse.Signer`."""
        return self._signing.sign(message)

    def open(self, box: bytes, *, context: bytes) -> bytes:
        """Open what was encrypted to this inspector for this context (`ledger.openings.compute_openings_context`).

        Raises:
            ProofError: `bundle`: encrypted to another key or for another context, or changed.
        """
        try:
            return _SUITE.decrypt(box, self._encryption, info=context)
        except (InvalidTag, ValueError):
            raise ProofError(
                field="bundle",
                found=f"{len(box)} bytes that do not open",
                expected="what was encrypted to this inspector's key for this challenge or sample",
            ) from None

    def __repr__(self) -> str:
        return f"InspectorKeys({self.nation}/{self.public.id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key is neither pickled nor copied")


def encode_public(inspector: Inspector) -> bytes:
    """Write the line of the nation's statement of inspectors, readable, without a secret."""
    return msgspec.json.format(msgspec.json.encode(inspector), indent=2) + b"\n"


def encode_line(inspector: Inspector) -> str:
    """Write the same on one line, as `counterseal nation inspectors` takes it: id:name:signing key:encryption key."""
    keys = (encode_base64(inspector.signing_key), encode_base64(inspector.encryption_key))
    return ":".join((inspector.id, inspector.name, *keys))


def create_keys(
    path: Path,
    passphrase: str,
    *,
    nation: str,
    inspector: str,
    name: str,
    randomness: RandomSource = os.urandom,
    cost: sealedfile.Cost = sealedfile.DEFAULT_COST,
) -> InspectorKeys:
    """Make both keys and write their file.

    Args:
        path: of the file; its folder is made.
        passphrase: under which it is encrypted.
        nation: id of the nation.
        inspector: id within the nation.
        name: what people call the inspector.
        randomness: gives that many random bytes.
        cost: of a guess of the passphrase.

    Raises:
        ConditionError: there is a file already; a key is never overwritten. Or the passphrase is empty.
        FormatError: an id or a name that no statement can hold.
    """
    if path.exists():
        raise ConditionError(field=str(path), found="a file", expected="no file of that name", code=Code.CONFIG)
    drawn = {"signing": randomness(_SEED_BYTES), "encryption": randomness(_SEED_BYTES)}
    try:
        content = msgspec.convert({"nation": nation, "id": inspector, "name": name, **drawn}, _Content)
    except msgspec.ValidationError as error:
        raise FormatError(field="inspector", found=str(error), expected="ids and a name as statements have") from None
    raw = sealedfile.encrypt_file(
        msgspec.json.encode(content),
        passphrase=sealedfile.encode_passphrase(passphrase),
        purpose=PURPOSE,
        salt=randomness(sealedfile.SALT_BYTES),
        nonce=randomness(sealedfile.NONCE_BYTES),
        cost=cost,
    )
    make_private_folder(path.parent)
    write_file(path, raw)
    return InspectorKeys(content)


def open_keys(path: Path, passphrase: str) -> InspectorKeys:
    """Open the file.

    Raises:
        ConditionError: no such file (`CONFIG`), or the wrong passphrase (`PASSPHRASE`).
        FormatError: the file is damaged (`KEY_FILE_DAMAGED`).
    """
    raw = read_file(path, bytes_max=sealedfile.FILE_BYTES_MAX, field="keys")
    plain = sealedfile.decrypt_file(raw, passphrase=sealedfile.encode_passphrase(passphrase), purpose=PURPOSE)
    try:
        return InspectorKeys(msgspec.json.decode(plain, type=_Content))
    except (msgspec.MsgspecError, UnicodeError):
        raise FormatError(
            field=path.name, found="another content", expected="the keys of an inspector", code=Code.KEY_FILE_DAMAGED
        ) from None
