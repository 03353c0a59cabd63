"""Check a receipt or a certificate with no network, no node and no copy: files in, one finding out.

What the finding is worth depends on the charter's fingerprint. A caller who gives it gets a proof about the ledger it
names; a caller who does not gets a proof about the ledger of the fingerprint in the finding, whichever that is.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.charter import Charter, ledger_keys, parse_charter
from ledger.domains import RECEIPT_HEADER
from ledger.errors import LedgerError, PolicyError
from ledger.limits import CERTIFICATE_BYTES_MAX, ENTRY_BYTES_MAX, RECEIPT_BYTES_MAX
from ledger.receipts import VerifiedReceipt
from ledger.statements.computed import is_computed_entry
from ledger.statements.verdicts import Verdict, parse_verdict
from ledger.verify import verify_certificate, verify_receipt
from observer.files import read_file
from observer.subjects import EntrySubject, read_subject

ENTRY_SUFFIX: Final = ".entry"
CHARTER_FILE: Final = "charter.entry"

assert RECEIPT_BYTES_MAX <= CERTIFICATE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Finding:
    """What a file proves.

    Attributes:
        kind: `receipt` or `certificate`.
        charter: the ledger's; signed by all its founders, and the right one if its fingerprint is.
        is_pinned: whether its fingerprint was compared with one the caller gave.
        receipt: where the entry stands, under which checkpoint, cosigned by whom.
        subject: kind and subject of the entry, if it is of a kind that is known.
        verdict: what the entry says, if it is a verdict.
    """

    kind: str
    charter: Charter
    is_pinned: bool
    receipt: VerifiedReceipt
    subject: EntrySubject | None
    verdict: Verdict | None


def verify_file(
    path: Path,
    *,
    entry: Path | None = None,
    charter: Path | None = None,
    fingerprint: bytes | None = None,
) -> Finding:
    """Check a receipt (with the entry and the charter beside it) or a certificate.

    Args:
        path: the file.
        entry: the entry's file, for a receipt; by default the receipt's name with `.entry`.
        charter: the charter's file; by default `charter.entry` beside a receipt, and the one in a certificate.
        fingerprint: SHA-256 of the charter, from a source the caller trusts.

    Raises:
        ConditionError: a file is missing (`CONFIG`).
        PolicyError: the charter is another; or as `policy.verify`.
        FormatError, ProofError, SignatureError: something is not of its form, or not true.
    """
    raw = read_file(path, size_max=CERTIFICATE_BYTES_MAX, field="file")
    if raw.startswith(RECEIPT_HEADER.encode("ascii")):
        return _verify_receipt(
            raw,
            entry=entry or path.with_suffix(ENTRY_SUFFIX),
            charter=charter or path.with_name(CHARTER_FILE),
            fingerprint=fingerprint,
        )
    verified = verify_certificate(raw, charter_fingerprint=fingerprint)
    if charter is not None:
        given = read_file(charter, size_max=ENTRY_BYTES_MAX, field="charter")
        if given != verified.charter.entry:
            expected = f"{verified.charter.fingerprint}, which is in the certificate"
            raise PolicyError(field="charter", found=str(charter), expected=expected)
    return Finding(
        kind="certificate",
        charter=verified.charter,
        is_pinned=fingerprint is not None,
        receipt=verified.receipt,
        subject=read_subject(verified.receipt.entry),
        verdict=verified.verdict,
    )


def _verify_receipt(raw: bytes, *, entry: Path, charter: Path, fingerprint: bytes | None) -> Finding:
    entry_raw = read_file(entry, size_max=ENTRY_BYTES_MAX, field="entry")
    charter_raw = read_file(charter, size_max=ENTRY_BYTES_MAX, field="charter")
    found = hashlib.sha256(charter_raw).digest()
    if fingerprint is not None and found != fingerprint:
        raise PolicyError(field="charter", found=found.hex(), expected=fingerprint.hex())
    founding = parse_charter(charter_raw)
    verified = verify_receipt(raw, entry=entry_raw, keys=ledger_keys(founding))
    return Finding(
        kind="receipt",
        charter=founding,
        is_pinned=fingerprint is not None,
        receipt=verified,
        subject=read_subject(entry_raw),
        verdict=_read_verdict(entry_raw),
    )


def _read_verdict(entry: bytes) -> Verdict | None:
    if not is_computed_entry(entry):
        return None
    try:
        return parse_verdict(entry)
    except LedgerError:  # another computed kind, of a later version: it stands there all the same
        return None
