"""Every fortnight every lab reports, but for one that forgets, one that is late, and one that lies."""

from collections.abc import Mapping
from typing import Final

from devnet.year.acts import Act, Chapter, Header, Moment, Said, Write
from devnet.year.books import Book
from devnet.year.cast import LABS, LANTERN, SABLE, TERN, LabRole
from devnet.year.chapters.pause import find_promises
from ledger.positions import Interval
from ledger.statements.reports import Report, encode_report

ON_TIME_PERMILLE: Final = 150
LATE_PERMILLE: Final = 800

FORGOTTEN: Final = (TERN.id, 3)
LATE: Final = (SABLE.id, 5)
UNDERSTATED: Final = (LANTERN.id, 4)


def write_reports(base: Interval, books: Mapping[str, Mapping[int, Book]], last: int) -> Chapter:
    """All reports on intervals 1 to `last`.

    Args:
        base: interval of the ledger that is interval 0 of the story.
        books: accounts by lab and interval.
        last: the last interval reported on.
    """
    acts = (
        _report(base, lab, books[lab.id][interval])
        for interval in range(1, last + 1)
        for lab in LABS
        if (lab.id, interval) != FORGOTTEN
    )
    return Chapter("reports", tuple(acts))


def name_report(lab: LabRole, interval: int) -> str:
    """How acts call a report."""
    return f"report {lab.id} {interval}"


def write_report(base: Interval, book: Book, *, is_understated: bool = False) -> Write:
    """A report of an account, or of a tenth of it."""
    figures = book.understated if is_understated else book.figures

    def write(header: Header, _: Mapping[str, Said]) -> bytes:
        row = book.row(figures, promises=find_promises(book.lab, book.interval))
        return encode_report(Report(**header, interval=Interval(base + book.interval), rows=(row,)))

    return write


def _report(base: Interval, lab: LabRole, book: Book) -> Act:
    key = (lab.id, book.interval)
    tells, permille = "", ON_TIME_PERMILLE
    if key == LATE:
        tells, permille = f"{lab.name} files its report on fortnight {book.interval} after it was due", LATE_PERMILLE
    if key == UNDERSTATED:
        tells = f"{lab.name} reports a tenth of what it did in fortnight {book.interval}, and nothing shows"
    return Act(
        Moment(book.interval + 1, permille),
        lab.id,
        write_report(base, book, is_understated=key == UNDERSTATED),
        tells=tells,
        name=name_report(lab, book.interval),
    )
