"""Setting a lab up: ledger fetched and checked, keys made, request written; and asking its nation for changes later."""

import asyncio
from pathlib import Path
from typing import Final

from lab.client import fetch_ledger
from lab.enrolment import compose_request, read_enrolled
from lab.files import make_private_folder, read_bounded, write_atomically
from lab.home import Home, create_home, require_new
from lab.keys import LabKeys, create_keys, open_keys, rotate_keys
from lab.nodes import Patience
from lab.pinned import PinnedLedger
from lab.settings import Settings, encode_settings
from ledger.errors import Code, ConditionError
from ledger.limits import MIB
from ledger.sealedfile import Cost

CERTIFICATES_BYTES_MAX: Final = MIB


def set_up(
    home: Home, settings: Settings, passphrase: str, *, cost: Cost, timeout_s: float
) -> tuple[PinnedLedger, LabKeys]:
    """Make a lab's folder. Interrupted at any point, the same call completes it; a key is never overwritten.

    Raises:
        ConditionError: the folder is a lab's already, or keys from an interrupted attempt have another passphrase.
        FormatError: settings that cannot be.
        NodesError: no node has the charter of the fingerprint.
    """
    require_new(home)
    encode_settings(settings)
    ledger = asyncio.run(
        fetch_ledger(
            settings.ledger.nodes,
            fingerprint=settings.ledger.fingerprint,
            patience=Patience(total_s=timeout_s, attempt_s=min(timeout_s, 15.0)),
            root_certificates=read_certificates(home, settings),
        )
    )
    make_private_folder(home.folder)
    is_resumed = home.keys.exists()
    keys = open_keys(home.keys, passphrase) if is_resumed else create_keys(home.keys, passphrase, cost=cost)
    write_atomically(home.request, compose_request(settings, keys))
    create_home(home, settings, ledger)
    return ledger, keys


def renew_request(home: Home, settings: Settings, passphrase: str, *, is_rotating: bool, cost: Cost) -> LabKeys:
    """Write the request anew: after a change of the settings, or with the next key in place of the current one.

    Raises:
        ConditionError: the key before the current one would be lost: the last rotation is not registered yet
            (`NOT_READY`); or the wrong passphrase.
    """
    keys = open_keys(home.keys, passphrase)
    if is_rotating:
        sealed = [line for line in read_enrolled(home.registrations) if line.receipt is not None]
        if not sealed or keys.current.public_key not in sealed[-1].registration.active_keys():
            raise ConditionError(
                field="lab.keys", found="a current key that is not registered", expected="one registration at a time"
            )
        keys = rotate_keys(home.keys, passphrase, cost=cost)
    write_atomically(home.request, compose_request(settings, keys))
    return keys


def read_certificates(home: Home, settings: Settings) -> bytes | None:
    """Read the PEM file of the authority that vouches for `grpcs` nodes, if the settings name one.

    Raises:
        ConditionError: there is no such file (`CONFIG`).
    """
    named = settings.ledger.certificate_authority
    if not named:
        return None
    path = home.folder / Path(named)
    if not path.is_file():
        raise ConditionError(
            field="ledger.certificate_authority", found=f"{path}: no file", expected="a PEM file", code=Code.CONFIG
        )
    return read_bounded(path, bytes_max=CERTIFICATES_BYTES_MAX)
