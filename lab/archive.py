"""One file with all that a lab must not lose: vault, keys (still encrypted), settings, registrations, receipts.

The vault in it is not encrypted: whoever reads the archive reads what the lab hides. Every statement is checked against
its envelope before the archive is made, so that damage is found while an older backup may still have what was lost.
To restore: `tar -xzf FILE`, which gives the lab's folder.
"""

import errno
import os
import tarfile
from pathlib import Path
from typing import Final

from lab.files import PRIVATE_FILE, sync_folder
from lab.home import (
    CHARTER_FILE,
    KEYS_FILE,
    RECEIPTS_FOLDER,
    REGISTRATIONS_FILE,
    REQUEST_FILE,
    SETTINGS_FILE,
    TRANSCRIPT_FILE,
    VAULT_FOLDER,
    Home,
)
from lab.settings import Settings
from lab.stored import verify_stored
from lab.vault import Vault
from ledger.errors import Code, ConditionError

_FILES: Final = (SETTINGS_FILE, CHARTER_FILE, TRANSCRIPT_FILE, KEYS_FILE, REQUEST_FILE, REGISTRATIONS_FILE)
_FOLDERS: Final = {VAULT_FOLDER: "[0-9]*.json", RECEIPTS_FOLDER: "[a-z0-9]*"}


def write_backup(home: Home, vault: Vault, settings: Settings, path: Path) -> int:
    """Write the archive beside its place and rename it. Returns how many statements it holds.

    Args:
        home: the lab's folder.
        vault: open, so that nobody writes meanwhile.
        settings: of the lab; the mapping they name goes along if it is in the folder.
        path: where the archive goes.

    Raises:
        FormatError, ProofError: a statement in the vault is damaged; no archive is written.
        ConditionError: there is a file of that name (`CONFIG`), or the disk is full (`DISK_FULL`).
    """
    if path.exists():
        raise ConditionError(field=str(path), found="a file", expected="no file of that name", code=Code.CONFIG)
    count = 0
    for stored in vault.read_all():
        verify_stored(stored)
        count += 1
    beside = path.with_name(f".{path.name}.new")
    try:
        _write(beside, home, settings)
        beside.replace(path)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ConditionError(
                field=str(path), found=error.strerror, expected="space for the archive", code=Code.DISK_FULL
            ) from None
        raise
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)
    return count


def _write(path: Path, home: Home, settings: Settings) -> None:
    top = settings.lab.id
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            names = [name for name in (*_FILES, settings.report.mapping) if name and (home.folder / name).is_file()]
            for name in names:
                if ".." not in Path(name).parts and not Path(name).is_absolute():
                    archive.add(home.folder / name, f"{top}/{name}")
            for folder, pattern in _FOLDERS.items():
                for each in sorted((home.folder / folder).glob(pattern)):
                    archive.add(each, f"{top}/{folder}/{each.name}", recursive=False)
        file.flush()
        os.fsync(file.fileno())
