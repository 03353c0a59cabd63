"""A lab signs two reports under one number, and shows each to another nation. One is on the ledger; both are known.

The ledger takes one and names it when it refuses the other. That is no misconduct by itself; a nation that holds both
says so, and asks to see what is behind them. The lab declines.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from devnet.year.acts import Act, Chapter, Header, Moment, Said
from devnet.year.books import Book
from devnet.year.cast import AURELIA, BOREALIS, CIMBRIA, MARTEN
from devnet.year.chapters.inspecting import write_challenge
from devnet.year.chapters.reporting import name_report, write_report
from devnet.year.inquest import Inquest
from ledger.errors import Code
from ledger.positions import Interval
from ledger.statements.inspections import Response, encode_response
from ledger.statements.notices import Observation, encode_observation

EQUIVOCATOR: Final = MARTEN
INTERVAL: Final = 10
OTHER: Final = "the other report"
INQUEST: Final = Inquest("marten-fortnight-10", BOREALIS, MARTEN, INTERVAL, (AURELIA, CIMBRIA))


def write_equivocation(base: Interval, books: Mapping[str, Mapping[int, Book]]) -> Chapter:
    """All of it; arguments as of `devnet.year.chapters.reporting.write_reports`."""
    lab, report = EQUIVOCATOR, name_report(EQUIVOCATOR, INTERVAL)
    second = write_report(base, books[lab.id][INTERVAL], is_understated=True)

    def observe(header: Header, said: Mapping[str, Said]) -> bytes:
        sealed, shown = said[report].leaf, said[OTHER].leaf
        both = hashlib.sha256(bytes.fromhex(sealed + shown)).hexdigest()
        return encode_observation(
            Observation(
                **header,
                about="lab",
                name=lab.id,
                category="equivocation",
                confidence="high",
                digest=both,
                text=f"Two reports under one number: {sealed} is sealed, {shown} was shown to us.",
            )
        )

    def decline(header: Header, _: Mapping[str, Said]) -> bytes:
        return encode_response(Response(**header, challenge=INQUEST.id, outcome="declined", handed=None, recipients=()))

    return Chapter(
        "an equivocation",
        (
            Act(
                Moment(INTERVAL + 1, 350),
                lab.id,
                second,
                tells=f"{lab.name} shows another report on fortnight {INTERVAL} under the same number; it is refused",
                name=OTHER,
                in_place_of=report,
                refused=Code.EQUIVOCATION,
            ),
            Act(
                Moment(INTERVAL + 2, 350),
                BOREALIS,
                observe,
                tells="Borealis, which was shown it, puts on record that there are two",
                name="observation",
            ),
            Act(
                Moment(INTERVAL + 2, 550),
                BOREALIS,
                write_challenge(base, INQUEST, because="which of the two is true", grounds="observation"),
                tells=f"and asks {lab.name} to open fortnight {INTERVAL}",
            ),
            Act(Moment(INTERVAL + 3, 350), lab.id, decline, tells=f"{lab.name} declines"),
        ),
    )
