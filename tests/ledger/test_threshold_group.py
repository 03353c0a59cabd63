"""Both backends of `ledger.threshold.group` against published answers, each other, and the traps of their libraries."""

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_arkworks_bls12381 import G1Point, G2Point

from ledger.errors import Code, ConditionError, FormatError
from ledger.threshold.group import G1_BYTES, G2_BYTES, ORDER, Backend, _Selection, backend, select_backend

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "bls.json").read_text())
FIELD_MODULUS = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
DST = b"COUNTERSEAL-TEST"


@pytest.fixture(params=["arkworks", "pyecc"])
def running(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "pyecc":
        pytest.importorskip("py_ecc")
    select_backend(request.param)
    yield backend()
    select_backend("arkworks")


def compress(x: str, y: str) -> bytes:
    """ZCash compression of a point of G1 given by its coordinates."""
    raw = bytearray(bytes.fromhex(x))
    raw[0] |= 0x80 | (0x20 if int(y, 16) > (FIELD_MODULUS - 1) // 2 else 0)
    return bytes(raw)


def points_outside_subgroup(size: int) -> list[bytes]:
    """Points of the curve that are not in the subgroup, as the library's unchecked decoder confirms."""
    point_type = G1Point if size == G1_BYTES else G2Point
    found: list[bytes] = []
    x = 1
    while len(found) < 3:
        raw = b"\x80" + x.to_bytes(size - 1, "big")
        x += 1
        try:
            point = point_type.from_compressed_bytes_unchecked(raw)
        except ValueError:
            continue  # not on the curve
        assert not point.is_in_subgroup()
        found.append(raw)
    return found


def infinities(size: int) -> list[bytes]:
    return [
        b"\xc0" + bytes(size - 1),
        b"\xff" * size,
        b"\xe0" + bytes(size - 1),
        b"\xc0" + bytes(size - 2) + b"\x01",
    ]


@pytest.mark.parametrize("case", VECTORS["hash_to_g1"]["cases"], ids=lambda case: case["message"][:5] or "empty")
def test_hashing_to_the_curve_gives_the_answers_of_rfc_9380(running: Backend, case: dict[str, str]) -> None:
    point = running.hash_to_g1(case["message"].encode(), VECTORS["hash_to_g1"]["dst"].encode())
    assert running.encode_g1(point) == compress(case["x"], case["y"])


def test_generators_of_range_proofs_come_out_as_both_libraries_give_them(running: Backend) -> None:
    known = VECTORS["range_generators"]
    dst = known["dst"].encode()
    points = [running.hash_to_g1(bytes.fromhex(case["message_hex"]), dst) for case in known["cases"]]
    assert [running.encode_g1(point).hex() for point in points] == [case["point"] for case in known["cases"]]
    combination = known["combination"]
    total = running.g1_msm(points[:2], [combination["value"], combination["blind"]])
    assert running.encode_g1(total).hex() == combination["point"]


@pytest.mark.parametrize("size", [G1_BYTES, G2_BYTES])
def test_every_spelling_of_infinity_is_refused(running: Backend, size: int) -> None:
    decode = running.decode_g1 if size == G1_BYTES else running.decode_g2
    for raw in infinities(size):
        with pytest.raises(FormatError) as caught:
            decode(raw, field="seal")
        assert caught.value.field == "seal"


@pytest.mark.parametrize("size", [G1_BYTES, G2_BYTES])
def test_a_point_outside_the_subgroup_is_refused(running: Backend, size: int) -> None:
    decode = running.decode_g1 if size == G1_BYTES else running.decode_g2
    for raw in points_outside_subgroup(size):
        with pytest.raises(FormatError, match="subgroup"):
            decode(raw, field="seal")


@pytest.mark.parametrize("size", [G1_BYTES, G2_BYTES])
def test_bytes_that_are_no_compressed_point_are_refused(running: Backend, size: int) -> None:
    decode = running.decode_g1 if size == G1_BYTES else running.decode_g2
    modulus = FIELD_MODULUS.to_bytes(48, "big")
    above = bytes([modulus[0] | 0x80]) + modulus[1:] + bytes(size - 48)
    for raw in (
        b"",
        bytes(size),
        b"\x80" + bytes(size - 1),
        above,
        b"\x9f" + b"\xff" * (size - 1),
        b"\x80" * (size + 1),
    ):
        with pytest.raises(FormatError):
            decode(raw, field="seal")


def test_a_coordinate_above_the_modulus_is_no_second_spelling(running: Backend) -> None:
    """Where x is small, x plus the modulus still fits the bits there are: the same point, spelt differently."""
    hashed = (running.encode_g1(running.hash_to_g1(bytes([i]), DST)) for i in range(256))
    raw, x = next((p, x) for p in hashed if (x := int.from_bytes(p, "big") % (1 << 381)) + FIELD_MODULUS < 1 << 381)
    flags = int.from_bytes(raw, "big") - x
    with pytest.raises(FormatError):
        running.decode_g1((flags + x + FIELD_MODULUS).to_bytes(48, "big"), field="seal")
    key = running.encode_g2(running.g2_generator())
    higher = int.from_bytes(key[48:], "big") + FIELD_MODULUS
    with pytest.raises(FormatError):
        running.decode_g2(key[:48] + higher.to_bytes(48, "big"), field="key")


def test_what_is_encoded_is_decoded(running: Backend) -> None:
    g1 = running.encode_g1(running.hash_to_g1(b"m", DST))
    assert running.encode_g1(running.decode_g1(g1, field="point")) == g1
    g2 = running.encode_g2(running.g2_mul(running.g2_generator(), 7))
    assert running.encode_g2(running.decode_g2(g2, field="point")) == g2


def test_the_identity_is_never_written(running: Backend) -> None:
    point = running.hash_to_g1(b"m", DST)
    with pytest.raises(AssertionError):
        running.encode_g1(running.g1_mul(point, 0))
    with pytest.raises(AssertionError):
        running.encode_g2(running.g2_mul(running.g2_generator(), 0))
    assert running.is_g1_identity(running.g1_add(point, running.g1_negate(point)))
    assert running.is_g2_identity(running.g2_mul(running.g2_generator(), 0))
    assert not running.is_g1_identity(point)
    assert not running.is_g2_identity(running.g2_generator())


def test_lists_of_different_length_are_never_cut_short(running: Backend) -> None:
    point, generator = running.hash_to_g1(b"m", DST), running.g2_generator()
    for points, scalars in ((2, 1), (1, 2), (0, 0)):
        with pytest.raises(AssertionError):
            running.g1_msm([point] * points, [1] * scalars)
        with pytest.raises(AssertionError):
            running.g2_msm([generator] * points, [1] * scalars)


@pytest.mark.parametrize("scalar", [-1, ORDER, 2**256])
def test_a_scalar_is_never_reduced_silently(running: Backend, scalar: int) -> None:
    point, generator = running.hash_to_g1(b"m", DST), running.g2_generator()
    with pytest.raises(AssertionError):
        running.g1_mul(point, scalar)
    with pytest.raises(AssertionError):
        running.g2_mul(generator, scalar)
    with pytest.raises(AssertionError):
        running.g1_msm([point], [scalar])


def test_a_destination_of_no_or_too_many_bytes_is_our_mistake(running: Backend) -> None:
    for dst in (b"", b"x" * 256):
        with pytest.raises(AssertionError):
            running.hash_to_g1(b"m", dst)


def test_the_pairing_is_bilinear(running: Backend) -> None:
    point, generator = running.hash_to_g1(b"m", DST), running.g2_generator()
    left = (running.g1_negate(running.g1_mul(point, 6)), generator)
    assert running.is_pairing_product_one([left, (running.g1_mul(point, 2), running.g2_mul(generator, 3))])
    assert not running.is_pairing_product_one([left, (point, running.g2_mul(generator, 5))])


@settings(max_examples=5)
@given(message=st.binary(max_size=80), scalars=st.lists(st.integers(0, ORDER - 1), min_size=2, max_size=2))
def test_both_backends_compute_the_same(message: bytes, scalars: list[int]) -> None:
    pytest.importorskip("py_ecc")
    results = []
    for name in ("arkworks", "pyecc"):
        select_backend(name)
        running = backend()
        points = [running.hash_to_g1(message, DST), running.hash_to_g1(message + b"+", DST)]
        total = running.g1_msm(points, scalars)
        g1 = b"identity" if running.is_g1_identity(total) else running.encode_g1(total)
        keys = [running.g2_generator(), running.g2_mul(running.g2_generator(), 5)]
        key = running.g2_msm(keys, scalars)
        results.append((g1, b"identity" if running.is_g2_identity(key) else running.encode_g2(key)))
    select_backend("arkworks")
    assert results[0] == results[1]


@settings(max_examples=200)
@given(st.binary(min_size=G1_BYTES, max_size=G1_BYTES) | st.binary(max_size=100))
def test_hostile_bytes_are_a_point_in_its_one_spelling_or_a_format_error(raw: bytes) -> None:
    group = backend()
    with contextlib.suppress(FormatError):
        assert group.encode_g1(group.decode_g1(raw, field="seal")) == raw
    with contextlib.suppress(FormatError):
        assert group.encode_g2(group.decode_g2(raw, field="key")) == raw


def test_a_process_that_never_chose_runs_arkworks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Selection, "running", None)
    assert backend().name == "arkworks"


def test_choosing_the_reference_without_py_ecc_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ledger.threshold.pyecc", raising=False)
    monkeypatch.setitem(sys.modules, "py_ecc", None)
    monkeypatch.setitem(sys.modules, "py_ecc.bls", None)
    monkeypatch.setitem(sys.modules, "py_ecc.bls.hash_to_curve", None)
    with pytest.raises(ConditionError, match="py-ecc") as caught:
        select_backend("pyecc")
    assert caught.value.code is Code.CONFIG
    assert backend().name == "arkworks"  # a refused choice changes nothing


def test_py_ecc_is_imported_only_when_chosen() -> None:
    """A fresh interpreter that signs with the default backend has not touched the optional dependency."""
    script = (
        "import sys; from ledger.threshold import bls, dealing, group, transcripts; "
        "group.backend(); sys.exit('py_ecc' in sys.modules)"
    )
    repository = Path(__file__).parent.parent.parent
    assert subprocess.run([sys.executable, "-c", script], cwd=repository, check=False).returncode == 0
    assert importlib.util.find_spec("ledger.threshold.pyecc") is not None
