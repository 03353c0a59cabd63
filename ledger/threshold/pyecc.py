"""Backend 2, the reference: py-ecc, in pure Python, hundreds of times slower than backend 1 and written independently.

It exists so that a mistake in one library is seen by the other: the tests run on both, and each verifies what the other
signed. Nothing but `group.select_backend` imports this module, and nothing else imports py-ecc, which is an optional
dependency.
"""

from collections.abc import Sequence
from functools import reduce
from hashlib import sha256
from typing import Literal, cast

from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import compress_G1, compress_G2, decompress_G1, decompress_G2
from py_ecc.bls.typing import G1Compressed, G1Uncompressed, G2Compressed, G2Uncompressed
from py_ecc.fields import optimized_bls12_381_FQ12 as FQ12
from py_ecc.optimized_bls12_381.optimized_curve import G2 as GENERATOR
from py_ecc.optimized_bls12_381.optimized_curve import add, curve_order, is_inf, multiply, neg
from py_ecc.optimized_bls12_381.optimized_pairing import final_exponentiate, pairing

from ledger.threshold.group import (
    DST_BYTES_MAX,
    G1,
    G1_BYTES,
    G2,
    G2_BYTES,
    ORDER,
    refuse_point,
    require_compressed,
    require_scalar,
)

assert curve_order == ORDER

_HALF = G1_BYTES  # a point of G2 is spelt as two coordinates of the width of one of G1


def _g1(point: G1) -> G1Uncompressed:
    return cast("G1Uncompressed", point)


def _g2(point: G2) -> G2Uncompressed:
    return cast("G2Uncompressed", point)


class PyEccBackend:
    """`group.Backend` over py-ecc."""

    __slots__ = ()

    @property
    def name(self) -> Literal["pyecc"]:
        """Which backend this is."""
        return "pyecc"

    def hash_to_g1(self, message: bytes, dst: bytes) -> G1:
        """Hash a message to G1."""
        assert 0 < len(dst) <= DST_BYTES_MAX
        return G1(hash_to_G1(message, dst, sha256))  # type: ignore[arg-type]  # py-ecc names the instance's type

    def decode_g1(self, raw: bytes, *, field: str) -> G1:
        """Read 48 bytes; the library checks the curve, the subgroup and the spelling are checked here."""
        require_compressed(raw, field=field, size=G1_BYTES)
        try:
            point = decompress_G1(G1Compressed(int.from_bytes(raw, "big")))
        except ValueError:
            raise refuse_point(field) from None
        if is_inf(point) or not is_inf(multiply(point, ORDER)) or _compress_g1(point) != raw:
            raise refuse_point(field)
        return G1(point)

    def decode_g2(self, raw: bytes, *, field: str) -> G2:
        """Read 96 bytes; the library checks the curve, the subgroup and the spelling are checked here."""
        require_compressed(raw, field=field, size=G2_BYTES)
        halves = G2Compressed((int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big")))
        try:
            point = decompress_G2(halves)
        except ValueError:
            raise refuse_point(field) from None
        if is_inf(point) or not is_inf(multiply(point, ORDER)) or _compress_g2(point) != raw:
            raise refuse_point(field)
        return G2(point)

    def encode_g1(self, point: G1) -> bytes:
        """Write 48 bytes."""
        assert not is_inf(_g1(point))
        return _compress_g1(_g1(point))

    def encode_g2(self, point: G2) -> bytes:
        """Write 96 bytes."""
        assert not is_inf(_g2(point))
        return _compress_g2(_g2(point))

    def g2_generator(self) -> G2:
        """Give the generator of G2."""
        return G2(GENERATOR)

    def g1_add(self, left: G1, right: G1) -> G1:
        """Add two points."""
        return G1(add(_g1(left), _g1(right)))

    def g1_negate(self, point: G1) -> G1:
        """Give the inverse of a point."""
        return G1(neg(_g1(point)))

    def g1_mul(self, point: G1, scalar: int) -> G1:
        """Multiply."""
        return G1(multiply(_g1(point), require_scalar(scalar)))

    def g2_mul(self, point: G2, scalar: int) -> G2:
        """Multiply."""
        return G2(multiply(_g2(point), require_scalar(scalar)))

    def g1_msm(self, points: Sequence[G1], scalars: Sequence[int]) -> G1:
        """Sum point times scalar, one after the other."""
        assert len(points) == len(scalars) > 0
        terms = [multiply(_g1(point), require_scalar(scalar)) for point, scalar in zip(points, scalars, strict=True)]
        return G1(reduce(add, terms))

    def g2_msm(self, points: Sequence[G2], scalars: Sequence[int]) -> G2:
        """Sum point times scalar, one after the other."""
        assert len(points) == len(scalars) > 0
        terms = [multiply(_g2(point), require_scalar(scalar)) for point, scalar in zip(points, scalars, strict=True)]
        return G2(reduce(add, terms))

    def is_g1_identity(self, point: G1) -> bool:
        """Say whether this is the identity."""
        return is_inf(_g1(point))

    def is_g2_identity(self, point: G2) -> bool:
        """Say whether this is the identity."""
        return is_inf(_g2(point))

    def is_pairing_product_one(self, pairs: Sequence[tuple[G1, G2]]) -> bool:
        """Say whether the product of the pairings is one."""
        assert len(pairs) > 0
        product = FQ12.one()
        for left, right in pairs:
            product = product * pairing(_g2(right), _g1(left), final_exponentiate=False)
        return bool(final_exponentiate(product) == FQ12.one())


def _compress_g1(point: G1Uncompressed) -> bytes:
    return compress_G1(point).to_bytes(G1_BYTES, "big")


def _compress_g2(point: G2Uncompressed) -> bytes:
    first, second = compress_G2(point)
    return first.to_bytes(_HALF, "big") + second.to_bytes(_HALF, "big")
