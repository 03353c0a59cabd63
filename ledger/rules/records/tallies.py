"""How much a party has under way of what is bounded."""

from typing import Final

from ledger.rules.record import Record, Table


class Tally(Record, frozen=True):
    """A party's counts.

    Attributes:
        motions_open: its proposals that are not decided.
        pauses_open: pauses it proposed that are not over.
        undertakings_count: how often what it undertook has changed; places in the table of undertakings.
        frozen_count: runs it froze, over all time.
    """

    motions_open: int = 0
    pauses_open: int = 0
    undertakings_count: int = 0
    frozen_count: int = 0


TALLIES: Final = Table(b"S", Tally)  # by id of a nation or lab
NO_TALLY: Final = Tally()
