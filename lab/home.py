"""The lab's folder: settings, pinned ledger, keys, vault, receipts; what is where, and nothing read unchecked.

lab.toml               settings (`lab.settings`); written last, so its presence says that the folder is complete
charter.entry          entry 0, held against the fingerprint in the settings whenever it is read
transcript.json        of the founding ceremony, held against the charter
lab.keys               current, next and former key, encrypted under a passphrase (`lab.keys`)
request.json           what the lab asks its nation to register
registrations.json     what the nation registered and the lab countersigned, with receipts (`lab.enrolment`)
vault/                 every statement with all that opens it (`lab.vault`): the part that cannot be replaced
receipts/              <lab>-<interval>.entry and .tlog-proof, charter.entry beside them: for anyone to verify
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.files import make_private_folder, read_bounded, write_atomically
from lab.pinned import PinnedLedger, pin_ledger
from lab.settings import SETTINGS_BYTES_MAX, Settings, encode_settings, parse_settings
from lab.stored import Stored, StoredStatement
from ledger.errors import Code, ConditionError, FormatError, LedgerError
from ledger.limits import ENTRY_BYTES_MAX, TRANSCRIPT_BYTES_MAX
from ledger.statements.reports import REPORT

SETTINGS_FILE: Final = "lab.toml"
CHARTER_FILE: Final = "charter.entry"
TRANSCRIPT_FILE: Final = "transcript.json"
KEYS_FILE: Final = "lab.keys"
REQUEST_FILE: Final = "request.json"
REGISTRATIONS_FILE: Final = "registrations.json"
VAULT_FOLDER: Final = "vault"
RECEIPTS_FOLDER: Final = "receipts"
ENTRY_SUFFIX: Final = ".entry"
RECEIPT_SUFFIX: Final = ".tlog-proof"


@dataclass(frozen=True, slots=True)
class Home:
    """Names of what is in a lab's folder."""

    folder: Path

    @property
    def keys(self) -> Path:
        """The encrypted keys."""
        return self.folder / KEYS_FILE

    @property
    def request(self) -> Path:
        """What the nation is asked to register."""
        return self.folder / REQUEST_FILE

    @property
    def registrations(self) -> Path:
        """What was registered."""
        return self.folder / REGISTRATIONS_FILE

    @property
    def vault(self) -> Path:
        """Folder of the statements."""
        return self.folder / VAULT_FOLDER

    @property
    def receipts(self) -> Path:
        """Folder of the receipts."""
        return self.folder / RECEIPTS_FOLDER

    def receipt(self, stem: str) -> Path:
        """Where a receipt is."""
        return self.receipts / f"{stem}{RECEIPT_SUFFIX}"

    @property
    def is_complete(self) -> bool:
        """Whether it was set up."""
        return (self.folder / SETTINGS_FILE).exists()


def create_home(home: Home, settings: Settings, ledger: PinnedLedger) -> None:
    """Write what `open_home` reads; the keys must be there already.

    Raises:
        ConditionError: it is a lab's folder already (`CONFIG`), or the disk is full.
        FormatError: settings that cannot be.
    """
    require_new(home)
    raw = encode_settings(settings)
    make_private_folder(home.folder)
    write_atomically(home.folder / CHARTER_FILE, ledger.charter.entry)
    write_atomically(home.folder / TRANSCRIPT_FILE, ledger.transcript)
    write_atomically(home.folder / SETTINGS_FILE, raw)


def require_new(home: Home) -> None:
    """Refuse a folder that was set up.

    Raises:
        ConditionError: it was (`CONFIG`).
    """
    if home.is_complete:
        raise ConditionError(
            field=str(home.folder), found=f"a {SETTINGS_FILE}", expected="a folder for a new lab", code=Code.CONFIG
        )


def read_settings(home: Home) -> Settings:
    """Read the settings.

    Raises:
        ConditionError: the folder was not set up, or a setting is wrong (`CONFIG`).
    """
    if not home.is_complete:
        raise ConditionError(
            field=str(home.folder),
            found=f"no {SETTINGS_FILE}",
            expected="a lab's folder, as `counterseal lab init` makes one",
            code=Code.CONFIG,
        )
    return parse_settings(read_bounded(home.folder / SETTINGS_FILE, bytes_max=SETTINGS_BYTES_MAX))


def read_ledger(home: Home, settings: Settings) -> PinnedLedger:
    """Read charter and transcript, and hold them against the fingerprint in the settings.

    Raises:
        FormatError: one of the files is not what was written (`STORE_DAMAGED`).
        ConditionError: one is missing.
    """
    charter = read_bounded(home.folder / CHARTER_FILE, bytes_max=ENTRY_BYTES_MAX)
    transcript = read_bounded(home.folder / TRANSCRIPT_FILE, bytes_max=TRANSCRIPT_BYTES_MAX)
    try:
        return pin_ledger(charter, transcript, fingerprint=bytes.fromhex(settings.ledger.fingerprint))
    except LedgerError as error:
        raise FormatError(
            field=f"{home.folder} {error.field}",
            found=error.found,
            expected=f"{error.expected}; fetch both again with `counterseal lab init` in another folder",
            code=Code.STORE_DAMAGED,
        ) from None


def read_beside(home: Home, named: str, *, bytes_max: int) -> bytes:
    """Read a file that a setting names, relative to the folder.

    Raises:
        ConditionError: there is none (`CONFIG`).
        FormatError: it is too large.
    """
    path = home.folder / named
    if not path.is_file():
        raise ConditionError(field=SETTINGS_FILE, found=f"{path}: no file", expected="a file", code=Code.CONFIG)
    return read_bounded(path, bytes_max=bytes_max)


def name_statement(stored: Stored) -> str:
    """Stem of a statement's files: `<lab>-<interval>` of a report; of every other its kind and number too."""
    if isinstance(stored, StoredStatement):
        return f"{stored.lab}-{stored.kind}-{stored.sequence}"
    stem = f"{stored.lab}-{stored.interval}"
    return stem if stored.kind == REPORT else f"{stem}-correction-{stored.sequence}"


def write_receipt(
    folder: Path, stem: str, *, entry: bytes, receipt: bytes, charter: bytes, transcript: bytes | None = None
) -> Path:
    """Write a receipt with what is needed to verify it beside it; the receipt last. Returns the receipt's path.

    The transcript has the keys of ML-DSA cosignatures, so it belongs beside an archival receipt.

    Raises:
        ConditionError: the disk is full (`DISK_FULL`).
    """
    make_private_folder(folder)
    wanted = {CHARTER_FILE: charter, f"{stem}{ENTRY_SUFFIX}": entry, f"{stem}{RECEIPT_SUFFIX}": receipt}
    beside = {} if transcript is None else {TRANSCRIPT_FILE: transcript}
    for name, raw in (beside | wanted).items():
        path = folder / name
        if not path.exists() or path.read_bytes() != raw:
            write_atomically(path, raw)
    return folder / f"{stem}{RECEIPT_SUFFIX}"
