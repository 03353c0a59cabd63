"""Values drawn from a seed, the same on every machine and with every library: for digests of formats.

Everything is made of `Random.random()`, the one method whose sequence Python promises to keep for a seed. Nothing here
depends on hypothesis, on set order or on the platform.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.limits import SIZE_MAX
from ledger.threshold.group import ORDER
from ledger.threshold.polynomials import SecretScalar

Picked = TypeVar("Picked")

_IDENTIFIER: Final = "abcdefghijklmnopqrstuvwxyz0123456789-"
_TEXT: Final = "abcXYZ 0189-.,:/'\"\\<>&éßñøжΩ中文日本🙂"  # what JSON, TOML and UTF-8 spell in more than one way


class Draw:
    """A source of values; two with one seed give the same ones."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def below(self, bound: int) -> int:
        """Give a number from 0 to `bound - 1`."""
        assert 0 < bound <= 2**53
        return int(self._random.random() * bound)

    def between(self, least: int, most: int) -> int:
        return least + self.below(most - least + 1)

    def number(self, most: int = SIZE_MAX) -> int:
        """Give a number of any length, and its edges more often than chance would."""
        kind = self.below(8)
        if kind < 2:
            return (0, most)[kind]
        return int.from_bytes(self.raw(8), "big") % (most + 1) >> self.below(most.bit_length() + 1)

    def raw(self, count: int) -> bytes:
        return bytes(self.below(256) for _ in range(count))

    def some_raw(self, least: int, most: int) -> bytes:
        return self.raw(self.between(least, most))

    def flag(self) -> bool:
        return self.below(2) == 1

    def pick(self, options: Sequence[Picked]) -> Picked:
        return options[self.below(len(options))]

    def some(self, make: Callable[[], Picked], least: int, most: int) -> tuple[Picked, ...]:
        return tuple(make() for _ in range(self.between(least, most)))

    def digest(self) -> bytes:
        return self.raw(32)

    def hex32(self) -> str:
        return self.digest().hex()

    def identifier(self) -> str:
        return "".join(self.pick(_IDENTIFIER) for _ in range(self.between(1, 12)))

    def text(self, least: int = 1, most: int = 40) -> str:
        return "".join(self.pick(_TEXT) for _ in range(self.between(least, most)))

    def key_name(self) -> str:
        return f"{self.identifier()}.example/{self.identifier()}"

    def signer(self) -> "Signer":
        return Signer(self.digest())

    def scalar(self) -> SecretScalar:
        return SecretScalar(1 + int.from_bytes(self.raw(48), "big") % (ORDER - 1))


class Signer:
    """An Ed25519 key; its signatures are the same every time (RFC 8032)."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    @property
    def pair(self) -> tuple[bytes, Callable[[bytes], bytes]]:
        return self.public_key, self.sign
