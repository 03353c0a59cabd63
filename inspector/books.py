"""A lab's public statements, with receipts: the chain that openings are held against, and that shows if one is missing.

Every statement of a lab has a number, from 0 without a gap, so whoever holds all numbers up to one knows that no other
statement came before it: a transfer that was left out of the files shows as a gap. What came after the newest file is
not seen.

Files are receipts with entries beside them, as `counterseal observe receipts` writes them into a folder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from inspector.entries import Ledger, read_sealed
from ledger.errors import Code, ConditionError, FormatError
from ledger.limits import INTEGER_MAX
from ledger.openings import SHARED, WHOLE
from ledger.receipts import VerifiedReceipt
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import Identifier, PredicateHeader, find_kind
from ledger.statements.inventories import INVENTORY, TRANSFER, Transfer, parse_inventory, parse_transfer
from ledger.statements.reports import CORRECTION, REPORT, Report, parse_correction, parse_report
from ledger.statements.runs import TRAINING_RUN, parse_training_run

BOOKS_MAX: Final = 16_384
"""Receipts that are read at once: a report a day for four decades."""

RECEIPTS: Final = "*.tlog-proof"

_Parts = Mapping[str, tuple[str, ...]]
PredicateT = TypeVar("PredicateT", bound=PredicateHeader)


class _Header(msgspec.Struct):
    """What every statement says of itself; the ledger's rules have read the rest."""

    issuer: Identifier
    sequence: Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]


class _AnyStatement(msgspec.Struct):
    predicate: _Header


_ANY: Final = msgspec.json.Decoder(_AnyStatement)


@dataclass(frozen=True, slots=True)
class Filed:
    """A statement that stands on the ledger.

    Attributes:
        kind: of which kind.
        issuer: whose.
        sequence: its number in the issuer's chain.
        predicate: what it says; None for a kind of which nothing is compared here.
        parts: digests of hidden fields, by part.
        receipt: where it stands.
    """

    kind: str
    issuer: str
    sequence: int
    predicate: PredicateHeader | None
    parts: _Parts
    receipt: VerifiedReceipt

    @property
    def leaf(self) -> str:
        """Hex leaf hash of its entry."""
        return self.receipt.leaf.hex()


@dataclass(frozen=True, slots=True)
class Books:
    """Statements by hex leaf hash, in the order of the ledger."""

    by_leaf: Mapping[str, Filed] = field(default_factory=dict)

    def list_labs(self) -> list[str]:
        """Whose statements there are, in ascending order."""
        return sorted({filed.issuer for filed in self.by_leaf.values()})

    def list_said(self, lab: str, kind: type[PredicateT]) -> list[tuple[Filed, PredicateT]]:
        """Give a lab's statements of a kind, in the order of the ledger."""
        return [
            (filed, filed.predicate)
            for filed in self.by_leaf.values()
            if filed.issuer == lab and isinstance(filed.predicate, kind)
        ]

    def list_transfers(self, lab: str) -> list[tuple[Filed, Transfer]]:
        """Give what a lab says of transfers, without what it corrected since.

        Of a transfer to or from outside the ledger the rules do not look at what a correction names: one that names
        another transfer takes nothing's place.
        """
        live: dict[str, tuple[Filed, Transfer]] = {}
        for filed, transfer in self.list_said(lab, Transfer):
            if transfer.corrects is not None and transfer.corrects.leaf in live:
                corrected = live[transfer.corrects.leaf][1]
                if _name_transfer(corrected) == _name_transfer(transfer):
                    del live[transfer.corrects.leaf]
            live[filed.leaf] = (filed, transfer)
        return list(live.values())

    def list_reports(self, lab: str, *, before: int | None = None) -> list[tuple[Filed, Report]]:
        """Give a lab's newest declaration of each interval, in the order of intervals.

        Args:
            lab: whose.
            before: only those before this index of the ledger; None for all.
        """
        newest: dict[int, tuple[Filed, Report]] = {}
        for filed, report in self.list_said(lab, Report):
            if before is None or filed.receipt.index < before:
                newest[report.interval] = (filed, report)
        return [newest[interval] for interval in sorted(newest)]

    def list_gaps(self, lab: str) -> list[str]:
        """Name the numbers of a lab's chain, up to its newest statement here, that are not here, as ranges."""
        gaps, expected = [], 0
        for number in sorted({filed.sequence for filed in self.by_leaf.values() if filed.issuer == lab}):
            if number > expected:
                gaps.append(str(expected) if number == expected + 1 else f"{expected} to {number - 1}")
            expected = number + 1
        return gaps


def read_books(paths: Sequence[Path], ledger: Ledger) -> Books:
    """Read receipts, and all that stand in folders.

    Raises:
        ConditionError: a file is missing, a folder has no receipt, or there are too many (`CONFIG`).
        LedgerError: a receipt that does not verify, or an entry that nobody signed.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob(RECEIPTS)) if path.is_dir() else [path]
        if not found:
            expected = "receipts, as `counterseal observe receipts` writes them"
            raise ConditionError(field="books", found=f"none in {path}", expected=expected, code=Code.CONFIG)
        files += found
    if len(files) > BOOKS_MAX:
        expected = f"at most {BOOKS_MAX} receipts"
        raise ConditionError(field="books", found=len(files), expected=expected, code=Code.TOO_LARGE)
    return gather_books(read_sealed(path, ledger) for path in files)


def gather_books(receipts: Iterable[VerifiedReceipt]) -> Books:
    """Put statements that stand on the ledger in its order; one that comes twice counts once.

    Raises:
        FormatError: an entry that nobody signed.
    """
    filed = {each.leaf: each for each in map(_read_filed, receipts)}
    return Books(dict(sorted(filed.items(), key=lambda item: item[1].receipt.index)))


def _name_transfer(transfer: Transfer) -> tuple[str, str, str | None]:
    return transfer.transfer, transfer.direction, transfer.counterparty


def _read_filed(receipt: VerifiedReceipt) -> Filed:
    payload = parse_envelope(receipt.entry).payload
    kind = find_kind(payload)
    try:
        header = _ANY.decode(payload).predicate
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field=f"books.{kind}", found=str(error), expected="issuer and sequence") from None
    predicate, parts = _read_parts(kind, payload)
    return Filed(kind, header.issuer, header.sequence, predicate, parts, receipt)


def _read_parts(kind: str, payload: bytes) -> tuple[PredicateHeader | None, _Parts]:
    if kind == INVENTORY:
        inventory = parse_inventory(payload).predicate
        return inventory, {row.cluster: row.digests for row in inventory.rows}
    if kind == TRANSFER:
        transfer = parse_transfer(payload).predicate
        shipment = transfer.shipment
        if shipment is None:
            return transfer, {}
        own = {WHOLE: shipment.digests}
        return transfer, own if shipment.match is None else {**own, SHARED: (shipment.match,)}
    if kind == TRAINING_RUN:
        run = parse_training_run(payload).predicate
        return run, {WHOLE: run.digests}
    if kind in {REPORT, CORRECTION}:
        report = (parse_report(payload) if kind == REPORT else parse_correction(payload)).predicate
        return report, {row.cluster: row.digests for row in report.rows}
    return None, {}
