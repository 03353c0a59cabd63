"""A vault, a pinned ledger and a key in tests of what a lab prepares: no node, no folder of a lab."""

from lab.keys import SigningKey
from lab.pinned import PinnedLedger
from lab.preparing import Prepared, sign_prepared
from lab.reporting import Place
from lab.settings import ClusterTable, LabTable, LedgerTable, Settings
from lab.stored import StoredStatement
from lab.vault import Vault
from ledger.charter import Accelerator, ledger_keys, parse_charter
from ledger.positions import Millis
from ledger.positions import Sequence as SequenceNumber
from tests.ledger.rulebook import AGREEMENT, make_charter_entry

LAB, OTHER = "lab-a", "lab-b"
KEY = SigningKey(b"\x07" * 32)
H100 = Accelerator(model="h100", peak_gflops=1_000_000, tdp_w=700, idle_w=70)
A100 = Accelerator(model="a100", peak_gflops=300_000, tdp_w=400, idle_w=50)


def make_ledger(*, agreed: bool = True) -> PinnedLedger:
    """A charter with an agreement and two models, as if it had been pinned."""
    entry = make_charter_entry(agreement=AGREEMENT if agreed else None, accelerators=[A100, H100])
    charter = parse_charter(entry)
    return PinnedLedger(charter=charter, transcript=b"", keys=ledger_keys(charter))


def make_settings(ledger: PinnedLedger, *clusters: str, lab: str = LAB) -> Settings:
    """Settings of a lab with some clusters."""
    return Settings(
        lab=LabTable(id=lab, name="Lab"),
        ledger=LedgerTable(fingerprint=ledger.charter.fingerprint, nodes=("grpc://127.0.0.1:1",)),
        clusters=tuple(ClusterTable(id=cluster, facility="Hall", country="DE") for cluster in clusters),
    )


def file(vault: Vault, prepared: Prepared, ledger: PinnedLedger) -> StoredStatement:
    """Sign the next statement of the chain."""
    last = vault.find_last(ledger.charter.fingerprint)
    place = Place(SequenceNumber(0), "00" * 32) if last is None else Place(SequenceNumber(last.sequence + 1), last.leaf)
    return sign_prepared(vault, prepared, place, key=KEY, now_ms=Millis(0), overrides={})
