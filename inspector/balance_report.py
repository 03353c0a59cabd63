"""The report on several labs together: X8 and X12 over what each opened; one JSON object in one encoding.

    {"format":"counterseal/balance-report/v1","ledger":…,"is_pinned":…,"labs":[…],"reports":[{"challenge":…,"lab":…,
     "digest":…}],"entries":[…],"result":…,"missing":[…],"comparisons":[…]}

`reports` are the inspection reports that the numbers come from, by SHA-256. Result, entries and comparisons are as in
`inspector.report`; *incomplete* says that something was needed and not opened. No finding is made of it. It holds what
labs opened, in comparisons: not for the public.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from inspector.books import BOOKS_MAX, Books
from inspector.entries import Ledger
from inspector.examination import require_same_ledger
from inspector.network import compare_network
from inspector.parts import know
from inspector.report import (
    COMPARISONS_MAX,
    Basis,
    Examined,
    InspectionReport,
    Result,
    conclude,
    list_books,
    list_examined,
    list_parts,
)
from ledger.domains import BALANCE_REPORT_FORMAT
from ledger.errors import Code, ConditionError
from ledger.limits import ERROR_PART_CHARACTERS_MAX, LIST_ITEMS_MAX
from ledger.statements.intoto import Hex32, Identifier


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An inspection report whose opened numbers are used.

    Attributes:
        challenge: id.
        lab: who answered it.
        digest: hex SHA-256 of the report.
    """

    challenge: Identifier
    lab: Identifier
    digest: Hex32


class BalanceReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an inspector's tool found out about several labs.

    Attributes:
        format: `BALANCE_REPORT_FORMAT`.
        ledger: hex id.
        is_pinned: whether the charter's fingerprint was compared with one from elsewhere.
        labs: of which there are statements.
        reports: where opened numbers come from.
        entries: what it rests on.
        result: what the arithmetic says.
        missing: what is needed and was not opened, or is not there.
        comparisons: all that was compared, and what could not be.
    """

    format: str
    ledger: Hex32
    is_pinned: bool
    labs: Annotated[tuple[Identifier, ...], Meta(max_length=BOOKS_MAX)]
    reports: Annotated[tuple[Source, ...], Meta(max_length=LIST_ITEMS_MAX)]
    entries: Annotated[tuple[Basis, ...], Meta(max_length=BOOKS_MAX)]
    result: Result
    missing: Annotated[
        tuple[Annotated[str, Meta(max_length=ERROR_PART_CHARACTERS_MAX)], ...], Meta(max_length=BOOKS_MAX)
    ]
    comparisons: Annotated[tuple[Examined, ...], Meta(max_length=COMPARISONS_MAX)]


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def balance(reports: Sequence[tuple[bytes, InspectionReport]], books: Books, ledger: Ledger) -> BalanceReport:
    """Hold what several labs opened together.

    Args:
        reports: of `inspect open`, each as bytes and as read.
        books: statements of all labs.
        ledger: believed.

    Raises:
        PolicyError: a report of another ledger.
        ConditionError: a report on a sample, which holds no numbers, or a charter without an agreement (`CONFIG`).
    """
    agreement = ledger.charter.agreement
    if agreement is None:
        expected = "one with an agreement: without, nobody speaks of transfers"
        raise ConditionError(field="charter", found="no agreement", expected=expected, code=Code.CONFIG)
    require_same_ledger([report for _, report in reports], ledger.charter.fingerprint)
    sources = []
    for raw, report in reports:
        if report.challenge is None:
            expected = "one on a challenge, as `counterseal inspect open` writes"
            raise ConditionError(field="report", found=report.about, expected=expected, code=Code.CONFIG)
        digest = hashlib.sha256(raw).hexdigest()
        sources.append(Source(challenge=report.challenge, lab=report.lab, digest=digest))
    known = know(list_parts(report) for _, report in reports)
    compared, missing = compare_network(books, known, window_s=agreement.inventories.pair_window_s)
    comparisons = list_examined(compared)
    return BalanceReport(
        format=BALANCE_REPORT_FORMAT,
        ledger=ledger.charter.fingerprint,
        is_pinned=ledger.is_pinned,
        labs=tuple(books.list_labs()),
        reports=tuple(sources),
        entries=list_books(books),
        result=conclude(comparisons, missing),
        missing=missing,
        comparisons=comparisons,
    )


def encode_balance_report(report: BalanceReport) -> bytes:
    """Write a report."""
    return _ENCODER.encode(report)
