"""One member's bad certificate keeps that member out, and nobody else from starting."""

import hashlib
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from ledger.positions import MemberIndex, Seconds
from node.home import Home
from node.keys import IdentityKey
from node.tls import issue_certificate

NOW = Seconds(1_800_000_000)
ME, OTHER, LATE = MemberIndex(1), MemberIndex(2), MemberIndex(3)


def place_certificates(root: Path, lifetimes: dict[MemberIndex, int]) -> dict[MemberIndex, tuple[str, bytes]]:
    (root / "peers").mkdir()
    members = {}
    for index, lifetime in lifetimes.items():
        key = IdentityKey(hashlib.sha256(bytes([index])).digest())
        issued = issue_certificate(
            member_id=f"n{index}", sign=key.sign, now=Seconds(NOW - 1000), lifetime=Seconds(lifetime)
        )
        (root / "peers" / f"n{index}.pem").write_bytes(issued.certificate)
        members[index] = (f"n{index}", key.public_key)
    return members


def test_a_member_whose_certificate_expired_is_left_out(tmp_path: Path) -> None:
    members = place_certificates(tmp_path, {ME: 5000, OTHER: 5000, LATE: 10})
    right, wrong = Home(tmp_path).find_certificates(members, me=ME, now=NOW)
    assert set(right) == {ME, OTHER}
    assert set(wrong) == {LATE}


def test_a_member_whose_certificate_is_missing_is_left_out(tmp_path: Path) -> None:
    members = place_certificates(tmp_path, {ME: 5000, OTHER: 5000})
    (tmp_path / "peers" / "n2.pem").unlink()
    right, wrong = Home(tmp_path).find_certificates(members, me=ME, now=NOW)
    assert set(right) == {ME}
    assert set(wrong) == {OTHER}


def test_ones_own_expired_certificate_is_an_error(tmp_path: Path) -> None:
    members = place_certificates(tmp_path, {ME: 10, OTHER: 5000})
    with pytest.raises(LedgerError, match=r"tls"):
        Home(tmp_path).find_certificates(members, me=ME, now=NOW)
