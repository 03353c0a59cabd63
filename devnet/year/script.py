"""The year as a list of acts: who says what, and when. It knows nothing of networks, and is the same every time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from devnet.year.acts import Act, Chapter, Moment
from devnet.year.books import Book, open_books
from devnet.year.cast import LABS
from devnet.year.chapters.equivocating import write_equivocation
from devnet.year.chapters.founding import write_founding
from devnet.year.chapters.inspecting import write_inspections
from devnet.year.chapters.lending import write_lending
from devnet.year.chapters.pause import write_pause
from devnet.year.chapters.reporting import write_reports
from devnet.year.chapters.training import write_release, write_training
from ledger.positions import Interval

LAST_REPORTED: Final = 17
END: Final = Moment(LAST_REPORTED + 1, 980)
"""By then everything is said, and everything is judged."""


@dataclass(frozen=True, slots=True)
class Script:
    """A story.

    Attributes:
        base: interval of the ledger that is interval 0 of the story.
        chapters: what it is made of.
    """

    base: Interval
    chapters: tuple[Chapter, ...]

    def moments(self) -> Iterator[tuple[Moment, tuple[Act, ...]]]:
        """All moments in order, with the acts of each in the order of chapters."""
        acts = sorted((act for chapter in self.chapters for act in chapter.acts), key=lambda act: act.at)
        for moment, together in groupby(acts, key=lambda act: act.at):
            yield moment, tuple(together)


def write_script(base: Interval) -> Script:
    """Write the year for a ledger."""
    books = keep_books()
    return Script(
        base,
        (
            write_founding(),
            write_reports(base, books, LAST_REPORTED),
            write_training(books),
            write_release(),
            write_pause(base, books),
            write_lending(base),
            write_inspections(base, books),
            write_equivocation(base, books),
        ),
    )


def keep_books() -> Mapping[str, Mapping[int, Book]]:
    """Accounts of all labs, by lab and interval of the story."""
    return {lab.id: open_books(lab, LAST_REPORTED) for lab in LABS}
