"""The keys of a member on disk: encrypted under a passphrase, handed out as objects that sign and open.

    identity.key  cosigner.key  log.key  encryption.key     made once, by `create`
    share-<epoch>.key                                       one an epoch, destroyed a set time after hand-over

Each is a file of `ledger.sealedfile`, mode 0600. A key file appears whole or not at all (written beside, synced, then
linked to its name), and none is ever overwritten: two nodes started on one folder, or `init` run twice, can't replace
a key that others already know.
"""

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.encoding import decode_u64, encode_u64, require_bytes
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.limits import KIB, MEMBERS_MAX, SIZE_MAX
from ledger.positions import Epoch, MemberIndex
from ledger.sealedfile import (
    DEFAULT_COST,
    FILE_BYTES_MAX,
    NONCE_BYTES,
    SALT_BYTES,
    Cost,
    decrypt_file,
    encode_passphrase,
    encrypt_file,
)
from ledger.threshold.group import SCALAR_BYTES
from ledger.threshold.polynomials import Randomness, encode_secret_scalar, parse_secret_scalar
from node import failpoints
from node.keys import SEED_BYTES, CosignerKey, EncryptionKey, IdentityKey, LogKey, ShareKey

PASSPHRASE_BYTES_MAX: Final = 4 * KIB
CREDENTIAL_NAME: Final = "counterseal-passphrase"
CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"  # systemd.exec(5), LoadCredential=

_IDENTITY: Final = "identity"
_COSIGNER: Final = "cosigner"
_LOG: Final = "log"
_ENCRYPTION: Final = "encryption"
_SHARE: Final = "share"
_SHARE_FILE: Final = re.compile(r"share-([1-9][0-9]{0,18})\.key\Z", re.ASCII)
_OTHERS_MASK: Final = 0o077
_CREDENTIAL_MASK: Final = 0o007  # systemd lets the service's user in by an ACL, which shows as mode 0440


@dataclass(frozen=True, slots=True, repr=False)
class Passphrase:
    """What opens the key files. Its repr shows nothing."""

    stretched_from: bytes

    @classmethod
    def parse(cls, text: str) -> "Passphrase":
        """Take what a person typed or a file held.

        Raises:
            ConditionError: nothing (`PASSPHRASE`).
        """
        return cls(encode_passphrase(text))

    def __repr__(self) -> str:
        """Show that there is one, and nothing of it."""
        return "Passphrase(…)"


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """The keys a member has from the start; no repr of them shows a secret."""

    identity: IdentityKey
    cosigner: CosignerKey
    log: LogKey
    encryption: EncryptionKey


class Keystore:
    """The key files in one folder."""

    def __init__(self, folder: Path, *, randomness: Randomness, cost: Cost = DEFAULT_COST) -> None:
        """Use a folder, which `create` makes.

        Args:
            folder: where the files are.
            randomness: for new keys, salts and nonces; `secrets.token_bytes`.
            cost: of stretching the passphrase, for files written; files read say their own.
        """
        self._folder = folder
        self._randomness = randomness
        self._cost = cost

    def create(self, passphrase: Passphrase) -> MemberKeys:
        """Make the four keys of a new member and write them.

        Raises:
            ConditionError: a key file is there already (`CONFIG`), or the disk refuses.
        """
        keys = MemberKeys(
            identity=IdentityKey.make(self._randomness),
            cosigner=CosignerKey.make(self._randomness),
            log=LogKey.make(self._randomness),
            encryption=EncryptionKey.make(self._randomness),
        )
        secrets = {
            _IDENTITY: keys.identity.secret_bytes(),
            _COSIGNER: keys.cosigner.secret_bytes(),
            _LOG: keys.log.secret_bytes(),
            _ENCRYPTION: keys.encryption.secret_bytes(),
        }
        for name in secrets:
            if self._path(name).exists():
                raise _taken(self._path(name))
        with _disk_conditions(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, secret in secrets.items():
            self._write(name, secret, purpose=name, passphrase=passphrase)
        return keys

    def open(self, passphrase: Passphrase) -> MemberKeys:
        """Read the four keys.

        Raises:
            ConditionError: a wrong passphrase (`PASSPHRASE`), or no such file (`KEY_FILE_DAMAGED`).
            FormatError: a file is damaged (`KEY_FILE_DAMAGED`).
        """
        identity = self._read(_IDENTITY, purpose=_IDENTITY, passphrase=passphrase, size=SEED_BYTES)
        cosigner = self._read(_COSIGNER, purpose=_COSIGNER, passphrase=passphrase, size=2 * SEED_BYTES)
        log = self._read(_LOG, purpose=_LOG, passphrase=passphrase, size=SEED_BYTES)
        encryption = self._read(_ENCRYPTION, purpose=_ENCRYPTION, passphrase=passphrase, size=SEED_BYTES)
        return MemberKeys(
            identity=IdentityKey(identity),
            cosigner=CosignerKey(cosigner[:SEED_BYTES], cosigner[SEED_BYTES:]),
            log=LogKey(log),
            encryption=EncryptionKey(encryption),
        )

    def write_share(self, share: ShareKey, passphrase: Passphrase) -> None:
        """Write the share of an epoch; writing the same one again, as after a crash, does nothing.

        Raises:
            ConditionError: another share of this epoch is there (`CONFIG`), or the disk refuses.
            FormatError: the file that is there is damaged (`KEY_FILE_DAMAGED`).
        """
        if self._path(_share_name(share.epoch)).exists():
            held = self.open_share(share.epoch, passphrase)
            if (held.member, held.public_share) != (share.member, share.public_share):
                raise _taken(self._path(_share_name(share.epoch)))
            return
        secret = encode_u64(share.epoch) + encode_u64(share.member) + encode_secret_scalar(share.secret_scalar())
        self._write(_share_name(share.epoch), secret, purpose=_SHARE, passphrase=passphrase)

    def open_share(self, epoch: Epoch, passphrase: Passphrase) -> ShareKey:
        """Read the share of an epoch.

        Raises:
            ConditionError: a wrong passphrase (`PASSPHRASE`), or no such share (`KEY_FILE_DAMAGED`).
            FormatError: the file is damaged (`KEY_FILE_DAMAGED`), or of another epoch.
        """
        name = _share_name(epoch)
        raw = self._read(name, purpose=_SHARE, passphrase=passphrase, size=8 + 8 + SCALAR_BYTES)
        found = decode_u64(raw[:8], field=f"{name}.epoch", maximum=SIZE_MAX)
        member = decode_u64(raw[8:16], field=f"{name}.member", maximum=MEMBERS_MAX)
        if found != epoch or member == 0:
            raise FormatError(field=name, found=f"a share of epoch {found}", expected=f"a share of epoch {epoch}")
        scalar = parse_secret_scalar(raw[16:], field=f"{name}.scalar")
        return ShareKey(scalar, epoch=epoch, member=MemberIndex(member))

    def share_epochs(self) -> list[Epoch]:
        """Say of which epochs there are shares, oldest first."""
        if not self._folder.is_dir():
            return []
        matches = (_SHARE_FILE.match(path.name) for path in self._folder.iterdir())
        return sorted(Epoch(int(match[1])) for match in matches if match)

    def share_path(self, epoch: Epoch) -> Path:
        """Say where the share of an epoch is kept."""
        return self._path(_share_name(epoch))

    def destroy_share(self, epoch: Epoch) -> None:
        """Overwrite and remove the share of an epoch; one that is gone already is no error.

        Overwriting says nothing certain on disks that write elsewhere; that the file was encrypted is what protects it.
        """
        path = self._path(_share_name(epoch))
        with _disk_conditions(path):
            try:
                file = os.open(path, os.O_WRONLY)
            except FileNotFoundError:
                return
            try:
                os.write(file, bytes(os.fstat(file).st_size))
                os.fsync(file)
            finally:
                os.close(file)
            path.unlink()
            _sync_folder(self._folder)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.key"

    def _read(self, name: str, *, purpose: str, passphrase: Passphrase, size: int) -> bytes:
        path = self._path(name)
        if not path.exists():
            way = (
                "`counterseal node repair` takes it from the transcript" if purpose == _SHARE else "back-up, or `init`"
            )
            raise ConditionError(
                field=str(path), found="no such file", expected=f"a key file: {way}", code=Code.KEY_FILE_DAMAGED
            )
        with _disk_conditions(path), path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
        try:
            secret = decrypt_file(raw, passphrase=passphrase.stretched_from, purpose=purpose)
        except LedgerError as error:
            raise error.inside(path) from error
        return require_bytes(secret, field=str(path), size=size)

    def _write(self, name: str, secret: bytes, *, purpose: str, passphrase: Passphrase) -> None:
        raw = encrypt_file(
            secret,
            passphrase=passphrase.stretched_from,
            purpose=purpose,
            salt=self._randomness(SALT_BYTES),
            nonce=self._randomness(NONCE_BYTES),
            cost=self._cost,
        )
        _write_new(self._path(name), raw)


def find_passphrase(
    *, file: Path | None, environment: Mapping[str, str], prompt: Callable[[], str] | None
) -> Passphrase:
    """Find the passphrase: in the file named, else in the service manager's credentials, else by asking.

    Args:
        file: as configured, if it is.
        environment: of the process; `CREDENTIALS_DIRECTORY` names the folder of credentials (systemd).
        prompt: asks a person, if there is one at a terminal.

    Raises:
        ConditionError: nowhere (`PASSPHRASE`), or in a file that others may read (`CONFIG`).
    """
    if file is not None:
        return _read_passphrase(file)
    if folder := environment.get(CREDENTIALS_VARIABLE):
        credential = Path(folder) / CREDENTIAL_NAME
        if credential.exists():
            return _read_passphrase(credential, mask=_CREDENTIAL_MASK)
    if prompt is not None:
        return Passphrase.parse(prompt())
    raise ConditionError(
        field="passphrase",
        found="no file, no credential and no terminal",
        expected=f"a passphrase file in the configuration, or the credential {CREDENTIAL_NAME}",
        code=Code.PASSPHRASE,
    )


def _read_passphrase(path: Path, *, mask: int = _OTHERS_MASK) -> Passphrase:
    """Read a file that holds the passphrase on its one line."""
    with _disk_conditions(path), path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        raw = file.read(PASSPHRASE_BYTES_MAX + 1)
    if mode & mask:
        found = f"mode {mode & 0o777:04o}"
        raise ConditionError(field=str(path), found=found, expected="mode 0600 or 0400", code=Code.CONFIG)
    try:
        text = raw.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        text = "\n"
    if len(raw) > PASSPHRASE_BYTES_MAX or "\n" in text:
        raise ConditionError(
            field=str(path),
            found=f"{len(raw)} bytes of another form",
            expected=f"one line of UTF-8, at most {PASSPHRASE_BYTES_MAX} bytes",
            code=Code.PASSPHRASE,
        )
    return Passphrase.parse(text)


def _share_name(epoch: Epoch) -> str:
    assert epoch >= 1
    return f"{_SHARE}-{epoch}"


def _taken(path: Path) -> ConditionError:
    return ConditionError(
        field=str(path), found="a key file", expected="none yet; keys are never overwritten", code=Code.CONFIG
    )


def _write_new(path: Path, raw: bytes) -> None:
    """Make a file appear whole and durable under a name that nothing has."""
    with _disk_conditions(path):
        file, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(file, "wb") as opened:
                opened.write(raw)
                opened.flush()
                os.fsync(opened.fileno())
            failpoints.reach("key.aside")
            try:
                os.link(beside, path)
            except FileExistsError:
                raise _taken(path) from None
        finally:
            Path(beside).unlink()
        failpoints.reach("key.linked")
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _disk_conditions(path: Path) -> Iterator[None]:
    """Name what the disk refused."""
    try:
        yield
    except OSError as error:
        code = Code.DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else Code.CONFIG
        raise ConditionError(
            field=str(path), found=str(error.strerror), expected="a disk and permissions that allow it", code=code
        ) from None
