"""The keys of a member as objects that sign, open and share; the secrets stay inside.

Nobody is handed a secret's bytes except `node.keystore`, which writes them encrypted. No repr, no pickling, no copy:
what a log, a traceback or a debugger shows of a key is its public part.

| key | algorithm | signs or opens |
|---|---|---|
| `IdentityKey` | Ed25519 | votes, statements, ceremony messages |
| `CosignerKey` | Ed25519 and ML-DSA-44 | cosignatures, and nothing else |
| `LogKey` | Ed25519 | the plain log line of checkpoints this node serves |
| `EncryptionKey` | X25519, HPKE base mode | shares and disclosures sealed to this member |
| `ShareKey` | a scalar modulo r | seal and beacon shares of one epoch |

HPKE is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, single-shot (RFC 9180 §6.1). What a box is for is
bound through `info`: a single message per key schedule needs no associated data beside it (RFC 9180 §8.1).
"""

from typing import Final, NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ledger.encoding import require_bytes
from ledger.errors import FormatError, ProofError
from ledger.positions import Epoch, MemberIndex
from ledger.threshold import bls
from ledger.threshold.polynomials import Randomness, SecretScalar, compute_public_key

SEED_BYTES: Final = 32
X25519_PUBLIC_KEY_BYTES: Final = 32

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class _Ed25519:
    """An Ed25519 private key; the three kinds of keys that hold one are no subclasses, so none passes for another."""

    __slots__ = ("_private", "public_key")

    def __init__(self, seed: bytes) -> None:
        require_bytes(seed, field="key.seed", size=SEED_BYTES)
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: Final = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def seed(self) -> bytes:
        return self._private.private_bytes_raw()

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


def refuse_pickling() -> NoReturn:
    """Refuse to be copied or written where nobody encrypts."""
    raise TypeError("a secret key is neither pickled nor copied")


class IdentityKey:
    """Signs votes, statements and ceremony messages in the member's name."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = _Ed25519(seed)

    @classmethod
    def make(cls, randomness: Randomness) -> Self:
        """Draw a new key."""
        return cls(randomness(SEED_BYTES))

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._key.public_key

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519 (RFC 8032); the message begins with one of our domain tags or is a DSSE encoding."""
        return self._key.sign(message)

    def secret_bytes(self) -> bytes:
        """Give the seed, for the keystore to encrypt."""
        return self._key.seed()

    def __repr__(self) -> str:
        return f"IdentityKey({self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


class CosignerKey:
    """Signs cosignatures of checkpoints, with Ed25519 and with ML-DSA-44, and nothing else."""

    __slots__ = ("_key", "_ml_dsa", "ml_dsa_public_key")

    def __init__(self, seed: bytes, ml_dsa_seed: bytes) -> None:
        require_bytes(ml_dsa_seed, field="key.ml_dsa_seed", size=SEED_BYTES)
        self._key = _Ed25519(seed)
        self._ml_dsa = MLDSA44PrivateKey.from_seed_bytes(ml_dsa_seed)
        self.ml_dsa_public_key: Final = self._ml_dsa.public_key().public_bytes_raw()

    @classmethod
    def make(cls, randomness: Randomness) -> Self:
        """Draw a new pair of keys."""
        return cls(randomness(SEED_BYTES), randomness(SEED_BYTES))

    @property
    def public_key(self) -> bytes:
        """32 bytes of Ed25519; the other is `ml_dsa_public_key`, 1 312 bytes."""
        return self._key.public_key

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519."""
        return self._key.sign(message)

    def sign_ml_dsa(self, message: bytes) -> bytes:
        """Sign with ML-DSA-44, pure, empty context (FIPS 204 §5.2)."""
        return self._ml_dsa.sign(message)

    def secret_bytes(self) -> bytes:
        """Give both seeds, for the keystore to encrypt."""
        return self._key.seed() + self._ml_dsa.private_bytes_raw()

    def __repr__(self) -> str:
        return f"CosignerKey({self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


class LogKey:
    """Signs the plain log line of checkpoints that this node serves."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = _Ed25519(seed)

    @classmethod
    def make(cls, randomness: Randomness) -> Self:
        """Draw a new key."""
        return cls(randomness(SEED_BYTES))

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._key.public_key

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519."""
        return self._key.sign(message)

    def secret_bytes(self) -> bytes:
        """Give the seed, for the keystore to encrypt."""
        return self._key.seed()

    def __repr__(self) -> str:
        return f"LogKey({self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


class EncryptionKey:
    """Opens what was sealed to this member."""

    __slots__ = ("_private", "public_key")

    def __init__(self, raw: bytes) -> None:
        require_bytes(raw, field="key.x25519", size=SEED_BYTES)
        self._private = X25519PrivateKey.from_private_bytes(raw)
        self.public_key: Final = self._private.public_key().public_bytes_raw()

    @classmethod
    def make(cls, randomness: Randomness) -> Self:
        """Draw a new key."""
        return cls(randomness(SEED_BYTES))

    def open(self, box: bytes, *, context: bytes) -> bytes:
        """Open a box that was sealed to this key for this context.

        Raises:
            ProofError: `box`: sealed to another key or for another context, or changed.
        """
        try:
            return _SUITE.decrypt(box, self._private, info=context)
        except (InvalidTag, ValueError):
            raise ProofError(
                field="box", found=f"{len(box)} bytes that do not open", expected="a box for this key and context"
            ) from None

    def secret_bytes(self) -> bytes:
        """Give the private key, for the keystore to encrypt."""
        return self._private.private_bytes_raw()

    def __repr__(self) -> str:
        return f"EncryptionKey({self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


class ShareKey:
    """Makes seal and beacon shares with a member's share of the group's secret, in one epoch."""

    __slots__ = ("_secret", "epoch", "member", "public_share")

    def __init__(self, secret: SecretScalar, *, epoch: Epoch, member: MemberIndex) -> None:
        self._secret = secret
        self.epoch: Final = epoch
        self.member: Final = member
        self.public_share: Final = compute_public_key(secret)

    def share(self, message: bytes) -> bytes:
        """Sign a seal or beacon message with the share; 48 bytes."""
        return bls.sign_share(self._secret, message)

    def secret_scalar(self) -> SecretScalar:
        """Give the share itself, for the keystore to encrypt."""
        return self._secret

    def __repr__(self) -> str:
        return f"ShareKey(epoch {self.epoch}, member {self.member}, {self.public_share.hex()})"

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


def require_encryption_key(raw: bytes, *, field: str) -> bytes:
    """Return `raw` if it is an X25519 key that something can be sealed to: 32 bytes, not of small order.

    Raises:
        FormatError: another length, or of small order, where the shared secret would be known to all (RFC 7748 §6.1).
    """
    require_bytes(raw, field=field, size=X25519_PUBLIC_KEY_BYTES)
    try:
        X25519PrivateKey.from_private_bytes(bytes(range(SEED_BYTES))).exchange(X25519PublicKey.from_public_bytes(raw))
    except ValueError:
        raise FormatError(field=field, found=raw.hex(), expected="an X25519 key that is not of small order") from None
    return raw


def seal_box(plaintext: bytes, *, recipient: bytes, context: bytes) -> bytes:
    """Encrypt to a member's encryption key, for one context; 48 bytes longer than the plaintext.

    The ephemeral key is drawn by the library from the operating system.

    Args:
        plaintext: the secret.
        recipient: X25519 public key, believed to have passed `require_encryption_key`.
        context: what the box is for; opening demands the same.
    """
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(recipient), info=context)
