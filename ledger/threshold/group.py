"""What a BLS12-381 backend offers, and the one setting that says which runs.

Nothing else in the code knows which backend runs: points enter and leave as bytes (ZCash compressed, 48 bytes in G1,
96 in G2), and the opaque `G1` and `G2` never outlive the function that decoded them.

Invariants that every backend keeps, whatever its library does by itself:
1. `decode_*` takes exactly one encoding of a point: on the curve, in the subgroup of order r, not the identity,
   and what `encode_*` gives for it again.
2. `encode_*` never writes the identity: reaching it is our mistake, or a collision nobody can find.
3. Scalars are 0 ≤ s < r; nothing is reduced silently. Lists of different length are our mistake, never cut short.

Source: RFC 9380 §8.8.1 (suite `BLS12381G1_XMD:SHA-256_SSWU_RO_`), draft-irtf-cfrg-pairing-friendly-curves-11 §4.2.1
and appendix C (curve, serialization).
"""

from collections.abc import Sequence
from typing import Final, Literal, NewType, Protocol, assert_never

from ledger.encoding import require_bytes
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import SEAL_BYTES

ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
G1_BYTES: Final = SEAL_BYTES
G2_BYTES: Final = 96
SCALAR_BYTES: Final = 32
DST_BYTES_MAX: Final = 255  # RFC 9380 §5.3.1: a u8 holds its length

G1 = NewType("G1", object)
"""A point of G1 as the running backend holds it; only that backend can say anything about it."""

G2 = NewType("G2", object)
"""A point of G2 as the running backend holds it."""

BackendName = Literal["arkworks", "pyecc"]

_COMPRESSED: Final = 0x80
_INFINITY: Final = 0x40


class Backend(Protocol):
    """The operations of one library, made strict (see the invariants of this module)."""

    @property
    def name(self) -> BackendName:
        """Which backend this is, for messages and caches."""
        ...

    def hash_to_g1(self, message: bytes, dst: bytes) -> G1:
        """Hash a message to G1 (RFC 9380 §3, random oracle), under a destination of 1 to 255 bytes."""
        ...

    def decode_g1(self, raw: bytes, *, field: str) -> G1:
        """Read 48 bytes; raises `FormatError` naming `field` unless invariant 1 holds."""
        ...

    def decode_g2(self, raw: bytes, *, field: str) -> G2:
        """Read 96 bytes; raises `FormatError` naming `field` unless invariant 1 holds."""
        ...

    def encode_g1(self, point: G1) -> bytes:
        """Write 48 bytes."""
        ...

    def encode_g2(self, point: G2) -> bytes:
        """Write 96 bytes."""
        ...

    def g2_generator(self) -> G2:
        """Give the generator that public keys are multiples of."""
        ...

    def g1_add(self, left: G1, right: G1) -> G1:
        """Add two points."""
        ...

    def g1_negate(self, point: G1) -> G1:
        """Give the inverse of a point."""
        ...

    def g1_mul(self, point: G1, scalar: int) -> G1:
        """Multiply; the time taken may tell the scalar, see `bls.sign_share`."""
        ...

    def g2_mul(self, point: G2, scalar: int) -> G2:
        """Multiply; the time taken may tell the scalar."""
        ...

    def g1_msm(self, points: Sequence[G1], scalars: Sequence[int]) -> G1:
        """Sum point times scalar, for as many of one as of the other, at least one."""
        ...

    def g2_msm(self, points: Sequence[G2], scalars: Sequence[int]) -> G2:
        """Sum point times scalar, for as many of one as of the other, at least one."""
        ...

    def is_g1_identity(self, point: G1) -> bool:
        """Say whether this is the identity."""
        ...

    def is_g2_identity(self, point: G2) -> bool:
        """Say whether this is the identity."""
        ...

    def is_pairing_product_one(self, pairs: Sequence[tuple[G1, G2]]) -> bool:
        """Say whether the product of the pairings of all pairs is one."""
        ...


def require_compressed(raw: bytes, *, field: str, size: int) -> None:
    """Check length and flag bits before a library sees the bytes.

    Libraries read several spellings of infinity (`ff…`, `e000…`, `c0…01`); the identity is no valid seal, share, key
    or commitment, so every spelling of it is refused here, before any of them.

    Raises:
        FormatError: another length, not compressed, or infinity.
    """
    require_bytes(raw, field=field, size=size)
    if not raw[0] & _COMPRESSED:
        raise FormatError(field=field, found=raw[:4].hex(), expected="a compressed point")
    if raw[0] & _INFINITY:
        raise FormatError(field=field, found="a spelling of infinity", expected="a point that is not the identity")


def refuse_point(field: str) -> FormatError:
    """Make the error for bytes of the right shape that are no point of the subgroup, or not in its one spelling."""
    return FormatError(
        field=field,
        found="bytes that are none",
        expected="a point of the right subgroup of BLS12-381, spelt canonically",
    )


def require_scalar(scalar: int) -> int:
    """Return `scalar` if it is reduced; a caller who holds another made a mistake."""
    assert 0 <= scalar < ORDER
    return scalar


class _Selection:
    """The one setting; arkworks until somebody says otherwise."""

    running: Backend | None = None


def _load(name: BackendName) -> Backend:
    # Imported when chosen: a node without py-ecc installed must start, and each backend imports this module.
    match name:
        case "arkworks":
            from ledger.threshold.arkworks import ArkworksBackend  # noqa: PLC0415 - see above

            return ArkworksBackend()
        case "pyecc":
            try:
                from ledger.threshold.pyecc import PyEccBackend  # noqa: PLC0415 - see above
            except ModuleNotFoundError as error:
                raise ConditionError(
                    field="backend",
                    found=f"no module {error.name}",
                    expected="py-ecc, installed with counterseal[reference]",
                    code=Code.CONFIG,
                ) from None
            return PyEccBackend()
        case _:
            assert_never(name)


def select_backend(name: BackendName) -> None:
    """Choose the backend for the whole process: `arkworks` for a live network, `pyecc` to check it.

    arkworks is the default: native, with wheels for every platform we support, and it has multi-scalar multiplication,
    which seals and commitments need. What multiplies secrets was weighed apart. Measured over scalars from 1 to r - 1
    (medians, one machine): arkworks takes 0.8 to 297 µs, about a microsecond for each bit that is set; blst, through
    `pyblst` 0.3.15, a flat 92 µs. `pyblst` calls itself alpha, has one maintainer and no wheels for Python 3.14 but on
    Linux x86-64, so instead `bls.sign_share` splits the secret into two random parts, which takes 393 ± 2 µs whatever
    the secret is and needs no further dependency.

    Raises:
        ConditionError: the library behind `pyecc` is not installed (`CONFIG`).
    """
    _Selection.running = _load(name)


def backend() -> Backend:
    """Give the backend that runs."""
    if _Selection.running is None:
        _Selection.running = _load("arkworks")
    return _Selection.running
