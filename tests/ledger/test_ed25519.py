"""Ed25519: known answers, and every key that would let somebody sign for everybody is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ed25519 import is_ed25519_signature, require_strong_public_key
from ledger.errors import FormatError

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P

# RFC 8032 §7.1, TEST 2
PUBLIC_KEY = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
MESSAGE = b"\x72"
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)

# C2SP CCTV ed25519/README.md: every encoding of a point of small order
SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)


def test_a_true_signature_is_recognised() -> None:
    assert is_ed25519_signature(PUBLIC_KEY, SIGNATURE, MESSAGE)


@pytest.mark.parametrize(
    ("public_key", "signature", "message"),
    [
        (PUBLIC_KEY, SIGNATURE, b""),
        (PUBLIC_KEY[:-1], SIGNATURE, MESSAGE),
        (PUBLIC_KEY, SIGNATURE + b"\0", MESSAGE),
        (PUBLIC_KEY, b"", MESSAGE),
        (b"\xff" * 32, SIGNATURE, MESSAGE),
    ],
)
def test_nothing_else_is_a_signature_and_nothing_raises(public_key: bytes, signature: bytes, message: bytes) -> None:
    assert not is_ed25519_signature(public_key, signature, message)


@given(at=st.integers(0, 63), bit=st.integers(0, 7))
def test_a_changed_bit_of_the_signature_is_seen(at: int, bit: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[at] ^= 1 << bit
    assert not is_ed25519_signature(PUBLIC_KEY, bytes(changed), MESSAGE)


def test_a_signature_whose_scalar_is_not_reduced_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(SIGNATURE[32:], "little") + order
    assert not is_ed25519_signature(PUBLIC_KEY, SIGNATURE[:32] + scalar.to_bytes(32, "little"), MESSAGE)


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_keys_of_small_order_are_refused_in_every_spelling(key: str) -> None:
    with pytest.raises(FormatError) as caught:
        require_strong_public_key(bytes.fromhex(key), "key")
    assert caught.value.field == "key"


def test_a_key_of_small_order_would_sign_anything() -> None:
    identity, scalar_zero = bytes.fromhex(SMALL_ORDER[4]), bytes(32)
    assert is_ed25519_signature(identity, identity + scalar_zero, b"anything")  # why such keys never get so far


@pytest.mark.parametrize("y", range(2, 19))
def test_keys_that_are_not_reduced_are_refused(y: int) -> None:
    with pytest.raises(FormatError):
        require_strong_public_key((P + y).to_bytes(32, "little"), "key")


@pytest.mark.parametrize("raw", [b"", bytes(31), PUBLIC_KEY + b"\0"])
def test_keys_of_another_length_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        require_strong_public_key(raw, "key")


def decompress(raw: bytes) -> tuple[int, int] | None:
    """RFC 8032 §5.1.3, by the book: what the short test of the ledger is compared with."""
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and raw[31] & 0x80):
        return None
    return x, y


def double(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    product = D * x * x * y * y
    return 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P


def is_strong_by_the_book(raw: bytes) -> bool:
    point = decompress(raw)
    return point is not None and double(double(double(point))) != (0, 1)


@given(st.binary(min_size=32, max_size=32) | st.sampled_from([bytes.fromhex(key) for key in SMALL_ORDER]))
def test_strong_keys_are_exactly_those_of_the_rfc_without_small_order(raw: bytes) -> None:
    if is_strong_by_the_book(raw):
        assert require_strong_public_key(raw, "key") == raw
    else:
        with pytest.raises(FormatError):
            require_strong_public_key(raw, "key")
