"""Backend 1, for live networks: py-arkworks-bls12381, made strict.

What this wrapper adds to the library (each has a test): its checked decoder takes several spellings of infinity;
`multiexp_unchecked` cuts the longer list short without a word; `Scalar(int)` reduces silently. Its multiplication is
not constant-time: `bls.sign_share` says what is done about that.
"""

from collections.abc import Sequence
from typing import Final, Literal, cast

from py_arkworks_bls12381 import GT, G1Point, G2Point, Scalar

from ledger.threshold.group import (
    DST_BYTES_MAX,
    G1,
    G1_BYTES,
    G2,
    G2_BYTES,
    refuse_point,
    require_compressed,
    require_scalar,
)

_G1_IDENTITY: Final = G1Point.identity()
_G2_IDENTITY: Final = G2Point.identity()


def _g1(point: G1) -> G1Point:
    return cast("G1Point", point)


def _g2(point: G2) -> G2Point:
    return cast("G2Point", point)


class ArkworksBackend:
    """`group.Backend` over py-arkworks-bls12381."""

    __slots__ = ()

    @property
    def name(self) -> Literal["arkworks"]:
        """Which backend this is."""
        return "arkworks"

    def hash_to_g1(self, message: bytes, dst: bytes) -> G1:
        """Hash a message to G1."""
        assert 0 < len(dst) <= DST_BYTES_MAX
        return G1(G1Point.hash_to_curve(message, dst))

    def decode_g1(self, raw: bytes, *, field: str) -> G1:
        """Read 48 bytes; curve and subgroup are checked by the library, the spelling here."""
        require_compressed(raw, field=field, size=G1_BYTES)
        try:
            point = G1Point.from_compressed_bytes(raw)
        except ValueError:
            raise refuse_point(field) from None
        if point == _G1_IDENTITY or point.to_compressed_bytes() != raw:
            raise refuse_point(field)
        return G1(point)

    def decode_g2(self, raw: bytes, *, field: str) -> G2:
        """Read 96 bytes; curve and subgroup are checked by the library, the spelling here."""
        require_compressed(raw, field=field, size=G2_BYTES)
        try:
            point = G2Point.from_compressed_bytes(raw)
        except ValueError:
            raise refuse_point(field) from None
        if point == _G2_IDENTITY or point.to_compressed_bytes() != raw:
            raise refuse_point(field)
        return G2(point)

    def encode_g1(self, point: G1) -> bytes:
        """Write 48 bytes."""
        assert not self.is_g1_identity(point)
        return _g1(point).to_compressed_bytes()

    def encode_g2(self, point: G2) -> bytes:
        """Write 96 bytes."""
        assert not self.is_g2_identity(point)
        return _g2(point).to_compressed_bytes()

    def g2_generator(self) -> G2:
        """Give the generator of G2."""
        return G2(G2Point())

    def g1_add(self, left: G1, right: G1) -> G1:
        """Add two points."""
        return G1(_g1(left) + _g1(right))

    def g1_negate(self, point: G1) -> G1:
        """Give the inverse of a point."""
        return G1(-_g1(point))

    def g1_mul(self, point: G1, scalar: int) -> G1:
        """Multiply."""
        return G1(_g1(point) * Scalar(require_scalar(scalar)))

    def g2_mul(self, point: G2, scalar: int) -> G2:
        """Multiply."""
        return G2(_g2(point) * Scalar(require_scalar(scalar)))

    def g1_msm(self, points: Sequence[G1], scalars: Sequence[int]) -> G1:
        """Sum point times scalar."""
        assert len(points) == len(scalars) > 0
        return G1(G1Point.multiexp_unchecked([_g1(point) for point in points], _encode_scalars(scalars)))

    def g2_msm(self, points: Sequence[G2], scalars: Sequence[int]) -> G2:
        """Sum point times scalar."""
        assert len(points) == len(scalars) > 0
        return G2(G2Point.multiexp_unchecked([_g2(point) for point in points], _encode_scalars(scalars)))

    def is_g1_identity(self, point: G1) -> bool:
        """Say whether this is the identity."""
        return _g1(point) == _G1_IDENTITY

    def is_g2_identity(self, point: G2) -> bool:
        """Say whether this is the identity."""
        return _g2(point) == _G2_IDENTITY

    def is_pairing_product_one(self, pairs: Sequence[tuple[G1, G2]]) -> bool:
        """Say whether the product of the pairings is one."""
        assert len(pairs) > 0
        return GT.pairing_check([_g1(left) for left, _ in pairs], [_g2(right) for _, right in pairs])


def _encode_scalars(scalars: Sequence[int]) -> list[Scalar]:
    return [Scalar(require_scalar(scalar)) for scalar in scalars]
