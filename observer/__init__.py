"""What everybody else runs: sync, re-verify everything, keep and show what was proven.

For programs of your own this is the library: what `__all__` names, documented in `docs/library.md`, keeps its meaning
within a major version. Names are loaded when they are first used, so that a command which needs none pays for none.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ledger.charter import Charter, ledger_keys, parse_charter
    from ledger.errors import LedgerError
    from ledger.receipts import VerifiedReceipt
    from ledger.statements.verdicts import Verdict
    from ledger.verify import VerifiedCertificate, verify_certificate, verify_receipt
    from observer.audit import AuditReport
    from observer.board import Board
    from observer.library import Entry, Observer, audit_copy, open_observer, sync_copy
    from observer.offline import Finding, verify_file
    from observer.proofs import ProvenEntry
    from observer.sync import Outcome, SyncResult
    from observer.verdicts import FoundVerdict

__all__ = [
    "AuditReport",
    "Board",
    "Charter",
    "Entry",
    "Finding",
    "FoundVerdict",
    "LedgerError",
    "Observer",
    "Outcome",
    "ProvenEntry",
    "SyncResult",
    "Verdict",
    "VerifiedCertificate",
    "VerifiedReceipt",
    "audit_copy",
    "ledger_keys",
    "open_observer",
    "parse_charter",
    "sync_copy",
    "verify_certificate",
    "verify_file",
    "verify_receipt",
]

_HOMES: Final = {
    "ledger.charter": ("Charter", "ledger_keys", "parse_charter"),
    "ledger.errors": ("LedgerError",),
    "ledger.receipts": ("VerifiedReceipt",),
    "ledger.statements.verdicts": ("Verdict",),
    "ledger.verify": ("VerifiedCertificate", "verify_certificate", "verify_receipt"),
    "observer.audit": ("AuditReport",),
    "observer.board": ("Board",),
    "observer.library": ("Entry", "Observer", "audit_copy", "open_observer", "sync_copy"),
    "observer.offline": ("Finding", "verify_file"),
    "observer.proofs": ("ProvenEntry",),
    "observer.sync": ("Outcome", "SyncResult"),
    "observer.verdicts": ("FoundVerdict",),
}
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # Any: of whatever type the name is
    """Load a public name (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'observer' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
