"""The year at a glance: the last word on every lab's fortnight, a letter each."""

from collections.abc import Iterable
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from devnet.year.cast import LABS
from devnet.year.claims import Account
from devnet.year.script import LAST_REPORTED
from ledger.positions import Interval
from ledger.statements.verdicts import VerdictState

_LETTERS: Final = {
    VerdictState.COMPLIANT: ("·", "cyan"),
    VerdictState.PENDING: ("p", "dim"),
    VerdictState.LATE: ("l", "yellow"),
    VerdictState.UNVERIFIABLE: ("u", "yellow"),
    VerdictState.CONTESTED: ("c", "magenta"),
    VerdictState.MISSING: ("m", "red"),
    VerdictState.EXCEEDED: ("E", "bold red"),
}
_LEVEL_OF_MOST: Final = "A0"


def render_year(base: Interval, entries: Iterable[bytes]) -> RenderableType:
    """Lay the year out for a terminal; a level other than A0 stands beside the letter.

    Args:
        base: interval of the ledger that is interval 0 of the story.
        entries: all of the ledger's.
    """
    account = Account(entries)
    table = Table(title="labs and fortnights", title_justify="left", padding=(0, 0))
    for heading in ("nation", "lab", *(str(interval) for interval in range(1, LAST_REPORTED + 1))):
        table.add_column(f"{heading} ")
    for lab in LABS:
        cells = []
        for interval in range(1, LAST_REPORTED + 1):
            said = account.verdicts.get((lab.id, base + interval), [])
            letter, style = _LETTERS[said[-1].state] if said else ("", "")
            level = said[-1].assurance if said and said[-1].assurance != _LEVEL_OF_MOST else ""
            cells.append(Text(letter + level, style=style))
        table.add_row(Text(f"{lab.nation} "), Text(f"{lab.id} "), *cells)
    legend = ", ".join(f"{letter} {state}" for state, (letter, _) in _LETTERS.items())
    return Group(table, Text(f"{legend}; all {_LEVEL_OF_MOST} (declared) but where another level stands", style="dim"))
