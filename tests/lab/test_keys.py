"""`lab.keys` and `lab.files`: keys come back from their file, are never overwritten, rotate as announced."""

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from lab.files import read_bounded, write_atomically
from lab.keys import LabKeys, SigningKey, compute_next_key_hash, create_keys, open_keys, rotate_keys
from ledger import domains
from ledger.ed25519 import is_ed25519_signature
from ledger.errors import Code, ConditionError, FormatError
from ledger.sealedfile import Cost, encode_passphrase, encrypt_file

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)


def make(tmp_path: Path) -> tuple[Path, LabKeys]:
    path = tmp_path / "lab" / "keys"
    return path, create_keys(path, "correct horse", cost=CHEAP)


def test_keys_come_back_and_sign(tmp_path: Path) -> None:
    path, made = make(tmp_path)
    opened = open_keys(path, "correct horse")
    assert opened.current.public_key == made.current.public_key != made.next.public_key
    signature = opened.current.sign(b"message")
    assert is_ed25519_signature(made.current.public_key, signature, b"message")
    assert not is_ed25519_signature(made.next.public_key, signature, b"message")


def test_the_file_is_the_owners_alone_and_shows_no_key(tmp_path: Path) -> None:
    path = tmp_path / "lab" / "keys"
    seeds = iter([b"\x01" * 32, b"\x02" * 32, b"\x03" * 16, b"\x04" * 12])
    create_keys(path, "correct horse", randomness=lambda _: next(seeds), cost=CHEAP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"\x01" * 8 not in path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["keys"]


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ConditionError):
        create_keys(path, "correct horse", cost=CHEAP)
    assert path.read_bytes() == before


def test_a_wrong_passphrase_and_a_damaged_file_are_told_apart(tmp_path: Path) -> None:
    path, _ = make(tmp_path)
    with pytest.raises(ConditionError) as wrong:
        open_keys(path, "wrong horse")
    assert wrong.value.code is Code.PASSPHRASE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError) as damaged:
        open_keys(path, "correct horse")
    assert damaged.value.code is Code.KEY_FILE_DAMAGED


def test_a_file_of_another_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(
        encrypt_file(
            b'{"current":""}', passphrase=encode_passphrase("p"), purpose="lab-keys", salt=b"s" * 16, nonce=b"n" * 12,
            cost=CHEAP,
        )
    )  # fmt: skip
    with pytest.raises(FormatError) as caught:
        open_keys(path, "p")
    assert caught.value.code is Code.KEY_FILE_DAMAGED


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConditionError) as caught:
        open_keys(tmp_path / "nowhere", "p")
    assert caught.value.code is Code.NOT_FOUND


def test_the_key_that_takes_over_is_the_one_that_was_announced(tmp_path: Path) -> None:
    path, made = make(tmp_path)
    rotated = rotate_keys(path, "correct horse", cost=CHEAP)
    assert compute_next_key_hash(rotated.current.public_key) == made.next_key_sha256
    assert rotated.former is not None
    assert rotated.former.public_key == made.current.public_key
    assert rotated.next_key_sha256 != made.next_key_sha256
    assert open_keys(path, "correct horse").current.public_key == rotated.current.public_key


def test_the_commitment_to_the_next_key_has_its_own_domain(tmp_path: Path) -> None:
    _, made = make(tmp_path)
    assert made.next_key_sha256 == hashlib.sha256(domains.NEXT_KEY + made.next.public_key).hexdigest()


def test_a_key_does_not_print_its_secret() -> None:
    assert "01" * 32 not in repr(SigningKey(b"\x01" * 32))


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ConditionError) as caught:
        write_atomically(path, b"new")
    assert caught.value.code is Code.DISK_FULL
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_a_leftover_of_a_crash_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".file.new").write_bytes(b"half of something longer")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_larger_than_expected_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, bytes_max=5) == b"12345"
    with pytest.raises(FormatError) as caught:
        read_bounded(path, bytes_max=4)
    assert caught.value.code is Code.TOO_LARGE
