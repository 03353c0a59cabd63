"""`ledger.threshold.polynomials`: shares, commitments and interpolation, and what never shows of a secret."""

import itertools
import random
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import FormatError, PolicyError
from ledger.limits import MEMBERS_MAX
from ledger.positions import MemberIndex
from ledger.threshold.group import ORDER, backend
from ledger.threshold.polynomials import (
    SecretPolynomial,
    SecretScalar,
    compute_lagrange_at_zero,
    compute_public_key,
    encode_secret_scalar,
    evaluate_commitments,
    make_polynomial,
    make_secret_scalar,
    parse_secret_scalar,
)

scalars = st.integers(0, ORDER - 1)


def members(*numbers: int) -> list[MemberIndex]:
    return [MemberIndex(number) for number in numbers]


@settings(max_examples=30)
@given(coefficients=st.lists(scalars, min_size=1, max_size=5), points=st.permutations(range(1, 9)))
def test_any_quorum_of_values_gives_the_constant_term(coefficients: list[int], points: list[int]) -> None:
    polynomial = SecretPolynomial(tuple(SecretScalar(value) for value in coefficients))
    chosen = members(*points[: len(coefficients)])
    factors = compute_lagrange_at_zero(chosen)
    values = [polynomial.evaluate(member) for member in chosen]
    assert sum(f * v.value for f, v in zip(factors, values, strict=True)) % ORDER == coefficients[0]


def test_values_are_those_of_the_polynomial() -> None:
    polynomial = SecretPolynomial((SecretScalar(5), SecretScalar(3), SecretScalar(2)))
    assert [polynomial.evaluate(member).value for member in members(1, 2, 10)] == [10, 19, 235]


def test_one_value_too_few_gives_another_secret() -> None:
    polynomial = make_polynomial(3, random.Random(1).randbytes)
    for chosen in itertools.combinations(members(1, 2, 3, 4), 2):
        factors = compute_lagrange_at_zero(chosen)
        total = sum(f * polynomial.evaluate(m).value for f, m in zip(factors, chosen, strict=True)) % ORDER
        assert total != polynomial.coefficients[0].value


@pytest.mark.parametrize(
    "wrong", [(), (0,), (0, 1), (1, 1), (2, 3, 2), (-1,), (MEMBERS_MAX + 1,), (1, ORDER), (1, ORDER + 1)]
)
def test_no_zero_equal_or_foreign_index_is_interpolated(wrong: tuple[int, ...]) -> None:
    with pytest.raises(PolicyError) as caught:
        compute_lagrange_at_zero(members(*wrong))
    assert caught.value.field == "members"


@pytest.mark.parametrize("member", [0, -1, MEMBERS_MAX + 1])
def test_a_polynomial_is_never_evaluated_at_zero_or_outside_the_committee(member: int) -> None:
    polynomial = make_polynomial(2, random.Random(1).randbytes)
    with pytest.raises(AssertionError):
        polynomial.evaluate(MemberIndex(member))
    with pytest.raises(AssertionError):
        evaluate_commitments(polynomial.commit(), MemberIndex(member))


def test_commitments_evaluate_to_the_public_keys_of_the_shares() -> None:
    polynomial = make_polynomial(3, random.Random(1).randbytes)
    commitments = polynomial.commit()
    assert commitments[0] == compute_public_key(polynomial.coefficients[0])
    for member in members(1, 2, 7, MEMBERS_MAX):
        assert evaluate_commitments(commitments, member) == compute_public_key(polynomial.evaluate(member))


def test_commitments_that_evaluate_to_the_identity_are_refused() -> None:
    group = backend()
    five = group.g2_mul(group.g2_generator(), 5)
    opposite = group.g2_mul(group.g2_generator(), ORDER - 5)
    with pytest.raises(FormatError, match="identity at member 1"):
        evaluate_commitments([group.encode_g2(five), group.encode_g2(opposite)], MemberIndex(1))


def test_a_commitment_that_is_no_point_is_named() -> None:
    commitments = [*make_polynomial(2, random.Random(1).randbytes).commit(), b"\xc0" + bytes(95)]
    with pytest.raises(FormatError) as caught:
        evaluate_commitments(commitments, MemberIndex(1))
    assert caught.value.field == "commitments[2]"


@given(scalars.filter(bool))
def test_a_scalar_written_is_read_again(value: int) -> None:
    assert parse_secret_scalar(encode_secret_scalar(SecretScalar(value)), field="share").value == value


@pytest.mark.parametrize("value", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_a_scalar_out_of_range_is_refused_and_not_shown(value: int) -> None:
    raw = value.to_bytes(32, "big")
    with pytest.raises(FormatError) as caught:
        parse_secret_scalar(raw, field="share")
    assert raw.hex() not in str(caught.value)
    assert str(value) not in str(caught.value).replace("0 <", "")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_scalar_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(FormatError):
        parse_secret_scalar(b"\x01" * size, field="share")


def test_drawing_refuses_zero_and_reduces_a_wide_number() -> None:
    drawn = iter([bytes(48), ORDER.to_bytes(48, "big"), (ORDER + 9).to_bytes(48, "big")])
    assert make_secret_scalar(lambda size: next(drawn)[-size:]).value == 9


def test_drawing_asks_for_enough_bytes_that_the_bias_is_nil() -> None:
    sizes: list[int] = []

    def randomness(size: int) -> bytes:
        sizes.append(size)
        return b"\x07" * size

    make_polynomial(3, randomness)
    assert len(sizes) == 3
    assert all(size * 8 >= ORDER.bit_length() + 128 for size in sizes)


def test_a_polynomial_with_a_given_constant_shares_that_secret_anew() -> None:
    secret = SecretScalar(42)
    polynomial = make_polynomial(2, random.Random(1).randbytes, constant=secret)
    assert polynomial.coefficients[0] == secret
    assert len(polynomial.coefficients) == 2


def test_arithmetic_is_modulo_the_order() -> None:
    most, two = SecretScalar(ORDER - 1), SecretScalar(2)
    assert ((most + two).value, (two - most).value, (most * 2).value) == (1, 3, ORDER - 2)
    with pytest.raises(AssertionError):
        SecretScalar(ORDER)


def test_a_secret_shows_in_no_repr_format_or_traceback() -> None:
    polynomial = make_polynomial(2, random.Random(1).randbytes)
    secret = polynomial.coefficients[0]
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>3}",
        repr([secret]),
        repr(polynomial),
        str(polynomial),
    ]
    try:
        polynomial.evaluate(MemberIndex(0))
    except AssertionError as error:
        shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    text = "".join(shown)
    for coefficient in polynomial.coefficients:
        assert str(coefficient.value) not in text
        assert f"{coefficient.value:x}" not in text
