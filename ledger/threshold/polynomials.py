"""Polynomials over the scalars of BLS12-381: secret ones, their commitments, and interpolation at 0.

A secret f of `quorum` coefficients is shared as f(1) … f(n); any `quorum` values give f(0), fewer say nothing about it.
What is published of f are its commitments `C_k = g2 · a_k`, so that `g2 · f(j) = Σ j^k · C_k` can be checked by anyone.

Member indices are 1 … `MEMBERS_MAX` and never equal: f(0) is the secret, and equal indices make the interpolation
divide by zero; both have broken real implementations. Secrets live in `SecretScalar`, whose repr shows nothing, so that
no log, traceback or debugger that prints local variables shows them either.
Source: Shamir 1979; Feldman 1987; the notation is that of RFC 9591 appendix C.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from ledger.encoding import require_bytes
from ledger.errors import FormatError, PolicyError
from ledger.limits import MEMBERS_MAX
from ledger.positions import MemberIndex
from ledger.threshold.group import G2, ORDER, SCALAR_BYTES, backend

Randomness = Callable[[int], bytes]
"""Gives as many fresh, uniform, secret bytes as asked for; `secrets.token_bytes` in a node."""

_WIDE_BYTES: Final = 48  # 384 bits reduced modulo a 255-bit order: the bias is below 2^-128 (RFC 9380 §5)


@dataclass(frozen=True, slots=True, repr=False)
class SecretScalar:
    """A secret number modulo r. Its repr shows nothing; `encode_secret_scalar` is the one way to its bytes."""

    value: int

    def __post_init__(self) -> None:
        """Hold reduced numbers only."""
        assert 0 <= self.value < ORDER

    def __repr__(self) -> str:
        """Show that there is a secret, and nothing of it."""
        return "SecretScalar(…)"

    def __add__(self, other: "SecretScalar") -> "SecretScalar":
        """Add modulo r."""
        return SecretScalar((self.value + other.value) % ORDER)

    def __sub__(self, other: "SecretScalar") -> "SecretScalar":
        """Subtract modulo r."""
        return SecretScalar((self.value - other.value) % ORDER)

    def __mul__(self, factor: int) -> "SecretScalar":
        """Multiply by a public number modulo r."""
        return SecretScalar(self.value * factor % ORDER)


def parse_secret_scalar(raw: bytes, *, field: str) -> SecretScalar:
    """Read 32 big-endian bytes.

    Raises:
        FormatError: another length, zero, or not below r; the message does not show the bytes.
    """
    require_bytes(raw, field=field, size=SCALAR_BYTES)
    number = int.from_bytes(raw, "big")
    if not 0 < number < ORDER:
        raise FormatError(field=field, found="a number out of range", expected="0 < number < r")
    return SecretScalar(number)


def encode_secret_scalar(scalar: SecretScalar) -> bytes:
    """Write 32 big-endian bytes."""
    return scalar.value.to_bytes(SCALAR_BYTES, "big")


def make_secret_scalar(randomness: Randomness) -> SecretScalar:
    """Draw a uniform scalar that is not zero."""
    while True:
        drawn = randomness(_WIDE_BYTES)
        assert len(drawn) == _WIDE_BYTES
        scalar = SecretScalar(int.from_bytes(drawn, "big") % ORDER)
        if scalar.value != 0:
            return scalar


@dataclass(frozen=True, slots=True, repr=False)
class SecretPolynomial:
    """Coefficients a_0 … a_{q-1}; a_0 is the secret that is shared."""

    coefficients: tuple[SecretScalar, ...]

    def __repr__(self) -> str:
        """Show the number of coefficients only."""
        return f"SecretPolynomial({len(self.coefficients)} coefficients)"

    def evaluate(self, member: MemberIndex) -> SecretScalar:
        """Compute f(member), that member's share (Horner's rule)."""
        _require_index(member)
        zero = SecretScalar(0)
        return reduce(lambda total, coefficient: total * member + coefficient, reversed(self.coefficients), zero)

    def commit(self) -> tuple[bytes, ...]:
        """Compute `g2 · a_k` for every coefficient, 96 bytes each."""
        return tuple(compute_public_key(coefficient) for coefficient in self.coefficients)


def make_polynomial(quorum: int, randomness: Randomness, *, constant: SecretScalar | None = None) -> SecretPolynomial:
    """Draw a polynomial of `quorum` coefficients, none of them zero.

    Args:
        quorum: how many values determine it.
        randomness: see `Randomness`.
        constant: a_0, when an existing secret is shared anew.
    """
    assert 1 <= quorum <= MEMBERS_MAX
    first = make_secret_scalar(randomness) if constant is None else constant
    return SecretPolynomial((first, *(make_secret_scalar(randomness) for _ in range(quorum - 1))))


def compute_public_key(secret: SecretScalar) -> bytes:
    """Compute `g2 · secret`, 96 bytes."""
    group = backend()
    return group.encode_g2(group.g2_mul(group.g2_generator(), secret.value))


def evaluate_commitments(commitments: Sequence[bytes], member: MemberIndex, *, field: str = "commitments") -> bytes:
    """Compute `Σ member^k · C_k`: the public share of `member`, 96 bytes.

    Raises:
        FormatError: `field[k]`: a commitment is no point, or the result is the identity.
    """
    return evaluate_points(decode_commitments(commitments, field=field), member, field=field)


def decode_commitments(commitments: Sequence[bytes], *, field: str) -> list[G2]:
    """Read every commitment, each a point of G2 in its one spelling and not the identity.

    Raises:
        FormatError: `field[k]`.
    """
    group = backend()
    return [group.decode_g2(raw, field=f"{field}[{k}]") for k, raw in enumerate(commitments)]


def evaluate_points(points: Sequence[G2], member: MemberIndex, *, field: str) -> bytes:
    """Compute `Σ member^k · C_k` of commitments that were read already.

    Raises:
        FormatError: the result is the identity, which is nobody's public share.
    """
    _require_index(member)
    group = backend()
    powers = [pow(member, k, ORDER) for k in range(len(points))]
    value = group.g2_msm(points, powers)
    if group.is_g2_identity(value):
        raise FormatError(field=field, found=f"the identity at member {member}", expected="a public share")
    return group.encode_g2(value)


def compute_lagrange_at_zero(members: Sequence[MemberIndex]) -> list[int]:
    """Compute for each member j the factor `Π m / (m - j)` over the others m, modulo r.

    Then `f(0) = Σ factor_j · f(j)` for every polynomial with at most as many coefficients as there are members.

    Raises:
        PolicyError: no member, one out of range, or one twice.
    """
    if not members or len(set(members)) != len(members):
        raise PolicyError(field="members", found=list(members), expected="at least one member, none twice")
    for member in members:
        if not 1 <= member <= MEMBERS_MAX:
            raise PolicyError(field="members", found=member, expected=f"1 … {MEMBERS_MAX}")
    factors = []
    for j in members:
        numerator = denominator = 1
        for m in members:
            if m != j:
                numerator = numerator * m % ORDER
                denominator = denominator * (m - j) % ORDER
        factors.append(numerator * pow(denominator, -1, ORDER) % ORDER)
    return factors


def _require_index(member: MemberIndex) -> None:
    assert 1 <= member <= MEMBERS_MAX
