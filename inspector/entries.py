"""Entries with receipts: files of anybody, believed as far as the charter's quorum sealed them.

A receipt stands in one file, its entry beside it under the same name with `.entry`, as `counterseal observe receipt`
writes them. What is believed of an entry that verified: it stands on the ledger of this charter, so its rules took it,
and whoever signed it had the right to. Whether something later stands in its place, no receipt tells.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from inspector.files import read_file
from ledger.charter import Charter, ledger_keys, parse_charter
from ledger.errors import Code, ConditionError, PolicyError
from ledger.limits import ENTRY_BYTES_MAX, RECEIPT_BYTES_MAX
from ledger.receipts import VerifiedReceipt
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import PredicateHeader, Statement, find_kind
from ledger.statements.reports import CORRECTION, Report, parse_correction, parse_report
from ledger.verify import verify_receipt

ENTRY_SUFFIX: Final = ".entry"

PredicateT = TypeVar("PredicateT", bound=PredicateHeader)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger that entries are held against.

    Attributes:
        charter: signed by all founders.
        is_pinned: whether its fingerprint was compared with one from elsewhere.
    """

    charter: Charter
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class Sealed(Generic[PredicateT]):
    """A statement that stands on the ledger.

    Attributes:
        predicate: what it says.
        receipt: where it stands.
    """

    predicate: PredicateT
    receipt: VerifiedReceipt

    @property
    def leaf(self) -> str:
        """Hex leaf hash of its entry."""
        return self.receipt.leaf.hex()


def read_ledger(path: Path, *, fingerprint: bytes | None) -> Ledger:
    """Read a charter.

    Args:
        path: of entry 0.
        fingerprint: its SHA-256, from a source that is trusted; with None the charter is taken as it is.

    Raises:
        ConditionError: no such file.
        PolicyError: `charter`: another one than that of the fingerprint.
        LedgerError: not a charter that all its founders signed.
    """
    raw = read_file(path, bytes_max=ENTRY_BYTES_MAX, field="charter")
    found = hashlib.sha256(raw).digest()
    if fingerprint is not None and found != fingerprint:
        raise PolicyError(field="charter", found=found.hex(), expected=fingerprint.hex())
    return Ledger(parse_charter(raw), is_pinned=fingerprint is not None)


def read_sealed(path: Path, ledger: Ledger) -> VerifiedReceipt:
    """Read a receipt and the entry beside it, and check that the entry stands on the ledger.

    Raises:
        ConditionError: a file is missing (`CONFIG`).
        FormatError, ProofError, SignatureError, PolicyError: as `ledger.verify.verify_receipt`.
    """
    raw = read_file(path, bytes_max=RECEIPT_BYTES_MAX, field="receipt")
    entry_path = path.with_suffix(ENTRY_SUFFIX)
    if entry_path == path:
        expected = "the receipt, whose entry stands beside it under its name"
        raise ConditionError(field="receipt", found=str(path), expected=expected, code=Code.CONFIG)
    entry = read_file(entry_path, bytes_max=ENTRY_BYTES_MAX, field="entry")
    return verify_receipt(raw, entry=entry, keys=ledger_keys(ledger.charter))


def read_declaration(path: Path, ledger: Ledger) -> Sealed[Report]:
    """Read a report, or a correction that stands in its place.

    Raises:
        LedgerError: as `read_sealed`; or it is of another kind.
    """
    receipt = read_sealed(path, ledger)
    payload = parse_envelope(receipt.entry).payload
    parse = parse_correction if find_kind(payload) == CORRECTION else parse_report
    return Sealed(parse(payload).predicate, receipt)


def read_statement(path: Path, ledger: Ledger, parse: Callable[[bytes], Statement[PredicateT]]) -> Sealed[PredicateT]:
    """Read a statement of one kind that stands on the ledger.

    Raises:
        LedgerError: as `read_sealed`; or it is of another kind.
    """
    receipt = read_sealed(path, ledger)
    return Sealed(parse(parse_envelope(receipt.entry).payload).predicate, receipt)
