"""`node.keystore`: keys that survive on disk, failures that say which they are, and secrets that show nowhere."""

import errno
import os
import random
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.positions import Epoch, MemberIndex
from ledger.sealedfile import DEFAULT_COST, FILE_BYTES_MAX, Cost
from ledger.threshold.polynomials import SecretScalar
from node.keys import ShareKey
from node.keystore import CREDENTIAL_NAME, Keystore, MemberKeys, Passphrase, find_passphrase

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
PASSPHRASE = Passphrase.parse("correct horse battery staple")
WRONG = Passphrase.parse("Tr0ub4dor&3")
FILES = ["cosigner.key", "encryption.key", "identity.key", "log.key"]


def make_keystore(folder: Path, seed: int = 1) -> Keystore:
    return Keystore(folder / "keys", randomness=random.Random(seed).randbytes, cost=CHEAP)


def make_share(scalar: int = 4242, epoch: int = 1) -> ShareKey:
    return ShareKey(SecretScalar(scalar), epoch=Epoch(epoch), member=MemberIndex(3))


def secrets_of(keys: MemberKeys) -> list[bytes]:
    return [
        keys.identity.secret_bytes(),
        keys.cosigner.secret_bytes(),
        keys.log.secret_bytes(),
        keys.encryption.secret_bytes(),
    ]


def test_keys_written_are_read_again(tmp_path: Path) -> None:
    written = make_keystore(tmp_path).create(PASSPHRASE)
    read = make_keystore(tmp_path).open(PASSPHRASE)
    assert secrets_of(read) == secrets_of(written)
    assert read.identity.public_key == written.identity.public_key
    assert read.cosigner.ml_dsa_public_key == written.cosigner.ml_dsa_public_key
    assert len(set(secrets_of(written))) == 4


def test_the_default_cost_is_that_of_the_specification(tmp_path: Path) -> None:
    assert Cost(memory_kib=65536, passes=3, lanes=4) == DEFAULT_COST
    Keystore(tmp_path / "keys", randomness=random.Random(1).randbytes).create(PASSPHRASE)
    raw = (tmp_path / "keys" / "log.key").read_bytes()
    assert b"".join(number.to_bytes(4, "big") for number in (65536, 3, 4)) in raw


def test_files_are_for_the_owner_alone_and_hold_no_secret_in_the_clear(tmp_path: Path) -> None:
    keystore = make_keystore(tmp_path)
    keys = keystore.create(PASSPHRASE)
    keystore.write_share(make_share(), PASSPHRASE)
    folder = tmp_path / "keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == [*FILES, "share-1.key"]
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for secret in secrets_of(keys):
            assert secret[:32] not in path.read_bytes()
        assert (4242).to_bytes(32, "big") not in path.read_bytes()


def test_a_wrong_passphrase_is_told_from_a_damaged_file(tmp_path: Path) -> None:
    keystore = make_keystore(tmp_path)
    keystore.create(PASSPHRASE)
    with pytest.raises(ConditionError) as wrong:
        keystore.open(WRONG)
    assert wrong.value.code is Code.PASSPHRASE
    path = tmp_path / "keys" / "log.key"
    raw = path.read_bytes()
    for position in range(0, len(raw), 7):
        damaged = bytearray(raw)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        for passphrase in (PASSPHRASE, WRONG):
            with pytest.raises(LedgerError) as caught:
                keystore.open(passphrase)
            expected = Code.KEY_FILE_DAMAGED if passphrase is PASSPHRASE else Code.PASSPHRASE
            assert caught.value.code is expected  # with the wrong one, identity.key is refused first


@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_cut_file_is_damaged(tmp_path: Path, size: int) -> None:
    keystore = make_keystore(tmp_path)
    keystore.create(PASSPHRASE)
    path = tmp_path / "keys" / "identity.key"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FormatError) as caught:
        keystore.open(PASSPHRASE)
    assert caught.value.code is Code.KEY_FILE_DAMAGED


def test_a_huge_file_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    keystore = make_keystore(tmp_path)
    keystore.create(PASSPHRASE)
    with (tmp_path / "keys" / "identity.key").open("wb") as file:
        file.truncate(FILE_BYTES_MAX * 1000)
    with pytest.raises(FormatError) as caught:
        keystore.open(PASSPHRASE)
    assert caught.value.code is Code.KEY_FILE_DAMAGED


def test_a_file_under_another_name_is_not_taken_for_that_key(tmp_path: Path) -> None:
    keystore = make_keystore(tmp_path)
    keystore.create(PASSPHRASE)
    folder = tmp_path / "keys"
    (folder / "log.key").write_bytes((folder / "identity.key").read_bytes())
    with pytest.raises(FormatError) as caught:
        keystore.open(PASSPHRASE)
    assert caught.value.field.endswith(".key: keyfile.purpose")
    keystore.write_share(make_share(epoch=1), PASSPHRASE)
    (folder / "share-2.key").write_bytes((folder / "share-1.key").read_bytes())
    with pytest.raises(FormatError, match="epoch 1"):
        keystore.open_share(Epoch(2), PASSPHRASE)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    keystore = make_keystore(tmp_path)
    with pytest.raises(ConditionError) as caught:
        keystore.open(PASSPHRASE)
    assert caught.value.code is Code.KEY_FILE_DAMAGED
    assert caught.value.field.endswith("identity.key")
    with pytest.raises(ConditionError) as share:
        keystore.open_share(Epoch(7), PASSPHRASE)
    assert share.value.field.endswith("share-7.key")


@pytest.mark.parametrize("name", FILES)
def test_no_key_is_ever_overwritten(tmp_path: Path, name: str) -> None:
    make_keystore(tmp_path).create(PASSPHRASE)
    folder = tmp_path / "keys"
    for other in FILES:
        if other != name:
            (folder / other).unlink()
    before = (folder / name).read_bytes()
    with pytest.raises(ConditionError) as caught:
        make_keystore(tmp_path, seed=2).create(PASSPHRASE)
    assert caught.value.code is Code.CONFIG
    assert [path.name for path in folder.iterdir()] == [name]  # nothing was begun
    assert (folder / name).read_bytes() == before


def test_two_that_write_at_once_do_not_overwrite_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second sees no file before it writes, and finds one when it is done."""
    make_keystore(tmp_path).create(PASSPHRASE)
    before = (tmp_path / "keys" / "identity.key").read_bytes()
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(ConditionError) as caught:
        make_keystore(tmp_path, seed=2).create(PASSPHRASE)
    assert caught.value.code is Code.CONFIG
    assert (tmp_path / "keys" / "identity.key").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == FILES


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ConditionError) as caught:
        make_keystore(tmp_path).create(PASSPHRASE)
    assert caught.value.code is Code.DISK_FULL
    assert list((tmp_path / "keys").iterdir()) == []


def test_a_file_is_synced_before_it_has_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []

    def record(name: str, call: Callable[..., None]) -> Callable[..., None]:
        def recorded(*arguments: object) -> None:
            happened.append(name)
            call(*arguments)

        return recorded

    monkeypatch.setattr(os, "fsync", record("fsync", os.fsync))
    monkeypatch.setattr(os, "link", record("link", os.link))
    make_keystore(tmp_path).create(PASSPHRASE)
    assert happened == ["fsync", "link", "fsync"] * 4


def test_what_a_crash_left_beside_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    tempfile.mkstemp(dir=tmp_path / "keys", prefix=".identity.key.")
    make_keystore(tmp_path).create(PASSPHRASE)
    make_keystore(tmp_path).open(PASSPHRASE)


def test_a_share_is_written_once_read_again_and_destroyed(tmp_path: Path) -> None:
    keystore = make_keystore(tmp_path)
    assert keystore.share_epochs() == []
    keystore.create(PASSPHRASE)
    for epoch in (2, 10, 1):
        keystore.write_share(make_share(epoch=epoch), PASSPHRASE)
    assert keystore.share_epochs() == [1, 2, 10]
    read = keystore.open_share(Epoch(2), PASSPHRASE)
    assert (read.epoch, read.member, read.public_share) == (2, 3, make_share().public_share)
    assert read.share(b"m") == make_share().share(b"m")
    keystore.destroy_share(Epoch(2))
    keystore.destroy_share(Epoch(2))
    assert keystore.share_epochs() == [1, 10]


def test_the_same_share_again_changes_nothing_and_another_is_refused(tmp_path: Path) -> None:
    keystore = make_keystore(tmp_path)
    keystore.create(PASSPHRASE)
    keystore.write_share(make_share(), PASSPHRASE)
    before = (tmp_path / "keys" / "share-1.key").read_bytes()
    keystore.write_share(make_share(), PASSPHRASE)
    with pytest.raises(ConditionError) as caught:
        keystore.write_share(make_share(scalar=4243), PASSPHRASE)
    assert caught.value.code is Code.CONFIG
    assert (tmp_path / "keys" / "share-1.key").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file where the folder should be")
    with pytest.raises(ConditionError) as caught:
        make_keystore(tmp_path).create(PASSPHRASE)
    assert caught.value.code is Code.CONFIG
    assert str(tmp_path) in caught.value.field


def test_a_passphrase_comes_from_the_file_then_the_credentials_then_a_person(tmp_path: Path) -> None:
    file, credentials = tmp_path / "passphrase", tmp_path / "credentials"
    credentials.mkdir()
    for path, text in ((file, "from the file"), (credentials / CREDENTIAL_NAME, "from the credentials")):
        path.write_text(text + "\n")
        path.chmod(0o600)
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}

    def prompt() -> str:
        return "from a person"

    found = find_passphrase(file=file, environment=environment, prompt=prompt)
    assert found == Passphrase.parse("from the file")
    found = find_passphrase(file=None, environment=environment, prompt=prompt)
    assert found == Passphrase.parse("from the credentials")
    for empty in ({}, {"CREDENTIALS_DIRECTORY": str(tmp_path)}):
        assert find_passphrase(file=None, environment=empty, prompt=prompt) == Passphrase.parse("from a person")
    with pytest.raises(ConditionError) as caught:
        find_passphrase(file=None, environment={}, prompt=None)
    assert caught.value.code is Code.PASSPHRASE


def test_a_credential_may_have_the_mode_that_the_service_manager_gives_it_and_no_wider_one(tmp_path: Path) -> None:
    credential = tmp_path / CREDENTIAL_NAME
    credential.write_text("from the credentials\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    credential.chmod(0o440)  # the group's bits are the mask of the ACL that lets the service's user in
    found = find_passphrase(file=None, environment=environment, prompt=None)
    assert found == Passphrase.parse("from the credentials")
    credential.chmod(0o444)
    with pytest.raises(ConditionError) as caught:
        find_passphrase(file=None, environment=environment, prompt=None)
    assert caught.value.code is Code.CONFIG


@pytest.mark.parametrize(
    ("raw", "mode", "code"),
    [
        (b"secret\n", 0o640, Code.CONFIG),
        (b"secret\n", 0o604, Code.CONFIG),
        (b"", 0o600, Code.PASSPHRASE),
        (b"\n", 0o600, Code.PASSPHRASE),
        (b"two\nlines\n", 0o600, Code.PASSPHRASE),
        (b"\xff\xfe", 0o600, Code.PASSPHRASE),
        (b"x" * 5000, 0o600, Code.PASSPHRASE),
    ],
)
def test_a_passphrase_file_of_another_form_or_mode_is_refused(
    tmp_path: Path, raw: bytes, mode: int, code: Code
) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(raw)
    file.chmod(mode)
    with pytest.raises(ConditionError) as caught:
        find_passphrase(file=file, environment={}, prompt=None)
    assert caught.value.code is code
    assert "secret" not in str(caught.value)


def test_a_passphrase_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConditionError) as caught:
        find_passphrase(file=tmp_path / "nowhere", environment={}, prompt=None)
    assert caught.value.field.endswith("nowhere")


def test_a_passphrase_shows_nowhere() -> None:
    assert "horse" not in f"{PASSPHRASE} {PASSPHRASE!r} {[PASSPHRASE]}"
